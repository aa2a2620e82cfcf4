"""What is to be played and sung: notes in seconds, instrument by instrument."""

from dataclasses import dataclass, field

RATE = 44_100  # Hz, at which all is played, sung and mixed


@dataclass(frozen=True, slots=True)
class Note:
    """
    One note of an instrument.

    Attributes:
        start: seconds from the song's beginning.
        duration: seconds.
        pitch: MIDI number; in a drum kit, which drum.
        velocity: 1 to 127.
    """

    start: float
    duration: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Part:
    """
    What one instrument plays.

    Attributes:
        source: of the stem that it belongs to: drums, bass or other.
        role: what it does there, which decides how it is mixed: kit, bass, keys, guitar, pad, lead, strings, ...
        program: General MIDI's, 0 to 127; `kit` tells which drum kit it is instead.
        notes: in the order of their starts.
        kit: number of a General MIDI drum kit (0, 8, 16, ...), or None for a melodic instrument.
    """

    source: str
    role: str
    program: int
    notes: tuple[Note, ...]
    kit: int | None = None


@dataclass(frozen=True, slots=True)
class Sung:
    """
    One sung note.

    Attributes:
        start: seconds from the song's beginning; here the vowel begins, consonants come before it.
        duration: seconds.
        pitch: MIDI number.
        syllable: as eSpeak NG's phoneme input, such as "l'aI".
        loudness: 0 to 1.
    """

    start: float
    duration: float
    pitch: float
    syllable: str
    loudness: float = 0.8


@dataclass(frozen=True, slots=True)
class Voice:
    """
    What one singer sings.

    Attributes:
        role: lead, double (the lead once more) or harmony.
        singer: number of the singer in the song; equal numbers are one person.
        notes: in the order of their starts, never two at once; a gap ends a phrase.
    """

    role: str
    singer: int
    notes: tuple[Sung, ...]


@dataclass(frozen=True)
class Score:
    """A song, still silent."""

    style: str
    tempo: float  # beats a minute
    seconds: float
    parts: tuple[Part, ...] = field(repr=False)
    voices: tuple[Voice, ...] = field(repr=False)
