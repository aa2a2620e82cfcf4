from pathlib import Path

import pytest

from stemsplit.errors import CheckpointError, UnknownSourceError
from stemsplit.weights.definition import BagDefinition, read_definition

SOURCES = ("drums", "bass", "other", "vocals")


def written(folder: Path, text: str) -> Path:
    path = folder / "bag.yaml"
    path.write_text(text)
    return path


def test_without_weights_every_member_counts_alike(tmp_path: Path) -> None:
    definition = read_definition(written(tmp_path, "models: ['a', b]\nsegment: 7.8\nauthor: me"))
    assert definition.members == ("a", "b")
    assert definition.rows(SOURCES) == ((1.0,) * 4,) * 2
    assert definition.segment is not None
    assert definition.segment * 5 == 39


def test_only_members_that_count_are_needed(tmp_path: Path) -> None:
    definition = read_definition(written(tmp_path, "models: [a, b]\nweights: [[1, 1, 0, 0.5], [0, 0, 2, 0.5]]"))
    assert definition.needed(SOURCES, ["drums"]) == (0,)
    assert definition.needed(SOURCES, ["other"]) == (1,)
    assert definition.needed(SOURCES, ["vocals"]) == (0, 1)
    assert definition.needed(SOURCES, None) == (0, 1)


@pytest.mark.parametrize("wanted", [["flute"], []])
def test_unknown_sources_are_refused_with_the_list(wanted: list[str]) -> None:
    with pytest.raises(UnknownSourceError, match="drums, bass, other, vocals"):
        BagDefinition(("a",)).needed(SOURCES, wanted)


@pytest.mark.parametrize("weights", [((1.0, 1.0),), ((1.0, 1.0, 1.0, 0.0),), ((1.0,) * 5,)])
def test_weights_must_fit_the_sources(weights: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(ValueError, match=r"row of weights|sum to zero"):
        BagDefinition(("a",), weights).rows(SOURCES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "models: a",
        "models: []",
        "models: [01234567]",
        "models: [a/b]",
        "models: ['..']",
        "models: ['../a']",
        "models: ['/etc/passwd']",
        "models: ['a\\b']",
        "models: ['*']",
        "models: [a]\nweights: 1",
        "models: [a]\nweights: [[1], [1]]",
        "models: [a]\nweights: [[.nan]]",
        "models: [a]\nweights: [[x]]",
        "models: [a]\nsegment: -1",
        "models: [a]\nsegment: .inf",
        f"models: [a]\nsegment: {'9' * 400}",
        "models: [a]\nsegment: long",
        "models: !!python/object/apply:os.system ['true']",
        "models: [a",
        "models: " + "[" * 5000,
        "models: [a]\n" + "# long\n" * 10_000,
        f"models: [{', '.join('a' * 65)}]",
    ],
)
def test_what_is_no_bag_is_one_sentence_that_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(CheckpointError, match=r"bag\.yaml describes no bag of models: [^\n]+\.$"):
        read_definition(written(tmp_path, text))
