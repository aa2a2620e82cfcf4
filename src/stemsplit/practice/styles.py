"""Styles of music: the ranges within which a song is composed."""

from dataclasses import dataclass

POWER, TRIAD, SEVENTH = 2, 3, 4  # tones of a chord
SIDE_STICK, SNARE, CLAP, ELECTRIC_SNARE = 37, 38, 39, 40  # of a General MIDI drum kit


@dataclass(frozen=True, slots=True)
class Style:
    """
    What songs of a style have in common.

    Attributes:
        name: of the style.
        tempo: lowest and highest, in beats a minute.
        swing: least and most; see `Groove`.
        swung: beats of the pair that is swung.
        modes: of the keys.
        tones: how many a chord may have.
        kicks, snares, hats: rhythms of one bar in sixteenths: "X" accent, "x" stroke, "-" ghost, "." rest.
        kits: General MIDI drum kits.
        basses: General MIDI programs of the bass.
        lines: how the bass moves, of `bass.KINDS`.
        players: pairs of a role and how it plays, of `accompaniment.MANNERS` or "lead"; songs choose some.
        sung: probability that a section has vocals.
        looseness: of onsets, in seconds.
        snare_drums: what the snare's rhythm is played on.
        waltz: probability of three beats in a bar.
    """

    name: str
    tempo: tuple[float, float]
    swing: tuple[float, float]
    swung: float
    modes: tuple[str, ...]
    tones: tuple[int, ...]
    kicks: tuple[str, ...]
    snares: tuple[str, ...]
    hats: tuple[str, ...]
    kits: tuple[int, ...]
    basses: tuple[int, ...]
    lines: tuple[str, ...]
    players: tuple[tuple[str, str], ...]
    sung: float = 0.85
    looseness: float = 0.008
    snare_drums: tuple[int, ...] = (SNARE, SNARE, SNARE, ELECTRIC_SNARE)
    waltz: float = 0.0


_BACKBEAT = "....X.......X..."
_EIGHTHS = "x.x.x.x.x.x.x.x."
_ACCENTED = "X.x.X.x.X.x.X.x."
_SIXTEENTHS = "x-x-x-x-x-x-x-x-"

STYLES: tuple[Style, ...] = (
    Style(
        "pop", (88, 132), (0.0, 0.12), 0.5, ("major", "minor", "major"), (TRIAD, TRIAD, SEVENTH),
        ("X.......X.......", "X.....x.X.......", "X..x....X.x.....", "X.......X.x...x.", "X..x..x.X......."),
        (_BACKBEAT, "....X.......X..-", "....X..-.-..X..."),
        (_EIGHTHS, _ACCENTED, _SIXTEENTHS, "..x...x...x...x."),
        (0, 8, 16, 24), (33, 34, 38, 39), ("roots", "eighths", "syncopated", "with kick"),
        (("piano", "block"), ("electric piano", "block"), ("clean guitar", "strum"), ("pad", "hold"),
         ("strings", "hold"),
         ("synth", "arpeggio"), ("acoustic guitar", "pick"), ("bells", "lead"), ("lead", "lead")),
    ),
    Style(
        "rock", (96, 168), (0.0, 0.06), 0.5, ("major", "minor", "mixolydian"), (POWER, TRIAD),
        ("X.......X.x.....", "X.x.....X.x.....", "X.....x.X.x.....", "X...x...X.x.x...", "X.xx....X.x...x."),
        (_BACKBEAT, "....X.......X.-.", "....X..X....X..."),
        (_EIGHTHS, _ACCENTED, "X...x...X...x..."),
        (0, 8, 16), (33, 34, 34), ("eighths", "roots", "with kick"),
        (("distorted guitar", "chug"), ("distorted guitar", "strum"), ("overdriven guitar", "strum"), ("organ", "hold"),
         ("clean guitar", "pick"), ("piano", "block"), ("guitar solo", "lead"), ("overdriven guitar", "block")),
    ),
    Style(
        "punk", (150, 196), (0.0, 0.0), 0.5, ("major", "minor"), (POWER, TRIAD),
        ("X.X...X.X.X...X.", "X...X...X...X...", "X.....X.X.....X."),
        (_BACKBEAT, "..X...X...X...X."), (_EIGHTHS, "X...X...X...X..."),
        (0, 16), (34,), ("eighths",),
        (("distorted guitar", "chug"), ("overdriven guitar", "strum"), ("distorted guitar", "strum"),
         ("guitar solo", "lead")),
        looseness=0.01,
    ),
    Style(
        "funk", (92, 118), (0.0, 0.2), 0.5, ("dorian", "mixolydian", "minor"), (SEVENTH,),
        ("X..x..x..x......", "X.x....x..x..x..", "X......x.xx.....", "X..X......x..x.."),
        ("....X..-.-..X..-", "....X..-.-.-X...", "..-.X..-.-..X.-."),
        (_SIXTEENTHS, _ACCENTED, "x-xxx-x-x-xxx-x-"),
        (0, 8, 16), (33, 36, 37, 38), ("syncopated", "octaves", "with kick"),
        (("clean guitar", "scratch"), ("electric piano", "stab"), ("clavinet", "scratch"), ("brass", "stab"),
         ("organ", "hold"),
         ("saxophone", "lead"), ("muted guitar", "arpeggio")),
    ),
    Style(
        "disco", (110, 126), (0.0, 0.06), 0.5, ("minor", "major", "dorian"), (TRIAD, SEVENTH),
        ("X...X...X...X...",), (_BACKBEAT,), ("..X...X...X...X.", "x.X.x.X.x.X.x.X.", _SIXTEENTHS),
        (0, 8, 25), (33, 36, 38, 39), ("octaves", "eighths", "syncopated"),
        (("strings", "hold"), ("strings", "lead"), ("clean guitar", "scratch"), ("piano", "stab"), ("brass", "stab"),
         ("synth", "arpeggio"), ("electric piano", "block")),
    ),
    Style(
        "house", (118, 130), (0.0, 0.14), 0.5, ("minor", "dorian", "phrygian"), (TRIAD, SEVENTH),
        ("X...X...X...X...", "X...X...X...X..x"), ("....X.......X...", "............X...", "....X.......X.-."),
        ("..X...X...X...X.", _SIXTEENTHS, "x.X.x.X.x.X.x.X."),
        (24, 25), (38, 39, 81, 87), ("octaves", "off beats", "syncopated", "with kick"),
        (("synth", "arpeggio"), ("pad", "hold"), ("piano", "stab"), ("synth", "stab"), ("organ", "stab"),
         ("lead", "lead"),
         ("pad", "hold")),
        sung=0.7, looseness=0.002,
        snare_drums=(SNARE, SNARE, ELECTRIC_SNARE, CLAP),
    ),
    Style(
        "hip hop", (76, 104), (0.08, 0.28), 0.5, ("minor", "dorian", "phrygian"), (TRIAD, SEVENTH),
        ("X......x..X.....", "X..x......X..x..", "X.x....x..X.....", "X......X.xX....."),
        (_BACKBEAT, "....X.......X-..", "....X..-....X..."), (_EIGHTHS, "x.x.x.xxx.x.x.x.", _SIXTEENTHS),
        (0, 8, 25, 24), (33, 35, 38, 39), ("roots", "syncopated", "with kick"),
        (("electric piano", "block"), ("piano", "arpeggio"), ("strings", "hold"), ("pad", "hold"), ("flute", "lead"),
         ("bells", "arpeggio"), ("muted guitar", "arpeggio")),
        snare_drums=(SNARE, SNARE, ELECTRIC_SNARE, CLAP),
    ),
    Style(
        "trap", (65, 80), (0.0, 0.0), 0.5, ("minor", "phrygian"), (TRIAD,),
        ("X.....x...X.....", "X..x......x..x..", "X.........X..x.."), ("........X.......", "........X.....-."),
        ("x.x.x.x.x.x.xxxx", "x.xxx.x.x.x.xxx.", "xxxxx.x.xxxxx.x."),
        (25, 24), (38, 39, 87), ("roots", "with kick"),
        (("bells", "arpeggio"), ("pad", "hold"), ("piano", "arpeggio"), ("flute", "lead"), ("choir pad", "hold"),
         ("lead", "lead")),
        looseness=0.002,
        snare_drums=(SNARE, SNARE, ELECTRIC_SNARE, CLAP),
    ),
    Style(
        "ballad", (58, 84), (0.0, 0.1), 1.0, ("major", "minor"), (TRIAD, SEVENTH),
        ("X.......X.......", "X.....x.X.......", "X..........x...."),
         (_BACKBEAT, "............X...", "........X......."),
        (_EIGHTHS, "X...x...X...x...", "x...x...x...x..."),
        (0, 8, 40), (32, 33, 35), ("roots", "fifths"),
        (("piano", "arpeggio"), ("piano", "block"), ("strings", "hold"), ("acoustic guitar", "pick"), ("pad", "hold"),
         ("electric piano", "block"), ("choir pad", "hold"), ("flute", "lead")),
        sung=0.95, looseness=0.012,
        snare_drums=(SNARE, SNARE, SNARE, ELECTRIC_SNARE, SIDE_STICK), waltz=0.15,
    ),
    Style(
        "reggae", (66, 92), (0.0, 0.25), 1.0, ("major", "minor", "dorian"), (TRIAD, SEVENTH),
        ("........X.......", "X.......X.......", "x...x...X...x..."), ("........X.......", "........X.....-."),
        (_EIGHTHS, "x.xxx.x.x.xxx.x."),
        (0, 8), (33, 35), ("reggae", "roots", "fifths"),
        (("clean guitar", "off beats"), ("organ", "off beats"), ("piano", "off beats"), ("brass", "stab"),
         ("muted guitar", "arpeggio"),
         ("organ", "hold")),
        snare_drums=(SNARE, SNARE, SNARE, ELECTRIC_SNARE, SIDE_STICK),
    ),
    Style(
        "country", (92, 140), (0.0, 0.2), 1.0, ("major", "mixolydian"), (TRIAD,),
        ("X.......X.......", "X.....x.X......."), (_BACKBEAT, "..x.x.x...x.X.x."), (_EIGHTHS, _SIXTEENTHS),
        (0, 8, 40), (32, 33, 34), ("fifths", "walking"),
        (("acoustic guitar", "strum"), ("acoustic guitar", "pick"), ("banjo", "arpeggio"), ("fiddle", "lead"),
         ("steel guitar", "lead"),
         ("piano", "block"), ("clean guitar", "pick")),
        waltz=0.15,
    ),
    Style(
        "jazz", (84, 150), (0.24, 0.33), 1.0, ("major", "dorian", "minor"), (SEVENTH,),
        ("-...-...-...-...", "x.......-.......", "X..-......-....."),
         ("....-.-.....-..-", "..-.....-..-....", "....x.......x..."),
        ("X...x.x.X...x.x.", "x...X.x.x...X.x."),
        (32, 40, 0), (32, 35), ("walking", "walking", "roots"),
        (("piano", "comp"), ("electric piano", "comp"), ("jazz guitar", "comp"), ("saxophone", "lead"),
         ("vibraphone", "lead"),
         ("muted trumpet", "lead"), ("organ", "comp")),
        looseness=0.014,
        snare_drums=(SNARE, SNARE, SNARE, ELECTRIC_SNARE, SIDE_STICK), waltz=0.15,
    ),
    Style(
        "metal", (120, 190), (0.0, 0.0), 0.5, ("minor", "phrygian"), (POWER,),
        ("X.X.X.X.X.X.X.X.", "XxXx..XxXx..XxXx", "X..X..X..X..X.X.", "X.x.....X.x.x.x."),
         (_BACKBEAT, "........X......."),
        ("X...X...X...X...", _EIGHTHS), (16, 0), (34,), ("with kick", "eighths"),
        (("distorted guitar", "chug"), ("distorted guitar", "chug"), ("guitar solo", "lead"),
         ("distorted guitar", "hold"),
         ("choir pad", "hold")),
        looseness=0.006,
    ),
    Style(
        "latin", (92, 128), (0.0, 0.05), 0.5, ("minor", "major", "dorian"), (TRIAD, SEVENTH),
        ("X..x..x.X..x..x.", "X.....x.X.....x.", "x..x..x.x..x..x."),
         ("...x..x....x..x.", "..x..x....x.x...", "...x..x....x..-."),
        (_SIXTEENTHS, _ACCENTED, "x-xxx-x-x-xxx-x-"),
        (0, 8), (32, 33, 35), ("tumbao", "syncopated", "fifths"),
        (("piano", "montuno"), ("brass", "stab"), ("nylon guitar", "pick"), ("nylon guitar", "strum"),
         ("flute", "lead"), ("marimba", "arpeggio"),
         ("muted trumpet", "lead")),
        snare_drums=(SNARE, SNARE, SNARE, ELECTRIC_SNARE, SIDE_STICK),
    ),
)  # fmt: skip

# General MIDI programs by the role that plays them.
PROGRAMS: dict[str, tuple[int, ...]] = {
    "piano": (0, 1, 2, 3),
    "electric piano": (4, 5),
    "clavinet": (7, 6),
    "bells": (8, 9, 10, 11, 14, 98, 108),
    "vibraphone": (11,),
    "marimba": (12, 13, 114),
    "organ": (16, 17, 18, 19, 21),
    "nylon guitar": (24,),
    "acoustic guitar": (24, 25, 25),
    "jazz guitar": (26,),
    "clean guitar": (27, 27, 26),
    "muted guitar": (28,),
    "overdriven guitar": (29,),
    "distorted guitar": (30, 30, 29),
    "guitar solo": (29, 30, 31),
    "strings": (48, 49, 50, 51, 44),
    "fiddle": (40, 110),
    "choir pad": (91, 89, 94),
    "brass": (61, 62, 63, 56, 57),
    "muted trumpet": (59, 56),
    "saxophone": (64, 65, 66, 67),
    "flute": (73, 75, 79, 72, 71),
    "steel guitar": (27, 25, 31),
    "banjo": (105, 25, 15),
    "synth": (80, 81, 82, 84, 86, 90, 62),
    "lead": (80, 81, 82, 83, 84, 87),
    "pad": (88, 89, 90, 92, 93, 94, 95, 50, 51),
}
