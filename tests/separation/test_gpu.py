"""What only an NVIDIA GPU can show; skipped where torch finds none."""

from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
import torch

from scores import sdr
from stemsplit.compute import Compute
from stemsplit.model.config import HTDemucsConfig
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.separation.device_queue import on_cpu
from stemsplit.separation.engine import Engine
from stemsplit.separation.segments import Pass, cut
from stemsplit.separation.statistics import Statistics

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

SEGMENT = 44_100


def _network() -> HTDemucs:
    torch.manual_seed(0)
    config = HTDemucsConfig(("drums", "rest"), segment=Fraction(1), channels=16, bottom_channels=0)
    return HTDemucs(config).eval()


def _answers(compute: Compute, network: HTDemucs) -> list[torch.Tensor]:
    """To eleven segments; memory is taken and given back all the while, as by a crossfade."""
    song = np.random.default_rng(0).standard_normal((2, 11 * SEGMENT), np.float32)
    segments = cut(None, [song], Statistics.of([song]), [Pass(0, SEGMENT, 0.0, (1.0, 1.0))])
    answers = []
    for _, answer in Engine(cast(Any, [network]), compute).run(segments, [0, 1]):
        answers.append(on_cpu(answer * 1))
        torch.full_like(answer, torch.nan)
    return answers


@pytest.mark.parametrize(("precision", "decibels"), [("fp32", 80), ("fp16", 40)])
def test_a_gpu_gives_what_a_cpu_gives(precision: str, decibels: float) -> None:
    network = _network()
    expected = _answers(Compute("cpu", "fp32", 1), network)
    answers = _answers(Compute("cuda:0", precision, 2), network)
    assert len(answers) == len(expected) == 11
    for one, other in zip(expected, answers, strict=True):
        assert sdr(one, other) > decibels


def test_the_same_twice() -> None:
    compute, network = Compute("cuda:0", "fp16", 2), _network()
    for one, other in zip(_answers(compute, network), _answers(compute, network), strict=True):
        assert torch.equal(one, other)


def test_what_overflows_on_it_is_computed_again() -> None:
    network = _network()
    with torch.no_grad():
        network.get_parameter("decoder.3.conv_tr.weight").mul_(1e6)
    for one, other in zip(
        _answers(Compute("cpu", "fp32", 1), network), _answers(Compute("cuda:0", "fp16", 2), network), strict=True
    ):
        assert sdr(one, other) > 60
