"""
Syllables spoken by eSpeak NG and taken apart by the WORLD vocoder into spectral envelope, aperiodicity and voicing.

Frames are 5 ms apart. Spectra have 513 bins from 0 to 22,050 Hz; eSpeak's own end at 11 kHz and are continued.
"""

import io
import wave
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stemsplit.errors import StemsplitError
from stemsplit.practice.programs import run
from stemsplit.practice.vocoder import BINS, FFT_SIZE, FRAME_MS, FREQUENCIES, Floats, pitch_of, spectra_of

_SPOKEN_RATE = 22_050  # Hz; what eSpeak NG writes
_SPOKEN_BINS = FFT_SIZE // 4 + 1  # how many of our bins eSpeak's spectrum reaches
_LAST_KHZ = 9.5  # above it eSpeak's own filters fall off
_SILENT = 1e-3  # peak below which the ends of what was spoken are cut
_LONGEST_GAP = 8  # frames without a pitch that are taken for a fault of the pitch tracker
_SHORTEST_VOWEL = 10  # frames
_LOUDEST_NOISE = -2.5  # log power of hiss, and of consonants without a pitch, beside the vowel's: 11 dB less
_FALLBACK = "en-us"


@dataclass(frozen=True, slots=True)
class Syllable:
    """
    A spoken syllable of T frames: consonants [0, onset), vowel [onset, release), consonants [release, T).

    Attributes:
        envelope: natural logarithm of the power spectrum; the vowel's power is 1. Shape: [T, 513], half precision.
        aperiodicity: share of noise in the amplitude, 0 to 1. Shape: [T, 513], half precision.
        is_voiced: has a pitch. Shape: [T].
        onset: the vowel's first frame.
        release: the frame after the vowel's last.
    """

    envelope: NDArray[np.float16]
    aperiodicity: NDArray[np.float16]
    is_voiced: NDArray[np.bool_]
    onset: int
    release: int


@lru_cache(maxsize=600)
def analysed(variant: str, phonemes: str) -> Syllable:
    """
    The syllable as a voice of eSpeak NG speaks it.

    A language that lacks the syllable's vowel leaves it out; the same voice then speaks it in English.
    """
    syllable = _taken_apart(variant, phonemes)
    if syllable is None:
        english = "+".join([_FALLBACK, *variant.split("+")[1:]])
        syllable = _taken_apart(english, phonemes) or _taken_apart(_FALLBACK, phonemes)
    if syllable is None:
        raise StemsplitError(f"eSpeak NG spoke no vowel for the phonemes {phonemes!r}.")
    return syllable


def _spoken(variant: str, phonemes: str) -> Floats:
    """What eSpeak NG says, without silence around it. Shape: [samples at 22,050 Hz]."""
    answer = run("espeak-ng", "-v", variant, "-s", "150", "-p", "65", "-z", "--stdout", f"[[{phonemes}]]")
    if answer.returncode or not answer.stdout:
        reason = answer.stderr.decode(errors="replace").strip() or "it wrote no sound"
        raise StemsplitError(f"eSpeak NG could not speak {phonemes!r} with the voice {variant!r}: {reason}.")
    try:
        with wave.open(io.BytesIO(answer.stdout)) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_768
    except (wave.Error, EOFError) as error:
        raise StemsplitError(f"eSpeak NG wrote no sound for {phonemes!r}: {error}.") from error
    if rate != _SPOKEN_RATE:
        raise StemsplitError(f"eSpeak NG wrote {rate} Hz with the voice {variant!r}, where 22050 Hz was expected.")
    loud = np.flatnonzero(np.abs(samples) > _SILENT)
    return np.ascontiguousarray(samples[loud[0] : loud[-1] + 1]) if len(loud) else np.zeros(0)


def _taken_apart(variant: str, phonemes: str) -> Syllable | None:
    """The syllable as a voice speaks it, or None if what it speaks has no vowel to sing."""
    samples = _spoken(variant, phonemes)
    if len(samples) * 1000 < _SPOKEN_RATE * FRAME_MS * 2 * _SHORTEST_VOWEL:
        return None
    usual = _usual_pitch(variant)
    pitch = _bridged(pitch_of(samples, _SPOKEN_RATE, 0.55 * usual, 1.6 * usual))
    power, aperiodicity = spectra_of(samples, _SPOKEN_RATE, pitch)
    is_voiced = pitch > 0
    onset, release = _vowel(power, is_voiced)
    if release - onset < _SHORTEST_VOWEL:
        return None
    envelope = _even(_continued(np.log(power[:, ::2] + 1e-12), is_voiced), is_voiced, onset, release)
    end = release if phonemes[-1] in "IUaeiou:@" else len(envelope)
    noise = np.ones((len(envelope), BINS))
    noise[:, :_SPOKEN_BINS] = aperiodicity[:, ::2]
    return Syllable(
        envelope[:end].astype(np.float16), noise[:end].astype(np.float16), is_voiced[:end], onset, min(release, end)
    )


@lru_cache(maxsize=200)
def _usual_pitch(variant: str) -> float:
    """Hz at which a voice speaks, so that no multiple of it is taken for the pitch of a syllable."""
    pitch = pitch_of(_spoken(variant, "l'a:l'a:"), _SPOKEN_RATE, 60, 450)
    return float(np.median(pitch[pitch > 0])) if (pitch > 0).any() else 130.0


def _bridged(pitch: Floats) -> Floats:
    """A pitch contour in Hz whose short gaps are filled in. Shape: [T] -> [T]."""
    voiced = np.flatnonzero(pitch > 0)
    if not len(voiced):
        return pitch
    filled = np.interp(np.arange(len(pitch)), voiced, pitch[voiced])
    gap = np.diff(voiced)
    for before, length in zip(voiced[:-1], gap, strict=True):
        if length > _LONGEST_GAP:
            filled[before + 1 : before + length] = 0
    filled[: voiced[0]] = 0
    filled[voiced[-1] + 1 :] = 0
    return filled


def _vowel(power: Floats, is_voiced: NDArray[np.bool_]) -> tuple[int, int]:
    """First frame of the vowel and the one after its last: the longest run of loud formants. Shapes: [T, 513], [T]."""
    hertz = np.linspace(0, _SPOKEN_RATE / 2, power.shape[1])
    loudness = np.sqrt(power[:, (hertz > 250) & (hertz < 4000)].sum(axis=1)) * is_voiced
    loudness = np.convolve(loudness, np.ones(5) / 5, mode="same")
    if not loudness.any():
        return 0, 0
    edges = np.flatnonzero(np.diff(np.pad(loudness > 0.42 * loudness.max(), 1).astype(int)))
    runs = edges.reshape(-1, 2)
    first, end = runs[np.argmax(runs[:, 1] - runs[:, 0])]
    return int(first), int(end)


def _continued(envelope: Floats, is_voiced: NDArray[np.bool_]) -> Floats:
    """Log power up to 22 kHz: beyond 9.5 kHz it goes on from its level there, falling. Shape: [T, 257] -> [T, 513]."""
    khz = FREQUENCIES / 1000
    edge = (khz[:_SPOKEN_BINS] > 7.0) & (khz[:_SPOKEN_BINS] < _LAST_KHZ)
    level = envelope[:, edge].mean(axis=1, keepdims=True)
    above = khz[None, :] - _LAST_KHZ
    decibels = np.where(is_voiced[:, None], 2.2, 1.2) * above + 1.5 * np.maximum(khz[None, :] - 15, 0)
    whole: Floats = level - decibels * np.log(10) / 10
    mix = np.clip((khz[:_SPOKEN_BINS] - 8.5) / (_LAST_KHZ - 8.5), 0, 1)
    whole[:, :_SPOKEN_BINS] = envelope * (1 - mix) + whole[:, :_SPOKEN_BINS] * mix
    return whole


def _even(envelope: Floats, is_voiced: NDArray[np.bool_], onset: int, release: int) -> Floats:
    """
    The log envelope with a vowel of power 1 throughout, for its loudness is the melody's business.

    Consonants keep their distance from the vowel, but none is louder, and noise is quieter. Shape: [T, 513].
    """
    power = np.log(np.exp(envelope).sum(axis=1))
    vowel = slice(onset, release)
    gain = np.full(len(power), -power[vowel].mean())
    gain[vowel] = np.clip(-power[vowel], gain[0] - 1.5, gain[0] + 2.5)
    gain = np.convolve(np.pad(gain, 5, mode="edge"), np.ones(11) / 11, mode="valid")
    hiss = np.log(np.exp(envelope[:, FREQUENCIES > 3500]).sum(axis=1))
    most = np.minimum(np.where(is_voiced, 0.0, _LOUDEST_NOISE) - power, _LOUDEST_NOISE - hiss)
    evened: Floats = envelope + np.minimum(gain, most)[:, None]
    return evened
