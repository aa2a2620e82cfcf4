"""`stemsplit evaluate` killed, stopped and gone on: nothing is done twice, and scores are those of a quiet run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from cli.program import PROGRAM, SECONDS, Result, assert_one_sentence, process
from cli.test_evaluate import DRAWING, METHODS, PLAIN, TINY, evaluate, written
from multitracks import SOURCES, multitrack, write_multitrack
from signals import write_sound
from standins import make_folder
from training_runs import RATE, contents, song, temporaries, write_songs

SONGS = 20
ALL = SONGS * len(METHODS)
OPTIONS = ("--device", "cpu", "--precision", "fp32")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_folder(folder / "model", changes=TINY)
    make_folder(folder / "second/model", members=2, changes=TINY)
    return folder


@pytest.fixture
def model(models: Path) -> Path:
    return models / "model"


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "songs"
    for number in range(SONGS):
        write_multitrack(folder / f"song {number:02}", multitrack(number, 1.0, RATE), RATE)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path for Python on which there is no matplotlib: its pictures take longer than all the scores."""
    folder = tmp_path_factory.mktemp("without pictures")
    (folder / "matplotlib.py").write_text("raise ImportError('none here')")
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(autouse=True)
def without_pictures(plain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, and in the processes that are started."""
    monkeypatch.setenv("PYTHONPATH", plain)
    for name in DRAWING:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture(scope="module")
def undisturbed(songs: Path, models: Path, plain: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Output folders of runs in processes of their own, by --jobs."""
    folders = {jobs: tmp_path_factory.mktemp("undisturbed") / jobs for jobs in ("1", "2")}
    for jobs, folder in folders.items():
        words = ["evaluate", str(songs), "-m", str(models / "model"), *OPTIONS, "--jobs", jobs, "-o", str(folder)]
        assert process(*words, env={"PYTHONPATH": plain}).code == 0
    return folders


def words(songs: Path | str, model: Path, *more: str) -> list[str]:
    return ["evaluate", str(songs), "-m", str(model), *OPTIONS, *more]


@contextmanager
def running(*given: str, results: int) -> Iterator["subprocess.Popen[str]"]:
    """A process of its own that has kept so many results; in the end it is killed, with all that it has started."""
    command = [*PROGRAM, *given]
    run = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + SECONDS
        while len(kept()) < results:
            assert run.poll() is None, "it ended before it could be interrupted"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield run
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()


def kept() -> dict[str, int]:
    """Results by name, with their times."""
    return {path.name: path.stat().st_mtime_ns for path in Path("evaluated/.stemsplit/results").glob("*.json")}


def added(before: dict[str, int]) -> list[tuple[str, str]]:
    """Song and method of what has been scored since; fails if anything has been done again."""
    now = kept()
    assert before.items() <= now.items()
    tables = [json.loads(Path("evaluated/.stemsplit/results", name).read_text()) for name in now.keys() - before.keys()]
    return sorted((table["track"], table["method"]) for table in tables)


def files(folder: Path | str = "evaluated") -> dict[str, bytes]:
    """All but the results."""
    found = contents(Path(folder), but=".stemsplit")
    assert set(found) == {"scores.json", "sdr.csv"}
    return found


def scores(folder: Path | str = "evaluated") -> dict[tuple[str, str], dict[str, float]]:
    return {(entry["track"], entry["method"]): entry["sdr"] for entry in written(folder)["songs"]}


def assert_alike(one: Path | str, other: Path | str, but: str = "") -> None:
    expected = {pair: pytest.approx(own, abs=1e-3) for pair, own in scores(other).items() if pair[0] != but}
    assert scores(one) == expected


def workers_of(run: "subprocess.Popen[str]") -> list[psutil.Process]:
    children = psutil.Process(run.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def gone(workers: list[psutil.Process]) -> bool:
    """Whether they all end by themselves."""
    deadline = time.monotonic() + SECONDS / 4
    while any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_killed_twice_and_gone_on(songs: Path, model: Path, undisturbed: dict[str, Path]) -> None:
    """While it is there, nobody else writes to its folder."""
    before: dict[str, int] = {}
    for results in (5, 40):
        with running(*words(songs, model), results=results) as run:
            run.send_signal(signal.SIGSTOP)
            refused = evaluate(songs, "-m", model)
        assert (refused.code, refused.out) == (2, "")
        last = refused.err.splitlines()[-1]
        assert_one_sentence(Result(2, "", last), "evaluated: another stemsplit is writing to it", "-o")
        assert run.returncode == -signal.SIGKILL
        added(before)
        before = kept()
        assert results <= len(before) < ALL
        assert not Path("evaluated/scores.json").exists()
    assert process(*words(songs, model)).code == 0
    assert len(added(before)) == ALL - len(before)
    assert files() == files(undisturbed["1"])


def test_killed_with_its_workers_and_gone_on(songs: Path, model: Path, undisturbed: dict[str, Path]) -> None:
    with running(*words(songs, model, "--jobs", "2"), results=10) as run:
        workers = workers_of(run)
        assert len(workers) == 2
        run.kill()
        assert gone(workers)
    before = kept()
    assert 10 <= len(before) < ALL
    assert evaluate(songs, "-m", model, "--jobs", "2").code == 0
    assert len(added(before)) == ALL - len(before)
    assert files() == files(undisturbed["2"])


def test_how_many_processes_there_are_decides_about_nothing(undisturbed: dict[str, Path]) -> None:
    assert len(scores(undisturbed["1"])) == ALL
    assert_alike(undisturbed["1"], undisturbed["2"])


@pytest.mark.parametrize(("number", "code", "jobs"), [(signal.SIGTERM, 143, 1), (signal.SIGINT, 130, 2)])
def test_stopped_it_goes_on(
    number: signal.Signals, code: int, jobs: int, songs: Path, model: Path, undisturbed: dict[str, Path]
) -> None:
    """By a signal to all of its processes, as Ctrl-C is on a terminal."""
    with running(*words(songs, model, "--jobs", str(jobs)), results=10) as run:
        workers = workers_of(run)
        assert len(workers) == (jobs if jobs > 1 else 0)
        os.killpg(run.pid, number)
        _, err = run.communicate(timeout=SECONDS)
        assert gone(workers)
    assert run.returncode == code
    before = kept()
    assert 10 <= len(before) < ALL
    assert evaluate(songs, "-m", model).code == 0
    assert len(added(before)) == ALL - len(before)
    assert_no_temporaries()
    assert_alike("evaluated", undisturbed["1"])
    assert "error" not in err
    assert_nothing_of_python(err)


def test_a_worker_that_is_killed_ends_the_run_in_a_sentence(
    songs: Path, model: Path, undisturbed: dict[str, Path]
) -> None:
    """As a system does that is short of memory; the same command finishes. A song that is broken fails alone."""
    shutil.copytree(songs, "songs")
    Path("songs/song 00/bass.wav").write_bytes(b"garbage" * 99)
    with running(*words("songs", model, "--jobs", "2"), results=10) as run:
        workers = workers_of(run)
        workers[0].kill()
        _, err = run.communicate(timeout=SECONDS)
        assert gone(workers)
    assert run.returncode == 1
    *broken, last = [line for line in err.splitlines() if line.startswith("error")]
    assert all("song 00" in line and "bass.wav: is damaged" in line for line in broken)
    assert_one_sentence(Result(1, "", last), "ended by the system", "goes on", "--jobs")
    before = kept()
    again = evaluate("songs", "-m", model)
    assert again.code == 1
    assert again.err.splitlines()[-1] == "error: 1 of 20 songs could not be evaluated."
    assert len(added(before)) == ALL - len(METHODS) - len(before)
    assert {entry["track"] for entry in written()["failures"]} == {"song 00"}
    assert_alike("evaluated", undisturbed["2"], but="song 00")
    said = [line for line in err.splitlines() if "resource_tracker" not in line and "warnings.warn" not in line]
    assert_nothing_of_python("\n".join(said))  # Python itself tells of what a process that was killed has held


def assert_nothing_of_python(err: str) -> None:
    """Neither where an error came from, nor what is left in memory."""
    assert "Traceback" not in err
    assert "Warning" not in err


def assert_no_temporaries() -> None:
    assert [name for name in temporaries(Path("evaluated")) if name.endswith(".tmp")] == []


def test_what_a_killed_run_left_half_written_is_cleared(model: Path) -> None:
    write_songs(Path("songs"), [0])
    assert evaluate("songs", "-m", model).code == 0
    for name in (".sdr.csv", ".song 0.png", ".0123.json"):
        Path("evaluated/.stemsplit/results", f"{name}.0123abcd.tmp").write_bytes(b"half")
    foreign = Path("evaluated/.of another program.tmp")
    foreign.write_bytes(b"not ours")
    assert evaluate("songs", "-m", model).code == 0
    assert foreign.read_bytes() == b"not ours"
    foreign.unlink()
    assert_no_temporaries()


@pytest.mark.parametrize("change", ["time", "size"])
def test_a_song_that_has_changed_is_scored_again(change: str, model: Path) -> None:
    write_songs(Path("songs"), range(2))
    evaluate("songs", "-m", model)
    before, earlier = kept(), scores()
    path = Path("songs/song 1/bass.wav")
    then = path.stat().st_mtime_ns
    if change == "size":
        write_sound(path, song(1)["bass"][:, :-RATE], RATE, "FLOAT")
    os.utime(path, ns=(then, then + (change == "time")))
    assert evaluate("songs", "-m", model).code == 0
    assert {track for track, _ in added(before)} == {"song 1"}
    assert len(added(before)) == len(METHODS)
    assert (scores() == earlier) == (change == "time")


def test_a_folder_that_has_moved_is_scored_again(model: Path) -> None:
    write_songs(Path("songs"), range(2))
    evaluate("songs", "-m", model)
    before = kept()
    Path("songs").rename("moved")
    assert evaluate("moved", "-m", model).code == 0
    assert len(added(before)) == 2 * len(METHODS), "another folder may hold other songs of these names"


def test_songs_of_equal_sizes_and_times_have_scores_of_their_own(model: Path) -> None:
    """As they come out of an archive."""
    for path in write_songs(Path("songs"), range(2)).glob("*/*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    evaluate("songs", "-m", model)
    first = scores()
    assert first["song 0", "model"] != first["song 1", "model"]
    evaluate("songs", "-m", model)
    assert scores() == first


@pytest.mark.parametrize("option", [("--overlap", "0.5"), ("--segment", "0.75"), ("--precision", "bf16")])
def test_a_model_is_scored_anew_with_other_settings(option: tuple[str, str], model: Path) -> None:
    write_songs(Path("songs"), range(2))
    evaluate("songs", "-m", model)
    before, earlier = kept(), scores()
    assert evaluate("songs", "-m", model, *option).code == 0
    assert added(before) == [("song 0", "model"), ("song 1", "model")]
    assert {method for track, method in earlier if scores()[track, method] != earlier[track, method]} == {"model"}


def test_only_what_is_new_is_done_for_a_model_more(models: Path) -> None:
    """The files are those of both at once. Of two with one name, the second is called as the user calls it."""
    write_songs(Path("songs"), range(2))
    evaluate("songs", "-m", models / "model")
    alone, before = scores(), kept()
    second = str(models / "second/model")
    both = ("songs", "-m", models / "model", "-m", second)
    assert evaluate(*both).code == 0
    assert added(before) == [("song 0", second), ("song 1", second)]
    assert list(written()["worst"]) == ["model", second]
    assert [entry["method"] for entry in written()["utterance_sdr"]] == ["model", second, *PLAIN]
    assert {pair: scores()[pair] for pair in alone} == alone
    assert scores()["song 0", "model"] != scores()["song 0", second]
    assert evaluate(*both, "-o", "at once").code == 0
    assert files() == files("at once")
    before, together = kept(), scores()
    assert evaluate("songs", "-m", second).code == 0
    assert added(before) == []
    assert scores()["song 0", "model"] == together["song 0", second]


def test_a_result_that_is_damaged_is_scored_again(model: Path) -> None:
    write_songs(Path("songs"), [0])
    evaluate("songs", "-m", model)
    good = files()
    for name, text in zip(sorted(kept()), ("", "{", "{}", "[1]"), strict=True):
        Path("evaluated/.stemsplit/results", name).write_text(text)
    assert evaluate("songs", "-m", model).code == 0
    assert files() == good
    assert len(scores()["song 0", "model"]) == len(SOURCES)
