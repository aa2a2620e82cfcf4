"""
Contours of a sung phrase, a value each 5 ms: pitch with glides, scoops and vibrato, and loudness with accents.

Times are seconds from the phrase's first frame.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from stemsplit.practice.singers import Singer
from stemsplit.practice.vocoder import FRAMES_PER_SECOND, Floats


@dataclass(frozen=True, slots=True)
class Phrase:
    """
    Notes sung in one breath.

    Attributes:
        starts: seconds where the vowels begin. Shape: [N].
        end: seconds where the last note ends.
        pitches: MIDI numbers. Shape: [N].
        loudness: 0 to 1. Shape: [N].
        frames: 5 ms frames in all.
    """

    starts: Floats
    end: float
    pitches: Floats
    loudness: Floats
    frames: int

    @property
    def times(self) -> Floats:
        """Seconds of the frames. Shape: [T]."""
        return np.arange(self.frames) / FRAMES_PER_SECOND

    @property
    def ends(self) -> Floats:
        """Seconds where the notes end, each where the next begins. Shape: [N]."""
        return np.append(self.starts[1:], self.end)


def wander(random: np.random.Generator, frames: int, seconds: float) -> Floats:
    """Slow noise of mean 0 and deviation 1 that turns about once in so many seconds. Shape: [T]."""
    sigma = max(seconds * FRAMES_PER_SECOND / 4, 0.5)
    margin = int(4 * sigma)
    noise = gaussian_filter1d(random.standard_normal(frames + 2 * margin), sigma)
    smooth: Floats = noise[margin : margin + frames] * np.sqrt(2 * sigma * np.sqrt(np.pi))
    return smooth


def pitch_contour(phrase: Phrase, singer: Singer, random: np.random.Generator) -> Floats:
    """MIDI pitch of every frame. Shape: [T]."""
    times = phrase.times
    pitches = phrase.pitches + singer.tuning * random.standard_normal(len(phrase.pitches))
    contour = np.full(phrase.frames, pitches[0])
    for start, step in zip(phrase.starts[1:], np.diff(pitches), strict=True):
        glide = singer.portamento * random.uniform(0.7, 1.4)
        contour += step * _smooth_step((times - start) / glide + 0.6)
    contour -= _scoops(phrase, singer, random)
    contour += _vibrato(phrase, singer, random)
    contour += singer.drift * wander(random, phrase.frames, 0.4)
    contour += (0.02 + 0.12 * singer.roughness) * wander(random, phrase.frames, 0.02)
    if random.random() < 0.3:  # the voice falls as the phrase ends
        contour -= random.uniform(0.5, 3) * np.clip((times - phrase.end + 0.12) / 0.12, 0, None) ** 2
    return contour


def _smooth_step(position: Floats) -> Floats:
    """From 0 at 0 to 1 at 1, without corners."""
    inside = np.clip(position, 0, 1)
    return inside * inside * (3 - 2 * inside)


def _scoops(phrase: Phrase, singer: Singer, random: np.random.Generator) -> Floats:
    """Semitones that notes begin too low: the first of a phrase, and now and then another. Shape: [T]."""
    depth = np.zeros(phrase.frames)
    for number, start in enumerate(phrase.starts):
        if number and random.random() > 0.15:
            continue
        since = phrase.times - start + 0.02
        rise = np.exp(-np.maximum(since, 0) / random.uniform(0.02, 0.05))
        depth += singer.scoop * random.uniform(0.4, 1.2) * rise * ((since > 0) | (number == 0))
    return depth


def _vibrato(phrase: Phrase, singer: Singer, random: np.random.Generator) -> Floats:
    """Semitones of a vibrato that sets in some time after a note has begun. Shape: [T]."""
    rate = singer.vibrato_rate * (1 + 0.05 * wander(random, phrase.frames, 0.5))
    phase = 2 * np.pi * (random.random() + np.cumsum(rate) / FRAMES_PER_SECOND)
    amount = gaussian_filter1d(np.clip((since_start(phrase) - singer.vibrato_onset) / 0.35, 0, 1), 4)
    depth: Floats = singer.vibrato_depth * amount * np.sin(phase) * (1 + 0.2 * wander(random, phrase.frames, 0.4))
    return depth


def since_start(phrase: Phrase) -> Floats:
    """Seconds since the note in progress began; negative before the first. Shape: [T]."""
    number = np.maximum(np.searchsorted(phrase.starts, phrase.times, side="right") - 1, 0)
    since: Floats = phrase.times - phrase.starts[number]
    return since


def loudness_contour(phrase: Phrase, singer: Singer, random: np.random.Generator) -> Floats:
    """Level of every frame in dB, 0 for loudness 1: notes, accents, the phrase's attack and its end. Shape: [T]."""
    notes = 24 * np.log10(np.clip(phrase.loudness, 0.05, 1)) + random.normal(0, 0.8, len(phrase.loudness))
    number = np.maximum(np.searchsorted(phrase.starts - 0.06, phrase.times, side="right") - 1, 0)
    level = gaussian_filter1d(notes[number], 6)
    length = (phrase.ends - phrase.starts)[number]
    age = np.clip(since_start(phrase), 0, None)
    level += 1.5 * np.exp(-age / 0.08)  # an accent at the note's beginning
    level -= 2.5 * np.clip(age / np.maximum(length, 0.3) - 0.4, 0, None)  # it dies away a little
    level += (0.5 + 1.5 * singer.roughness) * wander(random, phrase.frames, 0.15 if singer.roughness < 0.2 else 0.05)
    release = random.uniform(0.06, 0.2)
    level += 20 * np.log10(np.clip((phrase.end - phrase.times) / release, 1e-4, 1))
    return np.asarray(level)
