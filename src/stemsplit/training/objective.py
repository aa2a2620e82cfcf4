"""
What training minimises: the mean absolute error of the waveforms (Rouard et al. 2022, section 3).

Shapes: B excerpts, S sources, C channels, T frames.
"""

from torch import Tensor


def l1_loss(estimates: Tensor, sources: Tensor, weights: Tensor) -> Tensor:
    """
    Mean absolute error of each source, averaged with the sources' weights.

    Shape:
        estimates, sources: [B, S, C, T]; weights: [S], not all of them 0; result: []
    """
    errors = (estimates - sources).abs().mean((0, 2, 3))
    return (errors * weights).sum() / weights.sum()
