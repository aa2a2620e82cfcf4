"""
How much faster than real time practice songs are rendered, on one core.

    python tests/benchmarks/rendering.py [--songs 20]
"""

import argparse
import os
import time
from statistics import median

from stemsplit.practice.programs import find_font
from stemsplit.practice.render import PracticeSong, stems_of
from stemsplit.practice.score import RATE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=20)
    font = find_font()
    ratios = []
    sound = wall = cpu = 0.0
    for number in range(parser.parse_args().songs):
        began, busy = time.perf_counter(), times()
        seconds = stems_of(PracticeSong(0, "train", number, font))["drums"].shape[1] / RATE
        took = time.perf_counter() - began
        ratios.append(seconds / took)
        sound, wall, cpu = sound + seconds, wall + took, cpu + times() - busy
        print(f"song {number}: {seconds:.0f} s of sound in {took:.1f} s, {ratios[-1]:.1f} times real time", flush=True)
    print(f"median {median(ratios):.1f}; all {sound / wall:.1f} times real time, {sound / cpu:.1f} by processor time")


def times() -> float:
    """Processor time of this process and of the programs that it has run."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


if __name__ == "__main__":
    main()
