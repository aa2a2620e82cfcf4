import importlib.util
from pathlib import Path
from typing import Never

import pytest

from stemsplit.diagnosis import library_checks
from stemsplit.diagnosis.finding import Status
from stemsplit.diagnosis.library_checks import MODULES, installed_version, library


def raising(error: Exception) -> Never:
    raise error


@pytest.mark.parametrize("name", MODULES)
def test_a_library_that_is_here(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_checks, "version", lambda name: f"7 of {name}")
    finding = library(name)
    assert (finding.status, finding.found) == (Status.OK, f"7 of {name}")


def test_a_library_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_checks, "find_spec", lambda module: None)
    finding = library("PyYAML")
    assert (finding.status, finding.found) == (Status.PROBLEM, "not installed")
    assert finding.remedy == "Install it: `pip install PyYAML`."


@pytest.mark.parametrize("error", [OSError("libsndfile.so.1: not\nfound"), ImportError("numpy"), ValueError("ABI")])
def test_a_broken_library(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_checks, "import_module", lambda module: raising(error))
    finding = library("soundfile")
    assert finding.status is Status.PROBLEM
    assert f"{type(error).__name__}: {' '.join(str(error).split())}" in finding.found
    assert finding.remedy == "Install it anew: `pip install --force-reinstall soundfile`."


def test_a_library_that_pip_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stemsplit_unheard_of.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    assert library_checks.is_installed("stemsplit_unheard_of")
    assert installed_version("stemsplit_unheard_of") == "unknown version"
