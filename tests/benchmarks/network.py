"""
The bare network against the reference's, with the same weights, in turns: one 7.8 s segment.

    python tests/benchmarks/network.py [--device cpu] [--rounds 7] [--batch 1] [--precisions fp32 bf16 fp16]

Times are medians, ratios those of the rounds, since a noisy machine disturbs both sides alike. Next to them, how far
each precision is from the reference in fp32: on stand-in weights, all drawn at random, which amplify rounding as no
trained network does, and on the weights that a network has before training.
"""

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import measure  # before torch: it makes the settings of the program
import torch
from torch import Tensor

from scores import sdr
from stemsplit.compute import choose, full_float32
from stemsplit.model.config import HTDemucsConfig
from stemsplit.model.htdemucs import HTDemucs

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def seconds(action: Callable[[], Tensor], device: str) -> float:
    """Wall time of one call, to the end of what it starts on a GPU."""
    began = time.perf_counter()
    action()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - began


def decibels(expected: Tensor, answer: Tensor) -> str:
    """The worst source's ratio of signal to error. Shape: [B, S, C, T]."""
    return f"{min(map(sdr, expected.unbind(1), answer.unbind(1))):.1f} dB"


def main() -> None:
    """Print a line per precision."""
    parser = argparse.ArgumentParser(description="The bare network against the reference's.")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=1, help="ours; the reference takes segments one by one")
    parser.add_argument("--precisions", nargs="+", choices=TYPES, default=["fp32"])
    options = parser.parse_args()

    from standins import oracle_network

    device = choose(options.device).device
    print(measure.machine())
    reference = oracle_network().eval().to(device)
    network = HTDemucs(HTDemucsConfig(("drums", "bass", "other", "vocals"))).eval().to(device)
    fresh = copy.deepcopy(network)
    network.load_state_dict(reference.state_dict())
    mixture = torch.randn(options.batch, 2, network.config.segment_frames, device=device)
    one = mixture[:1]
    with torch.inference_mode():
        for precision in options.precisions:
            ours, fresh_ours = (copy.deepcopy(n).to(TYPES[precision]) for n in (network, fresh))
            with full_float32(precision):
                worst = decibels(reference(one), ours(one)), decibels(fresh(one), fresh_ours(one))
                times, theirs = [], []
                for _ in range(options.rounds):
                    theirs.append(seconds(partial(reference, one), device))
                    times.append(seconds(partial(ours, mixture), device) / options.batch)
            ratio = median(t / o for t, o in zip(theirs, times, strict=True))
            print(
                f"{precision} on {device}: {median(times):.3f} s per segment, reference (fp32) {median(theirs):.3f} s, "
                f"{ratio:.2f} times as fast; {worst[0]} from it, {worst[1]} on initial weights"
            )


if __name__ == "__main__":
    main()
