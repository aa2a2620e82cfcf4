"""
HT Demucs: a spectral and a waveform U-Net that meet in a cross-domain transformer (Rouard et al. 2022).

Shapes: B batch, S sources, C audio channels, T frames; activations are [B, F, T, channels], see `layers.py`.
"""

import torch
from torch import Tensor, nn

from stemsplit.model.config import DEPTH, GROWTH, HTDemucsConfig
from stemsplit.model.layers import STRIDE, DecoderLayer, EncoderLayer, convolve
from stemsplit.model.spectrogram import BINS, inverse_spectrogram, spectrogram
from stemsplit.model.transformer import CrossDomainTransformer

_Skip = tuple[Tensor, Tensor, int]  # outputs of both encoder layers, steps into the waveform one

_EPSILON = 1e-5  # keeps the normalisation of silence finite
_EMBEDDING_SCALE = 10.0  # the stored embedding is this much smaller, so that it learns faster
_EMBEDDING_WEIGHT = 0.2  # of the frequency embedding beside the activation it is added to
_RESCALE = 0.1  # standard deviation towards which convolutions are rescaled at initialisation


class HTDemucs(nn.Module):
    """
    The network. Parameters have the published names; those of the waveform branch begin or end with `t`.

    The STFT, both normalisations and the sum of the branches are computed in the type of the mixture, float32;
    everything between them in that of the parameters: `network.to(torch.bfloat16)` is a reduced-precision network.

    On torch's device "meta" it is built without initial weights, whose arithmetic would have torch import its compiler
    there, for a second.
    """

    def __init__(self, config: HTDemucsConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels * GROWTH**depth for depth in range(DEPTH)]
        audio, output = config.audio_channels, config.audio_channels * len(config.sources)
        self.encoder, self.decoder = _branch(config, widths, 2 * audio, 2 * output, spectral=True)
        self.tencoder, self.tdecoder = _branch(config, widths, audio, output, spectral=False)
        self.freq_emb = _FrequencyEmbedding(BINS // STRIDE, config.channels)
        if not self.freq_emb.embedding.weight.is_meta:
            _rescale([self.encoder, self.decoder, self.tencoder, self.tdecoder])
        if config.bottom_channels:
            self.channel_upsampler = nn.Conv1d(widths[-1], config.width, 1)
            self.channel_downsampler = nn.Conv1d(config.width, widths[-1], 1)
            self.channel_upsampler_t = nn.Conv1d(widths[-1], config.width, 1)
            self.channel_downsampler_t = nn.Conv1d(config.width, widths[-1], 1)
        if config.transformer_layers:
            self.crosstransformer = CrossDomainTransformer(config)

    def forward(self, mixture: Tensor) -> Tensor:
        """
        Separate segments of any one length, the trained one for the trained quality.

        Shape:
            mixture: [B, C, T] float32; result: [B, S, C, T] float32.
        """
        spectrum, mean, std = _standardise(spectrogram(mixture))
        waveform, mean_t, std_t = _standardise(mixture.transpose(1, 2).unsqueeze(1))
        dtype = self.freq_emb.embedding.weight.dtype
        x, xt, skips = self._encode(spectrum.to(dtype), waveform.to(dtype))
        x, xt = self._transform(x, xt)
        x, xt = self._decode(x, xt, skips)
        # x * std + mean, in one pass over memory
        x, xt = torch.addcmul(mean, x.to(mixture.dtype), std), torch.addcmul(mean_t, xt.to(mixture.dtype), std_t)
        spectral = inverse_spectrogram(x.contiguous(), mixture.shape[-1])
        temporal = xt.squeeze(1).transpose(1, 2)
        sources: Tensor = (spectral + temporal).unflatten(1, (len(self.config.sources), -1))
        return sources

    def _encode(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor, list[_Skip]]:
        skips = []
        for depth, (encode, encode_t) in enumerate(zip(self.encoder, self.tencoder, strict=True)):
            steps_t = xt.shape[2]
            x, xt = encode(x), encode_t(xt)
            if depth == 0:
                x = x + self.freq_emb()
            skips.append((x, xt, steps_t))
        return x, xt, skips

    def _transform(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        if self.config.bottom_channels:
            x, xt = convolve(x, self.channel_upsampler), convolve(xt, self.channel_upsampler_t)
        if self.config.transformer_layers:
            x, xt = self.crosstransformer(x, xt)
        if self.config.bottom_channels:
            x, xt = convolve(x, self.channel_downsampler), convolve(xt, self.channel_downsampler_t)
        return x, xt

    def _decode(self, x: Tensor, xt: Tensor, skips: list[_Skip]) -> tuple[Tensor, Tensor]:
        for decode, decode_t in zip(self.decoder, self.tdecoder, strict=True):
            skip, skip_t, steps_t = skips.pop()
            x, xt = decode(x, skip, x.shape[2]), decode_t(xt, skip_t, steps_t)
        return x, xt


class _FrequencyEmbedding(nn.Module):
    """A learned vector per frequency row, since convolution over frequency does not know where it is."""

    def __init__(self, rows: int, channels: int) -> None:
        super().__init__()
        weight = torch.empty(rows, channels)
        if not weight.is_meta:  # neighbouring rows start alike: a random walk, scaled back to unit variance
            walk = weight.normal_().cumsum(0) / torch.arange(1, rows + 1).sqrt()[:, None]
            weight = walk / _EMBEDDING_SCALE
        self.embedding: nn.Embedding = nn.Embedding.from_pretrained(weight, freeze=False)

    def forward(self) -> Tensor:
        """Shape: [F, 1, C], to be added to [B, F, T, C]."""
        return self.embedding.weight[:, None] * (_EMBEDDING_SCALE * _EMBEDDING_WEIGHT)


def _branch(
    config: HTDemucsConfig, widths: list[int], inputs: int, outputs: int, *, spectral: bool
) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Encoder from the outermost layer inwards, decoder from the innermost outwards."""
    encoder = nn.ModuleList(
        EncoderLayer(wide, narrow, spectral=spectral, dconv=config.dconv_encoder)
        for wide, narrow in zip([inputs, *widths], widths, strict=False)
    )
    decoder = nn.ModuleList(
        DecoderLayer(narrow, wide, spectral=spectral, dconv=config.dconv_decoder, last=depth == 0)
        for depth, (wide, narrow) in reversed(list(enumerate(zip([outputs, *widths], widths, strict=False))))
    )
    return encoder, decoder


def _standardise(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Every item minus its mean, over its (unbiased) standard deviation; mean and deviation as well."""
    std, mean = torch.std_mean(x, dim=(1, 2, 3), keepdim=True)
    return (x - mean) / (std + _EPSILON), mean, std


@torch.no_grad()
def _rescale(branches: list[nn.ModuleList]) -> None:
    """Bring the spread of every convolution's weights halfway (in decibels) to `_RESCALE`."""
    for branch in branches:
        for module in branch.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
                factor = (module.weight.std() / _RESCALE).sqrt()
                for parameter in module.parameters():
                    parameter.div_(factor)
