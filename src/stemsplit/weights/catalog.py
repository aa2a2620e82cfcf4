"""
The models known by name: where their files lie, how large they are, and what they hash to.

Reads `catalog.toml` beside this file, or the file that the environment variable STEMSPLIT_CATALOG names.
Downloads nothing, and imports neither torch nor huggingface_hub, so that cheap commands stay cheap.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from stemsplit.errors import UsageError
from stemsplit.weights.definition import BagDefinition, check_source_names, is_plain_name

VARIABLE = "STEMSPLIT_CATALOG"
SCHEMA = 1
PACKAGED = Path(__file__).with_name("catalog.toml")
FORMATS = (".safetensors", ".th")  # of network files, the preferred one first

_REPOSITORY = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LEGACY = re.compile(r"[\w.]+-[0-9a-f]{8}")

T = TypeVar("T")


@dataclass(frozen=True)
class CatalogFile:
    """
    One network of a catalogue model.

    Attributes:
        name: file name in the repository.
        size: bytes.
        sha256: of the whole file, in hexadecimal.
        weights: what this network counts for each source of the model.
        legacy: stem of the same network's `.th` file, or None.
    """

    name: str
    size: int
    sha256: str
    weights: tuple[float, ...]
    legacy: str | None = None


@dataclass(frozen=True)
class CatalogEntry:
    """
    One model of the catalogue.

    Attributes:
        name: what `--model` takes.
        repository: `USER/REPO` on the hub.
        commit: 40 hexadecimal digits; a branch would let the files change under their hashes.
        sources: in the order of the networks' output.
        files: one per network.
        licence: a note for the user.
    """

    name: str
    repository: str
    commit: str
    sources: tuple[str, ...]
    files: tuple[CatalogFile, ...]
    licence: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def definition(self) -> BagDefinition:
        """The bag that the entry describes."""
        return BagDefinition(
            members=tuple(file.name for file in self.files),
            weights=tuple(file.weights for file in self.files),
        )


def load_catalog() -> dict[str, CatalogEntry]:
    """
    The models known by name, in the order of the file.

    Raises:
        UsageError: if the file that STEMSPLIT_CATALOG names cannot be read or is no catalogue.
    """
    replacement = os.environ.get(VARIABLE)
    path = Path(replacement).expanduser() if replacement else PACKAGED
    try:
        return _entries(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(
            f"The model catalogue {path} cannot be read: {error.strerror}. Correct or unset {VARIABLE}."
        ) from error
    except ValueError as error:  # what tomllib raises for a malformed file is one, too
        raise UsageError(f"{path} is no model catalogue: {error}. Correct it or unset {VARIABLE}.") from error


def _entries(content: Mapping[str, Any]) -> dict[str, CatalogEntry]:
    if content.get("schema") != SCHEMA:
        raise ValueError(f"`schema` must be {SCHEMA}, not {content.get('schema')}")
    tables = _value(content, "models", dict)
    if not tables:
        raise ValueError("`models` is empty")
    default_licence = content.get("licence", "")
    entries = {}
    for name, table in tables.items():
        try:
            entries[name] = _entry(name, table, default_licence)
        except ValueError as error:
            raise ValueError(f"in model {name!r}: {error}") from error
    return entries


def _entry(name: str, table: object, default_licence: object) -> CatalogEntry:
    if not isinstance(table, dict):
        raise ValueError("it must be a table")
    if not is_plain_name(name):
        raise ValueError("its name must be made of letters, digits, dots, dashes and underscores")
    sources = tuple(_value(table, "sources", list))
    check_source_names(sources)
    licence = table.get("licence", default_licence)
    if not isinstance(licence, str):
        raise ValueError("`licence` must be a text")
    entry = CatalogEntry(
        name=name,
        repository=_matching(table.get("repository"), _REPOSITORY, "`repository`"),
        commit=_matching(table.get("commit"), _COMMIT, "`commit`"),
        sources=sources,
        files=tuple(_file(item) for item in _value(table, "files", list)),
        licence=licence.strip(),
    )
    entry.definition.rows(sources)
    return entry


def _file(table: object) -> CatalogFile:
    if not isinstance(table, dict):
        raise ValueError("each of `files` must be a table")
    name = _value(table, "name", str)
    if not is_plain_name(name) or not name.endswith(FORMATS):
        raise ValueError(f"file name {name!r} must be a plain one that ends in {' or '.join(FORMATS)}")
    size = _value(table, "bytes", int)
    if size < 1:
        raise ValueError(f"`bytes` of {name} must be at least 1, not {size}")
    weights = _value(table, "weights", list)
    if not all(isinstance(weight, int | float) and not isinstance(weight, bool) for weight in weights):
        raise ValueError(f"`weights` of {name} must be numbers")
    legacy = table.get("legacy")
    return CatalogFile(
        name=name,
        size=size,
        sha256=_matching(table.get("sha256"), _SHA256, f"`sha256` of {name}"),
        weights=tuple(float(weight) for weight in weights),
        legacy=None if legacy is None else _matching(legacy, _LEGACY, f"`legacy` of {name}"),
    )


def _value(table: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = table.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"`{key}` is missing or of a wrong kind")
    return value


def _matching(value: object, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{what} is missing or malformed: {value!r}")
    return value
