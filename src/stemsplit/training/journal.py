"""What a run writes down after every epoch: metrics as JSON lines, curves, figures for TensorBoard."""

from stemsplit.audio.faults import shown
from stemsplit.errors import StemsplitError
from stemsplit.events import Listener, Warned
from stemsplit.training.board import HINT, Board
from stemsplit.training.curves import curves
from stemsplit.training.epoch import Epoch, read_epochs
from stemsplit.training.run_folder import RunFolder


class Journal:
    """
    The metrics of a run.

    Args:
        folder: of the run.
        board: for figures.
        epochs: how many are done; what a killed process has left of later ones is dropped.
        listener: told once what cannot be drawn.

    Raises:
        StemsplitError: for metrics that cannot be read.
    """

    def __init__(self, folder: RunFolder, board: Board, epochs: int, listener: Listener) -> None:
        self._folder = folder
        self._board = board
        self._listener = listener
        self._draws = True
        self._path = folder.path / "metrics.jsonl"
        try:
            self._epochs = read_epochs(folder.path)[:epochs]
        except (OSError, ValueError) as error:
            raise StemsplitError(
                f"{shown(self._path)}: holds no metrics of a run. Train into another folder."
            ) from error
        if len(self._epochs) < epochs:
            raise StemsplitError(f"{shown(self._path)}: lacks epochs that were trained. Train into another folder.")

    def add(self, epoch: Epoch) -> None:
        """
        Note an epoch.

        Raises:
            StemsplitError: where it cannot be written.
        """
        self._epochs.append(epoch)
        self._folder.write(self._path, "".join(f"{entry.to_json()}\n" for entry in self._epochs))
        self._board.figures(_figures(epoch), epoch.step)
        if self._draws:
            try:
                picture = curves(self._epochs)
            except Exception:  # whatever a package that is not there, or does not fit, raises
                self._draws = False
                self._listener(Warned(f"Without matplotlib no curves are drawn. {HINT}"))
            else:
                self._folder.write(self._folder.path / "curves.png", picture)


def _figures(epoch: Epoch) -> dict[str, float]:
    figures = {"loss/train": epoch.train_loss}
    figures |= {f"loss/valid/{name}": validation.loss for name, validation in epoch.valid.items()}
    ratios = epoch.validation.sdr
    return figures | {f"sdr/{source}": value for source, value in ratios.items() if value is not None}
