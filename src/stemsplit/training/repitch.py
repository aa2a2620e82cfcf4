"""
Another pitch and another tempo, through torchaudio: a phase vocoder, then resampling.

torchaudio is imported here and nowhere else, when the first excerpt needs it.

Shapes: S sources, C channels, T frames.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from stemsplit.errors import UsageError

_N_FFT = 2048
_HOP = _N_FFT // 8  # a phase vocoder loses the less, the more its windows overlap
# Ratios of small numbers near 2^(n / 12), since torchaudio builds a filter for every phase of the reduced ratio: they
# are off by 0.1 cents for one semitone and 0.2 for two.
_RATIOS = {0: (1, 1), 1: (89, 84), -1: (84, 89), 2: (55, 49), -2: (49, 55)}


def repitched(x: Tensor, semitones: int, tempo: float) -> Tensor:
    """
    Transpose and play faster or slower, as loud as before: a phase vocoder alone makes most music 3 dB softer.

    Args:
        x: sources with their channels.
        semitones: from -2 to 2.
        tempo: over the original one.

    Shape:
        x: [S, C, T]; result: [S, C, about T / tempo]

    Raises:
        UsageError: where torchaudio cannot be imported.
    """
    if not semitones and tempo == 1:
        return x
    up, down = _RATIOS[semitones]
    rows = x.reshape(-1, x.shape[-1])
    rows = _stretched(rows, tempo * down / up)
    if semitones:
        rows = _torchaudio().resample(rows, up, down)
    moved = rows.reshape(*x.shape[:-1], -1)
    return moved * (_level(x) / _level(moved).clamp_min(1e-8))


def _level(x: Tensor) -> Tensor:
    """Root mean square of each source. Shape: [S, C, T] -> [S, 1, 1]."""
    return x.square().mean((1, 2), keepdim=True).sqrt()


def _stretched(x: Tensor, rate: float) -> Tensor:
    """The same pitch, `rate` times as fast. Shape: [B, T] -> [B, T / rate]."""
    window = torch.hann_window(_N_FFT, device=x.device)
    spectrum = torch.stft(x, _N_FFT, _HOP, window=window, return_complex=True)
    advance = torch.linspace(0, torch.pi * _HOP, _N_FFT // 2 + 1, device=x.device)[:, None]
    stretched = _torchaudio().phase_vocoder(spectrum, rate, advance)
    return torch.istft(stretched, _N_FFT, _HOP, window=window, length=round(x.shape[-1] / rate))


@cache
def _torchaudio() -> Any:
    try:
        import torchaudio.functional
    except (ImportError, OSError) as error:  # OSError: its libraries do not find those of torch
        raise UsageError(
            f"torchaudio, which changes pitch and tempo, cannot be imported ({str(error).splitlines()[0]}). Install a "
            "pair that fits: `pip install 'torch>=2.11,<2.15' 'torchaudio>=2.11'`; or train with --set repitch=0."
        ) from error
    return torchaudio.functional


def check_torchaudio() -> None:
    """Raises UsageError where torchaudio cannot be imported: better before a run than in its midst."""
    _torchaudio()
