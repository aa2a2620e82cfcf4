"""
From float to integers, with dither, and stems that add up in integers.

TPDF dither (Lipshitz, Wannamaker and Vanderkooy, "Quantization and Dither", JAES 1992): the difference of two
uniform variables, 2 LSB from peak to peak, makes the error's mean and variance independent of the signal.
A stretch that already consists of integers has no error to be made independent, so it stays as it is: a silent stem
is silent and flac packs it to nothing, and a 16-bit song stays the same in 16 and in 24 bits.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stemsplit.audio.blocks import Block

Integers = NDArray[np.int32]
"""Quantised samples. Shape: [frames, channels], as files hold them."""

GRID_FRAMES = 4096
"""Dither is decided on a fixed grid from the first frame, so that it matters not how writes are cut."""

_FRAMES_AT_ONCE = 16 * GRID_FRAMES

MIXTURE = "mixture"
"""The row that remainders are taken from; no stem has this name, except in a file that bundles it with its stems."""

# How the rows of a track are gone through: `map`, or one that uses threads.
Map = Callable[[Callable[[str], Integers], Iterable[str]], Iterable[Integers]]

Remainders = Mapping[str, Sequence[str]]
"""Stems that are the mixture less other stems, by name: {"instrumental": ["vocals"]}."""


def full_scale(bits: int) -> int:
    """What 1.0 becomes: 32,768 for 16 bits. The greatest integer is one less, the least its negative."""
    return 1 << (bits - 1)


def highest_peak(bits: int, parts: int = 0) -> float:
    """
    The largest magnitude that cannot clip: one LSB below the greatest integer, as dither may add one.

    That of a remainder of `parts` stems is lower: rounding and dither, 1.5 LSB each, of the mixture and of every part
    meet in it.
    """
    errors = 1 if not parts else 1.5 * (parts + 1)
    return (full_scale(bits) - 1 - errors) / full_scale(bits)


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
        self._random = np.random.PCG64(list(digest))
        self._waiting = np.zeros((0, channels), dtype=np.float32)

    def push(self, block: Block) -> Integers:
        """Quantise whole grid cells; what is left of the last one waits. Shape: [C, T] -> [T', C]."""
        samples = np.concatenate([self._waiting, block.T])
        whole = len(samples) - len(samples) % GRID_FRAMES
        self._waiting = samples[whole:]
        return self._quantised(samples[:whole])

    def flush(self) -> Integers:
        """Quantise what waits. Shape: [T', C]."""
        frames, channels = self._waiting.shape
        padding = np.zeros((-frames % GRID_FRAMES, channels), np.float32)
        samples, self._waiting = np.concatenate([self._waiting, padding]), self._waiting[:0]
        return self._quantised(samples)[:frames]

    def _quantised(self, samples: NDArray[np.float32]) -> Integers:
        """Whole cells, as many at once as stay in the cache."""
        result = np.empty(samples.shape, np.int32)
        for start in range(0, len(samples), _FRAMES_AT_ONCE):
            some = slice(start, start + _FRAMES_AT_ONCE)
            cells = samples[some].reshape(-1, GRID_FRAMES, samples.shape[1])
            result[some] = self._quantised_cells(cells).reshape(result[some].shape)
        return result

    def _quantised_cells(self, cells: NDArray[np.float32]) -> NDArray[np.float64]:
        """Shape: [cells, GRID_FRAMES, C] -> the same, whole numbers."""
        # Drawn for whole-numbered cells too: each cell has its own stretch of the random stream. Of every 64 random
        # bits 16 make a uniform variable of steps of 1/65,536 LSB; twice that many bits would take twice as long.
        drawn = self._random.random_raw(cells.size // 2).view(np.uint16).reshape(len(cells), 2, *cells.shape[1:])
        dither = np.subtract(drawn[:, 0], drawn[:, 1], dtype=np.int32)
        # In float64: float32 has 24 bits for the sample alone, none left for the dither below it.
        scaled = np.multiply(cells, self._scale * self._gain, dtype=np.float64)
        dither[(scaled == np.rint(scaled)).all(axis=(1, 2))] = 0
        scaled += np.multiply(dither, 2.0**-16)
        np.rint(scaled, out=scaled)
        return np.clip(scaled, -self._scale, self._scale - 1, out=scaled)


class TrackQuantiser:
    """
    Quantises all stems of a track together, so that remainders are taken in integers and add up exactly.

    A remainder is the quantised mixture less the quantised stems; it gets no dither of its own, since theirs is in
    it. `track` seeds the dither of every stem, with the stem's name. `run_all` goes through the rows.
    """

    def __init__(
        self,
        stems: Sequence[str],
        remainders: Remainders,
        bits: int,
        channels: int,
        track: str,
        gain: float,
        run_all: Map = map,
    ) -> None:
        self._stems = stems
        self._remainders = remainders
        self._scale = full_scale(bits)
        self._run_all = run_all
        rows = quantised_rows(stems, remainders)
        self._rows = {row: Quantiser(bits, channels, f"{track}\n{row}", gain) for row in rows}

    def push(self, blocks: Mapping[str, Block]) -> dict[str, Integers]:
        """Quantise the next blocks of all `quantised_rows`, equally long. Shape: [C, T] -> [T', C] of every stem."""
        return self._with_remainders(lambda row: self._rows[row].push(blocks[row]))

    def flush(self) -> dict[str, Integers]:
        """Quantise what waits. Shape: [T', C] of every stem."""
        return self._with_remainders(lambda row: self._rows[row].flush())

    def _with_remainders(self, quantised: Callable[[str], Integers]) -> dict[str, Integers]:
        rows = dict(zip(self._rows, self._run_all(quantised, self._rows), strict=True))
        for name, parts in self._remainders.items():
            rest = rows[MIXTURE] - sum(rows[part] for part in parts)
            rows[name] = np.clip(rest, -self._scale, self._scale - 1)
        return {stem: rows[stem] for stem in self._stems}


def quantised_rows(stems: Sequence[str], remainders: Remainders) -> list[str]:
    """What has to be quantised to write these stems: those that are no remainder, and the mixture if one is."""
    rows = [stem for stem in stems if stem not in remainders]
    return [*rows, MIXTURE] if remainders and MIXTURE not in rows else rows
