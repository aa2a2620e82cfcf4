"""
One run from where it stands to its end.

    excerpts -> augmentation -> step -> averages;   every epoch: validation -> the best as a model -> state

Everything that chance decides follows from the recipe's seed and the number of the step, and so a run that was killed
goes on to the same weights, bit for bit on a CPU.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from stemsplit.errors import ModelError, OutputError, StemsplitError, UsageError
from stemsplit.events import EpochEnded, Listener, SongValidated, StepTrained, TrainingEnded, TrainingStarted
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.training.augment import Draws, augmented
from stemsplit.training.averages import AverageSet, Weights
from stemsplit.training.board import Board
from stemsplit.training.dataset import Batches, Excerpts, Order
from stemsplit.training.epoch import Epoch
from stemsplit.training.journal import Journal
from stemsplit.training.learner import Learner, NotFiniteError, annealed
from stemsplit.training.origin import Origin
from stemsplit.training.processes import Processes
from stemsplit.training.publication import play, publish
from stemsplit.training.recipe import Recipe
from stemsplit.training.run_folder import RunFolder
from stemsplit.training.state import TrainingState, save_whole
from stemsplit.training.survey import Survey
from stemsplit.training.validation import PLAIN, Validation, separator_of, validated

_SAVE_SECONDS = 600.0  # between two savings within an epoch
_BOARD_STEPS = 50  # between two losses for TensorBoard


class Interrupted(Exception):
    """The training has been asked to stop, and its state is saved."""


@dataclass(frozen=True)
class Surroundings:
    """
    Where a run happens, which decides nothing about its result.

    Attributes:
        device: torch's name of it.
        processes: who shares the work.
        workers: processes that read excerpts; None: as many as the machine has cores for.
        listener: told what happens.
        is_asked_to_stop: asked after every step.
        save_seconds: between two savings within an epoch.
    """

    device: str
    processes: Processes
    workers: int | None
    listener: Listener
    is_asked_to_stop: Callable[[], bool] = lambda: False
    save_seconds: float = _SAVE_SECONDS


class Trainer:
    """
    A run under way.

    Args:
        name: what it is called where it is talked about.
        folder: where it lives; in the first process only.
        recipe: what to compute.
        survey: the songs.
        network: as it is before the first step.
        origin: what the model card says about data and start.
        surroundings: where it happens.
    """

    def __init__(
        self,
        name: str,
        folder: RunFolder | None,
        recipe: Recipe,
        survey: Survey,
        network: HTDemucs,
        origin: Origin,
        surroundings: Surroundings,
    ) -> None:
        self._name = name
        self._folder = folder
        self._recipe = recipe
        self._survey = survey
        self._origin = origin
        self._around = surroundings
        self._config = recipe.config
        device, processes = surroundings.device, surroundings.processes
        self._share = recipe.training.batch_size // processes.count
        self._excerpts = Excerpts(survey.splits["train"], recipe.data, recipe.network.sample_rate)
        self._epoch_steps = steps_per_epoch(recipe, len(self._excerpts))
        self._steps = recipe.training.epochs * self._epoch_steps
        self._kept_frames = int(recipe.kept_seconds * recipe.network.sample_rate)
        self._averages = AverageSet(recipe.averages)
        self._learner = Learner(network, recipe, device, precision_of(recipe, device), processes, surroundings.listener)
        self._state = self._restored()
        self._began = self._saved = time.monotonic()
        self._waited = 0.0  # for data, of the seconds since the epoch began

    def run(self) -> None:
        """
        Train to the end.

        Raises:
            Interrupted: when asked to stop.
            TrackError: for a file that cannot be read any more.
            ModelError: when the loss is no finite number; the batch is saved.
            StemsplitError: where something cannot be written.
        """
        state, around = self._state, self._around
        around.listener(TrainingStarted(self._name, state.step, self._steps, self._epoch_steps))
        if state.epochs == self._recipe.training.epochs:
            around.listener(TrainingEnded(self._name))
            return
        board = journal = None
        if self._folder is not None:
            board = Board(self._folder.path / "state" / "tensorboard", state.step, around.listener)
            journal = Journal(self._folder, board, state.epochs, around.listener)
        try:
            self._run(board, journal)
        finally:
            if board is not None:
                board.close()
        around.listener(TrainingEnded(self._name))

    def _run(self, board: Board | None, journal: Journal | None) -> None:
        state = self._state
        if state.step // self._epoch_steps > state.epochs:  # what was ended while it validated
            self._end_epoch(board, journal)
        if state.step < self._steps:
            with self._batches() as batches:
                self._learn(batches, board, journal)

    def _learn(self, batches: Batches, board: Board | None, journal: Journal | None) -> None:
        state, around = self._state, self._around
        self._saved = self._began = time.monotonic()
        while state.step < self._steps:
            loss = self._step(batches)
            around.listener(StepTrained(self._name, state.step, loss))
            if board is not None and state.step % _BOARD_STEPS == 0:
                board.figures({"loss/step": loss}, state.step)
            if state.step % self._epoch_steps == 0:
                for average in self._averages.epoch.values():
                    average.add(self._learner.network.state_dict())
                self._save()  # before validation, which takes long, too
                self._end_epoch(board, journal)
            stop, late = self._agreed(around.is_asked_to_stop(), time.monotonic() - self._saved > around.save_seconds)
            if (stop or late) and state.step % self._epoch_steps:
                self._save()
            if stop and state.step < self._steps:
                raise Interrupted

    def _batches(self) -> Batches:
        order = Order(
            self._excerpts.weights,
            self._recipe.training.batch_size,
            self._epoch_steps,
            first_step=self._state.step,
            steps=self._steps,
            seed=self._recipe.training.seed,
            part=(self._around.processes.rank, self._around.processes.count),
        )
        return Batches(self._excerpts, order, self._share, self._around.workers)

    def _step(self, batches: Batches) -> float:
        began = time.monotonic()
        try:
            excerpts = next(batches)
        except StemsplitError:
            self._save()
            raise
        self._waited += time.monotonic() - began
        sources = self._augmented(excerpts)
        seed = _seed(self._recipe.training.seed, self._state.step, 1 + self._around.processes.rank)
        try:
            rate = annealed(self._state.step, self._steps, self._recipe.optimizer.anneal)
            loss = self._learner.step(sources, seed, rate)
        except NotFiniteError:
            self._give_up(sources)
        weights = self._learner.network.state_dict()
        for average in self._averages.batch.values():
            average.add(weights)
        self._state.step += 1
        self._state.loss_sum += loss
        return loss

    def _augmented(self, excerpts: Tensor) -> Tensor:
        """The share of the batch that this process computes, as it is varied for this step."""
        recipe, rank = self._recipe, self._around.processes.rank
        generator = torch.Generator().manual_seed(_seed(recipe.training.seed, self._state.step, 0))
        draws = Draws.of(recipe.augment, recipe.training.batch_size, len(recipe.data.sources), generator)
        share = draws.part(rank * self._share, self._share)
        excerpts = excerpts.to(self._around.device, non_blocking=True)
        return augmented(excerpts, share, self._kept_frames, self._config.segment_frames, self._config.sample_rate)

    def _end_epoch(self, board: Board | None, journal: Journal | None) -> None:
        """Validate all weights, keep the best, note it all, save."""
        state, recipe = self._state, self._recipe
        seconds = time.monotonic() - self._began
        candidates: dict[str, Weights] = {PLAIN: self._learner.network.state_dict()}
        candidates |= {name: average.weights for name, average in self._averages.all.items()}
        validations = self._validated(candidates)
        best = min(validations, key=lambda name: (validations[name].loss, name != PLAIN))
        validation = validations[best]
        is_best = state.best_loss is None or validation.loss < state.best_loss
        epoch, train_loss = state.epochs + 1, state.loss_sum / self._epoch_steps
        if self._folder is not None and board is not None and journal is not None:
            metrics = Epoch(
                epoch=epoch,
                step=state.step,
                train_loss=train_loss,
                valid=validations,
                best=best,
                is_best=is_best,
                seconds=round(seconds, 2),
                waited_for_data=round(self._waited / max(seconds, 1e-9), 4),
            )
            journal.add(metrics)
            if is_best:
                separator = separator_of(self._config, candidates[best], self._around.device, self._around.listener)
                publish(self._folder, separator, recipe, self._origin, metrics)
                play(board, separator, self._survey.splits["valid"][0], state.step)
        state.best_loss = validation.loss if is_best else state.best_loss
        state.epochs, state.loss_sum = epoch, 0.0
        self._save()
        self._began, self._waited = time.monotonic(), 0.0
        self._around.listener(EpochEnded(self._name, epoch, train_loss, validation.loss, best, validation.sdr, is_best))

    def _validated(self, candidates: Mapping[str, Weights]) -> dict[str, Validation]:
        around, songs = self._around, self._survey.splits["valid"]
        total = len(candidates) * len(songs[around.processes.rank :: around.processes.count])

        def on_song(done: int) -> None:
            around.listener(SongValidated(self._name, done, total))
            if around.processes.count == 1 and around.is_asked_to_stop():
                raise Interrupted

        return validated(
            self._config,
            candidates,
            songs,
            self._recipe.loss_weights,
            around.device,
            around.processes,
            around.listener,
            on_song,
        )

    def _agreed(self, *questions: bool) -> list[bool]:
        """Whether any process says so; every one gets the same answers."""
        if self._around.processes.count == 1:
            return list(questions)
        answers = torch.tensor([float(question) for question in questions], device=self._around.device)
        return [bool(answer > 0) for answer in self._around.processes.mean(answers)]

    def _restored(self) -> TrainingState:
        processes = self._around.processes
        path = processes.from_first(lambda: self._folder.state_file if self._folder else None)
        state = None if path is None else TrainingState.load(path)
        state = state or TrainingState(0, 0, 0.0, None, {}, {}, {})
        if len(set(processes.gathered(state.step))) > 1:
            raise UsageError(f"{path}: not every process finds the run there. Choose a folder that all of them share.")
        if state.step:
            try:
                self._restore(state)
            except (RuntimeError, TypeError, KeyError, ValueError, AttributeError) as error:
                raise OutputError(f"{path}: is no state of this run, or damaged. Train into another folder.") from error
        state.network, state.optimizer, state.averages = {}, {}, {}
        return state

    def _restore(self, state: TrainingState) -> None:
        if not (0 <= state.epochs <= state.step // self._epoch_steps and 0 < state.step <= self._steps):
            raise ValueError("steps that the run does not have")
        self._learner.network.load_state_dict(state.network)
        self._learner.optimizer.load_state_dict(state.optimizer)
        self._averages.restore(state.averages, self._around.device)

    def _save(self) -> None:
        if self._folder is not None:
            weights = dict(self._learner.network.state_dict())
            optimizer, averages = self._learner.optimizer.state_dict(), self._averages.state()
            replace(self._state, network=weights, optimizer=optimizer, averages=averages).save(self._folder.state_file)
        self._saved = time.monotonic()

    def _give_up(self, sources: Tensor) -> NoReturn:
        """Save the batch whose loss or gradient is no number, and end."""
        state, processes = self._state, self._around.processes
        shares = processes.gathered(sources.cpu())

        def tell() -> None:
            assert self._folder is not None
            path = self._folder.path / "state" / f"not-finite-{state.step + 1}.pt"
            save_whole(path, {"step": state.step + 1, "sources": torch.cat(shares)})
            kept = "The state that was saved before is whole. " if self._folder.state_file.exists() else ""
            raise ModelError(
                f"The loss of step {state.step + 1} or its gradient is not finite; the batch is kept as {path}. "
                f"{kept}Train with a smaller learning_rate, or with --set clip=5, into another folder."
            )

        processes.from_first(tell)
        raise AssertionError("the first process has told it")


def steps_per_epoch(recipe: Recipe, excerpts: int) -> int:
    """
    Steps of the optimiser in an epoch.

    Raises:
        UsageError: if all excerpts together are fewer than a batch.
    """
    batch_size = recipe.training.batch_size
    if excerpts < batch_size:
        raise UsageError(
            f"The songs to train with have {excerpts} excerpts, and a batch needs {batch_size}. Add songs, or make "
            f"batches smaller (--set batch_size={max(1, excerpts)}) or excerpts shorter (--set excerpt_seconds=...)."
        )
    return recipe.training.batches_per_epoch or excerpts // batch_size


def precision_of(recipe: Recipe, device: str) -> str:
    """What the forward pass is computed in."""
    if recipe.training.precision == "auto":
        is_native = device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if is_native else "fp32"
    return recipe.training.precision


def _seed(seed: int, step: int, purpose: int) -> int:
    """A seed of its own for each purpose of each step."""
    return int(np.random.SeedSequence([seed, step, purpose]).generate_state(1, np.uint64)[0] >> 1)
