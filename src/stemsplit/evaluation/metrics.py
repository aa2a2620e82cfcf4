"""
Scores of estimated sources against true ones.

Shapes: N signals, S sources, C channels, T frames.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DELTA = 1e-7  # keeps the ratio finite (Mitsufuji et al. 2022, equation 1)
SILENCE = 1e-10  # energy per sample, -100 dBFS, below which a true source counts as silent

Energies = NDArray[np.float64]


def utterance_sdr(signal: float, error: float) -> float:
    """
    Signal-to-distortion ratio in dB from the energies of a source and of the error, over a whole song.

    It is the "utterance" SDR of the Music Demixing challenges (Mitsufuji et al. 2022, section 3.2), plainly
    10 log10 of the ratio: not the BSSEval SDR, and not to be mixed with it in one table.
    """
    return 10 * math.log10((signal + DELTA) / (max(0.0, error) + DELTA))


def mean_sdr(scores: Sequence[float | None]) -> float | None:
    """The mean of those that are there."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


class SecondEnergies:
    """
    Energies of several signals, second by second; the signals themselves are never held.

    Args:
        signals: how many.
        sample_rate: Hz.
    """

    def __init__(self, signals: int, sample_rate: int) -> None:
        self._rate = sample_rate
        self._seconds: list[Energies] = []
        self._frames = 0  # of the second that is not full yet
        self._open = np.zeros(signals)
        self._channels = 0

    def add(self, signals: NDArray[np.floating]) -> None:
        """Take in the next part of all signals. Shape: [N, C, T]."""
        squares = np.square(signals, dtype=np.float64).sum(axis=1)
        self._channels = signals.shape[1]
        start = 0
        while start < squares.shape[1]:
            taken = squares[:, start : start + self._rate - self._frames]
            self._open += taken.sum(axis=1)
            self._frames += taken.shape[1]
            start += taken.shape[1]
            if self._frames == self._rate:
                self._seconds.append(self._open)
                self._open, self._frames = np.zeros_like(self._open), 0

    @property
    def by_second(self) -> Energies:
        """The last second may be a part of one. Shape: [N, seconds]."""
        parts = [*self._seconds, self._open] if self._frames else self._seconds
        return np.stack(parts, axis=1) if parts else np.zeros((len(self._open), 0))

    @property
    def samples(self) -> NDArray[np.int64]:
        """How many samples, of all channels, each second has. Shape: [seconds]."""
        frames = [self._rate] * len(self._seconds) + ([self._frames] if self._frames else [])
        return self._channels * np.array(frames, dtype=np.int64)


class SongScores:
    """
    Running sums over one song, from which its scores follow; the song itself is never held.

    Beside the model, an estimate is scored that needs none: the mixture times the one gain that fits the source best
    (least squares).
    """

    def __init__(self, sources: int) -> None:
        self.samples = 0
        self._absolute = np.zeros(sources)
        self._signal, self._error, self._product = np.zeros(sources), np.zeros(sources), np.zeros(sources)
        self._mixture = 0.0

    def add(
        self, references: NDArray[np.float32], estimates: NDArray[np.float32], mixture: NDArray[np.float32]
    ) -> None:
        """
        Take in the next part of the song.

        Shape:
            references, estimates: [S, C, T]; mixture: [C, T]
        """
        true, mixed = references.astype(np.float64), mixture.astype(np.float64)
        error = estimates - true
        axes = (1, 2)
        self.samples += mixed.size
        self._absolute += np.abs(error).sum(axes)
        self._signal += np.square(true).sum(axes)
        self._error += np.square(error).sum(axes)
        self._product += (true * mixed).sum(axes)
        self._mixture += float(np.square(mixed).sum())

    @property
    def l1(self) -> list[float]:
        """Mean absolute error of each source."""
        return [float(sum_) / max(1, self.samples) for sum_ in self._absolute]

    @property
    def sdr(self) -> list[float | None]:
        """SDR of each source in dB; None where the true source is silent, since there is nothing to be like."""
        return self._ratios(self._error)

    @property
    def gains(self) -> NDArray[np.float64]:
        """The factor that makes the mixture most like each source. Shape: [S]."""
        return self._product / max(self._mixture, DELTA)

    @property
    def gain_sdr(self) -> list[float | None]:
        """SDR of the mixture times that factor."""
        return self._ratios(self._signal - self.gains * self._product)

    def _ratios(self, errors: Energies) -> list[float | None]:
        return sdr_of(self._signal, errors, self.samples)


def sdr_of(signal: Energies, error: Energies, samples: int) -> list[float | None]:
    """
    Utterance SDR of each source in dB from its energies over a song of so many samples, counted in all channels.

    None where the true source is silent: there is nothing to be like.
    """
    silent = SILENCE * max(1, samples)
    return [utterance_sdr(float(s), float(e)) if s > silent else None for s, e in zip(signal, error, strict=True)]
