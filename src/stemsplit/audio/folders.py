"""Output folders: made when needed, and taken away again when nothing came of it."""

from contextlib import suppress
from pathlib import Path

_TRIES = 100


def make_folders(folder: Path, made: list[Path]) -> None:
    """
    Create a folder and its parents; `made` notes, outermost first, those that were not there.

    Other tracks and processes may make the same ones at the same moment, and take them away again.
    """
    for last in (*[False] * _TRIES, True):
        try:
            _make(folder, made)
            return
        except (FileNotFoundError, FileExistsError):
            if last or (folder.exists() and not folder.is_dir()):
                raise


def _make(folder: Path, made: list[Path]) -> None:
    missing: list[Path] = []
    while not folder.exists() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        made.append(path)


def remove_folders(made: list[Path]) -> None:
    """Remove those of the folders that are empty."""
    while made:
        with suppress(OSError):
            made.pop().rmdir()
