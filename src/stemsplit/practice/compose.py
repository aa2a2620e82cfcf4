"""A whole song by rule: style, key, tempo, form, and what everybody plays and sings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class _Plan:
    """What everybody who plays is told: style, time, key, beats of a bar, and each section with its chords."""

    style: Style
    groove: Groove
    key: Key
    bar: int
    sections: Sequence[tuple[Section, Sequence[Chord]]]


def compose(random: Generator, singers: Sequence[float]) -> Score:
    """
    Compose a song.

    Args:
        random: decides everything.
        singers: MIDI pitch around which each of the two singers sings, the lead first.
    """
    style = STYLES[int(random.integers(len(STYLES)))]
    bar = 3 if random.random() < style.waltz else 4
    tempo, swing = float(random.uniform(*style.tempo)), float(random.uniform(*style.swing))
    groove = Groove(tempo, swing, style.swung, style.looseness)
    key = a_key(random, style.modes)
    players = _players(random, style)
    bars = round(float(random.uniform(_SHORTEST, _LONGEST)) * tempo / 60 / bar)
    sections = a_form(random, style, bars, len(players))
    plan = _Plan(style, groove, key, bar, _with_chords(random, style, key, bar, sections))
    kit = drums.a_kit(random, style)
    parts = [*_drums(random, plan, kit), *_bass(random, plan, kit.kick), *_others(random, plan, players)]
    end = groove.seconds((sections[-1].first + sections[-1].bars) * bar)
    return Score(style.name, tempo, end + _RING, tuple(parts), tuple(_voices(random, plan, singers)))


def _players(random: Generator, style: Style) -> list[tuple[str, str, int]]:
    """Role, manner and program of two to four accompanying players."""
    count = int(random.choice([2, 3, 3, 4]))
    chosen = random.choice(len(style.players), min(count, len(style.players)), replace=False)
    return [(*style.players[index], int(random.choice(PROGRAMS[style.players[index][0]]))) for index in chosen]


def _with_chords(
    random: Generator, style: Style, key: Key, bar: int, sections: Sequence[Section]
) -> list[tuple[Section, list[Chord]]]:
    """Each section with its chords; those of one name have the same."""
    degrees: dict[str, tuple[int, ...]] = {}
    tones = int(random.choice(list(style.tones)))
    pace = bar * float(random.choice([0.5, 1, 1, 1, 2] if bar == 4 else [1]))
    for section in sections:
        if section.name not in degrees:
            shared = [*degrees.values()] if random.random() < 0.35 else []
            degrees[section.name] = shared[0] if shared else a_progression(random, key)
    return [
        (section, chords(key, degrees[section.name], pace, section.first * bar, section.bars * bar, tones))
        for section in sections
    ]


def _drums(random: Generator, plan: _Plan, kit: drums.Kit) -> list[Part]:
    notes: list[Struck] = []
    for section, _ in plan.sections:
        if section.drums:
            notes += drums.bars(random, kit, section.first, section.bars, section.energy, plan.bar)
    program = int(random.choice(list(plan.style.kits)))
    return [Part("drums", "kit", 0, plan.groove.played(notes, random), kit=program)] if notes else []


def _bass(random: Generator, plan: _Plan, kick: str) -> list[Part]:
    kinds = {section.name: str(random.choice(list(plan.style.lines))) for section, _ in plan.sections}
    notes: list[Struck] = []
    for section, progression in plan.sections:
        if section.bass:
            notes += bass.line(random, kinds[section.name], progression, plan.key, kick, plan.bar, section.energy)
    program = int(random.choice(list(plan.style.basses)))
    late = float(random.uniform(-0.004, 0.012))
    return [Part("bass", "bass", program, plan.groove.played(notes, random, late))] if notes else []


def _others(random: Generator, plan: _Plan, players: Sequence[tuple[str, str, int]]) -> list[Part]:
    parts = []
    for number, (role, manner, program) in enumerate(players):
        centre = 54.0 if role in _LOW_ROLES else 74.0 if role in _HIGH_ROLES else float(random.uniform(58, 68))
        notes: list[Struck] = []
        for section, progression in plan.sections:
            if number not in section.players:
                continue
            if manner != "lead":
                notes += accompaniment.figure(random, manner, progression, centre, plan.bar, section.energy)
            elif not section.vocals or random.random() < 0.3:
                phrases = melody(random, plan.key, progression, max(centre, 66.0), 0.7, plan.bar)
                notes += [_as_struck(plan.key, tone) for phrase in phrases for tone in phrase]
        if notes:
            parts.append(Part("other", role, program, plan.groove.played(notes, random)))
    return parts


def _as_struck(key: Key, tone: Tone) -> Struck:
    return Struck(tone.beat, tone.beats * 0.95, key.pitch(tone.step), 0.78)


def _voices(random: Generator, plan: _Plan, singers: Sequence[float]) -> list[Voice]:
    """The lead; in some choruses the lead once more, and the other singer a third away or that and octaves."""
    lyrics = words(random)
    chances = {"double": 0.4, "upper": 0.5, "lower": 0.3}
    joining = [name for name, chance in chances.items() if random.random() < chance]
    sung: dict[str, list[Sung]] = {"lead": [], "double": [], "upper": [], "lower": []}
    for section, progression in plan.sections:
        if not section.vocals:
            continue
        density = 0.35 + 0.5 * float(random.random())
        centre = singers[0] + (3 if section.name == "chorus" else -1)
        steps = {"upper": _third(2, centre, singers[1]), "lower": _third(-2, centre, singers[1])}
        for phrase in melody(random, plan.key, progression, centre, density, plan.bar):
            text = lyrics.phrase(random, len(phrase))
            lead = _sung(plan, phrase, text, 0.65 + 0.3 * section.energy)
            sung["lead"] += lead
            if section.name not in ("chorus", "bridge"):
                continue
            if "double" in joining:
                sung["double"] += [replace(note, start=note.start + 0.012) for note in lead]
            for name in joining:
                if name in steps and random.random() < 0.8:
                    sung[name] += _sung(plan, phrase, text, 0.6, steps[name])
    roles = {"lead": ("lead", 0), "double": ("double", 0), "upper": ("harmony", 1), "lower": ("harmony", 1)}
    return [Voice(*roles[name], tuple(notes)) for name, notes in sung.items() if notes]


def _third(steps: int, lead: float, harmony: float) -> int:
    """Steps of the scale from one voice to another, in the octave in which the other singer is at ease."""
    return steps + 7 * round((harmony - lead - steps * 12 / 7) / 12)


def _sung(plan: _Plan, phrase: Sequence[Tone], text: Sequence[str], loudness: float, rise: int = 0) -> list[Sung]:
    notes = []
    for tone, syllable in zip(phrase, text, strict=True):
        start, end = plan.groove.seconds(tone.beat), plan.groove.seconds(tone.beat + tone.beats)
        notes.append(Sung(start, end - start, float(plan.key.pitch(tone.step + rise)), syllable, loudness))
    return notes
