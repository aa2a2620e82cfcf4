"""
Songs whose stems are known, separated and scored. Nothing holds a whole song.

Shapes: S sources, C channels, T frames.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemsplit.audio.assignment import Assigned
from stemsplit.audio.blocks import Block
from stemsplit.audio.multitrack import stem_blocks
from stemsplit.evaluation.metrics import SongScores, mean_sdr
from stemsplit.separation.separator import Separator
from stemsplit.separation.statistics import Statistics

Stems = NDArray[np.float32]


@dataclass(frozen=True)
class SongResult:
    """
    The scores of one song, by source.

    Attributes:
        track: its name.
        seconds: its length.
        sdr: of the model, in dB; None for a source that is silent in the song.
        mixture_sdr: of the mixture as the estimate.
        gain_sdr: of the mixture times the best single gain.
    """

    track: str
    seconds: float
    sdr: dict[str, float | None]
    mixture_sdr: dict[str, float | None]
    gain_sdr: dict[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """As `stemsplit evaluate --json` prints it."""
        return {"schema": 1, **asdict(self)}


def evaluate_song(separator: Separator, song: Assigned) -> SongResult:
    """
    Separate a song and score what comes out. Its mixture is the file of that name, or else the sum of its stems.

    Raises:
        TrackError: for files that cannot be read.
        ModelError: as `Separator.stream`.
    """
    statistics = Statistics.of(mixture for _, mixture in references_of(song, separator.sample_rate))
    scores = score(separator, references_of(song, separator.sample_rate), statistics)
    return SongResult(
        track=song.name,
        seconds=statistics.frames / separator.sample_rate,
        sdr=dict(zip(separator.sources, scores.sdr, strict=True)),
        mixture_sdr=dict(zip(separator.sources, scores.mixture_sdr, strict=True)),
        gain_sdr=dict(zip(separator.sources, scores.gain_sdr, strict=True)),
    )


def references_of(song: Assigned, sample_rate: int) -> Iterator[tuple[Stems, Block]]:
    """True sources [S, 2, T] and the mixture [2, T], block by block."""
    last = song.rest if song.mixture is None else (song.mixture,)
    for block in stem_blocks([*song.files, last], sample_rate):
        yield block[:-1], block.sum(axis=0) if song.mixture is None else block[-1]


def score(separator: Separator, references: Iterable[tuple[Stems, Block]], statistics: Statistics) -> SongScores:
    """
    The scores of one song.

    Args:
        separator: whose sources are scored.
        references: the song's true sources and its mixture, block by block.
        statistics: of the mixture.
    """
    scores = SongScores(len(separator.sources))
    waiting = _Waiting()
    for estimate in separator.stream(waiting.mixtures(references), statistics):
        estimates = np.stack([estimate[source] for source in separator.sources])
        scores.add(estimates=estimates, **waiting.take(estimates.shape[-1]))
    return scores


class _Waiting:
    """True sources whose estimates are still on their way."""

    def __init__(self) -> None:
        self._blocks: deque[tuple[Stems, Block]] = deque()

    def mixtures(self, references: Iterable[tuple[Stems, Block]]) -> Iterator[Block]:
        """The mixtures; what goes with them is kept."""
        for block in references:
            self._blocks.append(block)
            yield block[1]

    def take(self, frames: int) -> dict[str, NDArray[np.float32]]:
        """The first `frames` that wait."""
        stems, mixtures = [], []
        while frames:
            sources, mixture = self._blocks.popleft()
            if mixture.shape[-1] > frames:
                self._blocks.appendleft((sources[..., frames:], mixture[..., frames:]))
            stems.append(sources[..., :frames])
            mixtures.append(mixture[..., :frames])
            frames -= mixtures[-1].shape[-1]
        return {"references": np.concatenate(stems, axis=-1), "mixture": np.concatenate(mixtures, axis=-1)}


def overall(results: Sequence[SongResult], kind: str = "sdr") -> dict[str, float | None]:
    """The mean over songs of each source, and `all`, the mean of these."""
    sources = list(getattr(results[0], kind)) if results else []
    means = {source: mean_sdr([getattr(result, kind)[source] for result in results]) for source in sources}
    return {**means, "all": mean_sdr(list(means.values()))}
