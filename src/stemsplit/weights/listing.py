"""The catalogue as the user sees it: which models there are, which are on disk, fetching them ahead."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from stemsplit.errors import UnknownModelError
from stemsplit.events import Listener, ignore
from stemsplit.weights.catalog import CatalogEntry, CatalogFile, load_catalog
from stemsplit.weights.find import find_model
from stemsplit.weights.hub import cached, fetch


class Cached(StrEnum):
    """How much of a model is on disk."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"


@dataclass(frozen=True)
class ModelStatus:
    """
    A model of the catalogue.

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
    All models of the catalogue, in its order.

    Raises:
        UsageError: if the catalogue that STEMSPLIT_CATALOG names is malformed.
    """
    return [
        ModelStatus(entry.name, entry.sources, entry.size, entry.licence, _how_much(entry))
        for entry in load_catalog().values()
    ]


def download(names: Iterable[str], listener: Listener = ignore, *, offline: bool = False) -> None:
    """
    Fetch and check all files of catalogue models; no network is built. Offline, only check.

    Raises:
        UnknownModelError: for a name that is not in the catalogue, before any download.
        DownloadError, IntegrityError: as `fetch` does.
    """
    for entry in [_entry(name) for name in names]:
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


def _entry(name: str) -> CatalogEntry:
    place = find_model(name).place
    if not isinstance(place, CatalogEntry):
        raise UnknownModelError(
            f"{name!r} is not in the catalogue ({', '.join(load_catalog())}); only its models can be."
        )
    return place


def _how_much(entry: CatalogEntry) -> Cached:
    here = [_is_cached(entry, file) for file in entry.files]
    return Cached.YES if all(here) else Cached.PARTLY if any(here) else Cached.NO


def _is_cached(entry: CatalogEntry, file: CatalogFile) -> bool:
    path = cached(entry.repository, entry.commit, file.name)
    return path is not None and path.stat().st_size == file.size
