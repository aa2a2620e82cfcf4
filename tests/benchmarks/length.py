"""
The cost of a segment against the length of the song, start-up excluded.

    python tests/benchmarks/length.py [--minutes 1 4 15 60] [--rounds 3] [--full-size] [--folder DIR]

Lengths in turns, whole runs of the program. Start-up is what a song of two segments takes, less these; the time counted
is that of the song itself, as `--json` tells it. By default the network is a small one, beside which everything else
weighs most; --full-size takes the shape of htdemucs.
"""

import argparse
import json
import subprocess
from collections import defaultdict
from pathlib import Path
from statistics import median

from measure import RATE, STEMSPLIT, machine, workplace, write_noise
from memory import SMALL

STRIDE = 257_985 / RATE  # seconds
SHORTEST = 11 / 60  # minutes: two segments


def main() -> None:
    """Print a line per length, and the spread."""
    parser = argparse.ArgumentParser(description="The cost of a segment against the length of the song.")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 4, 15, 60])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full-size", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the files go while it runs")
    options = parser.parse_args()

    from standins import make_folder

    print(machine())
    costs = defaultdict(list)
    lengths = [SHORTEST, *options.minutes]
    with workplace(options.folder) as folder:
        model = make_folder(folder / "model", changes={} if options.full_size else SMALL)
        songs = {m: write_noise(folder / f"{m:g}.wav", 60 * m) for m in lengths}
        for number in range(options.rounds):
            for minutes in lengths if number % 2 == 0 else reversed(lengths):
                words = [*STEMSPLIT, str(songs[minutes]), "-o", str(folder / "out"), "-m", str(model), "--overwrite"]
                done = subprocess.run([*words, "--json"], stdout=subprocess.PIPE, text=True, check=True)
                costs[minutes].append(json.loads(done.stdout)["seconds"])
    seconds = {minutes: median(values) for minutes, values in costs.items()}
    medians = {}
    for minutes in options.minutes:
        segments = -(-60 * minutes // STRIDE) - 2
        medians[minutes] = (seconds[minutes] - seconds[SHORTEST]) / segments
        print(f"{minutes:4g} min: {1000 * medians[minutes]:7.1f} ms per segment")
    middle = median(medians.values())
    least, most = (100 * (value / middle - 1) for value in (min(medians.values()), max(medians.values())))
    print(f"spread: {least:+.1f} to {most:+.1f} %")


if __name__ == "__main__":
    main()
