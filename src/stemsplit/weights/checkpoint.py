"""
Network files: from a path to a network, and back.

Reads the published `.safetensors` format and the older `.th` one; writes the published format only. Here a
file is held against what its network must look like; the formats themselves live in `published.py` and
`legacy.py`, the meaning of stored arguments in `arguments.py`.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from torch import Tensor

from stemsplit.errors import CheckpointError
from stemsplit.model.config import DEPTH, HTDemucsConfig
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.weights.arguments import arguments_from_config, config_from_arguments
from stemsplit.weights.legacy import open_legacy
from stemsplit.weights.published import open_published, save_published
from stemsplit.weights.stored import StoredNetwork, StoredTensor

CLASS_NAME = "demucs.htdemucs.HTDemucs"
_NAMED = 3  # tensors that a message about many names

_OPENERS: dict[str, Callable[[Path], AbstractContextManager[StoredNetwork]]] = {
    ".safetensors": open_published,
    ".th": open_legacy,
}


def read_config(path: Path) -> HTDemucsConfig:
    """
    The configuration of the network in a file.

    Raises:
        CheckpointError: as `read_checkpoint` does, less what only the tensors show.
    """
    with _opened(path) as stored:
        return _config(stored)


def read_checkpoint(path: Path) -> HTDemucs:
    """
    The network in a `.safetensors` or `.th` file: float32 parameters on the CPU, in evaluation mode.

    Raises:
        CheckpointError: if the file cannot be read or is damaged, or holds another network than we can build.
    """
    with _opened(path) as stored:
        config = _config(stored)
        _check_sizes(config, stored.tensors)
        with torch.device("meta"):  # no memory, and no initial weights drawn: they are about to be read
            network = HTDemucs(config)
        expected = network.state_dict()
        _check_tensors({name: tuple(tensor.shape) for name, tensor in expected.items()}, stored.tensors)
        tensors = {name: _finite(name, stored.tensors[name].read()) for name in expected}
        # A copy in any case: what is read may be a view of the file.
        tensors = {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}
        network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval()


def write_checkpoint(path: Path, network: HTDemucs, dtype: torch.dtype = torch.float16) -> None:
    """
    Write a network in the published format: all of it or nothing, never half a file under the final name.

    Args:
        path: the file, whose name should end in `.safetensors`. It is replaced if it exists.
        network: on any device.
        dtype: of the stored tensors; the published files are float16.

    Raises:
        CheckpointError: if a weight is not finite in `dtype`, or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        tensors = {
            name: _finite(name, tensor.detach().to("cpu", dtype)).contiguous()
            for name, tensor in network.state_dict().items()
        }
        save_published(temporary, CLASS_NAME, arguments_from_config(network.config), tensors)
        os.replace(temporary, path)  # noqa: PTH105 (replaces on every system)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"{path} cannot be written: {reason}.") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[StoredNetwork]:
    """Open a file of either format, and name it in whatever is found wrong with it."""
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        raise CheckpointError(f"{path} is no network file: it ends neither in .safetensors nor in .th.")
    try:
        with opener(path) as stored:
            yield stored
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be used: {error}.") from error
    except (MemoryError, RuntimeError) as error:  # RuntimeError is how torch says that it has no memory left
        raise CheckpointError(f"{path} cannot be loaded: {str(error).splitlines()[0]}.") from error


def _config(stored: StoredNetwork) -> HTDemucsConfig:
    if stored.class_name != CLASS_NAME:
        raise ValueError(f"it holds a {stored.class_name}, and only {CLASS_NAME} is supported")
    if stored.positional:
        raise ValueError("its network's arguments are given by position, and only those given by name are supported")
    return config_from_arguments(stored.arguments)


def _check_sizes(config: HTDemucsConfig, tensors: Mapping[str, StoredTensor]) -> None:
    """
    Hold the tensors that decide a network's size against the file before a network of that size is built.

    Otherwise a file of a few bytes could ask for one of many gigabytes.
    """
    inner = config.innermost_channels
    audio = 2 * config.audio_channels  # real and imaginary parts
    expected: dict[str, tuple[int, ...]] = {
        "encoder.0.conv.weight": (config.channels, audio, 8, 1),
        f"encoder.{DEPTH - 1}.conv.weight": (inner, inner // 2, 8, 1),
        f"decoder.{DEPTH - 1}.conv_tr.weight": (config.channels, audio * len(config.sources), 8, 1),
    }
    if config.bottom_channels:
        expected["channel_upsampler.weight"] = (config.bottom_channels, inner, 1)
    hidden = int(config.width * config.hidden_scale)
    for layer in range(config.transformer_layers):
        expected[f"crosstransformer.layers.{layer}.linear1.weight"] = (hidden, config.width)
    _check_tensors(expected, {name: tensors[name] for name in expected if name in tensors})


def _check_tensors(expected: Mapping[str, tuple[int, ...]], tensors: Mapping[str, StoredTensor]) -> None:
    missing = [name for name in expected if name not in tensors]
    if missing:
        raise ValueError(f"it lacks {_some(missing)}")
    unexpected = [name for name in tensors if name not in expected]
    if unexpected:
        raise ValueError(f"it holds {_some(unexpected)}, which its network does not have")
    misshaped = [
        f"{name} ({_shape(tensors[name].shape)} instead of {_shape(shape)})"
        for name, shape in expected.items()
        if tensors[name].shape != shape
    ]
    if misshaped:
        raise ValueError(f"the shape of a tensor does not fit its arguments: {_some(misshaped)}")


def _finite(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        raise ValueError(f"{name} is of type {tensor.dtype}, not of floating-point numbers")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} is not finite everywhere")
    return tensor


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape) or "a single number"
