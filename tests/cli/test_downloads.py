"""The whole command against a hub: weights are fetched once, checked always, and never half."""

import os
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from cli.program import (
    FOUR,
    PROGRAM,
    SECONDS,
    Result,
    assert_one_sentence,
    everything_below,
    process,
    stem_bytes,
    stemsplit,
)
from hub_server import Hub, Served, serving
from multitracks import multitrack, write_multitrack
from standins import Repository, make_htdemucs, make_htdemucs_ft, write_catalog
from stemsplit.weights.catalog import PACKAGED

FILE = "955717e8.safetensors"
REMEDIES = ["Run `stemsplit download htdemucs` when online", "`-m mini -o taste` now, at lower quality"]


@pytest.fixture(scope="module")
def htdemucs(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_htdemucs(tmp_path_factory.mktemp("htdemucs"), reduced=True)


@pytest.fixture(scope="module")
def htdemucs_ft(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_htdemucs_ft(tmp_path_factory.mktemp("htdemucs_ft"), reduced=True)


@pytest.fixture
def hub(htdemucs: Repository, htdemucs_ft: Repository) -> Iterator[Hub]:
    served = {item.repository: Served(item.folder, item.commit) for item in (htdemucs, htdemucs_ft)}
    with serving(served) as hub:
        yield hub


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def there(hub: Hub, htdemucs: Repository, htdemucs_ft: Repository, cache: Path, tmp_path: Path) -> dict[str, str]:
    """The environment in which our hub and its catalogue are all there is."""
    catalog = write_catalog(tmp_path / "catalog.toml", [htdemucs, htdemucs_ft])
    return hub.environment(cache) | {"STEMSPLIT_CATALOG": str(catalog)}


def split(env: Mapping[str, str], *options: str) -> Result:
    return process("song.wav", "--precision", "fp32", *options, env=env)


def snapshot(cache: Path) -> list[str]:
    """The files of the cache that programs take for whole."""
    return sorted(path.name for path in cache.rglob("snapshots/*/*"))


def test_fetched_once_then_taken_from_the_cache(
    song: Path, here: Path, cache: Path, htdemucs: Repository, tmp_path: Path
) -> None:
    env = {"STEMSPLIT_CATALOG": str(write_catalog(tmp_path / "catalog.toml", [htdemucs]))}
    with serving({htdemucs.repository: Served(htdemucs.folder, htdemucs.commit)}) as hub:
        env |= hub.environment(cache)
        first = split(env, "--json")
        assert hub.downloads(FILE) == 1
    assert (first.code, first.err) == (0, "")
    assert first.report["status"] == "done"
    assert (first.report["model"], first.report["model_revision"]) == ("htdemucs", htdemucs.commit)
    stems = stem_bytes(here / "separated/song")
    assert set(stems) == {f"{name}.wav" for name in FOUR}

    second = split(env, "-o", "again", "--json")  # the server is gone
    assert (second.code, second.err) == (0, "")
    assert second.report["model_revision"] == htdemucs.commit
    assert stem_bytes(here / "again/song") == stems


def test_wrong_bytes_are_refused(there: dict[str, str], hub: Hub, song: Path, here: Path) -> None:
    hub.wrong_bytes.add(FILE)
    result = split(there)
    assert result.code == 1
    assert_one_sentence(result, FILE, "SHA-256", "not the published", "Delete it and try again")
    assert "mini" not in result.err
    assert not (here / "separated").exists()


def test_an_interrupted_download_is_never_taken_for_whole(
    there: dict[str, str], hub: Hub, song: Path, here: Path, cache: Path
) -> None:
    hub.stall_after = 300_000
    running = subprocess.Popen([*PROGRAM, "song.wav"], env=os.environ | there, stderr=subprocess.PIPE, text=True)
    try:
        assert hub.stalled.wait(SECONDS)
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=SECONDS)
    finally:
        running.kill()
        running.wait()
    assert (running.returncode, err) == (130, "")
    assert not (here / "separated").exists()
    assert snapshot(cache) == []

    hub.stall_after = 0
    assert split(there).code == 0
    assert snapshot(cache) == [FILE]


def test_the_packaged_catalogue_refuses_the_stand_in(song: Path, here: Path, cache: Path, htdemucs: Repository) -> None:
    published: dict[str, Any] = tomllib.loads(PACKAGED.read_text())["models"]["htdemucs"]
    with serving({published["repository"]: Served(htdemucs.folder, published["commit"])}) as hub:
        result = split(hub.environment(cache))
        assert hub.downloads(FILE) == 1
    assert result.code == 1
    assert_one_sentence(result, FILE, "not the published", "adefossez/HTDemucs")
    assert not (here / "separated").exists()


def test_no_network(song: Path, here: Path) -> None:
    """In this process: nothing answers where the tests look for a hub."""
    result = stemsplit("song.wav")
    assert result.code == 1
    assert_one_sentence(result, FILE, "127.0.0.1:9 cannot be reached", constants.HF_HUB_CACHE, *REMEDIES)
    assert everything_below(here) == [song]


@pytest.mark.parametrize(
    ("options", "remedies"),
    [
        (["--offline"], REMEDIES),
        (["-m", "htdemucs_ft", "-k"], ["Run `stemsplit download htdemucs_ft` when online", "`-m mini -o taste` now"]),
        (["-m", "htdemucs_6s"], ["Run `stemsplit download htdemucs_6s` when online."]),
        (["-m", "me/mine"], ["Check the network"]),
    ],
)
def test_remedies_where_weights_are_not_here(options: list[str], remedies: list[str], song: Path, here: Path) -> None:
    """What makes the same stems is offered, and nothing else."""
    result = stemsplit("song.wav", *options)
    assert result.code == 1
    assert_one_sentence(result, *remedies)
    assert ("-m mini" in result.err) is any("-m mini" in remedy for remedy in remedies)
    assert everything_below(here) == [song]


@pytest.mark.parametrize(
    "words",
    [["download", "htdemucs"], ["train", "songs", "-r", "smoke", "--init", "htdemucs"], ["bench", "-m", "htdemucs"]],
)
def test_another_model_is_offered_for_splitting_only(words: list[str], here: Path) -> None:
    for number in range(2 if "songs" in words else 0):
        write_multitrack(here / "songs" / f"song {number}", multitrack(number, 4.0))
    result = stemsplit(*words)
    assert result.code == 1
    assert "127.0.0.1:9 cannot be reached" in result.err
    assert "mini" not in result.err


def test_the_remedy_for_several_processes(song: Path, here: Path) -> None:
    """The error comes from a process that was to begin."""
    (here / "other.wav").write_bytes(song.read_bytes())
    result = stemsplit("song.wav", "other.wav", "--jobs", "2")
    assert result.code == 1
    assert all(remedy in result.err for remedy in REMEDIES)


def test_without_a_network_the_other_remedy_helps(song: Path, here: Path) -> None:
    """The error's second remedy, also where songs are not to be read for it twice."""
    result = stemsplit("song.wav", "-m", "mini", "--offline", "--json")
    assert result.code == 0
    assert result.report["model"] == "mini"
    assert set(stem_bytes(here / "separated/song")) == {f"{name}.wav" for name in FOUR}
    again = stemsplit("song.wav", "-m", "mini", "--offline", "--json")
    assert again.report["status"] == "skipped"
    assert again.report["model_revision"] == result.report["model_revision"]


def test_one_stem_of_a_bag_needs_one_network(
    there: dict[str, str], hub: Hub, song: Path, here: Path, cache: Path
) -> None:
    result = split(there, "-m", "htdemucs_ft", "-s", "vocals", "--json")
    assert result.code == 0
    assert result.report["networks"] == 1
    assert list(result.report["outputs"]) == ["vocals"]
    assert snapshot(cache) == ["04573f0d.safetensors"]
    assert all(request.endswith("/04573f0d.safetensors") for request in hub.requests)
    listed = process("models", "--json", env=there)
    assert {report["name"]: report["cached"] for report in listed.reports} == {
        "htdemucs": "no",
        "htdemucs_ft": "partly",
        "mini": "bundled",
    }


def test_an_unknown_stem_is_found_before_any_download(there: dict[str, str], hub: Hub, song: Path) -> None:
    result = split(there, "-s", "piano")
    assert result.code == 2
    assert hub.requests == []


def test_fetching_ahead(there: dict[str, str], hub: Hub, song: Path, here: Path, cache: Path) -> None:
    result = process("download", "htdemucs", "htdemucs_ft", env=there)
    assert (result.code, result.out) == (0, "")
    assert result.err == "htdemucs, htdemucs_ft: complete and checked.\n"
    assert len(snapshot(cache)) == 5
    assert len([request for request in hub.requests if request.startswith("GET ")]) == 5
    hub.status = 500
    assert process("download", "htdemucs", "-q", env=there) == Result(0, "", "")
    listed = process("models", env=there)
    assert listed.out.count("cached: yes") == 2


def test_a_repository_of_the_hub(there: dict[str, str], hub: Hub, song: Path, htdemucs: Repository) -> None:
    result = split(there, "-m", "adefossez/HTDemucs", "--json")
    assert result.code == 0
    assert (result.report["model"], result.report["model_revision"]) == ("HTDemucs", htdemucs.commit)
