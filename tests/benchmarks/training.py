"""
Steps of a training against a plain loop around the reference's network, by batch size; and the time spent on reading.

    python tests/benchmarks/training.py [--batch-sizes 1 2 4] [--rounds 3] [--full-size] [--device cuda]

Both sides learn from the same noise in the same shapes, with the L1 loss and Adam, each measurement in a process of its
own. They are alternated, so that a noisy machine disturbs both alike; what counts is the median of the rounds' ratios.
The reference computes in float32, as it trains, unless --reference-precision says otherwise. Peak memory is that of the
GPU, or of the whole process on a CPU.

Reading is measured on the largest batch: songs on the disk, through the real readers and all augmentation.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from measure import machine, run, workplace

SIDES = ("ours", "reference")
WARM_UP = 2  # steps that are not counted
SONGS, SONG_SECONDS = 4, 30.0


@dataclass(frozen=True)
class Speed:
    """Of one measurement: excerpts per second, and peak memory in bytes."""

    rate: float
    peak: int


def recipe(batch_size: int, options: argparse.Namespace) -> Any:
    """The paper's, or a network that is small enough for a CPU, with segments of 1.24 s."""
    from stemsplit.training.recipe import Averages, Data, Network, Optimizer, Recipe, Training

    small = Network(channels=16, bottom_channels=64, transformer_layers=2, transformer_heads=4)
    return Recipe(
        data=Data() if options.full_size else Data(excerpt_seconds=2.0),
        network=Network() if options.full_size else small,
        optimizer=Optimizer(name="adam"),
        training=Training(batch_size=batch_size, checkpointing=options.checkpointing),
        averages=Averages(batch=(), epoch=()),
    )


def ours(settings: Any, options: argparse.Namespace) -> Callable[[Any], object]:
    """A step of the learner."""
    import torch

    from stemsplit.model.htdemucs import HTDemucs
    from stemsplit.training.learner import Learner

    torch.manual_seed(0)
    learner = Learner(HTDemucs(settings.config), settings, options.device, options.precision)
    return lambda sources: learner.step(sources, 0)


def reference(settings: Any, options: argparse.Namespace) -> Callable[[Any], object]:
    """A step of a plain loop: what the reference's solver does with a batch, less its logging."""
    import torch
    from demucs.htdemucs import HTDemucs

    from standins import arguments
    from stemsplit.weights.arguments import arguments_from_config

    torch.manual_seed(0)
    stored: dict[str, Any] = arguments() | arguments_from_config(settings.config)
    network = HTDemucs(**stored | {"t_dropout": settings.network.dropout}).to(options.device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.optimizer.learning_rate)
    reduced = options.reference_precision == "bf16"

    def step(sources: Any) -> float:
        with torch.autocast(options.device.partition(":")[0], torch.bfloat16) if reduced else nullcontext():
            estimates = network(sources.sum(1))
        loss = torch.nn.functional.l1_loss(estimates, sources, reduction="none").mean((2, 3)).mean(0).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


def measure(side: str, batch_size: int, options: argparse.Namespace) -> dict[str, float]:
    """Excerpts per second in this process, and the peak memory of a GPU."""
    import torch

    settings = recipe(batch_size, options)
    step = {"ours": ours, "reference": reference}[side](settings, options)
    shape = (batch_size, len(settings.data.sources), 2, settings.config.segment_frames)
    sources = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(options.device)
    for _ in range(WARM_UP):
        step(sources)
    _finish(options.device)
    began = time.perf_counter()
    for _ in range(options.steps):
        step(sources)
    _finish(options.device)
    seconds = time.perf_counter() - began
    return {"rate": options.steps * batch_size / seconds, "peak": _gpu_peak(options.device)}


def measure_reading(folder: Path, batch_size: int, options: argparse.Namespace) -> dict[str, float]:
    """How fast the readers are alone, and the share of a training's time that it waits for them."""
    import torch

    from stemsplit.audio.assignment import SourceRules
    from stemsplit.training.augment import Draws, augmented
    from stemsplit.training.dataset import Batches, Excerpts, Order
    from stemsplit.training.survey import DataFolder, survey

    settings = recipe(batch_size, options)
    found = survey([DataFolder(folder)], SourceRules(settings.data.sources), settings.network.sample_rate)
    excerpts = Excerpts(found.splits["train"], settings.data, settings.network.sample_rate)

    def batches() -> Batches:
        epoch = max(1, len(excerpts) // batch_size)
        order = Order(excerpts.weights, batch_size, epoch, first_step=0, steps=10**6, seed=0)
        return Batches(excerpts, order, batch_size, options.workers)

    reader = batches()
    for _ in range(2 * WARM_UP + 2):  # beyond what was read ahead while the workers started
        next(reader)
    began = time.perf_counter()
    for _ in range(4 * options.steps):
        next(reader)
    rate = 4 * options.steps * batch_size / (time.perf_counter() - began)
    del reader

    step, reader, waited = ours(settings, options), batches(), 0.0
    kept = int(settings.kept_seconds * settings.network.sample_rate)
    for number in range(WARM_UP + options.steps):
        if number == WARM_UP:
            _finish(options.device)
            began, waited = time.perf_counter(), 0.0
        asked = time.perf_counter()
        batch = next(reader)
        waited += time.perf_counter() - asked
        draws = Draws.of(settings.augment, batch_size, batch.shape[1], torch.Generator().manual_seed(number))
        step(augmented(batch.to(options.device), draws, kept, settings.config.segment_frames))
    _finish(options.device)
    seconds = time.perf_counter() - began
    return {"alone": rate, "rate": options.steps * batch_size / seconds, "waited": waited / seconds}


def child(words: list[str], folder: Path, options: argparse.Namespace) -> tuple[dict[str, float], int]:
    """A measurement in a process of its own: what it found, and its peak memory."""
    result = folder / "result.json"
    chosen = {"--steps": options.steps, "--device": options.device, "--precision": options.precision}
    chosen |= {"--reference-precision": options.reference_precision}
    chosen |= {} if options.workers is None else {"--workers": options.workers}
    flags = [flag for flag in ("--full-size", "--checkpointing") if getattr(options, flag[2:].replace("-", "_"))]
    given = [str(word) for pair in chosen.items() for word in pair]
    outcome = run([sys.executable, __file__, *words, *given, *flags, "--result", str(result)])
    found: dict[str, float] = json.loads(result.read_text())
    return found, outcome.peak


def compare(batch_size: int, folder: Path, options: argparse.Namespace) -> None:
    """Print both sides and their ratios, medians over the rounds."""
    speeds: dict[str, list[Speed]] = {side: [] for side in SIDES}
    for number in range(options.rounds):
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            found, peak = child(["--side", side, "--batch-sizes", str(batch_size)], folder, options)
            speeds[side].append(Speed(found["rate"], int(found["peak"]) or peak))
    rates = {side: median(speed.rate for speed in speeds[side]) for side in SIDES}
    peaks = {side: median(speed.peak for speed in speeds[side]) for side in SIDES}
    both = list(zip(speeds["ours"], speeds["reference"], strict=True))
    faster = median(one.rate / other.rate for one, other in both)
    larger = median(one.peak / other.peak for one, other in both)
    print(
        f"batch {batch_size:3}: ours {rates['ours']:8.2f} excerpts/s {peaks['ours'] / 2**20:7.0f} MiB, "
        f"reference {rates['reference']:8.2f} excerpts/s {peaks['reference'] / 2**20:7.0f} MiB: "
        f"{faster:.2f} times as fast in {larger:.2f} of the memory",
        flush=True,
    )


def read(batch_size: int, folder: Path, options: argparse.Namespace) -> None:
    """Print how much of a training is waiting for data."""
    from multitracks import write_multitracks

    write_multitracks(folder / "songs" / "train", range(SONGS), SONG_SECONDS)
    found, _ = child(["--songs", str(folder / "songs"), "--batch-sizes", str(batch_size)], folder, options)
    print(
        f"batch {batch_size:3} from the disk: {found['rate']:8.2f} excerpts/s, waiting {100 * found['waited']:.1f} % "
        f"of the time; the readers alone give {found['alone']:.1f} excerpts/s"
    )


def _finish(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _gpu_peak(device: str) -> int:
    import torch

    return int(torch.cuda.max_memory_allocated()) if device.startswith("cuda") else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="counted in each measurement")
    parser.add_argument("--full-size", action="store_true", help="a network in the shape of htdemucs, 7.8 s of sound")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--reference-precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--checkpointing", action="store_true", help="compute our activations twice")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, help="processes that read; default: as a training has")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--songs", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print a line per batch size, and one about reading."""
    options = _options()
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the program has it
    if options.side:
        options.result.write_text(json.dumps(measure(options.side, options.batch_sizes[0], options)))
        return
    if options.songs:
        options.result.write_text(json.dumps(measure_reading(options.songs, options.batch_sizes[0], options)))
        return
    print(machine())
    print(f"{'full size' if options.full_size else 'small'}, {options.device}, {options.precision}")
    with workplace() as folder:
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        for batch_size in options.batch_sizes:
            compare(batch_size, folder, options)
        read(max(options.batch_sizes), folder, options)


if __name__ == "__main__":
    main()
