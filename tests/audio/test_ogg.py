"""Ogg serial numbers: nothing but the number changes, and every checksum is right again."""

import struct
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from signals import needs_ffmpeg, noise, write_sound
from stemsplit.audio.ogg import fix_serial

RATE = 48_000
LENGTHS = [1, 3 * RATE]

each_file = pytest.mark.parametrize(
    ("suffix", "frames"), [(suffix, frames) for suffix in (".ogg", ".opus") for frames in LENGTHS]
)
serials = st.integers(0, 2**32 - 1)


def crc(data: bytes) -> int:
    """Bit by bit, as RFC 3533 has it: polynomial 0x04c11db7, from zero, not reflected, not inverted."""
    register = 0
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1) ^ (0x1_04C1_1DB7 if register >> 31 else 0)
    return register


def page(serial: int, number: int, body: bytes, granule: int = 0) -> bytes:
    """One page, checksum and all. The body fills 254 segments at most."""
    lengths = [255] * (len(body) // 255) + [len(body) % 255]
    head = struct.pack("<4sBBqII", b"OggS", 0, 0, granule, serial, number)
    tail = bytes([len(lengths), *lengths]) + body
    return head + struct.pack("<I", crc(head + bytes(4) + tail)) + tail


def pages(data: bytes) -> list[bytes]:
    """The file cut where the lengths in each page's table say."""
    found = []
    while data:
        table = data[27 : 27 + data[26]]
        size = 27 + len(table) + sum(table)
        found.append(data[:size])
        data = data[size:]
    return found


def serial_of(one: bytes) -> int:
    return int(struct.unpack_from("<I", one, 14)[0])


def has_right_crc(one: bytes) -> bool:
    return struct.pack("<I", crc(one[:22] + bytes(4) + one[26:])) == one[22:26]


def without_serial(one: bytes) -> bytes:
    return one[:14] + one[18:22] + one[26:]


def encoded(path: Path, frames: int) -> Path:
    return write_sound(path, noise(2, frames), RATE)


def fix(path: Path, serial: int = 1) -> bytes:
    with path.open("r+b", buffering=0) as file:
        fix_serial(file, serial)
    return path.read_bytes()


def decoded(path: Path) -> NDArray[np.float32]:
    with path.open("rb") as file:
        samples, _ = soundfile.read(file.fileno(), dtype="float32", closefd=False)
    return np.asarray(samples)


def decoded_by_ffmpeg(path: Path) -> tuple[bytes, bytes]:
    """The samples, and what ffmpeg, told to check each page's CRC, complains of."""
    command = ["ffmpeg", "-nostdin", "-v", "warning", "-err_detect", "crccheck", "-i", f"file:{path}", "-f", "f32le"]
    done = subprocess.run([*command, "pipe:"], check=True, capture_output=True)
    return done.stdout, done.stderr


@each_file
def test_every_page_has_the_number_and_a_right_crc_and_is_else_untouched(
    tmp_path: Path, suffix: str, frames: int
) -> None:
    before = pages(encoded(tmp_path / f"x{suffix}", frames).read_bytes())
    after = pages(fix(tmp_path / f"x{suffix}", 0xDEADBEEF))
    assert {serial_of(one) for one in after} == {0xDEADBEEF}
    assert all(has_right_crc(one) for one in after)
    assert [without_serial(one) for one in after] == [without_serial(one) for one in before]


@each_file
def test_two_encodings_become_the_same_bytes(tmp_path: Path, suffix: str, frames: int) -> None:
    one, two = (encoded(tmp_path / f"{name}{suffix}", frames) for name in ("one", "two"))
    assert one.read_bytes() != two.read_bytes()
    assert fix(one) == fix(two)


@each_file
def test_libsndfile_decodes_the_same_samples(tmp_path: Path, suffix: str, frames: int) -> None:
    path = encoded(tmp_path / f"x{suffix}", frames)
    before = decoded(path)
    fix(path)
    assert len(before) == frames
    assert np.array_equal(decoded(path), before)


@needs_ffmpeg
@each_file
def test_ffmpeg_decodes_the_same_samples_and_finds_no_wrong_crc(tmp_path: Path, suffix: str, frames: int) -> None:
    path = encoded(tmp_path / f"x{suffix}", frames)
    before = decoded_by_ffmpeg(path)
    fix(path)
    assert decoded_by_ffmpeg(path) == before
    assert before[0]
    assert not before[1]


@needs_ffmpeg
def test_ffmpeg_would_find_a_wrong_crc(tmp_path: Path) -> None:
    path = encoded(tmp_path / "x.ogg", 3 * RATE)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"OggS") + 14] ^= 1
    path.write_bytes(data)
    assert b"CRC mismatch" in decoded_by_ffmpeg(path)[1]


@settings(deadline=None)
@given(
    old=serials,
    new=serials,
    bodies=st.lists(
        st.binary(max_size=600) | st.integers(0, 64_000).map(np.random.default_rng(0).bytes), min_size=1, max_size=3
    ),
)
def test_any_pages_become_those_that_would_have_been_written_with_the_new_number(
    old: int, new: int, bodies: list[bytes]
) -> None:
    before, after = (b"".join(page(serial, n, body) for n, body in enumerate(bodies)) for serial in (old, new))
    file = BytesIO(before)
    fix_serial(file, new)
    assert file.getvalue() == after


def test_the_number_is_kept_when_it_is_right_already(tmp_path: Path) -> None:
    path = encoded(tmp_path / "x.ogg", 1)
    assert fix(path) == fix(path)


class _Counting(BytesIO):
    """Counts the bytes that are read."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.total += len(data)
        return data


def test_only_headers_are_read() -> None:
    file = _Counting(b"".join(page(9, n, bytes(64_000)) for n in range(3)))
    fix_serial(file)
    assert file.total <= 3 * (27 + 255)


WHOLE = page(9, 0, b"head") + page(9, 1, bytes(1000))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"RIFF" + bytes(1000), id="another format"),
        pytest.param(b"OggS\x01" + WHOLE[5:], id="another version"),
        pytest.param(WHOLE[:20], id="cut in a header"),
        pytest.param(WHOLE[:-1], id="cut in a page"),
        pytest.param(WHOLE + b"TAG", id="something behind"),
        pytest.param(WHOLE + page(10, 0, b"head"), id="two streams"),
    ],
)
def test_what_is_no_single_ogg_stream_is_refused_untouched(data: bytes) -> None:
    file = BytesIO(data)
    with pytest.raises(ValueError, match="Ogg"):
        fix_serial(file)
    assert file.getvalue() == data
