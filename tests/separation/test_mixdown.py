"""The arithmetic of stems, as laws: it is linear, it is rounded once, and remainders add up with their parts."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from signals import Block, cut, joined, noise
from stemsplit.separation.mixdown import Mixdown, Stem
from stemsplit.separation.selection import Mix, Selection, bundled

FOUR = ("drums", "bass", "other", "vocals")
INAUDIBLE = 1e-6  # -120 dBFS

_gains = st.dictionaries(
    st.sampled_from([*FOUR, "mixture"]), st.floats(-4, 4).filter(lambda gain: abs(gain) > 1e-3), min_size=1
)
_some = st.lists(st.sampled_from(FOUR), min_size=1, unique=True).map(tuple)


def rows(seed: int = 0, frames: int = 500, channels: int = 2) -> dict[str, Block]:
    """Every source, and a mixture that is near their sum, within full scale."""
    parts = {name: noise(channels, frames, 0.05, seed + i) for i, name in enumerate(FOUR)}
    mixture = sum(parts.values()) + noise(channels, frames, 0.01, seed + 9)
    return {**parts, "mixture": np.asarray(np.clip(mixture, -1, 1), np.float32)}


def apply(mixdown: Mixdown, song: Mapping[str, Block]) -> dict[str, Block]:
    return mixdown.apply({name: song[name] for name in mixdown.sources}, song["mixture"])


def mixed(gains: Mapping[str, float]) -> Mixdown:
    return Mixdown((Stem("mix", gains),), FOUR)


def added(blocks: Sequence[Block | NDArray[np.float64]]) -> NDArray[np.float64]:
    """The sum, exact enough to measure with."""
    return np.asarray(np.sum([block.astype(np.float64) for block in blocks], axis=0))


@given(gains=_gains, seed=st.integers(0, 99), left=st.floats(-2, 2), right=st.floats(-2, 2))
def test_it_is_linear(gains: dict[str, float], seed: int, left: float, right: float) -> None:
    one, two = rows(seed), rows(seed + 50)
    both = {name: np.asarray(left * one[name] + right * two[name], np.float32) for name in one}
    expected = left * apply(mixed(gains), one)["mix"] + right * apply(mixed(gains), two)["mix"]
    np.testing.assert_allclose(apply(mixed(gains), both)["mix"], expected, atol=1e-5)


@given(gains=_gains, factor=st.floats(-4, 4).filter(lambda factor: abs(factor) > 1e-3))
def test_a_gain_of_all_is_a_gain_of_the_stem(gains: dict[str, float], factor: float) -> None:
    louder = apply(mixed({name: gain * factor for name, gain in gains.items()}), rows())["mix"]
    np.testing.assert_allclose(louder, factor * apply(mixed(gains), rows())["mix"], rtol=1e-5, atol=1e-6)


@given(gains=_gains, seed=st.integers(0, 99))
def test_a_sum_is_rounded_once(gains: dict[str, float], seed: int) -> None:
    song = rows(seed)
    exact = added([gain * song[name].astype(np.float64) for name, gain in gains.items()])
    stem = apply(mixed(gains), song)["mix"]
    assert stem.dtype == np.float32
    assert np.all(np.abs(stem - exact) <= 0.5001 * np.spacing(np.abs(stem)) + 1e-15)


@given(gains=_gains, lengths=st.lists(st.integers(1, 400), min_size=1, max_size=4))
def test_how_it_is_cut_does_not_matter(gains: dict[str, float], lengths: list[int]) -> None:
    song = rows()
    pieces = zip(*(cut(block, lengths) for block in song.values()), strict=True)
    parts = joined(apply(mixed(gains), dict(zip(song, piece, strict=True)))["mix"] for piece in pieces)
    assert np.array_equal(parts, apply(mixed(gains), song)["mix"])


# Remainders.


@given(stems=_some, seed=st.integers(0, 99))
def test_stems_and_residual_are_the_mixture(stems: tuple[str, ...], seed: int) -> None:
    song = rows(seed)
    written = apply(Selection(stems=stems, residual=True).mixdown(FOUR), song)
    assert set(written) == {*stems, "residual", "mixture"}
    total = added([written[name] for name in (*stems, "residual")])
    assert np.abs(total - song["mixture"]).max() < INAUDIBLE
    assert written["mixture"] is song["mixture"]


@given(dropped=_some, seed=st.integers(0, 99))
def test_what_is_dropped_and_what_is_left_are_the_mixture(dropped: tuple[str, ...], seed: int) -> None:
    song = rows(seed)
    mixdown = Selection(stems=dropped, drop=dropped).mixdown(FOUR)
    written = apply(mixdown, song)
    assert np.abs(added([written[name] for name in mixdown.names]) - song["mixture"]).max() < INAUDIBLE


@pytest.mark.parametrize("selection", [Selection(karaoke=True), Selection(two_stems="vocals")], ids=str)
def test_two_stems_are_the_mixture(selection: Selection) -> None:
    written = apply(selection.mixdown(FOUR), rows())
    first, second, mixture = written.values()
    assert np.abs(added([first, second]) - mixture).max() < INAUDIBLE


@given(dropped=_some.filter(lambda dropped: len(dropped) < 4), seed=st.integers(0, 99))
def test_a_sum_is_what_the_other_sources_add_up_to(dropped: tuple[str, ...], seed: int) -> None:
    song = rows(seed)
    (stem,) = apply(Selection(drop=dropped, sum=True).mixdown(FOUR), song).values()
    others = added([song[name] for name in FOUR if name not in dropped])
    assert np.array_equal(stem, others.astype(np.float32))


@pytest.mark.parametrize(
    ("selection", "has_mixture"),
    [
        (Selection(), False),
        (Selection(drop=("bass",)), False),
        (Selection(karaoke=True, sum=True), False),
        (Selection(mixes=(Mix("x", {"mixture": 1.0, "bass": -0.5}),)), False),
        (Selection(karaoke=True), True),
        (Selection(residual=True), True),
    ],
    ids=str,
)
def test_the_mixture_is_handed_on_where_remainders_are_taken_from_it(selection: Selection, has_mixture: bool) -> None:
    mixdown = selection.mixdown(FOUR)
    assert set(apply(mixdown, rows())) == {*mixdown.names, *(["mixture"] if has_mixture else [])}


# What passes.


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    st.sampled_from([Selection(stems=("vocals",)), Selection(karaoke=True), Selection(residual=True)]),
)
def test_a_source_passes_bit_for_bit(samples: list[float], selection: Selection) -> None:
    """Negative zeros and the smallest numbers too."""
    vocals = np.array([samples], np.float32)
    song = {**rows(frames=len(samples), channels=1), "vocals": vocals}
    assert apply(selection.mixdown(FOUR), song)["vocals"].tobytes() == vocals.tobytes()


def test_a_bundle_passes_the_mixture_bit_for_bit() -> None:
    song = rows()
    written = apply(bundled(FOUR), song)
    for name in ("mixture", *FOUR):
        assert written[name].tobytes() == song[name].tobytes()


def test_a_bundle_of_more_sources_leaves_nothing_out() -> None:
    song = {**rows(), "guitar": noise(2, 500, 0.05, 20), "piano": noise(2, 500, 0.05, 21)}
    written = apply(bundled((*FOUR, "guitar", "piano")), song)
    other = added([song[name] for name in ("other", "guitar", "piano")])
    assert np.array_equal(written["other"], other.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "gains", "is_source"),
    [
        ("vocals", {"vocals": 1.0}, True),
        ("vocals", {"vocals": 0.5}, False),
        ("voice", {"vocals": 1.0}, False),
        ("vocals", {"vocals": 1.0, "bass": 1.0}, False),
    ],
)
def test_which_stem_is_a_source(name: str, gains: dict[str, float], is_source: bool) -> None:
    assert Stem(name, gains).is_source is is_source
