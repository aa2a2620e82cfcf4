"""
A small network learns to tell four synthetic instruments apart, with remixing and without.

    python tests/benchmarks/learning.py [--seeds 0 1 2] [--steps 500] [--plot learning.png] [--along along.png]

The instruments share their spectrum (`multitracks.py`), so that no gain and no filter separates them. Eight songs of
24 s at 8 kHz: five to train with, one that validates, two held out, which are scored at the end against the best
single gain on the mixture, least squares per song and source. About two minutes per run on two idle cores.
"""

import argparse
import json
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import measure  # noqa: F401 (finds what the tests share)

from multitracks import SOURCES, multitrack, write_multitrack
from stemsplit.audio.assignment import SourceRules, assign
from stemsplit.audio.multitrack import find_multitracks
from stemsplit.evaluation.evaluate import evaluate_song, overall
from stemsplit.evaluation.methods import Method, ModelMethod, Plain
from stemsplit.evaluation.pictures import along_song
from stemsplit.evaluation.songs import Song
from stemsplit.events import ignore
from stemsplit.separation.separator import Separator
from stemsplit.training.epoch import read_epochs
from stemsplit.training.processes import ALONE
from stemsplit.training.recipe import Augment, Averages, Data, Network, Optimizer, Recipe, Training
from stemsplit.training.run import Request, prepared, train
from stemsplit.training.survey import DataFolder
from stemsplit.training.trainer import Surroundings

RATE = 8000
SECONDS = 24.0
SONGS = {"train": 5, "valid": 1, "test": 2}
EPOCHS = 5
RULES = SourceRules(SOURCES)


def recipe(seed: int, remix: bool, steps: int) -> Recipe:
    """Nothing of the paper's but its order of size: what learns within minutes."""
    return Recipe(
        name="learning",
        data=Data(excerpt_seconds=2.0, stride_seconds=0.25),
        network=Network(
            sample_rate=RATE, channels=16, bottom_channels=64, transformer_layers=1, transformer_heads=4, dropout=0.0
        ),
        augment=Augment(repitch=0.0, shift_seconds=0.5, gain=0.0, remix=float(remix)),
        optimizer=Optimizer(learning_rate=1e-3),
        training=Training(epochs=EPOCHS, batches_per_epoch=steps // EPOCHS, batch_size=8, seed=seed),
        averages=Averages(batch=(0.99,), epoch=()),
    )


def write_songs(folder: Path, seed: int) -> None:
    numbers = iter(range(100 * seed, 100 * seed + sum(SONGS.values())))
    for split, count in SONGS.items():
        for _ in range(count):
            number = next(numbers)
            write_multitrack(folder / split / f"song {number}", multitrack(number, SECONDS, RATE), RATE)


def run(folder: Path, seed: int, remix: bool, steps: int) -> dict[str, Any]:
    """Train on the songs in a folder, and score the songs held out."""
    output = folder / ("remix" if remix else "plain")
    request = Request([DataFolder(folder / "songs")], recipe(seed, remix, steps), RULES, output)
    train(prepared(request, ALONE), Surroundings("cpu", ALONE, 1, lambda event: None))
    learnt, gain, mixture = (overall([evaluate_song(m, song) for song in test_songs(folder)]) for m in methods(output))
    return {
        "seed": seed,
        "remix": remix,
        "sdr": learnt,
        "above_gain": {source: learnt[source] - gain[source] for source in learnt},  # type: ignore[operator]
        "mixture_sdr": mixture,
        "epochs": [asdict(epoch) for epoch in read_epochs(output)],
    }


def test_songs(folder: Path) -> list[Song]:
    return [Song(assign(track, RULES)) for track in find_multitracks(folder / "songs" / "test")]


def methods(output: Path) -> list[Method]:
    """The learnt model, and what needs none."""
    learnt = ModelMethod.of(partial(Separator.load, str(output), precision="fp32"), "cpu", ignore)
    return [learnt, *(Plain(name, SOURCES, RATE, "floor", name) for name in ("best gain", "mixture"))]


def draw_along(folder: Path, output: Path, path: Path) -> None:
    """The course of the first song held out."""
    ceiling = Plain("ideal mask", SOURCES, RATE, "ceiling", "ideal mask")
    song = test_songs(folder)[0]
    path.write_bytes(along_song([evaluate_song(method, song) for method in (*methods(output), ceiling)]))


def _name(remix: bool) -> str:
    return f"{'with' if remix else 'without'} remixing"


def plot(runs: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for entry in runs:
        colour = "tab:blue" if entry["remix"] else "tab:orange"
        steps = [epoch["step"] for epoch in entry["epochs"]]
        left.plot(steps, [epoch["valid"][epoch["best"]]["loss"] for epoch in entry["epochs"]], color=colour)
        left.plot(steps, [epoch["train_loss"] for epoch in entry["epochs"]], color=colour, linestyle=":", alpha=0.6)
        offset = 0.15 if entry["remix"] else -0.15
        label = _name(entry["remix"]) if entry["seed"] == runs[0]["seed"] else None
        values = list(entry["above_gain"].values())
        right.plot([i + offset for i in range(len(values))], values, "o", color=colour, label=label)
    left.set(xlabel="step", ylabel="L1 loss (dotted: training)", title="validation")
    right.set_xticks(range(len(runs[0]["above_gain"])), list(runs[0]["above_gain"]))
    right.axhline(0, color="black", linewidth=0.8)
    right.set(ylabel="SDR above the best single gain (dB)", title="songs held out, one point per seed")
    right.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--along", type=Path, help="draw SDR along a song held out")
    parser.add_argument("--json", type=Path, help="add every run to this file")
    arguments = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in arguments.seeds:
            folder = Path(temporary) / str(seed)
            write_songs(folder / "songs", seed)
            for remix in (True, False):
                runs.append(run(folder, seed, remix, arguments.steps))
                above = ", ".join(f"{source} {value:+.2f}" for source, value in runs[-1]["above_gain"].items())
                print(f"seed {seed}, {_name(remix)}: SDR above the best gain: {above}", flush=True)
                if arguments.along and remix and seed == arguments.seeds[0]:
                    draw_along(folder, folder / "remix", arguments.along)
                if arguments.json:
                    with arguments.json.open("a") as file:
                        file.write(json.dumps(runs[-1]) + "\n")
    for remix in (True, False):
        some = [entry["above_gain"]["all"] for entry in runs if entry["remix"] is remix]
        print(f"{_name(remix)}: mean {mean(some):+.2f} dB, from {min(some):+.2f} to {max(some):+.2f}")
    print(f"the mixture as estimate: at most {max(max(entry['mixture_sdr'].values()) for entry in runs):.2f} dB")
    if arguments.plot:
        plot(runs, arguments.plot)


if __name__ == "__main__":
    main()
