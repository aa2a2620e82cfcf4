"""Stems on the disk: whole or not at all, in the right format, with one gain, and the same bytes every time."""

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signals import Block, cut, needs_ffmpeg, noise, silence, stereo_tones, tone
from stemsplit.audio import held, soundfile_encoder
from stemsplit.audio.formats import FORMATS, Encoding
from stemsplit.audio.quantise import MIXTURE, Quantiser, highest_peak
from stemsplit.audio.soundfile_encoder import SoundfileEncoder
from stemsplit.audio.targets import check_writable
from stemsplit.audio.writer import TrackWriter, WrittenTrack
from stemsplit.errors import EncodeError, OutputError

RATE = 44_100
ENCODINGS = [Encoding(name, depth) for name, row in FORMATS.items() for depth in row.subtypes]
INTEGERS = [encoding for encoding in ENCODINGS if encoding.bits]
LOSSY = [Encoding(name) for name in ("mp3", "ogg", "opus", "m4a")]

each_encoding = pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: f"{e.format}{e.bit_depth}")
each_way_to_encode = pytest.mark.parametrize(
    "encoding",
    [pytest.param(e, marks=needs_ffmpeg if e.format == "m4a" else ()) for e in [*ENCODINGS, *LOSSY]],
    ids=lambda e: f"{e.format}{e.bit_depth or ''}",
)
each_integer_encoding = pytest.mark.parametrize("encoding", INTEGERS, ids=lambda e: f"{e.format}{e.bit_depth}")
each_clip = pytest.mark.parametrize("clip", ["gain", "none"])


def writer(folder: Path, stems: list[str], encoding: Encoding, channels: int = 2, **options: Any) -> TrackWriter:
    paths = {stem: folder / f"{stem}{encoding.extension}" for stem in stems}
    if options.pop("overwrite", False):
        options["replace"] = list(paths.values())
    options = {"track": "song", "sample_rate": RATE, **options}
    return TrackWriter(paths, channels=channels, encoding=encoding, **options)


def write(
    folder: Path, stems: dict[str, Block], encoding: Encoding, lengths: tuple[int, ...] = (30_000,), **options: Any
) -> WrittenTrack:
    channels = next(iter(stems.values())).shape[0]
    with writer(folder, [stem for stem in stems if stem != MIXTURE], encoding, channels, **options) as track:
        for pieces in zip(*(cut(block, lengths) for block in stems.values()), strict=True):
            track.write(dict(zip(stems, pieces, strict=True)))
        return track.finish()


def read(path: Path) -> Block:
    samples, _ = soundfile.read(str(path), dtype="float64", always_2d=True)
    return np.asarray(samples).T


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# --- what is written --------------------------------------------------------------------------------------


@each_encoding
@each_clip
def test_stems_come_back(encoding: Encoding, clip: Literal["gain", "none"], tmp_path: Path) -> None:
    stems = {"vocals": stereo_tones(2.0), "drums": noise(2, 88_200, level=0.1)}
    written = write(tmp_path / "out" / "song", stems, encoding, clip=clip)
    assert written.gain_db == 0.0
    step = 0 if encoding.bits is None else 1.5 / 2 ** (encoding.bits - 1)
    for stem, block in stems.items():
        result = written.stems[stem]
        assert result.path == tmp_path / "out" / "song" / f"{stem}{encoding.extension}"
        assert result.frames == block.shape[1]
        assert result.size == result.path.stat().st_size
        info = soundfile.info(str(result.path))
        assert (info.samplerate, info.subtype) == (RATE, encoding.subtype)
        assert np.abs(read(result.path) - block).max() <= step
    assert len(everything_in(tmp_path / "out")) == 3  # the folder and two stems, no temporaries


@each_encoding
def test_mono_and_odd_rates(encoding: Encoding, tmp_path: Path) -> None:
    written = write(tmp_path, {"vocals": tone(440)}, encoding, sample_rate=22_051)
    info = soundfile.info(str(written.stems["vocals"].path))
    assert (info.channels, info.samplerate) == (1, 22_051)


@each_encoding
@each_clip
def test_stem_without_frames(encoding: Encoding, clip: Literal["gain", "none"], tmp_path: Path) -> None:
    assert write(tmp_path, {"vocals": silence(2, 0)}, encoding, clip=clip).stems["vocals"].frames == 0


@each_encoding
@each_clip
def test_same_bytes_again_however_it_is_cut(encoding: Encoding, clip: Literal["gain", "none"], tmp_path: Path) -> None:
    stems = {"vocals": noise(2, 90_000, level=0.5), "drums": noise(2, 90_000)}
    once = write(tmp_path / "once", stems, encoding, (70_000,), clip=clip)
    again = write(tmp_path / "again", stems, encoding, (1, 4097, 333), clip=clip)
    for stem in stems:
        assert once.stems[stem].path.read_bytes() == again.stems[stem].path.read_bytes()


@each_encoding
@each_clip
def test_time_of_day_leaves_no_trace(encoding: Encoding, clip: Literal["gain", "none"], tmp_path: Path) -> None:
    """A WAV or AIFF of floats has a PEAK chunk of version, time of day, and the peaks."""
    written = write(tmp_path, {"vocals": noise(2, 5000)}, encoding, clip=clip, frames=5000)
    _, peak, chunk = written.stems["vocals"].path.read_bytes()[:300].partition(b"PEAK")
    assert bool(peak) == (encoding.bit_depth == "32f")
    assert chunk[8:12] == bytes(4 if peak else 0)


def test_stems_and_tracks_get_dither_of_their_own(tmp_path: Path) -> None:
    block = noise(2, 10_000)
    one = write(tmp_path / "one", {"vocals": block, "drums": block}, Encoding("wav", "16"))
    other = write(tmp_path / "other", {"vocals": block}, Encoding("wav", "16"), track="other")
    vocals = one.stems["vocals"].path.read_bytes()
    assert vocals != one.stems["drums"].path.read_bytes()
    assert vocals != other.stems["vocals"].path.read_bytes()


@each_integer_encoding
@each_clip
def test_silence_is_written_as_zeros(encoding: Encoding, clip: Literal["gain", "none"], tmp_path: Path) -> None:
    written = write(tmp_path, {"vocals": silence(2, 50_000)}, encoding, clip=clip)
    assert not read(written.stems["vocals"].path).any()


def test_block_may_be_reused(tmp_path: Path) -> None:
    block = stereo_tones(0.1)
    with writer(tmp_path, ["vocals"], Encoding()) as track:
        track.write({"vocals": block})
        block[:] = 0
        track.write({"vocals": block})
        path = track.finish().stems["vocals"].path
    assert np.abs(read(path)[:, :4410]).max() > 0.4


def test_not_a_number_is_a_bug_upstream(tmp_path: Path) -> None:
    with writer(tmp_path, ["vocals"], Encoding()) as track, pytest.raises(ValueError, match="not finite"):
        track.write({"vocals": np.full((2, 10), np.nan, dtype=np.float32)})


# --- gain and clipping ------------------------------------------------------------------------------------


@each_integer_encoding
def test_one_gain_keeps_the_balance_between_stems(encoding: Encoding, tmp_path: Path) -> None:
    stems = {"vocals": 2 * stereo_tones(1.0), "drums": noise(2, RATE, level=0.05)}
    peak = float(np.abs(stems["vocals"]).max())
    written = write(tmp_path, stems, encoding)
    bits = encoding.bits
    assert bits
    gain = 10 ** (written.gain_db / 20)
    assert gain == pytest.approx(highest_peak(bits) / peak, rel=1e-6)
    for stem, block in stems.items():
        error = read(written.stems[stem].path) - gain * block.astype(np.float64)
        assert np.abs(error).max() <= 1.6 / 2 ** (bits - 1)
        # Averaged over the song dither and rounding vanish: what is left is an error of the gain itself.
        assert np.vdot(error, block) / np.vdot(block, block) == pytest.approx(0, abs=0.1 / 2 ** (bits - 1))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(peak=st.floats(0.5, 8, width=32))
def test_no_sample_clips_whatever_the_peak(peak: float, tmp_path: Path) -> None:
    square = np.full((1, 8192), peak, dtype=np.float32)
    square[:, ::2] *= -1
    written = write(tmp_path, {"vocals": square}, Encoding("wav", "16"), overwrite=True)
    samples = read(written.stems["vocals"].path) * 32768
    wanted = square * 10 ** (written.gain_db / 20) * 32768
    assert np.abs(samples - wanted).max() <= 1.51
    assert (samples - wanted).mean() == pytest.approx(0, abs=0.05)
    assert written.gain_db < 0 or peak <= highest_peak(16)


@each_integer_encoding
def test_without_gain_integers_saturate(encoding: Encoding, tmp_path: Path) -> None:
    block = np.tile(np.array([1.5, -1.5, 0.25, 40000.0], dtype=np.float32), (2, 1000))
    written = write(tmp_path, {"vocals": block}, encoding, clip="none")
    assert written.gain_db == 0.0
    step = 1.5 / 2 ** (encoding.bits or 0) * 2
    expected = np.tile([1.0, -1.0, 0.25, 1.0], (2, 1000))
    assert np.abs(read(written.stems["vocals"].path) - expected).max() <= step


@each_clip
def test_floats_keep_their_overs(clip: Literal["gain", "none"], tmp_path: Path) -> None:
    block = 3 * stereo_tones(0.5)
    written = write(tmp_path, {"vocals": block}, Encoding("wav", "32f"), clip=clip)
    assert written.gain_db == 0.0
    assert np.array_equal(read(written.stems["vocals"].path), block.astype(np.float64))


def test_memory_has_a_bound_and_the_rest_is_held_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems = {"vocals": noise(2, 100_000), "drums": noise(2, 100_000, seed=1)}
    expected = write(tmp_path / "memory", stems, Encoding())
    monkeypatch.setattr(held, "MEMORY_BYTES", 10 * 8000)
    folder = tmp_path / "disk"
    with writer(folder, list(stems), Encoding()) as track:
        for vocals, drums in zip(cut(stems["vocals"], [1000]), cut(stems["drums"], [1000]), strict=True):
            track.write({"vocals": vocals, "drums": drums})
        (spool,) = folder.glob(".*.held")
        assert spool.stat().st_size == pytest.approx(2 * 100_000 * 8 - 80_000, abs=2 * 8192)  # less what is buffered
        written = track.finish()
    assert everything_in(folder) == ["drums.wav", "vocals.wav"]
    assert written.gain_db == expected.gain_db
    for stem in stems:
        assert written.stems[stem].path.read_bytes() == expected.stems[stem].path.read_bytes()


# --- stems that add up --------------------------------------------------------------------------------------


@each_integer_encoding
@pytest.mark.parametrize("level", [0.1, 3.0])
def test_a_remainder_and_its_parts_are_the_quantised_mixture(encoding: Encoding, level: float, tmp_path: Path) -> None:
    parts = {"vocals": noise(2, 50_000, level), "drums": noise(2, 50_000, level, seed=1)}
    mixture = noise(2, 50_000, level / 3, seed=2)
    rows = {**parts, "residual": mixture - sum(parts.values()), MIXTURE: mixture}
    remainders = {"residual": ["vocals", "drums"]}
    written = write(tmp_path, rows, encoding, (7777,), remainders=remainders)
    assert encoding.bits
    scale = 2 ** (encoding.bits - 1)
    stems = [np.rint(read(stem.path) * scale) for stem in written.stems.values()]
    quantiser = Quantiser(encoding.bits, 2, f"song\n{MIXTURE}", 10 ** (written.gain_db / 20))
    expected = np.concatenate([quantiser.push(mixture), quantiser.flush()]).T
    assert set(written.stems) == {"vocals", "drums", "residual"}
    assert np.array_equal(sum(stems), expected)
    assert max(np.abs(stem).max() for stem in stems) < scale - 1
    assert (written.gain_db < 0) == (level > 1)


@pytest.mark.parametrize("bits", ["16", "24"])
def test_a_remainder_has_room_for_the_dither_of_all_its_parts(bits: str, tmp_path: Path) -> None:
    """Steady parts that are all of one sign: the remainder is the loudest row, at its limit all the time."""
    parts = {f"part{n}": np.full((1, 200_000), 0.3, np.float32) for n in range(6)}
    rows = {**parts, "rest": np.full((1, 200_000), -1.8, np.float32), MIXTURE: silence(1, 200_000)}
    written = write(tmp_path, rows, Encoding("wav", bits), remainders={"rest": list(parts)})
    samples = {stem: read(file.path) * 2 ** (int(bits) - 1) for stem, file in written.stems.items()}
    assert samples["rest"].min() > 1 - 2 ** (int(bits) - 1)
    assert not sum(samples.values()).any()


@pytest.mark.parametrize("encoding", LOSSY[:3], ids=lambda e: e.format)
def test_a_lossy_stem_is_not_turned_down_for_a_mixture_that_is_not_written(encoding: Encoding, tmp_path: Path) -> None:
    rows = {
        "vocals": noise(2, 9000, 0.1),
        "instrumental": noise(2, 9000, 0.1),
        MIXTURE: 3 * stereo_tones(1.0)[:, :9000],
    }
    remainders = {"instrumental": ["vocals"]}
    assert write(tmp_path, rows, encoding, remainders=remainders, sample_rate=48_000).gain_db == 0


def test_a_mixture_of_whole_numbers_stays_as_it_is(tmp_path: Path) -> None:
    """So that the stems of a 16-bit song, and what is left, add up to the song itself."""
    song = (np.rint(noise(2, 50_000, 0.1) * 2**15) / 2**15).astype(np.float32)
    song[0, 7] = -1  # full scale is no reason for a gain
    vocals = noise(2, 50_000, 0.1, seed=1)
    vocals[0, 7] = -0.5
    for encoding in INTEGERS:
        rows = {"vocals": vocals, "rest": song - vocals, MIXTURE: song}
        written = write(tmp_path, rows, encoding, remainders={"rest": ["vocals"]}, overwrite=True)
        assert written.gain_db == 0
        assert np.array_equal(sum(read(stem.path) for stem in written.stems.values()), song)


@needs_ffmpeg
def test_a_bundle_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "song.stem.mp4"
    names = (MIXTURE, "drums", "bass", "other", "vocals")
    with TrackWriter(
        dict.fromkeys(names, path), sample_rate=RATE, channels=2, encoding=Encoding("stem.mp4"), track="song"
    ) as track:
        track.write({name: noise(2, 50_000, 0.1, seed) for seed, name in enumerate(names)})
        written = track.finish()
    assert {stem.path for stem in written.stems.values()} == {path}
    assert {stem.frames for stem in written.stems.values()} == {50_000}
    assert everything_in(tmp_path) == [path.name]


# --- the container ----------------------------------------------------------------------------------------


@each_clip
@pytest.mark.parametrize("depth", ["16", "24", "32f"])
def test_small_wav_is_plain_riff(depth: str, clip: Literal["gain", "none"], tmp_path: Path) -> None:
    block = stereo_tones(0.1)
    written = write(tmp_path, {"vocals": block}, Encoding("wav", depth), clip=clip, frames=block.shape[1])
    header = written.stems["vocals"].path.read_bytes()[:22]
    assert (header[:4], header[8:16]) == (b"RIFF", b"WAVEfmt ")
    assert header[20:22] == (b"\x03\x00" if depth == "32f" else b"\x01\x00")  # not WAVE_FORMAT_EXTENSIBLE


@each_encoding
def test_wav_of_unknown_length_is_riff_when_small(encoding: Encoding, tmp_path: Path) -> None:
    written = write(tmp_path, {"vocals": stereo_tones(0.1)}, encoding, clip="none")
    assert written.stems["vocals"].path.read_bytes()[:4] in (b"RIFF", b"fLaC", b"FORM")


@each_clip
def test_wav_known_to_exceed_4_gib_is_rf64(
    clip: Literal["gain", "none"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundfile_encoder, "RIFF_BYTES", 10_000)
    block = stereo_tones(1.0)
    written = write(tmp_path, {"vocals": block}, Encoding(), clip=clip, frames=block.shape[1])
    assert written.stems["vocals"].path.read_bytes()[:4] == b"RF64"
    assert np.abs(read(written.stems["vocals"].path) - block).max() < 2**-22


def integers(block: Block) -> Any:
    return np.rint(block.T * 2**23).astype(np.int32)


def skip_4_gib(file: SoundfileEncoder) -> int:
    """Leave a hole in the file for the first 4 GiB, so that the disk need not hold them; the next frame's number."""
    file.write(integers(silence(2, 4096)))
    file.frames = 2**32 // 6
    file._sound.seek(file.frames)
    return file.frames


@pytest.mark.parametrize("frames", [None, 2**30])
def test_wav_beyond_4_gib_keeps_its_length(frames: int | None, tmp_path: Path) -> None:
    block = stereo_tones(1.0)
    part = tmp_path / "long.wav"
    file = SoundfileEncoder(part, Encoding(), target=part, sample_rate=RATE, channels=2, frames=frames)
    hole = skip_4_gib(file)
    file.write(integers(block))
    file.close()
    assert part.stat().st_size > 2**32
    with part.open("rb") as header:
        assert header.read(4) == b"RF64"
    with soundfile.SoundFile(part) as sound:
        assert sound.frames == hole + block.shape[1]
        sound.seek(hole)
        assert np.abs(sound.read().T - block).max() < 2**-22


def test_plain_wav_that_outgrows_4_gib_after_all_is_not_passed_off_as_whole(tmp_path: Path) -> None:
    part = tmp_path / "long.wav"
    file = SoundfileEncoder(part, Encoding(), target=part, sample_rate=RATE, channels=2, frames=10)
    skip_4_gib(file)
    file.write(integers(stereo_tones(1.0)))
    with pytest.raises(EncodeError, match="frames arrived"):
        file.close()


def test_rate_that_the_format_cannot_hold_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="opus cannot hold 2 channels at 44100 Hz"):
        writer(tmp_path / "out", ["vocals"], Encoding("opus"))
    assert everything_in(tmp_path) == []


# --- all or nothing ---------------------------------------------------------------------------------------


@each_way_to_encode
@each_clip
def test_leaving_early_leaves_nothing(
    encoding: Encoding, clip: Literal["gain", "none"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "MEMORY_BYTES", 1000)
    with writer(tmp_path / "new" / "folders", ["vocals", "drums"], encoding, clip=clip, sample_rate=48_000) as track:
        track.write({"vocals": stereo_tones(1.0), "drums": stereo_tones(1.0)})
        names = everything_in(tmp_path / "new" / "folders")
        assert len(names) >= 2
        assert all(name.startswith(".") for name in names)
    assert everything_in(tmp_path) == []


def test_an_error_in_the_block_leaves_nothing_and_passes_on(tmp_path: Path) -> None:
    def interrupted() -> None:
        with writer(tmp_path, ["vocals"], Encoding("wav", "32f")) as track:
            track.write({"vocals": stereo_tones(1.0)})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert everything_in(tmp_path) == []


def test_abort_keeps_folders_that_hold_something_or_were_there(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with writer(tmp_path / "old" / "new", ["vocals"], Encoding()):
        (tmp_path / "old" / "new" / "notes.txt").touch()
    with writer(tmp_path / "old", ["vocals"], Encoding()):
        pass
    assert everything_in(tmp_path) == ["old", "old/new", "old/new/notes.txt"]


def test_abort_of_one_track_does_not_pull_the_folder_from_under_another(tmp_path: Path) -> None:
    with writer(tmp_path / "out", ["first"], Encoding()), writer(tmp_path / "out", ["second"], Encoding()) as other:
        other.write({"second": stereo_tones(0.1)})
        with writer(tmp_path / "out", ["third"], Encoding()):
            pass
        other.finish()
    assert everything_in(tmp_path) == ["out", "out/second.wav"]


@each_clip
def test_existing_stem_is_not_replaced(clip: Literal["gain", "none"], tmp_path: Path) -> None:
    (tmp_path / "drums.wav").write_text("precious")
    with pytest.raises(EncodeError, match=r"drums\.wav: exists already.*--overwrite"):
        writer(tmp_path, ["vocals", "drums"], Encoding(), clip=clip)
    assert everything_in(tmp_path) == ["drums.wav"]


def test_a_link_to_nowhere_is_not_replaced_either(tmp_path: Path) -> None:
    (tmp_path / "drums.wav").symlink_to(tmp_path / "nowhere")
    with pytest.raises(EncodeError, match=r"drums\.wav: exists already.*--overwrite"):
        writer(tmp_path, ["drums"], Encoding())
    assert (tmp_path / "drums.wav").is_symlink()


def test_stem_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with writer(tmp_path, ["vocals", "drums"], Encoding()) as track:
        track.write({"vocals": stereo_tones(0.1), "drums": stereo_tones(0.1)})
        (tmp_path / "drums.wav").write_text("precious")
        with pytest.raises(EncodeError, match="--overwrite"):
            track.finish()
    assert everything_in(tmp_path) == ["drums.wav"]
    assert (tmp_path / "drums.wav").read_text() == "precious"


def test_overwrite_replaces_only_when_whole(tmp_path: Path) -> None:
    old = write(tmp_path, {"vocals": stereo_tones(0.1)}, Encoding()).stems["vocals"].path.read_bytes()
    with writer(tmp_path, ["vocals"], Encoding(), overwrite=True) as track:
        track.write({"vocals": noise(2, 5000)})
        assert (tmp_path / "vocals.wav").read_bytes() == old
    assert (tmp_path / "vocals.wav").read_bytes() == old
    write(tmp_path, {"vocals": noise(2, 5000)}, Encoding(), overwrite=True)
    assert (tmp_path / "vocals.wav").read_bytes() != old


def test_folder_of_the_stems_name(tmp_path: Path) -> None:
    (tmp_path / "vocals.wav").mkdir()
    with pytest.raises(EncodeError, match="a folder has this name"):
        writer(tmp_path, ["vocals"], Encoding(), overwrite=True)
    assert everything_in(tmp_path) == ["vocals.wav"]


def test_failing_rename_takes_back_those_before_it(tmp_path: Path) -> None:
    with writer(tmp_path, ["vocals", "drums"], Encoding(), overwrite=True) as track:
        track.write({"vocals": stereo_tones(0.1), "drums": stereo_tones(0.1)})
        (tmp_path / "drums.wav").mkdir()
        with pytest.raises(EncodeError, match=r"drums\.wav"):
            track.finish()
    assert everything_in(tmp_path) == ["drums.wav"]


def test_long_names_are_no_trouble(tmp_path: Path) -> None:
    stem = "日" * 80  # 240 of the 255 bytes that a name may have
    written = write(tmp_path, {stem: stereo_tones(0.1)}, Encoding())
    assert everything_in(tmp_path) == [written.stems[stem].path.name]


def test_name_that_is_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="too long"):
        write(tmp_path / "out", {"x" * 300: stereo_tones(0.1)}, Encoding())
    assert everything_in(tmp_path) == []


def test_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(EncodeError, match="file where a folder should be"):
        writer(tmp_path / "out" / "song", ["vocals"], Encoding())
    assert everything_in(tmp_path) == ["out"]


# --- a full disk ------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small disk is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@each_way_to_encode
@each_clip
@pytest.mark.parametrize("memory", [held.MEMORY_BYTES, 0])
def test_full_disk_is_told_and_cleared(
    encoding: Encoding,
    clip: Literal["gain", "none"],
    memory: int,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(held, "MEMORY_BYTES", memory)
    stems = {"vocals": noise(2, 600_000), "drums": noise(2, 600_000)}
    (small_disk / "photos").write_bytes(bytes(2**20 - 200_000))
    with pytest.raises(EncodeError, match=r"(vocals|drums)\.\w+: cannot be .*(disk is full|No space left on device)"):
        write(small_disk / "out", stems, encoding, clip=clip, sample_rate=48_000)
    assert everything_in(small_disk) == ["photos"]


@pytest.mark.parametrize("frames_left", range(-3, 4))
def test_disk_that_is_full_at_the_very_end(frames_left: int, small_disk: Path) -> None:
    """Whether the last frames fit decides between a whole stem and none."""
    frames = (2**20 - 4096) // 6 + 500 * frames_left
    whole = 6 * frames + 44 <= 2**20
    try:
        written = write(small_disk, {"vocals": noise(2, frames)}, Encoding(), clip="none", frames=None)
    except EncodeError:
        assert everything_in(small_disk) == []
        assert frames_left > 0
    else:
        assert whole
        assert read(written.stems["vocals"].path).shape[1] == frames


def test_too_little_space_is_told_before_any_work(small_disk: Path) -> None:
    with pytest.raises(EncodeError, match=r"need 3.6 MB and 1.0 MB are free"):
        writer(small_disk / "out", ["vocals", "drums"], Encoding(), frames=300_000)
    assert everything_in(small_disk) == []


@each_way_to_encode
def test_file_larger_than_allowed_is_told_and_cleared(encoding: Encoding, tmp_path: Path) -> None:
    """The same law where no disk can be mounted: the system stops each file at 200 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(EncodeError, match=r"larger than|File too large|cannot be encoded"):
            write(tmp_path / "out", {"vocals": noise(2, 600_000)}, encoding, sample_rate=48_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything_in(tmp_path) == []


# --- the output folder ------------------------------------------------------------------------------------


def test_writable_folder_is_left_as_it_was(tmp_path: Path) -> None:
    check_writable(tmp_path)
    check_writable(tmp_path / "new" / "folders")
    assert everything_in(tmp_path) == []


def test_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    for folder in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(OutputError, match="file where a folder should be"):
            check_writable(folder)
    assert everything_in(tmp_path) == ["out"]


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions of another kind")
@pytest.mark.parametrize("deeper", ["", "new"])
def test_folder_that_may_not_be_written(deeper: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    for parent in list(tmp_path.parents)[:2]:
        parent.chmod(0o755)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65_534)
    try:
        with pytest.raises(OutputError, match="permission denied"):
            check_writable(tmp_path / deeper)
    finally:
        if was_root:
            os.seteuid(0)
        tmp_path.chmod(0o755)
    assert everything_in(tmp_path) == []


def test_read_only_disk(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for folder in (small_disk, small_disk / "out"):
        with pytest.raises(OutputError, match="read-only"):
            check_writable(folder)
