"""What a run writes down after every epoch: metrics as JSON lines, curves, figures for TensorBoard."""

import json
from pathlib import Path
from typing import Any

from stemsplit.events import Listener, Warned
from stemsplit.training.board import HINT, Board
from stemsplit.training.curves import curves
from stemsplit.training.run_folder import RunFolder

Entry = dict[str, Any]


class Journal:
    """
    The metrics of a run; one entry per epoch.

    Args:
        folder: of the run.
        board: for figures.
        epochs: how many are done; entries of later ones, which a killed process has left, are dropped.
        listener: told once what cannot be drawn.
    """

    def __init__(self, folder: RunFolder, board: Board, epochs: int, listener: Listener) -> None:
        self._folder = folder
        self._board = board
        self._listener = listener
        self._draws = True
        self.entries = read_metrics(folder.path)[:epochs]
        self._write()

    def add(self, entry: Entry) -> None:
        """
        Note an epoch.

        Raises:
            StemsplitError: where it cannot be written.
        """
        self.entries.append(entry)
        self._write()
        self._board.figures(_figures(entry), entry["step"])
        if self._draws:
            try:
                self._folder.write(self._folder.path / "curves.png", curves(self.entries))
            except ImportError:
                self._draws = False
                self._listener(Warned(f"Without matplotlib no curves are drawn. {HINT}"))

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


def _figures(entry: Entry) -> dict[str, float]:
    figures = {"loss/train": entry["train_loss"]}
    for name, validation in entry["valid"].items():
        figures[f"loss/valid, {name}"] = validation["loss"]
    best = entry["valid"][entry["best"]]["sdr"]
    return figures | {f"sdr/{source}": value for source, value in best.items() if value is not None}
