"""
One song by one method: its scores. Nothing holds a whole song, unless BSSEval is asked for.

Shapes: S sources, T frames.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from stemsplit.evaluation.bsseval import BssEval, bsseval
from stemsplit.evaluation.methods import Kind, Method
from stemsplit.evaluation.metrics import SecondEnergies, mean_sdr, sdr_of, utterance_sdr
from stemsplit.evaluation.pairing import Estimated
from stemsplit.evaluation.songs import Song
from stemsplit.events import Listener

_DIGITS, _SECOND_DIGITS = 6, 3  # of decibels that are kept
_REST = 1e-2  # energy over the mixture's, -20 dB, above which what is no source counts
_QUIET = 1e-20  # energy per sample, the lowest level that is told


@dataclass(frozen=True)
class SongResult:
    """
    The scores of one song by one method.

    Attributes:
        track: the song's name.
        method: its name.
        kind: of method.
        degraded: how the song was, if it was.
        seconds: its length.
        sample_rate: Hz, at which it was scored.
        sdr: utterance SDR in dB by source; None for one that is silent in the song.
        bsseval: BSSEval v4 by source, if it was asked for; None for a source that it is not defined for.
        level_by_second: of the true source in dBFS, second by second.
        sdr_by_second: likewise.
    """

    track: str
    method: str
    kind: Kind
    degraded: str | None
    seconds: float
    sample_rate: int
    sdr: dict[str, float | None]
    bsseval: dict[str, BssEval | None] | None
    level_by_second: dict[str, list[float]]
    sdr_by_second: dict[str, list[float]]

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """As `stemsplit evaluate --json` prints it: without the seconds."""
        table = {"schema": 1, **asdict(self)}
        del table["level_by_second"], table["sdr_by_second"]
        return table

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Self:
        """Raises TypeError, KeyError or AttributeError for what `to_json` has not made."""
        for column in (table["sdr"], table["level_by_second"], table["sdr_by_second"]):
            if column.keys() != table["sdr"].keys():
                raise KeyError("sources")
        scores = table["bsseval"]
        if scores is not None:
            scores = {source: None if entry is None else BssEval(**entry) for source, entry in scores.items()}
        return cls(**{**table, "bsseval": scores})


@dataclass(frozen=True)
class Task:
    """A song, and the method by its place among all."""

    song: Song
    method: int


@dataclass(frozen=True)
class Scoring:
    """
    Work that can be sent to another process.

    Attributes:
        methods: all there are.
        with_bsseval: whether BSSEval is computed too, of songs as they are, which are held in memory for it.
    """

    methods: Sequence[Method]
    with_bsseval: bool = False

    def begin(self, device: str, listener: Listener) -> None:
        """Told once in each process."""
        for method in self.methods:
            method.begin(device, listener)

    def __call__(self, task: Task) -> SongResult:
        """Raises as `evaluate_song`."""
        with_bsseval = self.with_bsseval and task.song.degraded is None
        return evaluate_song(self.methods[task.method], task.song, with_bsseval=with_bsseval)


def evaluate_song(method: Method, song: Song, *, with_bsseval: bool = False) -> SongResult:
    """
    Have a method estimate a song's sources, and score what comes out.

    Raises:
        TrackError: for files that cannot be read.
        ModelError: as `Separator.stream`.
    """
    count = len(method.sources)
    energies = SecondEnergies(2 * count, method.sample_rate)
    whole: list[Estimated] = []
    for part in method.estimates(song):
        true = part.references.astype(np.float64)
        energies.add(np.concatenate([true, part.estimates - true]))
        if with_bsseval:
            whole.append(part)
    signal, error = energies.by_second[:count], energies.by_second[count:]
    samples = energies.samples
    levels = 10 * np.log10(signal / samples + _QUIET)
    ratios = [[utterance_sdr(s, e) for s, e in zip(*rows, strict=True)] for rows in zip(signal, error, strict=True)]
    totals = sdr_of(signal.sum(axis=1), error.sum(axis=1), int(samples.sum()))
    return SongResult(
        track=song.name,
        method=method.name,
        kind=method.kind,
        degraded=song.degraded,
        seconds=int(samples.sum()) / 2 / method.sample_rate,
        sample_rate=method.sample_rate,
        sdr={s: None if v is None else round(v, _DIGITS) for s, v in zip(method.sources, totals, strict=True)},
        bsseval=_bsseval(whole, method) if with_bsseval else None,
        level_by_second=_by_source(method, levels.tolist()),
        sdr_by_second=_by_source(method, ratios),
    )


def _by_source(method: Method, rows: Sequence[Sequence[float]]) -> dict[str, list[float]]:
    return {s: [round(value, _SECOND_DIGITS) for value in row] for s, row in zip(method.sources, rows, strict=True)}


def _bsseval(parts: list[Estimated], method: Method) -> dict[str, BssEval | None]:
    """Of a song; where the sources are not all of it, the rest is one more to interfere, as papers have it."""
    mixture, references, estimates = (
        np.concatenate([getattr(part, what) for part in parts], axis=-1)
        for what in ("mixture", "references", "estimates")
    )
    parts.clear()  # a song takes enough memory once
    rest = mixture - references.sum(axis=0)
    if np.square(rest).sum() > _REST * np.square(mixture).sum():
        references = np.concatenate([references, rest[np.newaxis]])
        estimates = np.concatenate([estimates, (mixture - estimates.sum(axis=0))[np.newaxis]])
    scores = bsseval(references, estimates, method.sample_rate)
    return {source: scores.get(row) for row, source in enumerate(method.sources)}


def overall(results: Sequence[SongResult]) -> dict[str, float | None]:
    """The mean over songs of each source's utterance SDR, and `all`, the mean of these."""
    sources = list(results[0].sdr) if results else []
    means = {source: mean_sdr([result.sdr[source] for result in results]) for source in sources}
    return {**means, "all": mean_sdr(list(means.values()))}


def overall_bsseval(results: Sequence[SongResult], metric: str) -> dict[str, float | None]:
    """The median over songs of each source's BSSEval (medians over frames), and `all`, the mean of these."""
    sources = list(results[0].sdr) if results else []
    medians: dict[str, float | None] = {}
    for source in sources:
        entries = [result.bsseval[source] for result in results if result.bsseval is not None]
        known = [getattr(entry, metric) for entry in entries if entry is not None]
        medians[source] = float(np.median(known)) if known else None
    return {**medians, "all": mean_sdr(list(medians.values()))}
