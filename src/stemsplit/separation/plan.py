"""Which tracks a command is about, and the name of each below the output folder."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stemsplit.audio.faults import check_exists
from stemsplit.audio.tags import read_tags
from stemsplit.errors import DecodeError
from stemsplit.separation.naming import DEFAULT_TEMPLATE, NameTemplate, TrackName, folded
from stemsplit.separation.report import TrackReport

_TAGS = frozenset({"artist", "title", "album"})


@dataclass(frozen=True)
class PlannedTrack:
    """One input file and where its outputs go."""

    path: Path
    output: TrackName

    @property
    def name(self) -> str:
        """The track's name below the output folder: "song", "htdemucs/song"."""
        return self.output.name

    def stem_path(self, stem: str, extension: str) -> Path:
        """Where a stem goes, relative to the output folder; `extension` is one like ".wav"."""
        return self.output.path(stem, extension)

    def file_path(self, extension: str) -> Path:
        """Where the one file goes that there is per track, relative to the output folder."""
        return self.output.file(extension)


def plan_tracks(
    inputs: Iterable[Path], template: NameTemplate = DEFAULT_TEMPLATE, model: str = ""
) -> list[PlannedTrack]:
    """
    Name every input once, in the order given.

    Of two that would share a name, the later one uses its full file name (`song.mp3`) as its track, then
    `song.mp3-1a2b3c4d` (SHA-256 of its absolute path); where the template does not name the track, that is added to
    it. Names that differ in case or Unicode form only count as one, since many file systems do not tell them apart.

    Args:
        inputs: the files.
        template: how outputs are named.
        model: the model's short name, for {model}.
    """
    taken: set[str] = set()
    planned: dict[Path, PlannedTrack] = {}
    for path in inputs:
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 (a link is not followed: it may carry the better name)
        if absolute in planned:
            continue
        names = _candidates(absolute, template, model)
        name = next(name for name in names if taken.isdisjoint(_claims(name)))
        taken |= _claims(name)
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


def _candidates(path: Path, template: NameTemplate, model: str) -> Iterator[TrackName]:
    """The names that an input may have, best first."""
    values = {"track": path.stem, "folder": path.parent.name, "model": model}
    if template.fields & _TAGS:
        values |= _tags(path)
    yield template.expand(values)
    values["track"] = path.name
    yield template.expand(values, distinct=True)
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
    for length in (8, len(digest)):  # all of it where a file is called as another's fallback
        yield template.expand(values, distinct=True, ending=f"-{digest[:length]}")


def _tags(path: Path) -> dict[str, str]:
    """The fields that the song itself tells, or what stands for those it does not."""
    tags = read_tags(path, cover=False)
    instead = {"artist": "Unknown artist", "title": path.stem, "album": "Unknown album"}
    return {name: (tags.get(name) or "").strip() or default for name, default in instead.items()}


def _claims(name: TrackName) -> set[str]:
    """What no other track may have: the name, and the place, which is empty where the template is the stem alone."""
    return {folded(name.place), folded(name.name)}
