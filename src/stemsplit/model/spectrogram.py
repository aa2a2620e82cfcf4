"""
The STFT of HT Demucs and its inverse, complex numbers as channels.

Frames are aligned so that N = ceil(T / HOP): frame j is centred on the middle of the j-th hop. To that end the
signal is padded by reflection with 1.5 hops on either side; the topmost bin is dropped (Rouard et al. 2022,
section 3; Défossez 2021, section 3.1).

Shapes: B batch, C audio channels, T frames of audio, F = N_FFT / 2 bins, N STFT frames.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

N_FFT = 4096  # 93 ms at 44.1 kHz
HOP = N_FFT // 4  # 1024 frames, 23 ms
BINS = N_FFT // 2  # the topmost of N_FFT / 2 + 1 is dropped
_MARGIN = 3 * HOP // 2  # what a window that is centred on the middle of a hop reaches beyond it
_SCALE = N_FFT**-0.5  # the transform is orthonormal
# Squared periodic Hann windows a quarter of their length apart sum to 4 x 3/8, and that is what the inverse divides by
# everywhere: the reference takes two silent frames to lie beyond either end, so near the ends a signal is faded.
_WINDOW_SUM = 1.5


def spectrogram(signal: Tensor) -> Tensor:
    """
    Orthonormal STFT with real and imaginary parts as channels: L re, L im, R re, R im.

    Shape:
        signal: [B, C, T], T at least N_FFT; result: [B, F, N, 2 C], contiguous.
    """
    frames = -(-signal.shape[-1] // HOP)
    padding = (_MARGIN, _MARGIN + frames * HOP - signal.shape[-1])
    windows = F.pad(signal, padding, mode="reflect").unfold(-1, N_FFT, HOP)
    spectrum = torch.fft.rfft(windows * (_window(signal) * _SCALE))[..., :BINS]  # [B, C, N, F]
    return torch.view_as_real(spectrum.permute(0, 3, 2, 1)).flatten(-2)


def inverse_spectrogram(spectrum: Tensor, length: int) -> Tensor:
    """
    Signal of `length` frames with the given `spectrogram`; about two hops at either end are faded.

    Shape:
        spectrum: [B, F, N, 2 C]; result: [B, C, length].
    """
    batch, _, frames, channels = spectrum.shape
    bins = torch.view_as_complex(spectrum.view(batch, BINS, frames, channels // 2, 2))
    bins = F.pad(bins.permute(0, 3, 2, 1), (0, 1))  # [B, C, N, F + 1]: the topmost bin is zero again
    windows = torch.fft.irfft(bins, n=N_FFT).mul_(_window(spectrum) / (_SCALE * _WINDOW_SUM))
    return _overlap_add(windows)[..., _MARGIN : _MARGIN + length]


def _overlap_add(windows: Tensor) -> Tensor:
    """Sum windows that start HOP frames apart. Shape: [B, C, N, N_FFT] -> [B, C, (N + 3) HOP]."""
    quarters = windows.unflatten(-1, (4, HOP))  # window j reaches into hops j, j + 1, j + 2 and j + 3
    batch, channels, frames = quarters.shape[:3]
    hops = windows.new_zeros(batch, channels, frames + 3, HOP)
    for quarter in range(4):
        hops[:, :, quarter : quarter + frames] += quarters[:, :, :, quarter]
    return hops.flatten(-2)


def _window(like: Tensor) -> Tensor:
    return _hann(like.device, like.dtype)


@lru_cache(maxsize=4)
def _hann(device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):  # an inference tensor could not be used in training afterwards
        return torch.hann_window(N_FFT, device=device).to(dtype)
