"""
The processes that share a training, as `torchrun` starts them, one per GPU; or the only one.

Only the first talks and writes.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import Tensor

from stemsplit.compute import choose
from stemsplit.errors import StemsplitError, UsageError

T = TypeVar("T")

# While the first one measures a large set the others wait; where one has failed, torchrun ends the others.
_PATIENCE = timedelta(days=1)


class ToldElsewhereError(Exception):
    """Another process has told its cause."""


@contextmanager
def company() -> Iterator[None]:
    """Within it, that another process has gone away is a sentence and no bug."""
    try:
        yield
    except RuntimeError as error:  # of NCCL, Gloo, or the store by which processes meet
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise StemsplitError(
            "Another process of this training has ended, and what it has said tells why. The same command goes on from "
            "the state that was saved last."
        ) from error


@dataclass(frozen=True)
class Processes:
    """
    Which of how many processes this is.

    Attributes:
        rank: from 0, of `count`.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this one talks and writes."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Of all processes, where every one has as many values."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values / self.count

    def gathered(self, value: T) -> list[T]:
        """The values of all processes, in order."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def from_first(self, work: Callable[[], T]) -> T:
        """
        What the first process makes, in all of them.

        Raises:
            StemsplitError: what `work` raises, in the first.
            ToldElsewhereError: from it, in the others, which need not tell it again.
        """
        outcome: list[Any] = [None, None]
        if self.is_first:
            try:
                outcome[0] = work()
            except StemsplitError as error:
                outcome[1] = error
        if self.count > 1:
            distributed.broadcast_object_list(outcome)
        if outcome[1] is not None:
            if not self.is_first:
                raise ToldElsewhereError from outcome[1]
            raise outcome[1]
        result: T = outcome[0]
        return result


ALONE = Processes()
"""The only process."""


def joined(device: str) -> tuple[Processes, str]:
    """
    Which process this is of those that torchrun has started, and its device: each has a GPU of its own.

    Raises:
        UsageError: for a device that is not here.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return ALONE, choose(device, "fp32", 1).device
    if ":" in device:
        raise UsageError(f"--device {device}: each process has a GPU of its own. Use --device cuda, or leave it out.")
    on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    device = choose(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if on_gpu else device, "fp32", 1).device
    if on_gpu:
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        try:
            distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
        except ValueError as error:
            raise UsageError(f"The processes of a training do not meet ({error}). Start them with torchrun.") from error
    return Processes(distributed.get_rank(), distributed.get_world_size()), device


def left() -> None:
    """
    End the connection to the other processes, if there are any.

    All must leave together, as they do when the work is done: where only one has failed, it would wait for the others.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
