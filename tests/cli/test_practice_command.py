"""`stemsplit practice`: songs that training takes, made once, whole or not there."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from cli.program import PROGRAM, assert_one_sentence, process, python, stemsplit
from cli.test_interruption import wait_for
from test_readme import README

FONT = ("--font", "TimGM6mb.sf2")
FILES = {"mixture.wav", "drums.wav", "bass.wav", "other.wav", "vocals.wav", "practice.json"}
EXAMPLES = re.findall(r"\| `(stemsplit practice [^`\n]+)`", README)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs, rendered in two processes."""
    folder = tmp_path_factory.mktemp("practice") / "songs"
    result = process("practice", str(folder), "--songs", "1", "--valid", "1", "--jobs", "2", *FONT)
    assert (result.code, result.out) == (0, "")
    assert "2 songs rendered" in result.err
    assert f"stemsplit train {folder} -r mini" in result.err
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_folders_as_training_takes_them(songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {path.name for path in songs.iterdir()} == {"train", "valid"}
    for split in ("train", "valid"):
        (song,) = (songs / split).iterdir()
        assert {path.name for path in song.iterdir()} == FILES
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = stemsplit("train", songs, "-r", "mini", "--check", "--set", "batch_size=1", "--set", "remix=0")
    assert result.code == 0, result.err
    assert not [line for line in result.err.splitlines() if line.startswith("warning")]


def test_what_is_there_is_not_made_again_and_more_is_added(songs: Path, tmp_path: Path) -> None:
    before = contents(songs)
    again = stemsplit("practice", songs, "--songs", "1", "--valid", "1", *FONT)
    assert again.code == 0
    assert "0 songs rendered, 2 were there" in again.err
    assert contents(songs) == before
    elsewhere = stemsplit("practice", tmp_path / "other", "--songs", "0", "--valid", "1", "-q", *FONT)
    assert (elsewhere.code, elsewhere.out, elsewhere.err) == (0, "", "")
    one = {name: data for name, data in before.items() if name.startswith("valid")}
    assert contents(tmp_path / "other") == one, "the same in one process as in two"


def test_other_songs_in_their_place_are_kept(songs: Path) -> None:
    before = contents(songs)
    note = next((songs / "train").iterdir()) / "practice.json"
    text = note.read_text()
    note.write_text(text.replace('"seed": 0', '"seed": 9'))
    result = stemsplit("practice", songs, "--songs", "1", *FONT)
    note.write_text(text)
    assert result.code == 1
    assert "holds something else" in result.err
    assert "1 of 1 songs could not be rendered" in result.err
    assert contents(songs) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_stopped_it_leaves_nothing_half_made(number: signal.Signals, code: int, jobs: str, tmp_path: Path) -> None:
    folder = tmp_path / "songs"
    command = [*PROGRAM, "practice", str(folder), "--songs", "50", "--jobs", jobs, *FONT]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        wait_for(lambda: len(list(folder.glob("train/[!.]*"))) >= 1, run)
        run.send_signal(number)
        _, err = run.communicate(timeout=60)
    assert run.returncode == code
    assert "Traceback" not in err
    assert not list(folder.rglob(".*"))
    for song in (folder / "train").iterdir():
        assert {path.name for path in song.iterdir()} == FILES


def test_what_a_killed_run_has_left_is_cleared_by_the_next(songs: Path) -> None:
    left = songs / "train" / ".Practice 5 - train 00009.part"
    left.mkdir()
    (left / "drums.wav").touch()
    assert stemsplit("practice", songs, "--songs", "1", "-q", *FONT).code == 0
    assert not left.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "mentions"),
    [
        (["songs", "--songs", "0"], 2, ["No song is asked for"]),
        (["songs", "--font", "nothing.sf2"], 1, ["nothing.sf2", "sudo apt install"]),
        (["file", "--songs", "1"], 2, ["file: cannot be written"]),
    ],
)
def test_usage(arguments: list[str], code: int, mentions: list[str], here: Path) -> None:
    (here / "file").touch()
    result = stemsplit("practice", *arguments)
    assert (result.code, result.out) == (code, "")
    assert_one_sentence(result, *mentions)
    assert [path.name for path in here.iterdir()] == ["file"]


def test_a_missing_program_is_told(here: Path) -> None:
    result = process("practice", "songs", env={"PATH": "/nowhere"})
    assert (result.code, result.out) == (1, "")
    assert_one_sentence(result, "fluidsynth", "sudo apt install")
    assert not list(here.iterdir())


@pytest.mark.parametrize("package", ["mido", "pyworld", "scipy"])
def test_a_missing_package_is_told(package: str, here: Path) -> None:
    code = f"import sys; sys.modules['{package}'] = None; from stemsplit.cli.app import program; program()"
    result = process("practice", "songs", program=python(code))
    assert (result.code, result.out) == (1, "")
    assert_one_sentence(result, package, "pip install 'stemsplit[practice]'")
    assert not list(here.iterdir())


@pytest.mark.parametrize("command", EXAMPLES)
def test_the_readme_renders_songs(command: str, here: Path) -> None:
    """One song of each split that it names."""
    words = re.sub(r"--(songs|valid|test) [1-9]\d*", r"--\1 1", command).split()
    result = stemsplit(*words[1:])
    assert result.code == 0, result.err
    assert len(list(here.glob("*/*/*/mixture.wav"))) == len(re.findall(r"--(?:songs|valid|test) 1", " ".join(words)))


def test_the_readme_has_examples() -> None:
    assert len(EXAMPLES) == 2
