"""Bass lines: the chords' roots, and ways to move between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from numpy.random import Generator

from stemsplit.practice.groove import Struck, strokes
from stemsplit.practice.harmony import Chord, Key, near

LOWEST, CENTRE = 28, 36  # the low E string, and about where a line lies

Stroke = tuple[float, float, int, float]  # start in the chord and length in beats, pitch, force

# What is played in a bar of sixteenths: x the root, o its octave, f the fifth, n the next chord's root, and how many
# beats a note lasts at most.
_FIGURES = {
    "eighths": ("x.x.x.x.x.x.x.x.", 0.45),
    "fifths": ("x.......f.......", 0.9),
    "octaves": ("x.o.x.o.x.o.x.o.", 0.4),
    "off beats": ("..x...x...x...x.", 0.45),
    "reggae": ("x.....x.f.x...f.", 0.45),
    "tumbao": ("x.....f.....n...", 1.4),
}
_SYNCOPATED = ("X..x..x...x.x...", "X.x...x..x.x..x.")


@dataclass(frozen=True, slots=True)
class _Place:
    """What a player knows of the chord that comes: it and its root, the next one's root, key, bass drum, bar."""

    chord: Chord
    root: int
    following: int
    key: Key
    kick: str
    bar: int

    @property
    def fifth(self) -> int:
        """The chord's last tone but for a seventh, above the root."""
        return near(self.chord.classes[min(2, len(self.chord.classes) - 1)], self.root + 4)

    def strokes(self, rhythm: str) -> list[tuple[float, float, str]]:
        """The rhythm's strokes while the chord sounds."""
        return strokes(rhythm, self.bar, self.chord.start, self.chord.beats)


def line(
    random: Generator, kind: str, chords: Sequence[Chord], key: Key, kick: str, bar: int, energy: float
) -> list[Struck]:
    """
    A bass line over some chords.

    Args:
        random: of what varies.
        kind: one of `KINDS`.
        chords: what it goes along with.
        key: whose scale fills steps.
        kick: the bass drum's bar in sixteenths.
        bar: beats of one.
        energy: 0 to 1.
    """
    notes: list[Struck] = []
    for index, chord in enumerate(chords):
        following = chords[(index + 1) % len(chords)]
        place = _Place(chord, _low(chord.root), _low(following.root), key, kick, bar)
        played = _figure(random, place, *_FIGURES[kind]) if kind in _FIGURES else _PLAYERS[kind](random, place)
        for start, beats, pitch, force in played or [_held(place)]:
            length = min(beats, chord.beats - start)
            notes.append(Struck(chord.start + start, length, pitch, force * (0.8 + 0.2 * energy)))
    return notes


def _low(pitch_class: int) -> int:
    pitch = near(pitch_class, CENTRE)
    return pitch if pitch >= LOWEST else pitch + 12


def _held(place: _Place) -> Stroke:
    return (0.0, place.chord.beats * 0.95, place.root, 0.8)


def _figure(random: Generator, place: _Place, signs: str, longest: float) -> list[Stroke]:
    pitches = {"x": place.root, "o": place.root + 12, "f": place.fifth, "n": place.following}
    played = [
        (start, min(length, longest), pitches[sign], 0.85 if start % 1 == 0 else 0.75)
        for start, length, sign in place.strokes(signs)
        if start == 0 or random.random() < 0.93
    ]
    if played and random.random() < 0.2:  # the last one leads to the next root
        start, length, _, force = played[-1]
        played[-1] = (start, length, place.following + int(random.choice([-2, -1, 1, 2])), force)
    return played


def _roots(random: Generator, place: _Place) -> list[Stroke]:
    return [_held(place)]


def _with_kick(random: Generator, place: _Place) -> list[Stroke]:
    return [(start, length, place.root, 0.85) for start, length, sign in place.strokes(place.kick) if sign in "Xx"]


def _syncopated(random: Generator, place: _Place) -> list[Stroke]:
    root = place.root
    choices = [root, root, root + 12, place.fifth, root + 10 if len(place.chord.classes) > 3 else root]
    played = []
    for start, length, _ in place.strokes(_SYNCOPATED[int(random.integers(2))]):
        if start == 0 or random.random() < 0.85:
            pitch = root if start == 0 else int(random.choice(choices))
            played.append((start, min(length, 0.8) * float(random.uniform(0.5, 1)), pitch, 0.82))
    return played


def _walking(random: Generator, place: _Place) -> list[Stroke]:
    """A note each beat by steps of the scale, the last a neighbour of the next root."""
    pitches = [place.root]
    home = step = place.key.nearest_step(place.root)
    for _ in range(1, int(place.chord.beats)):
        step += int(random.choice([-2, -1, 1, 1, 2]))
        if not LOWEST <= place.key.pitch(step) <= CENTRE + 14:
            step = home
        pitches.append(place.key.pitch(step))
    if len(pitches) > 1:
        pitches[-1] = place.following + int(random.choice([-1, 1]))
    return [(float(beat), 0.92, pitch, 0.8) for beat, pitch in enumerate(pitches)]


_PLAYERS: dict[str, Callable[[Generator, _Place], list[Stroke]]] = {
    "roots": _roots,
    "with kick": _with_kick,
    "syncopated": _syncopated,
    "walking": _walking,
}
KINDS = (*_FIGURES, *_PLAYERS)
