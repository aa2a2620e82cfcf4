"""Recipes are read, laid over each other and written; the presets are the paper's; mistakes are told with a hint."""

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stemsplit.errors import UsageError
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.training.recipe import Augment, Averages, Data, Recipe
from stemsplit.training.recipe_file import describe_presets, preset_names, read_recipe, settings_of, to_toml

# Rouard et al. 2022, table 2 and the ablations below it; two of these networks did not fit the authors' memory.
TABLE = {
    "htdemucs-3.4s-5x384": ("3.4", 26_899_536),
    "htdemucs-3.4s-7x384": ("3.4", 34_005_072),
    "htdemucs-3.4s-5x512": ("3.4", 41_473_616),
    "htdemucs-7.8s-5x384": ("7.8", 26_899_536),
    "htdemucs-7.8s-7x384": ("7.8", 34_005_072),
    "htdemucs-12.2s-5x384": ("12.2", 26_899_536),
    "htdemucs-7.8s-5x512": ("7.8", 41_473_616),
    "htdemucs": ("7.8", 41_984_456),  # as published, with DConv in the decoder too
    "htdemucs-no-remix": ("7.8", 26_899_536),
    "htdemucs-no-repitch": ("7.8", 26_899_536),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_networks_of_the_paper(name: str) -> None:
    recipe = read_recipe(name)
    segment, parameters = TABLE[name]
    assert recipe.segment == Fraction(segment)
    with torch.device("meta"):
        network = HTDemucs(recipe.config)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_the_published_segment_follows_from_the_excerpts() -> None:
    assert Recipe().segment == Fraction(39, 5)
    assert Recipe().config.segment_frames == 343_980


def test_the_papers_recipe() -> None:
    recipe = read_recipe("htdemucs")
    training, optimizer = recipe.training, recipe.optimizer
    assert (training.epochs, training.batches_per_epoch, training.batch_size) == (1200, 800, 32)
    assert (optimizer.name, optimizer.learning_rate, optimizer.clip) == ("adam", 3e-4, 0)
    assert recipe.averages.batch == (0.9995, 0.9999)
    assert recipe.averages.epoch == (0.9, 0.95)
    assert recipe == Recipe(), "the defaults of the classes"


def test_fine_tuning_is_the_papers() -> None:
    recipe = read_recipe("htdemucs-ft")
    assert recipe.training.per_source
    assert (recipe.training.epochs, recipe.training.batch_size) == (50, 8)
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.weight_decay, optimizer.clip) == ("adamw", 1e-4, 0.05, 5)
    augment = recipe.augment
    assert (augment.remix, augment.gain, augment.shift_together) == (0, 0, True)
    assert (augment.repitch, augment.flip, augment.swap) == (0.2, 0.5, 0.5)
    assert not recipe.averages.epoch


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_written_and_read_back(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(name)
    path = tmp_path / "copy.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    assert read_recipe(str(path)) == recipe
    assert describe_presets()[name], "says what it is for"


@given(
    st.text(min_size=1, max_size=20), st.floats(0.01, 99), st.lists(st.floats(0.001, 0.999), unique=True, max_size=4)
)
def test_whatever_is_in_it_reads_back(name: str, weight: float, decays: list[float]) -> None:
    data = Data(sources=("kick", "ärger & co", "other"))
    recipe = Recipe(name, data, averages=Averages(tuple(decays), ()), loss={"ärger & co": weight})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.toml"
        path.write_text(to_toml(recipe), encoding="utf-8")
        assert read_recipe(str(path)) == recipe


def test_settings_change_what_they_name() -> None:
    settings = ["batch_size=4", "optimizer.name=sgd", "averages.batch=0.5,0.6", "sources=kick, other", "loss.kick=2"]
    recipe = read_recipe("htdemucs", [*settings, "checkpointing=true", "learning_rate=1"])
    assert recipe.training.batch_size == 4
    assert recipe.optimizer.name == "sgd"
    assert recipe.averages.batch == (0.5, 0.6)
    assert recipe.data.sources == ("kick", "other")
    assert recipe.loss_weights == (2.0, 1.0)
    assert recipe.training.checkpointing
    assert recipe.optimizer.learning_rate == 1.0
    assert settings_of(["channels=24", "seed=1"], "network") == {"channels": 24}


def test_a_file_extends_a_preset_and_another_file(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('extends = "small"\n[training]\nseed = 7\n')
    (tmp_path / "mine.toml").write_text('extends = "base.toml"\n[training]\nepochs = 3\n')
    recipe = read_recipe(str(tmp_path / "mine.toml"))
    assert recipe.name == "mine"
    assert recipe.network.channels == read_recipe("small").network.channels
    assert (recipe.training.seed, recipe.training.epochs) == (7, 3)


def test_a_circle_of_files_ends(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    with pytest.raises(UsageError, match="extends itself"):
        read_recipe(str(tmp_path / "a.toml"))


@pytest.mark.parametrize(
    ("settings", "mentions"),
    [
        (["batchsize=4"], "batch_size"),
        (["optimizer.momentum=4"], "optimizer"),
        (["batch_size=four"], "whole number"),
        (["batch_size"], "key=value"),
        (["batch_size=0"], "from 1 to"),
        (["remix_group=100000000000000000000"], "from 1 to"),
        ([".x=1"], "unknown"),
        (["name=adamw2"], "adam, adamw or sgd"),
        (["repitch=1.5"], "probabilities"),
        (["excerpt_seconds=1"], "longer"),
        (["channels=9"], "multiple of 8"),
        (["loss.violin=1"], "violin.*none of drums"),
        (["loss.drums=0", "loss.bass=0", "loss.other=0", "loss.vocals=0"], "nor all be 0"),
        (["averages.batch=1"], "between 0 and 1"),
        (["averages.batch=0.9"], "must differ"),
        (["semitones=3"], "0, 1 or 2"),
        (["learning_rate=nan"], "must be a number"),
        (["excerpt_seconds=inf"], "must be a number"),
        (["nowhere.key=1"], "unknown"),
        (["epoch=3"], "Did you mean epochs"),
    ],
)
def test_mistakes_are_told(settings: list[str], mentions: str) -> None:
    with pytest.raises(UsageError, match=mentions):
        read_recipe("htdemucs", settings)


def test_recipes_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean smoke"):
        read_recipe("smok")
    with pytest.raises(UsageError, match="No such file"):
        read_recipe(str(tmp_path / "none.toml"))
    (tmp_path / "broken.toml").write_text("[training\n")
    with pytest.raises(UsageError, match=r"broken\.toml"):
        read_recipe(str(tmp_path / "broken.toml"))


def test_without_repitching_an_excerpt_is_not_cut() -> None:
    assert Recipe(augment=Augment(repitch=0)).segment == 9
    assert Recipe(augment=Augment(repitch=0, shift_seconds=0)).segment == 10


@pytest.mark.parametrize(
    "text",
    [
        "training = 4\n",
        "[[training]]\n",
        'name = ["a"]\n',
        "[training]\nepochs = " + "[" * 5000 + "\n",
        "[network]\nsample_rate = 999999999999999999999999999999\n",
        "[network]\nhidden_scale = -1.0\n",
        "[network]\ndropout = 2\n",
        f"[optimizer]\nlearning_rate = 1{'0' * 400}\n",
    ],
)
def test_files_that_make_no_sense(text: str, tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(UsageError):
        read_recipe(str(tmp_path / "odd.toml"), ["epochs=1"])


def test_a_file_of_windows_notepad(tmp_path: Path) -> None:
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf[training]\r\nepochs = 3\r\n")
    assert read_recipe(str(tmp_path / "bom.toml")).training.epochs == 3
