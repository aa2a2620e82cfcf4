"""
From the start of a process to the first segment, in its parts; medians of several fresh processes.

On a GPU the first answers come when the second batch has been launched, which is counted.

    python tests/benchmarks/first_segment.py [--device auto] [--rounds 5]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from measure import ENVIRONMENT, machine, workplace, write_noise

PARTS = ("import", "device start", "weights", "statistics", "first forward")
PROGRAM = """
import sys, time
times = [time.perf_counter()]
def done(): times.append(time.perf_counter())
model, song, device = sys.argv[1:]
from stemsplit.compute import choose, prepare_process
prepare_process()
from stemsplit.separation.separator import Separator
from stemsplit.separation.mixture import Mixture
from stemsplit.separation.segments import cut
from stemsplit.audio.reader import open_audio
import json, threading, torch
from pathlib import Path
done()
compute = choose(device)
torch.zeros(1, device=compute.device)
done()
separator = Separator.load(model, device=compute.device)
done()
with open_audio(Path(song)) as reader:
    mixture = Mixture.measured(reader, separator.sample_rate, threading.Event())
    done()
    segments = cut(None, mixture.blocks(), mixture.statistics, separator.passes)
    next(separator.engine.run(segments, separator.indices))[1].cpu()
    done()
print(json.dumps([after - before for before, after in zip(times, times[1:])]))
"""


def main() -> None:
    """Print a line per part, and their sum."""
    parser = argparse.ArgumentParser(description="From the start of a process to the first segment.")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    from standins import make_folder

    print(machine())
    with workplace() as folder:
        model: Path = make_folder(folder / "model", changes={})
        song = write_noise(folder / "song.wav", 240)
        words = [sys.executable, "-c", PROGRAM, str(model), str(song), options.device]
        runs = [
            json.loads(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=ENVIRONMENT).stdout)
            for _ in range(options.rounds)
        ]
    parts = [median(times) for times in zip(*runs, strict=True)]
    for name, value in zip(PARTS, parts, strict=True):
        print(f"{name:14} {value:5.2f} s")
    print(f"{'all':14} {median(map(sum, runs)):5.2f} s, of a song of 4 minutes")


if __name__ == "__main__":
    main()
