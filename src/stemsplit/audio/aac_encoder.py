"""Encoding AAC with an installed ffmpeg, fed through a pipe: m4a, and the tracks of stem.mp4."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import ffmpeg
import numpy as np

from stemsplit.audio import ffmpeg_program
from stemsplit.audio.blocks import Samples
from stemsplit.audio.faults import shown
from stemsplit.audio.formats import Encoding
from stemsplit.errors import EncodeError, OutputError

MUXER = "ipod"  # ffmpeg's name for m4a
_ENCODER = "aac"
_PART = "PART"


class AacEncoder:
    """
    Writes samples into the m4a file `part`; `close` makes sure that they are all there.

    The encoder's delay is declared in an edit list, and so is the true length. `target` is the name to tell.

    Raises EncodeError for what ffmpeg refuses.
    """

    def __init__(self, part: Path, encoding: Encoding, *, target: Path, sample_rate: int, channels: int) -> None:
        self.frames = 0
        self._part = part
        self._target = target
        self._rate = sample_rate
        self._talk = TemporaryFile()  # noqa: SIM115 (open as long as the encoder)
        options: dict[str, Any] = {
            "format": MUXER,
            "acodec": _ENCODER,
            "audio_bitrate": f"{encoding.kilobits}k",
            "fflags": "+bitexact",  # the same command twice must give the same bytes
            "flags:a": "+bitexact",
            **ffmpeg_program.exact_length(MUXER, sample_rate),
        }
        pipe = ffmpeg.input("pipe:", format="f32le", ar=sample_rate, ac=channels)
        output = pipe.output(_PART, **options)
        try:
            self._process = ffmpeg_program.start(output, {_PART: part}, talk=self._talk, fed=True)
        except BaseException:
            self._talk.close()
            raise

    def write(self, samples: Samples) -> None:
        """Add samples, floats. Shape: [T, C]."""
        assert self._process.stdin is not None
        self.frames += len(samples)
        try:
            self._process.stdin.write(np.ascontiguousarray(samples, dtype="<f4").data)
        except BrokenPipeError:
            raise self._failure() from None

    def close(self) -> None:
        """Finish the file, wait until the disk has it, and check it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            raise self._failure() from None
        if self._process.wait():
            raise self._failure()
        with self._part.open("rb") as file:
            os.fsync(file.fileno())
        self._check_whole()
        self._talk.close()

    def discard(self) -> None:
        """End ffmpeg, leaving the file as it is. May follow `close`."""
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(BrokenPipeError):  # samples that waited for a process that is gone
                self._process.stdin.close()
        self._process.wait()
        self._talk.close()

    def _check_whole(self) -> None:
        try:
            stream: dict[str, Any] = next(iter(ffmpeg_program.probe(self._part)["streams"]), {})
            seconds = float(stream.get("duration", 0))
        except (ffmpeg_program.FfmpegError, ValueError):
            seconds = 0.0
        if abs(seconds * self._rate - self.frames) > self._rate / 1000 + 1:  # older versions declare milliseconds
            raise EncodeError(
                f"{shown(self._target)}: only {seconds:.2f} of {self.frames / self._rate:.2f} s arrived on the disk. "
                "Check the disk and try again."
            )

    def _failure(self) -> EncodeError:
        self._process.wait()
        self._talk.seek(0)
        complaint = ffmpeg_program.last_line(self._talk.read()) or "ffmpeg ended early"
        return EncodeError(f"{shown(self._target)}: cannot be encoded ({complaint}). Check the disk and try again.")


def check_available(encoding: Encoding) -> None:
    """Raises OutputError when no ffmpeg that encodes AAC is installed."""
    if not ffmpeg_program.has_encoder(_ENCODER):
        problem = "the one installed has no AAC encoder" if ffmpeg_program.is_installed() else "none was found"
        raise OutputError(
            f"{encoding.format} is written by ffmpeg, and {problem}. Install it (apt install ffmpeg, brew install "
            "ffmpeg, winget install ffmpeg) or choose another format."
        )
