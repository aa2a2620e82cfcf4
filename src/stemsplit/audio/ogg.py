"""
Finished Ogg streams of Vorbis or Opus: another serial number, other headers. Nothing here encodes or decodes.

libsndfile draws the serial number at random, and the same command twice shall give the same bytes. What it stands for,
telling apart streams that share a file, a file of one stream does not need. Section numbers are those of RFC 3533.
"""

from collections.abc import Iterator
from functools import cache
from struct import Struct
from typing import BinaryIO, NamedTuple

# Section 6: capture pattern, version, flags, granule position, serial number, page number, CRC, segments. The table
# of segment lengths follows, up to 255 bytes of it, then the segments.
_HEADER = Struct("<4s B B q I I I B")
_SERIAL_OFFSET = 14
_SERIAL_TO_CRC = Struct("<I I I")

_NUMBER_OFFSET = 18
_HEADER_PACKETS = {b"\x01vorbis": 3, b"OpusHea": 2}  # by how the first one begins

_POLYNOMIAL = 0x1_04C1_1DB7
_X = 0b10


class _Page(NamedTuple):
    start: int
    size: int
    serial: int
    number: int
    crc: int
    segments: int


def fix_serial(file: BinaryIO, serial: int = 1) -> None:
    """
    Give every page of an Ogg file of one stream this serial number, in place.

    Only page headers are read and written; the file's position ends anywhere. `file` is open for both, buffered
    or not. Pages are told apart first: a file that is refused is left as it was.

    Raises ValueError for what is no sequence of whole Ogg pages of one stream, and OSError.
    """
    for page in list(_pages(file)):
        crc = page.crc ^ _crc_of_change(page.serial ^ serial, page.size, _SERIAL_OFFSET)
        file.seek(page.start + _SERIAL_OFFSET)
        file.write(_SERIAL_TO_CRC.pack(serial, page.number, crc))


def exchange_headers(original: BinaryIO, donor: BinaryIO, target: BinaryIO, serial: int = 1) -> None:
    """
    Write the sound of `original` behind the headers of `donor`, a copy of it that has other comments.

    The pages of the sound stay as they are but for their numbers, so that it keeps its length to the sample. The
    copy's own pages would not do: ffmpeg counts their positions anew, and is off by up to a block at either end.

    Raises ValueError for what is no sequence of whole Ogg pages of one stream, and OSError.
    """
    number = 0
    for file, wanted in ((donor, True), (original, False)):
        for page, is_header in _told_apart(file):
            if is_header == wanted:
                file.seek(page.start)
                data = bytearray(file.read(page.size))
                crc = page.crc ^ _crc_of_change(page.serial ^ serial, page.size, _SERIAL_OFFSET)
                crc ^= _crc_of_change(page.number ^ number, page.size, _NUMBER_OFFSET)
                _SERIAL_TO_CRC.pack_into(data, _SERIAL_OFFSET, serial, number, crc)
                target.write(data)
                number += 1


def _told_apart(file: BinaryIO) -> Iterator[tuple[_Page, bool]]:
    """Every page, and whether it holds headers: sound begins on a page of its own (RFC 7845, 3; Vorbis I, A.2)."""
    packets = 0
    headers: int | None = None
    for page in _pages(file):
        file.seek(page.start + _HEADER.size)
        lengths = file.read(page.segments)
        if headers is None:
            headers = _HEADER_PACKETS.get(file.read(8)[:7], 0)
        yield page, packets < headers
        packets += sum(length < 255 for length in lengths)


def _pages(file: BinaryIO) -> Iterator[_Page]:
    end = file.seek(0, 2)
    page = first = _page_at(file, 0)
    while True:
        if page.start + page.size > end:
            raise ValueError(f"the Ogg page at byte {page.start} is cut short")
        if page.serial != first.serial:
            raise ValueError(f"another Ogg stream begins at byte {page.start}")
        yield page
        if page.start + page.size == end:
            return
        page = _page_at(file, page.start + page.size)


def _page_at(file: BinaryIO, start: int) -> _Page:
    file.seek(start)
    header = file.read(_HEADER.size + 255)
    if len(header) < _HEADER.size:
        raise ValueError(f"there is no Ogg page at byte {start}")
    pattern, version, _, _, serial, number, crc, segments = _HEADER.unpack_from(header)
    if (pattern, version) != (b"OggS", 0):
        raise ValueError(f"there is no Ogg page at byte {start}")
    lengths = header[_HEADER.size : _HEADER.size + segments]
    return _Page(start, _HEADER.size + segments + sum(lengths), serial, number, crc, segments)


# The CRC of a page (taken with zeros in the place of the CRC) is the page as a polynomial over GF(2), first bit
# highest, times x^32, modulo _POLYNOMIAL: the register starts at 0 and nothing is inverted at the end. That is linear.
# So the CRC changes by the CRC of the change, a page of zeros but for `old xor new`, and need not be computed over
# the page: where the four bytes of the change begin, n bytes from the page's end, it is `change` x^(8(n - 4)) x^32.


def _crc_of_change(number: int, page_size: int, offset: int) -> int:
    """The CRC of a page of this size that is all zeros but for a 32-bit number at an offset."""
    change = int.from_bytes(number.to_bytes(4, "little"), "big")  # the file's first bit is the highest power
    return _multiply(change, _power_of_x(8 * (page_size - offset)))


@cache
def _power_of_x(exponent: int) -> int:
    """Modulo the polynomial, by squaring. Kept, as most pages of a stream are of a few sizes."""
    if exponent == 0:
        return 1
    half = _power_of_x(exponent // 2)
    square = _multiply(half, half)
    return _multiply(square, _X) if exponent % 2 else square


def _multiply(left: int, right: int) -> int:
    """The product modulo the polynomial, by Horner's rule over the bits of `right`."""
    product = 0
    for bit in reversed(range(32)):
        product <<= 1
        if product >> 32:
            product ^= _POLYNOMIAL
        if right >> bit & 1:
            product ^= left
    return product
