"""`stemsplit practice`: render songs of one's own to train with."""

import shlex
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from stemsplit.audio.faults import shown
from stemsplit.cli.console import Console
from stemsplit.cli.options import Jobs, Quiet, Verbose
from stemsplit.compute import NO_DEVICE
from stemsplit.errors import StemsplitError, TrackError
from stemsplit.events import SongsRendered
from stemsplit.practice.programs import DEFAULT_FONT, check_modules

MOST = 100_000  # songs of a split: 5 TB


def practice(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the songs go: DIR/train, DIR/valid, DIR/test.")],
    songs: Annotated[int, typer.Option(metavar="N", min=0, max=MOST, help="How many to train with.")] = 100,
    valid: Annotated[int, typer.Option(metavar="N", min=0, max=MOST, help="How many to choose the best epoch by.")] = 0,
    test: Annotated[int, typer.Option(metavar="N", min=0, max=MOST, help="How many to score a model with.")] = 0,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Other seeds give other songs.")] = 0,
    font: Annotated[
        str, typer.Option(metavar="FILE", help="General MIDI sound font that plays the instruments.")
    ] = DEFAULT_FONT,
    jobs: Jobs = 1,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """
    Render practice songs: multitracks, composed, played, sung and mixed by rule, free for any use.

    It needs the programs fluidsynth and espeak-ng, a sound font, and the packages that
    `pip install 'stemsplit[practice]'` brings.

    A song takes about a seventh of its length on one core, and 50 MB on the disk. What is there already is not rendered
    again: the same command goes on where it was stopped.
    """
    with Console("quiet" if quiet else "human") as console:
        check_modules()
        from stemsplit.evaluation.pool import carried_out
        from stemsplit.practice.collection import Rendering, collection, held

        planned = collection(seed, {"train": songs, "valid": valid, "test": test}, font)
        rendered = failed = 0
        with held(folder), closing(carried_out(Rendering(folder), planned, jobs, NO_DEVICE, console.listen)) as work:
            for done, (song, result) in enumerate(work, 1):
                if isinstance(result, TrackError):
                    console.error(str(result), song.name)
                    failed += 1
                else:
                    rendered += result
                console.listen(SongsRendered(done, len(planned)))
        there = len(planned) - rendered - failed
        before = f", {there} were there" if there else ""
        console.say(f"{rendered} song{'' if rendered == 1 else 's'} rendered{before}: {shown(folder)}")
        if failed:
            raise StemsplitError(f"{failed} of {len(planned)} songs could not be rendered.")
        place = _as_typed(folder)
        if songs and songs + valid > 1:
            console.say(f"Train with them: stemsplit train {place} -r mini")
        if test:
            console.say(f"Score a model with them: stemsplit evaluate {place} -m mini")


def _as_typed(folder: Path) -> str:
    """The folder as a shell takes it, and not for an option."""
    text = shown(folder)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
