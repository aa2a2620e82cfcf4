"""
Twenty steps of a small network, alone or as one of several processes that share every batch.

    torchrun --standalone --nproc-per-node 2 tests/training/shared_batch.py WEIGHTS RESULT

WEIGHTS is the record of another run; RESULT is two records: of a run of its own, and of one whose steps each start from
the weights of the other run. In double precision, so that rounding cannot grow over the steps.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from standins import draw
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.training.augment import Draws, augmented
from stemsplit.training.learner import Learner
from stemsplit.training.processes import Processes, joined, left
from stemsplit.training.recipe import Augment, Data, Network, Optimizer, Recipe, Training

STEPS = 20
RECIPE = Recipe(
    data=Data(excerpt_seconds=0.2),
    network=Network(channels=8, bottom_channels=32, transformer_layers=2, transformer_heads=2, dropout=0.0),
    augment=Augment(repitch=0.5, shift_seconds=0.08, gain=0.5, remix_group=2, limiter=0.5),
    optimizer=Optimizer(name="sgd", learning_rate=5e-3, clip=0.5),
    training=Training(batch_size=4),
    loss={"drums": 2.0, "bass": 0.0},
)


@dataclass
class Record:
    """What happened in each step: weights are those before it; the last ones come after all."""

    losses: list[float] = field(default_factory=list)
    gradients: list[dict[str, Tensor]] = field(default_factory=list)
    weights: list[dict[str, Tensor]] = field(default_factory=list)


def learn(processes: Processes, starts: Sequence[dict[str, Tensor]] = ()) -> Record:
    """Take all steps, each from given weights if there are any."""
    torch.manual_seed(0)
    network = HTDemucs(RECIPE.config)
    draw(network, 0)
    learner = Learner(network.double(), RECIPE, "cpu", processes=processes)
    record = Record(weights=[_copied(network.state_dict())])
    for step in range(STEPS):
        if starts:
            network.load_state_dict(starts[step])
        record.losses.append(learner.step(_share(step, processes), seed=step))
        record.gradients.append(_copied({name: p.grad for name, p in network.named_parameters() if p.grad is not None}))
        record.weights.append(_copied(network.state_dict()))
    return record


def _share(step: int, processes: Processes) -> Tensor:
    """This process's sources of a batch that all processes draw alike."""
    generator = torch.Generator().manual_seed(step)
    count = RECIPE.training.batch_size // processes.count
    first = processes.rank * count
    frames = round(RECIPE.data.excerpt_seconds * RECIPE.network.sample_rate)
    excerpts = torch.randn(RECIPE.training.batch_size, 4, 2, frames, generator=generator)[first : first + count]
    draws = Draws.of(RECIPE.augment, RECIPE.training.batch_size, 4, generator).part(first, count)
    kept = int(RECIPE.kept_seconds * RECIPE.network.sample_rate)
    return augmented(excerpts, draws, kept, RECIPE.config.segment_frames).double()


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def main() -> None:
    """As the head of the file says."""
    source, target = map(Path, sys.argv[1:])
    processes, _ = joined("cpu")
    starts = torch.load(source)["weights"]
    records = [learn(processes), learn(processes, starts)]
    shares = processes.gathered([record.losses for record in records])
    assert all(share == shares[0] for share in shares), "all processes know the loss of the whole batch"
    if processes.is_first:
        torch.save([asdict(record) for record in records], target)
    left()


if __name__ == "__main__":
    main()
