"""Killed, run twice at once, out of memory: nothing is lost, done twice or half-written."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.program import PROGRAM, SECONDS, Result, below, everything_below, process
from signals import noise, write_sound

Split = Callable[..., Result]


@pytest.fixture
def album(here: Path) -> Path:
    """Twelve songs, each of which takes a moment."""
    (here / "Album").mkdir()
    for number in range(12):
        write_sound(here / f"Album/{number:02}.wav", noise(2, 4 * 44_100 + number, seed=number), subtype="PCM_16")
    return here / "Album"


def stem_files(output: Path) -> dict[Path, bytes]:
    return {path.relative_to(output): path.read_bytes() for path in output.rglob("*.wav") if path.name[0] != "."}


def hidden_files(output: Path) -> list[Path]:
    """Temporaries, locks and lists; records are none."""
    return [path for path in everything_below(output) if any(part.startswith(".") for part in path.parts)]


def holds(output: Path, suffix: str) -> bool:
    """Whether there is a lock, or a folder for the parts of a song."""
    return any(path.suffix == suffix for path in below(output / ".stemsplit"))


def started(*words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen([*PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(running: subprocess.Popen[str]) -> Result:
    try:
        out, err = running.communicate(timeout=SECONDS)
    finally:
        running.kill()
        running.wait()
    return Result(running.returncode, out, err)


def struck(running: subprocess.Popen[str], number: signal.Signals, output: Path, wait: float) -> Result:
    """How a run ends that gets a signal some time after it has begun a song, or was done before."""
    deadline = time.monotonic() + SECONDS
    while running.poll() is None and not holds(output, ".parts"):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(wait)
    running.send_signal(number)
    return ended(running)


def test_killed_ten_times_and_gone_on(album: Path, here: Path, small: Path) -> None:
    words = ["-m", str(small), "Album", "-s", "drums,bass", "--device", "cpu"]
    assert process(*words, "-o", "whole").code == 0
    moments = random.Random(4)
    killed = 0
    for _ in range(10):
        result = struck(started(*words, "-o", "out"), signal.SIGKILL, here / "out", moments.uniform(0, 0.6))
        killed += result.code == -signal.SIGKILL
    assert killed >= 3, "it was done before it could be killed"
    assert process(*words, "-o", "out").code == 0
    assert stem_files(here / "out") == stem_files(here / "whole")
    assert hidden_files(here / "out") == []


def test_what_a_killed_run_left_is_cleared_by_one_for_other_stems(album: Path, here: Path, small: Path) -> None:
    struck(
        started("-m", small, album / "00.wav", "-f", "flac", "--shifts", "50"), signal.SIGKILL, here / "separated", 0
    )
    assert hidden_files(here / "separated")
    assert process("-m", small, album / "00.wav", "-s", "drums").code == 0
    assert hidden_files(here / "separated") == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", [1, 2])
def test_stopped_at_any_moment_and_gone_on(
    number: signal.Signals, code: int, jobs: int, album: Path, here: Path, small: Path
) -> None:
    words = ["-m", str(small), "Album", "-s", "drums", "--device", "cpu", "--jobs", str(jobs)]
    moments = random.Random(jobs)
    for _ in range(2):
        result = struck(started(*words), number, here / "separated", moments.uniform(0, 0.4))
        assert result.code in (code, 0)
        assert "Traceback" not in result.err
        assert hidden_files(here / "separated") == []
    assert process(*words).code == 0
    assert len(stem_files(here / "separated")) == 12


def test_stopped_twice_it_ends_at_once(album: Path, here: Path, small: Path) -> None:
    """Even where something does not come to its end: here, the writing of a stem."""
    stuck = (
        "import stemsplit.audio.writer as w, time, sys\n"
        "w.TrackWriter.write = lambda *_: (open('stuck', 'w').close(), time.sleep(3600))\n"
        "from stemsplit.cli.app import main\nmain()"
    )
    running = subprocess.Popen(
        [PROGRAM[0], "-c", stuck, "-m", small, "Album"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while running.poll() is None and not (here / "stuck").exists():
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    assert ended(running).code == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_stopped_while_songs_are_measured(
    number: signal.Signals, code: int, album: Path, here: Path, small: Path
) -> None:
    """Which takes an hour each here: not even this one is waited for, and no other is begun."""
    slow = (
        "import time\n"
        "from stemsplit.audio.reader import Reader\n"
        "decode = Reader.blocks\n"
        "def blocks(self):\n"
        "    for block in decode(self):\n"
        "        for _ in range(36_000):\n"
        "            time.sleep(0.1)\n"
        "            yield block[:, :1]\n"
        "Reader.blocks = blocks\n"
        "from stemsplit.cli.app import program\nprogram()"
    )
    words = [PROGRAM[0], "-c", slow, "-m", str(small), "Album"]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while running.poll() is None and not holds(here / "separated", ".lock"):
        time.sleep(0.01)
    time.sleep(0.3)
    running.send_signal(number)
    assert ended(running).code == code
    assert hidden_files(here / "separated") == []


def test_a_run_whose_terminal_closes_goes_on_if_told_so(album: Path, here: Path, small: Path) -> None:
    """As under nohup."""
    ignoring = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); from stemsplit.__main__ import program; program()"
    )
    running = subprocess.Popen(
        [PROGRAM[0], "-c", ignoring, "-m", small, "Album"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert struck(running, signal.SIGHUP, here / "separated", 0).code == 0
    assert len(stem_files(here / "separated")) == 48


def test_two_at_once_do_every_song_once(album: Path, here: Path, small: Path) -> None:
    words = ["-m", str(small), "Album", "--device", "cpu"]
    assert process(*words, "-o", "whole").code == 0
    first, second = started(*words, "--json"), started(*words, "--json")
    results = [ended(first), ended(second)]
    assert [result.code for result in results] == [0, 0]
    done = [r["track"] for result in results for r in result.reports if r["status"] == "done"]
    assert sorted(done) == [f"Album/{number:02}" for number in range(12)]
    for result in results:
        assert len(result.reports) == 12
        assert {report["status"] for report in result.reports} <= {"done", "skipped"}
    assert stem_files(here / "separated") == stem_files(here / "whole")
    assert hidden_files(here / "separated") == []


def test_a_song_that_another_process_makes_is_waited_for(here: Path, small: Path, split: Split) -> None:
    write_sound(here / "long.wav", noise(2, 20 * 44_100), subtype="PCM_16")
    write_sound(here / "short.wav", noise(2, 4410), subtype="PCM_16")
    other = started("-m", small, "--precision", "fp32", "long.wav", "--shifts", "4")
    while other.poll() is None and not holds(here / "separated", ".parts"):
        time.sleep(0.01)
    result = split("long.wav", "short.wav", "--shifts", "4", "--json", "--progress", "plain")
    assert ended(other).code == 0
    assert result.code == 0
    assert [(report["track"], report["status"]) for report in result.reports] == [
        ("short", "done"),
        ("long", "skipped"),
    ]


def test_too_little_memory_for_one_song(here: Path, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    from stemsplit.separation.mixture import Mixture

    for name in ("a", "b", "c"):
        write_sound(here / f"{name}.wav", noise(2, 4410), subtype="PCM_16")
    measured = Mixture.measured

    def failing(reader: Any, *rest: Any) -> Mixture:
        if reader.path.name == "b.wav":
            raise MemoryError
        return measured(reader, *rest)

    monkeypatch.setattr(Mixture, "measured", failing)
    result = split("a.wav", "b.wav", "c.wav", "--json")
    assert result.code == 1
    assert {report["track"]: report["status"] for report in result.reports} == {"a": "done", "b": "failed", "c": "done"}
    assert "b.wav: there is not enough memory" in result.err


def test_a_run_whose_parent_is_killed_ends(album: Path, here: Path, small: Path) -> None:
    running = started("-m", small, "Album", "--jobs", "2", "--device", "cpu", "--shifts", "20")
    struck(running, signal.SIGKILL, here / "separated", 0)
    deadline = time.monotonic() + SECONDS
    while hidden_files(here / "separated"):  # the last that a process does is to clear up
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert os.WIFSIGNALED(running.returncode) or running.returncode == -signal.SIGKILL


def test_an_allocator_that_fails_until_the_batch_is_small(
    here: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from stemsplit.compute import Compute
    from stemsplit.separation.device_queue import Launched
    from stemsplit.separation.engine import Engine

    for number in range(4):
        write_sound(here / f"{number}.wav", noise(2, 30_000, seed=number), subtype="PCM_16")
    names = [f"{number}.wav" for number in range(4)]
    assert split(*names, "-o", "whole").code == 0
    launch = Engine._launch

    def short_of_memory(self: Engine, *rest: Any) -> Launched:
        if self.compute.batch_size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return launch(self, *rest)

    monkeypatch.setattr("stemsplit.separation.separator.choose", lambda *_: Compute("cpu", "fp32", 4, True))
    monkeypatch.setattr(Engine, "_launch", short_of_memory)
    result = split(*names, "--json")
    assert result.code == 0
    assert result.err.splitlines() == [
        f"warning: Out of memory on cpu, going on with a batch of {size}." for size in (2, 1)
    ]
    assert stem_files(here / "separated") == stem_files(here / "whole")
    monkeypatch.setattr(Engine, "_launch", lambda *_: (_ for _ in ()).throw(MemoryError))
    hopeless = split(*names, "--overwrite")
    assert hopeless.code == 1
    assert "There is not enough memory to separate even one segment" in hopeless.err.splitlines()[-1]
    assert stem_files(here / "separated") == stem_files(here / "whole")
    assert hidden_files(here / "separated") == []
