"""Keys, chords and progressions: which pitches sound together, and where they lead."""

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}

# Degrees of the scale, counted from 0, one a bar or half a bar.
_PROGRESSIONS = {
    "major": (
        (0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 3), (5, 3, 0, 4), (0, 3, 0, 4), (0, 2, 3, 4), (3, 0, 4, 5), (0, 1, 3, 4),
        (0, 0, 3, 4), (1, 4, 0, 5), (0, 2, 5, 3), (3, 4, 2, 5), (0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4),
    ),
    "mixolydian": ((0, 6, 3, 0), (0, 0, 6, 3), (0, 4, 6, 3), (0, 3, 6, 3)),
    "dorian": ((0, 3, 0, 3), (0, 2, 3, 0), (0, 6, 3, 3), (0, 1, 2, 3)),
    "minor": (
        (0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 6), (0, 3, 6, 2), (0, 5, 3, 4), (5, 6, 0, 0), (0, 2, 6, 3), (0, 0, 5, 4),
        (0, 6, 5, 4), (3, 0, 5, 6), (0, 4, 5, 3),
    ),
    "phrygian": ((0, 1, 0, 1), (0, 1, 2, 1), (0, 5, 1, 0)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """A tonic (pitch class) with a scale."""

    tonic: int
    mode: str

    def pitch(self, step: int) -> int:
        """MIDI number of a step of the scale; step 0 is the tonic in the octave of middle C (60 to 71)."""
        octave, degree = divmod(step, 7)
        return 60 + self.tonic + 12 * octave + SCALES[self.mode][degree]

    def nearest_step(self, pitch: float) -> int:
        """The step of the scale that is closest to a MIDI number."""
        about = round((pitch - 60 - self.tonic) * 7 / 12)
        return min(range(about - 3, about + 4), key=lambda step: abs(self.pitch(step) - pitch))


@dataclass(frozen=True, slots=True)
class Chord:
    """Tones of a chord as pitch classes, its root first, and how many beats it lasts from which one on."""

    start: float
    beats: float
    classes: tuple[int, ...]

    @property
    def root(self) -> int:
        """Pitch class of the root."""
        return self.classes[0]


def a_key(random: Generator, modes: Sequence[str]) -> Key:
    """Any tonic, one of the modes."""
    return Key(int(random.integers(12)), str(random.choice(list(modes))))


def a_progression(random: Generator, key: Key) -> tuple[int, ...]:
    """Degrees of chords that follow each other well in the key's mode."""
    choices = _PROGRESSIONS[key.mode]
    return choices[int(random.integers(len(choices)))]


def chords(key: Key, degrees: Sequence[int], beats_each: float, start: float, beats: float, tones: int) -> list[Chord]:
    """
    Chords that fill a stretch, the degrees repeated as often as need be.

    Args:
        key: whose scale is stacked in thirds; the fifth degree of a minor key gets its leading note.
        degrees: of the chords.
        beats_each: how long each lasts.
        start: of the stretch, in beats.
        beats: of the stretch.
        tones: 2 (root and fifth), 3 or 4.
    """
    filled: list[Chord] = []
    position = 0.0
    while position < beats - 1e-6:
        degree = degrees[len(filled) % len(degrees)]
        stack = [0, 4] if tones == 2 else [0, 2, 4, 6][:tones]
        classes = [key.pitch(degree + third) % 12 for third in stack]
        if key.mode == "minor" and degree == 4 and tones > 2:
            classes[1] = (classes[0] + 4) % 12
        filled.append(Chord(start + position, min(beats_each, beats - position), tuple(classes)))
        position += beats_each
    return filled


def voicing(chord: Chord, centre: float, count: int, previous: Sequence[int] = ()) -> tuple[int, ...]:
    """`count` pitches of the chord in close position, near `centre` and near those of the chord before."""
    aim = sum(previous) / len(previous) if previous else centre
    aim += 0.3 * (centre - aim)
    ladder = sorted(12 * octave + tone for octave in range(1, 10) for tone in set(chord.classes))
    starts = range(len(ladder) - count + 1)
    first = min(starts, key=lambda index: abs(sum(ladder[index : index + count]) / count - aim))
    return tuple(ladder[first : first + count])


def near(pitch_class: int, centre: int) -> int:
    """The pitch of a class that is nearest to `centre`."""
    return centre + (pitch_class - centre + 6) % 12 - 6
