"""
Encoder, decoder and DConv layers of both branches.

Every activation is [B, F, T, C], contiguous: B batch, F frequency rows (1 in the waveform branch), T time steps,
C channels last. So a 1x1 convolution is a matrix product, a frequency row is one block of memory, which makes
it an item of its own for DConv without a copy, and tokens for the transformer are a view. Parameters keep the
names and shapes of the published checkpoints: 2-d convolutions in the spectral branch, 1-d in the waveform one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL = 8
STRIDE = 4
_CROP = (KERNEL - STRIDE) // 2  # padding that makes the output exactly STRIDE times shorter (or longer)
_DCONV_COMPRESSION = 8
_DCONV_DILATIONS = (1, 2)
_DCONV_SCALE = 1e-3  # LayerScale at initialisation
_CACHED_NUMBERS = 256 * 1024  # of an activation, so that it stays in a core's cache from one operation to the next


class LayerScale(nn.Module):
    """One learned factor per channel on a residual branch, small at first (Touvron et al. 2021)."""

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), initial))

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """`x + scale * branch`, in one pass over memory; channels last."""
        return torch.addcmul(x, self.scale, branch)


class DConv(nn.Module):
    """Residual dilated convolutions along time; every frequency row is an item of its own, norms included."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // _DCONV_COMPRESSION
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, hidden, 3, dilation=dilation, padding=dilation),
                nn.GroupNorm(1, hidden),
                nn.GELU(),
                nn.Conv1d(hidden, 2 * channels, 1),
                nn.GroupNorm(1, 2 * channels),
                nn.GLU(),
                LayerScale(channels, _DCONV_SCALE),
            )
            for dilation in _DCONV_DILATIONS
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape: [B, F, T, C] -> the same."""
        rows = x.flatten(0, 1)
        for layer in self.layers:
            compress, norm, gelu, expand, norm_out, _, scale = layer.children()
            hidden = gelu(normalise(convolve(rows.unsqueeze(1), compress), norm)).squeeze(1)
            rows = project_and_gate(hidden, *_normalised_expansion(hidden, expand, norm_out, scale), onto=rows)
        return rows.view(x.shape)


def _normalised_expansion(
    hidden: Tensor, expand: nn.Module, norm: nn.Module, scale: nn.Module
) -> tuple[Tensor, Tensor]:
    """
    Weight [I, H, 2 C] and bias [I, 1, 2 C] that do at once what `expand`, `norm` and, after the gate, `scale` do.

    The expansion is linear and the norm is one factor and one offset per item. Mean and variance of what `expand`
    would give follow from mean and covariance of `hidden` [I, T, H], 16 times narrower, so the widened activation is
    never normalised, nor written to memory. With m the mean of `hidden`, S its covariance [H, H], and w, b the weights
    and the bias of a channel, that channel has the mean w m + b and the variance w S w^T. Over all channels, the mean
    is that of the means, and the variance that of the means added to the mean of the variances.

    The gate multiplies the first half of the channels, so `scale` may do that before it.
    """
    assert isinstance(expand, nn.Conv1d)
    assert isinstance(norm, nn.GroupNorm)
    assert isinstance(scale, LayerScale)
    assert expand.bias is not None
    exact = torch.promote_types(hidden.dtype, torch.float32)
    with torch.autocast(hidden.device.type, enabled=False):
        weight, bias = expand.weight.flatten(1).to(exact), expand.bias.to(exact)
        centre = hidden.mean(1, keepdim=True, dtype=exact)
        centred = hidden - centre
        covariance = centred.transpose(1, 2) @ centred / hidden.shape[1]
        offsets = F.linear(centre, weight, bias)
        mean = offsets.mean(-1, keepdim=True)
        variance = ((weight @ covariance) * weight).sum(-1).mean(-1).view(-1, 1, 1)
        variance = variance + (offsets - mean).square().mean(-1, keepdim=True)
        scales = torch.cat([scale.scale, torch.ones_like(scale.scale)]).to(exact)
        gain = (variance + norm.eps).rsqrt() * norm.weight * scales
        weight, bias = weight.t() * gain, (bias - mean) * gain + norm.bias * scales
    return weight.to(hidden.dtype), bias.to(hidden.dtype)


class EncoderLayer(nn.Module):
    """
    Convolution, GELU, DConv, 1x1 rewrite, GLU (Défossez 2021, section 3.2).

    Args:
        inputs, outputs: channels.
        spectral: convolve over frequency; otherwise over time.
        dconv: whether the layer holds a DConv branch.
    """

    def __init__(self, inputs: int, outputs: int, *, spectral: bool, dconv: bool) -> None:
        super().__init__()
        self.spectral = spectral
        if spectral:
            self.conv: nn.Module = nn.Conv2d(inputs, outputs, (KERNEL, 1), (STRIDE, 1), (_CROP, 0))
            self.rewrite: nn.Conv1d | nn.Conv2d = nn.Conv2d(outputs, 2 * outputs, 1)
        else:
            self.conv = nn.Conv1d(inputs, outputs, KERNEL, STRIDE, _CROP)
            self.rewrite = nn.Conv1d(outputs, 2 * outputs, 1)
        self.dconv = DConv(outputs) if dconv else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape: [B, F, T, inputs] -> [B, F / 4, T, outputs] spectral, [B, 1, ceil(T / 4), outputs] else."""
        if not self.spectral:
            x = F.pad(x, (0, 0, 0, -x.shape[2] % STRIDE))
        x = F.gelu(convolve(x, self.conv))
        if self.dconv is not None:
            x = self.dconv(x)
        return rewrite_and_gate(x, self.rewrite)


class DecoderLayer(nn.Module):
    """
    Add the skip, rewrite with context 1, GLU, DConv, transposed convolution, GELU unless `last`.

    Args:
        inputs, outputs: channels.
        spectral: convolve over frequency; otherwise over time.
        dconv: whether the layer holds a DConv branch.
        last: the outermost layer, whose output is the signal itself.
    """

    def __init__(self, inputs: int, outputs: int, *, spectral: bool, dconv: bool, last: bool) -> None:
        super().__init__()
        self.last = last
        if spectral:
            self.rewrite: nn.Module = nn.Conv2d(inputs, 2 * inputs, 3, padding=1)
            self.conv_tr: nn.Module = nn.ConvTranspose2d(inputs, outputs, (KERNEL, 1), (STRIDE, 1), padding=(_CROP, 0))
        else:
            self.rewrite = nn.Conv1d(inputs, 2 * inputs, 3, padding=1)
            self.conv_tr = nn.ConvTranspose1d(inputs, outputs, KERNEL, STRIDE, padding=_CROP)
        self.dconv = DConv(inputs) if dconv else None

    def forward(self, x: Tensor, skip: Tensor, time_steps: int) -> Tensor:
        """
        Undo the encoder layer whose output was `skip` and whose input had `time_steps`.

        Shape:
            x, skip: [B, F, T, inputs]; result: [B, 4 F, T, outputs] spectral, [B, 1, time_steps, outputs] else.
        """
        x = F.glu(convolve(x + skip, self.rewrite), dim=-1)
        if self.dconv is not None:
            x = self.dconv(x)
        x = convolve(x, self.conv_tr)[:, :, :time_steps]
        return x if self.last else F.gelu(x)


def convolve(x: Tensor, conv: nn.Module) -> Tensor:
    """Apply a 1-d (over time) or 2-d convolution, transposed or not, to [B, F, T, C]: channels stay last."""
    assert isinstance(conv, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d)
    weight = conv.weight
    if set(conv.kernel_size) == {1}:
        return F.linear(x, weight.flatten(1), conv.bias)
    stride, padding, dilation = conv.stride, conv.padding, conv.dilation
    assert not isinstance(padding, str)
    if weight.dim() == 3:  # over time only: a 2-d convolution one row high
        weight = weight.unsqueeze(2)
        stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)
    x = x.permute(0, 3, 1, 2)  # torch's order of dimensions; memory stays channels last
    if conv.transposed:
        y = F.conv_transpose2d(x, weight, conv.bias, stride, padding)
    else:
        y = F.conv2d(x, weight, conv.bias, stride, padding, dilation)
    return y.permute(0, 2, 3, 1).contiguous()


def rewrite_and_gate(x: Tensor, conv: nn.Conv1d | nn.Conv2d) -> Tensor:
    """A 1x1 convolution to twice the channels, and GLU. Shape: [B, F, T, C] -> the same."""
    assert conv.bias is not None
    items = x.flatten(1, 2)
    weight = conv.weight.flatten(1).t().expand(len(items), -1, -1)
    return project_and_gate(items, weight, conv.bias.expand(len(items), 1, -1)).view(x.shape)


def project_and_gate(x: Tensor, weight: Tensor, bias: Tensor, onto: Tensor | None = None) -> Tensor:
    """
    Project to twice the channels, of which the second half gates the first (GLU); added to `onto`, if given.

    On a CPU it goes piece by piece, so that the projection is gated while it is in the cache; but for training, since
    what is written piece by piece has no gradient.

    Shape:
        x: [I, T, H]; weight: [I, H, 2 C]; bias: [I, 1, 2 C]; onto, result: [I, T, C].
    """
    if x.device.type != "cpu" or torch.is_grad_enabled():
        y = F.glu(torch.baddbmm(bias, x, weight), dim=-1)
        return y if onto is None else onto + y
    (items, steps, _), channels = x.shape, weight.shape[-1] // 2
    result = (x if onto is None else onto).new_empty(items, steps, channels)
    (weight, gate_weight), (bias, gate_bias) = weight.chunk(2, dim=-1), bias.chunk(2, dim=-1)
    steps_at_once = max(1, min(steps, _CACHED_NUMBERS // (2 * channels)))
    items_at_once = max(1, _CACHED_NUMBERS // (2 * channels * steps_at_once))
    for i in range(0, items, items_at_once):
        some = slice(i, i + items_at_once)
        for t in range(0, steps, steps_at_once):
            piece = some, slice(t, t + steps_at_once)
            value = torch.baddbmm(bias[some], x[piece], weight[some])
            gate = torch.baddbmm(gate_bias[some], x[piece], gate_weight[some]).sigmoid_()
            if onto is None:
                torch.mul(value, gate, out=result[piece])
            else:
                torch.addcmul(onto[piece], value, gate, out=result[piece])
    return result


def normalise(x: Tensor, norm: nn.Module) -> Tensor:
    """
    Apply GroupNorm(1) to every item of [B, 1, T, C] as a whole: channels stay last.

    Written as a layer norm over the whole item: as fast as torch's channels-last group norm, whose plain float32
    sums lose 30 dB of precision over the 8 million numbers of the outermost waveform layer.
    """
    assert isinstance(norm, nn.GroupNorm)
    item = x.shape[2:]
    return F.layer_norm(x, item, norm.weight.expand(item), norm.bias.expand(item), norm.eps)
