"""Drums: a rhythm chosen once for a song, varied by section and bar, with fills where sections end."""

from dataclasses import dataclass

from numpy.random import Generator

from stemsplit.practice.groove import Struck
from stemsplit.practice.styles import CLAP, SIDE_STICK, SNARE, Style

KICK, CLOSED, OPEN = 36, 42, 46
TOMS = (50, 48, 47, 45, 43, 41)
CRASHES, RIDES = (49, 57, 55), (51, 59, 53)
TAMBOURINE, COWBELL, CONGAS, SHAKER, CLAVES = 54, 56, (62, 63, 64), 70, 75
_FORCE = {"X": 0.95, "x": 0.75, "-": 0.38}
_STROKE = 0.2  # beats; drums ring as they will
_EXTRA = (
    (TAMBOURINE, "..x...x...x...x."), (TAMBOURINE, "x-x-x-x-x-x-x-x-"), (COWBELL, "x...x...x...x..."),
    (SHAKER, "x-x-x-x-x-x-x-x-"), (SHAKER, "--x---x---x---x-"), (CONGAS[2], "x..x..x...x.x..."),
    (CONGAS[0], "..x...xx..x...xx"), (CLAVES, "x..x..x...x.x..."), (CLAP, "....X.......X..."),
    (SIDE_STICK, "..-..-....-..-.."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kit:
    """What a drummer settles on for a song: rhythms of one bar in sixteenths, and what they are played on."""

    kick: str
    snare: str
    hat: str
    snare_drum: int
    extras: tuple[tuple[int, str], ...]
    crash: int
    ride: int


def a_kit(random: Generator, style: Style) -> Kit:
    """A drummer's choice within a style."""
    count = int(random.choice([0, 0, 1, 1, 2]))
    extras = tuple(_EXTRA[index] for index in random.choice(len(_EXTRA), count, replace=False))
    return Kit(
        kick=_varied(random, _one(random, style.kicks), 0.05),
        snare=_varied(random, _one(random, style.snares), 0.03),
        hat=_one(random, style.hats),
        snare_drum=int(random.choice(list(style.snare_drums))),
        extras=extras,
        crash=int(random.choice(CRASHES)),
        ride=int(random.choice(RIDES)),
    )


def bars(random: Generator, kit: Kit, first: int, count: int, energy: float, beats: int) -> list[Struck]:
    """
    Some bars of a section.

    Args:
        random: of what varies.
        kit: of the song.
        first: the bar it begins with.
        count: of bars.
        energy: 0 to 1: how much is played, and how loudly.
        beats: of a bar, 3 or 4.
    """
    notes: list[Struck] = []
    has_snare, on_ride = energy > 0.3, energy > 0.6 and random.random() < 0.5
    if energy > 0.5 and random.random() < 0.8:
        notes.append(Struck(first * beats, 1.0, kit.crash, 0.9))
    for bar in range(first, first + count):
        ends = bar == first + count - 1
        fill = float(random.choice([0, 1, 2, 4])) if ends and energy > 0.25 and random.random() < 0.75 else 0.0
        until = beats - min(fill, beats)
        start = bar * beats
        loudness = 0.72 + 0.28 * energy
        lines = [(KICK, _varied(random, kit.kick, 0.04))]
        if has_snare:
            lines.append((kit.snare_drum, _varied(random, kit.snare, 0.03)))
        lines.append((kit.ride if on_ride else CLOSED, kit.hat))
        lines += kit.extras if energy > 0.45 else ()
        for drum, rhythm in lines:
            notes += _strokes(random, drum, rhythm, start, until, loudness)
        if fill:
            notes += _fill(random, start + until, start + beats, loudness)
    return notes


def _one(random: Generator, choices: tuple[str, ...]) -> str:
    return choices[int(random.integers(len(choices)))]


def _varied(random: Generator, rhythm: str, chance: float) -> str:
    """A rhythm with some strokes added softly or left out, the first one kept."""
    changed = [
        sign if index == 0 or random.random() > chance else ("-" if sign == "." else "." if sign == "x" else sign)
        for index, sign in enumerate(rhythm)
    ]
    return "".join(changed)


def _strokes(random: Generator, drum: int, rhythm: str, start: float, until: float, loudness: float) -> list[Struck]:
    notes = []
    for index, sign in enumerate(rhythm):
        if sign in _FORCE and index * 0.25 < until:
            hit = OPEN if drum == CLOSED and sign == "X" and random.random() < 0.12 else drum
            notes.append(Struck(start + index * 0.25, _STROKE, hit, _FORCE[sign] * loudness))
    return notes


def _fill(random: Generator, start: float, end: float, loudness: float) -> list[Struck]:
    """Snare and toms, from high to low, growing."""
    step = float(random.choice([0.25, 0.25, 0.5, 1 / 3]))
    count = max(1, round((end - start) / step))
    kind = int(random.integers(3))
    notes = []
    for index in range(count):
        if random.random() < 0.12:
            continue
        share = index / count
        drum = SNARE if kind == 0 or (kind == 1 and share < 0.5) else TOMS[int(share * len(TOMS))]
        notes.append(Struck(start + index * step, _STROKE, drum, (0.6 + 0.35 * share) * loudness))
    notes.append(Struck(start, _STROKE, KICK, 0.8 * loudness))
    return notes
