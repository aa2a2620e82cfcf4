"""Names of tracks below the output folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplit.separation import plan
from stemsplit.separation.naming import NameTemplate
from stemsplit.separation.plan import PlannedTrack, plan_tracks, split_missing
from stemsplit.separation.walk import Song

Tell = Callable[[dict[str, dict[str, str]]], None]


def _plan(*paths: str, template: str = "{track}/{stem}", model: str = "") -> list[PlannedTrack]:
    return plan_tracks((Song(Path(path)) for path in paths), NameTemplate(template), model)


def _names(*paths: str, template: str = "{track}/{stem}") -> list[str]:
    return [track.name for track in _plan(*paths, template=template)]


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch) -> Tell:
    """Have files carry tags by their names, without a file or ffmpeg."""

    def tell(tags: dict[str, dict[str, str]]) -> None:
        monkeypatch.setattr(plan, "read_tags", lambda path, cover: tags.get(path.name, {}))

    return tell


def test_a_track_is_named_after_its_file() -> None:
    assert _names("a/song.mp3", "other.v2.flac") == ["song", "other.v2"]


def test_a_track_knows_where_its_outputs_go() -> None:
    (track,) = _plan("a/song.mp3")
    assert track.path == Path("a/song.mp3")
    assert track.stem_path("vocals", ".wav") == Path("song/vocals.wav")
    assert track.file_path(".stem.mp4") == Path("song.stem.mp4")


def test_later_tracks_of_one_name_use_the_full_file_name_then_a_hash() -> None:
    song, full, hashed, again = _names("a/song.mp3", "b/song.mp3", "c/song.mp3", "d/song.wav")
    assert (song, full, again) == ("song", "song.mp3", "song.wav")
    assert hashed.startswith("song.mp3-")
    assert len(hashed) == len("song.mp3-1a2b3c4d")


def test_the_same_file_is_done_once() -> None:
    assert _names("song.mp3", "./song.mp3", str(Path("song.mp3").absolute())) == ["song"]


def test_names_that_some_disks_do_not_tell_apart_collide() -> None:
    assert _names("Song.mp3", "song.wav", "é.mp3", "é.wav") == ["Song", "song.wav", "é", "é.wav"]
    assert _names("\N{LATIN SMALL LETTER E WITH ACUTE}.mp3", "e\u0301.wav")[1] == "e\u0301.wav"
    assert _names("a?.mp3", "a*.mp3", "x.wav", "x..wav") == ["a_", "a_.mp3", "x", "x..wav"]


def test_a_file_called_as_another_s_fallback_does_not_take_its_place() -> None:
    names = _names("song.mp3.wav", "a/song.mp3", "b/song.mp3")
    assert names == ["song.mp3", "song", names[2]]
    assert names[2].startswith("song.mp3-")
    again = _names("song.mp3.wav", f"{names[2]}.wav", "a/song.mp3", "b/song.mp3")
    assert again[:3] == ["song.mp3", names[2], "song"]
    assert again[3].startswith(names[2])
    assert len(again[3]) == len("song.mp3-") + 64


def test_a_name_of_dots_alone_is_a_name() -> None:
    one, other = _names("...wav", "..wav")
    assert one == "_"
    assert other not in ("_", ".", "..")


def test_the_folder_and_the_model_are_fields() -> None:
    (track,) = _plan("Folder/song.mp3", template="{model}/{folder}/{track} {stem}", model="htdemucs")
    assert track.stem_path("vocals", ".wav") == Path("htdemucs/Folder/song vocals.wav")
    assert track.name == "htdemucs/Folder/song"
    (track,) = _plan("/song.mp3", template="{model}/{folder}/{track}/{stem}")
    assert track.stem_path("vocals", ".wav") == Path("song/vocals.wav")


def test_tags_are_fields(tell: Tell) -> None:
    tell({"song.mp3": {"artist": "AC/DC", "title": " Title\n", "album": "Album"}, "blank.mp3": {"artist": " "}})
    template = "{artist}/{album}/{title}/{stem}"
    assert _names("song.mp3", template=template) == ["AC_DC/Album/Title"]
    assert _names("blank.mp3", template=template) == ["Unknown artist/Unknown album/blank"]
    assert _names("none.v2.mp3", template=template) == ["Unknown artist/Unknown album/none.v2"]


def test_tags_are_read_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "read_tags", None)  # calling it fails
    assert _names("song.mp3", template="{model}/{folder}/{track}/{stem}") == [f"{Path.cwd().name}/song"]
    with pytest.raises(TypeError):
        _names("song.mp3", template="{album}/{stem}")


def test_a_template_without_the_track_gets_it_where_two_would_share_a_place(tell: Tell) -> None:
    tell({name: {"artist": "Artist", "title": "Title"} for name in ("song.mp3", "song.wav")})
    tracks = _plan("song.mp3", "song.wav", "a/song.wav", template="{artist}/{title}/{stem}")
    assert [track.name for track in tracks[:2]] == ["Artist/Title", "Artist/Title song.wav"]
    assert tracks[2].name.startswith("Artist/Title song.wav-")
    assert tracks[1].stem_path("vocals", ".wav") == Path("Artist/Title song.wav/vocals.wav")
    tracks = _plan("song.mp3", "song.wav", template="{artist} - {title} ({stem})")
    assert [track.name for track in tracks] == ["Artist - Title", "Artist - Title song.wav"]
    assert tracks[1].stem_path("vocals", ".wav") == Path("Artist - Title (vocals) song.wav.wav")


def test_tracks_that_share_a_folder_of_stems_do_not_share_stems() -> None:
    one, two = _plan("one.mp3", "two.mp3", template="{stem}")
    assert (one.name, two.name) == ("one", "two.mp3")
    assert one.stem_path("vocals", ".wav") == Path("vocals.wav")
    assert two.stem_path("vocals", ".wav") == Path("vocals two.mp3.wav")
    names = _names("two.mp3.wav", "two.mp3", template="{stem}")
    assert names[0] == "two.mp3"
    assert names[1].startswith("two.mp3-")


def test_what_is_not_there_is_told_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "song.wav").touch()
    tracks = plan_tracks([Song(tmp_path / "song.wav"), Song(tmp_path / "none.wav")])
    present, (report,) = split_missing(tracks)
    assert present == tracks[:1]
    assert (report.track, report.status) == ("none", "failed")


LONG = ["b" * 300, "b" * 299 + "c", "é" * 150, "e\u0301" * 150]
NAMES = st.sampled_from([*LONG, "a", "A", "..", ".a", "_a", "a ", "a?", "nul", "nul_"])
FILES = st.builds("{}/{}{}".format, st.sampled_from("xy"), NAMES, st.sampled_from(["", ".mp3", ".wav"]))
TEMPLATES = st.sampled_from(
    ["{track}/{stem}", "{track} {stem}", "{stem}", "{stem}/{track}", "{folder}/{stem}", "{folder}", "x" * 99 + "{stem}"]
)


@given(st.lists(FILES, unique_by=os.path.abspath), TEMPLATES, st.sampled_from([".wav", ".stem.mp4"]))
def test_different_inputs_have_different_names_and_files(files: list[str], template: str, extension: str) -> None:
    tracks = _plan(*files, template=template)
    assert len({track.name.casefold() for track in tracks}) == len(files)
    assert len({track.file_path(extension) for track in tracks}) == len(files)
    if "{stem}" in template:
        stems = ["vocals", "drums", "s" * 64]
        assert len({track.stem_path(stem, extension) for track in tracks for stem in stems}) == 3 * len(files)
