"""
Many short songs against one long one with the same number of segments: what a song costs beside its segments.

    python tests/benchmarks/throughput.py [--songs 100] [--rounds 3] [--full-size]

Songs of 11.7 s have two segments each at the usual stride of 5.85 s; the long song has all their seconds. Both sides
are whole runs of the program, in turns. By default the network is a small one, beside which everything else weighs
most; --full-size takes one in the shape of htdemucs.
"""

import argparse
import shutil
from pathlib import Path
from statistics import median

from measure import STEMSPLIT, machine, run, workplace, write_noise
from memory import SMALL

SONG_SECONDS = 11.7


def main() -> None:
    """Print a line per round, and the median ratio."""
    parser = argparse.ArgumentParser(description="Many short songs against one long one.")
    parser.add_argument("--songs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full-size", action="store_true", help="a network in the shape of htdemucs")
    parser.add_argument("--folder", type=Path, help="where the files go while it runs")
    options = parser.parse_args()

    from standins import make_folder

    print(machine())
    with workplace(options.folder) as folder:
        model = make_folder(folder / "model", changes={} if options.full_size else SMALL)
        (folder / "short").mkdir()
        for number in range(options.songs):
            write_noise(folder / f"short/{number:03}.wav", SONG_SECONDS)
        long = write_noise(folder / "long.wav", SONG_SECONDS * options.songs)
        ratios = []
        for number in range(options.rounds):
            seconds = {}
            for name in ("short", "long") if number % 2 == 0 else ("long", "short"):
                source = folder / "short" if name == "short" else long
                words = [*STEMSPLIT, str(source), "-o", str(folder / "out"), "-m", str(model), "-q"]
                seconds[name] = run(words).seconds
                shutil.rmtree(folder / "out")
            ratios.append(seconds["short"] / seconds["long"])
            print(
                f"{options.songs} songs {seconds['short']:6.1f} s, one song {seconds['long']:6.1f} s: {ratios[-1]:.3f}"
            )
    print(f"median ratio {median(ratios):.3f} (aim: below 1.15)")


if __name__ == "__main__":
    main()
