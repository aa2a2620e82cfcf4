"""Excerpts are parts of the files, standardised; each comes as often as it should, in an order that a seed tells."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multitracks import SOURCES, multitrack, write_multitrack
from stemsplit.audio.assignment import SourceRules
from stemsplit.errors import DecodeError
from stemsplit.training.dataset import Batches, Excerpts, Order, drawn
from stemsplit.training.recipe import Data
from stemsplit.training.survey import DataFolder, Survey, survey

RATE = 8000
DATA = Data(excerpt_seconds=1.0, stride_seconds=0.5)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _survey(folder: Path) -> Survey:
    return survey([DataFolder(folder)], SourceRules(SOURCES), RATE)


def test_excerpts_are_standardised_parts(tmp_path: Path) -> None:
    stems = {name: multitrack(seed, 3.2, RATE) for seed, name in enumerate(("train/a", "train/b", "valid/c"))}
    for name, song in stems.items():
        write_multitrack(tmp_path / "data" / name, song, RATE)
    excerpts = Excerpts(_survey(tmp_path / "data").splits["train"], DATA, RATE)
    assert len(excerpts) == 2 * 5
    assert excerpts.frames == RATE
    for index in range(len(excerpts)):
        song = stems["train/a" if index < 5 else "train/b"]
        whole = np.stack([song[source] for source in SOURCES])
        mono = whole.sum(axis=0).mean(axis=0)
        first = index % 5 * RATE // 2
        expected = (whole[..., first : first + RATE] - mono.mean()) / mono.std(ddof=1)
        excerpt = excerpts[index]
        assert isinstance(excerpt, np.ndarray)
        np.testing.assert_allclose(excerpt, expected, atol=1e-4)


def test_a_song_shorter_than_an_excerpt_is_padded(tmp_path: Path) -> None:
    for name in ("train/a", "valid/b"):
        write_multitrack(tmp_path / "data" / name, multitrack(1, 0.5, RATE), RATE)
    excerpts = Excerpts(_survey(tmp_path / "data").splits["train"], DATA, RATE)
    assert len(excerpts) == 1
    excerpt = excerpts[0]
    assert isinstance(excerpt, np.ndarray)
    assert excerpt.shape == (4, 2, RATE)
    assert np.ptp(excerpt[..., RATE // 2 :]) < 1e-6


def test_what_is_gone_is_told_and_nothing_else_happens(tmp_path: Path) -> None:
    for name in ("train/a", "valid/b"):
        write_multitrack(tmp_path / "data" / name, multitrack(1, 2, RATE), RATE)
    found = _survey(tmp_path / "data")
    (tmp_path / "data" / "train" / "a" / "bass.wav").unlink()
    excerpts = Excerpts(found.splits["train"], DATA, RATE)
    assert isinstance(excerpts[0], DecodeError)
    order = Order(excerpts.weights, 1, 1, first_step=0, steps=1, seed=0)
    with pytest.raises(DecodeError, match=r"bass\.wav"):
        next(Batches(excerpts, order, 1, workers=0))


@given(st.integers(1, 40), st.integers(1, 100), st.integers(0, 5))
def test_equal_excerpts_come_equally_often(excerpts: int, count: int, seed: int) -> None:
    times = Counter(drawn(np.ones(excerpts), count, seed, 0).tolist())
    assert sum(times.values()) == count
    assert max(times.values()) - min(times.get(index, 0) for index in range(excerpts)) <= 1


def test_weights_are_how_often() -> None:
    weights = np.array([1.0] * 50 + [3.0] * 50)
    chosen = drawn(weights, 1000, 0, 0)
    assert (chosen >= 50).mean() == pytest.approx(0.75, abs=0.01)
    assert not np.array_equal(chosen, drawn(weights, 1000, 0, 1))
    assert np.array_equal(chosen, drawn(weights, 1000, 0, 0))


def test_an_order_goes_on_anywhere_and_is_shared() -> None:
    weights = np.ones(30)

    def order(first: int, part: tuple[int, int] = (0, 1)) -> list[int]:
        return list(Order(weights, 4, 5, first_step=first, steps=12, seed=3, part=part))

    whole = order(0)
    assert len(whole) == 48
    assert all(order(step) == whole[4 * step :] for step in range(12))
    shares = [order(0, (rank, 2)) for rank in (0, 1)]
    for step in range(12):
        assert shares[0][2 * step : 2 * step + 2] + shares[1][2 * step : 2 * step + 2] == whole[4 * step : 4 * step + 4]


def test_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    for seed, name in enumerate(("train/a", "train/b", "valid/c")):
        write_multitrack(tmp_path / "data" / name, multitrack(seed, 3, RATE), RATE)
    excerpts = Excerpts(_survey(tmp_path / "data").splits["train"], DATA, RATE)

    def batches(workers: int) -> list[torch.Tensor]:
        order = Order(excerpts.weights, 4, 2, first_step=0, steps=3, seed=0)
        source = Batches(excerpts, order, 4, workers)
        return [next(source) for _ in range(3)]

    for one, other in zip(batches(0), batches(2), strict=True):
        assert one.shape == (4, 4, 2, RATE)
        assert torch.equal(one, other)
