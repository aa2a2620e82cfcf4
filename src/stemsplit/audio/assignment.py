"""Which files of a multitrack make which source, and what is wrong with them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from stemsplit.audio.multitrack import Multitrack
from stemsplit.errors import UsageError

Missing = Literal["refuse", "silence", "skip"]
MISSING = get_args(Missing)
REFUSE = "refuse"
OTHER = "other"


@dataclass(frozen=True)
class SourceRules:
    """
    How the stems of a song become the sources of a network.

    Attributes:
        sources: in the order of the network's output.
        rest: the source to which stems of other names are added, or "refuse"; by default `other` if it is among the
            sources.
        missing: what to do with a song that lacks a source: refuse it, take the source for silent, or skip the song.

    Raises:
        UsageError: for values that make no sense.
    """

    sources: tuple[str, ...]
    rest: str = "auto"
    missing: Missing = "refuse"

    def __post_init__(self) -> None:
        names = [source.lower() for source in self.sources]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"--sources must be distinct names, and at least one, not {', '.join(self.sources)!r}.")
        if self.rest not in ("auto", REFUSE, *self.sources):
            raise UsageError(f"--rest must be {REFUSE} or one of {', '.join(self.sources)}, not {self.rest!r}.")
        if self.missing not in MISSING:
            raise UsageError(f"--missing must be one of {', '.join(MISSING)}, not {self.missing!r}.")

    @property
    def rest_source(self) -> str | None:
        """The source that takes stems of other names in; None if they are refused."""
        if self.rest == "auto":
            return OTHER if OTHER in self.sources else None
        return None if self.rest == REFUSE else self.rest


@dataclass(frozen=True)
class Assigned:
    """
    A song as the sources of a network.

    Attributes:
        name: of the song.
        files: by source, in the order of the rules; none is silence.
        taken_in: stems of other names that are added to a source.
        mixture: the song itself, if it is there.
        split: of the folder it was found in.
        missing: sources that must be there and are not.
        unknown: stems that are no source, and that no source takes in; `rest`: their files.
    """

    name: str
    files: tuple[tuple[Path, ...], ...]
    mixture: Path | None
    split: str | None
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    rest: tuple[Path, ...] = ()
    taken_in: tuple[str, ...] = ()


def assign(track: Multitrack, rules: SourceRules) -> Assigned:
    """The files of each source. What does not fit is told in the result, and raised nowhere."""
    files: dict[str, tuple[Path, ...]] = dict.fromkeys(rules.sources, ())
    by_name = {source.lower(): source for source in rules.sources}
    unknown: dict[str, tuple[Path, ...]] = {}
    taken_in: tuple[str, ...] = ()
    for stem, paths in track.files.items():
        source = by_name.get(stem, rules.rest_source)
        if source is None:
            unknown[stem] = paths
        else:
            files[source] += paths
            taken_in += (stem,) if stem not in by_name else ()
    absent = () if track.is_sparse else tuple(source for source, paths in files.items() if not paths)
    rest = tuple(path for paths in unknown.values() for path in paths)
    return Assigned(
        track.name, tuple(files.values()), track.mixture, track.split, absent, tuple(unknown), rest, taken_in
    )


def is_skipped(track: Assigned, rules: SourceRules) -> bool:
    """Whether a song is to be passed over for what it lacks."""
    return bool(track.missing) and rules.missing == "skip"


def problems_of(track: Assigned, rules: SourceRules) -> list[str]:
    """Sentences about what a song has too much or too little of, as the rules stand."""
    problems = []
    if track.unknown:
        verb = "is" if len(track.unknown) == 1 else "are"
        problems.append(
            f"{track.name}: {', '.join(track.unknown)} {verb} none of {', '.join(rules.sources)}. Add to one of them "
            f"(--rest SOURCE), learn too (such as --sources {','.join(rules.sources)},{OTHER}), or take away."
        )
    if track.missing and rules.missing == REFUSE:
        others = track.unknown or track.taken_in
        if others:
            remedy = f"It has {', '.join(others)}: rename what is meant (to {track.missing[0]}.wav, say)"
        else:
            remedy = "Add the files"
        problems.append(
            f"{track.name}: has no {', '.join(track.missing)}. {remedy}, or take what is not there for silent "
            "(--missing silence) or leave such songs out (--missing skip)."
        )
    elif not any(track.files):
        problems.append(f"{track.name}: has no stems at all.")
    return problems
