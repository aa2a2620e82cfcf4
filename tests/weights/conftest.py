from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub_server import Heard, Hub, Served, serving
from standins import Repository, make_htdemucs, make_htdemucs_6s, make_htdemucs_ft, write_catalog


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="session")
def full_htdemucs(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """84 MB, the published size."""
    return make_htdemucs(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="session")
def full_htdemucs_6s(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_htdemucs_6s(tmp_path_factory.mktemp("full-6s"))


@pytest.fixture(scope="session")
def htdemucs(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_htdemucs(tmp_path_factory.mktemp("htdemucs"), reduced=True)


@pytest.fixture(scope="session")
def htdemucs_ft(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_htdemucs_ft(tmp_path_factory.mktemp("htdemucs_ft"), reduced=True)


@pytest.fixture
def running_hub(htdemucs: Repository, htdemucs_ft: Repository) -> Iterator[Hub]:
    """A hub with reduced stand-ins under the published names."""
    repositories = [htdemucs, htdemucs_ft]
    with serving({item.repository: Served(item.folder, item.commit) for item in repositories}) as hub:
        yield hub


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def hub(running_hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The same hub, which this process speaks to, with an empty cache."""
    from huggingface_hub import constants

    # huggingface_hub has read the environment when it was imported, so that is too late to change.
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", running_hub.endpoint + template)
    monkeypatch.setattr(constants, "ENDPOINT", running_hub.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return running_hub


@pytest.fixture
def hub_away(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes the hub off the network."""
    from huggingface_hub import constants

    def away() -> None:
        nowhere = "http://127.0.0.1:9"  # the port of the discard protocol, where nobody listens
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", nowhere + template)
        monkeypatch.setattr(constants, "ENDPOINT", nowhere)

    return away


@pytest.fixture
def test_catalog(
    tmp_path: Path, htdemucs: Repository, htdemucs_ft: Repository, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A catalogue of the reduced stand-ins, in the place of the packaged one."""
    path = write_catalog(tmp_path / "catalog.toml", [htdemucs, htdemucs_ft])
    monkeypatch.setenv("STEMSPLIT_CATALOG", str(path))
    return path
