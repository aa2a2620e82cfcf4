"""What a careful person would never do to a folder of songs, and what scripts and disks do all the same."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.program import (
    PROGRAM,
    SECONDS,
    Result,
    assert_one_sentence,
    everything_below,
    mounted,
    sound,
    stem_bytes,
    tracks_in,
)
from cli.test_batches import make_songs
from signals import noise, write_sound

Split = Callable[..., Result]


@pytest.fixture
def tiny_disk(here: Path) -> Iterator[Path]:
    """A disk of 512 KiB."""
    with mounted(here / "disk", "512k") as disk:
        yield disk


def test_stems_that_another_run_writes_while_a_folder_is_searched_are_no_songs(
    here: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_songs(here, "one.wav")
    scan = os.scandir
    began: list[bool] = []

    def slow_scan(folder: Any) -> Any:
        if not began:
            began.append(True)
            assert split("one.wav", "-o", ".").code == 0
        return scan(folder)

    monkeypatch.setattr("os.scandir", slow_scan)
    result = split(".", "-o", ".", "--json")
    assert {report["input"] for report in result.reports} == {"one.wav"}


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_name_without_the_song_is_not_given_twice(options: list[str], here: Path, split: Split) -> None:
    make_songs(here, "a.wav", "b.wav")
    assert split("a.wav", "--name", "{stem}").code == 0
    before = (here / "separated/drums.wav").read_bytes()
    assert split("b.wav", "--name", "{stem}", *options).code == 0
    assert (here / "separated/drums.wav").read_bytes() == before
    assert (here / "separated/drums b.wav.wav").is_file()
    for song in ("a.wav", "b.wav"):
        assert split(song, "--name", "{stem}", "--json").report["status"] == "skipped"


def test_a_full_disk_and_several_processes(here: Path, tiny_disk: Path, split: Split) -> None:
    (here / "Music").mkdir()
    for number in range(8):
        write_sound(here / f"Music/{number}.wav", noise(2, 22_050, seed=number))
    result = split("Music", "-o", "disk/out", "-s", "drums", "-f", "flac", "--jobs", "2", "--json")
    assert result.code == 1
    failures = [report["error"] for report in result.reports if report["error"]]
    assert failures
    for failure in failures:
        assert "Free some space" in failure
    assert "What is left needs up to" in result.err.splitlines()[-1]
    whole = {Path(report["track"]).name for report in result.reports if report["status"] == "done"}
    assert tracks_in(tiny_disk / "out/Music" if whole else tiny_disk) == whole
    assert not any(path.name.startswith(".") for path in everything_below(tiny_disk))


@pytest.mark.parametrize("log", ["song.wav", "separated/song/drums.wav", "new.FLAC"])
def test_a_log_is_no_song(log: str, song: Path, here: Path, split: Split) -> None:
    before = song.read_bytes()
    result = split("song.wav", "--log", log)
    assert result.code == 2
    assert_one_sentence(result, "--log", "is called as a song is")
    assert (song.read_bytes(), list(here.iterdir())) == (before, [song])


def test_no_name_is_not_this_folder(song: Path, here: Path, split: Split) -> None:
    result = split("")
    assert result.code == 2
    assert_one_sentence(result, '"" names no file')
    assert list(here.iterdir()) == [song]


@pytest.mark.parametrize("gain", ["-400.0", "60.0", "NaN", '"-1"'])
def test_a_record_with_a_gain_that_cannot_be_claims_nothing(gain: str, song: Path, here: Path, split: Split) -> None:
    assert split("song.wav").code == 0
    path = here / "separated/.stemsplit/song.json"
    record = json.loads(path.read_text())
    record["stems"] = [stem | {"gain_db": "GAIN"} for stem in record["stems"] if stem["stem"] != "vocals"]
    path.write_text(json.dumps(record).replace('"GAIN"', gain))
    (here / "separated/song/vocals.wav").unlink()
    assert split("song.wav", "-s", "vocals", "--json").report["gain_db"] == 0
    assert sound(here / "separated/song/vocals.wav").peak > 0.01


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "huge"])
def test_a_record_that_is_no_file_is_none(kind: str, song: Path, here: Path, split: Split) -> None:
    path = here / "separated/.stemsplit/song.json"
    path.parent.mkdir(parents=True)
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "huge":
            path.touch()
            os.truncate(path, 2**40)
    result = split("song.wav", "-s", "drums")
    assert result.code == (1 if kind == "folder" else 0)
    assert "unexpected" not in result.err


@pytest.mark.parametrize("options", [[], ["--progress", "json"], ["--progress", "json", "-q"]])
@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_a_run_that_nobody_hears_is_a_run(stderr: str, options: list[str], song: Path, here: Path, small: Path) -> None:
    words = " ".join([*PROGRAM, "-m", str(small), "song.wav", "--json", *options, stderr])
    ended = subprocess.run(["sh", "-c", words], stdout=subprocess.PIPE, timeout=SECONDS, check=False)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["status"] == "done"
    assert len(stem_bytes(here / "separated/song")) == 4
