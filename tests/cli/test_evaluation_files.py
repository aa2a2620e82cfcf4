"""What `stemsplit evaluate` writes, and what it reads of other tools: JSON, CSV, pictures, excerpts, estimates."""

import csv
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import museval
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from cli.program import Result, assert_one_sentence, stemsplit
from cli.test_evaluate import DRAWING, PLAIN, TINY, decibels, evaluate, table_below, written
from multitracks import SOURCES, multitrack, write_multitrack
from signals import Block, noise
from standins import make_folder
from training_runs import RATE, contents, halved, mixture_of, song, write_songs

METRICS = ("sdr", "sir", "isr", "sar")
SHORT = multitrack(5, 3.0, RATE)
Table = dict[str, Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_folder(folder / "model", changes=TINY)
    make_folder(folder / "rhythm", changes=TINY | {"sources": ["drums", "bass"]})
    return folder


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_songs(tmp_path_factory.mktemp("data") / "songs", range(2))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_multitrack(tmp_path_factory.mktemp("data") / "short/song", SHORT, RATE).parent


@pytest.fixture(scope="module")
def degraded(models: Path, songs: Path) -> tuple[Path, Result]:
    """Two songs, as they are and degraded in two ways."""
    folder = songs.parent / "degraded"
    return folder, evaluate(songs, "-m", models / "model", "--degrade", "limiter,16k", "-o", folder)


@pytest.fixture(scope="module")
def judged(models: Path, short: Path) -> tuple[Path, Result]:
    """BSSEval too, which takes long: a song of three seconds, as it is and limited."""
    folder = short.parent / "judged"
    return folder, evaluate(short, "-m", models / "rhythm", "--bsseval", "--degrade", "limiter", "-o", folder)


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """No matplotlib, but for the folders above."""
    for name in DRAWING:
        monkeypatch.setitem(sys.modules, name, None)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def assert_told(table: Mapping[str, Mapping[str, float | str]], expected: Mapping[str, Mapping[str, float]]) -> None:
    """People see these numbers and no others."""
    assert {name: list(row) for name, row in table.items()} == {name: list(row) for name, row in expected.items()}
    assert all(row == pytest.approx(expected[name], abs=0.006) for name, row in table.items())


def test_scores_json_holds_means_of_its_songs(degraded: tuple[Path, Result]) -> None:
    table = written(degraded[0])
    assert (table["schema"], [method["name"] for method in table["methods"]]) == (1, ["model", *PLAIN])
    assert all((method["sources"], method["sample_rate"]) == (list(SOURCES), RATE) for method in table["methods"])
    groups = [(entry["method"], entry["degraded"]) for entry in table["utterance_sdr"]]
    ways = [(method, way) for way in ("limiter", "16k") for method in ("model", "ideal mask")]
    assert groups == [*((method, None) for method in ("model", *PLAIN)), *ways]
    for entry in table["utterance_sdr"]:
        own = [s for s in table["songs"] if (s["method"], s["degraded"]) == (entry["method"], entry["degraded"])]
        means = {source: np.mean([song["sdr"][source] for song in own]) for source in SOURCES}
        assert entry["songs"] == len(own) == 2
        assert entry["mean"] == pytest.approx({**means, "all": np.mean(list(means.values()))}, abs=1e-5)
    for entry in table["songs"]:
        assert {len(row) for key in ("sdr_by_second", "level_by_second") for row in entry[key].values()} == {3}
    assert (table["failures"], table["silent"], "bsseval" in table) == ([], {}, False)
    plain = {s["track"]: s["sdr"] for s in table["songs"] if (s["method"], s["degraded"]) == ("model", None)}
    for entry in table["worst"]["model"]:
        assert entry["sdr"] == pytest.approx(min(plain[entry["track"]].values()), abs=0.02), "of songs as they are"


def test_sdr_csv_has_a_row_for_each_song_method_and_source(degraded: tuple[Path, Result]) -> None:
    rows = rows_of(degraded[0] / "sdr.csv")
    assert list(rows[0]) == ["track", "degraded", "method", "kind", "source", "utterance_sdr_db"]
    told = {(r["track"], r["degraded"], r["method"], r["source"]): float(r["utterance_sdr_db"]) for r in rows}
    expected = {
        (entry["track"], entry["degraded"] or "", entry["method"], source): value
        for entry in written(degraded[0])["songs"]
        for source, value in entry["sdr"].items()
    }
    assert len(rows) == len(told) == 2 * (4 + 2 * 2) * 4, "floors of songs as they are only"
    assert told == expected
    assert not (degraded[0] / "bsseval.csv").exists()


def test_what_degradation_takes_is_the_difference_of_means(degraded: tuple[Path, Result]) -> None:
    table = written(degraded[0])
    means = {(entry["method"], entry["degraded"]): entry["mean"] for entry in table["utterance_sdr"]}
    pairs = {(entry["method"], entry["degraded"]) for entry in table["losses"]}
    assert pairs == {(method, way) for method in ("model", "ideal mask") for way in ("limiter", "16k")}
    for entry in table["losses"]:
        before, after = means[entry["method"], None], means[entry["method"], entry["degraded"]]
        assert entry["loss"] == pytest.approx({s: before[s] - after[s] for s in (*SOURCES, "all")}, abs=1e-5)
        is_changed = max(abs(value) for value in entry["loss"].values()) > 0.01
        assert is_changed == (entry["degraded"] == "limiter"), "songs of 8 kHz have nothing above 8 kHz to lose"
    expected = {f"{entry['method']}, {entry['degraded']}": entry["loss"] for entry in table["losses"]}
    assert_told(table_below("lost by degradation, utterance SDR in dB", degraded[1]), expected)


def test_bsseval_is_what_museval_gives(judged: tuple[Path, Result]) -> None:
    """Of the mixture, against the two sources and all that is left; songs are medians of frames."""
    mixture = mixture_of(SHORT).T
    true = np.stack([SHORT["drums"].T, SHORT["bass"].T, mixture - SHORT["drums"].T - SHORT["bass"].T])
    mixed = np.stack([mixture, mixture, -mixture])
    sdr, isr, sir, sar = museval.evaluate(true, mixed, win=RATE, hop=RATE, mode="v4")
    expected = {m: np.nanmedian(x, axis=1) for m, x in zip(METRICS, (sdr, sir, isr, sar), strict=True)}
    (entry,) = [s for s in written(judged[0])["songs"] if s["method"] == "mixture" and s["bsseval"]]
    for row, source in enumerate(("drums", "bass")):
        own = [entry["bsseval"][source][metric] for metric in ("sdr", "sir", "isr")]
        assert own == pytest.approx([expected[metric][row] for metric in ("sdr", "sir", "isr")], abs=1e-3)
        assert min(entry["bsseval"][source]["sar"], expected["sar"][row]) > 90, "nothing but rounding"


def test_bsseval_has_tables_of_its_own(judged: tuple[Path, Result]) -> None:
    folder = judged[0]
    table = written(folder)
    assert [entry["method"] for entry in table["bsseval"]] == ["rhythm", *PLAIN]
    assert all(set(entry["mean"]) == {"drums", "bass", "all"} for entry in table["utterance_sdr"])
    songs = {entry["method"]: entry for entry in table["songs"] if entry["degraded"] is None}
    for entry in table["bsseval"]:
        own = songs[entry["method"]]["bsseval"]
        for metric in METRICS:
            medians = {source: own[source][metric] for source in ("drums", "bass")}
            assert entry["median"][metric] == pytest.approx(
                {**medians, "all": np.mean(list(medians.values()))}, abs=1e-5
            )
    assert all(entry["bsseval"] is None for entry in table["songs"] if entry["degraded"]), "only of songs as they are"
    rows = rows_of(folder / "bsseval.csv")
    assert list(rows[0]) == ["track", "method", "kind", "source", *(f"bsseval_{metric}_db" for metric in METRICS)]
    told = {(row["method"], row["source"]): [float(row[f"bsseval_{metric}_db"]) for metric in METRICS] for row in rows}
    assert len(rows) == len(told) == 4 * 2
    for (method, source), cells in told.items():
        assert cells == pytest.approx([songs[method]["bsseval"][source][metric] for metric in METRICS], abs=1e-5)
    assert "bsseval" not in (folder / "sdr.csv").read_text()


def test_people_see_the_two_kinds_of_scores_apart(judged: tuple[Path, Result]) -> None:
    result = judged[1]
    mean_head, song_head = "mean of 1 song, utterance SDR in dB", "  BSSEval v4, median over 1 s frames"
    heads = {m: f"median of 1 song, BSSEval v4 {m.upper()} in dB (over 1 s frames, then over songs)" for m in METRICS}
    lost, worst = (f"{what}, utterance SDR in dB" for what in ("lost by degradation", "worst excerpts of rhythm"))
    told = [line for line in result.out.splitlines() if " in dB" in line or "BSSEval" in line]
    assert told == [song_head, mean_head, *heads.values(), lost, worst]
    table = written(judged[0])
    for metric, head in heads.items():
        expected = {entry["method"]: entry["median"][metric] for entry in table["bsseval"]}
        assert_told(table_below(head, result), expected)
    (own,) = (s["bsseval"] for s in table["songs"] if s["method"] == "rhythm" and s["bsseval"])
    expected = {f"rhythm {m.upper()}": {source: own[source][m] for source in ("drums", "bass")} for m in METRICS}
    assert_told(table_below(song_head, result), expected)


def test_a_request_without_bsseval_leaves_none_of_it(judged: tuple[Path, Result], short: Path, models: Path) -> None:
    """The files of a folder tell of the last request."""
    shutil.copytree(judged[0], "evaluated")
    assert evaluate(short, "-m", models / "rhythm").code == 0
    assert not Path("evaluated/bsseval.csv").exists()
    assert "bsseval" not in written()
    assert "limiter" not in Path("evaluated/sdr.csv").read_text()


def test_pictures_show_all_songs_and_the_course_of_each(degraded: tuple[Path, Result]) -> None:
    from matplotlib.image import imread

    along = [degraded[0] / "along" / f"song {n}.png" for n in range(2)]
    for path in (degraded[0] / "sdr.png", *along):
        picture = imread(path, format="png")
        assert all(least < side < 2000 for least, side in zip((400, 700), picture.shape, strict=False))
        assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 100, "it is not blank"
    assert along[0].read_bytes() != along[1].read_bytes()
    assert sorted((degraded[0] / "along").iterdir()) == along


@pytest.mark.parametrize("name", ["a $x_{$ b", "100% #1", "\N{CJK UNIFIED IDEOGRAPH-65E5}"])
def test_any_name_can_be_drawn(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in DRAWING:
        monkeypatch.delitem(sys.modules, module)
    for folder in ("songs", "own"):
        write_multitrack(Path(folder, name), SHORT, RATE)
    result = evaluate("songs", "--estimates", "own")
    assert (result.code, "error" in result.err) == (0, False)
    assert Path("evaluated/along", f"{name}.png").is_file()


def test_without_matplotlib_there_is_all_but_pictures(songs: Path, models: Path, degraded: tuple[Path, Result]) -> None:
    result = evaluate(songs, "-m", models / "model", "--degrade", "limiter", "--degrade", "16k")
    assert (result.code, result.out) == (0, degraded[1].out)
    warning = "warning: No pictures: they need matplotlib, which `pip install 'stemsplit[eval]'` brings."
    assert result.err.splitlines().count(warning) == 1
    files, expected = (contents(folder, but=".stemsplit") for folder in (Path("evaluated"), degraded[0]))
    assert files == {name: expected[name] for name in ("scores.json", "sdr.csv")}


def write_estimates(folder: Path, layout: str = "{}", seeds: range = range(2), level: float = 0.01) -> Path:
    """Stems as a tool might have separated them: with noise."""
    for seed in seeds:
        write_multitrack(folder / layout.format(f"song {seed}"), estimated(song(seed), level), RATE)
    return folder


def estimated(stems: Mapping[str, Block], level: float) -> dict[str, Block]:
    return {name: stem + noise(2, stem.shape[1], level, seed) for seed, (name, stem) in enumerate(stems.items())}


@pytest.mark.parametrize("layout", ["{}", "htdemucs/{}", "{}/mixture"])
def test_stems_of_any_tool_are_scored(layout: str, songs: Path) -> None:
    write_estimates(Path("separated"), layout)
    result = evaluate(songs, "--estimates", "separated", "--json")
    scores = {(report["track"], report["method"]): report["sdr"] for report in result.reports}
    assert [method["name"] for method in written()["methods"]] == ["separated", *PLAIN]
    for seed in range(2):
        expected = {s: decibels(song(seed)[s], estimate) for s, estimate in estimated(song(seed), 0.01).items()}
        assert scores[f"song {seed}", "separated"] == pytest.approx(expected, abs=1e-3)


def test_the_true_stems_are_nearly_perfect_and_stand_beside_a_model(songs: Path, models: Path) -> None:
    shutil.copytree(songs, "true stems")
    folders = ("--estimates", "true stems", "--estimates", write_estimates(Path("b/true stems")))
    result = evaluate(songs, "-m", models / "model", *folders, "--json")
    assert [method["name"] for method in written()["methods"]] == ["model", "true stems", "b/true stems", *PLAIN]
    assert min(sdr for e in result.reports if e["method"] == "true stems" for sdr in e["sdr"].values()) > 60


def test_vocals_and_no_vocals_are_scored(songs: Path) -> None:
    others = mixture_of(song(0)) - song(0)["vocals"]
    estimates = estimated({"vocals": song(0)["vocals"], "no_vocals": others}, 0.02)
    write_multitrack(Path("karaoke/song 0"), estimates, RATE)
    shutil.copytree(songs / "song 0", "songs/song 0")
    result = evaluate("songs", "--estimates", "karaoke", "--json")
    scores = {report["method"]: report["sdr"] for report in result.reports}
    for source, true in (("vocals", song(0)["vocals"]), ("no_vocals", others)):
        assert scores["karaoke"][source] == pytest.approx(decibels(true, estimates[source]), abs=1e-3)
        assert scores["mixture"][source] == pytest.approx(decibels(true, mixture_of(song(0))), abs=1e-3)


def test_songs_without_estimates_fail_alone(songs: Path) -> None:
    write_estimates(Path("separated"), seeds=range(1))
    result = evaluate(songs, "--estimates", "separated", "--json")
    failed, last = (line for line in result.err.splitlines() if line.startswith("error: "))
    assert_one_sentence(Result(1, "", failed), "song 1", "separated has no stems of this song")
    assert last == "error: 1 of 2 songs could not be evaluated."
    assert [(e["track"], e["method"]) for e in written()["failures"]] == [("song 1", "separated")]
    assert [e["songs"] for e in written()["utterance_sdr"]] == [1, 2, 2, 2]


def test_a_folder_of_estimates_has_a_name_of_its_own(songs: Path) -> None:
    write_estimates(Path("mixture"))
    result = evaluate(songs, "--estimates", "mixture", "--json")
    assert len({(report["track"], report["method"]) for report in result.reports}) == len(result.reports) == 8
    result = evaluate(songs, "--estimates", "mixture", "--estimates", "./mixture", "-o", "twice")
    assert result.code == 2
    assert_one_sentence(result, "twice")


def test_ten_excerpts_at_most_the_worst_first() -> None:
    songs = {f"song {n}": {s: noise(2, 20_000, 0.02, 20 * len(s) + n) for s in ("drums", "bass")} for n in range(12)}
    levels = dict(zip(songs, np.geomspace(0.001, 0.02, 12), strict=True))
    for name, stems in songs.items():
        write_multitrack(Path("songs", name), stems, RATE)
        write_multitrack(Path("separated", name), estimated(stems, levels[name]), RATE)
    assert evaluate("songs", "--estimates", "separated", "--listen", "listen").code == 0
    entries = excerpts()
    assert [entry["sdr"] for entry in entries] == sorted(entry["sdr"] for entry in entries)
    assert sorted(entry["track"] for entry in entries) == sorted(list(songs)[2:])
    assert {entry["seconds"] for entry in entries} == {2}, "whole seconds"
    for entry in entries:
        assert_excerpt(entry, songs[entry["track"]], estimated(songs[entry["track"]], levels[entry["track"]]))


def test_what_is_heard_is_what_the_model_would_write(models: Path) -> None:
    """In the middle of a song, and at its end."""
    stems = quiet(3, 14.3)
    write_multitrack(Path("songs/long"), stems, RATE, mixture=True)
    shared = ("-m", str(models / "model"), "--device", "cpu", "--precision", "fp32")
    written = stemsplit("songs/long/mixture.wav", *shared, "--bit-depth", "32f", "--clip", "none", "--json").report
    assert stemsplit("evaluate", "songs", *shared, "--listen", "listen").code == 0
    entries = excerpts()
    assert [entry["seconds"] for entry in entries] == [6, 6]
    assert max(entry["start"] for entry in entries) > 5
    for entry in entries:
        assert_excerpt(entry, stems, {s: soundfile.read(p)[0].T for s, p in written["outputs"].items()})


def test_a_second_run_replaces_its_own_excerpts_and_nothing_else(songs: Path) -> None:
    one, other = (write_estimates(Path(name), level=level) for name, level in (("one", 0.02), ("other", 0.03)))
    assert evaluate(songs, "--estimates", one, "--listen", "listen").code == 0
    earlier = [file for entry in excerpts() for file in entry["files"]]
    notes = ["note.txt", "note.wav", f"{Path(earlier[0]).parent}/note.txt"]
    for note in notes:
        Path("listen", note).write_text("mine")
    Path("precious.wav").write_text("mine")
    index = json.loads(Path("listen/excerpts.json").read_text())
    foreign = {**index["excerpts"][0], "files": ["../precious.wav", str(Path("precious.wav").resolve()), "note.txt"]}
    Path("listen/excerpts.json").write_text(json.dumps({**index, "excerpts": [*index["excerpts"], foreign]}))
    assert evaluate(songs, "--estimates", other, "--listen", "listen").code == 0
    own = [file for entry in excerpts() for file in entry["files"]]
    assert len(own) == len(earlier) == 2 * 9
    assert not set(own) & set(earlier)
    assert set(contents(Path("listen"))) == {*own, *notes, "excerpts.json"}
    assert {Path("listen", note).read_text() for note in notes} | {Path("precious.wav").read_text()} == {"mine"}


def quiet(seed: int, seconds: float) -> dict[str, Block]:
    """A song that can be written in 24 bit as it is, and so can what a model makes of it."""
    return {name: halved(halved(stem)) for name, stem in multitrack(seed, seconds, RATE).items()}


def excerpts() -> list[Table]:
    entries: list[Table] = json.loads(Path("listen/excerpts.json").read_text())["excerpts"]
    assert {file for entry in entries for file in entry["files"]} <= set(contents(Path("listen")))
    return entries


def assert_excerpt(entry: Table, stems: Mapping[str, Block], estimates: Mapping[str, NDArray[Any]]) -> None:
    """Mixture, true stems and estimates: exactly that part of the song, but for what 24 bit take away."""
    part = slice(entry["start"] * RATE, (entry["start"] + entry["seconds"]) * RATE)
    expected = {"mixture": mixture_of(stems), **{f"{s} (true)": stem for s, stem in stems.items()}, **estimates}
    files = {Path(file).stem: Path("listen", file) for file in entry["files"]}
    assert files.keys() == expected.keys()
    for name, path in files.items():
        np.testing.assert_allclose(soundfile.read(path)[0].T, expected[name][:, part], rtol=0, atol=2**-22)
    sdr = decibels(*(signals[entry["source"]][:, part] for signals in (stems, estimates)))
    assert entry["sdr"] == pytest.approx(sdr, abs=0.05)
