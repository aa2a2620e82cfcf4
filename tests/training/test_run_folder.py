"""A run's folder holds one model, and nothing that was put into its notes makes it touch anything else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stemsplit.errors import UsageError
from stemsplit.training.origin import Origin
from stemsplit.training.recipe_file import read_recipe
from stemsplit.training.run_folder import RunFolder, holds_run
from stemsplit.training.start import starting_network
from stemsplit.weights.bag import find_model, load_bag

RECIPE = read_recipe("smoke")
ORIGIN = Origin("songs", None, (("songs", 1.0),), {"train": 1}, {"train": (1.0,)})
NETWORK = starting_network(RECIPE, None)
OTHER = starting_network(replace(RECIPE, training=replace(RECIPE.training, seed=1)), None)


def _opened(path: Path) -> RunFolder:
    return RunFolder.open(path, RECIPE, ORIGIN)


def test_the_better_replaces_the_worse_and_strangers_stay(tmp_path: Path) -> None:
    folder = _opened(tmp_path / "run")
    (folder.path / "955717e8.safetensors").write_bytes(b"somebody's")
    for network in (NETWORK, OTHER, NETWORK):
        folder.publish(network)
        assert len(list(folder.path.glob("*.safetensors"))) == 2
    (published,) = load_bag(find_model(str(folder.path))).networks
    assert published.config == NETWORK.config
    folder.close()


@pytest.mark.parametrize("note", ["null", "[1]", '["state"]', '[".."]', "{bad", '["VICTIM"]', '["../victim.yaml"]'])
def test_a_note_that_was_tampered_with_removes_nothing(note: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim.yaml"
    victim.write_text("precious")
    folder = _opened(tmp_path / "run")
    (folder.path / "state" / "published.json").write_text(note.replace("VICTIM", str(victim)))
    folder.publish(NETWORK)
    folder.publish(OTHER)
    assert victim.read_text() == "precious"
    find_model(str(folder.path))
    folder.close()


def test_what_is_noted_reads_back() -> None:
    assert Origin.from_json(ORIGIN.to_json()) == ORIGIN
    for text in ("null", "[]", "{}", '{"data": 1}'):
        with pytest.raises(ValueError, match="note of a run"):
            Origin.from_json(text)


@pytest.mark.parametrize("origin", ["null", "[]", "garbage"])
def test_a_note_that_is_none_is_told(origin: str, tmp_path: Path) -> None:
    _opened(tmp_path / "run").close()
    (tmp_path / "run" / "state" / "origin.json").write_text(origin)
    with pytest.raises(UsageError, match="cannot be read"):
        _opened(tmp_path / "run")


def test_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    _opened(tmp_path / "run").close()
    with pytest.raises(UsageError, match="the data"):
        RunFolder.open(tmp_path / "run", RECIPE, replace(ORIGIN, data="others"))
    longer = replace(RECIPE, training=replace(RECIPE.training, epochs=9))
    with pytest.raises(UsageError, match=r"training\.epochs \(2 there\)"):
        RunFolder.open(tmp_path / "run", longer, ORIGIN)
    thrifty = replace(RECIPE, training=replace(RECIPE.training, checkpointing=True, accumulate=2))
    RunFolder.open(tmp_path / "run", thrifty, ORIGIN).close()
    assert json.loads((tmp_path / "run" / "state" / "origin.json").read_text())["data"] == "songs"


@pytest.mark.parametrize("name", ["new\nline", "n" * 250])
def test_names_that_no_model_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be called so"):
        holds_run(tmp_path / name)
