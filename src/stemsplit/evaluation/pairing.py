"""
Estimates beside the true sources they belong to.

Shapes: S sources, T frames.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from stemsplit.audio.blocks import Block
from stemsplit.evaluation.songs import Stems


class Estimated(NamedTuple):
    """A part of a song: true sources and estimates [S, 2, T], mixture [2, T]."""

    references: Stems
    estimates: Stems
    mixture: Block


def with_rest(part: tuple[Stems, Block]) -> tuple[Stems, Block]:
    """A part with one source more: what the mixture is beside the others. Shape: [S, 2, T] -> [S + 1, 2, T]."""
    stems, mixture = part
    return np.concatenate([stems, (mixture - stems.sum(axis=0))[np.newaxis]]), mixture


class Waiting:
    """True sources and mixtures whose estimates are still on their way, as from a network that looks ahead."""

    def __init__(self) -> None:
        self._parts: deque[tuple[Stems, Block]] = deque()

    def passing(self, parts: Iterable[tuple[Stems, Block]]) -> Iterator[tuple[Stems, Block]]:
        """What estimates are made of, on its way to who makes them."""
        for part in parts:
            self._parts.append(part)
            yield part

    def beside(self, estimates: Stems) -> Estimated:
        """The next estimates, and what was passed on for them."""
        frames = estimates.shape[-1]
        stems, mixtures = [], []
        while frames:
            sources, mixture = self._parts.popleft()
            if mixture.shape[-1] > frames:
                self._parts.appendleft((sources[..., frames:], mixture[..., frames:]))
            stems.append(sources[..., :frames])
            mixtures.append(mixture[..., :frames])
            frames -= mixtures[-1].shape[-1]
        return Estimated(np.concatenate(stems, axis=-1), estimates, np.concatenate(mixtures, axis=-1))
