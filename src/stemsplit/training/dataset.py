"""
Random excerpts of songs, read by seeking in worker processes. No worker and nobody else ever holds a whole song.

Shapes: S sources, T frames of an excerpt.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from multiprocessing import resource_tracker
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from stemsplit.audio.faults import shown
from stemsplit.audio.seeking import read_excerpt
from stemsplit.errors import StemsplitError, TrackError
from stemsplit.training.recipe import Data
from stemsplit.training.survey import Song

_MOST_WORKERS = 8
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_AHEAD_STEPS = 2  # of excerpts that wait to be trained on

Stems = NDArray[np.float32]


class Excerpts(Dataset[Stems | TrackError]):
    """
    Every excerpt of the songs that begins on the grid, as standardised sources.

    A stem is (x - mean) / standard deviation of its song's mono mixture (Défossez 2021, section 4.1). Songs shorter
    than an excerpt are padded with silence. What cannot be read is given as the error, since one that is raised in a
    worker would arrive as another.

    Shape:
        items are [S, 2, T]
    """

    def __init__(self, songs: Sequence[Song], data: Data, sample_rate: int) -> None:
        self._songs = songs
        self._sample_rate = sample_rate
        self.frames = round(data.excerpt_seconds * sample_rate)
        self._stride = max(1, round(data.stride_seconds * sample_rate))
        self._counts = [1 + max(0, song.measurement.frames - self.frames) // self._stride for song in songs]
        self._ends = list(accumulate(self._counts))
        self._seen = {path: _state(path) for song in songs for files in song.track.files for path in files}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def weights(self) -> NDArray[np.float64]:
        """How often each excerpt is drawn, compared to the others."""
        return np.repeat(np.array([song.weight for song in self._songs], float), self._counts)

    def __getitem__(self, index: int) -> Stems | TrackError:
        number = int(np.searchsorted(self._ends, index, side="right"))
        song = self._songs[number]
        first = (index - self._ends[number] + self._counts[number]) * self._stride
        try:
            stems = [self._stem(song, source, first) for source in range(len(song.track.files))]
        except TrackError as error:
            return error
        return (np.stack(stems) - np.float32(song.measurement.mean)) / np.float32(song.measurement.std)

    def _stem(self, song: Song, source: int, first: int) -> Stems:
        stem = np.zeros((2, self.frames), np.float32)
        for path in song.track.files[source]:
            if _state(path) != self._seen[path]:
                raise TrackError(f"{shown(path)}: is gone or has changed since the training began. Bring it back.")
            stem += read_excerpt(path, first, self.frames, self._sample_rate)
        return stem


def _state(path: Path) -> tuple[int, int] | None:
    """By which a file that has changed is known; None where it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def drawn(weights: NDArray[np.float64], count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """
    The excerpts of one epoch, in order.

    Systematic sampling in random order: each is drawn as often as its weight says, rounded up or down. Of equal
    weights none is drawn twice in an epoch that has no more steps than there are excerpts.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(weights))
    ends = np.cumsum(weights[order])
    positions = (np.arange(count) + random.random()) * (ends[-1] / count)
    chosen = order[np.minimum(np.searchsorted(ends, positions, side="right"), len(order) - 1)]
    random.shuffle(chosen)
    return np.asarray(chosen, np.int64)


class Order(Sampler[int]):
    """
    Which excerpts one of several processes reads, from a step of the training on to its end.

    Args:
        weights: of the excerpts.
        batch_size: excerpts per step, of all processes.
        steps_per_epoch: steps after which excerpts are drawn anew.
        first_step: where to go on.
        steps: where the training ends.
        seed: of the draw.
        part: which of how many processes this is.
    """

    def __init__(
        self,
        weights: NDArray[np.float64],
        batch_size: int,
        steps_per_epoch: int,
        *,
        first_step: int,
        steps: int,
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self._weights = weights
        self._batch_size = batch_size
        self._steps_per_epoch = steps_per_epoch
        self._first_step = first_step
        self._steps = steps
        self._seed = seed
        rank, processes = part
        share = batch_size // processes
        self._share = slice(rank * share, (rank + 1) * share)

    def __iter__(self) -> Iterator[int]:
        step = self._first_step
        while step < self._steps:
            epoch, within = divmod(step, self._steps_per_epoch)
            items = drawn(self._weights, self._steps_per_epoch * self._batch_size, self._seed, epoch)
            batches = items.reshape(self._steps_per_epoch, self._batch_size)
            for batch in batches[within : within + self._steps - step]:
                yield from batch[self._share].tolist()
                step += 1


class Batches:
    """Batches of excerpts, read ahead by workers; a context manager, which ends them."""

    def __init__(self, excerpts: Excerpts, order: Order, share: int, workers: int | None = None) -> None:
        self._share = share
        count = _workers() if workers is None else workers
        options: dict[str, Any] = {}
        if count:
            # A fork would copy torch's threads; children of a fork server would not notice that their trainer is gone.
            ahead = -(-_AHEAD_STEPS * share // count)
            options = {"multiprocessing_context": "spawn", "prefetch_factor": ahead, "worker_init_fn": _ready_worker}
        # Arrays, not tensors: these would go through shared memory, of which containers have little.
        loader = DataLoader(excerpts, batch_size=None, sampler=order, num_workers=count, collate_fn=_same, **options)
        with _signals_held():
            self._items: Iterator[Any] = iter(loader)

    def __next__(self) -> Tensor:
        """
        The next batch of this process.

        Shape:
            [its share of the batch, S, 2, T]

        Raises:
            TrackError: for a file that cannot be read any more.
        """
        items = [next(self._items) for _ in range(self._share)]
        for item in items:
            if isinstance(item, StemsplitError):
                raise item
        return torch.from_numpy(np.stack(items))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers. Raises StemsplitError where one has died, which torch tells wherever the trainer is."""
        self._items = iter(())
        if isinstance(error, RuntimeError) and "DataLoader worker" in str(error):
            raise StemsplitError(
                "A process that reads excerpts has died, perhaps for want of memory. Use fewer: --workers 1. The same "
                "command goes on from the state that was saved last."
            ) from error


def _workers() -> int:
    """As many as there are cores for each of the processes that torchrun has started on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(_MOST_WORKERS, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def _same(item: Any) -> Any:
    return item


def _ready_worker(number: int) -> None:
    for signal_number in _SIGNALS:
        signal.signal(signal_number, signal.SIG_IGN)
    Thread(target=_end_without, args=(os.getppid(),), daemon=True).start()


def _end_without(trainer: int) -> None:
    """End with the trainer, however it ends: a worker that cannot get rid of what it has read would wait for ever."""
    while os.getppid() == trainer:
        time.sleep(1)
    os._exit(1)


@contextmanager
def _signals_held() -> Iterator[None]:
    """What is started within it never hears of Ctrl-C: that is the trainer's matter, which then ends its workers."""
    if not hasattr(signal, "pthread_sigmask"):  # as on Windows
        yield
        return
    resource_tracker.ensure_running()  # which would be started with the first worker, and let them through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
