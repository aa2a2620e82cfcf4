from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cli.program import Result, stemsplit
from signals import noise, stereo_tones, write_sound
from standins import make_folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and a terminal wide enough for any sentence."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "1000")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "GITHUB_ACTIONS", "PY_COLORS"):  # what makes rich draw in colours
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with one small network, for `-m FOLDER`."""
    return make_folder(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def song_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.6 s of stereo at 44.1 kHz, as one segment of the small network."""
    sound = stereo_tones(0.6, level=0.3) + noise(2, 26_460, level=0.03)
    return write_sound(tmp_path_factory.mktemp("songs") / "song.wav", sound, subtype="FLOAT")


@pytest.fixture
def song(here: Path, song_file: Path) -> Path:
    """The song in the current folder."""
    path = here / "song.wav"
    path.write_bytes(song_file.read_bytes())
    return path


@pytest.fixture
def split(small: Path) -> Callable[..., Result]:
    """`stemsplit -m SMALL --precision fp32 ...`; stems go to ./separated."""
    return partial(stemsplit, "-m", small, "--precision", "fp32")


@pytest.fixture
def undecodable(here: Path) -> Path:
    """A file at which decoding would fail, with another exit code."""
    path = here / "song.mp3"
    path.write_text("la la la")
    return path


@pytest.fixture
def unloadable(tmp_path: Path) -> Path:
    """A model file at which loading would fail, with another exit code."""
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(b"no network")
    return path
