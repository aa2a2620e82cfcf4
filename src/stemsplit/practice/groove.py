"""When things sound: bars and beats to seconds, with swing and a player's looseness."""

from dataclasses import dataclass

from numpy.random import Generator

from stemsplit.practice.score import Note


@dataclass(frozen=True, slots=True)
class Struck:
    """A note in beats from the song's beginning, as written rather than as played."""

    beat: float
    beats: float
    pitch: int
    velocity: float  # 0 to 1


def strokes(rhythm: str, bar: int, start: float, beats: float) -> list[tuple[float, float, str]]:
    """
    The strokes of a rhythm within a stretch, however the stretch lies in the bars.

    Args:
        rhythm: of one bar in sixteenths, "." for a rest; of a shorter bar its beginning.
        bar: beats of one.
        start: of the stretch, in beats from the song's beginning, where the first bar begins.
        beats: of the stretch.

    Returns:
        For each stroke its beats after `start`, its beats until the next one or the end, and its sign.
    """
    first = round(start * 4)
    signs = [rhythm[(first + index) % (bar * 4)] for index in range(int(beats * 4))]
    struck = [index for index, sign in enumerate(signs) if sign != "."]
    ends = [*struck[1:], len(signs)]
    return [(index / 4, (end - index) / 4, signs[index]) for index, end in zip(struck, ends, strict=False)]


@dataclass(frozen=True, slots=True)
class Groove:
    """
    How written time becomes played time.

    Attributes:
        tempo: beats a minute.
        swing: how far the second half of a pair is late, 0 (straight) to 0.33 (triplets), as a part of the pair.
        pair: beats of what is swung: 1 for eighths, 0.5 for sixteenths.
        looseness: standard deviation of onsets, in seconds.
    """

    tempo: float
    swing: float
    pair: float
    looseness: float

    def seconds(self, beat: float) -> float:
        """Where a beat lies."""
        whole, part = divmod(beat / self.pair, 1.0)
        half = 0.5 * (1 + self.swing)
        bent = part * half / 0.5 if part < 0.5 else half + (part - 0.5) * (1 - half) / 0.5
        return (whole + bent) * self.pair * 60 / self.tempo

    def played(self, written: list[Struck], random: Generator, late: float = 0.0) -> tuple[Note, ...]:
        """The notes as a person plays them, in order; `late` seconds behind the beat as a habit."""
        notes = []
        for note, shift, touch in zip(
            written, random.normal(0, self.looseness, len(written)), random.normal(0, 0.05, len(written)), strict=True
        ):
            start = max(0.0, self.seconds(note.beat) + late + shift)
            end = self.seconds(note.beat + note.beats)
            velocity = round(127 * min(1.0, max(0.1, note.velocity + touch)))
            notes.append(Note(start, max(0.03, end - start), int(note.pitch), max(1, min(127, velocity))))
        return tuple(sorted(notes, key=lambda note: (note.start, note.pitch)))
