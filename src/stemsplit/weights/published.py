"""
The published file format: safetensors, with the network's class and arguments as JSON in the metadata.

    klass   "demucs.htdemucs.HTDemucs"
    args    "[]"
    kwargs  "{...}", in which a fraction is {"_type": "fraction", "numerator": 39, "denominator": 5}

Nothing in such a file is executable. Which arguments and tensors make a network: `checkpoint.py`.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from stemsplit.weights.stored import StoredNetwork, StoredTensor

if TYPE_CHECKING:
    from torch import Tensor

_LENGTH_BYTES = 8  # in which the length of the header stands, before it
_SYSTEM_ERROR = re.compile(r"os error (\d+)")


@contextmanager
def open_published(path: Path) -> Iterator[StoredNetwork]:
    """
    Open a `.safetensors` file; its tensors can be read until the context ends.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is truncated, is no safetensors file, or lacks the metadata.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if "structure" in metadata:
                raise ValueError("its weights are quantised, which is not supported")
            yield StoredNetwork(
                class_name=_metadata(metadata, "klass"),
                positional=tuple(_decoded(metadata, "args", list)),
                arguments=_decoded(metadata, "kwargs", dict),
                tensors={
                    name: StoredTensor(tuple(file.get_slice(name).get_shape()), partial(file.get_tensor, name))
                    for name in file.keys()  # noqa: SIM118 (it is no mapping)
                },
            )
    except SafetensorError as error:
        raise ValueError(f"it is no whole safetensors file ({error})") from error


def save_published(path: Path, class_name: str, arguments: Mapping[str, object], tensors: dict[str, "Tensor"]) -> None:
    """
    Write a `.safetensors` file that the reference implementation loads, too.

    Raises:
        OSError: if it cannot be written.
    """
    metadata = {"klass": class_name, "args": "[]", "kwargs": json.dumps(arguments, default=_encode)}
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:  # how the library reports a full disk or a missing folder
        number = int(match[1]) if (match := _SYSTEM_ERROR.search(str(error))) else 0
        raise OSError(number, os.strerror(number) if number else str(error)) from error
    _sort_metadata(path)


def _sort_metadata(path: Path) -> None:
    """Put the metadata in order, which the library leaves to chance: one network has one hash."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header: dict[str, dict[str, object]] = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(text) <= length, "the same content, in another order"
        file.seek(_LENGTH_BYTES)
        file.write(text.ljust(length))


def _metadata(metadata: Mapping[str, str], key: str) -> str:
    if key not in metadata:
        raise ValueError(f"its metadata has no `{key}`, so it is not in the format of the published models")
    return metadata[key]


def _decoded(metadata: Mapping[str, str], key: str, kind: type[Any]) -> Any:
    try:
        value = json.loads(_metadata(metadata, key), object_hook=_decode)
    except (json.JSONDecodeError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise ValueError(f"`{key}` in its metadata is not what it should be")
    return value


def _decode(table: dict[str, object]) -> object:
    if table.get("_type") != "fraction":
        return table
    numerator, denominator = table.get("numerator"), table.get("denominator")
    if not isinstance(numerator, int) or not isinstance(denominator, int) or denominator == 0:
        raise ValueError(f"a fraction in its metadata is none: {numerator!r} over {denominator!r}")
    return Fraction(numerator, denominator)


def _encode(value: object) -> object:
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    raise TypeError(f"{value!r} cannot be stored")
