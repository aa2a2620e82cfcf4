"""
From float to integers, with dither.

TPDF dither (Lipshitz, Wannamaker and Vanderkooy, "Quantization and Dither", JAES 1992): the difference of two
uniform variables, 2 LSB from peak to peak, makes the error's mean and variance independent of the signal.
Stretches of digital zero stay zero, so that a silent stem is silent and flac packs it to nothing.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stemsplit.audio.blocks import Block

Integers = NDArray[np.int32]
"""Quantised samples. Shape: [frames, channels], as files hold them."""

GRID_FRAMES = 4096
"""Silence is judged on a fixed grid from the first frame, so that it matters not how writes are cut."""


def full_scale(bits: int) -> int:
    """What 1.0 becomes: 32,768 for 16 bits. The greatest integer is one less, the least its negative."""
    return 1 << (bits - 1)


def highest_peak(bits: int) -> float:
    """The largest magnitude that cannot clip: one LSB below the greatest integer, as dither may add one."""
    return (full_scale(bits) - 2) / full_scale(bits)


class Quantiser:
    """
    Turns one stem, block after block, into integers of 16 or 24 bits; what exceeds them saturates.

    The same seed text and the same samples give the same integers, however the samples are cut into blocks.
    `gain` multiplies the samples first.
    """

    def __init__(self, bits: int, channels: int, seed: str, gain: float = 1.0) -> None:
        self._scale = full_scale(bits)
        self._gain = gain
        digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
        self._random = np.random.default_rng(list(digest))
        self._waiting = np.zeros((0, channels), dtype=np.float32)

    def push(self, block: Block) -> Iterator[Integers]:
        """Quantise whole grid cells; what is left of the last one waits. Shape: [C, T] -> [T', C]."""
        samples = np.concatenate([self._waiting, block.T])
        whole = len(samples) - len(samples) % GRID_FRAMES
        for start in range(0, whole, GRID_FRAMES):
            yield self._cell(samples[start : start + GRID_FRAMES])
        self._waiting = samples[whole:]

    def flush(self) -> Iterator[Integers]:
        """Quantise what waits. Shape: [T', C]."""
        if len(self._waiting):
            yield self._cell(self._waiting)
        self._waiting = self._waiting[:0]

    def _cell(self, samples: NDArray[np.float32]) -> Integers:
        # Drawn for silent and for partial cells too: each cell has its own stretch of the random stream.
        uniform = self._random.random((2, GRID_FRAMES, samples.shape[1]), dtype=np.float32)
        if not samples.any():
            return np.zeros(samples.shape, dtype=np.int32)
        # In float64: float32 has 24 bits for the sample alone, none left for the dither below it.
        scaled = samples.astype(np.float64) * (self._scale * self._gain)
        scaled += (uniform[0] - uniform[1])[: len(samples)]
        np.rint(scaled, out=scaled)
        np.clip(scaled, -self._scale, self._scale - 1, out=scaled)
        return scaled.astype(np.int32)
