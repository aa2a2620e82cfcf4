"""Which tracks a command is about, and the name of each below the output folder."""

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stemsplit.audio.faults import check_exists
from stemsplit.errors import DecodeError
from stemsplit.separation.report import TrackReport


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
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 (a link is not followed: it may carry the better name)
        if absolute in planned:
            continue
        digest = hashlib.sha256(str(absolute).encode("utf-8", "surrogateescape")).hexdigest()[:8]
        candidates = (absolute.stem, absolute.name, f"{absolute.name}-{digest}")
        # `...wav` is a hidden file whose stem is `..`: no name for a folder.
        name = next(name for name in candidates if name not in (".", "..") and _folded(name) not in taken)
        taken.add(_folded(name))
        planned[absolute] = PlannedTrack(path, name)
    return list(planned.values())


def split_missing(tracks: Iterable[PlannedTrack]) -> tuple[list[PlannedTrack], list[TrackReport]]:
    """Those that exist, and the reports of those that do not: so a mistyped name is told before a model loads."""
    present, reports = [], []
    for track in tracks:
        try:
            check_exists(track.path)
            present.append(track)
        except DecodeError as error:
            reports.append(TrackReport(track.path, track.name, "failed", {}, failure=error))
    return present, reports


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
