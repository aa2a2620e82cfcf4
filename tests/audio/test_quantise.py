"""Dither and quantisation as laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from signals import Block, cut, noise, silence, tone
from stemsplit.audio.quantise import GRID_FRAMES, Quantiser, full_scale, highest_peak

BITS = [16, 24]


def quantised(
    block: Block,
    bits: int = 16,
    seed: str = "song\nvocals",
    gain: float = 1.0,
    lengths: tuple[int, ...] = (5000,),
) -> NDArray[np.int32]:
    quantiser = Quantiser(bits, block.shape[0], seed, gain)
    parts = [quantiser.push(piece) for piece in cut(block, lengths)]
    return np.concatenate([*parts, quantiser.flush()]).T


@pytest.mark.parametrize("level", [0.3, 0.3 / 32768, 1.49 / 32768])
def test_error_has_no_bias_and_tpdf_variance_whatever_the_level(level: float) -> None:
    """TPDF of two LSB adds 1/6 to the 1/12 of rounding: an error variance of 1/4 LSB^2, at any signal."""
    steady = np.full((1, 400 * GRID_FRAMES), level, dtype=np.float32)
    error = quantised(steady) - steady.astype(np.float64) * full_scale(16)
    assert error.mean() == pytest.approx(0, abs=0.002)  # four standard errors
    assert error.var() == pytest.approx(1 / 4, rel=0.01)
    assert np.abs(error).max() <= 1.5


def test_error_does_not_follow_the_signal() -> None:
    song = tone(440, seconds=20, level=1 / 32768)  # one LSB high: undithered it would be a square wave
    error = quantised(song) - song.astype(np.float64) * full_scale(16)
    assert abs(np.corrcoef(error[0], song[0])[0, 1]) < 0.01


@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=30, deadline=None)
@given(
    frames=st.integers(1, 3 * GRID_FRAMES),
    lengths=st.lists(st.integers(1, 2 * GRID_FRAMES), min_size=1, max_size=5),
)
def test_blocks_do_not_matter(bits: int, frames: int, lengths: list[int]) -> None:
    lengths = [*lengths, 977]
    block = noise(2, frames)
    assert np.array_equal(quantised(block, bits, lengths=tuple(lengths)), quantised(block, bits))


def test_how_many_cells_go_at_once_does_not_matter() -> None:
    block = noise(2, 40 * GRID_FRAMES + 5)
    assert np.array_equal(quantised(block, lengths=(33 * GRID_FRAMES + 1,)), quantised(block, lengths=(1000,)))


def test_silence_stays_silent_on_the_grid_and_nowhere_else() -> None:
    block = silence(2, 4 * GRID_FRAMES)
    block[1, GRID_FRAMES + 7] = 0.3  # no whole number of steps
    samples = quantised(block, lengths=(1000,))
    assert not samples[:, :GRID_FRAMES].any()
    assert samples[0, GRID_FRAMES : 2 * GRID_FRAMES].any()
    assert not samples[:, 2 * GRID_FRAMES :].any()


@pytest.mark.parametrize("bits", BITS)
def test_whole_numbers_stay_as_they_are(bits: int) -> None:
    """Of a 16-bit song nothing is rounded away, so nothing needs dither."""
    whole = np.random.default_rng(0).integers(-32768, 32768, (2, 10_000))
    block = (whole / 32768).astype(np.float32)
    assert np.array_equal(quantised(block, bits), whole * (full_scale(bits) // 32768))


def test_the_noise_floor_is_flat_and_has_no_tones() -> None:
    """Under a steady tone of less than one LSB, where undithered rounding leaves silence or a square wave."""
    song = tone(1000, seconds=40, rate=48_000, level=0.7 / 32768)
    error = quantised(song)[0] - song[0].astype(np.float64) * full_scale(16)
    spectra = np.abs(np.fft.rfft(error[: len(error) // 4800 * 4800].reshape(-1, 4800) * np.hanning(4800))) ** 2
    floor = spectra.mean(axis=0)[2:-2]  # every bin of 10 Hz, averaged over 400 stretches
    assert error.mean() == pytest.approx(0, abs=0.002)
    bands = np.array([part.mean() for part in np.array_split(floor, 24)])
    assert np.abs(10 * np.log10(bands / bands.mean())).max() < 0.2
    assert 10 * np.log10(floor.max() / floor.mean()) < 1.5  # of chance, one bin in 2,400


def test_silence_before_does_not_shift_the_dither() -> None:
    block = noise(1, 2 * GRID_FRAMES)
    muted = block.copy()
    muted[:, :GRID_FRAMES] = 0
    assert np.array_equal(quantised(block)[:, GRID_FRAMES:], quantised(muted)[:, GRID_FRAMES:])


def test_same_seed_same_dither_other_seed_other_dither() -> None:
    block = noise(2, 10_000)
    assert np.array_equal(quantised(block, seed="a\nb"), quantised(block, seed="a\nb"))
    assert not np.array_equal(quantised(block, seed="a\nb"), quantised(block, seed="a\nc"))


def test_channels_get_dither_of_their_own() -> None:
    left = noise(1, 10_000)
    samples = quantised(np.concatenate([left, left]))
    assert not np.array_equal(samples[0], samples[1])


@pytest.mark.parametrize("bits", BITS)
def test_what_exceeds_the_integers_saturates(bits: int) -> None:
    block = np.array([[1.0, 1.5, 100.0, -1.5, -100.0]], dtype=np.float32)
    top = full_scale(bits) - 1
    assert quantised(block, bits)[0, 1:].tolist() == [top, top, -top - 1, -top - 1]


@pytest.mark.parametrize("bits", BITS)
def test_the_highest_peak_never_saturates(bits: int) -> None:
    block = np.full((1, 50 * GRID_FRAMES), highest_peak(bits), dtype=np.float64)
    for sign in (1, -1):
        error = quantised((sign * block).astype(np.float32), bits) - sign * block * full_scale(bits)
        # A saturated sample would bend the error's mean; at 24 bits float32 rounds the peak itself.
        assert np.abs(error.mean()) < 0.01
        assert np.abs(error).max() <= 1.5


def test_24_bits_resolve_what_16_bits_cannot() -> None:
    block = noise(2, 50_000, level=0.1)
    error = quantised(block, 24) / full_scale(24) - block
    assert np.abs(error).max() <= 1.5 / full_scale(24)


def test_gain_multiplies_before_quantising() -> None:
    block = noise(1, 20_000)
    error = quantised(block, 24, gain=0.3) - block.astype(np.float64) * (0.3 * full_scale(24))
    assert np.abs(error).max() <= 1.5
