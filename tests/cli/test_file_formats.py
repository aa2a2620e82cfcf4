"""Every format in and out, by the whole program: two decoders find the same sound, the tags and nothing else."""

import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.test_tags import SOURCES, ogg_picture, picture, tagged_by_ffmpeg
from cli.program import FOUR, Result, assert_one_sentence, everything_below, mounted, sound, stemsplit
from signals import convert, needs_ffmpeg, noise, stereo_tones, write_sound
from standins import REDUCED, SIX_SOURCES, make_folder
from stemsplit.audio import ffmpeg_program
from stemsplit.audio.formats import FORMATS
from stemsplit.audio.tags import TAGGABLE, read_tags

pytestmark = needs_ffmpeg

Split = Callable[..., Result]
Samples = NDArray[np.float64]

FRAMES = 30_001
TAGS = {"title": "Übung", "artist": "Sigur Rós", "album": "An album"}
TRACKS = ("mixture", "drums", "bass", "other", "vocals")  # of a bundle, in its order

BY_LIBSNDFILE = ("wav", "flac", "aiff", "mp3", "ogg", "opus")
LOSSY = ("mp3", "ogg", "opus", "m4a", "stem.mp4")
# Frames that ffmpeg may give beyond the end, as these have no way to say where in the last block a song ends, or
# ffmpeg 5 does not ask for it. 4,096 is the longest block of libvorbis at these rates, 1,024 that of AAC.
LATER = {"ogg": 4096, "m4a": 1024, "stem.mp4": 1024}

each_format = pytest.mark.parametrize("format_", FORMATS)
each_lossy_format = pytest.mark.parametrize("format_", LOSSY)

WITH_FILM = {name: SOURCES[name] for name in ("mp4", "mkv")}
WITH_COVER = {name: SOURCES[name] for name in ("flac", "mp3", "m4a", "ogg", "opus")}
SONGS: dict[str, tuple[str, Sequence[str]]] = {
    "wav16": ("wav", ["-c:a", "pcm_s16le"]),
    "wav24": ("wav", ["-c:a", "pcm_s24le"]),
    "wavfloat": ("wav", ["-c:a", "pcm_f32le"]),
    "aiff": ("aiff", [*SOURCES["flac"], "-write_id3v2", "1"]),
    **{name: (name, options) for name, options in (WITH_COVER | WITH_FILM).items()},
}
COVERLESS = {"wav16", "wav24", "wavfloat"}  # RIFF has no place for one
EXACT = {"wav16", "wav24", "wavfloat", "aiff", "flac", "ogg", "mp3"}  # what of our own was encoded, at its own rate


# --- what is in a file ---------------------------------------------------------------------------------------


def by_ffmpeg(path: Path, channels: int = 2, track: int = 0) -> Samples:
    """The samples as ffmpeg decodes them. Shape: [frames, channels]."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", "-map", f"0:a:{track}", "-f", "f64le", "-"]
    decoded = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(decoded, "<f8").reshape(-1, channels)


def decodings(path: Path, format_: str, stem: str = "drums", channels: int = 2) -> dict[str, Samples]:
    """A stem as each decoder that reads the format gives it. Shape: [frames, channels]."""
    track = TRACKS.index(stem) if format_ == "stem.mp4" else 0
    found = {"ffmpeg": by_ffmpeg(path, channels, track)}
    if format_ in BY_LIBSNDFILE:
        found["libsndfile"] = sound(path).samples
    return found


def streams(path: Path) -> list[dict[str, Any]]:
    """What ffprobe says about every track of sound."""
    found: list[dict[str, Any]] = ffmpeg_program.probe(path)["streams"]
    return [stream for stream in found if stream["codec_type"] == "audio"]


def assert_length(path: Path, format_: str, frames: int, rate: int, channels: int = 2) -> None:
    """So many frames in both decoders, but for what a format cannot say; and declared so."""
    for decoder, samples in decodings(path, format_, channels=channels).items():
        more = len(samples) - frames
        assert 0 <= more <= (LATER.get(format_, 0) if decoder == "ffmpeg" else 0), (decoder, more)
    for stream in streams(path):
        assert (int(stream["sample_rate"]), stream["channels"]) == (rate, channels)
        if format_ in ("m4a", "stem.mp4"):
            assert (stream["duration_ts"], stream["time_base"]) == (frames, f"1/{rate}")
    if format_ in BY_LIBSNDFILE:
        assert (sound(path).rate, sound(path).channels) == (rate, channels)


def lag(heard: Samples, wanted: Samples) -> int:
    """By how many frames the one comes later than the other: where their cross-correlation is highest."""
    size = len(heard) + len(wanted)
    product = np.fft.rfft(heard, size, axis=0) * np.fft.rfft(wanted, size, axis=0).conj()
    place = int(np.fft.irfft(product.sum(axis=1), size).argmax())
    return place if place < len(heard) else place - size


def rms_error(heard: Samples, wanted: Samples) -> float:
    """The level of the difference, as a share of the wanted level, over the frames that both have."""
    frames = min(len(heard), len(wanted))
    return float(np.linalg.norm(heard[:frames] - wanted[:frames]) / np.linalg.norm(wanted[:frames]))


def outputs(result: Result) -> dict[str, Path]:
    """The files of the one song that was split, which went well."""
    assert result.code == 0, result.err
    return {stem: Path(path) for stem, path in result.report["outputs"].items()}


# --- songs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture(tmp_path_factory.mktemp("cover") / "cover.jpg")


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory, cover: Path) -> dict[str, Path]:
    """The same song, with tags, in each format."""
    folder = tmp_path_factory.mktemp("songs")
    plain = write_sound(folder / "plain.wav", noise(2, FRAMES, 0.1), subtype="FLOAT")
    made = {}
    for name, (suffix, options) in SONGS.items():
        values = {**TAGS}
        if suffix in ("ogg", "opus"):
            values["METADATA_BLOCK_PICTURE"] = ogg_picture(cover)
        words = [word.format(cover=cover) for word in options]
        made[name] = tagged_by_ffmpeg(plain, folder / f"{name}.{suffix}", cover, *words, values=values)
    return made


@pytest.fixture(scope="module")
def reports(
    small: Path, songs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, dict[str, Any]]]:
    """What became of every song, by its name, in a format: all of them in one command, when first asked for."""

    @cache
    def split_into(format_: str) -> dict[str, dict[str, Any]]:
        words: list[str | Path] = ["-m", small, "--precision", "fp32", "-f", format_, "--json"]
        words += ["-o", tmp_path_factory.mktemp("stems"), *([] if format_ == "stem.mp4" else ["-s", "drums"])]
        result = stemsplit(*words, *songs.values())
        assert result.code == 0, result.err
        return {report["track"]: report for report in result.reports}

    return split_into


@pytest.fixture
def tagged(here: Path, songs: dict[str, Path]) -> Path:
    """A song with tags and a cover in the current folder."""
    song = here / "song.flac"
    song.write_bytes(songs["flac"].read_bytes())
    return song


# --- every format into every other ----------------------------------------------------------------------------


@each_format
@pytest.mark.parametrize("name", SONGS)
def test_every_format_in_and_out(
    name: str,
    format_: str,
    songs: dict[str, Path],
    reports: Callable[[str], dict[str, dict[str, Any]]],
    cover: Path,
) -> None:
    report = reports(format_)[name]
    assert (report["status"], report["error"]) == ("done", None)
    rate = 48_000 if name == "opus" else 44_100
    frames = FRAMES if name in EXACT else len(by_ffmpeg(songs[name]))
    if name == "opus":  # of which ffmpeg drops the beginning but not the end
        frames = sound(songs[name]).frames
    fitting = 48_000 if format_ == "opus" else rate
    assert [fitting != rate] == [bool(report["warnings"])]

    path = Path(report["outputs"]["drums"])
    assert path.name.endswith(FORMATS[format_].extension)
    assert_length(path, format_, round(frames * fitting / rate), fitting)
    assert all(np.abs(samples).max() > 0.01 for samples in decodings(path, format_).values())
    if format_ in TAGGABLE:
        found = read_tags(path)
        title = TAGS["title"] if format_ == "stem.mp4" else f"{TAGS['title']} (drums)"
        assert {tag: found.get(tag) for tag in TAGS} == {**TAGS, "title": title}
        assert (found.cover and found.cover.data) == (None if name in COVERLESS else cover.read_bytes())


def test_every_stem_has_its_own_title(tagged: Path, split: Split) -> None:
    for stem, path in outputs(split("song.flac", "-f", "mp3", "-k", "--json")).items():
        assert read_tags(path).get("title") == f"Übung ({stem})"


# --- length, rate and channels --------------------------------------------------------------------------------


@each_format
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [1, FRAMES])
def test_length_rate_and_channels(frames: int, channels: int, format_: str, here: Path, split: Split) -> None:
    """Of what carries no tags, which go through other hands."""
    write_sound(here / "song.wav", noise(channels, frames, 0.1), 48_000)
    paths = outputs(split("song.wav", "-f", format_, "--json"))
    assert_length(paths["drums"], format_, frames, 48_000, channels)


@pytest.mark.parametrize("name", ["flac", "aiff", "mp3", "ogg", "opus", "m4a"])
def test_mono_of_every_format_gives_mono(name: str, here: Path, split: Split) -> None:
    mono = write_sound(here / "mono.wav", noise(1, FRAMES, 0.1), 48_000)
    convert(mono, here / f"song.{name}")
    paths = outputs(split(f"song.{name}", "-s", "bass", "--json"))
    assert sound(paths["bass"]).channels == 1
    assert sound(paths["bass"]).peak > 0.01


@pytest.mark.parametrize(
    ("format_", "depth", "subtype", "codec"),
    [
        ("wav", "16", "PCM_16", "pcm_s16le"),
        ("wav", "24", "PCM_24", "pcm_s24le"),
        ("wav", "32f", "FLOAT", "pcm_f32le"),
        ("wav", None, "PCM_24", "pcm_s24le"),
        ("aiff", "16", "PCM_16", "pcm_s16be"),
        ("aiff", "24", "PCM_24", "pcm_s24be"),
        ("aiff", "32f", "FLOAT", "pcm_f32be"),
        ("aiff", None, "PCM_24", "pcm_s24be"),
        ("flac", "16", "PCM_16", "flac"),
        ("flac", "24", "PCM_24", "flac"),
        ("flac", None, "PCM_24", "flac"),
    ],
)
def test_bit_depth(
    format_: str, depth: str | None, subtype: str, codec: str, tagged: Path, here: Path, split: Split
) -> None:
    """And every bit is the same in both decoders: of a tagged flac, too."""
    words = [] if depth is None else ["--bit-depth", depth]
    path = outputs(split("song.flac", "-f", format_, "-s", "drums", *words, "--json"))["drums"]
    assert sound(path).subtype == subtype
    (stream,) = streams(path)
    assert stream["codec_name"] == codec
    if format_ == "flac":
        assert stream["bits_per_raw_sample"] == subtype.removeprefix("PCM_")
    found = decodings(path, format_)
    np.testing.assert_array_equal(found["ffmpeg"], found["libsndfile"])

    exact = outputs(split("song.flac", "-s", "drums", "--bit-depth", "32f", "-o", "exact", "--json"))["drums"]
    step = 0 if subtype == "FLOAT" else 1.5 * 2.0 ** (1 - int(subtype.removeprefix("PCM_")))
    assert np.abs(found["ffmpeg"] - sound(exact).samples).max() <= step


@pytest.mark.parametrize(
    ("format_", "bitrate", "rate", "expected", "tolerance"),
    [
        ("mp3", None, 44_100, 320, 0),
        ("mp3", "128", 44_100, 128, 0),
        ("mp3", "256", 44_100, 256, 0),
        ("mp3", "64", 44_100, 64, 0),
        ("mp3", "192", 48_000, 192, 0),
        ("mp3", None, 22_050, 160, 0),  # the most that MPEG-2 has
        ("mp3", "64", 22_050, 64, 0),
        ("m4a", None, 44_100, 256, 0.1),
        ("m4a", "96", 44_100, 96, 0.1),
        ("stem.mp4", None, 44_100, 256, 0.1),
        ("stem.mp4", "128", 44_100, 128, 0.1),
        ("opus", None, 48_000, 160, 0.2),  # varies with the sound
        ("opus", "64", 48_000, 64, 0.2),
        ("opus", "320", 48_000, 320, 0.2),
    ],
)
def test_bitrate(
    format_: str, bitrate: str | None, rate: int, expected: int, tolerance: float, here: Path, split: Split
) -> None:
    """Of a stem with tags, which its packets are not to suffer from."""
    plain = write_sound(here / "plain.wav", noise(2, rate, 0.1), rate)
    convert(plain, here / "song.flac", "-metadata", "title=Song")
    words = [] if bitrate is None else ["--bitrate", bitrate]
    path = outputs(split("song.flac", "-f", format_, *words, "--json"))["drums"]
    packets = ["-select_streams", "a:0", "-show_entries", "packet=size", "-of", "csv=p=0", f"file:{path}"]
    listing = subprocess.run(["ffprobe", "-v", "error", *packets], check=True, capture_output=True, text=True).stdout
    sizes = [int(line.rstrip(",")) for line in listing.split()]
    if format_ == "mp3":
        assert int(streams(path)[0]["bit_rate"]) == 1000 * expected
        assert max(sizes) - min(sizes) <= 1  # constant, but for the padding byte
    else:
        assert sum(sizes) * 8 / 1000 == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_lowest_bitrate_of_mp3(channels: int, rate: int, here: Path, split: Split) -> None:
    """In shorter frames there is no room for the header that holds the exact length, so they are refused."""
    write_sound(here / "song.wav", noise(channels, rate, 0.1), rate)
    assert_one_sentence(split("song.wav", "-f", "mp3", "--bitrate", "63"), "--bitrate of mp3 must be from 64")
    result = split("song.wav", "-f", "mp3", "--bitrate", "64", "-s", "drums", "--json")
    assert int(streams(outputs(result)["drums"])[0]["bit_rate"]) == 64_000


def test_the_quality_of_ogg(here: Path, split: Split) -> None:
    """About 256 kbit/s nominal, as the table of Vorbis qualities has it for 8."""
    write_sound(here / "song.wav", noise(2, 44_100, 0.1))
    path = outputs(split("song.wav", "-f", "ogg", "-s", "drums", "--json"))["drums"]
    assert int(streams(path)[0]["bit_rate"]) == 256_000


# --- gapless --------------------------------------------------------------------------------------------------


@each_lossy_format
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("tagged", [False, True])
def test_gapless(tagged: bool, channels: int, format_: str, here: Path, split: Split) -> None:
    """A lossy stem begins and ends together with the exact one, in every decoder."""
    clicks = noise(channels, FRAMES, 0.05)
    clicks[:, 1000:-1000:5000] += 0.7
    plain = write_sound(here / "plain.wav", clicks, 48_000, "PCM_24")
    convert(plain, here / "song.flac", *(["-metadata", "title=Song"] if tagged else []))
    exact = outputs(split("song.flac", "--bit-depth", "32f", "--json", "-o", "exact"))
    lossy = outputs(split("song.flac", "-f", format_, "--clip", "none", "--json"))
    for stem in FOUR:
        wanted = sound(exact[stem]).samples
        for decoder, heard in decodings(lossy[stem], format_, stem, channels).items():
            assert lag(heard, wanted) == 0, (stem, decoder)
            assert len(heard) >= FRAMES, (stem, decoder)
            assert rms_error(heard, wanted) < 0.7  # noise is what codecs save on; a shifted one would be 1.4


# --- rates that an encoder refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format_", "rate", "fitting"),
    [
        ("mp3", 96_000, 48_000),
        ("mp3", 22_051, 24_000),
        ("opus", 44_100, 48_000),
        ("opus", 24_001, 48_000),
        ("ogg", 384_000, 192_000),
        ("m4a", 192_000, 96_000),
        ("m4a", 44_056, 44_100),
        ("stem.mp4", 22_050, 44_100),
        ("stem.mp4", 96_000, 48_000),
    ],
)
def test_a_rate_that_the_encoder_refuses(format_: str, rate: int, fitting: int, here: Path, split: Split) -> None:
    """The next one that it takes is used, which is said once for all songs, and in the report of each."""
    frames = rate // 2 + 1
    for seed in range(2):
        write_sound(here / f"{seed}.wav", noise(2, frames, 0.1, seed), rate)
    result = split("0.wav", "1.wav", "-f", format_, "--json")
    assert result.code == 0
    (line,) = result.err.splitlines()
    assert str(rate) in line
    assert str(fitting) in line
    for report in result.reports:
        assert [f"warning: {warning}" for warning in report["warnings"]] == [line]
        assert_length(Path(report["outputs"]["drums"]), format_, round(frames * fitting / rate), fitting)


@pytest.mark.parametrize("format_", ["wav", "flac", "aiff", "ogg"])
def test_a_rate_that_is_kept(format_: str, here: Path, split: Split) -> None:
    write_sound(here / "song.wav", noise(2, 20_000, 0.1), 192_000)
    result = split("song.wav", "-f", format_, "-s", "drums", "--json")
    assert (result.err, result.report["warnings"]) == ("", [])
    assert_length(outputs(result)["drums"], format_, 20_000, 192_000)


# --- the same bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("song", ["tagged", "untagged"])
def test_the_same_command_twice_gives_the_same_bytes(song: str, tagged: Path, here: Path, split: Split) -> None:
    """All formats once, then all of them again, so that seconds lie between: a date in a file would show."""
    convert(tagged, here / "untagged.flac", "-map", "0:a", "-map_metadata", "-1", "-c", "copy")
    tagged.rename(here / "tagged.flac")

    def run() -> dict[str, dict[str, bytes]]:
        written = {}
        for format_ in FORMATS:
            paths = outputs(split(f"{song}.flac", "-f", format_, "--overwrite", "--json"))
            written[format_] = {stem: path.read_bytes() for stem, path in paths.items()}
        return written

    first, second = run(), run()
    for format_ in FORMATS:
        assert first[format_] == second[format_], format_


# --- stem.mp4 ---------------------------------------------------------------------------------------------------


def test_a_bundle_is_one_file_of_five_tracks(tagged: Path, here: Path, split: Split) -> None:
    result = split("song.flac", "-f", "stem.mp4", "--json")
    bundle = here / "separated/song.stem.mp4"
    assert outputs(result) == dict.fromkeys(TRACKS, bundle)
    assert everything_below(here / "separated") == [bundle]
    assert [stream["tags"]["handler_name"].lower() for stream in streams(bundle)] == list(TRACKS)
    assert [stream["disposition"]["default"] for stream in streams(bundle)] == [1, 0, 0, 0, 0]
    assert rms_error(by_ffmpeg(bundle), sound(tagged).samples) < 0.5  # noise is what AAC saves on


def test_a_bundle_of_six_sources_adds_the_further_ones_to_other(here: Path, split: Split, tmp_path: Path) -> None:
    model = make_folder(tmp_path / "six", changes=REDUCED | {"sources": list(SIX_SOURCES)})
    write_sound(here / "song.wav", stereo_tones(0.7, level=0.2) + noise(2, 30_870, 0.003))
    exact = outputs(split("song.wav", "-m", model, "--bit-depth", "32f", "--json"))
    bundle = outputs(split("song.wav", "-m", model, "-f", "stem.mp4", "--clip", "none", "--json"))
    assert tuple(bundle) == TRACKS
    further = [sound(exact[stem]).samples for stem in ("other", "guitar", "piano")]
    heard = by_ffmpeg(bundle["other"], track=TRACKS.index("other"))
    assert rms_error(heard, np.sum(further, axis=0)) < 0.7
    assert rms_error(heard, further[0]) > 1


def test_a_bundle_of_two_sources_is_refused(song: Path, here: Path, split: Split, tmp_path: Path) -> None:
    model = make_folder(tmp_path / "two", changes=REDUCED | {"sources": ["drums", "vocals"]})
    result = split("song.wav", "-m", model, "-f", "stem.mp4")
    assert result.code == 2
    assert_one_sentence(result, "stem.mp4 holds drums, bass, other, vocals", "the model has drums, vocals")
    assert not (here / "separated").exists()


@pytest.mark.parametrize(
    "options", ["-s drums", "-k", "--two-stems vocals", "--drop bass", "--mix x=drums", "--residual"]
)
def test_a_bundle_takes_no_selection(options: str, song: Path, here: Path, split: Split) -> None:
    result = split("song.wav", "-f", "stem.mp4", *options.split())
    assert result.code == 2
    assert_one_sentence(result, "stem.mp4 always holds")
    assert not (here / "separated").exists()


# --- nothing else -----------------------------------------------------------------------------------------------


@each_format
def test_nothing_but_stems_is_left(format_: str, tagged: Path, here: Path, split: Split, temporary: Path) -> None:
    paths = outputs(split("song.flac", "-f", format_, "--json"))
    folder = here / "separated"
    folders = [] if format_ == "stem.mp4" else [folder / "song"]
    assert everything_below(folder) == sorted({*folders, *paths.values()})
    assert everything_below(temporary) == []


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder that temporaries go to."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


# --- without ffmpeg ---------------------------------------------------------------------------------------------


@pytest.fixture
def no_ffmpeg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    empty = tmp_path / "empty"
    empty.mkdir()
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(empty))
        yield


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize("format_", ["flac", "mp3", "ogg", "opus"])
def test_without_ffmpeg_stems_carry_no_tags_which_is_said_once(
    format_: str, songs: Mapping[str, Path], split: Split
) -> None:
    result = split(songs["flac"], songs["ogg"], "-f", format_, "-s", "drums", "--sample-rate", "48000", "--json")
    assert result.code == 0
    (line,) = result.err.splitlines()
    assert "tags" in line
    assert "ffmpeg" in line
    for report in result.reports:
        assert [f"warning: {warning}" for warning in report["warnings"]] == [line]
        path = Path(report["outputs"]["drums"])
        assert sound(path).frames == round(FRAMES * 48_000 / 44_100)
        assert not read_tags(path)


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize("format_", ["wav", "aiff"])
def test_without_ffmpeg_nothing_is_said_where_no_tags_go(format_: str, songs: Mapping[str, Path], split: Split) -> None:
    result = split(songs["flac"], "-f", format_, "-s", "drums", "--json")
    assert (result.code, result.err, result.report["warnings"]) == (0, "", [])


@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize("format_", ["m4a", "stem.mp4"])
def test_without_ffmpeg_aac_is_refused_before_any_work(format_: str, here: Path, tmp_path: Path) -> None:
    """Neither the song nor the model could be read, which would end otherwise."""
    (here / "song.mp3").write_text("la la la")
    (tmp_path / "damaged.safetensors").write_bytes(b"no network")
    before = everything_below(here)
    result = stemsplit("song.mp3", "-m", tmp_path / "damaged.safetensors", "-f", format_)
    assert result.code == 2
    assert_one_sentence(result, f"{format_} is written by ffmpeg", "Install it", "another format")
    assert everything_below(here) == before


# --- a full disk ------------------------------------------------------------------------------------------------


@contextmanager
def files_of_20_kb() -> Iterator[None]:
    """The system stops each file at 20 kB, as a full disk would: also pytest's own output, so never for long."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("clip", ["gain", "none"])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_that_does_not_fit_is_told_and_cleared(
    format_: str, clip: str, here: Path, split: Split, temporary: Path
) -> None:
    write_sound(here / "song.wav", noise(2, 96_000, 0.1), 48_000)
    before = everything_below(here)
    with files_of_20_kb():
        result = split("song.wav", "-f", format_, "--clip", clip)
    assert result.code == 1
    assert_one_sentence(result, "separated/song", "cannot be")
    assert everything_below(here) == before
    assert everything_below(temporary) == []


@pytest.mark.parametrize("format_", sorted(TAGGABLE - {"flac", "stem.mp4"}))
def test_tags_that_do_not_fit_are_left_out_and_told(format_: str, here: Path, split: Split, temporary: Path) -> None:
    """The stem itself, of 0.1 s, is smaller than the comment."""
    plain = write_sound(here / "plain.wav", noise(2, 4410, 0.1))
    convert(plain, here / "song.flac", "-metadata", f"comment={'x' * 50_000}")
    with files_of_20_kb():
        result = split("song.flac", "-f", format_, "-s", "drums", "--json")
    path = outputs(result)["drums"]
    assert any("tags could not be put on it" in warning for warning in result.report["warnings"])
    assert everything_below(here / "separated") == [path.parent, path]
    assert everything_below(temporary) == []
    assert not read_tags(path)
    assert len(by_ffmpeg(path)) >= 4410


@pytest.fixture
def tiny_disk(here: Path) -> Iterator[Path]:
    """A disk of 96 KiB."""
    with mounted(here / "disk", "96k") as disk:
        yield disk


@pytest.mark.parametrize(
    ("format_", "reason"),
    [
        ("mp3", "are free"),
        ("m4a", "are free"),
        ("opus", "are free"),
        ("stem.mp4", "are free"),
        ("ogg", "the disk is full"),
        ("flac", "the disk is full"),
    ],
)
def test_a_full_disk(format_: str, reason: str, here: Path, tiny_disk: Path, split: Split) -> None:
    """Known before where the bitrate tells the size, met while writing elsewhere."""
    write_sound(here / "song.wav", noise(2, 96_000, 0.1), 48_000)
    result = split("song.wav", "-f", format_, "-o", "disk/out")
    assert result.code == 1
    assert_one_sentence(result, "disk/out", reason, "Free some space")
    assert everything_below(tiny_disk) == []


@pytest.mark.parametrize("format_", ["mp3", "m4a", "opus"])
def test_a_disk_that_others_fill_meanwhile(
    format_: str, here: Path, tiny_disk: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enough was free when it was looked at."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**12}))
    write_sound(here / "song.wav", noise(2, 96_000, 0.1), 48_000)
    result = split("song.wav", "-f", format_, "-o", "disk/out")
    assert result.code == 1
    assert_one_sentence(result, "disk/out/song", "disk")
    assert everything_below(tiny_disk) == []
