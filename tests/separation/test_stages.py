"""Threads that read ahead and write behind: order, bounds, errors, ending early."""

import threading
import time
from collections.abc import Iterator

import pytest

from stemsplit.separation.stages import WriteBehind, prefetch


def test_items_come_in_order() -> None:
    assert list(prefetch(iter(range(1000)), 3)) == list(range(1000))


def test_no_more_is_produced_than_may_wait() -> None:
    produced = 0

    def items() -> Iterator[int]:
        nonlocal produced
        for produced in range(1, 100):
            yield produced

    stream = prefetch(items(), 3)
    assert next(stream) == 1
    time.sleep(0.2)
    assert produced <= 1 + 3 + 1  # handed out, waiting, in the producer's hand
    stream.close()


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    stream = prefetch(items(), 3)
    assert next(stream) == 1
    with pytest.raises(KeyError, match="broken"):
        next(stream)


def test_closing_ends_the_thread_and_the_producer() -> None:
    ended = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            ended.set()

    before = threading.active_count()
    stream = prefetch(items(), 1)
    next(stream)
    stream.close()
    assert ended.is_set()
    assert threading.active_count() == before


def test_tasks_run_in_order_and_are_all_done_at_the_end() -> None:
    done: list[int] = []
    with WriteBehind(2) as worker:
        for number in range(100):
            worker.submit(lambda n=number: done.append(n))  # type: ignore[misc]
    assert done == list(range(100))


def test_a_failed_task_is_raised_and_ends_the_rest() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"), WriteBehind(1) as worker:
        worker.submit(fail)
        for number in range(50):
            worker.submit(lambda n=number: done.append(n))  # type: ignore[misc]
    assert done == []


def test_an_error_in_the_block_drops_what_is_queued() -> None:
    done: list[int] = []
    gate = threading.Event()
    with pytest.raises(KeyError), WriteBehind(5) as worker:
        worker.submit(lambda: gate.wait(5) and None)
        worker.submit(lambda: done.append(1))
        gate.set() if False else threading.Timer(0.1, gate.set).start()
        raise KeyError
    assert done == []
