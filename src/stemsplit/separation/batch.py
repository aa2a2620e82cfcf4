"""Many tracks through one engine: decoding ahead, writing behind, one track's failure its own."""

import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from torch import Tensor

from stemsplit.audio.encoder import check_available
from stemsplit.audio.formats import Encoding
from stemsplit.errors import DiskFullError, TrackError, UsageError
from stemsplit.events import Listener, TrackWaiting, ignore
from stemsplit.separation.options import StemOptions
from stemsplit.separation.plan import PlannedTrack, plan_tracks
from stemsplit.separation.report import TrackReport
from stemsplit.separation.segments import Segment
from stemsplit.separation.selection import Selection
from stemsplit.separation.separator import Separator
from stemsplit.separation.stages import WriteBehind, prefetch
from stemsplit.separation.track import TrackJob
from stemsplit.separation.walk import Song

_PENDING_WRITES = 4  # stretches of one stride, 8 MB each for four sources
_POLL_SECONDS = 0.5  # how often a track of another process is asked for


def separate_tracks(
    tracks: Iterable[PlannedTrack],
    separator: Separator,
    options: StemOptions,
    listener: Listener = ignore,
    *,
    inputs: Collection[Path] | None = None,
) -> Generator[TrackReport, None, None]:
    """
    Separate tracks one after another, short ones in shared batches; yield each one's report when it has ended.

    A track that is done is skipped. One that another process is making is left to the end, then waited for. A track
    that fails is reported and the others go on, but for a full disk: then no further one is begun. Whatever else ends
    this early (an exception, a closed generator) removes what is unfinished.

    Args:
        tracks: from a plan; taken one by one as their turn comes, if `inputs` are given.
        separator: the model.
        options: which stems, and how they are written.
        listener: told what happens.
        inputs: songs that no stem may replace, by default those of the tracks.

    Raises:
        UsageError: for a model that is not stereo, as files are made to be, for a format that nothing here encodes, and
            as `Selection.mixdown`.
        ModelError: when the network cannot run.
    """
    if separator.audio_channels != 2:
        raise UsageError(
            f"The model {separator.bag.name} separates {separator.audio_channels} channel(s); files are split by "
            "models of two."
        )
    check_available(options.encoding)
    needed = options.mixdown(separator.bag.sources, separator.sources).sources
    if inputs is None:
        tracks = list(tracks)
        inputs = [track.path for track in tracks]
    kept = frozenset(path.resolve() for path in inputs)
    yield from _Batch(tracks, separator.only(needed), options, kept, listener).reports()


class _Batch:
    """The jobs of one call, and the threads they go through: reading, computing (the caller's), writing, finishing."""

    def __init__(
        self,
        tracks: Iterable[PlannedTrack],
        separator: Separator,
        options: StemOptions,
        inputs: Collection[Path],
        listener: Listener,
    ) -> None:
        self._separator = separator
        self._options = options
        self._inputs = inputs
        self._listener = listener
        self._tracks = tracks
        self._locked: list[PlannedTrack] = []
        self._is_disk_full = False
        self._is_cancelled = False
        self._running: list[TrackJob] = []
        self._ended: SimpleQueue[TrackReport] = SimpleQueue()

    def reports(self) -> Iterator[TrackReport]:
        """
        Run all jobs; those whose tracks another process has when their turn comes, at the end.

        Nothing is held while one is waited for, so that two processes never wait for each other.
        """
        tracks, rounds = self._tracks, 0
        while True:
            self._locked = []
            try:
                yield from self._round(tracks)
            except (KeyboardInterrupt, SystemExit):
                yield from self._drain()
                raise
            if not self._locked or self._is_disk_full:
                return
            tracks, rounds = self._locked, rounds + 1
            if rounds == 2:  # most were done by the other one long since
                for track in tracks:
                    self._listener(TrackWaiting(track.name))
            if rounds > 1:
                time.sleep(_POLL_SECONDS)

    def _round(self, tracks: Iterable[PlannedTrack]) -> Iterator[TrackReport]:
        try:
            # At the end of a song its stems are made of what was held. That takes a while, and must not stop the next.
            with WriteBehind(1, self._cancel) as finisher, WriteBehind(_PENDING_WRITES, self._cancel) as writer:
                ahead = 2 * self._separator.engine.compute.batch_size
                supply = prefetch(self._segments(tracks, writer, finisher), ahead, self._cancel)
                try:
                    for segment, answer in self._separator.engine.run(supply, self._separator.indices):
                        self._join(segment, answer, writer, finisher)
                        yield from self._drain()
                finally:
                    supply.close()
            yield from self._drain()
        finally:
            for job in self._running:
                job.abort()

    def _segments(
        self, tracks: Iterable[PlannedTrack], writer: WriteBehind, finisher: WriteBehind
    ) -> Iterator[Segment]:
        """The segments of one job after another; on the reading thread."""
        for track in tracks:
            if self._is_disk_full:
                return
            job = TrackJob(track, self._separator, self._options, self._inputs, self._listener)
            self._running.append(job)
            if self._is_cancelled:  # perhaps before this job was among those that are told
                return
            try:
                if not job.acquire():
                    self._running.remove(job)
                    self._locked.append(track)
                    continue
                for segment in job.segments():
                    if job.report is not None:  # its stems could not be written
                        break
                    yield segment
                if job.is_done_already:
                    writer.submit(partial(self._end, finisher, job, job.skip))
            except (TrackError, MemoryError) as error:
                writer.submit(partial(self._end, finisher, job, partial(job.fail, error)))

    def _join(self, segment: Segment, answer: Tensor, writer: WriteBehind, finisher: WriteBehind) -> None:
        job = segment.track
        assert isinstance(job, TrackJob)
        if job.report is None:
            sources, complete = job.join(segment, answer)
            writer.submit(partial(self._step, job, partial(job.write, sources)))
            if complete:
                writer.submit(partial(self._finish, finisher, job))

    def _end(self, finisher: WriteBehind, job: TrackJob, action: Callable[[], None]) -> None:
        """What `fail` and `skip` do, on the writing thread; not beside a `finish`, which may be this job's."""
        finisher.wait()
        self._step(job, action)

    def _finish(self, finisher: WriteBehind, job: TrackJob) -> None:
        """Have a job finished on the thread for that, when the one before is: no more than two are held at once."""
        finisher.wait()
        for other in list(self._running):
            if other is not job:
                other.follow()
        finisher.submit(partial(self._step, job, job.finish))

    def _step(self, job: TrackJob, action: Callable[[], None]) -> None:
        """Do what a job does on a writing thread; put its report out when it has ended."""
        action()
        if job.report is not None and job in self._running:
            self._running.remove(job)
            self._is_disk_full |= isinstance(job.report.failure, DiskFullError)
            if not (self._is_cancelled and job.report.status == "failed"):  # it was cut short, which is no failure
                self._ended.put(job.report)

    def _cancel(self) -> None:
        self._is_cancelled = True
        for job in list(self._running):
            job.cancel()

    def _drain(self) -> Iterator[TrackReport]:
        while not self._ended.empty():
            yield self._ended.get()


def separate_file(
    path: str | Path,
    output: str | Path = "separated",
    *,
    model: str = "htdemucs",
    stems: Collection[str] | None = None,
    selection: Selection | None = None,
    encoding: Encoding | None = None,
    overwrite: bool = False,
    listener: Listener = ignore,
) -> TrackReport:
    """
    Split one file into stem files, `output/<track>/<stem>.wav` by default; `separate_tracks` does more.

    Args:
        path: a file of any format that libsndfile or ffmpeg reads.
        output: the folder below which the track gets its own.
        model: as in `Separator.load`; all else is decided automatically.
        stems: the sources wanted; all the model's by default.
        selection: instead of `stems`, anything else that can be made of them, such as `Selection(karaoke=True)`.
        encoding: such as `Encoding("flac")`; 24-bit WAV by default.
        overwrite: replace stems that exist.
        listener: told what happens.

    Raises:
        TrackError: if the file cannot be read or its stems not be written; then no stem is left.
        UsageError, ModelError: as `Separator.load`.
    """
    if stems is not None and (selection is not None or not stems):
        raise UsageError("stems: name at least one, and no selection beside them, or leave it out for all.")
    options = StemOptions(
        Path(output),
        encoding or Encoding(),
        selection=selection or Selection(stems=tuple(stems or ())),
        overwrite=overwrite,
    )
    check_available(options.encoding)
    separator = Separator.load(model, sources=options.needed, listener=listener)
    (report,) = separate_tracks(plan_tracks([Song(Path(path))], output=options.output), separator, options, listener)
    if report.failure is not None:
        raise report.failure
    return report
