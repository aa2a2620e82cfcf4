"""
From what a user names to songs: files as they are, folders searched below.

A named file is always a song, whatever it is called. In a folder, songs are told by their extension
(`audio/extensions.py`); what is hidden, and what stemsplit wrote, is passed over, and counted.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stemsplit.audio.extensions import looks_like_audio
from stemsplit.audio.faults import reason, shown
from stemsplit.errors import DecodeError, TrackError
from stemsplit.separation.record_file import FOLDER, outputs_recorded_in


@dataclass(frozen=True)
class Song:
    """
    One input file.

    Attributes:
        path: as it was given, or found.
        tree: the folders that its stems keep, from the named folder's own name on; none for a named file.
    """

    path: Path
    tree: tuple[str, ...] = ()


@dataclass
class Findings:
    """
    What a walk came across.

    Attributes:
        songs: every file once, in the order of the inputs, within folders by name; what only links lead to comes last.
        others, hidden: how many files were passed over, as no audio or as hidden (a hidden folder counts as one).
        repeated: how many files had been found before under another name or in another folder.
        stems: how many files that a record names.
        outputs: folders that were not entered since stemsplit has written to them, but for the one it writes to now.
        unreadable: folders that could not be searched, and why.
    """

    songs: list[Song] = field(default_factory=list)
    others: int = 0
    hidden: int = 0
    repeated: int = 0
    stems: int = 0
    outputs: list[Path] = field(default_factory=list)
    unreadable: dict[Path, TrackError] = field(default_factory=dict)


def find_songs(inputs: Iterable[Path], output: Path | None = None) -> Findings:
    """
    Search the inputs for songs.

    A folder that is named is searched whatever it is, less the files that the records in it, or in a folder around it,
    name. Below it, `output` and folders that hold records are not entered, nor is any folder a second time, so that
    links may form a loop.

    Args:
        inputs: files and folders; what does not exist counts as a file.
        output: the folder that stems are written to.
    """
    return _Walk(output).over(inputs)


class _Walk:
    def __init__(self, output: Path | None) -> None:
        self._output = output
        self._output_identity = _identity(output) if output else None
        self._found = Findings()
        self._songs: set[str] = set()
        self._linked: list[Song] = []
        self._entered: set[tuple[int, int]] = set()
        self._tops: list[Path] = []

    def over(self, inputs: Iterable[Path]) -> Findings:
        links: list[tuple[Path, tuple[str, ...]]] = []
        for path in inputs:
            if os.path.isdir(path):  # noqa: PTH112 (false, not an error, for what may not be looked at)
                name = path.name if path.name not in ("", "..") else path.resolve().name
                links += self._search(path, (name,) if name else ())
            else:
                self._add(Song(path))
        # After all others, so that a song which a link leads to as well is called by where it lies.
        while links:
            path, tree = links.pop(0)
            if not self._is_below_output(path):
                links += self._search(path, tree)
        for song in self._linked:
            self._add(song)
        self._drop_stems()
        return self._found

    def _drop_stems(self) -> None:
        """
        Leave out what records name in folders that were searched.

        They are read last, since another process may have written stems meanwhile, which it records before.
        """
        written = {path for top in self._tops for path in _outputs_around(top)}
        songs = [song for song in self._found.songs if not song.tree or os.path.realpath(song.path) not in written]
        self._found.stems = len(self._found.songs) - len(songs)
        self._found.songs = songs

    def _search(self, top: Path, tree: tuple[str, ...]) -> list[tuple[Path, tuple[str, ...]]]:
        """Search a folder and those below it; the links to folders that were met."""
        self._tops.append(top)
        links = []
        waiting = [(top, tree)]
        while waiting:
            folder, tree = waiting.pop()
            below = self._enter(folder, tree)
            links += [(path, (*tree, path.name)) for path in below if os.path.islink(path)]  # noqa: PTH114
            waiting += [(path, (*tree, path.name)) for path in reversed(below) if not os.path.islink(path)]  # noqa: PTH114
        return links

    def _enter(self, folder: Path, tree: tuple[str, ...]) -> list[Path]:
        """Take the songs of a folder; the folders in it that are to be searched."""
        identity = _identity(folder)
        if identity in self._entered:
            return []
        self._entered |= {identity} if identity else set()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self._found.unreadable[folder] = DecodeError(f"{shown(folder)}: cannot be searched: {reason(error)}.")
            return []
        below: list[Path] = []
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                self._found.hidden += entry.name != FOLDER
            elif _is_folder(entry):
                below += self._to_search(path)
            elif not looks_like_audio(path) or _is_special(path):
                self._found.others += 1
            elif os.path.islink(path):  # noqa: PTH114
                self._linked.append(Song(path, tree))
            else:
                self._add(Song(path, tree))
        return below

    def _to_search(self, path: Path) -> list[Path]:
        """The folder, unless stems are written to it."""
        if self._output_identity is not None and _identity(path) == self._output_identity:
            return []
        if os.path.isdir(path / FOLDER):  # noqa: PTH112
            self._found.outputs.append(path)
            return []
        return [path]

    def _is_below_output(self, path: Path) -> bool:
        return self._output is not None and path.resolve().is_relative_to(self._output.resolve())

    def _add(self, song: Song) -> None:
        real = os.path.realpath(song.path)
        if real in self._songs:
            self._found.repeated += 1
        else:
            self._songs.add(real)
            self._found.songs.append(song)


def _identity(folder: Path) -> tuple[int, int] | None:
    """The same for all names of a folder; None where there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()  # known without asking, unless it is a link
    except OSError:  # a link to itself, or to what may not be looked at
        return False


def _is_special(path: Path) -> bool:
    """Whether it is a pipe, a socket or a device. A link to nothing is none: that a song is missing is to be told."""
    return not os.path.isfile(path) and os.path.exists(path)  # noqa: PTH110, PTH113


def _outputs_around(folder: Path) -> Iterator[str]:
    """Real paths of all files that the records in a folder, or in one around it, name."""
    real = folder.resolve()
    for root in (real, *real.parents):
        if os.path.isdir(root / FOLDER):  # noqa: PTH112
            yield from map(os.path.realpath, outputs_recorded_in(root))
