"""Threads that read ahead and write behind: order, bounds, errors, ending early."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from stemsplit.separation.stages import WriteBehind, prefetch


def test_items_come_in_order() -> None:
    assert list(prefetch(iter(range(1000)), 3)) == list(range(1000))


def test_no_more_is_produced_than_may_wait() -> None:
    produced = 0

    def items() -> Iterator[int]:
        nonlocal produced
        while True:
            produced += 1
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
            worker.submit(partial(done.append, number))
    assert done == list(range(100))


def test_a_failed_task_is_raised_and_ends_the_rest() -> None:
    done: list[int] = []

    def work() -> None:
        with WriteBehind(1) as worker:
            worker.submit(_fail)
            for number in range(50):
                worker.submit(partial(done.append, number))

    with pytest.raises(OSError, match="disk"):
        work()
    assert done == []


def test_a_failed_last_task_is_raised_at_the_end() -> None:
    with pytest.raises(OSError, match="disk"), WriteBehind(1) as worker:
        worker.submit(_fail)


def test_an_error_in_the_block_drops_what_is_queued() -> None:
    done: list[int] = []
    gate = threading.Event()

    def work() -> None:
        with WriteBehind(5) as worker:
            worker.submit(partial(_wait, gate))
            worker.submit(partial(done.append, 1))
            threading.Timer(0.2, gate.set).start()
            raise KeyError("interrupted")

    with pytest.raises(KeyError, match="interrupted"):
        work()
    assert done == []


def test_an_interrupted_wait_at_the_end_cancels_and_waits_on() -> None:
    """As Ctrl-C does while the last files are finished."""
    gate, finished = threading.Event(), threading.Event()

    def task() -> None:
        gate.wait(10)
        time.sleep(0.3)
        finished.set()

    timer = threading.Timer(0.3, partial(signal.raise_signal, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt), WriteBehind(1, cancel=gate.set) as worker:
        worker.submit(task)
    assert finished.is_set()


def _wait(gate: threading.Event) -> None:
    gate.wait(5)


def _fail() -> None:
    raise OSError("disk")


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_pending_can_be_waited_for(fails: bool) -> None:
    done: list[int] = []

    def task(number: int) -> None:
        time.sleep(0.05)
        done.append(number)
        if fails:
            raise ValueError

    expected = [0] if fails else [0, 1]  # what follows a failure is dropped
    with suppress(ValueError), WriteBehind(2) as writer:
        writer.submit(partial(task, 0))
        writer.submit(partial(task, 1))
        writer.wait()
        assert done == expected
    assert done == expected
