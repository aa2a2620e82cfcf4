"""Encoding with libsndfile: wav, flac, aiff, mp3, ogg, opus."""

import os
import re
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from stemsplit.audio.blocks import MAX_BLOCK_FRAMES, Samples
from stemsplit.audio.faults import shown
from stemsplit.audio.formats import FORMATS, Encoding
from stemsplit.audio.ogg import fix_serial
from stemsplit.errors import EncodeError, OutputError

RIFF_BYTES = 2**32 - 2**20
"""Samples that WAV and AIFF hold: their sizes are 32-bit numbers; a mebibyte is left for header and tags."""

_HEADER_BYTES = 4096  # more than libsndfile writes before the samples
_SAMPLES = re.compile(rb"data|SSND")  # the chunk that holds them, in WAV and in AIFF
_RF64_AUTO_DOWNGRADE = 0x1210  # a libsndfile command that soundfile has no name for (SFC_ in sndfile.h)


def _mp3_quality(kilobits: int, sample_rate: int, channels: int) -> dict[str, Any]:
    # libsndfile scales the compression level over the bitrates of the MPEG version that the rate belongs to.
    bitrates = FORMATS["mp3"].bitrates
    assert bitrates is not None
    least, most = bitrates.range_at(sample_rate)
    return {"compression_level": (most - min(kilobits, most)) / (most - least), "bitrate_mode": "CONSTANT"}


def _opus_quality(kilobits: int, sample_rate: int, channels: int) -> dict[str, Any]:
    per_channel = min(max(kilobits / channels, 6), 256)  # what libsndfile scales the compression level over
    return {"compression_level": 1 - (per_channel - 6) / 250}


def _vorbis_quality(kilobits: int, sample_rate: int, channels: int) -> dict[str, Any]:
    return {"compression_level": 0.2}  # Vorbis quality 8, about 256 kbit/s for stereo


_QUALITIES: Mapping[str, Callable[[int, int, int], dict[str, Any]]] = MappingProxyType(
    {"mp3": _mp3_quality, "opus": _opus_quality, "ogg": _vorbis_quality}
)


class SoundfileEncoder:
    """
    Writes samples into the file `part`; `close` makes sure that they are all there.

    With `frames`, the length to come, the plainest header that can hold it is chosen: WAV rather than RF64.
    `target` is the name to tell.

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
        frames: int | None = None,
    ) -> None:
        self.frames = 0
        self._part = part
        self._target = target
        self._bits = encoding.bits
        self._is_float = encoding.is_float
        self._is_ogg = encoding.file_format.container == "OGG"
        self._disk = _Disk(part)
        try:
            self._sound = _open(self._disk, encoding, sample_rate, channels, frames)
        except BaseException:
            self._disk.close()
            raise

    def write(self, samples: Samples) -> None:
        """Add samples, integers of the encoding's depth or floats. Shape: [T, C]."""
        self.frames += len(samples)
        stored = _as_libsndfile_takes_them(samples, self._bits)
        for start in range(0, len(stored), MAX_BLOCK_FRAMES):
            self._sound.write(stored[start : start + MAX_BLOCK_FRAMES])
            self._disk.check()

    def close(self) -> None:
        """Finish the file, wait until the disk has it, and check it."""
        self._sound.close()
        if self._is_float:
            self._disk.forget_time()
        self._disk.check()
        self._disk.close()
        self._check_whole()
        with self._part.open("r+b") as file:
            if self._is_ogg:  # the same command twice must give the same bytes
                fix_serial(file)
            file.flush()
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Close the file as it is. May follow `close`."""
        self._sound.close()
        self._disk.close()

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


def _as_libsndfile_takes_them(samples: Samples, bits: int | None) -> NDArray[Any]:
    """16-bit integers as they are, 24-bit ones in the upper bytes of 32, floats as they are."""
    if bits is None:
        return samples
    return samples.astype(np.int16) if bits == 16 else np.left_shift(samples.astype(np.int32, copy=False), 8)


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

    def read(self, size: int) -> bytes:
        return self._file.read(size) or b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def forget_time(self) -> None:
        """Zero the time of day in the PEAK chunk of floats: the same command twice must give the same bytes."""
        self._file.seek(0)
        header = _SAMPLES.split(self.read(_HEADER_BYTES), maxsplit=1)[0]
        chunk = header.find(b"PEAK")
        if chunk >= 0:
            self._file.seek(chunk + 12)  # behind the chunk's name, size and version
            self.write(bytes(4))

    def close(self) -> None:
        self._file.close()


def check_available(encoding: Encoding) -> None:
    """Raises OutputError when this machine's libsndfile is too old for the format, as for mp3 before 1.1."""
    container = encoding.file_format.container
    if not soundfile.check_format(container, encoding.subtype):
        raise OutputError(
            f"The libsndfile that soundfile found ({soundfile.__libsndfile_version__}) writes no {encoding.format}. "
            "Reinstall soundfile with pip, or choose another format."
        )


def check_encodable(
    target: Path, encoding: Encoding, sample_rate: int, channels: int, frames: int | None = None
) -> None:
    """Try one frame in memory. Raises EncodeError when the encoder refuses the rate, the channels or the length."""
    size = encoding.bytes_per_second(sample_rate, channels) / sample_rate * (frames or 0)
    if encoding.file_format.size_is_known and not encoding.file_format.large_container and size > RIFF_BYTES:
        raise EncodeError(f"{shown(target)}: {encoding.format} ends at 4 GiB. Choose wav or flac.")
    try:
        with _open(BytesIO(), encoding, sample_rate, channels, frames=1) as sound:
            sound.write(np.zeros((1, channels), dtype=np.int32))
    except soundfile.LibsndfileError as error:
        raise EncodeError(
            f"{shown(target)}: {encoding.format} cannot hold {channels} channels at {sample_rate} Hz. "
            f"Choose another format or sample rate."
        ) from error


def _open(disk: "_Disk | BytesIO", encoding: Encoding, sample_rate: int, channels: int, frames: int | None) -> Any:
    large = encoding.file_format.large_container
    size = encoding.bytes_per_second(sample_rate, channels) / sample_rate * (frames or 0)
    container = large if large and (frames is None or size > RIFF_BYTES) else encoding.file_format.container
    quality: dict[str, Any] = {}
    if encoding.format in _QUALITIES:
        quality = _QUALITIES[encoding.format](encoding.kilobits or 0, sample_rate, channels)
    sound = soundfile.SoundFile(disk, "w", sample_rate, channels, encoding.subtype, format=container, **quality)
    if frames is None:  # RF64 shall turn into WAV on closing, if it can
        soundfile._snd.sf_command(sound._file, _RF64_AUTO_DOWNGRADE, soundfile._ffi.NULL, 1)
    return sound
