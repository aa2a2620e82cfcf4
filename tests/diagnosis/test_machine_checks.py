import os
import shutil
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from stemsplit.diagnosis import machine_checks
from stemsplit.diagnosis.finding import Status
from stemsplit.diagnosis.machine_checks import (
    ALBUM_BYTES,
    NEEDED_MEMORY,
    SETTINGS,
    SONG_BYTES,
    cores,
    current_folder,
    memory,
    memory_bytes,
    python,
    settings,
    stemsplit,
)


def test_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stemsplit().found == version("stemsplit")
    monkeypatch.setattr("platform.python_version", lambda: "3.12.1")
    assert python().found.startswith("3.12.1 on ")


@pytest.mark.parametrize(("usable", "found"), [({0, 1}, "2 of 4"), ({0, 1, 2, 3}, "4"), (None, "4")])
def test_cores(usable: set[int] | None, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    if usable is None:
        monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: usable, raising=False)
    assert (cores().status, cores().found) == (Status.OK, found)


@pytest.mark.parametrize(
    ("size", "status"),
    [(None, Status.OK), (16 * 10**9, Status.OK), (NEEDED_MEMORY, Status.OK), (NEEDED_MEMORY - 1, Status.WARNING)],
)
def test_memory(size: int | None, status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "memory_bytes", lambda: size)
    assert memory().status is status


@pytest.mark.parametrize(("limit", "size"), [("max\n", 8 * 2**30), ("1073741824\n", 2**30), (None, 8 * 2**30)])
def test_a_container_has_what_it_is_given(
    limit: str | None, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 2 * 2**20, "SC_PAGE_SIZE": 4096}.__getitem__, raising=False)
    monkeypatch.setattr(machine_checks, "_MEMORY_LIMITS", (str(tmp_path / "limit"),))
    if limit is not None:
        (tmp_path / "limit").write_text(limit)
    assert memory_bytes() == size


def test_a_system_that_does_not_tell_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert memory_bytes() is None


def test_settings_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    assert settings().found == "none in the environment"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "https://me:secret@mirror.example/hub")
    monkeypatch.setenv("STEMSPLIT_CATALOG", "mine.toml")
    monkeypatch.setenv("HF_TOKEN", "secret")
    found = "HF_HUB_OFFLINE=1, HF_ENDPOINT=https://...@mirror.example/hub, STEMSPLIT_CATALOG=mine.toml"
    assert (settings().status, settings().found) == (Status.OK, found)


@pytest.mark.parametrize(
    ("free", "status"),
    [
        (ALBUM_BYTES, Status.OK),
        (ALBUM_BYTES - 1, Status.WARNING),
        (SONG_BYTES, Status.WARNING),
        (SONG_BYTES - 1, Status.PROBLEM),
        (0, Status.PROBLEM),
    ],
)
def test_space_for_stems(free: int, status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    assert current_folder().status is status
    assert str(tmp_path) in current_folder().found
    assert not list(tmp_path.iterdir())


def test_a_current_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "refusal", lambda folder: "Read-only file system")
    assert current_folder().status is Status.PROBLEM
    assert "cannot be written (Read-only file system)" in current_folder().found
    assert "`-o`" in str(current_folder().remedy)
