"""Keys, chords and the groove: pitches belong to their scale, time is bent and never turned back."""

import numpy as np
import pytest

from stemsplit.practice.groove import Groove, Struck, strokes
from stemsplit.practice.harmony import SCALES, Key, a_key, a_progression, chords, near, voicing


@pytest.mark.parametrize("mode", SCALES)
def test_steps_of_a_scale_belong_to_it(mode: str) -> None:
    key = Key(2, mode)
    assert key.pitch(0) == 62
    assert key.pitch(7) == 74
    assert key.pitch(-7) == 50
    assert all((key.pitch(step) - 62) % 12 in SCALES[mode] for step in range(-20, 20))
    assert all(key.nearest_step(key.pitch(step)) == step for step in range(-20, 20))


def test_chords_fill_their_stretch_in_the_key() -> None:
    key = Key(0, "major")
    filled = chords(key, (0, 3, 4), 4, 8, 18, 3)
    assert [chord.start for chord in filled] == [8, 12, 16, 20, 24]
    assert [chord.beats for chord in filled] == [4, 4, 4, 4, 2]
    assert [chord.classes for chord in filled[:3]] == [(0, 4, 7), (5, 9, 0), (7, 11, 2)]
    assert chords(Key(9, "minor"), (4,), 4, 0, 4, 3)[0].classes == (4, 8, 11), "a dominant has its leading note"


def test_progressions_exist_for_every_mode() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        key = a_key(random, list(SCALES))
        assert all(0 <= degree < 7 for degree in a_progression(random, key))


def test_voicings_are_close_and_move_little() -> None:
    key = Key(5, "minor")
    previous: tuple[int, ...] = ()
    for chord in chords(key, (0, 5, 2, 6), 4, 0, 64, 3):
        pitches = voicing(chord, 62, 3, previous)
        assert {pitch % 12 for pitch in pitches} == set(chord.classes)
        assert pitches[-1] - pitches[0] < 12
        if previous:
            assert abs(sum(pitches) - sum(previous)) / 3 < 5
        previous = pitches


def test_near_is_within_half_an_octave() -> None:
    assert all(abs(near(tone, 36) - 36) <= 6 and near(tone, 36) % 12 == tone for tone in range(12))


@pytest.mark.parametrize("swing", [0.0, 0.2, 0.33])
@pytest.mark.parametrize("pair", [0.5, 1.0])
def test_swing_bends_time_and_keeps_the_beat(swing: float, pair: float) -> None:
    groove = Groove(120, swing, pair, 0)
    assert [groove.seconds(beat) for beat in range(5)] == pytest.approx([0, 0.5, 1, 1.5, 2])
    times = [groove.seconds(beat / 48) for beat in range(480)]
    assert np.all(np.diff(times) > 0)
    assert groove.seconds(pair / 2) == pytest.approx(pair / 4 * (1 + swing))


def test_played_notes_are_in_order_near_where_they_are_written() -> None:
    groove = Groove(90, 0.1, 0.5, 0.01)
    written = [Struck(beat / 4, 0.2, 60, 0.7) for beat in range(64)][::-1]
    notes = groove.played(written, np.random.default_rng(1))
    assert [note.start for note in notes] == sorted(note.start for note in notes)
    assert all(note.start >= 0 and 1 <= note.velocity <= 127 and note.duration > 0 for note in notes)
    errors = [note.start - groove.seconds(index / 4) for index, note in enumerate(notes)]
    assert 0.002 < np.std(errors) < 0.02


def test_a_rhythm_goes_on_across_chords() -> None:
    rhythm = "X...x...X.x....-"
    whole = strokes(rhythm, 4, 0, 8)
    assert [(start, sign) for start, _, sign in whole[:5]] == [(0, "X"), (1, "x"), (2, "X"), (2.5, "x"), (3.75, "-")]
    assert whole[0][1] == 1
    assert whole[-1][1] == 0.25
    halves = [(at + start, sign) for at in range(0, 8, 2) for start, _, sign in strokes(rhythm, 4, at, 2)]
    assert halves == [(start, sign) for start, _, sign in whole]
    assert [start for start, _, _ in strokes(rhythm, 3, 3, 6)] == [0, 1, 2, 2.5, 3, 4, 5, 5.5], "three beats in a bar"
