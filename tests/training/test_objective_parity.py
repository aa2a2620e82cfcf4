"""
The arithmetic of training against plain formulas and the reference implementation.

Loss, optimiser step (from equal gradients), averages and the gradients of a whole small network agree with both,
however a batch is divided and whether activations are kept; a trained file is the reference's network too, with the
same stems. In double precision where rounding could hide a difference.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from multitracks import multitrack, write_multitrack
from scores import sdr
from standins import REDUCED, SOURCES, arguments, draw, oracle_network
from stemsplit import Separator
from stemsplit.audio.assignment import SourceRules
from stemsplit.model.config import HTDemucsConfig
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.training.averages import Average, AverageSet
from stemsplit.training.learner import Learner, annealed, optimizer_of
from stemsplit.training.objective import l1_loss
from stemsplit.training.processes import ALONE
from stemsplit.training.recipe import Augment, Averages, Data, Network, Optimizer, Recipe, Training
from stemsplit.training.run import Request, prepared, train
from stemsplit.training.survey import DataFolder
from stemsplit.training.trainer import Surroundings
from stemsplit.weights.arguments import config_from_arguments
from stemsplit.weights.checkpoint import write_checkpoint

# With 16 channels every parameter counts; with 8, the outermost DConv has one hidden channel, and the norm behind it
# takes its bias away.
SMALL: dict[str, Any] = REDUCED | {"channels": 16, "t_layers": 2, "segment": Fraction(1, 4), "t_dropout": 0.0}
FRAMES = 11_025
WEIGHTS = {"drums": 1.0, "bass": 2.0, "other": 0.5, "vocals": 0.0}
RECIPE = Recipe(optimizer=Optimizer(name="sgd", learning_rate=1e-6), loss=WEIGHTS)


def _network(**changes: object) -> HTDemucs:
    """Small, every parameter drawn, in double precision."""
    torch.manual_seed(0)
    network = HTDemucs(config_from_arguments(arguments(**SMALL | changes)))
    draw(network, 0)
    return network.double()


def _sources(excerpts: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(excerpts, 4, 2, FRAMES, dtype=torch.float64, generator=generator)


def _learnt(network: HTDemucs, recipe: Recipe = RECIPE) -> tuple[float, dict[str, Tensor]]:
    """The loss of a step, and the gradients that it followed."""
    loss = Learner(network, recipe, "cpu").step(_sources(), seed=5)
    return loss, {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}


def _assert_equal(gradients: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float) -> None:
    """Compared to the largest number of each tensor."""
    assert gradients.keys() == expected.keys()
    for name, tensor in expected.items():
        assert tensor.abs().max() > 1e-6, f"{name} does not count"
        assert (gradients[name] - tensor).abs().max() < tolerance * tensor.abs().max(), name


def test_the_loss_is_the_weighted_mean_of_absolute_errors() -> None:
    random = np.random.default_rng(0)
    estimates, sources = random.standard_normal((2, 3, 4, 2, 50))
    weights = list(WEIGHTS.values())
    total = 0.0
    for index, weight in enumerate(weights):
        differences = [abs(a - b) for a, b in zip(estimates[:, index].flat, sources[:, index].flat, strict=True)]
        total += weight * sum(differences) / len(differences)
    loss = l1_loss(torch.from_numpy(estimates), torch.from_numpy(sources), torch.tensor(weights))
    assert float(loss) == pytest.approx(total / sum(weights), rel=1e-12)


def test_gradients_of_a_whole_network_are_the_references() -> None:
    network, sources = _network(), _sources()
    oracle = oracle_network(**SMALL).double().train()
    oracle.load_state_dict(network.state_dict(), strict=True)
    errors = torch.nn.functional.l1_loss(oracle(sources.sum(1)), sources, reduction="none").mean((2, 3)).mean(0)
    weights = torch.tensor(list(WEIGHTS.values()))
    expected = (errors * weights).sum() / weights.sum()
    expected.backward()
    loss, gradients = _learnt(network)
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    assert len(gradients) == len(network.state_dict())
    _assert_equal(gradients, {name: parameter.grad for name, parameter in oracle.named_parameters()}, 1e-5)


def _adam(weight: Tensor, gradients: list[Tensor], rate: float, decay: float) -> Tensor:
    """Kingma and Ba 2015, algorithm 1; decay is part of the gradient."""
    m, v = torch.zeros_like(weight), torch.zeros_like(weight)
    for step, plain in enumerate(gradients, 1):
        gradient = plain + decay * weight
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        weight = weight - rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    return weight


def _adamw(weight: Tensor, gradients: list[Tensor], rate: float, decay: float) -> Tensor:
    """Loshchilov and Hutter 2019, algorithm 2; decay is apart from the gradient."""
    m, v = torch.zeros_like(weight), torch.zeros_like(weight)
    for step, gradient in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        moved = (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
        weight = weight - rate * (moved + decay * weight)
    return weight


def _sgd(weight: Tensor, gradients: list[Tensor], rate: float, decay: float) -> Tensor:
    for gradient in gradients:
        weight = weight - rate * (gradient + decay * weight)
    return weight


@pytest.mark.parametrize(("name", "formula"), [("adam", _adam), ("adamw", _adamw), ("sgd", _sgd)])
@pytest.mark.parametrize("layers", [0, 1])
def test_steps_from_equal_gradients_are_the_formulas(name: str, formula: Callable[..., Tensor], layers: int) -> None:
    """Decay falls on the transformer alone."""
    network = _network(t_layers=layers, bottom_channels=32 if layers else 0)
    optimizer = optimizer_of(network, Optimizer(name=name, learning_rate=0.01, weight_decay=0.1))
    generator = torch.Generator().manual_seed(2)
    before = {key: parameter.detach().clone() for key, parameter in network.named_parameters()}
    gradients: dict[str, list[Tensor]] = {key: [] for key in before}
    for _ in range(4):
        for key, parameter in network.named_parameters():
            parameter.grad = torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
            gradients[key].append(parameter.grad.clone())
        optimizer.step()
    for key, parameter in network.named_parameters():
        decay = 0.1 if key.startswith("crosstransformer.") else 0.0
        expected = formula(before[key], gradients[key], 0.01, decay)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-10, atol=1e-12)


def test_clipping_shortens_the_gradient_to_a_norm_and_no_further() -> None:
    _, gradients = _learnt(_network())
    norm = float(sum(tensor.square().sum() for tensor in gradients.values()) ** 0.5)
    for clip, factor in ((norm / 3, 1 / 3), (3 * norm, 1.0)):
        network = _network()
        before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        _learnt(network, replace(RECIPE, optimizer=Optimizer(name="sgd", learning_rate=0.5, clip=clip)))
        moved = {name: before[name] - parameter.detach() for name, parameter in network.named_parameters()}
        _assert_equal(moved, {name: 0.5 * factor * gradient for name, gradient in gradients.items()}, 1e-5)


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_a_batch_in_parts_has_the_gradients_of_the_whole(parts: int) -> None:
    loss, gradients = _learnt(_network())
    divided, divided_gradients = _learnt(_network(), replace(RECIPE, training=Training(accumulate=parts)))
    assert divided == pytest.approx(loss, rel=1e-6)
    _assert_equal(divided_gradients, gradients, 1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("parts", [1, 2])
def test_activations_computed_twice_give_the_same_gradients(dropout: float, parts: int) -> None:
    """Dropout, too, falls on the same places the second time."""
    training = Training(accumulate=parts)
    loss, gradients = _learnt(_network(t_dropout=dropout), replace(RECIPE, training=training))
    network = _network(t_dropout=dropout)
    again, same = _learnt(network, replace(RECIPE, training=replace(training, checkpointing=True)))
    assert again == loss
    _assert_equal(same, gradients, 1e-10)
    assert network.state_dict().keys() == _network().state_dict().keys()


def test_the_learning_rate_falls_in_a_straight_line_at_the_end() -> None:
    assert [annealed(step, 10, 0.0) for step in (0, 9)] == [1, 1]
    assert [annealed(step, 10, 0.4) for step in range(10)] == pytest.approx([1] * 7 + [0.75, 0.5, 0.25])
    assert [annealed(step, 4, 1.0) for step in range(4)] == pytest.approx([1, 0.75, 0.5, 0.25])
    moved = []
    for rate in (1.0, 0.25):
        network = _network()
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        sgd = replace(RECIPE, optimizer=replace(RECIPE.optimizer, name="sgd", learning_rate=10.0))
        Learner(network, sgd, "cpu").step(_sources(), 0, rate)
        moved.append({name: tensor - before[name] for name, tensor in network.state_dict().items()})
    _assert_equal({name: 4 * tensor for name, tensor in moved[1].items()}, moved[0], 1e-8)


def test_dropout_follows_its_seed() -> None:
    losses = [Learner(_network(t_dropout=0.3), RECIPE, "cpu").step(_sources(), seed) for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.9995])
def test_an_average_is_the_weighted_mean_of_all_weights(decay: float) -> None:
    """Sum of d^(n - i) w_i over the sum of d^(n - i), as the reference's recursion has it."""
    from demucs.ema import ModelEMA

    reference: Any = ModelEMA
    weights = torch.randn(30, 5, generator=torch.Generator().manual_seed(3)) + 2
    module = torch.nn.Linear(5, 1, bias=False)
    oracle, average, plain, count = reference(module, decay), Average(decay), torch.zeros(5), 0.0
    for step, row in enumerate(weights, 1):
        module.load_state_dict({"weight": row[None]})
        oracle.update()
        average.add(module.state_dict())
        count = decay * count + 1
        plain = plain + (row - plain) / count
        shares = decay ** torch.arange(step - 1, -1, -1.0, dtype=torch.float64)
        mean = (shares @ weights[:step].double() / shares.sum()).float()
        for expected in (mean, plain, oracle.state["weight"][0]):
            torch.testing.assert_close(average.weights["weight"][0], expected, rtol=1e-5, atol=1e-6)


def test_the_average_of_constant_weights_is_their_value_from_the_first() -> None:
    average, weight = Average(0.9999), {"w": torch.tensor([3.0, -0.1])}
    for _ in range(20):
        average.add(weight)
        torch.testing.assert_close(average.weights["w"], weight["w"], rtol=1e-6, atol=0)


def test_averages_go_on_from_their_state() -> None:
    rows = torch.randn(6, 4, generator=torch.Generator().manual_seed(4))
    kinds = Averages(batch=(0.9,), epoch=(0.5,))
    whole, first, second = AverageSet(kinds), AverageSet(kinds), AverageSet(kinds)
    for number, row in enumerate(rows):
        if number == 3:
            second.restore(first.state(), "cpu")
        half = first if number < 3 else second
        for average in [*whole.all.values(), *half.all.values()]:
            average.add({"w": row})
    assert second.all.keys() == {"batch 0.9", "epoch 0.5"}
    for name, average in whole.all.items():
        assert torch.equal(second.all[name].weights["w"], average.weights["w"])


def _music(seconds: float) -> Any:
    return np.sum(list(multitrack(9, seconds).values()), axis=0, dtype=np.float32)


def _separated(model: Any, mixture: Any) -> Tensor:
    """All sources by the reference, [sources, channels, frames]."""
    from demucs.apply import apply_model

    wave = torch.from_numpy(mixture)
    mean, std = wave.mean(0).mean(), wave.mean(0).std() + 1e-8
    model.eval()
    stems: Tensor = apply_model(model, ((wave - mean) / std)[None], shifts=0, overlap=0.25)[0] * std + mean
    return stems


def _assert_same_stems(model: str, oracle: Any, mixture: Any) -> None:
    stems = Separator.load(model, device="cpu", precision="fp32")(mixture)
    assert list(stems) == list(oracle.sources)
    for expected, stem in zip(_separated(oracle, mixture), stems.values(), strict=True):
        assert sdr(expected, torch.from_numpy(stem)) >= 80


@pytest.mark.parametrize("encoder_only", [False, True])
def test_a_written_network_is_the_references_with_the_same_stems(encoder_only: bool, tmp_path: Path) -> None:
    from demucs.hf import load_safetensors_model

    config = HTDemucsConfig(SOURCES, Fraction(1, 2), channels=8, bottom_channels=32, transformer_heads=2)
    config = replace(config, dconv_decoder=not encoder_only)
    network = HTDemucs(config)
    draw(network, 6)
    path = tmp_path / "network.safetensors"
    write_checkpoint(path, network)
    oracle = load_safetensors_model(path)
    assert oracle.state_dict().keys() == network.state_dict().keys()
    _assert_same_stems(str(path), oracle, _music(1.3))


@pytest.mark.parametrize("per_source", [False, True])
def test_a_run_is_the_references_model_with_the_same_stems(
    per_source: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One network, or a bag of one for each source; the reference reads YAML and networks as it does from the hub."""
    from demucs.hf import get_hf_model

    sources = ("drums", "vocals")
    recipe = Recipe(
        data=Data(sources, excerpt_seconds=0.75, stride_seconds=0.25),
        network=Network(channels=8, bottom_channels=32, transformer_layers=2, transformer_heads=2),
        augment=Augment(repitch=0, shift_seconds=0.25, remix_group=2),
        optimizer=Optimizer(learning_rate=1e-2),
        training=Training(epochs=1, batches_per_epoch=2, batch_size=2, per_source=per_source),
        averages=Averages(batch=(0.9,), epoch=()),
    )
    for seed, split in enumerate(("train", "valid")):
        stems = multitrack(seed, 2.0)
        write_multitrack(tmp_path / "songs" / split / "song", {source: stems[source] for source in sources})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = tmp_path / "run"
    request = Request([DataFolder(tmp_path / "songs")], recipe, SourceRules(sources), run)
    train(prepared(request, ALONE), Surroundings("cpu", ALONE, 0, lambda event: None))

    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repository, name: run / name)
    oracle = get_hf_model("someone/run")
    assert len(oracle.models) == (2 if per_source else 1)
    assert [member.segment for member in oracle.models] == [recipe.segment] * len(oracle.models)
    _assert_same_stems(str(run), oracle, _music(1.3))
