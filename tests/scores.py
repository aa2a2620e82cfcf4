"""How far an estimate is from a reference."""

import torch
from torch import Tensor


def sdr(reference: Tensor, estimate: Tensor) -> float:
    """10 log10 of the reference's energy over the error's, in dB: the "utterance" SDR of the MDX challenges."""
    reference, estimate = reference.double(), estimate.double()
    error = (reference - estimate).square().sum()
    return float(10 * torch.log10(reference.square().sum() / error.clamp_min(1e-300)))
