"""How what the operating system refuses is told to the user."""

import errno
import os
from pathlib import Path

from stemsplit.errors import DecodeError

_REASONS = {
    errno.ENOENT: "there is no such file. Check the name",
    errno.EEXIST: "something else has this name. Choose another one",
    errno.EISDIR: "this is a folder, not a file. Name a file inside it",
    errno.EACCES: "permission denied. Check who may use this file and its folder",
    errno.EPERM: "permission denied. Check who may use this file and its folder",
    errno.EROFS: "the disk is read-only. Choose another output folder",
    errno.ENOSPC: "the disk is full. Free some space or choose another output folder",
    errno.EDQUOT: "the disk quota is used up. Free some space or choose another output folder",
    errno.EFBIG: "the file is larger than this disk or account allows. Choose another output folder",
    errno.ENOTDIR: "a part of this path is a file where a folder should be. Check the path",
    errno.ENAMETOOLONG: "the name is too long for this disk. Choose a shorter one",
}


def shown(path: Path) -> str:
    """The path as text that any terminal takes: bytes that are no text become a replacement character."""
    return os.fsencode(path).decode("utf-8", "replace")


def check_exists(path: Path) -> None:
    """Raises DecodeError for an input that is not there, or cannot be asked for."""
    try:
        path.stat()
    except OSError as error:
        raise DecodeError(f"{shown(path)}: {reason(error)}.") from error


def reason(error: OSError) -> str:
    """What went wrong and what to do about it, without a full stop at the end."""
    known = _REASONS.get(error.errno or 0)
    return known or f"{error.strerror or error}. Check the disk and try again"
