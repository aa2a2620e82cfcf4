"""Running the program: in this process, which is quick, or in one of its own, where the process matters."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemsplit.cli.app import main

FOUR = {"drums", "bass", "other", "vocals"}
SECONDS = 120  # far longer than anything takes here; a process that hangs is ended then
PROGRAM = (sys.executable, "-m", "stemsplit")


@dataclass(frozen=True)
class Result:
    """How a run ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def reports(self) -> list[dict[str, Any]]:
        """What --json printed; fails if stdout holds anything else."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def report(self) -> dict[str, Any]:
        (report,) = self.reports
        return report


@dataclass(frozen=True)
class Sound:
    """A file as it was written. Shape: samples [frames, channels]."""

    rate: int
    subtype: str
    container: str
    samples: NDArray[np.float64]

    @property
    def frames(self) -> int:
        return len(self.samples)

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def level(self) -> float:
        return rms(self.samples)

    @property
    def peak(self) -> float:
        return float(np.abs(self.samples).max())


def stemsplit(*arguments: str | Path) -> Result:
    """
    Run the command line here, as the console script does.

    The streams are those of a user whose language is written in UTF-8, where stdout refuses what is no text.
    """
    out, err = _stream("strict"), _stream("backslashreplace")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    code: object = None
    try:
        with (
            patch.object(sys, "argv", ["stemsplit", *map(str, arguments)]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert code is None or isinstance(code, int)
    return Result(code or 0, _text(out), _text(err))


def process(*arguments: str | Path, env: Mapping[str, str] | None = None, program: Sequence[str] = PROGRAM) -> Result:
    """Run the program in a process of its own."""
    ended = subprocess.run(
        [*program, *arguments],
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return Result(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def python(code: str) -> tuple[str, ...]:
    """For `process`: code that runs the program in its own way."""
    return (sys.executable, "-c", code)


def sound(path: Path) -> Sound:
    with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as opened:
        samples = opened.read(dtype="float64", always_2d=True)
        return Sound(opened.samplerate, opened.subtype, opened.format, samples)


def rms(samples: NDArray[np.float64]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(samples))))


def stems(folder: Path) -> dict[str, Sound]:
    """The stems of one track by name; fails if the folder holds anything hidden or of another kind."""
    files = list(folder.iterdir())
    assert all(path.suffix in (".wav", ".flac") and not path.name.startswith(".") for path in files), files
    return {path.stem: sound(path) for path in files}


def tracks_in(output: Path) -> set[str]:
    """What is in an output folder, beside the records."""
    return {path.name for path in output.iterdir()} - {".stemsplit"}


def stem_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def below(folder: Path) -> set[Path]:
    """All files and folders in it, while they come and go: unlike rglob, os.walk passes over what is gone by then."""
    return {Path(above, name) for above, folders, files in os.walk(folder) for name in folders + files}


def everything_below(folder: Path) -> list[Path]:
    """All files and folders, hidden ones too, but for records and what they lie in."""
    found = below(folder)
    records = {path for path in found if path.suffix == ".json" and ".stemsplit" in path.parts}
    holding = {parent for record in records for parent in record.parents if ".stemsplit" in parent.parts}
    return sorted(found - holding - records)


@contextmanager
def mounted(disk: Path, size: str) -> Iterator[Path]:
    """A disk of its own size ("96k"), in memory; skips the test where none can be mounted."""
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def assert_one_sentence(result: Result, *mentions: str) -> None:
    """One line that says what happened, and no more."""
    (line,) = result.err.splitlines()
    assert line.startswith("error: ")
    assert line.endswith((".", "?"))
    assert "unexpected" not in line
    for mention in mentions:
        assert mention in line


def _stream(errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, newline="\n", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()
