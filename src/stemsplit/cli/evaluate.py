"""`stemsplit evaluate`: scores of models, and of stems from any tool, on songs whose stems are known."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplit.audio.faults import shown
from stemsplit.cli.console import Console
from stemsplit.cli.options import (
    BatchSize,
    Device,
    Jobs,
    Multitracks,
    Offline,
    Overlap,
    Precision,
    Quiet,
    Rest,
    Segment,
    Verbose,
)
from stemsplit.cli.slips import check_folders
from stemsplit.errors import StemsplitError, UsageError

if TYPE_CHECKING:
    from stemsplit.evaluation.run import Evaluation


def evaluate(
    data: Multitracks,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|PATH|USER/REPO",
            help="See `stemsplit models`; several stand side by side (repeatable).",
        ),
    ] = None,
    estimates: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Score stems that any tool has separated: DIR/SONG/vocals.wav (repeatable)."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where scores go, as JSON, CSV and pictures.")
    ] = Path("evaluated"),
    split: Annotated[
        str, typer.Option(metavar="auto|train|valid|test|all", help="auto: songs in test/, else in valid/, else all.")
    ] = "auto",
    rest: Rest = "auto",
    bsseval: Annotated[
        bool,
        typer.Option("--bsseval", help="BSSEval v4 too (SDR, SIR, ISR, SAR): minutes and 6 GB per song and method."),
    ] = False,
    degrade: Annotated[
        list[str] | None,
        typer.Option(
            metavar="limiter|mp3|16k", help="Score the songs also limited as loud masters are, as mp3, or at 16 kHz."
        ),
    ] = None,
    listen: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the ten worst excerpts here, to listen to.", show_default=False),
    ] = None,
    jobs: Jobs = 1,
    overlap: Overlap = 0.25,
    segment: Segment = None,
    batch_size: BatchSize = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per song and method on stdout.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """
    Separate songs whose stems are known, and tell how near the result comes: utterance SDR in dB.

    Beside models stand estimates that need none: the mixture as it is, the mixture times the best gain, and the ideal
    ratio mask. The same command again goes on where it was stopped.
    """
    with Console("json" if json else "quiet" if quiet else "human") as console:
        from stemsplit.evaluation.run import Request, prepared
        from stemsplit.separation.separator import Separator

        _check(data, estimates or [], split)
        names = models or ([] if estimates else ["htdemucs"])
        if len(set(names)) < len(names):
            raise UsageError("A model is named twice. Name it once.")
        load = partial(
            Separator.load,
            precision=precision,
            batch_size=batch_size,
            overlap=overlap,
            segment=segment,
            offline=offline,
        )
        request = Request(
            folders=data,
            models={name: partial(load, name) for name in names},
            output=output,
            estimates=estimates or [],
            split=split,
            rest=rest,
            degradations=_degradations(degrade or []),
            with_bsseval=bsseval,
            listen=listen,
            jobs=jobs,
            device=device,
        )
        _carry_out(prepared(request, console.listen), console, json=json)


def _carry_out(evaluation: "Evaluation", console: Console, *, json: bool) -> None:
    """Score, and tell of each song when all of its methods are done."""
    from stemsplit.cli.scores import song_table, summary_tables, worst_table
    from stemsplit.evaluation.run import evaluate as evaluate_now

    tasks_of = evaluation.by_song
    waiting = {name: len(tasks) for name, tasks in tasks_of.items()}
    told: set[tuple[str, str]] = set()
    for task in evaluate_now(evaluation, console.listen):
        name = task.song.name
        waiting[name] -= 1
        if task in evaluation.failures:
            method = evaluation.methods[task.method].name
            failure = f"{name}, {method}: {evaluation.failures[task]}"
            if (name, evaluation.failures[task]) not in told:  # a broken stem fails for every method
                console.error(failure, name)
            told.add((name, evaluation.failures[task]))
        elif json:
            console.data(evaluation.results[task].summary())
        if not waiting[name] and not json:
            own = [evaluation.results[task] for task in tasks_of[name] if task in evaluation.results]
            console.table(song_table(name, own) if own else [])
    results = evaluation.in_order
    if results and not json:
        console.table([*summary_tables(results), *worst_table(evaluation.worst)])
        console.say(f"Scores are in the folder {shown(evaluation.request.output)}")
    failed = {task.song.name for task in evaluation.failures}
    if failed:
        raise StemsplitError(f"{len(failed)} of {len(waiting)} songs could not be evaluated.")


def _check(folders: Sequence[Path], estimates: Sequence[Path], split: str) -> None:
    """Raises UsageError for words that make no sense, before a model is loaded."""
    from stemsplit.audio.multitrack import SPLITS

    if split not in ("auto", "all", *SPLITS):
        raise UsageError(f"--split must be auto, all, {', '.join(SPLITS)}, not {split!r}.")
    check_folders([*folders, *estimates])


def _degradations(given: Sequence[str]) -> list[str]:
    """From `--degrade limiter,mp3` and `--degrade limiter --degrade mp3`."""
    from stemsplit.evaluation.degradation import DEGRADATIONS

    names = list(dict.fromkeys(name.strip() for text in given for name in text.split(",")))
    for name in names:
        if name not in DEGRADATIONS:
            raise UsageError(f"--degrade must be of {', '.join(DEGRADATIONS)}, not {name!r}.")
    return names
