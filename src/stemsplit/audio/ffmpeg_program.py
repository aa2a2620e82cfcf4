"""
Running an installed ffmpeg and ffprobe.

Commands are put together with ffmpeg-python. They run in sessions of their own, so that Ctrl-C reaches us alone: else
ffmpeg would end first, and be taken for one that failed. No child is given our standard input, which may be a list of
songs that a shell loop reads from, and none reaches for anything but files and pipes.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

import ffmpeg

FILES_ONLY = "file,pipe"
"""For `protocol_whitelist` of inputs: a playlist must not make ffmpeg fetch things."""

_SOURCE = "SOURCE"
_SPEAKER = re.compile(r"^\[[^]]* @ 0x[0-9a-f]+\] ")  # "[aac @ 0x5560e3dcfa80] ": another address every time


class FfmpegError(Exception):
    """A command that failed; the message is the last line that it said."""


def is_installed() -> bool:
    """Whether both programs are found."""
    return bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))


def has_encoder(name: str) -> bool:
    """Whether ffmpeg is installed and has an encoder of this name, such as "aac"."""
    return is_installed() and f" {name} " in _listing("-encoders")


def muxer_has(muxer: str, option: str) -> bool:
    """Whether a muxer, such as "ipod", knows an option, which older versions may not."""
    return f"-{option} " in _listing("-h", f"muxer={muxer}")


@cache
def _listing(*words: str) -> str:
    command = ["ffmpeg", "-hide_banner", "-nostdin", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")


def probe(path: Path, *options: str) -> dict[str, Any]:
    """
    What ffprobe finds in a file: its "format" and "streams".

    Raises FfmpegError, and FileNotFoundError without ffprobe.
    """
    command = ["ffprobe", "-v", "error", "-protocol_whitelist", FILES_ONLY, *options]
    command += ["-show_format", "-show_streams", "-of", "json", address(path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise FfmpegError(last_line(done.stderr) or "ffprobe failed")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise FfmpegError("ffprobe gives no answer")
    parts: dict[str, Any] = {"streams": [], "format": {}, **found}
    if not isinstance(parts["streams"], list) or not isinstance(parts["format"], dict):
        raise FfmpegError("ffprobe gives an answer of another kind")
    return parts


def exact_length(muxer: str, sample_rate: int) -> dict[str, int]:
    """The option that has MP4 declare lengths in samples rather than milliseconds, where ffmpeg (from 5.0) has it."""
    return {"movie_timescale": sample_rate} if muxer_has(muxer, "movie_timescale") else {}


def check_same_sound(copy: Path, originals: Sequence[Path]) -> None:
    """
    Hold the audio tracks of a file against those it was copied from, by their compressed packets.

    Raises FfmpegError when they differ: ffmpeg calls it a success when its last writes fail for want of space.
    """
    expected = [track for original in originals for track in _sound_hashes(original)]
    try:
        arrived = _sound_hashes(copy)
    except FfmpegError:
        arrived = []
    if arrived != expected:
        raise FfmpegError("not all of the sound arrived in the file; the disk may be full")


def _sound_hashes(path: Path) -> list[str]:
    """One for each audio track, the same in whatever container. Raises FfmpegError for a file that is not whole."""
    tracks = ffmpeg.input(_SOURCE, protocol_whitelist=FILES_ONLY)["a"]
    told = run(tracks.output("pipe:", c="copy", format="streamhash"), {_SOURCE: path}).decode()
    return [line.partition("=")[2] for line in told.splitlines()]


def command(output: Any, paths: Mapping[str, Path]) -> list[str]:
    """
    The command line of an ffmpeg-python output.

    File names stand in it as keys of `paths`, since ffmpeg-python takes no name that is not text.
    """
    words = output.global_args("-nostdin", "-v", "error", "-y").compile()
    return [address(paths[word]) if word in paths else word for word in words]


def run(output: Any, paths: Mapping[str, Path]) -> bytes:
    """Run a command to its end and return what it wrote to its standard output. Raises as `probe` does."""
    words = command(output, paths)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, start_new_session=True)
    if done.returncode:
        raise FfmpegError(last_line(done.stderr) or "ffmpeg failed")
    return done.stdout


def start(output: Any, paths: Mapping[str, Path], *, talk: IO[bytes], fed: bool) -> subprocess.Popen[bytes]:
    """
    Start a command that reads from us through a pipe if `fed`, and else writes to us through one.

    What it says goes to the file `talk`: a pipe that nobody empties would stop it.
    """
    return subprocess.Popen(
        command(output, paths),
        stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if fed else subprocess.PIPE,
        stderr=talk,
        start_new_session=True,
    )


def address(path: Path) -> str:
    """The file as ffmpeg takes it, so that `-x.m4a` is no option and `a:b.m4a` no protocol."""
    return f"file:{path}"


def last_line(talk: bytes) -> str:
    """The last thing ffmpeg said, without the address of who said it."""
    lines = talk.decode("utf-8", "replace").strip().splitlines()
    return _SPEAKER.sub("", lines[-1]).strip() if lines else ""
