"""
What a song says about itself: its title, artist and the like, its cover, its loudness; read, and put into stems.

Neither changes any sound. The cover is cover.py's, gains are replaygain.py's, ffmpeg does the rest.
"""

import base64
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import ffmpeg
import soundfile

from stemsplit.audio import ffmpeg_program
from stemsplit.audio.cover import Cover, read_cover
from stemsplit.audio.ffmpeg_program import FfmpegError
from stemsplit.audio.id3 import exchange_tag
from stemsplit.audio.ogg import exchange_headers
from stemsplit.audio.replaygain import with_r128, with_replaygain


@dataclass(frozen=True, slots=True)
class Tags:
    """
    The tags of a song by their names, as ffmpeg calls them ("title", "album_artist", "track"), and its cover.

    Names are told apart without regard to case. False when there is nothing to carry.
    """

    values: Mapping[str, str]
    cover: Cover | None = None

    def __bool__(self) -> bool:
        return bool(self.values) or self.cover is not None

    def get(self, name: str) -> str | None:
        """The value of a tag in whatever case its name is written."""
        return next((value for known, value in self.values.items() if known.lower() == name.lower()), None)

    def of_stem(self, stem: str) -> "Tags":
        """The same tags with the stem's name added to the title, as in "Song (drums)", if there is a title."""
        named = {
            name: f"{value} ({stem})" if name.lower() == "title" and value else value
            for name, value in self.values.items()
        }
        return replace(self, values=named)


# What is said about the source file rather than about the song, and would be false of a stem.
_TECHNICAL = re.compile(
    "|".join(
        [
            r"encod(er|ed|ing).*|software|tsse|tlen|tsiz|tofn|tenc|tden|tdtg",  # the program, the length, the file
            r"major_brand|minor_version|compatible_brands|creation_time|handler_name|vendor_id|language|timecode",
            r"media_type|hd_video|rotate|account_(id|type)|purchase_date|com\.(android|apple)\..*",
            r"itun.*",  # iTunSMPB is the delay of the source's encoder, iTunNORM a volume in iTunes' own numbers
            r"(duration|bps|number_of_.*|_statistics_.*|source_id)(-\w+)?",  # Matroska's, with or without a language
            r"metadata_block_picture|coverart.*",  # are read as the cover
            r"waveformatextensible_channel_mask|coding_history|time_reference|umid|originator_reference",
            r"mp3gain_.*|accuraterip.*|ctdb.*|acoustid_fingerprint",  # computed from the source's own samples
            r"id3v2_priv\..*|wmfsdk.*|isvbr|deviceconformancetemplate|wm/encodingtime",
        ]
    ),
    re.IGNORECASE,
)


def read_tags(path: Path, *, cover: bool = True) -> Tags:
    """
    What a file of any format says about its song; nothing where it cannot be read.

    Without ffmpeg it is the little that libsndfile knows, and no cover. Without `cover` it is quicker.
    """
    try:
        if not ffmpeg_program.is_installed():
            return Tags(_carried(_values_by_libsndfile(path)))
        found = ffmpeg_program.probe(path)
        picture = read_cover(path, found.get("streams", [])) if cover else None
        return Tags(_carried(_values_by_ffprobe(found)), picture)
    except (FfmpegError, soundfile.SoundFileError, OSError, ValueError):
        return Tags({})


def _values_by_ffprobe(found: Mapping[str, Any]) -> dict[str, str]:
    """The tags of the file and, where they add something, those of its first sound, where Ogg has all of them."""
    container = found.get("format", {})
    sounds = [stream for stream in found.get("streams", []) if stream.get("codec_type") == "audio"]
    of_sound: dict[str, str] = sounds[0].get("tags", {}) if sounds else {}
    if container.get("format_name") != "ogg":  # elsewhere it is the name of the track: "English", "Stereo"
        of_sound = {name: value for name, value in of_sound.items() if name.lower() != "title"}
    of_file: dict[str, str] = container.get("tags", {})
    known = {name.lower() for name in of_file}
    return of_file | {name: value for name, value in of_sound.items() if name.lower() not in known}


def _values_by_libsndfile(path: Path) -> dict[str, str]:
    with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as sound:
        values: dict[str, str] = sound.copy_metadata()
    return {"track" if name == "tracknumber" else name: value for name, value in values.items()}


def _carried(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value and not _TECHNICAL.fullmatch(name)}


@dataclass(frozen=True, slots=True)
class _Container:
    """
    How ffmpeg calls a format; in Ogg the cover is a comment, elsewhere a stream. libsndfile reads no MP4.

    `exchange` takes from ffmpeg's copy only what stands before the sound, where the copy loses the sound's true length.
    """

    demuxer: str
    muxer: str
    is_ogg: bool = False
    is_mp4: bool = False
    exchange: Callable[[BinaryIO, BinaryIO, BinaryIO], None] | None = None


_CONTAINERS = {
    "flac": _Container("flac", "flac"),
    "mp3": _Container("mp3", "mp3", exchange=exchange_tag),
    "ogg": _Container("ogg", "ogg", is_ogg=True, exchange=exchange_headers),
    "opus": _Container("ogg", "opus", is_ogg=True, exchange=exchange_headers),
    "m4a": _Container("mp4", "ipod", is_mp4=True),
    "stem.mp4": _Container("mp4", "mp4", is_mp4=True),
}

TAGGABLE = frozenset(_CONTAINERS)
"""The formats that tags are written into; wav and aiff carry none."""

_NAMELESS_TRACK = "SoundHandler"  # ffmpeg's own word in MP4's hdlr
_SOUND, _VALUES, _COVER, _TAGGED = "SOUND", "VALUES", "COVER", "TAGGED"


def tagging_copy(file: Path) -> Path:
    """What is there beside a file while it gets its tags."""
    return file.with_name(file.name + ".tagged")


def write_tags(file: Path, format: str, tags: Tags) -> None:
    """
    Put tags into a stem file of one of the TAGGABLE formats, whatever its name; its sound stays the same.

    What a format has no place for is left out, such as the gains in MP4.

    Raises FfmpegError and OSError, also without ffmpeg, and then leaves the file as it was.
    """
    assert format in TAGGABLE, f"{format} carries no tags"
    if not tags:
        return
    tagged = tagging_copy(file)
    try:
        with TemporaryDirectory(prefix="stemsplit-tags-") as folder:
            exchange = _CONTAINERS[format].exchange
            copy = tagged if exchange is None else Path(folder, "copy")
            _copy_with_tags(file, copy, format, tags, Path(folder))
            if exchange is not None:
                with file.open("rb") as original, copy.open("rb") as donor, tagged.open("wb") as target:
                    exchange(original, donor, target)
        _check_same_sound(file, tagged, format)
        with tagged.open("rb") as written:
            os.fsync(written.fileno())
        tagged.replace(file)
    except BaseException as error:
        with suppress(OSError):
            tagged.unlink()
        if isinstance(error, ValueError):
            raise FfmpegError(f"ffmpeg made no such file: {error}") from error
        raise


def _copy_with_tags(file: Path, target: Path, format: str, tags: Tags, folder: Path) -> None:
    """Have ffmpeg write another container around the same compressed sound."""
    container = _CONTAINERS[format]
    cover = tags.cover
    values = with_r128(tags.values) if format == "opus" else with_replaygain(tags.values)
    if cover and container.is_ogg:
        values["METADATA_BLOCK_PICTURE"] = base64.b64encode(cover.picture_block).decode("ascii")

    paths = {_SOUND: file, _VALUES: folder / "values", _TAGGED: target}
    paths[_VALUES].write_bytes(_ffmetadata(values))
    source: dict[str, Any] = {"format": container.demuxer, "protocol_whitelist": ffmpeg_program.FILES_ONLY}
    if container.exchange is not None:
        source["t"] = 1  # of the copy only the tag is wanted; "frames" for the output would also end the cover
    sound = ffmpeg.input(_SOUND, **source)["a"]
    # "?", since ffmpeg-python gives only mapped inputs, and this one has no stream that could be.
    streams = [sound, ffmpeg.input(_VALUES, format="ffmetadata")["?"]]
    options = _options(format, file)
    if cover and not container.is_ogg:
        paths[_COVER] = folder / f"cover{cover.suffix}"
        paths[_COVER].write_bytes(cover.data)
        streams.append(ffmpeg.input(_COVER, format="image2", pattern_type="none")["v"])
        options |= {"disposition:v": "attached_pic", "metadata:s:v": "comment=Cover (front)"}
    ffmpeg_program.run(ffmpeg.output(*streams, _TAGGED, **options), paths)


def _options(format: str, file: Path) -> dict[str, Any]:
    container = _CONTAINERS[format]
    options: dict[str, Any] = {"format": container.muxer, "c": "copy", "map_metadata": 1, "map_chapters": -1}
    options |= {"fflags": "+bitexact", "flags": "+bitexact"}  # neither dates nor random numbers
    if format == "mp3":
        options["id3v2_version"] = 3  # which every player reads
    if container.is_ogg:
        options["map_metadata:s:a"] = -1  # earlier comments, which would go before
    if container.is_mp4:
        options |= _mp4_options(file, container.muxer)
    return options


def _mp4_options(file: Path, muxer: str) -> dict[str, Any]:
    """What has the length stay exact, and the names of several tracks, of which ffmpeg reads only the second place."""
    tracks = ffmpeg_program.probe(file, "-f", "mp4", "-select_streams", "a")["streams"]
    if not tracks:
        raise FfmpegError("there is no sound in it")
    options: dict[str, Any] = {**ffmpeg_program.exact_length(muxer, int(tracks[0]["sample_rate"]))}
    for index, track in enumerate(tracks):
        name = track.get("tags", {}).get("handler_name", _NAMELESS_TRACK)
        if name != _NAMELESS_TRACK:
            options[f"metadata:s:a:{index}"] = f"title={name}"
    return options


def _ffmetadata(values: Mapping[str, str]) -> bytes:
    """
    A metadata file for ffmpeg (https://ffmpeg.org/ffmpeg-formats.html#Metadata-2).

    Names that Vorbis comments do not allow, which are printable ASCII without "=", are left out, and so is
    what has no value.
    """
    lines = [";FFMETADATA1"]
    for name, value in values.items():
        text = value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
        if text and re.fullmatch(r"[ -<>-}]+", name):
            # After a backslash, escaped itself or not, ffmpeg 5.1 takes the line's end for escaped. NUL ends the text.
            lines.append(f"{_escaped(name)}={_escaped(text)}" + "\0" * text.endswith("\\"))
    return "\n".join([*lines, ""]).encode("utf-8", "replace")


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\\n[])", r"\\\1", text)  # "[", since a name like "[STREAM]" would begin a section


def _check_same_sound(file: Path, tagged: Path, format: str) -> None:
    """Raises FfmpegError where the copy is not as good as the file."""
    ffmpeg_program.check_same_sound(tagged, [file])
    if not _CONTAINERS[format].is_mp4:
        frames, frames_now = _frames(file), _frames(tagged)
        if frames != frames_now:
            raise FfmpegError(f"its {frames} frames became {frames_now}")


def _frames(file: Path) -> int:
    try:
        with file.open("rb") as opened, soundfile.SoundFile(opened.fileno(), closefd=False) as sound:
            return int(sound.frames)
    except soundfile.LibsndfileError as error:
        raise FfmpegError(str(error)) from error
