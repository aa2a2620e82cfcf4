"""What the benchmarks share: running whole processes, their wall time and peak memory; sound and stand-ins."""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parent.parent))  # standins, when run as a script

from stemsplit.compute import prepare_process

ENVIRONMENT = dict(os.environ)  # of the processes that are measured: they make their own settings, or none
prepare_process()  # what is measured in this process runs as the program does

RATE = 44_100
STEMSPLIT = (sys.executable, "-m", "stemsplit")


@dataclass(frozen=True)
class Outcome:
    """Wall time in seconds and peak resident memory in bytes of one process."""

    seconds: float
    peak: int


def run(command: Sequence[str], watch: Callable[[], None] = lambda: None) -> Outcome:
    """Run a command to its end, calling `watch` all the while; its output is shown if it fails."""
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=ENVIRONMENT)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            watch()
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        if status:
            output.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{output.read()}")
    return Outcome(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def write_noise(path: Path, seconds: float, channels: int = 2) -> Path:
    """Gaussian noise as 16-bit WAV, written in blocks."""
    random = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, channels, "PCM_16") as file:
        for start in range(0, round(seconds * RATE), RATE):
            frames = min(RATE, round(seconds * RATE) - start)
            file.write(0.1 * random.standard_normal((frames, channels), np.float32))
    return path


@contextmanager
def workplace(folder: Path | None = None) -> Iterator[Path]:
    """A folder for a benchmark's files, removed afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        yield Path(name)


def machine() -> str:
    """Processor, cores and versions, for the head of a table."""
    import torch

    import stemsplit

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return (
        f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, torch {torch.__version__}, "
        f"stemsplit {stemsplit.__version__}"
    )
