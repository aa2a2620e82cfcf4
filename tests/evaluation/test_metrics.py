"""Scores are what their formulas say, however a song is cut into parts."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from signals import noise
from stemsplit.evaluation.metrics import SecondEnergies, SongScores, mean_sdr, sdr_of, utterance_sdr

RATE = 100  # few samples a second, so that songs of many seconds are short
Array = NDArray[Any]


def _song(frames: int = 5000) -> tuple[Array, Array, Array]:
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

        def ratio(estimate: Array, true: Array = true, energy: float = energy) -> float:
            return float(10 * np.log10(energy / np.square(true - estimate).sum()))

        gain = (true * mixed).sum() / np.square(mixed).sum()
        assert scores.sdr[index] == pytest.approx(ratio(estimates[index]), abs=1e-6)
        assert scores.gains[index] == pytest.approx(gain, rel=1e-9)
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
    for kind in ("sdr", "gains", "gain_sdr", "l1"):
        assert getattr(parts, kind) == pytest.approx(getattr(whole, kind), rel=1e-9)


def test_a_silent_source_has_no_score() -> None:
    references, estimates, mixture = _song()
    references[0] = 0
    scores = SongScores(2)
    scores.add(references, estimates, mixture)
    assert scores.sdr[0] is scores.gain_sdr[0] is None
    assert scores.gains[0] == 0
    assert mean_sdr(scores.sdr) == scores.sdr[1]
    assert mean_sdr([None]) is None


def test_a_silent_mixture_has_gains_that_are_finite() -> None:
    references, estimates, mixture = _song()
    scores = SongScores(2)
    scores.add(references, estimates, mixture * 0)
    assert scores.gains.tolist() == [0, 0]
    assert scores.gain_sdr == pytest.approx([0, 0])


def _mdx_sdr(references: Array, estimates: Array) -> Array:
    """Mitsufuji et al. 2022, equation 1, over whole songs of stereo sources [S, 2, T]."""
    references, estimates = references.astype(np.float64), estimates.astype(np.float64)
    signal, error = np.sum(references**2, axis=(1, 2)), np.sum((references - estimates) ** 2, axis=(1, 2))
    sdr: Array = 10 * np.log10((signal + 1e-7) / (error + 1e-7))
    return sdr


@pytest.mark.parametrize("level", [1.0, 1e-2, 1e-3, 2e-5])
@pytest.mark.parametrize("share", [1.5, 1.0, 1e-1, 1e-3, 0.0])
def test_utterance_sdr_is_the_formula_of_the_challenges(level: float, share: float) -> None:
    """Quiet songs too, where the constant that keeps the ratio finite is seen."""
    references = np.stack([noise(2, 5000, level, seed=1), noise(2, 5000, 2 * level, seed=2)])
    estimates = references + share * np.stack([noise(2, 5000, level, seed=3), noise(2, 5000, level, seed=4)])
    energies = SecondEnergies(4, 1000)
    energies.add(np.concatenate([references, estimates - references.astype(np.float64)]))
    signal, error = energies.by_second[:2].sum(axis=1), energies.by_second[2:].sum(axis=1)
    expected = _mdx_sdr(references, estimates)
    assert sdr_of(signal, error, int(energies.samples.sum())) == pytest.approx(expected, abs=1e-5)
    scores = SongScores(2)
    scores.add(references, estimates, references.sum(axis=0))
    assert scores.sdr == pytest.approx(expected, abs=1e-5)


def test_a_source_is_silent_below_minus_100_db() -> None:
    samples = 10_000
    energy = np.array([0.9e-10, 1.1e-10]) * samples
    silent, heard = sdr_of(energy, energy, samples)
    assert silent is None
    assert heard == pytest.approx(0)


@given(st.integers(1, 1050), st.lists(st.integers(1, 1049), max_size=8))
def test_energies_by_second_are_sums_over_each_second_however_it_is_cut(frames: int, cuts: list[int]) -> None:
    signals = np.stack([noise(2, frames, level, seed) for seed, level in enumerate((0.1, 0.5, 2.0))])
    energies = SecondEnergies(3, RATE)
    for start, end in pairwise([0, *sorted({cut for cut in cuts if cut < frames}), frames]):
        energies.add(signals[..., start:end])
    squares = np.square(signals.astype(np.float64)).sum(axis=1)
    seconds = [squares[:, start : start + RATE].sum(axis=1) for start in range(0, frames, RATE)]
    np.testing.assert_allclose(energies.by_second, np.stack(seconds, axis=1), rtol=1e-12)
    assert energies.samples.tolist() == [2 * min(RATE, frames - start) for start in range(0, frames, RATE)]


def test_the_last_second_may_be_a_part_of_one() -> None:
    energies = SecondEnergies(1, RATE)
    energies.add(np.ones((1, 2, 2 * RATE + 30)))
    assert energies.by_second.tolist() == [[200, 200, 60]]
    assert energies.samples.tolist() == [200, 200, 60]


def test_a_song_of_whole_seconds_has_no_empty_one_at_its_end() -> None:
    energies = SecondEnergies(1, RATE)
    energies.add(np.ones((1, 1, 2 * RATE)))
    assert energies.by_second.tolist() == [[100, 100]]
    assert energies.samples.tolist() == [100, 100]


def test_looking_at_energies_changes_nothing() -> None:
    energies = SecondEnergies(1, RATE)
    energies.add(np.ones((1, 1, 130)))
    early = energies.by_second
    energies.add(np.ones((1, 1, 50)))
    assert energies.by_second.tolist() == [[100, 80]]
    assert early.tolist() == [[100, 30]]


def test_nothing_has_no_seconds() -> None:
    energies = SecondEnergies(3, RATE)
    assert energies.by_second.shape == (3, 0)
    assert energies.samples.tolist() == []
