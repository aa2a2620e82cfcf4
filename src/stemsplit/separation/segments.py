"""
Where segments lie in a track, and how the network's answers become one stream again.

The grid is the reference's: segments start every `stride` frames while the start lies inside the track. The
part of a segment inside the track is its *piece*; where that is shorter than the segment (towards the end), the
network sees it centred, with the real audio before it on the left, as far as there is some, and zeros elsewhere.
Pieces are joined under triangular windows, normalised to sum to one. At an overlap of up to one half that is a linear
crossfade; at any overlap it is a partition of unity, so an identity network returns the track.

Shapes: S sources, C channels, T frames.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stemsplit.separation.statistics import Statistics

_EPSILON = 1e-8  # keeps the normalisation of a silent track finite


@dataclass(frozen=True)
class Pass:
    """
    One run of one network over a whole track; a bag takes several, and so do shifts.

    Attributes:
        network: its number in the bag.
        segment_frames: what the network sees at once.
        overlap: fraction that neighbouring segments share, from 0 to below 1.
        shares: this pass's part in each wanted source; over all passes they sum to one.
        lead: frames of silence put before the track, which moves every segment (a shift).
    """

    network: int
    segment_frames: int
    overlap: float
    shares: tuple[float, ...]
    lead: int = 0

    @property
    def stride(self) -> int:
        """Frames from one segment's start to the next one's."""
        return max(1, int((1 - self.overlap) * self.segment_frames))

    def windows(self, frames: int) -> Iterator["Window"]:
        """Every segment of a track of `frames` frames, in order."""
        for index, offset in enumerate(range(0, frames + self.lead, self.stride)):
            piece = min(self.segment_frames, frames + self.lead - offset)
            if offset + piece > self.lead:  # else it lies in the silence before the track
                yield Window(self, index, offset - self.lead, piece, (self.segment_frames - piece) // 2)

    def crossfade(self, index: int) -> Tensor:
        """Weight of every frame of segment `index`, so that all segments sum to one. Shape: [segment_frames]."""
        reach = (self.segment_frames - 1) // self.stride  # neighbours on either side that share a frame
        return _crossfade(self.segment_frames, self.stride, min(index, reach), reach)


@dataclass(frozen=True)
class Window:
    """
    Where one segment lies.

    Attributes:
        run: the pass it belongs to.
        index: its number in that pass.
        start, frames: its piece of the track; the start is below zero inside a lead.
        margin: frames the network sees before the piece.
    """

    run: Pass
    index: int
    start: int
    frames: int
    margin: int

    @property
    def begin(self) -> int:
        """First frame the network sees."""
        return self.start - self.margin

    @property
    def end(self) -> int:
        """One past the last frame the network sees."""
        return self.begin + self.run.segment_frames


@dataclass(frozen=True)
class Segment:
    """The unit of work: what the network sees of `track` in `window`. Shape: samples [C, segment_frames]."""

    track: object
    window: Window
    samples: Tensor


def cut(
    track: object, blocks: Iterable[NDArray[np.float32]], statistics: Statistics, passes: Sequence[Pass]
) -> Iterator[Segment]:
    """
    Cut a stream of blocks [C, T] into the standardised segments of all passes, holding about one segment.

    Raises:
        ValueError: if the blocks hold fewer or more frames than `statistics` says.
    """
    supply = iter(blocks)
    tape = _Tape(statistics)
    longest = max(run.segment_frames for run in passes)
    frames = statistics.frames
    for window in heapq.merge(*(run.windows(frames) for run in passes), key=lambda w: min(w.end, frames)):
        needed = min(window.end, frames)
        while tape.end < needed:
            block = next(supply, None)
            if block is None:
                raise ValueError(f"the track ended after {tape.end} frames of the {frames} measured")
            tape.append(block)
        # No later window needs less than `needed`, and none begins more than a segment before what it needs.
        tape.forget(needed - longest)
        yield Segment(track, window, tape.read(window.begin, window.end))
    excess = sum(block.shape[-1] for block in supply)
    if tape.end + excess != frames:
        raise ValueError(f"the track has {tape.end + excess} frames, not the {frames} measured")


class _Tape:
    """The last stretch of a standardised track. Reading outside of the track gives zeros."""

    def __init__(self, statistics: Statistics) -> None:
        self.begin = 0
        self.end = 0
        self._mean = np.float32(statistics.mean)
        self._scale = np.float32(statistics.std + _EPSILON)
        self._blocks: list[NDArray[np.float32]] = []

    def append(self, block: NDArray[np.float32]) -> None:
        self._blocks.append((block - self._mean) / self._scale)
        self.end += block.shape[-1]

    def forget(self, before: int) -> None:
        while self._blocks and self.begin + self._blocks[0].shape[-1] <= before:
            self.begin += self._blocks.pop(0).shape[-1]

    def read(self, begin: int, end: int) -> Tensor:
        samples = np.zeros((self._blocks[0].shape[0], end - begin), np.float32)
        position = self.begin
        for block in self._blocks:
            first, last = max(begin, position), min(end, position + block.shape[-1])
            if first < last:
                samples[:, first - begin : last - begin] = block[:, first - position : last - position]
            position += block.shape[-1]
        return torch.from_numpy(samples)


class OverlapAdd:
    """
    Joins the network's answers for one track, on the device they come on.

    Args:
        statistics: of the track; its standardisation is undone.
        passes: all passes over it.
    """

    def __init__(self, statistics: Statistics, passes: Sequence[Pass]) -> None:
        self.frames = statistics.frames
        self.position = 0  # frames handed out so far
        self._mean = statistics.mean
        self._scale = statistics.std + _EPSILON
        self._reached = dict.fromkeys(passes, 0)  # up to where each pass has contributed all it will
        # One running sum per network, from `position` on: a network's answers come in a fixed order, those of several
        # in one that depends on who shares the batches, and sums of floats depend on their order.
        self._sums: dict[int, Tensor] = {}

    @property
    def complete(self) -> bool:
        """Whether the whole track has been handed out."""
        return self.position == self.frames

    def add(self, window: Window, answer: Tensor) -> Tensor:
        """
        Add one answer; return the frames of the track that are final with it, possibly none.

        Shape:
            answer: [S, C, segment_frames]; result: [S, C, T].
        """
        run = window.run
        first = max(window.start, 0)
        last = window.start + window.frames
        inside = slice(first - window.start, window.frames)
        piece = answer[..., window.margin : window.margin + window.frames][..., inside]
        share = torch.tensor(run.shares, dtype=answer.dtype, device=answer.device)[:, None, None]
        weights = run.crossfade(window.index)[inside].to(answer.device)
        total = self._stretched(run.network, last - self.position, answer)
        total[..., first - self.position : last - self.position] += piece * weights * share
        self._sums[run.network] = total
        self._reached[run] = min(max(0, window.start + run.stride), self.frames)
        return self._release(min(self._reached.values()), answer)

    def _stretched(self, network: int, frames: int, like: Tensor) -> Tensor:
        """A network's running sum, at least so long, and where `like` is: the engine may have moved."""
        total = self._sums.get(network, like.new_zeros(*like.shape[:-1], 0)).to(like.device)
        missing = max(0, frames - total.shape[-1])
        return torch.cat([total, like.new_zeros(*like.shape[:-1], missing)], dim=-1)

    def _release(self, end: int, like: Tensor) -> Tensor:
        count = end - self.position
        final = like.new_zeros(*like.shape[:-1], count)
        if count:
            for network in sorted(self._sums):
                total = self._sums[network].to(like.device)
                final += total[..., :count]
                self._sums[network] = total[..., count:].clone()
            self.position = end
        return final * self._scale + self._mean


@lru_cache(maxsize=4)
def _crossfade(frames: int, stride: int, before: int, after: int) -> Tensor:
    """A segment's triangle over the sum of its own and its neighbours', so many `before` and `after` it."""
    half = frames // 2
    triangle = np.concatenate([np.arange(1.0, half + 1), np.arange(float(frames - half), 0, -1)])
    total = triangle.copy()
    for shift in range(stride, before * stride + 1, stride):
        total[:-shift] += triangle[shift:]
    for shift in range(stride, after * stride + 1, stride):
        total[shift:] += triangle[:-shift]
    return torch.from_numpy((triangle / total).astype(np.float32))
