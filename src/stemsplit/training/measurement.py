"""
What has to be known of a song before it can be trained on, measured once and then kept in the user's cache.

The cache is keyed by the files' paths, sizes and times, so that it follows every change, and may be deleted any time.

Shapes: S sources, T frames.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import log10
from pathlib import Path
from typing import Any, Self

import numpy as np

from stemsplit.audio.assignment import Assigned
from stemsplit.audio.blocks import Block
from stemsplit.audio.faults import reason, shown
from stemsplit.audio.multitrack import stem_blocks
from stemsplit.audio.reader import open_audio
from stemsplit.errors import DecodeError, TrackError
from stemsplit.separation.statistics import Statistics
from stemsplit.whole_file import whole_file

_SCHEMA = 2
_WINDOW_FRAMES = 4096  # about 0.1 s, over which loudness is measured
_SOUNDING = 1e-3  # root mean square, -60 dBFS
_RATES = (44_100, 48_000, 88_200, 96_000, 32_000, 22_050, 16_000, 11_025, 8000)
_RATE_TOLERANCE = 1e-3
_LEAST_RATE = 1000  # Hz
_SIMPLE = 4  # ratios of small numbers are as likely to be halves or doubles of a song


@dataclass(frozen=True)
class Measurement:
    """
    Figures of one song, at the network's sample rate where that matters.

    Attributes:
        digest: of its sources' files, by name and size.
        frames: length of the longest stem.
        mean, std: of the mono mixture, by which all its stems are standardised.
        peak: of the mixture in either channel.
        seconds: of each source; 0 where it has no file.
        sounding_seconds: of each source, how long it is above -60 dBFS.
        sample_rates: of its files, in Hz.
        mixture_error_db: level of what the mixture is more than the sum of the stems, over the mixture's; None
            where there is no mixture.
        faults: sentences about files that are damaged or cannot be what they say.
    """

    digest: str
    frames: int
    mean: float
    std: float
    peak: float
    seconds: tuple[float, ...]
    sounding_seconds: tuple[float, ...]
    sample_rates: tuple[int, ...]
    mixture_error_db: float | None
    faults: tuple[str, ...]

    @property
    def statistics(self) -> Statistics:
        """Of the sum of the stems, as the separator takes them."""
        return Statistics(self.frames, self.mean, self.std, self.peak)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError, TypeError or AttributeError for what `to_json` has not written."""
        table: dict[str, Any] = {}
        for key, value in json.loads(text).items():
            table[key] = tuple(value) if isinstance(value, list) else value
        return cls(**table)

    def to_json(self) -> str:
        """As the cache keeps it."""
        return json.dumps(asdict(self))


class UnreadableError(Exception):
    """Files of a song that cannot be read: a sentence for each."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__(*sentences)
        self.sentences = tuple(sentences)


def measured(track: Assigned, sample_rate: int) -> Measurement:
    """
    Measure a song, or take from the cache what was measured of the same files before.

    Raises:
        UnreadableError: for files that cannot be read.
    """
    try:
        path = _cache_folder() / f"{_key(track, sample_rate)}.json"
    except OSError as error:
        raise UnreadableError([f"{error.filename or track.name}: {reason(error)}."]) from error
    with suppress(OSError, ValueError, TypeError, AttributeError):
        return Measurement.from_json(path.read_text(encoding="utf-8"))
    try:
        measurement = _measured(track, sample_rate)
    except TrackError as error:
        raise UnreadableError(list(_unreadable(track)) or [str(error)]) from error
    with suppress(OSError):  # a cache that cannot be written costs time, and nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(measurement.to_json().encode())
    return measurement


def _unreadable(track: Assigned) -> Iterator[str]:
    """What is wrong with each of the files."""
    for path in (path for paths in track.files for path in paths):
        try:
            with open_audio(path) as reader:
                _check_rate(path, reader.info.sample_rate)
                for _ in reader.blocks():
                    pass
        except TrackError as error:
            yield str(error)


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "stemsplit" / "multitracks"


def _key(track: Assigned, sample_rate: int) -> str:
    parts = [f"{_SCHEMA} {sample_rate}"]
    for files in (*track.files, (track.mixture,) if track.mixture else ()):
        parts.append("source")
        for path in files:
            status = path.stat()
            parts.append(f"{os.fspath(path.absolute())} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _digest(track: Assigned) -> str:
    parts = [f"{i} {path.name} {path.stat().st_size}" for i, files in enumerate(track.files) for path in files]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _measured(track: Assigned, sample_rate: int) -> Measurement:
    seconds, rates, faults = _lengths(track)
    warnings: list[str] = []
    sounding = np.zeros(len(track.files))
    energies = np.zeros(2)  # of the mixture, and of what it is more than the sum

    def sums() -> Iterator[Block]:
        mixtures = [(track.mixture,)] if track.mixture else []
        for block in stem_blocks([*track.files, *mixtures], sample_rate, warnings.append):
            stems = block[: len(track.files)]
            sounding[:] += _sounding_frames(stems)
            total = stems.sum(axis=0)
            if track.mixture:
                energies[:] += np.square(block[-1], dtype=float).sum(), np.square(block[-1] - total, dtype=float).sum()
            yield total

    statistics = Statistics.of(sums())
    mixture, difference = energies
    return Measurement(
        digest=_digest(track),
        frames=statistics.frames,
        mean=statistics.mean,
        std=statistics.std,
        peak=statistics.peak,
        seconds=seconds,
        sounding_seconds=tuple(float(frames) / sample_rate for frames in sounding),
        sample_rates=rates,
        mixture_error_db=10 * log10((difference + 1e-12) / mixture) if mixture else None,
        faults=(*faults, *warnings),
    )


def _sounding_frames(stems: Block) -> list[int]:
    """How many frames of each stem lie in windows that are heard. Shape: [S, 2, T] -> S numbers."""
    starts = range(0, stems.shape[-1], _WINDOW_FRAMES)
    windows = [stems[..., start : start + _WINDOW_FRAMES] for start in starts]
    heard = [np.square(window).mean(axis=(1, 2)) > _SOUNDING**2 for window in windows]
    return [
        sum(window.shape[-1] for window, is_heard in zip(windows, heard, strict=True) if is_heard[stem])
        for stem in range(len(stems))
    ]


def _lengths(track: Assigned) -> tuple[tuple[float, ...], tuple[int, ...], tuple[str, ...]]:
    """Seconds by source, all sample rates, and what cannot be right about them."""
    seconds: list[float] = []
    rates: set[int] = set()
    by_path: dict[Path, float] = {}
    for files in track.files:
        longest = 0.0
        for path in files:
            with open_audio(path) as reader:
                frames, rate = reader.info.frames, reader.info.sample_rate
                if frames is None:
                    frames = sum(block.shape[1] for block in reader.blocks())
            rates.add(rate)
            by_path[path] = frames / rate
            _check_rate(path, rate)
            longest = max(longest, frames / rate)
        seconds.append(longest)
    return tuple(seconds), tuple(sorted(rates)), tuple(_wrong_rates(by_path))


def _check_rate(path: Path, rate: int) -> None:
    if rate < _LEAST_RATE:
        raise DecodeError(f"{shown(path)}: has a sample rate of {rate} Hz, too low for music. Export it again.")


def _wrong_rates(seconds: dict[Path, float]) -> Iterator[str]:
    """Files that would be as long as most of their song if their sample rate were another."""
    usual = sorted(seconds.values())[len(seconds) // 2]
    ratios = [float(ratio) for ratio in {Fraction(a, b) for a in _RATES for b in _RATES} if ratio.numerator > _SIMPLE]
    for path, length in seconds.items():
        if length > 1 and any(abs(length / usual - ratio) < _RATE_TOLERANCE * ratio for ratio in ratios):
            yield (
                f"{shown(Path(path.name))} is {length:.2f} s long and the others {usual:.2f} s: its sample rate "
                "seems to be noted wrongly. Export it again."
            )
