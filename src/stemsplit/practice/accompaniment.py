"""Chords and figures of the other instruments: held, struck, strummed, plucked, one note after another."""

from collections.abc import Sequence

from numpy.random import Generator

from stemsplit.practice.groove import Struck
from stemsplit.practice.harmony import Chord, voicing

_STRUMS = ("X...x.x...x.x.x.", "X..x..x.X..x..x.", "X.x.x.x.X.x.x.x.", "X...X.x..x..x.x.", "X.......x...x...")
_STABS = ("......X.........", "..x...x...x..x..", "X.....x.........", "...x......x.....", "....x.......x...")
_SCRATCHES = ("-.x.--x.-.x.--x.", "x-.-x.--.-x-.-x.", "-x--.-x--.-x--x-")
_COMPS = ("x.....x.........", "......x.....x...", "x......x........", "....x.....x.....", "..........x...x.")
_CHUGS = ("X.xxX.xxX.xxX.xx", "X.x.x.x.X.x.x.x.", "X..x..x.X..x..x.", "XxxxXxxxXxxxXxxx")
_MONTUNOS = ("X.xx.x.xx.xx.x.x", "x..x.x.xx.x..x.x")
_FORCE = {"X": 0.9, "x": 0.72, "-": 0.4}

Notes = list[Struck]


def figure(random: Generator, manner: str, chords: Sequence[Chord], centre: float, energy: float) -> Notes:
    """
    What an instrument plays over some chords.

    Args:
        random: of what varies.
        manner: hold, block, stab, comp, off beats, strum, scratch, chug, pick, arpeggio or montuno.
        chords: what it plays.
        centre: the pitch around which it lies.
        energy: 0 to 1.
    """
    count = 2 if manner == "chug" else int(random.choice([3, 3, 4]))
    rhythm = _rhythm(random, manner)
    order = _order(random, count)
    speed = float(random.choice([0.25, 0.5, 0.5]))
    notes: Notes = []
    previous: tuple[int, ...] = ()
    for chord in chords:
        pitches = voicing(chord, centre, count, previous)
        previous = pitches
        if manner == "hold":
            notes += _together(pitches, chord.start, chord.beats * 0.98, 0.65)
        elif manner in ("arpeggio", "pick"):
            notes += _one_by_one(random, pitches, chord, order, speed if manner == "arpeggio" else 0.5)
        elif manner == "montuno":
            notes += _struck(random, pitches, chord, rhythm, 0.0)
        else:
            notes += _struck(random, pitches, chord, rhythm, 0.012 if manner == "strum" else 0.0)
    return [Struck(note.beat, note.beats, note.pitch, note.velocity * (0.75 + 0.25 * energy)) for note in notes]


def _rhythm(random: Generator, manner: str) -> str:
    if manner == "block":
        return str(random.choice(["X...............", "X.......x.......", "X...x...x...x...", "X.....x.....x..."]))
    if manner == "off beats":
        return str(random.choice(["....x.......x...", "..x...x...x...x.", "....xx......xx.."]))
    table = {"strum": _STRUMS, "scratch": _SCRATCHES, "comp": _COMPS, "chug": _CHUGS, "montuno": _MONTUNOS}
    return str(random.choice(list(table.get(manner, _STABS))))


def _order(random: Generator, count: int) -> tuple[int, ...]:
    """In which order the tones of a chord are plucked."""
    up = tuple(range(count))
    orders = [up, up[::-1], up + up[-2:0:-1], tuple(int(index) for index in random.permutation(count)), (0, *up[::-1])]
    return orders[int(random.integers(len(orders)))]


def _together(pitches: Sequence[int], start: float, beats: float, force: float) -> Notes:
    return [Struck(start, beats, pitch, force) for pitch in pitches]


def _one_by_one(random: Generator, pitches: Sequence[int], chord: Chord, order: Sequence[int], step: float) -> Notes:
    notes = []
    for index in range(int(chord.beats / step)):
        octave = 12 if random.random() < 0.08 else 0
        force = 0.8 if index % len(order) == 0 else 0.65
        notes.append(Struck(chord.start + index * step, step * 1.8, pitches[order[index % len(order)]] + octave, force))
    return notes


def _struck(random: Generator, pitches: Sequence[int], chord: Chord, rhythm: str, spread: float) -> Notes:
    """The chord in a rhythm; a spread, in beats, between its strings, down and up by turns."""
    signs = (rhythm * 4)[: int(chord.beats * 4)]
    starts = [index for index, sign in enumerate(signs) if sign in _FORCE]
    notes: Notes = []
    for turn, index in enumerate(starts):
        until = starts[turn + 1] if turn + 1 < len(starts) else len(signs)
        length = (until - index) / 4 if signs[index] != "-" else 0.12
        length *= float(random.uniform(0.45, 0.95))
        strings = pitches if turn % 2 == 0 else pitches[::-1]
        for string, pitch in enumerate(strings):
            notes.append(Struck(chord.start + index / 4 + spread * string, length, pitch, _FORCE[signs[index]]))
    return notes
