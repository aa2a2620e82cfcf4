"""A song's stems mixed as records are: parts shaped and placed, stems levelled, one master gain over all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from stemsplit.practice import effects
from stemsplit.practice.effects import Audio
from stemsplit.practice.score import RATE

SOURCES = ("drums", "bass", "other", "vocals")

_LEVELS = {"drums": 0.5, "bass": 1.0, "other": -1.0, "vocals": 1.0}  # dB of stems in a balanced mixture
_SPREAD = 1.5  # dB, standard deviation of those
_RINGS_OUT = round(0.3 * RATE)  # frames of the fade at the end


@dataclass(frozen=True)
class Take:
    """What one instrument or singer has recorded: its source, its role, and [2, frames] at 44.1 kHz."""

    source: str
    role: str
    audio: Audio


def mixed(random: Generator, takes: Sequence[Take]) -> dict[str, Audio]:
    """
    Stems of a finished song.

    Args:
        random: decides how it is mixed.
        takes: what was recorded, all of one length, at least one.

    Returns:
        [2, frames] for every source, silent where nobody plays. They and their sum, the mixture, stay below
        full scale.
    """
    frames = takes[0].audio.shape[-1]
    wetness = float(random.uniform(0.3, 1.4))
    stems = {}
    for source in SOURCES:
        own = [take for take in takes if take.source == source]
        stems[source] = _stem(random, source, own, wetness) if own else np.zeros((2, frames), np.float32)
    return _mastered(random, stems)


def _levelled(audio: Audio, level: float) -> Audio:
    now = effects.loudness(audio)
    return audio * np.float32(10 ** ((level - now) / 20)) if np.isfinite(now) else audio


def _stem(random: Generator, source: str, takes: Sequence[Take], wetness: float) -> Audio:
    """The takes of one source, each shaped and placed, then glued."""
    room = effects.room(random, float(random.uniform(0.25, 2.4)), float(random.random()))
    delay = float(random.uniform(0.0, 0.03))
    stem = np.zeros_like(takes[0].audio)
    send = np.zeros_like(stem)
    for take in takes:
        if not np.any(take.audio):
            continue
        level = -20.0 + float(random.normal(0, 2.5)) - (5.0 if take.role in ("harmony", "double") else 0.0)
        shaped = _levelled(_shaped(random, take), level)
        stem += shaped
        send += shaped * np.float32(_send(random, take) * wetness)
    stem += effects.reverberated(send, room, delay)
    if random.random() < 0.5:
        stem = effects.compressed(stem, float(random.uniform(3, 12)), float(random.uniform(1.5, 4)), 0.012, 0.12)
    if source == "drums" and random.random() < 0.4:  # parallel compression, the sound of many records
        stem += np.float32(random.uniform(0.2, 0.6)) * effects.compressed(stem, 24, 10, 0.003, 0.08)
    return stem


def _shaped(random: Generator, take: Take) -> Audio:
    """Equaliser, saturation, compressor, echo and place of one take."""
    audio = effects.equalised(take.audio, _equaliser(random, take.source))
    drive = {"bass": 0.5, "vocals": 0.3, "drums": 0.3}.get(take.source, 0.25)
    if random.random() < drive:
        audio = effects.saturated(audio, float(random.uniform(-6, 10)))
    if take.source in ("vocals", "bass") or random.random() < 0.3:
        audio = effects.compressed(audio, float(random.uniform(4, 16)), float(random.uniform(2, 6)), 0.008, 0.1)
    if take.role in ("lead", "guitar solo", "synth", "double") and random.random() < 0.4:
        audio = effects.echoed(audio, float(random.uniform(0.12, 0.5)), float(random.uniform(0.1, 0.5)))
    if take.source == "other" and random.random() < 0.35:
        audio = effects.doubled(audio, float(random.uniform(0.004, 0.022)))
    return effects.placed(audio, *_place(random, take))


def _equaliser(random: Generator, source: str) -> NDArray[np.float64]:
    """A few bells and shelves, and what keeps each source out of the others' way."""
    sections = [
        effects.peak(float(np.exp(random.uniform(np.log(120), np.log(8000)))), float(random.normal(0, 3.5)), 0.9)
        for _ in range(int(random.integers(1, 4)))
    ]
    sections.append(effects.shelf(float(random.uniform(2500, 9000)), float(random.normal(0, 3.5)), True))
    sections.append(effects.shelf(float(random.uniform(80, 350)), float(random.normal(0, 2.5)), False))
    lowest = {"drums": (20, 45), "bass": (20, 40), "other": (40, 220), "vocals": (70, 180)}[source]
    sections.append(effects.high_pass(float(random.uniform(*lowest))))
    if source == "bass" and random.random() < 0.4:
        sections.append(effects.low_pass(float(random.uniform(900, 6000))))
    if source != "bass" and random.random() < 0.1:
        sections.append(effects.low_pass(float(random.uniform(6000, 14_000))))
    return np.concatenate(sections)


def _place(random: Generator, take: Take) -> tuple[float, float]:
    """Position and width."""
    if take.role in ("bass", "lead") and take.source != "other":
        return float(random.normal(0, 0.03)), float(random.uniform(0, 0.3))
    if take.role == "kit":
        return 0.0, float(random.uniform(0.3, 1.3))
    return float(random.uniform(-0.75, 0.75)), float(random.uniform(0.2, 1.2))


def _send(random: Generator, take: Take) -> float:
    """How much of a take is sent to the room."""
    most = {"bass": 0.05, "kit": 0.25, "lead": 0.35, "double": 0.4, "harmony": 0.45, "pad": 0.5}.get(take.role, 0.35)
    return float(random.uniform(0.0, most))


def _mastered(random: Generator, stems: Mapping[str, Audio]) -> dict[str, Audio]:
    """Balanced, faded out, and limited by one gain for all."""
    balanced = {
        source: _levelled(stem, -20.0 + _LEVELS[source] + float(random.normal(0, _SPREAD)))
        for source, stem in stems.items()
    }
    mixture = np.sum(list(balanced.values()), axis=0)
    loudest = float(np.max(np.abs(mixture)))
    ceiling = float(random.uniform(0.7, 0.97))
    push = 10 ** (max(0.0, float(random.normal(2.0, 2.5))) / 20)  # how far peaks stand above the ceiling
    scale = np.float32(ceiling * push / max(loudest, 1e-6))
    signals = np.concatenate([mixture, *balanced.values()])  # stems alone may be louder than what they add up to
    gain = effects.limiter_gain(signals * scale, ceiling) * scale
    gain[-_RINGS_OUT:] *= np.linspace(1, 0, _RINGS_OUT, dtype=np.float32)
    return {source: (stem * gain).astype(np.float32) for source, stem in balanced.items()}
