from pathlib import Path

import pytest

from hub_server import Heard, Hub
from standins import Repository
from stemsplit.errors import DownloadError, IntegrityError, UnknownModelError
from stemsplit.weights.hub import cached
from stemsplit.weights.listing import Cached, download, list_models


def states() -> dict[str, Cached]:
    return {status.name: status.cached for status in list_models()}


def test_models_are_listed_with_what_is_on_disk(hub: Hub, test_catalog: Path, htdemucs_ft: Repository) -> None:
    bundled = {"mini": Cached.BUNDLED}
    assert states() == {"htdemucs": Cached.NO, "htdemucs_ft": Cached.NO, **bundled}
    download(["htdemucs_ft"])
    assert states() == {"htdemucs": Cached.NO, "htdemucs_ft": Cached.YES, **bundled}
    path = cached(htdemucs_ft.repository, htdemucs_ft.commit, htdemucs_ft.files[0].name)
    assert path is not None
    path.resolve().write_bytes(b"half")
    assert states()["htdemucs_ft"] == Cached.PARTLY


def test_a_listing_says_what_a_user_wants_to_know(hub: Hub) -> None:
    status = list_models()[0]
    assert (status.name, status.size, status.sources[0]) == ("htdemucs", 84_025_440, "drums")
    assert "facebookresearch/demucs#327" in status.licence


def test_downloads_are_told_and_checked(hub: Hub, test_catalog: Path, heard: Heard) -> None:
    download(["htdemucs", "htdemucs_ft"], heard)
    assert len({event.file for event in heard.progress}) == 5
    download(["htdemucs_ft"], offline=True)
    hub.wrong_bytes.add("f7e0c4bc.safetensors")


def test_what_comes_with_the_package_is_not_fetched(hub: Hub, test_catalog: Path, heard: Heard) -> None:
    assert download(["mini"], heard) == ["mini"]
    assert not hub.requests
    assert download(["mini", "htdemucs"], heard) == ["mini"]
    assert len({event.file for event in heard.progress}) == 1


def test_a_damaged_file_is_found_offline(hub: Hub, test_catalog: Path, htdemucs: Repository) -> None:
    download(["htdemucs"])
    path = cached(htdemucs.repository, htdemucs.commit, htdemucs.files[0].name)
    assert path is not None
    path.resolve().write_bytes(b"half")
    with pytest.raises(IntegrityError, match="has 4 bytes instead of"):
        download(["htdemucs"], offline=True)


def test_only_catalogue_models_are_fetched_ahead(hub: Hub, test_catalog: Path) -> None:
    with pytest.raises(UnknownModelError, match="me/mine"):
        download(["htdemucs", "me/mine"])
    assert not hub.requests
    with pytest.raises(DownloadError, match="offline"):
        download(["htdemucs"], offline=True)
