"""Bass lines: the chords' roots, and ways to move between them."""

from collections.abc import Sequence

from numpy.random import Generator

from stemsplit.practice.groove import Struck
from stemsplit.practice.harmony import Chord, Key, near

LOWEST, CENTRE = 28, 36  # the low E string, and about where a line lies


def line(random: Generator, kind: str, chords: Sequence[Chord], key: Key, kick: str, energy: float) -> list[Struck]:
    """
    A bass line over some chords.

    Args:
        random: of what varies.
        kind: roots, eighths, fifths, octaves, off beats, syncopated, with kick, walking, reggae or tumbao.
        chords: what it goes along with.
        key: whose scale fills steps.
        kick: the bass drum's bar in sixteenths.
        energy: 0 to 1.
    """
    notes: list[Struck] = []
    for index, chord in enumerate(chords):
        following = chords[(index + 1) % len(chords)]
        root = _low(chord.root)
        notes += [
            Struck(chord.start + start, beats, max(LOWEST - 5, pitch), min(1.0, force * (0.8 + 0.2 * energy)))
            for start, beats, pitch, force in _over(random, kind, chord, root, _low(following.root), key, kick)
            if start < chord.beats - 1e-6
        ]
    return notes


Stroke = tuple[float, float, int, float]  # start in the chord and length in beats, pitch, force


def _low(pitch_class: int) -> int:
    pitch = near(pitch_class, CENTRE)
    return pitch if pitch >= LOWEST else pitch + 12


def _over(random: Generator, kind: str, chord: Chord, root: int, following: int, key: Key, kick: str) -> list[Stroke]:
    beats = chord.beats
    fifth = near(chord.classes[min(2, len(chord.classes) - 1)], root + 4)
    if kind == "roots":
        return [(0.0, beats * 0.95, root, 0.8)]
    if kind == "eighths":
        return _approached(
            random, [(i / 2, 0.45, root, 0.85 if i % 2 == 0 else 0.72) for i in range(int(beats * 2))], following
        )
    if kind == "fifths":
        return [(float(beat), 0.9, root if beat % 4 == 0 else fifth, 0.8) for beat in range(0, int(beats), 2)]
    if kind == "octaves":
        return [(i / 2, 0.4, root + 12 * (i % 2), 0.85 - 0.1 * (i % 2)) for i in range(int(beats * 2))]
    if kind == "off beats":
        return [(i + 0.5, 0.45, root, 0.85) for i in range(int(beats))]
    if kind == "with kick":
        strokes = _rhythm(kick * 4, beats)
        return [(start, length, root, 0.85) for start, length in strokes] or [(0.0, beats * 0.9, root, 0.8)]
    if kind == "walking":
        return _walk(random, chord, root, following, key)
    if kind == "reggae":
        figure = ((0.0, root), (1.5, root), (2.0, fifth), (2.5, root), (3.5, fifth))
        return [(start, 0.45, pitch, 0.85) for start, pitch in figure if random.random() < 0.85]
    if kind == "tumbao":
        return [(1.5, 1.4, fifth, 0.8), (3.0, 0.9, following if beats >= 4 else root, 0.85), (0.0, 0.6, root, 0.7)]
    rhythm = "X..x..x...x.x..." if random.random() < 0.5 else "X.x...x..x.x..x."
    choices = [root, root, root + 12, fifth, root + 10 if len(chord.classes) > 3 else root]
    return [
        (
            start,
            min(length, 0.8) * float(random.uniform(0.5, 1.0)),
            root if start == 0 else int(random.choice(choices)),
            0.82,
        )
        for start, length in _rhythm(rhythm * 4, beats)
        if start == 0 or random.random() < 0.85
    ]


def _rhythm(signs: str, beats: float) -> list[tuple[float, float]]:
    """Starts and lengths of the strokes of a rhythm in sixteenths, each lasting until the next."""
    starts = [index / 4 for index, sign in enumerate(signs[: int(beats * 4)]) if sign in "Xx"]
    return [(start, end - start) for start, end in zip(starts, [*starts[1:], beats], strict=True)]


def _approached(random: Generator, strokes: list[Stroke], following: int) -> list[Stroke]:
    """The last stroke sometimes leads to the next root by a step."""
    if strokes and random.random() < 0.3:
        start, beats, _, force = strokes[-1]
        strokes[-1] = (start, beats, following + int(random.choice([-2, -1, 1, 2])), force)
    return strokes


def _walk(random: Generator, chord: Chord, root: int, following: int, key: Key) -> list[Stroke]:
    """A note each beat, by chord tones and steps of the scale, to a neighbour of the next root."""
    pitches = [root]
    step = key.nearest_step(root)
    for _ in range(1, int(chord.beats)):
        step += int(random.choice([-2, -1, 1, 1, 2]))
        if not LOWEST <= key.pitch(step) <= CENTRE + 14:
            step = key.nearest_step(root)
        pitches.append(key.pitch(step))
    if len(pitches) > 1:
        pitches[-1] = following + int(random.choice([-1, 1]))
    return [(float(beat), 0.92, pitch, 0.8) for beat, pitch in enumerate(pitches)]
