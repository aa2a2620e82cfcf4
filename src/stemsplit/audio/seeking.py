"""Excerpts of files, read by seeking: what lies before them is not decoded."""

from math import gcd
from pathlib import Path

import numpy as np
import soxr

from stemsplit.audio.blocks import Block
from stemsplit.audio.channels import to_stereo
from stemsplit.audio.faults import reason, shown
from stemsplit.audio.ffmpeg_decoder import FfmpegDecoder
from stemsplit.audio.reader import open_audio
from stemsplit.audio.resample import QUALITY
from stemsplit.audio.soundfile_decoder import SoundfileDecoder
from stemsplit.errors import DecodeError

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
    try:
        decoder = SoundfileDecoder.open(path) or FfmpegDecoder.open(path)
        block = _converted(path, decoder, first, frames, sample_rate)
    except OSError as error:
        raise DecodeError(f"{shown(path)}: {reason(error)}.") from error
    if not np.isfinite(block).all():
        raise DecodeError(f"{shown(path)}: holds NaN or infinity near {first / sample_rate:.1f} s. Export it again.")
    return np.pad(block, ((0, 0), (0, frames - block.shape[1])))


def _converted(
    path: Path, decoder: SoundfileDecoder | FfmpegDecoder, first: int, frames: int, sample_rate: int
) -> Block:
    """The part at `sample_rate`, shorter where the file ends."""
    own_rate = decoder.info.sample_rate
    if own_rate == sample_rate:
        return to_stereo(_read(path, decoder, first, frames))
    # From here on both rates have whole numbers of frames again, so that the filter's phase is that of the whole file.
    common = gcd(own_rate, sample_rate)
    period, own_period = sample_rate // common, own_rate // common
    margin = round(_MARGIN_SECONDS * sample_rate)
    periods = max(0, first - margin) // period
    skipped = first - periods * period
    own_frames = -(-(skipped + frames + margin) * own_rate // sample_rate)
    block = to_stereo(_read(path, decoder, periods * own_period, own_frames))
    converted: Block = soxr.resample(block.T, own_rate, sample_rate, quality=QUALITY).T
    return converted[:, skipped : skipped + frames]


def _read(path: Path, decoder: SoundfileDecoder | FfmpegDecoder, first: int, frames: int) -> Block:
    block = decoder.read(first, frames)
    return _decoded(path, first, frames) if block is None else block


def _decoded(path: Path, first: int, frames: int) -> Block:
    """The part of a file that cannot be sought in, as Matroska or an mp3 of unknown length: decoded from its start."""
    position = 0
    with open_audio(path) as reader:
        parts = [np.empty((reader.info.channels, 0), np.float32)]
        for block in reader.blocks():
            parts.append(block[:, max(0, first - position) : max(0, first + frames - position)])
            position += block.shape[1]
            if position >= first + frames:
                break
    return np.concatenate(parts, axis=1)
