"""`stemsplit train` on data that cannot be trained with: one report of all that is wrong, exit code 2, and no run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli.program import Result
from multitracks import SOURCES
from signals import noise, silence, truncate, write_sound
from training_runs import RATE, SECONDS, settings, song, train, tree, write_songs

FRAMES = round(SECONDS * RATE)
Spoil = Callable[[Path], object]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    return write_songs(tmp_path / "songs")


def problems(result: Result) -> list[str]:
    """What a refusal lists; fails unless it is one, in whole sentences that are counted at the end."""
    assert result.code == 2
    assert result.out == ""
    assert "Traceback" not in result.err
    assert "unexpected" not in result.err
    lines = [line.removeprefix("error: ") for line in result.err.splitlines() if line.startswith("error: ")]
    assert all(line.endswith(".") for line in lines), lines
    if "as listed above" in lines[-1]:
        *lines, last = lines
        assert f"{len(lines)} problem" in last
    return lines


def holding(value: float) -> Spoil:
    def spoil(path: Path) -> None:
        samples = noise(2, FRAMES)
        samples[1, 5000] = value
        write_sound(path, samples, RATE, "FLOAT")

    return spoil


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILED: dict[str, tuple[Spoil, str]] = {
    "missing": (lambda path: path.unlink(), "has no drums"),
    "of one sample": (lambda path: write_sound(path, noise(2, 1), RATE), "drums is 0.00013 s long"),
    "of no bytes": (lambda path: path.write_bytes(b""), "drums.wav: is empty"),
    "no sound file": (lambda path: path.write_bytes(b"garbage" * 99), "drums.wav: is damaged"),
    "a mere header": (lambda path: truncate(path, 80 / path.stat().st_size), "drums.wav: is damaged"),
    "holding NaN": (holding(float("nan")), "drums.wav: sample nan at frame 5000"),
    "holding infinity": (holding(float("-inf")), "drums.wav: sample -inf at frame 5000"),
    "of a rate that is noted wrongly": (
        lambda path: write_sound(path, noise(2, round(FRAMES * 44_100 / 48_000)), RATE),
        "drums.wav is 2.76 s long and the others 3.00 s: its sample rate",
    ),
    "a folder of nothing": (folder_instead, "has no drums"),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_a_stem_that_is(kind: str, songs: Path) -> None:
    spoil, what = SPOILED[kind]
    spoil(songs / "song 2/drums.wav")
    before = tree(songs)
    (problem,) = problems(train(songs, "-o", "run"))
    assert "song 2" in problem
    assert what in problem
    assert not Path("run").exists()
    assert tree(songs) == before


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """And alike with --check."""
    songs = write_songs(tmp_path / "songs", range(len(SPOILED) + 1))
    for number, (spoil, _) in enumerate(SPOILED.values()):
        spoil(songs / f"song {number}/drums.wav")
    listed = problems(train(songs, "-o", "run"))
    assert len(listed) == len(SPOILED)
    for number, (_, what) in enumerate(SPOILED.values()):
        (problem,) = [problem for problem in listed if f"song {number}" in problem]
        assert what in problem
    assert problems(train(songs, "-o", "run", "--check")) == listed
    assert not Path("run").exists()


def test_every_file_of_a_song_that_cannot_be_read_is_told(songs: Path) -> None:
    for stem in ("drums", "vocals"):
        (songs / f"song 2/{stem}.wav").write_bytes(b"garbage" * 99)
    assert len(problems(train(songs))) == 2


def test_a_song_may_have_several_faults(songs: Path) -> None:
    (songs / "song 2/vocals.wav").rename(songs / "song 2/voice.wav")
    listed = " ".join(problems(train(songs, "--rest", "refuse")))
    assert "voice is none of" in listed
    assert "has no vocals" in listed


def test_a_song_that_lacks_a_source_is_read_all_the_same(songs: Path) -> None:
    (songs / "song 2/vocals.wav").unlink()
    (songs / "song 2/drums.wav").write_bytes(b"garbage" * 99)
    listed = " ".join(problems(train(songs)))
    assert "has no vocals" in listed
    assert "drums.wav: is damaged" in listed


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_a_file_that_is_cut_short(suffix: str, songs: Path) -> None:
    """What is left of it would be taken for all: silence would be taught where there was sound."""
    (songs / "song 2/drums.wav").unlink()
    path = write_sound(songs / f"song 2/drums{suffix}", song(2)["drums"], RATE)
    truncate(path, 0.63)
    (problem,) = problems(train(songs, "-o", "run"))
    assert path.name in problem


@pytest.mark.parametrize("share", [1 / 2, 2 / 3])
def test_an_instrument_may_leave_in_the_middle_of_a_song(share: float, songs: Path) -> None:
    write_sound(songs / "song 2/drums.wav", noise(2, round(FRAMES * share)), RATE)
    result = train(songs, "--check")
    assert result.code == 0
    assert "note: song 2: its stems are from" in result.err


def test_a_source_that_is_silent_in_all_songs(songs: Path) -> None:
    for folder in songs.iterdir():
        write_sound(folder / "drums.wav", silence(2, FRAMES), RATE)
    (problem,) = problems(train(songs, "-o", "run"))
    assert problem.startswith("drums: is silent in every song")


def test_a_source_that_is_silent_in_one_song_is_worth_a_note(songs: Path) -> None:
    write_sound(songs / "song 2/drums.wav", silence(2, FRAMES), RATE)
    result = train(songs, "-o", "run")
    assert result.code == 0
    assert "note: song 2: drums is silent throughout." in result.err


def test_a_song_that_is_silent(songs: Path) -> None:
    for source in SOURCES:
        write_sound(songs / f"song 2/{source}.wav", silence(2, FRAMES), RATE)
    (problem,) = problems(train(songs, "-o", "run"))
    assert problem.startswith("song 2: is silent from its start to its end")


@pytest.mark.parametrize("left", ["nothing", "a text", "empty folders"])
def test_no_songs(left: str, tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    songs.mkdir()
    if left == "a text":
        (songs / "read me.txt").write_text("They are on the other disk.")
    if left == "empty folders":
        (songs / "song 1/takes").mkdir(parents=True)
    (problem,) = problems(train(songs, "-o", "run"))
    assert "songs: holds no songs" in problem
    assert "drums.wav" in problem
    assert not Path("run").exists()


def test_one_folder_of_several_without_songs(songs: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (problem,) = problems(train(songs, tmp_path / "more", "-o", "run"))
    assert "more: holds no songs" in problem


def test_only_one_song(songs: Path) -> None:
    for number in (1, 2, 3):
        shutil.rmtree(songs / f"song {number}")
    (problem,) = problems(train(songs, "-o", "run"))
    assert problem == "There is one song only, and it takes two: one to train with, one that validates. Add songs."
    assert not Path("run").exists()


def test_fewer_excerpts_than_a_batch(songs: Path) -> None:
    result = train(songs, "-o", "run", batch_size=7)
    (problem,) = problems(result)
    assert "6 excerpts" in problem
    assert "batch_size" in problem
    assert not Path("run").exists()


@pytest.mark.parametrize("words", [("nowhere",), ("songs", "nowhere"), ("songs/song 1/drums.wav",)])
def test_no_folder(words: tuple[str, ...], songs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(songs.parent)
    (problem,) = problems(train(*words))
    assert problem in (f"{words[-1]}: there is no such folder.", f"{words[-1]}: is no folder.")


def test_what_is_wrong_is_told_even_to_those_who_want_quiet(songs: Path) -> None:
    (songs / "song 2/drums.wav").unlink()
    result = train(songs, "--quiet")
    assert len(problems(result)) == 1
    assert len(result.err.splitlines()) == 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_settings_are_looked_at_before_any_song(value: float, songs: Path) -> None:
    (songs / "song 2/drums.wav").unlink()
    (problem,) = problems(train(songs, learning_rate=value))
    assert "learning_rate" in problem
    assert settings(learning_rate=value)[-1] == f"learning_rate={value}"
