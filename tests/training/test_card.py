"""The model card tells what a reader needs, and how the model is published."""

from dataclasses import replace
from pathlib import Path

import pytest

from stemsplit.training.card import hub_repository, model_card
from stemsplit.training.epoch import Epoch
from stemsplit.training.origin import Origin, StartNote
from stemsplit.training.recipe_file import read_recipe
from stemsplit.training.validation import Validation


def _epoch(number: int, sdr: dict[str, float | None]) -> Epoch:
    return Epoch(number, 10, 0.2, {"plain": Validation(0.1, sdr, dict.fromkeys(sdr, 0.5))}, "plain", True, 1.0, 0.0)


ORIGIN = Origin(
    data="",
    start=StartNote("htdemucs", "cbc8a9b1", {"kick": "drums"}),
    folders=(("one", 1.0), ("two", 2.0)),
    songs={"train": 9, "valid": 1, "test": 0},
    hours=dict.fromkeys(("train", "valid", "test"), (0.5, 0.25, 0.125, 1.0)),
)


@pytest.mark.parametrize("name", ["htdemucs", "htdemucs_mine", "htdemucs-mine", "drums", "My run"])
def test_the_reference_looks_for_the_same_repository(name: str) -> None:
    from demucs.hf import hf_repo_name

    assert hub_repository(name) == hf_repo_name(name)


def test_a_card_has_data_recipe_scores_and_how_to_publish() -> None:
    recipe = read_recipe("htdemucs")
    best = _epoch(7, {"drums": 1.234, "bass": None, "other": 2.0, "vocals": 3.0})
    card = model_card(Path("runs/mine"), recipe, ORIGIN, [best])
    for text in (
        "# mine\n",
        "| drums | 1.23 | 0.50 | 7 | plain | 0.1000 |",
        "| bass | silent |",
        "On 1 song that validated",
        "Songs from one and two (drawn 2 times as often).",
        "| train | 9 | 0:30:00 | 0:15:00 | 0:07:30 | 1:00:00 |",
        "From htdemucs (cbc8a9b1), heads: kick from drums.",
        "Segments of 7.8 s, 32 per step, adam at 0.0003.",
        "hf upload USER/Demucs-mine runs/mine . --exclude '*/*'",
        "demucs -n USER/mine",
    ):
        assert text in card


def test_a_card_of_a_bag_has_a_row_for_each_network() -> None:
    bests = [_epoch(1, {"drums": 1.0}), _epoch(2, {"vocals": 2.0})]
    card = model_card(Path("runs/bag"), read_recipe("htdemucs-ft"), replace(ORIGIN, start=None), bests)
    assert "2 networks" in card
    assert "| drums | 1.00 | 0.50 | 1 |" in card
    assert "| vocals | 2.00 | 0.50 | 2 |" in card
    assert "From fresh weights." in card
