"""--name: where stems go, of what the song is called, what it says about itself, and where it lies."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import soundfile

from cli.program import FOUR, Result, assert_one_sentence, everything_below, stemsplit
from signals import Block, needs_ffmpeg, noise, stereo_tones

Split = Callable[..., Result]
Tags = Mapping[str, str]

OF_TWO = ("one", "two")
FULL = {"title": "Song", "artist": "Sigur Rós", "album": "An album"}


def tagged(path: Path, tags: Tags, block: Block | None = None) -> Path:
    """A song with tags, which libsndfile writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    block = stereo_tones(0.3, level=0.2) if block is None else block
    with soundfile.SoundFile(path, "w", 44_100, len(block)) as song:
        for name, value in tags.items():
            setattr(song, name, value)
        song.write(block.T)
    return path


def places(result: Result, here: Path) -> list[str]:
    """Where the drums of every song went, below ./separated; all that is there has been told."""
    assert result.code == 0, result.err
    told = [path for report in result.reports for path in report["outputs"].values()]
    below = {str(path) for path in everything_below(here / "separated") if path.is_file()}
    assert below == set(told)
    return [str(Path(report["outputs"]["drums"]).relative_to(here / "separated")) for report in result.reports]


@pytest.mark.parametrize(
    ("template", "place", "track"),
    [
        ("{track}/{stem}", "song/drums.wav", "song"),
        ("{stem}", "drums.wav", "song"),
        ("{track} {stem}", "song drums.wav", "song"),
        ("{stem}/{track}", "drums/song.wav", "song"),
        ("{artist}/{title}/{stem}", "Sigur Rós/Song/drums.wav", "Sigur Rós/Song"),
        ("{artist} - {title} ({stem})", "Sigur Rós - Song (drums).wav", "Sigur Rós - Song"),
        ("{artist}/{album}/{title}/{stem}", "Sigur Rós/An album/Song/drums.wav", "Sigur Rós/An album/Song"),
        ("{folder}/{track}/{stem}", "My music/song/drums.wav", "My music/song"),
        ("{model}/{track}/{stem}", "small/song/drums.wav", "small/song"),
        ("{track}/{stem} by {model}", "song/drums by small.wav", None),
        ("stems/{stem}", "stems/drums.wav", None),
        ("{track}/{{{stem}}}", "song/{drums}.wav", "song"),
        ("{track}//{stem}/", "song/drums.wav", "song"),
        ("{track}/{stem}{stem}", "song/drumsdrums.wav", "song"),
    ],
)
def test_a_template(template: str, place: str, track: str | None, here: Path, split: Split) -> None:
    song = tagged(here / "My music/song.flac", FULL)
    result = split(song, "--name", template, "--json")
    assert places(result, here) == [place]
    assert set(result.report["outputs"]) == FOUR
    assert len(set(result.report["outputs"].values())) == 4
    if track:
        assert result.report["track"] == track


@pytest.mark.parametrize("name", ["song.flac", "song.ogg", "song.mp3", "song.wav"])
def test_tags_of_every_format_are_fields(name: str, here: Path, split: Split) -> None:
    tagged(here / name, FULL)
    result = split(name, "--name", "{artist}/{album}/{title} {stem}", "--json")
    assert places(result, here) == ["Sigur Rós/An album/Song drums.wav"]


@pytest.mark.parametrize(
    ("tags", "place"),
    [
        ({}, "Unknown artist/Unknown album/song/drums.wav"),
        ({"artist": "A"}, "A/Unknown album/song/drums.wav"),
        ({"title": "T", "album": "B"}, "Unknown artist/B/T/drums.wav"),
        ({"title": "  ", "artist": " A "}, "A/Unknown album/song/drums.wav"),
    ],
)
def test_tags_that_are_missing(tags: Tags, place: str, here: Path, split: Split) -> None:
    tagged(here / "song.flac", tags)
    result = split("song.flac", "--name", "{artist}/{album}/{title}/{stem}", "--json")
    assert places(result, here) == [place]


def test_tags_are_fields_without_ffmpeg(here: Path, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    tagged(here / "song.flac", FULL)
    monkeypatch.setenv("PATH", str(here))
    result = split("song.flac", "--name", "{artist}/{title}/{stem}", "--json")
    assert places(result, here) == ["Sigur Rós/Song/drums.wav"]


# --- two songs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{artist}/{title}/{stem}", ["Sigur Rós/Song/drums.wav", "Sigur Rós/Song two.flac/drums.wav"]),
        ("{artist} - {title} ({stem})", ["Sigur Rós - Song (drums).wav", "Sigur Rós - Song (drums) two.flac.wav"]),
        ("{stem}", ["drums.wav", "drums two.flac.wav"]),
        ("{model}/{stem}", ["small/drums.wav", "small two.flac/drums.wav"]),
        ("{folder}/{track}/{stem}", ["a/one/drums.wav", "a/two/drums.wav"]),
    ],
)
def test_two_songs_of_one_name_have_each_their_place(
    template: str, expected: list[str], here: Path, split: Split
) -> None:
    """With the stems that each of them has alone."""
    songs = [tagged(here / f"a/{name}.flac", FULL, noise(2, 20_000, 0.1, seed)) for seed, name in enumerate(OF_TWO)]
    result = split(*songs, "--name", template, "--bit-depth", "32f", "--json")
    assert places(result, here) == expected
    assert len({report["track"] for report in result.reports}) == 2
    for song, place in zip(songs, expected, strict=True):
        assert split(song, "-o", "alone", "--bit-depth", "32f").code == 0
        assert (here / "separated" / place).read_bytes() == (here / f"alone/{song.stem}/drums.wav").read_bytes()


@pytest.mark.parametrize(
    ("first", "second"), [("Song", "song"), ("é", "e\N{COMBINING ACUTE ACCENT}"), ("a?", "a*"), ("b", "b.")]
)
def test_titles_that_some_disks_do_not_tell_apart(first: str, second: str, here: Path, split: Split) -> None:
    tagged(here / "one.flac", {"title": first})
    tagged(here / "two.flac", {"title": second})
    result = split("one.flac", "two.flac", "-s", "drums", "--name", "{title}/{stem}", "--json")
    one, two = places(result, here)
    assert one.casefold() != two.casefold()
    assert two.endswith(" two.flac/drums.wav")


def test_three_songs_of_one_name(here: Path, split: Split) -> None:
    """The last one is told apart by where it lies, the same way every time."""
    for folder in ("a", "b", "c"):
        tagged(here / folder / "song.flac", FULL)
    songs = [f"{folder}/song.flac" for folder in "abc"]
    words = [*songs, "-s", "drums", "--name", "{title}/{stem}", "--json"]
    found = places(split(*words), here)
    assert found[:2] == ["Song/drums.wav", "Song song.flac/drums.wav"]
    assert found[2].startswith("Song song.flac-")
    assert places(split(*words, "--overwrite"), here) == found


# --- stems without a name -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "stem"), [("-s vocals", "vocals"), ("--drop vocals", "no_vocals"), ("--mix x=drums+bass", "x")]
)
@pytest.mark.parametrize(
    ("template", "place"), [("{track}", "song.wav"), ("{artist}/{title}", "Sigur Rós/Song.wav"), ("out", "out.wav")]
)
def test_one_stem_needs_no_name(template: str, place: str, options: str, stem: str, here: Path, split: Split) -> None:
    tagged(here / "song.flac", FULL)
    result = split("song.flac", "--name", template, *options.split(), "--json")
    assert result.code == 0
    assert result.report["outputs"] == {stem: str(here / "separated" / place)}
    assert [path for path in everything_below(here / "separated") if path.is_file()] == [here / "separated" / place]


def test_one_stem_of_two_songs_without_any_name(here: Path, split: Split) -> None:
    for name in OF_TWO:
        tagged(here / f"{name}.flac", {})
    result = split("one.flac", "two.flac", "-s", "drums", "--name", "out", "--json")
    assert places(result, here) == ["out.wav", "out two.flac.wav"]


@pytest.mark.parametrize("options", [[], ["-k"], ["-s", "drums,bass"], ["-s", "drums", "--residual"]])
@pytest.mark.parametrize("model", ["folder", "catalogue"])
def test_several_stems_need_one(model: str, options: list[str], here: Path, split: Split) -> None:
    """Told before the song is decoded, which would end otherwise, or a model of the catalogue is fetched."""
    (here / "song.mp3").write_text("la la la")
    before = everything_below(here)
    words = [*options, *(["-m", "htdemucs"] if model == "catalogue" else [])]
    result = split("song.mp3", "--name", "{artist}/{title}", *words)
    assert result.code == 2
    assert_one_sentence(result, "stems", "--name", "{stem}")
    assert everything_below(here) == before


@needs_ffmpeg
@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("{track}/{stem}", "song.stem.mp4"),
        ("{artist}/{title}/{stem}", "Sigur Rós/Song.stem.mp4"),
        ("{artist} - {title}", "Sigur Rós - Song.stem.mp4"),
        ("{title} ({stem})", "Song.stem.mp4"),
        ("{stem}", "song.stem.mp4"),
    ],
)
def test_a_bundle_of_all_stems_has_none(template: str, place: str, here: Path, split: Split) -> None:
    tagged(here / "song.flac", FULL)
    result = split("song.flac", "-f", "stem.mp4", "--name", template, "--json")
    assert places(result, here) == [place]


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "mention"),
    [
        ("{foo}/{stem}", "{foo} is no field. Use {track}, {stem}, {model}, {artist}, {title}, {album}, {folder}"),
        ("{Track}/{stem}", "{Track} is no field"),
        ("{}/{stem}", "{} is no field"),
        ("{0}/{stem}", "{0} is no field"),
        ("{track.name}/{stem}", "{track.name} is no field"),
        ("{track[0]}/{stem}", "{track[0]} is no field"),
        ("{track!r}/{stem}", "Write {track}"),
        ("{track:>9}/{stem}", "Write {track}"),
        ("{track/{stem}", "braces"),
        ("track}/{stem}", "braces"),
        ("../{stem}", "'..'"),
        ("{track}/../{stem}", "'..'"),
        ("./{stem}", "'.'"),
        ("/tmp/{stem}", "starts with a slash"),
        ("", "--name is empty"),
        (" ", "--name is empty"),
        ("//", "--name is empty"),
        ("x" * 101 + "{stem}", "100 bytes"),
    ],
)
def test_what_is_no_template(template: str, mention: str, here: Path, tmp_path: Path) -> None:
    """Found before any work: neither the song nor the model could be read, which would end otherwise."""
    (here / "song.mp3").write_text("la la la")
    (tmp_path / "damaged.safetensors").write_bytes(b"no network")
    before = everything_below(tmp_path)
    result = stemsplit("song.mp3", "-m", tmp_path / "damaged.safetensors", "--name", template)
    assert result.code == 2
    assert_one_sentence(result, "--name", mention)
    assert everything_below(tmp_path) == before


# --- names that are not safe ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "folder"),
    [
        ("AC/DC", "AC_DC"),
        ("/etc/passwd", "_etc_passwd"),
        ("../../up", "_._.._up"),
        ("..", "_"),
        (".", "_"),
        (".hidden", "_hidden"),
        (".stemsplit", "_stemsplit"),
        ("C:\\Windows", "C__Windows"),
        ('What? "No" <yes> *|*', "What_ _No_ _yes_ ___"),
        ("CON", "CON_"),
        ("nul.txt", "nul_.txt"),
        ("dots...", "dots"),
        ("line\nbreak\ttab", "line_break_tab"),
        ("{stem}{track}", "{stem}{track}"),
        ("%s $HOME `x`", "%s $HOME `x`"),
        ("東京 🎵", "東京 🎵"),
        ("n" * 300, "n" * 240),
        ("é" * 200, "é" * 120),
    ],
)
def test_a_title_that_is_no_safe_name(title: str, folder: str, here: Path, split: Split) -> None:
    """It stays one folder below the output, on any disk."""
    tagged(here / "song.flac", {"title": title})
    before = set(everything_below(here.parent))
    result = split("song.flac", "-s", "drums", "--name", "{title}/{stem}", "--json")
    assert places(result, here) == [f"{folder}/drums.wav"]
    written = here / "separated" / folder / "drums.wav"
    assert set(everything_below(here.parent)) - before == {written, written.parent, here / "separated"}


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("a:b/{stem}", "a_b/drums.wav"),
        ("{track}?/{stem}*", "song_/drums_.wav"),
        ("aux/{stem}", "aux_/drums.wav"),
        (".x/{stem}", "_x/drums.wav"),
        ("x ./{stem}", "x/drums.wav"),
    ],
)
def test_a_template_whose_own_text_is_no_safe_name(template: str, place: str, here: Path, split: Split) -> None:
    tagged(here / "song.flac", {})
    assert places(split("song.flac", "-s", "drums", "--name", template, "--json"), here) == [place]


def test_long_names_keep_all_stems_apart(here: Path, split: Split) -> None:
    """Several of them in one file's name, each cut alike, and the stem whole."""
    tagged(here / "song.flac", {"title": "t" * 300, "artist": "a" * 300})
    result = split("song.flac", "--name", "{artist} - {title} {stem}", "--json")
    assert result.code == 0
    names = {stem: Path(path).name for stem, path in result.report["outputs"].items()}
    for stem, name in names.items():
        assert name.endswith(f"t {stem}.wav")
        assert name.startswith("aaaa")
        assert len(os.fsencode(name)) <= 255
    assert len({name.removesuffix(f" {stem}.wav") for stem, name in names.items()}) == 1
