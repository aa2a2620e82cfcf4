"""
A run's folder: what is in it, whose it is, and its model, which is whole at any moment.

    NAME.yaml  SIGNATURE.safetensors   the best model so far, in the published format: what `-m RUN` takes
    README.md                          the model card
    recipe.toml                        all settings
    metrics.jsonl  curves.png          every epoch
    state/                             what the training goes on from, and TensorBoard's files
"""

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from stemsplit.audio.faults import reason, shown
from stemsplit.audio.folder_lock import lock_folder
from stemsplit.errors import StemsplitError, UsageError
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.training.origin import Origin
from stemsplit.training.recipe import Recipe
from stemsplit.training.recipe_file import read_recipe, to_toml
from stemsplit.weights.checkpoint import write_checkpoint
from stemsplit.weights.definition import definition_text, read_definition
from stemsplit.weights.integrity import sha256_of
from stemsplit.whole_file import remove_temporaries, whole_file

_SIGNATURE_DIGITS = 8
_LONGEST_NAME = 200  # bytes; disks take 255, with what is added
_OWN = re.compile(r"[^/\\]+\.(yaml|safetensors)")  # names of a model's files
_FREE = {"training.accumulate", "training.checkpointing"}  # what a run may go on with for want of memory


class RunFolder:
    """The folder of one run at `path`, locked for this process."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path, recipe: Recipe, origin: Origin) -> Self:
        """
        Make a run's folder, or go on in it.

        Args:
            path: the folder.
            recipe: of the run.
            origin: what else decides about it.

        Raises:
            UsageError: if another run is there, this one is being trained at the moment, or the folder holds
                something else.
            OutputError, StemsplitError: if it cannot be written.
        """
        is_run = holds_run(path)
        busy = "is being trained by another process. Choose another folder with -o."
        lock = lock_folder(path, path / "state" / "lock", busy)
        folder = cls(path, lock)
        try:
            for place in (path, path / "state"):
                remove_temporaries(place)
            if is_run:
                folder._compare(recipe, origin)
            else:
                folder.write(path / "state" / "origin.json", origin.to_json())
            folder.write(path / "recipe.toml", to_toml(recipe))
        except BaseException:
            folder.close()
            raise
        return folder

    @property
    def name(self) -> str:
        """What its model is called."""
        return self.path.resolve().name

    @property
    def state_file(self) -> Path:
        """What the training goes on from."""
        return self.path / "state" / "state.pt"

    def write(self, path: Path, content: str | bytes) -> None:
        """
        A file, all of it or nothing.

        Raises:
            StemsplitError: where it cannot be written.
        """
        try:
            with whole_file(path) as file:
                file.write(content.encode(errors="replace") if isinstance(content, str) else content)
        except OSError as error:
            raise StemsplitError(f"{shown(path)}: cannot be written: {reason(error)}.") from error

    def publish(self, network: HTDemucs) -> None:
        """
        Replace the folder's model. At every moment its YAML names a file that is whole.

        Raises:
            CheckpointError, StemsplitError: where it cannot be written.
        """
        part = self.path / "state" / "model.safetensors"
        write_checkpoint(part, network)
        part.chmod(0o666 & ~_umask())
        signature = sha256_of(part)[:_SIGNATURE_DIGITS]
        self.take(part, f"{signature}.safetensors")
        self.define([signature])

    def take(self, part: Path, name: str) -> None:
        """
        Give a whole file its name in the folder, and note that it may be removed again.

        Raises:
            StemsplitError: where it cannot be.
        """
        self._note([*self._noted(), name])
        try:
            part.replace(self.path / name)
        except OSError as error:
            raise StemsplitError(f"{shown(self.path / name)}: cannot be written: {reason(error)}.") from error

    def define(self, signatures: Sequence[str], weights: Sequence[Sequence[float]] | None = None) -> None:
        """
        Have the YAML name these networks, and remove those that it named before.

        Raises:
            StemsplitError: where it cannot be written.
        """
        current = [f"{self.name}.yaml", *(f"{signature}.safetensors" for signature in signatures)]
        before = self._noted()
        self._note([*before, *current])
        self.write(self.path / current[0], definition_text(signatures, weights))
        for name in set(before) - set(current):
            with suppress(OSError):
                (self.path / name).unlink()
        self._note(current)

    def _note(self, names: Sequence[str]) -> None:
        """Remember which files are the model's: no others are ever removed."""
        self.write(self.path / "state" / "published.json", json.dumps(sorted(set(names))) + "\n")

    def _noted(self) -> list[str]:
        """The model's files; names of anything else, in a note that was tampered with, are passed over."""
        try:
            names = json.loads((self.path / "state" / "published.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return []
        is_list = isinstance(names, list)
        return [name for name in names if isinstance(name, str) and _OWN.fullmatch(name)] if is_list else []

    def close(self) -> None:
        """Let other processes have it."""
        self._lock.release()

    def _compare(self, recipe: Recipe, origin: Origin) -> None:
        """Raises UsageError where the run that is here is another."""
        try:
            there = read_recipe(str(self.path / "recipe.toml"))
            noted = Origin.from_json((self.path / "state" / "origin.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{shown(self.path)}: its run cannot be read ({error}). Choose another folder.") from error
        other = [*_differences(there, recipe), *noted.differences(origin)]
        if other:
            raise UsageError(
                f"{shown(self.path)}: holds a run that differs in {', '.join(other)}. Train as before to go on, or "
                f"choose another folder, where --init {shlex.quote(str(self.path))} starts from what this has learnt."
            )


def holds_run(path: Path) -> bool:
    """
    Whether a folder holds a run; False where it may hold one.

    Raises:
        UsageError: if it holds something else, or no model could have its name.
    """
    name = path.resolve().name
    if not name.isprintable() or len(os.fsencode(name)) > _LONGEST_NAME:
        raise UsageError(f"{shown(path)}: a model cannot be called so. Choose a shorter or plainer name with -o.")
    if (path / "recipe.toml").is_file() and (path / "state" / "origin.json").is_file():
        return True
    if path.exists() and (not path.is_dir() or _holds_more_than_state(path)):
        raise UsageError(f"{shown(path)}: exists and is no run. Choose another folder with -o.")
    return False


def published_network(path: Path) -> Path:
    """
    The file of the network in a run's folder.

    Raises:
        CheckpointError: if its YAML cannot be read.
    """
    (signature,) = read_definition(path / f"{path.resolve().name}.yaml").members
    return path / f"{signature}.safetensors"


def _umask() -> int:
    """What new files of this process may not permit; the format's library permits its owner alone to read."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _differences(there: Recipe, recipe: Recipe) -> list[str]:
    """Keys in which two recipes differ, with both values."""
    old, new = _flat(asdict(there)), _flat(asdict(recipe))
    keys = (old | new).keys() - _FREE
    return [f"{key} ({old.get(key)} there)" for key in sorted(keys) if old.get(key) != new.get(key)]


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _holds_more_than_state(path: Path) -> bool:
    """Whether there is anything but what a run that was killed at its very beginning has left."""
    return any(entry.name != "state" and not entry.match(".recipe.toml.*.tmp") for entry in path.iterdir())
