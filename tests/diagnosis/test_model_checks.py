import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from stemsplit.diagnosis import model_checks
from stemsplit.diagnosis.finding import Status
from stemsplit.diagnosis.model_checks import cache, cache_space, models
from stemsplit.weights.listing import Cached, ModelStatus

SIZE = 84_025_440


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that is not there yet, on a large disk."""
    folder = tmp_path / "cache" / "hub"
    put_cache(monkeypatch, folder)
    put_free(monkeypatch, 10**12)
    put_models(monkeypatch, Cached.NO, Cached.NO)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return folder


def put_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))


def put_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))


def put_models(monkeypatch: pytest.MonkeyPatch, *states: Cached) -> None:
    known = [ModelStatus(f"model{n}", ("drums",), SIZE, "", state) for n, state in enumerate(states)]
    monkeypatch.setattr(model_checks, "list_models", lambda: known)


def test_no_model_is_cached_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert models().found == "none, of 2 models; model0, 84 MB, is fetched with the first song"
    assert models().status is Status.OK
    put_models(monkeypatch, Cached.NO, Cached.BUNDLED)
    assert models().found == "model1 (bundled), of 2 models; model0, 84 MB, is fetched with the first song"


def test_cached_models(monkeypatch: pytest.MonkeyPatch) -> None:
    put_models(monkeypatch, Cached.NO, Cached.YES, Cached.PARTLY, Cached.BUNDLED)
    assert models().found == "model1 (cached), model2 (cached in part), model3 (bundled), of 4 models"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert models().status is Status.OK


def test_offline_without_a_cached_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Songs can be separated, with what is bundled."""
    put_models(monkeypatch, Cached.NO, Cached.BUNDLED)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert models().status is Status.WARNING
    assert models().found == "model1 (bundled), of 2 models, and HF_HUB_OFFLINE forbids the network"
    assert "Unset HF_HUB_OFFLINE" in str(models().remedy)


def test_a_catalogue_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("STEMSPLIT_CATALOG", str(tmp_path / "nowhere.toml"))
    assert models().status is Status.PROBLEM
    assert "nowhere.toml" in models().found
    assert "STEMSPLIT_CATALOG" in str(models().remedy)


def test_a_cache_is_not_made_by_looking(folder: Path) -> None:
    assert (cache().status, cache().found) == (Status.OK, f"{folder} can be written")
    assert not folder.parent.exists()


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a file nothing can be written, not even by root."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "hub"):
        put_cache(monkeypatch, folder)
        assert cache().status is Status.WARNING
        assert f"{folder} cannot be written (Not a directory)" in cache().found
        assert "HF_HUB_CACHE" in str(cache().remedy)


@pytest.mark.parametrize(("free", "status"), [(10**9, Status.OK), (10**9 - 1, Status.WARNING), (0, Status.WARNING)])
def test_space_in_the_cache(free: int, status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    put_free(monkeypatch, free)
    assert cache_space().status is status
