"""A part of a song, for a preview."""

import sys
from dataclasses import dataclass

from stemsplit.errors import UsageError

_LONGEST = 1e9  # seconds: 32 years


@dataclass(frozen=True, slots=True)
class Excerpt:
    """
    From `start`, for `duration` or to the end, both in seconds.

    Raises UsageError for a start below 0, and a duration that is not above 0.
    """

    start: float = 0.0
    duration: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start <= _LONGEST:
            raise UsageError(f"--start must be a number of seconds from 0 to {_LONGEST:.0f}, not {self.start:g}.")
        if self.duration is not None and not 0 < self.duration <= _LONGEST:
            raise UsageError(f"--duration must be seconds above 0 and up to {_LONGEST:.0f}, not {self.duration:g}.")

    def frames(self, sample_rate: int) -> tuple[int, int]:
        """The first frame, and one past the last, which is at least one further; at a rate in Hz."""
        first = round(self.start * sample_rate)
        if self.duration is None:
            return first, sys.maxsize
        return first, max(first + 1, round((self.start + self.duration) * sample_rate))


WHOLE = Excerpt()
