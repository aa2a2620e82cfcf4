"""Trainings of a second or two for tests: songs at 8 kHz, a network without a transformer, a few steps."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cli.program import Result, stemsplit
from multitracks import multitrack, write_multitrack
from signals import Block

RATE = 8000
SECONDS = 3.0
SETTINGS = {
    "sample_rate": "8000",
    "excerpt_seconds": "1.2",
    "shift_seconds": "0.2",
    "repitch": "0",
    "transformer_layers": "0",
    "bottom_channels": "0",
    "epochs": "1",
    "batches_per_epoch": "2",
    "batch_size": "2",
    "remix_group": "2",
    "averages.batch": "[]",
}
"""Over the recipe `smoke`: one epoch of two steps, on segments of a second."""


@cache
def song(seed: int) -> dict[str, Block]:
    """A song as stems, always the same."""
    return multitrack(seed, SECONDS, RATE)


def mixture_of(stems: Mapping[str, Block]) -> Block:
    """Their sum."""
    mixture: Block = np.stack(list(stems.values())).sum(axis=0)
    return mixture


def halved(stem: Block) -> Block:
    """Exactly."""
    return stem * np.float32(0.5)


def write_songs(folder: Path, seeds: Iterable[int] = range(4)) -> Path:
    """A folder of songs called `song 0`, `song 1`, ..."""
    for seed in seeds:
        write_multitrack(folder / f"song {seed}", song(seed), RATE)
    return folder


def settings(**changes: object) -> list[str]:
    """What to train with, as words of the command line; a section's dot is written `__`."""
    values = SETTINGS | {name.replace("__", "."): str(value) for name, value in changes.items()}
    return ["--recipe", "smoke", *(word for name, value in values.items() for word in ("--set", f"{name}={value}"))]


def train(*words: str | Path, **changes: object) -> Result:
    """`stemsplit train ...` in this process, which reads the songs too."""
    return stemsplit("train", *words, *settings(**changes), "--workers", "0", "--device", "cpu")


def tree(folder: Path, *, but: str = "\0") -> dict[str, tuple[bytes | None, int]]:
    """All that is in a folder, with its bytes and times; hidden files too, but not what has `but` in its path."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for name, path in paths.items()
        if but not in name
    }


def contents(folder: Path, *, but: str = "tensorboard") -> dict[str, bytes]:
    """The files in a folder by name."""
    return {name: data for name, (data, _) in tree(folder, but=but).items() if data is not None}


def temporaries(folder: Path) -> list[str]:
    """What a run must not leave: hidden files, half-written models."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    return [name for name in names if "/." in f"/{name}" or name.endswith((".tmp", ".part", "state/model.safetensors"))]


def state_of(run: Path) -> dict[str, Any]:
    """What a run goes on from."""
    state: dict[str, Any] = torch.load(run / "state" / "state.pt", weights_only=True)
    return state


def weights_of(run: Path) -> dict[str, list[bytes]]:
    """The numbers in a run's models, by the folder they are in. The headers before them are texts."""
    found: dict[str, list[bytes]] = {}
    for path in sorted(run.rglob("*.safetensors")):
        data = path.read_bytes()
        found.setdefault(path.parent.relative_to(run).as_posix(), []).append(
            data[8 + int.from_bytes(data[:8], "little") :]
        )
    assert found
    return found


def assert_equal_states(one: Path, other: Path) -> None:
    """Two runs stand at the same place, bit for bit."""
    ours, theirs = dict(_leaves(state_of(one))), dict(_leaves(state_of(other)))
    assert ours.keys() == theirs.keys()
    differing = [name for name in ours if not _is_same(ours[name], theirs[name])]
    assert differing == []


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, f"{name}/{key}")
    elif isinstance(value, list | tuple):
        for number, below in enumerate(value):
            yield from _leaves(below, f"{name}/{number}")
    else:
        yield name, value


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and np.array_equal(_bits(one), _bits(other))
    return type(one) is type(other) and bool(one == other)


def _bits(tensor: torch.Tensor) -> Any:
    return tensor.contiguous().flatten().view(torch.uint8).numpy()
