"""The house rules: who may import whom, what importing costs, what the package promises."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import stemsplit
from stemsplit import errors

SOURCE = Path(stemsplit.__file__).parent

# A room may import itself, the free modules and what stands here; the outermost rooms come last.
ROOMS: dict[str, set[str]] = {
    "audio": set(),
    "model": set(),
    "weights": {"model"},
    "separation": {"weights", "model", "audio"},
    "evaluation": {"separation", "weights", "model", "audio"},
    "training": {"evaluation", "separation", "weights", "model", "audio"},
    "diagnosis": {"weights", "model", "audio"},
    "practice": {"audio"},
    "cli": {"training", "evaluation", "separation", "weights", "model", "audio", "diagnosis", "practice"},
}
FREE = {"errors", "events", "compute", "whole_file"}
MAX_LINES = 350
FILES = sorted(SOURCE.rglob("*.py"))


def _imports(path: Path) -> set[str]:
    """Full names of all modules a file imports, anywhere in it."""
    package = ["stemsplit", *path.relative_to(SOURCE).parent.parts]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module or ""]))
            names |= {module} if node.module else {f"{module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_rooms_import_downwards_only(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    for name in _imports(path):
        if name.startswith("stemsplit."):
            other = name.split(".")[1]
            if room in ROOMS:
                assert other in ROOMS[room] | FREE | {room}, f"{room} imports {name}"
            elif room in FREE:
                assert other in FREE, f"{room} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_library_stays_in_its_room(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0]
    homes = {
        "typer": {"cli"},
        "rich": {"cli"},
        "soundfile": {"audio"},
        "soxr": {"audio"},
        "ffmpeg": {"audio"},
        "huggingface_hub": {"weights"},
        "safetensors": {"weights"},
        "yaml": {"weights"},
        "torchaudio": {"training"},
        "matplotlib": {"evaluation", "training"},
        "museval": {"evaluation"},
        "mido": {"practice"},
        "pyworld": {"practice"},
        "scipy": {"practice"},
        "musdb": set(),
        "tensorboard": set(),  # torch's own writer is used
        "demucs": set(),
    }
    for name in _imports(path):
        library = name.split(".")[0]
        if library in homes:
            assert room in homes[library], f"{room} imports {library}"
        if library in ("torch", "numpy") and room == "audio":
            assert library == "numpy", "audio knows no torch"
        if library == "numpy" and room == "model":
            pytest.fail("the network knows torch only")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_is_one_noun(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_LINES
    assert ast.get_docstring(ast.parse(text)), "says what lives there"


def test_the_readme_names_every_file() -> None:
    inside = (SOURCE.parent.parent / "README.md").read_text(encoding="utf-8").split("## Inside")[1]
    assert [path.name for path in FILES if not path.name.startswith("__") and path.name not in inside] == []


def test_all_names_of_the_package_are_there() -> None:
    for name in stemsplit.__all__:
        assert getattr(stemsplit, name).__module__.startswith("stemsplit.")
    with pytest.raises(AttributeError):
        _ = stemsplit.nothing
    assert stemsplit.__version__


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    drawn = [line.split("──")[1].split()[0] for line in (errors.__doc__ or "").splitlines() if "──" in line]
    real = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.StemsplitError)
    }
    assert set(drawn) | {"StemsplitError"} == real


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import stemsplit", ["torch", "numpy", "typer", "rich", "huggingface_hub"]),
        ("import stemsplit.cli.app", ["torch", "numpy", "huggingface_hub", "soundfile"]),
        ("from stemsplit import Separator", ["torchaudio", "typer", "rich", "huggingface_hub"]),
    ],
)
def test_importing_is_cheap(statement: str, absent: list[str]) -> None:
    code = f"{statement}; import sys; print([name for name in {absent} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
