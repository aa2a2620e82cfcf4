"""The formats that stems are written in, as a table, and one checked choice out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import Literal

from stemsplit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Depth:
    """
    How one sample is stored: in integers of `bits`, or as float32 when `bits` is None.

    A float holds what exceeds full scale, so it needs neither gain nor dither.
    """

    bits: Literal[16, 24] | None
    bytes_per_sample: int


DEPTHS: Mapping[str, Depth] = MappingProxyType(
    {"16": Depth(16, 2), "24": Depth(24, 3), "32f": Depth(None, 4)},
)


@dataclass(frozen=True, slots=True)
class Bitrates:
    """
    What a lossy format can be asked for, in kbit/s.

    `ranges` says from which sample rate in Hz on the format itself has which least and most; the last that fits counts.
    """

    default: int
    lowest: int
    highest: int
    ranges: tuple[tuple[int, int, int], ...] = ()

    def range_at(self, sample_rate: int) -> tuple[int, int]:
        """The least and the most that the format itself has at a rate in Hz."""
        fitting = [(least, most) for first, least, most in self.ranges if first <= sample_rate]
        return fitting[-1] if fitting else (self.lowest, self.highest)


@dataclass(frozen=True, slots=True)
class Format:
    """
    One file format.

    Attributes:
        extension: with its dot.
        container: libsndfile's name of it; None where ffmpeg encodes AAC.
        subtypes: libsndfile's name of the way samples are stored, for each bit depth; none in a lossy format.
        lossy_subtype: the same for a lossy format.
        large_container: what takes over where `container` ends, at 4 GiB.
        size_is_known: whether integers and floats are stored as they are, so that the size is foreseen.
        rates: in Hz, all that the encoder takes, ascending; empty for any up to `highest_rate`.
        coarse_step: in Hz, between rates above 65,535 Hz.
        bitrates: of a lossy format that is asked for one.
        is_bundle: one file holds the mixture and four stems.
    """

    extension: str
    container: str | None
    subtypes: Mapping[str, str] = field(default_factory=dict)
    lossy_subtype: str | None = None
    large_container: str | None = None
    size_is_known: bool = False
    rates: tuple[int, ...] = ()
    highest_rate: float = inf
    coarse_step: int = 1
    bitrates: Bitrates | None = None
    is_bundle: bool = False

    @property
    def is_by_ffmpeg(self) -> bool:
        """Whether ffmpeg encodes it, as AAC, and not libsndfile."""
        return self.container is None

    @property
    def is_lossy(self) -> bool:
        """Whether samples come back only nearly."""
        return not self.subtypes

    def fitting_rate(self, rate: int) -> int:
        """The rate itself if the encoder takes it, else the next higher one that it takes, else its highest."""
        if not self.rates:
            step = self.coarse_step if rate > _FINE_RATES else 1
            return int(min(-(-rate // step) * step, self.highest_rate))
        return next((known for known in self.rates if known >= rate), self.rates[-1])


_FINE_RATES = 65_535  # what 16 bits hold: a flac frame tells higher rates in tens (RFC 9639, 9.1.2)

_INTEGERS = {"16": "PCM_16", "24": "PCM_24"}
_INTEGERS_AND_FLOAT = {**_INTEGERS, "32f": "FLOAT"}
# ISO/IEC 11172-3 and 13818-3, with the half rates of "MPEG 2.5".
_MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_MP3_RANGES = ((0, 8, 64), (16_000, 8, 160), (32_000, 32, 320))  # of "MPEG 2.5", MPEG-2 and MPEG-1
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # RFC 6716, section 2
_AAC_RATES = (7_350, *_MP3_RATES, 64_000, 88_200, 96_000)  # ISO/IEC 14496-3, table 1.18

# Below 64 kbit/s a frame may be too short for the header that declares the encoder's delay and the length.
_MP3_BITRATES = Bitrates(320, 64, 320, _MP3_RANGES)

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "wav": Format(".wav", "WAV", _INTEGERS_AND_FLOAT, large_container="RF64", size_is_known=True),
        "flac": Format(".flac", "FLAC", _INTEGERS, highest_rate=655_350, coarse_step=10),
        "aiff": Format(".aiff", "AIFF", _INTEGERS_AND_FLOAT, size_is_known=True),
        "mp3": Format(".mp3", "MP3", lossy_subtype="MPEG_LAYER_III", rates=_MP3_RATES, bitrates=_MP3_BITRATES),
        # libvorbis takes up to 200 kHz, and ends the whole process at 384 kHz.
        "ogg": Format(".ogg", "OGG", lossy_subtype="VORBIS", highest_rate=192_000),
        "opus": Format(".opus", "OGG", lossy_subtype="OPUS", rates=_OPUS_RATES, bitrates=Bitrates(160, 12, 510)),
        "m4a": Format(".m4a", None, rates=_AAC_RATES, bitrates=Bitrates(256, 32, 512)),
        # The rates that decks play.
        "stem.mp4": Format(".stem.mp4", None, rates=(44_100, 48_000), bitrates=Bitrates(256, 32, 512), is_bundle=True),
    }
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """
    A format with a bit depth or a bitrate that go together, such as Encoding("wav", "24") or Encoding("mp3").

    `bit_depth` is "16", "24" (the default) or "32f", `bitrate` in kbit/s. None stands for what is usual in the format.

    Raises UsageError for an unknown format or depth, and for a depth or bitrate that the format does not have.
    """

    format: str = "wav"
    bit_depth: str | None = None
    bitrate: int | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UsageError(f"Format {self.format!r} is unknown. Choose one of {', '.join(FORMATS)}.")
        self._check_depth()
        self._check_bitrate()

    @property
    def file_format(self) -> Format:
        """The row of the table."""
        return FORMATS[self.format]

    @property
    def depth(self) -> Depth | None:
        """How one sample is stored; None in a lossy format."""
        return None if self.file_format.is_lossy else DEPTHS[self.bit_depth or "24"]

    @property
    def bits(self) -> Literal[16, 24] | None:
        """Of the integers that are stored, None where they are floats or the format is lossy."""
        return None if self.depth is None else self.depth.bits

    @property
    def is_float(self) -> bool:
        """Whether samples are stored as floats, which hold what exceeds full scale."""
        return self.depth is not None and self.depth.bits is None

    @property
    def kilobits(self) -> int | None:
        """Kbit per second, where the format is asked for a bitrate."""
        return self.bitrate or (self.file_format.bitrates.default if self.file_format.bitrates else None)

    @property
    def extension(self) -> str:
        """The suffix of files of this encoding, with its dot."""
        return self.file_format.extension

    @property
    def subtype(self) -> str | None:
        """The way samples are stored, as libsndfile calls it; None where ffmpeg encodes."""
        return self.file_format.lossy_subtype or self.file_format.subtypes.get(self.bit_depth or "24")

    def bytes_per_second(self, sample_rate: int, channels: int) -> float:
        """What a second of a stem takes on the disk, at `sample_rate` Hz; 0 where that is not foreseen."""
        if self.kilobits:
            return self.kilobits * 125
        if self.depth is None or not self.file_format.size_is_known:
            return 0
        return float(sample_rate * channels * self.depth.bytes_per_sample)

    def _check_depth(self) -> None:
        if self.bit_depth is None:
            return
        if self.bit_depth not in DEPTHS:
            raise UsageError(f"Bit depth {self.bit_depth!r} is unknown. Choose one of {', '.join(DEPTHS)}.")
        if self.file_format.is_lossy:
            raise UsageError(f"{self.format} has no bit depth. Leave --bit-depth out, or choose wav, flac or aiff.")
        if self.bit_depth not in self.file_format.subtypes:
            raise UsageError(
                f"{self.format} cannot hold bit depth {self.bit_depth}. "
                f"Choose {' or '.join(self.file_format.subtypes)}, or another format."
            )

    def _check_bitrate(self) -> None:
        if self.bitrate is None:
            return
        bitrates = self.file_format.bitrates
        if bitrates is None:
            have = ", ".join(name for name, row in FORMATS.items() if row.bitrates)
            raise UsageError(f"{self.format} is not asked for a bitrate. Leave --bitrate out, or choose {have}.")
        if not bitrates.lowest <= self.bitrate <= bitrates.highest:
            raise UsageError(
                f"--bitrate of {self.format} must be from {bitrates.lowest} to {bitrates.highest} kbit/s, "
                f"not {self.bitrate}."
            )
