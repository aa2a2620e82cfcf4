"""`stemsplit doctor`."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.program import Result, process, python, stemsplit
from cli.test_startup import MAIN, imported
from stemsplit.diagnosis import checks
from stemsplit.diagnosis.checks import CHECKS, Check
from stemsplit.diagnosis.finding import Finding, ok, problem, warning

FINE, POOR, BAD = ok("1.2"), warning("none found", "Install it."), problem("broken", "Mend it.")


def doctor(monkeypatch: pytest.MonkeyPatch, findings: dict[str, Finding], *options: str) -> Result:
    """The command on a machine where these things are found."""
    table = [Check(name, lambda finding=finding: finding) for name, finding in findings.items()]  # type: ignore[misc]
    monkeypatch.setattr(checks.examine, "__defaults__", (table,))
    return stemsplit("doctor", *options)


def test_this_machine(here: Path) -> None:
    """A real process; what it finds here is not ours to say, but how it tells is."""
    result = process("doctor", "--json", program=python(MAIN))
    told: dict[str, Any] = json.loads(result.out.splitlines()[0])
    assert result.err == ""
    assert set(told) == {"schema", "checks", "ok"}
    assert told["schema"] == 1
    assert told["ok"] is (result.code == 0)
    assert told["ok"] is all(check["status"] != "problem" for check in told["checks"])
    assert [check["name"] for check in told["checks"]] == [check.name for check in CHECKS]
    for check in told["checks"]:
        assert set(check) == {"name", "status", "found", "remedy"}
        assert (check["remedy"] is None) is (check["status"] == "ok")
    assert not imported(result) & {"torch", "torchaudio"}
    assert not list(here.iterdir())


def test_a_machine_where_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(monkeypatch, {"torch": FINE, "cache space": FINE})
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "ok  torch        1.2",
        "ok  cache space  1.2",
        "",
        "Songs can be separated here.",
    ]


def test_warnings_come_with_their_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(monkeypatch, {"torch": FINE, "ffmpeg": POOR})
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "ok       torch   1.2",
        "warning  ffmpeg  none found",
        "                 -> Install it.",
        "",
        "Songs can be separated here. Something is amiss with: ffmpeg.",
    ]


def test_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(monkeypatch, {"torch": BAD, "ffmpeg": POOR, "cache": BAD})
    assert (result.code, result.err) == (1, "")
    assert result.out.splitlines()[:2] == ["problem  torch   broken", "                 -> Mend it."]
    assert result.out.splitlines()[-1] == "Songs cannot be separated here yet; see to: torch, cache."


@pytest.mark.parametrize(("finding", "code"), [(FINE, 0), (POOR, 0), (BAD, 1)])
def test_as_json(finding: Finding, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(monkeypatch, {"torch": finding}, "--json")
    assert (result.code, result.err) == (code, "")
    check = {"name": "torch", "status": finding.status, "found": finding.found, "remedy": finding.remedy}
    assert result.report == {"schema": 1, "checks": [check], "ok": code == 0}


def test_a_check_that_fails_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    table = [Check("broken", lambda: ok(str(1 // 0))), Check("torch", lambda: FINE)]
    monkeypatch.setattr(checks.examine, "__defaults__", (table,))
    result = stemsplit("doctor")
    assert (result.code, result.err) == (1, "")
    assert "this check itself failed (ZeroDivisionError: " in result.out
    assert "ok       torch   1.2" in result.out
    verbose = stemsplit("doctor", "--verbose", "--json")
    assert verbose.report["ok"] is False
    assert "Traceback" in verbose.err
    assert "in examine" in verbose.err


def test_a_terminal_that_knows_few_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    from stemsplit.cli import doctor as command

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert command._printable("/M\u00fcsik/\udcff\x1b[2J") == r"/M\xfcsik/??[2J"


def test_usage() -> None:
    result = stemsplit("doctor", "song.wav")
    assert result.code == 2
    assert "Traceback" not in result.err
    help_text = stemsplit("doctor", "--help")
    assert (help_text.code, help_text.err) == (0, "")
    assert "--json" in help_text.out
    assert "doctor" in stemsplit("--help").out
