"""Parts of a score played from a sound font by FluidSynth."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import mido
import numpy as np

from stemsplit.errors import StemsplitError
from stemsplit.practice.programs import run
from stemsplit.practice.score import RATE, Note, Part

_TICKS = 960  # of half a second, the length of a beat at the 120 a minute that MIDI files have unless they say so
_PER_SECOND = 2 * _TICKS
_DRUM_CHANNEL = 9


def played(part: Part, font: Path, frames: int, scratch: Path | None = None) -> np.ndarray:
    """
    What a part sounds like, without any effect.

    Args:
        part: to be played.
        font: the sound font.
        frames: of the result; what rings longer is cut.
        scratch: folder for temporary files, by default the system's.

    Returns:
        float32 [2, frames] at 44.1 kHz.

    Raises:
        StemsplitError: if FluidSynth is missing or fails.
    """
    with tempfile.TemporaryDirectory(prefix="stemsplit-practice-", dir=scratch) as folder:
        score, sound = Path(folder, "part.mid"), Path(folder, "part.raw")
        _file(part, frames / RATE).save(score)
        done = run(
            "fluidsynth", "-n", "-i", "-q", "-f", os.devnull, "-R", "0", "-C", "0", "-g", "0.5", "-r", str(RATE),
            "-o", "synth.dynamic-sample-loading=1", "-T", "raw", "-O", "float", "-E", "little",
            "-F", str(sound), str(font), str(score),
        )  # fmt: skip
        said = done.stderr.decode(errors="replace").strip().splitlines()
        # It plays silence, and returns 0, where it cannot load the font.
        if done.returncode or not sound.is_file() or any("Failed to load" in line for line in said):
            why = said[-1] if said else f"it ended with exit code {done.returncode}"
            raise StemsplitError(f"FluidSynth could not play {font}: {why}.")
        audio = np.fromfile(sound, "<f4").reshape(-1, 2)
        if len(audio) < frames - RATE // 2:
            raise StemsplitError(f"FluidSynth could not write all that it played to {folder}: free some space there.")
    fitted = np.zeros((2, frames), np.float32)
    kept = min(frames, len(audio))
    fitted[:, :kept] = audio[:kept].T
    return fitted


def _file(part: Part, seconds: float) -> mido.MidiFile:
    channel = 0 if part.kit is None else _DRUM_CHANNEL
    program = part.program if part.kit is None else part.kit
    track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=program)])
    now = 0
    for tick, message in _messages(part.notes, channel):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(0, round(seconds * _PER_SECOND) - now)))
    return mido.MidiFile(type=0, ticks_per_beat=_TICKS, tracks=[track])


def _messages(notes: Sequence[Note], channel: int) -> Iterator[tuple[int, mido.Message]]:
    """In the order of time; where a pitch is struck again while it sounds, it ends first."""
    events = []
    for index, note in enumerate(notes):
        start, end = round(note.start * _PER_SECOND), round((note.start + note.duration) * _PER_SECOND)
        again = next((other for other in notes[index + 1 :] if other.pitch == note.pitch), None)
        if again is not None:
            end = min(end, round(again.start * _PER_SECOND))
        on = mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)
        off = mido.Message("note_off", channel=channel, note=note.pitch)
        events += [(start, 1, on), (max(end, start + 1), 0, off)]
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        yield tick, message
