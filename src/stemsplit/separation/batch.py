"""Many tracks through one engine: decoding ahead, writing behind, one track's failure its own."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from stemsplit.audio.formats import Encoding
from stemsplit.errors import TrackError, UsageError
from stemsplit.events import Listener, ignore
from stemsplit.separation.options import StemOptions
from stemsplit.separation.plan import PlannedTrack, plan_tracks
from stemsplit.separation.report import TrackReport
from stemsplit.separation.segments import Segment
from stemsplit.separation.separator import Separator
from stemsplit.separation.stages import WriteBehind, prefetch
from stemsplit.separation.track import TrackJob

_PENDING_WRITES = 4  # stretches of one stride, 8 MB each for four sources


def separate_tracks(
    tracks: Iterable[PlannedTrack], separator: Separator, options: StemOptions, listener: Listener = ignore
) -> Iterator[TrackReport]:
    """
    Separate tracks one after another, short ones in shared batches; yield each one's report when it has ended.

    A track that fails is reported and the others go on. Whatever else ends this early (an exception, a closed
    generator) removes what is unfinished.

    Raises:
        UsageError: for a model that is not stereo, as files are made to be.
        ModelError: when the network cannot run.
    """
    if separator.audio_channels != 2:
        raise UsageError(
            f"The model {separator.bag.name} separates {separator.audio_channels} channel(s); files are split by "
            "models of two."
        )
    tracks = list(tracks)
    inputs = frozenset(track.path.resolve() for track in tracks)
    running: list[TrackJob] = []
    ended: SimpleQueue[TrackReport] = SimpleQueue()

    def step(job: TrackJob, action: Callable[[], None]) -> None:
        action()
        if job.report is not None and job in running:
            running.remove(job)
            ended.put(job.report)

    def segments(writer: WriteBehind) -> Iterator[Segment]:
        for track in tracks:
            job = TrackJob(track, separator, options, inputs, listener)
            running.append(job)
            try:
                for segment in job.segments():
                    if job.report is not None:  # its stems could not be written
                        break
                    yield segment
            except TrackError as error:
                writer.submit(partial(step, job, partial(job.fail, error)))

    def cancel() -> None:
        for job in list(running):
            job.cancel()

    try:
        with WriteBehind(_PENDING_WRITES, cancel) as writer:
            supply = prefetch(segments(writer), 2 * separator.engine.compute.batch_size)
            try:
                for segment, answer in separator.engine.run(supply, separator.indices):
                    job = segment.track
                    assert isinstance(job, TrackJob)
                    if job.report is None:
                        sources, complete = job.join(segment, answer)
                        writer.submit(partial(step, job, partial(job.write, sources)))
                        if complete:
                            writer.submit(partial(step, job, job.finish))
                    yield from _drain(ended)
            except BaseException:
                cancel()
                raise
            finally:
                supply.close()
        yield from _drain(ended)
    finally:
        for job in running:
            job.abort()


def separate_file(
    path: str | Path,
    output: str | Path = "separated",
    *,
    model: str = "htdemucs",
    stems: Collection[str] | None = None,
    overwrite: bool = False,
    listener: Listener = ignore,
) -> TrackReport:
    """
    Split one file into stem files, `output/<track>/<stem>.wav`; `separate_tracks` does more, with a loaded model.

    Args:
        path: a file of any format that libsndfile or ffmpeg reads.
        output: the folder below which the track gets its own.
        model: as in `Separator.load`; all else is decided automatically.
        stems: those wanted; all the model's sources by default.
        overwrite: replace stems that exist.
        listener: told what happens.

    Raises:
        TrackError: if the file cannot be read or its stems not be written; then no stem is left.
        UsageError, ModelError: as `Separator.load`.
    """
    separator = Separator.load(model, sources=stems, listener=listener)
    options = StemOptions(Path(output), Encoding(), overwrite=overwrite)
    (report,) = separate_tracks(plan_tracks([Path(path)]), separator, options, listener)
    if report.failure is not None:
        raise report.failure
    return report


def _drain(ended: SimpleQueue[TrackReport]) -> Iterator[TrackReport]:
    while not ended.empty():
        yield ended.get()
