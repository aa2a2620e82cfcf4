"""
Scores of estimated sources against true ones.

Shapes: S sources, C channels, T frames.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_DELTA = 1e-7  # keeps the ratio finite (Mitsufuji et al. 2022, equation 1)
_SILENCE = 1e-10  # energy per sample, -100 dBFS, below which a true source counts as silent

Energies = NDArray[np.float64]


def utterance_sdr(signal: float, error: float) -> float:
    """
    Signal-to-distortion ratio in dB from the energies of a source and of the error, over a whole song.

    It is the "utterance" SDR of the Music Demixing challenges (Mitsufuji et al. 2022, section 3.2), plainly
    10 log10 of the ratio: not the BSSEval SDR, and not to be mixed with it in one table.
    """
    return 10 * math.log10((signal + _DELTA) / (max(0.0, error) + _DELTA))


def mean_sdr(scores: Sequence[float | None]) -> float | None:
    """The mean of those that are there."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


class SongScores:
    """
    Running sums over one song, from which all its scores follow; the song itself is never held.

    Beside the model, two estimates are scored that need none: the mixture as it is, and the mixture times the one
    gain that fits the source best (least squares). A model that is worth having beats both.
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
    def mixture_sdr(self) -> list[float | None]:
        """SDR of the mixture as the estimate of each source."""
        return self._ratios(self._signal - 2 * self._product + self._mixture)

    @property
    def gain_sdr(self) -> list[float | None]:
        """SDR of the mixture times the single gain that is best for each source."""
        return self._ratios(self._signal - self._product**2 / max(self._mixture, _DELTA))

    def _ratios(self, errors: Energies) -> list[float | None]:
        silent = _SILENCE * max(1, self.samples)
        return [
            utterance_sdr(float(signal), float(error)) if signal > silent else None
            for signal, error in zip(self._signal, errors, strict=True)
        ]
