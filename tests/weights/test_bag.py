import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hub_server import Heard, Hub
from standins import (
    ONE_HOT,
    REDUCED,
    Repository,
    arguments,
    make_folder,
    oracle_network,
    save_definition,
    save_legacy,
    save_published,
)
from stemsplit.errors import CheckpointError, DownloadError, IntegrityError, UnknownSourceError
from stemsplit.weights.bag import Bag, find_model, load_bag


def load(name: object, *sources: str, offline: bool = False) -> Bag:
    return load_bag(find_model(str(name)), sources=sources or None, offline=offline)


# From the catalogue.


def test_a_catalogue_model(hub: Hub, test_catalog: Path, htdemucs: Repository) -> None:
    bag = load("htdemucs")
    assert (bag.name, bag.revision) == ("htdemucs", htdemucs.commit)
    assert bag.sources == htdemucs.sources
    assert (bag.sample_rate, bag.audio_channels, bag.segments) == (44_100, 2, (44_100,))
    assert bag.weights == ((1.0, 1.0, 1.0, 1.0),)


def test_a_catalogue_model_needs_no_yaml(hub: Hub, test_catalog: Path) -> None:
    load("htdemucs_ft")
    assert not any(request.endswith(".yaml") or "/api/" in request for request in hub.requests)


def test_only_members_that_count_are_downloaded(
    hub: Hub, test_catalog: Path, htdemucs_ft: Repository, heard: Heard
) -> None:
    bag = load_bag(find_model("htdemucs_ft"), sources=["vocals"], listener=heard)
    assert bag.weights == (ONE_HOT[3],)
    assert len(bag.networks) == 1
    assert [hub.downloads(path.name) for path in htdemucs_ft.files] == [0, 0, 0, 1]
    assert {event.file for event in heard.progress} == {"04573f0d.safetensors"}
    assert load("htdemucs_ft", "drums", "bass").weights == ONE_HOT[:2]


def test_an_unknown_source_is_refused_before_any_download(hub: Hub, test_catalog: Path) -> None:
    with pytest.raises(UnknownSourceError, match="does not separate flute; it has drums, bass, other, vocals"):
        load("htdemucs", "flute")
    assert not hub.requests


def test_the_packaged_catalogue_refuses_a_stand_in_of_the_right_size(
    hub: Hub, full_htdemucs: Repository, htdemucs: Repository, tmp_path: Path
) -> None:
    from stemsplit.weights.catalog import load_catalog
    from stemsplit.weights.hub import cached

    entry = load_catalog()["htdemucs"]
    snapshot = tmp_path / "cache/models--adefossez--HTDemucs/snapshots" / entry.commit
    snapshot.mkdir(parents=True)
    (snapshot / entry.files[0].name).symlink_to(full_htdemucs.files[0])
    assert cached(entry.repository, entry.commit, entry.files[0].name)
    with pytest.raises(IntegrityError, match=rf"has the SHA-256 \w+ instead of {entry.files[0].sha256}"):
        load("htdemucs", offline=True)


def test_sources_that_the_catalogue_gets_wrong_are_found(hub: Hub, test_catalog: Path) -> None:
    text = test_catalog.read_text()
    test_catalog.write_text(text.replace('"drums", "bass"', '"bass", "drums"'))
    with pytest.raises(CheckpointError, match=r"separates drums, bass, .* and its model bass, drums"):
        load("htdemucs")


# From disk.


def test_a_file_is_a_bag_of_one(htdemucs: Repository) -> None:
    bag = load(htdemucs.files[0])
    assert bag.name == "955717e8"
    assert bag.weights == ((1.0,) * 4,)
    assert bag.revision is not None
    assert len(bag.revision) == 16


def test_a_file_may_be_called_anything(htdemucs: Repository, tmp_path: Path) -> None:
    path = tmp_path / "my best, yet (1).safetensors"
    shutil.copy(htdemucs.files[0], path)
    assert load(path).name == "my best, yet (1)"


def test_a_legacy_file_is_held_against_its_name(tmp_path: Path) -> None:
    path = save_legacy(tmp_path, "955717e8", oracle_network(0, **REDUCED), arguments(**REDUCED))
    assert load(path).sources == ("drums", "bass", "other", "vocals")
    wrong = path.rename(tmp_path / "955717e8-8726e21a.th")
    with pytest.raises(IntegrityError, match=r"955717e8-8726e21a\.th has the SHA-256 \w{8} instead of 8726e21a"):
        load(wrong)


def test_a_folder(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine", 2, weights=[[1, 0, 0.5, 1], [0, 1, 0.5, 1]], segment=0.5)
    bag = load(folder)
    assert bag.name == "mine"
    assert bag.segments == (22_050, 22_050)
    assert bag.weights == ((1.0, 0.0, 0.5, 1.0), (0.0, 1.0, 0.5, 1.0))
    drums = load(folder, "drums")
    assert drums.weights == ((1.0, 0.0, 0.5, 1.0),)
    assert drums.revision == bag.revision


def test_a_segment_never_lengthens(tmp_path: Path) -> None:
    assert load(make_folder(tmp_path / "mine", segment=100)).segments == (44_100,)


def test_a_segment_shorter_than_a_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"mine\.yaml .*shorter than 4096 frames"):
        load(make_folder(tmp_path / "mine", segment=1e-6))


def test_members_may_differ_in_segment(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine")
    other = REDUCED | {"segment": 2}
    save_published(folder / "b.safetensors", oracle_network(1, **other), arguments(**other))
    (first,) = (path.stem for path in folder.glob("*.safetensors") if path.stem != "b")
    save_definition(folder / "mine.yaml", [first, "b"])
    assert load(folder).segments == (44_100, 88_200)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samplerate": 48_000}, "48000 Hz.*44100 Hz"),
        ({"audio_channels": 1}, "for 1 channels"),
        ({"sources": ["drums", "bass", "vocals", "other"]}, "separates drums, bass, vocals, other"),
    ],
)
def test_members_must_go_together(change: dict[str, object], message: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine")
    other = REDUCED | change
    save_published(folder / "b.safetensors", oracle_network(1, **other), arguments(**other))
    (first,) = (path.stem for path in folder.glob("*.safetensors") if path.stem != "b")
    save_definition(folder / "mine.yaml", [first, "b"])
    with pytest.raises(CheckpointError, match=message):
        load(folder)


def test_a_member_listed_twice_is_loaded_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine")
    (path,) = folder.glob("*.safetensors")
    save_definition(folder / "mine.yaml", [path.stem, path.stem])
    bag = load(folder)
    assert bag.networks[0] is bag.networks[1]


def test_legacy_members_are_found_by_signature(tmp_path: Path) -> None:
    network = oracle_network(0, **REDUCED)
    path = save_legacy(tmp_path, "955717e8", network, arguments(**REDUCED))
    save_definition(tmp_path / "mine.yaml", ["955717e8"])
    assert len(load(tmp_path).networks) == 1
    shutil.copy(path, tmp_path / "955717e8-00000000.th")
    with pytest.raises(CheckpointError, match=r"955717e8\.safetensors or 955717e8-\*\.th: 2 do"):
        load(tmp_path)
    path.unlink()
    with pytest.raises(IntegrityError, match="00000000"):
        load(tmp_path)


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    save_definition(tmp_path / "mine.yaml", ["955717e8"])
    with pytest.raises(CheckpointError, match=r"mine\.yaml lists the model 955717e8, .*none does"):
        load(tmp_path)


@pytest.mark.parametrize("weights", [[[1, 1, 1]], [[1, 1, 1, 0]]])
def test_weights_that_do_not_fit_are_refused(weights: list[list[float]], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"mine\.yaml cannot be used"):
        load(make_folder(tmp_path / "mine", weights=weights))


def test_an_unknown_source_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownSourceError, match="it has drums, bass, other, vocals"):
        load(make_folder(tmp_path / "mine"), "flute")


def test_a_bag_of_another_network_is_named(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine")
    (path,) = folder.glob("*.safetensors")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"demucs.htdemucs.HTDemucs", b"demucs.hdemucs.XXHDemucs"))
    with pytest.raises(CheckpointError, match=r"demucs\.hdemucs\.XXHDemucs, and only demucs\.htdemucs\.HTDemucs"):
        load(folder)


# From the hub.


@pytest.mark.parametrize("revision", ["", "@main"])
def test_a_repository(revision: str, hub: Hub, htdemucs_ft: Repository) -> None:
    bag = load(f"adefossez/HTDemucs-ft{revision}")
    assert (bag.name, bag.revision) == ("HTDemucs-ft", htdemucs_ft.commit)
    assert bag.weights == ONE_HOT


def test_a_repository_at_a_commit_needs_no_network_again(hub: Hub, htdemucs: Repository) -> None:
    name = f"{htdemucs.repository}@{htdemucs.commit}"
    load(name)
    hub.requests.clear()
    assert load(name).revision == htdemucs.commit
    assert not hub.requests


def test_a_repository_offline(hub: Hub, htdemucs: Repository, cache: Path) -> None:
    with pytest.raises(DownloadError, match=rf"\*\.yaml of adefossez/HTDemucs .*not in the cache {cache}"):
        load(htdemucs.repository, offline=True)
    load(htdemucs.repository)
    hub.requests.clear()
    assert load(htdemucs.repository, offline=True).revision == htdemucs.commit
    assert not hub.requests


def test_a_repository_out_of_reach_is_taken_from_the_cache(
    hub_away: Callable[[], None], htdemucs: Repository, heard: Heard
) -> None:
    load(htdemucs.repository)
    hub_away()
    bag = load_bag(find_model(htdemucs.repository), listener=heard)
    assert bag.revision == htdemucs.commit
    (warning,) = heard.warnings
    assert "127.0.0.1:9" in warning
    assert "cache is used" in warning


def test_only_what_counts_is_fetched_from_a_repository(hub: Hub, htdemucs_ft: Repository) -> None:
    bag = load(htdemucs_ft.repository, "vocals")
    assert bag.weights == (ONE_HOT[3],)
    # The first member tells the sources.
    assert [hub.downloads(path.name) for path in htdemucs_ft.files] == [1, 0, 0, 1]


def test_a_repository_needs_exactly_one_definition(hub: Hub, tmp_path: Path) -> None:
    from hub_server import Served

    (tmp_path / "repo").mkdir()
    hub.repositories = {"me/mine": Served(tmp_path / "repo", "a" * 40)}
    with pytest.raises(DownloadError, match=r"me/mine .*exactly one \*\.yaml must describe it, and it has none"):
        load("me/mine")


def test_a_repository_that_is_not_there(hub: Hub) -> None:
    with pytest.raises(DownloadError, match="has no repository me/mine"):
        load("me/mine")
    with pytest.raises(DownloadError, match="has no revision v2 of adefossez/HTDemucs"):
        load("adefossez/HTDemucs@v2")


def test_names_in_a_repository_cannot_leave_it(hub: Hub, tmp_path: Path) -> None:
    from hub_server import Served

    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/mine.yaml").write_text(json.dumps({"models": ["../../other/repo/x"]}))
    hub.repositories = {"me/mine": Served(tmp_path / "repo", "a" * 40)}
    with pytest.raises(CheckpointError, match="no plain name"):
        load("me/mine")
