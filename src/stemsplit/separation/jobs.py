"""
Several processes on one machine, each with its own copy of the model; this one deals out the tracks.

A process asks for the next track when it has room for one, so that a slow one holds nobody up. One that dies takes its
tracks with it and no more. Which files a process may write is settled as between any two (`claim.py`).
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from stemsplit import compute
from stemsplit.audio.faults import shown
from stemsplit.errors import DiskFullError, StemsplitError, TrackError
from stemsplit.events import Event, Listener, TrackEnded, Warned, ignore
from stemsplit.separation.batch import separate_tracks
from stemsplit.separation.children import end_with_parent, interrupts_ignored
from stemsplit.separation.claim import Claim
from stemsplit.separation.options import StemOptions
from stemsplit.separation.plan import PlannedTrack
from stemsplit.separation.report import TrackReport
from stemsplit.separation.separator import Separator

_GRACE_SECONDS = 5.0  # seldom needed: for all processes to clear up, before they are killed

Loader = Callable[..., Separator]
"""Makes a separator, given `device` and `listener`; a partial of `Separator.load`, which can be sent to a process."""


@dataclass(frozen=True)
class _Request:
    """A process asks for its next track."""


@dataclass(frozen=True)
class _Task:
    """What a process is started with."""

    number: int
    jobs: int
    device: str
    load: Loader
    options: StemOptions
    inputs: Sequence[Path]


@dataclass
class _Worker:
    """A process, as seen from here, and the tracks that it has taken and not reported."""

    process: BaseProcess
    connection: Connection
    tracks: dict[str, PlannedTrack] = field(default_factory=dict)


def separate_in_jobs(
    tracks: Sequence[PlannedTrack],
    load: Loader,
    options: StemOptions,
    jobs: int,
    device: str = "auto",
    listener: Listener = ignore,
) -> Generator[TrackReport, None, None]:
    """
    As `separate_tracks`, in several processes; yield each track's report when it has ended.

    Processes on a CPU share its cores; where there are several GPUs, each process gets one after another of them.

    Args:
        tracks: from a plan.
        load: makes a process's separator.
        options: which stems, and how they are written.
        jobs: how many processes.
        device: see `stemsplit.compute.choose`.
        listener: told what happens, on this thread.

    Raises:
        StemsplitError: what loading the model raises, and when all processes have died.
    """
    yield from _Pool(tracks, load, options, min(jobs, len(tracks)), device, listener).reports()


class _Pool:
    def __init__(
        self,
        tracks: Sequence[PlannedTrack],
        load: Loader,
        options: StemOptions,
        jobs: int,
        device: str,
        listener: Listener,
    ) -> None:
        inputs = [track.path for track in tracks]
        self._tasks = deque(_Task(number, jobs, device, load, options, inputs) for number in range(jobs))
        self._waiting = deque(tracks)
        self._output = options.output
        self._listener = listener
        self._workers: list[_Worker] = []

    def reports(self) -> Iterator[TrackReport]:
        try:
            if self._waiting:
                self._start()  # the others when this one has the model: so it is fetched once
            while self._workers and (self._waiting or any(worker.tracks for worker in self._workers)):
                ready = wait([worker.connection for worker in self._workers])
                for worker in [worker for worker in self._workers if worker.connection in ready]:
                    yield from self._heard(worker)
            if self._waiting:
                raise StemsplitError(
                    f"All processes were ended by the system, {len(self._waiting)} songs before their turn: perhaps "
                    "there is too little memory. Try fewer --jobs."
                )
        finally:
            self._stop()

    def _heard(self, worker: _Worker) -> Iterator[TrackReport]:
        """What follows from a worker's next message."""
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._ended(worker)
            return
        match message:
            case _Request():
                while self._tasks:
                    self._start()
                self._deal(worker)
            case TrackReport():
                worker.tracks.pop(message.track, None)
                if isinstance(message.failure, DiskFullError):
                    self._waiting.clear()
                yield message
            case Exception() if worker.tracks or len(self._workers) == 1:
                raise message
            case Exception():  # one process too many, perhaps
                self._listener(Warned(f"One process less, since it could not begin: {message}"))
            case _:
                self._listener(message)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, self._tasks.popleft()), daemon=True)
        with interrupts_ignored():  # what a process is started with it goes on with
            process.start()
        there.close()
        self._workers.append(_Worker(process, here))

    def _deal(self, worker: _Worker) -> None:
        track = self._waiting.popleft() if self._waiting else None
        if track is not None:
            worker.tracks[track.name] = track
        with suppress(OSError):  # it has died, which the next look at it tells
            worker.connection.send(track)

    def _ended(self, worker: _Worker) -> Iterator[TrackReport]:
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join()
        if worker.process.exitcode == 0:  # a full disk: what it was dealt was not begun
            return
        for track in worker.tracks.values():
            failure = TrackError(
                f"{shown(track.path)}: the process that was at it was ended by the system (exit code "
                f"{worker.process.exitcode}), perhaps for want of memory. Try fewer --jobs."
            )
            self._clear_up(track)
            self._listener(TrackEnded(track.name, "failed"))
            yield TrackReport(track.path, track.name, "failed", {}, failure=failure)

    def _clear_up(self, track: PlannedTrack) -> None:
        """Remove what a process that has died has left of a track."""
        claim = Claim(self._output, track.name)
        with suppress(TrackError):
            if claim.acquire():
                claim.release()

    def _stop(self) -> None:
        """End what is still running, which clears up after itself if it can do so soon."""
        for worker in self._workers:
            worker.process.terminate()
            worker.connection.close()  # so that it does not wait for a track
        deadline = time.monotonic() + _GRACE_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
                for track in worker.tracks.values():
                    self._clear_up(track)


def _work(connection: Connection, task: _Task) -> None:
    """Be a worker: the main function of its process, which ends with it, without taking torch down in good order."""
    code = 1
    try:
        _separate(connection, task)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os._exit(code)


def _separate(connection: Connection, task: _Task) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), _terminate)
    end_with_parent()
    compute.prepare_process()
    sending = threading.Lock()

    def tell(message: Event | TrackReport | Exception) -> None:
        with sending, suppress(OSError):  # nobody listens any more
            connection.send(message)

    def dealt() -> Iterator[PlannedTrack]:
        with suppress(EOFError, OSError):
            while True:
                with sending:
                    connection.send(_Request())
                track = connection.recv()
                if track is None:
                    return
                yield track

    try:
        device = compute.divided(task.device, task.number, task.jobs)
        separator = task.load(device=device, listener=tell)
        for report in separate_tracks(dealt(), separator, task.options, tell, inputs=task.inputs):
            tell(report)
    except StemsplitError as error:  # raised again where the user is told
        tell(error)
    except Exception as error:  # as text, since not every exception can be sent
        failure = RuntimeError(f"{type(error).__name__}: {error}")
        failure.add_note(traceback.format_exc())
        tell(failure)


def _terminate(number: int, _: Any) -> None:
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
