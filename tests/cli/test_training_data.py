"""`stemsplit train DATA`: which folders it reads and how, what it says of them, and what it refuses before any work."""

import hashlib
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cli.program import Result
from multitracks import SOURCES, write_multitrack
from signals import Block, noise, silence, write_sound
from stemsplit.audio import seeking
from stemsplit.audio.assignment import SourceRules
from stemsplit.training import dataset
from stemsplit.training.learner import Learner
from stemsplit.training.survey import DataFolder, survey
from training_runs import RATE, SECONDS, halved, song, train, tree, weights_of, write_songs

FRAMES = round(SECONDS * RATE)
RULES = SourceRules(SOURCES)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    return write_songs(tmp_path / "songs")


def counts(result: Result) -> dict[str, int]:
    """Songs by split, as the table tells."""
    rows = [line.split() for line in result.err.splitlines()]
    return {row[0]: int(row[1]) for row in rows if row[0] in ("train", "valid", "test")}


def heard(result: Result, split: str) -> list[str]:
    """How long each source is heard, as the table tells."""
    rows = [line.split() for line in result.err.splitlines()]
    return [cell for row in rows if row[0] == split for cell in row[2:]]


def errors(result: Result) -> list[str]:
    """What is wrong, without the sentence that counts it; fails for anything but whole sentences."""
    lines = [line.removeprefix("error: ") for line in result.err.splitlines() if line.startswith("error: ")]
    assert all(line.endswith(".") for line in lines), lines
    assert "unexpected" not in result.err
    assert "Traceback" not in result.err
    return [line for line in lines if "cannot be trained with" not in line]


def short_song(folder: Path, **stems: Block) -> Path:
    return write_multitrack(folder, {source: noise(2, RATE // 2, seed=3) for source in SOURCES} | stems, RATE)


# Layouts


def test_musdb_keeps_its_splits_and_validates_with_its_standard_songs(tmp_path: Path) -> None:
    train_names = ["A - A", "B - B", "C - C", "Meaxic - Take A Step", "ANiMAL - Rockshow"]
    for name in [*(f"train/{name}" for name in train_names), "test/Young Griffo - Pennies", "test/D - D"]:
        stems = {source: noise(2, 4000, seed=len(name)) for source in SOURCES}
        write_multitrack(tmp_path / "musdb" / name, stems, RATE, mixture=True)
    result = train(tmp_path / "musdb", "--check", "--rest", "refuse")
    assert (result.code, errors(result)) == (0, [])
    assert counts(result) == {"train": 3, "valid": 2, "test": 2}
    found = survey([DataFolder(tmp_path / "musdb")], RULES, RATE).splits["valid"]
    assert {song.track.name.rpartition("/")[2] for song in found} == {"Meaxic - Take A Step", "ANiMAL - Rockshow"}


def test_a_folder_called_valid_validates_and_no_other_song(tmp_path: Path) -> None:
    write_songs(tmp_path / "songs/train", range(2))
    write_songs(tmp_path / "songs/valid", range(2, 4))
    assert counts(train(tmp_path / "songs", "--check")) == {"train": 2, "valid": 2, "test": 0}


@pytest.mark.parametrize(("count", "validating"), [(2, 1), (9, 1), (20, 2)])
def test_else_a_tenth_validates_chosen_by_the_hash_of_its_name(count: int, validating: int, tmp_path: Path) -> None:
    for number in range(count):
        short_song(tmp_path / "songs" / f"{number}")
    result = train(tmp_path / "songs", "--check")
    assert counts(result) == {"train": count - validating, "valid": validating, "test": 0}
    shutil.move(tmp_path / "songs", tmp_path / "elsewhere")
    chosen = survey([DataFolder(tmp_path / "elsewhere")], RULES, RATE).splits["valid"]
    ranked = sorted(map(str, range(count)), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    assert {song.track.name for song in chosen} == set(ranked[:validating])


def test_the_files_of_a_moises_folder_are_summed(songs: Path, tmp_path: Path) -> None:
    """Two halves of each stem teach the same, bit for bit, as the whole of it."""
    for folder in songs.iterdir():
        moises = tmp_path / "moises" / folder.name
        moises.mkdir(parents=True)
        (moises / "data.json").write_text(json.dumps({"song": folder.name, "stems": [{"stemName": "drums"}]}))
        for stem, block in song(int(folder.name[-1])).items():
            (moises / stem).mkdir()
            for part in ("one", "two"):
                write_sound(moises / stem / f"{part}.wav", halved(block), RATE, "FLOAT")
    assert train(songs, "-o", "plain").code == 0
    result = train(tmp_path / "moises", "-o", "moises")
    assert (result.code, counts(result)) == (0, {"train": 3, "valid": 1, "test": 0})
    assert weights_of(Path("moises")) == weights_of(Path("plain"))


def test_a_stem_that_a_moises_song_lacks_is_silent(tmp_path: Path) -> None:
    for number in range(3):
        folder = write_multitrack(tmp_path / "moises" / ("valid" if number == 1 else "train") / f"{number}", {}, RATE)
        (folder / "data.json").write_text('{"stems": []}')
        for stem in ("drums", "bass", "vocals", "piano", *(("other",) if number == 0 else ())):
            (folder / stem).mkdir()
            write_sound(folder / stem / "1.wav", noise(2, RATE, seed=number), RATE)
    result = train(tmp_path / "moises", "--check", "--sources", "drums,bass,vocals,piano,other")
    assert (result.code, errors(result)) == (0, [])


# What counts as which source


def test_other_names_go_where_the_user_says(songs: Path, tmp_path: Path) -> None:
    """A stem cut in two by sound teaches the same as one, and by default what is unknown is summed into `other`."""
    for place, rest in (("other", "auto"), ("drums", "drums")):
        shutil.copytree(songs, tmp_path / place)
        for folder in (tmp_path / place).iterdir():
            half = halved(song(int(folder.name[-1]))[place])
            for name in (place, "kazoo"):
                write_sound(folder / f"{name}.wav", half, RATE, "FLOAT")
        result = train(tmp_path / place, "-o", f"run-{place}", "--rest", rest)
        assert (result.code, errors(result)) == (0, [])
    assert train(songs, "-o", "plain").code == 0
    assert weights_of(Path("run-other")) == weights_of(Path("run-drums")) == weights_of(Path("plain"))


@pytest.mark.parametrize("words", [("--rest", "refuse"), ("--sources", "drums,bass,vocals")])
def test_or_are_refused_each_song_by_name(words: tuple[str, ...], songs: Path) -> None:
    for folder in songs.iterdir():
        write_sound(folder / "kazoo.wav", noise(2, FRAMES), RATE)
    result = train(songs, *words)
    assert result.code == 2
    problems = errors(result)
    assert len(problems) == 4
    assert all("kazoo" in problem and "--rest" in problem and "--sources" in problem for problem in problems)


def test_sources_of_any_names_are_learnt_in_their_order(tmp_path: Path) -> None:
    for number in range(3):
        stems = {name: noise(2, FRAMES, seed=number) for name in ("Lead Vox", "Kick")}
        write_multitrack(tmp_path / f"songs/{number}", stems, RATE)
    assert train(tmp_path / "songs", "--sources", "kick,lead vox", "-o", "run").code == 0
    (entry,) = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert list(entry["valid"]["plain"]["sdr"]) == ["kick", "lead vox"]


@pytest.mark.parametrize(
    ("words", "mention"),
    [
        (("--sources", "drums,drums"), "named twice"),
        (("--sources", "mixture,drums"), "mixture"),
        (("--sources", "../drums"), "no source name"),
        (("--rest", "kazoo"), "--rest"),
        (("--missing", "often"), "--missing"),
    ],
)
def test_senseless_sources_are_refused(words: tuple[str, ...], mention: str, songs: Path) -> None:
    result = train(songs, *words)
    (problem,) = errors(result)
    assert (result.code, mention in problem) == (2, True)


def test_songs_without_a_source_are_refused_silent_or_passed_over(songs: Path) -> None:
    (songs / "song 2/vocals.wav").unlink()
    refused = train(songs, "--check")
    assert refused.code == 2
    (problem,) = errors(refused)
    assert all(word in problem for word in ("song 2", "vocals", "--missing silence", "--missing skip"))
    silent, skipped = train(songs, "--check", "--missing", "silence"), train(songs, "--check", "--missing", "skip")
    assert (silent.code, sum(counts(silent).values())) == (0, 4)
    assert (skipped.code, sum(counts(skipped).values())) == (0, 3)
    assert "note: song 2" in skipped.err


# Formats


def test_mono_is_doubled_and_short_stems_are_padded(songs: Path, tmp_path: Path) -> None:
    """Bit for bit as if the user had done it, and the padding is told."""
    for kind in ("given", "done"):
        shutil.copytree(songs, tmp_path / kind)
        for folder in (tmp_path / kind).iterdir():
            vocals, bass = noise(1, FRAMES, seed=1), noise(2, FRAMES - 5432, seed=2)
            if kind == "done":
                vocals, bass = np.concatenate([vocals, vocals]), np.pad(bass, ((0, 0), (0, 5432)))
            write_sound(folder / "vocals.wav", vocals, RATE, "FLOAT")
            write_sound(folder / "bass.wav", bass, RATE, "FLOAT")
    results = {kind: train(tmp_path / kind, "-o", kind) for kind in ("given", "done")}
    assert [result.code for result in results.values()] == [0, 0]
    assert weights_of(Path("given")) == weights_of(Path("done"))
    assert "from 2.32 to 3.00 s long; shorter ones are padded with silence" in results["given"].err
    assert "padded" not in results["done"].err


def test_flac_mp3_and_other_rates_are_read_and_conversions_told(songs: Path) -> None:
    for folder in songs.iterdir():
        for stem, suffix, rate in (("drums", ".flac", 8000), ("bass", ".mp3", 16_000), ("vocals", ".ogg", 44_100)):
            (folder / f"{stem}.wav").unlink()
            write_sound(folder / f"{stem}{suffix}", noise(2, round(SECONDS * rate)), rate)
    result = train(songs, "-o", "run")
    assert (result.code, errors(result)) == (0, [])
    assert "note: song 0: 16000, 44100 Hz, converted to 8000." in result.err


def test_a_folder_of_double_weight_is_drawn_twice_as_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, folder in enumerate(("a/train", "b/train", "a/valid")):
        write_songs(tmp_path / folder, [number])
    (tmp_path / "b/valid").mkdir()
    shutil.copytree(tmp_path / "a/valid/song 2", tmp_path / "b/valid/song 2")
    drawn: Counter[str] = Counter()
    read = seeking.read_excerpt

    def counted(path: Path, *rest: int) -> Block:
        drawn[path.parents[2].name] += path.name == "drums.wav"
        return read(path, *rest)

    monkeypatch.setattr(dataset, "read_excerpt", counted)
    monkeypatch.setattr(Learner, "step", lambda *_: 0.5)
    assert train(tmp_path / "a", f"{tmp_path / 'b'}=2", batches_per_epoch=30).code == 0
    assert drawn == {"a": 20, "b": 40}


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "often", ""])
def test_a_senseless_weight_is_refused(weight: str, songs: Path) -> None:
    result = train(f"{songs}={weight}")
    (problem,) = errors(result)
    assert (result.code, "weight" in problem) == (2, True)


# What is left alone, and what is remembered


@pytest.mark.parametrize("words", [("--check",), (), ("--sources", "drums"), ("--rest", "refuse")])
def test_nothing_is_written_into_the_songs(words: tuple[str, ...], songs: Path, cache: Path) -> None:
    before = tree(songs)
    train(songs, *words)
    assert tree(songs) == before
    assert [path.name for path in cache.glob("*")] in ([], ["stemsplit"])


def test_the_index_follows_a_file_that_changes(songs: Path) -> None:
    path = songs / "song 1/drums.wav"
    assert train(songs, "--check").code == 0
    whole, size = path.read_bytes(), path.stat().st_size
    path.write_bytes(b"x" * size)
    assert "drums.wav" in train(songs, "--check").err
    path.write_bytes(whole)
    assert train(songs, "--check").code == 0


@pytest.mark.parametrize("content", [None, "", "{", "{}", '{"frames": 3}'])
def test_the_index_may_be_deleted_or_damaged(content: str | None, songs: Path, cache: Path) -> None:
    first = train(songs, "--check")
    for path in (cache / "stemsplit/multitracks").iterdir():
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
    assert train(songs, "--check") == first


def test_the_index_may_hold_other_json(songs: Path, cache: Path) -> None:
    test_the_index_may_be_deleted_or_damaged("null", songs, cache)


def test_the_check_tells_how_long_each_source_is_heard(tmp_path: Path) -> None:
    half = np.concatenate([noise(1, 36 * RATE), silence(1, 36 * RATE)], axis=1)
    for split in ("train", "valid"):
        stems = {source: noise(1, 72 * RATE) for source in ("drums", "bass", "other")} | {"vocals": half}
        write_multitrack(tmp_path / "songs" / split / "one", stems, RATE)
    result = train(tmp_path / "songs", "--check", "-o", "run")
    assert (result.code, result.out) == (0, "")
    assert heard(result, "train") == heard(result, "valid") == ["1:12", "1:12", "1:12", "0:36"]
    assert heard(result, "test") == ["0:00"] * 4
    assert not Path("run").exists()


def test_names_that_are_no_text_are_names_too(songs: Path) -> None:
    (songs / "song 1").rename(songs / os.fsdecode(b"song \xff"))
    assert train(songs, "-o", "run").code == 0
