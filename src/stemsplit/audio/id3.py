"""The ID3v2 tag that an mp3 may begin with: how long it is, and another in its place."""

import shutil
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


def exchange_tag(original: BinaryIO, donor: BinaryIO, target: BinaryIO) -> None:
    """
    Write the sound of `original` behind the tag of `donor`, a copy of it.

    The copy's sound is not used: ffmpeg writes a header of its own before it, without the encoder's true delay.
    """
    target.write(donor.read(tag_bytes(donor)))
    original.seek(tag_bytes(original))
    shutil.copyfileobj(original, target)
