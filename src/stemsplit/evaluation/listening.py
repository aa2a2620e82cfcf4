"""
The worst excerpts as files to listen to: the mixture, each true source, and what the method has made of it.

The song is separated anew up to there, so that what is heard is what was scored.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from stemsplit.audio.blocks import Block
from stemsplit.audio.faults import reason, shown
from stemsplit.audio.formats import Encoding
from stemsplit.audio.targets import check_writable
from stemsplit.audio.writer import TrackWriter
from stemsplit.errors import OutputError, StemsplitError
from stemsplit.evaluation.methods import Method
from stemsplit.evaluation.songs import Song
from stemsplit.evaluation.worst import WorstExcerpt
from stemsplit.whole_file import whole_file

INDEX = "excerpts.json"
_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_LONGEST_NAME = 80  # bytes
_PARTS = 3


def check_listening(folder: Path) -> None:
    """
    See that a folder can be written to: a new one, an empty one, or one of an earlier evaluation.

    Raises:
        OutputError: if it cannot.
    """
    try:
        found = [path.name for path in folder.iterdir()] if folder.exists() else []
    except OSError as error:
        raise OutputError(f"--listen {shown(folder)}: cannot be written: {reason(error)}.") from error
    foreign = [name for name in found if not name.startswith(f".{INDEX}.")]  # left by a process that was killed
    if foreign and _entries(folder) is None:
        raise OutputError(f"--listen {shown(folder)}: holds something else. Name a new folder.")
    check_writable(folder)


def _entries(folder: Path) -> list[list[str]] | None:
    """The files of each excerpt that an earlier evaluation has written; None where there is no such index."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        table = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if table["schema"] == 1:
            return [[str(file) for file in entry["files"]] for entry in table["excerpts"]]
    return None


class Listening:
    """
    A folder of excerpts. What an earlier evaluation has written to it is taken away first.

    Raises:
        StemsplitError: where it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: list[dict[str, object]] = []
        self._remove_earlier()
        self._write_index()

    def add(self, method: Method, songs: Mapping[str, Song], excerpts: Sequence[WorstExcerpt]) -> None:
        """
        Write a method's excerpts.

        Args:
            method: who makes the estimates.
            songs: by name.
            excerpts: the worst first.

        Raises:
            TrackError: for files that cannot be read or written.
        """
        ranks = {excerpt: rank for rank, excerpt in enumerate(excerpts, 1)}
        for name in dict.fromkeys(excerpt.track for excerpt in excerpts):
            own = sorted((excerpt for excerpt in excerpts if excerpt.track == name), key=lambda entry: entry.start)
            for excerpt, signals in zip(own, _cut(method, songs[name], own), strict=True):
                self._write(method, excerpt, ranks[excerpt], signals)
        self._write_index()

    def _write(self, method: Method, excerpt: WorstExcerpt, rank: int, signals: Mapping[str, Block]) -> None:
        minutes, seconds = divmod(excerpt.start, 60)
        title = f"{rank:02d} {excerpt.source} {excerpt.sdr:.1f} dB, {_name(excerpt.track)} at {minutes}m{seconds:02d}s"
        place = Path(_name(method.name)) / title
        paths = {signal: self._folder / place / f"{signal}.wav" for signal in signals}
        files = [(place / path.name).as_posix() for path in paths.values()]
        self._entries.append({"method": method.name, **asdict(excerpt), "files": files})
        self._write_index()  # before the files, so that they can be taken away again whatever happens
        with TrackWriter(
            paths, sample_rate=method.sample_rate, channels=2, encoding=Encoding("wav"), track=title
        ) as writer:
            writer.write(signals)
            writer.finish()

    def _remove_earlier(self) -> None:
        """What the index names as we write it, METHOD/EXCERPT/STEM.wav, and nothing else."""
        top = self._folder.resolve()
        for file in (Path(file) for files in _entries(self._folder) or [] for file in files):
            place = self._folder / file
            if len(file.parts) == _PARTS and file.suffix == ".wav" and place.resolve().is_relative_to(top):
                with suppress(OSError):
                    place.unlink(missing_ok=True)
                    place.parent.rmdir()
                    place.parent.parent.rmdir()

    def _write_index(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self._folder / INDEX) as file:
                file.write(json.dumps({"schema": 1, "excerpts": self._entries}, indent=1).encode())
        except OSError as error:
            raise StemsplitError(f"{shown(self._folder)}: cannot be written: {reason(error)}.") from error


def _cut(method: Method, song: Song, excerpts: Sequence[WorstExcerpt]) -> list[dict[str, Block]]:
    """Excerpts of one song, in order; nothing after the last of them is estimated."""
    rate = method.sample_rate
    bounds = [(entry.start * rate, (entry.start + entry.seconds) * rate) for entry in excerpts]
    pieces: list[list[Block]] = [[] for _ in excerpts]
    position = 0
    for part in method.estimates(song):
        stacked = np.concatenate([part.mixture[np.newaxis], part.references, part.estimates])
        for (first, end), piece in zip(bounds, pieces, strict=True):
            if position < end and first < position + stacked.shape[-1]:
                piece.append(stacked[..., max(0, first - position) : end - position].copy())
        position += stacked.shape[-1]
        if position >= bounds[-1][1]:
            break
    names = ["mixture", *(f"{source} (true)" for source in method.sources), *method.sources]
    return [dict(zip(names, np.concatenate(piece, axis=-1), strict=True)) for piece in pieces]


def _name(text: str) -> str:
    """As part of a file name on any system."""
    name = _NOT_IN_NAMES.sub("-", text).encode("utf-8", "replace")[-_LONGEST_NAME:]
    return name.decode("utf-8", "ignore").strip(" .") or "song"
