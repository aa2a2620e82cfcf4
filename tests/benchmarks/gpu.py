"""
Songs per hour on an NVIDIA GPU, one process each: all songs by `stemsplit FOLDER`, and by the reference.

    python tests/benchmarks/gpu.py [--songs 200] [--reference-songs 20] [--minutes 4] [--folder /dev/shm]

Both have the same stand-in weights, read from and write to one file system, best one in memory. Since the reference is
slow, it is given fewer songs, and both sides' start-up is taken off: from a run of one song. How busy the GPU is, is
asked from `nvidia-smi` while it runs, every fifth of a second.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import mean

import torch
from measure import STEMSPLIT, machine, run, workplace, write_noise


def busy() -> float:
    """Share of the last moment in which the GPU was at work, in percent."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    return float(subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0])


def main() -> None:
    """Print both rates, their ratio and how busy the GPU was."""
    parser = argparse.ArgumentParser(description="Songs per hour on an NVIDIA GPU.")
    parser.add_argument("--songs", type=int, default=200)
    parser.add_argument("--reference-songs", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("torch finds no NVIDIA GPU here, so nothing is measured.")

    from standins import PUBLISHED, oracle_network, save_definition, save_legacy, save_published

    print(machine(), torch.cuda.get_device_name())
    with workplace(options.folder) as folder:
        models, legacy, songs = folder / "models", folder / "legacy", folder / "songs"
        for place in (models, legacy, songs):
            place.mkdir()
        network = oracle_network()
        save_published(models / "standin.safetensors", network, PUBLISHED)
        save_legacy(legacy, "standin", network, PUBLISHED)
        for place in (models, legacy):
            save_definition(place / "bag.yaml", ["standin"])
        first = write_noise(songs / "000.wav", 60 * options.minutes)
        for number in range(1, options.songs):
            shutil.copy(first, songs / f"{number:03}.wav")
        ours = [*STEMSPLIT, "-m", str(models), "-o", str(folder / "ours"), "--device", "cuda", "-q", "--overwrite"]
        theirs = [
            *(sys.executable, "-m", "demucs", "--shifts", "0", "-d", "cuda", "--repo", str(legacy), "-n", "bag"),
            *("-o", str(folder / "theirs")),
        ]
        some = [str(songs / f"{number:03}.wav") for number in range(options.reference_songs)]
        shares: list[float] = []
        one_theirs, all_theirs = run([*theirs, some[0]]).seconds, run([*theirs, *some]).seconds
        shutil.rmtree(folder / "theirs")
        one_ours = run([*ours, some[0]]).seconds
        all_ours = run([*ours, str(songs)], lambda: shares.append(busy())).seconds
    rate = 3600 * (options.songs - 1) / (all_ours - one_ours)
    reference = 3600 * (len(some) - 1) / (all_theirs - one_theirs)
    print(f"{rate:.0f} songs per hour, reference {reference:.0f}: {rate / reference:.1f} times as many")
    print(f"GPU busy {mean(shares):.0f} % of the time; one song with start-up {one_ours:.1f} s, {one_theirs:.1f} s")


if __name__ == "__main__":
    main()
