"""The model of the package: what is packed, and that it is found, checked and listed as any other."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open

from standins import Repository, make_folder, write_catalog
from stemsplit.errors import IntegrityError, ModelError, UnknownModelError, UnknownSourceError
from stemsplit.weights import bundled
from stemsplit.weights.bag import find_model, identify, load_bag
from stemsplit.weights.bundled import MINI
from stemsplit.weights.catalog import CatalogEntry
from stemsplit.weights.find import LocalFolder
from stemsplit.weights.listing import Cached, download, list_models

FOLDER = MINI.definition.parent


def network_file() -> Path:
    (path,) = FOLDER.glob("*.safetensors")
    return path


def test_the_folder_holds_a_model_and_its_card() -> None:
    path = network_file()
    assert {entry.name for entry in FOLDER.iterdir()} == {"mini.yaml", path.name, "README.md", "curves.png", "test.png"}
    assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    MINI.check()


def test_the_network_is_small() -> None:
    assert MINI.size == network_file().stat().st_size <= 12_000_000
    with safe_open(network_file(), framework="pt") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118 (no mapping)


def test_it_loads_without_a_network() -> None:
    bag = load_bag(find_model("mini"), offline=True)
    assert (bag.name, bag.sample_rate, bag.audio_channels, len(bag.networks)) == ("mini", 44_100, 2, 1)
    assert bag.sources == MINI.sources == find_model("mini").sources
    assert bag.identity == identify(find_model("mini"), offline=True)
    folder = load_bag(find_model(str(FOLDER)))
    assert (bag.revision, bag.hashes) == (folder.revision, folder.hashes)


def test_a_source_it_lacks_is_known_without_its_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bundled, "__file__", str(tmp_path / "bundled.py"))
    with pytest.raises(UnknownSourceError, match="does not separate piano; it has drums"):
        load_bag(find_model("mini"), sources=["piano"])


def test_the_name_comes_before_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path / "mini")
    monkeypatch.chdir(tmp_path)
    assert find_model("mini").place is MINI
    assert find_model("./mini").place == LocalFolder(Path("mini/mini.yaml"))


def test_beside_another_catalogue(test_catalog: Path) -> None:
    assert find_model("mini").place is MINI
    assert [model.name for model in list_models()] == ["htdemucs", "htdemucs_ft", "mini"]


def test_a_catalogue_may_have_a_mini_of_its_own(
    htdemucs: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = write_catalog(tmp_path / "catalog.toml", [replace(htdemucs, name="mini")])
    monkeypatch.setenv("STEMSPLIT_CATALOG", str(catalog))
    assert isinstance(find_model("mini").place, CatalogEntry)
    assert [model.cached for model in list_models()] == [Cached.NO]


def test_it_is_listed() -> None:
    status = list_models()[-1]
    assert (status.name, status.sources, status.size) == ("mini", MINI.sources, network_file().stat().st_size)
    assert status.cached is Cached.BUNDLED
    assert status.licence.startswith("MIT")


def test_errors_name_it(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"htdemucs_6s, mini\), .* Did you mean mini\?"):
        find_model("minni")
    with pytest.raises(UnknownModelError, match=r"htdemucs_6s, mini\); only its models"):
        download(["me/mine"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), "SHA-256 .* is damaged. Install"),
        (lambda path: path.unlink(), "cannot be read.* Install stemsplit again"),
    ],
)
def test_a_damaged_installation(
    damage: Callable[[Path], object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(FOLDER, tmp_path / "mini")
    damage(tmp_path / "mini" / network_file().name)
    monkeypatch.setattr(bundled, "__file__", str(tmp_path / "bundled.py"))
    for use in (lambda: load_bag(find_model("mini")), lambda: download(["mini"])):
        with pytest.raises(IntegrityError, match=message):
            use()
    (tmp_path / "mini" / "mini.yaml").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_bag(find_model("mini"))
