"""What the file formats have in common: a network as it is stored, before any of it is believed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file: its shape is known, its numbers are not read yet."""

    shape: tuple[int, ...]
    read: Callable[[], "Tensor"]


@dataclass(frozen=True)
class StoredNetwork:
    """
    A network as a file holds it.

    Attributes:
        class_name: dotted name of the reference's class, to be compared and never to be imported.
        positional: constructor arguments given by position; the published files have none.
        arguments: those given by name.
        tensors: by parameter name.
    """

    class_name: str
    positional: tuple[object, ...]
    arguments: Mapping[str, object]
    tensors: Mapping[str, StoredTensor]
