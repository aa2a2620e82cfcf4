import subprocess
import sys
from pathlib import Path

import pytest

from standins import Repository
from stemsplit.errors import UsageError
from stemsplit.weights.catalog import load_catalog

MINIMAL = """
schema = 1
[models.mine]
repository = "me/mine"
commit = "0123456789abcdef0123456789abcdef01234567"
sources = ["speech", "rest"]
[[models.mine.files]]
name = "a.safetensors"
bytes = 7
sha256 = "SHA"
weights = [1, 0.5]
""".replace("SHA", "ab" * 32)


@pytest.fixture
def replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL)
    monkeypatch.setenv("STEMSPLIT_CATALOG", str(path))
    return path


def test_the_packaged_catalogue_has_the_published_models() -> None:
    catalog = load_catalog()
    assert {name: len(entry.files) for name, entry in catalog.items()} == {
        "htdemucs": 1,
        "htdemucs_ft": 4,
        "htdemucs_6s": 1,
    }
    assert catalog["htdemucs"].size == 84_025_440
    assert catalog["htdemucs_6s"].size == 54_885_744
    assert catalog["htdemucs_6s"].sources[4:] == ("guitar", "piano")
    assert "research" in catalog["htdemucs"].licence


def test_each_source_of_the_fine_tuned_bag_comes_from_one_network() -> None:
    entry = load_catalog()["htdemucs_ft"]
    assert [entry.definition.needed(entry.sources, [source]) for source in entry.sources] == [
        (0,),
        (1,),
        (2,),
        (3,),
    ]


def test_every_file_is_pinned_by_commit_and_hash() -> None:
    entries = load_catalog().values()
    assert len({file.sha256 for entry in entries for file in entry.files}) == 6
    assert all(file.legacy and file.legacy[:8] == file.name[:8] for entry in entries for file in entry.files)
    assert len({entry.commit for entry in entries}) == 3


def test_a_file_replaces_the_catalogue(replaced: Path) -> None:
    (entry,) = load_catalog().values()
    assert entry.name == "mine"
    assert entry.definition.rows(entry.sources) == ((1.0, 0.5),)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("schema = 1", "schema = 2"),
        ("schema = 1", "schema = "),
        ("[models.mine]", '[models."../mine"]'),
        ("me/mine", "mine"),
        ("0123456789abcdef0123456789abcdef01234567", "main"),
        ('["speech", "rest"]', '["speech", "speech"]'),
        ('["speech", "rest"]', '["../speech", "rest"]'),
        ('["speech", "rest"]', "[]"),
        ("a.safetensors", "../a.safetensors"),
        ("a.safetensors", "a.pkl"),
        ("bytes = 7", "bytes = -7"),
        ("bytes = 7", "bytes = true"),
        ("abab", "xyxy"),
        ("[1, 0.5]", "[1]"),
        ("[1, 0.5]", "[1, 0]"),
        ("[1, 0.5]", "[1, nan]"),
        ("[1, 0.5]", '[1, "a"]'),
        (MINIMAL, "schema = 1"),
    ],
)
def test_a_malformed_catalogue_is_one_sentence_that_names_it(replaced: Path, old: str, new: str) -> None:
    assert old in MINIMAL
    replaced.write_text(MINIMAL.replace(old, new))
    with pytest.raises(UsageError, match=r"mine\.toml.*STEMSPLIT_CATALOG\.$"):
        load_catalog()


def test_a_missing_catalogue_is_one_sentence_that_names_it(replaced: Path) -> None:
    replaced.unlink()
    with pytest.raises(UsageError, match=r"mine\.toml cannot be read"):
        load_catalog()


def test_the_test_catalogue_describes_its_files(test_catalog: Path, htdemucs: Repository) -> None:
    assert load_catalog()["htdemucs"].size == htdemucs.files[0].stat().st_size


def test_cheap_questions_need_neither_torch_nor_the_hub() -> None:
    program = (
        "import sys; from stemsplit.weights.find import find_model; find_model('htdemucs');"
        "sys.exit(bool({'torch', 'huggingface_hub', 'safetensors'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
