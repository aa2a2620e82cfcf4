"""
Synthetic multitracks: four instruments that share their spectrum, and folders of them on disk.

Every instrument reaches from its lowest note to the top of the spectrum, so that no filter separates them; what tells
them apart is how they sound: drums are thumps and bursts of noise, the bass is plucked, the other one holds chords, the
voice slides and quivers. All are equally loud over a song, so that the mixture is a bad estimate of each.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from signals import Block, write_sound

SOURCES = ("drums", "bass", "other", "vocals")
PHRASE_SECONDS = 2.0  # during which an instrument plays, or not
_PLAYING = 0.75  # the chance that it does
_BEAT_SECONDS = 0.25
_LEVEL = 0.08  # standard deviation of each stem

Signal = NDArray[np.float64]
Notes = Callable[[np.random.Generator, float, int, int], Signal]


def multitrack(seed: int, seconds: float = 24.0, rate: int = 44_100) -> dict[str, Block]:
    """A song as stems, [2, frames] each; every seed is another song, in another key."""
    random = np.random.default_rng([seed, 2022])
    frames = round(seconds * rate)
    tonic = 110 * 2 ** (random.integers(12) / 12)
    playing = _arrangement(random, frames, rate)
    stems = {}
    for row, (source, play) in enumerate(_INSTRUMENTS.items()):
        mono = play(random, tonic, frames, rate) * playing[row]
        pan = random.uniform(-0.4, 0.4)
        stereo = np.stack([mono * (1 - pan), mono * (1 + pan)])
        stems[source] = (_LEVEL * stereo / stereo.std()).astype(np.float32)
    return stems


def write_multitrack(
    folder: Path, stems: Mapping[str, Block], rate: int = 44_100, suffix: str = ".wav", mixture: bool = False
) -> Path:
    """A track folder: one file per stem, and the mixture if asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    files = dict(stems)
    if mixture:
        files["mixture"] = np.sum(list(stems.values()), axis=0, dtype=np.float32)
    for name, block in files.items():
        write_sound(folder / f"{name}{suffix}", block, rate, subtype="FLOAT" if suffix == ".wav" else None)
    return folder


def write_multitracks(folder: Path, seeds: Iterable[int], seconds: float = 4.0, rate: int = 44_100) -> Path:
    """A folder of track folders."""
    for seed in seeds:
        write_multitrack(folder / f"song {seed}", multitrack(seed, seconds, rate), rate)
    return folder


def _arrangement(random: np.random.Generator, frames: int, rate: int) -> Signal:
    """Who plays when, with faded edges. Shape: [instruments, frames]."""
    phrases = -(-frames // round(PHRASE_SECONDS * rate))
    on = random.random((len(_INSTRUMENTS), phrases)) < _PLAYING
    on[np.arange(len(on)), random.integers(phrases, size=len(on))] = True  # each plays at some time
    gate = np.repeat(on.astype(float), round(PHRASE_SECONDS * rate), axis=1)[:, :frames]
    fade = np.hanning(max(3, rate // 50))
    return np.stack([np.convolve(row, fade / fade.sum(), mode="same") for row in gate])


def _drums(random: np.random.Generator, tonic: float, frames: int, rate: int) -> Signal:
    """Noise bursts of two lengths, and a thump that falls in pitch on every second beat."""
    sound = np.zeros(frames)
    for beat, start in enumerate(range(0, frames, round(_BEAT_SECONDS * rate))):
        time = np.arange(min(rate // 4, frames - start)) / rate
        if beat % 2 == 0:
            sound[start : start + len(time)] += 3.0 * np.sin(60 * (1 - np.exp(-time * 12))) * np.exp(-time * 10)
        length = random.choice([0.012, 0.05])
        sound[start : start + len(time)] += random.standard_normal(len(time)) * np.exp(-time / length)
    return sound


def _bass(random: np.random.Generator, tonic: float, frames: int, rate: int) -> Signal:
    """Plucked saw teeth two octaves below the voice."""
    step = round(2 * _BEAT_SECONDS * rate)
    sound = np.zeros(frames)
    for start in range(0, frames, step):
        time = np.arange(min(step, frames - start)) / rate
        hertz = tonic / 2 * 2 ** (random.choice([0, 3, 5, 7, 10]) / 12)
        brightness = np.exp(-time * 6)
        sound[start : start + len(time)] = _harmonics(hertz * time, hertz, rate, 0.8 + brightness) * np.exp(-time * 3)
    return sound


def _other(random: np.random.Generator, tonic: float, frames: int, rate: int) -> Signal:
    """Chords of hollow, steady tones (odd harmonics only)."""
    step = round(PHRASE_SECONDS * rate / 2)
    sound = np.zeros(frames)
    for start in range(0, frames, step):
        time = np.arange(min(step, frames - start)) / rate
        root = random.choice([0, 3, 5, 7])
        for interval in (0, 4, 7):
            hertz = 2 * tonic * 2 ** ((root + interval) / 12)
            partials = range(1, max(2, int(0.45 * rate / hertz)), 2)
            sound[start : start + len(time)] += sum(np.sin(2 * np.pi * k * hertz * time) / k for k in partials)
    return sound


def _vocals(random: np.random.Generator, tonic: float, frames: int, rate: int) -> Signal:
    """A line that slides from note to note with a deep vibrato, through two formants."""
    step = round(3 * _BEAT_SECONDS * rate)
    notes = [random.choice([0, 2, 3, 5, 7, 10, 12]) for _ in range(-(-frames // step))]
    semitones = np.repeat(np.array(notes, float), step)[:frames]
    glide = np.hanning(rate // 5)
    semitones = np.convolve(semitones, glide / glide.sum(), mode="same")
    time = np.arange(frames) / rate
    hertz = 2 * tonic * 2 ** ((semitones + 0.7 * np.sin(2 * np.pi * 5.5 * time)) / 12)
    phase = np.cumsum(hertz) / rate
    tone = _harmonics(phase, float(hertz.max()), rate, np.full(frames, 1.2))
    return tone * (0.6 + 0.4 * np.sin(2 * np.pi * 1.3 * time) ** 2)


def _harmonics(phase: Signal, highest_hertz: float, rate: int, brightness: Signal) -> Signal:
    """All harmonics below the top of the spectrum; the brighter, the slower they fall off. Phase in turns."""
    partials = range(1, max(2, int(0.45 * rate / highest_hertz)))
    tone: Signal = np.sum([np.sin(2 * np.pi * k * phase) * k ** -(2.0 / (0.5 + brightness)) for k in partials], axis=0)
    return tone


_INSTRUMENTS: dict[str, Notes] = {"drums": _drums, "bass": _bass, "other": _other, "vocals": _vocals}
