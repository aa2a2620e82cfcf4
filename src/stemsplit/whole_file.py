"""Files that are whole or not there: written beside their place, and moved there when they are on the disk."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = ".tmp"


@contextmanager
def whole_file(path: Path, beside: Path | None = None) -> Iterator[BinaryIO]:
    """
    Open a file to write it; it has its name when the context ends well, and what had it before is gone only then.

    Args:
        path: its name.
        beside: the folder, on the same disk, where it is written; by default its own.

    Raises:
        OSError: where it cannot be written.
    """
    temporary = (beside or path.parent) / (f".{path.name[:40]}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """What processes that were killed have left in a folder that nobody else writes to."""
    for path in folder.glob(f".*{_TEMPORARY}"):
        if path.is_file():
            path.unlink(missing_ok=True)
