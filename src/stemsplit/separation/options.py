"""What a user may choose: how tracks are cut, how stems are written. Importing it imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from stemsplit.audio.excerpt import WHOLE, Excerpt
from stemsplit.audio.formats import Encoding
from stemsplit.errors import UsageError
from stemsplit.separation.mixdown import Mixdown
from stemsplit.separation.naming import folded
from stemsplit.separation.plan import PlannedTrack
from stemsplit.separation.selection import ALL, Selection, bundled

_MAX_SHIFTS = 1000


@dataclass(frozen=True)
class SplitOptions:
    """
    How a track is cut into segments.

    Attributes:
        overlap: fraction that neighbouring segments share, 0 <= overlap < 1.
        segment: seconds the network sees at once, at most the model's own; None for the model's own.
        shifts: passes with moved segments that are averaged; 1 for none moved.

    Raises:
        UsageError: for values outside of these.
    """

    overlap: float = 0.25
    segment: float | None = None
    shifts: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise UsageError(f"--overlap must be at least 0 and below 1, not {self.overlap:g}.")
        if self.segment is not None and not 0 < self.segment < inf:
            raise UsageError(f"--segment must be a number of seconds above 0, not {self.segment:g}.")
        if not 1 <= self.shifts <= _MAX_SHIFTS:
            raise UsageError(f"--shifts must be a whole number from 1 to {_MAX_SHIFTS}, not {self.shifts}.")


@dataclass(frozen=True)
class StemOptions:
    """
    Which stems are made of every track, and how they are written.

    Attributes:
        output: folder below which every track gets its own.
        encoding: format with bit depth or bitrate.
        selection: the stems; by default one per source that is separated.
        excerpt: the part of every track to split.
        sample_rate: Hz, or "keep" for the input's, or "model" for the network's.
        clip: "gain" for one common gain per track where a stem would clip, "none" for none.
        overwrite: replace stems that exist.

    Raises:
        UsageError: for stems chosen in a format that always holds the same ones.
    """

    output: Path
    encoding: Encoding
    selection: Selection = ALL
    excerpt: Excerpt = WHOLE
    sample_rate: int | Literal["keep", "model"] = "keep"
    clip: Literal["gain", "none"] = "gain"
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.encoding.file_format.is_bundle and self.selection != ALL:
            raise UsageError(
                f"{self.encoding.format} always holds the mixture, drums, bass, other and vocals: leave the options "
                "out that choose stems, or choose another format."
            )

    def mixdown(self, sources: Sequence[str], separated: Sequence[str] | None = None) -> Mixdown:
        """The stems to make with a model of these sources. Arguments and errors as those of `Selection.mixdown`."""
        if self.encoding.file_format.is_bundle:
            return bundled(sources)
        return self.selection.mixdown(sources, separated)

    def needed(self, sources: Sequence[str]) -> tuple[str, ...]:
        """The sources that must be separated. Raises as `mixdown`."""
        return self.mixdown(sources).sources

    def paths(self, track: PlannedTrack, stems: Sequence[str]) -> dict[str, Path]:
        """
        Where each stem of a track goes.

        Raises:
            UsageError: when two stems would get one name, on a file system that does not tell case apart.
        """
        extension = self.encoding.extension
        if self.encoding.file_format.is_bundle:
            return dict.fromkeys(stems, self.output / track.file_path(extension))
        paths = {stem: self.output / track.stem_path(stem, extension) for stem in stems}
        taken: dict[str, str] = {}
        for stem, path in paths.items():
            other = taken.setdefault(folded(str(path)), stem)
            if other != stem:
                raise UsageError(
                    f"The stems {other} and {stem} of a song would both be called {path.name}: have {{stem}} in "
                    "--name, and names in --mix that differ."
                )
        return paths

    def rate(self, kept: int, model: int) -> int:
        """The stems' sample rate in Hz that is asked for, for an input of `kept` Hz and a network of `model` Hz."""
        rates = {"keep": kept, "model": model}
        return self.sample_rate if isinstance(self.sample_rate, int) else rates[self.sample_rate]
