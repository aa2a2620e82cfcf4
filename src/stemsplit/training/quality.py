"""
What the labels of a multitrack are worth, as the paper chose its songs (Rouard et al. 2022, section 4.1).

A trained separator is given each stem alone. What it takes for drums should be the drums and nothing else: P_ij is the
share of seconds in which source j comes out of stem i within 10 dB of the stem's own level. The ideal is the identity;
a song is kept when every P_ii is above 70 % and every other P_ij below 30 %.

Shapes: S sources, T frames.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from stemsplit.audio.assignment import Assigned
from stemsplit.audio.blocks import Block
from stemsplit.audio.multitrack import stem_blocks
from stemsplit.evaluation.metrics import SecondEnergies
from stemsplit.evaluation.on_demand import OnDemand
from stemsplit.events import Listener, Warned
from stemsplit.separation.separator import Separator
from stemsplit.separation.statistics import Statistics

WITHIN_DB = 10.0
LEAST_OWN = 0.7
MOST_OTHER = 0.3
HEARD = 10 ** (-60 / 10)  # energy per sample, -60 dBFS: quieter seconds are passed over

Matrix = tuple[tuple[float, ...] | None, ...]


@dataclass(frozen=True)
class SongQuality:
    """
    A song, judged.

    Attributes:
        track: its name.
        sources: of the rows and columns.
        matrix: P_ij from 0 to 1, a row for each stem; None for a stem that is never heard, or is not there.
    """

    track: str
    sources: tuple[str, ...]
    matrix: Matrix

    @property
    def reasons(self) -> list[str]:
        """Why the song is rejected; none if it is kept."""
        return reasons(self.matrix, self.sources)

    @property
    def is_kept(self) -> bool:
        """Whether it is good to train with."""
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        """As `stemsplit quality --json` prints it."""
        return {"schema": 1, **asdict(self), "kept": self.is_kept, "reasons": self.reasons}

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Self:
        """Raises TypeError or KeyError for what `to_json` has not made."""
        matrix = tuple(None if row is None else tuple(row) for row in table["matrix"])
        return cls(table["track"], tuple(table["sources"]), matrix)


def reasons(matrix: Matrix, sources: Sequence[str]) -> list[str]:
    """What a matrix has against a song, in sentences; nothing if it is to be kept."""
    found = []
    for i, row in enumerate(matrix):
        if row is None:
            continue
        others = [j for j in range(len(sources)) if j != i and row[j] >= MOST_OTHER]
        if row[i] <= LEAST_OWN:
            guess = _guess(i, matrix, sources)
            found.append(f"{sources[i]} is heard as {sources[i]} in only {row[i]:.0%} of its seconds{guess}")
        found += [f"{sources[i]} is heard as {sources[j]} in {row[j]:.0%} of its seconds" for j in others]
    if all(row is None for row in matrix):
        found.append("none of its stems is heard")
    return found


def _guess(i: int, matrix: Matrix, sources: Sequence[str]) -> str:
    """What a stem that is not heard as what it is called may be."""
    row = matrix[i]
    assert row is not None
    for j, share in enumerate(row):
        other = matrix[j]
        if j == i or share <= LEAST_OWN or row[i] >= MOST_OTHER:
            continue
        if other is not None and other[i] > LEAST_OWN and other[j] < MOST_OTHER:
            return f" (it seems to have changed places with {sources[j]})"
        return f" (it seems to be {sources[j]})"
    return ""


def quality_of(separator: Separator, song: Assigned, warn: Callable[[str], None] = lambda text: None) -> SongQuality:
    """
    Judge a song by what a model makes of each of its stems.

    Args:
        separator: a trained model; or anything else that has its `sources`, `sample_rate` and `stream`.
        song: with files in the order of the model's sources.
        warn: told which files are damaged.

    Raises:
        TrackError: for files that cannot be read.
        ModelError: as `Separator.stream`.
    """
    rows = tuple(_row(separator, files, warn) if files else None for files in song.files)
    return SongQuality(song.name, tuple(separator.sources), rows)


def _row(separator: Separator, files: Sequence[Path], warn: Callable[[str], None]) -> tuple[float, ...] | None:
    """How often the stem is heard as each source; None if it is never heard at all."""
    rate = separator.sample_rate
    own, answered = SecondEnergies(1, rate), SecondEnergies(len(separator.sources), rate)

    def stem(warn: Callable[[str], None] = lambda text: None) -> Iterator[Block]:
        return (block[0] for block in stem_blocks([files], rate, warn))

    def measured() -> Iterator[Block]:
        for block in stem(warn):
            own.add(block[np.newaxis])
            yield block

    statistics = Statistics.of(measured())
    whole = max(1, statistics.frames // rate)  # what is left of a second at the end does not count
    level = own.by_second[0, :whole] / own.samples[:whole]
    heard = level > HEARD
    if not heard.any():
        return None
    for answer in separator.stream(stem(), statistics):
        answered.add(np.stack([answer[source] for source in separator.sources]))
    levels = answered.by_second[:, :whole] / own.samples[:whole]
    near = levels[:, heard] > level[heard] * 10 ** (-WITHIN_DB / 10)
    return tuple(round(float(share), 6) for share in near.mean(axis=1))


@dataclass(frozen=True)
class Judging:
    """
    Work that can be sent to another process.

    Attributes:
        model: who judges.
    """

    model: OnDemand

    def begin(self, device: str, listener: Listener) -> None:
        """Told once in each process."""
        self.model.begin(device, listener)

    def __call__(self, song: Assigned) -> SongQuality:
        """Raises as `quality_of`."""
        return quality_of(self.model.separator, song, lambda text: self.model.tell(Warned(text)))
