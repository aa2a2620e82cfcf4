"""What a run writes down while it goes: metrics as JSON lines, curves, TensorBoard's files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from stemsplit.events import Listener, Warned
from stemsplit.training.curves import curves
from stemsplit.training.run_folder import RunFolder

Entry = dict[str, Any]
_HINT = "Install it with `pip install 'stemsplit[train]'`."


class Journal:
    """
    The metrics of a run; one entry per epoch.

    Args:
        folder: of the run.
        epochs: how many are done; entries of later ones, which a killed process has left, are dropped.
        steps: how many are done.
        listener: told once what cannot be drawn.
    """

    def __init__(self, folder: RunFolder, epochs: int, steps: int, listener: Listener) -> None:
        self._folder = folder
        self._listener = listener
        self.entries = read_metrics(folder.path)[:epochs]
        self._write()
        self._board = _tensorboard(folder.path / "state" / "tensorboard", steps, listener)
        self._draws = True

    def add(self, entry: Entry, step: int) -> None:
        """
        Note an epoch.

        Raises:
            OutputError: where it cannot be written.
        """
        self.entries.append(entry)
        self._write()
        if self._board is not None:
            for name, value in _scalars(entry).items():
                self._board.add_scalar(name, value, step)
            self._board.flush()
        if self._draws:
            try:
                self._folder.write(self._folder.path / "curves.png", curves(self.entries))
            except ImportError:
                self._draws = False
                self._listener(Warned(f"Without matplotlib no curves are drawn. {_HINT}"))

    def loss(self, value: float, step: int) -> None:
        """Note the loss of a step, for TensorBoard."""
        if self._board is not None:
            self._board.add_scalar("loss/step", value, step)

    def sound(self, sources: Mapping[str, NDArray[Any]], sample_rate: int, step: int) -> None:
        """Have TensorBoard play what was separated. Shape: [2, T] each."""
        if self._board is not None:
            for source, signal in sources.items():
                self._board.add_audio(source, signal.mean(0)[None].clip(-1, 1), step, sample_rate=sample_rate)

    def close(self) -> None:
        """End what TensorBoard writes."""
        if self._board is not None:
            self._board.close()

    def _write(self) -> None:
        lines = [json.dumps(entry) + "\n" for entry in self.entries]
        self._folder.write(self._folder.path / "metrics.jsonl", "".join(lines))


def best_epoch(path: Path) -> Entry:
    """The entry of the epoch that made the model of a run's folder."""
    return [entry for entry in read_metrics(path) if entry["is_best"]][-1]


def read_metrics(path: Path) -> list[Entry]:
    """The entries of a run's folder, none if there are none."""
    try:
        lines = (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def _tensorboard(folder: Path, steps: int, listener: Listener) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        listener(Warned(f"Without tensorboard nothing is written for it. {_HINT}"))
        return None
    return SummaryWriter(str(folder), purge_step=steps)


def _scalars(entry: Entry) -> dict[str, float]:
    scalars = {"loss/train": entry["train_loss"]}
    for name, validation in entry["valid"].items():
        scalars[f"loss/valid, {name}"] = validation["loss"]
    best = entry["valid"][entry["best"]]["sdr"]
    return scalars | {f"sdr/{source}": value for source, value in best.items() if value is not None}
