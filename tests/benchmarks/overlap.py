"""
Whether songs are hard enough to say something: how often sources sound together, and how loud each is in the mixture.

    stemsplit practice heldout --songs 0 --test 20 --seed 1000 --font TimGM6mb.sf2
    python tests/benchmarks/overlap.py heldout/test
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile

SOURCES = ("drums", "bass", "other", "vocals")
HEARD = 10 ** (-60 / 10)  # power over a second
LEAST_TOGETHER = 0.6  # of the seconds have two sources or more
MOST_SDR = -3.0  # dB of the mixture as an estimate of any source, the mean over songs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of songs, a folder of stems each")
    counts, scores = [], []
    for song in sorted(path for path in parser.parse_args().folder.iterdir() if path.is_dir()):
        stems = []
        for source in SOURCES:
            audio, rate = soundfile.read(song / f"{source}.wav", always_2d=True)
            stems.append(audio)
        energies = np.square(stems).sum(axis=(1, 2))
        rests = np.square(np.sum(stems, axis=0) - stems).sum(axis=(1, 2))
        scores.append(10 * np.log10((energies + 1e-7) / (rests + 1e-7)))
        seconds = len(stems[0]) // rate
        powers = np.square(stems)[:, : seconds * rate].reshape(len(SOURCES), seconds, -1).mean(axis=-1)
        counts += (powers > HEARD).sum(axis=0).tolist()
    together = np.mean(np.array(counts) >= 2)
    heard = np.where(np.array(scores) > -60, scores, np.nan)  # a source that is silent throughout is not scored
    means = np.nanmean(heard, axis=0)
    print(f"{len(scores)} songs, {len(counts)} s; two sources or more in {together:.0%} of the seconds")
    print("mixture as estimate: " + ", ".join(f"{s} {m:.2f} dB" for s, m in zip(SOURCES, means, strict=True)))
    assert together >= LEAST_TOGETHER
    assert all(means <= MOST_SDR)


if __name__ == "__main__":
    main()
