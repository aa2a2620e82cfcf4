"""
Exponential moving averages of weights, without the bias of their start.

An average of decay d counts c <- c d + 1 and moves by 1/c of the way towards new weights: the first ones count fully,
and after many the share of the newest is 1 - d (the reference implementation's recipe).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stemsplit.training.recipe import Averages

Weights = Mapping[str, Tensor]


class Average:
    """One average of all weights of a network, on the device they are on."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.count = 0.0
        self.weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, weights: Weights) -> None:
        """Move towards new weights."""
        if not self.weights:
            self.weights = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
        self.count = self.count * self.decay + 1
        torch._foreach_lerp_([self.weights[name] for name in weights], list(weights.values()), 1 / self.count)


class AverageSet:
    """All averages of a recipe, by name: "batch 0.9995", "epoch 0.9"."""

    def __init__(self, recipe: Averages) -> None:
        self.batch = {f"batch {decay:g}": Average(decay) for decay in recipe.batch}
        self.epoch = {f"epoch {decay:g}": Average(decay) for decay in recipe.epoch}

    @property
    def all(self) -> dict[str, Average]:
        """Both kinds."""
        return self.batch | self.epoch

    def state(self) -> dict[str, Any]:
        """To go on from."""
        return {name: {"count": average.count, "weights": average.weights} for name, average in self.all.items()}

    def restore(self, state: Mapping[str, Any], device: str) -> None:
        """Go on from a state."""
        for name, average in self.all.items():
            average.count = state[name]["count"]
            average.weights = {key: tensor.to(device) for key, tensor in state[name]["weights"].items()}
