"""Which model it is: what tells whether stems were made by the same one. Importing it imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from stemsplit.weights.catalog import CatalogEntry


@dataclass(frozen=True)
class ModelIdentity:
    """
    A model, without its networks.

    Attributes:
        name: a short one.
        revision: its commit; of a model on disk a hash of all its files.
        hashes: SHA-256 of its files, by name, where they are known before they are fetched.
        sources: in the order of the networks' output.
    """

    name: str
    revision: str | None
    hashes: Mapping[str, str]
    sources: tuple[str, ...]


def published_identity(entry: CatalogEntry) -> ModelIdentity:
    """Of a model of the catalogue, known without a look at any file."""
    return ModelIdentity(entry.name, entry.commit, {file.name: file.sha256 for file in entry.files}, entry.sources)
