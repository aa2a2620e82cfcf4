"""
The one sink of the command line: stdout carries data, stderr carries talk.

Nothing else prints. A console has a mode: human (bars on a terminal, plain lines elsewhere), json (objects on
stdout, warnings on stderr) or quiet (errors only).
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from stemsplit.audio.faults import reason
from stemsplit.errors import StemsplitError
from stemsplit.events import DownloadProgress, Event, TrackEnded, TrackProgress, TrackStarted, Warned
from stemsplit.separation.report import TrackReport

Mode = Literal["human", "json", "quiet"]


class _Amount(ProgressColumn):
    """How much of a bar is done, in its own unit, how fast, and what time is left."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text()
        speed = task.completed / task.elapsed if task.elapsed else 0.0
        left = f", {clock((task.total - task.completed) / speed)} left" if speed else ""
        if task.fields["unit"] == "bytes":
            return Text(f"{task.completed / 1e6:.0f}/{task.total / 1e6:.0f} MB{left}")
        pace = f", {speed:.1f}x real time" if speed else ""
        return Text(f"{clock(task.completed)}/{clock(task.total)}{pace}{left}")


class Console:
    """
    Says what happens, in one of three modes; a listener for events.

    A context manager: leaving it takes the bars off the screen.

    Attributes:
        tracebacks: whether errors come with tracebacks, for all consoles of the process (`--verbose`).
    """

    tracebacks: ClassVar[bool] = False

    def __init__(self, mode: Mode = "human") -> None:
        self.mode = mode
        self._talk = RichConsole(stderr=True, highlight=False)
        self._talk.soft_wrap = not self._talk.is_terminal  # wrapped at words for people, whole lines for programs
        self._tasks: dict[str, TaskID] = {}
        self._warned: set[str] = set()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            _Amount(),
            console=self._talk,
            transient=True,
            redirect_stdout=False,
            disable=mode != "human" or not self._talk.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def listen(self, event: Event) -> None:
        """Show an event; may be called from any thread."""
        match event:
            case Warned(message):
                if message not in self._warned:  # what holds for every song is told once
                    self._warned.add(message)
                    self.warn(message)
            case DownloadProgress(file, done, total):
                self._advance(file, done, total, "bytes")
            case TrackStarted(track, seconds):
                self._advance(track, 0, seconds, "seconds")
            case TrackProgress(track, done):
                self._advance(track, done, None, "seconds")
            case TrackEnded(track):
                self._remove(track)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show that something of unknown length is going on."""
        task = self._progress.add_task(what, total=None, unit="")
        try:
            yield
        finally:
            self._progress.remove_task(task)

    def report(self, report: TrackReport, place: str | None = None) -> None:
        """Say what became of a track: one object in json mode, else one line. `place`: where, if not in files."""
        if self.mode == "json":
            self.data(report.to_json())
        if report.error is not None:
            self.error(report.error)
        elif self.mode == "human" and report.seconds:
            place = place or f"in {_shared_place(list(report.outputs.values()))}"
            speed = (report.audio_seconds or 0) / report.seconds
            gain = f", turned down {-report.gain_db:.2g} dB so that no stem clips" if report.gain_db else ""
            self.say(
                f"{report.track}: {len(report.outputs)} {'stem' if len(report.outputs) == 1 else 'stems'} {place} "
                f"({clock(report.audio_seconds or 0)} in {report.seconds:.1f} s, {speed:.1f}x real time, "
                f"{report.device} {report.precision}{gain})"
            )

    def data(self, value: dict[str, Any]) -> None:
        """One JSON object on a line of stdout, in ASCII: any terminal takes it, and names that are no text survive."""
        self.table([json.dumps(value)])

    def table(self, lines: list[str]) -> None:
        """
        Lines on stdout.

        Raises:
            StemsplitError: when stdout takes no more, as on a full disk; a reader that has gone away is no error.
        """
        try:
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except (OSError, ValueError, AttributeError) as error:  # full, closed, or not there at all
            why = reason(error) if isinstance(error, OSError) else "it is closed"
            raise StemsplitError(f"Nothing more can be written to stdout: {why}.") from error

    def say(self, message: str) -> None:
        """A line of talk, in human mode only."""
        if self.mode == "human":
            self._line(message)

    def warn(self, message: str) -> None:
        """A warning, unless quiet."""
        if self.mode != "quiet":
            self._line(f"warning: {message}", "yellow")

    def error(self, message: str) -> None:
        """An error, in every mode."""
        self._line(f"error: {message}", "red")

    def _line(self, message: str, style: str = "") -> None:
        # A Text, not markup: file names may hold brackets. They may hold what is no text, or moves a terminal's cursor,
        # too: there stands a mark instead.
        printable = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in message)
        self._talk.print(Text(printable, style=style))

    def _advance(self, name: str, done: float, total: float | None, unit: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, unit=unit)
        self._progress.update(self._tasks[name], completed=done)
        if unit == "bytes" and done == total:
            self._remove(name)

    def _remove(self, name: str) -> None:
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name))


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, such as 3:07."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _shared_place(paths: list[Path]) -> str:
    """The folder that all stems are in, or the file."""
    place = paths[0] if len(set(paths)) < len(paths) else Path(os.path.commonpath([path.parent for path in paths]))
    try:
        return str(place.relative_to(Path.cwd()))
    except ValueError:
        return str(place)
