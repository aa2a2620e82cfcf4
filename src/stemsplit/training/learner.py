"""
The network on its way: one step of the optimiser after another.

Shapes: B excerpts, S sources, C channels, T frames.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from stemsplit.errors import StemsplitError
from stemsplit.events import Listener, Warned, ignore
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.training.objective import l1_loss
from stemsplit.training.processes import ALONE, Processes
from stemsplit.training.recipe import Optimizer, Recipe

_TRANSFORMER = "crosstransformer."


class NotFiniteError(Exception):
    """The loss of a batch, or a gradient, is no finite number."""


class Learner:
    """
    A network with its optimiser.

    Args:
        network: moved to the device, where it belongs to the learner.
        recipe: how to learn.
        device: torch's name of it.
        precision: "fp32", or "bf16" for autocast.
        processes: who else computes gradients of each batch.
        listener: told of fall-backs.
    """

    def __init__(
        self,
        network: HTDemucs,
        recipe: Recipe,
        device: str,
        precision: str = "fp32",
        processes: Processes = ALONE,
        listener: Listener = ignore,
    ) -> None:
        self.network = network.to(device)
        self.optimizer = optimizer_of(network, recipe.optimizer)
        self._recipe = recipe
        self._precision = precision
        self._processes = processes
        self._listener = listener
        self._parts = recipe.training.accumulate
        self._weights = torch.tensor(recipe.loss_weights, device=device)
        self._module: nn.Module = network
        if recipe.training.checkpointing:
            _checkpoint_layers(network)
        if processes.count > 1:
            self._module = DistributedDataParallel(network, device_ids=[device] if device.startswith("cuda") else None)

    def step(self, sources: Tensor, seed: int, rate: float = 1.0) -> float:
        """
        Learn from a batch: mixtures, which are the sums of the sources, are separated and compared.

        Args:
            sources: this process's share of the batch.
            seed: of dropout.
            rate: factor of the recipe's learning rate; see `annealed`.

        Shape:
            sources: [B, S, C, T]

        Returns:
            the loss over the whole batch, before the step.

        Raises:
            NotFiniteError: if the loss or a gradient is no finite number, before any weight has moved.
            StemsplitError: if the memory of the device does not do even for single excerpts.
        """
        while True:
            try:
                loss = self._gradients(sources, seed)
                break
            except torch.OutOfMemoryError as error:
                failure: Exception = error.with_traceback(None)
            self._divide(len(sources), failure)
        total = float(self._processes.mean(loss))
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._recipe.optimizer.clip or math.inf)
        if not math.isfinite(total + float(norm)):
            raise NotFiniteError
        for group in self.optimizer.param_groups:
            group["lr"] = self._recipe.optimizer.learning_rate * rate
        self.optimizer.step()
        return total

    def _gradients(self, sources: Tensor, seed: int) -> Tensor:
        """Those of the mean loss of the batch, in parts; the loss over this process's share of it."""
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(seed)
        parts = sources.tensor_split(min(self._parts, len(sources)))
        total = torch.zeros((), device=sources.device)
        for number, part in enumerate(parts, 1):
            with self._alone() if number < len(parts) else nullcontext():
                with self._autocast(part.device.type):
                    estimates = self._module(part.sum(1))
                loss = l1_loss(estimates.float(), part, self._weights) * (len(part) / len(sources))
                loss.backward()
            total += loss.detach()
        return total

    def _alone(self) -> AbstractContextManager[Any]:
        """Gradients that are not exchanged yet."""
        return self._module.no_sync() if isinstance(self._module, DistributedDataParallel) else nullcontext()

    def _autocast(self, device: str) -> AbstractContextManager[Any]:
        return torch.autocast(device, torch.bfloat16) if self._precision == "bf16" else nullcontext()

    def _divide(self, excerpts: int, error: Exception) -> None:
        """After running out of memory: parts of half the size."""
        parts = self._parts
        self.optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        if self._processes.count > 1 or parts >= excerpts:
            more = "" if parts >= excerpts else f"accumulate={2 * parts} or "
            raise StemsplitError(
                f"The GPU's memory does not do for this batch. Train with --set {more}checkpointing=true, or with "
                "shorter excerpts (--set excerpt_seconds=...)."
            ) from error
        self._parts = 2 * parts
        self._listener(Warned(f"Out of memory: batches are computed in {2 * parts} parts from here on."))


def annealed(step: int, steps: int, share: float) -> float:
    """
    Factor of the learning rate at a step, from 0, of so many.

    1 until the last `share` of them begins, from there in a straight line to 0, which would be after the last one.
    """
    last = share * steps
    return min(1.0, (steps - step) / last) if last else 1.0


def optimizer_of(network: HTDemucs, recipe: Optimizer) -> torch.optim.Optimizer:
    """A fresh optimiser; weight decay falls on the transformer only."""
    named = list(network.named_parameters())
    groups = [
        {
            "params": [parameter for name, parameter in named if name.startswith(_TRANSFORMER) is decayed],
            "weight_decay": recipe.weight_decay if decayed else 0.0,
        }
        for decayed in (False, True)
    ]
    groups = [group for group in groups if group["params"]]
    kinds: dict[str, type[torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
    }
    kind: Any = kinds[recipe.name]
    optimizer: torch.optim.Optimizer = kind(groups, lr=recipe.learning_rate)
    return optimizer


def _checkpoint_layers(network: HTDemucs) -> None:
    """Have every layer compute its activations again on the way back, instead of keeping them."""
    transformer = getattr(network, _TRANSFORMER[:-1], None)
    deep = [] if transformer is None else [*transformer.layers, *transformer.layers_t]
    for layer in (*network.encoder, *network.tencoder, *network.decoder, *network.tdecoder, *deep):
        layer.forward = _Recomputed(layer.forward)


class _Recomputed:
    """A forward that is run twice, with the same chance, rather than remembered."""

    def __init__(self, forward: Any) -> None:
        self._forward = forward

    def __call__(self, *inputs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self._forward(*inputs)
        return checkpoint(self._forward, *inputs, use_reentrant=False)
