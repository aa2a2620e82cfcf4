"""Folding to stereo and to mono, and that both decoders hand over the channels in the order it expects."""

from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals import (
    Block,
    cut,
    encode,
    joined,
    level,
    loudest_hertz,
    needs_ffmpeg,
    noise,
    silence,
    tone,
    write_sound,
)
from stemsplit.audio.channels import LAYOUTS, to_mono, to_stereo
from stemsplit.audio.reader import open_audio
from stemsplit.errors import DecodeError

RATE = 48_000
HALF = sqrt(0.5)

channel_counts = st.integers(1, 8)


def speaker_alone(channels: int, index: int, frames: int = 64) -> np.ndarray:
    block = silence(channels, frames)
    block[index] = 1.0
    return block


def test_stereo_is_the_same_array() -> None:
    block = noise(2, 100)
    assert to_stereo(block) is block


def test_mono_is_doubled() -> None:
    block = noise(1, 100)
    assert np.array_equal(to_stereo(block), np.concatenate([block, block]))


@pytest.mark.parametrize("channels", range(3, 9))
def test_each_speaker_lands_where_bs775_puts_it(channels: int) -> None:
    expected = {
        "L": (1, 0),
        "R": (0, 1),
        "C": (HALF, HALF),
        "LFE": (0, 0),
        "Cs": (0.5, 0.5),
        "Ls": (HALF, 0),
        "Lb": (HALF, 0),
        "Rs": (0, HALF),
        "Rb": (0, HALF),
    }
    for index, speaker in enumerate(LAYOUTS[channels]):
        stereo = to_stereo(speaker_alone(channels, index))
        assert stereo[:, 0] == pytest.approx(expected[speaker])


def test_more_than_eight_channels_are_refused() -> None:
    with pytest.raises(DecodeError, match="9 channels"):
        to_stereo(silence(9, 10))


@given(channel_counts, st.integers(1, 300), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_blocks_do_not_matter(channels: int, frames: int, lengths: list[int]) -> None:
    whole = noise(channels, frames)
    assert np.array_equal(joined(map(to_stereo, cut(whole, lengths))), to_stereo(whole))


@given(channel_counts, st.integers(1, 100))
def test_result_is_float32_stereo_and_linear(channels: int, frames: int) -> None:
    one, other = noise(channels, frames, seed=1), noise(channels, frames, seed=2)
    stereo = to_stereo(one + other)
    assert stereo.dtype == np.float32
    assert stereo.shape == (2, frames)
    np.testing.assert_allclose(stereo, to_stereo(one) + to_stereo(other), atol=1e-6)


def test_mono_is_the_mean_and_undoes_doubling() -> None:
    block = noise(1, 1000)
    assert np.array_equal(to_mono(to_stereo(block)), block)
    assert to_mono(np.array([[1.0], [0.5]], dtype=np.float32)).tolist() == [[0.75]]


LAYOUT_NAMES = {3: "3.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
centred = pytest.mark.parametrize("channels", LAYOUT_NAMES)


def centre_voice(channels: int) -> Block:
    """The centre sings 700 Hz, the LFE channel, if there is one, hums at 60 Hz; silence elsewhere."""
    speakers = LAYOUTS[channels]
    block = silence(channels, RATE // 2)
    block[speakers.index("C")] = tone(700, 0.5, RATE, level=0.25)
    if "LFE" in speakers:
        block[speakers.index("LFE")] = tone(60, 0.5, RATE, level=0.25)
    return block


def assert_voice_is_in_both(path: Path) -> None:
    with open_audio(path) as reader:
        stereo = joined(map(to_stereo, reader.blocks()))
        for channel in stereo:
            assert loudest_hertz(channel, reader.info.sample_rate) == pytest.approx(700, abs=5)
            assert level(channel) == pytest.approx(HALF * 0.25 * HALF, rel=0.1)


@centred
def test_voice_of_a_wav_lands_in_both_channels(channels: int, tmp_path: Path) -> None:
    assert_voice_is_in_both(write_sound(tmp_path / "surround.wav", centre_voice(channels), RATE))


@needs_ffmpeg
@centred
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("flac", ["-c:a", "flac"]),
        ("ogg", ["-c:a", "libvorbis", "-q:a", "6"]),
        ("opus", ["-c:a", "libopus", "-b:a", "256k", "-mapping_family", "1"]),
        ("m4a", ["-c:a", "aac", "-b:a", "384k"]),
        ("mka", ["-c:a", "pcm_s16le"]),
        ("caf", ["-c:a", "pcm_s16le"]),
    ],
)
def test_voice_of_other_formats_lands_in_both_channels(
    channels: int, tmp_path: Path, suffix: str, options: list[str]
) -> None:
    path = tmp_path / f"surround.{suffix}"
    layout = LAYOUT_NAMES[channels]
    assert_voice_is_in_both(encode(centre_voice(channels), path, *options, rate=RATE, layout=layout))


@needs_ffmpeg
def test_unusual_layout_of_as_many_channels_is_converted(tmp_path: Path) -> None:
    """4.0 has a centre and a rear centre where quad has two surrounds; AAC of four channels is 4.0."""
    block = silence(4, RATE)
    block[2] = tone(700, 1, RATE, level=0.25)
    with open_audio(encode(block, tmp_path / "four.m4a", rate=RATE, layout="4.0")) as reader:
        stereo = joined(map(to_stereo, reader.blocks()))
    assert level(stereo[0]) == pytest.approx(level(stereo[1]), rel=0.01)
    assert loudest_hertz(stereo[0], RATE) == pytest.approx(700, abs=5)
