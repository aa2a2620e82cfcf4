"""What there is to train with, and what is wrong with it, measured once and again when a file changes."""

import os
from pathlib import Path

import numpy as np
import pytest

from multitracks import SOURCES, multitrack, write_multitrack, write_multitracks
from signals import noise, silence, write_sound
from stemsplit.audio.assignment import Assigned, SourceRules
from stemsplit.training import measurement
from stemsplit.training.survey import DataFolder, Survey, survey

RATE = 8000
RULES = SourceRules(SOURCES)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stemsplit" / "multitracks"


def _survey(*folders: Path, rules: SourceRules = RULES) -> Survey:
    return survey([DataFolder(folder) for folder in folders], rules, RATE)


def test_figures_are_those_of_the_song(tmp_path: Path) -> None:
    stems = multitrack(1, 3, RATE)
    write_multitrack(tmp_path / "data" / "a", stems, RATE)
    write_multitrack(tmp_path / "data" / "b", multitrack(2, 3, RATE), RATE)
    found = _survey(tmp_path / "data")
    (song,) = [song for songs in found.splits.values() for song in songs if song.track.name == "a"]
    mono = np.sum(list(stems.values()), axis=0, dtype=float).mean(axis=0)
    assert song.measurement.frames == 3 * RATE
    assert song.measurement.mean == pytest.approx(mono.mean(), abs=1e-6)
    assert song.measurement.std == pytest.approx(mono.std(ddof=1), rel=1e-4)
    assert found.problems == found.notes == ()


def test_hours_are_those_in_which_a_source_is_heard(tmp_path: Path) -> None:
    half = np.concatenate([noise(2, 4 * 4096), silence(2, 4 * 4096)], axis=1)
    for name in ("train/a", "train/b", "valid/c"):
        write_multitrack(tmp_path / name, {"drums": noise(2, 8 * 4096), "other": half}, RATE)
    found = _survey(tmp_path, rules=SourceRules(("drums", "other")))
    assert found.hours("train", 0) == pytest.approx(2 * 8 * 4096 / RATE / 3600)
    assert found.hours("train", 1) == pytest.approx(2 * 4 * 4096 / RATE / 3600)


def test_what_was_measured_is_not_measured_again_until_it_changes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_multitracks(tmp_path / "data", range(3), 1, RATE)
    before = _survey(data)
    assert len(list(cache.iterdir())) == 3

    measured: list[str] = []
    really = measurement._measured

    def counted(track: Assigned, sample_rate: int) -> measurement.Measurement:
        measured.append(track.name)
        return really(track, sample_rate)

    monkeypatch.setattr(measurement, "_measured", counted)
    assert _survey(data) == before
    assert not measured
    bass = data / "song 1" / "bass.wav"
    os.utime(bass, ns=(0, 0))
    assert _survey(data).fingerprint == before.fingerprint, "the same sound"
    assert measured == ["song 1"]
    write_sound(bass, noise(2, RATE + 1), RATE)
    assert _survey(data).fingerprint != before.fingerprint
    next(cache.iterdir()).write_text("broken")
    for path in cache.iterdir():
        path.write_text(path.read_text()[:20])
    assert _survey(data).splits.keys() == before.splits.keys()


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert not _survey(write_multitracks(tmp_path / "data", range(2), 1, RATE)).problems


def test_the_fingerprint_knows_no_place(tmp_path: Path) -> None:
    data = write_multitracks(tmp_path / "data", range(3), 1, RATE)
    before = _survey(data).fingerprint
    moved = data.rename(tmp_path / "moved")
    assert _survey(moved).fingerprint == before
    assert survey([DataFolder(moved, 2)], RULES, RATE).fingerprint != before


def test_a_lying_rate_is_found(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_multitrack(tmp_path / name, multitrack(1, 3, 44_100), 44_100)
    write_sound(tmp_path / "b" / "bass.wav", noise(2, 3 * 44_100), 48_000)
    (problem,) = _survey(tmp_path).problems
    assert "b: bass.wav" in problem
    assert "2.76 s" in problem


def test_many_notes_of_one_kind_are_counted(tmp_path: Path) -> None:
    write_multitracks(tmp_path, range(8), 1, 16_000)
    notes = _survey(tmp_path).notes
    assert len(notes) == 4
    assert notes[0].endswith("16000 Hz, converted to 8000.")
    assert notes[-1] == "and 5 more of these."


def test_a_mixture_of_its_own_is_noted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_multitrack(tmp_path / name, multitrack(1, 1, RATE), RATE, mixture=True)
    assert not _survey(tmp_path).notes
    write_sound(tmp_path / "a" / "mixture.wav", noise(2, RATE), RATE)
    (note,) = _survey(tmp_path).notes
    assert note.startswith("a: its mixture is not the sum")
