"""What is imported when: torch takes seconds, and torchaudio may not fit the torch beside it."""

import sys
from pathlib import Path

import pytest

from cli.program import Result, process, python

HEAVY = ["torch", "torchaudio", "numpy", "soundfile", "huggingface_hub"]

# Runs the program, then tells on stdout which of these are imported.
MAIN = f"""
import sys
from stemsplit.cli.app import main
try:
    main()
finally:
    print("imported:", *[name for name in {HEAVY} if name in sys.modules])
"""


def imported(result: Result) -> set[str]:
    line = result.out.splitlines()[-1]
    assert line.startswith("imported:")
    return set(line.split()[1:])


def test_importing_the_package_is_cheap() -> None:
    code = f"import stemsplit, sys; print('imported:', *[name for name in {HEAVY} if name in sys.modules])"
    result = process(program=python(code))
    assert (result.code, result.err) == (0, "")
    assert imported(result) == set()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["separate", "--help"], 0),
        (["demo", "--help"], 0),
        (["demo", "--device", "abacus"], 2),
        (["--version"], 0),
        (["modles"], 2),
        (["song.wav", "-m", "no-such-model"], 2),
        (["song.wav", "--sample-rate", "0"], 2),
    ],
)
def test_what_needs_no_network_imports_no_torch(words: list[str], code: int) -> None:
    result = process(*words, program=python(MAIN))
    assert result.code == code
    assert not imported(result) & {"torch", "torchaudio", "huggingface_hub"}


def test_help_imports_nothing_heavy() -> None:
    assert imported(process("--help", program=python(MAIN))) == set()


def test_the_list_of_models_needs_no_torch() -> None:
    result = process("models", program=python(MAIN))
    assert result.code == 0
    assert not imported(result) & {"torch", "torchaudio"}


def test_separating_never_imports_torchaudio(song: Path, here: Path, small: Path, tmp_path: Path) -> None:
    """With one beside it that cannot be imported, as happens to a pair that does not fit."""
    (tmp_path / "torchaudio.py").write_text("raise OSError('undefined symbol: _ZN3c10')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{MAIN}"
    result = process("song.wav", "-m", str(small), program=python(code))
    assert result.code == 0
    assert "torch" in imported(result)
    assert "torchaudio" not in imported(result)
    assert (here / "separated/song/vocals.wav").is_file()


def test_the_console_script(song: Path) -> None:
    script = Path(sys.executable).with_name("stemsplit")
    result = process("--version", program=[str(script)])
    assert result.code == 0
    assert result.out.startswith("stemsplit ")
