"""Who sings: voices of different timbre and habits."""

from dataclasses import dataclass

import numpy as np

_WOMEN = ("f1", "f2", "f3", "f4", "f5", "Annie", "Alicia", "Andrea", "linda", "steph", "anika", "belinda", "aunty")
_MEN = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "Alex", "Andy", "Diogo", "Hugo", "marcelo", "Michael", "pablo")
_MORE_MEN = ("pedro", "travis", "victor", "max", "Lee", "Gene", "norbert", "rob", "miguel", "Marco", "klatt2", "klatt4")
_LANGUAGES = ("en-us", "en-gb", "it", "es", "de", "fr-fr", "pt-br", "sv", "nl", "ja")
_CHANCES = (0.4, 0.12, 0.08, 0.08, 0.08, 0.05, 0.07, 0.05, 0.04, 0.03)


@dataclass(frozen=True, slots=True)
class Singer:
    """
    A singer's timbre and habits.

    Attributes:
        variant: voice of eSpeak NG, such as "en-us+f3".
        centre: MIDI pitch in the middle of the comfortable range.
        formant_shift: ratio by which the formants lie higher than the eSpeak voice's.
        tilt: dB an octave above 1 kHz that the timbre is brighter than the eSpeak voice's.
        breathiness: 0 (clear) to 1 (whispered).
        roughness: 0 (smooth) to 1; irregular periods and loudness.
        vibrato_rate: Hz.
        vibrato_depth: semitones to either side.
        vibrato_onset: seconds into the note.
        drift: semitones that the pitch wanders, standard deviation.
        portamento: seconds of the glide between two notes.
        scoop: semitones that a phrase begins too low.
        tuning: semitones that a note is off, standard deviation.
        timing: seconds that a note is off, standard deviation.
        breath: loudness of the breaths between phrases, dB beside the voice.
    """

    variant: str
    centre: float
    formant_shift: float
    tilt: float
    breathiness: float
    roughness: float
    vibrato_rate: float
    vibrato_depth: float
    vibrato_onset: float
    drift: float
    portamento: float
    scoop: float
    tuning: float
    timing: float
    breath: float


def singer_of(random: np.random.Generator) -> Singer:
    """Draw a singer: a woman or a man, clear, breathy or rough, with little or much vibrato."""
    is_woman = random.random() < 0.5
    kind = random.choice(_WOMEN if is_woman else (*_MEN, *_MORE_MEN))
    manner = random.choice(["clear", "breathy", "rough", "trained"], p=[0.45, 0.2, 0.2, 0.15])
    low, high = {"clear": (0.0, 0.25), "breathy": (0.35, 0.75), "rough": (0.05, 0.4), "trained": (0.0, 0.1)}[manner]
    depth = random.uniform(0.35, 0.8) if manner == "trained" else random.choice([0.0, random.uniform(0.08, 0.45)])
    return Singer(
        variant=f"{random.choice(_LANGUAGES, p=_CHANCES)}+{kind}",
        centre=float(random.normal(66, 2.5) if is_woman else random.normal(56, 3)),
        formant_shift=float(random.uniform(0.94, 1.14) if is_woman else random.uniform(0.9, 1.12)),
        tilt=float(random.uniform(0.5, 4.0)),
        breathiness=float(random.uniform(low, high)),
        roughness=float(random.uniform(0.3, 1.0) if manner == "rough" else random.uniform(0.0, 0.15)),
        vibrato_rate=float(random.uniform(4.6, 6.8)),
        vibrato_depth=float(depth),
        vibrato_onset=float(random.uniform(0.12, 0.5)),
        drift=float(random.uniform(0.03, 0.12)),
        portamento=float(random.uniform(0.035, 0.13)),
        scoop=float(random.choice([0.3, random.uniform(0.5, 2.5)])),
        tuning=float(random.uniform(0.01, 0.12)),
        timing=float(random.uniform(0.0, 0.018)),
        breath=float(random.uniform(-26, -14)),
    )
