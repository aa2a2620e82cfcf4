"""Songs that are composed: playable, varied, with rests, the same again for the same seed."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from stemsplit.practice.accompaniment import MANNERS
from stemsplit.practice.bass import KINDS, line
from stemsplit.practice.compose import compose
from stemsplit.practice.harmony import Key, chords
from stemsplit.practice.score import Score
from stemsplit.practice.styles import PROGRAMS, STYLES

CENTRES = (56.0, 66.0)


def composed(seed: int) -> Score:
    return compose(np.random.default_rng(seed), CENTRES)


@pytest.fixture(scope="module")
def scores() -> list[Score]:
    return [composed(seed) for seed in range(300)]


def test_the_same_seed_is_the_same_song(scores: list[Score]) -> None:
    assert composed(5) == scores[5]
    assert composed(6) != scores[5]


def test_notes_can_be_played(scores: list[Score]) -> None:
    for score in scores:
        for part in score.parts:
            assert part.source in ("drums", "bass", "other")
            assert 0 <= part.program <= 127
            assert (part.kit is not None) == (part.source == "drums")
            for note in part.notes:
                assert 0 <= note.start < score.seconds
                assert 0.03 <= note.duration < 30
                assert 0 < note.pitch < 128
                assert 1 <= note.velocity <= 127
        assert any(part.notes for part in score.parts)


def test_sources_stay_where_their_instruments_are(scores: list[Score]) -> None:
    pitches = {
        source: [note.pitch for score in scores for part in score.parts if part.source == source for note in part.notes]
        for source in ("bass", "other")
    }
    assert np.percentile(pitches["bass"], [1, 99]).tolist() == pytest.approx([30, 50], abs=6)
    assert 55 < np.median(pitches["other"]) < 72


def test_singers_sing_one_note_at_a_time_in_their_range(scores: list[Score]) -> None:
    for score in scores:
        for voice in score.voices:
            assert voice.role in ("lead", "double", "harmony")
            ends = [note.start + note.duration for note in voice.notes]
            assert all(end <= after.start + 0.02 for end, after in zip(ends, voice.notes[1:], strict=False))
            assert abs(np.median([note.pitch for note in voice.notes]) - CENTRES[voice.singer]) < 12
            assert all(note.duration > 0.03 for note in voice.notes)


def test_songs_differ_as_records_do(scores: list[Score]) -> None:
    assert {score.style for score in scores} == {style.name for style in STYLES}
    assert all(27 < score.seconds < 85 for score in scores)
    tempos = [score.tempo for score in scores]
    assert min(tempos) < 75
    assert max(tempos) > 150
    programs = Counter(part.program for score in scores for part in score.parts)
    assert len(programs) > 50


def test_every_source_rests_now_and_then_and_plays_mostly(scores: list[Score]) -> None:
    """Share of the 2 s windows in which a source begins a note, and how many sources do at once."""
    counts: Counter[str] = Counter()
    together = windows = 0
    for score in scores:
        starts = {source: set[int]() for source in ("drums", "bass", "other", "vocals")}
        for part in score.parts:
            starts[part.source] |= {int(note.start // 2) for note in part.notes}
        for voice in score.voices:
            starts["vocals"] |= {int(note.start // 2) for note in voice.notes}
        for window in range(int(score.seconds // 2) - 1):
            active = [source for source, own in starts.items() if window in own]
            counts.update(active)
            together += len(active) >= 2
            windows += 1
    shares = {source: counts[source] / windows for source in counts}
    assert all(0.4 < share < 0.97 for share in shares.values()), shares
    assert together / windows > 0.6


def test_every_role_has_instruments() -> None:
    roles = {role for style in STYLES for role, _ in style.players}
    assert roles <= set(PROGRAMS)
    assert {manner for style in STYLES for _, manner in style.players} == {*MANNERS, "lead"}
    assert {line for style in STYLES for line in style.lines} == set(KINDS)
    assert all(len(rhythm) == 16 for style in STYLES for rhythm in (*style.kicks, *style.snares, *style.hats))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pace", [2, 4, 8])
def test_a_bass_plays_one_note_at_a_time_on_every_chord(kind: str, pace: int) -> None:
    key = Key(4, "minor")
    progression = chords(key, (0, 5, 2, 6), pace, 16, 32, 3)
    notes = sorted(
        line(np.random.default_rng(0), kind, progression, key, "X.......X.x.....", 4, 0.8), key=lambda n: n.beat
    )
    assert all(note.beat + note.beats <= after.beat + 1e-6 for note, after in pairwise(notes))
    for chord in progression:
        assert any(chord.start <= note.beat < chord.start + chord.beats for note in notes)
    assert all(note.beat >= 16 and note.beat + note.beats <= 48 + 1e-6 for note in notes)


@pytest.mark.parametrize("pace", [2, 4, 8])
def test_a_bass_follows_the_kick_whatever_the_chords(pace: int) -> None:
    key = Key(0, "major")
    progression = chords(key, (0, 3), pace, 0, 16, 3)
    notes = line(np.random.default_rng(0), "with kick", progression, key, "X.......X.x.....", 4, 0.8)
    assert [note.beat for note in notes] == [bar + beat for bar in (0, 4, 8, 12) for beat in (0, 2, 2.5)]
