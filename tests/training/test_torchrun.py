"""
Processes that share a training, as torchrun starts them, do what one process does with the whole batch.

Losses, gradients from equal weights and the weights after twenty steps of SGD agree to 1e-5 (under Adam, parameters
without a true gradient would follow rounding noise), and so do runs of the program. An error in one ends all.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from cli.program import PROGRAM, Result, assert_one_sentence, python
from multitracks import write_multitracks
from stemsplit.training.processes import ALONE
from training.shared_batch import RECIPE, STEPS, Record, learn

COUNT = 2
SECONDS = 300  # far longer than anything takes here; what hangs is ended then
TESTS = Path(__file__).parent.parent
TORCHRUN = [*(sys.executable, "-m", "torch.distributed.run"), "--standalone", "--nproc-per-node", str(COUNT)]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS), "COLUMNS": "1000"}
RATE = 8000
SETTINGS = (
    *("sample_rate=8000", "excerpt_seconds=1.2", "shift_seconds=0.2", "repitch=0", "dropout=0", "remix_group=2"),
    *("transformer_layers=1", "epochs=2", "batches_per_epoch=2", "batch_size=4", "precision=fp32"),
    *("optimizer.name=sgd", "learning_rate=0.05"),
)
# The start of a program in which one of the processes behaves in its own way.
ONE = "import os, signal\nis_odd = os.environ['RANK'] == '{rank}'\n"
RUN = "\nfrom stemsplit.cli.app import program\nprogram()\n"
STOPPED = """
from stemsplit.training.learner import Learner
step = Learner.step
def stopped(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return step(*arguments)
if is_odd: Learner.step = stopped
"""
UNREADABLE = """
from stemsplit.errors import DecodeError
from stemsplit.training import dataset
def unreadable(*arguments):
    raise DecodeError("song.wav: cannot be read. Export it again.")
if is_odd: dataset.read_excerpt = unreadable
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    write_multitracks(folder / "train", [1, 2], 3.0, RATE)
    write_multitracks(folder / "valid", [3, 4, 5], 2.0, RATE)
    return folder


def _train(songs: Path, *settings: str) -> list[str]:
    words = ["train", str(songs), "-r", "smoke", "-o", "run", "--device", "cpu", "--workers", "0", "--progress", "none"]
    return [*words, *(word for setting in (*SETTINGS, *settings) for word in ("--set", setting))]


def _started(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env={**os.environ, **ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _ended(processes: Sequence[subprocess.Popen[bytes]]) -> list[Result]:
    """How each of them ended; none is left, and none is waited for too long."""
    try:
        outputs = [process.communicate(timeout=SECONDS) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # torchrun ends what it has started
                process.communicate(timeout=60)
    return [
        Result(process.returncode, out.decode(), err.decode())
        for process, (out, err) in zip(processes, outputs, strict=True)
    ]


def _torchrun(*words: str) -> Result:
    return _ended([_started([*TORCHRUN, *words], {})])[0]


def _together(words: Sequence[str], program: Sequence[str] = PROGRAM) -> list[Result]:
    """The same processes without torchrun, which talks itself when one of them fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(COUNT)}
    ranks = [place | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(COUNT)]
    return _ended([_started([*program, *words], rank) for rank in ranks])


def _metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _losses(run: Path) -> list[float]:
    """Of every epoch: in training, and in validation by the weights and their average."""
    return [
        loss
        for entry in _metrics(run)
        for loss in (entry["train_loss"], *(validation["loss"] for validation in entry["valid"].values()))
    ]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Record, Record]:
    """Of one process, of two, and of two whose steps each start from the weights of the one."""
    folder = tmp_path_factory.mktemp("records")
    alone = learn(ALONE)
    torch.save(asdict(alone), folder / "alone.pt")
    result = _torchrun(*(str(TESTS / "training/shared_batch.py"), str(folder / "alone.pt"), str(folder / "two.pt")))
    assert result.code == 0, result.err
    own, same = (Record(**record) for record in torch.load(folder / "two.pt"))
    return alone, own, same


def test_losses_are_those_of_one_process(records: tuple[Record, Record, Record]) -> None:
    alone, own, _ = records
    assert len(own.losses) == STEPS
    assert own.losses == pytest.approx(alone.losses, rel=1e-5)


def test_gradients_from_equal_weights_are_those_of_one_process(records: tuple[Record, Record, Record]) -> None:
    """Compared to the largest number of each tensor. Some have no true gradient, because a norm takes them away."""
    alone, _, same = records
    compared = set()
    for ours, expected in zip(same.gradients, alone.gradients, strict=True):
        assert ours.keys() == expected.keys()
        for name, tensor in expected.items():
            assert (ours[name] - tensor).abs().max() <= max(1e-5 * float(tensor.abs().max()), 1e-12), name
            compared |= {name} if tensor.abs().max() > 1e-7 else set()
    assert len(compared) > 0.95 * len(alone.weights[0])


def test_weights_after_all_steps_are_those_of_one_process(records: tuple[Record, Record, Record]) -> None:
    alone, own, _ = records
    moved = 0
    for name, tensor in alone.weights[-1].items():
        moved += int((tensor - alone.weights[0][name]).abs().max() > 1e-4 * tensor.abs().max())
        assert (own.weights[-1][name] - tensor).abs().max() < 1e-5 * tensor.abs().max(), name
    assert moved > 0.5 * len(alone.weights[0])
    assert RECIPE.optimizer.name == "sgd"


@pytest.mark.slow
def test_runs_of_the_program_give_the_same_numbers_even_after_a_stop(songs: Path, here: Path) -> None:
    """One of the processes is told to stop in the first epoch; all do, and torchrun goes on from there."""
    words = _train(songs)
    assert _ended([_started([*PROGRAM, *words], {})])[0].code == 0
    expected, names = _losses(here / "run"), {path.name for path in (here / "run").iterdir()}
    (here / "run").rename(here / "alone")

    stopped = _together(words, python(ONE.format(rank=1) + STOPPED + RUN))
    assert [result.code for result in stopped] == [128 + signal.SIGTERM] * COUNT
    assert "the same command goes on" in stopped[0].err
    assert torch.load(here / "run/state/state.pt")["step"] == 1
    result = _torchrun("-m", "stemsplit", *words)
    assert result.code == 0, result.err
    assert [entry["step"] for entry in _metrics(here / "run")] == [2, 4]
    assert _losses(here / "run") == pytest.approx(expected, rel=1e-5)
    kept = {path.name for path in (here / "run").iterdir() if path.suffix != ".safetensors"}
    assert kept == {name for name in names if not name.endswith(".safetensors")}


def test_a_batch_that_cannot_be_shared_is_refused(songs: Path, here: Path) -> None:
    results = _together(_train(songs, "batch_size=2"))
    assert [result.code for result in results] == [2] * COUNT
    assert_one_sentence(results[0], "batch of 2", "2 processes", "batch_size=4")
    assert results[1].err == "", "told once"
    assert not (here / "run").exists()


def test_data_that_cannot_be_used_ends_all(songs: Path, here: Path) -> None:
    write_multitracks(here / "songs/train", [1], 2.0, RATE)
    write_multitracks(here / "songs/valid", [2], 2.0, RATE)
    (here / "songs/train/song 1/bass.wav").write_bytes(b"no sound")
    results = _together(_train(here / "songs"))
    assert [result.code for result in results] == [2] * COUNT
    assert "bass.wav" in results[0].err
    assert not any("Traceback" in result.err or "unexpected" in result.err for result in results)
    assert not (here / "run").exists()


@pytest.mark.parametrize("rank", range(COUNT))
def test_a_file_that_one_process_cannot_read_any_more_ends_all(rank: int, songs: Path, here: Path) -> None:
    """That one says which, and nobody waits for it."""
    results = _together(_train(songs), python(ONE.format(rank=rank) + UNREADABLE + RUN))
    assert [result.code for result in results] == [1] * COUNT
    assert "song.wav: cannot be read. Export it again." in results[rank].err
    assert not any("Traceback" in result.err or "unexpected" in result.err for result in results)
