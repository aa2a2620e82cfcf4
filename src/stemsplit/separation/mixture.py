"""A song as the network hears it: stereo, at the network's rate, and measured."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Self

import numpy as np

from stemsplit.audio.blocks import Block
from stemsplit.audio.channels import to_stereo
from stemsplit.audio.excerpt import Excerpt
from stemsplit.audio.reader import Reader, open_audio
from stemsplit.audio.resample import resampled
from stemsplit.errors import DecodeError
from stemsplit.separation.statistics import Statistics

# A mixture of up to this size (three minutes at 44.1 kHz) is kept from the measuring pass; a longer one is
# decoded again, so that memory does not grow with the song.
KEPT_BYTES = 64 * 1024**2


def original(path: Path, excerpt: Excerpt, *, rate: int, frames: int, mono: bool) -> Generator[Block, None, None]:
    """
    The mixture as its file has it, at the stems' rate in Hz: it never goes through the network's.

    Shape: [1, T] if `mono`, else [2, T]; `frames` in all.

    Raises:
        DecodeError: as `Reader.blocks`.
    """
    with open_audio(path, excerpt) as reader:
        blocks = reader.blocks() if mono else map(to_stereo, reader.blocks())
        yield from resampled(blocks, reader.info.sample_rate, rate, frames)


@dataclass(frozen=True)
class Mixture:
    """
    A mixture that has been heard once.

    Attributes:
        statistics: at the network's rate.
        frames: length at the file's own rate.
        blocks: starts the mixture again, [2, T] float32 blocks at the network's rate.
    """

    statistics: Statistics
    frames: int
    blocks: Callable[[], Iterator[Block]]

    @classmethod
    def measured(cls, reader: Reader, sample_rate: int, cancelled: Event) -> Self:
        """
        Decode `reader` once to measure it; `sample_rate` is the network's.

        Raises:
            DecodeError: as `Reader.blocks` does, and once `cancelled` is set.
        """
        frames = 0
        kept: list[Block] | None = []
        kept_bytes = 0

        def decoded() -> Iterator[Block]:
            return resampled(map(to_stereo, reader.blocks()), reader.info.sample_rate, sample_rate)

        def counted() -> Iterator[Block]:
            nonlocal frames
            for block in reader.blocks():
                if cancelled.is_set():
                    raise DecodeError(f"{reader.path}: was cancelled.")
                frames += block.shape[1]
                yield to_stereo(block)

        def keeping() -> Iterator[Block]:
            nonlocal kept, kept_bytes
            for block in resampled(counted(), reader.info.sample_rate, sample_rate):
                kept_bytes += block.nbytes
                if kept_bytes > KEPT_BYTES:
                    kept = None
                if kept is not None:
                    kept.append(block)
                yield block

        statistics = Statistics.of(keeping())
        if not statistics.frames:  # shorter than half a frame of the network's: a frame of silence stands for it
            kept = [np.zeros((2, 1), np.float32)]
            statistics = Statistics.of(kept)
        return cls(statistics, frames, decoded if kept is None else partial(iter, kept))
