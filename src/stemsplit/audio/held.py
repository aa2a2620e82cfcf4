"""Samples that wait for the track's gain: in memory up to a bound, beyond it in a hidden file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stemsplit.audio.blocks import MAX_BLOCK_FRAMES, Block

MEMORY_BYTES = 256 * 2**20
"""All held stems of a track together: 12 minutes of stereo at 44,100 Hz, or 3 minutes of four stems."""


class HeldTrack:
    """
    The blocks of several rows (stems, perhaps the mixture), equally long, kept in order as float32.

    What memory does not hold goes to the file `overflow`; OSError is raised when that cannot be written.
    """

    def __init__(self, rows: Sequence[str], overflow: Path, channels: int) -> None:
        self._rows = rows
        self._overflow = overflow
        self._channels = channels
        self._memory_left = MEMORY_BYTES
        self._blocks: list[Block] = []
        self._file: BinaryIO | None = None
        self.frames = 0

    @property
    def bytes_per_frame(self) -> int:
        """What a frame of all rows takes, in memory or on the disk."""
        return len(self._rows) * self._channels * np.float32().nbytes

    def append(self, blocks: Mapping[str, Block]) -> None:
        """Keep a copy of every row's next block. Shape: [C, T]."""
        together = np.concatenate([blocks[row] for row in self._rows])
        self.frames += together.shape[1]
        if self._file is None and together.nbytes <= self._memory_left:
            self._memory_left -= together.nbytes
            self._blocks.append(together)
            return
        if self._file is None:
            self._file = self._overflow.open("x+b")
        self._file.write(np.ascontiguousarray(together.T).data)

    def blocks(self) -> Iterator[dict[str, Block]]:
        """What was kept, in order, dropping it from memory on the way: to be read once. Shape: [C, T]."""
        self._blocks.reverse()
        while self._blocks:
            yield self._by_row(self._blocks.pop())
        if self._file is not None:
            self._file.seek(0)
            while data := self._file.read(MAX_BLOCK_FRAMES * self.bytes_per_frame):
                samples = np.frombuffer(data, dtype=np.float32)
                yield self._by_row(samples.reshape(-1, len(self._rows) * self._channels).T)

    def discard(self) -> None:
        """Let go of memory and file."""
        self._blocks.clear()
        try:
            if self._file is not None:
                self._file.close()  # fails on a full disk, where the last samples still waited to be written
        finally:
            self._file = None
            self._overflow.unlink(missing_ok=True)

    def _by_row(self, together: Block) -> dict[str, Block]:
        return dict(zip(self._rows, np.split(together, len(self._rows)), strict=True))
