"""From a seed to a folder of stems, as MUSDB18-HQ lays them out."""

import json
import os
import shutil
import wave
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from stemsplit.audio.faults import reason, shown
from stemsplit.errors import StemsplitError, TrackError
from stemsplit.practice.compose import compose
from stemsplit.practice.midi import played
from stemsplit.practice.mix import Take, mixed
from stemsplit.practice.score import RATE, Score
from stemsplit.practice.singers import Singer, singer_of
from stemsplit.practice.voice import sing
from stemsplit.whole_file import whole_file

VERSION = 3  # of the rules: other rules make other songs of the same seed
PART = ".part"  # ends the name of a folder that is not whole yet
NOTE = "practice.json"  # beside the stems: which song they are
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class PracticeSong:
    """
    One song that can be rendered, again and again the same.

    Attributes:
        seed: of a collection.
        split: of the collection: train, valid or test. No song of one is in another.
        number: in the split, from 0.
        font: path of the General MIDI sound font.
    """

    seed: int
    split: str
    number: int
    font: Path

    @property
    def name(self) -> str:
        """Of the song's folder."""
        return f"Practice {self.seed} - {self.split} {self.number:05d}"


def score_of(song: PracticeSong) -> tuple[Score, list[Singer], list[Generator]]:
    """What is played in a song, who sings, and what decides how it is sung and mixed."""
    seeds = np.random.SeedSequence([song.seed, SPLITS.index(song.split), song.number]).spawn(4)
    casting, writing, *later = map(np.random.default_rng, seeds)
    singers = [singer_of(casting), singer_of(casting)]
    return compose(writing, [singer.centre for singer in singers]), singers, later


def stems_of(song: PracticeSong, scratch: Path | None = None) -> dict[str, NDArray[np.float32]]:
    """
    The stems of a song, float32 [2, frames] at 44.1 kHz by source; their sum is the mixture.

    Args:
        song: which one.
        scratch: folder for temporary files, by default the system's.

    Raises:
        StemsplitError: if a program that it takes is missing or fails.
    """
    score, singers, (singing, mixing) = score_of(song)
    frames = round(score.seconds * RATE)
    takes = [Take(part.source, part.role, played(part, song.font, frames, scratch)) for part in score.parts]
    for voice in score.voices:
        sung = sing(voice, singers[voice.singer], frames, singing)
        takes.append(Take("vocals", voice.role, np.stack([sung, sung])))
    return mixed(mixing, takes)


def render(song: PracticeSong, folder: Path) -> bool:
    """
    Write a song to `folder/split/name`: `mixture.wav`, and a 16 bit file for each source; the integers add up.

    Args:
        song: what to render.
        folder: of the collection. Nothing half-written is left under the final name.

    Returns:
        Whether it was rendered; not if it was there already.

    Raises:
        TrackError: if something else is in its place.
        StemsplitError: if a program that it takes is missing or fails, or the folder cannot be written.
    """
    target = folder / song.split / song.name
    note = {"version": VERSION, "seed": song.seed, "split": song.split, "number": song.number, "font": song.font.name}
    if os.path.lexists(target):
        if _note_in(target) == note:
            return False
        raise TrackError(f"{shown(target)} is there already and holds something else: choose another folder or seed.")
    hidden = target.with_name(f".{song.name}{PART}")
    try:
        discard(hidden)
        hidden.mkdir(parents=True)
        stems = {source: np.round(stem * 32767).astype(np.int32) for source, stem in stems_of(song, hidden).items()}
        for name, samples in {**stems, "mixture": np.sum(list(stems.values()), axis=0)}.items():
            _write(hidden / f"{name}.wav", samples)
        with whole_file(hidden / NOTE) as file:
            file.write(f"{json.dumps(note)}\n".encode())
        hidden.rename(target)
    except OSError as error:
        raise StemsplitError(f"{shown(target)}: cannot be written: {reason(error)}.") from error
    finally:
        with suppress(OSError):
            discard(hidden)
    return True


def discard(place: Path) -> None:
    """What a killed run has left, or what else is there."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _note_in(folder: Path) -> object:
    try:
        return json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, samples: NDArray[np.int32]) -> None:
    with whole_file(path) as file, wave.open(file, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.T.astype("<i2").tobytes())
