"""Overlapping stages: what is read ahead and what is written behind, on threads joined by bounded queues."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1  # how soon a waiting thread notices that the other side is gone


class _End(Generic[T]):
    """Closes a queue, with the exception that ended the producer, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(items: Iterable[T], ahead: int, cancel: Callable[[], None] = lambda: None) -> Generator[T, None, None]:
    """
    Yield `items`, produced on a thread of their own that runs at most `ahead` items in advance.

    What the producer raises is raised here, in its place in the stream. Closing the generator, or an interruption
    while it waits, stops the producer, calls `cancel` to cut it short, closes its generator and waits for it.
    """
    buffer: queue.Queue[T | _End[T]] = queue.Queue(ahead)
    closed, ended = threading.Event(), threading.Event()

    def hand_over(item: T | _End[T]) -> bool:
        while not closed.is_set():
            try:
                buffer.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not hand_over(item):
                    break
            hand_over(_End())
        except BaseException as error:  # handed to the consumer, whose thread is the one to decide
            hand_over(_End(error))
        finally:
            if hasattr(iterator, "close"):
                iterator.close()
            ended.set()

    thread = threading.Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    is_at_end = False
    try:
        while True:
            item = buffer.get()
            if isinstance(item, _End):
                is_at_end = True
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        closed.set()
        if not is_at_end:
            cancel()
        ended.wait()


class WriteBehind:
    """
    Runs tasks one after another on a thread of its own; `submit` waits while too many are pending.

    Leaving the `with` block waits for all tasks. Leaving it by an exception, or being interrupted while it waits,
    drops those not yet begun, and calls `cancel`, from the leaving thread, to cut the running one short.
    """

    def __init__(self, pending: int, cancel: Callable[[], None] = lambda: None) -> None:
        self._tasks: queue.Queue[Callable[[], None] | None] = queue.Queue(pending)
        self._cancel = cancel
        self._error: BaseException | None = None
        self._dropped = False
        # An event, not the thread's own join: that one takes an interrupted wait for the thread's end (Python 3.11).
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="write-behind", daemon=True)

    def submit(self, task: Callable[[], None]) -> None:
        """Queue `task`. Raises what an earlier one raised."""
        if self._error is not None:
            raise self._error
        self._tasks.put(task)

    def wait(self) -> None:
        """Wait until nothing is pending; to be called before the `with` block is left, else it may wait for ever."""
        self._tasks.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if kind is None:
                self._tasks.put(None)
                self._ended.wait()
        finally:
            if not self._ended.is_set():
                self._drop()
        if error is None and self._error is not None:
            raise self._error

    def _drop(self) -> None:
        self._dropped = True
        self._cancel()
        with suppress(queue.Full):  # else the thread is not waiting, and finds out by itself
            self._tasks.put_nowait(None)
        self._ended.wait()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._ended.set()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None and not self._dropped:
            if self._error is None:  # else the queue is emptied, so that nobody waits for a place in it
                try:
                    task()
                except BaseException as failure:  # raised where the next task is submitted, or at the end
                    self._error = failure
            self._tasks.task_done()  # for `wait`
