"""
Work on many songs, in this process or in several; what fails for one song fails alone.

Every process has its own copy of the work, with its model, and its share of the machine.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Protocol, TypeVar

from stemsplit import compute
from stemsplit.errors import StemsplitError, TrackError
from stemsplit.events import Event, Listener
from stemsplit.separation.children import end_with_parent, interrupts_ignored

_GRACE_SECONDS = 3.0

T = TypeVar("T", contravariant=True)
R = TypeVar("R", covariant=True)
Task = TypeVar("Task")
Result = TypeVar("Result")


class Work(Protocol[T, R]):
    """What is done for each task. It, tasks and results can be sent to another process."""

    def begin(self, device: str, listener: Listener) -> None:
        """Be told, in each process once, where to compute and who hears of warnings."""

    def __call__(self, task: T, /) -> R:
        """Do one. Raises TrackError for what is wrong with this one only."""


def carried_out(
    work: Work[Task, Result], tasks: Sequence[Task], jobs: int, device: str, listener: Listener
) -> Generator[tuple[Task, Result | TrackError]]:
    """
    Each task with what came of it, in the order they end.

    Args:
        work: what is done.
        tasks: for each of these.
        jobs: processes; 1 for this one alone.
        device: see `stemsplit.compute.choose`; several processes share it, or the machine's GPUs.
        listener: told of warnings, on this thread.

    Raises:
        StemsplitError: what the work raises beside TrackError, and where the system ends a process.
    """
    jobs = min(jobs, len(tasks))
    if jobs > 1:
        yield from _in_processes(work, tasks, jobs, device, listener)
        return
    work.begin(device, listener)
    for task in tasks:
        try:
            result: Result | TrackError = work(task)
        except TrackError as error:
            result = error
        yield task, result


def _in_processes(
    work: Work[Task, Result], tasks: Sequence[Task], jobs: int, device: str, listener: Listener
) -> Generator[tuple[Task, Result | TrackError]]:
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(jobs, context, _begin, (work, device, context.Value("i", 0), jobs))
    left = len(tasks)
    try:
        with interrupts_ignored():
            futures: dict[Future[Any], Task] = {executor.submit(_carry_out, task): task for task in tasks}
        for future in as_completed(futures):
            result, events = future.result()
            left -= 1
            for event in events:
                listener(event)
            yield futures[future], result
    except BrokenProcessPool:
        raise StemsplitError(
            "A process was ended by the system, perhaps for want of memory. What is done is kept: the same command "
            "goes on from there. Try fewer --jobs."
        ) from None
    finally:
        if left:  # they may be in the middle of a song
            _end(set(multiprocessing.active_children()) - others)
        executor.shutdown(cancel_futures=True)


def _end(processes: Iterable[BaseProcess]) -> None:
    """Give each a moment to clear up."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()


_work: Any = None  # of a process that was started here
_events: list[Event] = []


def _begin(work: Any, device: str, number: Any, jobs: int) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    end_with_parent()
    compute.prepare_process()
    with number.get_lock():
        own = number.value
        number.value += 1
    _work = work
    _work.begin(compute.divided(device, own, jobs), _events.append)


def _leave(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)  # unwinds the stack, so that no temporary file is left


def _carry_out(task: Any) -> tuple[Any, list[Event]]:
    _events.clear()
    try:
        result = _work(task)
    except TrackError as error:
        result = error
    except SystemExit as end:  # everything is cleared up; the executor would go on with the next task
        os._exit(int(end.code or 0))
    return result, list(_events)
