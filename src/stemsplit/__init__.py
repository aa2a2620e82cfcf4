"""
stemsplit: split a song into its stems with HT Demucs.

    from stemsplit import Separator, separate_file

    separate_file("song.mp3", "out")                     # writes out/song/{drums,bass,other,vocals}.wav
    sources = Separator.load("htdemucs")(mixture)        # [channels, frames] -> {source: [channels, frames]}

Importing the package is cheap: torch is imported when something that needs it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stemsplit.audio.excerpt import Excerpt
    from stemsplit.audio.formats import Encoding
    from stemsplit.errors import ModelError, StemsplitError, TrackError, UsageError
    from stemsplit.separation.batch import separate_file, separate_tracks
    from stemsplit.separation.naming import NameTemplate
    from stemsplit.separation.options import SplitOptions, StemOptions
    from stemsplit.separation.plan import PlannedTrack, Shard, plan_tracks
    from stemsplit.separation.report import TrackReport
    from stemsplit.separation.selection import Selection, parse_mix
    from stemsplit.separation.separator import Separator
    from stemsplit.separation.statistics import Statistics
    from stemsplit.separation.walk import Findings, Song, find_songs

__all__ = [
    "Encoding",
    "Excerpt",
    "Findings",
    "ModelError",
    "NameTemplate",
    "PlannedTrack",
    "Selection",
    "Separator",
    "Shard",
    "Song",
    "SplitOptions",
    "Statistics",
    "StemOptions",
    "StemsplitError",
    "TrackError",
    "TrackReport",
    "UsageError",
    "find_songs",
    "parse_mix",
    "plan_tracks",
    "separate_file",
    "separate_tracks",
]

_HOMES = {
    "Encoding": "stemsplit.audio.formats",
    "Excerpt": "stemsplit.audio.excerpt",
    "Findings": "stemsplit.separation.walk",
    "ModelError": "stemsplit.errors",
    "NameTemplate": "stemsplit.separation.naming",
    "PlannedTrack": "stemsplit.separation.plan",
    "Selection": "stemsplit.separation.selection",
    "Separator": "stemsplit.separation.separator",
    "Shard": "stemsplit.separation.plan",
    "Song": "stemsplit.separation.walk",
    "SplitOptions": "stemsplit.separation.options",
    "Statistics": "stemsplit.separation.statistics",
    "StemOptions": "stemsplit.separation.options",
    "StemsplitError": "stemsplit.errors",
    "TrackError": "stemsplit.errors",
    "TrackReport": "stemsplit.separation.report",
    "UsageError": "stemsplit.errors",
    "find_songs": "stemsplit.separation.walk",
    "parse_mix": "stemsplit.separation.selection",
    "plan_tracks": "stemsplit.separation.plan",
    "separate_file": "stemsplit.separation.batch",
    "separate_tracks": "stemsplit.separation.batch",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("stemsplit")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
