"""What a run wants of a track, in the words of its record: which files, what each holds, which options count."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from records import MAKING, making, record, stem
from standins import SIX_SOURCES, SOURCES
from stemsplit.audio.formats import Encoding
from stemsplit.separation.naming import DEFAULT_TEMPLATE
from stemsplit.separation.options import SplitOptions, StemOptions
from stemsplit.separation.plan import PlannedTrack
from stemsplit.separation.record import Definition, Making
from stemsplit.separation.resume import Wanted, compared, earlier_batches, wanted
from stemsplit.separation.selection import Selection


def _wish(selection: Selection, encoding: Encoding | None = None, sources: tuple[str, ...] = SOURCES) -> Wanted:
    options = StemOptions(Path("out"), encoding or Encoding(), selection=selection)
    track = PlannedTrack(Path("song.wav"), DEFAULT_TEMPLATE.expand({"track": "song"}, tree=("Album",)))
    mixdown = options.mixdown(sources)
    return wanted(options.paths(track, mixdown.names), mixdown, options, MAKING)


def test_stems_are_told_by_their_paths_below_the_output_folder() -> None:
    wish = _wish(Selection())
    assert wish.files == {f"Album/song/{name}.wav": Definition({name: 1.0}) for name in SOURCES}
    assert wish.names == {f"Album/song/{name}.wav": name for name in SOURCES}
    assert wish.root == Path("out")


def test_what_is_left_over_is_told_by_what_it_completes() -> None:
    path = "Album/song/residual.wav"
    of_drums, of_bass = (_wish(Selection(stems=(name,), residual=True)).files[path] for name in ("drums", "bass"))
    assert of_drums.completes == ("drums",)
    assert of_drums != of_bass
    assert _wish(Selection(two_stems="vocals")).files["Album/song/no_vocals.wav"].completes == ("vocals",)


def test_two_ways_to_make_one_stem_are_told_apart() -> None:
    path = "Album/song/no_vocals.wav"
    complement, total, alone = (
        _wish(selection).files[path]
        for selection in (
            Selection(two_stems="vocals"),
            Selection(two_stems="vocals", sum=True),
            Selection(drop=("vocals",)),
        )
    )
    assert complement != total
    assert complement != alone, "beside vocals it adds up with them, alone it is dithered for itself"


def test_a_bundle_is_one_file() -> None:
    for sources in (SOURCES, SIX_SOURCES):
        wish = _wish(Selection(), Encoding("stem.mp4"), sources)
        assert list(wish.files) == ["Album/song.stem.mp4"]


def _options(encoding: Encoding, **changes: Any) -> Mapping[str, str | float | None]:
    split = SplitOptions(**{key: changes.pop(key) for key in ("overlap", "segment", "shifts") if key in changes})
    return compared(split, StemOptions(Path("out"), encoding, **changes))


@pytest.mark.parametrize(
    ("name", "encoding", "changes"),
    [
        ("format", Encoding("flac"), {}),
        ("bit-depth", Encoding("wav", "16"), {}),
        ("sample-rate", Encoding(), {"sample_rate": 48_000}),
        ("sample-rate", Encoding(), {"sample_rate": "model"}),
        ("clip", Encoding(), {"clip": "none"}),
        ("overlap", Encoding(), {"overlap": 0.5}),
        ("segment", Encoding(), {"segment": 5.0}),
        ("shifts", Encoding(), {"shifts": 2}),
    ],
    ids=str,
)
def test_every_option_that_decides_samples_is_compared(name: str, encoding: Encoding, changes: dict[str, Any]) -> None:
    usual, other = _options(Encoding()), _options(encoding, **changes)
    assert [key for key in usual if usual[key] != other[key]] == [name]


def test_options_that_say_what_is_usual_are_none() -> None:
    assert _options(Encoding("wav", "24")) == _options(Encoding())
    assert _options(Encoding("mp3", bitrate=320)) == _options(Encoding("mp3"))
    assert _options(Encoding("mp3", bitrate=128))["bitrate"] == 128
    assert _options(Encoding(), overwrite=True, selection=Selection(karaoke=True)) == _options(Encoding())


def test_a_batch_size_that_was_chosen_before_is_told_by_device() -> None:
    def at(device: str | None, size: int | None, is_auto: bool) -> Making:
        return making(device=device, batch_size=size, is_batch_auto=is_auto)

    ways = [at("cuda:0", 8, True), at("cpu", 2, True), at("mps", 4, False), at(None, 3, True), at("cuda:1", None, True)]
    records = [record({"song/vocals.wav": stem(making=way)}) for way in ways]
    assert earlier_batches(records) == {"cuda:0": 8, "cpu": 2}
    assert earlier_batches([]) == {}
