"""What the README prints is run as it stands, against a local hub that serves stand-ins of the published models."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_server import Served, serving
from multitracks import multitrack, write_multitrack
from signals import convert, needs_ffmpeg, noise, stereo_tones, write_sound
from standins import SOURCES, make_htdemucs, make_htdemucs_6s, make_htdemucs_ft, write_catalog

CHECKOUT = Path(__file__).parent.parent
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
FIRST_BLOCK, SECOND_BLOCK, *_ = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
NOWHERE = {"HF_ENDPOINT": "http://127.0.0.1:9"}  # where no hub answers
HOW_TO = README.split("## How to")[1].split("\n## ")[0]
QUOTED = [command.replace("\\|", "|") for command in re.findall(r"`([^`\n]*stemsplit [^`\n]+)`", HOW_TO)]
COMMANDS = [command for command in QUOTED if "model.safetensors" not in command and "bench" not in command]
TRAIN = README.split("## Train")[1].split("\n## ")[0]
TRAINING = [found for found in re.findall(r"`([^`\n]*stemsplit [^`\n]+)`", TRAIN) if not found.endswith("evaluate")]
EVALUATE = README.split("## Evaluate")[1].split("\n## ")[0]
EVALUATING = re.findall(r"\| `(stemsplit [^`\n]+)`", EVALUATE)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A machine that reaches the local hub, and has this Python's programs first in its path."""
    folder = tmp_path_factory.mktemp("hub")
    makers = (make_htdemucs, make_htdemucs_ft, make_htdemucs_6s)
    repositories = [make(folder / make.__name__, reduced=True) for make in makers]
    catalog = write_catalog(folder / "catalog.toml", repositories)
    with serving({r.repository: Served(r.folder, r.commit) for r in repositories}) as hub:
        yield {
            **os.environ,
            **hub.environment(folder / "cache"),
            "STEMSPLIT_CATALOG": str(catalog),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """A folder with the songs that the README's examples name."""
    tones = stereo_tones(1.5)
    for name in ("song.mp3", "song.flac", "one.mp3", "two.flac"):
        write_sound(tmp_path / name, tones)
    convert(tmp_path / "two.flac", tmp_path / "three.m4a")
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=1", "-c:v", "mpeg4", "-c:a", "aac"]
    convert(tmp_path / "two.flac", tmp_path / "video.mp4", *picture)
    (tmp_path / "Music").mkdir()
    write_sound(tmp_path / "Music" / "four.wav", tones)
    (tmp_path / "songs.txt").write_text("song.mp3\ntwo.flac\nthree.m4a\n")
    return tmp_path


def _sh(command: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-euc", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_ffmpeg
def test_the_first_commands_split_a_song(songs: Path, environment: dict[str, str]) -> None:
    _sh(FIRST_BLOCK.splitlines()[-1], songs, environment | NOWHERE)
    assert {path.stem for path in (songs / "separated" / "stemsplit-demo").iterdir()} == {*SOURCES, "mixture"}
    _sh(SECOND_BLOCK, songs, environment)
    assert {path.stem for path in (songs / "separated" / "song").iterdir()} == set(SOURCES)


@needs_ffmpeg
@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_works(command: str, songs: Path, environment: dict[str, str]) -> None:
    _sh(command.replace("--start 1:00 --duration 20", "--start 0:00.5 --duration 0.5"), songs, environment)


def test_the_python_example_works(songs: Path, environment: dict[str, str]) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (songs / "example.py").write_text(example, encoding="utf-8")
    _sh("python example.py", songs, environment)
    assert (songs / "stems" / "song" / "vocals.wav").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A folder with the songs that the README trains with, and the run that it uses."""
    folder = tmp_path_factory.mktemp("training")
    for number in range(3):
        write_multitrack(folder / "multitracks" / f"song {number}", multitrack(number, 4.0))
        write_multitrack(
            folder / "kits" / f"song {number}", {stem: noise(2, 88_200) for stem in ("kick", "snare", "hat")}
        )
        for split in ("train", "test"):
            write_multitrack(folder / f"musdb18hq/{split}/{number}", multitrack(number, 2.0), mixture=True)
    write_sound(folder / "song.mp3", stereo_tones(1.5))
    short = "stemsplit train multitracks -r smoke --set epochs=1 --set batches_per_epoch=1"
    _sh(short, folder, environment | {"XDG_CACHE_HOME": str(folder / "cache")})
    return folder


@pytest.mark.parametrize("command", TRAINING)
def test_every_example_of_training_works(command: str, trained: Path, environment: dict[str, str]) -> None:
    """All but the training itself, which is one step of the shortest recipe; what that makes is used."""
    if " train " in command and "list" not in command:
        command = re.sub(r"torchrun .* -m stemsplit", "stemsplit", command)
        command += " --check --set batch_size=1 --set remix=0"
    _sh(command, trained, environment | {"XDG_CACHE_HOME": str(trained / "cache")})


@pytest.mark.parametrize("command", EVALUATING)
def test_every_example_of_evaluation_works(command: str, trained: Path, environment: dict[str, str]) -> None:
    """But for what museval computes, which takes minutes."""
    for number in range(3):
        write_multitrack(trained / "theirs" / str(number), multitrack(number, 2.0))
    (trained / "judged").mkdir(exist_ok=True)
    if " train " in command:
        (trained / "judged" / "keep.txt").write_text("song 0\nsong 1\n")
        command += " --check --set batch_size=1 --set remix=0"
    _sh(command.replace("--bsseval", ""), trained, environment | {"XDG_CACHE_HOME": str(trained / "cache")})
    (trained / "judged" / "keep.txt").unlink(missing_ok=True)


def test_examples_were_found() -> None:
    assert len(COMMANDS) > 30
    assert len(TRAINING) > 10
    assert len(EVALUATING) >= 8
    for section in ("Musicians", "Karaoke makers", "DJs", "Whole folders", "Script authors"):
        assert f"### {section}\n" in HOW_TO
    assert FIRST_BLOCK.splitlines()[-1] == "stemsplit demo"
    assert SECOND_BLOCK == "stemsplit song.mp3\n"


@pytest.mark.skipif(
    "STEMSPLIT_TEST_INSTALL" not in os.environ, reason="installs torch anew: set STEMSPLIT_TEST_INSTALL"
)
def test_a_fresh_machine(tmp_path: Path, environment: dict[str, str]) -> None:
    """A clean checkout, the README's first block word for word where no hub answers, then a song split."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    checkout = tmp_path / "checkout"
    for name in filter(None, tracked.stdout.split("\0")):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, checkout / name)
    write_sound(checkout / "song.mp3", stereo_tones(1.5))
    fresh = environment | {"PATH": os.environ["PATH"]}
    _sh(FIRST_BLOCK, checkout, fresh | NOWHERE)
    assert (checkout / "separated" / "stemsplit-demo" / "vocals.wav").is_file()
    activated = ". .venv/bin/activate\n"
    _sh(f"{activated}pip wheel --no-deps -w dist .", checkout, fresh)
    (wheel,) = (checkout / "dist").iterdir()
    assert wheel.stat().st_size < 16_000_000
    _sh(activated + SECOND_BLOCK, checkout, fresh)
    assert {path.stem for path in (checkout / "separated" / "song").iterdir()} == set(SOURCES)
    shutil.rmtree(checkout / ".venv")
