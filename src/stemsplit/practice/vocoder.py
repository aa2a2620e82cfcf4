"""
The WORLD vocoder: a voice taken apart into pitch, spectral envelope and aperiodicity, and put together again.

Frames are 5 ms apart; a pitch of 0 Hz stands for a frame without one.
"""

import warnings

import numpy as np
from numpy.typing import NDArray

from stemsplit.practice.score import RATE

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=r"(?s).*pkg_resources")  # pyworld asks it for its own version
    import pyworld

Floats = NDArray[np.float64]

FRAME_MS = 5.0
FRAMES_PER_SECOND = 1000 / FRAME_MS
FFT_SIZE = 1024
BINS = FFT_SIZE // 2 + 1
FREQUENCIES: Floats = np.linspace(0, RATE / 2, BINS)  # Hz of the bins of a synthesis


def pitch_of(samples: Floats, rate: int, lowest: float, highest: float) -> Floats:
    """Pitch in Hz between two bounds. Shape: [samples] -> [T]."""
    pitch, times = pyworld.dio(
        samples, rate, f0_floor=lowest, f0_ceil=highest, frame_period=FRAME_MS, allowed_range=0.15
    )
    refined: Floats = pyworld.stonemask(samples, pitch, times, rate)
    return refined


def spectra_of(samples: Floats, rate: int, pitch: Floats) -> tuple[Floats, Floats]:
    """Power envelope and aperiodicity up to half the rate. Shapes: [samples], [T] -> [T, 513], [T, 513]."""
    times = np.arange(len(pitch)) / FRAMES_PER_SECOND
    power = pyworld.cheaptrick(samples, pitch, times, rate, fft_size=FFT_SIZE)
    aperiodicity = pyworld.d4c(samples, pitch, times, rate, fft_size=FFT_SIZE, threshold=0.0)
    return power, aperiodicity


def synthesised(pitch: Floats, power: Floats, aperiodicity: Floats) -> Floats:
    """A voice at 44,100 Hz. Shapes: [T], [T, 513], [T, 513] -> [samples]."""
    samples: Floats = pyworld.synthesize(pitch, power, aperiodicity, RATE, frame_period=FRAME_MS)
    return samples
