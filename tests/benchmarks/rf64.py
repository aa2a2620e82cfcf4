"""
A stem beyond the 4 GiB of a WAV: 3.5 hours at 44.1 kHz in 32-bit floats (4.45 GB), with flat memory.

    python tests/benchmarks/rf64.py [--hours 3.5] [--folder DIR]

A small network, one stem. Needs about 7 GB of disk.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
from measure import RATE, STEMSPLIT, machine, run, workplace, write_noise
from memory import FACTOR, MARGIN, SMALL

WAV_LIMIT = 2**32


def main() -> None:
    """Print time and memory, and whether the stem is what it should be."""
    parser = argparse.ArgumentParser(description="A stem beyond the 4 GiB of a WAV.")
    parser.add_argument("--hours", type=float, default=3.5)
    parser.add_argument("--folder", type=Path, help="where the files go while it runs")
    options = parser.parse_args()

    from standins import make_folder

    print(machine())
    with workplace(options.folder) as folder:
        model = make_folder(folder / "small", changes=SMALL)
        peaks = {}
        for hours in (0.2, options.hours):
            song = write_noise(folder / f"{hours:g}.wav", hours * 3600)
            words = [str(song), "-o", str(folder / "out"), "-m", str(model), "-s", "drums", "--bit-depth", "32f", "-q"]
            outcome = run([*STEMSPLIT, *words])
            peaks[hours] = outcome.peak
            stem = folder / f"out/{hours:g}/drums.wav"
            size = stem.stat().st_size
            print(
                f"{hours:g} h: {outcome.seconds:.0f} s, {outcome.peak / 2**20:.0f} MiB of memory, {size / 1e9:.2f} GB"
            )
            song.unlink()
        with soundfile.SoundFile(stem) as file:
            assert file.frames == round(options.hours * 3600 * RATE), file.frames
            file.seek(file.frames - RATE)
            last = file.read(dtype="float32")
        assert len(last) == RATE
        assert np.isfinite(last).all()
        assert last.any()
        with stem.open("rb") as opened:
            header = opened.read(4)
        assert header == (b"RF64" if size >= WAV_LIMIT else b"RIFF"), header
        bound = FACTOR * peaks[0.2] + MARGIN
        verdict = "flat" if peaks[options.hours] <= bound else "NOT flat"
        print(
            f"{header.decode()}, exact length, its last second read; memory against {bound / 2**20:.0f} MiB: {verdict}"
        )


if __name__ == "__main__":
    main()
