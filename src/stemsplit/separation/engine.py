"""
Segments of any tracks through the networks, in batches.

Every forward pass has the chosen batch shape, padded with zeros where it is not full. So a result does not depend on
who shares the batch, and a network sees one shape only.

Shapes: B batch, S wanted sources, C channels, T segment frames.
"""

import copy
import gc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stemsplit.compute import Compute, full_float32
from stemsplit.errors import ModelError
from stemsplit.events import Listener, Warned, ignore
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.separation.segments import Segment


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
        self._networks = self._placed()

    def run(self, segments: Iterable[Segment], sources: Sequence[int]) -> Iterator[tuple[Segment, Tensor]]:
        """
        Separate a stream of segments; each comes back with its sources, in the order given per network.

        Args:
            segments: of any tracks.
            sources: indices of those wanted of every network.

        Shape:
            every answer is [S, C, T] float32 on the engine's device.

        Raises:
            ModelError: if a network cannot run for want of memory, or gives no finite numbers even in fp32.
        """
        waiting: dict[int, list[Segment]] = {}
        for segment in segments:
            network = segment.window.run.network
            batch = waiting.setdefault(network, [])
            batch.append(segment)
            if len(batch) >= self.compute.batch_size:
                yield from self._separate(network, waiting.pop(network), sources)
        for network in sorted(waiting):
            yield from self._separate(network, waiting[network], sources)

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

    def _separate(self, network: int, batch: list[Segment], sources: Sequence[int]) -> Iterator[tuple[Segment, Tensor]]:
        done = 0
        while done < len(batch):
            some = batch[done : done + self.compute.batch_size]
            answers = self._attempt(network, torch.stack([segment.samples for segment in some]))
            if answers is not None:
                yield from zip(some, answers[:, list(sources)], strict=True)
                done += len(some)

    def _attempt(self, network: int, samples: Tensor) -> Tensor | None:
        """The answers [up to B, all sources, C, T]; None if memory ran out and another attempt may do."""
        try:
            with torch.inference_mode(), full_float32(self.compute):
                answers = self._answers(self._networks[network], samples)
                return answers if answers.isfinite().all() else self._in_full_precision(network, samples)
        except (MemoryError, RuntimeError) as error:
            failure: Exception = error.with_traceback(None)  # which would keep all that was computed so far
        moved = self.compute.device
        self._shrink(failure)
        if self.compute.device != moved:
            self._networks = self._placed()
        return None

    def _answers(self, network: HTDemucs, samples: Tensor) -> Tensor:
        padding = samples.new_zeros(max(0, self.compute.batch_size - len(samples)), *samples.shape[1:])
        answers: Tensor = network(torch.cat([samples, padding]).to(self.compute.device))
        return answers[: len(samples)]

    def _in_full_precision(self, network: int, samples: Tensor) -> Tensor:
        if self.compute.precision != "fp32":
            if not self._exact:
                self._say(f"{self.compute.precision} overflows in parts of this music; these are computed in fp32")
            if network not in self._exact:
                self._exact[network] = self._moved(self._reference[network], torch.float32)
            answers = self._answers(self._exact[network], samples)
            if answers.isfinite().all():
                return answers
        raise ModelError(
            "The network gives numbers that are not finite, so its weights are damaged or do not fit; "
            "download the model again or train it anew."
        )

    def _shrink(self, error: Exception) -> None:
        """After running out of memory: half the batch; at one segment, the CPU. Raises any other error."""
        if not _is_out_of_memory(error):
            raise error
        compute = self.compute
        if compute.batch_size > 1:
            self.compute = replace(compute, batch_size=compute.batch_size // 2)
            self._say(f"out of memory on {compute.device}, going on with a batch of {self.compute.batch_size}")
        elif compute.device != "cpu":
            self.compute = Compute("cpu", "fp32", 1)
            self._networks = []
            self._say(f"one segment does not fit the memory of {compute.device}, going on on the CPU")
        else:
            raise ModelError(
                "There is not enough memory to separate even one segment; close other programs or try a "
                "shorter --segment."
            ) from error
        self._exact.clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _say(self, message: str) -> None:
        self._listener(Warned(message[0].upper() + message[1:] + "."))


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch or Python ran out of memory; torch has a class of its own for it on CUDA only."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "can't allocate memory" in text
        or "out of memory" in text
    )
