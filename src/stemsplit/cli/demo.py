"""`stemsplit demo`: a song that comes with the package, split, scored and put where it can be heard."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemsplit.cli.console import Console
from stemsplit.cli.options import Device, Precision, Quiet, Verbose

if TYPE_CHECKING:
    from stemsplit.cli.splitting import Order


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The song and its stems go below this folder.")
    ] = Path("separated"),
    device: Device = "auto",
    precision: Precision = "auto",
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON objects on stdout: that of separate, then those of evaluate.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """
    Split a practice song of 20 s, and tell how near the stems come to the true ones. It needs no network.

    Song and model (mini) come with stemsplit. Each time all is made anew, in place of what the last time has left.
    """
    from stemsplit.audio.faults import shown
    from stemsplit.audio.targets import check_writable
    from stemsplit.cli.splitting import run
    from stemsplit.compute import check_choice

    check_choice(device, precision, "auto")
    check_writable(output)
    with Console("json" if json else "quiet" if quiet else "human") as console:
        # Importing torch takes seconds: only now that all is known to make sense.
        from stemsplit.cli.scores import plain_table
        from stemsplit.evaluation.demo import NAME, scores, write_mixture
        from stemsplit.weights.bundled import MINI
        from stemsplit.weights.find import find_model

        MINI.check()
        find_model(str(MINI.definition.parent))  # before any work: what else is wrong is told
        mixture = output / NAME / "mixture.wav"
        write_mixture(mixture)
        (report,) = run(_order(mixture, output, device, precision), console)
        if report.status == "failed":
            raise typer.Exit(1)
        results = scores(report.outputs)
        if json:
            for result in results:
                console.data(result.summary())
        else:
            console.table(plain_table(results))
            stems = ", ".join(path.name for path in report.outputs.values())
            console.say("mini: the stems of this small model. mixture: the song itself in the place of each stem.")
            console.say(f"Listen: {shown(mixture)} is the song, and beside it are its stems, {stems}.")
            console.say("A song of yours, with the larger model htdemucs, which does far better: stemsplit song.mp3")


def _order(mixture: Path, output: Path, device: str, precision: str) -> "Order":
    """What `stemsplit separate` would be asked for, for stems that lie beside the mixture."""
    from stemsplit.cli.splitting import Order
    from stemsplit.evaluation.demo import EXACT, NAME
    from stemsplit.separation.naming import NameTemplate
    from stemsplit.separation.options import SplitOptions, StemOptions
    from stemsplit.separation.plan import Shard
    from stemsplit.weights.bundled import MINI

    return Order(
        inputs=[str(mixture)],
        model=str(MINI.definition.parent),  # whatever a catalogue calls mini
        template=NameTemplate(f"{NAME}/{{stem}}"),
        split=SplitOptions(),
        stems=StemOptions(output, EXACT, overwrite=True),
        device=device,
        precision=precision,
        batch_size="auto",
        offline=True,
        jobs=1,
        shard=Shard(1, 1),
        to_stdout=False,
    )
