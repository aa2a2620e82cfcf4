"""
Device, precision and batch size: decided here, asked for everywhere.

Importing this module does not import torch; calling it does.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from stemsplit.errors import UsageError

if TYPE_CHECKING:
    import torch

NO_DEVICE = "none"  # of work in several processes that computes on none
PRECISIONS = ("fp32", "bf16", "fp16")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,4})?")

# Tensors of one 7.8 s segment of the published network take 284 MiB at their most in fp32, 164 MiB in half precision
# (tests/benchmarks/tensors.py); the rest is room for what libraries take for their convolutions and transforms.
_BYTES_PER_SEGMENT = {"fp32": 768 * 1024**2, "bf16": 512 * 1024**2, "fp16": 512 * 1024**2}
_BYTES_BESIDE = 1024**3  # the network itself, the libraries' own memory, the crossfade of all tracks under way
_MAX_BATCH = 8  # beyond it a GPU is busy anyway

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # names of settings, in malloc.h

_processes_per_gpu = 1  # that share its memory, as `divided` was told


@dataclass(frozen=True)
class Compute:
    """
    Where and how a network runs.

    Attributes:
        device: torch's name of the device, such as "cpu" or "cuda:0".
        precision: "fp32", "bf16" or "fp16", the type of weights and activations.
        batch_size: segments per forward pass.
        is_batch_auto: whether that was chosen automatically.
    """

    device: str
    precision: str
    batch_size: int
    is_batch_auto: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """Torch's type for `precision`."""
        import torch

        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]


def choose(
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | str = "auto",
    earlier: Mapping[str, int] = MappingProxyType({}),
) -> Compute:
    """
    Decide where and how to run.

    Args:
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:N" or "mps".
        precision: "auto" (fp16 on a GPU, bf16 on a CPU that computes in it natively, else fp32) or one of
            `PRECISIONS`.
        batch_size: segments per forward pass, or "auto" (what fits the free memory of a GPU). On a CPU it is always
            1: one segment keeps all cores busy, and there kernels round an item differently by its place in a batch.
        earlier: batch sizes by device, which "auto" takes again: songs of one folder then are computed alike.

    Raises:
        UsageError: for a device that is not here, or a value that makes no sense.
    """
    check_choice(device, precision, batch_size)
    name = _device(device)
    precision = _fastest_precision(name) if precision == "auto" else precision
    if name != "cpu" and isinstance(batch_size, int):
        return Compute(name, precision, batch_size)
    again = None if name == "cpu" else earlier.get(name)
    return Compute(name, precision, again or _fitting_batch(name, precision), is_batch_auto=True)


def prepare_process() -> None:
    """
    Settings of this process that make torch faster on a CPU: for programs, not libraries, and before torch is imported.

    Threads of torch that wait for work spin for milliseconds by default, in the way of those that decode and write, and
    on a busy machine in each other's way: there a small network ran twenty times slower. Not to spin at all costs a
    fifth of the speed, for thousands of short operations; so they spin for microseconds, where the GNU library for
    threads has a setting for it.

    And a forward pass makes and drops hundreds of large tensors. By default every one of them is fresh memory from the
    system, which clears it page by page: a tenth of all the time. So memory is kept, and taken in large pages; on Linux
    with the GNU C library only.
    """
    if sys.platform == "linux":
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault("GOMP_SPINCOUNT", "2000")
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # read by torch
        with suppress(OSError, AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_MMAP_MAX, 0)  # large tensors too come from the heap
            mallopt(_M_TRIM_THRESHOLD, -1)  # and the heap never shrinks
    else:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def divided(device: str, job: int, jobs: int) -> str:
    """
    The device of one of several processes, from 0, on this machine; takes its share of a CPU's cores.

    Several GPUs are dealt out in turn, where none is named. For work without a device torch is not imported.
    """
    if device == NO_DEVICE:
        return device
    import torch

    if device.startswith(("auto", "cuda")) and torch.cuda.is_available():
        global _processes_per_gpu
        gpus = 1 if ":" in device else torch.cuda.device_count()
        _processes_per_gpu = -(-jobs // gpus)
        return device if ":" in device else f"cuda:{job % gpus}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, cores // jobs))
    return device


def check_choice(device: str, precision: str, batch_size: int | str) -> None:
    """
    Refuse what no machine has, without importing torch; arguments as those of `choose`.

    Raises:
        UsageError: for a value that makes no sense.
    """
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"--device must be auto, cpu, cuda, cuda:N or mps, not {device!r}.")
    if precision not in ("auto", *PRECISIONS):
        raise UsageError(f"--precision must be auto, {', '.join(PRECISIONS)}, not {precision!r}.")
    if batch_size != "auto" and not (isinstance(batch_size, int) and batch_size >= 1):
        raise UsageError(f"--batch-size must be auto or a whole number from 1, not {batch_size!r}.")


@contextmanager
def full_float32(precision: str) -> Iterator[None]:
    """Within it, fp32 on a GPU means fp32: by default cuDNN rounds the inputs of convolutions to 10 bits (TF32)."""
    import torch

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = before and precision != "fp32"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, index = wanted.partition(":")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: this machine has no Apple GPU that torch can use; leave it out.")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) >= count:
            found = f"only {count} (cuda:0 to cuda:{count - 1})" if count else "none"
            raise UsageError(f"--device {wanted}: torch finds {found} on this machine; use --device cpu.")
        return f"cuda:{index or 0}"
    return kind


def _fastest_precision(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return "fp16"
    if device == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):
            return "bf16"
    return "fp32"


def _fitting_batch(device: str, precision: str) -> int:
    """
    Segments that the free memory of a GPU has room for: of 4 GiB, mostly two in fp32 and four in fp16.

    Counted (`tests/benchmarks/tensors.py`), not measured on one.
    """
    import torch

    if not device.startswith("cuda"):
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    room = free // _processes_per_gpu - _BYTES_BESIDE
    return max(1, min(_MAX_BATCH, room // _BYTES_PER_SEGMENT[precision]))
