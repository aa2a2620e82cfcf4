"""Slips of the keyboard that look like names of songs: told before any work, with what was probably meant."""

from collections.abc import Sequence
from os.path import exists, isdir, isfile  # false, not an error, for names that no disk can have
from pathlib import Path

from stemsplit.audio.faults import shown
from stemsplit.errors import UsageError

_USUAL_SOURCES = ("drums", "bass", "other", "vocals", "guitar", "piano")
_DASHES = ("\N{EN DASH}", "\N{EM DASH}", "\N{MINUS SIGN}")


def check_folders(folders: Sequence[Path]) -> None:
    """
    See that all are folders.

    Raises:
        UsageError: for one that is none.
    """
    for folder in folders:
        if not isdir(folder):  # noqa: PTH112
            what = "is no folder" if exists(folder) else "there is no such folder"  # noqa: PTH110
            raise UsageError(f"{shown(folder)}: {what}.")


def check_words(inputs: Sequence[str], sources: Sequence[str]) -> None:
    """
    Find out whether words that name no file were meant for something else.

    Raises:
        UsageError: for a name without quotes, a link, a pasted dash, and a stem behind a space.
    """
    if "" in inputs:
        raise UsageError('"" names no file. In a script, an unset variable or an empty line gives that.')
    missing = [word for word in inputs if word != "-" and not exists(word)]  # noqa: PTH110
    joined = " ".join(inputs)
    if len(inputs) > 1 and missing and isfile(joined):  # noqa: PTH113
        raise UsageError(f'{missing[0]}: there is no such file. A name with spaces needs quotes: "{joined}".')
    for word in missing:
        if "://" in word:
            raise UsageError(f"{word}: links are not fetched. Save the song to a file first.")
        if word.startswith(_DASHES):
            raise UsageError(f"{word}: this begins with a typographic dash. Type the option with - or --.")
        if word in (*sources, *_USUAL_SOURCES):
            raise UsageError(
                f"{word}: there is no such file. Several stems are written with a comma and no space, such as "
                f"-s drums,vocals, or with the option said again: --drop drums --drop {word}."
            )
