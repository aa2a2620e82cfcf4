"""
Mono, stereo and surround, folded into one another.

C channels, T frames. Channels come in the order of WAVE files (SMPTE), which both decoders are made to give.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from stemsplit.audio.blocks import Block
from stemsplit.errors import DecodeError

HALF_POWER = sqrt(0.5)  # -3 dB, 0.7071: what centre and surrounds contribute (ITU-R BS.775)

# What one speaker contributes to (left, right). A single rear centre is first split over two surrounds at
# equal power, each of which is then folded: 0.7071 * 0.7071. The LFE channel is dropped, as BS.775 has it.
_FOLD = {
    "L": (1.0, 0.0),
    "R": (0.0, 1.0),
    "C": (HALF_POWER, HALF_POWER),
    "LFE": (0.0, 0.0),
    "Ls": (HALF_POWER, 0.0),
    "Rs": (0.0, HALF_POWER),
    "Lb": (HALF_POWER, 0.0),
    "Rb": (0.0, HALF_POWER),
    "Cs": (0.5, 0.5),
}

LAYOUTS = {
    1: ("C",),
    2: ("L", "R"),
    3: ("L", "R", "C"),
    4: ("L", "R", "Ls", "Rs"),
    5: ("L", "R", "C", "Ls", "Rs"),
    6: ("L", "R", "C", "LFE", "Ls", "Rs"),
    7: ("L", "R", "C", "LFE", "Cs", "Ls", "Rs"),
    8: ("L", "R", "C", "LFE", "Lb", "Rb", "Ls", "Rs"),
}
"""The speakers, in order, that a file of so many channels is taken to hold."""

_GAINS: dict[int, NDArray[np.float32]] = {
    channels: np.array([_FOLD[speaker] for speaker in speakers], dtype=np.float32)
    for channels, speakers in LAYOUTS.items()
    if channels > 2
}


def to_stereo(block: Block) -> Block:
    """
    Double mono, pass stereo as it is (the same array), fold surround.

    Left is L + 0.7071 C + 0.7071 Ls, right likewise; the sum may exceed full scale.

    Shape: [C, T] -> [2, T]

    Raises DecodeError for more than 8 channels, whose meaning no standard order tells.
    """
    channels = block.shape[0]
    if channels == 2:
        return block
    if channels == 1:
        return np.repeat(block, 2, axis=0)
    if channels not in _GAINS:
        raise DecodeError(f"{channels} channels are more than 7.1 surround; mix them down to stereo first.")
    stereo = np.zeros((2, block.shape[1]), dtype=np.float32)
    # Channel by channel: a matrix product rounds differently with the length of the block.
    for gains, channel in zip(_GAINS[channels], block, strict=True):
        stereo += gains[:, np.newaxis] * channel
    return stereo


def to_mono(block: Block) -> Block:
    """
    The mean of the channels.

    Shape: [C, T] -> [1, T]
    """
    mono: Block = block.mean(axis=0, keepdims=True, dtype=np.float32)
    return mono
