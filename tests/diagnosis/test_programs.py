import sys

import pytest

from stemsplit.diagnosis import programs
from stemsplit.diagnosis.programs import ProgramError, answer, python


def test_an_answer() -> None:
    assert python("-c", "print('seven')").strip() == "seven"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise OSError('no such thing.')", "OSError: no such thing"),
        ("print('told.'); exit(1)", "told"),
        ("exit(7)", "ended with code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGABRT)", "ended by SIGABRT"),
    ],
)
def test_why_there_is_none(code: str, reason: str) -> None:
    with pytest.raises(ProgramError) as caught:
        python("-c", code)
    assert str(caught.value) == reason


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(ProgramError, match="No such file"):
        answer("stemsplit-no-such-program")


def test_a_program_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "TIMEOUT", 0.2)
    with pytest.raises(ProgramError, match=r"no answer within 0\.2 s"):
        answer(sys.executable, "-c", "import time; time.sleep(60)")
