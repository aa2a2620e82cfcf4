"""Excerpts of files, read by seeking: what lies before them is not decoded."""

from math import gcd
from pathlib import Path

import numpy as np
import soxr

from stemsplit.audio.blocks import Block
from stemsplit.audio.channels import to_stereo
from stemsplit.audio.reader import Reader, open_audio
from stemsplit.audio.resample import QUALITY

_MARGIN_SECONDS = 0.1  # of sound on either side that the resampling filter hears: far more than its length


def read_excerpt(path: Path, first: int, frames: int, sample_rate: int) -> Block:
    """
    Part of a file as stereo, equal to that part of the whole file converted; zeros where the file has ended.

    Args:
        path: any file that `open_audio` opens.
        first: where it begins, in frames at `sample_rate`.
        frames: how long it is.
        sample_rate: Hz, of what is given.

    Shape: [2, frames]

    Raises:
        DecodeError: for a file that is gone or damaged, or holds NaN or infinity.
        MissingProgramError: when only ffmpeg could decode it and is not installed.
    """
    with open_audio(path) as reader:
        block = _converted(reader, first, frames, sample_rate)
    return np.pad(block, ((0, 0), (0, frames - block.shape[1])))


def _converted(reader: Reader, first: int, frames: int, sample_rate: int) -> Block:
    """The part at `sample_rate`, shorter where the file ends."""
    own_rate = reader.info.sample_rate
    if own_rate == sample_rate:
        return to_stereo(reader.read(first, frames))
    # From here on both rates have whole numbers of frames again, so that the filter's phase is that of the whole file.
    common = gcd(own_rate, sample_rate)
    period, own_period = sample_rate // common, own_rate // common
    margin = round(_MARGIN_SECONDS * sample_rate)
    periods = max(0, first - margin) // period
    skipped = first - periods * period
    own_frames = -(-(skipped + frames + margin) * own_rate // sample_rate)
    block = to_stereo(reader.read(periods * own_period, own_frames))
    converted: Block = soxr.resample(block.T, own_rate, sample_rate, quality=QUALITY).T
    return converted[:, skipped : skipped + frames]
