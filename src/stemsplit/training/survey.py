"""
A look at all training data before anything is trained: what there is, and everything that is wrong with it.

Shapes: S sources, T frames.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stemsplit.audio.assignment import Assigned, SourceRules, assign, is_skipped, problems_of
from stemsplit.audio.faults import shown
from stemsplit.audio.multitrack import find_multitracks
from stemsplit.evaluation.splits import split_tracks
from stemsplit.events import Listener, SongsExamined, ignore
from stemsplit.training.measurement import Measurement, UnreadableError, measured

_MANY = 3  # sentences of one kind in a row before the rest is counted
_SHORTEST_SECONDS = 0.1


@dataclass(frozen=True)
class DataFolder:
    """A folder of songs, and how often its excerpts are drawn compared to those of other folders."""

    path: Path
    weight: float = 1.0


@dataclass(frozen=True)
class Song:
    """A song that can be trained on or validated with."""

    track: Assigned
    measurement: Measurement
    weight: float = 1.0


@dataclass(frozen=True)
class Survey:
    """
    What there is to train with.

    Attributes:
        splits: songs by "train", "valid" and "test".
        problems: sentences about what must be mended first.
        notes: sentences about what is good to know.
    """

    splits: dict[str, tuple[Song, ...]]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """The same for the same songs with the same files in the same splits, wherever they lie."""
        lines = [
            f"{split}\0{song.track.name}\0{song.weight!r}\0{song.measurement.digest}"
            for split, songs in self.splits.items()
            for song in songs
        ]
        return hashlib.sha256("\n".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()

    def hours(self, split: str, source: int) -> float:
        """How long a source is heard in a split: above -60 dBFS."""
        return sum(song.measurement.sounding_seconds[source] for song in self.splits[split]) / 3600


def survey(
    folders: Sequence[DataFolder],
    rules: SourceRules,
    sample_rate: int,
    listener: Listener = ignore,
    keep: frozenset[str] | None = None,
) -> Survey:
    """
    Find and measure all songs. What was measured before is known from the cache; nothing is written to the data.

    Args:
        folders: where they are.
        rules: how stems become sources.
        sample_rate: Hz, of the network.
        listener: told how many are measured.
        keep: names of the only ones to train and validate with; songs in folders called valid or test stay.

    Raises:
        DecodeError: for a folder that cannot be searched.
    """
    found, problems, notes = _found(folders, rules, keep)
    songs: dict[Assigned, Song] = {}
    examined = _examined([track for track, _ in found], sample_rate, listener)
    for (track, weight), result in zip(found, examined, strict=True):
        faults = problems_of(track, rules)
        if isinstance(result, Measurement):
            faults += _wrong(track, rules, result)
            songs[track] = Song(track, result, weight)
            notes += [] if faults else _notable(track, rules, result, sample_rate)
        else:
            faults += result.sentences
        problems += faults
    splits = {split: [songs[track] for track in tracks] for split, tracks in split_tracks(list(songs)).items()}
    if not problems:
        problems += _lacking(splits, rules)
    done = {split: tuple(songs) for split, songs in splits.items()}
    return Survey(done, tuple(problems), tuple(_shortened(notes)))


def _found(
    folders: Sequence[DataFolder], rules: SourceRules, keep: frozenset[str] | None
) -> tuple[list[tuple[Assigned, float]], list[str], list[str]]:
    """All songs that are not passed over, with their weights; problems and notes about what is where."""
    found, problems, notes = [], [], []
    known: set[Path] = set()
    left_out: list[str] = []
    for folder in folders:
        multitracks = find_multitracks(folder.path, rules.sources)
        places = {track.folder.resolve() for track in multitracks}
        if not multitracks:
            problems.append(
                f"{shown(folder.path)}: holds no songs. Each song is a folder with one audio file per source, such as "
                f"{rules.sources[0]}.wav."
            )
        if places & known:
            twice = min(places & known).name
            problems.append(f"{shown(folder.path)}: {twice} is in another folder that is named, too. Name it once.")
        known |= places
        for track in (assign(track, rules) for track in multitracks):
            if keep is not None and track.split in (None, "train") and track.name not in keep:
                left_out.append(track.name)
            elif is_skipped(track, rules):
                notes.append(f"{track.name}: has no {', '.join(track.missing)}, and is passed over.")
            else:
                found.append((track, folder.weight))
    if keep is not None:
        absent = keep - {track.name for track, _ in found}
        if left_out and absent == keep:
            problems.append(
                f"The keep list names none of these songs. It has {min(keep)!r}, and here is {left_out[0]!r}: name the "
                "same folder as for `stemsplit quality`."
            )
        elif absent:
            notes.append(f"Not here, of the names in the keep list: {len(absent)}, such as {min(absent)}.")
        if left_out:
            notes.append(f"Passed over, since not in the keep list: {len(left_out)} of the songs.")
    return found, problems, notes


def _examined(
    tracks: Sequence[Assigned], sample_rate: int, listener: Listener
) -> Iterator[Measurement | UnreadableError]:
    def examine(track: Assigned) -> Measurement | UnreadableError:
        try:
            return measured(track, sample_rate)
        except UnreadableError as error:
            return error

    pool = ThreadPoolExecutor()
    try:
        for done, result in enumerate(pool.map(examine, tracks), 1):
            listener(SongsExamined(done, len(tracks)))
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _wrong(track: Assigned, rules: SourceRules, measurement: Measurement) -> list[str]:
    """What makes a song unfit."""
    problems = []
    for source, seconds in zip(rules.sources, measurement.seconds, strict=True):
        if 0 < seconds < _SHORTEST_SECONDS:
            problems.append(f"{track.name}: {source} is {seconds:.2g} s long. Export it again, or take it away.")
    if not measurement.std:
        problems.append(f"{track.name}: is silent from its start to its end, or its channels cancel. Take it away.")
    problems += [f"{track.name}: {fault}" for fault in measurement.faults]
    return problems


def _notable(track: Assigned, rules: SourceRules, measurement: Measurement, sample_rate: int) -> list[str]:
    notes = []
    if track.mixture is not None and track.mixture.stem.lower() != "mixture":
        notes.append(f"{track.name}: {track.mixture.name} is taken for the mixture, and for no stem.")
    if track.taken_in:
        notes.append(f"{track.name}: {rules.rest_source} takes in {', '.join(track.taken_in)}.")
    present = [seconds for seconds in measurement.seconds if seconds]
    if present and max(present) - min(present) > 1 / 100:
        notes.append(
            f"{track.name}: its stems are from {min(present):.2f} to {max(present):.2f} s long; shorter ones are "
            "padded with silence."
        )
    rates = sorted(set(measurement.sample_rates) - {sample_rate})
    if rates:
        notes.append(f"{track.name}: {', '.join(map(str, rates))} Hz, converted to {sample_rate}.")
    silent = [
        source
        for source, seconds, sounding in zip(
            rules.sources, measurement.seconds, measurement.sounding_seconds, strict=True
        )
        if seconds and not sounding
    ]
    if silent:
        notes.append(f"{track.name}: {', '.join(silent)} is silent throughout.")
    if measurement.mixture_error_db is not None and measurement.mixture_error_db > -20:
        notes.append(
            f"{track.name}: its mixture is not the sum of its stems (the difference is at "
            f"{measurement.mixture_error_db:.0f} dB of it). Training uses the sum, evaluation the file."
        )
    for source, files in zip(rules.sources, track.files, strict=True):
        names = [path.with_suffix("").as_posix().lower() for path in files]
        if len(set(names)) < len(names):
            notes.append(f"{track.name}: {source} is the sum of {', '.join(path.name for path in files)}.")
    return notes


def _lacking(splits: dict[str, list[Song]], rules: SourceRules) -> list[str]:
    """What cannot be learnt or validated for want of songs."""
    if not splits["train"]:
        if splits["valid"]:
            return ["There is one song only, and it takes two: one to train with, one that validates. Add songs."]
        return ["There is no song to train with. Add songs, in folders of their own."]
    if not splits["valid"]:
        return ["There is no song to validate with. Add some, or move some into a folder called valid."]
    return [
        f"{source}: is silent in every song to train with, so that it cannot be learnt. Add songs that have it, or "
        "leave it out of --sources."
        for index, source in enumerate(rules.sources)
        if not any(song.measurement.sounding_seconds[index] for song in splits["train"])
    ]


def _shortened(notes: Iterable[str]) -> Iterator[str]:
    """Of many notes that differ in the song only, a few."""
    seen: dict[str, int] = {}
    for note in notes:
        kind = note.partition(": ")[2].translate({ord(digit): None for digit in "0123456789."})
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= _MANY:
            yield note
    rest = sum(max(0, count - _MANY) for count in seen.values())
    if rest:
        yield f"and {rest} more of these."
