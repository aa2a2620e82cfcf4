"""From sources at the network's rate to stem files: rate, channels, names."""

from collections.abc import Callable, Mapping
from pathlib import Path

from stemsplit.audio.blocks import Block
from stemsplit.audio.channels import to_mono
from stemsplit.audio.resample import Resampler
from stemsplit.audio.writer import TrackWriter, WrittenTrack
from stemsplit.separation.options import StemOptions


class StemSink:
    """
    Takes the sources of one track as the network gives them, and writes its stems, all or none.

    Args:
        track: the track's name; seeds the dither.
        targets: final path of every stem.
        source_rate, rate: Hz of what comes in, and of the files.
        frames: of every file, exactly.
        mono: fold the network's two channels into one.
        options: how stems are written.

    Raises:
        EncodeError: for a stem that exists already or cannot be written.
    """

    def __init__(
        self,
        track: str,
        targets: Mapping[str, Path],
        *,
        source_rate: int,
        rate: int,
        frames: int,
        mono: bool,
        options: StemOptions,
    ) -> None:
        self._fold: Callable[[Block], Block] = to_mono if mono else _as_it_is
        channels = 1 if mono else 2
        self._resamplers = {stem: Resampler(source_rate, rate, channels, frames) for stem in targets}
        self._writer = TrackWriter(
            targets,
            sample_rate=rate,
            channels=channels,
            encoding=options.encoding,
            clip=options.clip,
            track=track,
            overwrite=options.overwrite,
            frames=frames,
        )

    def write(self, sources: Mapping[str, Block]) -> None:
        """Write the next stretch, [2, T] of every stem."""
        for stem, block in sources.items():
            self._writer.write(stem, self._resamplers[stem].push(self._fold(block)))

    def finish(self) -> WrittenTrack:
        """Write what the rate conversion still holds, and give every file its name."""
        for stem, resampler in self._resamplers.items():
            self._writer.write(stem, resampler.flush())
        return self._writer.finish()

    def cancel(self) -> None:
        """Have `write` or `finish` give up soon, with an EncodeError; may be called from any thread."""
        self._writer.cancel()

    def abort(self) -> None:
        """Remove whatever is unfinished."""
        self._writer.abort()


def _as_it_is(block: Block) -> Block:
    return block
