"""What becomes of songs on their way to listeners, and that true sources still belong to their mixture then."""

import math
import resource
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from multitracks import multitrack, write_multitrack
from signals import level, noise, tone
from stemsplit.audio.assignment import SourceRules, assign
from stemsplit.audio.multitrack import find_multitracks
from stemsplit.errors import StemsplitError
from stemsplit.evaluation.degradation import CEILING, DEGRADATIONS, LOUD_RMS, lossy, loud, low_rate
from stemsplit.evaluation.limiter import WINDOW_SECONDS, limiter_gain
from stemsplit.evaluation.songs import Song

Stack = NDArray[np.float32]
Degrade = Callable[[Callable[[], Iterator[Stack]], int], Iterator[Stack]]


def with_mixture(sources: Stack) -> Stack:
    """Sources [S, 2, T], and behind them their sum."""
    return np.concatenate([sources, sources.sum(axis=0)[np.newaxis]])


def song(rate: int, seconds: float = 2.0, gain: float = 1.0, seed: int = 2) -> Stack:
    """Four sources and their mixture."""
    return with_mixture(np.float32(gain) * np.stack(list(multitrack(seed, seconds, rate).values())))


def opened(stack: Stack, lengths: Sequence[int] = (5000,)) -> Callable[[], Iterator[Stack]]:
    """A way to open it, in blocks of these lengths, over and over."""

    def blocks() -> Iterator[Stack]:
        start = number = 0
        while start < stack.shape[-1]:
            end = start + lengths[number % len(lengths)]
            yield stack[..., start:end]
            start, number = end, number + 1

    return blocks


def degraded(degrade: Degrade, stack: Stack, rate: int, lengths: Sequence[int] = (5000,)) -> Stack:
    """All that comes out, in one."""
    return np.concatenate(list(degrade(opened(stack, lengths), rate)), axis=-1)


def sdr(reference: Stack, estimate: Stack) -> float:
    """In dB."""
    error = np.square(reference.astype(float) - estimate).sum()
    return 10 * math.log10(np.square(reference.astype(float)).sum() / error)


@pytest.mark.parametrize("name", list(DEGRADATIONS))
@pytest.mark.parametrize("rate", [8000, 44_100])
def test_a_degraded_song_is_as_long_as_it_was(name: str, rate: int) -> None:
    for frames in (2, 7, 1153, 12_345):
        stack = with_mixture(np.stack([noise(2, frames, 0.1, seed) for seed in range(2)]))
        result = degraded(DEGRADATIONS[name], stack, rate)
        assert result.shape == stack.shape
        assert result.dtype == np.float32
        assert np.isfinite(result).all()


@pytest.mark.parametrize("name", list(DEGRADATIONS))
def test_a_song_of_one_sample_keeps_it(name: str) -> None:
    """At 16 kHz it is none."""
    assert sum(block.shape[-1] for block in DEGRADATIONS[name](opened(np.ones((2, 2, 1), np.float32)), 44_100)) == 1


@pytest.mark.parametrize("name", list(DEGRADATIONS))
def test_digital_silence_stays_silent(name: str) -> None:
    stack = np.zeros((3, 2, 9000), np.float32)
    assert not degraded(DEGRADATIONS[name], stack, 44_100).any()


@pytest.mark.parametrize("gain", [0.01, 1.0])
def test_no_peak_of_a_loud_master_is_over_the_ceiling(gain: float) -> None:
    stack = song(44_100, gain=gain)
    result = degraded(loud, stack, 44_100)
    assert np.abs(result[-1]).max() == pytest.approx(0.98855, rel=1e-4), "0.1 dB below full scale"
    assert level(result[-1]) == pytest.approx(LOUD_RMS, rel=0.3)
    assert level(result[-1]) > 1.5 * level(stack[-1])


def test_a_limiter_raises_a_song_without_peaks_to_the_level_of_a_loud_master() -> None:
    hum = with_mixture(np.stack([np.concatenate([tone(110, level=0.01)] * 2)] * 2))
    assert level(degraded(loud, hum, 44_100)[-1]) == pytest.approx(0.3981, rel=1e-3), "-8 dBFS"


def test_a_song_that_is_louder_is_not_made_quieter_than_the_ceiling() -> None:
    """No gain below 1 but the limiter's."""
    stack = with_mixture(np.stack([np.concatenate([tone(110, level=0.45)] * 2)] * 2))
    np.testing.assert_array_equal(degraded(loud, stack, 44_100), stack)


@pytest.mark.parametrize("rate", [8000, 44_100])
@pytest.mark.parametrize("degrade", [loud, low_rate])
def test_true_sources_still_add_up_to_the_mixture(degrade: Degrade, rate: int) -> None:
    result = degraded(degrade, song(rate), rate)
    np.testing.assert_allclose(result[:-1].sum(axis=0), result[-1], atol=2e-6)


def test_the_limiter_is_that_of_the_whole_song() -> None:
    """As a song between silences has it."""
    rate = 8000
    stack = song(rate)
    raised = stack * np.float32(LOUD_RMS / level(stack[-1]))
    ceiling = torch.tensor([CEILING])
    padded = np.pad(raised, ((0, 0), (0, 0), (rate, rate)))
    expected = padded * limiter_gain(torch.from_numpy(padded[-1:]), ceiling, rate).numpy()
    result = degraded(loud, stack, rate)
    np.testing.assert_allclose(result, expected[..., rate:-rate], atol=1e-6)
    assert np.abs(result - raised).max() > 0.1, "the limiter has something to do"

    alone = raised * limiter_gain(torch.from_numpy(raised[-1:]), ceiling, rate).numpy()
    margin = round(WINDOW_SECONDS * rate)
    inner = slice(margin, -margin)
    np.testing.assert_allclose(result[..., inner], alone[..., inner], atol=1e-6)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=5), st.integers(1, 9000))
def test_the_limiter_does_not_depend_on_cuts(lengths: list[int], frames: int) -> None:
    rate = 2000
    stack = with_mixture(np.stack([noise(2, frames, 0.3, seed) for seed in range(2)]))
    lengths = [max(length, frames // 100) for length in lengths]  # not thousands of them
    once = degraded(loud, stack, rate, [10_000])
    np.testing.assert_allclose(degraded(loud, stack, rate, lengths), once, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 99, 100, 101, 400])
def test_the_limiter_takes_blocks_of_one_sample(frames: int) -> None:
    stack = with_mixture(np.stack([noise(2, frames, 0.5, seed) for seed in range(2)]))
    np.testing.assert_allclose(degraded(loud, stack, 2000, [1]), degraded(loud, stack, 2000), atol=1e-6)


def test_a_song_of_next_to_nothing_is_finite_when_loud() -> None:
    stack = with_mixture(np.stack([noise(2, 9000, 1e-9, seed) for seed in range(2)]))
    result = degraded(loud, stack, 44_100)
    assert np.isfinite(result).all()
    assert 0 < np.abs(result).max() < 0.01, "it is not made of noise"


def test_at_16_khz_nothing_is_above_8_khz() -> None:
    rate = 44_100
    stack = song(rate)
    result = degraded(low_rate, stack, rate)
    before, after = (np.abs(np.fft.rfft(s * np.hanning(s.shape[-1]))) for s in (stack, result))
    hertz = np.fft.rfftfreq(stack.shape[-1], 1 / rate)
    top, kept = hertz > 8050, (hertz > 50) & (hertz < 7000)
    for row in range(len(stack)):
        assert before[row, :, top].max() > 1, "there is something to be lost"
        assert after[row, :, top].max() < 1e-4 * before[row].max()
        np.testing.assert_allclose(after[row, :, kept], before[row, :, kept], atol=1e-4 * before[row].max())


@pytest.mark.parametrize("hertz", [1000, 12_000])
def test_a_low_rate_keeps_what_is_low_in_its_place(hertz: float) -> None:
    sine = np.concatenate([tone(hertz, 1.0)] * 2)
    stack = with_mixture(np.stack([sine, 0 * sine]))
    result = degraded(low_rate, stack, 44_100)
    inner = slice(2000, -2000)  # its abrupt ends are broad
    expected = stack if hertz < 8000 else 0 * stack
    np.testing.assert_allclose(result[..., inner], expected[..., inner], atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_a_song_of_a_low_rate_stays_as_it_is(rate: int) -> None:
    stack = song(rate)
    np.testing.assert_array_equal(degraded(low_rate, stack, rate), stack)


def test_a_low_rate_does_not_depend_on_cuts() -> None:
    stack = song(44_100, 1.0)
    once = degraded(low_rate, stack, 44_100, [100_000])
    np.testing.assert_array_equal(degraded(low_rate, stack, 44_100, [1, 700, 9, 30_000]), once)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, and nothing else."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_mp3_is_near_in_its_place_and_the_true_sources_stay(rate: int, temporary: Path) -> None:
    stack = song(rate, 2.5)
    result = degraded(lossy, stack, rate, [4567, 1, 30_000])
    np.testing.assert_array_equal(result[:-1], stack[:-1])
    assert result.shape == stack.shape
    assert 8 < sdr(stack[-1], result[-1]) < 45
    frames = 2 * stack.shape[-1]
    for before, after in zip(stack[-1], result[-1], strict=True):
        correlation = np.fft.irfft(np.conj(np.fft.rfft(before, frames)) * np.fft.rfft(after, frames))
        assert correlation.argmax() == 0
    assert list(temporary.iterdir()) == []


def test_mp3_of_a_peak_above_full_scale_is_not_clipped(temporary: Path) -> None:
    quiet, over = song(44_100, gain=0.5), song(44_100, gain=4.0)
    assert np.abs(over[-1]).max() > 2
    distances = [sdr(stack[-1], degraded(lossy, stack, 44_100)[-1]) for stack in (quiet, over)]
    assert distances[1] == pytest.approx(distances[0], abs=0.5)


def test_mp3_does_not_depend_on_cuts(temporary: Path) -> None:
    stack = song(8000)
    np.testing.assert_array_equal(degraded(lossy, stack, 8000, [999]), degraded(lossy, stack, 8000, [100_000]))


def test_mp3_of_a_song_that_is_not_read_to_its_end_leaves_no_file(temporary: Path) -> None:
    blocks = iter(lossy(opened(song(8000)), 8000))
    next(blocks)
    assert [path.name for path in temporary.iterdir()] != []
    blocks.close()  # type: ignore[attr-defined]
    assert list(temporary.iterdir()) == []


def test_where_no_temporary_file_can_be_made_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(StemsplitError, match="TMPDIR"):
        list(lossy(opened(song(8000)), 8000))


def test_where_the_disk_is_full_it_is_said_and_no_file_is_left(temporary: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(StemsplitError, match="TMPDIR"):
            list(lossy(opened(song(8000)), 8000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(temporary.iterdir()) == []


def test_a_song_that_cannot_be_degraded_raises_what_its_files_raise(temporary: Path) -> None:
    def broken() -> Iterator[Stack]:
        yield song(8000)
        raise ValueError("damaged")

    for degrade in (loud, low_rate, lossy):
        with pytest.raises(ValueError, match="damaged"):
            list(degrade(broken, 8000))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", [None, *DEGRADATIONS])
def test_a_song_on_disk_is_degraded_as_its_stems_are(name: str | None, tmp_path: Path, temporary: Path) -> None:
    """With a mixture of its own, and files at another rate than it is scored at."""
    stems = multitrack(4, 2.0, 16_000)
    write_multitrack(tmp_path / "song", stems, 16_000, mixture=True)
    (track,) = find_multitracks(tmp_path)
    rules = SourceRules(("vocals", "other"))
    plain, own = (Song(assign(track, rules), way).parts(8000) for way in (None, name))
    references, mixture = (np.concatenate(parts, axis=-1) for parts in zip(*plain, strict=True))
    sources, mixed = (np.concatenate(parts, axis=-1) for parts in zip(*own, strict=True))
    stack = np.concatenate([references, mixture[np.newaxis]])
    expected = stack if name is None else degraded(DEGRADATIONS[name], stack, 8000)
    assert sources.shape == (2, 2, 16_000)
    np.testing.assert_allclose(np.concatenate([sources, mixed[np.newaxis]]), expected, atol=1e-6)
