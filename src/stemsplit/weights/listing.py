"""The models with a name, as the user sees them: which there are, which are on disk, fetching them ahead."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from stemsplit.errors import UnknownModelError
from stemsplit.events import Listener, ignore
from stemsplit.weights.bundled import BundledModel
from stemsplit.weights.catalog import CatalogEntry, CatalogFile
from stemsplit.weights.find import find_model, named_models
from stemsplit.weights.hub import cached, fetch


class Cached(StrEnum):
    """How much of a model is on disk."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"
    BUNDLED = "bundled"  # it comes with the package


@dataclass(frozen=True)
class ModelStatus:
    """
    A model of the catalogue or of the package.

    Attributes:
        name: what `--model` takes.
        sources: what it separates, in order.
        size: bytes of its files.
        licence: a note for the user.
        cached: whether its files are on disk with their sizes; hashes are checked when it is used.
    """

    name: str
    sources: tuple[str, ...]
    size: int
    licence: str
    cached: Cached


def list_models() -> list[ModelStatus]:
    """
    All models of the catalogue, in its order, and those of the package.

    Raises:
        UsageError: if the catalogue that STEMSPLIT_CATALOG names is malformed.
    """
    return [
        ModelStatus(model.name, model.sources, model.size, model.licence, _how_much(model))
        for model in named_models().values()
    ]


def download(names: Iterable[str], listener: Listener = ignore, *, offline: bool = False) -> list[str]:
    """
    Fetch and check all files of catalogue models; no network is built. Offline, only check.

    Returns:
        Those that come with the package, of which there is nothing to fetch.

    Raises:
        UnknownModelError: for a name that is not in the catalogue, before any download.
        DownloadError, IntegrityError, CheckpointError: for files that cannot be fetched, or are damaged.
    """
    bundled = []
    for model in [_named(name) for name in names]:
        if isinstance(model, BundledModel):
            model.check()
            bundled.append(model.name)
        else:
            _fetch_all(model, listener, offline=offline)
    return bundled


def _fetch_all(entry: CatalogEntry, listener: Listener, *, offline: bool) -> None:
    for file in entry.files:
        fetch(
            entry.repository,
            entry.commit,
            file.name,
            sha256=file.sha256,
            size=file.size,
            offline=offline,
            listener=listener,
        )


def _named(name: str) -> CatalogEntry | BundledModel:
    place = find_model(name).place
    if not isinstance(place, CatalogEntry | BundledModel):
        raise UnknownModelError(
            f"{name!r} is not in the catalogue ({', '.join(named_models())}); only its models can be."
        )
    return place


def _how_much(model: CatalogEntry | BundledModel) -> Cached:
    if isinstance(model, BundledModel):
        return Cached.BUNDLED
    here = [_is_cached(model, file) for file in model.files]
    return Cached.YES if all(here) else Cached.PARTLY if any(here) else Cached.NO


def _is_cached(entry: CatalogEntry, file: CatalogFile) -> bool:
    path = cached(entry.repository, entry.commit, file.name)
    return path is not None and path.stat().st_size == file.size
