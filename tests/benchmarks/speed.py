"""
Whole processes against the reference: decode, separate and write one song on the CPU.

    python tests/benchmarks/speed.py [SONG] [--rounds N] [--precisions fp32 bf16]

Both sides have the same (stand-in) weights of the published size and write 32-bit float stems. They are alternated, so
that a noisy machine disturbs both alike; what counts is the median of the rounds' ratios. By default ours is measured
in fp32 and, on a CPU that computes in bf16 natively, in that.
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from measure import STEMSPLIT, machine, run, workplace, write_noise

from stemsplit.compute import choose

DEFAULT_SECONDS = 60


def main() -> None:
    """Print wall times and ratios of each round, and their medians."""
    parser = argparse.ArgumentParser(description="Whole-process wall time against the reference.")
    parser.add_argument("song", type=Path, nargs="?", help="default: 60 s of noise")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precisions", nargs="+", default=list(dict.fromkeys(["fp32", choose("cpu").precision])))
    options = parser.parse_args()

    from standins import PUBLISHED, oracle_network, save_definition, save_legacy, save_published

    print(machine())
    with workplace() as folder:
        song = options.song or write_noise(folder / "noise.wav", DEFAULT_SECONDS)
        models, legacy = folder / "models", folder / "legacy"
        models.mkdir()
        legacy.mkdir()
        network = oracle_network()
        save_published(models / "standin.safetensors", network, PUBLISHED)
        save_legacy(legacy, "standin", network, PUBLISHED)  # what the reference's --repo reads
        for place in (models, legacy):
            save_definition(place / "bag.yaml", ["standin"])
        ours = [*STEMSPLIT, str(song), "-m", str(models), "--overwrite", "--device", "cpu", "--bit-depth", "32f"]
        sides = {
            "reference": [
                *(sys.executable, "-m", "demucs", "--shifts", "0", "-d", "cpu", "--float32"),
                *("--repo", str(legacy), "-n", "bag", "-o", str(folder / "theirs"), str(song)),
            ],
            **{name: [*ours, "-o", str(folder / name), "--precision", name] for name in options.precisions},
        }
        rounds = []
        for number in range(1, options.rounds + 1):
            rounds.append({name: run(command) for name, command in sides.items()})
            print(f"round {number}: " + ", ".join(f"{name} {side.seconds:.1f} s" for name, side in rounds[-1].items()))
    for name in options.precisions:
        ratio = median(sides["reference"].seconds / sides[name].seconds for sides in rounds)
        print(f"{name}: {ratio:.2f} times as fast as the reference (median of {options.rounds})")
    for name in ("reference", *options.precisions):
        print(f"{name}: at most {max(sides[name].peak for sides in rounds) >> 20} MiB of memory")


if __name__ == "__main__":
    main()
