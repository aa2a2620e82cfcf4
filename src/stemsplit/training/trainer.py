"""
One run from where it stands to its end.

    excerpts -> augmentation -> step -> averages;   every epoch: validation -> the best as a model -> state

Everything that chance decides follows from the recipe's seed and the number of the step, and so a run that was killed
goes on to the same weights, bit for bit on a CPU.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stemsplit.audio.seeking import read_excerpt
from stemsplit.errors import ModelError, UsageError
from stemsplit.events import EpochEnded, Listener, SongValidated, StepTrained, TrainingEnded, TrainingStarted
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.training.augment import Draws, augmented
from stemsplit.training.averages import AverageSet
from stemsplit.training.card import model_card
from stemsplit.training.dataset import Batches, Excerpts, Order
from stemsplit.training.journal import Journal
from stemsplit.training.learner import Learner, NotFiniteError
from stemsplit.training.processes import Processes
from stemsplit.training.recipe import Recipe
from stemsplit.training.run_folder import RunFolder
from stemsplit.training.state import TrainingState
from stemsplit.training.survey import Survey
from stemsplit.training.validation import PLAIN, Validation, Weights, separator_of, validated

_SAVE_SECONDS = 600.0  # between two savings within an epoch
_BOARD_STEPS = 50  # between two losses for TensorBoard
_HEARD_SECONDS = 10  # of a song that validates, for TensorBoard


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
        folder: where it lives; in the first process only.
        recipe: what to compute.
        survey: the songs.
        network: as it is before the first step.
        origin: what the model card says about data and start.
        surroundings: where it happens.
    """

    def __init__(
        self,
        folder: RunFolder | None,
        recipe: Recipe,
        survey: Survey,
        network: HTDemucs,
        origin: Mapping[str, Any],
        surroundings: Surroundings,
    ) -> None:
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
        self._waited = 0.0

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
        around.listener(TrainingStarted(self._recipe.name, state.step, self._steps, self._epoch_steps))
        if state.step == self._steps:
            around.listener(TrainingEnded(self._recipe.name))
            return
        journal = None
        if self._folder is not None:
            journal = Journal(self._folder, state.step // self._epoch_steps, state.step, around.listener)
        batches = self._batches()
        began = saved = time.monotonic()
        try:
            while state.step < self._steps:
                loss = self._step(batches)
                around.listener(StepTrained(self._recipe.name, state.step, loss))
                if journal is not None and state.step % _BOARD_STEPS == 0:
                    journal.loss(loss, state.step)
                if state.step % self._epoch_steps == 0:
                    self._end_epoch(journal, time.monotonic() - began)
                    began = saved = time.monotonic()
                    self._waited = 0.0
                stop, late = self._agreed(around.is_asked_to_stop(), time.monotonic() - saved > around.save_seconds)
                if (stop or late) and state.step % self._epoch_steps:
                    self._save()
                    saved = time.monotonic()
                if stop and state.step < self._steps:
                    raise Interrupted
        finally:
            if journal is not None:
                journal.close()
        around.listener(TrainingEnded(self._recipe.name))

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
        excerpts = next(batches)
        self._waited += time.monotonic() - began
        sources = self._augmented(excerpts)
        seed = _seed(self._recipe.training.seed, self._state.step, 1 + self._around.processes.rank)
        try:
            loss = self._learner.step(sources, seed)
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
        return augmented(excerpts, share, self._kept_frames, self._config.segment_frames)

    def _end_epoch(self, journal: Journal | None, seconds: float) -> None:
        state, recipe = self._state, self._recipe
        for average in self._averages.epoch.values():
            average.add(self._learner.network.state_dict())
        candidates: dict[str, Weights] = {PLAIN: self._learner.network.state_dict()}
        candidates |= {name: average.weights for name, average in self._averages.all.items()}
        validations = self._validated(candidates)
        best = min(validations, key=lambda name: (np.nan_to_num(validations[name].loss, nan=np.inf), name != PLAIN))
        loss = validations[best].loss
        is_best = state.best_loss is None or loss < state.best_loss
        state.best_loss = loss if is_best else state.best_loss
        train_loss, state.loss_sum = state.loss_sum / self._epoch_steps, 0.0
        epoch = state.step // self._epoch_steps
        if self._folder is not None and journal is not None:
            journal.add(
                {
                    "epoch": epoch,
                    "step": state.step,
                    "train_loss": train_loss,
                    "valid": {name: asdict(validation) for name, validation in validations.items()},
                    "best": best,
                    "is_best": is_best,
                    "seconds": round(seconds, 2),
                    "waited_for_data": round(self._waited / max(seconds, 1e-9), 4),
                },
                state.step,
            )
            if is_best:
                self._publish(self._folder, candidates[best], journal)
        self._save()
        self._around.listener(EpochEnded(recipe.name, epoch, train_loss, loss, best, validations[best].sdr, is_best))

    def _validated(self, candidates: Mapping[str, Weights]) -> dict[str, Validation]:
        songs = self._survey.splits["valid"]
        total = len(candidates) * len(songs[self._around.processes.rank :: self._around.processes.count])
        return validated(
            self._config,
            candidates,
            songs,
            self._recipe.loss_weights,
            self._around.device,
            self._around.processes,
            lambda done: self._around.listener(SongValidated(self._recipe.name, done, total)),
        )

    def _publish(self, folder: RunFolder, weights: Weights, journal: Journal) -> None:
        separator = separator_of(self._config, weights, self._around.device)
        folder.publish(separator.bag.networks[0])
        folder.write(
            folder.path / "README.md", model_card(folder.path, self._recipe, self._origin, [journal.entries[-1]])
        )
        song = self._survey.splits["valid"][0]
        frames = min(song.measurement.frames, _HEARD_SECONDS * separator.sample_rate)
        first = (song.measurement.frames - frames) // 2
        files = [path for paths in song.track.files for path in paths]
        mixture = sum((read_excerpt(path, first, frames, separator.sample_rate) for path in files), np.float32(0))
        journal.sound(
            {"mixture": np.asarray(mixture)} | separator(np.asarray(mixture)), separator.sample_rate, self._state.step
        )

    def _agreed(self, *questions: bool) -> list[bool]:
        """Whether any process says so; every one gets the same answers."""
        if self._around.processes.count == 1:
            return list(questions)
        answers = torch.tensor([float(question) for question in questions], device=self._around.device)
        return [bool(answer > 0) for answer in self._around.processes.mean(answers)]

    def _restored(self) -> TrainingState:
        path = self._around.processes.from_first(lambda: self._folder.state_file if self._folder else None)
        state = None if path is None else TrainingState.load(path)
        if state is None:
            return TrainingState(0, 0.0, None, {}, {}, {})
        self._learner.network.load_state_dict(state.network)
        self._learner.optimizer.load_state_dict(state.optimizer)
        self._averages.restore(state.averages, self._around.device)
        return state

    def _save(self) -> None:
        if self._folder is not None:
            self._state.network = dict(self._learner.network.state_dict())
            self._state.optimizer = self._learner.optimizer.state_dict()
            self._state.averages = self._averages.state()
            self._state.save(self._folder.state_file)

    def _give_up(self, sources: Tensor) -> None:
        """Save the batch whose loss is no number, and end."""
        where = "by another process"
        if self._folder is not None:
            path = self._folder.path / "state" / f"not-finite-{self._state.step}.pt"
            torch.save({"step": self._state.step, "sources": sources.cpu()}, path)
            where = f"as {path}"
        raise ModelError(
            f"The loss of step {self._state.step + 1} is not finite; the batch is kept {where}. The state saved before "
            "is whole. Train with a smaller learning_rate or with --set clip=5, into another folder."
        )


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
            "batches smaller (--set batch_size=...) or excerpts shorter (--set excerpt_seconds=...)."
        )
    return recipe.training.batches_per_epoch or excerpts // batch_size


def precision_of(recipe: Recipe, device: str) -> str:
    """What the forward pass is computed in."""
    if recipe.training.precision == "auto":
        return "bf16" if device.startswith("cuda") else "fp32"
    return recipe.training.precision


def _seed(seed: int, step: int, purpose: int) -> int:
    """A seed of its own for each purpose of each step."""
    return int(np.random.SeedSequence([seed, step, purpose]).generate_state(1, np.uint64)[0] >> 1)
