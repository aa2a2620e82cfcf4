"""What a check finds: how bad it is, in words, and with a remedy."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"  # songs can be separated, with something amiss
    PROBLEM = "problem"  # `stemsplit song.mp3`, typed here, would fail


@dataclass(frozen=True)
class Finding:
    """
    What a check found.

    Attributes:
        status: how bad it is.
        found: in words.
        remedy: one sentence that says what to do; None where nothing is amiss.
    """

    status: Status
    found: str
    remedy: str | None = None

    def __post_init__(self) -> None:
        assert (self.remedy is None) == (self.status is Status.OK), "what is amiss has a remedy, and nothing else"


def ok(found: str) -> Finding:
    """All is well."""
    return Finding(Status.OK, found)


def warning(found: str, remedy: str) -> Finding:
    """Something is amiss, and songs can be separated all the same."""
    return Finding(Status.WARNING, found, remedy)


def problem(found: str, remedy: str) -> Finding:
    """Songs cannot be separated."""
    return Finding(Status.PROBLEM, found, remedy)
