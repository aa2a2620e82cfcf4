"""Which folder of separated stems belongs to which song, and which sources are in it, whatever tool has written it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stemsplit.audio.assignment import OTHER
from stemsplit.audio.faults import shown
from stemsplit.audio.multitrack import Multitrack, find_multitracks
from stemsplit.errors import UsageError

_LOSSLESS = (".wav", ".flac", ".aiff")
_MIXTURE = "/mixture"  # the folder that tools make of a file of this name


@dataclass(frozen=True)
class Separated:
    """
    A folder of stems that a tool has made.

    Attributes:
        folder: where they are.
        files: by song's name and stem.
        sources: those to score.
        rest: the source that takes the song's other stems in, as `SourceRules` has it.
    """

    folder: Path
    files: Mapping[str, Mapping[str, Sequence[Path]]]
    sources: tuple[str, ...]
    rest: str


def separated_stems(
    folder: Path, tracks: Sequence[Multitrack], usual: Sequence[str] = (), rest: str = "auto"
) -> Separated:
    """
    Find the stems of songs in a folder: below the same path as the song's, or below a folder of the song's name.

    Args:
        folder: of any tool.
        tracks: the songs.
        usual: sources to score if they are all there; else those that the songs have too, and one for all that is
            left, if it is the only one of its kind (`no_vocals` beside `vocals`).
        rest: what the user says about stems of other names.

    Raises:
        UsageError: if there is nothing to score.
        DecodeError: for a folder that cannot be searched.
    """
    found = find_multitracks(folder, usual)
    files = {track.name: stems for track in tracks if (stems := _of(track, found, tracks)) is not None}
    names = list(dict.fromkeys(name for stems in files.values() for name in stems))
    if not files:
        raise UsageError(
            f"--estimates {shown(folder)}: holds stems of none of the songs. They are looked for as "
            f"{shown(folder / tracks[0].name)}/vocals.wav and the like."
        )
    known = {name for track in tracks for name in track.files} | {OTHER}
    lower = [source.lower() for source in usual]
    complements = [name for name in names if name not in known]
    if usual and set(lower) <= set(names):
        return Separated(folder, files, tuple(usual), rest)
    sources = [name for name in names if name in known]
    if OTHER not in sources and len(complements) == 1 and sources and rest == "auto":
        return Separated(folder, files, (*sources, complements[0]), complements[0])
    if not sources:
        raise UsageError(
            f"--estimates {shown(folder)}: has {', '.join(names)}, and the songs have {', '.join(sorted(known))}. "
            "Rename its files as the songs' are."
        )
    return Separated(folder, files, tuple(sources), "auto" if rest in usual and rest not in sources else rest)


def _of(
    track: Multitrack, found: Sequence[Multitrack], tracks: Sequence[Multitrack]
) -> Mapping[str, Sequence[Path]] | None:
    same = [candidate for candidate in found if _trimmed(candidate.name) == track.name]
    if not same:
        last = _last(track.name)
        same = [candidate for candidate in found if _last(_trimmed(candidate.name)) == last]
        if sum(_last(other.name) == last for other in tracks) > 1:
            return None
    return {name: _one_format(paths) for name, paths in same[0].files.items()} if len(same) == 1 else None


def _one_format(paths: Sequence[Path]) -> Sequence[Path]:
    """Of files that are one sound in several formats, the first that loses nothing."""
    chosen: dict[Path, Path] = {}
    for path in sorted(paths, key=lambda path: (path.suffix.lower() not in _LOSSLESS, path.name)):
        chosen.setdefault(path.with_name(path.stem.lower()), path)
    return tuple(chosen.values())


def _trimmed(name: str) -> str:
    return name.removesuffix(_MIXTURE)


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]
