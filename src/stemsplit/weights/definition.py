"""
What a bag is: member files, a weight for each member and source, and perhaps a shorter segment.

Published bags are described in YAML (`models: [sig, ...]`, optional `weights` with one row per member and one
column per source, optional `segment` in seconds); the catalogue describes its bags itself. Reading YAML lives
here, and so do the laws that every definition obeys. Finding and loading the members does not.
"""

import math
import re
import reprlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import yaml

from stemsplit.errors import CheckpointError, UnknownSourceError

MAX_BYTES = 65_536  # of a bag's YAML: the longest published one has 160
MAX_MEMBERS = 64
MAX_SOURCES = 64
MAX_NUMBER = 1e9  # of a weight, and of seconds
# A member's name becomes part of a path, so it must not be able to leave its folder.
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

SOURCE_NAME = re.compile(r"\w[\w -]{0,63}")


Wanted = Collection[str] | Callable[[Sequence[str]], Collection[str]] | None
"""Sources that are wanted: their names, a function that picks them out of the model's own, or None for all."""


def is_plain_name(name: str) -> bool:
    """Whether `name` is that of a file in the folder at hand: no separators, no leading dot, no `..`."""
    return PLAIN_NAME.fullmatch(name) is not None and ".." not in name


def check_source_names(sources: Sequence[object]) -> None:
    """
    Refuse names that cannot name a stem file: whoever made the model chose them, even `../../song`.

    Raises:
        ValueError: for names that are no plain ones, are repeated, or are none or too many.
    """
    for source in sources:
        if not isinstance(source, str) or not SOURCE_NAME.fullmatch(source):
            raise ValueError(f"{reprlib.repr(source)} is no source name: letters, digits, spaces, _ and -")
    if "mixture" in sources:
        raise ValueError("no source can be called mixture, which is the song itself")
    if not 1 <= len(sources) <= MAX_SOURCES or len(set(sources)) != len(sources):
        raise ValueError(f"1 to {MAX_SOURCES} different sources are possible, not {reprlib.repr(list(sources))}")


@dataclass(frozen=True)
class BagDefinition:
    """
    The members of a bag and what each of them counts.

    Attributes:
        members: one signature or file name per network, in order.
        weights: [members][sources], or None where every member counts 1 for every source.
        segment: seconds that no member's segment may exceed, or None.

    Raises:
        ValueError: for what cannot be a bag, with a sentence that names no file.
    """

    members: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...] | None = None
    segment: Fraction | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.members) <= MAX_MEMBERS:
            raise ValueError(f"a bag has 1 to {MAX_MEMBERS} models, not {len(self.members)}")
        for member in self.members:
            if not is_plain_name(member):
                raise ValueError(f"{reprlib.repr(member)} is no plain name of a model beside it")
        if self.weights is not None:
            if len(self.weights) != len(self.members):
                raise ValueError(f"{len(self.members)} models need as many rows of weights, not {len(self.weights)}")
            if not all(math.isfinite(weight) for row in self.weights for weight in row):
                raise ValueError("a weight is not finite")
        if self.segment is not None and self.segment <= 0:
            raise ValueError(f"the segment must be longer than 0 s, not {self.segment}")

    def rows(self, sources: Sequence[str]) -> tuple[tuple[float, ...], ...]:
        """
        The weights, [members][sources].

        Raises:
            ValueError: if a row has not one weight per source, or the weights of a source sum to zero.
        """
        if self.weights is None:
            return ((1.0,) * len(sources),) * len(self.members)
        for row in self.weights:
            if len(row) != len(sources):
                raise ValueError(f"a row of weights needs one for each of {', '.join(sources)}, not {len(row)}")
        for source, column in zip(sources, zip(*self.weights, strict=True), strict=True):
            if math.isclose(math.fsum(column), 0, abs_tol=1e-9):
                raise ValueError(f"the weights of {source} sum to zero, so nothing can be made of it")
        return self.weights

    def needed(self, sources: Sequence[str], wanted: Collection[str] | None) -> tuple[int, ...]:
        """
        Indices of the members that the wanted sources are made of, in order; all members for None.

        Raises:
            ValueError: as `rows` does.
            UnknownSourceError: for a wanted source that is not among `sources`.
        """
        rows = self.rows(sources)
        if wanted is None:
            return tuple(range(len(rows)))
        check_sources(wanted, sources)
        columns = [sources.index(source) for source in wanted]
        return tuple(index for index, row in enumerate(rows) if any(row[column] for column in columns))


def chosen(wanted: Wanted, sources: Sequence[str]) -> Collection[str] | None:
    """
    The names of those wanted of `sources`, None for all.

    Raises:
        UnknownSourceError: as `check_sources`, and whatever the function that picks them raises.
    """
    names = wanted(sources) if callable(wanted) else wanted
    if names is not None:
        check_sources(names, sources)
    return names


def check_sources(wanted: Collection[str], sources: Sequence[str]) -> None:
    """
    Refuse what a model does not separate.

    Raises:
        UnknownSourceError: for no source at all, or one that is not among `sources`.
    """
    unknown = [source for source in wanted if source not in sources]
    if unknown:
        raise UnknownSourceError(f"The model does not separate {', '.join(unknown)}; it has {', '.join(sources)}.")
    if not wanted:
        raise UnknownSourceError(f"No source is asked for; the model has {', '.join(sources)}.")


def read_definition(path: Path) -> BagDefinition:
    """
    Read the YAML of a bag. Keys other than models, weights and segment are passed over.

    Raises:
        CheckpointError: if it cannot be read, is too long, is no YAML or describes no bag.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes")
        return _definition(yaml.safe_load(text))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except RecursionError:
        raise CheckpointError(f"{path} describes no bag of models: nested too deeply.") from None
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} describes no bag of models: {reason}.") from error


def definition_text(members: Sequence[str], weights: Sequence[Sequence[float]] | None = None) -> str:
    """The YAML of a bag, which `read_definition` and the reference implementation read."""
    content: dict[str, object] = {"models": list(members)}
    if weights is not None:
        content["weights"] = [list(row) for row in weights]
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None)


def _definition(content: object) -> BagDefinition:
    if not isinstance(content, dict) or not isinstance(content.get("models"), list):
        raise ValueError("it needs a list `models`")
    for member in content["models"]:
        if not isinstance(member, str):  # YAML takes 12345678 for a number, and 01234567 for an octal one
            raise ValueError(f"{reprlib.repr(member)} in `models` is no text; write it in quotes")
    weights, segment = content.get("weights"), content.get("segment")
    return BagDefinition(
        members=tuple(content["models"]),
        weights=None if weights is None else _rows(weights),
        segment=None if segment is None else Fraction(str(_number(segment))),
    )


def _rows(weights: object) -> tuple[tuple[float, ...], ...]:
    if not isinstance(weights, list) or not all(isinstance(row, list) for row in weights):
        raise ValueError("`weights` must be a list of rows")
    return tuple(tuple(float(_number(weight)) for weight in row) for row in weights)


def _number(value: object) -> int | float:
    # An integer of any length is a number in YAML, and larger than any float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_NUMBER:
        raise ValueError(f"{reprlib.repr(value)} is no number, or too large")
    return value
