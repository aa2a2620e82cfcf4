"""Which songs validate."""

from stemsplit.audio.assignment import Assigned
from stemsplit.evaluation.splits import MUSDB_VALIDATION, split_tracks


def _songs(names: list[str], split: str | None = None) -> list[Assigned]:
    return [Assigned(name, ((),), None, split) for name in names]


def test_a_tenth_validates_and_at_least_one() -> None:
    for count, expected in ((2, 1), (9, 1), (20, 2), (105, 10)):
        splits = split_tracks(_songs([f"song {index}" for index in range(count)]))
        assert len(splits["valid"]) == expected
        assert len(splits["train"]) == count - expected
        assert not splits["test"]


def test_new_songs_move_few_others() -> None:
    names = [f"song {index}" for index in range(100)]
    before = {song.name for song in split_tracks(_songs(names))["valid"]}
    after = {song.name for song in split_tracks(_songs([*names, *(f"new {index}" for index in range(10))]))["valid"]}
    assert len(before & after) > len(before) / 2


def test_the_names_alone_decide() -> None:
    names = [f"song {index}" for index in range(30)]
    one, other = split_tracks(_songs(names)), split_tracks(_songs(names[::-1]))
    assert {song.name for song in one["valid"]} == {song.name for song in other["valid"]}


def test_a_folder_called_valid_is_taken() -> None:
    splits = split_tracks([*_songs(["a", "b"], "train"), *_songs(["c"], "valid"), *_songs(["d"], "test")])
    assert {split: [song.name for song in songs] for split, songs in splits.items()} == {
        "train": ["a", "b"],
        "valid": ["c"],
        "test": ["d"],
    }


def test_musdb_has_its_own_fourteen() -> None:
    assert len(MUSDB_VALIDATION) == 14
    others = [f"train/Band {index} - Song" for index in range(86)]
    splits = split_tracks(_songs([*others, *(f"train/{name}" for name in MUSDB_VALIDATION)], "train"))
    assert {song.name.removeprefix("train/") for song in splits["valid"]} == MUSDB_VALIDATION
    assert len(splits["train"]) == 86


def test_test_songs_never_validate() -> None:
    splits = split_tracks(_songs(["a", "b", "c"], "test"))
    assert not splits["valid"]
    assert len(splits["test"]) == 3
