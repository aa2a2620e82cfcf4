"""The ideal ratio mask is the textbook's, however a song is cut into blocks."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from multitracks import multitrack
from signals import Block, noise, tone
from stemsplit.evaluation.ratio_mask import masked

Array = NDArray[Any]


def blocks(sources: Array, mixture: Block, lengths: Sequence[int]) -> Iterator[tuple[Array, Block]]:
    """Both in pieces of these lengths, over and over."""
    start = number = 0
    while start < mixture.shape[1]:
        end = start + lengths[number % len(lengths)]
        yield sources[..., start:end], mixture[:, start:end]
        start, number = end, number + 1


def whole(sources: Array, mixture: Block, lengths: Sequence[int] = (1_000_000,)) -> Array:
    """All that comes out, in one."""
    return np.concatenate(list(masked(blocks(sources, mixture, lengths))), axis=-1)


def textbook(sources: Array, mixture: Block) -> Array:
    """The same by scipy's transforms, in double precision, in the middle of silence: it refuses what is short."""
    how: dict[str, Any] = {"window": "hann", "nperseg": 2048, "noverlap": 1024}
    frames = mixture.shape[1]
    padding = ((0, 0), (4096, 4096 + -frames % 1024))
    power = np.abs(scipy.signal.stft(np.pad(sources.astype(float), ((0, 0), *padding)), **how)[2]) ** 2
    mixed = scipy.signal.stft(np.pad(mixture.astype(float), padding), **how)[2]
    result: Array = scipy.signal.istft(power / np.maximum(power.sum(axis=0), 1e-300) * mixed, **how)[1]
    return result[..., 4096 : 4096 + frames]


def song(seconds: float = 1.5, rate: int = 8000) -> tuple[Array, Block]:
    """Four sources and their mixture."""
    sources = np.stack(list(multitrack(1, seconds, rate).values()))
    return sources, sources.sum(axis=0)


def white(frames: int, sources: int = 3) -> tuple[Array, Block]:
    """Sources of noise, some louder, and their mixture."""
    stems = np.stack([noise(2, frames, 0.1 * (seed + 1), seed) for seed in range(sources)])
    return stems, stems.sum(axis=0)


@pytest.mark.parametrize("frames", [1, 2, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 10_000])
def test_it_is_the_textbooks(frames: int) -> None:
    sources, mixture = white(frames)
    np.testing.assert_allclose(whole(sources, mixture), textbook(sources, mixture), atol=2e-7)


def test_it_is_the_textbooks_for_a_song_whose_master_is_not_the_sum() -> None:
    """Some bins have next to no power in any source: noise as of a recording tells whose they are."""
    sources = song()[0] + np.stack([noise(2, 12_000, 1e-4, seed) for seed in range(4)])
    mixture = np.tanh(3 * sources.sum(axis=0))
    np.testing.assert_allclose(whole(sources, mixture), textbook(sources, mixture), atol=2e-7)


@given(st.integers(1, 6000), st.lists(st.one_of(st.integers(1, 5000), st.just(1024)), min_size=1, max_size=5))
def test_cuts_do_not_matter(frames: int, lengths: list[int]) -> None:
    sources, mixture = white(frames, 2)
    once = whole(sources, mixture)
    assert once.shape == sources.shape
    assert once.dtype == np.float32
    lengths = [max(length, frames // 200) for length in lengths]  # not thousands of them
    np.testing.assert_allclose(whole(sources, mixture, lengths), once, atol=1e-7)


@pytest.mark.parametrize("frames", [1, 5, 1024, 3000])
def test_blocks_of_one_sample_will_do(frames: int) -> None:
    sources, mixture = white(frames)
    np.testing.assert_allclose(whole(sources, mixture, [1]), whole(sources, mixture), atol=1e-7)


@given(st.integers(1, 5000), st.integers(1, 3000))
def test_all_sources_together_are_the_mixture(frames: int, length: int) -> None:
    sources, mixture = white(frames)
    np.testing.assert_allclose(whole(sources, mixture, [max(length, 50)]).sum(axis=0), mixture, atol=1e-6)


def test_they_are_for_a_song_with_pauses() -> None:
    sources, mixture = song()
    sources[:, :, 3000:8000] = 0
    np.testing.assert_allclose(whole(sources, mixture).sum(axis=0), mixture, atol=1e-6)


def test_nothing_comes_late() -> None:
    """No more than a window is held back, or a song would be held in memory."""
    sources, mixture = white(50_000)
    given_in = given_out = 0

    def counted() -> Iterator[tuple[Array, Block]]:
        nonlocal given_in
        for part in blocks(sources, mixture, [700]):
            given_in += part[1].shape[1]
            yield part

    for block in masked(counted()):
        given_out += block.shape[-1]
        assert given_in - given_out <= 2048
    assert given_out == 50_000


def test_sources_that_are_all_silent_share_the_mixture_evenly() -> None:
    sources, mixture = white(5000)
    estimates = whole(sources * 0, mixture)
    assert np.isfinite(estimates).all()
    np.testing.assert_allclose(estimates, np.broadcast_to(mixture / 3, sources.shape), atol=1e-6)


def test_a_silent_source_gets_nothing() -> None:
    sources, mixture = white(5000)
    sources[1] = 0
    assert np.abs(whole(sources, mixture)[1]).max() < 1e-12


def test_a_silent_mixture_is_silence() -> None:
    sources, mixture = white(5000)
    assert not whole(sources, mixture * 0).any()


def test_no_song_is_no_estimate() -> None:
    assert list(masked([])) == []


def test_sources_in_bands_of_their_own_come_out_nearly_perfect() -> None:
    stereo = np.ones((2, 1), np.float32)
    sources = np.stack([stereo * (tone(hertz, 1.0) + tone(1.1 * hertz, 1.0)) for hertz in (200, 1500, 9000)])
    edges = np.hanning(4096)  # faded, since an edge sounds in all bands
    sources[..., :2048] *= edges[:2048].astype(np.float32)
    sources[..., -2048:] *= edges[2048:].astype(np.float32)
    estimates = whole(sources, sources.sum(axis=0))
    for source, estimate in zip(sources, estimates, strict=True):
        error = np.square(source - estimate).sum() / np.square(source).sum()
        assert 10 * np.log10(error) < -40


def test_channels_have_masks_of_their_own() -> None:
    left, right = white(6000, 2)[0]
    left[1] = right[0] = 0
    estimates = whole(np.stack([left, right]), left + right)
    np.testing.assert_allclose(estimates, np.stack([left, right]), atol=1e-6)
