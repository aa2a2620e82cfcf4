"""What cannot be split: exit 1, one sentence that says what and what to do, and nothing left behind."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cli.program import Result, assert_one_sentence, everything_below, mounted, sound, stem_bytes, tracks_in
from signals import convert, needs_ffmpeg, noise, silence, write_sound

Split = Callable[..., Result]


def holding(value: float, frame: int, channel: int) -> Callable[[Path], None]:
    """A file with one sample that is no sound."""

    def make(path: Path) -> None:
        block = noise(2, 80_000)
        block[channel, frame] = value
        write_sound(path, block, subtype="FLOAT")

    return make


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("name", "make", "mentions"),
    [
        pytest.param("empty.wav", lambda path: write_sound(path, silence(2, 0)), ["holds no sound"], id="zero frames"),
        pytest.param("empty.mp3", lambda path: path.touch(), ["is empty (0 bytes)"], id="zero bytes"),
        pytest.param("empty.m4a", lambda path: path.touch(), ["is empty (0 bytes)"], id="zero bytes of m4a"),
        pytest.param(
            "text.mp3", lambda path: path.write_text("la la la\n" * 500), ["is no audio file"], id="text named mp3"
        ),
        pytest.param(
            "text.m4a", lambda path: path.write_text("la la la\n" * 500), ["is no audio file"], id="text named m4a"
        ),
        pytest.param("text", lambda path: path.write_text("la la la\n" * 500), ["is no audio file"], id="text"),
        pytest.param("bytes.wav", lambda path: path.write_bytes(bytes(5000)), ["is no audio file"], id="zeros"),
        pytest.param(
            "header.wav",
            lambda path: path.write_bytes(write_sound(path, noise(1, 9)).read_bytes()[:30]),
            ["is no audio file"],
            id="half a header",
        ),
        pytest.param("nan.wav", holding(np.nan, 1234, 1), ["frame 1234 (0.028 s)", "channel 2"], id="NaN"),
        pytest.param("inf.wav", holding(np.inf, 79_999, 0), ["frame 79999 (1.814 s)", "channel 1"], id="infinity"),
        pytest.param("inf.wav", holding(-np.inf, 0, 0), ["frame 0 (0.000 s)", "-inf"], id="minus infinity"),
        pytest.param("missing.wav", lambda path: None, ["no such file"], id="missing"),
        pytest.param("no/folder/x.wav", lambda path: None, ["no such file"], id="missing folder"),
        pytest.param("link.wav", link_to_itself, ["symbolic links"], id="link to itself"),
        pytest.param("pipe.wav", os.mkfifo, ["is no regular file"], id="pipe"),
        pytest.param("/dev/null", lambda path: None, ["is no regular file"], id="device"),
        pytest.param(
            "many.wav", lambda path: write_sound(path, noise(9, 100)), ["9 channels", "stereo"], id="nine channels"
        ),
    ],
)
@pytest.mark.parametrize("mode", ["human", "json"])
def test_one_sentence_and_nothing_left(
    mode: str, name: str, make: Callable[[Path], object], mentions: list[str], here: Path, split: Split
) -> None:
    make(here / name)
    before = everything_below(here)
    result = split(name, *(["--json"] if mode == "json" else []))
    assert result.code == 1
    assert_one_sentence(result, name, *mentions)
    assert everything_below(here) == before
    if mode == "json":
        assert (result.report["status"], result.report["outputs"]) == ("failed", {})
        assert result.err == f"error: {result.report['error']}\n"
    else:
        assert result.out == ""


@pytest.mark.parametrize("name", ["song.m4a", "SONG.M4A"])
@needs_ffmpeg
def test_no_ffmpeg(name: str, song: Path, here: Path, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    convert(song, here / name)
    monkeypatch.setenv("PATH", str(here))
    result = split(name)
    assert result.code == 1
    assert_one_sentence(result, name, "needs ffmpeg to decode AAC", "Install it", "apt install ffmpeg")
    assert not (here / "separated").exists()


def test_an_output_that_was_there_stays_as_it_was(here: Path, split: Split) -> None:
    (here / "separated/other").mkdir(parents=True)
    (here / "separated/other/note.txt").write_text("keep me")
    (here / "text.mp3").write_text("la la la")
    before = everything_below(here)
    assert split("text.mp3").code == 1
    assert everything_below(here) == before


# Stems that are there already.


@pytest.mark.parametrize("existing", ["drums.wav", "vocals.wav"])
def test_existing_stems_are_kept(existing: str, song: Path, here: Path, split: Split) -> None:
    (here / "separated/song").mkdir(parents=True)
    (here / "separated/song" / existing).write_text("mine")
    result = split("song.wav")
    assert result.code == 1
    assert_one_sentence(result, f"separated/song/{existing}", "exists already", "--overwrite")
    assert stem_bytes(here / "separated/song") == {existing: b"mine"}


def test_existing_stems_that_are_not_asked_for_are_no_matter(song: Path, here: Path, split: Split) -> None:
    (here / "separated/song").mkdir(parents=True)
    (here / "separated/song/drums.wav").write_text("mine")
    assert split("song.wav", "-s", "vocals").code == 0
    assert (here / "separated/song/drums.wav").read_text() == "mine"
    assert sound(here / "separated/song/vocals.wav").frames == 26_460


def test_overwrite_replaces_them(song: Path, here: Path, split: Split) -> None:
    assert split("song.wav").code == 0
    first = stem_bytes(here / "separated/song")
    for name in first:
        (here / "separated/song" / name).write_text("mine")
    assert split("song.wav", "--overwrite").code == 0
    assert stem_bytes(here / "separated/song") == first


def test_overwrite_that_fails_keeps_what_was_there(song: Path, here: Path, split: Split) -> None:
    assert split("song.wav").code == 0
    first = stem_bytes(here / "separated/song")
    holding(np.nan, 5000, 0)(song)
    assert split("song.wav", "--overwrite").code == 1
    assert stem_bytes(here / "separated/song") == first


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_stem_never_replaces_its_own_song(options: list[str], song: Path, here: Path, split: Split) -> None:
    """Splitting `x/vocals.wav` with `-o .` from inside, the stem vocals would be the song itself."""
    (here / "vocals").mkdir()
    given = song.rename(here / "vocals/vocals.wav")
    before = given.read_bytes()
    result = split("vocals/vocals.wav", "-o", ".", *options)
    assert given.read_bytes() == before
    assert result.code == 1
    assert_one_sentence(result, "vocals/vocals.wav")


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_folder_with_the_name_of_a_stem(options: list[str], song: Path, here: Path, split: Split) -> None:
    (here / "separated/song/bass.wav").mkdir(parents=True)
    before = everything_below(here)
    result = split("song.wav", *options)
    assert result.code == 1
    assert_one_sentence(result, "separated/song/bass.wav", "a folder has this name")
    assert everything_below(here) == before


def test_a_file_with_the_name_of_the_track(song: Path, here: Path, split: Split) -> None:
    (here / "separated").mkdir()
    (here / "separated/song").write_text("mine")
    result = split("song.wav")
    assert result.code == 1
    assert_one_sentence(result, "separated/song")
    assert (here / "separated/song").read_text() == "mine"


# A full disk.


@pytest.fixture
def tiny_disk(here: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    with mounted(here / "disk", "256k") as disk:
        yield disk


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param([], "MB and 0.3 MB are free", id="known before"),
        pytest.param(["--bit-depth", "32f"], "MB and 0.3 MB are free", id="known before, written through"),
        pytest.param(["-f", "flac"], "the disk is full", id="met while writing"),
        pytest.param(["-f", "flac", "--clip", "none"], "the disk is full", id="met while writing through"),
    ],
)
def test_a_full_disk(options: list[str], reason: str, here: Path, tiny_disk: Path, split: Split) -> None:
    write_sound(here / "noise.wav", noise(2, 44_100))
    result = split("noise.wav", "-o", "disk/out", *options)
    assert result.code == 1
    assert_one_sentence(result, "disk/out/noise", reason, "Free some space")
    assert everything_below(tiny_disk) == []


def test_a_full_disk_ends_a_run_that_goes_on_when_there_is_room(here: Path, tiny_disk: Path, split: Split) -> None:
    for number in range(8):
        write_sound(here / f"{number}.wav", noise(2, 22_050, seed=number))
    words = [*(f"{number}.wav" for number in range(8)), "-o", "disk/out", "-s", "drums", "-f", "flac", "--json"]
    result = split(*words)
    assert result.code == 1
    states = [report["status"] for report in result.reports]
    assert set(states) == {"done", "failed"}
    done = [report["track"] for report in result.reports if report["status"] == "done"]
    assert tracks_in(tiny_disk / "out") == set(done)
    assert all(sound(tiny_disk / f"out/{track}/drums.flac").frames == 22_050 for track in done)
    assert not any(path.name.startswith(".") for path in everything_below(tiny_disk))
    assert re.search(r"What is left needs up to 0\.\d MB in disk/out. Free some space", result.err.splitlines()[-1])
    subprocess.run(["mount", "-o", "remount,size=8m", tiny_disk], check=True)
    again = split(*words)
    assert again.code == 0
    assert {report["track"] for report in again.reports if report["status"] == "skipped"} == set(done)
    assert tracks_in(tiny_disk / "out") == {str(number) for number in range(8)}
