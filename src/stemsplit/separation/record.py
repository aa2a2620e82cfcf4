"""
What is known of a track that was split: kept beside the stems, so that the next run can tell what is done.

One JSON file per track, `<output>/.stemsplit/<name>.json`. It is written twice, whole each time: as `writing` before
the first stem gets its name, which claims the names, and as `done` after the last. What follows from a record is
decided in `resume.py`; who may write one, in `claim.py`.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self


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
