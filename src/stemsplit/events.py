"""
What happens while work runs, as plain values.

Whoever works calls a `Listener`; whoever talks (the command line, a notebook, a log) is one. Nothing here
knows how an event is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass


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
class TrackEnded:
    """No more will be said about `track`: it is done or has failed."""

    track: str


Event = Warned | DownloadProgress | TrackStarted | TrackProgress | TrackEnded
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that does not listen."""
