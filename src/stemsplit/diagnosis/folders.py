"""What a folder takes: whether it can be written, and how much fits."""

import shutil
from pathlib import Path
from tempfile import TemporaryFile


def refusal(folder: Path) -> str | None:
    """Why nothing can be written there, None if something can. A folder that is not there yet is not made."""
    try:
        with TemporaryFile(dir=_nearest(folder)):
            return None
    except OSError as error:
        return error.strerror or str(error)


def free_bytes(folder: Path) -> int:
    """What fits on its disk."""
    return shutil.disk_usage(_nearest(folder)).free


def amount(size: float) -> str:
    """Bytes in words, such as 84 MB."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def _nearest(folder: Path) -> Path:
    """The folder itself, or what it will be made in."""
    return next(place for place in (folder, *folder.parents) if place.exists())
