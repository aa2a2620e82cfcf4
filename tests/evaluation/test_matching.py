"""Stems that a tool has made are found by their song's name, wherever the tool puts them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from multitracks import multitrack, write_multitrack
from stemsplit.audio.assignment import SourceRules, assign
from stemsplit.audio.multitrack import Multitrack, find_multitracks
from stemsplit.errors import DecodeError, UsageError
from stemsplit.evaluation.evaluate import evaluate_song
from stemsplit.evaluation.matching import Separated, separated_stems
from stemsplit.evaluation.methods import FolderMethod
from stemsplit.evaluation.songs import Song

USUAL = ("drums", "bass", "other", "vocals")


def place(folder: Path, *songs: str, stems: Iterable[str] = USUAL) -> Path:
    """Empty files: what is in them does not matter here."""
    for song in songs:
        (folder / song).mkdir(parents=True)
        for stem in stems:
            (folder / song / f"{stem}.wav").touch()
    return folder


def songs(tmp_path: Path, *names: str, stems: Iterable[str] = USUAL) -> list[Multitrack]:
    """Songs of these names."""
    return find_multitracks(place(tmp_path / "songs", *names, stems=stems))


def folders(found: Separated) -> dict[str, str]:
    """Where the stems of each song are."""
    places: dict[str, str] = {}
    for song, stems in found.files.items():
        (place,) = {path.parent.relative_to(found.folder).as_posix() for paths in stems.values() for path in paths}
        places[song] = place
    return places


@pytest.mark.parametrize(
    ("song", "place_of_stems"),
    [
        ("A - B", "A - B"),
        ("test/A - B", "test/A - B"),
        ("test/A - B", "A - B"),
        ("A - B", "htdemucs/A - B"),
        ("test/A - B", "some/where/A - B"),
        ("A - B", "A - B/mixture"),
        ("test/A - B", "test/A - B/mixture"),
        ("test/A - B", "A - B/mixture"),
        ("test/A - B", "htdemucs/A - B/mixture"),
        ("Jürgen (live) [2]", "Jürgen (live) [2]"),
    ],
)
def test_stems_are_found_by_the_song_s_name(song: str, place_of_stems: str, tmp_path: Path) -> None:
    tracks = songs(tmp_path, song, "test/Another")
    made = place(tmp_path / "made", place_of_stems, "Yet Another", stems=("bass", "vocals"))
    found = separated_stems(made, tracks)
    assert found.folder == made
    assert folders(found) == {song: place_of_stems}
    assert set(found.files[song]) == {"bass", "vocals"}


def test_the_whole_name_comes_before_its_end(tmp_path: Path) -> None:
    tracks = songs(tmp_path, "test/A", "train/A", "B", "valid/C")
    made = place(tmp_path / "made", "test/A", "train/A/mixture", "B", "other tool/B", "valid/C", "C")
    assert folders(separated_stems(made, tracks)) == {
        "test/A": "test/A",
        "train/A": "train/A/mixture",
        "B": "B",
        "valid/C": "valid/C",
    }


def test_an_end_that_two_songs_share_is_not_enough(tmp_path: Path) -> None:
    tracks = songs(tmp_path, "test/A", "train/A", "B")
    made = place(tmp_path / "made", "A", "B")
    assert folders(separated_stems(made, tracks)) == {"B": "B"}


def test_an_end_that_two_folders_share_is_not_enough(tmp_path: Path) -> None:
    tracks = songs(tmp_path, "test/A", "test/B")
    made = place(tmp_path / "made", "one/A", "two/A", "one/B")
    assert folders(separated_stems(made, tracks)) == {"test/B": "one/B"}


def test_part_of_a_name_is_not_enough(tmp_path: Path) -> None:
    tracks = songs(tmp_path, "A", "B")
    made = place(tmp_path / "made", "Another A", "A live", "Amixture", "B")
    assert folders(separated_stems(made, tracks)) == {"B": "B"}


def test_the_mixture_beside_stems_is_no_stem(tmp_path: Path) -> None:
    found = separated_stems(place(tmp_path / "made", "A", stems=("mixture", "vocals")), songs(tmp_path, "A"))
    assert found.sources == ("vocals",)


def test_sources_that_the_songs_have_too_are_scored(tmp_path: Path) -> None:
    made = place(tmp_path / "made", "A", stems=("vocals", "drums", "guitar", "piano"))
    found = separated_stems(made, songs(tmp_path, "A"))
    assert found.sources == ("drums", "vocals")
    assert found.rest == "auto"


def test_other_is_scored_whatever_the_songs_call_theirs(tmp_path: Path) -> None:
    tracks = songs(tmp_path, "A", stems=("vocals", "guitar", "keys"))
    found = separated_stems(place(tmp_path / "made", "A", stems=("vocals", "other")), tracks)
    assert (found.sources, found.rest) == (("other", "vocals"), "auto")


def test_stems_of_any_song_count(tmp_path: Path) -> None:
    made = place(tmp_path / "made", "A", stems=("vocals",))
    place(made, "B", stems=("drums",))
    found = separated_stems(made, songs(tmp_path, "A", "B", "C"))
    assert found.sources == ("vocals", "drums")
    assert {song: set(stems) for song, stems in found.files.items()} == {"A": {"vocals"}, "B": {"drums"}}


def test_what_no_song_has_is_not_scored(tmp_path: Path) -> None:
    made = place(tmp_path / "made", "A", stems=("vocals",))
    place(made, "not a song", stems=("drums",))
    assert separated_stems(made, songs(tmp_path, "A")).sources == ("vocals",)


@pytest.mark.parametrize("name", ["no_vocals", "instrumental", "accompaniment"])
@pytest.mark.parametrize("usual", [(), USUAL])
def test_a_stem_of_its_own_kind_is_all_that_is_left(name: str, usual: tuple[str, ...], tmp_path: Path) -> None:
    made = place(tmp_path / "made", "A", stems=("vocals", name))
    found = separated_stems(made, songs(tmp_path, "A"), usual)
    assert (found.sources, found.rest) == (("vocals", name), name)


def test_two_stems_of_kinds_of_their_own_are_not_scored(tmp_path: Path) -> None:
    made = place(tmp_path / "made", "A", stems=("vocals", "no_vocals", "instrumental"))
    found = separated_stems(made, songs(tmp_path, "A"))
    assert (found.sources, found.rest) == (("vocals",), "auto")


def test_beside_other_no_stem_is_all_that_is_left(tmp_path: Path) -> None:
    made = place(tmp_path / "made", "A", stems=("other", "vocals", "guitar"))
    found = separated_stems(made, songs(tmp_path, "A"))
    assert (found.sources, found.rest) == (("other", "vocals"), "auto")


@pytest.mark.parametrize(("rest", "expected"), [("vocals", "vocals"), ("refuse", "refuse"), ("piano", "piano")])
def test_what_the_user_says_of_the_rest_is_kept(rest: str, expected: str, tmp_path: Path) -> None:
    made = place(tmp_path / "made", "A", stems=("vocals", "no_vocals"))
    found = separated_stems(made, songs(tmp_path, "A"), rest=rest)
    assert (found.sources, found.rest) == (("vocals",), expected)


@pytest.mark.parametrize("rest", ["auto", "refuse", "bass"])
def test_the_usual_sources_are_scored_if_they_are_all_there(rest: str, tmp_path: Path) -> None:
    """In their order, and without what there is beside them."""
    made = place(tmp_path / "made", "A", stems=(*USUAL, "guitar", "no_vocals"))
    found = separated_stems(made, songs(tmp_path, "A", stems=("guitar", *USUAL)), USUAL, rest)
    assert (found.sources, found.rest) == (USUAL, rest)


def test_usual_sources_that_are_not_all_there_do_not_matter(tmp_path: Path) -> None:
    made = place(tmp_path / "made", "A", stems=("drums", "guitar", "vocals"))
    found = separated_stems(made, songs(tmp_path, "A", stems=("guitar", *USUAL)), USUAL)
    assert found.sources == ("drums", "guitar", "vocals")


def test_usual_sources_in_capitals_have_their_files(tmp_path: Path) -> None:
    """A model's sources may be written in any way, and files too."""
    tracks = songs(tmp_path, "A", stems=("Drums", "VOCALS"))
    made = place(tmp_path / "made", "A", stems=("drums", "Vocals"))
    found = separated_stems(made, tracks, ("Drums", "Vocals"))
    method = FolderMethod("made", found.sources, 8000, found.files)
    song = Song(assign(tracks[0], SourceRules(found.sources, found.rest)))
    assert [path.name for paths in song.track.files for path in paths] == ["Drums.wav", "VOCALS.wav"]
    assert "drums.wav" in method.identity(song)


def test_the_rest_of_the_song_is_what_is_left(tmp_path: Path) -> None:
    """From files to scores: vocals and no_vocals of another tool, beside a song of four stems."""
    stems = multitrack(1, 2.0, 8000)
    backing = stems["drums"] + stems["bass"] + stems["other"]
    write_multitrack(tmp_path / "songs" / "A", stems, 8000)
    write_multitrack(
        tmp_path / "made" / "A" / "mixture", {"vocals": stems["vocals"], "no_vocals": np.float32(0.9) * backing}, 8000
    )
    tracks = find_multitracks(tmp_path / "songs")
    found = separated_stems(tmp_path / "made", tracks, USUAL)
    song = Song(assign(tracks[0], SourceRules(found.sources, found.rest)))
    result = evaluate_song(FolderMethod("made", found.sources, 8000, found.files), song)
    assert result.sdr["no_vocals"] == pytest.approx(20, abs=1e-3)
    assert (result.sdr["vocals"] or 0) > 80


def test_a_folder_of_other_songs_is_told(tmp_path: Path) -> None:
    made = place(tmp_path / "made", "C")
    with pytest.raises(UsageError, match=r"made: holds stems of none of the songs.*made/test/A/vocals\.wav"):
        separated_stems(made, songs(tmp_path, "test/A", "test/B"))


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    with pytest.raises(UsageError, match="none of the songs"):
        separated_stems(tmp_path / "made", songs(tmp_path, "A"))


def test_stems_of_no_source_are_told(tmp_path: Path) -> None:
    made = place(tmp_path / "made", "A", stems=("gesang", "rest"))
    tracks = songs(tmp_path, "A", stems=("drums", "vocals"))
    with pytest.raises(UsageError, match=r"has gesang, rest, and the songs have drums, other, vocals.*Rename"):
        separated_stems(made, tracks)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="nowhere"):
        separated_stems(tmp_path / "nowhere", songs(tmp_path, "A"))
