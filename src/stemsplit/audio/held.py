"""Samples that wait for the track's gain: in memory up to a bound, beyond it in a hidden file."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stemsplit.audio.blocks import MAX_BLOCK_FRAMES, Block

MEMORY_BYTES = 256 * 2**20
"""All held stems of a track together: 12 minutes of stereo at 44,100 Hz, or 3 minutes of four stems."""


class Allowance:
    """The memory that the stems of one track share."""

    def __init__(self) -> None:
        self._left = MEMORY_BYTES

    def grants(self, size: int) -> bool:
        """Take `size` bytes if they are left."""
        if size > self._left:
            return False
        self._left -= size
        return True


class HeldStem:
    """
    The blocks of one stem, kept in order as float32; what memory does not hold goes to the file `overflow`.

    Raises OSError when that file cannot be written.
    """

    def __init__(self, overflow: Path, channels: int, allowance: Allowance) -> None:
        self._overflow = overflow
        self._channels = channels
        self._allowance = allowance
        self._blocks: list[Block] = []
        self._file: BinaryIO | None = None
        self.frames = 0

    def append(self, block: Block) -> None:
        """Keep a copy. Shape: [C, T]."""
        self.frames += block.shape[1]
        if self._file is None and self._allowance.grants(block.nbytes):
            self._blocks.append(block.copy())
            return
        if self._file is None:
            self._file = self._overflow.open("x+b")
        self._file.write(np.ascontiguousarray(block.T).data)

    def blocks(self) -> Iterator[Block]:
        """What was kept, in order, dropping it from memory on the way: to be read once. Shape: [C, T]."""
        self._blocks.reverse()
        while self._blocks:
            yield self._blocks.pop()
        if self._file is not None:
            self._file.seek(0)
            while data := self._file.read(MAX_BLOCK_FRAMES * self._channels * np.float32().nbytes):
                yield np.frombuffer(data, dtype=np.float32).reshape(-1, self._channels).T

    def discard(self) -> None:
        """Let go of memory and file."""
        self._blocks.clear()
        try:
            if self._file is not None:
                self._file.close()  # fails on a full disk, where the last samples still waited to be written
        finally:
            self._file = None
            self._overflow.unlink(missing_ok=True)
