"""From sources at the network's rate, and the mixture, to stem files: rate, channels, mixdown."""

from collections.abc import Callable, Generator, Mapping

import numpy as np

from stemsplit.audio.blocks import Block
from stemsplit.audio.channels import to_mono
from stemsplit.audio.resample import Resampler
from stemsplit.audio.writer import TrackWriter, WrittenTrack
from stemsplit.errors import DecodeError
from stemsplit.separation.mixdown import Mixdown


class StemSink:
    """
    Takes the sources of one track as the network gives them, and writes its stems, all or none.

    Args:
        track: the track's name.
        mixdown: the stems; `write` is given the sources that it names.
        mixture: the track itself, as the stems have it, if any of them needs it.
        writer: of the stem files.
        source_rate, rate: Hz of what comes in, and of the files.
        frames: of every file, exactly.
        mono: fold the network's two channels into one.
    """

    def __init__(
        self,
        track: str,
        mixdown: Mixdown,
        mixture: Generator[Block, None, None] | None,
        writer: TrackWriter,
        *,
        source_rate: int,
        rate: int,
        frames: int,
        mono: bool,
    ) -> None:
        self._mixdown = mixdown
        channels = 1 if mono else 2
        self._mixture = None if mixture is None else _Tape(track, mixture, channels)
        self._writer = writer
        self._fold: Callable[[Block], Block] = to_mono if mono else _as_it_is
        self._resamplers = {source: Resampler(source_rate, rate, channels, frames) for source in mixdown.sources}

    def write(self, sources: Mapping[str, Block]) -> None:
        """Write the next stretch, [2, T] of every source."""
        self._mix({source: self._resamplers[source].push(self._fold(block)) for source, block in sources.items()})

    def finish(self, before: Callable[[WrittenTrack], None]) -> WrittenTrack:
        """Write what the rate conversion still holds, and give every file its name. `before`: see `TrackWriter`."""
        self._mix({source: resampler.flush() for source, resampler in self._resamplers.items()})
        if self._mixture is not None:
            self._mixture.close()
        return self._writer.finish(before)

    def cancel(self) -> None:
        """Have `write` or `finish` give up soon, with an EncodeError; may be called from any thread."""
        self._writer.cancel()

    def abort(self) -> None:
        """Remove whatever is unfinished."""
        if self._mixture is not None:
            self._mixture.close()
        self._writer.abort()

    def _mix(self, sources: Mapping[str, Block]) -> None:
        frames = next(iter(sources.values())).shape[1]
        mixture = None if self._mixture is None else self._mixture.next(frames)
        self._writer.write(self._mixdown.apply(sources, mixture))


class _Tape:
    """A stream of blocks [C, T], handed out in stretches of other lengths."""

    def __init__(self, track: str, blocks: Generator[Block, None, None], channels: int) -> None:
        self._track = track
        self._blocks = blocks
        self._rest = np.zeros((channels, 0), np.float32)

    def next(self, frames: int) -> Block:
        """The next `frames` frames. Raises DecodeError when fewer are left."""
        parts = [self._rest]
        while sum(part.shape[1] for part in parts) < frames:
            block = next(self._blocks, None)
            if block is None:
                raise DecodeError(f"{self._track}: the song changed while it was being read.")
            parts.append(block)
        together = np.concatenate(parts, axis=1)
        self._rest = together[:, frames:]
        return together[:, :frames]

    def close(self) -> None:
        self._blocks.close()


def _as_it_is(block: Block) -> Block:
    return block
