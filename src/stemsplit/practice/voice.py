"""
Sung vocals: syllables spoken by eSpeak NG, laid along a melody and spoken again by the WORLD vocoder.

A phrase, notes without a gap between them, is one synthesis. Consonants keep their length and come before the
note; the vowel is stretched to the note's duration; pitch and loudness are the melody's and the singer's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from stemsplit.practice.score import RATE, Sung, Voice
from stemsplit.practice.singers import Singer
from stemsplit.practice.singing_contours import Phrase, loudness_contour, pitch_contour, wander
from stemsplit.practice.syllable_analysis import Syllable, analysed
from stemsplit.practice.vocoder import BINS, FRAMES_PER_SECOND, FREQUENCIES, Floats, synthesised

_GAP = 0.03  # seconds of silence between notes that end a phrase
_RMS = 0.1  # of the whole, where the voice sounds
_PEAK = 0.95
_NOTHING = 1e-16  # power of silence
_NEPER_PER_DB = np.log(10) / 10  # of power


def sing(voice: Voice, singer: Singer, frames: int, random: np.random.Generator) -> NDArray[np.float32]:
    """What one singer sings of a score, at 44,100 Hz. Shape: [frames]."""
    song = np.zeros(frames)
    free = 0.0  # seconds from which on there is room for a breath
    for notes in _phrases(voice.notes, singer, random):
        syllables = [analysed(singer.variant, note.syllable) for note in notes]
        layout = _laid_out(notes, syllables, notes[0].start - free, random)
        start = notes[0].start - layout.onset / FRAMES_PER_SECOND
        breath = _breath(start - free, singer, random)
        _add(song, breath, start - 0.03 - len(breath) / RATE)
        samples = _sung(notes, syllables, layout, singer, random)
        _add(song, samples, start)
        free = notes[-1].start + notes[-1].duration
    return _levelled(song)


def _phrases(notes: Sequence[Sung], singer: Singer, random: np.random.Generator) -> Iterator[list[Sung]]:
    """The notes phrase by phrase, each as early or late as the singer is."""
    phrase: list[Sung] = []
    for note in notes:
        if phrase and note.start - (phrase[-1].start + phrase[-1].duration) > _GAP:
            yield _with_timing(phrase, singer, random)
            phrase = []
        phrase.append(note)
    if phrase:
        yield _with_timing(phrase, singer, random)


def _with_timing(notes: list[Sung], singer: Singer, random: np.random.Generator) -> list[Sung]:
    """The notes of a phrase begun a little early or late, by a quarter of the shorter neighbour at most."""
    ends = [note.start + note.duration for note in notes]
    shortest = np.minimum([note.duration for note in notes], [notes[0].duration, *(n.duration for n in notes[:-1])])
    offsets = np.clip(singer.timing * random.standard_normal(len(notes)), -shortest / 4, shortest / 4)
    starts = [float(max(note.start + offset, 0)) for note, offset in zip(notes, offsets, strict=True)]
    ends = [*starts[1:], ends[-1]]
    return [replace(n, start=s, duration=e - s) for n, s, e in zip(notes, starts, ends, strict=True)]


def _add(song: Floats, samples: Floats, start: float) -> None:
    """Add samples that begin at so many seconds, as far as they lie within the song."""
    first = round(start * RATE)
    low, high = max(first, 0), min(first + len(samples), len(song))
    if low < high:
        song[low:high] += samples[low - first : high - first]


def _levelled(song: Floats) -> NDArray[np.float32]:
    """The song at a usual level, its peaks rounded off below full scale. Shape: [frames]."""
    power = np.add.reduceat(song**2, np.arange(0, len(song), 1024)) / 1024 if len(song) else np.zeros(1)
    loud = power > power.max() / 1000
    if not loud.any():
        return song.astype(np.float32)
    song = song * (_RMS / np.sqrt(power[loud].mean()))
    excess = np.maximum(np.abs(song) - 0.6, 0)
    room = _PEAK - 0.6
    return np.asarray(np.sign(song) * (np.minimum(np.abs(song), 0.6) + room * np.tanh(excess / room)), np.float32)


@dataclass(frozen=True, slots=True)
class _Layout:
    """
    Which frames of its syllables a phrase is made of.

    Attributes:
        rows: position of every frame in the table of all syllables' frames, with fraction. Shape: [T].
        joins: frames where a syllable follows another.
        onset: frames of consonants before the first note.
    """

    rows: Floats
    joins: tuple[int, ...]
    onset: int


def _sung(
    notes: list[Sung], syllables: list[Syllable], layout: _Layout, singer: Singer, random: np.random.Generator
) -> Floats:
    """One phrase, from its first consonant on. Shape: [samples]."""
    start = notes[0].start - layout.onset / FRAMES_PER_SECOND
    last = notes[-1]
    phrase = Phrase(
        starts=np.array([note.start for note in notes]) - start,
        end=last.start + last.duration - start,
        pitches=np.array([note.pitch for note in notes], float),
        loudness=np.array([note.loudness for note in notes]),
        frames=len(layout.rows),
    )
    envelope, aperiodicity, is_voiced = _gathered(syllables, layout)
    level = loudness_contour(phrase, singer, random)
    hertz = 440 * 2 ** ((pitch_contour(phrase, singer, random) - 69) / 12)
    envelope += _murmur(len(envelope), random)
    power = np.exp(_voiced_as(envelope, is_voiced, level, singer))
    power *= _compensation(power, hertz, level, is_voiced)[:, None]
    silent = int(random.integers(1, 60))  # WORLD's noise is the same at each start; two voices' should not be
    samples = synthesised(
        np.pad(np.where(is_voiced, hertz, 0.0), (silent, 0)),
        np.pad(power.astype(np.float64), ((silent, 0), (0, 0)), constant_values=_NOTHING),
        np.pad(_breathy(aperiodicity, singer), ((silent, 0), (0, 0)), constant_values=1 - 1e-9),
    )
    return samples[round(silent * RATE / FRAMES_PER_SECOND) :]


def _laid_out(notes: list[Sung], syllables: list[Syllable], room: float, random: np.random.Generator) -> _Layout:
    """Lay syllables along notes: vowels begin with the notes, consonants in the `room`, in seconds, before them."""
    rows: list[Floats] = []
    joins: list[int] = []
    begin = notes[0].start
    starts = [round((note.start - begin) * FRAMES_PER_SECOND) for note in notes]
    ends = [*starts[1:], round((notes[-1].start + notes[-1].duration - begin) * FRAMES_PER_SECOND)]
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    onsets = [
        min(syllable.onset, 36, length // 2) for syllable, length in zip(syllables, [72, *lengths[:-1]], strict=True)
    ]
    onsets[0] = min(onsets[0], max(0, int(room * FRAMES_PER_SECOND)))
    offset = 0
    for syllable, length, onset, following in zip(syllables, lengths, onsets, [*onsets[1:], 0], strict=True):
        held = max(length - following, 2)
        total = len(syllable.envelope)
        coda = min(total - syllable.release, int(0.4 * held))
        if rows:
            joins.append(sum(map(len, rows)))
        rows.append(offset + np.linspace(0, syllable.onset, onset, endpoint=False))
        rows.append(offset + _stretched(syllable, held - coda, random))
        rows.append(offset + np.linspace(syllable.release, total - 1, coda))
        offset += total
    return _Layout(np.concatenate(rows), tuple(joins), onsets[0])


def _stretched(syllable: Syllable, frames: int, random: np.random.Generator) -> Floats:
    """
    Positions in the syllable that make its vowel last so long. Shape: [frames].

    Beginning and end keep their pace; the middle is gone through slowly, a diphthong turning late.
    """
    first, last = syllable.onset, syllable.release - 1
    head, tail = min(8, (last - first) // 4), min(16, (last - first) // 3)
    if frames <= last - first:
        return np.linspace(first, last, frames)
    middle = frames - head - tail
    path = np.linspace(0, 1, middle) ** random.uniform(1.2, 2.5)
    low, high = first + head, last - tail
    held = low + (high - low) * path + 2.5 * wander(random, middle, 0.3)
    return np.concatenate([first + np.arange(head), np.clip(held, low, high), np.linspace(high, last, tail)])


def _gathered(
    syllables: list[Syllable], layout: _Layout
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Log envelope, aperiodicity and voicing of a phrase. Shapes: [T, 513], [T, 513], [T]."""
    below = layout.rows.astype(int)
    above = np.minimum(below + 1, int(layout.rows.max()))
    share = (layout.rows - below).astype(np.float32)[:, None]
    envelope = np.concatenate([syllable.envelope for syllable in syllables]).astype(np.float32)
    aperiodicity = np.concatenate([syllable.aperiodicity for syllable in syllables]).astype(np.float32)
    is_voiced = np.concatenate([syllable.is_voiced for syllable in syllables])[np.rint(layout.rows).astype(int)]
    between = [table[below] * (1 - share) + table[above] * share for table in (envelope, aperiodicity)]
    for join in layout.joins:
        low, high = max(join - 5, 0), min(join + 5, len(below) - 1)
        if is_voiced[low : high + 1].all():  # the mouth moves on without a break
            path = np.linspace(0, 1, high - low + 1, dtype=np.float32)[:, None]
            for table in between:
                table[low : high + 1] = table[low] * (1 - path) + table[high] * path
    return between[0], between[1], is_voiced


def _voiced_as(
    envelope: NDArray[np.float32], is_voiced: NDArray[np.bool_], level: Floats, singer: Singer
) -> NDArray[np.float32]:
    """A phrase's log envelope with the singer's formants, tilt and loudness. Shape: [T, 513]."""
    bins = np.clip(np.arange(BINS) / singer.formant_shift, 0, BINS - 1.001)
    below = bins.astype(int)
    share = (bins - below).astype(np.float32)
    shifted = envelope[:, below] * (1 - share) + envelope[:, below + 1] * share
    octaves = np.clip(np.log2(np.maximum(FREQUENCIES, 1) / 1000), -1, 3.3).astype(np.float32)
    loudest = shifted[:, :90].max(axis=1, keepdims=True)
    valleys = loudest - np.float32(_NEPER_PER_DB) * (30 + 9 * octaves)  # those of a real voice are not so deep
    shifted = np.where(is_voiced[:, None], np.maximum(shifted, valleys), shifted)
    tilt = (singer.tilt + 0.12 * np.clip(level, -12, 3)) * is_voiced  # louder is brighter
    gains = (_NEPER_PER_DB * np.stack([level, tilt], axis=1)).astype(np.float32)
    return np.asarray(shifted + gains @ np.stack([np.ones_like(octaves), octaves]))


def _compensation(
    power: NDArray[np.float32], hertz: Floats, level: Floats, is_voiced: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """
    Factor of the power that undoes most of what harmonics gain or lose by lying on or beside formants. Shape: [T].

    Shapes: [T, 513], [T], [T] in dB, [T].
    """
    bins = np.rint(hertz[:, None] * np.arange(1, 13) * (2 * (BINS - 1) / RATE)).astype(int)
    heard = np.take_along_axis(power, np.minimum(bins, BINS - 1), axis=1).sum(axis=1)
    excess = np.log(heard + _NOTHING) - _NEPER_PER_DB * level
    if not is_voiced.any():
        return np.ones(len(power), np.float32)
    excess = np.where(is_voiced, np.clip(excess - np.median(excess[is_voiced]), -3, 3), 0)
    return np.asarray(np.exp(-0.6 * gaussian_filter1d(excess, 5)), np.float32)


def _murmur(frames: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Change of the log envelope, about 1 dB in each of 8 bands, that keeps a held vowel alive. Shape: [T, 513]."""
    heights = np.linspace(0, 7, BINS) ** 0.5 * 7**0.5  # bands are narrower where formants lie
    bands = np.maximum(1 - np.abs(heights[None, :] - np.arange(8)[:, None]), 0)
    changes = np.stack([wander(random, frames, 0.25) for _ in range(8)], axis=1)
    return np.asarray(1.2 * _NEPER_PER_DB * changes.astype(np.float32) @ bands.astype(np.float32), np.float32)


def _breathy(aperiodicity: NDArray[np.float32], singer: Singer) -> Floats:
    """Aperiodicity with the singer's breath in it, more of it the higher. Shape: [T, 513]."""
    air = np.clip(singer.breathiness * (0.05 + FREQUENCIES / 9000) + np.clip(FREQUENCIES / 8000 - 1, 0, 1), 0, 1)
    noisy: Floats = 1 - (1 - aperiodicity.astype(np.float64)) * (1 - air)
    return np.clip(noisy, 1e-3, 1 - 1e-9)


def _breath(seconds: float, singer: Singer, random: np.random.Generator) -> Floats:
    """Breath drawn before a phrase, where there is room for one. Shape: [samples]."""
    length = min(random.uniform(0.18, 0.6), seconds - 0.1)
    if length < 0.15 or random.random() < 0.25:
        return np.zeros(0)
    samples = int(length * RATE)
    spectrum = np.fft.rfft(random.standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / RATE)
    shape = np.exp(-hertz / 6000) * (1 - np.exp(-((hertz / 500) ** 2)))
    for formant in np.array([1500, 2900, 4300, 7000]) * singer.formant_shift * random.uniform(0.9, 1.1, 4):
        shape += 0.8 * np.exp(-(((hertz - formant) / (0.12 * formant)) ** 2))
    noise = np.fft.irfft(spectrum * shape, samples)
    ramp = np.linspace(0, 1, samples)
    noise *= ramp**0.7 * np.minimum((1 - ramp) / 0.15, 1)
    return np.asarray(noise / noise.std() * 10 ** (singer.breath / 20) * 0.01)
