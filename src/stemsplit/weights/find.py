"""
What a model name means: one of the catalogue or of the package, a path, or a repository of the hub, in this order.

Nothing is downloaded or loaded here, and neither torch nor huggingface_hub is imported.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stemsplit.errors import UnknownModelError
from stemsplit.weights.bundled import BUNDLED, BundledModel
from stemsplit.weights.catalog import FORMATS, CatalogEntry, load_catalog

_REPOSITORY = re.compile(r"(?P<repository>[\w][\w.-]*/[\w][\w.-]*)(?:@(?P<revision>[\w][\w./-]*))?")


@dataclass(frozen=True)
class LocalFile:
    """A single network on disk."""

    path: Path


@dataclass(frozen=True)
class LocalFolder:
    """A bag on disk: the definition, with its networks beside it."""

    definition: Path


@dataclass(frozen=True)
class HubRepository:
    """A bag on the hub; no revision stands for the default branch."""

    repository: str
    revision: str | None


@dataclass(frozen=True)
class FoundModel:
    """
    Where a model is.

    Attributes:
        name: a short one, without separators: that of the catalogue, the file (its stem), the folder or the
            repository.
        sources: in order, where they are known beforehand.
        place: what `load_bag` loads.
    """

    name: str
    sources: tuple[str, ...] | None
    place: CatalogEntry | BundledModel | LocalFile | LocalFolder | HubRepository


Named = Mapping[str, CatalogEntry | BundledModel]


def named_models() -> Named:
    """
    The models that have a name: those of the catalogue, in its order, then those of the package.

    A name that both have is the catalogue's.

    Raises:
        UsageError: if the catalogue that STEMSPLIT_CATALOG names is malformed.
    """
    catalog = load_catalog()
    return {**catalog, **{name: model for name, model in BUNDLED.items() if name not in catalog}}


def find_model(name: str) -> FoundModel:
    """
    Look a model name up: in the catalogue and the package, then as a path, then as `USER/REPO[@REVISION]`.

    Raises:
        UnknownModelError: if it is none of them, or a path that holds no model.
        UsageError: if the catalogue that STEMSPLIT_CATALOG names is malformed.
    """
    named = named_models()
    if name in named:
        return FoundModel(name, named[name].sources, named[name])
    path = _existing(name)
    if path is not None:
        return _on_disk(path, named)
    match = _REPOSITORY.fullmatch(name)
    if match and not name.endswith((*FORMATS, ".yaml")):
        repository = match["repository"]
        return FoundModel(repository.split("/")[1], None, HubRepository(repository, match["revision"]))
    near = difflib.get_close_matches(name, named, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UnknownModelError(
        f"There is no model {name!r}: it is no catalogue name ({', '.join(named)}), no existing file "
        f"or folder, and no hub repository of the form USER/REPO[@REVISION].{hint}"
    )


def _existing(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        return path if name and path.exists() else None
    except (OSError, RuntimeError):  # a name that no path can have, as by its length, or the home of nobody
        return None


def _on_disk(path: Path, named: Named) -> FoundModel:
    if path.is_dir():
        definitions = sorted(path.glob("*.yaml"))
        if len(definitions) != 1:
            if not definitions and (path / "recipe.toml").is_file():
                raise UnknownModelError(f"{path} is a run without a model yet: its first epoch has not ended.")
            have = f"{len(definitions)} ({definitions[0].name}, ...)" if definitions else "none"
            raise UnknownModelError(
                f"The folder {path} is no model: exactly one *.yaml must describe it, and it has {have}."
            )
        return FoundModel(path.resolve().name or "model", None, LocalFolder(definitions[0]))
    if path.suffix.lower() not in FORMATS:
        raise UnknownModelError(
            f"{path} is no model: a network file ends in {' or '.join(FORMATS)}. A folder with one *.yaml "
            f"is a model as well, and so are {', '.join(named)}."
        )
    return FoundModel(path.stem, _legacy_sources(path), LocalFile(path))


def _legacy_sources(path: Path) -> tuple[str, ...] | None:
    """Sources of a published `.th` file, known by its name; loading checks that the name tells the truth."""
    for entry in load_catalog().values():
        if path.suffix == ".th" and path.stem in {file.legacy for file in entry.files}:
            return entry.sources
    return None
