"""Decoding with an installed ffmpeg: m4a, aac, wma, the sound of videos, what libsndfile does not know."""

from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

import ffmpeg
import numpy as np

from stemsplit.audio import ffmpeg_program
from stemsplit.audio.blocks import MAX_BLOCK_FRAMES, AudioInfo, Block
from stemsplit.audio.faults import shown
from stemsplit.errors import DecodeError, MissingProgramError

# What to call a format whose decoder is missing.
_CODECS = {
    ".m4a": "AAC", ".m4b": "AAC", ".aac": "AAC", ".wma": "WMA", ".alac": "ALAC", ".ac3": "AC-3",
    ".dts": "DTS", ".ape": "Monkey's Audio", ".wv": "WavPack", ".tta": "TTA", ".mpc": "Musepack",
    ".amr": "AMR", ".mka": "Matroska", ".mkv": "Matroska", ".webm": "WebM", ".mp4": "MP4", ".m4v": "MP4",
    ".3gp": "3GP", ".mov": "QuickTime", ".avi": "AVI", ".wmv": "WMV", ".flv": "FLV", ".mpg": "MPEG",
    ".mpeg": "MPEG", ".ts": "MPEG-TS",
}  # fmt: skip
# Files that libsndfile ought to have read: ffmpeg would hardly help, they are damaged.
_SUFFIXES_OF_LIBSNDFILE = {
    ".wav", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".au", ".caf", ".w64",
}  # fmt: skip

# ffmpeg's names for channels.LAYOUTS: where a file has another one of as many channels (AAC's 4.0 with a
# rear centre, 2.1), ffmpeg converts. 5.0 and 5.1 come in two spellings of one order.
_LAYOUTS = {
    1: "mono",
    2: "stereo",
    3: "3.0",
    4: "quad",
    5: "5.0|5.0(side)",
    6: "5.1|5.1(side)",
    7: "6.1",
    8: "7.1",
}

# Containers in which ffmpeg finds a second to the sample; the time stamps of others are too coarse.
_EXACT_CONTAINERS = {"mov", "mp4", "m4a", "3gp", "3g2", "mj2"}

_BYTES_PER_SAMPLE = 4
_SOURCE = "SOURCE"


class FfmpegDecoder:
    """Decodes the first audio stream of one file with ffmpeg."""

    def __init__(self, path: Path, info: AudioInfo, layout_known: bool) -> None:
        self.info = info
        self._path = path
        self._layout_known = layout_known

    @classmethod
    def open(cls, path: Path) -> Self:
        """
        Ask ffprobe what is in the file.

        Raises MissingProgramError without ffmpeg, DecodeError when there is no audio, and OSError.
        """
        with path.open("rb"):  # permission is the system's matter, and its answer is clearer than ffprobe's
            pass
        _check_installed(path)
        try:
            probe = ffmpeg_program.probe(path, "-select_streams", "a:0")
            stream: dict[str, Any] = next(iter(probe["streams"]), {})
            channels, rate = int(stream.get("channels", 0)), int(stream.get("sample_rate", 0))
            frames = _frames(stream, probe["format"], rate)
        except (ffmpeg_program.FfmpegError, ValueError) as error:
            raise _not_audio(path) from error
        if not channels or not rate:
            raise _not_audio(path)
        info = AudioInfo(rate, channels, frames, _container(path, probe["format"]))
        return cls(path, info, layout_known=stream.get("channel_layout", "unknown") != "unknown")

    def decode(self, warn: Callable[[str], None]) -> Generator[Block, None, None]:
        """Yield the sound from the start; ffmpeg is ended with the generator."""
        return self._decode(warn, 0)

    def read(self, first: int, frames: int) -> Block | None:
        """
        The frames from `first` on, by seeking: fewer where the file ends; None where it cannot be sought in exactly.

        Shape: [channels, at most frames]. Raises OSError and DecodeError.
        """
        if self.info.container not in _EXACT_CONTAINERS:
            return None
        # Ahead of it, since a codec hears what it has just begun with; ffmpeg finds whole seconds to the sample.
        start = max(0, first // self.info.sample_rate - 1)
        lead = first - start * self.info.sample_rate
        blocks, missing = [np.empty((self.info.channels, 0), np.float32)], lead + frames
        with closing(self._decode(lambda fault: None, start)) as decoding:
            for block in decoding:
                blocks.append(block[:, :missing])
                missing -= blocks[-1].shape[1]
                if not missing:
                    break
        return np.concatenate(blocks, axis=1)[:, lead:]

    def _decode(self, warn: Callable[[str], None], start: int) -> Generator[Block, None, None]:
        """The sound from second `start` on."""
        frame_bytes = self.info.channels * _BYTES_PER_SAMPLE
        decoded = False
        paths = {_SOURCE: self._path}
        with TemporaryFile() as talk, ffmpeg_program.start(self._output(start), paths, talk=talk, fed=False) as process:
            assert process.stdout is not None
            try:
                while data := process.stdout.read(MAX_BLOCK_FRAMES * frame_bytes):
                    whole = len(data) - len(data) % frame_bytes
                    samples = np.frombuffer(data[:whole], dtype="<f4").reshape(-1, self.info.channels)
                    decoded = decoded or whole > 0
                    yield np.array(samples.T, dtype=np.float32, order="C")
            except BaseException:
                process.kill()
                raise
            process.wait()
            talk.seek(0)
            complaint = ffmpeg_program.last_line(talk.read())
        if not decoded and (complaint or process.returncode):
            raise DecodeError(
                f"{shown(self._path)}: cannot be decoded ({complaint or 'ffmpeg failed'}). Copy or download it again."
            )
        if complaint or process.returncode:
            warn(f"is damaged or cut short ({complaint or 'ffmpeg failed'})")

    def _output(self, start: int) -> Any:
        seek = {"ss": start} if start else {}
        sound = ffmpeg.input(_SOURCE, protocol_whitelist=ffmpeg_program.FILES_ONLY, **seek)["a:0"]
        options: dict[str, Any] = {"format": "f32le", "acodec": "pcm_f32le", "ar": self.info.sample_rate}
        if self._layout_known and self.info.channels in _LAYOUTS:
            sound = sound.filter("aformat", channel_layouts=_LAYOUTS[self.info.channels])
        else:
            options["ac"] = self.info.channels
        return sound.output("pipe:", **options)


def _check_installed(path: Path) -> None:
    if ffmpeg_program.is_installed():
        return
    suffix = path.suffix.lower()
    if suffix in _SUFFIXES_OF_LIBSNDFILE:
        raise _not_audio(path)
    raise MissingProgramError(
        f"{shown(path)}: needs ffmpeg to decode {_CODECS.get(suffix, 'this format')}, and none was found. "
        f"Install it (apt install ffmpeg, brew install ffmpeg) or convert the file to wav, flac or mp3."
    )


def _not_audio(path: Path) -> DecodeError:
    return DecodeError(
        f"{shown(path)}: is damaged, or is no audio file whatever its name says. "
        f"Check that it plays, or copy or download it again."
    )


def _frames(stream: dict[str, Any], format_: dict[str, Any], rate: int) -> int | None:
    seconds = stream.get("duration") or format_.get("duration")
    return round(float(seconds) * rate) if seconds else None


def _container(path: Path, format_: dict[str, Any]) -> str:
    """One name out of ffmpeg's list, such as "mov,mp4,m4a,3gp": the file's own suffix if it is there."""
    names = str(format_.get("format_name", "unknown")).split(",")
    suffix = path.suffix.lower().removeprefix(".")
    return suffix if suffix in names else names[0]
