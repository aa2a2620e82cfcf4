"""`stemsplit train` killed, stopped and gone on: the weights are those of a training that nobody disturbed."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from torch import Tensor

from cli.program import PROGRAM, SECONDS, Result, assert_one_sentence, process
from stemsplit.training.learner import Learner
from training_runs import assert_equal_states, settings, state_of, temporaries, train, weights_of, write_songs

EPOCHS, STEPS = 2, 3
LONG = {"epochs": EPOCHS, "batches_per_epoch": STEPS, "averages__batch": "[0.5]"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache of interruptions"))


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_songs(tmp_path_factory.mktemp("data") / "songs")


@pytest.fixture(scope="module")
def undisturbed(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in a process of its own."""
    run = tmp_path_factory.mktemp("runs") / "run"
    cache = str(tmp_path_factory.getbasetemp() / "cache of interruptions")
    result = process(*words(songs, run), "--workers", "0", env={"XDG_CACHE_HOME": cache})
    assert result.code == 0, result.err
    return run


def words(songs: Path, run: Path | str) -> list[str]:
    return ["train", str(songs), "-o", str(run), *settings(**LONG), "--device", "cpu"]


def started(songs: Path, run: Path | str, *more: str) -> "subprocess.Popen[str]":
    """A run in a session of its own, which tells every event on a line."""
    command = [*PROGRAM, *words(songs, run), "--progress", "json", *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def events(running: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert running.stderr is not None
    for line in running.stderr:
        yield json.loads(line)


def ended(running: "subprocess.Popen[str]") -> Result:
    try:
        err = running.communicate(timeout=SECONDS)[1]
    finally:
        running.kill()
        running.wait()
        if running.stderr is not None:
            running.stderr.close()
    return Result(running.returncode, "", err)


def until_step(running: "subprocess.Popen[str]", step: int) -> None:
    for event in events(running):
        if event["event"] == "step_trained" and event["done"] >= step:
            return
    raise AssertionError(f"ended with {running.wait()} before step {step}")


def assert_equal_runs(one: Path, other: Path) -> None:
    """States, models and metrics, but for the seconds that it took."""
    assert_equal_states(one, other)
    assert weights_of(one) == weights_of(other)
    assert metrics(one) == metrics(other)


def metrics(run: Path) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: entry[name] for name in entry if name not in ("seconds", "waited_for_data")} for entry in entries]


def test_killed_five_times_and_gone_on(songs: Path, undisturbed: Path) -> None:
    """At moments of all kinds: while songs are measured, within an epoch, at its end."""
    moments = random.Random(2022)
    reached = []
    for lines in (0, 3, *(moments.randint(5, 10) for _ in range(3))):
        running = started(songs, "run", "--workers", "0")
        try:
            seen = [event["event"] for event, _ in zip(events(running), range(lines), strict=False)]
            time.sleep(moments.uniform(0, 0.3))
        finally:
            running.kill()
            result = ended(running)
        assert result.code == -signal.SIGKILL, result.err
        reached += seen
    assert reached.count("step_trained") > STEPS
    result = process(*words(songs, "run"), "--workers", "0")
    assert result.code == 0, result.err
    assert_equal_runs(Path("run"), undisturbed)


def test_what_a_killed_run_left_half_written_is_cleared(songs: Path) -> None:
    assert train(songs, "-o", "run").code == 0
    for name in ("state/.state.pt.0123abcd.tmp", "state/.origin.json.0123abcd.tmp", ".metrics.jsonl.0123abcd.tmp"):
        Path("run", name).write_bytes(b"half")
    assert train(songs, "-o", "run").code == 0
    assert temporaries(Path("run")) == []


@pytest.mark.parametrize("left", ["state/lock", "state/.origin.json.0123abcd.tmp", "state/origin.json"])
def test_killed_before_the_first_step(left: str, songs: Path) -> None:
    """What is there by then is no run yet, and nobody else's either."""
    Path("run/state").mkdir(parents=True)
    Path("run", left).write_text("")
    assert train(songs, "-o", "run").code == 0


def signalled(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals, times: int = 1) -> None:
    """Have this process get a signal in the midst of a step, counted from 1; once."""
    compute, count = Learner.step, 0

    def struck(learner: Learner, sources: Tensor, seed: int, rate: float) -> float:
        nonlocal count
        count += 1
        for _ in range(times if count == step else 0):
            os.kill(os.getpid(), number)
        return compute(learner, sources, seed, rate)

    monkeypatch.setattr(Learner, "step", struck)


@pytest.mark.parametrize(
    ("number", "code", "step"),
    [(signal.SIGINT, 130, STEPS + 1), (signal.SIGTERM, 143, 1), (signal.SIGTERM, 143, STEPS)],
)
def test_stopped_it_saves_and_goes_on(
    number: signal.Signals, code: int, step: int, songs: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled(monkeypatch, step, number)
    result = train(songs, "-o", "run", **LONG)
    assert result.code == code
    assert result.err.splitlines()[-1] == "Stopped, and saved; the same command goes on from here."
    assert "error" not in result.err
    assert state_of(Path("run"))["step"] == step
    assert temporaries(Path("run")) == []
    result = train(songs, "-o", "run", **LONG)
    assert result.code == 0
    assert f"run: goes on from step {step} of {EPOCHS * STEPS}." in result.err
    assert_equal_runs(Path("run"), undisturbed)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_twice_it_ends_in_the_midst_of_a_step(
    number: signal.Signals, code: int, songs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled(monkeypatch, STEPS + 1, number, times=2)
    result = train(songs, "-o", "run", **LONG)
    assert result.code == code
    assert "Traceback" not in result.err
    assert state_of(Path("run"))["step"] == STEPS
    assert temporaries(Path("run")) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(
            signal.SIGTERM,
            143,
        ),
    ],
)
def test_stopped_with_all_its_workers(number: signal.Signals, code: int, songs: Path) -> None:
    """As Ctrl-C does on a terminal, and a cluster that wants its machine back."""
    running = started(songs, "run", "--workers", "2", "--set", "epochs=500")
    try:
        until_step(running, 2)
        os.killpg(running.pid, number)
    finally:
        result = ended(running)
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    assert state_of(Path("run"))["step"] >= 2
    assert gone(running.pid)


def test_workers_end_with_a_run_that_is_killed(songs: Path) -> None:
    running = started(songs, "run", "--workers", "2", "--set", "epochs=500")
    try:
        until_step(running, 1)
        assert len(psutil.Process(running.pid).children(recursive=True)) >= 2
        running.kill()
    finally:
        ended(running)
    assert gone(running.pid)


def test_a_worker_that_is_killed_ends_the_run_in_a_sentence(songs: Path) -> None:
    """As a system does that is short of memory."""
    running = started(songs, "run", "--workers", "2", "--set", "epochs=500")
    try:
        until_step(running, 2)
        workers = [below for below in psutil.Process(running.pid).children(recursive=True) if not below.children()]
        workers[-1].kill()
        result = ended(running)
    finally:
        assert gone(running.pid)
    assert result.code == 1
    assert "unexpected" not in result.err


def test_how_many_workers_there_are_decides_about_nothing(songs: Path, undisturbed: Path) -> None:
    result = process(*words(songs, "run"), "--workers", "2")
    assert result.code == 0, result.err
    assert_equal_runs(Path("run"), undisturbed)


def gone(session: int) -> bool:
    """Whether all processes of a session end by themselves; they are ended here if not."""
    deadline = time.monotonic() + SECONDS / 4
    while left := [running for running in psutil.process_iter() if _is_in(running, session)]:
        if time.monotonic() > deadline:
            for running in left:
                running.kill()
            return False
        time.sleep(0.1)
    return True


def _is_in(running: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(running.pid) == session and running.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def test_a_loss_that_is_no_number_ends_the_run(songs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is kept to look at, and so is the last state."""
    import torch

    signalled(monkeypatch, 3, signal.SIGTERM)
    assert train(songs, "-o", "run", optimizer__name="sgd", epochs=2).code == 143
    state = torch.load("run/state/state.pt", weights_only=True)
    for tensor in state["network"].values():
        tensor.mul_(float("nan"))
    torch.save(state, "run/state/state.pt")
    before = Path("run/state/state.pt").read_bytes()
    result = train(songs, "-o", "run", optimizer__name="sgd", epochs=2)
    assert result.code == 1
    assert_one_sentence(Result(1, "", result.err.splitlines()[-1]), "step 4", "not finite", "not-finite-4.pt")
    assert Path("run/state/state.pt").read_bytes() == before
    batch = torch.load("run/state/not-finite-4.pt", weights_only=True)
    assert batch["sources"].shape == (2, 4, 2, 8000)
    assert batch["sources"].isfinite().all()


def test_a_rate_too_high_ends_in_a_sentence_too(songs: Path) -> None:
    words = {"optimizer__name": "sgd", "learning_rate": "1e5", "epochs": 1, "batches_per_epoch": 12}
    result = train(songs, "-o", "run", **words)
    assert result.code == 1
    assert "is not finite" in result.err.splitlines()[-1]
    assert list(Path("run/state").glob("not-finite-*.pt"))
    assert not list(Path("run").glob("*.safetensors"))


def test_a_run_that_ends_in_its_first_epoch_does_not_speak_of_a_state(songs: Path) -> None:
    result = train(songs, "-o", "run", gain_max="1e300", batches_per_epoch=12)
    assert "is not finite" in result.err.splitlines()[-1]
    assert not Path("run/state/state.pt").exists()
    assert "state that was saved" not in result.err


def test_when_nobody_reads_what_is_said_the_training_goes_on(songs: Path, undisturbed: Path) -> None:
    running = started(songs, "run", "--workers", "0", "--progress", "plain")
    assert running.stderr is not None
    running.stderr.readline()
    running.stderr.close()
    assert running.wait(SECONDS) == 0
    assert_equal_runs(Path("run"), undisturbed)
