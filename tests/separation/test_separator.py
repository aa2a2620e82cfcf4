"""The Python API: types, errors, options."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from networks import KnownNetwork, bag
from stemsplit import Separator, SplitOptions, Statistics, UsageError
from stemsplit.compute import Compute, choose
from stemsplit.errors import UnknownSourceError

FRAMES = 44_100
CPU = Compute("cpu", "fp32", 1)


def _separator(**options: Any) -> Separator:
    return Separator(bag(KnownNetwork(FRAMES)), compute=CPU, **options)


def _song(frames: int = 100_000) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((2, frames)).astype(np.float32)


def test_numpy_in_numpy_out_and_torch_in_torch_out() -> None:
    song = _song()
    from_numpy, from_torch = _separator()(song), _separator()(torch.from_numpy(song))
    assert list(from_numpy) == list(from_torch) == ["drums", "vocals"]
    for source, signal in from_numpy.items():
        assert isinstance(signal, np.ndarray)
        np.testing.assert_allclose(signal, song, atol=1e-5)
        assert isinstance(from_torch[source], torch.Tensor)
        np.testing.assert_array_equal(from_torch[source].numpy(), signal)


def test_a_stream_gives_the_same_as_the_whole() -> None:
    song = _song()
    blocks = [song[:, i : i + 999] for i in range(0, song.shape[1], 999)]
    parts = list(_separator().stream(blocks, Statistics.of(blocks)))
    whole = _separator()(song)
    assert len(parts) > 1
    for source in whole:
        np.testing.assert_array_equal(np.concatenate([part[source] for part in parts], axis=1), whole[source])


def test_a_stream_reads_no_further_than_it_must() -> None:
    song = _song(10 * FRAMES)
    read = 0

    def blocks() -> Iterator[NDArray[np.float32]]:
        nonlocal read
        for start in range(0, song.shape[1], 1000):
            read = start + 1000
            yield song[:, start : start + 1000]

    stream = _separator().stream(blocks(), Statistics.of([song]))
    next(stream)
    assert read <= FRAMES + 1000


def test_sources_are_chosen_and_keep_the_order_of_the_model() -> None:
    network = KnownNetwork(FRAMES, ("drums", "bass", "vocals"))
    separator = Separator(bag(network), sources=["vocals", "drums"], compute=CPU)
    assert list(separator(_song())) == ["drums", "vocals"]


@pytest.mark.parametrize(
    "mixture",
    [
        np.zeros((2, 0), np.float32),
        np.zeros((1, 100), np.float32),
        np.zeros((3, 100), np.float32),
        np.zeros(100, np.float32),
        np.array([[0.0, np.nan], [0.0, 0.0]], np.float32),
        np.array([[0.0, 0.0], [np.inf, 0.0]], np.float32),
    ],
    ids=["no frames", "mono", "three channels", "one dimension", "NaN", "infinity"],
)
def test_what_is_no_mixture_is_a_value_error(mixture: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="mixture"):
        _separator()(mixture)


@pytest.mark.parametrize(
    "options",
    [
        {"overlap": 1.0},
        {"overlap": -0.1},
        {"overlap": float("nan")},
        {"segment": 0.0},
        {"segment": float("nan")},
        {"segment": float("inf")},
        {"shifts": 0},
        {"shifts": 10**6},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SplitOptions(**options)


@pytest.mark.parametrize("seconds", [0.01, 1.01])
def test_a_segment_the_model_cannot_see_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="segment"):
        _separator(options=SplitOptions(segment=seconds))


def test_a_shorter_segment_is_what_the_network_sees() -> None:
    network = KnownNetwork(FRAMES)
    Separator(bag(network), compute=CPU, options=SplitOptions(segment=0.5))(_song())
    assert {shape[-1] for shape in network.shapes} == {22_050}


def test_sources_can_be_chosen_for_one_call_too() -> None:
    drums, vocals = KnownNetwork(FRAMES), KnownNetwork(FRAMES)
    separator = Separator(bag(drums, vocals, weights=((1.0, 0.0), (0.0, 1.0))), compute=CPU)
    assert list(separator(_song(), sources=["vocals"])) == ["vocals"]
    assert not drums.shapes, "a network that no wanted source needs is not run"
    with pytest.raises(UnknownSourceError, match="piano"):
        separator(_song(), sources=["piano"])


def test_a_mixture_of_another_floating_type_is_taken() -> None:
    song = torch.from_numpy(_song())
    torch.testing.assert_close(_separator()(song.bfloat16())["drums"], song.bfloat16().float(), atol=1e-5, rtol=0)


def test_no_source_at_all_is_refused() -> None:
    with pytest.raises(UnknownSourceError):
        _separator(sources=[])


def test_an_unknown_source_is_named() -> None:
    with pytest.raises(UnknownSourceError, match="piano"):
        _separator(sources=["piano"])


@pytest.mark.parametrize(
    "choice",
    [{"device": "cuda:99"}, {"device": "tpu"}, {"device": "cpu:1"}, {"precision": "fp8"}, {"batch_size": 0}],
    ids=str,
)
def test_a_machine_that_is_not_here_is_refused(choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        choose(**choice)
