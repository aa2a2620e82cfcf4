"""`stemsplit separate`, the default command: files in, stem files out."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stemsplit.cli.console import Console, Mode
from stemsplit.cli.options import (
    MAX_JOBS,
    BatchSize,
    Device,
    Model,
    Offline,
    Overlap,
    Precision,
    Quiet,
    Segment,
    Verbose,
    seconds,
)
from stemsplit.errors import UsageError

if TYPE_CHECKING:
    from stemsplit.separation.plan import Shard

_MIN_RATE, _MAX_RATE = 1_000, 768_000  # Hz; beyond these no player follows
_STEMS, _FILES, _MANY = "Which stems", "Files and sound", "Many songs"  # headings of the help


class Format(StrEnum):
    """File formats of stems."""

    WAV = "wav"
    FLAC = "flac"
    AIFF = "aiff"
    MP3 = "mp3"
    OGG = "ogg"
    OPUS = "opus"
    M4A = "m4a"
    STEM_MP4 = "stem.mp4"


class Depth(StrEnum):
    """Bits per sample; 32f is floating point."""

    BITS_16 = "16"
    BITS_24 = "24"
    FLOAT_32 = "32f"


class Progress(StrEnum):
    """How what happens is shown while it does."""

    AUTO = "auto"
    NONE = "none"
    PLAIN = "plain"
    JSON = "json"


class Clip(StrEnum):
    """What to do where a stem would clip."""

    GAIN = "gain"
    NONE = "none"


def separate(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Songs and folders to split; - for standard input.", show_default=False
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Stems go below this folder; - writes one stem to standard output."
        ),
    ] = "separated",
    name: Annotated[
        str,
        typer.Option(
            metavar="TEMPLATE",
            help="How stem files are called, without the ending: any of {track}, {stem}, {model}, {artist}, {title}, "
            "{album}, {folder}.",
        ),
    ] = "{track}/{stem}",
    model: Model = "htdemucs",
    stems: Annotated[
        list[str] | None,
        typer.Option(
            "--stems",
            "-s",
            metavar="NAMES",
            help="Only these, such as drums,vocals (repeatable).",
            rich_help_panel=_STEMS,
        ),
    ] = None,
    karaoke: Annotated[
        bool, typer.Option("--karaoke", "-k", help="Instrumental and vocals.", rich_help_panel=_STEMS)
    ] = False,
    two_stems: Annotated[
        str | None,
        typer.Option(
            metavar="STEM", help="STEM, and all the rest as no_STEM.", show_default=False, rich_help_panel=_STEMS
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEM", help="The song without it (repeatable: without all of them).", rich_help_panel=_STEMS
        ),
    ] = None,
    mix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=MIX",
            help="A stem of your own, such as practice=drums+bass*0.5+vocals@-6dB; mixture is the song (repeatable).",
            rich_help_panel=_STEMS,
        ),
    ] = None,
    sum_: Annotated[
        bool,
        typer.Option(
            "--sum",
            help="Make instrumental and no_STEM by adding up the other stems, not by subtracting from the song.",
            rich_help_panel=_STEMS,
        ),
    ] = False,
    residual: Annotated[
        bool, typer.Option("--residual", help="Also what is in no stem, so that all add up.", rich_help_panel=_STEMS)
    ] = False,
    format_: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            case_sensitive=False,
            help=f"{', '.join(Format)}.",
            rich_help_panel=_FILES,
        ),
    ] = Format.WAV,
    bit_depth: Annotated[
        Depth | None,
        typer.Option(
            help="Bits per sample of wav, aiff and flac (24 if not said); 32f, floats, not in flac.",
            show_default=False,
            rich_help_panel=_FILES,
        ),
    ] = None,
    bitrate: Annotated[
        int | None,
        typer.Option(
            metavar="KBPS",
            help="Of mp3 (320 if not said), m4a and stem.mp4 (256), opus (160).",
            show_default=False,
            rich_help_panel=_FILES,
        ),
    ] = None,
    sample_rate: Annotated[
        str,
        typer.Option(metavar="keep|model|HZ", help="The song's, the model's, or a number.", rich_help_panel=_FILES),
    ] = "keep",
    clip: Annotated[
        Clip,
        typer.Option(help="Turn all stems down together where one would clip, or let it clip.", rich_help_panel=_FILES),
    ] = Clip.GAIN,
    start: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", parser=seconds, help="Where in the songs to begin: 90, or 1:30.", rich_help_panel=_FILES
        ),
    ] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            parser=seconds,
            help="How much of the songs to split.",
            show_default=False,
            rich_help_panel=_FILES,
        ),
    ] = None,
    overlap: Overlap = 0.25,
    segment: Segment = None,
    shifts: Annotated[int, typer.Option(metavar="N", help="Average N passes with moved segments.")] = 1,
    batch_size: BatchSize = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make stems anew that exist, and replace them.")
    ] = False,
    offline: Offline = False,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, max=MAX_JOBS, help="Processes, for many songs.", rich_help_panel=_MANY)
    ] = 1,
    shard: Annotated[
        str,
        typer.Option(metavar="I/N", help="Only the I-th of N shares of the songs.", rich_help_panel=_MANY),
    ] = "1/1",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per song on stdout.")] = False,
    progress: Annotated[
        Progress,
        typer.Option(
            metavar="auto|none|plain|json",
            help="auto: bars on a terminal, else lines now and then; json: events on stderr.",
            rich_help_panel=_MANY,
        ),
    ] = Progress.AUTO,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add all that is said to a file.", show_default=False, rich_help_panel=_MANY),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """
    Split songs into stems: DIR/<song>/{drums,bass,other,vocals}.wav.

    Folders are searched for songs, and their tree is kept. What is done already is skipped.
    """
    from stemsplit.audio.encoder import check_available
    from stemsplit.audio.excerpt import Excerpt
    from stemsplit.audio.formats import Encoding
    from stemsplit.cli import pipes
    from stemsplit.cli.splitting import Order, run
    from stemsplit.compute import check_choice
    from stemsplit.separation.naming import NameTemplate
    from stemsplit.separation.options import SplitOptions, StemOptions
    from stemsplit.separation.selection import Selection, parse_mix

    to_stdout = output == pipes.PIPE
    check_choice(device, precision, batch_size)
    order = Order(
        inputs=inputs,
        model=model,
        template=NameTemplate(name),
        split=SplitOptions(overlap, segment, shifts),
        stems=StemOptions(
            Path(output),
            Encoding(format_.value, bit_depth.value if bit_depth else None, bitrate),
            selection=Selection(
                stems=_names("--stems", stems),
                karaoke=karaoke,
                two_stems=two_stems,
                drop=_names("--drop", drop),
                mixes=tuple(map(parse_mix, mix or ())),
                sum=sum_,
                residual=residual,
            ),
            excerpt=Excerpt(start, duration),
            sample_rate=_rate(sample_rate),
            clip=clip.value,
            overwrite=overwrite,
        ),
        device=device,
        precision=precision,
        batch_size=batch_size,
        offline=offline,
        jobs=jobs,
        shard=_shard(shard),
        to_stdout=to_stdout,
    )
    check_available(order.stems.encoding)
    if name.lower().endswith(order.stems.encoding.extension):
        raise UsageError(f"--name {name!r}: leave {order.stems.encoding.extension} out, --format adds it.")
    if to_stdout:
        pipes.check_stdout(json, format_.value, inputs)
    mode: Mode = "json" if json else "quiet" if quiet else "human"
    with Console(mode, progress.value, log) as console:
        if any(report.status == "failed" for report in run(order, console)):
            raise typer.Exit(1)


def _names(option: str, lists: Sequence[str] | None) -> tuple[str, ...]:
    """`-s drums,bass -s vocals` as one list without repeats."""
    if lists is None:
        return ()
    names = tuple(dict.fromkeys(name.strip() for names in lists for name in names.split(",") if name.strip()))
    if not names:
        raise UsageError(f"{option} names no stem: write one, such as {option} vocals, or leave it out.")
    return names


def _rate(text: str) -> int | Literal["keep", "model"]:
    match text:
        case "keep" | "model":
            return text
    if text.isascii() and text.isdecimal() and _MIN_RATE <= int(text) <= _MAX_RATE:
        return int(text)
    raise UsageError(
        f"--sample-rate must be keep, model or a number of Hz from {_MIN_RATE} to {_MAX_RATE}, not {text!r}."
    )


def _shard(text: str) -> "Shard":
    from stemsplit.separation.plan import Shard

    index, slash, count = text.partition("/")
    if not (slash and all(part.isascii() and part.isdecimal() and len(part) < 10 for part in (index, count))):
        raise UsageError(f"--shard {text!r}: write it as I/N, with I from 1 to N, such as 1/4.")
    return Shard(int(index), int(count))
