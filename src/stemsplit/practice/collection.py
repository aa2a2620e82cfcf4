"""Many practice songs in one folder: which they are, and the work of rendering them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stemsplit.audio.folder_lock import lock_folder
from stemsplit.errors import UsageError
from stemsplit.events import Listener
from stemsplit.practice.programs import find_font, find_program
from stemsplit.practice.render import PART, PracticeSong, discard, render

_LOCK = ".practice.lock"


def collection(seed: int, counts: Mapping[str, int], font: str) -> list[PracticeSong]:
    """
    The songs of a collection, once all that rendering them takes is known to be there.

    Args:
        seed: of the collection.
        counts: how many songs each split has; the first ones are the same however many there are.
        font: path of a General MIDI sound font, or its name where systems keep them.

    Raises:
        StemsplitError: if a program or the sound font is missing.
        UsageError: if there is not a single song.
    """
    if not any(counts.values()):
        raise UsageError("No song is asked for: --songs, --valid and --test are all 0.")
    for program in ("fluidsynth", "espeak-ng"):
        find_program(program)
    path = find_font(font)
    return [PracticeSong(seed, split, number, path) for split, count in counts.items() for number in range(count)]


@dataclass
class Rendering:
    """Renders songs of a collection, in this process or another; see `stemsplit.evaluation.pool`."""

    folder: Path

    def begin(self, device: str, listener: Listener) -> None:
        """Take nothing: songs are rendered without a device, and nothing is warned of."""

    def __call__(self, song: PracticeSong) -> bool:
        """Whether it had to be rendered."""
        return render(song, self.folder)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """
    The folder, made if need be, and kept from other runs. What is not whole, of this or an earlier run, is cleared.

    Raises:
        UsageError: if another run works there.
        OutputError: if it cannot be made.
    """
    file = folder / _LOCK
    lock = lock_folder(folder, file, "another run is rendering songs into it. Wait for it, or choose another folder.")
    try:
        _clear(folder)
        yield
    finally:
        _clear(folder)  # a worker that was ended in the midst of a song may not have done so
        with suppress(OSError):  # Windows keeps files that are open
            file.unlink(missing_ok=True)
        lock.release()


def _clear(folder: Path) -> None:
    for place in folder.glob(f"*/.Practice *{PART}"):
        with suppress(OSError):
            discard(place)
