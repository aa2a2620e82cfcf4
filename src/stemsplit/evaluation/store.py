"""
What is known of songs already, kept in a folder, so that work which was stopped goes on where it was.

One small file per song and method, whole or not there, named by a hash of all that its content depends on.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from stemsplit.audio.faults import reason, shown
from stemsplit.audio.folder_lock import lock_folder
from stemsplit.audio.targets import check_writable
from stemsplit.errors import OutputError, StemsplitError
from stemsplit.whole_file import remove_temporaries, whole_file

HIDDEN = ".stemsplit"
_KEY_DIGITS = 32


class Store:
    """
    The results in a folder, locked for this process; a context manager.

    Args:
        folder: made if it is not there.
        files: names of what else will be written to it.
        kept: name of the hidden folder of results, by which its own files are known.
    """

    def __init__(self, folder: Path, files: Sequence[str] = (), kept: str = "results") -> None:
        self.folder = folder
        self._files = files
        self._kept = folder / HIDDEN / kept
        self._lock: FileLock | None = None

    def __enter__(self) -> Self:
        """
        Make the folder, and be the only one who writes to it.

        Raises:
            UsageError: where another process does.
            OutputError: where nothing can be written, or files of another origin would be replaced.
        """
        self._check_files()
        busy = "another stemsplit is writing to it. Choose another folder with -o."
        self._lock = lock_folder(self.folder, self._kept / "lock", busy)
        remove_temporaries(self._kept)  # what a killed process has left; elsewhere there may be files of other programs
        return self

    def check(self) -> None:
        """
        See, before any work, that results can be written.

        Raises:
            OutputError: if they cannot.
        """
        self._check_files()
        check_writable(self.folder)

    def _check_files(self) -> None:
        foreign = [name for name in self._files if (self.folder / name).exists() and not self._kept.exists()]
        if foreign:
            raise OutputError(
                f"{shown(self.folder)}: holds a file {foreign[0]} of another origin. Choose another folder with -o."
            )

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            self._lock.release()

    def get(self, key: str) -> Any:
        """What is known under a key; None for nothing."""
        with suppress(OSError, ValueError, RecursionError):
            text = (self._kept / f"{key}.json").read_text(encoding="utf-8")
            return json.loads(text, parse_constant=_refused)
        return None

    def put(self, key: str, value: Any) -> None:
        """
        Keep what has been found out.

        Raises:
            StemsplitError: where it cannot be written.
        """
        self.write(self._kept / f"{key}.json", json.dumps(value))

    def write(self, path: Path, content: str | bytes) -> None:
        """
        A file, all of it or nothing; the folders around it are made.

        Raises:
            StemsplitError: where it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path, self._kept) as file:
                file.write(content.encode(errors="surrogateescape") if isinstance(content, str) else content)
        except OSError as error:
            raise StemsplitError(f"{shown(path)}: cannot be written: {reason(error)}.") from error


def _refused(constant: str) -> None:
    raise ValueError(constant)  # no number that we have written


def key_of(*parts: object) -> str:
    """A name for all that a result depends on."""
    text = "\0".join(map(str, parts))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_KEY_DIGITS]


def states_of(files: Sequence[Path]) -> str:
    """
    Paths, sizes and times of files: what changes when they do.

    Raises:
        OSError: for a file that is gone.
    """
    states = [(path.absolute(), path.stat()) for path in files]
    return "; ".join(f"{path} {state.st_size} {state.st_mtime_ns}" for path, state in states)
