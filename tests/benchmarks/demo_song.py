"""
Make the song of `stemsplit demo`: 20 s of a practice song that `mini` has not been trained with.

    python tests/benchmarks/demo_song.py

The rules of composition had version 3 (`render.VERSION`) when it was made; with others it would be another song. It
was chosen among songs of its seed for having all four sources in it, before any model had heard it.
"""

from pathlib import Path

import numpy as np
import soundfile

from stemsplit.evaluation.demo import SAMPLE_RATE, SONG
from stemsplit.practice.programs import find_font
from stemsplit.practice.render import PracticeSong, stems_of

START, SECONDS, FADE = 14, 20, 0.5
QUALITY = 0.5  # of Vorbis: 0.4 is libsndfile's usual
BLOCK = 4096  # frames at a time: libsndfile's Vorbis encoder overflows the stack with millions


def main() -> None:
    stems = stems_of(PracticeSong(20, "test", 19, find_font()))
    ramp = np.linspace(0, 1, round(FADE * SAMPLE_RATE), dtype=np.float32)
    for (path,) in SONG.track.files:
        audio = stems[path.stem][:, START * SAMPLE_RATE : (START + SECONDS) * SAMPLE_RATE].copy()
        audio[:, : len(ramp)] *= ramp
        audio[:, -len(ramp) :] *= ramp[::-1]
        write(path, audio)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


def write(path: Path, audio: np.ndarray) -> None:
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 2, "VORBIS", format="OGG", compression_level=1 - QUALITY) as file:
        for start in range(0, audio.shape[1], BLOCK):
            file.write(audio[:, start : start + BLOCK].T)


if __name__ == "__main__":
    main()
