"""
What is known of a track that was split: kept beside the stems, so that the next run can tell what is done.

One JSON file per track, `<output>/.stemsplit/<name>.json`. It is written twice, whole each time: as `writing` before
the first stem gets its name, which claims the names, and as `done` after the last. What follows from a record is
decided in `resume.py`; who may write one, in `claim.py`.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Self

from stemsplit.audio.faults import shown
from stemsplit.errors import RecordError

FOLDER = ".stemsplit"
SCHEMA = 1


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
        """Whether it is the same song as `now`: by its path or, where that is gone, as a file that was moved."""
        return self.path == now.path or (not os.path.exists(self.path) and self.is_as(now))  # noqa: PTH110


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
        frames, size: its length, and its bytes.
        gain_db: the common gain of the stems that were made with it.
        making: how it was made.
    """

    stem: str
    definition: Definition
    frames: int
    size: int
    gain_db: float
    making: Making


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

    def done(self) -> Self:
        """The same record, now that all stems have their names."""
        return replace(self, is_done=True)

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
        """Raises KeyError, TypeError or ValueError for what is no record."""
        makings = [_making(item) for item in values["makings"]]
        stems = {
            _inside(item["path"]): RecordedStem(
                stem=str(item["stem"]),
                definition=Definition(dict(item["gains"]), tuple(item["completes"])),
                frames=int(item["frames"]),
                size=int(item["size"]),
                gain_db=float(item["gain_db"]),
                making=makings[item["making"]],
            )
            for item in values["stems"]
        }
        return cls(str(values["track"]), InputFile(**values["input"]), values["state"] == "done", stems)


def record_path(root: Path, track: str) -> Path:
    """Where the record of a track lies."""
    return root.joinpath(FOLDER, *track.split("/")[:-1], f"{track.split('/')[-1]}.json")


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
    part = path.with_name(f"{path.name[:-5]}.new")
    try:
        part.write_text(json.dumps(record.to_json(), indent=1), encoding="utf-8")
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def outputs_recorded_in(root: Path) -> Iterator[Path]:
    """Every file that the records in an output folder name."""
    for path in sorted((root / FOLDER).rglob("*.json")):
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):  # it names none then
            paths = [stem["path"] for stem in json.loads(path.read_text(encoding="utf-8"))["stems"]]
            yield from (root / name for name in paths)  # in this part, newer ones are expected to be alike


def _read(path: Path) -> Record | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        schema = values["schema"]
        if schema == SCHEMA:
            return Record.from_json(values)
    except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None
    if isinstance(schema, int) and schema > SCHEMA:
        raise RecordError(
            f"{shown(path)}: was written by a newer stemsplit, so these stems are left alone. Update stemsplit, or "
            "choose another output folder."
        )
    return None


def _making(values: Mapping[str, Any]) -> Making:
    preview = values["preview"]
    plain = {**values, "input": InputFile(**values["input"]), "preview": None if preview is None else tuple(preview)}
    return Making(**plain)


def is_inside(path: str) -> bool:
    """Whether a path stays below the output folder: what was written may come with a folder of somebody else's."""
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _inside(path: str) -> str:
    if not is_inside(path):
        raise ValueError(f"{path} leads out of the output folder")
    return path
