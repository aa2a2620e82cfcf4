"""Decoding with libsndfile: wav, aiff, flac, ogg, opus, mp3 and the many it knows besides."""

import os
import re
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from stemsplit.audio.blocks import AudioInfo, Block
from stemsplit.audio.faults import shown
from stemsplit.audio.id3 import tag_bytes
from stemsplit.errors import DecodeError

# Where a flac file breaks off, the read that meets the break is lost whole; so reads are short.
READ_FRAMES = 8192  # 0.2 s at 44,100 Hz

# libsndfile leaves Vorbis and Opus in the order of their specifications (Vorbis I, 4.3.9; RFC 7845, 5.1.1.2),
# for example L C R Ls Rs LFE. These indices give the order of WAVE files, as in channels.LAYOUTS.
_FROM_VORBIS_ORDER = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 5, 3, 4],
    7: [0, 2, 1, 6, 5, 3, 4],
    8: [0, 2, 1, 7, 5, 6, 3, 4],
}

# libsndfile trims the length of a shortened file without a word, except in its log.
_SHORTENED = re.compile(r"^ ?(?:data|SSND) : (\d+) \(should be (\d+)\)", re.MULTILINE)
_UNFINISHED_OGG = "Last page lacks an end-of-stream bit"
_STREAMED_BYTES = 0x7FFF_F000  # sizes from here on are placeholders of programs that wrote into a pipe

_LEAD_FRAMES = 8192  # decoded ahead of what is sought: more than any codec's memory of what went before

_UNKNOWN_FRAMES = 2**63 - 1  # SF_COUNT_MAX

# Frames that a whole mp3 may lack against its header: the decoder's delay, where no encoder has noted it.
_MP3_SLACK_FRAMES = 3 * 1152


class SoundfileDecoder:
    """Decodes one file with libsndfile."""

    def __init__(self, path: Path, info: AudioInfo, order: list[int] | None, shortened: bool) -> None:
        self.info = info
        self._path = path
        self._order = order
        self._shortened = shortened

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Read the header; None when libsndfile does not know the format. Raises OSError."""
        try:
            with _sound(path) as sound:
                container = str(sound.format).lower().removesuffix("ex")  # WAVEX is WAV with more header
                frames: int | None = sound.frames
                if frames == _UNKNOWN_FRAMES or (container == "mp3" and not _announces_frames(path)):
                    frames = None
                info = AudioInfo(sound.samplerate, sound.channels, frames, container)
                in_vorbis_order = sound.subtype in ("VORBIS", "OPUS")
                order = _FROM_VORBIS_ORDER.get(sound.channels) if in_vorbis_order else None
                return cls(path, info, order, _is_shortened(sound.extra_info))
        except soundfile.LibsndfileError:
            return None

    def decode(self, warn: Callable[[str], None]) -> Generator[Block, None, None]:
        """Yield the sound from the start; what a damaged file still gives is given, with a warning."""
        frames = 0
        try:
            for block in self._read():
                frames += block.shape[1]
                yield block
        except soundfile.LibsndfileError as error:
            if not frames:
                raise DecodeError(
                    f"{shown(self._path)}: is damaged and cannot be decoded. Copy or download it again."
                ) from error
            warn("is damaged or cut short")
            return
        if self._shortened or self._lacks(frames):
            warn("ends before its header says")

    def read(self, first: int, frames: int) -> Block | None:
        """
        The frames from `first` on, by seeking: fewer where the file ends; None where it cannot be sought in.

        Shape: [channels, at most frames]. Raises OSError and DecodeError.
        """
        if self.info.frames is None:
            return None
        start = max(0, min(first, self.info.frames) - _LEAD_FRAMES)  # a codec hears what it has just begun with
        buffer = np.empty((max(0, min(first + frames, self.info.frames) - start), self.info.channels), np.float32)
        try:
            with _sound(self._path) as sound:
                sound.seek(start)
                count = _filled(sound, buffer) if len(buffer) else 0
        except soundfile.LibsndfileError as error:
            raise DecodeError(
                f"{shown(self._path)}: is damaged at frame {first}. Copy or download it again."
            ) from error
        samples = buffer[first - start : count].T
        return np.array(samples if self._order is None else samples[self._order], order="C")

    def _read(self) -> Iterator[Block]:
        # Of an mp3 without a frame count libsndfile guesses the length from the first frames and stops there,
        # which would cut a song with a loud beginning short. Through a pipe it reads to the end.
        streamed = self.info.frames is None and self.info.container == "mp3"
        buffer = np.empty((READ_FRAMES, self.info.channels), dtype=np.float32)
        with _sound(self._path, streamed) as sound:
            while count := _filled(sound, buffer):
                samples = buffer[:count].T
                yield np.array(samples if self._order is None else samples[self._order], order="C")

    def _lacks(self, frames: int) -> bool:
        slack = _MP3_SLACK_FRAMES if self.info.container == "mp3" else 0
        return self.info.frames is not None and frames + slack < self.info.frames


def _filled(sound: Any, buffer: NDArray[np.float32]) -> int:
    """
    Read the next frames; how many there were. Raises soundfile.LibsndfileError.

    soundfile itself seeks to where a read has ended, and fails to at the end of a flac of unknown length, as one is
    that was written into a pipe.
    """
    target = soundfile._ffi.cast("float *", buffer.ctypes.data)
    count = int(soundfile._snd.sf_readf_float(sound._file, target, len(buffer)))
    if sound._errorcode:
        raise soundfile.LibsndfileError(sound._errorcode)
    return count


@contextmanager
def _sound(path: Path, streamed: bool = False) -> Iterator[Any]:
    """Open a file for reading, as itself or through a pipe. Raises soundfile.LibsndfileError and OSError."""
    # By descriptor, not by name: soundfile takes a format from some suffixes (.raw), and names are any bytes.
    with (
        _pipe(path) if streamed else path.open("rb") as file,
        soundfile.SoundFile(file.fileno(), closefd=False) as sound,
    ):
        yield sound


@contextmanager
def _pipe(path: Path) -> Iterator[Any]:
    """The reading end of a pipe through which an mp3 flows, from behind its ID3 tag."""
    source = path.open("rb")
    # A cover can be longer than libsndfile skips in a pipe.
    source.seek(tag_bytes(source))
    read_end, write_end = os.pipe()
    failures: list[OSError] = []

    def feed() -> None:
        try:
            with source, os.fdopen(write_end, "wb") as sink:
                shutil.copyfileobj(source, sink)
        except BrokenPipeError:  # the reader has left early
            pass
        except OSError as error:
            failures.append(error)

    feeder = Thread(target=feed, name=f"feeds {path.name}", daemon=True)
    feeder.start()
    try:
        with os.fdopen(read_end, "rb") as pipe:
            yield pipe
    finally:
        feeder.join()
    if failures:
        raise failures[0]


def _announces_frames(path: Path) -> bool:
    """Whether an mp3 has a header (Xing, Info, VBRI) that counts its frames; in a pipe nothing is guessed."""
    try:
        with _sound(path, streamed=True) as sound:
            return bool(sound.frames != _UNKNOWN_FRAMES)
    except soundfile.LibsndfileError:
        return True


def _is_shortened(log: str) -> bool:
    sizes = [(int(announced), int(real)) for announced, real in _SHORTENED.findall(log)]
    return _UNFINISHED_OGG in log or any(real < announced < _STREAMED_BYTES for announced, real in sizes)
