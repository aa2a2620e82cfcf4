"""Templates of output names, and names that every file system takes."""

import os
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplit.errors import UsageError
from stemsplit.separation.naming import DEFAULT_TEMPLATE, FIELDS, NameTemplate, TrackName

VALUES = {
    "track": "song",
    "model": "htdemucs",
    "artist": "Artist",
    "title": "Title",
    "album": "Album",
    "folder": "Folder",
}
# The longest: one of these together with "{stem}" or another field is more than a component holds.
LONG = {"a": "a" * 300, "é": "é" * 200, "東": "東" * 100, "🎵": "🎵" * 80}

# Letters that any name may hold, and everything that has to be replaced, cut off or left alone.
HARD = st.sampled_from([*'aZ._- \t\0<>:"/\\|?*()[]{}é東🎵\u0301\u200d\u3000\ud800\udcff', "NUL", "com1", "nul.", ".."])
TEXT = st.lists(HARD | st.characters(), max_size=20).map("".join) | st.sampled_from(list(LONG.values()))
COMPONENTS = [
    "{track}",
    "{artist}",
    "{artist} - {title}",
    "{model}{track}",
    "{title} ({stem})",
    "{track} - {stem}",
    "{stem}",
    "{stem} of {album}",
    "[{stem}] {track} {stem}",
    "nul",
    "x" * 100,
    ". {folder} .",
    "{{}}",
]
TEMPLATES = st.lists(st.sampled_from(COMPONENTS), min_size=1, max_size=3).map("/".join).map(NameTemplate)
STEMS = ["vocals", "no_vocals", "drums", "lead guitar", "s" * 64]


def _expand(template: str, **values: str) -> TrackName:
    return NameTemplate(template).expand(VALUES | values)


def _is_safe(component: str) -> bool:
    """Written anew: the rules of Microsoft's "Naming files, paths, and namespaces", and ours for hidden files."""
    return (
        0 < len(component.encode("utf-8")) <= 255
        and not re.search(r'[<>:"/\\|?*\x00-\x1f\x7f]', component)
        and not {unicodedata.category(character) for character in component} & {"Cc", "Cs", "Cn", "Co", "Zl", "Zp"}
        and component[0] not in " ."
        and component[-1] not in " ."
        and not re.match(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³]) *(\.|$)", component, re.IGNORECASE)
    )


@pytest.mark.parametrize(
    ("template", "path", "name"),
    [
        ("{track}/{stem}", "song/vocals.wav", "song"),
        ("{model}/{track}/{stem}", "htdemucs/song/vocals.wav", "htdemucs/song"),
        ("{artist}/{album}/{title}/{stem}", "Artist/Album/Title/vocals.wav", "Artist/Album/Title"),
        ("{folder}/{track} {stem}", "Folder/song vocals.wav", "Folder/song"),
        ("{artist} - {title} ({stem})", "Artist - Title (vocals).wav", "Artist - Title"),
        ("{artist} - {stem} - {title}", "Artist - vocals - Title.wav", "Artist - Title"),
        ("{track} [ {stem} ] {album}", "song [ vocals ] Album.wav", "song Album"),
        ("{track}_{stem}", "song_vocals.wav", "song"),
        ("{stem}-{track}", "vocals-song.wav", "song"),
        ("({stem})/{track}", "(vocals)/song.wav", "song"),
        ("{stem}/{track} {{{stem}}}", "vocals/song {vocals}.wav", "song"),
        ("{stem}{stem}/{track}", "vocalsvocals/song.wav", "song"),
        ("stems/{stem}", "stems/vocals.wav", "stems"),
        ("{stem}", "vocals.wav", "song"),
        ("({stem})", "(vocals).wav", "song"),
        ("{track}", "song.wav", "song"),
        ("{{{track}}}/{stem}", "{song}/vocals.wav", "{song}"),
        (r"{artist}\{track}/{stem}", "Artist_song/vocals.wav", "Artist_song"),
        ("C:/{track}/{stem}", "C_/song/vocals.wav", "C_/song"),
        (".stemsplit/{track}/{stem}", "_stemsplit/song/vocals.wav", "_stemsplit/song"),
        ("~/{track}//{stem}/", "~/song/vocals.wav", "~/song"),
        ("nul/{track}/{stem}", "nul_/song/vocals.wav", "nul_/song"),
        ("nul{stem}", "nulvocals.wav", "nul_"),
    ],
)
def test_a_template_names_stems_and_their_track(template: str, path: str, name: str) -> None:
    expanded = _expand(template)
    assert expanded.path("vocals", ".wav") == Path(path)
    assert expanded.name == name
    assert expanded.file(".stem.mp4") == Path(f"{name}.stem.mp4")


@pytest.mark.parametrize(
    ("track", "safe"),
    [
        ("two words", "two words"),
        (" ", "_"),
        ("  padded ", "padded"),
        ("Mr. Dots v1.2.", "Mr. Dots v1.2"),
        ("dots . . ", "dots"),
        (".", "_"),
        ("..", "_"),
        ("[red]brackets[0]", "[red]brackets[0]"),
        ("{track} {0} {stem}", "{track} {0} {stem}"),
        ("100 %s %(x)d %", "100 %s %(x)d %"),
        ("naïve Größe 東京 🎵", "naïve Größe 東京 🎵"),
        ("e\u0301 decomposed", "e\u0301 decomposed"),
        ("*?'\"$HOME`~&;|<>\\", "__'_$HOME`~&;____"),
        ("AC/DC: live", "AC_DC_ live"),
        ("line\nbreak\ttab\x00nul\x7f\x85", "line_break_tab_nul__"),
        ("right\u202eleft\u2028line\ufffenone\ue000private", "right_left_line_none_private"),
        ("no-break\u00a0and ideographic\u3000space", "no-break\u00a0and ideographic\u3000space"),
        ("می\u200cخواهم 👩\u200d🎤", "می\u200cخواهم 👩\u200d🎤"),
        (".hidden", "_hidden"),
        ("...more", "_..more"),
        (" .hidden", "_hidden"),
        ("no suffix", "no suffix"),
        ("x.", "x"),
        ("n" * 240, "n" * 240),
        (os.fsdecode(b"no text \xff\xfe"), "no text __"),
        ("lone \ud800", "lone _"),
        ("-x", "-x"),
        ("CON", "CON_"),
        ("nul.txt", "nul_.txt"),
        ("Lpt9 .tar.gz", "Lpt9_.tar.gz"),
        ("com¹", "com¹_"),
        ("com0", "com0"),
        ("conman", "conman"),
        ("song.nul", "song.nul"),
        ("aux.", "aux_"),
    ],
)
def test_a_track_s_name_is_safe(track: str, safe: str) -> None:
    expanded = _expand("{track}/{stem}", track=track)
    assert expanded.name == safe
    assert expanded.path("vocals", ".wav") == Path(safe, "vocals.wav")
    assert _is_safe(safe)


@pytest.mark.parametrize(
    ("stem", "file"),
    [("../../x", "_._.._x.wav"), ("", "_.wav"), ("nul", "nul_.wav"), ("a/b", "a_b.wav"), ("..", "_.wav")],
)
def test_a_stem_s_name_is_safe(stem: str, file: str) -> None:
    assert _expand("{track}/{stem}").path(stem, ".wav") == Path("song", file)


@pytest.mark.parametrize("letter", LONG)
def test_a_long_name_is_cut_between_characters(letter: str) -> None:
    expanded = _expand("{track}/{stem}", track=LONG[letter])
    size = len(letter.encode())
    assert expanded.name == letter * (240 // size)
    assert expanded.file(".stem.mp4") == Path(f"{expanded.name}.stem.mp4")


@pytest.mark.parametrize("letter", LONG)
@pytest.mark.parametrize("stem", STEMS)
def test_a_stem_s_name_outlives_a_long_track(letter: str, stem: str) -> None:
    expanded = _expand("{track} ({stem}) live", track=LONG[letter])
    file = expanded.path(stem, ".wav").name
    assert file == f"{expanded.name.removesuffix(' live')} ({stem}) live.wav"
    assert len(file.encode()) <= 255


def test_the_longest_of_several_values_is_cut() -> None:
    assert _expand("{artist} - {title}", artist="a" * 300).name == "a" * 232 + " - Title"
    assert _expand("{artist} - {title}", artist="a" * 300, title="t" * 300).name == "a" * 118 + " - " + "t" * 118


def test_what_follows_a_stem_s_name_is_cut_where_the_two_are_too_long() -> None:
    file = _expand("{track} {stem} of {album}", album="b" * 90).path("s" * 200, ".wav").name
    assert file == "s" * 200 + " of " + "b" * 47 + ".wav"
    assert _expand("{stem}").path("s" * 300, ".wav").name == "s" * 251 + ".wav"


def test_a_name_cut_in_a_bad_place_is_made_safe() -> None:
    assert _expand("{track}", track="a" * 239 + " b").name == "a" * 239
    assert _expand("{track}", track="nul" + " " * 300 + "b").name == "nul_"
    assert _expand("{track}", track="nul." + "b" * 236).name == "nul_." + "b" * 235


def test_an_ending_is_never_cut() -> None:
    for template in ("{track}/{stem}", "{artist} - {track} ({stem})", "{stem} {track}", "x" * 100 + "{track}{stem}"):
        long = VALUES | {"track": "n" * 300, "artist": "é" * 300}
        assert NameTemplate(template).expand(long, ending="-1a2b3c4d").name.count("-1a2b3c4d") == 1


@pytest.mark.parametrize(
    ("template", "path", "name"),
    [
        ("{track}/{stem}", "song/vocals.wav", "song"),
        ("{artist}/{title}/{stem}", "Artist/Title song/vocals.wav", "Artist/Title song"),
        ("{artist}/{stem}/{title}", "Artist song/vocals/Title.wav", "Artist song/Title"),
        ("{stem}/{title}/{stem}", "vocals/Title song/vocals.wav", "Title song"),
        ("{artist} - {title} ({stem})", "Artist - Title (vocals) song.wav", "Artist - Title song"),
        ("{stem}", "vocals song.wav", "song"),
        ("{artist}/{title}", "Artist/Title song.wav", "Artist/Title song"),
        ("mine/", "mine song.wav", "mine song"),
    ],
)
def test_a_template_without_the_track_gets_it_to_be_distinct(template: str, path: str, name: str) -> None:
    expanded = NameTemplate(template).expand(VALUES, distinct=True)
    assert expanded.path("vocals", ".wav") == Path(path)
    assert expanded.name == name


@pytest.mark.parametrize(
    ("template", "path", "name"),
    [
        ("{model}/{track}/{stem}", "song/vocals.wav", "song"),
        ("{track}/{model}", "song.wav", "song"),
        ("{model}", "song.wav", "song"),
        ("{model}/{stem}", "vocals.wav", "song"),
    ],
)
def test_a_component_without_text_is_left_out(template: str, path: str, name: str) -> None:
    expanded = _expand(template, model="")
    assert expanded.path("vocals", ".wav") == Path(path)
    assert expanded.name == name


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("", "is empty. Write a template such as {track}/{stem}."),
        (" / ", "is empty"),
        ("/tmp/{track}/{stem}", "starts with a slash"),
        ("../{track}/{stem}", "has a folder '..'"),
        ("{track}/./{stem}", "has a folder '.'"),
        ("{trakc}/{stem}", "{trakc} is no field. Use {track}, {stem}, {model}, {artist}, {title}, {album}, {folder}."),
        ("{}/{stem}", "{} is no field"),
        ("{0}/{stem}", "{0} is no field"),
        ("{track.upper}", "{track.upper} is no field"),
        ("{track[0]}", "{track[0]} is no field"),
        ("{track!r}/{stem}", "Write {track}."),
        ("{track:>5}/{stem}", "Write {track}."),
        ("{track:{stem}}", "Write {track}."),
        ("{track", "has braces that enclose no field"),
        ("track}", "has braces that enclose no field"),
        ("{track/stem}", "has braces that enclose no field"),
        ("{track!}", "has braces that enclose no field"),
        ("{track}/" + "é" * 51, "more than 100 bytes of its own text"),
    ],
)
def test_what_is_no_template_is_told(template: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        NameTemplate(template)
    assert str(refused.value).startswith("--name ")
    assert told in str(refused.value)
    assert str(refused.value).endswith(".")


def test_a_template_tells_its_fields() -> None:
    assert DEFAULT_TEMPLATE.fields == {"track", "stem"}
    assert NameTemplate("/".join(f"{{{field}}}" for field in FIELDS)).fields == set(FIELDS)
    assert NameTemplate("{{stem}}").fields == set()


@given(TEMPLATES, st.fixed_dictionaries(dict.fromkeys(VALUES, TEXT)), TEXT, st.booleans())
def test_every_part_of_every_path_is_safe(
    template: NameTemplate, values: dict[str, str], stem: str, distinct: bool
) -> None:
    expanded = template.expand(values, distinct=distinct)
    for extension in (".wav", ".stem.mp4"):
        for path in (expanded.path(stem, extension), expanded.file(extension)):
            assert path.name.endswith(extension)
            assert [part for part in path.parts if not _is_safe(part)] == []
    assert [part for part in expanded.name.split("/") if not _is_safe(part)] == []


@given(TEXT)
def test_a_safe_name_stays_as_it_is(track: str) -> None:
    name = _expand("{track}/{stem}", track=track).name
    assert _expand("{track}/{stem}", track=name).name == name


@given(TEMPLATES, st.fixed_dictionaries(dict.fromkeys(VALUES, TEXT)))
def test_the_stems_of_a_track_do_not_meet(template: NameTemplate, values: dict[str, str]) -> None:
    if "stem" in template.fields:
        expanded = template.expand(values)
        assert len({expanded.path(stem, ".wav") for stem in STEMS}) == len(STEMS)


@given(TEMPLATES, st.lists(st.fixed_dictionaries(dict.fromkeys(VALUES, TEXT)), min_size=2, max_size=2))
def test_tracks_of_two_places_have_no_file_in_common(template: NameTemplate, values: list[dict[str, str]]) -> None:
    one, other = map(template.expand, values)
    if one.place != other.place:
        for stem in STEMS:
            assert one.path(stem, ".wav") != other.path(stem, ".wav")
