"""`stemsplit quality`: which songs are worth training with, told by what a model hears in each of their stems."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from stemsplit.audio.faults import shown
from stemsplit.cli.console import Console
from stemsplit.cli.options import BatchSize, Device, Jobs, Model, Multitracks, Offline, Precision, Quiet, Rest, Verbose
from stemsplit.cli.slips import check_folders
from stemsplit.errors import StemsplitError, UsageError

if TYPE_CHECKING:
    from stemsplit.training.choice import Choice
    from stemsplit.training.quality import SongQuality

_SPLITS = ("train", "valid", "test", "all")


def quality(
    data: Multitracks,
    model: Model = "htdemucs",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where keep.txt and all matrices go.")
    ] = Path("judged"),
    split: Annotated[
        str,
        typer.Option(metavar="train|valid|test|all", help="train: all songs in no folder called valid or test."),
    ] = "train",
    rest: Rest = "auto",
    jobs: Jobs = 1,
    batch_size: BatchSize = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per song on stdout.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """
    Tell which songs have stems that are what they are called, and write a keep list for `stemsplit train --keep`.

    The model is given each stem alone. A song is kept if every stem is heard as itself in more than 70 % of its
    seconds, and as each other source in less than 30 %.
    """
    with Console("json" if json else "quiet" if quiet else "human") as console:
        from stemsplit.separation.separator import Separator
        from stemsplit.training.choice import Request, prepared

        if split not in _SPLITS:
            raise UsageError(f"--split must be {', '.join(_SPLITS)}, not {split!r}.")
        check_folders(data)
        load = partial(Separator.load, model, precision=precision, batch_size=batch_size, offline=offline)
        request = Request(data, load, output, split, rest, jobs, device)
        _carry_out(prepared(request, console.listen), console, json=json)


def _carry_out(choice: "Choice", console: Console, *, json: bool) -> None:
    from stemsplit.training.choice import judge

    for song in judge(choice, console.listen):
        if song.name in choice.failures:
            console.error(f"{song.name}: {choice.failures[song.name]}", song.name)
        elif json:
            console.data(choice.results[song.name].to_json())
        else:
            console.table(_table(choice.results[song.name]))
    kept = sum(result.is_kept for result in choice.in_order)
    keep = shlex.quote(shown(choice.keep_file))
    console.say(f"{kept} of {len(choice.songs)} songs are kept: stemsplit train ... --keep {keep}")
    if choice.failures:
        raise StemsplitError(f"{len(choice.failures)} of {len(choice.songs)} songs could not be judged.")


def _table(result: "SongQuality") -> list[Text]:
    """A song's matrix in percent, a row for each stem; green as it should be, red where it is not."""
    from stemsplit.training.quality import LEAST_OWN, MOST_OTHER

    width = max(8, *(len(source) for source in result.sources))
    verdict = ("kept", "green") if result.is_kept else ("rejected", "red")
    lines = [Text.assemble(f"{result.track}: ", verdict)]
    lines += [Text(f"  {reason}") for reason in result.reasons]
    lines.append(Text(f"  {'stem':{width}}  heard as" + "".join(f"{source:>{width + 2}}" for source in result.sources)))
    for i, row in enumerate(result.matrix):
        line = Text(f"  {result.sources[i]:{width}}          ")
        for j, share in enumerate(row or ()):
            is_good = share > LEAST_OWN if i == j else share < MOST_OTHER
            line.append(f"{100 * share:{width}.0f} %", "green" if is_good else "red")
        lines.append(line if row else line.append("is never heard"))
    return lines
