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
    window = 2 * half + 1
    held = -F.max_pool1d(F.pad(-needed, (half, half), value=-1), window, 1)
    return F.avg_pool1d(F.pad(held, (half, half), mode="replicate"), window, 1)
