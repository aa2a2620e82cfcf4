"""`stemsplit doctor`: whether songs can be separated on this machine, and what to do where they cannot."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplit.cli.console import Console
from stemsplit.cli.options import Verbose

if TYPE_CHECKING:
    from stemsplit.diagnosis.checks import Result


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    verbose: Verbose = False,
) -> None:
    """Examine this machine: versions, device, ffmpeg, cache, space. The exit code is 1 if songs cannot be separated."""
    from stemsplit.diagnosis.checks import examine, is_able, report

    with Console("json" if json else "human") as console, console.busy("examining this machine"):
        results = list(examine())
    if json:
        console.data(report(results))
    else:
        console.table([_printable(line) for line in (*_table(results), "", _closing(results))])
    if verbose:
        for line in "".join(result.trace for result in results).splitlines():
            Console().say(line)
    if not is_able(results):
        raise typer.Exit(1)


def _table(results: "Sequence[Result]") -> list[str]:
    """One line for each check, with the remedy below where something is amiss."""
    mark_width = max(len(result.finding.status) for result in results)
    name_width = max(len(result.name) for result in results)
    lines = []
    for result in results:
        finding = result.finding
        lines.append(f"{finding.status:<{mark_width}}  {result.name:<{name_width}}  {finding.found}")
        if finding.remedy:
            lines.append(f"{'':{mark_width}}  {'':{name_width}}  -> {finding.remedy}")
    return lines


def _closing(results: "Sequence[Result]") -> str:
    """What it all comes to."""
    from stemsplit.diagnosis.checks import is_able
    from stemsplit.diagnosis.finding import Status

    amiss = [result.name for result in results if result.finding.status is Status.PROBLEM]
    if not is_able(results):
        return f"Songs cannot be separated here yet; see to: {', '.join(amiss)}."
    warned = [result.name for result in results if result.finding.status is Status.WARNING]
    return "Songs can be separated here." + (f" Something is amiss with: {', '.join(warned)}." if warned else "")


def _printable(line: str) -> str:
    """The line in signs that stdout takes: paths may hold any, and some terminals know few."""
    signs = "".join(sign if sign.isprintable() else "?" for sign in line)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return signs.encode(encoding, "backslashreplace").decode(encoding)
