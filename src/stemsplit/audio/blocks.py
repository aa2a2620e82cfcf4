"""What a block of sound is, and what is known about a file that gives blocks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]
"""
A stretch of sound, float32, full scale at 1.0 (floats may exceed it).

Shape: [channels, frames]
"""

Samples = NDArray[np.int32] | NDArray[np.float32]
"""
A stretch of sound as a file is to hold it: integers of some bits, or floats.

Shape: [frames, channels]
"""

MAX_BLOCK_FRAMES = 65_536  # 1.5 s at 44,100 Hz; one longer Vorbis write crashes libsndfile 1.2


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """
    What a file says about its sound.

    `sample_rate` is in Hz. `frames` is what the container announces, None when it does not say: good for a
    progress bar, never for an allocation (compressed formats round it, a damaged file holds fewer).
    `container` is a short lower-case name such as "wav", "mp3" or "m4a".
    """

    sample_rate: int
    channels: int
    frames: int | None
    container: str


def pieces(block: Block, frames: int = MAX_BLOCK_FRAMES) -> Iterator[Block]:
    """Cut a block into views of at most `frames` frames, in order."""
    for start in range(0, block.shape[1], frames):
        yield block[:, start : start + frames]
