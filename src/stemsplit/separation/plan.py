"""Which tracks a command is about, and the name of each below the output folder."""

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PlannedTrack:
    """One input file; its stems go to the folder `name` below the output folder."""

    path: Path
    name: str


def plan_tracks(inputs: Iterable[Path]) -> list[PlannedTrack]:
    """
    Name every input once, in the order given.

    Of two that would share a folder, the later one uses its full file name (`song.mp3`), then `song.mp3-1a2b3c4d`
    (SHA-256 of its absolute path). Names that differ in case or Unicode form only count as one, since many file
    systems do not tell them apart.
    """
    taken: set[str] = set()
    planned: dict[Path, PlannedTrack] = {}
    for path in inputs:
        absolute = path.absolute()
        if absolute in planned:
            continue
        digest = hashlib.sha256(str(absolute).encode("utf-8", "surrogateescape")).hexdigest()[:8]
        candidates = (absolute.stem, absolute.name, f"{absolute.name}-{digest}")
        name = next(candidate for candidate in candidates if _folded(candidate) not in taken)
        taken.add(_folded(name))
        planned[absolute] = PlannedTrack(path, name)
    return list(planned.values())


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
