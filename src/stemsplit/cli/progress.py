"""How what happens is drawn while it happens: bars on a terminal, lines elsewhere, JSON for programs, or nothing."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from stemsplit.events import (
    DownloadProgress,
    Event,
    RunPlanned,
    SongsExamined,
    SongsRendered,
    SongsScored,
    SongValidated,
    StepTrained,
    TrackEnded,
    TrackProgress,
    TrackStarted,
    TrainingEnded,
    TrainingStarted,
)

_REST_WIDTH = 62  # columns of a bar and its numbers
_LINE_SECONDS = 30.0  # between two lines of progress


class Amount:
    """
    How much of all songs is done, and when the rest will be.

    Attributes:
        songs: how many were planned to be separated.
        ended: how many of them have ended.
        done, total: seconds of audio that are separated, and in all.
    """

    def __init__(self) -> None:
        self.songs = self.ended = 0
        self.done = self.total = 0.0
        self._expected: dict[str, float] = {}
        self._done: dict[str, float] = {}
        self._began: float | None = None

    def count(self, event: Event) -> None:
        """Take notice of an event."""
        match event:
            case RunPlanned(seconds):
                self.songs = len(seconds)
                for track, length in seconds.items():
                    self._expect(track, length)
            case TrackStarted(track, length):
                self._began = self._began or time.monotonic()
                self._expect(track, length)
            case TrackProgress(track, done):
                self._reach(track, done)
            case TrackEnded(track, "done"):
                self.ended += 1
                self._reach(track, self._expected.get(track, 0.0))
            case TrackEnded(track):  # it takes no more time, nor has it taken what its length would
                self.ended += track in self._expected
                self._reach(track, 0.0)
                self._expect(track, 0.0)

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take, None as long as nothing is known."""
        if self._began is None or self.done <= 0:
            return None
        return max(0.0, self.total - self.done) / self.done * (time.monotonic() - self._began)

    def _expect(self, track: str, seconds: float) -> None:
        self.total += seconds - self._expected.get(track, 0.0)
        self._expected[track] = seconds

    def _reach(self, track: str, seconds: float) -> None:
        self.done += seconds - self._done.get(track, 0.0)
        self._done[track] = seconds


class Display:
    """Draws events: this one draws nothing, those that inherit it do."""

    def start(self) -> None:
        """Begin to draw."""

    def stop(self) -> None:
        """Take what moves off the screen."""

    def show(self, event: Event) -> None:
        """Draw an event; may be called from any thread."""

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show that something of unknown length goes on."""
        yield

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Within it, something else may be written where this draws."""
        yield


class Bars(Display):
    """One bar for all songs, if there are several, and one for each that is on its way."""

    def __init__(self, talk: RichConsole, amount: Amount) -> None:
        self._amount = amount
        self._tasks: dict[str, TaskID] = {}
        self._overall: TaskID | None = None
        name_width = max(12, talk.width - _REST_WIDTH)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=name_width)),
            BarColumn(bar_width=20),
            _AmountColumn(table_column=Column(no_wrap=True)),
            console=talk,
            transient=True,
            redirect_stdout=False,
        )

    def start(self) -> None:
        """Begin to draw."""
        self._progress.start()

    def stop(self) -> None:
        """Take the bars off the screen."""
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Move the bars."""
        match event:
            case DownloadProgress(file, done, total):
                self._advance(file, done, total, "bytes")
                if done == total:
                    self._remove(file)
            case RunPlanned(seconds) if len(seconds) > 1:
                self._overall = self._progress.add_task("", total=self._amount.total, unit="all")
            case TrackStarted(track, length):
                self._advance(track, 0, length, "seconds")
            case TrackProgress(track, done):
                self._advance(track, done, None, "seconds")
            case TrackEnded(track) | TrainingEnded(track):
                self._remove(track)
            case SongsExamined(done, songs):
                self._advance("examining the songs", done, songs, "songs")
                if done == songs:
                    self._remove("examining the songs")
            case SongsScored(done, songs):
                self._advance("scoring", done, songs, "scores")
                if done == songs:
                    self._remove("scoring")
            case SongsRendered(done, songs):
                self._advance("rendering", done, songs, "songs")
                if done == songs:
                    self._remove("rendering")
            case TrainingStarted(run, done, steps):
                self._advance(run, done, steps, "steps", done)
            case StepTrained(run, done, loss):
                self._advance(run, done, None, "steps")
                self._progress.update(self._tasks[run], loss=f", loss {loss:.3f}")
            case SongValidated(run, done, songs):
                self._advance(f"validating {run}", done, songs, "passes")
                if done == songs:
                    self._remove(f"validating {run}")
        if self._overall is not None:
            self._progress.update(
                self._overall,
                description=f"{self._amount.ended} of {self._amount.songs} songs",
                completed=self._amount.done,
                total=self._amount.total,
                left=self._amount.left,
            )

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """A bar that comes and goes."""
        task = self._progress.add_task(what, total=None, unit="")
        try:
            yield
        finally:
            self._progress.remove_task(task)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Without bars."""
        is_drawn = self._progress.live.is_started
        self._progress.stop()
        try:
            yield
        finally:
            if is_drawn:
                self._progress.start()

    def _advance(self, name: str, done: float, total: float | None, unit: str, before: float = 0.0) -> None:
        """Move a bar, or begin one; `before`: what of it was done some other time."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, unit=unit, before=before)
        self._progress.update(self._tasks[name], completed=done)

    def _remove(self, name: str) -> None:
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))


class Lines(Display):
    """A line now and then, for what is not a terminal."""

    def __init__(self, say: Callable[[str], None], amount: Amount) -> None:
        self._say = say
        self._amount = amount
        self._last = time.monotonic()

    def show(self, event: Event) -> None:
        """Say how far all is, if the last line is long ago."""
        if time.monotonic() < self._last + _LINE_SECONDS:
            return
        if isinstance(event, StepTrained):
            self._last = time.monotonic()
            self._say(f"{event.run}: step {event.done}, loss {event.loss:.4f}")
        if isinstance(event, SongsScored):
            self._last = time.monotonic()
            self._say(f"{event.done} of {event.total} scores")
        if isinstance(event, SongsRendered):
            self._last = time.monotonic()
            self._say(f"{event.done} of {event.total} songs rendered")
        if isinstance(event, TrackProgress):
            self._last = time.monotonic()
            left = self._amount.left
            songs = f"{self._amount.ended} of {self._amount.songs} songs, " if self._amount.songs > 1 else ""
            soon = "" if left is None else f", about {clock(left)} left"
            self._say(f"{songs}{clock(self._amount.done)}/{clock(self._amount.total)}{soon}")


class JsonLines(Display):
    """Every event as one JSON object on a line."""

    def __init__(self, put: Callable[[str], None]) -> None:
        self._put = put

    def show(self, event: Event) -> None:
        """Put the event out, under the name of its class: `track_started`."""
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()
        self._put(json.dumps({"event": name, **asdict(event)}))


class _AmountColumn(ProgressColumn):
    """How much of a bar is done, in its own unit, how fast, and what time is left."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text()
        speed = (task.completed - task.fields.get("before", 0.0)) / task.elapsed if task.elapsed else 0.0
        seconds_left = (task.total - task.completed) / speed if speed else None
        if task.fields["unit"] == "all":
            seconds_left = task.fields.get("left")
        left = "" if seconds_left is None else f", {clock(seconds_left)} left"
        if task.fields["unit"] == "bytes":
            return Text(f"{task.completed / 1e6:.0f}/{task.total / 1e6:.0f} MB{left}")
        if task.fields["unit"] in ("songs", "steps", "passes", "scores"):
            amount = f"{task.completed:.0f}/{task.total:.0f} {task.fields['unit']}"
            return Text(f"{amount}{task.fields.get('loss', '')}{left}")
        pace = f", {speed:.1f}x real time" if speed and task.fields["unit"] == "seconds" else ""
        return Text(f"{clock(task.completed)}/{clock(task.total)}{pace}{left}")


def clock(seconds: float) -> str:
    """Seconds as 3:07, or from an hour on 1:03:07."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
