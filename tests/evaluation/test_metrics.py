"""Scores are what their formulas say, however a song is cut into parts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals import noise
from stemsplit.evaluation.metrics import SongScores, mean_sdr, utterance_sdr


def _song(frames: int = 5000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    references = np.stack([noise(2, frames, seed=1), noise(2, frames, level=0.5, seed=2)])
    estimates = references + np.stack([noise(2, frames, level=0.1, seed=3), noise(2, frames, level=0.2, seed=4)])
    return references, estimates, references.sum(axis=0)


def test_a_tenth_of_the_error_is_20_db() -> None:
    assert utterance_sdr(100.0, 1.0) == pytest.approx(20)
    assert utterance_sdr(1.0, 1.0) == pytest.approx(0)


def test_perfect_and_silent_are_finite() -> None:
    assert utterance_sdr(100.0, 0.0) == pytest.approx(90)
    assert utterance_sdr(100.0, -1e-9) == pytest.approx(90), "rounding below zero"
    assert utterance_sdr(0.0, 0.0) == 0


def test_scores_are_the_formulas() -> None:
    references, estimates, mixture = _song()
    scores = SongScores(2)
    scores.add(references, estimates, mixture)
    for index in range(2):
        true, mixed = references[index].astype(float), mixture.astype(float)
        energy = np.square(true).sum()

        def ratio(estimate: np.ndarray, true: np.ndarray = true, energy: float = energy) -> float:
            return float(10 * np.log10(energy / np.square(true - estimate).sum()))

        gain = (true * mixed).sum() / np.square(mixed).sum()
        assert scores.sdr[index] == pytest.approx(ratio(estimates[index]), abs=1e-6)
        assert scores.mixture_sdr[index] == pytest.approx(ratio(mixed), abs=1e-6)
        assert scores.gain_sdr[index] == pytest.approx(ratio(gain * mixed), abs=1e-6)
        assert scores.l1[index] == pytest.approx(float(np.abs(estimates[index] - true).mean()), rel=1e-6)
        other_gains = [ratio(other * gain * mixed) for other in (0.9, 1.1)]
        assert max(other_gains) < ratio(gain * mixed)


@given(st.lists(st.integers(1, 4999), max_size=5))
def test_however_it_is_cut(cuts: list[int]) -> None:
    references, estimates, mixture = _song()
    whole, parts = SongScores(2), SongScores(2)
    whole.add(references, estimates, mixture)
    edges = [0, *sorted(set(cuts)), 5000]
    for start, end in pairwise(edges):
        parts.add(references[..., start:end], estimates[..., start:end], mixture[..., start:end])
    for kind in ("sdr", "mixture_sdr", "gain_sdr", "l1"):
        assert getattr(parts, kind) == pytest.approx(getattr(whole, kind), rel=1e-9)


def test_a_silent_source_has_no_score() -> None:
    references, estimates, mixture = _song()
    references[0] = 0
    scores = SongScores(2)
    scores.add(references, estimates, mixture)
    assert scores.sdr[0] is scores.gain_sdr[0] is scores.mixture_sdr[0] is None
    assert mean_sdr(scores.sdr) == scores.sdr[1]
    assert mean_sdr([None]) is None
