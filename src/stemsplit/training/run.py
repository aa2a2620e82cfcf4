"""
From what the user asks for to trained models: one run, or one for each source and a bag of them.

Everything that can be wrong is found in `prepared`, before anything is trained.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stemsplit.audio.assignment import SourceRules
from stemsplit.audio.faults import reason, shown
from stemsplit.errors import StemsplitError, UsageError
from stemsplit.evaluation.resumable import check_outside
from stemsplit.events import Listener, Warned, ignore
from stemsplit.separation.selection import is_reserved
from stemsplit.training.card import model_card
from stemsplit.training.dataset import Excerpts
from stemsplit.training.epoch import best_epoch, read_epochs
from stemsplit.training.origin import Origin
from stemsplit.training.processes import Processes, company
from stemsplit.training.recipe import Recipe
from stemsplit.training.repitch import check_torchaudio
from stemsplit.training.run_folder import RunFolder, published_network
from stemsplit.training.start import Start, adapted, load_start, starting_network
from stemsplit.training.survey import DataFolder, Survey, survey
from stemsplit.training.trainer import Surroundings, Trainer, steps_per_epoch


class UnusableDataError(UsageError):
    """Training data that must be mended first; every problem is in the survey."""


@dataclass(frozen=True)
class Request:
    """
    What a user asks for.

    Attributes:
        folders: of songs.
        recipe: of the run, as it was read.
        rules: how stems become sources.
        output: the run's folder.
        init: the model to start from, in any form that `find_model` takes.
        heads: for new sources, those of the model whose heads they take.
        network_settings: what the user has said about the network's shape.
        offline: use only model files that are on this machine.
        keep: names of the only songs to train and validate with, if there is such a list.
    """

    folders: Sequence[DataFolder]
    recipe: Recipe
    rules: SourceRules
    output: Path
    init: str | None = None
    heads: Mapping[str, str] = field(default_factory=dict)
    network_settings: Mapping[str, object] = field(default_factory=dict)
    offline: bool = False
    keep: frozenset[str] | None = None


@dataclass(frozen=True)
class Prepared:
    """What is about to be trained, with nothing wrong."""

    request: Request
    recipe: Recipe
    start: Start | None
    survey: Survey

    @property
    def origin(self) -> Origin:
        """What decides about the run beside its recipe, and what the model card tells about the data."""
        splits = self.survey.splits
        sources = range(len(self.recipe.data.sources))
        return Origin(
            data=self.survey.fingerprint,
            start=None if self.start is None else self.start.note,
            folders=tuple((folder.path.resolve().name, folder.weight) for folder in self.request.folders),
            songs={split: len(songs) for split, songs in splits.items()},
            hours={split: tuple(self.survey.hours(split, source) for source in sources) for split in splits},
        )


def prepared(request: Request, processes: Processes, listener: Listener = ignore) -> Prepared:
    """
    Find out whether a request can be fulfilled.

    Raises:
        UsageError: for what is wrong with the request; UnusableDataError: for what is wrong with the data.
        ModelError: for a model to start from that cannot be fetched, checked or read.
    """
    recipe = request.recipe
    start = None
    processes.from_first(lambda: _check_request(request))
    if request.init is not None:
        model = request.init

        def load() -> Start:
            return load_start(model, request.heads, request.recipe, offline=request.offline, listener=listener)

        loaded: list[Start] = []
        processes.from_first(lambda: loaded.append(load()))  # fetched by one, then read by all
        start = loaded[0] if loaded else load()
        recipe = adapted(recipe, start, request.network_settings, listener)
    elif request.heads:
        raise UsageError("--init-head needs a model to take the head from: --init MODEL.")
    processes.from_first(lambda: _check_shares(recipe, processes))
    if recipe.training.per_source and start is None:
        listener(
            Warned(f"{recipe.name} is meant for trained weights (such as --init htdemucs_ft), and starts from none.")
        )
    if recipe.augment.repitch:
        check_torchaudio()
    rate = recipe.network.sample_rate
    found = processes.from_first(lambda: survey(request.folders, request.rules, rate, listener, request.keep))
    if not found.problems:
        excerpts = Excerpts(found.splits["train"], recipe.data, recipe.network.sample_rate)
        try:
            steps_per_epoch(recipe, len(excerpts))
        except UsageError as error:
            found = replace(found, problems=(str(error),))
    return Prepared(request, recipe, start, found)


def train(ready: Prepared, surroundings: Surroundings) -> None:
    """
    Train, or go on where a run of the same request has stopped.

    Raises:
        UnusableDataError: for data with problems.
        UsageError: for an output folder that holds something else.
        Interrupted: when asked to stop; the state is saved.
        ModelError, TrackError, StemsplitError: as `Trainer.run`.
    """
    surroundings.processes.from_first(lambda: _check_data(ready.survey))
    if not ready.recipe.training.per_source:
        _one_run(ready, ready.recipe, ready.request.output, surroundings, None)
        return
    top, sources = ready.request.output, ready.recipe.data.sources
    folder = _opened(surroundings.processes, lambda: RunFolder.open(top, ready.recipe, ready.origin))
    try:
        for source in sources:
            loss = {other: float(other == source) for other in sources}
            training = replace(ready.recipe.training, per_source=False)
            recipe = replace(ready.recipe, name=f"{ready.recipe.name}, {source}", loss=loss, training=training)
            _one_run(ready, recipe, top / source, surroundings, source)
        if folder is not None:
            _bagged(folder, sources)
            best = [best_epoch(read_epochs(top / source)) for source in sources]
            folder.write(top / "README.md", model_card(top, ready.recipe, ready.origin, best))
    finally:
        if folder is not None:
            folder.close()


def _check_request(request: Request) -> None:
    """Raises UsageError for names that cannot be used, and a run within the data."""
    recipe = request.recipe
    reserved = [source for source in recipe.data.sources if is_reserved(source)]
    if reserved:
        raise UsageError(f"--sources: {reserved[0]} is the name of a stem made from sources. Choose another name.")
    if recipe.training.per_source and "state" in (source.lower() for source in recipe.data.sources):
        raise UsageError("--sources: where each source has a folder of its own, none can be called state.")
    check_outside(request.output, "-o", [folder.path for folder in request.folders])


def _check_shares(recipe: Recipe, processes: Processes) -> None:
    """Raises UsageError where the processes cannot share a batch so that its result is that of one process."""
    size, group = recipe.training.batch_size, recipe.augment.remix_group if recipe.augment.remix else 1
    if size % processes.count or (processes.count > 1 and size // processes.count % group):
        raise UsageError(
            f"A batch of {size} cannot be shared by {processes.count} processes: each needs a multiple of {group} "
            f"excerpts, among which stems are recombined. Use --set batch_size={processes.count * group}."
        )


def _check_data(found: Survey) -> None:
    count = len(found.problems)
    if count:
        raise UnusableDataError(
            f"The data cannot be trained with: {count} {'problem' if count == 1 else 'problems'}, as listed above."
        )


def _one_run(ready: Prepared, recipe: Recipe, path: Path, surroundings: Surroundings, source: str | None) -> None:
    folder = _opened(surroundings.processes, lambda: RunFolder.open(path, recipe, ready.origin))
    try:
        network = starting_network(recipe, ready.start, source)
        with company():
            name = path.resolve().name if source is None else f"{path.resolve().parent.name}/{source}"
            Trainer(name, folder, recipe, ready.survey, network, ready.origin, surroundings).run()
    finally:
        if folder is not None:
            folder.close()


def _opened(processes: Processes, make: Callable[[], RunFolder]) -> RunFolder | None:
    """The run's folder in the first process, None in the others; an error in all."""
    folder: list[RunFolder] = []
    processes.from_first(lambda: folder.append(make()))
    return folder[0] if folder else None


def _bagged(folder: RunFolder, sources: Sequence[str]) -> None:
    """Make a model of the runs of all sources: each source comes from its own network."""
    members = [published_network(folder.path / source) for source in sources]
    part = folder.path / "state" / "member.safetensors"
    for member in members:
        try:
            shutil.copyfile(member, part)
        except OSError as error:
            raise StemsplitError(f"{shown(part)}: cannot be written: {reason(error)}.") from error
        folder.take(part, member.name)
    one_hot = [[float(row == column) for column in range(len(sources))] for row in range(len(sources))]
    folder.define([member.stem for member in members], one_hot)
