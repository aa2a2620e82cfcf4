"""
How batches get to a device, and answers back.

An NVIDIA GPU is given the next batch while it computes the last one, so that it does not wait while answers are looked
at, joined and copied. Everywhere else a batch is computed when it is launched.

Shapes: B batch, S sources, C channels, T frames.
"""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
from torch import Tensor

from stemsplit.model.htdemucs import HTDemucs


class DeviceQueue:
    """
    Runs networks on one device, in the order of `launch`.

    Attributes:
        ahead: how many batches are to be launched beyond the one whose answers are asked for.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._stream = _stream(device) if device.startswith("cuda") else None
        self.ahead = 0 if self._stream is None else 1

    def launch(self, network: HTDemucs, samples: Tensor) -> "Launched":
        """Begin to separate `samples` [B, C, T], which are on the CPU, by a network that is on the device."""
        if self._stream is not None:
            samples = samples.pin_memory()  # else the copy would wait for all that is under way
            self._stream.wait_stream(torch.cuda.current_stream(self._device))  # on which the network was brought here
        with self._on_stream():
            answers = network(samples.to(self._device, non_blocking=True))
            finite = answers.isfinite().all()
            if self._stream is None:
                return Launched(answers, finite)
            finite = finite.to("cpu", non_blocking=True)  # into pinned memory, with no wait
            return Launched(answers, finite, self._stream.record_event())

    def _on_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


@lru_cache
def _stream(device: str) -> torch.cuda.Stream:
    """One for all queues of a device, since networks share tensors that they keep: windows and positions."""
    return torch.cuda.Stream(device)


class Launched:
    """A batch under way. Shape: `answers` [B, S, C, T] float32, on the device, to be read once `wait` has returned."""

    def __init__(self, answers: Tensor, finite: Tensor, done: torch.cuda.Event | None = None) -> None:
        self.answers = answers
        self._finite = finite
        self._done = done

    def wait(self) -> bool:
        """Wait for the answers; whether all of them are finite."""
        if self._done is not None:
            self._done.synchronize()
            # They were made on one stream and are read on another: or the allocator would give their memory to a later
            # batch while they are still read.
            self.answers.record_stream(torch.cuda.current_stream(self.answers.device))
        return bool(self._finite)


def on_cpu(tensor: Tensor) -> Tensor:
    """The tensor on the CPU; from an NVIDIA GPU through pinned memory, which is several times faster."""
    if not tensor.is_cuda:
        return tensor.cpu()
    copy = tensor.to("cpu", non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return copy
