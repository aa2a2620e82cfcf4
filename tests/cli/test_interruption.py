"""Ctrl-C and SIGTERM end the program soon, with the exit codes of their signals, and leave nothing half-written."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.program import PROGRAM, SECONDS, everything_below, tracks_in
from signals import convert, needs_ffmpeg, noise, write_sound
from stemsplit.audio.tags import read_tags

SIGNALS = [pytest.param(signal.SIGINT, 130, id="SIGINT"), pytest.param(signal.SIGTERM, 143, id="SIGTERM")]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def parts(folder: Path) -> list[Path]:
    return [path for path in everything_below(folder) if path.name.startswith(".") or ".stemsplit" in path.parts]


def bytes_written(folder: Path) -> int:
    return sum(path.stat().st_size for path in parts(folder) if path.exists())


def interrupted(
    number: signal.Signals, words: list[str], until: Callable[[], bool], delay: float
) -> tuple[int, str, str]:
    """Exit code and output of a run that gets a signal a moment after something is so."""
    process = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(until, process)
        time.sleep(delay)
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.communicate()  # waits, and closes the pipes also where the test failed
    return process.returncode, out, err


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_while_the_stems_are_finished(number: signal.Signals, code: int, here: Path, small: Path) -> None:
    """The gain is known and the files are being written, which takes a while for a long song."""
    write_sound(here / "song.wav", noise(2, 12 * 44_100), subtype="PCM_16")
    out = here / "out"
    words = ["-m", str(small), "song.wav", "-o", "out", "--sample-rate", "384000", "--overlap", "0", "--json"]
    assert interrupted(number, words, lambda: bytes_written(out) > 0, 0.1) == (code, "", "")
    assert not out.exists()


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_while_separating(number: signal.Signals, code: int, here: Path, small: Path) -> None:
    write_sound(here / "short.wav", noise(2, 4_410), subtype="PCM_16")
    write_sound(here / "long.wav", noise(2, 60 * 44_100), subtype="PCM_16")
    out = here / "out"
    ended, _, err = interrupted(
        number,
        ["-m", str(small), "short.wav", "long.wav", "-o", "out"],
        lambda: (out / "short/vocals.wav").exists() and (out / "long").exists(),
        0.3,
    )
    assert ended == code
    planned, finished, rest, cancelled = err.splitlines()
    assert planned.startswith("2 songs to split, 1:00 of audio")
    assert finished.startswith("short: ")
    assert re.fullmatch(r"About [0-9:]+ for the other song\.", rest)
    assert cancelled.startswith("Cancelled")
    assert cancelled.endswith("1 of 2 songs are done; the same command goes on from here.")
    assert tracks_in(out) == {"short"}
    assert {path.name for path in (out / "short").iterdir()} == {"drums.wav", "bass.wav", "other.wav", "vocals.wav"}


@needs_ffmpeg
@pytest.mark.parametrize("format_", ["mp3", "stem.mp4"])
def test_at_a_terminal_while_tags_are_put_on(format_: str, here: Path, small: Path, tmp_path: Path) -> None:
    """There Ctrl-C goes to all programs at once; an ffmpeg that it ended would leave stems without tags."""
    write_sound(here / "plain.wav", noise(2, 44_100), subtype="PCM_16")
    convert(here / "plain.wav", here / "song.flac", "-metadata", "title=Song")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [*PROGRAM, "-m", str(small), "song.flac", "-o", "out", "-f", format_],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: any(temporary.glob("stemsplit-tags-*")), process)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.communicate()
    assert not list(temporary.glob("stemsplit-*"))
    assert not parts(here / "out")
    for stem in (path for path in everything_below(here / "out") if path.is_file()):  # on a slow machine it may be done
        assert (read_tags(stem).get("title") or "").startswith("Song")
