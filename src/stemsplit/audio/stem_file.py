"""One stem's file while it is being written, under a temporary name."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from stemsplit.audio.blocks import Block, pieces
from stemsplit.audio.faults import shown
from stemsplit.audio.formats import Encoding
from stemsplit.audio.quantise import Integers, Quantiser
from stemsplit.errors import EncodeError

RIFF_BYTES = 2**32 - 2**20
"""Samples that plain WAV holds: its sizes are 32-bit numbers; a mebibyte is left for header and tags."""

_HEADER_BYTES = 4096  # more than libsndfile writes before the samples
_RF64_AUTO_DOWNGRADE = 0x1210  # a libsndfile command that soundfile has no name for (SFC_ in sndfile.h)


class StemFile:
    """
    Writes blocks of one stem into the file `part`; `close` makes sure that they are all there.

    Samples are multiplied by `gain`; integers then get dither seeded by `seed`. With `frames`, the length to
    come, the plainest header that can hold it is chosen: WAV rather than RF64. `target` is the name to tell.

    Raises OSError for what the disk refuses, EncodeError when not all has arrived there.
    """

    def __init__(
        self,
        part: Path,
        encoding: Encoding,
        *,
        target: Path,
        sample_rate: int,
        channels: int,
        seed: str,
        gain: float = 1.0,
        frames: int | None = None,
    ) -> None:
        self._part = part
        self._target = target
        self.frames = 0
        bits = encoding.depth.bits
        self._gain = gain
        self._quantiser = Quantiser(bits, channels, seed, gain) if bits else None
        self._narrow = bits == 16
        self._disk = _Disk(part)
        self._sound = _open(self._disk, encoding, sample_rate, channels, frames)

    def write(self, block: Block) -> None:
        """Add a block, however long. Shape: [C, T]."""
        self.frames += block.shape[1]
        for piece in pieces(block):
            if self._quantiser:
                for samples in self._quantiser.push(piece):
                    self._write_integers(samples)
            else:
                self._write(np.ascontiguousarray(piece.T) * np.float32(self._gain))

    def close(self) -> int:
        """Finish the file, wait until the disk has it, check it, and return its size in bytes."""
        if self._quantiser:
            for samples in self._quantiser.flush():
                self._write_integers(samples)
        self._sound.close()
        self._disk.forget_time()
        self._disk.check()
        self._disk.sync()
        self._disk.close()
        self._check_whole()
        return self._part.stat().st_size

    def discard(self) -> None:
        """Close the file as it is. May follow `close`."""
        self._sound.close()
        self._disk.close()

    def _write_integers(self, samples: Integers) -> None:
        # libsndfile takes 16-bit samples as they are and 24-bit ones in the upper bytes of 32.
        self._write(samples.astype(np.int16) if self._narrow else samples << 8)

    def _write(self, samples: Any) -> None:
        self._sound.write(samples)
        self._disk.check()

    def _check_whole(self) -> None:
        try:
            with self._part.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as sound:
                frames = sound.frames
        except soundfile.LibsndfileError:
            frames = 0
        if frames != self.frames:
            raise EncodeError(
                f"{shown(self._target)}: only {frames} of {self.frames} frames arrived on the disk. "
                f"Check the disk and try again."
            )


class _Disk:
    """
    The file as libsndfile sees it.

    libsndfile reports a full disk vaguely, and not at all when closing. So the first error is kept here for
    `check`, and libsndfile is told that all went well.
    """

    def __init__(self, path: Path) -> None:
        # Unbuffered: libsndfile buffers itself, and a buffer here would fail later, in `seek` or `close`.
        self._file = path.open("w+b", buffering=0)
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest and self._error is None:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def forget_time(self) -> None:
        """Zero the time of day in a WAV's PEAK chunk: the same command twice must give the same bytes."""
        self._file.seek(0)
        header = self._file.read(_HEADER_BYTES).partition(b"data")[0]
        chunk = header.find(b"PEAK")
        if chunk >= 0:
            self._file.seek(chunk + 12)  # behind the chunk's name, size and version
            self.write(bytes(4))

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def check_encodable(target: Path, encoding: Encoding, sample_rate: int, channels: int) -> None:
    """Try the encoder on one frame in memory. Raises EncodeError when it refuses the rate or the channels."""
    try:
        with _open(BytesIO(), encoding, sample_rate, channels, frames=1) as sound:
            sound.write(np.zeros((1, channels), dtype=np.int32))
    except soundfile.LibsndfileError as error:
        raise EncodeError(
            f"{shown(target)}: {encoding.format} cannot hold {channels} channels at {sample_rate} Hz. "
            f"Choose another format or sample rate."
        ) from error


def _open(disk: "_Disk | BytesIO", encoding: Encoding, sample_rate: int, channels: int, frames: int | None) -> Any:
    large = encoding.container.large_container
    needs_large = frames is None or frames * channels * encoding.depth.bytes_per_sample > RIFF_BYTES
    container = large if large and needs_large else encoding.container.container
    sound = soundfile.SoundFile(disk, "w", sample_rate, channels, encoding.subtype, format=container)
    if frames is None:  # RF64 shall turn into WAV on closing, if it can
        soundfile._snd.sf_command(sound._file, _RF64_AUTO_DOWNGRADE, soundfile._ffi.NULL, 1)
    return sound
