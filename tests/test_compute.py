"""The batch size: chosen once for a folder, and shared out where processes share a GPU."""

import os
import platform
import subprocess
import sys

import pytest

from stemsplit import compute
from stemsplit.compute import Compute, choose


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were one, with room for five segments."""
    monkeypatch.setattr(compute, "_device", lambda _: "cuda:0")
    monkeypatch.setattr(compute, "_fitting_batch", lambda *_: 5)


@pytest.mark.usefixtures("gpu")
def test_a_batch_size_that_was_chosen_before_is_taken_again() -> None:
    assert choose() == Compute("cuda:0", "fp16", 5, is_batch_auto=True)
    assert choose(earlier={"cuda:0": 3, "cuda:1": 2}) == Compute("cuda:0", "fp16", 3, is_batch_auto=True)
    assert choose(earlier={"cuda:1": 2}).batch_size == 5


@pytest.mark.usefixtures("gpu")
def test_a_batch_size_that_is_named_is_taken() -> None:
    assert choose(batch_size=7, earlier={"cuda:0": 3}) == Compute("cuda:0", "fp16", 7)


def test_on_a_cpu_it_is_always_one_segment() -> None:
    assert choose("cpu", batch_size=7, earlier={"cpu": 3}).batch_size == 1


@pytest.mark.parametrize(
    ("free_gib", "precision", "batch"),
    [(0.5, "fp16", 1), (3.2, "fp16", 4), (3.2, "fp32", 2), (7, "fp16", 8), (130, "fp32", 8)],
)
def test_a_batch_fits_the_free_memory_of_a_gpu(
    free_gib: float, precision: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(compute, "_device", lambda _: "cuda:0")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free_gib * 2**30), 2**37))
    assert choose("cuda", precision) == Compute("cuda:0", precision, batch, is_batch_auto=True)


@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_memory_that_is_kept_is_not_cleared_again() -> None:
    """Tensors of 64 MB, one after another: 16,384 small pages each, were they fresh from the system."""
    code = (
        "import resource\n"
        "from stemsplit.compute import prepare_process\n"
        "prepare_process()\n"
        "import torch\n"
        "for _ in range(4):\n"
        "    torch.ones(16 << 20)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20):\n"
        "    torch.ones(16 << 20)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20 * 16_384 / 10


@pytest.mark.parametrize(
    ("platform_", "before", "expected"),
    [
        ("linux", {}, {"GOMP_SPINCOUNT": "2000"}),
        ("linux", {"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        ("linux", {"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"}),
        ("darwin", {}, {"OMP_WAIT_POLICY": "PASSIVE"}),
    ],
)
def test_how_threads_wait_is_set_unless_the_user_has(
    platform_: str, before: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform_)
    environment = dict(before)
    monkeypatch.setattr(os, "environ", environment)
    compute.prepare_process()
    assert {name: value for name, value in environment.items() if name != "THP_MEM_ALLOC_ENABLE"} == expected
