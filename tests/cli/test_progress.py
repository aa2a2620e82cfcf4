"""What is told while songs are split: bars, lines, events, and what goes to the log."""

import json
import os
import pty
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.program import PROGRAM, SECONDS, Result, assert_one_sentence
from cli.test_batches import make_songs, read_terminal
from stemsplit.cli import progress
from stemsplit.cli.console import Console
from stemsplit.cli.progress import Amount, clock
from stemsplit.events import RunPlanned, TrackEnded, TrackProgress, TrackStarted
from stemsplit.separation.report import TrackReport

Split = Callable[..., Result]


@pytest.fixture
def songs(here: Path) -> Path:
    """Two good songs and a bad one."""
    make_songs(here / "Music", "a.wav", "b.wav")
    (here / "Music/bad.wav").write_text("la la la")
    return here / "Music"


def test_lines_where_there_is_no_terminal(songs: Path, split: Split) -> None:
    first, *_, told, failure = split("Music").err.splitlines()
    assert first == "3 songs to split, 0:00 of audio."
    assert told == "3 songs: 2 done, 1 failed:"
    assert failure.startswith("  Music/bad.wav: ")


def test_after_the_first_song_it_is_told_how_long_the_rest_takes(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console("human", "plain")
    events = (RunPlanned({"a": 10.0, "b": 30.0, "c": 1.0}), TrackStarted("a", 10.0), TrackEnded("a", "done"))
    for event in events:
        console.listen(event)
    for track in ("a", "b"):
        outputs = {"drums": Path(track, "drums.wav").absolute()}
        console.report(TrackReport(Path(f"{track}.wav"), track, "done", outputs, audio_seconds=10.0, seconds=1.0))
    first, left, second = capsys.readouterr().err.splitlines()
    assert (first[:3], second[:3]) == ("a: ", "b: ")
    assert re.fullmatch(r"About \d:\d\d for the other 2 songs\.", left)


@pytest.mark.parametrize("options", [[], ["--progress", "plain"]])
def test_lines_say_how_far_it_is(
    options: list[str], songs: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    assert any(re.match(r"\d of 3 songs, 0:00/0:00", line) for line in split("Music", *options).err.splitlines())


@pytest.mark.parametrize("options", [["--progress", "none"], ["-q"], ["--json"]])
def test_no_lines_where_none_are_wanted(
    options: list[str], songs: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    assert not any(re.match(r"\d of 3 songs", line) for line in split("Music", *options).err.splitlines())


def test_quiet_says_errors_once(songs: Path, split: Split) -> None:
    result = split("Music", "-q")
    assert result.code == 1
    assert_one_sentence(result, "Music/bad.wav")


def test_events(songs: Path, split: Split) -> None:
    result = split("Music", "--progress", "json", "--json")
    assert result.code == 1
    events = [json.loads(line) for line in result.err.splitlines()]
    planned, *middle, ended = events
    assert planned["event"] == "run_planned"
    assert planned["seconds"] == {
        "Music/a": pytest.approx(9000 / 44_100),
        "Music/b": pytest.approx(9100 / 44_100),
        "Music/bad": 0.0,
    }
    assert ended == {"event": "run_ended", "done": 2, "skipped": 0, "failed": 1}
    names = [event["event"] for event in middle]
    assert names.count("track_started") == 2
    assert names.count("track_ended") == 3
    assert {e["track"]: e["status"] for e in middle if e["event"] == "track_ended"} == {
        "Music/a": "done",
        "Music/b": "done",
        "Music/bad": "failed",
    }
    (error,) = [event for event in middle if event["event"] == "error"]
    assert error["message"].startswith("Music/bad.wav: ")
    assert max(e["done"] for e in middle if e.get("track") == "Music/a" and "done" in e) == pytest.approx(9000 / 44_100)
    assert len(result.reports) == 3


def test_events_hold_what_ends_a_run(here: Path, split: Split) -> None:
    (here / "empty").mkdir()
    result = split("empty", "--progress", "json")
    (event,) = [json.loads(line) for line in result.err.splitlines()]
    assert (result.code, event["event"]) == (1, "error")


def test_the_log_holds_all_that_is_said_and_grows(songs: Path, here: Path, split: Split) -> None:
    for options in (["-q"], ["--json"]):
        assert split("Music", "--log", "split.log", *options).code == 1
    lines = (here / "split.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d .+", line) for line in lines)
    for told in ("3 songs to split", "Music/a: 4 stems in", "error: Music/bad.wav", "2 done before, 1 failed"):
        assert any(told in line for line in lines), told


def test_the_log_holds_what_ends_a_run(song: Path, here: Path, split: Split, tmp_path: Path) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"no network")
    assert split("song.wav", "-m", tmp_path / "damaged.safetensors", "--log", "split.log").code == 1
    assert "damaged.safetensors cannot be used" in (here / "split.log").read_text()


@pytest.mark.parametrize("log", ["no/folder/split.log", "."])
def test_a_log_that_cannot_be_written(log: str, song: Path, here: Path, split: Split) -> None:
    result = split("song.wav", "--log", log)
    assert result.code == 2
    assert_one_sentence(result, "--log", "cannot be written")
    assert not (here / "separated").exists()


def drawn(folder: Path, *words: str | Path, **variables: str) -> str:
    """What a run writes on a terminal."""
    terminal, side = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", **variables}
    try:
        process = subprocess.Popen([*PROGRAM, *map(str, words)], cwd=folder, stdout=side, stderr=side, env=env)
        os.close(side)
        text = read_terminal(terminal)
        process.wait(timeout=SECONDS)
    finally:
        os.close(terminal)
    return text


def test_a_bar_for_all_and_one_for_each(songs: Path, here: Path, small: Path) -> None:
    text = drawn(here, "-m", small, "Music")
    assert "of 3 songs" in text
    assert "Music/a" in text
    assert "\x1b[31m" in text  # errors are red


def test_no_colours_where_none_are_wanted(songs: Path, here: Path, small: Path) -> None:
    text = drawn(here, "-m", small, "Music", NO_COLOR="1")
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", text)


def test_the_time_left() -> None:
    amount = Amount()
    for event in (RunPlanned({"a": 10.0, "b": 30.0}), TrackStarted("a", 12.0)):
        amount.count(event)
    assert (amount.songs, amount.total, amount.done, amount.left) == (2, 42.0, 0.0, None)
    amount.count(TrackProgress("a", 6.0))
    assert amount.done == 6.0
    amount.count(TrackEnded("a", "done"))
    assert (amount.ended, amount.done, amount.total) == (1, 12.0, 42.0)
    assert amount.left is not None
    amount.count(TrackEnded("b", "failed"))
    assert (amount.ended, amount.done, amount.total, amount.left) == (2, 12.0, 12.0, 0.0)


@pytest.mark.parametrize(("seconds", "told"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3723, "1:02:03")])
def test_clock(seconds: float, told: str) -> None:
    assert clock(seconds) == told
