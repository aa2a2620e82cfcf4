"""A run that ends anywhere, and whatever is written or not by then, goes on to the very same weights."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from multitracks import SOURCES
from stemsplit.audio.assignment import SourceRules
from stemsplit.errors import StemsplitError
from stemsplit.events import Event, StepTrained, ignore
from stemsplit.training.processes import ALONE
from stemsplit.training.recipe_file import read_recipe
from stemsplit.training.run import Request, prepared, train
from stemsplit.training.survey import DataFolder
from stemsplit.training.trainer import Interrupted, Surroundings
from stemsplit.weights.bag import find_model
from training_runs import assert_equal_states, settings, state_of, temporaries, weights_of, write_songs

EPOCHS, STEPS = 2, 2
RECIPE = read_recipe(
    "smoke",
    settings(
        epochs=EPOCHS, batches_per_epoch=STEPS, averages__batch="[0.5]", averages__epoch="[0.9]", dropout=0.1,
        bottom_channels=16, transformer_layers=1, optimizer__name="adamw", weight_decay=0.1, clip=1.0, limiter=0.5,
        anneal=0.8,
    )[3::2],
)  # fmt: skip
"""All that has a state or is left to chance."""


class Killed(BaseException):
    """Nothing is cleared up, and nothing more is saved."""


@dataclass
class Runs:
    """Runs of the same request, in any folder."""

    songs: Path

    def train(self, run: Path, listener: Callable[[Event], None] = ignore, stop: int = 0, often: bool = False) -> None:
        """Train on; `stop`: how many steps from here on to be asked to stop after; `often`: save after every step."""
        steps: list[Event] = []

        def listen(event: Event) -> None:
            steps.extend([event] if isinstance(event, StepTrained) else [])
            listener(event)

        request = Request([DataFolder(self.songs)], RECIPE, SourceRules(SOURCES), run)
        around = Surroundings("cpu", ALONE, 0, listen, lambda: len(steps) == stop > 0, -1.0 if often else 600.0)
        train(prepared(request, ALONE), around)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache of going on"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(write_songs(tmp_path_factory.mktemp("data") / "songs"))


@pytest.fixture(scope="module")
def trained(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that nobody disturbed, and one that lacks its last step."""
    done, nearly = (tmp_path_factory.mktemp("runs") / "run" for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache of going on"))
        runs.train(done)
        with pytest.raises(Interrupted):
            runs.train(nearly, stop=EPOCHS * STEPS - 1)
    return done, nearly


@pytest.fixture
def undisturbed(trained: tuple[Path, Path]) -> Path:
    return trained[0]


@pytest.fixture
def nearly(trained: tuple[Path, Path]) -> Path:
    return trained[1]


def assert_equal_runs(one: Path, other: Path) -> None:
    assert_equal_states(one, other)
    assert weights_of(one) == weights_of(other)
    assert temporaries(one) == []


def killing(step: int) -> Callable[[Event], None]:
    """A listener that hears of a step, and that is the end."""

    def listen(event: Event) -> None:
        if isinstance(event, StepTrained) and event.done == step:
            raise Killed

    return listen


def test_the_same_twice_is_the_same(runs: Runs, undisturbed: Path, tmp_path: Path) -> None:
    runs.train(tmp_path / "run")
    assert_equal_runs(tmp_path / "run", undisturbed)


def test_stopped_after_every_step(runs: Runs, undisturbed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for step in range(1, EPOCHS * STEPS):
        with pytest.raises(Interrupted):
            runs.train(run, stop=1)
        assert state_of(run)["step"] == step
    runs.train(run)
    assert_equal_runs(run, undisturbed)


def test_killed_after_what_was_saved_within_an_epoch(runs: Runs, undisturbed: Path, tmp_path: Path) -> None:
    """Saved after each of its steps, the run loses the one that it was told of; in the middle, and at the end."""
    run = tmp_path / "run"
    for killed_at, saved in ((2, 1), (4, 3)):
        with pytest.raises(Killed):
            runs.train(run, killing(killed_at), often=True)
        assert state_of(run)["step"] == saved
    runs.train(run)
    assert_equal_runs(run, undisturbed)


@pytest.mark.parametrize("when", ["metrics.jsonl", ".safetensors", "run.yaml", "state.pt"])
def test_killed_before_a_file_gets_its_name(
    when: str, runs: Runs, nearly: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of the last epoch, where all of them are written."""
    run = Path(shutil.copytree(nearly, tmp_path / "run"))
    replace, last = Path.replace, EPOCHS * STEPS

    def killed(path: Path, target: Path) -> Path:
        if str(target).endswith(when) and last in heard:
            raise Killed
        return replace(path, target)

    heard: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            runs.train(run, lambda event: heard.append(event.done) if isinstance(event, StepTrained) else None)
    assert state_of(run)["step"] in (last - 1, last)
    find_model(str(run))
    runs.train(run)
    assert_equal_runs(run, undisturbed)


@pytest.mark.parametrize("kind", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), RuntimeError("unexpected pos 64")])
def test_a_state_that_finds_no_room_leaves_the_one_before(
    kind: Exception, runs: Runs, nearly: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's own error, and what torch makes of it."""
    run = Path(shutil.copytree(nearly, tmp_path / "run"))
    before = (run / "state/state.pt").read_bytes()
    with monkeypatch.context() as patch:

        def half(content: Any, file: Any) -> None:
            file.write(b"half")
            raise kind

        patch.setattr(torch, "save", half)
        with pytest.raises(StemsplitError, match=r"state\.pt: cannot be saved: .*goes on from there\.$"):
            runs.train(run)
    assert (run / "state/state.pt").read_bytes() == before
    assert temporaries(run) == []
    runs.train(run)
    assert_equal_runs(run, undisturbed)


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_damaged_state_is_told(content: bytes | None, runs: Runs, nearly: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(nearly, tmp_path / "run"))
    path = run / "state/state.pt"
    path.write_bytes(path.read_bytes()[:-5000] if content is None else content)
    with pytest.raises(StemsplitError, match="damaged"):
        runs.train(run)


def test_a_run_may_be_renamed_before_it_goes_on(runs: Runs, nearly: Path, undisturbed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(nearly, tmp_path / "better name"))
    find_model(str(run))
    runs.train(run)
    assert [path.name for path in run.glob("*.yaml")] == ["better name.yaml"]
    find_model(str(run))
    assert_equal_states(run, undisturbed)
