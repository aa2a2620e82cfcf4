import errno
import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub_server import Heard, Hub
from standins import Repository
from stemsplit.errors import DownloadError, IntegrityError
from stemsplit.events import Listener, ignore
from stemsplit.weights.hub import cached, fetch


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def get(
    stand_in: Repository,
    listener: Listener = ignore,
    *,
    known: bool = True,
    offline: bool = False,
    repository: str | None = None,
    revision: str | None = None,
    filename: str | None = None,
) -> Path:
    """Fetch the first file of a stand-in, or what is said instead; `known`: with its published size and hash."""
    file = stand_in.files[0]
    return fetch(
        repository or stand_in.repository,
        revision or stand_in.commit,
        filename or file.name,
        sha256=sha256(file) if known else None,
        size=file.stat().st_size if known else None,
        offline=offline,
        listener=listener,
    )


def leftovers(cache: Path) -> list[Path]:
    """Unfinished files in the cache."""
    return [path for path in cache.rglob("*") if path.name.endswith(".incomplete")]


def test_a_download_is_the_file_and_tells_its_progress(
    hub: Hub, htdemucs: Repository, heard: Heard, cache: Path
) -> None:
    path = get(htdemucs, heard)
    size = htdemucs.files[0].stat().st_size
    assert path.read_bytes() == htdemucs.files[0].read_bytes()
    assert cache in path.parents
    assert (heard.progress[0].done, heard.progress[-1].done) == (0, size)
    assert {event.total for event in heard.progress} == {size}
    assert {event.file for event in heard.progress} == {"955717e8.safetensors"}
    assert [event.done for event in heard.progress] == sorted(event.done for event in heard.progress)
    assert not heard.warnings


def test_nothing_is_printed(hub: Hub, htdemucs: Repository, capfd: pytest.CaptureFixture[str]) -> None:
    hub.cuts, hub.cut_after = 1, 100_000
    get(htdemucs)
    assert capfd.readouterr() == ("", "")


def test_a_cached_file_needs_no_network(hub: Hub, htdemucs: Repository, heard: Heard) -> None:
    first = get(htdemucs)
    hub.requests.clear()
    assert get(htdemucs, heard) == get(htdemucs, offline=True) == first
    assert not hub.requests
    assert not heard.events


def test_whether_a_file_is_cached(hub: Hub, htdemucs: Repository) -> None:
    name = htdemucs.files[0].name
    assert cached(htdemucs.repository, htdemucs.commit, name) is None
    assert get(htdemucs) == cached(htdemucs.repository, htdemucs.commit, name)


def test_a_broken_connection_is_resumed(
    hub: Hub, htdemucs: Repository, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # what is less than a chunk is asked for again
    hub.cuts, hub.cut_after = 1, 100_000
    path = get(htdemucs, heard)
    assert path.read_bytes() == htdemucs.files[0].read_bytes()
    assert hub.downloads(path.name) == 2
    (resumed,) = hub.ranges
    assert resumed == "bytes=100000-"
    assert heard.progress[-1].done == path.stat().st_size


def test_a_download_that_fails_leaves_nothing_behind(
    hub: Hub, htdemucs: Repository, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # huggingface_hub waits before it tries again
    hub.cuts, hub.cut_after = 100, 0
    with pytest.raises(DownloadError, match=r"955717e8\.safetensors of adefossez/HTDemucs .*127\.0\.0\.1") as raised:
        get(htdemucs)
    assert str(cache) in str(raised.value)
    assert cached(htdemucs.repository, htdemucs.commit, htdemucs.files[0].name) is None
    assert not leftovers(cache)
    hub.cuts = 0
    assert get(htdemucs).read_bytes() == htdemucs.files[0].read_bytes()


def test_a_listener_that_stops_a_download_leaves_nothing_behind(hub: Hub, htdemucs: Repository, cache: Path) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(htdemucs, interrupt)
    assert cached(htdemucs.repository, htdemucs.commit, htdemucs.files[0].name) is None
    assert not leftovers(cache)


@pytest.mark.parametrize("known", [True, False])
def test_wrong_bytes_are_refused(known: bool, hub: Hub, htdemucs: Repository) -> None:
    hub.wrong_bytes.add("955717e8.safetensors")
    with pytest.raises(
        IntegrityError, match=r"955717e8\.safetensors has the SHA-256 .* instead of .*Delete it .*127\.0\.0\.1"
    ):
        get(htdemucs, known=known)
    assert hub.downloads("955717e8.safetensors") == 1


def test_a_file_of_another_size_is_refused(hub: Hub, htdemucs: Repository) -> None:
    hub.short = 1000
    with pytest.raises(IntegrityError, match=r"has 1,000 bytes instead of [\d,]+: it is not the published"):
        get(htdemucs)


def test_a_damaged_cached_file_is_fetched_again_once(hub: Hub, htdemucs: Repository, heard: Heard) -> None:
    path = get(htdemucs)
    path.resolve().write_bytes(path.read_bytes()[:1000])
    assert get(htdemucs, heard).read_bytes() == htdemucs.files[0].read_bytes()
    assert hub.downloads(path.name) == 2
    (warning,) = heard.warnings
    assert "has 1,000 bytes" in warning


def test_wrong_bytes_again_and_again_are_not_fetched_for_ever(hub: Hub, htdemucs: Repository) -> None:
    hub.wrong_bytes.add("955717e8.safetensors")
    for downloads in (1, 2):
        with pytest.raises(IntegrityError):
            get(htdemucs)
        assert hub.downloads("955717e8.safetensors") == downloads


def test_a_damaged_cached_file_is_refused_offline(hub: Hub, htdemucs: Repository, cache: Path) -> None:
    path = get(htdemucs)
    data = path.read_bytes()
    path.resolve().write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for known in (True, False):
        with pytest.raises(IntegrityError, match="Delete it") as raised:
            get(htdemucs, offline=True, known=known)
        assert str(cache) in str(raised.value)


def test_offline_and_not_cached(hub: Hub, htdemucs: Repository, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    message = rf"955717e8\.safetensors of adefossez/HTDemucs .* not in the cache {cache}, .*offline.*127\.0\.0\.1"
    with pytest.raises(DownloadError, match=message):
        get(htdemucs, offline=True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=message):
        get(htdemucs)
    assert not hub.requests


def test_no_network_is_said_at_once(hub_away: Callable[[], None], htdemucs: Repository) -> None:
    hub_away()
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9 cannot be reached \(.+\)\. Check the network"):
        get(htdemucs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filename": "no.safetensors"}, r"has no no\.safetensors of adefossez/HTDemucs"),
        ({"revision": "f" * 40}, r"has no revision ffff.* of adefossez/HTDemucs"),
        ({"repository": "nobody/nothing"}, r"has no repository nobody/nothing, .*HTTP 401.*hf auth login"),
        ({"repository": "no--body/nothing"}, r"could not be fetched"),
    ],
)
def test_what_the_hub_does_not_have(changes: dict[str, Any], message: str, hub: Hub, htdemucs: Repository) -> None:
    with pytest.raises(DownloadError, match=message) as raised:
        get(htdemucs, **changes)
    assert "127.0.0.1" in str(raised.value)
    assert "huggingface.co" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "Log in"), (403, "Log in"), (404, "Try again"), (500, "Try again"), (418, "Try again")],
)
def test_what_the_hub_refuses(
    status: int, message: str, hub: Hub, htdemucs: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # huggingface_hub waits before it tries again
    hub.status = status
    with pytest.raises(DownloadError, match=message) as raised:
        get(htdemucs)
    assert "127.0.0.1" in str(raised.value)
    assert f"HTTP {status}" in str(raised.value)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "does not fit on the disk .*Free some space"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be written .*HF_HOME"),
        (OSError("Consistency check failed: ..."), "arrived with another size"),
        (RuntimeError("CAS is down"), r"could not be fetched from .* \(CAS is down\)"),
    ],
)
def test_what_the_disk_or_the_transfer_refuses(
    error: Exception, message: str, hub: Hub, htdemucs: Repository, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def failing(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", failing)
    with pytest.raises(DownloadError, match=rf"955717e8\.safetensors .*{message}") as raised:
        get(htdemucs)
    assert str(cache) in str(raised.value)


def test_a_disk_without_room_is_found_before_the_download(
    hub: Hub, htdemucs: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 3, 7))
    with pytest.raises(DownloadError, match=r"bytes are needed and 7 are free"):
        get(htdemucs)
    assert hub.downloads("955717e8.safetensors") == 0


def test_progress_of_the_xet_protocol(heard: Heard) -> None:
    """It counts what it writes and what travels; the test hub does not speak it, so its reporter is played."""
    from types import SimpleNamespace

    from huggingface_hub.utils._xet_progress_reporting import XetDownloadProgressReporter

    from stemsplit.weights.hub import _bar

    with XetDownloadProgressReporter(
        reconstruction_desc="file", total=100, log_level=0, tqdm_class=_bar("a.safetensors", 100, heard)
    ) as reporter:
        for written, travelled in ((0, 30), (60, 40), (100, 50)):
            report = SimpleNamespace(
                total_bytes=100,
                total_bytes_completed=written,
                total_bytes_completion_rate=1.0,
                total_transfer_bytes_completed=travelled,
                total_transfer_bytes_completion_rate=1.0,
            )
            reporter.update_progress(report)
    assert [(event.done, event.total) for event in heard.progress] == [(0, 100), (60, 100), (100, 100)]


def test_a_cache_that_cannot_be_written(hub: Hub, htdemucs: Repository, cache: Path) -> None:
    cache.write_text("in the way")
    with pytest.raises(DownloadError, match=r"955717e8\.safetensors of adefossez/HTDemucs"):
        get(htdemucs)
