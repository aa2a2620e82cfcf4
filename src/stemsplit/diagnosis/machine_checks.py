"""The machine and how it is set up: Python, cores, memory, settings, and the folder that stems go to."""

import os
import platform
import re
from pathlib import Path

from stemsplit.diagnosis.finding import Finding, ok, problem, warning
from stemsplit.diagnosis.folders import amount, free_bytes, refusal
from stemsplit.diagnosis.library_checks import installed_version

SETTINGS = (
    *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "STEMSPLIT_CATALOG"),
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"),
)
"""Environment variables that change what stemsplit does."""

NEEDED_MEMORY = 2 * 10**9  # bytes; htdemucs takes 1.5 GB of them, in fp32, and the system the rest
SONG_BYTES = 250 * 10**6  # four stems of four minutes in 24 bit: 4 * 240 s * 44,100 Hz * 6 bytes
ALBUM_BYTES = 12 * SONG_BYTES

_PASSWORD = re.compile(r"//[^/@]*@")  # before the host of an address
_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def stemsplit() -> Finding:
    """The version of this program."""
    return ok(installed_version("stemsplit"))


def python() -> Finding:
    """The version of Python, and the system."""
    return ok(f"{platform.python_version()} on {platform.system()} {platform.release()}, {platform.machine()}")


def cores() -> Finding:
    """The cores that this process may use."""
    here = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else here
    return ok(str(here) if usable == here else f"{usable} of {here}")


def memory() -> Finding:
    """The memory of the machine, or of the container."""
    size = memory_bytes()
    if size is None:
        return ok("this system does not tell")
    if size < NEEDED_MEMORY:
        return warning(
            f"{amount(size)}: the system may end stemsplit for want of memory",
            "Close other programs, and separate in shorter segments: `--segment 4`.",
        )
    return ok(amount(size))


def memory_bytes() -> int | None:
    """What there is, in use or not; None where the system does not tell."""
    try:
        sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf, others not these names
        return None
    for path in map(Path, _MEMORY_LIMITS):
        limit = path.read_text().strip() if path.is_file() else "max"
        sizes += [int(limit)] if limit.isdigit() else []
    return min(sizes)


def settings() -> Finding:
    """The environment variables that are in force; passwords are not shown."""
    told = [f"{name}={_PASSWORD.sub('//...@', os.environ[name])}" for name in SETTINGS if name in os.environ]
    return ok(", ".join(told) or "none in the environment")


def current_folder() -> Finding:
    """Whether stems can be written to the current folder, and how many fit."""
    folder = Path.cwd()
    reason = refusal(folder)
    if reason is not None:
        return problem(f"{folder} cannot be written ({reason})", "Change to another folder, or name one with `-o`.")
    free = free_bytes(folder)
    found = f"{folder} has {amount(free)} free"
    remedy = "Free some space, or name a folder on another disk with `-o`."
    if free < SONG_BYTES:
        return problem(f"{found}, and the stems of a song take about {amount(SONG_BYTES)} as wav", remedy)
    if free < ALBUM_BYTES:
        return warning(f"{found}: not enough for the stems of an album as wav", remedy)
    return ok(found)
