"""Melodies: a motif, its answer and its repetition, mostly by step, at rest on tones of the chord."""

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

from stemsplit.practice.harmony import Chord, Key


@dataclass(frozen=True, slots=True)
class Tone:
    """One note of a melody: beats from the song's beginning, and a step of the scale."""

    beat: float
    beats: float
    step: int


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Rhythm (starts and lengths in beats) and contour (steps above its first note) of one phrase."""

    starts: tuple[float, ...]
    lengths: tuple[float, ...]
    contour: tuple[int, ...]


def melody(
    random: Generator, key: Key, chords: Sequence[Chord], centre: float, density: float, beats: int
) -> list[list[Tone]]:
    """
    Phrases over some chords, with rests between them.

    Args:
        random: of what varies.
        key: whose scale is used.
        chords: whose tones phrases rest on.
        centre: the pitch around which it lies; it keeps within about an octave of it.
        density: 0 to 1: how many notes, and how few rests.
        beats: of a bar.
    """
    end = chords[-1].start + chords[-1].beats
    length = beats * (2 if random.random() < 0.7 else 1)
    motifs = [_phrase(random, length, density) for _ in range(2)]
    form = str(random.choice(["AABA", "ABAB", "AAAB", "ABAC", "AABB"]))
    phrases = []
    start, turn = chords[0].start, 0
    home = key.nearest_step(centre)
    while start < end - 1e-6:
        name = form[turn % len(form)]
        motif = motifs["AB".index(name)] if name in "AB" else _phrase(random, length, density)
        if random.random() < 0.94:
            base = home + int(random.integers(-2, 3))
            phrases.append(_placed(motif, key, chords, start, end, base, centre))
        start, turn = start + length, turn + 1
    return [phrase for phrase in phrases if phrase]


def _phrase(random: Generator, beats: float, density: float) -> _Phrase:
    """A rhythm with a rest at its end, and a contour that wanders by steps and leaps back."""
    rest = float(random.choice([0.5, 1.0, 1.0, 2.0])) * (1.4 - density)
    position = float(random.choice([0.0, 0.0, 0.5, 0.5, 1.0]))
    choices = [0.25, 0.5, 0.5, 1.0, 1.5, 2.0]
    chances = [0.25 * density, 0.6 * density, 0.5, 0.7 - 0.3 * density, 0.25, 0.3 * (1 - density)]
    weights = [chance / sum(chances) for chance in chances]
    starts, lengths, contour = [], [], []
    step, direction = 0, 1
    while position < beats - rest - 0.2:
        length = min(float(random.choice(choices, p=weights)), beats - rest - position)
        starts.append(position)
        lengths.append(length)
        contour.append(step)
        position += length
        if random.random() < 0.35 or abs(step) > 4:
            direction = -1 if step > 0 else 1
        step += direction * int(random.choice([0, 1, 1, 1, 2, 2, 3, 4], p=[0.2, 0.2, 0.15, 0.1, 0.12, 0.1, 0.08, 0.05]))
    return _Phrase(tuple(starts), tuple(lengths), tuple(contour))


def _placed(
    motif: _Phrase, key: Key, chords: Sequence[Chord], start: float, end: float, base: int, centre: float
) -> list[Tone]:
    tones = []
    for offset, length, rise in zip(motif.starts, motif.lengths, motif.contour, strict=True):
        beat = start + offset
        if beat >= end - 0.1:
            break
        step = _within(key, base + rise, centre)
        if length >= 1 or offset == int(offset):
            step = _on_chord(key, step, _sounding(chords, beat))
        tones.append(Tone(beat, min(length, end - beat), step))
    return tones


def _within(key: Key, step: int, centre: float) -> int:
    """The step an octave lower or higher where it would leave the range."""
    while key.pitch(step) > centre + 9:
        step -= 7
    while key.pitch(step) < centre - 8:
        step += 7
    return step


def _sounding(chords: Sequence[Chord], beat: float) -> Chord:
    return next((chord for chord in reversed(chords) if chord.start <= beat + 1e-6), chords[0])


def _on_chord(key: Key, step: int, chord: Chord) -> int:
    """The nearest step that is a tone of the chord, if one is near."""
    for distance in (0, -1, 1):
        if key.pitch(step + distance) % 12 in chord.classes:
            return step + distance
    return step
