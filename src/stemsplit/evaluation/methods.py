"""
What is scored: a model, stems that any tool has made, and estimates that need no model but show what scores are worth.

Every method gives its estimates of a song beside the true sources, as a stream.

Shapes: S sources, T frames.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from stemsplit.audio.blocks import Block
from stemsplit.audio.multitrack import stem_blocks
from stemsplit.errors import DecodeError
from stemsplit.evaluation.metrics import SongScores
from stemsplit.evaluation.on_demand import OnDemand
from stemsplit.evaluation.pairing import Estimated, Waiting, with_rest
from stemsplit.evaluation.ratio_mask import masked
from stemsplit.evaluation.songs import Song, Stems
from stemsplit.evaluation.store import states_of
from stemsplit.events import Listener, Warned, ignore
from stemsplit.separation.jobs import Loader
from stemsplit.separation.separator import Separator
from stemsplit.separation.statistics import Statistics

Kind = Literal["model", "estimates", "ceiling", "floor"]
_NOTHING = np.zeros((1, 2, 0), np.float32)
_TOLERANCE_SECONDS = 0.1  # by which estimates may be shorter or longer than their song without a word


class Method(Protocol):
    """
    Who estimates sources.

    Attributes:
        name: as tables have it.
        kind: of method.
        sources: in the order of its estimates.
        sample_rate: Hz, at which it is scored.
    """

    name: str
    kind: Kind
    sources: tuple[str, ...]
    sample_rate: int

    def identity(self, song: Song) -> str:
        """What its scores of a song depend on beside the song."""

    def estimates(self, song: Song) -> Iterator[Estimated]:
        """
        The whole song, block by block.

        Raises:
            TrackError: for files that cannot be read.
            ModelError: for a model that cannot be loaded, or gives what is no number.
        """

    def begin(self, device: str, listener: Listener) -> None:
        """Be told, in the process that does the work, where it is done and who hears of it."""


@dataclass
class ModelMethod:
    """
    A model, through the ordinary engine.

    Attributes:
        name: as tables have it.
        model: loaded in each process that needs it.
        settings: what its scores depend on.
    """

    name: str
    sources: tuple[str, ...]
    sample_rate: int
    model: OnDemand
    settings: str
    kind: Kind = "model"

    @classmethod
    def of(cls, load: Loader, device: str, listener: Listener) -> Self:
        """Load a model to learn what it is. Raises as `Separator.load`."""
        model = OnDemand(load)
        model.begin(device, listener)
        separator = model.separator
        return cls(separator.bag.name, separator.sources, separator.sample_rate, model, model.identity)

    def identity(self, song: Song) -> str:
        """Model and settings."""
        return self.settings

    def begin(self, device: str, listener: Listener) -> None:
        """See `Method`."""
        self.model.begin(device, listener)

    def estimates(self, song: Song) -> Iterator[Estimated]:
        """See `Method`."""
        warned = song.parts(self.sample_rate, lambda text: self.model.tell(Warned(text)))
        statistics = Statistics.of(mixture for _, mixture in warned)
        return separated(self.model.separator, song.parts(self.sample_rate), statistics)


def separated(
    separator: Separator, parts: Iterable[tuple[Stems, Block]], statistics: Statistics
) -> Iterator[Estimated]:
    """
    What a model makes of a song's mixture, beside the true sources.

    Args:
        separator: the model.
        parts: true sources and mixture, block by block.
        statistics: of the mixture.
    """
    waiting = Waiting()
    mixtures = (mixture for _, mixture in waiting.passing(parts))
    for answer in separator.stream(mixtures, statistics):
        yield waiting.beside(np.stack([answer[source] for source in separator.sources]))


@dataclass
class FolderMethod:
    """
    Stems that any tool has made.

    Attributes:
        name: as tables have it.
        files: by song's name, and by source in lower case.
    """

    name: str
    sources: tuple[str, ...]
    sample_rate: int
    files: Mapping[str, Mapping[str, Sequence[Path]]]
    kind: Kind = "estimates"
    _listener: Listener = field(default=ignore)

    def identity(self, song: Song) -> str:
        """The files."""
        return states_of([path for paths in self._of(song) for path in paths])

    def begin(self, device: str, listener: Listener) -> None:
        """Warnings are for the listener."""
        self._listener = listener

    def __getstate__(self) -> dict[str, object]:
        """For another process."""
        return {**self.__dict__, "_listener": ignore}

    def estimates(self, song: Song) -> Iterator[Estimated]:
        """See `Method`. What is shorter than the song is padded with silence, what is longer is cut."""
        streams = [stem_blocks([files], self.sample_rate, self._warn) for files in self._of(song)]
        surplus = np.zeros(len(streams))  # seconds that the estimates have more than the song
        for references, mixture in song.parts(self.sample_rate, self._warn):
            estimates = np.zeros_like(references)
            for row, stream in enumerate(streams):
                block = next(stream, _NOTHING)[0]
                surplus[row] += (block.shape[1] - mixture.shape[1]) / self.sample_rate
                block = block[:, : mixture.shape[1]]
                estimates[row, :, : block.shape[1]] = block
            yield Estimated(references, estimates, mixture)
        surplus += [sum(block.shape[2] for block in stream) / self.sample_rate for stream in streams]
        difference = float(surplus[np.abs(surplus).argmax()])
        if abs(difference) > _TOLERANCE_SECONDS:
            kind = "longer than the song, and cut" if difference > 0 else "shorter than the song, and padded"
            self._warn(f"{song.name}: the stems of {self.name} are {abs(difference):.1f} s {kind}.")

    def _warn(self, text: str) -> None:
        self._listener(Warned(text))

    def _of(self, song: Song) -> list[Sequence[Path]]:
        files = self.files.get(song.name)
        if files is None:
            raise DecodeError(f"{self.name} has no stems of this song.")
        absent = [source for source in self.sources if not files.get(source.lower())]
        if absent:
            raise DecodeError(f"{self.name} has no {', '.join(absent)} of this song.")
        return [files[source.lower()] for source in self.sources]


@dataclass
class Plain:
    """
    An estimate that needs no model.

    Attributes:
        name: as tables have it.
        what: "ideal mask", "best gain" or "mixture".
    """

    name: str
    sources: tuple[str, ...]
    sample_rate: int
    kind: Kind
    what: str

    def identity(self, song: Song) -> str:
        """Which it is."""
        return self.what

    def begin(self, device: str, listener: Listener) -> None:
        """Nothing is needed."""

    def estimates(self, song: Song) -> Iterator[Estimated]:
        """See `Method`."""
        return _PLAIN[self.what](song, self.sample_rate)


def _mixture(song: Song, sample_rate: int) -> Iterator[Estimated]:
    """The mixture, for each source."""
    for references, mixture in song.parts(sample_rate):
        yield Estimated(references, np.broadcast_to(mixture, references.shape), mixture)


def _best_gain(song: Song, sample_rate: int) -> Iterator[Estimated]:
    """The mixture times the factor that makes it most like the source."""
    scores: SongScores | None = None
    for references, mixture in song.parts(sample_rate):
        scores = scores or SongScores(len(references))
        scores.add(references, references, mixture)
    if scores is None:
        return
    gains: NDArray[np.float64] = scores.gains[:, np.newaxis, np.newaxis]
    for references, mixture in song.parts(sample_rate):
        yield Estimated(references, (gains * mixture).astype(np.float32), mixture)


def _ideal_mask(song: Song, sample_rate: int) -> Iterator[Estimated]:
    """The ideal ratio mask over the mixture; what of it is no source has its share too, and is not scored."""
    waiting = Waiting()
    for estimates in masked(map(with_rest, waiting.passing(song.parts(sample_rate)))):
        yield waiting.beside(estimates[:-1])


_PLAIN = {"ideal mask": _ideal_mask, "best gain": _best_gain, "mixture": _mixture}
NEEDS_NO_MODEL: Mapping[str, Kind] = {"ideal mask": "ceiling", "best gain": "floor", "mixture": "floor"}
"""By name, in the order of tables."""
