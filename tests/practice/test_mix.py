"""The mixing desk: effects do what they are called, stems add up below full scale."""

import numpy as np
import pytest

from stemsplit.practice import effects
from stemsplit.practice.effects import Audio, loudness
from stemsplit.practice.mix import SOURCES, Take, mixed
from stemsplit.practice.score import RATE


def noise(seconds: float = 2.0, level: float = 0.1, seed: int = 0) -> Audio:
    return (level * np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))).astype(np.float32)


def tone(frequency: float, seconds: float = 1.0) -> Audio:
    wave = np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([wave, wave]).astype(np.float32)


def gain_db(section: np.ndarray, frequency: float) -> float:
    before = tone(frequency)
    after = effects.equalised(before, section)
    middle = slice(RATE // 4, -RATE // 4)
    return float(20 * np.log10(np.std(after[0, middle]) / np.std(before[0, middle])))


def test_equalisers_have_the_gain_they_are_set_to() -> None:
    assert gain_db(effects.peak(1000, 6, 0.9), 1000) == pytest.approx(6, abs=0.05)
    assert gain_db(effects.peak(1000, 6, 0.9), 50) == pytest.approx(0, abs=0.1)
    assert gain_db(effects.shelf(4000, -5, True), 16_000) == pytest.approx(-5, abs=0.1)
    assert gain_db(effects.shelf(4000, -5, True), 100) == pytest.approx(0, abs=0.1)
    assert gain_db(effects.shelf(200, 4, False), 20) == pytest.approx(4, abs=0.1)
    assert gain_db(effects.high_pass(200), 200) == pytest.approx(-3.01, abs=0.05)
    assert gain_db(effects.low_pass(5000), 5000) == pytest.approx(-3.01, abs=0.05)


def test_saturation_adds_harmonics_and_keeps_the_level() -> None:
    before = tone(441)
    after = effects.saturated(before, 12)
    spectrum = np.abs(np.fft.rfft(after[0]))
    assert spectrum[3 * 441] > 0.1 * spectrum[441]
    assert loudness(after) == pytest.approx(loudness(before), abs=0.01)
    rested = np.pad(before, ((0, 0), (0, 9 * RATE)))
    np.testing.assert_allclose(
        effects.saturated(rested, 12)[:, :RATE], after, atol=0.02, err_msg="rests change nothing"
    )


def test_a_compressor_makes_loud_and_soft_more_alike() -> None:
    audio = noise(4)
    audio[:, : 2 * RATE] *= 0.1
    done = effects.compressed(audio, 12, 4, 0.01, 0.1)
    before = np.std(audio[:, 3 * RATE :]) / np.std(audio[:, RATE // 2 : RATE])
    after = np.std(done[:, 3 * RATE :]) / np.std(done[:, RATE // 2 : RATE])
    assert 20 * np.log10(before) - 20 * np.log10(after) == pytest.approx(9, abs=1.5)


def test_a_compressor_leaves_rests_out() -> None:
    audio = np.pad(noise(1), ((0, 0), (0, 30 * RATE)))
    reduced = loudness(audio) - loudness(effects.compressed(audio, 12, 4, 0.01, 0.1))
    assert 3 < reduced < 12


def test_a_room_dies_away_in_its_time() -> None:
    response = effects.room(np.random.default_rng(0), 1.0, 0.5)
    assert np.sum(np.square(response), axis=-1) == pytest.approx([1, 1], rel=1e-3)
    low = effects.equalised(response, effects.low_pass(400))
    start, later = low[:, 2000:12_000], low[:, 24_050:34_050]
    assert 20 * np.log10(np.std(start) / np.std(later)) == pytest.approx(30, abs=4)
    wet = effects.reverberated(noise(0.5), response, 0.02)
    assert not wet[:, : round(0.02 * RATE)].any()
    assert wet.any()


def test_places_are_left_and_right() -> None:
    left = effects.placed(noise(), -1, 0)
    assert np.std(left[0]) > 1000 * np.std(left[1])
    middle = effects.placed(noise(), 0, 0)
    np.testing.assert_array_equal(middle[0], middle[1])
    np.testing.assert_allclose(effects.placed(noise(), 0, 1), noise(), atol=1e-6)


def test_echoes_and_doubles_come_later() -> None:
    click = np.zeros((2, RATE), np.float32)
    click[:, 0] = 1
    echoed = effects.echoed(click, 0.25, 1.0)
    assert np.flatnonzero(echoed[0]).tolist() == [0, 11025, 22050, 33075]
    assert np.flatnonzero(effects.doubled(click, 0.01)[1]).tolist() == [441]


def test_the_limiter_keeps_below_its_ceiling_without_touching_what_is_soft() -> None:
    mixture = noise(3, 0.05)
    mixture[:, RATE] = 2.0
    gain = effects.limiter_gain(mixture, 0.8)
    assert np.max(np.abs(mixture * gain)) <= 0.8 + 1e-6
    assert np.all(gain[: RATE // 2] == 1)
    assert gain[-1] > 0.999
    assert np.max(np.abs(np.diff(gain))) < 0.02, "it moves smoothly"


def test_loudness_leaves_rests_out() -> None:
    audio = noise(4)
    audio[:, 2 * RATE :] = 0
    assert loudness(audio) == pytest.approx(-20, abs=0.5)
    assert loudness(np.zeros((2, RATE), np.float32)) == -np.inf


def test_stems_add_up_below_full_scale_and_absent_ones_are_silent() -> None:
    takes = [
        Take("drums", "kit", noise(3, 0.2, 1)), Take("bass", "bass", tone(55, 3) * np.float32(0.3)),
        Take("other", "pad", tone(440, 3)), Take("other", "guitar solo", np.zeros((2, 3 * RATE), np.float32)),
    ]  # fmt: skip
    for seed in range(6):
        stems = mixed(np.random.default_rng(seed), takes)
        assert tuple(stems) == SOURCES
        assert not stems["vocals"].any()
        assert 0.3 < np.max(np.abs(np.sum(list(stems.values()), axis=0))) <= 0.98
        again = mixed(np.random.default_rng(seed), takes)
        assert all(np.array_equal(stems[source], again[source]) for source in SOURCES)
        levels = [loudness(stems[source]) for source in ("drums", "bass", "other")]
        assert max(levels) - min(levels) < 14


def test_stems_that_cancel_each_other_stay_below_full_scale_too() -> None:
    for seed in range(6):
        random = np.random.default_rng(seed)
        kick = tone(60, 3)
        takes = [Take("drums", "kit", kick), Take("bass", "bass", -kick), Take("vocals", "lead", noise(3, 0.01))]
        stems = mixed(random, takes)
        assert max(np.max(np.abs(stem)) for stem in stems.values()) <= 0.98
