"""Several songs in one command: each ends on its own, has its own place, and is told of."""

import hashlib
import os
import pty
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torch import Tensor

from cli.program import FOUR, PROGRAM, SECONDS, Result, everything_below, stem_bytes, stems, tracks_in
from signals import noise, write_sound
from stemsplit.errors import DecodeError, TrackError
from stemsplit.separation.segments import Segment
from stemsplit.separation.track import TrackJob

Split = Callable[..., Result]

KEYS = [
    "schema",
    "input",
    "track",
    "status",
    "outputs",
    "model",
    "model_revision",
    "device",
    "precision",
    "networks",
    "audio_seconds",
    "seconds",
    "gain_db",
    "warnings",
    "error",
]


def make_songs(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sound(path, noise(2, 9000 + 100 * seed, seed=seed))


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_bad_song_does_not_stop_the_others(bad: int, here: Path, split: Split) -> None:
    names = ["a.wav", "b.wav", "c.wav"]
    make_songs(here, *names)
    (here / names[bad]).write_text("la la la")
    result = split(*names)
    assert result.code == 1
    good = [Path(name).stem for name in names if name != names[bad]]
    assert tracks_in(here / "separated") == set(good)
    for track in good:
        assert set(stems(here / "separated" / track)) == FOUR
        assert f"{track}: 4 stems in separated/{track} (" in result.err
    assert f"error: {names[bad]}: " in result.err
    told, failure = result.err.splitlines()[-2:]
    assert told == "3 songs: 2 done, 1 failed:"
    assert failure.startswith(f"  {names[bad]}: ")
    assert result.out == ""


def test_a_missing_song_does_not_stop_the_others(here: Path, split: Split) -> None:
    make_songs(here, "a.wav", "c.wav")
    result = split("a.wav", "missing.wav", "c.wav", "--json")
    assert result.code == 1
    assert {report["input"]: report["status"] for report in result.reports} == {
        "a.wav": "done",
        "missing.wav": "failed",
        "c.wav": "done",
    }


def test_existing_stems_of_one_song_do_not_stop_the_others(here: Path, split: Split) -> None:
    make_songs(here, "a.wav", "b.wav")
    assert split("a.wav").code == 0
    before = stem_bytes(here / "separated/a")
    result = split("a.wav", "b.wav", "--json", "--overlap", "0.5")
    assert result.code == 1
    assert {report["track"]: report["status"] for report in result.reports} == {"a": "failed", "b": "done"}
    assert stem_bytes(here / "separated/a") == before


def test_songs_of_one_name_have_each_their_place(here: Path, split: Split) -> None:
    names = ["a/song.wav", "b/song.wav", "b/song.flac", "c/song.wav", "d/SONG.wav"]
    make_songs(here, *names)
    result = split(*names, "-s", "drums", "--json")
    assert result.code == 0
    digest = hashlib.sha256(str(here / "c/song.wav").encode()).hexdigest()[:8]
    places = {
        "a/song.wav": "song",
        "b/song.wav": "song.wav",
        "b/song.flac": "song.flac",
        "c/song.wav": f"song.wav-{digest}",
        "d/SONG.wav": f"SONG.wav-{hashlib.sha256(str(here / 'd/SONG.wav').encode()).hexdigest()[:8]}",
    }
    assert {report["input"]: report["track"] for report in result.reports} == places
    assert tracks_in(here / "separated") == set(places.values())
    for seed, name in enumerate(names):
        assert stems(here / "separated" / places[name])["drums"].frames == 9000 + 100 * seed


def test_the_same_song_twice_is_done_once(song: Path, here: Path, split: Split) -> None:
    result = split("song.wav", "./song.wav", song, "song.wav", "--json")
    assert result.code == 0
    assert result.report["input"] == "song.wav"
    assert tracks_in(here / "separated") == {"song"}


# What is told.


def test_a_report_holds_what_the_contract_says(song: Path, here: Path, split: Split, small: Path) -> None:
    result = split("song.wav", "-o", "out", "--json", "--device", "cpu")
    assert result.code == 0
    report = result.report
    assert list(report) == KEYS
    assert report["outputs"] == {name: str(here / f"out/song/{name}.wav") for name in FOUR}
    assert all(Path(path).is_file() for path in report["outputs"].values())
    assert report["seconds"] > 0
    assert report["audio_seconds"] == pytest.approx(0.6)
    assert report["gain_db"] <= 0
    assert len(report["model_revision"]) == 16
    told = {
        key: report[key]
        for key in ("schema", "input", "track", "status", "model", "device", "precision", "networks", "warnings")
    }
    assert told == {
        "schema": 1,
        "input": "song.wav",
        "track": "song",
        "status": "done",
        "model": "small",
        "device": "cpu",
        "precision": "fp32",
        "networks": 1,
        "warnings": [],
    }
    assert report["error"] is None


@pytest.mark.parametrize("name", ["missing.wav", "text.wav"])
def test_the_report_of_a_failure(name: str, here: Path, split: Split) -> None:
    (here / "text.wav").write_text("la la la")
    result = split(name, "--json")
    assert result.code == 1
    report = result.report
    assert list(report) == KEYS
    assert (report["status"], report["input"], report["track"]) == ("failed", name, Path(name).stem)
    assert report["outputs"] == {}
    assert report["warnings"] == []
    assert report["gain_db"] is None
    assert report["audio_seconds"] is None
    assert name in report["error"]


def test_quiet_says_nothing(song: Path, split: Split) -> None:
    result = split("song.wav", "-q")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_quiet_does_say_errors(song: Path, split: Split) -> None:
    result = split("missing.wav", "song.wav", "--quiet")
    assert result.code == 1
    assert result.out == ""
    assert result.err == "error: missing.wav: there is no such file. Check the name.\n"


def test_one_line_says_where_the_stems_are(song: Path, here: Path, split: Split) -> None:
    result = split("song.wav", "-s", "drums,vocals", "--device", "cpu")
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("song: 2 stems in separated/song (0:01 in ")
    assert "x real time, cpu fp32" in line


def test_verbose_shows_where_a_bug_is(song: Path, here: Path, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("stemsplit.separation.separator.cut", broken)
    monkeypatch.setattr("stemsplit.separation.track.cut", broken)
    quiet, verbose = split("song.wav"), split("song.wav", "-v")
    assert (quiet.code, verbose.code) == (1, 1)
    assert "ZeroDivisionError: a bug" in quiet.err
    assert "--verbose" in quiet.err
    assert "Traceback" not in quiet.err
    assert "Traceback" in verbose.err
    assert not (here / "separated").exists()


def test_progress_is_drawn_on_the_terminal_and_never_on_stdout(
    here: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own whose stderr is a terminal."""
    write_sound(here / "song.wav", noise(2, 4 * 44_100))
    monkeypatch.setenv("TERM", "xterm")
    terminal, side = pty.openpty()
    try:
        process = subprocess.Popen([*PROGRAM, "-m", str(small), "song.wav"], stdout=subprocess.PIPE, stderr=side)
        os.close(side)
        drawn = read_terminal(terminal)
        out, _ = process.communicate(timeout=SECONDS)
    finally:
        os.close(terminal)
    assert (process.returncode, out) == (0, b"")
    assert "/0:04" in drawn
    assert "song: 4 stems in separated/song (0:04 in " in drawn


def read_terminal(terminal: int) -> str:
    """All that is written on a terminal until its last writer is gone."""
    drawn = b""
    while True:
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # how Linux tells that the other side is closed
            data = b""
        if not data:
            return drawn.decode()
        drawn += data


def test_nothing_but_stems_is_left(song: Path, here: Path, split: Split) -> None:
    assert split("song.wav").code == 0
    folder = here / "separated"
    assert everything_below(folder) == sorted([folder / "song", *(folder / f"song/{name}.wav" for name in FOUR)])


def test_a_song_that_breaks_while_the_one_before_is_finished_fails_alone(
    here: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first stretches still wait to be written then, behind the end of the song before."""
    write_sound(here / "a.wav", noise(2, 88_200), subtype="PCM_16")
    for name in ("b.wav", "c.wav"):
        write_sound(here / name, noise(2, 441_000), subtype="PCM_16")
    finish, segments, write, fail = TrackJob.finish, TrackJob.segments, TrackJob.write, TrackJob.fail
    writing: set[TrackJob] = set()
    at_once = []

    def finish_slowly(job: TrackJob) -> None:
        if job.track.name == "a":
            time.sleep(2)
        finish(job)

    def break_off(job: TrackJob) -> Iterator[Segment]:
        for number, segment in enumerate(segments(job)):
            if job.track.name == "b" and number == 6:
                raise DecodeError("b.wav: broken")
            yield segment

    def write_slowly(job: TrackJob, sources: Tensor) -> None:
        writing.add(job)
        time.sleep(0.05)
        write(job, sources)
        writing.discard(job)

    def fail_slowly(job: TrackJob, error: TrackError) -> None:
        for _ in range(20):
            time.sleep(0.05)
            at_once.append(job in writing)
        fail(job, error)

    monkeypatch.setattr(TrackJob, "finish", finish_slowly)
    monkeypatch.setattr(TrackJob, "segments", break_off)
    monkeypatch.setattr(TrackJob, "write", write_slowly)
    monkeypatch.setattr(TrackJob, "fail", fail_slowly)
    result = split("a.wav", "b.wav", "c.wav", "--json")
    assert {report["track"]: report["status"] for report in result.reports} == {"a": "done", "b": "failed", "c": "done"}
    assert tracks_in(here / "separated") == {"a", "c"}
    assert at_once
    assert not any(at_once)
