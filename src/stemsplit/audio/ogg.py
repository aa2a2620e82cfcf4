"""
Another serial number for a finished Ogg stream, so that the same command twice gives the same bytes.

libsndfile draws the number at random. What it stands for, telling apart streams that share a file, a file of one
stream does not need. Nothing here encodes or decodes. Section numbers are those of RFC 3533.
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

_POLYNOMIAL = 0x1_04C1_1DB7
_X = 0b10


class _Page(NamedTuple):
    start: int
    size: int
    serial: int
    number: int
    crc: int


def fix_serial(file: BinaryIO, serial: int = 1) -> None:
    """
    Give every page of an Ogg file of one stream this serial number, in place.

    Only page headers are read and written; the file's position ends anywhere. `file` is open for both, buffered
    or not. Pages are told apart first: a file that is refused is left as it was.

    Raises ValueError for what is no sequence of whole Ogg pages of one stream, and OSError.
    """
    for page in list(_pages(file)):
        crc = page.crc ^ _crc_of_serial(page.serial ^ serial, page.size)
        file.seek(page.start + _SERIAL_OFFSET)
        file.write(_SERIAL_TO_CRC.pack(serial, page.number, crc))


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
    return _Page(start, _HEADER.size + segments + sum(lengths), serial, number, crc)


# The CRC of a page (taken with zeros in the place of the CRC) is the page as a polynomial over GF(2), first bit
# highest, times x^32, modulo _POLYNOMIAL: the register starts at 0 and nothing is inverted at the end. That is linear.
# So the CRC changes by the CRC of the change, a page of zeros but for `old xor new`, and need not be computed over
# the page: where the four bytes of the change begin, n bytes from the page's end, it is `change` x^(8(n - 4)) x^32.


def _crc_of_serial(serial: int, page_size: int) -> int:
    """The CRC of a page of this size that is all zeros but for its serial number."""
    change = int.from_bytes(serial.to_bytes(4, "little"), "big")  # the file's first bit is the highest power
    return _multiply(change, _power_of_x(8 * (page_size - _SERIAL_OFFSET)))


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
