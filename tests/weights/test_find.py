from pathlib import Path

import pytest

from standins import Repository, save_definition
from stemsplit.errors import UnknownModelError
from stemsplit.weights.catalog import CatalogEntry
from stemsplit.weights.find import HubRepository, LocalFile, LocalFolder, find_model


def test_the_catalogue_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "htdemucs").mkdir()
    found = find_model("htdemucs")
    assert isinstance(found.place, CatalogEntry)
    assert found.sources == ("drums", "bass", "other", "vocals")


def test_a_path_comes_before_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/mine").mkdir(parents=True)
    save_definition(tmp_path / "runs/mine/mine.yaml", ["a"])
    found = find_model("runs/mine")
    assert found.place == LocalFolder(Path("runs/mine/mine.yaml"))
    assert (found.name, found.sources) == ("mine", None)
    monkeypatch.chdir(tmp_path / "runs/mine")
    assert find_model(".").name == "mine"


def test_a_file(htdemucs: Repository) -> None:
    found = find_model(str(htdemucs.files[0]))
    assert found.place == LocalFile(htdemucs.files[0])
    assert found.name == "955717e8"


def test_a_published_legacy_file_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "5c90dfd2-34c22ccb.th").touch()
    (tmp_path / "5c90dfd2-00000000.th").touch()
    assert find_model(str(tmp_path / "5c90dfd2-34c22ccb.th")).sources == (
        "drums",
        "bass",
        "other",
        "vocals",
        "guitar",
        "piano",
    )
    assert find_model(str(tmp_path / "5c90dfd2-00000000.th")).sources is None


@pytest.mark.parametrize(
    ("name", "revision"), [("me/mine", None), ("me/mine@v1.0", "v1.0"), ("me/mine@refs/pr/1", "refs/pr/1")]
)
def test_a_repository(name: str, revision: str | None) -> None:
    found = find_model(name)
    assert found.place == HubRepository("me/mine", revision)
    assert found.name == "mine"


def test_a_near_miss_gets_a_hint() -> None:
    with pytest.raises(UnknownModelError, match=r"Did you mean htdemucs_ft\?") as raised:
        find_model("htdemucs-ft")
    assert "htdemucs_6s" in str(raised.value)
    assert "USER/REPO[@REVISION]" in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nonsense",
        "a/b/c",
        "/no/such/path",
        "../x",
        "models/a.safetensors",
        "me/mine@",
        "x" * 5000,
        "~nobody-at-all",
        "\0",
    ],
)
def test_what_is_no_model(name: str) -> None:
    with pytest.raises(UnknownModelError, match="There is no model"):
        find_model(name)


@pytest.mark.parametrize("definitions", [[], ["a.yaml", "b.yaml"]])
def test_a_folder_needs_exactly_one_definition(definitions: list[str], tmp_path: Path) -> None:
    for name in definitions:
        save_definition(tmp_path / name, ["x"])
    with pytest.raises(UnknownModelError, match=r"exactly one \*\.yaml"):
        find_model(str(tmp_path))


def test_a_song_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").touch()
    with pytest.raises(UnknownModelError, match=r"song\.mp3 is no model"):
        find_model(str(tmp_path / "song.mp3"))
