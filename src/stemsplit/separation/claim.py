"""
Who makes a track: one process at a time, which also clears up after one that died at it.

Two files beside the track's record, both gone when the track is: `.<name>.lock`, which the system lets go of when its
process dies, and `.<name>.parts`, the list of the temporaries that its holder made. Whoever holds the lock removes what
is on the list, so the temporaries of a living process are never touched.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from stemsplit.audio.folders import make_folders, persistently, remove_folders
from stemsplit.audio.tags import tagging_copy
from stemsplit.audio.targets import hidden, telling
from stemsplit.errors import EncodeError
from stemsplit.separation.record_file import FOLDER, beside_record, is_inside

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_SUFFIXES = (".lock", ".parts")


class Claim:
    """
    The right to make one track's files below an output folder.

    Attributes:
        has_no_lock: whether the disk knows no locks, so that nothing keeps another process from the same track.

    Raises:
        EncodeError: from `acquire` and `temporary`, for a folder that cannot be written.
    """

    def __init__(self, root: Path, track: str) -> None:
        self._root = root
        self._lock_path, self._parts_path = (beside_record(root, track, suffix) for suffix in _SUFFIXES)
        # Told by thread, a lock taken where songs are read could not be let go where stems are written.
        self._lock = FileLock(self._lock_path, thread_local=False)
        self._is_mine = False
        self._made: list[Path] = []
        self.has_no_lock = False

    def acquire(self) -> bool:
        """Take it, unless a living process has it; remove the temporaries of one that has died."""
        try:
            with telling(self._lock_path):
                self._is_mine = persistently(self._take)
                if self._is_mine:
                    self._clear()
        except EncodeError:
            self.release()
            raise
        finally:
            if not self._is_mine:
                remove_folders(self._made)
        return self._is_mine

    def _take(self) -> bool:
        make_folders(self._lock_path.parent, self._made)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            self.has_no_lock = True
        return True

    def temporary(self, target: Path, suffix: str) -> Path:
        """A hidden name beside `target`, noted before there is such a file."""
        path = hidden(target, suffix)
        with telling(target), self._parts_path.open("a", encoding="utf-8", errors="surrogateescape") as parts:
            parts.write(f"{path.relative_to(self._root).as_posix()}\0")
        return path

    def release(self) -> None:
        """Let it go; files and folders for it go as well, but those in which there are records."""
        if not self._is_mine:
            return
        self._is_mine = False
        with suppress(OSError):
            self._clear()
        with suppress(OSError):  # Windows removes no file that is open
            self._lock_path.unlink(missing_ok=True)
        self._lock.release()
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
        left: list[Path] = []
        for name in filter(is_inside, text.split("\0")):
            path = self._root / name
            if path.name.startswith(".") and path.suffix in (".part", ".held"):  # whoever wrote the list
                left += [path for path in (path, tagging_copy(path)) if not _removed(path)]
        if not left:
            self._parts_path.unlink()


def _removed(path: Path) -> bool:
    """Whether a file is gone, which on Windows it cannot be as long as somebody has it open."""
    with suppress(OSError):
        path.unlink()
    return not os.path.lexists(path)


def is_abandoned(root: Path, track: str) -> bool:
    """Whether a process may be at a track, or have died at it."""
    return any(os.path.exists(beside_record(root, track, suffix)) for suffix in _SUFFIXES)  # noqa: PTH110
