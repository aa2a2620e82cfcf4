"""
What a check is, and the table of all of them.

A check is a name and a function that looks at one thing and returns a `Finding`. One that fails itself is a problem
like any other, so that the others are told.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from stemsplit.diagnosis import audio_checks, library_checks, machine_checks, model_checks, torch_checks
from stemsplit.diagnosis.finding import Finding, Status, problem


@dataclass(frozen=True)
class Check:
    """One thing to look at: `name` is what users and scripts call it, `find` looks."""

    name: str
    find: Callable[[], Finding]


@dataclass(frozen=True)
class Result:
    """
    What became of a check.

    Attributes:
        name: of the check.
        finding: what it found.
        trace: where it failed, for a bug report; empty where it did not.
    """

    name: str
    finding: Finding
    trace: str = ""

    def to_json(self) -> dict[str, str | None]:
        """As `stemsplit doctor --json` has it."""
        return {
            "name": self.name,
            "status": self.finding.status.value,
            "found": self.finding.found,
            "remedy": self.finding.remedy,
        }


CHECKS: tuple[Check, ...] = (
    Check("stemsplit", machine_checks.stemsplit),
    Check("python", machine_checks.python),
    *(Check(name, partial(library_checks.library, name)) for name in library_checks.MODULES),
    Check("libsndfile", audio_checks.libsndfile),
    Check("ffmpeg", audio_checks.ffmpeg),
    Check("torch", torch_checks.torch),
    Check("torchaudio", torch_checks.torchaudio),
    Check("gpu", torch_checks.gpu),
    Check("device", torch_checks.device),
    Check("precision", torch_checks.precision),
    Check("cores", machine_checks.cores),
    Check("memory", machine_checks.memory),
    Check("settings", machine_checks.settings),
    Check("models", model_checks.models),
    Check("cache", model_checks.cache),
    Check("cache space", model_checks.cache_space),
    Check("current folder", machine_checks.current_folder),
)


def examine(checks: Iterable[Check] = CHECKS) -> Iterator[Result]:
    """Do checks, one after the other."""
    for check in checks:
        try:
            yield Result(check.name, check.find())
        except Exception as error:
            found = problem(
                f"this check itself failed ({type(error).__name__}: {' '.join(str(error).split())})",
                "See to the other problems first; if this one stays, report what `stemsplit doctor --verbose` says.",
            )
            yield Result(check.name, found, traceback.format_exc())


def is_able(results: Iterable[Result]) -> bool:
    """Whether songs can be separated here: nothing is a problem."""
    return all(result.finding.status is not Status.PROBLEM for result in results)


def report(results: Iterable[Result]) -> dict[str, Any]:
    """The object that `stemsplit doctor --json` prints."""
    results = list(results)
    return {"schema": 1, "checks": [result.to_json() for result in results], "ok": is_able(results)}
