"""
What happens while work runs, as plain values.

Whoever works calls a `Listener`; whoever talks (the command line, a notebook, a log) is one. Nothing here
knows how an event is shown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the user should know; the work goes on. `track` names the input it is about, if any."""

    message: str
    track: str | None = None


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """`done` of `total` bytes of `file` are here."""

    file: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class TrackStarted:
    """Separation of `track`, `seconds` long, begins."""

    track: str
    seconds: float


@dataclass(frozen=True, slots=True)
class TrackProgress:
    """`done` of the track's seconds of audio are separated."""

    track: str
    done: float


@dataclass(frozen=True, slots=True)
class TrackWaiting:
    """`track` is being made by another process, and left to the end; then it is waited for."""

    track: str


@dataclass(frozen=True, slots=True)
class TrackEnded:
    """No more will be said about `track`; its `status` is that of its report."""

    track: str
    status: Literal["done", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class RunPlanned:
    """
    It is known what there is to do.

    Attributes:
        seconds: expected length of every song that is to be separated, by its track's name.
        skipped: how many are done already.
        failed: how many cannot be done, as far as is known before any work.
        passed_over: how many files were found that are no songs, hidden, stems, or found before.
    """

    seconds: Mapping[str, float]
    skipped: int = 0
    failed: int = 0
    passed_over: int = 0


@dataclass(frozen=True, slots=True)
class RunEnded:
    """All songs have ended, or no further one is begun: how many are done, were done before, and failed."""

    done: int
    skipped: int
    failed: int


Event = Warned | DownloadProgress | TrackStarted | TrackProgress | TrackWaiting | TrackEnded | RunPlanned | RunEnded
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that does not listen."""
