"""Which songs are for training, which for validation and which for the test at the end."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from stemsplit.audio.assignment import Assigned
from stemsplit.audio.multitrack import Multitrack

Track = TypeVar("Track", Assigned, Multitrack)

# The 14 songs of MUSDB18's training set by which models are chosen, as the package `musdb` has them.
MUSDB_VALIDATION = frozenset(
    {
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "ANiMAL - Rockshow",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    }
)
_SHARE = 10  # one song in so many validates


def split_tracks(tracks: Sequence[Track]) -> dict[str, list[Track]]:
    """
    Songs by split, "train", "valid" and "test".

    Where no folder is called `valid`, the standard 14 of MUSDB validate if any of them is there, else a tenth of the
    training songs, and at least one: those whose names have the smallest SHA-256, so that new songs move few others.
    """
    splits: dict[str, list[Track]] = {"train": [], "valid": [], "test": []}
    for track in tracks:
        splits[track.split or "train"].append(track)
    if not splits["valid"] and splits["train"]:
        chosen = {id(track) for track in _validating(splits["train"])}
        splits["valid"] = [track for track in splits["train"] if id(track) in chosen]
        splits["train"] = [track for track in splits["train"] if id(track) not in chosen]
    return splits


def _validating(tracks: Sequence[Track]) -> list[Track]:
    standard = [track for track in tracks if track.name.rsplit("/", 1)[-1] in MUSDB_VALIDATION]
    if standard:
        return standard
    ranked = sorted(tracks, key=lambda track: hashlib.sha256(track.name.encode("utf-8", "surrogateescape")).digest())
    return ranked[: max(1, len(tracks) // _SHARE)]
