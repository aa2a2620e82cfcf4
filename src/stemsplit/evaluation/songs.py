"""
Songs as they are evaluated: true sources and the mixture side by side, as streams that may be taken several times.

Shapes: S sources, T frames.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemsplit.audio.assignment import Assigned
from stemsplit.audio.blocks import Block
from stemsplit.audio.multitrack import Multitrack, find_multitracks, stem_blocks
from stemsplit.errors import UsageError
from stemsplit.evaluation.degradation import DEGRADATIONS
from stemsplit.evaluation.splits import split_tracks

Stems = NDArray[np.float32]


@dataclass(frozen=True)
class Song:
    """A song whose stems are known, as it is or `degraded` in one of the ways of `DEGRADATIONS`."""

    track: Assigned
    degraded: str | None = None

    @property
    def name(self) -> str:
        """As tables have it."""
        return self.track.name

    def parts(
        self, sample_rate: int, warn: Callable[[str], None] = lambda warning: None
    ) -> Iterator[tuple[Stems, Block]]:
        """
        True sources [S, 2, T] and the mixture [2, T], block by block; `warn` is told which files are damaged.

        Raises:
            TrackError: for files that cannot be read.
        """
        if self.degraded is None:
            yield from references_of(self.track, sample_rate, warn)
            return

        def together() -> Iterator[Stems]:
            for stems, mixture in references_of(self.track, sample_rate):
                yield np.concatenate([stems, mixture[np.newaxis]])

        for block in DEGRADATIONS[self.degraded](together, sample_rate):
            yield block[:-1], block[-1]

    @property
    def files(self) -> list[Path]:
        """All that it is read from."""
        mixture = [self.track.mixture] if self.track.mixture else []
        return [path for paths in (*self.track.files, self.track.rest, mixture) for path in paths]


def references_of(
    track: Assigned, sample_rate: int, warn: Callable[[str], None] = lambda warning: None
) -> Iterator[tuple[Stems, Block]]:
    """
    True sources [S, 2, T] and the mixture [2, T], block by block.

    The mixture is the file of that name, or else the sum of all stems, those included that are no source.
    """
    last = track.rest if track.mixture is None else (track.mixture,)
    for block in stem_blocks([*track.files, last], sample_rate, warn):
        yield block[:-1], block.sum(axis=0) if track.mixture is None else block[-1]


def find_songs(folders: Sequence[Path], sources: Sequence[str] = ()) -> list[Multitrack]:
    """
    All songs in the folders.

    Raises:
        DecodeError: for a folder that cannot be searched.
        UsageError: for a song that is in two of the folders.
    """
    found = [track for folder in folders for track in find_multitracks(folder, sources)]
    places = [track.folder.resolve() for track in found]
    if len(set(places)) < len(places):
        raise UsageError("A song is in two of the folders that are named. Name it once.")
    return found


def told_apart(tracks: Sequence[Multitrack]) -> list[Multitrack]:
    """The same, where those that are called alike in different folders have their whole path for a name."""
    names = Counter(track.name for track in tracks)
    return [
        replace(track, name="/".join(track.folder.resolve().parts[1:])) if names[track.name] > 1 else track
        for track in tracks
    ]


def chosen_split(tracks: Sequence[Multitrack], split: str) -> tuple[list[Multitrack], list[str]]:
    """
    The songs of a split, and sentences about what is good to know. "auto": test songs, else valid ones, else all.

    Raises:
        UsageError: if there are none.
    """
    notes = []
    if split == "auto":
        split = next((name for name in ("test", "valid") if any(track.split == name for track in tracks)), "all")
        if split == "all":
            notes.append("All songs are scored. If the model was trained on some of them, take --split valid.")
    chosen = list(tracks) if split == "all" else split_tracks(tracks)[split]
    if not chosen:
        raise UsageError(
            f"There are no songs{'' if split == 'all' else f' in the split {split}'}: {len(tracks)} in all."
        )
    return chosen, notes
