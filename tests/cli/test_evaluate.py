"""`stemsplit evaluate`: scores by song and source beside estimates that need no model, as a table or as objects."""

import math
from pathlib import Path

import numpy as np
import pytest

from cli.program import assert_one_sentence, stemsplit
from multitracks import SOURCES, write_multitrack
from signals import Block, silence, write_sound
from standins import REDUCED, make_folder
from training_runs import RATE, halved, mixture_of, song, tree

TINY = REDUCED | {"samplerate": RATE, "bottom_channels": 0, "t_layers": 0}
KINDS = ("sdr", "mixture_sdr", "gain_sdr")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("models") / "model", changes=TINY)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One song to train with, one that validates, two for the test."""
    folder = tmp_path_factory.mktemp("data") / "songs"
    for number, split in enumerate(("train", "valid", "test", "test")):
        write_multitrack(folder / split / f"song {number}", song(number), RATE)
    return folder


def decibels(reference: Block, estimate: Block) -> float:
    """Utterance SDR."""
    error = np.square(reference.astype(float) - estimate).sum()
    return 10 * math.log10(np.square(reference.astype(float)).sum() / error)


def test_every_song_is_an_object_with_scores_by_source(songs: Path, model: Path) -> None:
    result = stemsplit("evaluate", songs, "-m", model, "--json", "--device", "cpu")
    assert result.code == 0
    assert [report["track"] for report in result.reports] == ["test/song 2", "test/song 3"]
    for report in result.reports:
        assert report["schema"] == 1
        assert report["seconds"] == 3.0
        for kind in KINDS:
            assert list(report[kind]) == list(SOURCES)
            assert all(isinstance(value, float) for value in report[kind].values())


def test_the_estimates_beside_the_model_are_the_mixture_and_its_best_gain(songs: Path, model: Path) -> None:
    report = stemsplit("evaluate", songs, "-m", model, "--json", "--split", "train", "--device", "cpu").report
    stems = song(0)
    mixture = np.sum(list(stems.values()), axis=0, dtype=float)
    for source in SOURCES:
        gain = float((stems[source] * mixture).sum() / np.square(mixture).sum())
        assert report["mixture_sdr"][source] == pytest.approx(decibels(stems[source], mixture), abs=1e-3)
        assert report["gain_sdr"][source] == pytest.approx(decibels(stems[source], gain * mixture), abs=1e-3)


def test_the_model_is_scored_on_what_it_would_write(songs: Path, model: Path) -> None:
    """The files of `stemsplit separate`, held against the stems."""
    mixture = mixture_of(song(0))
    write_sound(Path("song.wav"), mixture, RATE, "FLOAT")
    shared = ("-m", str(model), "--device", "cpu", "--precision", "fp32")
    written = stemsplit("song.wav", *shared, "--bit-depth", "32f", "--clip", "none", "--json").report["outputs"]
    report = stemsplit("evaluate", songs, *shared, "--json", "--split", "train").report
    import soundfile

    for source in SOURCES:
        estimate = soundfile.read(written[source], dtype="float32")[0].T
        assert report["sdr"][source] == pytest.approx(decibels(song(0)[source], estimate), abs=0.01)


def test_people_get_a_table_for_each_song_and_means(songs: Path, model: Path) -> None:
    shared = ("evaluate", songs, "-m", model, "--device", "cpu")
    result = stemsplit(*shared)
    lines = result.out.splitlines()
    assert result.code == 0
    assert {"test/song 2", "test/song 3", "mean of 2 songs, utterance SDR in dB"} < set(lines)
    assert [line.split()[0] for line in lines if line.startswith("  ") and line.strip()[0] != "d"] == [
        "model",
        "best",
        "mixture",
    ] * 3
    reports = stemsplit(*shared, "--json").reports
    for name, kind in (("model", "sdr"), ("best gain", "gain_sdr"), ("mixture", "mixture_sdr")):
        means = [np.mean([report[kind][source] for report in reports]) for source in SOURCES]
        row = [line for line in lines if line.strip().startswith(name)][-1].split()[-5:]
        assert [float(cell) for cell in row] == pytest.approx([*means, np.mean(means)], abs=0.006)


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", ["train/song 0"]),
        ("valid", ["valid/song 1"]),
        ("test", ["test/song 2", "test/song 3"]),
        ("all", ["test/song 2", "test/song 3", "train/song 0", "valid/song 1"]),
    ],
)
def test_a_split_is_chosen(split: str, expected: list[str], songs: Path, model: Path) -> None:
    result = stemsplit("evaluate", songs, "-m", model, "--split", split, "--json", "--device", "cpu")
    assert [report["track"] for report in result.reports] == expected


def test_songs_without_splits_are_all_scored(songs: Path, model: Path) -> None:
    result = stemsplit("evaluate", songs / "test", songs / "valid", "-m", model, "--json", "--device", "cpu")
    assert [report["track"] for report in result.reports] == ["song 2", "song 3", "song 1"]


def test_a_source_that_is_silent_has_no_score(model: Path) -> None:
    write_multitrack(Path("songs/one"), song(0) | {"bass": silence(2, 3 * RATE)}, RATE)
    del (stems := song(1) | {})["vocals"]
    write_multitrack(Path("songs/two"), stems, RATE)
    shared = ("evaluate", "songs", "-m", model, "--device", "cpu")
    one, two = stemsplit(*shared, "--json").reports
    for kind in KINDS:
        assert [source for source in SOURCES if one[kind][source] is None] == ["bass"]
        assert [source for source in SOURCES if two[kind][source] is None] == ["vocals"]
    assert "silent" in stemsplit(*shared).out


def test_the_mixture_that_is_there_is_what_is_separated(model: Path) -> None:
    """A master, say, that is not the sum of its stems."""
    write_multitrack(Path("songs/one"), song(0), RATE)
    mixture = halved(mixture_of(song(0)))
    write_sound(Path("songs/one/mixture.wav"), mixture, RATE, "FLOAT")
    report = stemsplit("evaluate", "songs", "-m", model, "--json", "--device", "cpu").report
    for source in SOURCES:
        assert report["mixture_sdr"][source] == pytest.approx(decibels(song(0)[source], mixture), abs=1e-3)


def test_nothing_is_written(songs: Path, model: Path, cache: Path) -> None:
    before = tree(songs), tree(model)
    assert stemsplit("evaluate", songs, "-m", model, "--device", "cpu", "-q").out != ""
    assert (tree(songs), tree(model)) == before
    assert list(Path().iterdir()) == []
    assert not cache.exists()


def test_a_song_that_cannot_be_read_fails_alone(songs: Path, model: Path) -> None:
    for number in range(3):
        write_multitrack(Path(f"songs/{number}"), song(number), RATE)
    Path("songs/1/bass.wav").write_bytes(b"garbage" * 99)
    result = stemsplit("evaluate", "songs", "-m", model, "--json", "--device", "cpu")
    assert result.code == 1
    assert [report["track"] for report in result.reports] == ["0", "2"]
    assert "bass.wav: is damaged" in result.err
    assert result.err.splitlines()[-1] == "error: 1 of 3 songs could not be evaluated."
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("words", "mentions"),
    [
        (("SONGS", "--split", "often"), ("--split", "'often'")),
        (("SONGS/train", "--split", "test"), ("no songs", "test")),
        (("empty",), ("no songs",)),
        (("SONGS", "--overlap", "1"), ("overlap",)),
        pytest.param(("nowhere",), ("nowhere",)),
        pytest.param(
            ("SONGS/train/song 0/bass.wav",),
            ("bass.wav",),
        ),
    ],
)
def test_slips_are_answered_in_a_sentence(
    words: tuple[str, ...], mentions: tuple[str, ...], songs: Path, model: Path
) -> None:
    Path("empty").mkdir()
    result = stemsplit("evaluate", *(word.replace("SONGS", str(songs)) for word in words), "-m", model)
    assert (result.code, result.out) == (2, "")
    assert_one_sentence(result, *mentions)


@pytest.mark.parametrize("words", [("nowhere",), ("songs", "--split", "often")])
def test_slips_are_found_before_the_model_is_loaded(words: tuple[str, ...], unloadable: Path) -> None:
    write_multitrack(Path("songs/one"), song(0), RATE)
    assert stemsplit("evaluate", *words, "-m", unloadable).code == 2


def test_a_stem_that_no_source_takes_is_part_of_the_mixture(tmp_path: Path) -> None:
    model = make_folder(tmp_path / "two", changes=TINY | {"sources": ["drums", "bass"]})
    write_multitrack(Path("songs/one"), song(0), RATE)
    without = stemsplit("evaluate", "songs", "-m", model, "--json").report
    write_multitrack(Path("songs/one"), song(0), RATE, mixture=True)
    given = stemsplit("evaluate", "songs", "-m", model, "--json").report
    for kind in ("sdr", "mixture_sdr", "gain_sdr"):
        assert without[kind] == pytest.approx(given[kind], abs=0.01)


def test_a_model_of_fewer_sources_can_be_scored(tmp_path: Path) -> None:
    model = make_folder(tmp_path / "two", changes=TINY | {"sources": ["drums", "bass"]})
    write_multitrack(Path("songs/one"), song(0), RATE)
    result = stemsplit("evaluate", "songs", "-m", model, "--json")
    assert "--rest" not in result.err
    assert list(result.report["sdr"]) == ["drums", "bass"]
