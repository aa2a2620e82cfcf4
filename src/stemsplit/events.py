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


@dataclass(frozen=True, slots=True)
class SongsExamined:
    """`done` of `total` songs of the training data are measured."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class SongsScored:
    """`done` of `total` pairs of a song and a method are scored."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class SongsRendered:
    """`done` of `total` practice songs are rendered."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class TrainingStarted:
    """`done` of `total` steps of `run` are there already, `steps_per_epoch` in each epoch."""

    run: str
    done: int
    total: int
    steps_per_epoch: int


@dataclass(frozen=True, slots=True)
class StepTrained:
    """`done` steps of `run` are there; `loss` is that of the last one."""

    run: str
    done: int
    loss: float


@dataclass(frozen=True, slots=True)
class SongValidated:
    """`done` of `total` songs are validated after an epoch of `run`."""

    run: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """
    An epoch is trained and validated.

    Attributes:
        run: its name.
        epoch: from 1.
        train_loss: mean over its steps.
        valid_loss: of the best of the plain and averaged weights.
        best: which of them that was.
        sdr: of it in dB, by source.
        is_best: whether no epoch before was as good.
    """

    run: str
    epoch: int
    train_loss: float
    valid_loss: float
    best: str
    sdr: Mapping[str, float | None]
    is_best: bool


@dataclass(frozen=True, slots=True)
class TrainingEnded:
    """All epochs of `run` are done."""

    run: str


TrainingEvent = SongsExamined | TrainingStarted | StepTrained | SongValidated | EpochEnded | TrainingEnded
Event = (
    Warned
    | DownloadProgress
    | TrackStarted
    | TrackProgress
    | TrackWaiting
    | TrackEnded
    | RunPlanned
    | RunEnded
    | SongsScored
    | SongsRendered
    | TrainingEvent
)
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that does not listen."""
