"""
What torch says of itself and of the machine.

Run as a program, in a process of its own, since a broken torch may end the process that imports it:
`python -m stemsplit.diagnosis.torch_probe` prints the facts as JSON. `ask` does that.
"""

import json
import warnings
from dataclasses import asdict, dataclass
from typing import Any

from stemsplit.compute import Compute, choose
from stemsplit.diagnosis.programs import ProgramError, python


@dataclass(frozen=True)
class TorchFacts:
    """
    What torch says.

    Attributes:
        version: such as "2.14.1+cu130".
        cuda: the CUDA version it was built with, None in a build without.
        rocm: the same for AMD's ROCm.
        gpus: names of the GPUs that it can use.
        complaints: what it warned of when it looked for them.
        device: what `--device auto` means here; the CPU where that is at fault.
        precision: what `--precision auto` means on that device.
        native_bf16: whether the CPU computes in bf16.
        threads: how many it computes with on the CPU.
        fault: why nothing can be computed on what `--device auto` means, None if something can.
    """

    version: str
    cuda: str | None
    rocm: str | None
    gpus: tuple[str, ...]
    complaints: tuple[str, ...]
    device: str
    precision: str
    native_bf16: bool
    threads: int
    fault: str | None


def ask() -> TorchFacts:
    """
    Have a process of its own import torch and tell.

    Raises ProgramError when it does not come to that.
    """
    lines = python("-m", "stemsplit.diagnosis.torch_probe").splitlines()
    if not lines:
        raise ProgramError("it ends without a word")
    facts: dict[str, Any] = json.loads(lines[-1])
    facts |= {name: tuple(facts[name]) for name in ("gpus", "complaints")}  # JSON has lists only
    return TorchFacts(**facts)


def facts_here() -> TorchFacts:
    """The facts, from the torch of this process."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gpus = _gpus()
    on_cpu = choose("cpu")
    try:
        chosen, fault = choose(), None
        _compute_something(chosen)
    except RuntimeError as error:  # as of a GPU that is too old for the build, or that another program fills
        chosen, fault = on_cpu, str(error).strip().splitlines()[0].rstrip(".")
    return TorchFacts(
        version=torch.__version__,
        cuda=torch.version.cuda,
        rocm=torch.version.hip,
        gpus=gpus,
        complaints=tuple(str(warning.message) for warning in caught),
        device=chosen.device,
        precision=chosen.precision,
        native_bf16=on_cpu.precision == "bf16",
        threads=torch.get_num_threads(),
        fault=fault,
    )


def _compute_something(compute: Compute) -> None:
    import torch

    matrix = torch.ones(8, 8, device=compute.device, dtype=compute.dtype)
    (matrix @ matrix).sum().item()


def _gpus() -> tuple[str, ...]:
    import torch

    if torch.cuda.is_available():
        return tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return ("Apple GPU",) if torch.backends.mps.is_available() else ()


if __name__ == "__main__":
    print(json.dumps(asdict(facts_here())))
