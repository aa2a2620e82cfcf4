"""
The ideal ratio mask: what the best mask over the mixture's spectrogram would give, known only to who knows the sources.

Each source's share of the power in every bin is taken from the mixture: STFT with a Hann window of 2048 samples and a
hop of 1024, squared magnitudes ("IRM2" of the Signal Separation Evaluation Campaign: Liutkus et al. 2017, Stöter et
al. 2018). It is a ceiling for separation by masks; a network that gives waveforms may go beyond it.

Shapes: S sources, T frames.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from stemsplit.audio.blocks import Block

WINDOW_FRAMES = 2048
HOP = WINDOW_FRAMES // 2
_WINDOW = np.hanning(WINDOW_FRAMES + 1)[:-1]  # periodic
# Each sample lies in two windows, and is weighted by their squares.
_WEIGHT = np.square(_WINDOW[:HOP]) + np.square(_WINDOW[HOP:])

Stems = NDArray[np.float32]


def masked(parts: Iterable[tuple[Stems, Block]]) -> Iterator[Stems]:
    """
    The mixture under every source's mask, as long as it was. True sources that are all silent share it evenly.

    Shape: (true sources [S, 2, any], mixture [2, any]) -> blocks of [S, 2, any]
    """
    parts = iter(parts)
    first = next(parts, None)
    if first is None:
        return
    sources = len(first[0])
    held = np.zeros((sources + 1, 2, HOP))  # sources and mixture, from where the next window begins; silence at first
    overlap = np.zeros((sources, 2, HOP))  # what the last window has left for the next hop
    left = HOP  # of what comes out, before the song begins
    frames = 0  # that are in and not yet out
    for stems, mixture in chain([first], parts):
        frames += mixture.shape[-1]
        held = np.concatenate([held, np.concatenate([stems, mixture[np.newaxis]])], axis=-1)
        count = max(0, (held.shape[-1] - HOP) // HOP)
        if count:
            done, overlap = _windows(held, count, overlap)
            held = held[..., count * HOP :]
            ready = done[..., left:].astype(np.float32)
            frames -= ready.shape[-1]
            left = 0
            if ready.shape[-1]:
                yield ready
    if frames:
        count = -(-held.shape[-1] // HOP)
        done, _ = _windows(np.pad(held, ((0, 0), (0, 0), (0, (count + 1) * HOP - held.shape[-1]))), count, overlap)
        yield done[..., left : left + frames].astype(np.float32)


def _windows(
    signals: NDArray[np.float64], count: int, overlap: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """So many hops of all sources, and what the last window leaves for the next. Shape: [S + 1, 2, T]."""
    starts = HOP * np.arange(count)
    windows = np.lib.stride_tricks.sliding_window_view(signals, WINDOW_FRAMES, axis=-1)[..., starts, :] * _WINDOW
    spectra = np.fft.rfft(windows)
    power = np.square(spectra[:-1].real) + np.square(spectra[:-1].imag) + np.finfo(np.float64).tiny
    masked = np.fft.irfft(power / power.sum(axis=0) * spectra[-1], WINDOW_FRAMES) * _WINDOW
    halves = masked.reshape(*masked.shape[:-1], 2, HOP)
    before = np.concatenate([overlap[..., np.newaxis, :], halves[..., :-1, 1, :]], axis=-2)
    done = (halves[..., 0, :] + before) / _WEIGHT
    return done.reshape(*done.shape[:-2], count * HOP), halves[..., -1, 1, :]
