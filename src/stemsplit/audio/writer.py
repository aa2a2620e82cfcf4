"""The stems of one track: written under hidden names, and given their own when all of them are whole."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from math import inf, log10
from pathlib import Path
from typing import Literal, Self

import numpy as np

from stemsplit.audio import held, stem_mp4
from stemsplit.audio.blocks import Block, Samples
from stemsplit.audio.encoder import Encoder, check_encodable, open_encoder
from stemsplit.audio.faults import reason, shown
from stemsplit.audio.ffmpeg_program import FfmpegError
from stemsplit.audio.folders import make_file, remove_folders
from stemsplit.audio.formats import Encoding
from stemsplit.audio.held import HeldTrack
from stemsplit.audio.quantise import MIXTURE, Remainders, TrackQuantiser, highest_peak, quantised_rows
from stemsplit.audio.tags import TAGGABLE, Tags, write_tags
from stemsplit.audio.targets import check_space, check_target, hidden, publish, telling
from stemsplit.errors import EncodeError

_BUNDLE = ""  # stands among the stems' names for the file that holds all of them


@dataclass(frozen=True, slots=True)
class WrittenStem:
    """A stem that is on the disk, whole, under its final name; `size` is in bytes, `mtime_ns` its time."""

    path: Path
    frames: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class WrittenTrack:
    """All stems of a track by name, the one gain that kept them from clipping (0.0 dB, or below), and warnings."""

    gain_db: float
    stems: dict[str, WrittenStem]
    warnings: tuple[str, ...] = ()


class TrackWriter:
    """
    Writes the stems of one track, all or none; a context manager that aborts when left before `finish`.

    Integers are dithered, seeded by `track` and the stem's name. Where a stem would exceed what its format holds,
    `clip` "gain" turns all stems of the track down alike, for which they are held until `finish`, and "none"
    saturates integers. Floats are stored as they are.

    Args:
        stems: each one's final path; the same one for all in a format that bundles them.
        sample_rate: in Hz.
        channels: of every stem.
        encoding: format with bit depth or bitrate.
        clip: "gain" or "none".
        track: the track's name.
        replace: those of the paths that may exist, and are replaced.
        gain_limit_db: what the common gain is at most, where there is one: that of other stems of the track.
        frames: the length to come, if it is known: it lets a lack of disk space be told at once, and gives a WAV that
            is written straight through the plainest header.
        remainders: stems that are the mixture less others. In integers they are taken from what those others were
            quantised to, so that they add up exactly.
        tags: put on every stem, whose name the title gains.

        temporary: gives a hidden name beside a path.

    Raises:
        EncodeError: for a stem that exists already (unless it is to be replaced) or cannot be written.
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
        replace: Collection[Path] = (),
        gain_limit_db: float = 0.0,
        frames: int | None = None,
        remainders: Remainders | None = None,
        tags: Tags | None = None,
        temporary: Callable[[Path, str], Path] = hidden,
    ) -> None:
        self._targets = dict(stems)
        self._first_target = next(iter(stems.values()))
        self._sample_rate = sample_rate
        self._channels = channels
        self._encoding = encoding
        self._track = track
        self._replace = replace
        self._frames = frames
        self._remainders = remainders or {}
        self._tags = tags
        self._temporary = temporary
        self._gain = 10 ** (gain_limit_db / 20) if clip == "gain" and not encoding.is_float else 1.0
        self._peaks: dict[str, float] = {}
        self._over = False
        self._cancelled = False
        self._made_folders: list[Path] = []
        self._parts: dict[str, Path] = {}
        self._encoders: dict[str, Encoder] = {}
        self._quantiser: TrackQuantiser | None = None
        self._pool = ThreadPoolExecutor(len(stems), thread_name_prefix="encode")
        rows = quantised_rows(list(stems), self._remainders) if encoding.bits else list(stems)
        self._held: HeldTrack | None = None
        if clip == "gain" and not encoding.is_float:
            self._held = HeldTrack(rows, temporary(self._first_target, ".held"), channels)
        assert encoding.file_format.is_bundle or len(set(stems.values())) == len(stems), "two stems with one path"
        try:
            self._begin()
        except BaseException:
            self.abort()
            raise

    def _begin(self) -> None:
        for target in dict.fromkeys(self._targets.values()):
            check_target(target, overwrite=target in self._replace)
            with telling(target):
                check_encodable(target, self._encoding, self._sample_rate, self._channels, self._frames)
        for stem, target in self._targets.items():
            part = self._temporary(target, ".part")
            with telling(target):
                make_file(part, self._made_folders)  # keeps the folder, should another track abort and tidy up
            self._parts[stem] = part
        self._check_space()
        if self._held is None:
            self._open_encoders(self._frames)

    def write(self, blocks: Mapping[str, Block]) -> None:
        """
        Add a block to every stem, and to "mixture" where there are remainders; blocks may be reused afterwards.

        Shape: [channels, any number of frames, the same for all]

        Raises EncodeError when the disk is full or fails, ValueError for NaN or infinity.
        """
        assert not self._over, "the track is finished"
        shape = next(iter(blocks.values())).shape
        assert all(block.shape == shape and shape[0] == self._channels for block in blocks.values()), f"not all {shape}"
        if not shape[1]:
            return
        for name, block in blocks.items():
            peak = float(np.abs(block).max())
            if not np.isfinite(peak):
                raise ValueError(f"Stem {name} of {self._track} holds samples that are not finite")
            self._peaks[name] = max(self._peaks.get(name, 0.0), peak)
        self._check_cancelled()
        if self._held is None:
            self._encode(blocks)
        else:
            with telling(self._first_target):
                self._held.append(blocks)

    def finish(self, before: Callable[[WrittenTrack], None] = lambda _: None) -> WrittenTrack:
        """
        Complete all files, then give all of them their names; `before` is told what they are going to be.

        Raises EncodeError, and then leaves nothing behind: neither temporaries nor a part of the stems.
        """
        assert not self._over, "the track is finished"
        try:
            with telling(self._first_target):
                self._encode_held()
                frames = self._close_encoders()
                warnings = self._dress()
                self._check_cancelled()
                stats = {target: part.stat() for part, target in self._finished().items()}
                stems = {
                    stem: WrittenStem(path, frames[stem], stats[path].st_size, stats[path].st_mtime_ns)
                    for stem, path in self._targets.items()
                }
                written = WrittenTrack(20 * log10(self._gain), stems, warnings)
                before(written)
                publish(self._finished(), self._replace)
        except BaseException:
            self.abort()
            raise
        self._let_go()
        return written

    def cancel(self) -> None:
        """Have `write`, or a `finish` that would take long, give up on another thread: it raises EncodeError."""
        self._cancelled = True

    def _check_cancelled(self) -> None:
        if self._cancelled:
            raise EncodeError(f"{shown(self._first_target)}: was cancelled.")

    def abort(self) -> None:
        """Remove every temporary, and the folders made for them that are empty. May follow anything."""
        if self._over:
            return
        self._pool.shutdown(cancel_futures=True)  # an encoder must not be closed under the thread that feeds it
        for encoder in self._encoders.values():
            with suppress(OSError, RuntimeError):  # libsndfile's errors are of the second kind
                encoder.discard()
        self._let_go()
        remove_folders(self._made_folders)

    def _let_go(self) -> None:
        """Of threads, and of temporaries that have not become files."""
        self._over = True
        self._pool.shutdown()
        if self._held is not None:
            with suppress(OSError):
                self._held.discard()
        for part in self._parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.abort()

    # From blocks to files.

    def _open_encoders(self, frames: int | None) -> None:
        bits = self._encoding.bits
        if bits:
            stems = list(self._targets)
            self._quantiser = TrackQuantiser(
                stems, self._remainders, bits, self._channels, self._track, self._gain, self._pool.map
            )
        for stem, target in self._targets.items():
            with telling(target):
                self._encoders[stem] = open_encoder(
                    self._parts[stem],
                    self._encoding,
                    target=target,
                    sample_rate=self._sample_rate,
                    channels=self._channels,
                    frames=frames,
                )

    def _encode_held(self) -> None:
        """Now that the peaks of all stems are known."""
        if self._held is None:
            return
        self._gain = min([self._gain, *(self._limit(name) / peak for name, peak in self._peaks.items() if peak)])
        self._open_encoders(self._held.frames)
        for blocks in self._held.blocks():
            self._check_cancelled()
            self._encode(blocks)
        self._held.discard()

    def _limit(self, name: str) -> float:
        """The largest magnitude that a row may have: of the mixture, full scale, of which one LSB may be cut off."""
        bits = self._encoding.bits
        if bits is None:
            return 1.0 if name in self._targets else inf  # the mixture is measured, but only integers are taken from it
        if name == MIXTURE:
            return 1.0
        return highest_peak(bits, parts=len(self._remainders.get(name, ())))

    def _encode(self, blocks: Mapping[str, Block]) -> None:
        if self._quantiser is not None:
            self._store(self._quantiser.push(blocks))
        else:
            gain = np.float32(self._gain)
            self._store({stem: np.ascontiguousarray(blocks[stem].T) * gain for stem in self._targets})

    def _store(self, samples: Mapping[str, Samples]) -> None:
        self._each(lambda stem: self._encoders[stem].write(samples[stem]))

    def _close_encoders(self) -> dict[str, int]:
        """Complete all files; the frames of each."""
        if self._quantiser is not None:
            self._store(self._quantiser.flush())
        self._each(lambda stem: self._encoders[stem].close())
        return {stem: encoder.frames for stem, encoder in self._encoders.items()}

    def _each(self, action: Callable[[str], None]) -> None:
        """Do something for every stem at once: encoders leave Python, so that they share the cores."""

        def telling_action(stem: str) -> None:
            with telling(self._targets[stem]):
                action(stem)

        list(self._pool.map(telling_action, self._targets))

    def _dress(self) -> tuple[str, ...]:
        """Bundle stems where the format does, and put on the tags; what kept tags from being carried."""
        if self._encoding.format not in TAGGABLE:
            return ()
        tags = self._tags or Tags({})
        if self._encoding.file_format.is_bundle:
            return self._bundle(tags)
        return tuple(
            warning
            for stem, target in self._targets.items()
            for warning in self._tag(self._parts[stem], target, tags.of_stem(stem))
        )

    def _tag(self, part: Path, target: Path, tags: Tags) -> tuple[str, ...]:
        """Put tags on a file; what kept them from it."""
        self._check_cancelled()
        try:
            write_tags(part, self._encoding.format, tags)
        except (FfmpegError, OSError) as error:
            why = reason(error) if isinstance(error, OSError) else error
            return (f"{shown(target)}: the song's tags could not be put on it ({why}).",)
        return ()

    def _bundle(self, tags: Tags) -> tuple[str, ...]:
        """Put all stems into one file, the mixture first; what kept tags from being carried."""
        target = self._first_target
        names = [stem for stem in self._targets if stem != MIXTURE]
        bundle = self._parts[_BUNDLE] = self._temporary(target, ".part")
        with telling(target):
            stem_mp4.mux([self._parts[stem] for stem in (MIXTURE, *names)], names, bundle)
            warnings = self._tag(bundle, target, tags)
            stem_mp4.describe(bundle, names)
        return warnings

    # Names.

    def _finished(self) -> dict[Path, Path]:
        """Which temporary becomes which file."""
        if self._encoding.file_format.is_bundle:
            return {self._parts[_BUNDLE]: self._first_target}
        return {self._parts[stem]: target for stem, target in self._targets.items()}

    def _check_space(self) -> None:
        """Refuse before any work when what is held on disk, and files of foreseeable size, will not fit."""
        frames = self._frames or 0
        stem = frames / self._sample_rate * self._encoding.bytes_per_second(self._sample_rate, self._channels)
        needed = stem * len(self._targets)
        if self._encoding.file_format.is_bundle:
            needed *= 3 if self._tags else 2  # the tracks, the file they are copied into, its copy with tags
        elif self._tags:
            needed += stem  # the copy of one that gets tags
        if self._held is not None:
            needed += max(0, self._held.bytes_per_frame * frames - held.MEMORY_BYTES)
        check_space(self._first_target.parent, needed, self._track)
