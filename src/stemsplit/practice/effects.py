"""What a mixing desk does to sound: equaliser, saturation, compressor, echo, reverb, width, limiter."""

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage, signal

from stemsplit.practice.score import RATE

Audio = NDArray[np.float32]  # [2, frames]

_HOP = 64  # frames between two levels that a compressor measures
_FLOOR = 1e-9
_BLOCK = round(0.4 * RATE)  # frames over which a level is measured (as in ITU-R BS.1770)
_GATE = -40.0  # dB under the loudest block: softer ones count as rests
_FEEDBACK = np.float32(0.5)  # of an echo
_TAPS = 8192  # of an equaliser's impulse response


def loudness(audio: Audio) -> float:
    """Level in dB of what is not a rest; -inf for silence."""
    padded = np.pad(audio, ((0, 0), (0, -audio.shape[-1] % _BLOCK)))
    power = np.mean(np.square(padded.reshape(2, -1, _BLOCK)), axis=(0, 2))
    heard = power[power > power.max(initial=0.0) * 10 ** (_GATE / 10)]
    return float(10 * np.log10(np.mean(heard))) if heard.size else -np.inf


def equalised(audio: Audio, sections: NDArray[np.float64]) -> Audio:
    """Filtered by second-order sections [n, 6], as a convolution: recursive filters are slow on digital silence."""
    impulse = np.zeros((1, _TAPS))
    impulse[0, 0] = 1
    response = signal.sosfilt(sections, impulse, axis=-1).astype(np.float32)
    return np.asarray(signal.oaconvolve(audio, response, axes=-1)[:, : audio.shape[-1]])


def peak(frequency: float, gain_db: float, quality: float) -> NDArray[np.float64]:
    """Second-order section of a bell (R. Bristow-Johnson, Audio EQ Cookbook)."""
    amplitude, cosine, alpha = _shape(frequency, gain_db, quality)
    up, down = alpha * amplitude, alpha / amplitude
    return _section((1 + up, -2 * cosine, 1 - up), (1 + down, -2 * cosine, 1 - down))


def shelf(frequency: float, gain_db: float, is_high: bool) -> NDArray[np.float64]:
    """Second-order section of a shelf above or below a frequency (the same source)."""
    amplitude, cosine, alpha = _shape(frequency, gain_db, 0.707)
    sign = 1 if is_high else -1
    root = 2 * np.sqrt(amplitude) * alpha
    plus, minus = amplitude + 1, amplitude - 1
    above = (plus + sign * minus * cosine + root, -2 * sign * (minus + sign * plus * cosine), 0.0)
    top = (amplitude * above[0], amplitude * above[1], amplitude * (plus + sign * minus * cosine - root))
    bottom = (
        plus - sign * minus * cosine + root,
        2 * sign * (minus - sign * plus * cosine),
        plus - sign * minus * cosine - root,
    )
    return _section(top, bottom)


def high_pass(frequency: float) -> NDArray[np.float64]:
    """Second-order Butterworth."""
    return np.asarray(signal.butter(2, frequency, "highpass", fs=RATE, output="sos"))


def low_pass(frequency: float) -> NDArray[np.float64]:
    """Second-order Butterworth."""
    return np.asarray(signal.butter(2, frequency, "lowpass", fs=RATE, output="sos"))


def saturated(audio: Audio, drive_db: float) -> Audio:
    """Driven into a soft curve, its loudness kept."""
    level = loudness(audio)
    if not np.isfinite(level):
        return audio
    driven = np.tanh(audio * 10 ** ((drive_db - 12 - level) / 20))
    return np.asarray(driven * 10 ** ((level - loudness(driven)) / 20), np.float32)


def compressed(audio: Audio, over_db: float, ratio: float, attack: float, release: float) -> Audio:
    """
    Levelled by a compressor that hears both channels.

    Args:
        audio: what to level.
        over_db: how far the threshold lies below the loud passages of what is heard.
        ratio: of the levels above it.
        attack: seconds until it takes hold.
        release: seconds until it lets go.
    """
    frames = audio.shape[-1]
    power = np.add.reduceat(np.mean(np.square(audio), axis=0), np.arange(0, frames, _HOP)) / _HOP
    level = 10 * np.log10(power + 1e-10)
    slow = np.exp(-_HOP / RATE / release)
    heard = level[level > level.max() + _GATE]
    over = np.maximum(0.0, level - (np.percentile(heard, 90) - over_db)) * (1 - 1 / ratio)
    held = ndimage.maximum_filter1d(over, max(1, round(0.01 * RATE / _HOP)))
    smooth = signal.lfilter([1 - slow], [1, -slow], held)
    fast = np.exp(-_HOP / RATE / attack)
    reduction = signal.lfilter([1 - fast], [1, -fast], np.maximum(smooth, 0.7 * over))
    gain = 10 ** (-np.interp(np.arange(frames), np.arange(len(reduction)) * _HOP, reduction) / 20)
    return np.asarray(audio * gain, np.float32)


def echoed(audio: Audio, seconds: float, level: float) -> Audio:
    """With repetitions that grow softer and change sides."""
    wet = np.array(audio)
    step = round(seconds * RATE)
    repeated = audio
    for turn in range(1, 5):
        repeated = repeated[::-1] * _FEEDBACK
        if turn * step < audio.shape[-1]:
            wet[:, turn * step :] += level * repeated[:, : -turn * step]
    return wet


def placed(audio: Audio, position: float, width: float) -> Audio:
    """
    Moved to a side.

    Args:
        audio: stereo, or twice the same.
        position: -1 (left) to 1 (right).
        width: of the sides over the middle; 0 makes it mono, 1 leaves it.
    """
    middle, side = (audio[0] + audio[1]) / 2, (audio[0] - audio[1]) / 2 * width
    angle = (position + 1) * np.pi / 4
    gains = np.sqrt(2) * np.array([np.cos(angle), np.sin(angle)], np.float32)
    return np.asarray(np.stack([middle + side, middle - side]) * gains[:, None], np.float32)


def doubled(audio: Audio, seconds: float) -> Audio:
    """Wide, as if played twice: the right side some milliseconds late."""
    late = np.array(audio)
    step = round(seconds * RATE)
    late[1, step:] = audio[1, : -step or None]
    late[1, :step] = 0
    return late


def room(random: Generator, seconds: float, brightness: float) -> Audio:
    """
    Impulse response of a room: noise that dies away, its high frequencies first.

    Args:
        random: of the noise.
        seconds: until it has fallen by 60 dB.
        brightness: 0 to 1, how much longer high frequencies last.

    Returns:
        [2, frames], of energy 1 per channel.
    """
    frames = round(seconds * RATE)
    time = np.arange(frames) / RATE
    response = np.zeros((2, frames))
    for band, (low, high) in enumerate(((120, 500), (500, 2000), (2000, 6000), (6000, 15_000))):
        noise = signal.sosfilt(_band(low, high), random.standard_normal((2, frames)), axis=-1)
        lasts = seconds * (1.0, 0.9, 0.45 + 0.5 * brightness, 0.2 + 0.6 * brightness)[band]
        response += noise * np.exp(-6.91 * time / lasts)
    rise = round(0.004 * RATE)
    response[:, :rise] *= np.linspace(0, 1, rise)
    return np.asarray(response / np.sqrt(np.sum(np.square(response), axis=-1, keepdims=True)), np.float32)


def reverberated(audio: Audio, response: Audio, delay: float) -> Audio:
    """The room alone, `delay` seconds later."""
    wet = signal.oaconvolve(audio, response, axes=-1)[:, : audio.shape[-1]]
    step = round(delay * RATE)
    return np.pad(wet, ((0, 0), (step, 0)))[:, : audio.shape[-1]].astype(np.float32)


def limiter_gain(signals: NDArray[np.float32], ceiling: float) -> NDArray[np.float32]:
    """
    Gain that keeps signals below a ceiling, from a look ahead of 5 ms and a release of 80 ms.

    Applied to every stem alike, it leaves them adding up to the limited mixture. (`evaluation.limiter` is another one,
    for audio in blocks.)

    Shape: [N, frames] -> [frames].
    """
    ahead = round(0.005 * RATE)
    needed = np.minimum(1.0, ceiling / np.maximum(np.max(np.abs(signals), axis=0), _FLOOR))
    held = ndimage.minimum_filter1d(needed, 2 * ahead + 1)
    released = 1 - _slowly_falling(1 - held, float(np.exp(-1 / (0.08 * RATE))))
    return np.asarray(ndimage.uniform_filter1d(released, 2 * ahead + 1), np.float32)


def _slowly_falling(reduction: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """At least `reduction`, falling no faster than by `decay` a frame: a running maximum of decaying peaks."""
    exponents = np.arange(len(reduction)) * -np.log(decay)
    with np.errstate(divide="ignore"):
        fallen = np.exp(np.maximum.accumulate(np.log(reduction) + exponents) - exponents)
    return np.asarray(fallen)


@lru_cache
def _band(low: float, high: float) -> NDArray[np.float64]:
    return np.asarray(signal.butter(1, (low, high), "bandpass", fs=RATE, output="sos"))


def _shape(frequency: float, gain_db: float, quality: float) -> tuple[float, float, float]:
    turn = 2 * np.pi * frequency / RATE
    return 10 ** (gain_db / 40), float(np.cos(turn)), float(np.sin(turn)) / (2 * quality)


def _section(top: tuple[float, ...], bottom: tuple[float, ...]) -> NDArray[np.float64]:
    return np.array([[*top, *bottom]]) / bottom[0]
