"""Whether a file has the bytes it should have: its size and its SHA-256."""

import hashlib
from pathlib import Path

from stemsplit.errors import IntegrityError


def sha256_of(path: Path) -> str:
    """
    SHA-256 of a file in hexadecimal. 84 MB, the size of a published network, take about 0.1 s.

    Raises:
        IntegrityError: if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}.") from error


def flaw_of(path: Path, sha256: str | None, size: int | None) -> str | None:
    """
    What is wrong with a file, in words that follow its name, or None if nothing is.

    Args:
        path: the file.
        sha256: the SHA-256 it should have, or the first digits of it; None where it is not known.
        size: the bytes it should have; None where they are not known.

    Raises:
        IntegrityError: if the file cannot be read.
    """
    if size is not None and path.stat().st_size != size:
        return f"has {path.stat().st_size:,} bytes instead of {size:,}"
    if sha256 is not None and (actual := sha256_of(path)[: len(sha256)]) != sha256:
        return f"has the SHA-256 {actual} instead of {sha256}"
    return None
