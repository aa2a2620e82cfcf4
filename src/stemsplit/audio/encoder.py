"""The door to every encoder: `open_encoder` picks one of the two, by the format."""

from pathlib import Path
from typing import Protocol

from stemsplit.audio import aac_encoder, soundfile_encoder
from stemsplit.audio.aac_encoder import AacEncoder
from stemsplit.audio.blocks import Samples
from stemsplit.audio.formats import Encoding
from stemsplit.audio.soundfile_encoder import SoundfileEncoder


class Encoder(Protocol):
    """One file being written, under a temporary name; `frames` have been given to it."""

    frames: int

    def write(self, samples: Samples) -> None:
        """Add samples: integers of the encoding's bits, or floats where it has none. Shape: [T, C]."""

    def close(self) -> None:
        """Finish the file, wait until the disk has it, and check it. Raises EncodeError, OSError."""

    def discard(self) -> None:
        """Let go of the file as it is. May follow `close`."""


def open_encoder(
    part: Path, encoding: Encoding, *, target: Path, sample_rate: int, channels: int, frames: int | None
) -> Encoder:
    """
    Begin a file at `part` that will be called `target`.

    Raises OSError, EncodeError.
    """
    if encoding.file_format.is_by_ffmpeg:
        return AacEncoder(part, encoding, target=target, sample_rate=sample_rate, channels=channels)
    return SoundfileEncoder(part, encoding, target=target, sample_rate=sample_rate, channels=channels, frames=frames)


def check_available(encoding: Encoding) -> None:
    """Raises OutputError when what encodes the format is not installed on this machine."""
    if encoding.file_format.is_by_ffmpeg:
        aac_encoder.check_available(encoding)
    else:
        soundfile_encoder.check_available(encoding)


def check_encodable(target: Path, encoding: Encoding, sample_rate: int, channels: int, frames: int | None) -> None:
    """Raises EncodeError when the encoder refuses the rate, the channels or the length."""
    if not encoding.file_format.is_by_ffmpeg:
        soundfile_encoder.check_encodable(target, encoding, sample_rate, channels, frames)
