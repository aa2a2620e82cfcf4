"""Models on this machine: which are cached, and whether more can come."""

from importlib import import_module
from pathlib import Path
from typing import Any

from stemsplit.diagnosis.finding import Finding, ok, problem, warning
from stemsplit.diagnosis.folders import amount, free_bytes, refusal
from stemsplit.errors import UsageError
from stemsplit.weights.listing import Cached, list_models

LITTLE = 10**9  # bytes; all models of the catalogue take half of it


def models() -> Finding:
    """The models of the catalogue that are cached."""
    try:
        known = list_models()
    except UsageError as error:
        return problem(str(error).removesuffix("."), "Correct or unset STEMSPLIT_CATALOG.")
    here = ", ".join(model.name + _PART[model.cached] for model in known if model.cached is not Cached.NO)
    if here:
        return ok(f"{here} of {len(known)} are cached")
    if _hub().HF_HUB_OFFLINE:
        return problem(
            "none is cached, and HF_HUB_OFFLINE forbids the network",
            "Unset HF_HUB_OFFLINE, or set HF_HUB_CACHE to where models are cached.",
        )
    first = known[0]
    return ok(f"none of {len(known)} is cached yet; {first.name}, {amount(first.size)}, comes with the first song")


def cache() -> Finding:
    """The folder that models are cached in, and whether it can be written."""
    folder = cache_folder()
    reason = refusal(folder)
    if reason is None:
        return ok(f"{folder} can be written")
    remedy = f"Mend who may write to {folder}, or set HF_HUB_CACHE to a folder that you can write to."
    if _something_cached():
        return warning(f"{folder} cannot be written ({reason}): no further model can be fetched", remedy)
    return problem(f"{folder} cannot be written ({reason}), and no model is cached", remedy)


def cache_space() -> Finding:
    """What fits into the cache."""
    free = free_bytes(cache_folder())
    found = f"{amount(free)} free"
    remedy = "Free some space, or set HF_HUB_CACHE to a folder on another disk."
    if not _something_cached() and free < min(model.size for model in list_models()):
        return problem(f"{found}, and no model is cached", remedy)
    if free < LITTLE:
        return warning(f"{found}: not every model fits", remedy)
    return ok(found)


def cache_folder() -> Path:
    """Where huggingface_hub keeps what it downloads, as HF_HUB_CACHE and HF_HOME say."""
    return Path(_hub().HF_HUB_CACHE)


_PART = {Cached.YES: "", Cached.PARTLY: " (in part)"}


def _something_cached() -> bool:
    """Whether a network of the catalogue is here; of a bag, one may be all that is needed."""
    return any(model.cached is not Cached.NO for model in list_models())


def _hub() -> Any:
    return import_module("huggingface_hub.constants")
