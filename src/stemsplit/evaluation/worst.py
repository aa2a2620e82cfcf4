"""Where a method does worst: excerpts by time, found from scores second by second."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemsplit.evaluation.evaluate import SongResult
from stemsplit.evaluation.metrics import DELTA, utterance_sdr

EXCERPT_SECONDS = 6
COUNT = 10
_HEARD_DB = 20.0  # an excerpt counts where its source is at most so much below its own level over the song


@dataclass(frozen=True)
class WorstExcerpt:
    """
    A part of a song.

    Attributes:
        track: the song's name.
        source: that is estimated badly.
        start: where it begins, in whole seconds.
        seconds: how long it is.
        sdr: utterance SDR over it, in dB.
    """

    track: str
    source: str
    start: int
    seconds: int
    sdr: float


def worst_excerpts(results: Sequence[SongResult], count: int = COUNT) -> list[WorstExcerpt]:
    """
    The worst excerpts of one method's songs, the worst first; no two of a song overlap.

    Only excerpts count in which the source is heard: at most 20 dB below its level over the song.
    """
    candidates = sorted(
        (excerpt for result in results for excerpt in _excerpts(result)),
        key=lambda excerpt: (excerpt.sdr, excerpt.track, excerpt.source, excerpt.start),
    )
    chosen: list[WorstExcerpt] = []
    for excerpt in candidates:
        if len(chosen) == count:
            break
        if not any(
            other.track == excerpt.track and abs(other.start - excerpt.start) < EXCERPT_SECONDS for other in chosen
        ):
            chosen.append(excerpt)
    return chosen


def _excerpts(result: SongResult) -> list[WorstExcerpt]:
    found = []
    for source, sdr in result.sdr.items():
        if sdr is None:
            continue
        whole = max(1, int(result.seconds))  # what is left of a second at the end does not count
        signal = 2 * result.sample_rate * 10 ** (np.array(result.level_by_second[source][:whole]) / 10)
        error = (signal + DELTA) / 10 ** (np.array(result.sdr_by_second[source][:whole]) / 10)
        seconds = min(EXCERPT_SECONDS, len(signal))
        signals, errors = _windows(signal, seconds), _windows(error, seconds)
        heard = signals / seconds >= signal.mean() * 10 ** (-_HEARD_DB / 10)
        found += [
            WorstExcerpt(
                result.track, source, int(start), seconds, round(utterance_sdr(signals[start], errors[start]), 2)
            )
            for start in np.flatnonzero(heard)
        ]
    return found


def _windows(energies: NDArray[np.float64], seconds: int) -> NDArray[np.float64]:
    """Sums over so many seconds, by where they begin."""
    sums: NDArray[np.float64] = np.convolve(energies, np.ones(seconds), mode="valid")
    return sums
