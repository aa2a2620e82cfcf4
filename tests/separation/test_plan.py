"""Names of tracks below the output folder."""

from pathlib import Path

from stemsplit.separation.plan import plan_tracks


def _names(*paths: str) -> list[str]:
    return [track.name for track in plan_tracks(map(Path, paths))]


def test_a_track_is_named_after_its_file() -> None:
    assert _names("a/song.mp3", "other.v2.flac") == ["song", "other.v2"]


def test_later_tracks_of_one_name_use_the_full_file_name_then_a_hash() -> None:
    song, full, hashed, again = _names("a/song.mp3", "b/song.mp3", "c/song.mp3", "d/song.wav")
    assert (song, full, again) == ("song", "song.mp3", "song.wav")
    assert hashed.startswith("song.mp3-")
    assert len(hashed) == len("song.mp3-1a2b3c4d")


def test_the_same_file_is_done_once() -> None:
    assert _names("song.mp3", "./song.mp3", str(Path("song.mp3").absolute())) == ["song"]


def test_names_that_some_disks_do_not_tell_apart_collide() -> None:
    assert _names("Song.mp3", "song.wav", "é.mp3", "é.wav") == ["Song", "song.wav", "é", "é.wav"]


def test_a_file_called_as_another_s_fallback_does_not_take_its_place() -> None:
    names = _names("song.mp3.wav", "a/song.mp3", "b/song.mp3")
    assert len(set(names)) == 3
    assert names[0] == "song.mp3"
