"""Models on this machine: which are here, and whether more can come."""

from importlib import import_module
from pathlib import Path
from typing import Any

from stemsplit.diagnosis.finding import Finding, ok, problem, warning
from stemsplit.diagnosis.folders import amount, free_bytes, refusal
from stemsplit.errors import UsageError
from stemsplit.weights.listing import Cached, list_models

LITTLE = 10**9  # bytes; all models of the catalogue take half of it
_HOW = {Cached.YES: " (cached)", Cached.PARTLY: " (cached in part)", Cached.BUNDLED: " (bundled)"}


def models() -> Finding:
    """The models that are here: cached, or bundled with the package."""
    try:
        known = list_models()
    except UsageError as error:
        return problem(str(error).removesuffix("."), "Correct or unset STEMSPLIT_CATALOG.")
    here = ", ".join(model.name + _HOW[model.cached] for model in known if model.cached is not Cached.NO)
    found = f"{here or 'none'}, of {len(known)} models"
    if any(model.cached in (Cached.YES, Cached.PARTLY) for model in known):
        return ok(found)
    if _hub().HF_HUB_OFFLINE:
        return warning(
            f"{found}, and HF_HUB_OFFLINE forbids the network",
            "Unset HF_HUB_OFFLINE, or set HF_HUB_CACHE to where models are cached.",
        )
    first = known[0]
    return ok(f"{found}; {first.name}, {amount(first.size)}, is fetched with the first song")


def cache() -> Finding:
    """The folder that models are cached in, and whether it can be written."""
    folder = cache_folder()
    reason = refusal(folder)
    if reason is None:
        return ok(f"{folder} can be written")
    return warning(
        f"{folder} cannot be written ({reason}): no further model can be fetched",
        f"Mend who may write to {folder}, or set HF_HUB_CACHE to a folder that you can write to.",
    )


def cache_space() -> Finding:
    """What fits into the cache."""
    free = free_bytes(cache_folder())
    if free < LITTLE:
        return warning(
            f"{amount(free)} free: not every model fits",
            "Free some space, or set HF_HUB_CACHE to a folder on another disk.",
        )
    return ok(f"{amount(free)} free")


def cache_folder() -> Path:
    """Where huggingface_hub keeps what it downloads, as HF_HUB_CACHE and HF_HOME say."""
    return Path(_hub().HF_HUB_CACHE)


def _hub() -> Any:
    return import_module("huggingface_hub.constants")
