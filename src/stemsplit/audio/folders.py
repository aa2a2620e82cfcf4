"""Output folders: made when needed, and taken away again when nothing came of it."""

from contextlib import suppress
from pathlib import Path


def make_folders(folder: Path, made: list[Path]) -> None:
    """Create a folder and its parents; `made` notes, outermost first, those that were not there."""
    missing: list[Path] = []
    while not folder.exists() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)  # another track may make it at the same moment
        made.append(path)


def remove_folders(made: list[Path]) -> None:
    """Remove those of the folders that are empty."""
    while made:
        with suppress(OSError):
            made.pop().rmdir()
