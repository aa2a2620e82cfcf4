"""
All that a GPU would have to wait for: decoding, joining and writing of many songs beside a network that takes no time.

    python tests/benchmarks/host.py [--songs 20] [--minutes 4] [--format wav] [--input wav] [--folder /dev/shm]

One process, as in `stemsplit FOLDER`. However quick a GPU is, it can do hardly more songs per hour than this: only what
joins segments, which is computed on the CPU here, would be quicker.
"""

import argparse
import resource
import shutil
import time
from pathlib import Path
from typing import Any, cast

import measure  # before torch: it makes the settings of the program
import soundfile
import torch
from torch import Tensor, nn

from stemsplit.audio.formats import Encoding
from stemsplit.compute import Compute
from stemsplit.model.config import HTDemucsConfig
from stemsplit.separation.batch import separate_tracks
from stemsplit.separation.options import StemOptions
from stemsplit.separation.plan import plan_tracks
from stemsplit.separation.separator import Separator
from stemsplit.separation.walk import Song
from stemsplit.weights.bag import Bag


class Instant(nn.Module):
    """A quarter of the mixture as every source, which copies nothing."""

    config = HTDemucsConfig(("drums", "bass", "other", "vocals"))

    def forward(self, mixture: Tensor) -> Tensor:
        """Shape: [B, C, T] -> [B, 4, C, T]."""
        return (mixture[:, None] / 4).expand(-1, 4, -1, -1)


def main() -> None:
    """Print songs per hour, and the seconds of all cores that one takes."""
    parser = argparse.ArgumentParser(description="All that a GPU would have to wait for.")
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--format", default="wav")
    parser.add_argument("--input", default="wav", choices=["wav", "flac", "mp3"])
    parser.add_argument("--folder", type=Path, help="best on a file system in memory, such as /dev/shm")
    options = parser.parse_args()

    torch.set_num_threads(1)
    print(measure.machine())
    with measure.workplace(options.folder) as folder:
        songs = [folder / f"{number:03}.{options.input}" for number in range(options.songs)]
        samples, _ = soundfile.read(measure.write_noise(folder / "noise.wav", 60 * options.minutes), dtype="float32")
        soundfile.write(songs[0], samples, measure.RATE)
        for song in songs[1:]:
            shutil.copy(songs[0], song)
        bag = Bag("instant", None, (cast(Any, Instant()),), ((1.0,) * 4,))
        separator = Separator(bag, compute=Compute("cpu", "fp32", 8))
        output = StemOptions(folder / "out", Encoding(options.format))
        tracks = plan_tracks(map(Song, songs), output=folder / "out")
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        for report in separate_tracks(tracks, separator, output):
            assert report.status == "done", report
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cores = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{3600 * options.songs / wall:.0f} songs of {options.minutes:g} minutes per hour; each takes "
        f"{wall / options.songs:.2f} s, and {cores / options.songs:.2f} s of a core; memory {after.ru_maxrss >> 10} MiB"
    )


if __name__ == "__main__":
    main()
