"""torch, the torchaudio beside it, and what they compute on."""

import os
import platform
import re
import shutil
from functools import cache

from stemsplit.diagnosis.finding import Finding, ok, problem, warning
from stemsplit.diagnosis.library_checks import installed_version, is_installed
from stemsplit.diagnosis.programs import ProgramError, answer, python
from stemsplit.diagnosis.torch_probe import TorchFacts, ask

# The versions of torch that stemsplit and torchaudio 2.11 go with, as in pyproject.toml.
FIRST, BEYOND = (2, 11), (2, 15)

_TORCH = '"torch>=2.11,<2.15"'
_PAIR = f'`pip install --force-reinstall --index-url https://pypi.org/simple {_TORCH} "torchaudio>=2.11"`'
_CUDA_BUILD = f"`pip install --force-reinstall --index-url https://download.pytorch.org/whl/cu130 {_TORCH}`"
_OLDEST_DRIVER = {13: 580, 12: 525, 11: 450}  # for each CUDA, by NVIDIA's "CUDA Compatibility", table 1
_MEND_TORCH = "Mend torch first."


def torch() -> Finding:
    """The version and the build, and whether it can be imported."""
    if not is_installed("torch"):
        return problem("not installed", f"Install it: `pip install {_TORCH}`.")
    facts = known()
    if not isinstance(facts, TorchFacts):
        return problem(
            f"{installed_version('torch')}, cannot be imported ({facts})",
            f"Install it anew: `pip install --force-reinstall {_TORCH}`.",
        )
    found = f"{facts.version}, {_build(facts)}"
    if not FIRST <= _numbers(facts.version) < BEYOND:
        return warning(f"{found}: stemsplit is made for 2.11 to 2.14", f"Install one of those: `pip install {_TORCH}`.")
    return ok(found)


def torchaudio() -> Finding:
    """Whether it can be imported beside torch. Training needs it; separating does not."""
    if not is_installed("torchaudio"):
        return warning(
            "not installed: separating does not need it, training does",
            'For training, install it: `pip install "torchaudio>=2.11"`.',
        )
    version = installed_version("torchaudio")
    facts = known()
    if not isinstance(facts, TorchFacts):
        return warning(f"{version}, without a torch beside it", _MEND_TORCH)
    try:
        python("-c", "import torchaudio")
    except ProgramError as error:
        return warning(
            f"{version}, does not go with {_misfit(facts)} ({error}): separating does not need it, training does",
            f"For training, install the pair that fits: {_PAIR}.",
        )
    return ok(f"{version}, goes with torch {facts.version}")


def gpu() -> Finding:
    """The GPUs that torch can use, and the NVIDIA and Apple ones that it cannot."""
    facts = known()
    if not isinstance(facts, TorchFacts):
        return warning("unknown without torch", _MEND_TORCH)
    if facts.gpus:
        return ok(", ".join(facts.gpus))
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return warning(
            f"the Apple GPU is not used: torch {facts.version} finds none",
            "Update macOS to 14 or newer, outside a virtual machine.",
        )
    if shutil.which("nvidia-smi"):
        return _unseen_nvidia(facts)
    return ok("none found")


def device() -> Finding:
    """What `--device auto` means, and why."""
    facts = known()
    if not isinstance(facts, TorchFacts):
        return warning("unknown without torch", _MEND_TORCH)
    if facts.fault:
        where = facts.gpus[0] if facts.gpus else "the CPU"
        return problem(
            f"torch cannot compute on {where} ({facts.fault})",
            "End other programs that use it and update its driver, or separate with `--device cpu`."
            if facts.gpus
            else f"Install torch anew: `pip install --force-reinstall {_TORCH}`.",
        )
    if facts.gpus:
        return ok(f"{facts.device}, the first GPU that torch finds")
    return ok(f"{facts.device}, as torch finds no GPU; {facts.threads} threads")


def precision() -> Finding:
    """What `--precision auto` means, and why."""
    facts = known()
    if not isinstance(facts, TorchFacts):
        return warning("unknown without torch", _MEND_TORCH)
    native = f"this CPU computes in bf16 natively: {'yes' if facts.native_bf16 else 'no'}"
    return ok(f"{facts.precision} on {facts.device}; {native}")


@cache
def known() -> TorchFacts | str:
    """What torch says, or why it says nothing; asked once."""
    try:
        return ask()
    except ProgramError as error:
        return str(error)


def _unseen_nvidia(facts: TorchFacts) -> Finding:
    """An NVIDIA driver is installed, and torch has no GPU of it: the likely cause."""
    try:
        said = answer("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    except ProgramError as error:
        return warning(
            f"an NVIDIA driver is installed, but does not run ({error})",
            "Restart the machine; if that does not help, install the driver anew.",
        )
    if not said.strip():
        return ok("none found")
    name, _, driver = (word.strip() for word in said.splitlines()[0].rpartition(", "))
    unused = f"{name} is not used"
    if facts.cuda is None:
        return warning(f"{unused}: this torch is {_build(facts)}", f"Install the CUDA build: {_CUDA_BUILD}.")
    oldest = _OLDEST_DRIVER.get(_numbers(facts.cuda)[0], 0)
    if _numbers(driver)[0] < oldest:
        return warning(
            f"{unused}: its driver {driver} is too old for CUDA {facts.cuda}", f"Install driver {oldest} or newer."
        )
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and _hides_all(hidden, len(said.splitlines())):
        return warning(f"{unused}: CUDA_VISIBLE_DEVICES={hidden} hides it", "Unset CUDA_VISIBLE_DEVICES.")
    why = " ".join(facts.complaints[0].split()) if facts.complaints else "torch does not say why"
    return warning(f"{unused}: {why}", "Restart the machine; if that does not help, install the driver and torch anew.")


def _hides_all(visible: str, count: int) -> bool:
    """Whether CUDA sees none of so many GPUs: it stops at the first number in the list that names none."""
    first = visible.split(",")[0].strip()
    return not (first.startswith(("GPU-", "MIG-")) or (first.isdigit() and int(first) < count))


def _build(facts: TorchFacts) -> str:
    if facts.cuda:
        return f"a build for CUDA {facts.cuda}"
    return f"a build for ROCm {facts.rocm}" if facts.rocm else "a build without CUDA"


def _misfit(facts: TorchFacts) -> str:
    """The torch that a torchaudio cannot be imported beside, with what sets it apart."""
    newer = ", which is newer than 2.14" if _numbers(facts.version) >= BEYOND else ""
    return f"torch {facts.version}{newer}{'' if facts.cuda else ', ' + _build(facts)}"


def _numbers(version: str) -> tuple[int, int]:
    """Major and minor; zeros where there are none."""
    major, minor, *_ = [*map(int, re.findall(r"\d+", version)[:2]), 0, 0]
    return major, minor
