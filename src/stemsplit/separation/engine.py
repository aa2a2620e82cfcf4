"""
Segments of any tracks through the networks, in batches.

Every forward pass has the same shape: the chosen batch, padded with zeros where it is not full; or, on a CPU, one
segment. So a result does not depend on who shares the batch.

Shapes: B batch, S wanted sources, C channels, T segment frames.
"""

import copy
import gc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stemsplit.compute import Compute
from stemsplit.errors import ModelError
from stemsplit.events import Listener, Warned, ignore
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.separation.segments import Segment

# Where a batch is computed segment by segment: there, kernels round an item differently by its place in a batch,
# and one segment keeps all cores busy anyway.
_ONE_BY_ONE = ("cpu",)


class Engine:
    """
    The networks of one bag, on one device, each there once.

    Args:
        networks: float32, on the CPU; kept there as the reference to fall back to.
        sources: indices of the sources wanted of every network.
        compute: where and how to run. `engine.compute` tells what is in force after running out of memory.
        listener: told of fall-backs.
    """

    def __init__(
        self,
        networks: Sequence[HTDemucs],
        sources: Sequence[int],
        compute: Compute,
        listener: Listener = ignore,
    ) -> None:
        self.compute = compute
        self._reference = networks
        self._sources = list(sources)
        self._listener = listener
        self._place()

    def run(self, segments: Iterable[Segment]) -> Iterator[tuple[Segment, Tensor]]:
        """
        Separate a stream of segments; each comes back with its sources, in the order given per network.

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
                yield from self._separate(network, waiting.pop(network))
        for network in sorted(waiting):
            yield from self._separate(network, waiting[network])

    def _place(self) -> None:
        compute = self.compute
        if compute.device == "cpu" and compute.precision == "fp32":
            self._networks = list(self._reference)
        else:
            self._networks = [copy.deepcopy(network).to(compute.device, compute.dtype) for network in self._reference]

    def _separate(self, network: int, batch: list[Segment]) -> Iterator[tuple[Segment, Tensor]]:
        done = 0
        while done < len(batch):
            some = batch[done : done + self.compute.batch_size]
            try:
                answers = self._forward(network, torch.stack([segment.samples for segment in some]))
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._shrink(error)
                continue
            yield from zip(some, answers, strict=False)
            done += len(some)

    def _forward(self, network: int, samples: Tensor) -> Tensor:
        """Shape: [up to B, C, T] -> [as many, S, C, T]."""
        with torch.inference_mode():
            answers = self._answers(self._networks[network], samples)
            return answers if answers.isfinite().all() else self._in_full_precision(network, samples)

    def _answers(self, network: HTDemucs, samples: Tensor) -> Tensor:
        if self.compute.device in _ONE_BY_ONE:
            return torch.cat([network(sample[None])[:, self._sources] for sample in samples])
        padding = samples.new_zeros(self.compute.batch_size - len(samples), *samples.shape[1:])
        batch = torch.cat([samples, padding]).to(self.compute.device)
        answers: Tensor = network(batch)[: len(samples), self._sources]
        return answers

    def _in_full_precision(self, network: int, samples: Tensor) -> Tensor:
        if self.compute.precision != "fp32":
            self._listener(
                Warned(f"{self.compute.precision} overflowed in one batch, which was computed again in fp32.")
            )
            reference = copy.deepcopy(self._reference[network]).to(self.compute.device)
            answers = self._answers(reference, samples)
            if answers.isfinite().all():
                return answers
        raise ModelError(
            "The network gives numbers that are not finite, so its weights are damaged or do not fit; "
            "download the model again or train it anew."
        )

    def _shrink(self, error: Exception) -> None:
        """After running out of memory: half the batch; at one segment, the CPU."""
        compute = self.compute
        if compute.batch_size > 1:
            compute = replace(compute, batch_size=compute.batch_size // 2)
            self._say(f"out of memory on {compute.device}, going on with a batch of {compute.batch_size}")
        elif compute.device != "cpu":
            compute = Compute("cpu", "fp32", 1)
            self._say(f"one segment does not fit the memory of {self.compute.device}, going on on the CPU")
        else:
            raise ModelError(
                "There is not enough memory to separate even one segment; close other programs or try a "
                "shorter --segment."
            ) from error
        moved = compute.device != self.compute.device
        self.compute = compute
        if moved:
            self._place()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _say(self, message: str) -> None:
        self._listener(Warned(message[0].upper() + message[1:] + "."))


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch or Python ran out of memory; torch has a class of its own for it on GPUs only."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
