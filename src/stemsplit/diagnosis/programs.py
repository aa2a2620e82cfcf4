"""Asking programs, and Python in a process of its own: one that crashes or hangs there takes nothing down here."""

import signal
import subprocess
import sys

TIMEOUT = 120  # seconds; a first import of torch from a slow disk takes most of a minute


class ProgramError(Exception):
    """A program that gave no answer; the message says why, without a full stop."""


def answer(*command: str) -> str:
    """
    What a program writes to its standard output.

    Raises ProgramError when it cannot be started, fails, crashes or hangs.
    """
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
    except OSError as error:
        raise ProgramError(error.strerror or str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"no answer within {TIMEOUT} s") from error
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        raise ProgramError(_last_line(done.stderr.decode("utf-8", "replace")) or _last_line(said) or _end(done))
    return said


def python(*words: str) -> str:
    """The same of this Python; what lies in the current folder is not taken for a library."""
    return answer(sys.executable, "-P", *words)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else ""


def _end(done: "subprocess.CompletedProcess[bytes]") -> str:
    try:
        return f"ended by {signal.Signals(-done.returncode).name}"  # as when the processor lacks an instruction
    except ValueError:
        return f"ended with code {done.returncode}"
