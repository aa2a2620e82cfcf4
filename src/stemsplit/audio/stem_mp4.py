"""
The one file that DJ software reads: Native Instruments' Stems, an MP4 of the mixture and four stems.

The layout is that of NI's Stem File Specification, as stemgen and stempeg write it and Mixxx reads it: five audio
tracks, the mixture first and the only enabled one, so that an ordinary player plays it alone; then drums, bass,
other and vocals; and an atom `stem` in moov/udta, which holds JSON. Atoms are the boxes of ISO/IEC 14496-12, whose
section numbers are given.

The tracks are encoded elsewhere. `mux` puts them together, `describe` adds the atom afterwards.
"""

import json
import os
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, NamedTuple

import ffmpeg

from stemsplit.audio import ffmpeg_program

MIXTURE_TITLE = "Mixture"

COLOURS = ("#009E73", "#D55E00", "#CC79A7", "#56B4E9")
"""
Of drums, bass, other and vocals: green, vermilion, purple and sky blue.

Four of the eight colours by Okabe and Ito that colour-blind people tell apart; stemgen and Mixxx use them so.
"""

# For playing the four stems together instead of the mixture. Both are off, the numbers are those of NI's own tool:
# nothing shall change the sound of stems that add up to the mixture.
_MASTERING_DSP = {
    "compressor": {
        "enabled": False,
        "ratio": 3,
        "output_gain": 0.5,
        "release": 0.300000011920929,
        "attack": 0.003000000026077032,
        "input_gain": 0.5,
        "threshold": 0,
        "hp_cutoff": 300,
        "dry_wet": 50,
    },
    "limiter": {
        "enabled": False,
        "release": 0.05000000074505806,
        "threshold": 0,
        "ceiling": -0.3499999940395355,
    },
}
_VERSION = 1

_TARGET = "TARGET"

_SIZE_AND_KIND = Struct(">I4s")
_LARGE_SIZE = Struct(">Q")
_SIZE_IS_LARGE = 1  # section 4.2: the size proper follows, in 64 bits
_SIZE_IS_THE_REST = 0  # section 4.2: to the end of the file


class _Atom(NamedTuple):
    kind: bytes
    start: int
    content: int  # where it begins, behind the header
    end: int


def mux(tracks: Sequence[Path], names: Sequence[str], target: Path) -> None:
    """
    Put five AAC tracks into one MP4, as they are.

    `tracks` are files of the m4a format: the mixture first, then the four stems of `names`. The file at `target`, of
    any name, is overwritten; `describe` makes it a Stems file.

    Raises FfmpegError, also where the disk took less than all, FileNotFoundError without ffmpeg, and ValueError for
    another number of tracks or names.
    """
    titles = [MIXTURE_TITLE, *_titles(names)]
    if len(tracks) != len(titles):
        raise ValueError(f"{len(titles)} tracks are needed, not {len(tracks)}")
    paths = {f"TRACK{index}": track for index, track in enumerate(tracks)}
    inputs = [ffmpeg.input(key, protocol_whitelist=ffmpeg_program.FILES_ONLY)["a"] for key in paths]
    options = {**_mp4_options(tracks[0]), **_track_options(titles)}
    ffmpeg_program.run(ffmpeg.output(*inputs, _TARGET, **options), {**paths, _TARGET: target})
    ffmpeg_program.check_same_sound(target, tracks)


def describe(file: Path, names: Sequence[str]) -> None:
    """
    Add the atom `stem` that names the four stems, or replace it, in place.

    What else is in moov/udta, such as tags and a cover, stays. Only moov is rewritten: chunk offsets count from the
    file's start, so moov must stand behind the samples, where `mux` has it.

    Raises ValueError for a file of another layout, which is left as it was, for another number of names, and OSError.
    """
    manifest = _manifest(names)
    with file.open("r+b") as mp4:
        moov = _moov_behind_samples(mp4)
        mp4.seek(moov.start)
        rest = mp4.read()
        content, behind = rest[moov.content - moov.start : moov.end - moov.start], rest[moov.end - moov.start :]
        user_data = b"".join(_contents(content, b"udta"))
        described = _with(content, b"udta", _with(user_data, b"stem", manifest))
        mp4.seek(moov.start)
        mp4.write(_atom(b"moov", described) + behind)
        mp4.truncate()
        mp4.flush()
        os.fsync(mp4.fileno())


def _mp4_options(mixture: Path) -> dict[str, Any]:
    options = {"format": "mp4", "c": "copy", "fflags": "+bitexact", "flags": "+bitexact"}
    rate = int(ffmpeg_program.probe(mixture)["streams"][0]["sample_rate"])
    return options | ffmpeg_program.exact_length("mp4", rate)


def _track_options(titles: Sequence[str]) -> dict[str, str]:
    options = {}
    for index, title in enumerate(titles):
        # The title goes to an atom that QuickTime knows, the handler's name is what ffmpeg and its like show. Both
        # options are called -metadata: two names of one track make two keys of them.
        options[f"metadata:s:a:{index}"] = f"title={title}"
        options[f"metadata:s:{index}"] = f"handler_name={title}"
        options[f"disposition:a:{index}"] = "0" if index else "default"
    return options


def _titles(names: Sequence[str]) -> list[str]:
    """With a capital first letter. Raises ValueError unless there are four."""
    if len(names) != len(COLOURS):
        raise ValueError(f"{len(COLOURS)} stems are needed, not {len(names)}")
    return [name[:1].upper() + name[1:] for name in names]


def _manifest(names: Sequence[str]) -> bytes:
    stems = [{"color": colour, "name": title} for colour, title in zip(COLOURS, _titles(names), strict=True)]
    # Other letters than ASCII's are escaped: UTF-8 all the same, and safe from readers that take it for another code.
    return json.dumps({"mastering_dsp": _MASTERING_DSP, "version": _VERSION, "stems": stems}).encode()


def _moov_behind_samples(mp4: BinaryIO) -> _Atom:
    atoms = list(_atoms(mp4))
    kinds = [atom.kind for atom in atoms]
    if kinds.count(b"moov") != 1 or b"mdat" not in kinds:
        raise ValueError("this is no MP4 file with one moov atom and samples")
    place = kinds.index(b"moov")
    if b"mdat" in kinds[place:]:
        raise ValueError("the moov atom stands before samples, and cannot grow without moving them")
    return atoms[place]


def _with(content: bytes, kind: bytes, child: bytes) -> bytes:
    """The content of an atom whose children of this kind give way to one, at the end."""
    others = [content[atom.start : atom.end] for atom in _atoms(BytesIO(content)) if atom.kind != kind]
    return b"".join([*others, _atom(kind, child)])


def _contents(content: bytes, kind: bytes) -> Iterator[bytes]:
    return (content[atom.content : atom.end] for atom in _atoms(BytesIO(content)) if atom.kind == kind)


def _atom(kind: bytes, content: bytes) -> bytes:
    return _SIZE_AND_KIND.pack(_SIZE_AND_KIND.size + len(content), kind) + content


def _atoms(file: BinaryIO) -> Iterator[_Atom]:
    """The outermost atoms. Raises ValueError where they do not follow one another to the file's end."""
    start, end = 0, file.seek(0, os.SEEK_END)
    while start < end:
        file.seek(start)
        header = file.read(_SIZE_AND_KIND.size + _LARGE_SIZE.size)
        atom = _parse(header, start, end)
        if not atom.content <= atom.end <= end:
            raise ValueError(f"the MP4 atom at byte {start} has a wrong size")
        yield atom
        start = atom.end


def _parse(header: bytes, start: int, end: int) -> _Atom:
    content = start + _SIZE_AND_KIND.size
    if len(header) < _SIZE_AND_KIND.size:
        raise ValueError(f"there is no MP4 atom at byte {start}")
    size, kind = _SIZE_AND_KIND.unpack_from(header)
    if size == _SIZE_IS_THE_REST:
        return _Atom(kind, start, content, end)
    if size == _SIZE_IS_LARGE:
        if len(header) < _SIZE_AND_KIND.size + _LARGE_SIZE.size:
            raise ValueError(f"there is no MP4 atom at byte {start}")
        (size,) = _LARGE_SIZE.unpack_from(header, _SIZE_AND_KIND.size)
        content += _LARGE_SIZE.size
    return _Atom(kind, start, content, start + size)
