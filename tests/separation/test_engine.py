"""What the engine owes: order, batch shape, independence of neighbours, falling back."""

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from networks import KnownNetwork
from stemsplit.compute import Compute
from stemsplit.errors import ModelError
from stemsplit.events import Event, Warned
from stemsplit.separation.device_queue import DeviceQueue, Launched
from stemsplit.separation.engine import Engine
from stemsplit.separation.segments import OverlapAdd, Pass, Segment, cut
from stemsplit.separation.statistics import Statistics

FRAMES = 4096


@pytest.fixture(autouse=True, params=[0, 1], ids=["one by one", "one ahead"])
def _ahead(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a CPU, and as on a GPU, which has the next batch before the answers to the last one are looked at."""
    begin = DeviceQueue.__init__

    def patched(queue: DeviceQueue, device: str) -> None:
        begin(queue, device)
        queue.ahead = request.param

    monkeypatch.setattr(DeviceQueue, "__init__", patched)


def _engine(*networks: nn.Module, batch: int = 2, precision: str = "fp32", listener: Any = print) -> Engine:
    return Engine(cast(Any, networks), Compute("cpu", precision, batch), listener)


def _segments(*tracks: str, per_track: int = 1, networks: int = 1) -> Iterator[Segment]:
    passes = [Pass(i, FRAMES, 0.0, (1.0,)) for i in range(networks)]
    frames = FRAMES * per_track
    for number, track in enumerate(tracks):
        samples = np.random.default_rng(number).standard_normal((2, frames)).astype(np.float32)
        yield from cut(track, [samples], Statistics.of([samples]), passes)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30_000), min_size=1, max_size=6),
    batch=st.integers(1, 5),
    overlap=st.floats(0, 0.49),
)
def test_whoever_shares_the_batch_the_song_comes_back(lengths: list[int], batch: int, overlap: float) -> None:
    """The length law: tracks of any length through one engine, an identity network, any overlap below one half."""
    run = Pass(0, FRAMES, overlap, (1.0,))
    songs = [np.random.default_rng(n).standard_normal((2, n)).astype(np.float32) for n in lengths]
    statistics = [Statistics.of([song]) for song in songs]
    joined = [OverlapAdd(s, [run]) for s in statistics]
    parts: list[list[Tensor]] = [[] for _ in songs]
    stream = (segment for i, song in enumerate(songs) for segment in cut(i, [song], statistics[i], [run]))
    for segment, answer in _engine(KnownNetwork(FRAMES), batch=batch).run(stream, [0]):
        index = cast(int, segment.track)
        parts[index].append(joined[index].add(segment.window, answer))
    for song, pieces in zip(songs, parts, strict=True):
        returned = torch.cat(pieces, dim=-1)[0].numpy()
        np.testing.assert_allclose(returned, song, atol=1e-6 * max(1.0, np.abs(song).max()), rtol=0)


def test_segments_come_back_in_order_and_share_batches() -> None:
    network = KnownNetwork(FRAMES)
    answers = list(_engine(network, batch=4).run(_segments("a", "b", "c", per_track=2), [0]))
    assert [(s.track, s.window.index) for s, _ in answers] == [(t, i) for t in "abc" for i in (0, 1)]
    assert network.shapes == [(4, 2, FRAMES)] * 2, "every forward pass has the chosen shape, the last one too"


def test_the_members_of_a_bag_see_their_own_segments() -> None:
    doubled = KnownNetwork(FRAMES, function=lambda mixture: 2 * mixture)
    for segment, answer in _engine(KnownNetwork(FRAMES), doubled).run(_segments("a", per_track=3, networks=2), [0]):
        factor = 1 + segment.window.run.network
        torch.testing.assert_close(answer[0], factor * segment.samples)


class _Narrow(KnownNetwork):
    """Runs out of memory beyond a batch size."""

    def __init__(self, largest: int, error: Exception) -> None:
        super().__init__(FRAMES)
        self.largest, self.error = largest, error

    def forward(self, mixture: Tensor) -> Tensor:
        if len(mixture) > self.largest:
            raise self.error
        return super().forward(mixture)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    MemoryError(),
]


def test_what_was_launched_is_launched_anew_when_memory_runs_out_while_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait, failures = Launched.wait, iter([None, torch.OutOfMemoryError("CUDA out of memory.")])

    def failing_once(launched: Launched) -> bool:
        if failure := next(failures, None):
            raise failure
        return wait(launched)

    monkeypatch.setattr(Launched, "wait", failing_once)
    engine = _engine(KnownNetwork(FRAMES), batch=2, listener=lambda _: None)
    answers = list(engine.run(_segments(*"abcdefg"), [0]))
    assert [s.track for s, _ in answers] == list("abcdefg")
    for segment, answer in answers:
        torch.testing.assert_close(answer[0], segment.samples)
    assert engine.compute.batch_size == 1


def test_one_shortage_halves_the_batch_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found when a batch is launched and again when the one before is waited for."""
    wait, failures = Launched.wait, iter([torch.OutOfMemoryError("CUDA out of memory.")])

    def failing_once(launched: Launched) -> bool:
        if engine.launches == 2 and (failure := next(failures, None)):
            raise failure
        return wait(launched)

    class Counting(Engine):
        launches = 0

        def _launch(self, *words: Any) -> Launched:
            self.launches += 1
            if self.launches == 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super()._launch(*words)

    monkeypatch.setattr(Launched, "wait", failing_once)
    engine = Counting(cast(Any, [KnownNetwork(FRAMES)]), Compute("cpu", "fp32", 2), lambda _: None)
    assert [s.track for s, _ in engine.run(_segments(*"abcdefg"), [0])] == list("abcdefg")
    assert engine.compute.batch_size == 1


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda e: type(e).__name__)
def test_out_of_memory_halves_the_batch_and_says_so(error: Exception) -> None:
    events: list[Event] = []
    engine = _engine(_Narrow(2, error), batch=8, listener=events.append)
    answers = list(engine.run(_segments(*"abcdefghijk"), [0]))
    assert [s.track for s, _ in answers] == list("abcdefghijk")
    for segment, answer in answers:
        torch.testing.assert_close(answer[0], segment.samples)
    assert engine.compute.batch_size == 2
    assert [type(event) for event in events] == [Warned, Warned], "8 to 4 to 2, each said once"


def test_one_segment_that_does_not_fit_is_a_sentence() -> None:
    engine = _engine(_Narrow(0, OUT_OF_MEMORY[0]), listener=lambda _: None)
    with pytest.raises(ModelError, match="not enough memory"):
        list(engine.run(_segments("a"), [0]))


def test_other_errors_of_torch_are_not_taken_for_want_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        list(_engine(_Narrow(0, RuntimeError("shapes do not match"))).run(_segments("a"), [0]))


def _overflowing(mixture: Tensor, weight: nn.Parameter) -> Tensor:
    """Too large for half precision, finite in single."""
    return (mixture.to(weight.dtype) * weight * 1e4).to(mixture.dtype) / 1e8


def test_what_overflows_is_computed_again_in_full_precision() -> None:
    events: list[Event] = []
    network = KnownNetwork(FRAMES)
    weight = network.weight = nn.Parameter(torch.tensor(1e4))
    network.function = lambda mixture: _overflowing(mixture, weight)
    engine = _engine(network, precision="fp16", listener=events.append)
    # the copy in half precision must not look at the original's weight
    half = cast(Any, engine._networks[0])
    half.function = partial(_overflowing, weight=half.weight)
    for segment, answer in engine.run(_segments("a"), [0]):
        torch.testing.assert_close(answer[0], segment.samples, atol=1e-4, rtol=1e-3)
    assert len(events) == 1


def test_a_network_without_finite_answers_is_refused() -> None:
    network = KnownNetwork(FRAMES, function=lambda mixture: mixture * torch.nan)
    with pytest.raises(ModelError, match="not finite"):
        list(_engine(network).run(_segments("a"), [0]))
