"""A whole song by rule: style, key, tempo, form, and what everybody plays and sings."""

from collections.abc import Sequence
from dataclasses import replace

from numpy.random import Generator

from stemsplit.practice import accompaniment, bass, drums
from stemsplit.practice.form import Section, a_form
from stemsplit.practice.groove import Groove, Struck
from stemsplit.practice.harmony import Chord, Key, a_key, a_progression, chords
from stemsplit.practice.melody import Tone, melody
from stemsplit.practice.score import Part, Score, Sung, Voice
from stemsplit.practice.styles import PROGRAMS, STYLES, Style
from stemsplit.practice.syllables import words

_SHORTEST, _LONGEST = 34.0, 62.0  # seconds a song lasts, its last sounds left out
_RING = 2.0  # seconds for what rings on
_LOW_ROLES = ("distorted guitar", "overdriven guitar", "jazz guitar")
_HIGH_ROLES = ("bells", "flute", "fiddle", "guitar solo", "vibraphone")


def compose(random: Generator, singers: Sequence[float]) -> Score:
    """
    Compose a song.

    Args:
        random: decides everything.
        singers: MIDI pitch around which each of the two singers sings, the lead first.
    """
    style = STYLES[int(random.integers(len(STYLES)))]
    beats = 3 if style.name in ("ballad", "country", "jazz") and random.random() < 0.15 else 4
    groove = Groove(
        float(random.uniform(*style.tempo)), float(random.uniform(*style.swing)), style.swung, style.looseness
    )
    key = a_key(random, style.modes)
    players = _players(random, style)
    bars = round(float(random.uniform(_SHORTEST, _LONGEST)) * groove.tempo / 60 / beats)
    sections = a_form(random, style, bars, len(players))
    harmony = _harmony(random, style, key, sections, beats)
    kit = drums.a_kit(random, style)
    parts = [
        *_drums(random, style, groove, sections, kit, beats),
        *_bass(random, style, groove, sections, harmony, key, kit.kick),
        *_others(random, groove, sections, harmony, key, players, beats),
    ]
    last = sections[-1]
    seconds = groove.seconds((last.first + last.bars) * beats) + _RING
    voices = _voices(random, groove, sections, harmony, key, singers, beats)
    return Score(style.name, groove.tempo, seconds, tuple(parts), tuple(voices))


def _players(random: Generator, style: Style) -> list[tuple[str, str, int]]:
    """Role, manner and program of two to four accompanying players."""
    count = int(random.choice([2, 3, 3, 4]))
    chosen = random.choice(len(style.players), min(count, len(style.players)), replace=False)
    return [(*style.players[index], int(random.choice(PROGRAMS[style.players[index][0]]))) for index in chosen]


def _harmony(random: Generator, style: Style, key: Key, sections: Sequence[Section], beats: int) -> list[list[Chord]]:
    """Chords of each section; sections of one name have the same."""
    degrees: dict[str, tuple[int, ...]] = {}
    tones = int(random.choice(list(style.tones)))
    pace = beats * float(random.choice([0.5, 1, 1, 1, 2] if beats == 4 else [1]))
    for section in sections:
        if section.name not in degrees:
            shared = [*degrees.values()] if random.random() < 0.35 else []
            degrees[section.name] = shared[0] if shared else a_progression(random, key)
    return [
        chords(key, degrees[section.name], pace, section.first * beats, section.bars * beats, tones)
        for section in sections
    ]


def _drums(
    random: Generator, style: Style, groove: Groove, sections: Sequence[Section], kit: drums.Kit, beats: int
) -> list[Part]:
    notes: list[Struck] = []
    for section in sections:
        if section.drums:
            notes += drums.bars(random, kit, section.first, section.bars, section.energy, beats)
    program = int(random.choice(list(style.kits)))
    return [Part("drums", "kit", 0, groove.played(notes, random), kit=program)] if notes else []


def _bass(
    random: Generator,
    style: Style,
    groove: Groove,
    sections: Sequence[Section],
    harmony: Sequence[Sequence[Chord]],
    key: Key,
    kick: str,
) -> list[Part]:
    kinds = {section.name: str(random.choice(list(style.lines))) for section in sections}
    notes: list[Struck] = []
    for section, progression in zip(sections, harmony, strict=True):
        if section.bass:
            notes += bass.line(random, kinds[section.name], progression, key, kick, section.energy)
    program = int(random.choice(list(style.basses)))
    late = float(random.uniform(-0.004, 0.012))
    return [Part("bass", "bass", program, groove.played(notes, random, late))] if notes else []


def _others(
    random: Generator,
    groove: Groove,
    sections: Sequence[Section],
    harmony: Sequence[Sequence[Chord]],
    key: Key,
    players: Sequence[tuple[str, str, int]],
    beats: int,
) -> list[Part]:
    parts = []
    for number, (role, manner, program) in enumerate(players):
        centre = 54.0 if role in _LOW_ROLES else 74.0 if role in _HIGH_ROLES else float(random.uniform(58, 68))
        notes: list[Struck] = []
        for section, progression in zip(sections, harmony, strict=True):
            if number not in section.players:
                continue
            if manner != "lead":
                notes += accompaniment.figure(random, manner, progression, centre, section.energy)
            elif not section.vocals or random.random() < 0.3:
                tones = melody(random, key, progression, max(centre, 66.0), 0.7, beats)
                notes += [_as_struck(key, tone) for phrase in tones for tone in phrase]
        if notes:
            parts.append(Part("other", role, program, groove.played(notes, random)))
    return parts


def _as_struck(key: Key, tone: Tone) -> Struck:
    return Struck(tone.beat, tone.beats * 0.95, key.pitch(tone.step), 0.78)


def _voices(
    random: Generator,
    groove: Groove,
    sections: Sequence[Section],
    harmony: Sequence[Sequence[Chord]],
    key: Key,
    singers: Sequence[float],
    beats: int,
) -> list[Voice]:
    """The lead, its double in some choruses, and one or two harmonies in thirds."""
    lead: list[Sung] = []
    double: list[Sung] = []
    above: list[Sung] = []
    below: list[Sung] = []
    lyrics = words(random)
    has_double, has_above, has_below = (random.random() < chance for chance in (0.4, 0.5, 0.3))
    for section, progression in zip(sections, harmony, strict=True):
        if not section.vocals:
            continue
        density = 0.35 + 0.5 * float(random.random())
        is_full = section.name in ("chorus", "bridge")
        centre = singers[0] + (3 if section.name == "chorus" else -1)
        third_above, third_below = (_third(rise, centre, singers[1]) for rise in (2, -2))
        for phrase in melody(random, key, progression, centre, density, beats):
            text = lyrics.phrase(random, len(phrase))
            sung = _sung(groove, key, phrase, text, 0.65 + 0.3 * section.energy)
            lead += sung
            if is_full and has_double:
                double += [replace(note, start=note.start + 0.012) for note in sung]
            if is_full and has_above and random.random() < 0.8:
                above += _sung(groove, key, phrase, text, 0.6, third_above)
            if is_full and has_below and random.random() < 0.8:
                below += _sung(groove, key, phrase, text, 0.55, third_below)
    found = (("lead", 0, lead), ("double", 0, double), ("harmony", 1, above), ("harmony", 1, below))
    return [Voice(role, singer, tuple(notes)) for role, singer, notes in found if notes]


def _third(steps: int, lead: float, harmony: float) -> int:
    """Steps of the scale from one voice to another, in the octave in which the other singer is at ease."""
    return steps + 7 * round((harmony - lead - steps * 12 / 7) / 12)


def _sung(
    groove: Groove, key: Key, phrase: Sequence[Tone], text: Sequence[str], loudness: float, rise: int = 0
) -> list[Sung]:
    notes = []
    for tone, word in zip(phrase, text, strict=True):
        start = groove.seconds(tone.beat)
        end = groove.seconds(tone.beat + tone.beats)
        notes.append(Sung(start, end - start, float(key.pitch(tone.step + rise)), word, loudness))
    return notes
