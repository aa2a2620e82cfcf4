"""What a user may choose: how tracks are cut, how stems are written. Importing it imports no torch."""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from stemsplit.audio.formats import Encoding
from stemsplit.errors import UsageError

_MAX_SHIFTS = 1000


@dataclass(frozen=True)
class SplitOptions:
    """
    How a track is cut into segments.

    Attributes:
        overlap: fraction that neighbouring segments share, 0 <= overlap < 1.
        segment: seconds the network sees at once, at most the model's own; None for the model's own.
        shifts: passes with moved segments that are averaged; 1 for none moved.

    Raises:
        UsageError: for values outside of these.
    """

    overlap: float = 0.25
    segment: float | None = None
    shifts: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise UsageError(f"--overlap must be at least 0 and below 1, not {self.overlap:g}.")
        if self.segment is not None and not 0 < self.segment < inf:
            raise UsageError(f"--segment must be a number of seconds above 0, not {self.segment:g}.")
        if not 1 <= self.shifts <= _MAX_SHIFTS:
            raise UsageError(f"--shifts must be a whole number from 1 to {_MAX_SHIFTS}, not {self.shifts}.")


@dataclass(frozen=True)
class StemOptions:
    """
    How stems are written.

    Attributes:
        output: folder below which every track gets its own.
        encoding: format and bit depth.
        sample_rate: Hz, or "keep" for the input's, or "model" for the network's.
        clip: "gain" for one common gain per track where a stem would clip, "none" for none.
        overwrite: replace stems that exist.
    """

    output: Path
    encoding: Encoding
    sample_rate: int | Literal["keep", "model"] = "keep"
    clip: Literal["gain", "none"] = "gain"
    overwrite: bool = False

    def path(self, track: str, stem: str) -> Path:
        """Where a stem of a track goes."""
        return self.output / track / f"{stem}{self.encoding.extension}"

    def rate(self, kept: int, model: int) -> int:
        """The stems' sample rate in Hz, for an input of `kept` Hz and a network of `model` Hz."""
        rates = {"keep": kept, "model": model}
        return self.sample_rate if isinstance(self.sample_rate, int) else rates[self.sample_rate]
