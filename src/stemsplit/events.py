"""
What happens while work runs, as plain values.

Whoever works calls a `Listener`; whoever talks (the command line, a notebook, a log) is one. Nothing here
knows how an event is shown.
"""

from collections.abc import Callable
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


Event = Warned | DownloadProgress | TrackStarted | TrackProgress | TrackWaiting | TrackEnded
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that does not listen."""
