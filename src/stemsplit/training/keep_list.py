"""
Which songs of a data set are to be trained with, as a text file: a song's name on each line, comments behind #.

Names are those of the songs' folders below the folder of the data, as `stemsplit quality` writes them.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from stemsplit.audio.faults import reason, shown
from stemsplit.errors import UsageError

_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # with which Windows' editors begin a text
_MOST_BYTES = 100_000_000


def read_keep_list(path: Path) -> frozenset[str]:
    """
    The names in a keep list.

    Raises:
        UsageError: for a file that cannot be read, or names no song.
    """
    try:
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"--keep {shown(path)}: is no list of songs: it has more than 100 MB.")
        text = path.read_text(encoding="utf-8", errors="surrogateescape").removeprefix(_MARK)
    except OSError as error:
        raise UsageError(f"--keep {shown(path)}: cannot be read: {reason(error)}.") from error
    try:
        if "\0" in text:
            raise ValueError
        names = frozenset(
            _read(line) for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")
        )
    except ValueError:
        raise UsageError(f"--keep {shown(path)}: is no list of songs, one name on each line.") from None
    if not names:
        raise UsageError(f"--keep {shown(path)}: names no song.")
    return names


def keep_list(names: Iterable[str], comments: Iterable[str]) -> str:
    """The text of a keep list, with comments in front."""
    return "".join([*(f"# {_in_one_line(comment)}\n" for comment in comments), *(f"{_written(n)}\n" for n in names)])


def _read(line: str) -> str:
    line = line.strip()
    if not line.startswith('"'):
        return line
    name = json.loads(line)
    if not isinstance(name, str):
        raise ValueError
    return name


def _written(name: str) -> str:
    """As it is; what could be taken for something else, in quotes as JSON has them."""
    is_plain = name == _in_one_line(name) == name.strip() and not name.startswith(("#", '"', _MARK))
    return name if is_plain else json.dumps(name)


def _in_one_line(text: str) -> str:
    return " ".join(text.splitlines())
