"""Output folders: made when needed, and taken away again when nothing came of it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_TRIES = 100


def make_folders(folder: Path, made: list[Path]) -> None:
    """
    Create a folder and its parents; `made` notes, outermost first, those that were not there.

    Other tracks and processes may make the same ones at the same moment, and take them away again.
    """
    persistently(lambda: _make(folder, made))


def make_file(path: Path, made: list[Path]) -> None:
    """Create an empty file that is not there, and the folders around it as `make_folders` does."""

    def make() -> None:
        _make(path.parent, made)
        path.touch(exist_ok=False)

    persistently(make)


def persistently(action: Callable[[], T]) -> T:
    """Do something in a folder that others may make, and take away again, at the same moment."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError, FileExistsError):
            return action()
    return action()


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
