"""Songs that are composed: playable, varied, with rests, the same again for the same seed."""

from collections import Counter

import numpy as np
import pytest

from stemsplit.practice.compose import compose
from stemsplit.practice.score import Score
from stemsplit.practice.styles import PROGRAMS, STYLES

CENTRES = (56.0, 66.0)


def composed(seed: int) -> Score:
    return compose(np.random.default_rng(seed), CENTRES)


@pytest.fixture(scope="module")
def scores() -> list[Score]:
    return [composed(seed) for seed in range(120)]


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
    assert 30 < min(score.seconds for score in scores) < max(score.seconds for score in scores) < 90
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
    assert all(len(rhythm) == 16 for style in STYLES for rhythm in (*style.kicks, *style.snares, *style.hats))
