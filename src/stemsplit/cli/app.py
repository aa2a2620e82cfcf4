"""
The group of commands, its default one, and the one place where errors become exit codes.

Importing this imports neither torch nor huggingface_hub, so `--help` answers at once.
"""

import os
import signal
import sys
import traceback
from contextlib import suppress
from difflib import get_close_matches
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stemsplit.cli import bench, demo, doctor, evaluate, models, practice, quality, separate, train
from stemsplit.cli.console import Console
from stemsplit.compute import prepare_process
from stemsplit.errors import StemsplitError, UsageError

DEFAULT_COMMAND = "separate"
_GROUP_OPTIONS = ("--help", "-h", "--version")
_USAGE_EXIT, _FAILURE_EXIT = 2, 1


class DefaultCommandGroup(TyperGroup):
    """A group in which `stemsplit song.mp3` means `stemsplit separate song.mp3`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command before arguments that name none."""
        if args and args[0] not in _GROUP_OPTIONS:
            self._hint(args[0])
            if args[0] not in self.commands:
                args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def _hint(self, word: str) -> None:
        exists = os.path.exists(word)  # noqa: PTH110 (false, not an error, for names no disk can have)
        if word in self.commands and exists:
            Console().say(f"`{word}` is taken as the command; for the file of that name write ./{word}")
        elif word not in self.commands and not exists and "." not in word:
            close = get_close_matches(word, self.commands, n=1)
            if close:
                Console().error(f"There is no file {word!r}. Did you mean the command `stemsplit {close[0]}`?")
                raise typer.Exit(_USAGE_EXIT)


app = typer.Typer(
    cls=DefaultCommandGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("separate")(separate.separate)
app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("quality")(quality.quality)
app.command("practice")(practice.practice)
app.command("models")(models.models)
app.command("download")(models.download)
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        from stemsplit import __version__

        Console().table([f"stemsplit {__version__}"])
        raise typer.Exit


@app.callback()
def stemsplit(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """
    Split songs into stems: drums, bass, vocals and other.

    `stemsplit song.mp3` is short for `stemsplit separate song.mp3`; `stemsplit separate --help` tells all its options.
    """


def program() -> None:
    """
    Run the command line and end the process: the entry point of `stemsplit` and `python -m stemsplit`.

    Once `main` has returned all is written and cleared up. Taking torch down in good order would add up to two seconds,
    for which nobody waits after Ctrl-C.
    """
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # what cannot even be told, as on a full stderr
        code = _FAILURE_EXIT
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, full, or not there: whoever wrote to it knows
            stream.flush()
    os._exit(code)


def main() -> None:
    """Run the command line, and raise SystemExit with its exit code unless that is 0."""
    Console.tracebacks, Console.current = False, None
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as in the background
        signal.signal(signal.SIGINT, _interrupt)
    prepare_process()
    try:
        app()
    except StemsplitError as error:
        _fail(str(error), _USAGE_EXIT if isinstance(error, UsageError) else _FAILURE_EXIT)
    except Exception as error:  # a bug: say so without burying the user in a traceback
        kind = f"{type(error).__name__}: {error}"
        _fail(f"Something unexpected went wrong ({kind}). With --verbose you get what a bug report needs.", 1)


def _fail(message: str, code: int) -> None:
    if Console.tracebacks:
        traceback.print_exc()
    (Console.current or Console()).error(message)
    sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _leave)  # whoever says it twice does not wait for anything to be cleared up
    raise KeyboardInterrupt


def _leave(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, b"Ended at once. The next run clears up.\n")
    os._exit(128 + number)


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(number, _leave)
    sys.exit(128 + number)  # as shells count; unwinds the stack, so that nothing half-written is left
