"""Folders to which one process writes at a time."""

from pathlib import Path

from filelock import FileLock, Timeout

from stemsplit.audio.faults import reason, shown
from stemsplit.errors import OutputError, UsageError


def lock_folder(folder: Path, file: Path, busy: str) -> FileLock:
    """
    Make a folder, and be the only process that writes to it, until the lock is released or the process ends.

    Args:
        folder: as the user knows it.
        file: the lock, somewhere in it.
        busy: what is said where another process has it.

    Raises:
        UsageError: where another process has it.
        OutputError: where nothing can be written.
    """
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise UsageError(f"{shown(folder)}: {busy}") from None
    except OSError as error:
        raise OutputError(f"{shown(folder)}: cannot be written: {reason(error)}.") from error
    return lock
