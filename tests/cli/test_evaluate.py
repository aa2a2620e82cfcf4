"""`stemsplit evaluate`: scores by song, method and source, as objects or tables, and what it refuses to do."""

import json
import math
import re
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cli.program import Result, assert_one_sentence, stemsplit
from multitracks import SOURCES, write_multitrack
from signals import Block, silence, write_sound
from standins import REDUCED, make_folder
from training_runs import RATE, halved, mixture_of, song, temporaries, tree, write_songs

TINY = REDUCED | {"samplerate": RATE, "bottom_channels": 0, "t_layers": 0}
PLAIN = ("ideal mask", "best gain", "mixture")
METHODS = ("model", *PLAIN)
DRAWING = ("matplotlib.figure", "matplotlib.backends.backend_agg")
Scores = dict[str, float | None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nothing is to be kept; and no matplotlib, whose pictures take longer than the scores."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in DRAWING:
        monkeypatch.setitem(sys.modules, name, None)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models of other names, sources and rates."""
    folder = tmp_path_factory.mktemp("models")
    make_folder(folder / "model", changes=TINY)
    make_folder(folder / "rhythm", changes=TINY | {"sources": ["drums", "bass"]})
    make_folder(folder / "karaoke", changes=TINY | {"sources": ["vocals", "other"]})
    make_folder(folder / "fast", changes=TINY | {"samplerate": 2 * RATE})
    return folder


@pytest.fixture
def model(models: Path) -> Path:
    return models / "model"


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One song to train with, one that validates, two for the test."""
    folder = tmp_path_factory.mktemp("data") / "songs"
    for number, split in enumerate(("train", "valid", "test", "test")):
        write_multitrack(folder / split / f"song {number}", song(number), RATE)
    return folder


def evaluate(*words: str | Path) -> Result:
    return stemsplit("evaluate", "--device", "cpu", "--precision", "fp32", *words)


def decibels(reference: Block, estimate: Block) -> float:
    """Utterance SDR."""
    error = np.square(reference.astype(float) - estimate).sum()
    return 10 * math.log10(np.square(reference.astype(float)).sum() / error)


def by_method(result: Result) -> dict[str, Scores]:
    """Of one song."""
    assert len({report["track"] for report in result.reports}) == 1
    return {report["method"]: report["sdr"] for report in result.reports}


def tracks(result: Result) -> list[str]:
    return list(dict.fromkeys(report["track"] for report in result.reports))


def written(folder: Path | str = "evaluated") -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(folder, "scores.json").read_text(), parse_constant=pytest.fail)
    return table


def table_below(head: str, result: Result) -> dict[str, dict[str, float | str]]:
    """What people see below a line: cells by row and column."""
    lines = result.out.splitlines()
    table = takewhile(lambda line: line.startswith("  "), lines[lines.index(head) + 1 :])
    columns, *rows = [re.split(" {2,}", line.strip()) for line in table]
    cells = {name: [float(cell) if cell[-1].isdigit() else cell for cell in row] for name, *row in rows}
    return {name: dict(zip(columns, row, strict=True)) for name, row in cells.items()}


def test_every_song_and_method_is_an_object_with_scores_by_source(songs: Path, model: Path) -> None:
    result = evaluate(songs, "-m", model, "--json")
    assert result.code == 0
    pairs = [(report["track"], report["method"]) for report in result.reports]
    assert pairs == [(name, method) for name in ("test/song 2", "test/song 3") for method in METHODS]
    kinds = {report["method"]: report["kind"] for report in result.reports}
    assert kinds == dict(zip(METHODS, ("model", "ceiling", "floor", "floor"), strict=True))
    for report in result.reports:
        told = [report[name] for name in ("schema", "seconds", "sample_rate", "degraded", "bsseval")]
        assert told == [1, 3.0, RATE, None, None]
        assert list(report["sdr"]) == list(SOURCES)
        assert all(isinstance(value, float) for value in report["sdr"].values())
    assert evaluate(songs, "-m", model, "--json").out == result.out, "what is known is told as it was"


def test_beside_the_model_stand_the_mixture_its_best_gain_and_the_ideal_mask(songs: Path, model: Path) -> None:
    scores = by_method(evaluate(songs, "-m", model, "--json", "--split", "train"))
    stems = song(0)
    mixture = np.sum(list(stems.values()), axis=0, dtype=float)
    for source in SOURCES:
        gain = float((stems[source] * mixture).sum() / np.square(mixture).sum())
        best = decibels(stems[source], gain * mixture)
        assert scores["mixture"][source] == pytest.approx(decibels(stems[source], mixture), abs=1e-3)
        assert scores["best gain"][source] == pytest.approx(best, abs=1e-3)
        assert (scores["ideal mask"][source] or 0) > best + 3


def test_the_model_is_scored_on_what_it_would_write(songs: Path, model: Path) -> None:
    """The files of `stemsplit separate`, held against the stems."""
    write_sound(Path("song.wav"), mixture_of(song(0)), RATE, "FLOAT")
    shared = ("-m", str(model), "--device", "cpu", "--precision", "fp32")
    outputs = stemsplit("song.wav", *shared, "--bit-depth", "32f", "--clip", "none", "--json").report["outputs"]
    scores = by_method(evaluate(songs, "-m", model, "--json", "--split", "train"))["model"]
    for source in SOURCES:
        estimate = soundfile.read(outputs[source], dtype="float32")[0].T
        assert scores[source] == pytest.approx(decibels(song(0)[source], estimate), abs=0.01)


def test_people_get_a_table_for_each_song_and_means(songs: Path, model: Path) -> None:
    result = evaluate(songs, "-m", model)
    assert result.code == 0
    reports = evaluate(songs, "-m", model, "--json").reports
    for name in ("test/song 2", "test/song 3"):
        own = {report["method"]: report["sdr"] for report in reports if report["track"] == name}
        table = table_below(name, result)
        assert [*table, *table["model"]] == [*METHODS, *SOURCES]
        assert all(table[method] == pytest.approx(own[method], abs=0.006) for method in METHODS)
    table = table_below("mean of 2 songs, utterance SDR in dB", result)
    assert [*table, *table["model"]] == [*METHODS, *SOURCES, "all"]
    for method, cells in table.items():
        scored = [report["sdr"] for report in reports if report["method"] == method]
        means = [np.mean([scores[source] for scores in scored]) for source in SOURCES]
        assert list(cells.values()) == pytest.approx([*means, np.mean(means)], abs=0.006)


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("auto", ["test/song 2", "test/song 3"]),
        ("train", ["train/song 0"]),
        ("valid", ["valid/song 1"]),
        ("test", ["test/song 2", "test/song 3"]),
        ("all", ["test/song 2", "test/song 3", "train/song 0", "valid/song 1"]),
    ],
)
def test_a_split_is_chosen(split: str, expected: list[str], songs: Path, model: Path) -> None:
    result = evaluate(songs, "-m", model, "--split", split, "--json")
    assert tracks(result) == expected
    assert "All songs are scored" not in result.err


def test_songs_without_splits_are_all_scored(songs: Path, model: Path) -> None:
    result = evaluate(songs / "test", songs / "valid", "-m", model, "--json")
    assert tracks(result) == ["song 2", "song 3", "song 1"]
    assert "warning: All songs are scored." in result.err


def test_songs_of_one_name_are_told_apart_by_their_folders(model: Path) -> None:
    for number, folder in enumerate(("here", "there")):
        write_multitrack(Path(folder, "song"), song(number), RATE)
    result = evaluate("here", "there", "-m", model, "--json")
    assert [name.split("/")[-2:] for name in tracks(result)] == [["here", "song"], ["there", "song"]]
    assert len(written()["songs"]) == 2 * len(METHODS)


def test_a_source_that_is_silent_has_no_score_and_is_counted(model: Path) -> None:
    for number, folder in enumerate(("one", "two")):
        write_multitrack(Path("songs", folder), song(number) | {"bass": silence(2, 3 * RATE)}, RATE)
    Path("songs/two/vocals.wav").unlink()
    result = evaluate("songs", "-m", model, "--json")
    assert len(result.reports) == 2 * len(METHODS)
    for report in result.reports:
        absent = ["bass"] if report["track"] == "one" else ["bass", "vocals"]
        assert [source for source in SOURCES if report["sdr"][source] is None] == absent
    assert written()["silent"] == {"bass": 2, "vocals": 1}
    assert all(entry["mean"]["bass"] is None for entry in written()["utterance_sdr"])
    people = evaluate("songs", "-m", model)
    assert "not scored, since silent: bass in 2 songs, vocals in 1 song" in people.out.splitlines()
    table = table_below("mean of 2 songs, utterance SDR in dB", people)["model"]
    assert [source for source, cell in table.items() if cell == "silent"] == ["bass"]


def test_the_mixture_that_is_there_is_what_is_separated(model: Path) -> None:
    """A master, say, that is not the sum of its stems."""
    write_multitrack(Path("songs/one"), song(0), RATE)
    mixture = halved(mixture_of(song(0)))
    write_sound(Path("songs/one/mixture.wav"), mixture, RATE, "FLOAT")
    scores = by_method(evaluate("songs", "-m", model, "--json"))
    for source in SOURCES:
        assert scores["mixture"][source] == pytest.approx(decibels(song(0)[source], mixture), abs=1e-3)


def test_only_the_output_folder_is_written(
    songs: Path, model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in DRAWING:
        monkeypatch.delitem(sys.modules, name)
    before = tree(songs), tree(model)
    result = evaluate(songs, "-m", model, "-q", "-o", "new/scores")
    assert (result.code, result.err) == (0, "")
    assert "mean of 2 songs" in result.out, "which was asked for, and is no talk"
    assert (tree(songs), tree(model)) == before
    assert [*Path().iterdir(), *Path("new").iterdir()] == [Path("new"), Path("new/scores")]
    found = {path.name for path in Path("new/scores").iterdir()}
    assert found == {".stemsplit", "scores.json", "sdr.csv", "sdr.png", "along"}
    assert [name for name in temporaries(Path("new")) if "/.stemsplit/" not in f"/{name}/"] == []
    kept = cache.iterdir() if cache.exists() else ()
    assert {path.name for path in kept} <= {"matplotlib"}, "which keeps a list of fonts"


def test_a_song_that_cannot_be_read_fails_alone(model: Path) -> None:
    write_songs(Path("songs"), range(3))
    Path("songs/song 1/bass.wav").write_bytes(b"garbage" * 99)
    result = evaluate("songs", "-m", model, "--json")
    assert result.code == 1
    assert [(e["track"], e["method"]) for e in result.reports] == [(f"song {n}", m) for n in (0, 2) for m in METHODS]
    lines = result.err.splitlines()
    assert lines[-1] == "error: 1 of 3 songs could not be evaluated."
    assert any(line.startswith("error: song 1") and "bass.wav: is damaged" in line for line in lines)
    failures = [(e["track"], e["method"], "bass.wav: is damaged" in e["error"]) for e in written()["failures"]]
    assert failures == [("song 1", method, True) for method in METHODS]
    write_songs(Path("songs"), [1])
    assert evaluate("songs", "-m", model, "--json").code == 0, "it has been mended"
    assert written()["failures"] == []


def test_a_song_without_any_of_the_sources_fails_alone(models: Path) -> None:
    write_multitrack(Path("songs/one"), song(0), RATE)
    write_multitrack(Path("songs/two"), {"vocals": song(1)["vocals"], "other": song(1)["other"]}, RATE)
    result = evaluate("songs", "-m", models / "rhythm", "--json")
    assert (result.code, tracks(result)) == (1, ["one"])
    assert any("two" in line and "drums, bass" in line for line in result.err.splitlines())


SLIPS = [
    (("SONGS", "--split", "often"), ("--split", "'often'")),
    (("SONGS/train", "--split", "test"), ("no songs", "test")),
    (("empty",), ("no songs",)),
    (("nowhere",), ("nowhere",)),
    (("SONGS/train/song 0/bass.wav",), ("bass.wav", "no folder")),
    (("SONGS", "SONGS/test"), ("two of the folders",)),
    (("SONGS", "--degrade", "vinyl"), ("--degrade", "'vinyl'", "limiter, mp3, 16k")),
    (("SONGS", "--degrade", "limiter", "--estimates", "empty"), ("--degrade",)),
    (("SONGS", "--estimates", "nowhere"), ("nowhere",)),
    (("SONGS", "-o", "SONGS/scores"), ("nothing is written", "-o")),
    (("SONGS", "-o", "SONGS"), ("nothing is written", "-o")),
    (("SONGS/test", "--estimates", "SONGS/train", "-o", "SONGS/train"), ("nothing is written", "-o")),
    (("SONGS", "--listen", "SONGS/listen"), ("nothing is written", "listen")),
    (("SONGS", "--listen", "full"), ("--listen full", "holds something else")),
    (("SONGS", "-m", "MODEL"), ("model is named twice",)),
    (("SONGS", "--overlap", "1"), ("overlap",)),
    (("SONGS", "--device", "tpu"), ("--device", "'tpu'")),
]


@pytest.mark.parametrize(("words", "mentions"), SLIPS)
def test_slips_are_answered_in_a_sentence_before_the_model_is_loaded(
    words: tuple[str, ...], mentions: tuple[str, ...], songs: Path, unloadable: Path
) -> None:
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full/precious.txt").write_text("precious")
    before = tree(songs), tree(Path())
    places = {"SONGS": str(songs), "MODEL": str(unloadable)}
    given = (re.sub("SONGS|MODEL", lambda found: places[found[0]], word) for word in words)
    result = evaluate(*given, "-m", unloadable)
    assert (result.code, result.out) == (2, "")
    assert_one_sentence(result, *mentions)
    assert (tree(songs), tree(Path())) == before


@pytest.mark.parametrize("name", ["scores.json", "sdr.csv", "bsseval.csv", "sdr.png"])
def test_a_file_of_another_origin_is_not_replaced(name: str, songs: Path, unloadable: Path) -> None:
    Path("evaluated").mkdir()
    Path("evaluated", name).write_text("precious")
    result = evaluate(songs, "-m", unloadable)
    assert (result.code, result.out) == (2, "")
    assert_one_sentence(result, name, "another origin", "-o")
    assert [path.read_text() for path in Path("evaluated").iterdir()] == ["precious"]


def test_models_of_other_sources_have_floors_of_their_own(songs: Path, models: Path) -> None:
    result = evaluate(songs, "-m", models / "model", "-m", models / "karaoke", "--json", "--split", "train")
    assert "warning: These do not separate the same sources" in result.err
    scores = by_method(result)
    four, two = (f" of {', '.join(sources)} at {RATE} Hz" for sources in (SOURCES, ("vocals", "other")))
    assert list(scores) == ["model", "karaoke", *(plain + which for which in (four, two) for plain in PLAIN)]
    mixture = mixture_of(song(0))
    rest = mixture - song(0)["vocals"]
    assert list(scores["karaoke"]) == ["vocals", "other"]
    assert scores["mixture" + two]["other"] == pytest.approx(decibels(rest, mixture), abs=1e-3)
    assert scores["mixture" + four]["other"] == pytest.approx(decibels(song(0)["other"], mixture), abs=1e-3)
    alone = by_method(evaluate(songs, "-m", models / "karaoke", "--json", "--split", "train"))
    assert alone == {"karaoke": scores["karaoke"], **{plain: scores[plain + two] for plain in PLAIN}}
    people = evaluate(songs, "-m", models / "model", "-m", models / "karaoke", "--split", "train")
    table = table_below("train/song 0", people)["karaoke"]
    assert [source for source, cell in table.items() if cell == "-"] == ["drums", "bass"]


def test_models_of_other_rates_are_told_not_to_compare(songs: Path, models: Path) -> None:
    result = evaluate(songs, "-m", models / "model", "-m", models / "fast", "--json", "--split", "train")
    assert "warning: These models have different sample rates" in result.err
    assert {report["sample_rate"] for report in result.reports if report["method"] == "fast"} == {2 * RATE}


@pytest.mark.parametrize(("rest", "source"), [("auto", "other"), ("bass", "bass")])
def test_stems_of_other_names_go_where_rest_says(rest: str, source: str, model: Path) -> None:
    """They are part of the mixture in any case."""
    stems = song(0) | {"keys": halved(song(1)["other"])}
    write_multitrack(Path("songs/one"), stems, RATE)
    scores = by_method(evaluate("songs", "-m", model, "--json", "--rest", rest))["mixture"]
    for name in SOURCES:
        true = stems[name] + stems["keys"] if name == source else stems[name]
        assert scores[name] == pytest.approx(decibels(true, mixture_of(stems)), abs=1e-3)
    assert_one_sentence(evaluate("songs", "-m", model, "--rest", "drum"), "--rest", "'drum'")


def test_stems_of_other_names_are_refused_if_told_so(model: Path) -> None:
    write_multitrack(Path("songs/one"), song(0) | {"keys": halved(song(1)["other"])}, RATE)
    result = evaluate("songs", "-m", model, "--rest", "refuse")
    assert (result.code, result.out) == (1, "")
    assert "error: one, model: keys is none of drums, bass, other, vocals, and --rest is refuse." in result.err


def test_what_a_model_does_not_separate_is_part_of_the_mixture(models: Path) -> None:
    write_multitrack(Path("songs/one"), song(0), RATE)
    without = by_method(evaluate("songs", "-m", models / "rhythm", "--json"))
    assert list(without) == ["rhythm", *PLAIN]
    assert list(without["rhythm"]) == ["drums", "bass"]
    write_multitrack(Path("songs/one"), song(0), RATE, mixture=True)
    given = by_method(evaluate("songs", "-m", models / "rhythm", "--json"))
    assert all(scores == pytest.approx(given[method], abs=0.01) for method, scores in without.items())
    for source, floor in without["best gain"].items():
        assert (without["ideal mask"][source] or 0) > (floor or 0), "the mask leaves the others out too"
