"""Every kind of sound that goes in gives stems, of the same rate, length and number of channels."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli.program import FOUR, Result, everything_below, process, python, rms, sound, stem_bytes, stems
from signals import (
    convert,
    encode,
    needs_ffmpeg,
    noise,
    silence,
    stereo_tones,
    tone,
    truncate,
    write_sound,
)

Split = Callable[..., Result]
HALF_POWER = np.float32(0.5**0.5)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000, 192_000])  # the last two leave less than a frame at 44.1 kHz
def test_a_few_frames_give_as_many(rate: int, frames: int, here: Path, split: Split) -> None:
    write_sound(here / "song.wav", noise(2, frames), rate)
    result = split("song.wav", "--json")
    assert result.code == 0
    assert result.report["status"] == "done"
    written = stems(here / "separated/song")
    assert set(written) == FOUR
    for stem in written.values():
        assert (stem.frames, stem.channels, stem.rate) == (frames, 2, rate)
        assert np.isfinite(stem.samples).all()


@pytest.mark.parametrize(("depth", "channels"), [("16", 2), ("24", 1), ("32f", 2)])
def test_silence_gives_silence(depth: str, channels: int, here: Path, split: Split) -> None:
    write_sound(here / "song.wav", silence(channels, 30_000))
    assert split("song.wav", "--bit-depth", depth).code == 0
    for stem in stems(here / "separated/song").values():
        assert (stem.frames, stem.channels, stem.peak) == (30_000, channels, 0)


def test_mono_gives_mono(here: Path, split: Split) -> None:
    voice = tone(440, 0.5)
    write_sound(here / "mono.wav", voice, subtype="FLOAT")
    write_sound(here / "doubled.wav", np.concatenate([voice, voice]), subtype="FLOAT")
    assert split("mono.wav", "doubled.wav", "--bit-depth", "32f").code == 0
    mono, stereo = stems(here / "separated/mono"), stems(here / "separated/doubled")
    assert set(mono) == FOUR
    for name in FOUR:
        assert mono[name].channels == 1
        assert mono[name].peak > 0.01
        np.testing.assert_allclose(mono[name].samples[:, 0], stereo[name].samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", pytest.param(".m4a", marks=needs_ffmpeg)])
def test_a_voice_in_the_centre_of_surround_is_in_the_stems(suffix: str, here: Path, split: Split) -> None:
    """The network hears the voice on both sides at half power, as in a stereo file of the same voice."""
    voice = tone(440, 0.5)
    nothing = np.zeros_like(voice)
    surround = np.concatenate([nothing, nothing, voice, nothing, nothing, nothing])  # L R C LFE Ls Rs
    path = here / f"surround{suffix}"
    if suffix == ".m4a":
        encode(surround, path, "-c:a", "alac", rate=44_100, layout="5.1")
    elif suffix == ".ogg":
        write_sound(path, surround[[0, 2, 1, 4, 5, 3]])  # Vorbis: L C R Ls Rs LFE
    else:
        write_sound(path, surround, subtype="FLOAT" if suffix == ".wav" else "PCM_24")
    write_sound(here / "stereo.wav", np.repeat(HALF_POWER * voice, 2, axis=0), subtype="FLOAT")
    assert split(path.name, "stereo.wav", "--bit-depth", "32f").code == 0
    folded, stereo = stems(here / "separated/surround"), stems(here / "separated/stereo")
    tolerance = {".wav": 0, ".flac": 1e-3, ".m4a": 1e-3, ".ogg": 0.2}[suffix]  # of what the codec loses
    for name in FOUR:
        assert folded[name].channels == 2
        assert stereo[name].level > 0.01
        assert rms(folded[name].samples - stereo[name].samples) <= tolerance * stereo[name].level


@pytest.mark.parametrize("rate", [8_000, 22_050, 22_051, 44_056, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("spare", [0, 7])
def test_every_rate_keeps_its_rate_and_every_frame(rate: int, spare: int, here: Path, split: Split) -> None:
    frames = rate // 5 + spare
    write_sound(here / "song.wav", stereo_tones(0.3, rate)[:, :frames], rate)
    result = split("song.wav", "-s", "drums", "--json")
    assert result.code == 0
    assert result.report["audio_seconds"] == pytest.approx(frames / rate)
    written = stems(here / "separated/song")["drums"]
    assert (written.rate, written.frames) == (rate, frames)
    assert written.peak > 0.01


PEAK = """
import sys
from stemsplit.cli.app import main
try:
    main()
finally:
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    print(line.split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_a_rate_without_a_common_divisor_needs_little_memory(here: Path, small: Path) -> None:
    """22,051 Hz and 44,100 Hz have none: a filter for every phase would take gigabytes."""
    write_sound(here / "song.wav", stereo_tones(4, 22_051), 22_051)
    result = process("song.wav", "-m", str(small), "--overlap", "0", program=python(PEAK))
    assert result.code == 0
    assert stems(here / "separated/song")["vocals"].frames == 88_204
    assert int(result.out) * 1024 < 2 * 1024**3


def test_a_truncated_mp3_gives_what_decodes(here: Path, split: Split) -> None:
    truncate(write_sound(here / "song.mp3", stereo_tones(3)), 0.5)
    result = split("song.mp3", "--json")
    assert result.code == 0
    (warning,) = result.report["warnings"]
    assert "song.mp3" in warning
    assert "s that could be decoded are used" in warning
    assert result.err == f"warning: {warning}\n"
    assert result.report["audio_seconds"] == pytest.approx(1.5, abs=0.15)
    for stem in stems(here / "separated/song").values():
        assert stem.frames == round(result.report["audio_seconds"] * 44_100)
        assert stem.peak > 0.01


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("song.m4a", []),
        ("song.wma", []),
        ("video.mp4", ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=1", "-c:v", "mpeg4", "-c:a", "aac"]),
        ("video.mkv", ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=1", "-c:v", "mpeg4", "-c:a", "flac"]),
    ],
)
def test_what_only_ffmpeg_reads(name: str, options: list[str], here: Path, split: Split, tmp_path: Path) -> None:
    source = write_sound(tmp_path / "source.wav", stereo_tones(0.8))
    convert(source, here / name, *options)
    result = split(name, "--json")
    assert (result.code, result.err) == (0, "")
    assert result.report["warnings"] == []
    written = stems(here / "separated" / Path(name).stem)
    assert set(written) == FOUR
    for stem in written.values():
        assert stem.rate == 44_100
        assert stem.frames / 44_100 == pytest.approx(0.8, abs=0.1)  # lossy formats pad
        assert stem.peak > 0.01


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("song.wav", "PCM_U8"),
        ("song.wav", "PCM_32"),
        ("song.wav", "DOUBLE"),
        ("song.flac", "PCM_24"),
        ("song.aiff", "PCM_24"),
        ("song.ogg", None),
        ("song.opus", None),
        ("song.mp3", None),
        ("SONG.MP3", None),
        ("Song.Flac", "PCM_16"),
    ],
)
def test_what_needs_no_other_program(
    name: str, subtype: str | None, here: Path, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(here))
    rate = 48_000 if name.endswith("opus") else 44_100
    made = write_sound(here / name.lower(), stereo_tones(0.5, rate), rate, subtype)
    made.rename(here / name)
    result = split(name, "-s", "vocals")
    assert result.code == 0
    written = stems(here / "separated" / Path(name).stem)["vocals"]
    assert written.rate == rate
    assert written.frames == pytest.approx(rate // 2, abs=2400)
    assert written.peak > 0.01


@pytest.mark.parametrize(
    ("name", "track"),
    [
        ("two words.wav", "two words"),
        (" .wav", "_"),
        ("Mr. Dots v1.2..wav", "Mr. Dots v1.2"),
        ("[red]brackets[0].wav", "[red]brackets[0]"),
        ("{track} {0} {stem}.wav", "{track} {0} {stem}"),
        ("100 %s %(x)d %.wav", "100 %s %(x)d %"),
        ("naïve Größe 東京 🎵.wav", "naïve Größe 東京 🎵"),
        ("e\u0301 decomposed.wav", "e\u0301 decomposed"),
        ("*?'\"$HOME`~&;|<>\\.wav", "__'_$HOME`~&;____"),
        ("line\nbreak.wav", "line_break"),
        (".hidden.wav", "_hidden"),
        ("no suffix", "no suffix"),
        ("x.", "x"),
        ("n" * 240 + ".wav", "n" * 240),
        (os.fsdecode(b"no text \xff\xfe.wav"), "no text __"),
        ("-x.wav", "-x"),
    ],
)
def test_any_name(name: str, track: str, song: Path, here: Path, split: Split) -> None:
    song.rename(here / name)
    result = split("-s", "vocals", "--json", "--", name)
    assert (result.code, result.err) == (0, "")
    written = here / "separated" / track / "vocals.wav"
    assert everything_below(here / "separated") == [written.parent, written]
    assert sound(written).frames == 26_460
    assert (result.report["input"], result.report["track"]) == (name, track)
    assert result.report["outputs"] == {"vocals": str(written)}


@pytest.mark.parametrize(
    ("track", "shown"),
    [
        ("[red]brackets[0]", "[red]brackets[0]"),
        ("naïve 東京 🎵", "naïve 東京 🎵"),
        (os.fsdecode(b"no text \xff"), "no text _"),
    ],
)
def test_any_name_is_told(track: str, shown: str, song: Path, here: Path, split: Split) -> None:
    song.rename(here / f"{track}.wav")
    result = split("-s", "vocals", f"{track}.wav")
    assert result.code == 0
    assert result.err.startswith(f"{shown}: 1 stem in separated/{shown} (")


@pytest.mark.parametrize("name", ["./-x.wav", "-x.wav"])
def test_a_leading_dash_is_no_option_behind_dashes_or_a_folder(name: str, song: Path, here: Path, split: Split) -> None:
    song.rename(here / "-x.wav")
    assert split("-s", "drums", *(["--"] if name.startswith("-") else []), name).code == 0
    assert list(stems(here / "separated/-x")) == ["drums"]


@pytest.mark.parametrize("name", ["..wav", "...wav"])
def test_a_name_of_dots_alone_stays_below_the_output(name: str, song: Path, here: Path, split: Split) -> None:
    song.rename(here / name)
    assert split("-s", "vocals", "-o", "some/where", name).code == 0
    (written,) = here.rglob("vocals.wav")
    assert written.parent.parent == here / "some/where"


def test_a_link_is_named_as_it_is_called(song: Path, here: Path, split: Split) -> None:
    (here / "link.wav").symlink_to(song)
    assert split("-s", "vocals", "link.wav").code == 0
    assert list(stems(here / "separated/link")) == ["vocals"]


def test_the_input_is_not_touched(song: Path, here: Path, split: Split) -> None:
    before = song.read_bytes()
    assert split(song.name, "-o", ".").code == 0
    assert song.read_bytes() == before
    assert set(stem_bytes(here / "song")) == {f"{name}.wav" for name in FOUR}
