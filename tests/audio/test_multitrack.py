"""Songs as stems are found in every layout, read side by side, and nothing is written where they lie."""

import json
from pathlib import Path

import numpy as np
import pytest

from multitracks import SOURCES, multitrack, write_multitrack
from signals import noise, write_sound
from stemsplit.audio.multitrack import find_multitracks, stem_blocks
from stemsplit.errors import DecodeError

RATE = 44_100


def test_musdb(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("b - song", "a - song"):
            write_multitrack(tmp_path / split / name, multitrack(1, 0.5), mixture=True)
    tracks = find_multitracks(tmp_path)
    assert [(track.name, track.split) for track in tracks] == [
        ("test/a - song", "test"),
        ("test/b - song", "test"),
        ("train/a - song", "train"),
        ("train/b - song", "train"),
    ]
    assert set(tracks[0].files) == set(SOURCES)
    assert tracks[0].mixture == tmp_path / "test" / "a - song" / "mixture.wav"
    assert not tracks[0].is_sparse


def test_moises(tmp_path: Path) -> None:
    song = tmp_path / "0a1b"
    for path in ("drums/kick.wav", "drums/snare.wav", "bass/b.wav", "other_keys/organ.wav"):
        (song / path).parent.mkdir(parents=True, exist_ok=True)
        write_sound(song / path, noise(2, 100))
    (song / "data.json").write_text(json.dumps({"song": "x", "stems": []}))
    (track,) = find_multitracks(tmp_path)
    assert {name: len(files) for name, files in track.files.items()} == {"drums": 2, "bass": 1, "other_keys": 1}
    assert track.is_sparse
    assert track.split is None


def test_any_folder_of_folders(tmp_path: Path) -> None:
    write_multitrack(tmp_path / "band" / "2024" / "song", multitrack(1, 0.2), suffix=".flac")
    write_multitrack(tmp_path / "band" / "demo", {"Kick": noise(1, 100), "Synth": noise(2, 100)})
    (tmp_path / "band" / ".hidden").mkdir()
    write_multitrack(tmp_path / "band" / ".hidden" / "x", {"kick": noise(1, 100)})
    (tmp_path / "band" / "notes.txt").write_text("no sound")
    tracks = find_multitracks(tmp_path)
    assert [track.name for track in tracks] == ["band/2024/song", "band/demo"]
    assert set(tracks[1].files) == {"kick", "synth"}


def test_a_song_by_itself_and_stems_of_ones_own_in_folders(tmp_path: Path) -> None:
    song = tmp_path / "song"
    (song / "Choir").mkdir(parents=True)
    write_sound(song / "Choir" / "alto.wav", noise(1, 100))
    write_sound(song / "Choir" / "tenor.wav", noise(1, 100))
    (track,) = find_multitracks(song, ["choir"])
    assert track.name == "song"
    assert len(track.files["choir"]) == 2


def test_links_lead_nowhere_twice(tmp_path: Path) -> None:
    write_multitrack(tmp_path / "songs" / "one", multitrack(1, 0.2))
    (tmp_path / "songs" / "again").symlink_to(tmp_path / "songs", target_is_directory=True)
    assert len(find_multitracks(tmp_path / "songs")) == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="nowhere"):
        find_multitracks(tmp_path / "nowhere")


def test_stems_side_by_side(tmp_path: Path) -> None:
    long, short = noise(2, 150_000, seed=1), noise(1, 70_000, seed=2)
    a = write_sound(tmp_path / "a.wav", long, subtype="FLOAT")
    b = write_sound(tmp_path / "b.wav", short, subtype="FLOAT")
    blocks = list(stem_blocks([[a], [], [a, b]], RATE))
    whole = np.concatenate(blocks, axis=2)
    np.testing.assert_array_equal(whole[0], long)
    assert not whole[1].any()
    expected = long.copy()
    expected[:, :70_000] += short
    np.testing.assert_array_equal(whole[2], expected)


def test_stems_of_other_rates_keep_their_length_in_seconds(tmp_path: Path) -> None:
    a = write_sound(tmp_path / "a.wav", noise(2, RATE))
    b = write_sound(tmp_path / "b.wav", noise(2, 48_000), 48_000)
    whole = np.concatenate(list(stem_blocks([[a], [b]], RATE)), axis=2)
    assert whole.shape == (2, 2, RATE)
