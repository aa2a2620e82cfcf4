"""
Which stem files to make: each is a linear combination of the sources and the mixture.

What a user may ask for is in `selection.py`; here is what came of it, and the arithmetic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stemsplit.audio.blocks import Block
from stemsplit.audio.quantise import MIXTURE, Remainders


@dataclass(frozen=True)
class Stem:
    """
    One row of the matrix: a file's stem name, and the gain of every source, or of "mixture", that is in it.

    Shape: gains {source: factor}, without those that are 0.
    """

    name: str
    gains: Mapping[str, float]

    @property
    def is_source(self) -> bool:
        """Whether it is one source as the network gives it."""
        return dict(self.gains) == {self.name: 1.0}

    def of(self, rows: Mapping[str, Block]) -> Block:
        """The stem, from blocks of the sources and the mixture. Shape: [C, T] each."""
        if self.is_source:
            return rows[self.name]
        # In float64, so that a sum of several is rounded once.
        total = sum(gain * rows[name].astype(np.float64) for name, gain in self.gains.items())
        stem: Block = np.asarray(total, np.float32)
        return stem


@dataclass(frozen=True)
class Mixdown:
    """
    The stems of a track, in the order they are told, made from a model's sources.

    Attributes:
        stems: the rows.
        sources: those that any of them needs, in the model's order.
    """

    stems: tuple[Stem, ...]
    sources: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the stems."""
        return tuple(stem.name for stem in self.stems)

    @property
    def needs_mixture(self) -> bool:
        """Whether any stem has the mixture in it."""
        return any(MIXTURE in stem.gains for stem in self.stems)

    @property
    def remainders(self) -> Remainders:
        """Stems that are the mixture less sources which are written beside them: together they add up to it."""
        written = {stem.name for stem in self.stems if stem.is_source}
        remainders: dict[str, Sequence[str]] = {}
        for stem in self.stems:
            taken = {name: gain for name, gain in stem.gains.items() if name != MIXTURE}
            whole = stem.gains.get(MIXTURE) == 1 and all(gain == -1 for gain in taken.values())
            if whole and taken and taken.keys() <= written:
                remainders[stem.name] = tuple(taken)
        return remainders

    def apply(self, sources: Mapping[str, Block], mixture: Block | None) -> dict[str, Block]:
        """
        The next block of every stem, and of the mixture where there are remainders.

        Shape:
            every source, the mixture and every stem: [C, T].
        """
        rows = dict(sources) if mixture is None else {**sources, MIXTURE: mixture}
        blocks = {stem.name: stem.of(rows) for stem in self.stems}
        return {**blocks, MIXTURE: rows[MIXTURE]} if self.remainders else blocks
