"""Laws of the grid, the crossfade and the joining of segments."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stemsplit.separation.segments import OverlapAdd, Pass, cut
from stemsplit.separation.statistics import Statistics

OVERLAPS = st.one_of(st.sampled_from([0.0, 0.25, 0.5]), st.floats(0, 0.97))


def _track(frames: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((2, frames)).astype(np.float32)


def _identity(track: NDArray[np.float32], passes: list[Pass], block: int) -> NDArray[np.float32]:
    """Cut, answer every segment with itself, join."""
    blocks = [track[:, i : i + block] for i in range(0, track.shape[1], block)]
    statistics = Statistics.of(blocks)
    joined = OverlapAdd(statistics, passes)
    parts = [joined.add(s.window, s.samples[None]) for s in cut(None, blocks, statistics, passes)]
    assert joined.complete
    return torch.cat(parts, dim=-1)[0].numpy()


@given(
    frames=st.integers(1, 3000),
    segment=st.integers(2, 700),
    overlap=OVERLAPS,
    lead=st.integers(0, 900),
    block=st.integers(1, 800),
)
def test_an_identity_network_returns_the_track(
    frames: int, segment: int, overlap: float, lead: int, block: int
) -> None:
    track = _track(frames)
    returned = _identity(track, [Pass(0, segment, overlap, (1.0,), lead)], block)
    np.testing.assert_allclose(returned, track, atol=1e-6 * max(1, np.abs(track).max()), rtol=0)


@given(
    frames=st.integers(1, 3000),
    segments=st.lists(st.integers(2, 700), min_size=2, max_size=3),
    overlap=OVERLAPS,
    lead=st.integers(0, 300),
)
def test_passes_of_different_segments_are_averaged(frames: int, segments: list[int], overlap: float, lead: int) -> None:
    track = _track(frames)
    share = 1 / len(segments)
    passes = [Pass(i, s, overlap, (share,), lead * i) for i, s in enumerate(segments)]
    np.testing.assert_allclose(_identity(track, passes, 100), track, atol=3e-6, rtol=0)


def test_the_order_in_which_networks_answer_does_not_change_a_bit() -> None:
    """It depends on who shares the batches."""
    passes = [Pass(i, 1000, 0.25, (1 / 3,)) for i in range(3)]
    track = _track(5000)
    statistics = Statistics.of([track])
    answers = [(s.window, s.samples[None] * (1 + s.window.run.network)) for s in cut(None, [track], statistics, passes)]
    results = []
    for order in (answers, sorted(answers, key=lambda a: -a[0].run.network)):
        joined = OverlapAdd(statistics, passes)
        results.append(torch.cat([joined.add(window, answer) for window, answer in order], dim=-1))
    assert torch.equal(*results)


@given(segment=st.integers(2, 900), overlap=st.floats(0, 0.5))
def test_the_crossfade_is_linear_up_to_one_half(segment: int, overlap: float) -> None:
    """Inside the overlap, one weight falls by equal steps while the other rises by the same."""
    run = Pass(0, segment, overlap, (1.0,))
    shared = segment - run.stride
    assume(2 * shared <= segment)  # a stride rounded down may share one frame more
    falling, rising = run.crossfade(0)[run.stride :], run.crossfade(1)[:shared]
    torch.testing.assert_close(falling + rising, torch.ones(shared))
    torch.testing.assert_close(rising, torch.arange(1, shared + 1) / (shared + 1), atol=1e-5, rtol=0)


def test_the_grid_is_the_reference_s() -> None:
    """13.0 s at 44.1 kHz: two pieces run past the end and are centred."""
    windows = list(Pass(0, 343_980, 0.25, (1.0,)).windows(13 * 44_100))
    assert [w.start for w in windows] == [0, 257_985, 515_970]
    assert [w.frames for w in windows] == [343_980, 315_315, 57_330]
    assert [w.margin for w in windows] == [0, (343_980 - 315_315) // 2, (343_980 - 57_330) // 2]


def test_zeros_beyond_the_track_are_zeros_after_standardisation() -> None:
    track = _track(50) + 3
    statistics = Statistics.of([track])
    (segment,) = cut(None, [track], statistics, [Pass(0, 100, 0.25, (1.0,))])
    assert segment.samples[:, :25].abs().max() == 0
    assert segment.samples[:, 75:].abs().max() == 0
    expected = (track - statistics.mean) / statistics.std
    np.testing.assert_allclose(segment.samples[:, 25:75], expected, atol=1e-5)


@pytest.mark.parametrize("found", [40, 60, 100])
def test_a_track_that_changed_length_is_refused(found: int) -> None:
    statistics = Statistics.of([_track(50)])
    with pytest.raises(ValueError, match="50"):
        list(cut(None, [_track(found)], statistics, [Pass(0, 100, 0.25, (1.0,))]))


def test_a_long_track_is_held_in_bounded_memory() -> None:
    """Neither the tape nor the running sum holds more than about a segment."""
    passes = [Pass(0, 1000, 0.25, (1.0,))]
    statistics = Statistics(100_000, 0.0, 1.0, 1.0)
    joined = OverlapAdd(statistics, passes)
    handed_out = 0

    def blocks() -> object:
        for start in range(0, 100_000, 100):
            assert start - handed_out <= 2000
            yield np.ones((2, 100), np.float32)

    for segment in cut(None, blocks(), statistics, passes):  # type: ignore[arg-type]
        handed_out += joined.add(segment.window, segment.samples[None]).shape[-1]
        assert joined._sums[0].shape[-1] <= 1000
    assert handed_out == 100_000


@settings(max_examples=50)
@given(
    lengths=st.lists(st.integers(0, 400), min_size=1, max_size=8),
    offset=st.floats(-100, 100),
)
def test_statistics_do_not_depend_on_the_blocks(lengths: list[int], offset: float) -> None:
    blocks = [_track(n, seed=i) + np.float32(offset) for i, n in enumerate(lengths)]
    whole = np.concatenate(blocks, axis=1)
    statistics = Statistics.of(blocks)
    mono = whole.astype(np.float64).mean(axis=0)
    assert statistics.frames == whole.shape[1]
    if statistics.frames > 1:
        assert statistics.mean == pytest.approx(mono.mean(), rel=1e-9, abs=1e-9)
        assert statistics.std == pytest.approx(mono.std(ddof=1), rel=1e-6)
        assert statistics.peak == pytest.approx(np.abs(whole).max())
    elif statistics.frames:
        assert statistics.std == 0
