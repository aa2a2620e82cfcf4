"""
What reduced precision costs a trained model: `mini` on songs whose stems are known, in the MUSDB18-HQ layout.

    stemsplit practice heldout --songs 0 --test 20 --seed 1000 --font TimGM6mb.sf2
    python tests/benchmarks/precision.py heldout/test [--precisions bf16 fp16] [--songs 20] [--device cpu]

Two numbers for each precision: how much SDR the mean of all songs and sources loses against fp32; and, over the seconds
in which a source is silent, how far its difference from fp32 lies below the mixture: there nothing masks it. The latter
is taken over all silent seconds of a source of a song together, and over each of them alone.
"""

import argparse
from pathlib import Path

import measure  # before torch: it makes the settings of the program
import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from scores import sdr
from stemsplit.separation.separator import Separator

Audio = NDArray[np.float32]


def power(audio: Audio) -> NDArray[np.float64]:
    """Mean square of every second. Shape: [C, T] -> [seconds]."""
    seconds = audio.shape[1] // 44_100
    squares = np.square(audio[:, : seconds * 44_100], dtype=np.float64)
    result: NDArray[np.float64] = squares.reshape(2, seconds, 44_100).mean(axis=(0, 2))
    return result


def main() -> None:
    """Print a line per precision."""
    parser = argparse.ArgumentParser(description="What reduced precision costs a trained model.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp16"])
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()

    print(measure.machine())
    exact = Separator.load("mini", device=options.device, precision="fp32")
    reduced = {name: Separator.load("mini", device=options.device, precision=name) for name in options.precisions}
    losses: dict[str, list[float]] = {name: [] for name in reduced}
    depths: dict[str, list[float]] = {name: [] for name in reduced}
    worst = dict.fromkeys(reduced, np.inf)
    for song in sorted(options.data.iterdir())[: options.songs]:
        true = {s: soundfile.read(song / f"{s}.wav", dtype="float32")[0].T for s in exact.sources}
        mixture = soundfile.read(song / "mixture.wav", dtype="float32")[0].T
        expected = exact(mixture)
        for name, separator in reduced.items():
            for source, estimate in separator(mixture).items():
                exactly, roughly = (
                    sdr(torch.from_numpy(true[source]), torch.from_numpy(e)) for e in (expected[source], estimate)
                )
                losses[name].append(exactly - roughly)
                silent = (power(true[source]) == 0) & (power(mixture) > 0)
                if silent.any():
                    difference, whole = power(estimate - expected[source])[silent], power(mixture)[silent]
                    depths[name].append(-10 * np.log10(difference.sum() / whole.sum() + 1e-20))
                    worst[name] = min(worst[name], *(-10 * np.log10(difference / whole + 1e-20)))
    for name in reduced:
        print(
            f"{name}: {np.mean(losses[name]):+.4f} dB of SDR lost ({np.max(losses[name]):+.4f} at most); in a source"
            f"'s silence the difference lies {np.median(depths[name]):.1f} dB below the mixture (median of songs and "
            f"sources), {np.min(depths[name]):.1f} dB at worst, {worst[name]:.1f} dB in the worst single second"
        )


if __name__ == "__main__":
    main()
