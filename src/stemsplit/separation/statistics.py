"""What has to be known of a whole track before its first segment: the reference normalises by it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Statistics:
    """
    Figures of one track at the network's sample rate.

    Attributes:
        frames: length of the track.
        mean, std: of the mean of its channels; the unbiased standard deviation, 0 for fewer than two frames.
        peak: largest magnitude in any channel.
    """

    frames: int
    mean: float
    std: float
    peak: float

    @classmethod
    def of(cls, blocks: Iterable[NDArray[np.float32]]) -> Self:
        """
        Measure a track in one pass and bounded memory.

        Shape: blocks of [channels, frames].
        """
        frames, mean, squares, peak = 0, 0.0, 0.0, 0.0
        for block in blocks:
            count = block.shape[-1]
            if not count:
                continue
            mono = block.mean(axis=0, dtype=np.float64)
            # Chan, Golub and LeVeque 1979: exact merging of the moments of two parts.
            block_mean = float(mono.mean())
            difference = block_mean - mean
            total = frames + count
            squares += float(np.square(mono - block_mean).sum()) + difference**2 * frames * count / total
            mean += difference * count / total
            frames = total
            peak = max(peak, float(np.abs(block).max()))
        std = (squares / (frames - 1)) ** 0.5 if frames > 1 else 0.0
        return cls(frames, mean, std, peak)
