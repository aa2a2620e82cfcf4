"""
The older file format: `.th`, a dictionary pickled by torch, in a zip archive (or, before torch 1.6, without).

Only `klass`, by name, `args`, `kwargs` and `state` are used; training arguments and metrics are passed over.
Tensors are described first and read later, after their shapes have been checked, so that a number in a file
can ask for no more memory than the file has bytes. How a pickle is read without running it: `unpickling.py`.
"""

import math
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, cast

import torch
from torch import Tensor

from stemsplit.weights.stored import StoredNetwork, StoredTensor
from stemsplit.weights.unpickling import Machine, Name, Storage, TensorView

MAX_PICKLE = 2**26  # bytes of the pickle without the tensors; a network's has far under a megabyte
_MAGIC = 0x1950A86A20F9469CFC6C  # first in a file without zip archive, as torch defines it
_PROTOCOL = 1001  # second

_Opened = tuple[object, Callable[[Storage], Tensor]]  # the pickled object, and how to read what it describes


@contextmanager
def open_legacy(path: Path) -> Iterator[StoredNetwork]:
    """
    Open a `.th` file; its tensors can be read until the context ends.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is truncated, or holds no pickled network.
    """
    with path.open("rb") as file:
        opened = _open_zip(file) if zipfile.is_zipfile(file) else _open_plain(file)
        with opened as (content, read):
            yield _network(content, read)


def _network(content: object, read: Callable[[Storage], Tensor]) -> StoredNetwork:
    if not isinstance(content, dict) or not {"klass", "kwargs", "state"} <= content.keys():
        raise ValueError("it is no pickled network with `klass`, `kwargs` and `state`")
    klass, arguments, state = content["klass"], content["kwargs"], content["state"]
    if not isinstance(klass, Name) or not isinstance(arguments, dict) or not isinstance(state, dict):
        raise ValueError("its `klass`, `kwargs` or `state` is not what it should be")
    if "__quantized" in state:
        raise ValueError("its weights are quantised, which is not supported")
    positional = content.get("args", ())
    tensors = {str(name): tensor for name, tensor in state.items() if isinstance(tensor, TensorView)}
    if len(tensors) < len(state):
        raise ValueError("its `state` holds more than tensors")
    if any(math.prod(tensor.size) > tensor.storage.numel for tensor in tensors.values()):
        raise ValueError("a tensor is larger than its numbers")  # one number, repeated a billion times
    return StoredNetwork(
        class_name=klass.dotted,
        positional=tuple(positional) if isinstance(positional, list | tuple) else (positional,),
        arguments={str(name): value for name, value in arguments.items()},
        tensors={name: StoredTensor(tensor.size, partial(_view, tensor, read)) for name, tensor in tensors.items()},
    )


def _view(tensor: TensorView, read: Callable[[Storage], Tensor]) -> Tensor:
    return read(tensor.storage).as_strided(tensor.size, tensor.stride, tensor.offset)


# The two containers.


class _Archive:
    """`NAME/data.pkl`, and one uncompressed `NAME/data/KEY` per storage."""

    def __init__(self, archive: zipfile.ZipFile, length: int) -> None:
        self._archive, self._length = archive, length
        self._members = {member.filename: member for member in archive.infolist()}
        pickles = (name for name in self._members if name.endswith("/data.pkl"))
        self._folder = next(pickles, "data.pkl").removesuffix("data.pkl")

    def __contains__(self, name: str) -> bool:
        return self._folder + name in self._members

    def read(self, name: str) -> bytes:
        return self._archive.read(self._folder + name)

    def size(self, name: str) -> int:
        """Bytes of a member."""
        member = self._members.get(self._folder + name)
        if member is None:
            raise ValueError(f"its member {name} is missing")
        # Compressed, a member could hold a thousand times the file's bytes. torch compresses none.
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > self._length:
            raise ValueError(f"its member {name} is compressed or damaged")
        return member.file_size

    def check(self, storage: Storage) -> None:
        size = self.size(f"data/{storage.key}")
        if size != storage.size:
            raise ValueError(f"its member data/{storage.key} has {size:,} bytes instead of {storage.size:,}")

    def numbers(self, storage: Storage) -> Tensor:
        return _numbers(self.read(f"data/{storage.key}"), storage)


@contextmanager
def _open_zip(file: BinaryIO) -> Iterator[_Opened]:
    try:
        with zipfile.ZipFile(file) as source:
            archive = _Archive(source, file.seek(0, os.SEEK_END))
            if archive.size("data.pkl") > MAX_PICKLE:
                raise ValueError("its pickle is too large for a network's")
            if "byteorder" in archive and archive.read("byteorder") != b"little":
                raise ValueError("its numbers are big-endian, which is not supported")
            machine = Machine(BytesIO(archive.read("data.pkl")))
            content = machine.run()
            for storage in machine.storages.values():
                archive.check(storage)
            yield content, archive.numbers
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ValueError(f"it is no whole zip archive ({error})") from error


@contextmanager
def _open_plain(file: BinaryIO) -> Iterator[_Opened]:
    """Pickles of a magic number, a version, the system, the content and a list of keys; then the storages."""
    try:
        # A file's read(n) sets n bytes aside first, however large n is; that of a map returns what is there.
        memory = mmap(file.fileno(), 0, access=ACCESS_READ)
    except ValueError:
        raise ValueError("it is empty") from None
    with memory:
        stream = cast(BinaryIO, memory)
        if (Machine(stream).run(), Machine(stream).run()) != (_MAGIC, _PROTOCOL):
            raise ValueError("it is no file that torch wrote")
        Machine(stream).run()  # the system that wrote it
        machine = Machine(stream)
        content = machine.run()
        offsets = _offsets(memory, Machine(stream).run(), machine.storages)

        def read(storage: Storage) -> Tensor:
            start = offsets[storage.key]
            return _numbers(memory[start : start + storage.size], storage)

        yield content, read


def _offsets(memory: mmap, keys: object, storages: Mapping[str, Storage]) -> dict[str, int]:
    """Where the numbers of each storage start, behind a count of eight bytes."""
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise ValueError("its list of storages is damaged")
    offsets, position = {}, memory.tell()
    for key in keys:
        storage = storages[key]
        if memory[position : position + 8] != struct.pack("<q", storage.numel):
            raise ValueError("it is truncated or damaged")
        offsets[key] = position + 8
        position += 8 + storage.size
    if position > len(memory):
        raise ValueError("it is truncated")
    return offsets


def _numbers(data: bytes, storage: Storage) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=storage.dtype) if data else torch.empty(0, dtype=storage.dtype)
