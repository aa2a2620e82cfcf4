"""
A limiter as on loud masters, whose gain falls on all sources alike (LimitAug: Jeon and Lee 2023).

Shapes: B excerpts, S sources, C channels, T frames.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW_SECONDS = 0.05  # within as much the gain goes down, and comes back


def limited(sources: Tensor, reduction_db: Tensor, sample_rate: int = 44_100) -> Tensor:
    """
    Sources under the gain that brings the loudest peak of their sum down by so many dB, and no other peak above it.

    Shape:
        sources: [B, S, C, T]; reduction_db: [B], not negative; result: [B, S, C, T]
    """
    mixture = sources.sum(1)
    peak = mixture.abs().amax((1, 2))
    return sources * limiter_gain(mixture, peak * 10 ** (-reduction_db / 20), sample_rate)[:, None]


def limiter_gain(mixture: Tensor, ceiling: Tensor, sample_rate: int = 44_100) -> Tensor:
    """
    The gain under which no peak of the mixture is above the ceiling.

    It is what each moment needs, held as long as the window and averaged over another: it is smooth, looks ahead, and
    is never more than any moment allows. What is `WINDOW_SECONDS` away from a moment has no part in its gain.

    Shape:
        mixture: [B, C, T]; ceiling: [B]; result: [B, 1, T]
    """
    level, ceiling = mixture.abs().amax(1, keepdim=True), ceiling[:, None, None]
    needed = torch.where(level > ceiling, ceiling / level.clamp_min(1e-12), 1)
    half = round(WINDOW_SECONDS * sample_rate) // 2
    held = _running_minimum(F.pad(needed, (half, half), value=1), 2 * half + 1)
    return _running_mean(F.pad(held, (half, half), mode="replicate"), 2 * half + 1)


def _running_minimum(x: Tensor, window: int) -> Tensor:
    """
    Of every `window` neighbours, in three passes whatever the window (van Herk 1992).

    Any stretch of that length is the end of one block and the beginning of the next.

    Shape: [B, 1, T] -> [B, 1, T - window + 1]
    """
    frames = x.shape[-1]
    blocks = F.pad(x, (0, -frames % window), value=torch.inf).unflatten(-1, (-1, window))
    before = blocks.cummin(-1).values.flatten(-2)
    behind = blocks.flip(-1).cummin(-1).values.flip(-1).flatten(-2)
    return torch.minimum(behind[..., : frames - window + 1], before[..., window - 1 : frames])


def _running_mean(x: Tensor, window: int) -> Tensor:
    """Of every `window` neighbours. Shape: [B, 1, T] -> [B, 1, T - window + 1]."""
    sums = F.pad(x.double().cumsum(-1), (1, 0))
    return ((sums[..., window:] - sums[..., :-window]) / window).to(x.dtype)
