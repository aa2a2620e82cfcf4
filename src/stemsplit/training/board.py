"""
What TensorBoard shows of a run: figures, and how a song sounds.

It is written by torch, if the package tensorboard is there; a run does without it, and without a disk that takes it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stemsplit.audio.blocks import Block
from stemsplit.audio.faults import reason
from stemsplit.events import Listener, Warned

HINT = "Install it with `pip install 'stemsplit[train]'`."


class Board:
    """
    Writes TensorBoard's files.

    Args:
        folder: for the files.
        steps: after which the run goes on; what is there of later ones is not shown any more.
        listener: told once where nothing can be written.
    """

    def __init__(self, folder: Path, steps: int, listener: Listener) -> None:
        self._listener = listener
        self._writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except Exception:  # whatever a package that does not fit raises
            listener(Warned(f"Without tensorboard nothing is written for it. {HINT}"))
            return
        try:
            self._writer = SummaryWriter(str(folder), purge_step=steps)
        except OSError as error:
            self._fail(error)

    def figures(self, values: Mapping[str, float], step: int) -> None:
        """Figures by name."""

        def add(writer: Any) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        self._write(add)

    def sounds(self, signals: Mapping[str, Block], sample_rate: int, step: int) -> None:
        """Sounds by name. Shape: [2, T] each, played as mono."""

        def add(writer: Any) -> None:
            for name, signal in signals.items():
                writer.add_audio(name, signal.mean(0)[None].clip(-1, 1), step, sample_rate=sample_rate)

        self._write(add)

    def close(self) -> None:
        """End the files."""
        self._write(lambda writer: writer.close())
        self._writer = None

    @property
    def is_written(self) -> bool:
        """Whether anything is."""
        return self._writer is not None

    def _write(self, action: Callable[[Any], None]) -> None:
        if self._writer is None:
            return
        try:
            action(self._writer)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._writer = None
        self._listener(Warned(f"From here on nothing is written for TensorBoard: {reason(error)}."))
