"""Sound made for tests: tones and noise as blocks [channels, frames], and files of them in many formats."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

Block = NDArray[np.float32]

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def tone(hertz: float, seconds: float = 1.0, rate: int = 44_100, level: float = 0.5) -> Block:
    """One channel of a sine. Shape: [1, frames]."""
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[np.newaxis]


def stereo_tones(seconds: float = 1.0, rate: int = 44_100, level: float = 0.5) -> Block:
    """440 Hz on the left, 660 Hz on the right. Shape: [2, frames]."""
    return np.concatenate([tone(440, seconds, rate, level), tone(660, seconds, rate, level)])


def noise(channels: int, frames: int, level: float = 0.25, seed: int = 0) -> Block:
    """White Gaussian noise of a standard deviation. Shape: [channels, frames]."""
    random = np.random.default_rng(seed)
    return (level * random.standard_normal((channels, frames))).astype(np.float32)


def silence(channels: int, frames: int) -> Block:
    """Digital zero. Shape: [channels, frames]."""
    return np.zeros((channels, frames), dtype=np.float32)


def joined(blocks: Iterable[Block]) -> Block:
    """All blocks of a stream in one."""
    return np.concatenate(list(blocks), axis=1)


def cut(block: Block, lengths: Iterable[int]) -> list[Block]:
    """The block in pieces of these lengths, over and over; none of them is zero."""
    pieces: list[Block] = []
    start, wanted = 0, list(lengths)
    while start < block.shape[1]:
        length = wanted[len(pieces) % len(wanted)]
        pieces.append(block[:, start : start + length])
        start += length
    return pieces


def write_sound(path: Path, block: Block, rate: int = 44_100, subtype: str | None = None) -> Path:
    """Write a file with libsndfile, whose format the suffix tells; in short writes, as Vorbis needs them."""
    container = {".oga": "OGG", ".opus": "OGG"}.get(path.suffix, path.suffix[1:].upper())
    subtype = "OPUS" if path.suffix == ".opus" else subtype
    with (
        path.open("wb") as file,
        soundfile.SoundFile(
            file.fileno(), "w", rate, block.shape[0], subtype, format=container, closefd=False
        ) as sound,
    ):
        for piece in cut(block, [16_384]):
            sound.write(piece.T)
    return path


def convert(source: Path, target: Path, *options: str) -> Path:
    """Have ffmpeg make another format of a file."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", f"file:{source}", *options, f"file:{target}"]
    subprocess.run(command, check=True, capture_output=True)
    return target


def encode(block: Block, target: Path, *options: str, rate: int, layout: str) -> Path:
    """Have ffmpeg encode a block whose channels are the named layout, such as "5.1"."""
    given = ["-f", "f32le", "-ar", str(rate), "-ac", str(len(block)), "-channel_layout", layout]
    command = ["ffmpeg", "-v", "error", "-y", *given, "-i", "pipe:0", *options, f"file:{target}"]
    subprocess.run(command, check=True, capture_output=True, input=block.T.astype("<f4").tobytes())
    return target


def truncate(path: Path, share: float) -> Path:
    """Keep only the first part of a file's bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def loudest_hertz(channel: NDArray[np.float32], rate: int) -> float:
    """The frequency of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(channel * np.hanning(len(channel))))
    return float(spectrum.argmax() * rate / len(channel))


def level(block: NDArray[np.float32]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(block, dtype=np.float64))))
