"""A network that starts from a trained one answers as that one does, in the sources it has and in new ones."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from standins import REDUCED, SOURCES, make_folder, make_htdemucs_ft
from stemsplit.errors import UsageError
from stemsplit.training.recipe import Data, Recipe
from stemsplit.training.recipe_file import read_recipe
from stemsplit.training.start import adapted, load_start, starting_network
from stemsplit.weights.bag import find_model, load_bag


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("models") / "base", changes=REDUCED)


def _recipe(*sources: str) -> Recipe:
    recipe = read_recipe("smoke")
    return replace(recipe, data=replace(recipe.data, sources=sources or SOURCES))


def _answer(network: torch.nn.Module) -> Tensor:
    mixture = torch.randn(1, 2, 44_100, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answer: Tensor = network.eval()(mixture)
    return answer[0]


def test_it_starts_as_the_model(base: Path) -> None:
    recipe = _recipe()
    start = load_start(str(base), {}, recipe)
    recipe = adapted(recipe, start, {})
    network = starting_network(recipe, start)
    assert network.config.segment == recipe.segment, "what it is trained on, not what the model was"
    (trained,) = load_bag(find_model(str(base))).networks
    assert torch.equal(_answer(network), _answer(trained))


def test_new_sources_start_as_those_they_are_like(base: Path) -> None:
    recipe = _recipe("snare", "vocals", "kick", "other")
    start = load_start(str(base), {"kick": "drums", "snare": "drums"}, recipe)
    answer = _answer(starting_network(adapted(recipe, start, {}), start))
    (trained,) = load_bag(find_model(str(base))).networks
    drums, _, other, vocals = _answer(trained)
    torch.testing.assert_close(answer, torch.stack([drums, vocals, drums, other]), rtol=1e-4, atol=1e-5)


def test_the_model_that_it_starts_from_is_left_alone(base: Path) -> None:
    recipe = _recipe()
    start = load_start(str(base), {}, recipe)
    network = starting_network(adapted(recipe, start, {}), start)
    before = _answer(start.bag.networks[0])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert torch.equal(_answer(start.bag.networks[0]), before)


def test_each_source_starts_from_its_own_member(tmp_path: Path) -> None:
    folder = make_htdemucs_ft(tmp_path / "ft", reduced=True).folder
    recipe = replace(read_recipe("htdemucs-ft"), data=Data(sources=SOURCES))
    start = load_start(str(folder), {}, recipe)
    recipe = adapted(recipe, start, {})
    for index, source in enumerate(SOURCES):
        member = start.bag.networks[[row.index(1.0) for row in start.bag.weights].index(index)]
        assert torch.equal(_answer(starting_network(recipe, start, source)), _answer(member))
    with pytest.raises(UsageError, match=r"bag of 4 networks.*htdemucs-ft"):
        load_start(str(folder), {}, _recipe())


def test_what_cannot_be_started_from(base: Path) -> None:
    with pytest.raises(UsageError, match="--init-head kick=drums"):
        load_start(str(base), {}, _recipe("kick"))
    with pytest.raises(UsageError, match="no violin"):
        load_start(str(base), {"kick": "violin"}, _recipe("kick"))
    with pytest.raises(UsageError, match="none of drums"):
        load_start(str(base), {"kick": "drums"}, _recipe())
    start = load_start(str(base), {}, _recipe())
    with pytest.raises(UsageError, match=r"channels=24.*channels=8"):
        adapted(_recipe(), start, {"channels": 24})
    assert adapted(_recipe(), start, {"channels": 8, "dropout": 0.1}).network.channels == 8


def test_fresh_weights_follow_from_the_seed() -> None:
    recipe = _recipe()
    one, again = starting_network(recipe, None), starting_network(recipe, None)
    other = starting_network(replace(recipe, training=replace(recipe.training, seed=1)), None)
    weights = [network.encoder[0].conv.weight for network in (one, again, other)]  # type: ignore[union-attr]
    assert torch.equal(weights[0], weights[1])  # type: ignore[arg-type]
    assert not torch.equal(weights[0], weights[2])  # type: ignore[arg-type]
