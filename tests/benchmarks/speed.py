"""
Whole processes against the reference: decode, separate and write one song on the CPU.

    python tests/benchmarks/speed.py [SONG] [--rounds N]

Both sides have the same (stand-in) weights of the published size and write 32-bit float stems. They are alternated, so
that a noisy machine disturbs both alike; what counts is the median of the rounds' ratios.
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from measure import STEMSPLIT, machine, run, workplace, write_noise

DEFAULT_SECONDS = 20


def main() -> None:
    """Print wall times and ratios of each round, and their medians."""
    parser = argparse.ArgumentParser(description="Whole-process wall time against the reference.")
    parser.add_argument("song", type=Path, nargs="?", help="default: 20 s of noise")
    parser.add_argument("--rounds", type=int, default=3)
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
            "fp32": [*ours, "-o", str(folder / "fp32"), "--precision", "fp32"],
            "auto": [*ours, "-o", str(folder / "auto")],
        }
        ratios: dict[str, list[float]] = {"fp32": [], "auto": []}
        for number in range(1, options.rounds + 1):
            seconds = {name: run(command).seconds for name, command in sides.items()}
            for name, values in ratios.items():
                values.append(seconds[name] / seconds["reference"])
            print(f"round {number}: " + ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
        for name, values in ratios.items():
            print(f"{name}: {median(values):.2f} of the reference's wall time (median of {options.rounds})")


if __name__ == "__main__":
    main()
