"""--start and --duration: an excerpt is split as if it were the whole song."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli.program import (
    FOUR,
    Result,
    assert_one_sentence,
    everything_below,
    sound,
    stem_bytes,
    stems,
    stemsplit,
    tracks_in,
)
from signals import Block, convert, needs_ffmpeg, noise, stereo_tones, write_sound

Split = Callable[..., Result]

FRAMES = 60_000


@pytest.fixture
def swelling() -> Block:
    """A song that grows louder all the time, so that every stretch has statistics of its own."""
    return noise(2, FRAMES, 0.2) * np.linspace(0.05, 1, FRAMES, dtype=np.float32)


def split_exactly(split: Split, song: str | Path, output: str, *options: str) -> dict[str, bytes]:
    """The files of the stems as floats, which no dither tells apart."""
    result = split(song, "-o", output, "--bit-depth", "32f", "--json", *options)
    assert result.code == 0, result.err
    return stem_bytes(Path(output, result.report["track"]))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44_100, 48_000, 22_050])
@pytest.mark.parametrize(
    ("options", "first", "end"),  # seconds
    [
        ("--start 0.25 --duration 0.5", 0.25, 0.75),
        ("--start 0.3", 0.3, None),
        ("--duration 0.4", 0, 0.4),
        ("--start 0.33333 --duration 0.33333", 0.33333, 0.66666),
        ("--start 1e-1 --duration 7e-2", 0.1, 0.17),
        ("--start 0 --duration 0.5", 0, 0.5),
    ],
)
def test_the_stems_are_those_of_a_file_that_was_cut(
    options: str, first: float, end: float | None, rate: int, channels: int, swelling: Block, here: Path, split: Split
) -> None:
    song = swelling[:channels]
    cut = song[:, round(first * rate) : None if end is None else round(end * rate)]
    write_sound(here / "song.wav", song, rate, "FLOAT")
    (here / "cut").mkdir()
    write_sound(here / "cut/song.wav", cut, rate, "FLOAT")
    excerpt = split_exactly(split, "song.wav", "out", *options.split())
    assert excerpt == split_exactly(split, "cut/song.wav", "expected")
    assert {stem.frames for stem in stems(here / "out/song").values()} == {cut.shape[1]}


def test_the_statistics_are_those_of_the_excerpt(swelling: Block, here: Path, split: Split) -> None:
    """So the stems are not the same stretch of the whole song's."""
    write_sound(here / "song.wav", swelling, subtype="FLOAT")
    split_exactly(split, "song.wav", "whole")
    split_exactly(split, "song.wav", "part", "--start", "0", "--duration", "0.5")
    for name in FOUR:
        whole, part = stems(here / "whole/song")[name], stems(here / "part/song")[name]
        difference = np.abs(whole.samples[:10_000] - part.samples[:10_000]).max()
        assert difference > 0.01 * part.peak


@needs_ffmpeg
@pytest.mark.parametrize(
    "name", ["song.flac", "song.aiff", "song.mp3", "song.ogg", "song.opus", "song.m4a", "song.mkv"]
)
def test_of_every_format(name: str, swelling: Block, here: Path, split: Split) -> None:
    """The excerpt of a coded song is that of its decoding."""
    write_sound(here / "plain.wav", swelling, 48_000, "FLOAT")
    convert(here / "plain.wav", here / name)
    decoded = decoding(here / name)
    (here / "cut").mkdir()
    write_sound(here / "cut/song.wav", decoded[:, 12_000:36_000], 48_000, "FLOAT")
    excerpt = split_exactly(split, name, "out", "--start", "0.25", "--duration", "0.5")
    assert excerpt == split_exactly(split, "cut/song.wav", "expected")


def decoding(path: Path) -> Block:
    """By the decoder that reads the format here, which is libsndfile where it can. Shape: [channels, frames]."""
    if path.suffix in (".m4a", ".mkv"):
        path = convert(path, path.with_suffix(".wav"), "-c:a", "pcm_f32le")
    return sound(path).samples.T.astype(np.float32)


def test_the_report_tells_the_length_of_the_excerpt(here: Path, split: Split) -> None:
    write_sound(here / "song.wav", stereo_tones(1))
    result = split("song.wav", "--start", "0.2", "--duration", "0.3", "--json")
    assert result.report["audio_seconds"] == pytest.approx(0.3)


@pytest.mark.parametrize("start", ["0", "0.5"])
@pytest.mark.parametrize("duration", ["1.0", "1e9", "0.9"])
def test_a_duration_beyond_the_end_goes_to_the_end(start: str, duration: str, here: Path, split: Split) -> None:
    write_sound(here / "song.wav", stereo_tones(0.9) + noise(2, 39_690, 0.01), subtype="FLOAT")
    usual = split_exactly(split, "song.wav", "usual", "--start", start)
    assert split_exactly(split, "song.wav", "out", "--start", start, "--duration", duration) == usual


@pytest.mark.parametrize("duration", ["1e-9", "0.00001"])
def test_the_shortest_excerpt_is_a_frame(duration: str, here: Path, split: Split) -> None:
    write_sound(here / "song.wav", stereo_tones(0.5))
    assert split("song.wav", "--start", "0.2", "--duration", duration).code == 0
    assert {stem.frames for stem in stems(here / "separated/song").values()} == {1}


@pytest.mark.parametrize("name", ["song.wav", "song.mp3", pytest.param("song.m4a", marks=needs_ffmpeg)])
@pytest.mark.parametrize("options", ["--start 2.5", "--start 1e6 --duration 0.1", "--start 3 --json"])
def test_a_start_beyond_the_end(options: str, name: str, here: Path, split: Split) -> None:
    """The sentence tells how long the song is: that of m4a may be an encoder's block longer."""
    write_sound(here / "song.wav", stereo_tones(2))
    if name != "song.wav":
        convert(here / "song.wav", here / name)
    before = everything_below(here)
    result = split(name, *options.split())
    assert result.code == 1
    assert_one_sentence(result, name, "is 2.0", "--start")
    assert everything_below(here) == before
    if "--json" in options:
        assert (result.report["status"], result.report["outputs"]) == ("failed", {})
        assert result.err == f"error: {result.report['error']}\n"


def test_a_start_at_the_very_end(here: Path, split: Split) -> None:
    write_sound(here / "song.wav", stereo_tones(0.5))
    result = split("song.wav", "--start", "0.5")
    assert result.code == 1
    assert_one_sentence(result, "song.wav", "is 0.500 s long", "nothing is left at 0.500 s", "--start")
    assert split("song.wav", "--start", str(22_049 / 44_100)).code == 0
    assert stems(here / "separated/song")["drums"].frames == 1


def test_a_song_that_is_too_short_does_not_stop_the_others(here: Path, split: Split) -> None:
    write_sound(here / "short.wav", stereo_tones(0.2))
    write_sound(here / "long.wav", stereo_tones(0.6))
    result = split("short.wav", "long.wav", "--start", "0.3", "--json")
    assert result.code == 1
    assert {report["track"]: report["status"] for report in result.reports} == {"short": "failed", "long": "done"}
    assert tracks_in(here / "separated") == {"long"}


@pytest.mark.parametrize(
    "options",
    [
        *(f"--start {value}" for value in ("-1", "-0.001", "nan", "inf", "-inf", "abc", "1:30:", "''")),
        *(f"--duration {value}" for value in ("0", "-1", "nan", "inf", "abc", "0:-10", "''")),
        "--start 1 --duration 0",
        "--start -1 --duration 1",
    ],
)
def test_wrong_values(options: str, here: Path, tmp_path: Path) -> None:
    """Found before any work: neither the song nor the model could be read, which would end otherwise."""
    (here / "song.mp3").write_text("la la la")
    (tmp_path / "damaged.safetensors").write_bytes(b"no network")
    before = everything_below(here)
    result = stemsplit("song.mp3", "-m", tmp_path / "damaged.safetensors", *options.split())
    assert result.code == 2
    assert ("--duration" if "--duration 0" in options else options.split()[0]) in result.err
    assert "Traceback" not in result.err
    assert everything_below(here) == before


# --- what adds up ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("depth", ["16", "24", "32f"])
def test_with_the_residual_all_stems_add_up_to_the_excerpt(
    depth: str, rate: int, swelling: Block, here: Path, split: Split
) -> None:
    """In integers exactly."""
    write_sound(here / "song.wav", swelling * 0.3, rate, "FLOAT" if depth == "32f" else f"PCM_{depth}")
    words = ["--start", "0.2", "--duration", "0.6", "--residual", "--bit-depth", depth]
    result = split("song.wav", *words, "--json")
    assert (result.code, result.report["gain_db"]) == (0, 0)
    written = stems(here / "separated/song")
    assert set(written) == FOUR | {"residual"}
    assert written["residual"].peak > 0.001
    song = sound(here / "song.wav").samples[round(0.2 * rate) : round(0.8 * rate)]
    total = np.sum([stem.samples for stem in written.values()], axis=0)
    np.testing.assert_allclose(total, song, rtol=0, atol=1e-6 if depth == "32f" else 0)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["song.mp3", "song.m4a", "song.flac"])
def test_karaoke_of_an_excerpt_adds_up_to_it(name: str, swelling: Block, here: Path, split: Split) -> None:
    write_sound(here / "plain.wav", swelling * 0.3, 44_100, "PCM_16")
    convert(here / "plain.wav", here / name)
    assert split(name, "-k", "--start", "0.5", "--duration", "0.5", "--bit-depth", "32f").code == 0
    written = stems(here / "separated/song")
    assert set(written) == {"instrumental", "vocals"}
    total = written["instrumental"].samples + written["vocals"].samples
    np.testing.assert_allclose(total, decoding(here / name).T[22_050:44_100], rtol=0, atol=1e-6)


def test_excerpts_side_by_side_have_all_frames_once(swelling: Block, here: Path, split: Split) -> None:
    """Where one ends, the next one begins, whatever the times are rounded to."""
    write_sound(here / "song.wav", swelling, 44_100, "FLOAT")
    ends = [0, 0.1, 1 / 3, 0.77777, 1.3]
    mixtures = []
    for start, end in itertools.pairwise(ends):
        words = ["-o", str(end), "--start", repr(start), "--duration", repr(end - start)]
        assert split("song.wav", "--mix", "song=mixture+drums*0.000001", "--bit-depth", "32f", *words).code == 0
        mixtures.append(stems(here / str(end) / "song")["song"].samples)
    np.testing.assert_allclose(np.concatenate(mixtures), swelling[:, : round(1.3 * 44_100)].T, rtol=0, atol=1e-5)
