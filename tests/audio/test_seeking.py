"""An excerpt is what stands there in the whole file, whatever the format, the rate and the place."""

from pathlib import Path

import numpy as np
import pytest

from signals import convert, joined, needs_ffmpeg, noise, silence, truncate, write_sound
from stemsplit.audio.blocks import Block
from stemsplit.audio.channels import to_stereo
from stemsplit.audio.reader import open_audio
from stemsplit.audio.resample import resampled
from stemsplit.audio.seeking import read_excerpt
from stemsplit.errors import DecodeError

RATE = 44_100
FRAMES = 5 * RATE + 777
STARTS = (0, 1, 60_000, 88_200, 100_001, FRAMES - 3000)


def _whole(path: Path) -> Block:
    with open_audio(path) as reader:
        return joined(resampled(map(to_stereo, reader.blocks()), reader.info.sample_rate, RATE))


def _assert_excerpts_are_parts(path: Path, tolerance: float) -> None:
    whole = np.pad(_whole(path), ((0, 0), (0, 20_000)))
    for first in STARTS:
        excerpt = read_excerpt(path, first, 20_000, RATE)
        assert excerpt.shape == (2, 20_000)
        np.testing.assert_allclose(excerpt, whole[:, first : first + 20_000], atol=tolerance)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_formats_of_libsndfile(tmp_path: Path, name: str) -> None:
    _assert_excerpts_are_parts(write_sound(tmp_path / name, noise(2, FRAMES)), 1e-6)


@pytest.mark.parametrize("rate", [22_051, 48_000, 96_000])
def test_other_rates(tmp_path: Path, rate: int) -> None:
    path = write_sound(tmp_path / "a.wav", noise(2, round(FRAMES * rate / RATE)), rate, "FLOAT")
    _assert_excerpts_are_parts(path, 2e-5)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.m4a", "a.mov", "a.mka", "a.wma"])
def test_formats_of_ffmpeg(tmp_path: Path, name: str) -> None:
    wav = write_sound(tmp_path / "a.wav", noise(2, FRAMES))
    # Perceptual noise substitution decodes to other noise at every run.
    options = ["-aac_pns", "0"] if name in ("a.m4a", "a.mov") else []
    _assert_excerpts_are_parts(convert(wav, tmp_path / name, *options), 1e-6)


def test_an_mp3_whose_length_nobody_knows(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mp3", noise(2, FRAMES))
    data = path.read_bytes()
    frame = data.index(b"\xff\xfb", 10)  # behind the one that holds the count of frames
    path.write_bytes(data[frame:])
    _assert_excerpts_are_parts(path, 1e-6)


def test_mono_is_doubled_and_what_is_missing_is_silent(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(1, 1000), subtype="FLOAT")
    excerpt = read_excerpt(path, 900, 200, RATE)
    np.testing.assert_array_equal(excerpt[0], excerpt[1])
    assert excerpt[:, :100].any()
    assert not excerpt[:, 100:].any()
    assert not read_excerpt(path, 5000, 200, RATE).any()


def test_what_cannot_be_read(tmp_path: Path) -> None:
    broken = silence(2, 1000)
    broken[1, 500] = np.nan
    path = write_sound(tmp_path / "nan.wav", broken, subtype="FLOAT")
    with pytest.raises(DecodeError, match=r"nan\.wav.*frame 500"):
        read_excerpt(path, 400, 200, RATE)
    with pytest.raises(DecodeError, match=r"gone\.wav"):
        read_excerpt(tmp_path / "gone.wav", 0, 200, RATE)
    flac = truncate(write_sound(tmp_path / "short.flac", noise(2, FRAMES)), 0.3)
    with pytest.raises(DecodeError, match=r"short\.flac.*damaged"):
        read_excerpt(flac, FRAMES - 20_000, 200, RATE)
