"""`stemsplit evaluate`: a model's scores on songs whose stems are known."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplit.audio.faults import shown
from stemsplit.cli.console import Console
from stemsplit.cli.options import BatchSize, Device, Model, Offline, Overlap, Precision, Quiet, Segment, Verbose
from stemsplit.errors import StemsplitError, TrackError, UsageError

if TYPE_CHECKING:
    from stemsplit.audio.assignment import Assigned
    from stemsplit.evaluation.evaluate import SongResult

_KINDS = {"sdr": "model", "gain_sdr": "best gain", "mixture_sdr": "mixture"}


def evaluate(
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Folders with one folder of stems per song.")],
    model: Model = "htdemucs",
    split: Annotated[
        str, typer.Option(metavar="auto|train|valid|test|all", help="auto: songs in test/, else in valid/, else all.")
    ] = "auto",
    rest: Annotated[
        str, typer.Option(metavar="SOURCE|refuse", help="Where stems of other names go. auto: to `other`, if there.")
    ] = "auto",
    overlap: Overlap = 0.25,
    segment: Segment = None,
    batch_size: BatchSize = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per song on stdout.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """
    Separate songs whose stems are known, and tell how near the result comes: utterance SDR in dB.

    Beside the model stand two estimates that need none: the mixture as it is, and the mixture times the best gain.
    """
    with Console("json" if json else "quiet" if quiet else "human") as console:
        from stemsplit.evaluation.evaluate import evaluate_song
        from stemsplit.separation.separator import Separator

        _check(data, split)
        separator = Separator.load(
            model,
            device=device,
            precision=precision,
            batch_size=batch_size,
            overlap=overlap,
            segment=segment,
            offline=offline,
            listener=console.listen,
        )
        songs, notes = _songs(data, separator.sources, split, rest)
        for note in notes:
            console.warn(note)
        results, failed = [], 0
        for song in songs:
            try:
                with console.busy(song.name):
                    result = evaluate_song(separator, song)
            except TrackError as error:
                console.error(f"{song.name}: {error}", song.name)
                failed += 1
                continue
            results.append(result)
            if json:
                console.data(result.to_json())
            else:
                console.table(_rows(result))
        if not json and results:
            console.table(_summary(results))
        if failed:
            raise StemsplitError(f"{failed} of {len(songs)} songs could not be evaluated.")


def _check(folders: list[Path], split: str) -> None:
    """Raises UsageError for words that make no sense, before a model is loaded."""
    from stemsplit.audio.multitrack import SPLITS

    if split not in ("auto", "all", *SPLITS):
        raise UsageError(f"--split must be auto, all, {', '.join(SPLITS)}, not {split!r}.")
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{shown(folder)}: {'is no folder' if folder.exists() else 'there is no such folder'}.")


def _songs(folders: list[Path], sources: tuple[str, ...], split: str, rest: str) -> "tuple[list[Assigned], list[str]]":
    """Those to evaluate, and what is good to know about them."""
    from stemsplit.audio.assignment import SourceRules, assign
    from stemsplit.audio.multitrack import find_multitracks
    from stemsplit.evaluation.splits import split_tracks

    rules = SourceRules(tuple(sources), rest, missing="silence")
    tracks = [track for folder in folders for track in find_multitracks(folder, sources)]
    places = [track.folder.resolve() for track in tracks]
    if len(set(places)) < len(places):
        raise UsageError("A song is in two of the folders that are named. Name it once.")
    songs = [assign(track, rules) for track in tracks]
    notes = []
    if split == "auto" and not any(song.split for song in songs):
        notes.append("All songs are scored. If the model was trained on some of them, take --split valid.")
    if split == "auto":
        split = next((name for name in ("test", "valid") if any(song.split == name for song in songs)), "all")
    chosen = songs if split == "all" else split_tracks(songs)[split]
    if not chosen:
        raise UsageError(
            f"There are no songs{'' if split == 'all' else f' in the split {split}'}: {len(songs)} in all."
        )
    absent = [source for row, source in enumerate(sources) if not any(song.files[row] for song in chosen)]
    if absent:
        notes.append(f"No song has {', '.join(absent)}; taken as silent, and not scored.")
    return chosen, notes


def _rows(result: "SongResult") -> list[str]:
    """A song's scores, a line for each estimate."""
    head = "  ".join(f"{source:>8}" for source in result.sdr)
    lines = [f"{result.track}", f"  {'':10}{head}"]
    for kind, name in _KINDS.items():
        lines.append(f"  {name:10}{'  '.join(_decibels(value) for value in getattr(result, kind).values())}")
    return lines


def _summary(results: "list[SongResult]") -> list[str]:
    from stemsplit.evaluation.evaluate import overall

    head = "  ".join(f"{source:>8}" for source in [*results[0].sdr, "all"])
    lines = [
        "",
        f"mean of {len(results)} {'song' if len(results) == 1 else 'songs'}, utterance SDR in dB",
        f"  {'':10}{head}",
    ]
    for kind, name in _KINDS.items():
        lines.append(f"  {name:10}{'  '.join(_decibels(value) for value in overall(results, kind).values())}")
    return lines


def _decibels(value: float | None) -> str:
    return f"{'silent':>8}" if value is None else f"{value:8.2f}"
