"""The libraries that every separation needs, but torch: their versions, and whether they can be imported."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import MappingProxyType

from stemsplit.diagnosis.finding import Finding, ok, problem

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "numpy": "numpy",
        "soundfile": "soundfile",
        "soxr": "soxr",
        "ffmpeg-python": "ffmpeg",
        "huggingface_hub": "huggingface_hub",
        "filelock": "filelock",
        "safetensors": "safetensors",
        "PyYAML": "yaml",
    }
)
"""What pip calls a library, and what Python calls it."""


def library(name: str) -> Finding:
    """A library by its name for pip."""
    if not is_installed(MODULES[name]):
        return problem("not installed", f"Install it: `pip install {name}`.")
    try:
        import_module(MODULES[name])
    except Exception as error:  # whatever a broken library raises
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return problem(
            f"{installed_version(name)}, cannot be imported ({reason})",
            f"Install it anew: `pip install --force-reinstall {name}`.",
        )
    return ok(installed_version(name))


def installed_version(name: str) -> str:
    """The version that pip knows of."""
    try:
        return version(name)
    except PackageNotFoundError:  # one that is there without pip
        return "unknown version"


def is_installed(module: str) -> bool:
    """Whether a module is there, without importing it."""
    return find_spec(module) is not None
