"""Shares of the songs among machines, and names that records hold from one run to the next."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import record
from stemsplit.errors import UsageError
from stemsplit.separation.naming import NameTemplate
from stemsplit.separation.plan import Shard, plan_tracks
from stemsplit.separation.record import InputFile
from stemsplit.separation.record_file import record_path, write_record
from stemsplit.separation.walk import Song, find_songs

BYTES = st.binary(min_size=1, max_size=10).filter(lambda name: not set(b"\0/") & set(name))
NAMES = BYTES.map(os.fsdecode).filter(lambda name: name not in (".", ".."))
TREES = st.lists(NAMES, max_size=3).map(tuple)


def _shares(count: int) -> list[Shard]:
    return [Shard(index, count) for index in range(1, count + 1)]


@given(NAMES, TREES, st.integers(1, 50))
def test_every_song_is_in_one_share(name: str, tree: tuple[str, ...], count: int) -> None:
    song = Song(Path("/music", name), tree)
    assert sum(share.holds(song) for share in _shares(count)) == 1


@given(NAMES, TREES, st.integers(1, 50))
def test_where_a_folder_lies_does_not_matter(name: str, tree: tuple[str, ...], count: int) -> None:
    songs = [Song(Path(place, name), tree) for place in ("/music", "/mnt/disk/music", ".")]
    for share in _shares(count):
        assert len({share.holds(song) for song in songs}) == 1


def test_what_other_songs_there_are_does_not_matter(tmp_path: Path) -> None:
    def shares(folder: Path) -> dict[str, int]:
        return {
            "/".join([*song.tree, song.path.name]): share.index
            for share in _shares(3)
            for song in find_songs([folder]).songs
            if share.holds(song)
        }

    for number in range(40):
        album = tmp_path / f"Music/Album {number % 4}"
        album.mkdir(parents=True, exist_ok=True)
        (album / f"{number}.wav").touch()
    before = shares(tmp_path / "Music")
    assert len(before) == 40
    for name in ("Album 0/00.wav", "Album 3/zz.wav", "first.wav"):
        (tmp_path / "Music" / name).touch()
    after = shares(tmp_path / "Music")
    assert len(after) == 43
    assert after == after | before


def test_shares_are_about_equal() -> None:
    songs = [Song(Path(f"{number:04d}.wav"), ("Music",)) for number in range(1000)]
    for share in _shares(4):
        assert 200 < sum(share.holds(song) for song in songs) < 300


def test_one_share_is_all() -> None:
    assert Shard().holds(Song(Path("song.wav")))
    assert Shard() == Shard(1, 1)


@pytest.mark.parametrize(("index", "count"), [(0, 4), (5, 4), (-1, 4), (0, 0), (1, 0), (1, -1), (-1, -1)])
def test_a_share_that_is_none_is_refused(index: int, count: int) -> None:
    with pytest.raises(UsageError, match=f"--shard {index}/{count}"):
        Shard(index, count)


# Names that records hold.


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "separated"


def _song(folder: Path, name: str, size: int = 7) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def _done(output: Path, path: Path, track: str) -> None:
    """Have a record say that the song, as it is now, was split under this name."""
    write_record(output, record(track=track, input=InputFile.of(path)))


def _names(output: Path | None, *paths: Path, template: str = "{track}/{stem}") -> list[str]:
    tracks = plan_tracks(map(Song, paths), NameTemplate(template), output=output)
    assert [track.path for track in tracks] == list(paths)
    return [track.name for track in tracks]


def test_a_song_keeps_the_name_that_its_record_has(tmp_path: Path, output: Path) -> None:
    first, second = _song(tmp_path, "a/song.wav"), _song(tmp_path, "b/song.wav")
    assert _names(output, first, second) == ["song", "song.wav"]
    _done(output, first, "song")
    _done(output, second, "song.wav")
    assert _names(output, second, first) == ["song.wav", "song"]
    assert _names(output, second) == ["song.wav"]
    assert _names(None, second, first) == ["song", "song.wav"], "without records the order alone decides"


def test_a_song_that_was_changed_keeps_its_name(tmp_path: Path, output: Path) -> None:
    first, second = _song(tmp_path, "a/song.wav"), _song(tmp_path, "b/song.wav")
    _done(output, second, "song")
    second.write_bytes(bytes(9))
    assert _names(output, first, second) == ["song.wav", "song"]


def test_a_name_of_another_song_s_record_is_not_taken(tmp_path: Path, output: Path) -> None:
    first, second, third = (_song(tmp_path, f"{folder}/song.wav") for folder in "abc")
    _done(output, first, "song")
    assert _names(output, second) == ["song.wav"]
    _done(output, second, "song.wav")
    (name,) = _names(output, third)
    assert name.startswith("song.wav-")
    assert len(name) == len("song.wav-1a2b3c4d")


@pytest.mark.parametrize(("size", "time", "name"), [(7, 10**18, "song"), (8, 10**18, "song.wav"), (7, 1, "song.wav")])
def test_a_song_that_was_moved_keeps_its_name(size: int, time: int, name: str, tmp_path: Path, output: Path) -> None:
    before = _song(tmp_path, "before/song.wav")
    os.utime(before, ns=(10**18, 10**18))
    _done(output, before, "song")
    before.unlink()
    after = _song(tmp_path, "after/song.wav", size)
    os.utime(after, ns=(time, time))
    assert _names(output, after) == [name]


def test_a_copy_of_a_song_that_is_still_there_is_another_song(tmp_path: Path, output: Path) -> None:
    song, copy = _song(tmp_path, "a/song.wav"), _song(tmp_path, "b/song.wav")
    for path in (song, copy):
        os.utime(path, ns=(10**18, 10**18))
    _done(output, song, "song")
    assert _names(output, copy) == ["song.wav"]
    song.unlink()
    again = _song(tmp_path, "c/song.wav")
    os.utime(again, ns=(10**18, 10**18))
    assert sorted(_names(output, copy, again)) == ["song", "song.wav"], "one of two copies is the one that was moved"


def test_a_song_that_is_gone_takes_no_name_from_one_that_has_it(tmp_path: Path, output: Path) -> None:
    song = _song(tmp_path, "a/song.wav")
    _done(output, song, "song")
    assert _names(output, tmp_path / "gone/song.wav", song) == ["song.wav", "song"]


def test_a_damaged_record_holds_no_name(tmp_path: Path, output: Path) -> None:
    song = _song(tmp_path, "song.wav")
    _done(output, _song(tmp_path, "other/song.wav"), "song")
    record_path(output, "song").write_text("{")
    assert _names(output, song) == ["song"]


def test_a_record_of_a_newer_version_keeps_its_name_for_the_song_that_would_have_it(
    tmp_path: Path, output: Path
) -> None:
    song = _song(tmp_path, "song.wav")
    path = record_path(output, "song")
    path.parent.mkdir(parents=True)
    path.write_text('{"schema": 99}')
    assert _names(output, song) == ["song"], "so that it is told, and not done beside those stems"


def test_names_are_held_where_the_template_is_the_stem_alone(tmp_path: Path, output: Path) -> None:
    first, second = _song(tmp_path, "a.wav"), _song(tmp_path, "b.wav")
    assert _names(output, first, second, template="{stem}") == ["a", "b.wav"]
    _done(output, first, "a")
    _done(output, second, "b.wav")
    assert _names(output, second, first, template="{stem}") == ["b.wav", "a"]
