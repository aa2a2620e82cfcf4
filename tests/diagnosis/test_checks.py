import json
import re
import tomllib
from pathlib import Path

import pytest

import stemsplit
from stemsplit.diagnosis.checks import CHECKS, Check, examine, is_able, report
from stemsplit.diagnosis.finding import Finding, Status, ok, problem, warning


def fail() -> Finding:
    raise ZeroDivisionError("division\nby zero")


def test_every_check_has_a_name_of_its_own_and_a_sentence() -> None:
    """Of whatever machine this is."""
    results = list(examine())
    assert [result.name for result in results] == [check.name for check in CHECKS]
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for result in results:
        assert result.name
        assert result.trace == ""
        assert result.finding.found
        assert result.finding.found.isprintable()
        if result.finding.remedy:
            assert result.finding.remedy.endswith(".")
            assert result.finding.remedy.isprintable()


def test_every_library_that_the_package_needs_is_looked_at() -> None:
    """But typer and rich, without which this could not be asked."""
    pyproject = tomllib.loads((Path(stemsplit.__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {re.split(r"[^\w-]", line)[0] for line in pyproject["project"]["dependencies"]}
    assert needed - {"typer", "rich"} <= {check.name for check in CHECKS}


@pytest.mark.parametrize(("status", "remedy"), [(Status.OK, "Do."), (Status.WARNING, None), (Status.PROBLEM, None)])
def test_what_is_amiss_has_a_remedy_and_nothing_else(status: Status, remedy: str | None) -> None:
    with pytest.raises(AssertionError):
        Finding(status, "found", remedy)


def test_a_check_that_fails_is_a_problem_and_stops_no_other() -> None:
    checks = [Check("first", lambda: ok("fine")), Check("broken", fail), Check("last", lambda: ok("fine"))]
    first, broken, last = examine(checks)
    assert first.finding == last.finding == ok("fine")
    assert broken.finding.status is Status.PROBLEM
    assert broken.finding.found == "this check itself failed (ZeroDivisionError: division by zero)"
    assert broken.finding.remedy
    assert "in fail" in broken.trace


@pytest.mark.parametrize(
    ("findings", "able"),
    [
        ([ok("a")], True),
        ([ok("a"), warning("b", "Do.")], True),
        ([ok("a"), problem("b", "Do."), warning("c", "Do.")], False),
    ],
)
def test_songs_can_be_separated_where_nothing_is_a_problem(findings: list[Finding], able: bool) -> None:
    results = list(examine(Check(finding.found, lambda finding=finding: finding) for finding in findings))  # type: ignore[misc]
    assert is_able(results) is able
    told = json.loads(json.dumps(report(iter(results))))
    assert told == {
        "schema": 1,
        "ok": able,
        "checks": [
            {"name": finding.found, "status": finding.status, "found": finding.found, "remedy": finding.remedy}
            for finding in findings
        ],
    }
