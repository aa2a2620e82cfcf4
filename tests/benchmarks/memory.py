"""
Peak memory and disk against the length of the song.

    python tests/benchmarks/memory.py [--minutes 1 12 60] [--folder DIR]

A small network (two sources, no transformer, segments of 7.8 s), 24-bit stems: they are held until the common gain is
known, in memory up to a bound and beyond it on the disk. Needs about 6 GB of disk for 60 minutes.
"""

import argparse
from fractions import Fraction
from pathlib import Path

from measure import STEMSPLIT, Outcome, machine, run, workplace, write_noise

SMALL: dict[str, object] = {
    "sources": ["drums", "rest"],
    "channels": 8,
    "bottom_channels": 0,
    "t_layers": 0,
    "dconv_mode": 0,
    "segment": Fraction(39, 5),
}
FACTOR, MARGIN = 1.1, 64 * 1024**2  # 60 minutes may take so much of what 12 take, and so much more


def measure(folder: Path, model: Path, minutes: float) -> tuple[Outcome, int]:
    """Time and peak memory of one song, and the most its hidden files took on the disk at once."""
    song = write_noise(folder / f"{minutes:g}.wav", 60 * minutes)
    output = folder / "out"
    spooled = 0

    def watch() -> None:
        nonlocal spooled
        sizes = []
        for path in output.rglob(".*.held"):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:  # removed since it was listed
                continue
        spooled = max(spooled, sum(sizes))

    outcome = run([*STEMSPLIT, str(song), "-o", str(output), "-m", str(model), "--device", "cpu"], watch)
    for path in [song, *output.rglob("*.wav")]:
        path.unlink()
    return outcome, spooled


def main() -> None:
    """Print a line per length, and whether memory stayed flat."""
    parser = argparse.ArgumentParser(description="Peak memory and disk against the length of the song.")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 12, 60])
    parser.add_argument("--folder", type=Path, help="where the files go while it runs")
    options = parser.parse_args()

    from standins import make_folder

    print(machine())
    peaks = {}
    with workplace(options.folder) as folder:
        model = make_folder(folder / "small", changes=SMALL)
        for minutes in options.minutes:
            outcome, spooled = measure(folder, model, minutes)
            peaks[minutes] = outcome.peak
            print(
                f"{minutes:4g} min: {outcome.peak / 2**20:6.0f} MiB of memory, "
                f"{spooled / 2**20:6.0f} MiB held on disk, "
                f"{outcome.seconds:6.0f} s"
            )
    if {12, 60} <= peaks.keys():
        bound = FACTOR * peaks[12] + MARGIN
        verdict = "flat" if peaks[60] <= bound else "NOT flat"
        print(f"60 minutes against a bound of {bound / 2**20:.0f} MiB: {verdict}")


if __name__ == "__main__":
    main()
