"""Which tracks a command is about, and the name of each below the output folder."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stemsplit.audio.faults import check_exists
from stemsplit.audio.tags import read_tags
from stemsplit.errors import DecodeError, RecordError, UsageError
from stemsplit.separation.naming import DEFAULT_TEMPLATE, NameTemplate, TrackName, folded
from stemsplit.separation.record import InputFile
from stemsplit.separation.record_file import read_record, records_in
from stemsplit.separation.report import TrackReport
from stemsplit.separation.walk import Song

_TAGS = frozenset({"artist", "title", "album"})
_THREADS = 4  # ffprobe takes most of its time to start


@dataclass(frozen=True)
class PlannedTrack:
    """One input file and where its outputs go. What never comes again, such as a pipe, is not recorded."""

    path: Path
    output: TrackName
    is_recorded: bool = True

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
    songs: Iterable[Song], template: NameTemplate = DEFAULT_TEMPLATE, model: str = "", *, output: Path | None = None
) -> list[PlannedTrack]:
    """
    Name every song once, in the order given.

    Of two that would share a name, the later one uses its full file name (`song.mp3`) as its track, then
    `song.mp3-1a2b3c4d` (SHA-256 of its absolute path); where the template does not name the track, that is added to
    it. Names that differ in case or Unicode form only count as one, since many file systems do not tell them apart.
    A song that has a record keeps its name, and a name that another song's record holds is not taken.

    Args:
        songs: the files, with the folders that their stems keep.
        template: how outputs are named.
        model: the model's short name, for {model}.
        output: the folder of stems, whose records hold names; None where none are to be regarded.
    """
    unique: dict[str, Song] = {}
    for song in songs:
        unique.setdefault(os.path.abspath(song.path), song)  # noqa: PTH100 (a link may carry the better name)
    own: dict[str, list[TrackName]] = {}
    free: dict[str, list[TrackName]] = {}
    tags = _tags_of(list(map(Path, unique))) if template.fields & _TAGS else {}
    for path, song in unique.items():
        names = list(_candidates(Path(path), song.tree, template, model, tags.get(Path(path), {})))
        own[path], free[path] = ([], names) if output is None else _by_holder(Path(path), names, output)
    chosen: dict[str, TrackName] = {}
    taken: set[str] = set()
    if output is not None and any(not name.place for names in free.values() for name in names[:1]):
        _leave_shared(free, own, output)
    for possible in (own, free):
        for path in [path for path in unique if path not in chosen]:
            name = next((name for name in possible[path] if taken.isdisjoint(_claims(name))), None)
            if name is not None:
                chosen[path] = name
                taken |= _claims(name)
    return [PlannedTrack(song.path, chosen[path]) for path, song in unique.items()]


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


def _by_holder(path: Path, names: Iterable[TrackName], output: Path) -> tuple[list[TrackName], list[TrackName]]:
    """Of the names, those that this song's record holds, and those that no other song's does."""
    own, free = [], []
    for name in names:
        try:
            record = read_record(output, name.name)
            is_own = record is not None and record.input.has_become(InputFile.of(path))
        except OSError:  # the song is not there
            is_own = False
        except RecordError:  # of a newer version: the track that takes the name is told
            record = None
            is_own = True
        own += [name] * is_own
        free += [name] * (record is None or is_own)
    return own, free or [name]  # where others hold them all, the track that takes the last is told


def _leave_shared(free: dict[str, list[TrackName]], own: dict[str, list[TrackName]], output: Path) -> None:
    """Where the template is the stem alone, take away names whose files the record of another song names."""
    holders = [(record, {PurePosixPath(path).parent for path in record.stems}) for record in records_in(output)]
    for path in free:
        free[path] = [
            name
            for name in free[path]
            if name.place
            or name in own[path]
            or not any(
                record.track != name.name and PurePosixPath(name.path("any", "").parent) in folders
                for record, folders in holders
            )
        ]


def _candidates(
    path: Path, tree: Sequence[str], template: NameTemplate, model: str, tags: Mapping[str, str]
) -> Iterator[TrackName]:
    """The names that a song may have, best first."""
    values = {"track": path.stem, "folder": path.parent.name, "model": model, **tags}
    yield template.expand(values, tree=tree)
    values["track"] = path.name
    yield template.expand(values, tree=tree, distinct=True)
    digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
    for length in (8, len(digest)):  # all of it where a file is called as another's fallback
        yield template.expand(values, tree=tree, distinct=True, ending=f"-{digest[:length]}")


def _tags_of(paths: Sequence[Path]) -> dict[Path, dict[str, str]]:
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="tags") as pool:
        return dict(zip(paths, pool.map(_tags, paths), strict=True))


def _tags(path: Path) -> dict[str, str]:
    """The fields that the song itself tells, or what stands for those it does not."""
    tags = read_tags(path, cover=False)
    instead = {"artist": "Unknown artist", "title": path.stem, "album": "Unknown album"}
    return {name: (tags.get(name) or "").strip() or default for name, default in instead.items()}


def _claims(name: TrackName) -> set[str]:
    """What no other track may have: the name, and the place, which is empty where the template is the stem alone."""
    return {folded(name.place), folded(name.name)}


@dataclass(frozen=True)
class Shard:
    """
    One of several machines' share of the songs: `index` from 1 to `count`.

    Raises:
        UsageError: for an index or count that makes no sense.
    """

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise UsageError(f"--shard {self.index}/{self.count}: write it as I/N, with I from 1 to N, such as 1/4.")

    def holds(self, song: Song) -> bool:
        """
        Whether a song is in this share.

        Its place in the named folder decides, or a named file's name: not what other songs there are, nor where the
        folder lies on this machine.
        """
        name = "/".join([*song.tree, song.path.name])
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8]) % self.count == self.index - 1
