"""Chords and figures of the other instruments: held, struck, strummed, plucked, one note after another."""

from collections.abc import Sequence

from numpy.random import Generator

from stemsplit.practice.groove import Struck, strokes
from stemsplit.practice.harmony import Chord, voicing

# Rhythms of one bar in sixteenths, by the manner of playing whole chords.
_RHYTHMS = {
    "block": ("X...............", "X.......x.......", "X...x...x...x...", "X.....x.....x..."),
    "stab": ("......X.........", "..x...x...x..x..", "X.....x.........", "...x......x.....", "....x.......x..."),
    "comp": ("x.....x.........", "......x.....x...", "x......x........", "....x.....x.....", "..........x...x."),
    "off beats": ("....x.......x...", "..x...x...x...x.", "....xx......xx.."),
    "strum": ("X...x.x...x.x.x.", "X..x..x.X..x..x.", "X.x.x.x.X.x.x.x.", "X...X.x..x..x.x.", "X.......x...x..."),
    "scratch": ("-.x.--x.-.x.--x.", "x-.-x.--.-x-.-x.", "-x--.-x--.-x--x-"),
    "chug": ("X.xxX.xxX.xxX.xx", "X.x.x.x.X.x.x.x.", "X..x..x.X..x..x.", "XxxxXxxxXxxxXxxx"),
    "montuno": ("X.xx.x.xx.xx.x.x", "x..x.x.xx.x..x.x"),
}
MANNERS = ("hold", "pick", "arpeggio", *_RHYTHMS)
_FORCE = {"X": 0.9, "x": 0.72, "-": 0.4}

Notes = list[Struck]


def figure(random: Generator, manner: str, chords: Sequence[Chord], centre: float, bar: int, energy: float) -> Notes:
    """
    What an instrument plays over some chords.

    Args:
        random: of what varies.
        manner: one of `MANNERS`.
        chords: what it plays.
        centre: the pitch around which it lies.
        bar: beats of one.
        energy: 0 to 1.
    """
    count = 2 if manner == "chug" else int(random.choice([3, 3, 4]))
    order = _order(random, count)
    speed = float(random.choice([0.25, 0.5, 0.5])) if manner == "arpeggio" else 0.5
    rhythm = str(random.choice(list(_RHYTHMS[manner]))) if manner in _RHYTHMS else ""
    notes: Notes = []
    pitches: tuple[int, ...] = ()
    for chord in chords:
        pitches = voicing(chord, centre, count, pitches)
        if manner == "hold":
            notes += [Struck(chord.start, chord.beats * 0.98, pitch, 0.65) for pitch in pitches]
        elif manner in ("arpeggio", "pick"):
            notes += _one_by_one(random, pitches, chord, order, speed)
        else:
            spread = 0.012 if manner == "strum" else 0.0
            notes += _together(random, pitches, chord, strokes(rhythm, bar, chord.start, chord.beats), spread)
    return [Struck(note.beat, note.beats, note.pitch, note.velocity * (0.75 + 0.25 * energy)) for note in notes]


def _order(random: Generator, count: int) -> tuple[int, ...]:
    """In which order the tones of a chord are plucked."""
    up = tuple(range(count))
    orders = [up, up[::-1], up + up[-2:0:-1], tuple(int(index) for index in random.permutation(count)), (0, *up[::-1])]
    return orders[int(random.integers(len(orders)))]


def _one_by_one(random: Generator, pitches: Sequence[int], chord: Chord, order: Sequence[int], step: float) -> Notes:
    notes = []
    for index in range(int(chord.beats / step)):
        octave = 12 if random.random() < 0.08 else 0
        force = 0.8 if index % len(order) == 0 else 0.65
        notes.append(Struck(chord.start + index * step, step * 1.8, pitches[order[index % len(order)]] + octave, force))
    return notes


def _together(
    random: Generator, pitches: Sequence[int], chord: Chord, times: Sequence[tuple[float, float, str]], spread: float
) -> Notes:
    """The chord at the times of a rhythm; a spread, in beats, between its strings, down and up by turns."""
    notes: Notes = []
    for turn, (start, until, sign) in enumerate(times):
        length = (0.12 if sign == "-" else until) * float(random.uniform(0.45, 0.95))
        for string, pitch in enumerate(pitches if turn % 2 == 0 else pitches[::-1]):
            notes.append(Struck(chord.start + start + spread * string, length, pitch, _FORCE[sign]))
    return notes
