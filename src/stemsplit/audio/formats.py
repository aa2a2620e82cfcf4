"""The formats that stems are written in, as a table, and one checked choice out of it."""

from collections.abc import Mapping
from dataclasses import dataclass
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
class Format:
    """
    One file format: its suffix, libsndfile's name of the container, and its subtype for each bit depth.

    `large_container` takes over where `container` ends, at 4 GiB. The size of a `compressed` file is not
    foreseen.
    """

    extension: str
    container: str
    subtypes: Mapping[str, str]
    compressed: bool
    large_container: str | None = None


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "wav": Format(
            ".wav",
            "WAV",
            {"16": "PCM_16", "24": "PCM_24", "32f": "FLOAT"},
            compressed=False,
            large_container="RF64",
        ),
        "flac": Format(".flac", "FLAC", {"16": "PCM_16", "24": "PCM_24"}, compressed=True),
    }
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """
    A format and a bit depth that go together, such as Encoding("wav", "24").

    Raises UsageError for an unknown format or depth, and for a depth that the format cannot hold.
    """

    format: str = "wav"
    bit_depth: str = "24"

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UsageError(f"Format {self.format!r} is unknown. Choose one of {', '.join(FORMATS)}.")
        if self.bit_depth not in DEPTHS:
            raise UsageError(f"Bit depth {self.bit_depth!r} is unknown. Choose one of {', '.join(DEPTHS)}.")
        subtypes = FORMATS[self.format].subtypes
        if self.bit_depth not in subtypes:
            raise UsageError(
                f"{self.format} cannot hold bit depth {self.bit_depth}. "
                f"Choose {' or '.join(subtypes)}, or another format."
            )

    @property
    def container(self) -> Format:
        """The row of the table."""
        return FORMATS[self.format]

    @property
    def depth(self) -> Depth:
        """How one sample is stored."""
        return DEPTHS[self.bit_depth]

    @property
    def extension(self) -> str:
        """The suffix of files of this encoding, with its dot."""
        return self.container.extension

    @property
    def subtype(self) -> str:
        """The way samples are stored, as libsndfile calls it."""
        return self.container.subtypes[self.bit_depth]
