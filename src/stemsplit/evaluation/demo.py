"""The practice song that comes with the package: its mixture as a file, and scores of what was separated from it."""

from collections.abc import Mapping
from pathlib import Path

from stemsplit.audio.assignment import Assigned
from stemsplit.audio.formats import Encoding
from stemsplit.audio.writer import TrackWriter
from stemsplit.evaluation.evaluate import SongResult, evaluate_song
from stemsplit.evaluation.methods import FolderMethod, Plain
from stemsplit.evaluation.songs import Song
from stemsplit.weights.bundled import MINI

NAME = "stemsplit-demo"  # of the song, unlike any that a user may have
EXACT = Encoding("wav", "32f")  # nothing is rounded, and nothing turned down so as not to clip
SAMPLE_RATE = 44_100  # Hz
_STEMS = Path(__file__).with_name("demo_song")

SONG = Song(Assigned(NAME, tuple((_STEMS / f"{source}.ogg",) for source in MINI.sources), mixture=None, split=None))


def write_mixture(path: Path) -> None:
    """
    Write the sum of the song's stems, over what is there.

    Raises:
        TrackError: where it cannot be written.
    """
    with TrackWriter(
        {"mixture": path}, sample_rate=SAMPLE_RATE, channels=2, encoding=EXACT, track=NAME, replace=[path]
    ) as writer:
        for _, mixture in SONG.parts(SAMPLE_RATE):
            writer.write({"mixture": mixture})
        writer.finish()


def scores(outputs: Mapping[str, Path]) -> list[SongResult]:
    """
    The scores of separated stems, given by source, and those of the mixture in their place.

    Raises:
        TrackError: for files that cannot be read.
    """
    files = {NAME: {source: [path] for source, path in outputs.items()}}
    return [
        evaluate_song(method, SONG)
        for method in (
            FolderMethod(MINI.name, MINI.sources, SAMPLE_RATE, files),
            Plain("mixture", MINI.sources, SAMPLE_RATE, "floor", "mixture"),
        )
    ]
