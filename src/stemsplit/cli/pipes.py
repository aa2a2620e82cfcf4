"""`-` as an input and as an output: standard input spooled to the disk, one stem to standard output."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import cast

from stemsplit.audio.faults import reason
from stemsplit.errors import StemsplitError, UsageError
from stemsplit.events import Listener, Warned
from stemsplit.separation.report import TrackReport

PIPE = "-"
_PIECE_BYTES = 2**20
STDIN = "stdin"  # the name of its track


@contextmanager
def spooled(inputs: Sequence[str]) -> Iterator[list[Path]]:
    """
    The inputs as files. Sound is read twice, so standard input is copied to the disk first, and removed at the end.

    Raises:
        UsageError: when standard input is a terminal.
        StemsplitError: when it cannot be copied, as on a full disk.
    """
    if PIPE not in inputs:
        yield [Path(name) for name in inputs]
        return
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "- stands for a song on standard input, and nothing is piped into it: cat song.mp3 | stemsplit -"
        )
    with tempfile.TemporaryDirectory(prefix="stemsplit-") as folder:
        # The folder is what {folder} in --name gives, the file's full name what is used when `stdin` is taken.
        spool = Path(folder, STDIN, f"{STDIN}.pipe")
        try:
            spool.parent.mkdir()
            with spool.open("wb") as file:
                # As it comes: in a read that waits for more, a signal may wait as well.
                while data := cast(BufferedReader, sys.stdin.buffer).read1(_PIECE_BYTES):
                    file.write(data)
        except OSError as error:
            raise StemsplitError(f"{STDIN}: cannot be kept in {folder}: {reason(error)}.") from error
        yield [spool if name == PIPE else Path(name) for name in inputs]


class Naming:
    """Calls the spool of standard input by its name in all that is told."""

    def __init__(self, inputs: Sequence[str], paths: Sequence[Path]) -> None:
        self._spool = next((path for name, path in zip(inputs, paths, strict=True) if name == PIPE), None)

    def report(self, report: TrackReport) -> TrackReport:
        """The report as the user is to see it."""
        if report.input != self._spool:
            return report
        failure = report.failure and type(report.failure)(self._told(str(report.failure)))
        return replace(report, input=Path(PIPE), failure=failure, warnings=tuple(map(self._told, report.warnings)))

    def listener(self, listener: Listener) -> Listener:
        """Passes events on as the user is to see them."""
        return lambda event: listener(
            Warned(self._told(event.message), event.track) if isinstance(event, Warned) else event
        )

    def _told(self, message: str) -> str:
        return message if self._spool is None else message.replace(str(self._spool), STDIN)


def check_stdout(json: bool, format_: str, inputs: Sequence[str]) -> None:
    """
    Find out whether a stem may go to standard output.

    Raises:
        UsageError: beside `--json`, for another format than wav, for several songs, and for a terminal.
    """
    if json:
        raise UsageError("-o - writes the stem to standard output, where --json writes as well: leave one of them out.")
    if format_ != "wav":
        raise UsageError(f"-o - writes WAV, not {format_}: leave --format out, or name an output folder.")
    if len(set(inputs)) != 1:
        raise UsageError("-o - writes one stem of one song: name one input, or an output folder.")
    if sys.stdout is None:
        raise UsageError("-o - writes sound to standard output, which is closed: pipe it into a program or a file.")
    if sys.stdout.isatty():
        raise UsageError("-o - writes sound to standard output, which is a terminal: pipe it into a program or a file.")


def pour(path: Path) -> None:
    """
    Write a file to standard output.

    Raises:
        StemsplitError: when standard output takes no more, as on a full disk; a reader that has gone is no error.
    """
    try:
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StemsplitError(f"The stem cannot be written to standard output: {reason(error)}.") from error
