"""Conversion from one sample rate to another, as a stream. Blocks are [C channels, T frames]."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from stemsplit.audio.blocks import Block

QUALITY = "VHQ"  # 28 bits: the conversion stays below the noise of a 24-bit file


class Resampler:
    """
    Converts blocks as they come; equal rates pass through untouched.

    The result does not depend on how the input is cut into blocks: it is soxr's one-shot result, bit for bit.
    n frames become n * to_rate / from_rate, rounded to the nearest integer. With `frames` the output is
    exactly that long, cut or padded with zeros, so that a song that goes to another rate and back keeps every
    frame. Rates are in Hz.
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int, frames: int | None = None) -> None:
        self._channels = channels
        self._missing = frames
        self._stream: soxr.ResampleStream | None = None
        if from_rate != to_rate:
            self._stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality=QUALITY)

    def push(self, block: Block) -> Block:
        """Convert the next block; what comes out may be shorter or longer. Shape: [C, T] -> [C, any]."""
        return self._cut(block if self._stream is None else self._converted(block, last=False))

    def flush(self) -> Block:
        """What the conversion still holds, and the zeros that are missing. Shape: [C, any]."""
        tail = np.zeros((self._channels, 0), np.float32)
        if self._stream is not None:
            tail = self._cut(self._converted(tail, last=True))
        if self._missing:
            tail = np.pad(tail, ((0, 0), (0, self._missing)))
            self._missing = 0
        return tail

    def _converted(self, block: Block, *, last: bool) -> Block:
        assert self._stream is not None
        output: Block = self._stream.resample_chunk(np.ascontiguousarray(block.T), last=last).T
        return output

    def _cut(self, block: Block) -> Block:
        if self._missing is None:
            return block
        block = block[:, : self._missing]
        self._missing -= block.shape[1]
        return block


def resampled(blocks: Iterable[Block], from_rate: int, to_rate: int, frames: int | None = None) -> Iterator[Block]:
    """
    Convert a stream of blocks through a `Resampler`; none that is empty is yielded.

    Shape: [C, T] -> [C, T * to_rate / from_rate]
    """
    resampler: Resampler | None = None
    for block in blocks:
        if resampler is None:
            resampler = Resampler(from_rate, to_rate, block.shape[0], frames)
        output = resampler.push(block)
        if output.shape[1]:
            yield output
    if resampler is not None:
        output = resampler.flush()
        if output.shape[1]:
            yield output
