"""Tags, covers and loudness go from any song into stems of any format, and no sample changes on the way."""

import base64
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import soundfile

from signals import convert, needs_ffmpeg, stereo_tones, truncate, write_sound
from stemsplit.audio import ffmpeg_program
from stemsplit.audio.cover import MAX_COVER_BYTES, Cover
from stemsplit.audio.ffmpeg_program import FfmpegError
from stemsplit.audio.tags import TAGGABLE, Tags, read_tags, write_tags

pytestmark = needs_ffmpeg

SECONDS = 0.7
RATES = {"opus": 48_000}  # of others 44,100 Hz
TRACKS = ("Mixture", "Drums", "Bass", "Other", "Vocals")
WIDTH, HEIGHT = 120, 90

COMMON = {
    "title": "Übung = ; # \\ 🎵",
    "artist": "Sigur Rós",
    "album": "An album",
    "track": "3/12",
    "date": "2020",
    "genre": "Rock",
    "comment": "two\nlines",
}
GAINS = {"REPLAYGAIN_TRACK_GAIN": "-7.30 dB", "REPLAYGAIN_TRACK_PEAK": "0.988553"}
# What ffmpeg's MP4 has no name for.
WITHOUT_GAINS = {"m4a", "stem.mp4", "mp4"}

each_format = pytest.mark.parametrize("format", sorted(TAGGABLE))
each_way_of_writing = pytest.mark.parametrize("format", ["flac", "mp3", "opus", "m4a"])


# --- songs and stems ---------------------------------------------------------------------------------------


def picture(path: Path, colour: str = "red") -> Path:
    drawing = ["-f", "lavfi", "-i", f"color={colour}:size={WIDTH}x{HEIGHT}", "-frames:v", "1"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *drawing, path], check=True)
    return path


def tagged_by_ffmpeg(source: Path, target: Path, cover: Path, *options: str, values: Mapping[str, str]) -> Path:
    """A song with tags; `options` map its cover as 1:v, and a film as 2:v."""
    inputs = ["-i", str(cover), "-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=0.7"]
    words = [word for name, value in values.items() for word in ("-metadata", f"{name}={value}")]
    return convert(source, target, *inputs, "-map", "0:a", *options, *words)


def ogg_picture(cover: Path) -> str:
    """The comment of a front cover, put together as the FLAC format has it, with a description."""
    data, mime, text = cover.read_bytes(), b"image/jpeg", "Ö".encode()
    head = struct.pack(">I", 3) + b"".join(struct.pack(">I", len(part)) + part for part in (mime, text))
    return base64.b64encode(head + struct.pack(">5I", WIDTH, HEIGHT, 24, 0, len(data)) + data).decode()


AS_STREAM = ("-map", "1:v", "-c:v", "copy", "-disposition:v", "attached_pic")
FILM = ("-map", "2:v", "-c:v:0", "mpeg4")
SOURCES: dict[str, tuple[str, ...]] = {
    "flac": AS_STREAM,
    "mp3": AS_STREAM,
    "m4a": AS_STREAM,
    "ogg": (),
    "opus": (),
    "mp4": (*FILM, "-map", "1:v", "-c:v:1", "copy", "-disposition:v:1", "attached_pic"),
    "mkv": (*FILM, "-attach", "{cover}", "-metadata:s:t", "mimetype=image/jpeg"),
}


@pytest.fixture(scope="module")
def cover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture(tmp_path_factory.mktemp("cover") / "cover.jpg")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory, cover: Path) -> dict[str, Path]:
    """A song with everything in each format."""
    folder = tmp_path_factory.mktemp("songs")
    sound = write_sound(folder / "sound.wav", stereo_tones(SECONDS))
    made = {}
    for suffix, options in SOURCES.items():
        values = {**COMMON, **GAINS}
        if suffix in ("ogg", "opus"):
            values["METADATA_BLOCK_PICTURE"] = ogg_picture(cover)
        words = [word.format(cover=cover) for word in options]
        made[suffix] = tagged_by_ffmpeg(sound, folder / f"song.{suffix}", cover, *words, values=values)
    return made


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A stem in each format, without tags."""
    folder = tmp_path_factory.mktemp("stems")
    made = {}
    for format in ("flac", "mp3", "ogg", "opus"):
        rate = RATES.get(format, 44_100)
        made[format] = write_sound(folder / f"stem.{format}", stereo_tones(SECONDS, rate), rate)
    wav = write_sound(folder / "stem.wav", stereo_tones(SECONDS))
    exact = ["-c:a", "aac", "-movie_timescale", "44100"]
    made["m4a"] = convert(wav, folder / "stem.m4a", *exact, "-f", "ipod")
    tracks = [word for _ in TRACKS for word in ("-map", "0:a")]
    for index, name in enumerate(TRACKS):
        tracks += [f"-metadata:s:a:{index}", f"title={name}", f"-metadata:s:{index}", f"handler_name={name}"]
        tracks += [f"-disposition:a:{index}", "0" if index else "default"]
    made["stem.mp4"] = convert(wav, folder / "stem.stem.mp4", *tracks, *exact, "-f", "mp4")
    return made


@pytest.fixture
def stems(pristine: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """Copies to write tags into, under a name that tells no format."""
    return {format: Path(shutil.copy(path, tmp_path / f".{format}.0123abcd.part")) for format, path in pristine.items()}


@pytest.fixture
def tags(cover: Path) -> Tags:
    return Tags({**COMMON, **GAINS}, Cover(cover.read_bytes(), "image/jpeg", WIDTH, HEIGHT))


def found_in(path: Path) -> dict[str, str]:
    """All tags as ffprobe tells them, in lower case."""
    found = ffmpeg_program.probe(path)
    all_tags = [found["format"].get("tags", {}), *(stream.get("tags", {}) for stream in found["streams"])]
    return {name.lower(): value for some in all_tags[:2] for name, value in some.items()}


def decoded(path: Path, format: str) -> list[object]:
    """All samples as the decoders give them: libsndfile where it can, and ffmpeg for each track."""
    samples: list[object] = []
    if format in ("flac", "mp3", "ogg", "opus"):
        with path.open("rb") as file:
            samples.append(soundfile.read(file.fileno(), dtype="float32", closefd=False)[0].tobytes())
    for index in range(len(TRACKS) if format == "stem.mp4" else 1):
        command = ["ffmpeg", "-v", "error", "-i", f"file:{path}", "-map", f"0:a:{index}", "-f", "f32le", "-"]
        samples.append(subprocess.run(command, check=True, capture_output=True).stdout)
    return samples


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def lowered(values: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in values.items()}


# --- what is carried ---------------------------------------------------------------------------------------


@each_format
@pytest.mark.parametrize("source", sorted(SOURCES))
def test_tags_and_cover_go_from_any_format_into_any_other(
    source: str, format: str, songs: dict[str, Path], stems: dict[str, Path], cover: Path
) -> None:
    write_tags(stems[format], format, read_tags(songs[source]))

    expected = dict(COMMON) if {source, format} & WITHOUT_GAINS else {**COMMON, **GAINS}
    assert lowered(expected).items() <= found_in(stems[format]).items()
    written = read_tags(stems[format])
    assert written.cover == Cover(cover.read_bytes(), "image/jpeg", WIDTH, HEIGHT)


@each_format
def test_no_sample_changes(format: str, stems: dict[str, Path], pristine: dict[str, Path], tags: Tags) -> None:
    write_tags(stems[format], format, tags)

    assert stems[format].read_bytes() != pristine[format].read_bytes()
    assert decoded(stems[format], format) == decoded(pristine[format], format)


@each_format
def test_the_same_tags_twice_give_the_same_bytes(
    format: str, stems: dict[str, Path], pristine: dict[str, Path], tags: Tags, tmp_path: Path
) -> None:
    other = Path(shutil.copy(pristine[format], tmp_path / "other.part"))
    write_tags(stems[format], format, tags)
    write_tags(other, format, tags)
    assert other.read_bytes() == stems[format].read_bytes()

    write_tags(other, format, tags)
    assert other.read_bytes() == stems[format].read_bytes()


@each_format
def test_later_tags_take_the_place_of_earlier_ones(format: str, stems: dict[str, Path], tags: Tags) -> None:
    write_tags(stems[format], format, tags)
    write_tags(stems[format], format, Tags({"title": "Another"}))
    assert read_tags(stems[format]) == Tags({"title": "Another"})


@each_format
def test_without_tags_the_file_stays_as_it_is(format: str, stems: dict[str, Path], pristine: dict[str, Path]) -> None:
    write_tags(stems[format], format, Tags({}))
    assert stems[format].read_bytes() == pristine[format].read_bytes()


@each_format
def test_odd_values_survive_and_odd_names_do_no_harm(format: str, stems: dict[str, Path]) -> None:
    odd = {
        "title": " = ; # \\ [x] \\",
        "artist": "a\r\nb\rc\n\n;d\\\n[STREAM]\n",
        "album": "nul\0 and half a letter \ud800",
        "comment": "x" * 100_000,
        "we=ird": "1", "[STREAM]": "2", ";remark": "3", "#number": "4", "back\\slash": "5", "new\nline": "6",
        "[CHAPTER]x": "7", "": "7", "Künstler": "8", "genre": "", "-map": "9", "two words": "10",
    }  # fmt: skip
    write_tags(stems[format], format, Tags(odd))

    found = found_in(stems[format])
    assert found["title"] == odd["title"]
    assert found["artist"] == "a\nb\nc\n\n;d\\\n[STREAM]\n"
    assert found["album"] == "nul and half a letter ?"
    assert found["comment"] == odd["comment"]
    assert "genre" not in found


def test_only_odd_names_leave_a_file_that_plays(stems: dict[str, Path], pristine: dict[str, Path]) -> None:
    for format, stem in stems.items():
        write_tags(stem, format, Tags({"=": "x", "title": ""}))
        assert decoded(stem, format) == decoded(pristine[format], format)


@pytest.mark.parametrize("name", [os.fsdecode(b"\xff a.part"), "-y.part", "a:b%d.part", "new\nline.part"])
@each_way_of_writing
def test_any_name(
    name: str, format: str, pristine: dict[str, Path], tags: Tags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stem = Path(shutil.copy(pristine[format], name))
    write_tags(stem, format, tags)
    assert read_tags(stem).cover == tags.cover
    assert [path.name for path in tmp_path.iterdir()] == [name]


# --- MP4 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["m4a", "stem.mp4"])
def test_mp4_declares_its_true_length(format: str, stems: dict[str, Path], tags: Tags) -> None:
    write_tags(stems[format], format, tags)
    sounds = [s for s in ffmpeg_program.probe(stems[format])["streams"] if s["codec_type"] == "audio"]
    assert {sound["duration_ts"] for sound in sounds} == {round(SECONDS * 44_100)}


def test_all_tracks_of_a_bundle_keep_their_names_and_only_the_first_is_enabled(
    stems: dict[str, Path], tags: Tags
) -> None:
    bundle = stems["stem.mp4"]
    write_tags(bundle, "stem.mp4", tags)

    sounds = [s for s in ffmpeg_program.probe(bundle)["streams"] if s["codec_type"] == "audio"]
    assert [sound["disposition"]["default"] for sound in sounds] == [1, 0, 0, 0, 0]
    assert [sound["tags"]["handler_name"] for sound in sounds] == list(TRACKS)
    data = bundle.read_bytes()
    assert all(b"name" + name.encode() in data for name in TRACKS)  # the atom that ffmpeg writes and does not read


# --- covers --------------------------------------------------------------------------------------------------


@each_format
def test_png_stays_png(format: str, stems: dict[str, Path], tmp_path: Path) -> None:
    data = picture(tmp_path / "cover.png").read_bytes()
    tags = Tags({}, Cover(data, "image/png", WIDTH, HEIGHT))
    write_tags(stems[format], format, tags)
    assert read_tags(stems[format]) == tags


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_video_is_no_cover(suffix: str, tmp_path: Path, cover: Path) -> None:
    sound = write_sound(tmp_path / "sound.wav", stereo_tones(SECONDS))
    film = tagged_by_ffmpeg(sound, tmp_path / f"film.{suffix}", cover, *FILM, values={"title": "A"})
    assert lowered(read_tags(film).values) == {"title": "A"}
    assert read_tags(film).cover is None


def test_the_front_cover_goes_before_others(tmp_path: Path, cover: Path) -> None:
    back, sound = picture(tmp_path / "back.jpg", "blue"), write_sound(tmp_path / "sound.wav", stereo_tones(SECONDS))
    both = ["-i", str(back), "-i", str(cover), "-map", "0:a", "-map", "1:v", "-map", "2:v", "-c:v", "copy"]
    both += ["-disposition:v", "attached_pic"]

    kinds = ["-metadata:s:v:0", "comment=Cover (back)", "-metadata:s:v:1", "comment=Cover (front)"]
    song = read_tags(convert(sound, tmp_path / "kinds.flac", *both, *kinds))
    assert song.cover is not None
    assert song.cover.data == cover.read_bytes()

    song = read_tags(convert(sound, tmp_path / "no_kinds.flac", *both))
    assert song.cover is not None
    assert song.cover.data == back.read_bytes()


def test_a_cover_of_another_format_becomes_jpeg(tmp_path: Path) -> None:
    bitmap, sound = picture(tmp_path / "a.bmp"), write_sound(tmp_path / "sound.wav", stereo_tones(SECONDS))
    song = read_tags(tagged_by_ffmpeg(sound, tmp_path / "song.flac", bitmap, *AS_STREAM, values={"title": "A"}))
    assert song.cover is not None
    assert (song.cover.mime, song.cover.width, song.cover.height) == ("image/jpeg", WIDTH, HEIGHT)
    assert song.cover.data.startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("kept_bytes", [0, 4])
@pytest.mark.parametrize("source", ["flac", "mp3", "m4a"])
def test_a_broken_cover_loses_no_tags(
    source: str, kept_bytes: int, songs: dict[str, Path], cover: Path, tmp_path: Path
) -> None:
    data = cover.read_bytes()
    song = tmp_path / f"song.{source}"
    song.write_bytes(songs[source].read_bytes().replace(data, data[:kept_bytes].ljust(len(data), b"\0")))
    tags = read_tags(song)
    assert tags.cover is None
    assert tags.get("title") == COMMON["title"]


@pytest.mark.parametrize("excess", [0, 1])
@each_format
def test_covers_fit_up_to_the_limit_and_are_left_out_above(
    format: str, excess: int, stems: dict[str, Path], pristine: dict[str, Path], cover: Path
) -> None:
    data = cover.read_bytes()
    data = data[:-2] + os.urandom(MAX_COVER_BYTES + excess - len(data)).replace(b"\xff", b"\0") + data[-2:]
    large = Cover(data, "image/jpeg", WIDTH, HEIGHT)
    write_tags(stems[format], format, Tags({"title": "A"}, large))
    assert read_tags(stems[format]) == Tags({"title": "A"}, None if excess else large)
    assert decoded(stems[format], format) == decoded(pristine[format], format)


# --- loudness ------------------------------------------------------------------------------------------------


def test_opus_gains_become_replaygain_elsewhere_and_the_reverse(stems: dict[str, Path]) -> None:
    write_tags(stems["mp3"], "mp3", Tags({"R128_TRACK_GAIN": "-1280"}))
    assert found_in(stems["mp3"])["replaygain_track_gain"] == "0.00 dB"

    write_tags(stems["opus"], "opus", Tags({"replaygain_album_gain": "-7.30 dB"}))
    assert found_in(stems["opus"])["r128_album_gain"] == str(round((-7.3 - 5) * 256))
    assert found_in(stems["opus"])["replaygain_album_gain"] == "-7.30 dB"


# --- what is read --------------------------------------------------------------------------------------------


def test_names_are_found_in_any_case() -> None:
    tags = Tags({"TITLE": "A", "Album_Artist": "B"})
    assert (tags.get("title"), tags.get("ALBUM_ARTIST"), tags.get("date")) == ("A", "B", None)


def test_the_title_gains_the_name_of_the_stem(tags: Tags) -> None:
    stem = Tags({"Title": "Song", "artist": "A"}, tags.cover).of_stem("drums")
    assert stem == Tags({"Title": "Song (drums)", "artist": "A"}, tags.cover)
    assert Tags({"artist": "A"}).of_stem("drums") == Tags({"artist": "A"})


def test_tags_are_true_when_there_is_something_to_carry(tags: Tags) -> None:
    assert not Tags({})
    assert Tags({"title": "A"})
    assert Tags({}, tags.cover)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus"])
def test_a_song_without_tags(suffix: str, tmp_path: Path) -> None:
    rate = RATES.get(suffix, 44_100)
    assert not read_tags(write_sound(tmp_path / f"song.{suffix}", stereo_tones(SECONDS, rate), rate))


@pytest.mark.parametrize("suffix", ["m4a", "mkv", "mp4"])
def test_what_is_said_about_the_file_is_not_carried(suffix: str, songs: dict[str, Path]) -> None:
    expected = {**COMMON} if suffix != "mkv" else {**COMMON, **GAINS}
    assert lowered(read_tags(songs[suffix]).values) == lowered(expected)


@pytest.mark.parametrize(
    "name",
    [
        "ENCODER", "encoder_options", "Encoded_By", "iTunSMPB", "TLEN", "BPS-eng", "NUMBER_OF_FRAMES",
        "_STATISTICS_TAGS-eng", "WAVEFORMATEXTENSIBLE_CHANNEL_MASK", "MP3GAIN_UNDO", "language",
    ],
)  # fmt: skip
def test_technical_names(name: str, tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "sound.wav", stereo_tones(SECONDS))
    song = convert(sound, tmp_path / "song.flac", "-metadata", f"{name}=1", "-metadata", "bpm=120")
    assert read_tags(song) == Tags({"bpm": "120"})


def test_the_name_of_a_track_is_no_title(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "sound.wav", stereo_tones(SECONDS))
    track = ["-metadata:s:a:0", "title=Stereo", "-metadata:s:a:0", "artist=A"]
    assert read_tags(convert(sound, tmp_path / "song.mka", *track)).get("title") is None


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_reading_never_fails(source: str, songs: dict[str, Path], tmp_path: Path) -> None:
    for share in (0, 0.01, 0.1, 0.5):
        read_tags(truncate(Path(shutil.copy(songs[source], tmp_path / f"{share}.{source}")), share))
    text = tmp_path / f"text.{source}"
    text.write_text("no sound")
    assert read_tags(text) == Tags({})


def test_reading_what_is_no_file(tmp_path: Path) -> None:
    assert read_tags(tmp_path / "missing.mp3") == Tags({})
    assert read_tags(tmp_path) == Tags({})
    assert read_tags(Path("nul\0.mp3")) == Tags({})


@pytest.fixture
def no_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))


@pytest.mark.usefixtures("no_ffmpeg")
def test_without_ffmpeg_libsndfile_tells_what_it_knows(songs: dict[str, Path], tmp_path: Path) -> None:
    tags = read_tags(songs["flac"])
    assert {"title", "artist", "album", "date", "genre"} <= set(tags.values)
    assert {name: COMMON[name] for name in COMMON if name in tags.values} == dict(tags.values)
    assert tags.cover is None
    assert read_tags(songs["m4a"]) == Tags({})
    assert read_tags(tmp_path / "missing.flac") == Tags({})


# --- what fails ----------------------------------------------------------------------------------------------


@each_format
def test_a_stem_that_is_none_is_left_alone(format: str, tags: Tags, tmp_path: Path) -> None:
    stem = tmp_path / "stem.part"
    stem.write_bytes(b"no sound" * 1000)
    with pytest.raises(FfmpegError):
        write_tags(stem, format, tags)
    assert everything_in(tmp_path) == {"stem.part": b"no sound" * 1000}


@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt()])
@each_way_of_writing
def test_a_failure_at_the_end_leaves_no_trace(
    error: BaseException,
    format: str,
    stems: dict[str, Path],
    tags: Tags,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise error

    before = everything_in(tmp_path)
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(type(error)):
        write_tags(stems[format], format, tags)
    assert everything_in(tmp_path) == before


@each_format
def test_a_target_that_cannot_be_written(format: str, stems: dict[str, Path], tags: Tags, tmp_path: Path) -> None:
    before = everything_in(tmp_path)
    (tmp_path / f"{stems[format].name}.tagged").mkdir()
    with pytest.raises((FfmpegError, OSError)):
        write_tags(stems[format], format, tags)
    assert everything_in(tmp_path) == before


@pytest.mark.usefixtures("no_ffmpeg")
@each_format
def test_writing_without_ffmpeg(format: str, stems: dict[str, Path], tags: Tags, tmp_path: Path) -> None:
    before = everything_in(tmp_path)
    with pytest.raises(OSError, match="ff"):
        write_tags(stems[format], format, tags)
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("frames", [1, 500, 1023, 1024, 5000])
@pytest.mark.parametrize("format", ["flac", "mp3", "ogg", "opus"])
def test_short_stems_keep_their_length_if_need_be_without_tags(
    format: str, frames: int, tags: Tags, tmp_path: Path
) -> None:
    rate = RATES.get(format, 44_100)
    stem = write_sound(tmp_path / f"stem.{format}", stereo_tones(frames / rate, rate), rate)
    before = everything_in(tmp_path)
    try:
        write_tags(stem, format, tags)
    except FfmpegError:
        assert format == "ogg"
        assert everything_in(tmp_path) == before
    assert soundfile.info(str(stem)).frames == frames
