"""
Multitracks: folders that hold a song as stems. They are found and read here, and nothing is ever written into them.

Three layouts, told apart by what lies there:

    MUSDB18-HQ      train/SONG/{mixture,drums,bass,other,vocals}.wav, test/SONG/...
    MoisesDB        SONG/data.json, SONG/drums/*.wav, SONG/vocals/*.wav, ...
    any other       folders of song folders, in which each audio file is a stem, or each folder with audio files

Shapes: S sources, T frames.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemsplit.audio.blocks import Block
from stemsplit.audio.channels import to_stereo
from stemsplit.audio.extensions import looks_like_audio
from stemsplit.audio.faults import reason, shown
from stemsplit.audio.reader import open_audio
from stemsplit.audio.resample import resampled
from stemsplit.errors import DecodeError

SPLITS = ("train", "valid", "test")
MIXTURES = frozenset(
    {"mixture", "mix", "master", "song", "full", "full mix", "fullmix", "full_mix", "2mix", "stereo mix", "premaster"}
)
"""What the song itself may be called among its stems, beside the name of its folder."""

BLOCK_FRAMES = 65_536

_SPLIT_NAMES = {"train": "train", "training": "train", "valid": "valid", "validation": "valid", "test": "test"}
_MOISES = "data.json"
_MOISES_BYTES = 1_000_000  # more than any has
# Folders of these names are stems of the song that they lie in; MoisesDB's names among them.
_STEM_NAMES = frozenset(
    {"drums", "bass", "other", "vocals", "guitar", "piano", "percussion", "wind", "bowed_strings"}
    | {"other_keys", "other_plucked"}
)


@dataclass(frozen=True)
class Multitrack:
    """
    A song as stems.

    Attributes:
        name: its folder's path below the folder that was searched, with slashes.
        folder: where it lies.
        files: its stems by name, in lower case; a stem of several files is their sum.
        mixture: the song itself, if it is there.
        split: "train", "valid" or "test", after the outermost folder of such a name that it is in; None elsewhere.
        is_sparse: whether a stem that is not there is silent, as in MoisesDB; elsewhere it is missing.
    """

    name: str
    folder: Path
    files: Mapping[str, tuple[Path, ...]]
    mixture: Path | None = None
    split: str | None = None
    is_sparse: bool = False


def find_multitracks(root: Path, sources: Iterable[str] = ()) -> list[Multitrack]:
    """
    All songs in a folder, by name; hidden files and folders are passed over, and no folder is entered twice.

    Args:
        root: a folder of songs, or of folders of them; or one song.
        sources: names that folders of stems may have, beside the usual ones.

    Raises:
        DecodeError: for a folder that cannot be searched.
    """
    known = _STEM_NAMES | {source.lower() for source in sources}
    found: list[Multitrack] = []
    entered: set[Path] = set()
    waiting: list[tuple[Path, str | None]] = [(root, None)]
    while waiting:
        folder, split = waiting.pop()
        if folder.resolve() in entered:
            continue
        entered.add(folder.resolve())
        files, folders = _entries(folder)
        stems = [path for path in folders if path.name.lower() in known]
        is_song = bool(files or stems or _is_moises(folder))
        if folder == root and not stems and any(_entries(path)[0] for path in folders):
            is_song = False  # files that stray among songs
        if is_song:
            found.append(_multitrack(root, folder, split, files, folders))
        else:
            waiting += [(path, split or _SPLIT_NAMES.get(path.name.lower())) for path in folders]
    return sorted(found, key=lambda track: track.name)


def stem_blocks(
    stems: Sequence[Sequence[Path]], sample_rate: int, warn: Callable[[str], None] = lambda warning: None
) -> Iterator[NDArray[np.float32]]:
    """
    Several stems of a song side by side, each the sum of its files; what is shorter is padded with zeros.

    Args:
        stems: files by stem; none is silence.
        sample_rate: Hz, to which all are converted.
        warn: told at the end which files are damaged, or end before they should.

    Shape: blocks of [S, 2, at most BLOCK_FRAMES]

    Raises:
        DecodeError: as `Reader.blocks` does.
        MissingProgramError: as `open_audio` does.
    """
    files = [path for paths in stems for path in paths]
    owners = [stem for stem, paths in enumerate(stems) for _ in paths]
    with ExitStack() as opened:
        streams = []
        readers = [opened.enter_context(open_audio(path)) for path in files]
        for reader in readers:
            stereo = map(to_stereo, reader.blocks())
            streams.append(_of_length(resampled(stereo, reader.info.sample_rate, sample_rate)))
        while blocks := {i: block for i, stream in enumerate(streams) if (block := next(stream, None)) is not None}:
            frames = max(block.shape[1] for block in blocks.values())
            joined = np.zeros((len(stems), 2, frames), np.float32)
            for i, block in blocks.items():
                joined[owners[i], :, : block.shape[1]] += block
            yield joined
        for warning in (warning for reader in readers for warning in reader.warnings):
            warn(warning)


def _of_length(blocks: Iterable[Block], frames: int = BLOCK_FRAMES) -> Iterator[Block]:
    """The same sound in blocks of `frames`, the last of them shorter."""
    waiting: list[Block] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += block.shape[1]
        if count >= frames:
            joined = np.concatenate(waiting, axis=1)
            whole = count - count % frames
            for start in range(0, whole, frames):
                yield joined[:, start : start + frames]
            waiting, count = [joined[:, whole:]], count - whole
    if count:
        yield np.concatenate(waiting, axis=1)


def _multitrack(root: Path, folder: Path, split: str | None, files: list[Path], folders: list[Path]) -> Multitrack:
    stems: dict[str, tuple[Path, ...]] = {}
    mixture = None
    for path in files:
        name = path.stem.lower()
        if name in MIXTURES or (name == folder.name.lower() and len(files) > 1):
            mixture = mixture if mixture and mixture.stem.lower() == "mixture" else path
        else:
            stems[name] = (*stems.get(name, ()), path)
    for path in folders:
        below = _entries(path)[0]
        if below:
            name = path.name.lower()
            stems[name] = (*stems.get(name, ()), *below)
    name = folder.relative_to(root).as_posix() if folder != root else folder.resolve().name
    return Multitrack(name, folder, stems, mixture, split, _is_moises(folder))


def _is_moises(folder: Path) -> bool:
    path = folder / _MOISES
    try:
        if not path.is_file() or path.stat().st_size > _MOISES_BYTES:
            return False
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "stems" in content


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Audio files and folders in a folder, by name."""
    try:
        paths = sorted(Path(entry.path) for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError as error:
        raise DecodeError(f"{shown(folder)}: cannot be searched: {reason(error)}.") from error
    return [path for path in paths if looks_like_audio(path) and not path.is_dir()], [
        path for path in paths if path.is_dir()
    ]
