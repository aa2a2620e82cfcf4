"""`stemsplit train`: songs whose stems are known -> a model of one's own."""

import os
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from stemsplit.cli.console import Console, ProgressMode
from stemsplit.cli.options import Device, Offline, Quiet, Verbose
from stemsplit.cli.progress import clock
from stemsplit.cli.slips import check_folders
from stemsplit.errors import UsageError

_NAMED = 5  # songs that validate

if TYPE_CHECKING:
    from stemsplit.training.run import Prepared, Request
    from stemsplit.training.survey import DataFolder, Survey


def train(
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...",
            help="Folders of song folders with one audio file per source; FOLDER=2 is drawn twice as often.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", metavar="NAME|FILE.toml", help="How to train; `--recipe list` shows all.")
    ] = "htdemucs",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="RUN", help="The run's folder; default: runs/RECIPE.", show_default=False
        ),
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the recipe.")
    ] = None,
    sources: Annotated[
        list[str] | None, typer.Option(metavar="A,B,...", help="What to learn; default: drums,bass,other,vocals.")
    ] = None,
    rest: Annotated[
        str, typer.Option(metavar="SOURCE|refuse", help="Where stems of other names go. auto: to `other`, if learnt.")
    ] = "auto",
    missing: Annotated[
        str, typer.Option(metavar="refuse|silence|skip", help="What to do with songs that lack a source.")
    ] = "refuse",
    init: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Start from a model's weights; as -m of `separate`.")
    ] = None,
    init_head: Annotated[
        list[str] | None,
        typer.Option(metavar="NEW=OLD", help="With --init: a new source starts as one the model has, kick=drums."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Use only songs that this list of `stemsplit quality` names; those in valid/ and test/ stay.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only tell what is there and what is wrong with it.")] = False,
    device: Device = "auto",
    workers: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Processes that read; default: one per core, at most 8.")
    ] = None,
    offline: Offline = False,
    quiet: Quiet = False,
    progress: Annotated[str, typer.Option(metavar="auto|none|plain|json", help="How progress is shown.")] = "auto",
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="Add all that is said to a file.")] = None,
    verbose: Verbose = False,
) -> None:
    """
    Train a model, or fine-tune one with --init: the same command again goes on where a run was stopped.

    On several GPUs: `torchrun --nproc-per-node 8 -m stemsplit train ...`.
    """
    if recipe == "list":
        _list_recipes()
        return
    if not data:
        raise UsageError("Name the folder with the songs: stemsplit train DATA. Each song is a folder of stems in it.")
    is_first = os.environ.get("RANK", "0") == "0"
    with Console("human" if is_first and not quiet else "quiet", _progress(progress, is_first), log) as console:
        request = _request(
            data,
            recipe,
            output,
            settings=set_ or [],
            sources=sources or [],
            rest=rest,
            missing=missing,
            init=init,
            heads=init_head or [],
            offline=offline,
            keep=keep,
        )
        _carry_out(request, console, device=device, workers=workers, check=check, is_first=is_first)


def _carry_out(
    request: "Request", console: Console, *, device: str, workers: int | None, check: bool, is_first: bool
) -> None:
    """Look at everything, then train."""
    from stemsplit.events import ignore
    from stemsplit.training.processes import ToldElsewhereError, joined, left
    from stemsplit.training.run import prepared
    from stemsplit.training.run import train as train_now
    from stemsplit.training.run_folder import holds_run
    from stemsplit.training.trainer import Interrupted, Surroundings

    listener = console.listen if is_first else ignore
    processes, place = joined(device)
    try:
        if not check:
            processes.from_first(lambda: holds_run(request.output))
        ready = prepared(request, processes, listener)
        if is_first:
            _tell(console, ready)
        if check:
            if not ready.survey.problems:
                console.say("All of it can be trained with.")
            left()
            raise typer.Exit(2 if ready.survey.problems else 0)
        with _asked_to_stop() as stopped:
            try:
                train_now(ready, Surroundings(place, processes, workers, listener, lambda: bool(stopped())))
            except Interrupted:
                console.say("Stopped, and saved; the same command goes on from here.")
                left()
                raise typer.Exit(128 + (stopped() or signal.SIGTERM)) from None
        console.say(f"Done. Use it: stemsplit song.mp3 -m {shlex.quote(str(request.output))}")
    except ToldElsewhereError as error:
        raise typer.Exit(2 if isinstance(error.__cause__, UsageError) else 1) from None
    left()


def _request(
    data: list[str],
    recipe: str,
    output: Path | None,
    *,
    settings: list[str],
    sources: list[str],
    rest: str,
    missing: str,
    init: str | None,
    heads: list[str],
    offline: bool,
    keep: Path | None,
) -> "Request":
    from stemsplit.audio.assignment import Missing, SourceRules
    from stemsplit.training.keep_list import read_keep_list
    from stemsplit.training.recipe_file import read_recipe, settings_of
    from stemsplit.training.run import Request
    from stemsplit.weights.definition import check_source_names

    given = list(settings)
    names = [name.strip() for part in sources for name in part.split(",")]
    if names:
        given.append(f"data.sources={','.join(names)}")
    read = read_recipe(recipe, given)
    try:
        check_source_names(read.data.sources)
    except ValueError as error:
        raise UsageError(f"--sources: {error}.") from error
    return Request(
        folders=[_folder(text) for text in data],
        recipe=read,
        rules=SourceRules(read.data.sources, rest, cast(Missing, missing)),
        output=output or _default_output(read.name),
        init=init,
        heads=dict(_pair(text) for text in heads),
        network_settings=settings_of(given, "network"),
        offline=offline,
        keep=None if keep is None else read_keep_list(keep),
    )


def _default_output(name: str) -> Path:
    from stemsplit.weights.definition import is_plain_name

    if not is_plain_name(name):
        raise UsageError(f"No folder can be called {name!r} as the recipe is. Choose one with -o.")
    return Path("runs") / name


def _folder(text: str) -> "DataFolder":
    """PATH, or PATH=WEIGHT."""
    from stemsplit.training.survey import DataFolder

    path, equals, weight = text.rpartition("=")
    if not equals or Path(text).exists():
        path, weight = text, "1"
    if not path:
        raise UsageError(f"{text!r}: names no folder.")
    try:
        share = float(weight)
        if not 0 < share < 1e6:
            raise ValueError
    except ValueError:
        raise UsageError(f"{text}: the weight of a folder must be a number above 0, not {weight!r}.") from None
    check_folders([Path(path)])
    return DataFolder(Path(path), share)


def _pair(text: str) -> tuple[str, str]:
    new, equals, old = text.partition("=")
    if not equals or not new or not old:
        raise UsageError(f"--init-head {text}: write NEW=OLD, such as kick=drums.")
    return new.strip(), old.strip()


def _progress(text: str, is_first: bool) -> ProgressMode:
    if text not in get_args(ProgressMode):
        raise UsageError(f"--progress must be auto, none, plain or json, not {text!r}.")
    return cast(ProgressMode, text) if is_first else "none"


def _tell(console: Console, ready: "Prepared") -> None:
    """What there is to train with, what is good to know, and what is wrong."""
    survey = ready.survey
    training = ready.recipe.training
    for line in _table(survey, ready.recipe.data.sources):
        console.say(line)
    valid = [song.track.name for song in survey.splits["valid"]]
    if valid:
        more = f" and {len(valid) - _NAMED} more" if len(valid) > _NAMED else ""
        console.say(f"These validate: {', '.join(valid[:_NAMED])}{more}.")
    console.say(
        f"Recipe {ready.recipe.name}: {training.epochs} epochs of {training.batches_per_epoch or 'as many'} steps of "
        f"{training.batch_size} excerpts of {float(ready.recipe.segment):g} s."
    )
    for note in survey.notes:
        console.say(f"note: {note}")
    for problem in survey.problems:
        console.error(problem)


def _table(survey: "Survey", sources: tuple[str, ...]) -> list[str]:
    """Songs, and how long each source is heard (h:mm:ss), by split."""
    width = max(8, *(len(source) for source in sources))
    lines = [f"{'':5}  {'songs':>6}  {'  '.join(f'{source:>{width}}' for source in sources)}   (how long it is heard)"]
    from stemsplit.audio.multitrack import SPLITS

    for split in SPLITS:
        heard = "  ".join(f"{clock(3600 * survey.hours(split, index)):>{width}}" for index in range(len(sources)))
        lines.append(f"{split:5}  {len(survey.splits[split]):6}  {heard}")
    return lines


def _list_recipes() -> None:
    from stemsplit.training.recipe_file import describe_presets

    names = describe_presets()
    width = max(map(len, names))
    Console().table([f"{name:<{width}}  {what}" for name, what in names.items()])


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], int]]:
    """Within it, Ctrl-C and SIGTERM end the step that is under way first; said twice, they act at once."""
    asked: list[int] = []
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # the last one not on Windows
    before = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names if hasattr(signal, name)}

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, before[signal.Signals(number)])

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield lambda: asked[0] if asked else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
