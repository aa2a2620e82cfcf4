"""Final names of stems, and their folders: whether they may be written, and what the system says against it."""

import errno
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path

import soundfile

from stemsplit.audio.faults import reason, shown
from stemsplit.audio.ffmpeg_program import FfmpegError
from stemsplit.audio.folders import make_file, remove_folders
from stemsplit.errors import DiskFullError, EncodeError, OutputError

_FULL_BYTES = 4096  # of free space: where there is less, nothing more can be written


def hidden(target: Path, suffix: str) -> Path:
    """A name beside `target` that nobody takes for a stem, and nothing else has."""
    return target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}{suffix}")


@contextmanager
def telling(target: Path) -> Iterator[None]:
    """
    Turn what the operating system or the encoder refuses into an EncodeError that names the stem.

    Where the disk is full it is a DiskFullError, also when libsndfile or ffmpeg do not give that as the reason.
    """
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else EncodeError
        raise kind(f"{shown(target)}: cannot be written: {reason(error)}.") from error
    except soundfile.LibsndfileError as error:
        raise _encode_error(target, error, "Choose another format.") from error
    except FfmpegError as error:
        raise _encode_error(target, error, "Check the disk and try again.") from error


def _encode_error(target: Path, error: Exception, remedy: str) -> EncodeError:
    with suppress(OSError):
        if shutil.disk_usage(target.parent).free < _FULL_BYTES:
            return DiskFullError(f"{shown(target)}: cannot be written: {reason(OSError(errno.ENOSPC, ''))}.")
    return EncodeError(f"{shown(target)}: cannot be encoded ({error}). {remedy}")


def check_target(target: Path, *, overwrite: bool) -> None:
    """
    Find out whether a stem may have its name.

    Raises EncodeError when a file has it already (unless `overwrite`), or a folder.
    """
    with telling(target):
        if target.is_dir():
            raise EncodeError(f"{shown(target)}: a folder has this name. Move it or choose another output folder.")
        if (target.exists() or target.is_symlink()) and not overwrite:
            raise EncodeError(
                f"{shown(target)}: exists already. Use --overwrite to replace it, or another output folder."
            )


def check_space(folder: Path, needed: float, track: str) -> None:
    """Raises DiskFullError when fewer than `needed` bytes are free for the stems of a track."""
    with telling(folder):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFullError(
            f"{shown(folder)}: the stems of {track} need {needed / 1e6:,.1f} MB and {free / 1e6:,.1f} MB are free. "
            "Free some space or choose another output folder."
        )


def set_aside(path: Path) -> Path:
    """Give a file that is about to be replaced a name that is free beside it; that name."""
    marks = chain(["changed"], map("changed {}".format, count(2)))
    names = (path.with_name(f"{path.stem} ({mark}){path.suffix}") for mark in marks)
    free = next(name for name in names if not os.path.lexists(name))
    path.rename(free)
    return free


def publish(parts: Mapping[Path, Path], replace: Collection[Path]) -> None:
    """
    Give temporaries their final names, {temporary: name}: all, or none of those that are new.

    Raises EncodeError for a name that something has which is not among those to `replace`.
    """
    new: list[Path] = []
    try:
        for part, target in parts.items():
            with telling(target):
                check_target(target, overwrite=target in replace)
                is_new = not target.exists()
                part.replace(target)
                if is_new:
                    new.append(target)
    except BaseException:
        for target in new:
            with suppress(OSError):
                target.unlink()
        raise


def check_writable(folder: Path) -> None:
    """
    Find out whether an output folder can be created and written, leaving nothing behind.

    Raises OutputError when it cannot: a file is in the way, the disk is read-only, or it is not permitted.
    """
    made: list[Path] = []
    try:
        probe = folder / f".{secrets.token_hex(4)}.part"
        make_file(probe, made)
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{shown(folder)}: cannot be written: {reason(error)}.") from error
    finally:
        remove_folders(made)
