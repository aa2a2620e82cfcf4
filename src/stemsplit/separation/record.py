"""
What is known of a track that was split: kept beside the stems, so that the next run can tell what is done.

One JSON file per track, `<output>/.stemsplit/<name>.json`. It is written twice, whole each time: as `writing` before
the first stem gets its name, which claims the names, and as `done` after the last. What follows from a record is
decided in `resume.py`; who may write one, in `claim.py`.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Any, Self, TypeVar

from stemsplit.audio.faults import shown
from stemsplit.errors import RecordError

FOLDER = ".stemsplit"
SCHEMA = 1

T = TypeVar("T")

_MAX_BYTES = 16 * 2**20  # of a record; usually some thousand
_LOWEST_GAIN_DB = -300.0  # of the largest float there is

_NO_RECORD = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class InputFile:
    """A song's file: its absolute path, its size in bytes and its time of change in nanoseconds."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """
        The file as it is now.

        Raises:
            OSError: if it is not there.
        """
        status = path.stat()
        return cls(os.path.abspath(path), status.st_size, status.st_mtime_ns)  # noqa: PTH100 (links are not followed)

    def is_as(self, other: "InputFile") -> bool:
        """Whether both have the same content, as far as size and time tell."""
        return (self.size, self.mtime_ns) == (other.size, other.mtime_ns)

    def has_become(self, now: "InputFile") -> bool:
        """Whether it is the same song as `now`: the file of that name or, where that is gone, one that was moved."""
        if self.path == now.path:
            return True
        if not os.path.exists(self.path):  # noqa: PTH110
            return self.is_as(now)
        try:
            return os.path.samefile(self.path, now.path)  # noqa: PTH121 (spelt otherwise, or through a link)
        except OSError:
            return False


@dataclass(frozen=True)
class Making:
    """
    How stems were made.

    Attributes:
        input: of what.
        model: the model's short name.
        revision: its commit, or the hash of a model on disk.
        hashes: SHA-256 of its files, by name, where they are known beforehand.
        options: what else decides their samples, by name.
        preview: start and duration in seconds of an excerpt (no duration: to the end), None for the whole song.
        device, precision, batch_size: where and how it ran; noted, never compared.
        is_batch_auto: whether the batch size was chosen automatically.
        version: of stemsplit.
        audio_seconds, seconds: length of the song, and wall time.
    """

    input: InputFile
    model: str
    revision: str | None
    hashes: Mapping[str, str]
    options: Mapping[str, str | float | None]
    preview: tuple[float, float | None] | None = None
    device: str | None = None
    precision: str | None = None
    batch_size: int | None = None
    is_batch_auto: bool = False
    version: str = ""
    audio_seconds: float | None = None
    seconds: float | None = None

    def uses_model_of(self, other: "Making") -> bool:
        """Whether both are of one model, whatever it is called."""
        return (self.revision, dict(self.hashes)) == (other.revision, dict(other.hashes))

    def differing(self, other: "Making") -> list[str]:
        """Names of the options that differ."""
        names = {**self.options, **other.options}
        return [name for name in names if self.options.get(name) != other.options.get(name)]

    def claims_for(self, other: "Making") -> bool:
        """Whether a stem made so may be replaced by one made as `other`: the model and the options are the same."""
        return self.uses_model_of(other) and not self.differing(other)

    def equals(self, other: "Making") -> bool:
        """Whether both give the same samples."""
        return self.input.is_as(other.input) and self.preview == other.preview and self.claims_for(other)


@dataclass(frozen=True)
class Definition:
    """What a stem is: its row of the matrix, and of one that is what others leave over, the stems that it completes."""

    gains: Mapping[str, float]
    completes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordedStem:
    """
    One file that was written.

    Attributes:
        stem: its name.
        definition: what it is.
        frames, size, mtime_ns: its length, its bytes, and when it was written.
        gain_db: the common gain of the stems that were made with it.
        making: how it was made.
        is_whole: whether it has its name; else it is about to get it.
    """

    stem: str
    definition: Definition
    frames: int
    size: int
    mtime_ns: int
    gain_db: float
    making: Making
    is_whole: bool = True


@dataclass(frozen=True)
class Record:
    """
    The record of one track.

    Attributes:
        track: its name below the output folder.
        input: the song, as it was when stems were made last.
        is_done: whether all stems got their names.
        stems: every file, by its path below the output folder, in POSIX form; one that bundles stems has one entry.
    """

    track: str
    input: InputFile
    is_done: bool
    stems: Mapping[str, RecordedStem] = field(default_factory=dict)

    def done(self, paths: Collection[str]) -> Self:
        """The same record, now that the stems with these paths have their names."""
        whole = {path: replace(self.stems[path], is_whole=True) for path in paths}
        return replace(self, is_done=True, stems={**self.stems, **whole})

    def to_json(self) -> dict[str, Any]:
        """Plain values; stems made together refer to one entry of `makings`."""
        makings: list[Making] = []
        stems = []
        for path, stem in self.stems.items():
            if stem.making not in makings:
                makings.append(stem.making)
            values = {"path": path, **asdict(stem), "making": makings.index(stem.making)}
            stems.append(values | values.pop("definition"))
        return {
            "schema": SCHEMA,
            "state": "done" if self.is_done else "writing",
            "track": self.track,
            "input": asdict(self.input),
            "makings": [asdict(making) for making in makings],
            "stems": stems,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Raises one of `_NO_RECORD` for what is no record."""
        makings = [_making(item) for item in values["makings"]]
        stems = {_inside(item["path"]): _stem(item, makings) for item in values["stems"]}
        return cls(_of(str, values["track"]), _input(values["input"]), values["state"] == "done", stems)


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
        part.write_text(json.dumps(record.to_json(), indent=1), encoding="utf-8")
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
            return Record.from_json(values)
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
