"""`stemsplit quality`: from folders of songs to a keep list, and what is told on the way."""

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from cli.program import PROGRAM, Result, assert_one_sentence, process, stemsplit, tracks_in
from cli.test_interruption import wait_for
from cli.test_progress import drawn
from cli.test_training_data import counts
from multitracks import SOURCES, write_multitrack
from signals import Block, silence
from standins import REDUCED, make_folder
from stemsplit.audio.assignment import SourceRules, assign
from stemsplit.audio.multitrack import find_multitracks
from stemsplit.separation.separator import Separator
from stemsplit.separation.statistics import Statistics
from stemsplit.training.keep_list import read_keep_list
from stemsplit.training.quality import quality_of
from training.test_quality import Oracle, stems
from training_runs import RATE, song, train, tree, write_songs

TINY = REDUCED | {"samplerate": RATE, "bottom_channels": 0, "t_layers": 0}
SHARED = ("--device", "cpu", "--precision", "fp32")
RESULTS = Path("judged/.stemsplit/quality")
Judge = Callable[..., Result]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("models") / "model", changes=TINY)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs to train with, one that validates, one for the test."""
    folder = tmp_path_factory.mktemp("data") / "songs"
    for number, split in enumerate(("train", "train", "valid", "test")):
        write_multitrack(folder / split / f"song {number}", song(number), RATE)
    return folder


@pytest.fixture
def judge(model: Path) -> Judge:
    """`stemsplit quality -m MODEL ...`; everything goes to ./quality."""
    return partial(stemsplit, "quality", "-m", model, *SHARED)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The model separates perfectly; in the list, how many frames each stem had that it was given."""
    frames: list[int] = []

    def stream(self: Separator, blocks: Iterable[Block], statistics: Statistics) -> Iterator[dict[str, Block]]:
        frames.append(statistics.frames)
        return Oracle().stream(blocks, statistics)

    monkeypatch.setattr(Separator, "stream", stream)
    return frames


@pytest.fixture
def data(asked: list[int]) -> Path:
    """A song with nothing wrong, one with two stems that have changed places, one that nobody sings in."""
    right = stems(2)
    write_multitrack(Path("data/good"), right, RATE)
    write_multitrack(Path("data/swapped"), right | {"drums": right["bass"], "bass": right["drums"]}, RATE)
    write_multitrack(Path("data/unsung"), right | {"vocals": silence(2, 2 * RATE)}, RATE)
    return Path("data")


def results() -> dict[str, int]:
    """When each song was judged, by the name of its file."""
    return {path.name: path.stat().st_mtime_ns for path in RESULTS.glob("*.json") if path.stem != "keep.txt"}


def comments() -> list[str]:
    return [line for line in Path("judged/keep.txt").read_text().splitlines() if line.startswith("# ")]


# What comes out


def test_every_song_is_an_object_with_what_the_model_hears_in_each_stem(songs: Path, model: Path, judge: Judge) -> None:
    result = judge(songs, "--json")
    assert result.code == 0
    assert [report["track"] for report in result.reports] == ["train/song 0", "train/song 1"]
    separator = Separator.load(str(model), device="cpu", precision="fp32")
    tracks = [assign(track, SourceRules(SOURCES)) for track in find_multitracks(songs) if track.split == "train"]
    for report, track in zip(result.reports, tracks, strict=True):
        assert report == json.loads(json.dumps(quality_of(separator, track).to_json()))
        assert (report["schema"], report["sources"], report["kept"]) == (1, list(SOURCES), not report["reasons"])


def test_people_get_a_table_for_each_song(data: Path, judge: Judge) -> None:
    result = judge(data)
    verdicts = [line for line in result.out.splitlines() if line.endswith((": kept", ": rejected"))]
    assert verdicts == ["good: kept", "swapped: rejected", "unsung: kept"]
    good, swapped, unsung = result.out.split("stem      heard as")[1:]
    names, *rows = [line.split() for line in good.splitlines()[:5]]
    assert names == [*SOURCES]
    for i, row in enumerate(rows):
        assert row == [SOURCES[i], *" ".join("100 %" if j == i else "0 %" for j in range(4)).split()]
    assert [line.split()[1:4:2] for line in swapped.splitlines()[1:3]] == [["0", "100"], ["100", "0"]]
    assert unsung.splitlines()[4].split(maxsplit=1) == ["vocals", "is never heard"]
    assert "  drums is heard as bass in 100% of its seconds" in result.out.splitlines()
    assert result.err.splitlines()[-1] == "2 of 3 songs are kept: stemsplit train ... --keep judged/keep.txt"


def test_the_folder_holds_all_matrices_and_a_keep_list_that_train_takes(data: Path, judge: Judge) -> None:
    reports = judge(data, "--json").reports
    assert tracks_in(Path("judged")) == {"keep.txt", "quality.csv", "quality.json"}
    assert read_keep_list(Path("judged/keep.txt")) == {"good", "unsung"}
    assert counts(train(data, "--check", "--keep", "judged/keep.txt")) == {"train": 1, "valid": 1, "test": 0}
    first, rejected = comments()
    assert first.startswith("# 2 of 3 songs")
    assert rejected == f"# rejected: swapped: {'; '.join(reports[1]['reasons'])}"
    assert json.loads(Path("judged/quality.json").read_text()) == reports
    with Path("judged/quality.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["track"], row["stem"]) for row in table] == [
        (report["track"], source) for report in reports for source in SOURCES
    ]
    for row, (kept, shares) in zip(table, ((r["kept"], row) for r in reports for row in r["matrix"]), strict=True):
        assert row["kept"] == ("yes" if kept else "no")
        cells = [row[f"as_{source}_percent"] for source in SOURCES]
        assert cells == ([""] * 4 if shares is None else [f"{100 * share:.2f}" for share in shares])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["train/song 0", "train/song 1"]),
        (["--split", "valid"], ["valid/song 2"]),
        (["--split", "test"], ["test/song 3"]),
        (["--split", "all"], ["test/song 3", "train/song 0", "train/song 1", "valid/song 2"]),
    ],
)
def test_songs_for_validation_and_test_are_not_judged_unless_asked_for(
    words: list[str], expected: list[str], songs: Path, judge: Judge, asked: list[int]
) -> None:
    assert [report["track"] for report in judge(songs, "--json", *words).reports] == expected
    assert comments()[0].split()[1:4] == ["0", "of", str(len(expected))]


def test_nothing_is_written_but_to_the_folder_for_it(songs: Path, model: Path, judge: Judge, cache: Path) -> None:
    before = tree(songs), tree(model)
    assert judge(songs, "-o", "deep/out").code == 0
    assert before == (tree(songs), tree(model))
    assert [path.name for path in Path().iterdir()] == ["deep"]
    assert not cache.exists()


# Going on


def test_only_songs_that_are_new_are_judged(data: Path, judge: Judge, asked: list[int]) -> None:
    first = judge(data, "--json")
    before = results()
    assert (len(before), len(asked)) == (3, 11)
    again = judge(data, "--json", "-q")
    assert (again.reports, results(), len(asked)) == (first.reports, before, 11)
    write_multitrack(data / "swapped", stems(2), RATE)  # as long as before
    changed = judge(data, "--json")
    assert asked[11:] == [2 * RATE] * 4
    assert [report["kept"] for report in changed.reports] == [True, True, True]
    told = json.loads(Path("judged/quality.json").read_text())
    assert [entry["track"] for entry in told] == ["good", "swapped", "unsung"]
    assert results().items() > before.items()
    assert read_keep_list(Path("judged/keep.txt")) == {"good", "swapped", "unsung"}


def test_another_model_judges_anew(data: Path, judge: Judge, asked: list[int], tmp_path: Path) -> None:
    assert judge(data).code == 0
    other = make_folder(tmp_path / "model", changes=TINY | {"channels": 16})
    assert judge(data, "-m", other).code == 0
    assert (len(asked), len(results())) == (22, 6), "a silent stem is given to no model"


def test_the_same_command_again_says_the_same(data: Path, judge: Judge) -> None:
    assert judge(data) == judge(data)


def test_songs_of_the_same_sizes_and_times_are_told_apart(data: Path, judge: Judge) -> None:
    """As they come from an archive in which all files have one time."""
    for path in data.rglob("*.wav"):
        os.utime(path, ns=(0, 0))
    first = judge(data, "--json").reports
    assert judge(data, "--json").reports == first


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '{"track": 1, "sources": 2, "matrix": 3}'])
def test_what_is_known_may_be_damaged(content: str, data: Path, judge: Judge) -> None:
    first = judge(data, "--json").reports
    for name in results():
        (RESULTS / name).write_text(content)
    again = judge(data, "--json")
    assert (again.code, again.reports) == (0, first)


def test_killed_it_goes_on_where_it_was(tmp_path: Path, model: Path, judge: Judge) -> None:
    data = write_songs(tmp_path / "data", range(8))
    words = (*PROGRAM, "quality", data, "-m", model, *SHARED, "-q")
    killed = subprocess.Popen(words, stdout=subprocess.DEVNULL, text=True)
    try:
        wait_for(lambda: bool(results()), killed)
    finally:
        killed.kill()
        killed.wait()
    before = results()
    assert (len(before) < 8, Path("judged/keep.txt").exists()) == (True, False)
    assert len(judge(data, "--json").reports) == len(results()) == 8
    assert results().items() > before.items()


def test_several_processes_judge_alike_and_leave_in_silence(songs: Path, model: Path, judge: Judge) -> None:
    assert judge(songs, "-o", "one").code == 0
    result = process("quality", songs, "-m", model, *SHARED, "-q", "--jobs", "2", "-o", "two")
    assert result.code == 0
    for name in ("keep.txt", "quality.csv", "quality.json"):
        assert Path("two", name).read_bytes() == Path("one", name).read_bytes()
    assert result.err == ""


# What goes wrong


def test_a_song_that_cannot_be_read_fails_alone(data: Path, judge: Judge) -> None:
    (data / "good/bass.wav").write_bytes(b"garbage" * 99)
    result = judge(data, "--json")
    assert result.code == 1
    assert [report["track"] for report in result.reports] == ["swapped", "unsung"]
    failure, total = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert failure.startswith("error: good: data/good/bass.wav: is damaged")
    assert total == "error: 1 of 3 songs could not be judged."
    assert read_keep_list(Path("judged/keep.txt")) == {"unsung"}
    assert comments()[-1] == f"# not judged: {failure.removeprefix('error: ')}"


@pytest.mark.parametrize(
    ("words", "mentions"),
    [
        (("nowhere",), ("nowhere", "no such folder")),
        (("data/good/bass.wav",), ("bass.wav", "is no folder")),
        (("data", "-o", "data/new/quality"), ("data/new/quality", "nothing is written", "-o")),
        (("data", "--split", "often"), ("--split", "'often'")),
        (("data", "--split", "valid"), ("no songs", "valid", "3 in all")),
        (("empty",), ("no songs",)),
        (("data", "data"), ("two of the folders",)),
        (("data", "more"), ("Two songs are called good",)),
        (("data", "--rest", "kazoo"), ("--rest", "'kazoo'")),
        (("data", "-o", "mine"), ("mine", "keep.txt", "another origin", "-o")),
    ],
)
def test_slips_are_answered_in_a_sentence(
    words: tuple[str, ...], mentions: tuple[str, ...], data: Path, judge: Judge
) -> None:
    for folder in ("empty", "mine"):
        Path(folder).mkdir()
    Path("mine/keep.txt").write_text("to buy: eggs")
    shutil.copytree(data / "good", "more/good")
    before = {name: data for name, (data, _) in tree(Path()).items()}
    result = judge(*words)
    assert (result.code, result.out) == (2, "")
    assert_one_sentence(result, *mentions)
    assert {name: data for name, (data, _) in tree(Path()).items()} == before


def test_slips_are_found_before_the_model_is_loaded(data: Path, unloadable: Path) -> None:
    for words in (["nowhere"], ["data", "--split", "often"], ["data", "--split", "valid"]):
        assert stemsplit("quality", *words, "-m", unloadable).code == 2


def test_one_process_at_a_time_writes_to_a_folder(data: Path, judge: Judge) -> None:
    RESULTS.mkdir(parents=True)
    with FileLock(RESULTS / "lock"):
        result = judge(data)
    assert (result.code, "another stemsplit is writing to it" in result.err) == (2, True)


def test_names_that_are_no_text_are_names_too(data: Path, judge: Judge) -> None:
    name = os.fsdecode(b"caf\xe9\x1b[2J")
    (data / "good").rename(data / name)
    assert [report["track"] for report in judge(data, "--json").reports] == [name, "swapped", "unsung"]
    result = judge(data)
    assert (result.code, result.out.count("kept"), result.out.count("\x1b")) == (0, 2, 0)
    assert read_keep_list(Path("judged/keep.txt")) == {name, "unsung"}


# The keep list that is there already


def test_a_keep_list_that_was_changed_is_kept_beside_the_new_one(data: Path, judge: Judge) -> None:
    assert judge(data).code == 0
    path = Path("judged/keep.txt")
    own = path.read_bytes()
    write_multitrack(data / "third", stems(1), RATE)
    assert "warning" not in judge(data).err
    new = path.read_bytes()
    assert new != own, "replaced without a word"
    path.write_text("good\nswapped\n")
    result = judge(data)
    assert "warning: judged/keep.txt: is not as it was written" in result.err
    assert "judged/keep (changed).txt" in result.err
    assert Path("judged/keep (changed).txt").read_text() == "good\nswapped\n"
    assert path.read_bytes() == new
    assert "warning" not in judge(data).err
    assert sorted(path.name for path in Path("judged").glob("*.txt")) == ["keep (changed).txt", "keep.txt"]


def test_a_keep_list_that_was_there_before_is_kept_too(data: Path, judge: Judge) -> None:
    """Beside the results of an earlier run that was stopped, or of `stemsplit evaluate`."""
    RESULTS.mkdir(parents=True)
    Path("judged/keep.txt").write_text("mine\n")
    assert judge(data).code in (0, 2)
    assert "mine\n" in [path.read_text() for path in Path("judged").glob("keep*.txt")]


# Colours


@pytest.mark.parametrize(("variables", "is_coloured"), [({"FORCE_COLOR": "1"}, True), ({}, False)])
def test_colours_are_for_terminals(
    variables: dict[str, str], is_coloured: bool, data: Path, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ({"TERM": "xterm"} | variables).items():
        monkeypatch.setenv(name, value)
    out = judge(data).out
    assert ("\x1b[32mkept" in out, "\x1b[31mrejected" in out, "\x1b" in out) == (is_coloured,) * 3
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in judge(data).out


def test_a_terminal_shows_them(songs: Path, model: Path, here: Path) -> None:
    assert "train/song 0: \x1b[31mrejected" in drawn(here, "quality", songs, "-m", model, *SHARED)
