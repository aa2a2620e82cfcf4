"""How much music there is, as headers tell it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from signals import noise, write_sound
from stemsplit.audio.excerpt import WHOLE, Excerpt
from stemsplit.audio.reader import Reader, open_audio
from stemsplit.separation import lengths
from stemsplit.separation.lengths import expected_seconds
from stemsplit.separation.plan import PlannedTrack, plan_tracks
from stemsplit.separation.walk import Song

RATE = 8000


def _songs(folder: Path, **seconds: float | str) -> list[PlannedTrack]:
    """Tracks by name, as long as is said; text is what a broken one holds."""
    songs = []
    for name, length in seconds.items():
        path = folder / f"{name}.wav"
        if isinstance(length, str):
            path.write_text(length)
        else:
            write_sound(path, noise(1, round(length * RATE)), RATE)
        songs.append(Song(path))
    return plan_tracks(songs)


def test_headers_tell_the_lengths_of_all_formats_and_rates(tmp_path: Path) -> None:
    paths = [
        write_sound(tmp_path / "stereo.wav", noise(2, 44_100)),
        write_sound(tmp_path / "mono.flac", noise(1, 4000), 8000),
        write_sound(tmp_path / "vorbis.ogg", noise(2, 96_000), 48_000),
    ]
    tracks = plan_tracks(map(Song, paths))
    assert expected_seconds(tracks, WHOLE) == pytest.approx({"stereo": 1.0, "mono": 0.5, "vorbis": 2.0})
    assert expected_seconds([], WHOLE) == {}


def test_nothing_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "blocks", None)  # calling it fails
    assert expected_seconds(_songs(tmp_path, one=0.5), WHOLE) == {"one": 0.5}


@pytest.mark.parametrize(
    ("excerpt", "seconds"),
    [
        (Excerpt(0.25), 0.75),
        (Excerpt(0.25, 0.5), 0.5),
        (Excerpt(0.75, 0.5), 0.25),
        (Excerpt(0.0, 100.0), 1.0),
        (Excerpt(1.0), 0.0),
        (Excerpt(100.0, 5.0), 0.0),
    ],
)
def test_only_the_excerpt_counts(excerpt: Excerpt, seconds: float, tmp_path: Path) -> None:
    assert expected_seconds(_songs(tmp_path, one=1.0), excerpt) == {"one": seconds}


def test_what_cannot_be_separated_counts_as_nothing(tmp_path: Path) -> None:
    tracks = _songs(tmp_path, empty="", text="la la la", good=1.0)
    tracks += plan_tracks([Song(tmp_path / "missing.wav"), Song(tmp_path)])
    told = expected_seconds(tracks, WHOLE)
    assert told.pop("good") == 1.0
    assert len(told) == 4
    assert not any(told.values())


def _watched(monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, Reader], None] | None = None) -> list[Path]:
    """The files that are opened from now on."""
    opened: list[Path] = []

    def watching(path: Path) -> Reader:
        opened.append(path)
        reader = open_audio(path)
        if change is not None:
            change(path, reader)
        return reader

    monkeypatch.setattr(lengths, "open_audio", watching)
    return opened


def test_what_no_header_tells_counts_as_the_mean_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hide_frames(path: Path, reader: Reader) -> None:
        if path.stem == "untold":
            reader.info = replace(reader.info, frames=None)

    _watched(monkeypatch, hide_frames)
    tracks = _songs(tmp_path, short=1.0, untold=0.25, long=2.0)
    assert expected_seconds(tracks, WHOLE) == {"short": 1.0, "untold": 1.5, "long": 2.0}
    assert expected_seconds(tracks[1:2], WHOLE) == {"untold": 0.0}, "there is no mean of none"


def test_what_is_not_asked_in_time_counts_as_the_mean_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = _watched(monkeypatch)
    clock = iter([0.0] * 3 + [1e9] * 10)  # one look at it to begin with, one before each song
    monkeypatch.setattr(lengths, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    tracks = _songs(tmp_path, a=0.5, b=0.5, c=0.5, d=0.5, e=0.5)
    assert expected_seconds(tracks, WHOLE) == dict.fromkeys("abcde", 0.5)
    assert len(opened) == 2


def test_where_there_is_no_time_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lengths, "_BUDGET_SECONDS", -1.0)
    opened = _watched(monkeypatch)
    assert expected_seconds(_songs(tmp_path, a=0.5, b=0.5), WHOLE) == {"a": 0.0, "b": 0.0}
    assert not opened
