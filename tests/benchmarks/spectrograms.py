"""
Stems as pictures, to see what leaks where.

    stemsplit song.mp3 -m mini -o separated && python tests/benchmarks/spectrograms.py separated/song song.png
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import soundfile
from scipy.signal import stft

WINDOW = 2048
FLOOR, TOP = -90, -20  # dB of what is drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of stems")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    paths = sorted(arguments.folder.glob("*.wav"))
    figure, axes = plt.subplots(len(paths), sharex=True, figsize=(12, 3 * len(paths)), squeeze=False)
    for axis, path in zip(axes[:, 0], paths, strict=True):
        audio, rate = soundfile.read(path, always_2d=True)
        frequencies, times, spectrum = stft(audio.mean(axis=1), rate, nperseg=WINDOW)
        levels = 20 * np.log10(np.abs(spectrum) + 1e-9)
        axis.pcolormesh(times, frequencies, levels, vmin=FLOOR, vmax=TOP, rasterized=True)
        axis.set_yscale("symlog", linthresh=500)
        axis.set_ylim(30, rate / 2)
        axis.set_ylabel(f"{path.stem}, Hz")
        level = 10 * np.log10(np.mean(np.square(audio)) + 1e-12)
        print(f"{path.stem:10} {level:6.1f} dBFS")
    axes[-1, 0].set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(arguments.picture, dpi=50)


if __name__ == "__main__":
    main()
