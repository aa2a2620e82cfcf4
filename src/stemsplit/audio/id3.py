"""The ID3v2 tag that an mp3 may begin with: how long it is."""

from typing import BinaryIO

_HEADER_BYTES = 10


def tag_bytes(file: BinaryIO) -> int:
    """The length of a leading tag, 0 for none; the file is left at its start."""
    header = file.read(_HEADER_BYTES)
    file.seek(0)
    if header[:3] != b"ID3" or len(header) < _HEADER_BYTES:
        return 0
    size = sum(byte << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
    return _HEADER_BYTES + size  # four times seven bits (ID3v2.4 structure, 3.1)
