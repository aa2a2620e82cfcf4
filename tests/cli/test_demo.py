"""`stemsplit demo`, from the packaged song to scores, where no hub can be reached."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli.program import FOUR, assert_one_sentence, process, sound, stemsplit, tracks_in
from standins import Repository, make_htdemucs, write_catalog
from stemsplit.evaluation.demo import SONG, scores
from stemsplit.weights.bundled import MINI

STEMS = {f"{source}.wav" for source in FOUR}


def row(name: str, sdr: dict[str, float | None]) -> str:
    """A line of the table, with one space between its words."""
    values = [sdr[source] or 0.0 for source in MINI.sources]
    return " ".join([name, *(f"{value:.2f}" for value in (*values, sum(values) / len(values)))])


@pytest.fixture(scope="module")
def htdemucs(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_htdemucs(tmp_path_factory.mktemp("htdemucs"), reduced=True)


def test_end_to_end(here: Path, htdemucs: Repository, tmp_path: Path) -> None:
    """In a process of its own, with an empty cache, a hub that does not answer, and another catalogue."""
    catalog = write_catalog(tmp_path / "catalog.toml", [htdemucs])
    cache = tmp_path / "cache"
    env = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(cache), "STEMSPLIT_CATALOG": str(catalog)}
    result = process("demo", env=env)
    assert result.code == 0, result.err
    assert not cache.exists()
    folder = here / "separated" / "stemsplit-demo"
    assert {path.name for path in folder.iterdir()} == STEMS | {"mixture.wav"}
    assert tracks_in(here / "separated") == {"stemsplit-demo"}

    mini, mixture = scores({source: folder / f"{source}.wav" for source in MINI.sources})
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert lines[1:] == ["drums bass other vocals all", row("mini", mini.sdr), row("mixture", mixture.sdr)]
    assert "separated/stemsplit-demo/mixture.wav is the song" in result.err
    assert all(name in result.err for name in STEMS)


def test_again_as_json(here: Path) -> None:
    """Another time all is made anew, also what was made by another model, and the numbers are the same."""
    folder = here / "new" / "stemsplit-demo"
    first = stemsplit("demo", "-o", "new", "--json", "--precision", "fp32")
    (folder / "drums.wav").unlink()
    (folder / "mixture.wav").write_bytes(b"la la la")
    second = stemsplit("demo", "-o", "new", "--json", "--precision", "fp32")
    assert (first.code, first.err, second.code, second.err) == (0, "", 0, "")
    report, mini, mixture = second.reports
    assert report["status"] == "done"
    assert (report["model"], report["model_revision"]) == ("mini", first.reports[0]["model_revision"])
    assert set(report["outputs"]) == FOUR
    assert (mini["method"], mixture["method"]) == ("mini", "mixture")
    assert [mini, mixture] == first.reports[1:]
    blocks = np.concatenate([block for _, block in SONG.parts(44_100)], axis=1)
    np.testing.assert_array_equal(sound(folder / "mixture.wav").samples.T, blocks)


def test_a_mini_of_a_catalogue_is_not_the_demo_s(
    here: Path, htdemucs: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = write_catalog(here / "catalog.toml", [replace(htdemucs, name="mini")])
    monkeypatch.setenv("STEMSPLIT_CATALOG", str(catalog))
    assert stemsplit("demo", "-q").code == 0


def test_a_catalogue_that_is_none_is_told_before_any_work(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMSPLIT_CATALOG", str(here / "nowhere.toml"))
    result = stemsplit("demo", "-q")
    assert (result.code, result.out) == (2, "")
    assert_one_sentence(result, "nowhere.toml")
    assert not list(here.rglob("stemsplit-demo"))


def test_a_stem_that_cannot_be_written(here: Path) -> None:
    (here / "separated" / "stemsplit-demo" / "drums.wav").mkdir(parents=True)
    result = stemsplit("demo", "-q")
    assert (result.code, result.out) == (1, "")
    assert_one_sentence(result, "drums.wav", "a folder has this name")


@pytest.mark.parametrize(
    ("options", "mentions"),
    [
        (["-o", "file"], ["file: cannot be written"]),
        (["--device", "abacus"], ["--device must be", "'abacus'"]),
        (["--precision", "fp4"], ["--precision must be", "'fp4'"]),
    ],
)
def test_usage(options: list[str], mentions: list[str], here: Path) -> None:
    (here / "file").touch()
    result = stemsplit("demo", *options)
    assert (result.code, result.out) == (2, "")
    assert_one_sentence(result, *mentions)
    assert [path.name for path in here.iterdir()] == ["file"]
