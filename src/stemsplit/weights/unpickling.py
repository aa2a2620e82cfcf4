"""
Reading a pickle without running it.

A pickle is a program. This one runs in a machine of its own that can build plain containers, fractions and
descriptions of tensors, and nothing else: a name found in the file stays a name, what an unknown name would
have built becomes an inert placeholder, and setting state on an object is skipped. So nothing that a file
names is imported, called or changed. Network files need no more than this.
"""

import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO, ClassVar

import torch

_LARGEST = 2**48  # of any size or position: more elements than a file has bytes
_FRACTION = re.compile(r"(-?\d{1,14})(?:/(\d{1,14}))?")

_TYPES = {
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Float": torch.float32,
    "Double": torch.float64,
    "Byte": torch.uint8,
    "Char": torch.int8,
    "Short": torch.int16,
    "Int": torch.int32,
    "Long": torch.int64,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}
_STORAGES = {f"torch.{name}Storage": dtype for name, dtype in _TYPES.items()}


@dataclass(frozen=True)
class Name:
    """A class or function that a file names. Nothing is looked up."""

    dotted: str


class Placeholder:
    """What a name that we do not know would have built. It swallows what a pickle puts into an object."""

    def __setitem__(self, key: object, value: object) -> None: ...

    def append(self, value: object) -> None:
        """As into a list."""

    def extend(self, values: object) -> None:
        """As into a list."""

    def add(self, value: object) -> None:
        """As into a set."""


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file."""

    key: str
    dtype: torch.dtype
    numel: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.numel * self.dtype.itemsize


@dataclass(frozen=True)
class TensorView:
    """A view of a storage, in elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _LARGEST:
        raise ValueError(f"a size or position is {value!r}")
    return value


def _counts(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple):
        raise ValueError(f"a shape is {values!r}")
    return tuple(_count(value) for value in values)


def _build_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> object:
    if not isinstance(storage, Storage):
        return Placeholder()
    shape, steps = _counts(size), _counts(stride)
    last = _count(offset) + sum((count - 1) * step for count, step in zip(shape, steps, strict=True))
    if last >= storage.numel:
        raise ValueError("a tensor reaches beyond the end of its numbers")
    return TensorView(storage, _count(offset), shape, steps)


def _build_fraction(*terms: object) -> object:
    """Of `"39/5"`, or of 39 and 5. No exponents, as Python allows: `1e999999999` would fill the memory."""
    match terms:
        case (str(text),) if found := _FRACTION.fullmatch(text):
            numerator, denominator = int(found[1]), int(found[2] or 1)
        case (int(numerator), int(denominator)) if max(abs(numerator), abs(denominator)) < _LARGEST:
            pass
        case _:
            return Placeholder()
    return Fraction(numerator, denominator) if denominator else Placeholder()


def _build_dictionary(*items: object) -> object:
    """An OrderedDict, empty: later instructions fill it."""
    return {} if not items else Placeholder()


_BUILDERS: dict[str, Callable[..., object]] = {
    "torch._utils._rebuild_tensor_v2": _build_tensor,
    "torch._utils._rebuild_parameter": lambda data, *_: data,
    "collections.OrderedDict": _build_dictionary,
    "fractions.Fraction": _build_fraction,
}


class Machine(pickle._Unpickler):
    """
    Python's own interpreter of pickles, with every instruction that could call or change something replaced.

    It is the one written in Python: the faster one in C sets aside memory for any index a file mentions.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)
    # The parts of the interpreter that its instructions work with.
    stack: list[Any]
    append: Callable[[object], None]
    pop_mark: Callable[[], list[Any]]
    readline: Callable[[], bytes]

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, encoding="utf-8", errors="replace")
        self.storages: dict[str, Storage] = {}

    def run(self) -> object:
        """
        The object that the pickle describes.

        Raises:
            ValueError: if it is truncated or damaged.
        """
        try:
            return self.load()
        except (MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:  # a damaged pickle can break any instruction, each in its own way
            raise ValueError(f"its pickle is truncated or damaged ({type(error).__name__}: {error})") from error

    def find_class(self, module: str, name: str) -> Any:
        """A name stays a name."""
        return Name(f"{module}.{name}")

    def persistent_load(self, identifier: object) -> object:
        """A storage, or the class that older files wrap together with its source code."""
        match identifier:
            case ("storage", Name(dotted), str(key), _, numel, *_) if dotted in _STORAGES:
                storage = Storage(key, _STORAGES[dotted], _count(numel))
                return self.storages.setdefault(key, storage)
            case ("module", Name() as name, *_):
                return name
        return Placeholder()

    def _build(self, builder: object, arguments: object) -> None:
        known = _BUILDERS.get(builder.dotted) if isinstance(builder, Name) else None
        result = known(*arguments) if known and isinstance(arguments, tuple) else Placeholder()
        self.append(result)

    def _reduce(self) -> None:
        arguments, builder = self.stack.pop(), self.stack.pop()
        self._build(builder, arguments)

    def _reduce_with_keywords(self) -> None:
        self.stack.pop()
        self._reduce()

    def _set_state(self) -> None:
        self.stack.pop()

    def _object(self) -> None:
        builder, *arguments = self.pop_mark()
        self._build(builder, tuple(arguments))

    def _instance(self) -> None:
        module, name = (self.readline()[:-1].decode("ascii") for _ in range(2))
        self._build(Name(f"{module}.{name}"), tuple(self.pop_mark()))

    def _refuse(self) -> None:
        raise ValueError("an instruction that no network needs")

    dispatch.update(
        {
            pickle.REDUCE[0]: _reduce,
            pickle.NEWOBJ[0]: _reduce,
            pickle.NEWOBJ_EX[0]: _reduce_with_keywords,
            pickle.BUILD[0]: _set_state,
            pickle.OBJ[0]: _object,
            pickle.INST[0]: _instance,
        }
    )
    # The first sets aside as much memory as the file says; the rest reach outside the file.
    _FOREIGN = (pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.EXT1, pickle.EXT2, pickle.EXT4)
    dispatch.update(dict.fromkeys((code[0] for code in _FOREIGN), _refuse))
