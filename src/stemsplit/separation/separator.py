"""
`Separator`: the Python API over segments and engine, for one mixture at a time.

Shapes: S sources, C channels, T frames.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Self, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stemsplit.compute import Compute, choose
from stemsplit.errors import UsageError
from stemsplit.events import Listener, ignore
from stemsplit.model.config import MIN_SEGMENT_FRAMES
from stemsplit.separation.device_queue import on_cpu
from stemsplit.separation.engine import Engine
from stemsplit.separation.options import SplitOptions
from stemsplit.separation.segments import OverlapAdd, Pass, cut
from stemsplit.separation.statistics import Statistics
from stemsplit.weights.bag import Bag, find_model, load_bag
from stemsplit.weights.definition import Wanted, check_sources, chosen

if TYPE_CHECKING:
    from stemsplit.audio.blocks import Block

_SHIFT_SECONDS = 0.5  # shifts spread over this much, as in the reference
_BLOCK_FRAMES = 65_536


class Separator:
    """
    A model ready to separate.

    Args:
        bag: the networks.
        sources: those wanted; all by default. Only the networks they need are run.
        compute: where and how to run; `stemsplit.compute.choose()` by default.
        options: how tracks are cut.
        listener: told what happens while work runs.

    Raises:
        UnknownSourceError: for a source the model does not separate.
        UsageError: for a segment that the model cannot see.
    """

    def __init__(
        self,
        bag: Bag,
        *,
        sources: Collection[str] | None = None,
        compute: Compute | None = None,
        options: SplitOptions | None = None,
        listener: Listener = ignore,
    ) -> None:
        self.bag = bag
        self.options = options or SplitOptions()
        self._choose(_ordered(bag.sources, sources))
        self.engine = Engine(bag.networks, compute or choose(), listener)

    @classmethod
    def load(
        cls,
        model: str = "htdemucs",
        *,
        sources: Wanted = None,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | str = "auto",
        earlier_batches: Mapping[str, int] = MappingProxyType({}),
        overlap: float = 0.25,
        segment: float | None = None,
        shifts: int = 1,
        offline: bool = False,
        listener: Listener = ignore,
    ) -> Self:
        """
        Find, fetch if need be, check and load a model.

        Args:
            model: a catalogue name, a path, or USER/REPO[@REVISION] on the hub.
            sources: those wanted, or a function from the model's sources to them; networks that others need are
                neither fetched nor loaded.
            offline: use only what is on this machine.
            device: see `stemsplit.compute.choose`.
            precision: likewise.
            batch_size: likewise.
            earlier_batches: batch sizes by device that "auto" takes again.
            overlap: see `SplitOptions`.
            segment: likewise.
            shifts: likewise.
            listener: told what happens while work runs.

        Raises:
            UsageError: for an unknown model or source, or an option out of range.
            ModelError: for a model that cannot be fetched, checked or read.
        """
        options = SplitOptions(overlap, segment, shifts)
        compute = choose(device, precision, batch_size, earlier_batches)
        bag = load_bag(find_model(model), sources=sources, offline=offline, listener=listener)
        return cls(bag, sources=chosen(sources, bag.sources), compute=compute, options=options, listener=listener)

    def only(self, sources: Collection[str]) -> Self:
        """
        A view of this separator, on the same networks, for some of its sources: it runs only those they need.

        Raises:
            UnknownSourceError: for a source that the separator does not have.
        """
        view = copy(self)
        view._choose(_ordered(self.sources, sources))
        return view

    def _choose(self, sources: tuple[str, ...]) -> None:
        self.sources = sources
        self.indices = [self.bag.sources.index(source) for source in sources]
        self.passes = _passes(self.bag, self.indices, self.options)

    @property
    def sample_rate(self) -> int:
        """Hz of what goes in and comes out."""
        return self.bag.sample_rate

    @property
    def audio_channels(self) -> int:
        """Channels of what goes in and comes out."""
        return self.bag.audio_channels

    @overload
    def __call__(
        self, mixture: NDArray[np.float32], *, sources: Collection[str] | None = None
    ) -> dict[str, NDArray[np.float32]]: ...
    @overload
    def __call__(self, mixture: Tensor, *, sources: Collection[str] | None = None) -> dict[str, Tensor]: ...
    def __call__(
        self, mixture: NDArray[np.float32] | Tensor, *, sources: Collection[str] | None = None
    ) -> dict[str, NDArray[np.float32]] | dict[str, Tensor]:
        """
        Separate a whole mixture in memory.

        Args:
            mixture: at `sample_rate`, numpy or torch, of any floating-point type.
            sources: those wanted of the separator's; only the networks they need are run.

        Shape:
            mixture: [C, T]; every source the same, float32, of the same kind.

        Raises:
            ValueError: for no frames, a wrong number of channels, or numbers that are not finite.
            UnknownSourceError: for a source that the separator does not have.
        """
        array = mixture.detach().to("cpu", torch.float32).numpy() if isinstance(mixture, Tensor) else mixture
        array = self._check(np.asarray(array, np.float32))
        blocks = [array[:, i : i + _BLOCK_FRAMES] for i in range(0, array.shape[1], _BLOCK_FRAMES)]
        parts = list(self.stream(blocks, Statistics.of(blocks), sources=sources))
        whole = {source: np.concatenate([part[source] for part in parts], axis=1) for source in parts[0]}
        if isinstance(mixture, Tensor):
            return {source: torch.from_numpy(signal).to(mixture.device) for source, signal in whole.items()}
        return whole

    def stream(
        self, blocks: Iterable[Block], statistics: Statistics, *, sources: Collection[str] | None = None
    ) -> Iterator[dict[str, Block]]:
        """
        Separate a mixture of any length in bounded memory.

        Args:
            blocks: the mixture at `sample_rate`, [C, T] float32 each.
            statistics: of the same blocks, from a pass before: `Statistics.of(blocks)`.
            sources: as `__call__`.

        Yields:
            consecutive blocks of every source, [C, T] float32.

        Raises:
            ValueError: as `__call__`, or if the blocks hold another number of frames than `statistics`.
            UnknownSourceError: as `__call__`.
        """
        if not statistics.frames:
            raise ValueError("the mixture has no frames")
        view = self if sources is None else self.only(sources)
        joined = OverlapAdd(statistics, view.passes)
        segments = cut(None, map(self._check, blocks), statistics, view.passes)
        for segment, answer in self.engine.run(segments, view.indices):
            final = joined.add(segment.window, answer)
            if final.shape[-1]:
                yield dict(zip(view.sources, on_cpu(final).numpy(), strict=True))

    def _check(self, block: Block) -> Block:
        if block.ndim != 2 or block.shape[0] != self.audio_channels or not block.shape[1]:
            raise ValueError(
                f"a mixture must be [{self.audio_channels}, frames], with at least one frame, not {list(block.shape)}"
            )
        if not np.isfinite(block).all():
            raise ValueError("the mixture holds NaN or infinity")
        return block


def _ordered(known: Sequence[str], wanted: Collection[str] | None) -> tuple[str, ...]:
    """Those of the known sources that are wanted, in the model's order."""
    if wanted is not None:
        check_sources(wanted, known)
    return tuple(source for source in known if wanted is None or source in wanted)


def _passes(bag: Bag, indices: Sequence[int], options: SplitOptions) -> list[Pass]:
    """Every network of the bag under every shift, with its shares in the wanted sources."""
    totals = [sum(weights[i] for weights in bag.weights) for i in indices]
    passes = []
    for network, weights in enumerate(bag.weights):
        shares = [weights[i] / total / options.shifts for i, total in zip(indices, totals, strict=True)]
        if any(shares):
            frames = _segment_frames(bag, network, options.segment)
            for shift in range(options.shifts):
                lead = int(shift * _SHIFT_SECONDS * bag.sample_rate / options.shifts)
                passes.append(Pass(network, frames, options.overlap, tuple(shares), lead))
    return passes


def _segment_frames(bag: Bag, network: int, seconds: float | None) -> int:
    """What a network of the bag sees at once: its own segment or, where that is longer, `seconds`."""
    if seconds is None:
        return bag.segments[network]
    longest = max(bag.segments)
    frames = round(min(seconds * bag.sample_rate, longest + 1))  # the product may be infinite
    if not MIN_SEGMENT_FRAMES <= frames <= longest:
        raise UsageError(
            f"--segment must be from {MIN_SEGMENT_FRAMES / bag.sample_rate:.2f} to "
            f"{longest / bag.sample_rate:g} s (what the model was trained for), not {seconds:g}."
        )
    return min(frames, bag.segments[network])
