"""
The door to every audio file: `open_audio` picks a decoder, `Reader` gives its blocks and checks them.

libsndfile decodes what it knows, mp3 included, so the common case needs no external program; ffmpeg the rest.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from stemsplit.audio.blocks import AudioInfo, Block
from stemsplit.audio.channels import LAYOUTS
from stemsplit.audio.excerpt import WHOLE, Excerpt
from stemsplit.audio.faults import reason, shown
from stemsplit.audio.ffmpeg_decoder import FfmpegDecoder
from stemsplit.audio.soundfile_decoder import SoundfileDecoder
from stemsplit.errors import DecodeError

__all__ = ["AudioInfo", "Reader", "open_audio"]


class Decoder(Protocol):
    """What decodes one file, again from its start at every call of `decode`."""

    @property
    def info(self) -> AudioInfo:
        """What the file says about its sound."""

    def decode(self, warn: Callable[[str], None]) -> Generator[Block, None, None]:
        """
        Yield the sound in file order, blocks of at most MAX_BLOCK_FRAMES frames, [channels, frames].

        `warn` is told, in half a sentence, why the sound ends before it should. Raises DecodeError, OSError.
        """

    def read(self, first: int, frames: int) -> Block | None:
        """
        The frames from `first` on, by seeking: fewer where the sound ends, None where it cannot be sought in.

        Raises DecodeError, OSError.
        """


_LOUDEST = 1e9  # 180 dB above full scale; what is beyond would overflow on its way


class Reader:
    """
    One audio file: what it says about itself, and its sound, or an excerpt of it, as often as asked for.

    A context manager; leaving it ends whatever decoding is still under way.
    """

    def __init__(self, path: Path, decoder: Decoder, excerpt: Excerpt = WHOLE) -> None:
        self.path = path
        self.info = decoder.info
        self._decoder = decoder
        self._first, self._end = excerpt.frames(self.info.sample_rate)
        self._decodings: list[Generator[Block, None, None]] = []
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about sound that is missing; complete once the blocks have been read to their end."""
        return tuple(self._warnings)

    def blocks(self) -> Iterator[Block]:
        """
        Decode from the start: float32 at the file's own rate and channels, the same on every call.

        Shape: [info.channels, at most 65,536 frames]

        Raises DecodeError when the file cannot be decoded, holds no sound, ends before the excerpt begins, or holds
        NaN, infinity or what is beyond any loudness.
        """
        decoding = self._checked()
        self._decodings.append(decoding)
        return decoding

    def read(self, first: int, frames: int) -> Block:
        """
        The frames from `first` on, fewer where the sound ends; by seeking, where the format lets that be exact.

        Shape: [info.channels, at most `frames`]

        Raises DecodeError as `blocks` does, but for sound that is not there.
        """
        try:
            block = self._decoder.read(first, frames)
        except OSError as error:
            raise DecodeError(f"{shown(self.path)}: {reason(error)}.") from error
        if block is None:
            return self._decoded(first, frames)
        self._check_finite(block, first)
        return block

    def _decoded(self, first: int, frames: int) -> Block:
        """The same, decoded from the start: of Matroska, or an mp3 whose length nobody knows."""
        position = 0
        parts: list[Block] = [np.empty((self.info.channels, 0), np.float32)]
        for block in self.blocks():
            parts.append(block[:, max(0, first - position) : max(0, first + frames - position)])
            position += block.shape[1]
            if position >= first + frames:
                break
        self.close()
        return np.concatenate(parts, axis=1)

    def _checked(self) -> Generator[Block, None, None]:
        faults: list[str] = []
        frames = 0
        try:
            for block in self._decoder.decode(faults.append):
                inside = block[:, max(0, self._first - frames) : self._end - frames]
                if inside.shape[1]:
                    self._check_finite(inside, max(frames, self._first))
                    yield inside
                frames += block.shape[1]
                if frames >= self._end:
                    return
        except OSError as error:
            raise DecodeError(f"{shown(self.path)}: {reason(error)}.") from error
        self._check_length(frames)
        seconds = frames / self.info.sample_rate
        for fault in faults:
            warning = f"{shown(self.path)}: {fault}; the {seconds:.1f} s that could be decoded are used."
            if warning not in self._warnings:
                self._warnings.append(warning)

    def _check_length(self, frames: int) -> None:
        if not frames:
            raise DecodeError(f"{shown(self.path)}: holds no sound. Check that it plays, or copy it again.")
        if frames <= self._first:
            raise DecodeError(
                f"{shown(self.path)}: is {frames / self.info.sample_rate:.3f} s long, so nothing is left at "
                f"{self._first / self.info.sample_rate:.3f} s. Choose an earlier --start."
            )

    def _check_finite(self, block: Block, start: int) -> None:
        sound = np.abs(block) <= _LOUDEST  # false for NaN
        if sound.all():
            return
        position, channel = np.argwhere(~sound.T)[0]
        frame = start + int(position)
        raise DecodeError(
            f"{shown(self.path)}: sample {block[channel, position]} at frame {frame} "
            f"({frame / self.info.sample_rate:.3f} s), channel {channel + 1}, is no sound. "
            f"Repair the file or export it again."
        )

    def close(self) -> None:
        """End whatever decoding is still under way."""
        while self._decodings:
            self._decodings.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_audio(path: Path, excerpt: Excerpt = WHOLE) -> Reader:
    """
    Open an audio file of any format that libsndfile or ffmpeg knows; of a video, the first audio stream.

    Only the `excerpt` is given, so that whoever reads takes it for the whole.

    Raises DecodeError for what is missing, empty, no file, not permitted or not audio, and
    MissingProgramError when only ffmpeg could decode it and is not installed.
    """
    try:
        _check_is_filled_file(path)
        decoder: Decoder = SoundfileDecoder.open(path) or FfmpegDecoder.open(path)
    except OSError as error:
        raise DecodeError(f"{shown(path)}: {reason(error)}.") from error
    if decoder.info.channels not in LAYOUTS:
        raise DecodeError(
            f"{shown(path)}: has {decoder.info.channels} channels, more than 7.1 surround. Mix it down to stereo first."
        )
    return Reader(path, decoder, excerpt)


def _check_is_filled_file(path: Path) -> None:
    size = path.stat().st_size
    if path.is_dir():
        raise DecodeError(f"{shown(path)}: this is a folder, not a file. Name a file inside it.")
    if not path.is_file():
        raise DecodeError(f"{shown(path)}: is no regular file, and sound is read twice. Copy it to a file first.")
    if size == 0:
        raise DecodeError(f"{shown(path)}: is empty (0 bytes). Copy or download it again.")
