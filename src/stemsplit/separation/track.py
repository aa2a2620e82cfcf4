"""One file on its way: statistics, read, separate, write."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Literal

from torch import Tensor

from stemsplit.audio.faults import shown
from stemsplit.audio.ffmpeg_program import is_installed
from stemsplit.audio.reader import AudioInfo, open_audio
from stemsplit.audio.tags import TAGGABLE, Tags, read_tags
from stemsplit.audio.writer import TrackWriter, WrittenTrack
from stemsplit.errors import DecodeError, EncodeError, TrackError
from stemsplit.events import Listener, TrackEnded, TrackProgress, TrackStarted, Warned
from stemsplit.separation.device_queue import on_cpu
from stemsplit.separation.mixture import Mixture, original
from stemsplit.separation.options import StemOptions
from stemsplit.separation.plan import PlannedTrack
from stemsplit.separation.report import TrackReport
from stemsplit.separation.segments import OverlapAdd, Segment, cut
from stemsplit.separation.separator import Separator
from stemsplit.separation.stems import StemSink
from stemsplit.separation.track_files import TrackFiles


class TrackJob:
    """
    One input file from the plan to its report.

    Threads carry every stretch of audio, one after another: `segments` reads, `join` computes, `write` writes (and
    reads the mixture once more, if stems have it in them), and `finish` ends; `fail` and `skip` end, too. No two of
    these last four may run at once; `report` is there when one of the three has ended.
    No stem may replace one of `inputs` (absolute paths), the songs of the same command.
    """

    def __init__(
        self,
        track: PlannedTrack,
        separator: Separator,
        options: StemOptions,
        inputs: Collection[Path],
        listener: Listener,
    ) -> None:
        self.track = track
        self.report: TrackReport | None = None
        self._separator = separator
        self._options = options
        self._inputs = inputs
        self._listener = listener
        self._mixdown = options.mixdown(separator.bag.sources, separator.sources)
        self._files = TrackFiles(track, self._mixdown, separator.bag.identity, separator.options, options)
        self._warnings: list[str] = []
        self._began = time.perf_counter()
        self._audio_seconds = 0.0
        self._frames_written = 0
        self._sink: StemSink | None = None
        self._done_before: TrackReport | None = None
        self._cancelled = Event()

    def acquire(self) -> bool:
        """
        Take the track, unless another process has it.

        Raises:
            TrackError: for an output folder that cannot be written.
        """
        return self._files.acquire()

    def segments(self) -> Iterator[Segment]:
        """
        Measure the track, then cut it; nothing of a track that is done already.

        Raises:
            TrackError: for an input that cannot be decoded or stems that may not be written.
        """
        self._began = time.perf_counter()
        self._done_before = self._files.look()
        if self._done_before is not None:
            return
        if self._files.has_no_lock:
            self._warn("This disk knows no locks: do not have two stemsplits write to one folder of it at once.")
        self._check_targets()
        with open_audio(self.track.path, self._options.excerpt) as reader:
            mixture = Mixture.measured(reader, self._separator.sample_rate, self._cancelled)
            self._sink = self._opened_sink(reader.info, mixture)
            statistics, passes = mixture.statistics, self._separator.passes
            self._joined = OverlapAdd(statistics, passes)
            self._announce(mixture.frames / reader.info.sample_rate, reader.warnings)
            try:
                yield from cut(self, mixture.blocks(), statistics, passes)
            except ValueError as error:
                raise DecodeError(f"{self.track.path}: changed while it was being read ({error}).") from error

    def join(self, segment: Segment, answer: Tensor) -> tuple[Tensor, bool]:
        """The stretch of all sources [S, C, T] that `answer` makes final, and whether it is the last."""
        final = self._joined.add(segment.window, answer)
        return on_cpu(final), self._joined.complete

    def write(self, sources: Tensor) -> None:
        """Write the next stretch [S, C, T] of all sources."""
        if self.report is not None or self._sink is None:
            return
        with self._failing():
            self._sink.write(dict(zip(self._separator.sources, sources.numpy(), strict=True)))
            self._frames_written += sources.shape[-1]
            self._listener(TrackProgress(self.track.name, self._frames_written / self._separator.sample_rate))

    def finish(self) -> None:
        """Give every stem its final name and make the report."""
        if self.report is not None or self._sink is None:
            return
        with self._failing():
            written = self._sink.finish(self._claim_names)
            self._files.note_done()
            for path, name in self._files.kept.items():
                self._warn(f"{shown(path)}: was changed since it was made, so it is kept as {shown(Path(name.name))}.")
            for warning in written.warnings:
                self._warn(warning)
            if apart := self._files.apart(written.gain_db):
                self._warn(
                    f"{self.track.name}: turned down further than {', '.join(apart)}, which were made before; "
                    "for stems that go together make all of them anew, with --overwrite."
                )
            outputs = {stem: written_stem.path.absolute() for stem, written_stem in written.stems.items()}
            self._end("done", outputs, gain_db=written.gain_db)

    def follow(self) -> None:
        """Count the time from now on: until here, the track before this one was read, separated and written."""
        self._began = time.perf_counter()

    def skip(self) -> None:
        """Report what was done already."""
        self._files.release()
        self.report = self._done_before
        self._listener(TrackEnded(self.track.name, "skipped"))

    @property
    def is_done_already(self) -> bool:
        """Whether there was nothing to do, once `segments` has ended."""
        return self._done_before is not None

    def fail(self, error: TrackError | MemoryError) -> None:
        """Remove what was written and report the failure."""
        if self.report is None:
            self.abort()
            if isinstance(error, MemoryError):
                error = TrackError(f"{shown(self.track.path)}: there is not enough memory. Close other programs.")
            self._end("failed", {}, failure=error)

    def cancel(self) -> None:
        """Have those give up soon that read, write and finish; may be called from any thread."""
        self._cancelled.set()
        if self._sink is not None:
            self._sink.cancel()

    def abort(self) -> None:
        """Remove whatever is unfinished, and let go of the track."""
        if self.report is None:
            if self._sink is not None:
                self._sink.abort()
            self._files.release()

    def _opened_sink(self, info: AudioInfo, mixture: Mixture) -> StemSink:
        options, encoding, path = self._options, self._options.encoding, self.track.path
        mono = info.channels == 1
        rate = self._stem_rate(info.sample_rate)
        frames = max(1, round(mixture.frames * rate / info.sample_rate))
        writer = TrackWriter(
            self._files.targets,
            sample_rate=rate,
            channels=1 if mono else 2,
            encoding=encoding,
            clip=options.clip,
            track=self.track.name,
            replace=self._files.replaceable,
            gain_limit_db=self._files.gain_limit_db,
            frames=frames,
            remainders=self._mixdown.remainders,
            tags=self._tags(),
            temporary=self._files.temporary,
        )
        needs_mixture = self._mixdown.needs_mixture
        return StemSink(
            self.track.name,
            self._mixdown,
            original(path, options.excerpt, rate=rate, frames=frames, mono=mono) if needs_mixture else None,
            writer,
            source_rate=self._separator.sample_rate,
            rate=rate,
            frames=frames,
            mono=mono,
        )

    def _stem_rate(self, kept: int) -> int:
        """Of the stems, in Hz: what is asked for, or what the encoder takes in its place."""
        rate = self._options.rate(kept, self._separator.sample_rate)
        encoding = self._options.encoding
        fitting = encoding.file_format.fitting_rate(rate)
        if fitting != rate:
            self._warn(f"{encoding.format} holds no {rate} Hz, so the stems are at {fitting} Hz.")
        if encoding.bitrate and encoding.file_format.bitrates:
            most = encoding.file_format.bitrates.range_at(fitting)[1]
            if most < encoding.bitrate:
                self._warn(f"{encoding.format} at {fitting} Hz ends at {most} kbit/s, so the stems have that.")
        return fitting

    def _tags(self) -> Tags | None:
        """Of the song, where the stems can carry them."""
        if self._options.encoding.format not in TAGGABLE:
            return None
        if not is_installed():
            self._warn("Stems carry no tags and no cover, since ffmpeg was not found. Install it for that.")
            return None
        return read_tags(self.track.path)

    def _check_targets(self) -> None:
        for target in set(self._files.targets.values()):
            if target.resolve() in self._inputs:
                raise EncodeError(f"{target}: is itself one of the songs to split. Choose another output folder.")

    def _announce(self, seconds: float, warnings: Sequence[str]) -> None:
        self._audio_seconds = seconds
        self._listener(TrackStarted(self.track.name, seconds))
        for warning in warnings:
            self._warn(warning)

    def _warn(self, warning: str) -> None:
        self._warnings.append(warning)
        self._listener(Warned(warning, self.track.name))

    def _claim_names(self, written: WrittenTrack) -> None:
        seconds = time.perf_counter() - self._began
        self._files.claim_names(written, self._separator.engine.compute, self._audio_seconds, seconds)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (TrackError, MemoryError) as error:
            self.fail(error)

    def _end(
        self,
        status: Literal["done", "failed"],
        outputs: dict[str, Path],
        *,
        gain_db: float | None = None,
        failure: TrackError | None = None,
    ) -> None:
        self._files.release()
        separator = self._separator
        self.report = TrackReport(
            input=self.track.path,
            track=self.track.name,
            status=status,
            outputs=outputs,
            model=separator.bag.name,
            model_revision=separator.bag.revision,
            device=separator.engine.compute.device,
            precision=separator.engine.compute.precision,
            networks=len({run.network for run in separator.passes}),
            audio_seconds=self._audio_seconds or None,
            seconds=time.perf_counter() - self._began,
            gain_db=gain_db,
            warnings=tuple(self._warnings),
            failure=failure,
        )
        self._listener(TrackEnded(self.track.name, status))
