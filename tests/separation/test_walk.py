"""From what is named to songs: what is found, what is passed over, and how each is called."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from records import record, stem
from stemsplit.audio.extensions import AUDIO_EXTENSIONS
from stemsplit.errors import DecodeError
from stemsplit.separation.record_file import FOLDER, record_path, write_record
from stemsplit.separation.walk import Findings, Song, find_songs


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """An empty folder to be searched."""
    folder = tmp_path / "Music"
    folder.mkdir()
    return folder


def _make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _trees(found: Findings) -> list[str]:
    """Every song with the folders that its stems keep."""
    return ["/".join([*song.tree, song.path.name]) for song in found.songs]


def _record(root: Path, *paths: str) -> None:
    write_record(root, record({path: stem() for path in paths}))


# Files.


@pytest.mark.parametrize("name", ["song.wav", "notes.txt", "none", ".hidden", "missing.wav"])
def test_a_named_file_is_tried_whatever_it_is_called(name: str, music: Path) -> None:
    if not name.startswith("missing"):
        _make(music, name)
    assert find_songs([music / name]) == Findings(songs=[Song(music / name)])


def test_named_files_keep_their_order_and_their_names(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(music, "b.wav", "a.wav")
    monkeypatch.chdir(music)
    paths = [Path("b.wav"), Path("missing.wav"), Path("../Music/a.wav")]
    assert [song.path for song in find_songs(paths).songs] == paths


def test_a_named_pipe_is_tried(music: Path) -> None:
    os.mkfifo(music / "pipe")
    assert len(find_songs([music / "pipe"]).songs) == 1


def test_the_same_file_by_any_name_is_one_song(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(music, "song.wav")
    (music / "link.wav").symlink_to("song.wav")
    monkeypatch.chdir(music)
    found = find_songs([Path("song.wav"), Path("./song.wav"), music / "song.wav", Path("link.wav"), Path("none.wav")])
    assert [song.path for song in found.songs] == [Path("song.wav"), Path("none.wav")]
    assert found.repeated == 3


# Folders.


def test_a_folder_is_searched_below_and_its_tree_is_kept(music: Path) -> None:
    _make(music, "top.wav", "Album/one.flac", "Album/CD 2/two.mp3")
    found = find_songs([music])
    assert found == Findings(
        songs=[
            Song(music / "top.wav", ("Music",)),
            Song(music / "Album/one.flac", ("Music", "Album")),
            Song(music / "Album/CD 2/two.mp3", ("Music", "Album", "CD 2")),
        ]
    )


@pytest.mark.parametrize(
    ("where", "named"), [(".", "."), ("Album", ".."), ("Album", "../../Music"), (".", "Album/.."), (".", "./")]
)
def test_a_folder_has_its_own_name_however_it_is_written(
    where: str, named: str, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(music, "Album/one.wav")
    monkeypatch.chdir(music / where)
    assert _trees(find_songs([Path(named)])) == ["Music/Album/one.wav"]


def test_the_order_is_that_of_names(music: Path) -> None:
    names = ["c.wav", "a.wav", "b.wav", "B.wav", "z/1.wav", "y/2.wav", "y/10.wav"]
    _make(music, *names)
    assert _trees(find_songs([music])) == [
        f"Music/{name}" for name in ("B.wav", "a.wav", "b.wav", "c.wav", "y/10.wav", "y/2.wav", "z/1.wav")
    ]


def test_what_is_no_audio_or_hidden_is_counted(music: Path) -> None:
    _make(music, "song.wav", "cover.jpg", "wav", "song.wav.txt", ".hidden.wav", ".folder/1.wav", ".folder/2.wav")
    found = find_songs([music])
    assert _trees(found) == ["Music/song.wav"]
    assert (found.others, found.hidden) == (3, 2)


def test_a_hidden_folder_is_searched_where_it_is_named(music: Path) -> None:
    _make(music, ".secret/song.wav")
    assert _trees(find_songs([music / ".secret"])) == [".secret/song.wav"]


def test_extensions_are_known_in_any_case(music: Path) -> None:
    names = [
        spelt
        for end in AUDIO_EXTENSIONS
        for spelt in (f"a{end}", f"b{end.upper()}", f"c{end.title()}")
        if spelt.strip()
    ]
    _make(music, *names)
    found = find_songs([music])
    assert sorted(song.path.name for song in found.songs) == sorted(names)
    assert found.others == 0


def test_a_folder_named_like_a_song_is_a_folder(music: Path) -> None:
    _make(music, "song.wav/inside.wav")
    assert _trees(find_songs([music])) == ["Music/song.wav/inside.wav"]


def test_a_pipe_in_a_folder_is_passed_over(music: Path) -> None:
    os.mkfifo(music / "pipe.wav")
    found = find_songs([music])
    assert (found.songs, found.others) == ([], 1)


@pytest.mark.parametrize("order", [["Music", "Music/Album"], ["Music/Album", "Music"]])
def test_a_folder_given_with_the_one_around_it_is_searched_once(order: list[str], music: Path) -> None:
    _make(music, "top.wav", "Album/one.wav")
    found = find_songs([music.parent / name for name in order])
    assert sorted(song.path.name for song in found.songs) == ["one.wav", "top.wav"]


def test_a_song_that_is_also_in_a_named_folder_is_called_as_it_was_given_first(music: Path) -> None:
    _make(music, "song.wav")
    found = find_songs([music / "song.wav", music])
    assert found == Findings(songs=[Song(music / "song.wav")], repeated=1)
    assert _trees(find_songs([music, music / "song.wav"])) == ["Music/song.wav"]


def test_a_folder_that_cannot_be_searched_is_told_and_the_rest_goes_on(
    music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(music, "a/1.wav", "locked/2.wav", "z/3.wav")
    scandir = os.scandir

    def refusing(folder: Path) -> Iterator[os.DirEntry[str]]:
        if folder == music / "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    found = find_songs([music])
    assert _trees(found) == ["Music/a/1.wav", "Music/z/3.wav"]
    assert list(found.unreadable) == [music / "locked"]
    failure = found.unreadable[music / "locked"]
    assert isinstance(failure, DecodeError)
    assert str(music / "locked") in str(failure)
    assert "permission denied" in str(failure)


# Links.


def test_a_link_to_nothing_is_a_song_so_that_it_is_told(music: Path) -> None:
    (music / "gone.wav").symlink_to("nowhere.wav")
    assert _trees(find_songs([music])) == ["Music/gone.wav"]


def test_a_link_to_a_song_is_one_song_with_it(music: Path) -> None:
    _make(music, "song.wav")
    (music / "zlink.wav").symlink_to("song.wav")
    (music / "elsewhere.wav").symlink_to(music / "song.wav")
    found = find_songs([music])
    assert len(found.songs) == 1
    assert found.repeated == 2


def test_a_link_to_its_own_folder_or_one_above_is_not_followed_again(music: Path) -> None:
    _make(music, "top.wav", "Album/one.wav")
    (music / "here").symlink_to(".")
    (music / "Album/up").symlink_to("..")
    (music / "Album/whole").symlink_to(music)
    (music / "knot").symlink_to("knot")
    assert _trees(find_songs([music])) == ["Music/top.wav", "Music/Album/one.wav"]


def test_folders_that_link_to_each_other_are_searched_once(music: Path) -> None:
    _make(music, "a/1.wav", "b/2.wav")
    (music / "a/other").symlink_to("../b")
    (music / "b/other").symlink_to("../a")
    found = find_songs([music])
    assert sorted(song.path.name for song in found.songs) == ["1.wav", "2.wav"]
    assert found.repeated == 0


def test_a_folder_reached_by_a_link_beside_it_is_called_by_where_it_lies(music: Path) -> None:
    _make(music, "Real/song.wav")
    (music / "A link").symlink_to("Real")
    assert _trees(find_songs([music])) == ["Music/Real/song.wav"]


def test_a_link_to_a_folder_elsewhere_is_followed(music: Path, tmp_path: Path) -> None:
    _make(tmp_path, "disk/song.wav")
    (music / "link").symlink_to(tmp_path / "disk")
    assert _trees(find_songs([music])) == ["Music/link/song.wav"]


# What stemsplit has written.


@pytest.mark.parametrize("is_linked", [False, True])
def test_the_output_folder_is_not_entered_where_it_is_met(is_linked: bool, music: Path) -> None:
    _make(music, "song.wav", "separated/song/vocals.wav")
    output = music / "separated"
    if is_linked:
        output = music.parent / "link"
        output.symlink_to(music / "separated")
    assert find_songs([music], output) == Findings(songs=[Song(music / "song.wav", ("Music",))])


def test_an_output_folder_that_is_not_there_yet_hides_nothing(music: Path) -> None:
    _make(music, "song.wav", "Album/one.wav")
    assert len(find_songs([music], music / "separated").songs) == 2


def test_another_folder_with_records_is_not_entered_and_is_told(music: Path) -> None:
    _make(music, "song.wav", "stems/song/vocals.wav", "stems/another.wav")
    _record(music / "stems", "song/vocals.wav")
    found = find_songs([music], music / "separated")
    assert _trees(found) == ["Music/song.wav"]
    assert found.outputs == [music / "stems"]


@pytest.mark.parametrize("output", ["Music", "elsewhere"])
def test_a_named_folder_with_records_is_searched_less_the_files_they_name(output: str, music: Path) -> None:
    _make(music, "song.wav", "song/vocals.wav", "song/mine.wav", "Album/one.wav")
    _record(music, "song/vocals.wav", "song/drums.wav")
    found = find_songs([music], music.parent / output)
    assert _trees(found) == ["Music/song.wav", "Music/Album/one.wav", "Music/song/mine.wav"]
    assert (found.stems, found.hidden, found.outputs) == (1, 0, [])


def test_a_folder_named_below_one_with_records_is_searched_less_the_files_they_name(music: Path) -> None:
    _make(music, "song/vocals.wav", "song/mine.wav")
    _record(music, "song/vocals.wav")
    (music.parent / "link").symlink_to(music / "song")
    for named in (music / "song", music.parent / "link"):
        found = find_songs([named], music)
        assert [song.path.name for song in found.songs] == ["mine.wav"]
        assert found.stems == 1


def test_a_stem_that_is_named_itself_is_a_song(music: Path) -> None:
    _make(music, "song/vocals.wav")
    _record(music, "song/vocals.wav")
    assert len(find_songs([music / "song/vocals.wav"], music).songs) == 1


def test_records_of_one_named_folder_do_not_hide_what_is_in_another(music: Path) -> None:
    _make(music, "song/vocals.wav", "song.wav")
    _record(music, "song/vocals.wav")
    other = music.parent / "Other"
    _make(other, "song/vocals.wav")
    assert _trees(find_songs([music, other])) == ["Music/song.wav", "Other/song/vocals.wav"]


def test_records_are_heeded_where_their_version_is_newer_and_passed_over_where_they_are_damaged(music: Path) -> None:
    _make(music, "song.wav", "song/vocals.wav", "song/drums.wav")
    for name, text in {
        "newer": '{"schema": 99, "stems": [{"path": "song/vocals.wav"}]}',
        "cut": '{"schema": 1, "stems": [{"path": "song/drums.wav"',
        "list": "[]",
        "number": '{"stems": [{"path": 1}]}',
        "deep": "[" * 100_000,
    }.items():
        path = record_path(music, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    found = find_songs([music])
    assert _trees(found) == ["Music/song.wav", "Music/song/drums.wav"]
    assert found.stems == 1


def test_the_folder_of_records_is_not_counted(music: Path) -> None:
    _make(music, "song.wav", f"{FOLDER}/song.wav")
    assert find_songs([music]) == Findings(songs=[Song(music / "song.wav", ("Music",))])
