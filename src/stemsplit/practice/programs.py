"""The programs and sound fonts that render practice songs, found where systems install them."""

import os
import shutil
import subprocess
import warnings
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from stemsplit.audio.faults import reason, shown
from stemsplit.errors import StemsplitError

_TIMEOUT = 120  # seconds
_MODULES = ("mido", "pyworld", "scipy")
FONT_FOLDERS = (Path("/usr/share/sounds/sf2"), Path("/usr/share/soundfonts"), Path("/usr/local/share/soundfonts"))
DEFAULT_FONT = "FluidR3_GM.sf2"


@lru_cache
def find_program(name: str) -> str:
    """
    Path of a program: fluidsynth or espeak-ng.

    Raises:
        StemsplitError: if it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise StemsplitError(
            f"Practice songs need the program {name}, which is not installed. On Debian and Ubuntu, "
            "`sudo apt install fluidsynth fluid-soundfont-gm espeak-ng` brings it."
        )
    return path


def run(name: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """
    What a program answers, whatever its exit code.

    Raises:
        StemsplitError: if it is not installed, cannot be started, or takes minutes for what takes a second.
    """
    try:
        return subprocess.run(
            [find_program(name), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StemsplitError(f"The program {name} failed: {error}.") from error


def check_modules() -> None:
    """
    Import what the extra `practice` brings.

    Raises:
        StemsplitError: if some of it is not installed.
    """
    for name in _MODULES:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pyworld asks a module that is going out of use for its own version
                import_module(name)
        except ImportError as error:
            raise StemsplitError(
                f"Practice songs need the Python package {name} ({error}): pip install 'stemsplit[practice]'."
            ) from error


def find_font(name: str = DEFAULT_FONT) -> Path:
    """
    A General MIDI sound font, by its path or by its name where systems keep them.

    Raises:
        StemsplitError: if it is not there, or is none.
    """
    for path in (_at_home(name), *(folder / name for folder in FONT_FOLDERS)):
        if os.path.isfile(path):  # noqa: PTH113 (false, not an error, for names no disk can have)
            if not _is_font(path):
                raise StemsplitError(
                    f"{shown(path)} is no sound font: such a file ends in .sf2 or .sf3 and begins with RIFF."
                )
            return path.resolve()
    raise StemsplitError(
        f"The sound font {name} is neither a file nor in {', '.join(map(str, FONT_FOLDERS))}. "
        f"On Debian and Ubuntu, `sudo apt install fluid-soundfont-gm` brings {DEFAULT_FONT}."
    )


def _at_home(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # the home of nobody
        return Path(name)


def _is_font(path: Path) -> bool:
    """Whether it begins as one (FluidSynth plays silence where it does not)."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise StemsplitError(f"The sound font {shown(path)} cannot be read: {reason(error)}.") from error
    return head[:4] == b"RIFF" and head[8:] == b"sfbk"
