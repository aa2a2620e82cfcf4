"""`stemsplit separate`, the default command: files in, stem files out."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from stemsplit.cli.console import Console, Mode
from stemsplit.cli.options import (
    BatchSize,
    Device,
    Model,
    Offline,
    Overlap,
    Precision,
    Quiet,
    Segment,
    Verbose,
)
from stemsplit.errors import UsageError

_MIN_RATE, _MAX_RATE = 1_000, 768_000  # Hz; beyond these no player follows


class Format(StrEnum):
    """File formats of stems."""

    WAV = "wav"
    FLAC = "flac"


class Depth(StrEnum):
    """Bits per sample; 32f is floating point."""

    BITS_16 = "16"
    BITS_24 = "24"
    FLOAT_32 = "32f"


class Clip(StrEnum):
    """What to do where a stem would clip."""

    GAIN = "gain"
    NONE = "none"


def separate(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Songs to split.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Stems go to DIR/<song>/<stem>.wav.")
    ] = Path("separated"),
    model: Model = "htdemucs",
    stems: Annotated[
        list[str] | None,
        typer.Option("--stems", "-s", metavar="NAMES", help="Only these, such as drums,vocals (repeatable)."),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", "-f", help="File format of the stems.")] = Format.WAV,
    bit_depth: Annotated[Depth, typer.Option(help="Bits per sample; 32f for wav only.")] = Depth.BITS_24,
    sample_rate: Annotated[
        str, typer.Option(metavar="keep|model|HZ", help="Of the stems: the song's, the model's, or a number.")
    ] = "keep",
    clip: Annotated[
        Clip, typer.Option(help="Turn all stems down together where one would clip, or let it clip.")
    ] = Clip.GAIN,
    overlap: Overlap = 0.25,
    segment: Segment = None,
    shifts: Annotated[int, typer.Option(metavar="N", help="Average N passes with moved segments.")] = 1,
    batch_size: BatchSize = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace stems that exist.")] = False,
    offline: Offline = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per song on stdout.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Split songs into stems: DIR/<song>/{drums,bass,other,vocals}.wav."""
    from stemsplit.audio.formats import Encoding
    from stemsplit.audio.writer import check_writable
    from stemsplit.compute import check_choice
    from stemsplit.separation.options import SplitOptions, StemOptions
    from stemsplit.separation.plan import plan_tracks, split_missing
    from stemsplit.weights.definition import check_sources
    from stemsplit.weights.find import find_model

    mode: Mode = "json" if json else "quiet" if quiet else "human"
    check_choice(device, precision, batch_size)
    SplitOptions(overlap, segment, shifts)  # refuses what makes no sense
    writing = StemOptions(
        output,
        Encoding(format_.value, bit_depth.value),
        sample_rate=_rate(sample_rate),
        clip=clip.value,
        overwrite=overwrite,
    )
    wanted = _names(stems)
    found = find_model(model)
    if wanted is not None and found.sources is not None:
        check_sources(wanted, found.sources)
    check_writable(output)
    tracks, reports = split_missing(plan_tracks(inputs))
    with Console(mode) as console:
        for report in reports:
            console.report(report)
        if tracks:
            with console.busy(f"loading {model}"):
                # Importing torch takes seconds: only now that all is known to make sense.
                from stemsplit.separation.batch import separate_tracks
                from stemsplit.separation.separator import Separator

                separator = Separator.load(
                    model,
                    sources=wanted,
                    device=device,
                    precision=precision,
                    batch_size=batch_size,
                    overlap=overlap,
                    segment=segment,
                    shifts=shifts,
                    offline=offline,
                    listener=console.listen,
                )
            try:
                for report in separate_tracks(tracks, separator, writing, console.listen):
                    reports.append(report)
                    console.report(report)
            except (KeyboardInterrupt, SystemExit):
                console.say("Cancelled: songs that were not finished have left no stems.")
                raise
    failed = sum(report.status == "failed" for report in reports)
    if failed and len(reports) > 1:
        console.say(f"{failed} of {len(reports)} songs failed.")
    if failed:
        raise typer.Exit(1)


def _names(lists: Sequence[str] | None) -> list[str] | None:
    """`-s drums,bass -s vocals` as one list without repeats."""
    if not lists:
        return None
    return list(dict.fromkeys(name.strip() for names in lists for name in names.split(",") if name.strip()))


def _rate(text: str) -> int | Literal["keep", "model"]:
    match text:
        case "keep" | "model":
            return text
    if text.isascii() and text.isdecimal() and _MIN_RATE <= int(text) <= _MAX_RATE:
        return int(text)
    raise UsageError(
        f"--sample-rate must be keep, model or a number of Hz from {_MIN_RATE} to {_MAX_RATE}, not {text!r}."
    )
