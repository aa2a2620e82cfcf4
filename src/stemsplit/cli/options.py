"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from stemsplit.cli.console import Console

MAX_JOBS = 60  # more than 63 cannot be waited for on Windows


def _batch_size(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither auto nor a whole number.") from None


def seconds(text: str | float) -> float:
    """A length of time: 90, 1:30 or 0:01:30.5."""
    parts = str(text).split(":")
    try:
        if len(parts) > 3 or any(not part[:1].isdigit() for part in parts[1:]):
            raise ValueError
        return sum((float(part) * 60.0**place for place, part in enumerate(reversed(parts))), 0.0)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: write seconds, or minutes and seconds, such as 90 or 1:30."
        ) from None


def _show_tracebacks(wanted: bool) -> bool:
    Console.tracebacks = wanted
    return wanted


Model = Annotated[str, typer.Option("--model", "-m", metavar="NAME|PATH|USER/REPO", help="See `stemsplit models`.")]
Overlap = Annotated[float, typer.Option(metavar="X", help="Fraction that neighbouring segments share, below 1.")]
Segment = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Segment length, at most the model's (the default).", show_default=False),
]
BatchSize = Annotated[
    str, typer.Option(metavar="auto|N", parser=_batch_size, help="Segments per pass through the network on a GPU.")
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]|mps", help="Where to run.")]
Precision = Annotated[
    str,
    typer.Option(
        metavar="auto|fp32|bf16|fp16",
        help="auto: fp16 on a GPU, bf16 on a CPU that computes in it natively, else fp32 (the reference).",
    ),
]
Multitracks = Annotated[
    list[Path], typer.Argument(metavar="DATA...", help="Folders with one folder of stems per song.")
]
Rest = Annotated[
    str, typer.Option(metavar="SOURCE|refuse", help="Where stems of other names go. auto: to `other`, if there.")
]
Jobs = Annotated[int, typer.Option(metavar="N", min=1, max=MAX_JOBS, help="Processes, for many songs.")]
Offline = Annotated[bool, typer.Option("--offline", help="Use only model files that are on this machine.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="Tell more, for a bug report: tracebacks.", callback=_show_tracebacks, is_eager=True
    ),
]
