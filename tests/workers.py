"""What the processes of `separate_in_jobs` load in tests; here, where a process that is spawned can import it."""

import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from networks import RATE, KnownNetwork, bag
from stemsplit import Separator
from stemsplit.audio.excerpt import Excerpt
from stemsplit.audio.reader import Reader, open_audio
from stemsplit.compute import Compute
from stemsplit.errors import ModelError
from stemsplit.events import Listener, ignore
from stemsplit.separation import track

DEADLY = "deadly"  # what the name of a song begins with that kills who opens it


def known(device: str = "cpu", listener: Listener = ignore) -> Separator:
    """Each source is the mixture; takes no time."""
    return Separator(bag(KnownNetwork(RATE // 2)), compute=Compute("cpu", "fp32", 1), listener=listener)


def small(folder: Path, device: str = "cpu", listener: Listener = ignore) -> Separator:
    """A model on the disk, on one thread, so that it gives the same bytes in any process."""
    separator = Separator.load(str(folder), device="cpu", precision="fp32", batch_size=1, listener=listener)
    torch.set_num_threads(1)
    return separator


def mortal(device: str, listener: Listener) -> Separator:
    """As `known`, in a process that is killed at a song with a deadly name."""
    patch.object(track, "open_audio", _deadly).start()
    return known(device, listener)


def dead(device: str, listener: Listener) -> Separator:
    """Killed before there is a model."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def refused(device: str, listener: Listener) -> Separator:
    """No model at all."""
    raise ModelError("The model cannot be read. Choose another one.")


def broken(device: str, listener: Listener) -> Separator:
    """A model that fails at the first song."""

    def fail(_: Any) -> Any:
        raise ModelError("The network gives no numbers. Choose another one.")

    return Separator(bag(KnownNetwork(RATE // 2, function=fail)), compute=Compute("cpu", "fp32", 1))


def _deadly(path: Path, excerpt: Excerpt) -> Reader:
    if path.name.startswith(DEADLY):
        os.kill(os.getpid(), signal.SIGKILL)
    return open_audio(path, excerpt)
