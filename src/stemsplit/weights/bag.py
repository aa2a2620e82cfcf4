"""
From a found model to its networks.

A bag is one or more networks and what each of them counts for each source. The members that the wanted
sources are made of are fetched, checked and loaded; the others are not. Where files come from is decided per
kind of place (`_opened`); the rest is the same for all.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

from stemsplit.errors import CheckpointError, IntegrityError
from stemsplit.events import Listener, ignore
from stemsplit.model.config import MIN_SEGMENT_FRAMES
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.weights.bundled import BundledModel
from stemsplit.weights.catalog import FORMATS, CatalogEntry
from stemsplit.weights.checkpoint import read_checkpoint, read_config
from stemsplit.weights.definition import BagDefinition, Wanted, chosen, read_definition
from stemsplit.weights.find import FoundModel, HubRepository, LocalFile, LocalFolder, find_model
from stemsplit.weights.hub import fetch, fetch_definition
from stemsplit.weights.identity import ModelIdentity, published_identity
from stemsplit.weights.integrity import flaw_of, sha256_of

__all__ = ["Bag", "FoundModel", "find_model", "identify", "load_bag"]

_CHECKSUM = re.compile(r".+-([0-9a-f]{8})")  # stem of a legacy file, behind the signature
_REVISION_DIGITS = 16
_ONLY = "network"  # the member of a bag of one file, whatever the file is called


@dataclass(frozen=True)
class Bag:
    """
    Networks and what they count.

    Attributes:
        name: short name of the model.
        revision: the commit; of a model on disk the first 16 digits of a SHA-256, that of the file or, for a
            folder, that of the definition and of all its files. It does not depend on the sources wanted.
        networks: float32, on the CPU, in evaluation mode. A member that is listed twice is the same object.
        weights: [networks][sources]; a source is the weighted sum over its total weight.
        segment_limit: seconds that no member's segment exceeds, or None.
        hashes: SHA-256 of the model's files, by name, where they are known before they are fetched.
    """

    name: str
    revision: str | None
    networks: tuple[HTDemucs, ...]
    weights: tuple[tuple[float, ...], ...]
    segment_limit: Fraction | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> ModelIdentity:
        """Which model it is."""
        return ModelIdentity(self.name, self.revision, self.hashes, self.sources)

    @property
    def sources(self) -> tuple[str, ...]:
        """In the order of the networks' output."""
        return self.networks[0].config.sources

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.networks[0].config.sample_rate

    @property
    def audio_channels(self) -> int:
        """Of the mixture and of every source."""
        return self.networks[0].config.audio_channels

    @property
    def segments(self) -> tuple[int, ...]:
        """Frames of each network's segment."""
        return tuple(
            network.config.segment_frames
            if self.segment_limit is None
            else min(network.config.segment_frames, int(self.segment_limit * network.config.sample_rate))
            for network in self.networks
        )


@dataclass(frozen=True)
class _Shelf:
    """The files of a model: what they make, and how to get one."""

    origin: str  # what an error names
    definition: BagDefinition
    revision: str
    hashes: Mapping[str, str]
    fetch: Callable[[str], Path]


def load_bag(
    found: FoundModel,
    *,
    sources: Wanted = None,
    offline: bool = False,
    listener: Listener = ignore,
) -> Bag:
    """
    Fetch, check and load a model.

    Args:
        found: from `find_model`.
        sources: those wanted, or a function from the model's sources to them. Only members that count for them are
            downloaded, loaded and listed; None: all. Of a repository outside the catalogue the first member is always
            fetched, since only it tells the sources.
        offline: fail rather than use the network.
        listener: hears `DownloadProgress` and `Warned`.

    Raises:
        UnknownSourceError: for a wanted source that the model does not have; before any download if the
            catalogue has the model.
        DownloadError: for a file that cannot be fetched.
        IntegrityError: for one without the published bytes.
        CheckpointError: for one that cannot be used, or members that do not go together.
    """
    if found.sources is not None:
        sources = chosen(sources, found.sources)
    shelf = _opened(found, offline, listener)
    try:
        return _loaded(found, shelf, sources)
    except ValueError as error:
        raise CheckpointError(f"{shelf.origin} cannot be used: {error}.") from error


def identify(found: FoundModel, *, offline: bool = False, listener: Listener = ignore) -> ModelIdentity:
    """
    Which model it is, without building it; of the catalogue's that is known without a look at any file.

    Of a repository outside the catalogue the first member is fetched. Raises as `load_bag`.
    """
    if isinstance(found.place, CatalogEntry):
        return published_identity(found.place)
    shelf = _opened(found, offline, listener)
    try:
        sources = found.sources or read_config(shelf.fetch(shelf.definition.members[0])).sources
    except ValueError as error:
        raise CheckpointError(f"{shelf.origin} cannot be used: {error}.") from error
    return ModelIdentity(found.name, shelf.revision, shelf.hashes, sources)


def _loaded(found: FoundModel, shelf: _Shelf, sources: Wanted) -> Bag:
    definition = shelf.definition
    names = found.sources
    if names is None:
        names = read_config(shelf.fetch(definition.members[0])).sources
    needed = definition.needed(names, chosen(sources, names))
    networks: dict[str, HTDemucs] = {}
    for member in (definition.members[index] for index in needed):
        if member not in networks:
            path = shelf.fetch(member)
            networks[member] = _fitting(read_checkpoint(path), path, names, next(iter(networks.values()), None))
    bag = Bag(
        name=found.name,
        revision=shelf.revision,
        networks=tuple(networks[definition.members[index]] for index in needed),
        weights=tuple(definition.rows(names)[index] for index in needed),
        segment_limit=definition.segment,
        hashes=shelf.hashes,
    )
    if min(bag.segments) < MIN_SEGMENT_FRAMES:
        raise ValueError(f"its segment of {definition.segment} s is shorter than {MIN_SEGMENT_FRAMES} frames")
    return bag


def _fitting(network: HTDemucs, path: Path, sources: tuple[str, ...], other: HTDemucs | None) -> HTDemucs:
    """Hold a member against the sources of the model and against the first member."""
    config, model = network.config, (other or network).config
    if config.sources != sources:
        raise CheckpointError(f"{path} separates {', '.join(config.sources)}, and its model {', '.join(sources)}.")
    if (config.sample_rate, config.audio_channels) != (model.sample_rate, model.audio_channels):
        raise CheckpointError(
            f"{path} is for {config.audio_channels} channels at {config.sample_rate} Hz, and another network of "
            f"its model for {model.audio_channels} at {model.sample_rate} Hz."
        )
    return network


# The kinds of places.


def _opened(found: FoundModel, offline: bool, listener: Listener) -> _Shelf:
    match found.place:
        case CatalogEntry() as entry:
            known = published_identity(entry)
            fetch_member = partial(_published, entry, offline, listener)
            return _Shelf(entry.name, entry.definition, entry.commit, known.hashes, fetch_member)
        case BundledModel() as model:
            model.check()
            return _folder(model.definition)
        case LocalFile(path):
            _check_name(path)
            digest = sha256_of(path)
            return _Shelf(
                str(path), BagDefinition((_ONLY,)), digest[:_REVISION_DIGITS], {_ONLY: digest}, lambda _: path
            )
        case LocalFolder(path):
            return _folder(path)
        case HubRepository(repository, branch):
            return _repository(repository, branch, offline, listener)


def _published(entry: CatalogEntry, offline: bool, listener: Listener, name: str) -> Path:
    file = next(file for file in entry.files if file.name == name)
    return fetch(
        entry.repository,
        entry.commit,
        name,
        sha256=file.sha256,
        size=file.size,
        offline=offline,
        listener=listener,
    )


def _folder(path: Path) -> _Shelf:
    definition = read_definition(path)
    members = {name: _beside(path, name) for name in definition.members}
    hashes = {name: sha256_of(member) for name, member in members.items()}
    digest = hashlib.sha256(path.read_bytes())
    for member_digest in hashes.values():
        digest.update(bytes.fromhex(member_digest))
    return _Shelf(str(path), definition, digest.hexdigest()[:_REVISION_DIGITS], hashes, members.__getitem__)


def _beside(definition: Path, name: str) -> Path:
    """The file of a member: NAME.safetensors, NAME.th, or NAME-CHECKSUM.th as legacy files are called."""
    folder = definition.parent
    exact = [folder / f"{name}{suffix}" for suffix in FORMATS]
    found = next(([path] for path in exact if path.is_file()), None) or sorted(folder.glob(f"{name}-????????.th"))
    if len(found) != 1:
        raise CheckpointError(
            f"{definition} lists the model {name}, and beside it must lie {name}.safetensors or {name}-*.th: "
            f"{'none does' if not found else f'{len(found)} do'}."
        )
    _check_name(found[0])
    return found[0]


def _check_name(path: Path) -> None:
    """Hold a legacy file against the checksum in its name, if there is one."""
    match = _CHECKSUM.fullmatch(path.stem)
    if path.suffix == ".th" and match and (flaw := flaw_of(path, match[1], None)):
        raise IntegrityError(f"{path} {flaw}, as its name says: it is damaged. Fetch it again.")


def _repository(repository: str, revision: str | None, offline: bool, listener: Listener) -> _Shelf:
    path = fetch_definition(repository, revision, offline=offline, listener=listener)
    commit = path.parent.name  # of the snapshot in the cache, and of every file from here on

    def fetch_member(name: str) -> Path:
        filename = f"{name}.safetensors"
        return fetch(repository, commit, filename, sha256=None, size=None, offline=offline, listener=listener)

    return _Shelf(f"{path.name} of {repository}", read_definition(path), commit, {}, fetch_member)
