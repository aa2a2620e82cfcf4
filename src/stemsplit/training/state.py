"""
The whole state of a training in one file, from which it goes on bit for bit.

It is a torch file of tensors and plain values, and read as that only: nothing in it is executed.
"""

import errno
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch

from stemsplit.audio.faults import reason, shown
from stemsplit.errors import OutputError, StemsplitError
from stemsplit.whole_file import whole_file

_SCHEMA = 1
# In what torch says where the system refuses to write.
_REFUSED = ("PytorchStreamWriter", "unexpected pos")


@dataclass
class TrainingState:
    """
    Where a training stands.

    Attributes:
        step: steps that are done.
        epochs: epochs that are done with their validation.
        loss_sum: of the losses of the steps of the epoch that is under way.
        best_loss: the least validation loss so far; None before the first.
        network, optimizer, averages: their own states.
    """

    step: int
    epochs: int
    loss_sum: float
    best_loss: float | None
    network: dict[str, Any]
    optimizer: dict[str, Any]
    averages: dict[str, Any]

    def save(self, path: Path) -> None:
        """
        Write all of it or nothing: until it is whole and on the disk, the one before stays.

        Raises:
            StemsplitError: where it cannot be written.
        """
        save_whole(path, {entry.name: getattr(self, entry.name) for entry in fields(self)} | {"schema": _SCHEMA})

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """
        What was saved; None where nothing was.

        Raises:
            OutputError: for a file that cannot be read, or is of a newer version.
        """
        if not path.exists():
            return None
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            schema = content.pop("schema")
            state = cls(**content) if schema == _SCHEMA else None
        except Exception as error:  # whatever a damaged file makes torch raise
            raise OutputError(
                f"{shown(path)}: is no state of a training, or damaged. Train into another folder."
            ) from error
        if state is None:
            raise OutputError(f"{shown(path)}: was written by another version of stemsplit. Train into another folder.")
        return state


def save_whole(path: Path, content: Any) -> None:
    """
    Write tensors and plain values into a torch file: all of it or nothing.

    Raises:
        StemsplitError: where it cannot be written.
    """
    try:
        with whole_file(path) as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in _REFUSED):
            raise
        cause = error if isinstance(error, OSError) else OSError(errno.ENOSPC, "")
        raise StemsplitError(
            f"{shown(path)}: cannot be saved: {reason(cause)}. What was saved before is whole, and the same command "
            "goes on from there."
        ) from error
