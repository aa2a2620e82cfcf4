"""The folder that `stemsplit train` leaves: what is in it, what it is good for, and whom it refuses."""

import errno
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from cli.program import PROGRAM, SECONDS, assert_one_sentence, mounted, stems, stemsplit
from multitracks import write_multitrack
from signals import noise, write_sound
from stemsplit.training import run_folder
from stemsplit.training.origin import Origin
from stemsplit.training.recipe_file import read_recipe
from stemsplit.training.run_folder import RunFolder
from stemsplit.whole_file import whole_file
from training_runs import (
    RATE,
    assert_equal_states,
    contents,
    mixture_of,
    settings,
    song,
    state_of,
    temporaries,
    train,
    tree,
    write_songs,
)

EPOCHS = 2


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache of runs"))


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_songs(tmp_path_factory.mktemp("data") / "songs")


@pytest.fixture(scope="module")
def trained(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is done; to be copied where it may change."""
    run = tmp_path_factory.mktemp("trained") / "my run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache of runs"))
        result = train(songs, "-o", run, epochs=EPOCHS, averages__batch="[0.5]")
    assert result.code == 0, result.err
    assert result.err.splitlines()[-1] == f"Done. Use it: stemsplit song.mp3 -m {shlex.quote(str(run))}"
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "my run"))


def again(songs: Path, run: Path, *words: str, **changes: object) -> tuple[int, str]:
    result = train(songs, "-o", run, *words, **{"epochs": EPOCHS, "averages__batch": "[0.5]"} | changes)
    return result.code, result.err


# What is in it


def test_it_holds_what_is_promised_and_nothing_else(trained: Path) -> None:
    (weights,) = trained.glob("*.safetensors")
    assert weights.stem == hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    texts = {"README.md", "recipe.toml", "metrics.jsonl"}
    assert {path.name for path in trained.iterdir()} == texts | {"my run.yaml", weights.name, "curves.png", "state"}
    assert temporaries(trained) == []
    assert list((trained / "state/tensorboard").glob("events.out.tfevents.*"))


def test_its_recipe_reads_as_what_was_asked_for(trained: Path) -> None:
    words = settings(epochs=EPOCHS, averages__batch="[0.5]")
    assert read_recipe(str(trained / "recipe.toml")) == read_recipe("smoke", words[3::2])


def test_its_metrics_are_a_json_object_for_every_epoch(trained: Path) -> None:
    entries = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [(entry["epoch"], entry["step"]) for entry in entries] == [(1, 2), (2, 4)]
    for entry in entries:
        assert entry["train_loss"] > 0
        assert set(entry["valid"]) == {"plain", "batch 0.5"}
        losses = {name: valid["loss"] for name, valid in entry["valid"].items()}
        assert losses[entry["best"]] == min(losses.values())
        assert list(entry["valid"]["plain"]["sdr"]) == ["drums", "bass", "other", "vocals"]


def test_its_curves_are_a_picture(trained: Path) -> None:
    from matplotlib.image import imread

    picture = np.asarray(imread(trained / "curves.png"))
    assert min(picture.shape[:2]) > 300
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 10


def test_its_card_tells_scores_data_and_use(trained: Path) -> None:
    card = (trained / "README.md").read_text()
    for text in ("my run", "drums, bass, other and vocals", "SDR", "recipe.toml", "stemsplit song.mp3 -m", "train | 3"):
        assert text in card


def test_it_is_a_model_for_songs(trained: Path, tmp_path: Path) -> None:
    mixture = mixture_of(song(7))
    write_sound(tmp_path / "song.wav", mixture, RATE, "FLOAT")
    result = stemsplit(tmp_path / "song.wav", "-m", trained, "--device", "cpu", "-o", tmp_path / "out", "--json")
    assert (result.code, result.report["model"]) == (0, "my run")
    written = stems(tmp_path / "out/song")
    assert set(written) == {"drums", "bass", "other", "vocals"}
    assert {(sound.rate, sound.frames) for sound in written.values()} == {(RATE, mixture.shape[1])}
    assert stemsplit(tmp_path / "song.wav", "-m", trained, "-s", "vocals", "-o", tmp_path / "one").code == 0
    assert set(stems(tmp_path / "one/song")) == {"vocals"}


def test_equal_weights_make_an_equal_file(run: Path, tmp_path: Path) -> None:
    """Else a run that was killed would not end with the file of one that was not."""
    from stemsplit.weights.bag import find_model, load_bag

    (network,) = load_bag(find_model(str(run))).networks
    recipe = read_recipe(str(run / "recipe.toml"))
    folder = RunFolder.open(tmp_path / "other", recipe, Origin("", None, (), {}, {}))
    try:
        names = set()
        for _ in range(12):
            folder.publish(network)
            names |= {path.name for path in folder.path.glob("*.safetensors")}
    finally:
        folder.close()
    assert len(names) == 1


# Once more


def test_the_same_command_changes_nothing(run: Path, songs: Path, tmp_path: Path) -> None:
    """Nor if songs and run lie elsewhere by now."""
    before = contents(run)
    code, told = again(songs, run)
    assert (code, contents(run)) == (0, before)
    assert "my run: is trained already." in told
    assert "epoch 1" not in told
    moved = shutil.copytree(songs, tmp_path / "moved")
    assert again(Path(moved), run)[0] == 0
    assert contents(run) == before


@pytest.mark.parametrize(
    ("name", "value"), [("learning_rate", "0.001"), ("epochs", "3"), ("data.sources", "drums,bass,other")]
)
def test_another_recipe_is_refused(name: str, value: str, run: Path, songs: Path) -> None:
    before = tree(run, but="lock")
    code, told = again(songs, run, **{name.replace(".", "__"): value})
    assert (code, tree(run, but="lock")) == (2, before)
    last = told.splitlines()[-1]
    assert last.startswith("error: ")
    assert name in last
    assert "-o" in last


def test_a_rule_that_decides_nothing_about_these_songs_is_no_difference(run: Path, songs: Path) -> None:
    assert again(songs, run, "--rest", "drums", "--missing", "skip")[0] == 0


@pytest.mark.parametrize("change", ["a song more", "a song less", "another length", "a weight", "another name"])
def test_other_data_are_refused(change: str, run: Path, songs: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(songs, tmp_path / "other songs"))
    if change == "a song more":
        write_multitrack(other / "song 9", song(9), RATE)
    if change == "a song less":
        shutil.rmtree(other / "song 1")
    if change == "another length":
        write_sound(other / "song 1/bass.wav", noise(2, 7777), RATE)
    if change == "another name":
        (other / "song 1").rename(other / "song one")
    before = contents(run)
    code, told = again(Path(f"{other}=3") if change == "a weight" else other, run)
    assert (code, contents(run)) == (2, before)
    assert "differs in the data" in told.splitlines()[-1]


@pytest.mark.parametrize("kind", ["songs", "a file", "a hidden file", "a model"])
def test_a_folder_of_something_else_is_refused_and_left_alone(kind: str, songs: Path, trained: Path) -> None:
    place = Path("place")
    if kind == "songs":
        shutil.copytree(songs, place)
    if kind == "a file":
        place.write_text("mine")
    if kind == "a hidden file":
        place.mkdir()
        (place / ".mine").write_text("mine")
    if kind == "a model":
        place.mkdir()
        for path in (*trained.glob("*.yaml"), *trained.glob("*.safetensors")):
            shutil.copy(path, place)
    before = tree(Path())
    result = train(songs, "-o", place)
    assert result.code == 2
    assert result.err.splitlines()[-1] == "error: place: exists and is no run. Choose another folder with -o."
    assert tree(Path()) == before


def test_an_empty_folder_is_as_good_as_none(songs: Path) -> None:
    Path("place").mkdir()
    assert train(songs, "-o", "place").code == 0
    assert Path("place/place.yaml").exists()


# What cannot be asked for

SLIPS = [
    (("--set", "lerning_rate=1"), "Did you mean learning_rate?"),
    (("--set", "network.chanels=8"), "Did you mean network.channels?"),
    (("--set", "netwrk.channels=8"), "Did you mean network?"),
    (("--set", "learning_rate"), "key=value"),
    (("--set", "learning_rate=fast"), "must be a number, not 'fast'"),
    (("--set", "epochs=2.5"), "must be a whole number, not 2.5"),
    (("--set", "checkpointing=1"), "must be true or false, not 1"),
    (("--set", "learning_rate=-1"), "learning_rate must be above 0"),
    (("--set", "channels=7"), "channels must be"),
    (("--set", "excerpt_seconds=0.1"), "excerpt_seconds"),
    pytest.param(("--set", "loss.kazoo=1"), "kazoo"),
    (("--recipe", "htdemuc"), "Did you mean htdemucs?"),
    (("--recipe", "mine.toml"), "mine.toml cannot be read"),
    (("--init-head", "kick=drums"), "--init MODEL"),
    (("--init-head", "kick"), "NEW=OLD"),
    (("--progress", "much"), "--progress must be"),
]


@pytest.mark.parametrize(("words", "hint"), SLIPS)
def test_slips_are_answered_in_a_sentence(words: Sequence[str], hint: str, songs: Path) -> None:
    result = stemsplit("train", songs, *(() if "--recipe" in words else ("-r", "smoke")), *words)
    assert (result.code, result.out) == (2, "")
    assert_one_sentence(result, hint)
    assert not Path("runs").exists()


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize("name", ["excerpt_seconds", "shift_seconds", "tempo_max", "dropout", "hidden_scale"])
def test_numbers_that_are_none(name: str, value: str, songs: Path) -> None:
    assert_one_sentence(train(songs, "-o", "run", **{name: value}), name)


@pytest.mark.parametrize("name", ["remix_group", "batches_per_epoch"])
def test_numbers_that_are_too_large(name: str, songs: Path) -> None:
    assert_one_sentence(train(songs, "-o", "run", **{name: 10**20}), name)


def test_a_setting_without_a_section(songs: Path) -> None:
    assert_one_sentence(stemsplit("train", songs, "--set", ".x=1"), ".x")


# Two at once, and too little room


def test_a_run_that_is_under_way_is_refused_to_others(songs: Path) -> None:
    words = ["train", str(songs), "-o", "run", *settings(epochs=500), "--workers", "0", "--device", "cpu"]
    first = subprocess.Popen([*PROGRAM, *words, "--progress", "json"], stderr=subprocess.PIPE, text=True)
    try:
        assert first.stderr is not None
        while '"step_trained"' not in first.stderr.readline():
            assert first.poll() is None
        second = train(songs, "-o", "run", epochs=500)
        assert second.code == 2
        assert second.err.splitlines()[-1] == (
            "error: run: is being trained by another process. Choose another folder with -o."
        )
        first.send_signal(signal.SIGTERM)
        assert "Traceback" not in first.communicate(timeout=SECONDS)[1]
    finally:
        first.kill()
        first.wait()
    assert first.returncode == 143
    assert state_of(Path("run"))["step"] > 0


@pytest.mark.parametrize("free_kib", [0, 200])
def test_the_last_state_survives_a_full_disk(free_kib: int, run: Path, songs: Path, tmp_path: Path) -> None:
    """Whether the metrics find no room, or the model."""
    with mounted(tmp_path / "disk", "20m") as disk:
        half = disk / "my run"
        assert train(songs, "-o", half, averages__batch="[0.5]").code == 0
        recipe = (half / "recipe.toml").read_text()
        (half / "recipe.toml").write_text(recipe.replace("epochs = 1\n", f"epochs = {EPOCHS}\n"))
        state = (half / "state/state.pt").read_bytes()
        _fill(disk / "junk", free_kib * 1024)
        code, told = again(songs, half)
        lines = [line for line in told.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        assert (half / "state/state.pt").read_bytes() == state
        assert temporaries(half) == []
        (disk / "junk").unlink()
        assert again(songs, half)[0] == 0
        assert_equal_states(half, run)
    assert code in (1, 2)
    assert "unexpected" not in told
    assert lines[0].endswith(".")


def test_a_disk_that_fills_up_during_the_work_is_no_wrong_usage(songs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> AbstractContextManager[BinaryIO]:
        if path.name == "curves.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole_file(path)

    monkeypatch.setattr(run_folder, "whole_file", full)
    assert train(songs, "-o", "run").code == 1


def _fill(junk: Path, free: int) -> None:
    """Write a file until the disk is full, but for so many bytes."""
    with junk.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - free))
