"""The picture that a song carries: found in a file with ffmpeg, and as the block that FLAC and Ogg keep it in."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ffmpeg

from stemsplit.audio import ffmpeg_program

MAX_COVER_BYTES = 2**24 - 1 - 1024
"""The length of a FLAC block is a number of 24 bits; a kibibyte is left for what stands before the picture."""

_BEGINNINGS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
_COPIED = frozenset({"mjpeg", "png"})  # ffmpeg's names for what every player shows; others become JPEG
_FRONT = "cover (front)"  # ffmpeg's word for the kind of a picture that ID3 and FLAC number 3
_FRONT_NUMBER = 3
_BITS_PER_PIXEL = 24  # where a picture has others, players see so in the picture itself
_SOURCE = "SOURCE"


@dataclass(frozen=True, slots=True)
class Cover:
    """A picture file as it is; `mime` is "image/jpeg" or "image/png", `width` and `height` are in pixels."""

    data: bytes
    mime: str
    width: int
    height: int

    @property
    def suffix(self) -> str:
        """That of a file of such a picture, with its dot."""
        return ".png" if self.mime == "image/png" else ".jpg"

    @property
    def picture_block(self) -> bytes:
        """The body of FLAC's block PICTURE, which Ogg keeps in a comment (RFC 9639, section 8.8)."""
        mime = self.mime.encode("ascii")
        kind = struct.pack(f">II{len(mime)}sI", _FRONT_NUMBER, len(mime), mime, 0)  # with an empty description
        size = struct.pack(">IIIII", self.width, self.height, _BITS_PER_PIXEL, 0, len(self.data))
        return kind + size + self.data


def read_cover(path: Path, streams: Sequence[Mapping[str, Any]]) -> Cover | None:
    """
    The front cover, or else the first picture, among a file's streams as ffprobe describes them.

    The pictures of a video are no cover. None also where the cover is broken, or too large for any stem.
    """
    pictures = [stream for stream in streams if stream.get("disposition", {}).get("attached_pic")]
    covers = (_cover(path, picture) for picture in sorted(pictures, key=_is_front, reverse=True))
    return next((cover for cover in covers if cover), None)


def _cover(path: Path, picture: Mapping[str, Any]) -> Cover | None:
    try:
        data = _extracted(path, picture)
        mime = next((mime for beginning, mime in _BEGINNINGS.items() if data.startswith(beginning)), None)
        return _measured(data, mime) if mime and len(data) <= MAX_COVER_BYTES else None
    except (ffmpeg_program.FfmpegError, OSError):
        return None


def _measured(data: bytes, mime: str) -> Cover | None:
    """The picture with its own size, which what carries it may state falsely; None where it has none."""
    cover = Cover(data, mime, 0, 0)
    with TemporaryDirectory(prefix="stemsplit-cover-") as folder:
        file = Path(folder, f"cover{cover.suffix}")
        file.write_bytes(data)
        streams = ffmpeg_program.probe(file, "-f", "image2", "-pattern_type", "none")["streams"]
    width, height = (int(streams[0].get(side, 0)) if streams else 0 for side in ("width", "height"))
    return replace(cover, width=width, height=height) if width > 0 and height > 0 else None


def _is_front(picture: Mapping[str, Any]) -> bool:
    return str(picture.get("tags", {}).get("comment", "")).lower() == _FRONT


def _extracted(path: Path, picture: Mapping[str, Any]) -> bytes:
    source = ffmpeg.input(_SOURCE, protocol_whitelist=ffmpeg_program.FILES_ONLY)[str(picture["index"])]
    options: dict[str, Any] = {"format": "image2pipe", "frames:v": 1, "flags": "+bitexact"}
    if picture.get("codec_name") in _COPIED:
        options |= {"vcodec": "copy"}
    else:
        options |= {"vcodec": "mjpeg", "q:v": 2}
    return ffmpeg_program.run(source.output("pipe:", **options), {_SOURCE: path})
