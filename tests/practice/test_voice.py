"""Sung vocals follow their melody and lyric."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stemsplit.errors import StemsplitError
from stemsplit.practice import syllable_analysis
from stemsplit.practice.score import RATE, Sung, Voice
from stemsplit.practice.singers import Singer, singer_of
from stemsplit.practice.syllables import OPEN_SYLLABLES, SYLLABLES, words
from stemsplit.practice.vocoder import FRAMES_PER_SECOND, pitch_of
from stemsplit.practice.voice import sing

SINGER = Singer(
    variant="en-us+f3",
    centre=64,
    formant_shift=1.05,
    tilt=2,
    breathiness=0.1,
    roughness=0.0,
    vibrato_rate=5.5,
    vibrato_depth=0.0,
    vibrato_onset=0.3,
    drift=0.04,
    portamento=0.06,
    scoop=0.5,
    tuning=0.0,
    timing=0.0,
    breath=-20,
)
MELODY = (
    Sung(0.5, 0.4, 62, "l'a:"),
    Sung(0.9, 0.3, 66, "s'i:"),
    Sung(1.2, 0.7, 64, "m'oU"),
    Sung(2.6, 0.5, 69, "n'aIt"),
    Sung(3.1, 0.8, 57, "w'u:"),
)
FRAMES = 4 * RATE + 7


def sung(seed: int = 1, singer: Singer = SINGER, notes: tuple[Sung, ...] = MELODY) -> NDArray[np.float32]:
    return sing(Voice("lead", 0, notes), singer, FRAMES, np.random.default_rng(seed))


def level(samples: NDArray[np.float32], start: float, end: float) -> float:
    return float(np.sqrt(np.mean(samples[round(start * RATE) : round(end * RATE)] ** 2)))


def cents_off(samples: NDArray[np.float32], note: Sung) -> float:
    hertz = 440 * 2 ** ((note.pitch - 69) / 12)
    middle = samples[round((note.start + 0.1) * RATE) : round((note.start + 0.8 * note.duration) * RATE)]
    pitch = pitch_of(middle.astype(np.float64), RATE, hertz / 2.5, hertz * 2.5)
    voiced = pitch[pitch > 0]
    assert len(voiced) > 0.6 * len(middle) / RATE * FRAMES_PER_SECOND
    return float(abs(1200 * np.log2(np.median(voiced) / hertz)))


@pytest.mark.parametrize("variant", ["en-us+f3", "en-us+m3", "it+f2"])
def test_pitch_follows_the_melody(variant: str) -> None:
    samples = sung(singer=replace(SINGER, variant=variant))
    assert np.mean([cents_off(samples, note) for note in MELODY]) < 20


def test_vibrato_sets_in_late() -> None:
    note = Sung(0.5, 2.5, 64, "l'a:")
    samples = sung(singer=replace(SINGER, vibrato_depth=0.6, vibrato_onset=0.6), notes=(note,)).astype(np.float64)
    early, late = (
        pitch_of(samples[round(start * RATE) :][: round(0.4 * RATE)], RATE, 200, 500) for start in (0.65, 2.0)
    )
    spread = [np.ptp(12 * np.log2(pitch[pitch > 0][5:-5])) for pitch in (early, late)]
    assert spread[0] < 0.5 < 0.8 < spread[1] < 1.8


def test_it_is_silent_where_nothing_is_sung() -> None:
    samples = sung()
    assert level(samples, 0.0, 0.02) == 0
    assert level(samples, 1.92, 2.0) < 1e-3
    assert level(samples, 3.95, 4.0) < 1e-4
    assert level(samples, 2.05, 2.3) < 0.02  # a breath at most
    assert all(level(samples, n.start, n.start + n.duration) > 0.03 for n in MELODY)


def test_consonants_come_before_the_note_and_have_no_pitch() -> None:
    samples = sung(notes=(Sung(1.0, 1.0, 60, "s'a:"),))
    consonant = samples[round(0.92 * RATE) : round(0.97 * RATE)]
    power = np.abs(np.fft.rfft(consonant * np.hanning(len(consonant)))) ** 2
    hertz = np.fft.rfftfreq(len(consonant), 1 / RATE)
    assert power[hertz > 3000].sum() > 5 * power[hertz < 3000].sum()
    assert power[hertz > 12_000].sum() > 0.01 * power.sum()  # it does not end where eSpeak's rate does


def test_level_is_usual() -> None:
    samples = sung()
    assert 0.06 < level(samples, 0.5, 1.9) < 0.16
    assert np.abs(samples).max() < 0.96


def test_the_seed_decides_every_sample() -> None:
    np.testing.assert_array_equal(sung(1), sung(1))
    assert np.corrcoef(sung(1), sung(2))[0, 1] < 0.99


def test_length_is_what_was_asked_for() -> None:
    assert sung().shape == (FRAMES,)
    assert sung().dtype == np.float32
    assert not sung(notes=()).any()
    assert sing(Voice("lead", 0, MELODY), SINGER, 0, np.random.default_rng(1)).shape == (0,)


def test_note_that_outlasts_the_song_or_begins_it_is_cut() -> None:
    samples = sung(notes=(Sung(0.0, 0.01, 60, "str'i:t"), Sung(0.01, 0.05, 60, "'a:"), Sung(3.9, 3.0, 60, "spl'a:st")))
    assert samples.shape == (FRAMES,)
    assert np.isfinite(samples).all()
    assert level(samples, 3.9, 4.0) > 0.01


def test_language_without_a_vowel_borrows_it() -> None:
    syllable = syllable_analysis.analysed("it+f3", "k'A:")
    assert syllable.release - syllable.onset > 20


def test_phonemes_without_a_vowel_are_an_error() -> None:
    with pytest.raises(StemsplitError, match="no vowel"):
        syllable_analysis.analysed("en-us", "s")


def test_unknown_voice_is_an_error() -> None:
    with pytest.raises(StemsplitError, match="'xx-nowhere'"):
        syllable_analysis.analysed("xx-nowhere", "l'a:")


def test_any_singer_sings_any_lyric() -> None:
    random = np.random.default_rng(3)
    for _ in range(3):
        singer = singer_of(random)
        lyric = words(random).phrase(random, 5)
        notes = tuple(Sung(0.5 + 0.3 * n, 0.3, singer.centre, word) for n, word in enumerate(lyric))
        samples = sung(singer=singer, notes=notes)
        assert np.isfinite(samples).all()
        assert level(samples, 0.5, 2.0) > 0.03


def test_phrases_mostly_end_on_an_open_vowel() -> None:
    random = np.random.default_rng(4)
    phrases = [words(random).phrase(random, 6) for _ in range(300)]
    assert all(len(phrase) == 6 and set(phrase) <= set(SYLLABLES) for phrase in phrases)
    assert np.mean([phrase[-1] in OPEN_SYLLABLES for phrase in phrases]) > 0.6
    assert any(len(set(phrase)) == 1 for phrase in phrases)


def test_words_of_a_song_come_again() -> None:
    random = np.random.default_rng(5)
    lyric = words(random)
    sung = {syllable for _ in range(100) for syllable in lyric.phrase(random, 6)}
    assert len(sung) < len(SYLLABLES) / 4
