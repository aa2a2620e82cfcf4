"""
An instrumental of a bag of four networks: one network of them is run.

    python tests/benchmarks/karaoke.py [SONG] [--rounds N]

Stand-ins of `htdemucs_ft` of the published size. `--karaoke` is timed against `--karaoke --sum`, which needs all four,
alternated, as whole processes on the CPU.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path
from statistics import median

from measure import STEMSPLIT, machine, workplace, write_noise

DEFAULT_SECONDS = 20


def main() -> None:
    """Print the networks run and the wall times of each round, and the median ratio."""
    parser = argparse.ArgumentParser(description="Karaoke with one network of four.")
    parser.add_argument("song", type=Path, nargs="?", help="default: 20 s of noise")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    from standins import make_htdemucs_ft

    print(machine())
    with workplace() as folder:
        song = options.song or write_noise(folder / "noise.wav", DEFAULT_SECONDS)
        model = make_htdemucs_ft(folder / "htdemucs_ft").folder
        command = [*STEMSPLIT, str(song), "-m", str(model), "--overwrite", "--json", "-o", str(folder / "out"), "-k"]
        ratios = []
        for number in range(1, options.rounds + 1):
            one, four = _timed(command), _timed([*command, "--sum"])
            ratios.append(four[1] / one[1])
            print(f"round {number}: {one[0]} network {one[1]:.1f} s, {four[0]} networks {four[1]:.1f} s")
        print(f"karaoke by subtraction is {median(ratios):.2f} times as fast (median of {options.rounds})")


def _timed(command: list[str]) -> tuple[int, float]:
    """Networks run, and wall time in seconds."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["networks"], time.perf_counter() - began


if __name__ == "__main__":
    main()
