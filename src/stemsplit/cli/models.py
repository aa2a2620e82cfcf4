"""`stemsplit models` and `stemsplit download`: which models there are, and fetching them ahead of time."""

from dataclasses import asdict
from typing import Annotated

import typer

from stemsplit.cli.console import Console
from stemsplit.cli.options import Offline, Quiet, Verbose


def models(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per model.")] = False,
    verbose: Verbose = False,
) -> None:
    """List the models that have a name: sources, size, whether they are here, licence."""
    from stemsplit.weights.listing import Cached, list_models

    console = Console("json" if json else "human")
    known = list_models()
    if json:
        for model in known:
            console.data(asdict(model))
        return
    width = max(len(model.name) for model in known)
    for model in known:
        here = model.cached.value if model.cached is Cached.BUNDLED else f"cached: {model.cached.value}"
        console.table([f"{model.name:<{width}}  {model.size / 1e6:4.0f} MB  {here:<14}  {', '.join(model.sources)}"])
    for licence in dict.fromkeys(model.licence for model in known):
        names = ", ".join(model.name for model in known if model.licence == licence)
        console.table(["", f"Licence of {names}: {licence}"])


def download(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Models of the catalogue.")],
    offline: Offline = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fetch models ahead of time, or check those that are here."""
    from stemsplit.weights.listing import download as fetch_models

    with Console("quiet" if quiet else "human") as console:
        for name in fetch_models(names, console.listen, offline=offline):
            console.say(f"{name}: comes with stemsplit.")
        console.say(f"{', '.join(names)}: complete and checked.")
