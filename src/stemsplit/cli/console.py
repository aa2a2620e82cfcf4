"""
The one sink of the command line: stdout carries data, stderr carries talk.

Nothing else prints. A console has a mode: human (talk), json (objects on stdout, warnings on stderr) or quiet (errors
only). How progress is drawn is a choice of its own: see `progress.py`.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

from rich.console import Console as RichConsole
from rich.text import Text

from stemsplit.audio.extensions import looks_like_audio
from stemsplit.audio.faults import reason, shown
from stemsplit.cli.progress import Amount, Bars, Display, JsonLines, Lines, clock
from stemsplit.errors import OutputError, StemsplitError, UsageError
from stemsplit.events import EpochEnded, Event, RunEnded, TrackWaiting, TrainingStarted, Warned
from stemsplit.separation.report import TrackReport

Mode = Literal["human", "json", "quiet"]
_UNHEARD = (OSError, ValueError, AttributeError)  # stderr is full, closed or not there: the work goes on

ProgressMode = Literal["auto", "none", "plain", "json"]


class _Talk(RichConsole):
    """stderr: when nobody reads it any more, the work goes on all the same."""

    def on_broken_pipe(self) -> None:
        """Say no more; rich would end the process."""
        self.quiet = True


class Console:
    """
    Says what happens; a listener for events.

    A context manager: leaving it takes the bars off the screen.

    Args:
        mode: "human", "json" or "quiet".
        progress: "auto" (bars on a terminal, lines elsewhere, nothing beside data on stdout), "none", "plain" (lines)
            or "json" (every event, warning and error as an object on a line of stderr).
        log: a file to which all that is said is added, also what is not shown.

    Attributes:
        tracebacks: whether errors come with tracebacks, for all consoles of the process (`--verbose`).
        current: the one that was entered last, if any.

    Raises:
        OutputError: for a log that cannot be written.
    """

    tracebacks: ClassVar[bool] = False
    current: ClassVar["Console | None"] = None

    def __init__(self, mode: Mode = "human", progress: ProgressMode = "auto", log: Path | None = None) -> None:
        self.mode = mode
        self._talk = _Talk(stderr=True, highlight=False)
        self._talk.soft_wrap = not self._talk.is_terminal  # wrapped at words for people, whole lines for programs
        self._log = log
        self._logging = threading.Lock()
        self._warned: set[str] = set()
        self._amount = Amount()
        self._is_time_told = False
        self._is_json = progress == "json"
        self._display = self._chosen(progress)
        if log is not None:
            if looks_like_audio(log):
                raise UsageError(f"--log {shown(log)}: is called as a song is. Write a name such as splitting.log.")
            try:
                log.open("a", encoding="utf-8").close()
            except FileNotFoundError as error:
                raise OutputError(f"--log {shown(log)}: cannot be written: its folder is not there.") from error
            except OSError as error:
                raise OutputError(f"--log {shown(log)}: cannot be written: {reason(error)}.") from error

    def _chosen(self, progress: ProgressMode) -> Display:
        if progress == "json":
            return JsonLines(self._put)
        if self.mode == "quiet" or progress == "none" or (self.mode == "json" and progress == "auto"):
            return Display()
        if progress == "auto" and self._talk.is_terminal:
            return Bars(self._talk, self._amount)
        return Lines(self._line, self._amount)

    def __enter__(self) -> Self:
        Console.current = self
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.stop()

    def listen(self, event: Event) -> None:
        """Show an event; may be called from any thread."""
        self._amount.count(event)
        if isinstance(event, Warned):
            if event.message not in self._warned:  # what holds for every song is told once
                self._warned.add(event.message)
                self._warn(event)
            return
        self._display.show(event)
        match event:
            case TrackWaiting(track):
                self.say(f"{track}: another stemsplit is at it; waiting for it.")
            case TrainingStarted(run, done, total) if done:
                self.say(f"{run}: {'is trained already' if done == total else f'goes on from step {done} of {total}'}.")
            case EpochEnded():
                self.say(_epoch(event))

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show that something of unknown length is going on."""
        with self._display.busy(what):
            yield

    def report(self, report: TrackReport, place: str | None = None) -> None:
        """Say what became of a track: one object in json mode, else one line. `place`: where, if not in files."""
        if self.mode == "json":
            self.data(report.to_json())
        if report.error is not None:
            self.error(report.error, report.track)
        elif report.status == "done" and report.seconds:
            place = place or f"in {_shared_place(list(report.outputs.values()))}"
            speed = (report.audio_seconds or 0) / report.seconds
            gain = f", turned down {-report.gain_db:.2g} dB so that no stem clips" if report.gain_db else ""
            self.say(
                f"{report.track}: {len(report.outputs)} {'stem' if len(report.outputs) == 1 else 'stems'} {place} "
                f"({clock(report.audio_seconds or 0)} in {report.seconds:.1f} s, {speed:.1f}x real time, "
                f"{report.device} {report.precision}{gain})"
            )
            self._tell_time_left()

    def data(self, value: dict[str, Any]) -> None:
        """One JSON object on a line of stdout, in ASCII: any terminal takes it, and names that are no text survive."""
        self.table([json.dumps(value)])

    def table(self, lines: Sequence[str | Text]) -> None:
        """
        Lines on stdout; a `Text` is coloured where that is a terminal.

        Raises:
            StemsplitError: when stdout takes no more, as on a full disk; a reader that has gone away is no error.
        """
        try:
            with self._display.aside():
                sys.stdout.write("".join(f"{_for_stdout(line)}\n" for line in lines))
                sys.stdout.flush()
        except BrokenPipeError:
            raise
        except (OSError, ValueError, AttributeError) as error:  # full, closed, or not there at all
            why = reason(error) if isinstance(error, OSError) else "it is closed"
            raise StemsplitError(f"Nothing more can be written to stdout: {why}.") from error

    def say(self, message: str) -> None:
        """A line of talk, in human mode only; in any case to the log."""
        self._write_log(message)
        if self.mode == "human" and not self._is_json:
            self._line(message)

    def warn(self, message: str) -> None:
        """A warning, unless quiet."""
        self._warn(Warned(message))

    def error(self, message: str, track: str | None = None) -> None:
        """An error, in every mode; `track`: the one it is about, if any."""
        self._write_log(f"error: {message}")
        if self._is_json:
            self._put(json.dumps({"event": "error", "message": message, "track": track}))
        else:
            self._line(f"error: {message}", "red")

    def summary(self, reports: Sequence[TrackReport], left: int = 0) -> None:
        """What came of several songs, the failures last; `left`: how many were not begun."""
        count = {status: sum(report.status == status for report in reports) for status in ("done", "skipped", "failed")}
        self.listen(RunEnded(**count))
        if len(reports) + left < 2:
            return
        parts = [
            f"{number} {what}"
            for number, what in (
                (count["done"], "done"),
                (count["skipped"], "done before"),
                (count["failed"], "failed"),
                (left, "not begun"),
            )
            if number
        ]
        failures = [report.error for report in reports if report.error is not None]
        self.say(f"{len(reports) + left} songs: {', '.join(parts)}{':' if failures else '.'}")
        for failure in failures:
            self.say(f"  {failure}")

    def _tell_time_left(self) -> None:
        """After the first song, how long the others will take."""
        if not self._is_time_told and self._amount.left and self._amount.ended < self._amount.songs:
            others = self._amount.songs - self._amount.ended
            self.say(f"About {clock(self._amount.left)} for the other {f'{others} songs' if others > 1 else 'song'}.")
        self._is_time_told = True

    def _warn(self, warned: Warned) -> None:
        self._write_log(f"warning: {warned.message}")
        if self._is_json:
            self._display.show(warned)
        elif self.mode != "quiet":
            self._line(f"warning: {warned.message}", "yellow")

    def _put(self, text: str) -> None:
        """A line for programs on stderr, whole even where threads speak at once."""
        with self._logging, suppress(*_UNHEARD):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def _line(self, message: str, style: str = "") -> None:
        # A Text, not markup: file names may hold brackets.
        with suppress(*_UNHEARD):
            self._talk.print(Text(_printable(message), style=style))

    def _write_log(self, message: str) -> None:
        if self._log is None:
            return
        try:
            with self._logging, self._log.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {_printable(message)}\n")
        except OSError as error:
            log, self._log = self._log, None
            self.warn(f"{shown(log)}: the log ends here: {reason(error)}.")


def _epoch(event: EpochEnded) -> str:
    scores = ", ".join(f"{source} {sdr:.2f}" for source, sdr in event.sdr.items() if sdr is not None)
    mark = "  (best so far)" if event.is_best else ""
    return (
        f"{event.run}: epoch {event.epoch}, loss {event.train_loss:.4f}, validation {event.valid_loss:.4f} "
        f"({event.best}), SDR in dB: {scores or 'all silent'}{mark}"
    )


def _for_stdout(line: str | Text) -> str:
    """As stdout takes it: with marks for what it cannot show, and colours on a terminal."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = _printable(line) if isinstance(line, str) else _coloured(line)
    return text.encode(encoding, "replace").decode(encoding)


def _coloured(line: Text) -> str:
    line.plain = _printable(line.plain)
    terminal = RichConsole(file=sys.stdout, highlight=False, soft_wrap=True)
    with terminal.capture() as capture:
        terminal.print(line, end="")
    return capture.get()


def _printable(message: str) -> str:
    """Names may hold what is no text, or moves a terminal's cursor: there stands a mark instead."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in message)


def _shared_place(paths: list[Path]) -> str:
    """The folder that all stems are in, or the file."""
    place = paths[0] if len(set(paths)) < len(paths) else Path(os.path.commonpath([path.parent for path in paths]))
    try:
        return str(place.relative_to(Path.cwd()))
    except ValueError:
        return str(place)
