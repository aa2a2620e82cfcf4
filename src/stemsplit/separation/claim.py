"""
Who makes a track: one process at a time, which also clears up after one that died at it.

Two files beside the track's record, both gone when the track is: `.<name>.lock`, which the system lets go of when its
process dies, and `.<name>.parts`, the list of the temporaries that its holder made. Whoever holds the lock removes what
is on the list, so the temporaries of a living process are never touched.
"""

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from stemsplit.audio.folders import make_folders, remove_folders
from stemsplit.audio.targets import hidden, telling
from stemsplit.errors import EncodeError
from stemsplit.separation.record import FOLDER, beside_record, is_inside

_TRIES = 100  # at a folder that others make and tidy away at the same time
_SUFFIXES = (".lock", ".parts")


class Claim:
    """
    The right to make one track's files below an output folder.

    Raises:
        EncodeError: from `acquire` and `temporary`, for a folder that cannot be written.
    """

    def __init__(self, root: Path, track: str) -> None:
        self._root = root
        self._lock_path, self._parts_path = (beside_record(root, track, suffix) for suffix in _SUFFIXES)
        self._lock: FileLock | None = None
        self._made: list[Path] = []

    def acquire(self) -> bool:
        """Take it, unless a living process has it; remove the temporaries of one that has died."""
        # Told by thread, a lock taken where songs are read could not be let go where stems are written.
        lock = FileLock(self._lock_path, thread_local=False)
        try:
            with telling(self._lock_path):
                if self._take(lock):
                    self._lock = lock
                    self._clear()
        except EncodeError:
            self.release()
            raise
        finally:
            if self._lock is None:
                remove_folders(self._made)
        return self._lock is not None

    def _take(self, lock: FileLock) -> bool:
        for last in (*[False] * _TRIES, True):
            try:
                make_folders(self._lock_path.parent, self._made)
                lock.acquire(blocking=False)
                return True
            except Timeout:
                return False
            except FileNotFoundError:  # another process has just tidied the folder away
                if last:
                    raise
        raise AssertionError("the last try returns or raises")

    def temporary(self, target: Path, suffix: str) -> Path:
        """A hidden name beside `target`, noted before there is such a file."""
        path = hidden(target, suffix)
        with telling(target), self._parts_path.open("a", encoding="utf-8", errors="surrogateescape") as parts:
            parts.write(f"{path.relative_to(self._root).as_posix()}\0")
        return path

    def release(self) -> None:
        """Let it go; files and folders for it go as well, but those in which there are records."""
        if self._lock is None:
            return
        with suppress(OSError):
            self._clear()
        with suppress(OSError):  # Windows removes no file that is open
            self._lock_path.unlink(missing_ok=True)
        self._lock.release()
        self._lock = None
        folder = self._lock_path.parent
        while folder != self._root and FOLDER in folder.relative_to(self._root).parts:
            with suppress(OSError):
                folder.rmdir()
            folder = folder.parent
        remove_folders(self._made)

    def _clear(self) -> None:
        """Remove the temporaries that are on the list."""
        try:
            text = self._parts_path.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            return
        for name in filter(is_inside, text.split("\0")):
            path = self._root / name
            if path.name.startswith(".") and path.suffix in (".part", ".held"):  # whoever wrote the list
                with suppress(OSError):
                    path.unlink()
        self._parts_path.unlink()


def is_abandoned(root: Path, track: str) -> bool:
    """Whether a process may be at a track, or have died at it."""
    return any(beside_record(root, track, suffix).exists() for suffix in _SUFFIXES)
