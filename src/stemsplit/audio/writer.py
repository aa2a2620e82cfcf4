"""The stems of one track: written under hidden names, and given their own when all of them are whole."""

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import log10
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import soundfile

from stemsplit.audio import held
from stemsplit.audio.blocks import Block
from stemsplit.audio.faults import reason, shown
from stemsplit.audio.folders import make_folders, remove_folders
from stemsplit.audio.formats import Encoding
from stemsplit.audio.held import Allowance, HeldStem
from stemsplit.audio.quantise import highest_peak
from stemsplit.audio.stem_file import StemFile, check_encodable
from stemsplit.errors import EncodeError, OutputError


@dataclass(frozen=True, slots=True)
class WrittenStem:
    """A stem that is on the disk, whole, under its final name; `size` is in bytes."""

    path: Path
    frames: int
    size: int


@dataclass(frozen=True, slots=True)
class WrittenTrack:
    """All stems of a track by name, and the one gain that kept them from clipping: 0.0 dB, or below."""

    gain_db: float
    stems: dict[str, WrittenStem]


class TrackWriter:
    """
    Writes the stems of one track, all or none; a context manager that aborts when left before `finish`.

    `stems` gives each stem's final path, `sample_rate` is in Hz. Integers are dithered, seeded by `track` and
    the stem's name. Where a stem would exceed them, `clip` "gain" turns all stems of the track down alike,
    for which they are held until `finish`, and "none" saturates. Floats are stored as they are.
    `frames`, the length to come if it is known, lets a lack of disk space be told at once, and gives a WAV
    that is written straight through the plainest header.

    Raises EncodeError for a stem that exists already (unless `overwrite`) or cannot be written.
    """

    def __init__(
        self,
        stems: Mapping[str, Path],
        *,
        sample_rate: int,
        channels: int,
        encoding: Encoding,
        clip: Literal["gain", "none"] = "gain",
        track: str,
        overwrite: bool = False,
        frames: int | None = None,
    ) -> None:
        self._targets = dict(stems)
        self._sample_rate = sample_rate
        self._channels = channels
        self._encoding = encoding
        self._track = track
        self._overwrite = overwrite
        self._frames = frames
        self._holds = clip == "gain" and encoding.depth.bits is not None
        self._peak = 0.0
        self._over = False
        self._cancelled = False
        self._made_folders: list[Path] = []
        self._parts: dict[str, Path] = {}
        self._held: dict[str, HeldStem] = {}
        self._files: dict[str, StemFile] = {}
        assert len(set(self._targets.values())) == len(self._targets), "two stems with one path"
        try:
            self._begin()
        except BaseException:
            self.abort()
            raise

    def _begin(self) -> None:
        for target in self._targets.values():
            check_target(target, overwrite=self._overwrite)
            with _telling(target):
                check_encodable(target, self._encoding, self._sample_rate, self._channels)
        allowance = Allowance()
        for stem, target in self._targets.items():
            hidden = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.part")
            with _telling(target):
                make_folders(target.parent, self._made_folders)
                hidden.touch(exist_ok=False)  # also keeps the folder, should another track abort and tidy up
                self._parts[stem] = hidden
                if self._holds:
                    self._held[stem] = HeldStem(hidden.with_suffix(".held"), self._channels, allowance)
                else:
                    self._files[stem] = self._file(stem, gain=1.0, frames=self._frames)
        self._check_space()

    def write(self, stem: str, block: Block) -> None:
        """
        Add a block to a stem; the block may be reused afterwards.

        Shape: [channels, any number of frames]

        Raises EncodeError when the disk is full or fails, ValueError for NaN or infinity.
        """
        assert not self._over, "the track is finished"
        assert block.shape == (self._channels, block.shape[-1]), f"{block.shape} is not [channels, frames]"
        if not block.size:
            return
        peak = float(np.abs(block).max())
        if not np.isfinite(peak):
            raise ValueError(f"Stem {stem} of {self._track} holds samples that are not finite")
        self._peak = max(self._peak, peak)
        with _telling(self._targets[stem]):
            if self._holds:
                self._held[stem].append(block)
            else:
                self._files[stem].write(block)

    def finish(self) -> WrittenTrack:
        """
        Complete all files, then give all of them their names.

        Raises EncodeError, and then leaves nothing behind: neither temporaries nor a part of the stems.
        """
        assert not self._over, "the track is finished"
        gain = self._gain()
        try:
            written = {stem: self._complete(stem, gain) for stem in self._targets}
            self._rename()
        except BaseException:
            self.abort()
            raise
        self._over = True
        return WrittenTrack(20 * log10(gain), written)

    def cancel(self) -> None:
        """Have a `finish` on another thread give up, which can take long otherwise: it raises EncodeError."""
        self._cancelled = True

    def abort(self) -> None:
        """Remove every temporary, and the folders made for them that are empty. May follow anything."""
        if self._over:
            return
        self._over = True
        for file in self._files.values():
            with suppress(OSError):
                file.discard()
        for held_stem in self._held.values():
            with suppress(OSError):
                held_stem.discard()
        for part in self._parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)
        remove_folders(self._made_folders)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _gain(self) -> float:
        bits = self._encoding.depth.bits
        if not self._holds or bits is None or self._peak <= highest_peak(bits):
            return 1.0
        return highest_peak(bits) / self._peak

    def _complete(self, stem: str, gain: float) -> WrittenStem:
        target = self._targets[stem]
        with _telling(target):
            if self._holds:
                self._write_held(stem, gain)
            file = self._files[stem]
            size = file.close()
        return WrittenStem(target, file.frames, size)

    def _write_held(self, stem: str, gain: float) -> None:
        held_stem = self._held[stem]
        file = self._files[stem] = self._file(stem, gain, held_stem.frames)
        for block in held_stem.blocks():
            if self._cancelled:
                raise EncodeError(f"{shown(self._targets[stem])}: was cancelled.")
            file.write(block)
        held_stem.discard()

    def _file(self, stem: str, gain: float, frames: int | None) -> StemFile:
        return StemFile(
            self._parts[stem],
            self._encoding,
            target=self._targets[stem],
            sample_rate=self._sample_rate,
            channels=self._channels,
            seed=f"{self._track}\n{stem}",
            gain=gain,
            frames=frames,
        )

    def _rename(self) -> None:
        new: list[Path] = []
        try:
            for stem, target in self._targets.items():
                with _telling(target):
                    check_target(target, overwrite=self._overwrite)
                    is_new = not target.exists()
                    self._parts[stem].replace(target)
                    if is_new:
                        new.append(target)
        except BaseException:
            for target in new:
                with suppress(OSError):
                    target.unlink()
            raise

    def _check_space(self) -> None:
        """Refuse before any work when what is held on disk, and files of foreseeable size, will not fit."""
        if self._frames is None:
            return
        samples = self._frames * self._channels * len(self._targets)
        needed = 0 if self._encoding.container.compressed else samples * self._encoding.depth.bytes_per_sample
        if self._holds:
            needed += max(0, samples * np.float32().nbytes - held.MEMORY_BYTES)
        folder = next(iter(self._targets.values())).parent
        with _telling(folder):
            free = shutil.disk_usage(folder).free
        if needed > free:
            raise EncodeError(
                f"{shown(folder)}: the stems of {self._track} need {needed / 1e6:,.0f} MB and "
                f"{free / 1e6:,.0f} MB are free. Free some space or choose another output folder."
            )


@contextmanager
def _telling(target: Path) -> Iterator[None]:
    """Turn what the operating system or the encoder refuses into an EncodeError that names the stem."""
    try:
        yield
    except OSError as error:
        raise EncodeError(f"{shown(target)}: cannot be written: {reason(error)}.") from error
    except soundfile.LibsndfileError as error:
        raise EncodeError(f"{shown(target)}: cannot be encoded ({error}). Choose another format.") from error


def check_target(target: Path, *, overwrite: bool) -> None:
    """
    Find out whether a stem may have its name.

    Raises EncodeError when a file has it already (unless `overwrite`), or a folder.
    """
    with _telling(target):
        if target.is_dir():
            raise EncodeError(f"{shown(target)}: a folder has this name. Move it or choose another output folder.")
        if target.exists() and not overwrite:
            raise EncodeError(
                f"{shown(target)}: exists already. Use --overwrite to replace it, or another output folder."
            )


def check_writable(folder: Path) -> None:
    """
    Find out whether an output folder can be created and written, leaving nothing behind.

    Raises OutputError when it cannot: a file is in the way, the disk is read-only, or it is not permitted.
    """
    made: list[Path] = []
    try:
        make_folders(folder, made)
        probe = folder / f".{secrets.token_hex(4)}.part"
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{shown(folder)}: cannot be written: {reason(error)}.") from error
    finally:
        remove_folders(made)
