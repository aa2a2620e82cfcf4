"""Real files of many formats through the one door: what is whole, what is damaged, what is no audio."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from signals import (
    convert,
    joined,
    level,
    loudest_hertz,
    needs_ffmpeg,
    noise,
    silence,
    stereo_tones,
    tone,
    truncate,
    write_sound,
)
from stemsplit.audio.blocks import MAX_BLOCK_FRAMES
from stemsplit.audio.reader import AudioInfo, open_audio
from stemsplit.errors import DecodeError, MissingProgramError

RATE = 44_100

AWKWARD_NAMES = [
    "-dash",
    "-i",
    "two words",
    "[brackets] {braces}",
    "%03d",
    "http:colon",
    'it\'s; "quoted" & | $HOME',
    "Ünï 日本 🎵",
    "back\\slash",
    "new\nline",
    os.fsdecode(b"no-text-\xff"),
]


def no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty = tmp_path / "no programs"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))


def told(path: Path) -> str:
    """The sentence for a file that cannot be decoded: it names the file and spans one line."""
    with pytest.raises(DecodeError) as caught, open_audio(path) as reader:
        for _ in reader.blocks():
            pass
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith(".")
    assert "\n" not in message
    return message


def children() -> list[psutil.Process]:
    return list(psutil.Process().children(recursive=True))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".caf", ".w64"])
def test_lossless_files_come_back_sample_for_sample(suffix: str, tmp_path: Path) -> None:
    song = stereo_tones(seconds=2.5)
    path = write_sound(tmp_path / f"song{suffix}", song, subtype="PCM_24")
    with open_audio(path) as reader:
        assert reader.info == AudioInfo(RATE, 2, song.shape[1], suffix[1:])
        np.testing.assert_allclose(joined(reader.blocks()), song, atol=2**-23)
        assert reader.warnings == ()


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".opus"])
def test_lossy_files_need_no_program(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = stereo_tones(seconds=2.0, rate=48_000)
    path = write_sound(tmp_path / f"song{suffix}", song, rate=48_000)
    no_programs(monkeypatch, tmp_path)
    with open_audio(path) as reader:
        decoded = joined(reader.blocks())
        assert (reader.info.sample_rate, reader.info.channels) == (48_000, 2)
        assert reader.info.frames == decoded.shape[1] == song.shape[1]
        settled = slice(3000, -3000)  # the song begins and ends abruptly there
        # LAME mixes the two tones a little; three samples late would be 0.25.
        assert level((decoded - song)[:, settled]) < 0.15 * level(song)
        assert reader.warnings == ()


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("song.m4a", ["-c:a", "aac"]),
        ("song.aac", ["-c:a", "aac"]),
        ("song.wma", ["-c:a", "wmav2"]),
        ("song.mka", ["-c:a", "ac3"]),
        ("lossless.m4a", ["-c:a", "alac"]),
    ],
)
def test_other_formats_go_through_ffmpeg(name: str, options: list[str], tmp_path: Path) -> None:
    song = stereo_tones(seconds=2.0)
    path = convert(write_sound(tmp_path / "song.wav", song), tmp_path / name, *options)
    with open_audio(path) as reader:
        decoded = joined(reader.blocks())
        assert (reader.info.sample_rate, reader.info.channels) == (RATE, 2)
        assert reader.info.frames == pytest.approx(song.shape[1], abs=RATE // 10)
        assert decoded.shape[1] == pytest.approx(song.shape[1], abs=RATE // 10)
        assert [loudest_hertz(channel, RATE) for channel in decoded] == pytest.approx([440, 660], abs=2)
        assert reader.warnings == ()


@needs_ffmpeg
@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_video_gives_its_first_sound(name: str, tmp_path: Path) -> None:
    first = write_sound(tmp_path / "first.wav", stereo_tones(seconds=1.0))
    second = write_sound(tmp_path / "second.wav", tone(1000))
    picture = ["-f", "lavfi", "-i", "color=black:s=64x64:d=1", "-i", str(second)]
    path = convert(first, tmp_path / name, *picture, "-map", "1:v", "-map", "0:a", "-map", "2:a")
    with open_audio(path) as reader:
        assert reader.info.channels == 2
        assert loudest_hertz(joined(reader.blocks())[0], RATE) == pytest.approx(440, abs=2)


@needs_ffmpeg
def test_alac_comes_back_sample_for_sample(tmp_path: Path) -> None:
    song = noise(2, 100_001, level=0.1)
    wav = write_sound(tmp_path / "song.wav", song, subtype="PCM_16")
    with open_audio(convert(wav, tmp_path / "song.m4a", "-c:a", "alac")) as reader, open_audio(wav) as source:
        assert np.array_equal(joined(reader.blocks()), joined(source.blocks()))


@pytest.mark.parametrize("name", ["song.wav", pytest.param("song.m4a", marks=needs_ffmpeg)])
def test_blocks_are_short_float32_and_the_same_every_time(name: str, tmp_path: Path) -> None:
    wav = write_sound(tmp_path / "source.wav", noise(2, 200_000))
    path = convert(wav, tmp_path / name) if name != "song.wav" else wav
    with open_audio(path) as reader:
        first, second = list(reader.blocks()), list(reader.blocks())
    assert len(first) > 1
    for block in first:
        assert block.dtype == np.float32
        assert block.shape[0] == 2
        assert 0 < block.shape[1] <= MAX_BLOCK_FRAMES
        assert block.flags.writeable
    assert np.array_equal(joined(first), joined(second))


def test_floats_keep_their_overs(tmp_path: Path) -> None:
    loud = 3 * stereo_tones(seconds=0.1)
    with open_audio(write_sound(tmp_path / "loud.wav", loud, subtype="FLOAT")) as reader:
        assert np.array_equal(joined(reader.blocks()), loud)


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_awkward_names_reach_libsndfile(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_sound(Path("plain.wav"), stereo_tones(0.1)).rename(f"{name}.wav")
    with open_audio(path) as reader:
        assert joined(reader.blocks()).shape == (2, 4410)


@needs_ffmpeg
@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_awkward_names_reach_ffmpeg(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_m4a: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(f"{name}.m4a")
    path.write_bytes(short_m4a)
    with open_audio(path) as reader:
        assert joined(reader.blocks()).shape[1] >= 4410


@pytest.fixture(scope="module")
def short_m4a(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("m4a")
    wav = write_sound(folder / "song.wav", stereo_tones(0.1))
    return convert(wav, folder / "song.m4a").read_bytes()


def test_raw_suffix_does_not_hide_a_wav(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "song.wav", tone(440)).rename(tmp_path / "song.raw")
    with open_audio(path) as reader:
        assert reader.info.container == "wav"


# --- no audio ---------------------------------------------------------------------------------------------


def test_missing_file(tmp_path: Path) -> None:
    assert "no such file" in told(tmp_path / "nothing.mp3")


def test_folder(tmp_path: Path) -> None:
    assert "folder" in told(tmp_path)


def test_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "Check the path" in told(tmp_path / "file" / "song.mp3")


def test_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert "no regular file" in told(tmp_path / "pipe.wav")


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".m4a"])
def test_zero_bytes(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"song{suffix}"
    path.touch()
    assert "empty" in told(path)


def test_zero_frames(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "song.wav", silence(2, 0))
    assert "no sound" in told(path)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".m4a", ".txt"])
@pytest.mark.parametrize("content", [b"Milk, eggs, bread\n" * 500, b"x", b"\0" * 5000])
def test_no_audio_whatever_the_name_says(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"song{suffix}"
    path.write_bytes(content)
    assert "no audio" in told(path)


@needs_ffmpeg
def test_video_without_sound(tmp_path: Path) -> None:
    wav = write_sound(tmp_path / "song.wav", tone(440))
    path = convert(wav, tmp_path / "film.mp4", "-f", "lavfi", "-i", "color=black:s=64x64:d=1", "-map", "1:v")
    assert "no audio" in told(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e9, -3e38])
def test_not_a_number_is_named_by_its_place(bad: float, tmp_path: Path) -> None:
    song = stereo_tones(seconds=2.0)
    song[1, 66_150] = bad
    message = told(write_sound(tmp_path / "song.wav", song, subtype="FLOAT"))
    assert "frame 66150 (1.500 s), channel 2" in message


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions of another kind")
def test_permission_denied(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "song.wav", tone(440))
    path.chmod(0)
    with as_ordinary_user():
        assert "permission denied" in told(path)


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Root may read everything, so step down for a moment."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_too_many_channels(tmp_path: Path) -> None:
    assert "9 channels" in told(write_sound(tmp_path / "song.wav", silence(9, 100)))


def test_sentence_for_missing_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_programs(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("song.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with pytest.raises(MissingProgramError) as caught:
        open_audio(Path("song.m4a"))
    assert str(caught.value) == (
        "song.m4a: needs ffmpeg to decode AAC, and none was found. Install it (apt install ffmpeg, "
        "brew install ffmpeg) or convert the file to wav, flac or mp3."
    )


def test_damaged_mp3_does_not_ask_for_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_programs(monkeypatch, tmp_path)
    path = tmp_path / "song.mp3"
    path.write_text("Milk, eggs, bread\n" * 500)
    assert "damaged" in told(path)


# --- damaged audio ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".wav", []),
        (".aiff", []),
        (".flac", []),
        (".ogg", []),
        (".mp3", []),
        pytest.param(".m4a", ["-c:a", "alac", "-movflags", "+faststart"], marks=needs_ffmpeg),
    ],
)
def test_what_a_truncated_file_still_holds_is_used(suffix: str, options: list[str], tmp_path: Path) -> None:
    song = noise(2, 6 * RATE, level=0.1)
    path = tmp_path / f"song{suffix}"
    if options:
        convert(write_sound(tmp_path / "song.wav", song), path, *options)
    else:
        write_sound(path, song)
    with open_audio(path) as reader:
        whole = joined(reader.blocks())
        assert reader.warnings == ()
    with open_audio(truncate(path, 0.5)) as reader:
        rest, again = joined(reader.blocks()), joined(reader.blocks())
        assert len(reader.warnings) == 1
    assert str(path) in reader.warnings[0]
    assert f"{rest.shape[1] / RATE:.1f} s" in reader.warnings[0]
    assert np.array_equal(rest, again)
    assert 0.4 * whole.shape[1] < rest.shape[1] < 0.6 * whole.shape[1]
    settled = rest.shape[1] - 5000  # an mp3 or ogg frame overlaps with the next one, which is missing
    assert np.array_equal(rest[:, :settled], whole[:, :settled])


def test_flac_cut_before_its_first_frame_ends(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "song.flac", noise(2, RATE))
    path.write_bytes(path.read_bytes()[:2000])
    assert "damaged" in told(path)


def test_wav_from_a_pipe_announces_4_gib_and_is_whole(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "song.wav", stereo_tones(1.0))
    data = bytearray(path.read_bytes())
    size = data.index(b"data") + 4
    data[4:8] = data[size : size + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with open_audio(path) as reader:
        assert reader.info.frames == joined(reader.blocks()).shape[1] == RATE
        assert reader.warnings == ()


@needs_ffmpeg
@pytest.mark.parametrize("cover_bytes", [0, 2_000_000])
def test_mp3_without_frame_count_is_read_to_its_end(cover_bytes: int, tmp_path: Path) -> None:
    """libsndfile guesses the length from the first, large frames, and would stop after a sixth of this song."""
    song = np.concatenate([noise(2, 5 * RATE, level=0.3), 0.1 * stereo_tones(30)], axis=1)
    wav = write_sound(tmp_path / "song.wav", song)
    options = ["-q:a", "2", "-write_xing", "0", "-id3v2_version", "0"]
    path = convert(wav, tmp_path / "song.mp3", *options)
    assert soundfile.info(str(path)).frames < 0.5 * song.shape[1]
    if cover_bytes:
        path.write_bytes(id3_tag(cover_bytes) + path.read_bytes())
    with open_audio(path) as reader:
        assert reader.info.frames is None
        assert joined(reader.blocks()).shape[1] == pytest.approx(song.shape[1], abs=3 * 1152)
        assert reader.warnings == ()


def test_mp3_with_a_large_cover_needs_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sound(tmp_path / "song.mp3", stereo_tones(1.0))
    path.write_bytes(id3_tag(2_000_000) + path.read_bytes())
    no_programs(monkeypatch, tmp_path)
    with open_audio(path) as reader:
        assert reader.info.frames == joined(reader.blocks()).shape[1] == RATE


def id3_tag(size: int) -> bytes:
    """An ID3v2.4 tag of nothing but padding."""
    return b"ID3\x04\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


# --- leaving early ----------------------------------------------------------------------------------------


@needs_ffmpeg
@pytest.mark.parametrize("leave", ["iterator", "reader"])
def test_ffmpeg_ends_with_whoever_listens(leave: str, tmp_path: Path) -> None:
    wav = write_sound(tmp_path / "song.wav", noise(2, 20 * RATE), subtype="PCM_16")
    before = len(children())
    with open_audio(convert(wav, tmp_path / "song.mka", "-c:a", "pcm_s16le")) as reader:
        blocks = reader.blocks()
        next(blocks)
        assert len(children()) == before + 1
        if leave == "iterator":
            blocks.close()  # type: ignore[attr-defined]
            assert len(children()) == before
    assert len(children()) == before


def test_leaving_early_closes_every_descriptor(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "song.mp3", noise(2, 10 * RATE))
    process = psutil.Process()
    gc.collect()  # of what other tests have left
    before, threads = process.num_fds(), process.num_threads()
    with open_audio(path) as reader:
        for _ in range(20):
            next(reader.blocks())
    assert process.num_fds() <= before
    assert process.num_threads() <= threads
