"""The streaming resampler against soxr's one-shot result, and its lengths."""

from itertools import pairwise

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from signals import cut, joined, level, noise, silence, stereo_tones, tone
from stemsplit.audio.resample import resampled

rates = st.sampled_from([8_000, 22_050, 22_051, 44_056, 44_100, 48_000, 88_200, 96_000])
piece_lengths = st.lists(st.integers(1, 5000), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(rates, rates, st.integers(1, 20_000), st.integers(1, 3), piece_lengths)
def test_equals_one_shot_however_it_is_cut(
    from_rate: int, to_rate: int, frames: int, channels: int, lengths: list[int]
) -> None:
    whole = noise(channels, frames)
    output = [silence(channels, 0), *resampled(cut(whole, lengths), from_rate, to_rate)]
    one_shot = soxr.resample(whole.T, from_rate, to_rate, quality="VHQ")
    assert np.array_equal(joined(output), one_shot.T)


@settings(max_examples=60, deadline=None)
@given(rates, rates, st.integers(1, 20_000))
def test_length_is_the_rounded_ratio(from_rate: int, to_rate: int, frames: int) -> None:
    output = [silence(1, 0), *resampled([noise(1, frames)], from_rate, to_rate)]
    assert abs(joined(output).shape[1] - frames * to_rate / from_rate) <= 0.5


@settings(max_examples=60, deadline=None)
@given(rates, rates, st.integers(1, 5000), st.integers(0, 200_000), piece_lengths)
def test_length_asked_for_is_kept(from_rate: int, to_rate: int, frames: int, wanted: int, lengths: list[int]) -> None:
    output = list(resampled(cut(noise(2, frames), lengths), from_rate, to_rate, frames=wanted))
    assert sum(block.shape[1] for block in output) == wanted
    assert all(block.dtype == np.float32 for block in output)


@pytest.mark.parametrize(("rate", "other"), [(44_100, 22_051), (44_100, 48_000), (44_100, 96_000), (48_000, 44_100)])
def test_there_and_back_keeps_every_frame(rate: int, other: int) -> None:
    song = stereo_tones(2.0, rate)
    there = resampled(cut(song, [10_000]), rate, other)
    back = joined(resampled(there, other, rate, frames=song.shape[1]))
    assert back.shape == song.shape
    edge = 2000  # the song begins and ends abruptly there, which rings
    assert level((back - song)[:, edge:-edge]) < 1e-4 * level(song)


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44_100, 48_000), (48_000, 44_100), (96_000, 44_100)])
def test_flat_to_nine_tenths_of_nyquist_and_silent_beyond(from_rate: int, to_rate: int) -> None:
    """An impulse carries all frequencies; its spectrum behind the conversion is the filter's."""
    frames = from_rate
    impulse = silence(1, frames)
    impulse[0, frames // 2] = 1
    response = joined(resampled([impulse], from_rate, to_rate))[0].astype(np.float64)
    nyquist = min(from_rate, to_rate) / 2
    hertz = np.fft.rfftfreq(len(response), 1 / to_rate)
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(response)) * from_rate / to_rate + 1e-12)
    assert np.abs(gain_db[hertz <= 0.9 * nyquist]).max() < 0.1
    assert to_rate < from_rate or gain_db[hertz > 1.1 * nyquist].max(initial=-200) < -100


@pytest.mark.parametrize(("from_rate", "to_rate"), [(48_000, 44_100), (96_000, 44_100), (192_000, 48_000)])
def test_what_the_new_rate_cannot_hold_is_gone(from_rate: int, to_rate: int) -> None:
    """It would come back mirrored at the new Nyquist frequency."""
    for hertz in np.linspace(to_rate / 2 * 1.02, from_rate / 2 * 0.98, 5):
        converted = joined(resampled([tone(float(hertz), 1.0, from_rate, level=1.0)], from_rate, to_rate))
        assert 20 * np.log10(np.abs(converted[:, 4000:-4000]).max()) < -100


def test_equal_rates_pass_the_same_blocks() -> None:
    blocks = [noise(2, 10), noise(2, 20)]
    passed = list(resampled(blocks, 48_000, 48_000))
    assert all(one is other for one, other in zip(blocks, passed, strict=True))


def test_nothing_comes_of_nothing() -> None:
    assert list(resampled([], 44_100, 48_000)) == []


def test_blocks_come_as_a_stream() -> None:
    """Output must begin long before the input has ended, or memory would grow with the song."""
    taken = 0

    def source() -> object:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield noise(2, 4096)

    marks = []
    for _ in resampled(source(), 44_100, 48_000):  # type: ignore[arg-type]
        marks.append(taken)
    assert marks[0] < 10
    assert all(later - earlier < 10 for earlier, later in pairwise(marks))
