"""Songs as files: whole or not there, the same again, their stems adding up; and what is missing is told."""

import json
import subprocess
import wave
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from stemsplit.errors import OutputError, StemsplitError, TrackError, UsageError
from stemsplit.practice import midi, programs, render
from stemsplit.practice.collection import collection, held
from stemsplit.practice.midi import played
from stemsplit.practice.mix import SOURCES
from stemsplit.practice.render import PracticeSong
from stemsplit.practice.score import RATE, Note, Part

FONT = programs.find_font("TimGM6mb.sf2")


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 44_100)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int64)


def test_a_part_sounds_where_its_notes_are() -> None:
    notes = (Note(0.5, 0.4, 69, 100), Note(1.5, 0.4, 57, 100))
    audio = played(Part("other", "synth", 80, notes), FONT, 3 * RATE)
    assert audio.shape == (2, 3 * RATE)
    assert audio.dtype == np.float32
    assert np.max(np.abs(audio[:, : round(0.49 * RATE)])) < 1e-4
    for start, pitch in ((0.5, 440.0), (1.5, 220.0)):
        heard = audio[0, round((start + 0.1) * RATE) :][: round(0.25 * RATE)]
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 1 << 16))
        around = np.arange(len(spectrum)) * RATE / (1 << 16)
        fundamental = around[np.argmax(np.where(around < 1.4 * pitch, spectrum, 0))]
        assert fundamental == pytest.approx(pitch, rel=0.01)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    assert render.render(PracticeSong(3, "valid", 0, FONT), folder)
    return folder


def test_a_song_is_a_folder_whose_integers_add_up(rendered: Path) -> None:
    (song,) = (rendered / "valid").iterdir()
    stems = {source: samples(song / f"{source}.wav") for source in SOURCES}
    mixture = samples(song / "mixture.wav")
    np.testing.assert_array_equal(np.sum(list(stems.values()), axis=0), mixture)
    assert np.max(np.abs(mixture)) < 32_767
    assert 30 * 88_200 < len(mixture) < 90 * 88_200
    assert sum(np.std(stem) > 100 for stem in stems.values()) >= 3


def test_the_same_song_is_made_once_and_always_alike(rendered: Path, tmp_path: Path) -> None:
    song = PracticeSong(3, "valid", 0, FONT)
    assert not render.render(song, rendered)
    assert render.render(song, tmp_path)
    name = Path("valid", song.name, "mixture.wav")
    assert (tmp_path / name).read_bytes() == (rendered / name).read_bytes()


def test_splits_and_seeds_are_other_songs() -> None:
    which = [(3, "train", 0), (3, "valid", 0), (3, "test", 0), (4, "train", 0), (3, "train", 1)]
    scores = [render.score_of(PracticeSong(*song, FONT))[0] for song in which]
    assert all(one != other for one, other in combinations(scores, 2))
    assert scores[0] == render.score_of(PracticeSong(*which[0], FONT))[0]


def test_settings_of_fluidsynth_at_home_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part("bass", "bass", 33, (Note(0, 0.5, 40, 90),))
    before = played(part, FONT, RATE)
    (tmp_path / ".fluidsynth").write_text("gain 3\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    np.testing.assert_array_equal(played(part, FONT, RATE), before)


def test_what_is_in_the_way_is_kept(rendered: Path) -> None:
    song = PracticeSong(3, "valid", 0, FONT)
    note = rendered / "valid" / song.name / "practice.json"
    text = note.read_text()
    try:
        note.write_text(json.dumps({**json.loads(text), "font": "Other.sf2"}))
        with pytest.raises(TrackError, match="holds something else"):
            render.render(song, rendered)
    finally:
        note.write_text(text)


def test_nothing_is_left_of_a_song_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems = {source: np.zeros((2, 100), np.float32) for source in SOURCES}
    monkeypatch.setattr(render, "stems_of", lambda song, scratch: stems)

    def full(path: Path, samples: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(render, "_write", full)
    with pytest.raises(StemsplitError, match="the disk is full"):
        render.render(PracticeSong(0, "train", 0, FONT), tmp_path)
    assert list((tmp_path / "train").iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_a_killed_run_has_left_is_cleared(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems = {source: np.zeros((2, 100), np.float32) for source in SOURCES}
    monkeypatch.setattr(render, "stems_of", lambda song, scratch: stems)
    song = PracticeSong(0, "train", 0, FONT)
    hidden = tmp_path / "train" / f".{song.name}.part"
    (tmp_path / "train").mkdir()
    if kind == "link":
        hidden.symlink_to(tmp_path)
    elif kind == "folder":
        (hidden / "more").mkdir(parents=True)
    else:
        hidden.touch()
    assert render.render(song, tmp_path)
    assert [path.name for path in (tmp_path / "train").iterdir()] == [song.name]


def test_a_part_that_is_not_whole_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the disk of temporary files is full: FluidSynth then ends as if all were well."""

    def cut(name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        done = programs.run(name, *arguments)
        sound = Path(arguments[arguments.index("-F") + 1])
        sound.write_bytes(sound.read_bytes()[: 8 * RATE])
        return done

    monkeypatch.setattr(midi, "run", cut)
    with pytest.raises(StemsplitError, match="free some space"):
        played(Part("bass", "bass", 33, (Note(0, 1, 40, 90),)), FONT, 3 * RATE, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["~nobody-at-all/x.sf2", "x" * 5000, ""])
def test_odd_names_of_fonts(name: str) -> None:
    with pytest.raises(StemsplitError, match="is neither a file nor in"):
        programs.find_font(name)


def test_a_file_that_is_no_sound_font_is_told(tmp_path: Path) -> None:
    font = tmp_path / "song.sf2"
    font.write_bytes(b"no font" * 100)
    with pytest.raises(StemsplitError, match=r"song\.sf2 is no sound font"):
        collection(0, {"train": 1}, str(font))
    font.write_bytes(b"RIFF....sfbk" * 100)
    with pytest.raises(StemsplitError, match="FluidSynth could not play"):
        played(Part("bass", "bass", 33, (Note(0, 1, 40, 90),)), font, RATE)


def test_missing_programs_and_fonts_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StemsplitError, match=r"sound font nothing\.sf2 is neither"):
        collection(0, {"train": 1}, "nothing.sf2")
    with pytest.raises(UsageError, match="No song"):
        collection(0, {"train": 0, "test": 0}, FONT.name)
    monkeypatch.setenv("PATH", "/nowhere")
    programs.find_program.cache_clear()
    with pytest.raises(StemsplitError, match="program fluidsynth, which is not installed"):
        collection(0, {"train": 1}, FONT.name)


def test_a_collection_grows_at_its_end() -> None:
    few, many = (collection(5, {"train": count, "valid": 1}, FONT.name) for count in (2, 4))
    assert set(few) < set(many)
    assert [song.number for song in many if song.split == "train"] == [0, 1, 2, 3]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with held(tmp_path / "songs"), pytest.raises(UsageError, match="another run"), held(tmp_path / "songs"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"), held(tmp_path / "file"):
        pass
