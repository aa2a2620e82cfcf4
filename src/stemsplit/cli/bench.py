"""`stemsplit bench`: how fast this machine separates, by the paper's measure."""

import time
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplit.cli.console import Console
from stemsplit.cli.options import BatchSize, Device, Offline, Overlap, Precision, Segment, Verbose

if TYPE_CHECKING:
    from stemsplit.separation.separator import Separator
    from stemsplit.weights.bag import Bag

NOISE_SECONDS = 40  # of Gaussian noise (Rouard et al. 2022, table 2)


def bench(
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|PATH|USER/REPO",
            help="Default: random weights in the shape of htdemucs, which run as fast and need no download.",
            show_default=False,
        ),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, metavar="N", help="Runs; the median counts.")] = 3,
    overlap: Overlap = 0.25,
    segment: Segment = None,
    batch_size: BatchSize = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    verbose: Verbose = False,
) -> None:
    """Measure the real-time factor: the time to separate 40 s of noise, divided by 40 s."""
    from stemsplit.compute import choose
    from stemsplit.separation.options import SplitOptions
    from stemsplit.separation.separator import Separator
    from stemsplit.weights.bag import find_model, load_bag

    with Console("json" if json else "human") as console:
        options = SplitOptions(overlap, segment)
        compute = choose(device, precision, batch_size)
        bag = _random_bag() if model is None else load_bag(find_model(model), offline=offline, listener=console.listen)
        separator = Separator(bag, compute=compute, options=options, listener=console.listen)
        with console.busy(f"separating {NOISE_SECONDS} s of noise, {repeat} times"):
            seconds = _seconds(separator, repeat)
        factor, compute = median(seconds) / NOISE_SECONDS, separator.engine.compute
        if json:
            console.data(
                {
                    "schema": 1,
                    "model": bag.name,
                    "device": compute.device,
                    "precision": compute.precision,
                    "batch_size": compute.batch_size,
                    "audio_seconds": NOISE_SECONDS,
                    "seconds": seconds,
                    "rtf": factor,
                }
            )
        else:
            console.table(
                [
                    f"RTF {factor:.3f}: {NOISE_SECONDS} s of noise in {median(seconds):.1f} s, "
                    f"{1 / factor:.1f}x real time ({bag.name}, {compute.device} {compute.precision}, "
                    f"batch {compute.batch_size}, median of {repeat})"
                ]
            )


def _seconds(separator: "Separator", repeat: int) -> list[float]:
    """Wall times of so many runs over the noise."""
    import numpy as np

    frames = NOISE_SECONDS * separator.sample_rate
    noise = np.random.default_rng(0).standard_normal((separator.audio_channels, frames), np.float32)
    separator(noise[:, : max(separator.bag.segments)])  # the first pass also picks kernels and allocates memory
    seconds = []
    for _ in range(repeat):
        began = time.perf_counter()
        separator(noise)
        seconds.append(time.perf_counter() - began)
    return seconds


def _random_bag() -> "Bag":
    """One network with the shape of htdemucs (the defaults of `HTDemucsConfig`) and random weights."""
    from stemsplit.model.config import HTDemucsConfig
    from stemsplit.model.htdemucs import HTDemucs
    from stemsplit.weights.bag import Bag

    network = HTDemucs(HTDemucsConfig(sources=("drums", "bass", "other", "vocals"))).eval()
    return Bag("random weights", None, (network,), ((1.0,) * 4,))
