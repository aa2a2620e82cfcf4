"""Stems files: five tracks as they were, of which players play the first, and the atom that names the stems."""

import json
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signals import encode, needs_ffmpeg, noise
from stemsplit.audio.ffmpeg_program import FfmpegError, probe
from stemsplit.audio.stem_mp4 import COLOURS, describe, mux

RATE = 44_100
FRAMES = 100_003  # no whole number of AAC's frames of 1024, nor of milliseconds
NAMES = ["drums", "bass", "other", "vocals"]
TITLES = ["Mixture", "Drums", "Bass", "Other", "Vocals"]


def part(path: Path, frames: int = FRAMES, seed: int = 0, rate: int = RATE) -> Path:
    """AAC as the encoder of stems leaves it, under a temporary name."""
    options = ["-f", "ipod", "-c:a", "aac", "-b:a", "256k", "-movie_timescale", str(rate)]
    return encode(noise(2, frames, seed=seed), path, *options, rate=rate, layout="stereo")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("parts")
    return [part(folder / f"{seed}.part", seed=seed) for seed in range(5)]


@pytest.fixture(scope="module")
def muxed(parts: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("muxed") / "song.stem.mp4.part"
    mux(parts, NAMES, path)
    return path


@pytest.fixture
def song(muxed: Path, tmp_path: Path) -> Path:
    """A muxed file that a test may change."""
    return Path(shutil.copy(muxed, tmp_path / "song.stem.mp4"))


def atoms(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each outermost atom; an own reader, which takes no size for granted."""
    while data:
        size, kind = struct.unpack(">I4s", data[:8])
        assert 8 <= size <= len(data)
        yield kind, data[8:size]
        data = data[size:]


def inside(data: bytes, *path: bytes) -> list[bytes]:
    """The contents of all atoms on this path."""
    found = [data]
    for step in path:
        found = [content for outer in found for kind, content in atoms(outer) if kind == step]
    return found


def atom(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def large_atom(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content


def manifest(path: Path) -> Any:
    (content,) = inside(path.read_bytes(), b"moov", b"udta", b"stem")
    return json.loads(content.decode("utf-8"))


def enabled(path: Path) -> list[int]:
    """Bit 0 of the flags of each track's header (ISO/IEC 14496-12, section 8.3.2)."""
    return [header[3] & 1 for header in inside(path.read_bytes(), b"moov", b"trak", b"tkhd")]


def decoded(path: Path, track: int = 0) -> bytes:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", "-map", f"0:a:{track}", "-f", "f32le", "-"]
    done = subprocess.run(command, check=True, capture_output=True)
    assert not done.stderr
    return done.stdout


def tagged(song: Path, target: Path) -> Path:
    """Have ffmpeg write tags and a cover, as another pass of the program does."""
    cover = target.with_suffix(".png")
    picture = ["-f", "lavfi", "-i", "color=red:size=16x16", "-frames:v", "1", f"file:{cover}"]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *picture], check=True, capture_output=True)
    inputs = ["-i", f"file:{song}", "-i", f"file:{cover}", "-map", "0", "-map", "1", "-c", "copy"]
    tags = ["-metadata", "title=Song", "-metadata", "artist=Ärzte", "-disposition:v", "attached_pic", "-f", "mp4"]
    command = ["ffmpeg", "-nostdin", "-v", "error", *inputs, *tags, f"file:{target}"]
    subprocess.run(command, check=True, capture_output=True)
    return target


# --- the tracks -------------------------------------------------------------------------------------------


@needs_ffmpeg
def test_five_aac_tracks_of_which_the_first_is_the_default(song: Path) -> None:
    describe(song, NAMES)
    streams = probe(song)["streams"]
    assert [stream["codec_name"] for stream in streams] == ["aac"] * 5
    assert [stream["disposition"]["default"] for stream in streams] == [1, 0, 0, 0, 0]
    assert enabled(song) == [1, 0, 0, 0, 0]


@needs_ffmpeg
def test_tracks_have_titles(song: Path) -> None:
    assert [stream["tags"]["handler_name"] for stream in probe(song)["streams"]] == TITLES
    assert [name.decode() for name in inside(song.read_bytes(), b"moov", b"trak", b"udta", b"name")] == TITLES


@needs_ffmpeg
def test_each_track_decodes_as_its_part_does(parts: list[Path], song: Path) -> None:
    describe(song, NAMES)
    tracks = [decoded(song, track) for track in range(5)]
    assert tracks == [decoded(part) for part in parts]
    assert min(len(track) for track in tracks) >= FRAMES * 2 * 4  # older ffmpeg decodes the padding at the end too


@needs_ffmpeg
@pytest.mark.parametrize(("frames", "rate"), [(1, 44_100), (FRAMES, 44_100), (48_001, 48_000)])
def test_declared_length_is_exact(tmp_path: Path, frames: int, rate: int) -> None:
    one = part(tmp_path / "one.part", frames, rate=rate)
    mux([one] * 5, NAMES, tmp_path / "x.mp4")
    describe(tmp_path / "x.mp4", NAMES)
    found = probe(tmp_path / "x.mp4")
    assert [stream["duration_ts"] for stream in found["streams"]] == [frames] * 5
    assert float(found["format"]["duration"]) == pytest.approx(frames / rate, abs=1e-6)


@needs_ffmpeg
def test_a_part_that_is_no_audio_is_an_error(parts: list[Path], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.part"
    wrong.write_bytes(b"no audio")
    with pytest.raises(FfmpegError, match="Invalid data"):
        mux([*parts[:4], wrong], NAMES, tmp_path / "x.mp4")


def test_the_numbers_of_tracks_and_names_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="5 tracks are needed, not 4"):
        mux([tmp_path] * 4, NAMES, tmp_path / "x.mp4")
    with pytest.raises(ValueError, match="4 stems are needed, not 5"):
        mux([tmp_path] * 5, ["mixture", *NAMES], tmp_path / "x.mp4")


# --- the atom ---------------------------------------------------------------------------------------------


@needs_ffmpeg
def test_the_atom_holds_the_manifest(song: Path) -> None:
    describe(song, NAMES)
    found = manifest(song)
    assert list(found) == ["mastering_dsp", "version", "stems"]
    assert found["version"] == 1
    assert found["stems"] == [
        {"color": colour, "name": title} for colour, title in zip(COLOURS, TITLES[1:], strict=True)
    ]
    assert [effect["enabled"] for effect in found["mastering_dsp"].values()] == [False, False]
    assert len(set(COLOURS)) == 4


@needs_ffmpeg
def test_ffprobe_sees_the_manifest(song: Path) -> None:
    """It takes udta for Mac Roman; the manifest is the same in that code, whatever the names."""
    describe(song, ["trommeln", "bässe", "øvrig", "声"])
    tags = probe(song, "-export_all", "1")["format"]["tags"]
    assert json.loads(tags["stem"]) == manifest(song)
    assert [stem["name"] for stem in manifest(song)["stems"]] == ["Trommeln", "Bässe", "Øvrig", "声"]


@needs_ffmpeg
def test_only_udta_changes(song: Path) -> None:
    before = song.read_bytes()
    describe(song, NAMES)
    after = song.read_bytes()
    start = before.rindex(b"moov") - 4
    assert after[:start] == before[:start]
    for path in ([b"moov", b"mvhd"], [b"moov", b"trak"], [b"moov", b"udta", b"meta"]):
        assert inside(after, *path) == inside(before, *path) != []


@needs_ffmpeg
def test_tags_and_cover_stay(song: Path, tmp_path: Path) -> None:
    path = tagged(song, tmp_path / "tagged.mp4")
    before = path.read_bytes()
    describe(path, NAMES)
    assert inside(path.read_bytes(), b"moov", b"udta", b"meta") == inside(before, b"moov", b"udta", b"meta")
    found = probe(path)
    assert (found["format"]["tags"]["title"], found["format"]["tags"]["artist"]) == ("Song", "Ärzte")
    assert [stream["codec_name"] for stream in found["streams"]] == [*["aac"] * 5, "png"]
    assert enabled(path)[:5] == [1, 0, 0, 0, 0]
    assert len(manifest(path)["stems"]) == 4


@needs_ffmpeg
def test_describing_twice_is_describing_once(song: Path) -> None:
    describe(song, NAMES)
    once = song.read_bytes()
    describe(song, ["a much longer name", *NAMES[1:]])
    assert manifest(song)["stems"][0]["name"] == "A much longer name"
    describe(song, NAMES)
    assert song.read_bytes() == once


@needs_ffmpeg
def test_two_runs_give_the_same_bytes(parts: list[Path], tmp_path: Path) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.part"
    for path in (one, two):
        mux(parts, NAMES, path)
        describe(path, NAMES)
    assert one.read_bytes() == two.read_bytes()


@needs_ffmpeg
def test_a_file_whose_moov_comes_first_is_refused_untouched(song: Path, tmp_path: Path) -> None:
    fast = tmp_path / "fast.mp4"
    command = ["ffmpeg", "-v", "error", "-i", str(song), "-map", "0", "-c", "copy", "-movflags", "+faststart"]
    subprocess.run([*command, str(fast)], check=True, capture_output=True)
    before = fast.read_bytes()
    with pytest.raises(ValueError, match="stands before samples"):
        describe(fast, NAMES)
    assert fast.read_bytes() == before


# --- layouts made by hand ---------------------------------------------------------------------------------

BRAND, HEADER, SAMPLES = atom(b"ftyp", b"isom"), atom(b"mvhd", bytes(100)), atom(b"mdat", bytes(1000))
TAGS = atom(b"meta", b"tags")


@pytest.mark.parametrize(
    ("before", "children", "kept", "behind"),
    [
        pytest.param(SAMPLES, HEADER, b"", b"", id="no udta"),
        pytest.param(SAMPLES, HEADER + atom(b"udta", TAGS), TAGS, b"", id="udta with tags"),
        pytest.param(SAMPLES, atom(b"udta", TAGS) + HEADER, TAGS, b"", id="udta first"),
        pytest.param(SAMPLES, HEADER + large_atom(b"udta", TAGS), TAGS, b"", id="udta with a 64-bit size"),
        pytest.param(SAMPLES, HEADER + atom(b"udta", atom(b"stem", bytes(9999)) + TAGS), TAGS, b"", id="a longer stem"),
        pytest.param(large_atom(b"mdat", bytes(1000)), HEADER, b"", b"", id="mdat with a 64-bit size"),
        pytest.param(SAMPLES + SAMPLES, HEADER, b"", b"", id="two mdat"),
        pytest.param(SAMPLES, HEADER, b"", atom(b"free", bytes(77)), id="something behind"),
    ],
)
def test_other_layouts_are_understood(
    tmp_path: Path, before: bytes, children: bytes, kept: bytes, behind: bytes
) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(BRAND + before + atom(b"moov", children) + behind)
    describe(path, NAMES)
    (stem,) = inside(path.read_bytes()[len(BRAND + before) :], b"moov", b"udta", b"stem")
    assert len(json.loads(stem)["stems"]) == 4
    moov = atom(b"moov", HEADER + atom(b"udta", kept + atom(b"stem", stem)))
    assert path.read_bytes() == BRAND + before + moov + behind


def test_samples_beyond_4_gib_are_not_read(tmp_path: Path) -> None:
    path, size = tmp_path / "x.mp4", 5 * 2**30
    with path.open("wb") as file:
        file.write(BRAND + struct.pack(">I4sQ", 1, b"mdat", size))
        file.seek(len(BRAND) + size)  # a hole, which takes no room on the disk
        file.write(atom(b"moov", HEADER))
    describe(path, NAMES)
    with path.open("rb") as file:
        file.seek(len(BRAND) + size)
        assert len(inside(file.read(), b"moov", b"udta", b"stem")) == 1


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"RIFF" + bytes(100), id="another format"),
        pytest.param(BRAND + atom(b"moov", HEADER), id="no mdat"),
        pytest.param(BRAND + SAMPLES, id="no moov"),
        pytest.param(BRAND + atom(b"moov", HEADER) + SAMPLES, id="moov first"),
        pytest.param(BRAND + SAMPLES + atom(b"moov", HEADER) + atom(b"moof") + SAMPLES, id="fragments"),
        pytest.param(BRAND + SAMPLES + atom(b"moov", HEADER) * 2, id="two moov"),
        pytest.param(BRAND + struct.pack(">I4s", 0, b"mdat") + atom(b"moov", HEADER), id="mdat to the end"),
        pytest.param(BRAND + SAMPLES + atom(b"moov", HEADER)[:-1], id="cut in an atom"),
        pytest.param(BRAND + SAMPLES + atom(b"moov", HEADER) + b"fre", id="cut in a header"),
        pytest.param(BRAND + SAMPLES + atom(b"moov", HEADER) + struct.pack(">I4s", 1, b"free"), id="no 64-bit size"),
        pytest.param(BRAND + SAMPLES + atom(b"moov", HEADER + b"\0\0\0\7udta"), id="an atom shorter than its header"),
        pytest.param(BRAND + SAMPLES + atom(b"moov", HEADER + b"\0\0\0\x99udta"), id="a child longer than moov"),
    ],
)
def test_other_files_are_refused_untouched(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"atom"):
        describe(path, NAMES)
    assert path.read_bytes() == data


def test_another_number_of_names_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(BRAND + SAMPLES + atom(b"moov", HEADER))
    with pytest.raises(ValueError, match="4 stems are needed, not 3"):
        describe(path, NAMES[:3])
    assert path.read_bytes() == BRAND + SAMPLES + atom(b"moov", HEADER)
