"""Records made for tests: of one song, by one model, until a test says otherwise."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stemsplit.separation.record import Definition, InputFile, Making, Record, RecordedStem

SONG = InputFile("/music/song.wav", 1000, 1_700_000_000_000_000_000)
MAKING = Making(
    SONG,
    "htdemucs",
    "c0ffee",
    {"955717e8.safetensors": "5a17"},
    {"format": "wav", "bit-depth": "24", "overlap": 0.25, "segment": None, "shifts": 1},
)


def making(**changes: Any) -> Making:
    """How stems were made, but for what is changed; an option is changed by `options={"shifts": 2}`."""
    options = {**MAKING.options, **changes.pop("options", {})}
    return replace(MAKING, options=options, **changes)


def stem(name: str = "vocals", **changes: Any) -> RecordedStem:
    """One file of 100 bytes that is a source as it is."""
    return replace(
        RecordedStem(name, Definition({name: 1.0}), 10, 100, 1_700_000_000_000_000_000, 0.0, MAKING), **changes
    )


def record(
    stems: Mapping[str, RecordedStem] | None = None, *, track: str = "song", input: InputFile = SONG, done: bool = True
) -> Record:
    """Of a track with its stems by path, one by default."""
    return Record(track, input, done, {f"{track}/vocals.wav": stem()} if stems is None else stems)


def write_stem(root: Path, path: str, size: int = 100) -> Path:
    """A file in the place of a stem, of as many bytes as recorded."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(bytes(size))
    return target
