"""The files of one track below the output folder: claimed, held against what is there, and recorded."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from stemsplit.audio.excerpt import WHOLE
from stemsplit.audio.faults import reason, shown
from stemsplit.audio.targets import hidden, set_aside, telling
from stemsplit.audio.writer import WrittenTrack
from stemsplit.compute import Compute
from stemsplit.errors import DecodeError, RecordError, TrackError
from stemsplit.separation.claim import Claim, is_abandoned
from stemsplit.separation.mixdown import Mixdown
from stemsplit.separation.options import SplitOptions, StemOptions
from stemsplit.separation.plan import PlannedTrack
from stemsplit.separation.record import InputFile, Making, Record, RecordedStem
from stemsplit.separation.record_file import read_record, record_path, write_record
from stemsplit.separation.report import TrackReport
from stemsplit.separation.resume import Wanted, compared, merged, wanted
from stemsplit.weights.identity import ModelIdentity


class TrackFiles:
    """
    What a run wants of one track, and the right to make it.

    First `acquire`, then `look`; `release` in any case. A track that is not recorded is always free and never done.

    Attributes:
        kept: stems that had been changed since they were made, and under which name they stay.

    Args:
        track: from the plan.
        mixdown: the stems.
        model: which makes them.
        split: how the track is cut.
        options: how they are written.
    """

    def __init__(
        self, track: PlannedTrack, mixdown: Mixdown, model: ModelIdentity, split: SplitOptions, options: StemOptions
    ) -> None:
        self.track = track
        self.root = options.output
        self.targets = options.paths(track, mixdown.names)
        self.replaceable: frozenset[Path] = frozenset()
        self._mixdown = mixdown
        self._model = model
        self._split = split
        self._options = options
        self._claim = Claim(options.output, track.name) if track.is_recorded else None
        self._record: Record | None = None
        self._wanted: Wanted | None = None
        self._written: Record | None = None
        self._replaced: dict[Path, int | None] = {}
        self.kept: dict[Path, Path] = {}

    def acquire(self) -> bool:
        """
        Take the track, unless another process has it.

        Raises:
            EncodeError: for an output folder that cannot be written.
        """
        return self._claim is None or self._claim.acquire()

    def look(self) -> TrackReport | None:
        """
        Hold what is there against what is wanted; the report, if all of that is done.

        Raises:
            DecodeError: for a song that is not there.
            RecordError: for a record of a newer version, or of another song.
            EncodeError: for files that are there and may not be replaced.
        """
        try:
            song = InputFile.of(self.track.path)
        except OSError as error:
            raise DecodeError(f"{shown(self.track.path)}: {reason(error)}.") from error
        self._wanted = wanted(self.targets, self._mixdown, self._options, self._making(song))
        if self.track.is_recorded:
            self._record = record = read_record(self.root, self.track.name)
            if record is not None and not record.input.has_become(song):
                other = shown(Path(record.input.path))
                raise RecordError(
                    f"{shown(self.track.path)}: its stems would be called as those of {other}. "
                    "Choose another --name or output folder."
                )
            if record is not None and not self._options.overwrite and self._wanted.is_made(record):
                return self._skipped(record)
        self.replaceable = self._wanted.replaceable(self._record, overwrite=self._options.overwrite)
        return None

    @property
    def has_no_lock(self) -> bool:
        """Whether nothing keeps another process from the same track."""
        return self._claim is not None and self._claim.has_no_lock

    @property
    def record(self) -> Record | None:
        """What was known of the track before."""
        return self._record

    @property
    def gain_limit_db(self) -> float:
        """What the common gain is at most, for these stems to go with those that stay."""
        return self._wanted.gain_limit_db(self._record) if self._wanted else 0.0

    def apart(self, gain_db: float) -> list[str]:
        """Stems that stay, made with another gain than the new ones."""
        if self._wanted is None or abs(gain_db - self.gain_limit_db) < 1e-9:
            return []
        return self._wanted.others(self._record)

    def temporary(self, target: Path, suffix: str) -> Path:
        """A hidden name beside a stem."""
        return hidden(target, suffix) if self._claim is None else self._claim.temporary(target, suffix)

    def claim_names(self, written: WrittenTrack, compute: Compute, audio_seconds: float, seconds: float) -> None:
        """Note what is about to get its name, so that a later run may replace it should this one end midway."""
        if self._claim is None or self._wanted is None:
            return
        making = replace(
            self._wanted.making,
            device=compute.device,
            precision=compute.precision,
            batch_size=compute.batch_size,
            is_batch_auto=compute.is_batch_auto,
            version=version("stemsplit"),
            audio_seconds=audio_seconds,
            seconds=round(seconds, 3),
        )
        if not self._options.overwrite:
            for path in self._wanted.changed(self._record):
                with telling(path):
                    self.kept[path] = set_aside(path)
        self._replaced = {target: _inode(target) for target in self.targets.values()}
        stems = {path: self._recorded(path, written, making) for path in self._wanted.files}
        self._written = merged(self._record, Record(self.track.name, making.input, False, stems))
        self._write(self._written)

    def note_done(self) -> None:
        """Note that all files have their names."""
        if self._written is not None:
            assert self._wanted is not None
            self._write(self._written.done(self._wanted.files))
            self._written = None

    def release(self) -> None:
        """Let go of the track, and of names that were claimed and are not there."""
        if self._claim is None:
            return
        if self._written is not None and all(_inode(path) == before for path, before in self._replaced.items()):
            with suppress(OSError):
                if self._record is None:
                    record_path(self.root, self.track.name).unlink(missing_ok=True)
                else:
                    write_record(self.root, self._record)
        self._written = None
        self._claim.release()

    def _write(self, record: Record) -> None:
        with telling(record_path(self.root, record.track)):
            write_record(self.root, record)

    def _making(self, song: InputFile) -> Making:
        excerpt = self._options.excerpt
        return Making(
            input=song,
            model=self._model.name,
            revision=self._model.revision,
            hashes=dict(self._model.hashes),
            options=compared(self._split, self._options),
            preview=None if excerpt == WHOLE else (excerpt.start, excerpt.duration),
        )

    def _recorded(self, path: str, written: WrittenTrack, making: Making) -> RecordedStem:
        assert self._wanted is not None
        target = self.root / path
        file = next(stem for stem in written.stems.values() if stem.path == target)
        definition, name = self._wanted.files[path], self._wanted.names[path]
        return RecordedStem(
            name, definition, file.frames, file.size, file.mtime_ns, written.gain_db, making, is_whole=False
        )

    def _skipped(self, record: Record) -> TrackReport:
        assert self._wanted is not None
        stem = record.stems[next(iter(self._wanted.files))]
        return TrackReport(
            input=self.track.path,
            track=self.track.name,
            status="skipped",
            outputs={name: path.absolute() for name, path in self.targets.items()},
            model=self._model.name,
            model_revision=self._model.revision,
            audio_seconds=stem.making.audio_seconds,
            gain_db=stem.gain_db,
        )


def _inode(path: Path) -> int | None:
    """What tells a file from one that takes its name."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def split_done(
    tracks: Iterable[PlannedTrack], mixdown: Mixdown, model: ModelIdentity, split: SplitOptions, options: StemOptions
) -> tuple[list[PlannedTrack], list[TrackReport], list[Record]]:
    """
    Those still to do, the reports of those that are done or cannot be, and the records that were found.

    Nothing is decoded, and nothing is claimed but what a process that died has left, to clear up after it.
    """
    left, reports, records = [], [], []
    for track in tracks:
        files = TrackFiles(track, mixdown, model, split, options)
        try:
            report = _looked(files)
        except TrackError as error:
            report = TrackReport(track.path, track.name, "failed", {}, failure=error)
        records += [files.record] if files.record else []
        if report is None:
            left.append(track)
        else:
            reports.append(report)
    return left, reports, records


def _looked(files: TrackFiles) -> TrackReport | None:
    if not files.track.is_recorded or not is_abandoned(files.root, files.track.name):
        return files.look()
    if not files.acquire():
        return None  # a living process is at it: its turn comes when that one is done
    try:
        return files.look()
    finally:
        files.release()
