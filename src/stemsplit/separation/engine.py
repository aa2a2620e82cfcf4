"""
Segments of any tracks through the networks, in batches.

Every forward pass has the chosen batch shape, padded with zeros where it is not full. So a result does not depend on
who shares the batch, and a network sees one shape only.

Shapes: B batch, S wanted sources, C channels, T segment frames.
"""

import copy
import gc
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stemsplit.compute import Compute, full_float32
from stemsplit.errors import ModelError
from stemsplit.events import Listener, Warned, ignore
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.separation.device_queue import DeviceQueue, Launched
from stemsplit.separation.segments import Segment


@dataclass(frozen=True)
class _Flight:
    """A batch under way."""

    network: int
    segments: list[Segment]
    launched: Launched


class Engine:
    """
    The networks of one bag, on one device, each there once.

    Args:
        networks: float32, on the CPU; kept there as the reference to fall back to.
        compute: where and how to run. `engine.compute` tells what is in force after running out of memory.
        listener: told of fall-backs.

    Raises:
        ModelError: if not even the CPU has room for the networks.
    """

    def __init__(self, networks: Sequence[HTDemucs], compute: Compute, listener: Listener = ignore) -> None:
        self.compute = compute
        self._reference = networks
        self._exact: dict[int, HTDemucs] = {}  # copies on the device for what overflows in reduced precision
        self._listener = listener
        self._queue = DeviceQueue(compute.device)
        self._networks: list[HTDemucs] = []
        self._networks = self._placed()

    def run(self, segments: Iterable[Segment], sources: Sequence[int]) -> Iterator[tuple[Segment, Tensor]]:
        """
        Separate a stream of segments; each comes back with its sources, in the order given per network.

        From an NVIDIA GPU they come one batch late, since the next one is launched before.

        Args:
            segments: of any tracks.
            sources: indices of those wanted of every network.

        Shape:
            every answer is [S, C, T] float32 on the engine's device.

        Raises:
            ModelError: if a network cannot run for want of memory, or gives no finite numbers even in fp32.
        """
        waiting: dict[int, list[Segment]] = {}
        under_way: deque[_Flight] = deque()
        for segment in segments:
            network = segment.window.run.network
            batch = waiting.setdefault(network, [])
            batch.append(segment)
            if len(batch) >= self.compute.batch_size:
                yield from self._separate(network, waiting.pop(network), under_way, sources)
        for network in sorted(waiting):
            yield from self._separate(network, waiting[network], under_way, sources)
        yield from self._land(under_way, 0, sources)

    def _placed(self) -> list[HTDemucs]:
        """The networks where and as they run."""
        while True:
            try:
                return [self._moved(network, self.compute.dtype) for network in self._reference]
            except (MemoryError, RuntimeError) as error:
                failure = error
            self._shrink(failure)

    def _moved(self, network: HTDemucs, dtype: torch.dtype) -> HTDemucs:
        if self.compute.device == "cpu" and dtype == torch.float32:
            return network
        return copy.deepcopy(network).to(self.compute.device, dtype)

    def _separate(
        self, network: int, batch: list[Segment], under_way: deque[_Flight], sources: Sequence[int]
    ) -> Iterator[tuple[Segment, Tensor]]:
        """Launch a batch; yield the answers to those launched so long before that they are due."""
        while batch:
            some = batch[: self.compute.batch_size]
            try:
                launched = self._launch(self._networks[network], some, self.compute.precision)
                under_way.append(_Flight(network, some, launched))
                batch = batch[len(some) :]
            except (MemoryError, RuntimeError) as error:
                failure: Exception = error.with_traceback(None)  # which would keep all that was computed so far
            else:
                yield from self._land(under_way, self._queue.ahead, sources)
                continue
            before = self.compute
            yield from self._land(under_way, 0, sources)
            if self.compute == before:  # else there is less to fit already
                self._shrink(failure)

    def _land(
        self, under_way: deque[_Flight], remaining: int, sources: Sequence[int]
    ) -> Iterator[tuple[Segment, Tensor]]:
        """Wait for the batches under way, in their order, until only so many remain."""
        while len(under_way) > remaining:
            flight = under_way.popleft()
            try:
                with torch.inference_mode():
                    answers = flight.launched.answers if flight.launched.wait() else self._in_full_precision(flight)
                    wanted = answers[: len(flight.segments), list(sources)]
            except (MemoryError, RuntimeError) as error:
                failure: Exception = error.with_traceback(None)
            else:
                yield from zip(flight.segments, wanted, strict=True)
                continue
            again = [flight, *under_way]  # whatever was launched after it is launched anew, smaller
            under_way.clear()
            self._shrink(failure)
            for flight in again:
                yield from self._separate(flight.network, flight.segments, under_way, sources)

    def _launch(self, network: HTDemucs, segments: list[Segment], precision: str) -> Launched:
        samples = torch.stack([segment.samples for segment in segments])
        padding = samples.new_zeros(max(0, self.compute.batch_size - len(samples)), *samples.shape[1:])
        with torch.inference_mode(), full_float32(precision):
            return self._queue.launch(network, torch.cat([samples, padding]))

    def _in_full_precision(self, flight: _Flight) -> Tensor:
        if self.compute.precision != "fp32":
            if not self._exact:
                self._say(f"{self.compute.precision} overflows in parts of this music; these are computed in fp32")
            if flight.network not in self._exact:
                self._exact[flight.network] = self._moved(self._reference[flight.network], torch.float32)
            launched = self._launch(self._exact[flight.network], flight.segments, "fp32")
            if launched.wait():
                return launched.answers
        raise ModelError(
            "The network gives numbers that are not finite, so its weights are damaged or do not fit; "
            "download the model again or train it anew."
        )

    def _shrink(self, error: Exception) -> None:
        """After running out of memory: half the batch; at one segment, the CPU. Raises any other error."""
        compute = self._compute_after(error)
        moves = compute.device != self.compute.device
        self.compute = compute
        self._exact.clear()
        if moves:
            self._networks = []  # what is under way still reads them, but empty_cache waits for the device
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if moves:
            self._queue = DeviceQueue(compute.device)
            self._networks = self._placed()

    def _compute_after(self, error: Exception) -> Compute:
        if not _is_out_of_memory(error):
            raise error
        compute = self.compute
        if compute.batch_size > 1:
            self._say(f"out of memory on {compute.device}, going on with a batch of {compute.batch_size // 2}")
            return replace(compute, batch_size=compute.batch_size // 2)
        if compute.device != "cpu":
            self._say(f"one segment does not fit the memory of {compute.device}, going on on the CPU")
            return Compute("cpu", "fp32", 1)
        raise ModelError(
            "There is not enough memory to separate even one segment; close other programs or try a shorter --segment."
        ) from error

    def _say(self, message: str) -> None:
        self._listener(Warned(message[0].upper() + message[1:] + "."))


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch, Python or a library of NVIDIA's ran out of memory; torch has a class of its own for CUDA only."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "can't allocate memory" in text
        or "alloc_failed" in text
        or "out of memory" in text
    )
