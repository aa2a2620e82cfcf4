"""`stemsplit train --init`: which model a training starts from, and what it takes over; one network per source."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import Tensor

from cli.program import Result, stems, stemsplit
from multitracks import SOURCES, write_multitrack
from signals import noise, write_sound
from standins import ONE_HOT, REDUCED, make_folder
from stemsplit.training.learner import Learner
from stemsplit.weights.bag import find_model, load_bag
from training_runs import RATE, contents, train, weights_of

TINY = REDUCED | {"samplerate": RATE, "bottom_channels": 0, "t_layers": 0}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache of starts"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("models") / "model", changes=TINY)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("models") / "bag", 4, weights=ONE_HOT, changes=TINY)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs with five stems: `kick` is a source, or a part of `other`."""
    folder = tmp_path_factory.mktemp("data") / "songs"
    for number in range(3):
        stems = {name: noise(2, 2 * RATE, seed=i + 5 * number) for i, name in enumerate((*SOURCES, "kick"))}
        write_multitrack(folder / f"song {number}", stems, RATE)
    return folder


def weights(model: Path, number: int = 0) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = load_bag(find_model(str(model))).networks[number].state_dict()
    return tensors


def still(songs: Path, *words: str | Path, **changes: object) -> Result:
    """A training that moves no weight."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "step", lambda *_: 0.5)
        return train(songs, *words, **changes)


def heads(tensors: dict[str, Tensor], sources: Sequence[str]) -> dict[str, list[Tensor]]:
    """By source: weights and biases of both branches."""
    parts = [
        tensors[f"{branch}.3.conv_tr.{kind}"].chunk(len(sources), dimension)
        for branch in ("decoder", "tdecoder")
        for kind, dimension in (("weight", 1), ("bias", 0))
    ]
    return {source: [part[i] for part in parts] for i, source in enumerate(sources)}


def last_error(result: Result) -> str:
    last = result.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert last.endswith((".", "?"))
    assert "unexpected" not in result.err
    return last


def test_it_starts_from_all_weights_of_the_model(songs: Path, model: Path) -> None:
    assert still(songs, "-o", "run", "--init", model).code == 0
    before, after = weights(model), weights(Path("run"))
    assert before.keys() == after.keys()
    assert all(before[name].half().equal(after[name].half()) for name in before)


def test_the_shape_is_the_model_s_without_a_word(songs: Path, model: Path) -> None:
    result = stemsplit(
        "train", songs, "-r", "smoke", "--init", model, "-o", "run", "--workers", "0", "--device", "cpu",
        *["--set", "repitch=0", "--set", "excerpt_seconds=1.2", "--set", "shift_seconds=0.2", "--set", "epochs=1"],
        *["--set", "batches_per_epoch=1", "--set", "batch_size=2", "--set", "remix_group=2"],
    )  # fmt: skip
    assert result.code == 0, result.err
    assert load_bag(find_model("run")).sample_rate == RATE
    assert "bottom_channels = 0" in Path("run/recipe.toml").read_text()


def test_new_sources_take_the_heads_they_are_told(songs: Path, model: Path) -> None:
    """Whatever their order; the trunk is the model's."""
    sources = ("vocals", "kick", "drums", "bass", "other")
    words = ["--sources", ",".join(sources), "--init-head", "kick=drums"]
    assert still(songs, "-o", "run", "--init", model, *words).code == 0
    before, after = weights(model), weights(Path("run"))
    old, new = heads(before, SOURCES), heads(after, sources)
    for source in sources:
        taken = old["drums" if source == "kick" else source]
        assert all(a.half().equal(b.half()) for a, b in zip(new[source], taken, strict=True)), source
    trunk = [name for name in before if ".3.conv_tr." not in name]
    assert all(before[name].half().equal(after[name].half()) for name in trunk)


def test_fewer_sources_are_learnt_with_the_heads_that_are_left(songs: Path, model: Path) -> None:
    assert still(songs, "-o", "run", "--init", model, "--sources", "other,vocals").code == 0
    old, new = heads(weights(model), SOURCES), heads(weights(Path("run")), ("other", "vocals"))
    for source in ("other", "vocals"):
        assert all(a.half().equal(b.half()) for a, b in zip(new[source], old[source], strict=True))


@pytest.mark.parametrize(
    ("words", "mentions"),
    [
        (("--sources", "drums,bass,other,vocals,kick"), ("kick", "--init-head kick=")),
        (("--sources", "kick,other", "--init-head", "kick=snare"), ("snare", "drums, bass, other, vocals")),
        (("--init-head", "kazoo=drums"), ("kazoo",)),
        (("--set", "channels=16"), ("channels=16", "channels=8", "--init")),
        (("--set", "network.bottom_channels=64"), ("bottom_channels=64",)),
        (("--set", "sample_rate=44100"), ("sample_rate",)),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    words: Sequence[str], mentions: Sequence[str], songs: Path, model: Path
) -> None:
    result = stemsplit("train", songs, "-r", "smoke", "-o", "run", "--init", model, *words)
    assert result.code == 2
    for mention in mentions:
        assert mention in last_error(result)
    assert not Path("run").exists()


@pytest.mark.parametrize("name", ["nobody", "no/model/here", "song.wav"])
def test_a_model_that_is_none_is_refused(name: str, songs: Path) -> None:
    Path("song.wav").write_bytes(b"la")
    result = train(songs, "-o", "run", "--init", name, "--offline")
    assert result.code in (1, 2)
    assert name in last_error(result)
    assert not Path("run").exists()


def test_a_bag_is_refused_where_one_network_is_trained(songs: Path, bag: Path) -> None:
    result = train(songs, "-o", "run", "--init", bag)
    assert result.code == 2
    assert all(word in last_error(result) for word in ("bag of 4 networks", ".safetensors", "htdemucs-ft"))
    member = sorted(bag.glob("*.safetensors"))[0]
    assert still(songs, "-o", "run", "--init", member).code == 0


def test_another_start_is_another_run(songs: Path, model: Path, bag: Path) -> None:
    assert still(songs, "-o", "run", "--init", model).code == 0
    before = contents(Path("run"))
    for words in ((), ("--init", sorted(bag.glob("*.safetensors"))[1])):
        result = still(songs, "-o", "run", *words)
        assert (result.code, contents(Path("run"))) == (2, before)
        assert "the model to start from" in last_error(result)
    assert still(songs, "-o", "run", "--init", model).code == 0


# One network for each source


FINE = "--set repitch=0 --set excerpt_seconds=1.2 --set shift_seconds=0.2 --set epochs=1 --set batches_per_epoch=2"
FINE += " --set batch_size=2 --set averages.batch=[] --workers 0 --device cpu"


def fine_tuned(songs: Path, run: str, bag: Path, *words: str | Path) -> Result:
    return stemsplit("train", songs, "-r", "htdemucs-ft", "-o", run, "--init", bag, *FINE.split(), *words)


@pytest.fixture(scope="module")
def whole(songs: Path, bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "fine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache of starts"))
        result = fine_tuned(songs, str(run), bag)
    assert result.code == 0, result.err
    return run


def test_each_source_has_a_run_and_all_are_one_model(whole: Path, tmp_path: Path) -> None:
    signatures = []
    for source in SOURCES:
        (path,) = (whole / source).glob("*.safetensors")
        assert (whole / path.name).read_bytes() == path.read_bytes()
        assert (whole / source / "metrics.jsonl").exists()
        signatures.append(path.stem)
    definition: dict[str, Any] = yaml.safe_load((whole / "fine.yaml").read_text())
    assert definition["models"] == signatures
    assert [tuple(row) for row in definition["weights"]] == list(ONE_HOT)
    song = write_sound(tmp_path / "song.wav", noise(2, RATE), RATE)
    result = stemsplit(song, "-m", whole, "-o", tmp_path / "out", "-s", "bass", "--device", "cpu", "--json")
    assert (result.code, result.report["networks"]) == (0, 1)
    assert set(stems(tmp_path / "out/song")) == {"bass"}


def test_each_source_starts_from_its_own_network_and_learns_for_it_alone(
    songs: Path, bag: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "step", lambda *_: 0.5)
        assert fine_tuned(songs, "run", bag).code == 0
    for number, source in enumerate(SOURCES):
        before, after = weights(bag, number), weights(Path("run") / source)
        assert all(before[name].half().equal(after[name].half()) for name in before)
        lines = Path("run", source, "recipe.toml").read_text().partition("[loss]")[2].split("\n")
        assert f'"{source}" = 1.0' in lines
        assert sum(line.endswith("= 0.0") for line in lines) == 3


def test_stopped_between_its_networks_it_goes_on(
    songs: Path, bag: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, count = Learner.step, 0

    def struck(learner: Learner, sources: Tensor, seed: int, rate: float) -> float:
        nonlocal count
        count += 1
        if count == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return compute(learner, sources, seed, rate)

    monkeypatch.setattr(Learner, "step", struck)
    stopped = fine_tuned(songs, "fine", bag)
    assert stopped.code == 143
    assert not Path("fine/fine.yaml").exists()
    assert not Path("fine/other").exists()
    done = contents(Path("fine/drums"))
    assert fine_tuned(songs, "fine", bag).code == 0
    assert contents(Path("fine/drums")) == done
    ours, theirs = weights_of(Path("fine")), weights_of(whole)
    assert {name: sorted(numbers) for name, numbers in ours.items()} == {k: sorted(v) for k, v in theirs.items()}
    before = contents(Path("fine"))
    assert fine_tuned(songs, "fine", bag).code == 0
    assert contents(Path("fine")) == before
