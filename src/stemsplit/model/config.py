"""What varies between HT Demucs checkpoints. What does not is a named constant in the module that uses it."""

from dataclasses import dataclass
from fractions import Fraction

GROWTH = 2  # channels of one encoder layer over those of the layer before
DEPTH = 4  # encoder layers per branch: 2048 bins become 8, and 7.8 s become 1,344 steps
MIN_SEGMENT_FRAMES = 4096  # one STFT window; a shorter segment could not be padded by reflection


@dataclass(frozen=True)
class HTDemucsConfig:
    """
    The shape of one HT Demucs network (Rouard et al. 2022, section 3.1).

    Attributes:
        sources: what the network separates, in the order of its output.
        segment: seconds of audio the network sees at once, in training and in use.
        sample_rate: Hz.
        audio_channels: of the mixture and of every source.
        channels: of the outermost layer; each deeper one has `GROWTH` times more.
        dconv_encoder, dconv_decoder: whether the layers of that side hold DConv branches.
        bottom_channels: width of the transformer through 1x1 convolutions; 0 for none, the width then is
            the innermost layer's.
        transformer_layers: even ones (from 0) attend to their own branch, odd ones to the other.
        transformer_heads: attention heads of each layer.
        hidden_scale: feed-forward width over transformer width.
        dropout: probability inside the transformer, in training.

    Raises:
        ValueError: for values that no network can be built from.
    """

    sources: tuple[str, ...]
    segment: Fraction = Fraction(39, 5)
    sample_rate: int = 44_100
    audio_channels: int = 2
    channels: int = 48
    dconv_encoder: bool = True
    dconv_decoder: bool = True
    bottom_channels: int = 512
    transformer_layers: int = 5
    transformer_heads: int = 8
    hidden_scale: float = 4.0
    dropout: float = 0.02

    def __post_init__(self) -> None:
        if not self.sources or len(set(self.sources)) != len(self.sources):
            raise ValueError(f"sources must be distinct and at least one, not {list(self.sources)}")
        if self.segment_frames < MIN_SEGMENT_FRAMES:
            raise ValueError(f"a segment must last at least {MIN_SEGMENT_FRAMES} frames, not {self.segment} s")
        for name in ("sample_rate", "audio_channels", "transformer_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.channels < 8 or self.channels % 8:
            raise ValueError(f"channels must be a multiple of 8 (DConv keeps an eighth), not {self.channels}")
        if self.bottom_channels < 0 or self.transformer_layers < 0:
            raise ValueError("bottom_channels and transformer_layers cannot be negative")
        if self.transformer_layers and self.width % (4 * self.transformer_heads):
            raise ValueError(
                f"the transformer's width, {self.width}, must be a multiple of 4 (two-dimensional positions) "
                f"times its {self.transformer_heads} heads"
            )

    @property
    def segment_frames(self) -> int:
        """Frames of one segment, rounded down: 39/5 s at 44.1 kHz are 343,980."""
        return int(self.segment * self.sample_rate)

    @property
    def innermost_channels(self) -> int:
        """Channels of the deepest encoder layer."""
        return int(self.channels * GROWTH ** (DEPTH - 1))

    @property
    def width(self) -> int:
        """Width of the transformer."""
        return self.bottom_channels or self.innermost_channels
