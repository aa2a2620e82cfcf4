"""Slips of the keyboard: told before any work, with what was probably meant."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.program import Result, assert_one_sentence, everything_below

Split = Callable[..., Result]


@pytest.mark.parametrize(
    ("words", "mentions"),
    [
        (["song.wav", "-s", "drums", "vocals"], ["vocals: there is no such file", "-s drums,vocals"]),
        (["song.wav", "--drop", "drums", "bass"], ["bass: there is no such file", "--drop bass"]),
        (["song.wav", "\N{EN DASH}-drop", "bass"], ["typographic dash"]),
        (["song.wav", "https://example.com/song.mp3"], ["https://example.com/song.mp3: links are not fetched"]),
        (["my", "song.wav"], ['A name with spaces needs quotes: "my song.wav".']),
    ],
    ids=str,
)
def test_a_word_that_is_no_song(words: list[str], mentions: list[str], song: Path, here: Path, split: Split) -> None:
    (here / "my song.wav").write_bytes(song.read_bytes())
    before = everything_below(here)
    result = split(*words)
    assert result.code == 2
    assert_one_sentence(result, *mentions)
    assert everything_below(here) == before


def test_a_file_of_such_a_name_is_a_song(song: Path, here: Path, split: Split) -> None:
    song.rename(here / "vocals")
    assert split("-s", "drums", "vocals").code == 0


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (["-s", "drum"], "Did you mean drums?"),
        (["--drop", "Vocals"], "Did you mean vocals?"),
        (["--mix", "x=drums+bass-6dB"], "A gain in dB stands behind @, such as drums@-6dB."),
        (["--mix", "x"], 'quotes around the whole: --mix "x=drums+bass*0.5".'),
    ],
)
def test_a_near_miss_gets_a_hint(wrong: list[str], hint: str, song: Path, split: Split) -> None:
    result = split("song.wav", *wrong)
    assert result.code == 2
    assert_one_sentence(result, hint)


@pytest.mark.parametrize(("time", "frames"), [("0.25", 11_025), ("0:00.25", 11_025), ("0:0:0.25", 11_025)])
def test_times_may_be_written_as_on_a_clock(time: str, frames: int, song: Path, split: Split) -> None:
    assert split("song.wav", "--duration", time, "--json").report["audio_seconds"] * 44_100 == pytest.approx(frames)


@pytest.mark.parametrize("time", ["1:", "x", "1:2:3:4", "1:-5", ":"])
def test_what_is_no_time(time: str, song: Path, split: Split) -> None:
    result = split("song.wav", "--start", time)
    assert result.code == 2
    assert "no time" in result.err
