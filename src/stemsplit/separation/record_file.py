"""
The files that records are kept in: their places, their JSON, written whole, and read with suspicion.

A folder of stems may come from somebody else, so nothing in a record is believed that cannot be.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from math import isfinite
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any, TypeVar

from stemsplit.audio.faults import shown
from stemsplit.errors import RecordError
from stemsplit.separation.record import Definition, InputFile, Making, Record, RecordedStem

FOLDER = ".stemsplit"
SCHEMA = 1

T = TypeVar("T")

_MAX_BYTES = 16 * 2**20  # of a record; usually some thousand
_LOWEST_GAIN_DB = -300.0  # of the largest float there is

_NO_RECORD = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)


def to_json(record: Record) -> dict[str, Any]:
    """Plain values; stems made together refer to one entry of `makings`."""
    makings: list[Making] = []
    stems = []
    for path, stem in record.stems.items():
        if stem.making not in makings:
            makings.append(stem.making)
        values = {"path": path, **asdict(stem), "making": makings.index(stem.making)}
        stems.append(values | values.pop("definition"))
    return {
        "schema": SCHEMA,
        "state": "done" if record.is_done else "writing",
        "track": record.track,
        "input": asdict(record.input),
        "makings": [asdict(making) for making in makings],
        "stems": stems,
    }


def from_json(values: Mapping[str, Any]) -> Record:
    """Raises one of `_NO_RECORD` for what is no record."""
    makings = [_making(item) for item in values["makings"]]
    stems = {_inside(item["path"]): _stem(item, makings) for item in values["stems"]}
    return Record(_of(str, values["track"]), _input(values["input"]), values["state"] == "done", stems)


def record_path(root: Path, track: str) -> Path:
    """Where the record of a track lies."""
    return root.joinpath(FOLDER, *track.split("/")[:-1], f"{track.split('/')[-1]}.json")


def beside_record(root: Path, track: str, suffix: str) -> Path:
    """A hidden name beside a track's record: no folder of tracks is hidden, so none has it."""
    record = record_path(root, track)
    return record.with_name(f".{record.name.removesuffix('.json')}{suffix}")


def read_record(root: Path, track: str) -> Record | None:
    """
    What is known of a track; None where nothing is, or the record is damaged, so that it claims nothing.

    Raises:
        RecordError: for one of a newer version, which is left alone.
    """
    return _read(record_path(root, track))


def write_record(root: Path, record: Record) -> None:
    """
    Put a record in its place, whole.

    Raises:
        OSError: if it cannot be written.
    """
    path = record_path(root, record.track)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside_record(root, record.track, ".new")
    try:
        part.write_text(json.dumps(to_json(record), indent=1), encoding="utf-8")
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def records_in(root: Path) -> Iterator[Record]:
    """All records in an output folder that this version understands."""
    for path in sorted((root / FOLDER).rglob("*.json")):
        with suppress(RecordError):
            if record := _read(path):
                yield record


def outputs_recorded_in(root: Path) -> Iterator[Path]:
    """Every file that the records in an output folder name."""
    for path in sorted((root / FOLDER).rglob("*.json")):
        with suppress(*_NO_RECORD):  # it names none then
            stems = json.loads(_text(path))["stems"]  # in newer ones expected to be alike
            yield from (root / name for name in [_inside(stem["path"]) for stem in stems])


def _read(path: Path) -> Record | None:
    try:
        values = json.loads(_text(path))
        schema = values["schema"]
        if schema == SCHEMA:
            return from_json(values)
    except _NO_RECORD:
        return None
    if isinstance(schema, int) and schema > SCHEMA:
        raise RecordError(
            f"{shown(path)}: was written by a newer stemsplit, so these stems are left alone. Update stemsplit, or "
            "choose another output folder."
        )
    return None


def _text(path: Path) -> str:
    """What is in a regular file of a sensible size."""
    status = path.stat()
    if not S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
        raise ValueError(f"{path} is no record")
    return path.read_text(encoding="utf-8")


def _making(values: Mapping[str, Any]) -> Making:
    preview = values["preview"]
    return Making(
        input=_input(values["input"]),
        model=_of(str, values["model"]),
        revision=_maybe(str, values["revision"]),
        hashes={name: _of(str, digest) for name, digest in values["hashes"].items()},
        options={name: _option(value) for name, value in values["options"].items()},
        preview=None if preview is None else (_of(float, preview[0]), _maybe(float, preview[1])),
        device=_maybe(str, values["device"]),
        precision=_maybe(str, values["precision"]),
        batch_size=_maybe(int, values["batch_size"]),
        is_batch_auto=_of(bool, values["is_batch_auto"]),
        version=_of(str, values["version"]),
        audio_seconds=_maybe(float, values["audio_seconds"]),
        seconds=_maybe(float, values["seconds"]),
    )


def _stem(values: Mapping[str, Any], makings: Sequence[Making]) -> RecordedStem:
    number = _of(int, values["making"])
    gain_db = _of(float, values["gain_db"])
    if number < 0 or not _LOWEST_GAIN_DB < gain_db <= 0:
        raise ValueError("there is no such making, or no such gain")
    return RecordedStem(
        stem=_of(str, values["stem"]),
        definition=Definition(
            {name: _of(float, gain) for name, gain in values["gains"].items()},
            tuple(_of(str, name) for name in values["completes"]),
        ),
        frames=_of(int, values["frames"]),
        size=_of(int, values["size"]),
        mtime_ns=_of(int, values["mtime_ns"]),
        gain_db=gain_db,
        making=makings[number],
        is_whole=_of(bool, values["is_whole"]),
    )


def is_inside(path: str) -> bool:
    """Whether it is a path below the output folder: what was written may come with a folder of somebody else's."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:  # no file has such a name
        return False
    return "\0" not in path and not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _inside(path: str) -> str:
    if not is_inside(_of(str, path)):
        raise ValueError(f"{path} is no path below the output folder")
    return path


def _of(kind: type[T], value: object) -> T:
    """The value, if it is of a kind; whole numbers are floats as well."""
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{value!r} is no {kind.__name__}")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value


def _maybe(kind: type[T], value: object) -> T | None:
    return None if value is None else _of(kind, value)


def _input(values: Mapping[str, Any]) -> InputFile:
    return InputFile(_of(str, values["path"]), _of(int, values["size"]), _of(int, values["mtime_ns"]))


def _option(value: object) -> str | float | None:
    return value if isinstance(value, str) else _maybe(float, value)
