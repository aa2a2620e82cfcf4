"""Song form: which sections a song has, and who plays in each."""

from dataclasses import dataclass

from numpy.random import Generator

from stemsplit.practice.styles import Style


@dataclass(frozen=True, slots=True)
class Section:
    """
    A stretch of a song.

    Attributes:
        name: intro, verse, chorus, bridge, solo, break or outro; equal names share their chords.
        first: the bar it begins with.
        bars: how many it has.
        energy: 0 to 1.
        drums, bass, vocals: whether they take part.
        players: which of the song's accompanying players do, by number.
    """

    name: str
    first: int
    bars: int
    energy: float
    drums: bool
    bass: bool
    vocals: bool
    players: tuple[int, ...]


_FORMS = (
    ("intro", "verse", "chorus", "verse", "chorus"),
    ("intro", "verse", "chorus", "bridge", "chorus", "outro"),
    ("verse", "chorus", "solo", "chorus"),
    ("intro", "chorus", "verse", "chorus", "outro"),
    ("verse", "verse", "chorus", "break", "chorus"),
    ("intro", "verse", "solo", "verse", "outro"),
    ("chorus", "verse", "chorus", "solo", "chorus"),
    ("break", "verse", "chorus", "outro"),
)
_ENERGY = {"intro": 0.4, "verse": 0.5, "chorus": 0.9, "bridge": 0.5, "solo": 0.8, "break": 0.25, "outro": 0.5}
_NO_DRUMS = {"intro": 0.35, "break": 0.6, "outro": 0.2, "bridge": 0.25}
_NO_BASS = {"intro": 0.35, "break": 0.45, "bridge": 0.15, "outro": 0.15}
_INSTRUMENTAL = ("intro", "solo", "outro")
_SHORT = ("intro", "outro", "break")  # half as long as the others


def a_form(random: Generator, style: Style, bars: int, players: int) -> list[Section]:
    """
    Sections of about `bars` bars in all.

    Args:
        random: of the choice.
        style: how often it is sung.
        bars: about how many the song has.
        players: how many accompany.
    """
    names = _FORMS[int(random.integers(len(_FORMS)))]
    each = max(2, 2 * round(bars / sum(0.5 if name in _SHORT else 1 for name in names) / 2))
    sections = []
    first = 0
    for name in names:
        count = max(2, each // 2) if name in _SHORT else each
        energy = min(1.0, max(0.1, _ENERGY[name] + float(random.normal(0, 0.1))))
        vocals = random.random() < (0.12 if name in _INSTRUMENTAL else style.sung)
        drums = random.random() >= _NO_DRUMS.get(name, 0.04)
        bass = random.random() >= _NO_BASS.get(name, 0.05)
        playing = _playing(random, players, energy)
        if not (playing or vocals) or not (playing or drums or bass):
            playing = tuple(range(players))
        if random.random() < 0.05 and vocals and drums:
            playing = ()  # drums, bass and voice alone
        sections.append(Section(name, first, count, energy, drums, bass, vocals, playing))
        first += count
    return sections


def _playing(random: Generator, players: int, energy: float) -> tuple[int, ...]:
    return tuple(player for player in range(players) if random.random() < 0.45 + 0.5 * energy)
