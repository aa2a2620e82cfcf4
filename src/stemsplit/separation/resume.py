"""What a record means for a run: which tracks are done, which files may be replaced, and what is told otherwise."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stemsplit.audio.faults import shown
from stemsplit.audio.targets import check_target
from stemsplit.errors import EncodeError
from stemsplit.separation.mixdown import Mixdown
from stemsplit.separation.options import SplitOptions, StemOptions
from stemsplit.separation.record import Definition, Making, Record, RecordedStem

_KEEP_BOTH = '--name "{model}/{track}/{stem}"'


@dataclass(frozen=True)
class Wanted:
    """
    The files that a run is to make of a track, and how; `making` holds only what decides their samples.

    Attributes:
        root: the output folder.
        files: by path below it, what each holds; a file that bundles all stems is defined by its format.
        names: what each is called.
    """

    root: Path
    making: Making
    files: Mapping[str, Definition]
    names: Mapping[str, str]

    def is_made(self, record: Record | None) -> bool:
        """Whether all of them are there, whole."""
        return record is not None and record.is_done and all(self._is_there(record, path) for path in self.files)

    def _is_there(self, record: Record, path: str) -> bool:
        known = record.stems.get(path)
        return (
            known is not None
            and known.is_whole
            and known.definition == self.files[path]
            and known.making.equals(self.making)
            and has_size(self.root / path, known.size)
        )

    def replaceable(self, record: Record | None, *, overwrite: bool) -> frozenset[Path]:
        """
        Those that may be replaced, as absolute or relative as `root`.

        Raises:
            EncodeError: for one that is there and may not be.
        """
        allowed = set()
        for path in self.files:
            target = self.root / path
            known = record.stems.get(path) if record else None
            if overwrite:
                allowed.add(target)
            elif known and os.path.lexists(target):  # even if cut short or changed since: its name is the record's
                self._check_claim(target, known)
                allowed.add(target)
            check_target(target, overwrite=target in allowed)
        return frozenset(allowed)

    def _check_claim(self, target: Path, known: RecordedStem) -> None:
        if known.making.preview is not None:
            return  # anything may replace it
        if self.making.preview is not None:
            raise EncodeError(
                f"{shown(target)}: is of the whole song, and a preview does not replace it. Use another output folder, "
                "or --overwrite."
            )
        if not known.making.claims_for(self.making):
            raise EncodeError(
                f"{shown(target)}: exists, made with {_difference(known.making, self.making)}. Use --overwrite to "
                f"replace it, or {_KEEP_BOTH} or another output folder to keep both."
            )

    def changed(self, record: Record | None) -> list[Path]:
        """Those that somebody has changed since they were written: they are not to be lost."""
        known = record.stems if record else {}
        return [
            self.root / path
            for path in self.files
            if path in known and known[path].is_whole and _is_changed(self.root / path, known[path])
        ]

    def gain_limit_db(self, record: Record | None) -> float:
        """The gain of stems that were made in the same way and stay: what is added to them must not be louder."""
        return min((stem.gain_db for stem in self._staying(record)), default=0.0)

    def others(self, record: Record | None) -> list[str]:
        """Names of the stems that were made in the same way and stay as they are."""
        return [stem.stem for stem in self._staying(record)]

    def _staying(self, record: Record | None) -> list[RecordedStem]:
        return [
            stem
            for path, stem in (record.stems.items() if record else ())
            if path not in self.files
            and stem.is_whole
            and stem.making.equals(self.making)
            and has_size(self.root / path, stem.size)
        ]


def wanted(targets: Mapping[str, Path], mixdown: Mixdown, options: StemOptions, making: Making) -> Wanted:
    """
    What a run is to make of a track.

    Args:
        targets: the path of every stem.
        mixdown: what every stem is.
        options: with the output folder.
        making: how.
    """
    relative = {stem: path.relative_to(options.output).as_posix() for stem, path in targets.items()}
    if options.encoding.file_format.is_bundle:
        (path,) = set(relative.values())
        return Wanted(options.output, making, {path: Definition({})}, {path: options.encoding.format})
    remainders = mixdown.remainders
    files = {
        relative[stem.name]: Definition(dict(stem.gains), tuple(remainders.get(stem.name, ())))
        for stem in mixdown.stems
    }
    return Wanted(options.output, making, files, {path: stem for stem, path in relative.items()})


def compared(split: SplitOptions, stems: StemOptions) -> dict[str, str | float | None]:
    """The options that decide samples, by the names they have on the command line."""
    encoding = stems.encoding
    return {
        "format": encoding.format,
        "bit-depth": None if encoding.depth is None else encoding.bit_depth or "24",
        "bitrate": encoding.kilobits,
        "sample-rate": stems.sample_rate,
        "clip": stems.clip,
        "overlap": split.overlap,
        "segment": split.segment,
        "shifts": split.shifts,
    }


def merged(record: Record | None, new: Record) -> Record:
    """The new record, with the files of the old one that it does not name: they keep their names."""
    kept = {path: stem for path, stem in (record.stems if record else {}).items() if path not in new.stems}
    return Record(new.track, new.input, new.is_done, {**kept, **new.stems})


def earlier_batches(records: Iterable[Record]) -> dict[str, int]:
    """The batch size that was chosen automatically before, by device."""
    return {
        making.device: making.batch_size
        for record in records
        for making in (stem.making for stem in record.stems.values())
        if making.device and making.batch_size and making.is_batch_auto
    }


def _is_changed(path: Path, known: RecordedStem) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) != (known.size, known.mtime_ns)


def has_size(path: Path, size: int) -> bool:
    """Whether a file is there with all its bytes."""
    try:
        return path.is_file() and path.stat().st_size == size
    except OSError:
        return False


def _difference(old: Making, new: Making) -> str:
    if not old.uses_model_of(new):
        return "another version of the model" if old.model == new.model else f"the model {old.model}"
    names = old.differing(new)
    return " and ".join(
        f"--{name} {_told(old.options.get(name))} (now {_told(new.options.get(name))})" for name in names
    )


def _told(value: str | float | None) -> str:
    if value is None:
        return "unset"
    return value if isinstance(value, str) else f"{value:g}"
