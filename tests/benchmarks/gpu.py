"""
Songs per hour on an NVIDIA GPU, one process each: all songs by `stemsplit FOLDER`, and by the reference.

    python tests/benchmarks/gpu.py [--songs 200] [--reference-songs 20] [--minutes 4] [--folder /dev/shm]

Both have the same stand-in weights, and read from and write to one file system, best one in memory: 200 songs need
40 GB. Both write 16 bits. The reference is given fewer songs, as it is slower; both sides' start-up is taken off, as a
run of one song has it. How busy the GPU is, is asked from `nvidia-smi` five times a second, in another run.

Then one song in a process that has separated it before: the best of three, ours by `Separator`, the reference's by its
function for a track in memory.
"""

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from measure import RATE, STEMSPLIT, machine, run, workplace, write_noise


def busy_share(command: list[str], skipped: float) -> float:
    """Mean share of a GPU's time, in percent, that it is busy while a command runs, less the first seconds."""
    index = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    query = ["nvidia-smi", "-i", index, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    began, ended = time.monotonic(), threading.Event()
    shares: list[float] = []
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as watch:

        def read() -> None:
            for line in watch.stdout or ():
                if time.monotonic() - began > skipped and not ended.is_set():
                    shares.append(float(line))

        reading = threading.Thread(target=read)
        reading.start()
        run(command)
        ended.set()
        watch.terminate()
        reading.join()
    return mean(shares)


def warm_ratio(models: Path, network: Any, seconds: float) -> float:
    """How many times as fast as the reference one song is, in a process that is warm."""
    from demucs.apply import apply_model

    from stemsplit import Separator

    mixture = torch.randn(2, round(seconds * RATE))
    separator = Separator.load(str(models), device="cuda")
    reference = network.cuda().eval()

    def best(action: Callable[[], object]) -> float:
        times = []
        for _ in range(4):
            began = time.perf_counter()
            action()
            torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
        return min(times[1:])

    theirs = best(lambda: apply_model(reference, mixture[None], shifts=0, device="cuda"))
    return theirs / best(lambda: separator(mixture.numpy()))


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
        words = [
            "-m",
            str(models),
            "-o",
            str(folder / "ours"),
            "--device",
            "cuda",
            "--bit-depth",
            "16",
            "-q",
            "--overwrite",
        ]
        ours = [*STEMSPLIT, *words]
        theirs = [
            *(sys.executable, "-m", "demucs", "--shifts", "0", "-d", "cuda", "--repo", str(legacy), "-n", "bag"),
            *("-o", str(folder / "theirs")),
        ]
        some = [str(songs / f"{number:03}.wav") for number in range(options.reference_songs)]
        one_theirs, all_theirs = run([*theirs, some[0]]).seconds, run([*theirs, *some]).seconds
        shutil.rmtree(folder / "theirs")
        one_ours, all_ours = run([*ours, some[0]]).seconds, run([*ours, str(songs)]).seconds
        share = busy_share([*ours, str(songs)], skipped=one_ours)
        warm = warm_ratio(models, network, 60 * options.minutes)
    rate = 3600 * (options.songs - 1) / (all_ours - one_ours)
    reference = 3600 * (len(some) - 1) / (all_theirs - one_theirs)
    print(f"{rate:.0f} songs per hour, reference {reference:.0f}: {rate / reference:.1f} times as many")
    print(f"GPU busy {share:.0f} % of the time; one song with start-up {one_ours:.1f} s, reference {one_theirs:.1f} s")
    print(f"one song in a warm process: {warm:.1f} times as fast")


if __name__ == "__main__":
    main()
