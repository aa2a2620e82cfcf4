"""
The whole state of a training in one file, from which it goes on bit for bit.

It is a torch file of tensors and plain values, and read as that only: nothing in it is executed.
"""

import errno
import os
import secrets
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch

from stemsplit.audio.faults import reason, shown
from stemsplit.errors import OutputError, StemsplitError

_SCHEMA = 1


@dataclass
class TrainingState:
    """
    Where a training stands.

    Attributes:
        step: steps that are done.
        loss_sum: of the losses of the steps of the epoch that is under way.
        best_loss: the least validation loss so far; None before the first.
        network, optimizer, averages: their own states.
    """

    step: int
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
        content = {entry.name: getattr(self, entry.name) for entry in fields(self)} | {"schema": _SCHEMA}
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            with temporary.open("wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except (OSError, RuntimeError) as error:  # torch turns the system's errors into its own
            cause = error if isinstance(error, OSError) else OSError(errno.ENOSPC, str(error))
            raise StemsplitError(
                f"{shown(path)}: cannot be saved: {reason(cause)}. The state saved before is whole, and the same "
                "command goes on from there."
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

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
