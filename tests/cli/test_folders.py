"""Folders in, their tree out; what is done is skipped, and what happens when something has changed since."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.program import Result, assert_one_sentence, everything_below, sound, stem_bytes
from cli.test_batches import make_songs
from signals import noise, write_sound
from standins import make_folder
from stemsplit.audio.reader import open_audio

Split = Callable[..., Result]


def statuses(result: Result) -> dict[str, str]:
    return {report["track"]: report["status"] for report in result.reports}


def record_of(output: Path, track: str) -> Path:
    return output / ".stemsplit" / f"{track}.json"


@pytest.fixture
def music(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three songs in two folders, with other things between; the current one."""
    folder = here / "Music"
    make_songs(folder, "one.wav", "Rock/one.wav", "Rock/Live/two.flac")
    (folder / "Rock/cover.jpg").touch()
    (folder / ".DS_Store").touch()
    (folder / "Rock/._one.wav").touch()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No song can be opened, nor any network be built: what works nevertheless has looked at none."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is to be decoded")

    for place in ("separation.track", "separation.lengths", "separation.mixture"):
        monkeypatch.setattr(f"stemsplit.{place}.open_audio", refuse)
    monkeypatch.setattr("stemsplit.separation.separator.load_bag", refuse)


def test_a_folder_keeps_its_tree_and_its_own_name(music: Path, split: Split) -> None:
    result = split(".", "-s", "drums")
    assert result.code == 0
    written = [path.relative_to(music) for path in (music / "separated").rglob("*.wav")]
    assert set(written) == {
        Path("separated/Music/one/drums.wav"),
        Path("separated/Music/Rock/one/drums.wav"),
        Path("separated/Music/Rock/Live/two/drums.wav"),
    }
    assert "3 songs to split, 0:01 of audio (passed over: 1 no audio, 2 hidden)." in result.err.splitlines()
    assert result.err.splitlines()[-1] == "3 songs: 3 done."


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("{stem}/{track}", "drums/Music/Rock/one.wav"),
        ("{model}/{track}/{stem}", "small/Music/Rock/one/drums.wav"),
        ("{track} ({stem})", "Music/Rock/one (drums).wav"),
        ("{folder} - {stem}", "Rock - drums.wav"),
    ],
)
def test_the_tree_goes_where_the_track_is(template: str, place: str, music: Path, split: Split) -> None:
    (music / "Rock/Live/two.flac").unlink()
    assert split(music / "Rock", music, "-s", "drums", "--name", template).code == 0
    expected = place.replace("Music/", "") if "{track}" in template else place
    assert (music / "separated" / expected).is_file()


def test_again_nothing_is_decoded(music: Path, split: Split, request: pytest.FixtureRequest) -> None:
    first = split(".", "--json")
    before = stem_bytes(music / "separated/Music/one")
    request.getfixturevalue("undecoded")
    again = split(".", "--json")
    assert again.code == 0
    assert statuses(again) == dict.fromkeys(statuses(first), "skipped")
    by_track = {report["track"]: report for report in first.reports}
    for report in again.reports:
        assert report["outputs"] == by_track[report["track"]]["outputs"]
        assert report["gain_db"] == by_track[report["track"]]["gain_db"]
        assert (report["networks"], report["device"], report["seconds"]) == (None, None, None)
    assert stem_bytes(music / "separated/Music/one") == before
    assert split(".").err.splitlines() == [
        "0 songs to split; 3 done before (passed over: 1 no audio, 2 hidden).",
        "3 songs: 3 done before.",
    ]


def test_one_song_again_says_so(song: Path, split: Split) -> None:
    assert split("song.wav").code == 0
    again = split("song.wav")
    assert (again.code, again.err) == (0, "song: all stems are there. --overwrite makes them anew.\n")


def test_a_changed_song_is_done_again(music: Path, split: Split) -> None:
    assert split(".").code == 0
    before = stem_bytes(music / "separated/Music/one")
    write_sound(music / "one.wav", noise(2, 12_000, seed=9))
    result = split(".", "--json")
    assert result.code == 0
    assert statuses(result) == {"Music/one": "done", "Music/Rock/one": "skipped", "Music/Rock/Live/two": "skipped"}
    assert stem_bytes(music / "separated/Music/one") != before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--overlap", "0.5"], "--overlap 0.25 (now 0.5)"),
        (["--bit-depth", "16"], "--bit-depth 24 (now 16)"),
        (["--shifts", "2"], "--shifts 1 (now 2)"),
        (["--sample-rate", "48000"], "--sample-rate keep (now 48000)"),
        (["--clip", "none"], "--clip gain (now none)"),
        (["--segment", "0.3"], "--segment unset (now 0.3)"),
    ],
)
def test_other_options_replace_nothing(options: list[str], told: str, song: Path, here: Path, split: Split) -> None:
    assert split("song.wav").code == 0
    before = stem_bytes(here / "separated/song")
    result = split("song.wav", *options)
    assert result.code == 1
    assert_one_sentence(result, "separated/song/drums.wav", told, "--overwrite", '--name "{model}/{track}/{stem}"')
    assert stem_bytes(here / "separated/song") == before
    assert split("song.wav", *options, "--overwrite").code == 0
    assert split("song.wav", *options, "--json").report["status"] == "skipped"


def test_another_model_replaces_nothing(song: Path, here: Path, split: Split, tmp_path: Path) -> None:
    assert split("song.wav").code == 0
    other = make_folder(tmp_path / "other", members=2)
    result = split("song.wav", "-m", other)
    assert result.code == 1
    assert_one_sentence(result, "made with the model small", "--overwrite")
    remedied = split("song.wav", "-m", other, "--name", "{model}/{track}/{stem}")
    assert remedied.code == 0
    assert (here / "separated/other/song/vocals.wav").is_file()


def test_another_format_beside_the_first(song: Path, here: Path, split: Split) -> None:
    for format_ in ("wav", "flac"):
        assert split("song.wav", "-f", format_).code == 0
    for format_ in ("wav", "flac"):
        assert split("song.wav", "-f", format_, "--json").report["status"] == "skipped"
    assert len(list((here / "separated/song").iterdir())) == 8


@pytest.mark.parametrize("options", [["--device", "cpu"], ["--batch-size", "3"], ["--precision", "fp32"], ["-q"]])
def test_what_does_not_count_as_an_option(options: list[str], song: Path, split: Split) -> None:
    assert split("song.wav", "-s", "drums").code == 0
    assert split("song.wav", "-s", "drums", *options, "--json").report["status"] == "skipped"


def test_a_deleted_stem_comes_back_the_same(music: Path, split: Split) -> None:
    assert split(".").code == 0
    before = stem_bytes(music / "separated/Music/one")
    (music / "separated/Music/one/bass.wav").unlink()
    result = split(".", "--json")
    assert statuses(result)["Music/one"] == "done"
    assert stem_bytes(music / "separated/Music/one") == before


def test_a_stem_cut_short_comes_back(song: Path, here: Path, split: Split) -> None:
    assert split("song.wav").code == 0
    before = stem_bytes(here / "separated/song")
    os.truncate(here / "separated/song/drums.wav", 100)
    assert split("song.wav").code == 0
    cut = {"drums (changed).wav": before["drums.wav"][:100]}
    assert stem_bytes(here / "separated/song") == before | cut


@pytest.mark.parametrize("is_longer", [True, False])
def test_a_stem_that_somebody_has_changed_is_kept(is_longer: bool, song: Path, here: Path, split: Split) -> None:
    assert split("song.wav").code == 0
    edited = here / "separated/song/bass.wav"
    before = stem_bytes(edited.parent)
    content = before["bass.wav"][:-8] + b"my edits" + b"!" * is_longer
    edited.write_bytes(content)
    (here / "separated/song/drums.wav").unlink()
    result = split("song.wav", "--json")
    assert (result.code, result.report["status"]) == (0, "done")
    (warning,) = result.report["warnings"]
    assert warning == "separated/song/bass.wav: was changed since it was made, so it is kept as bass (changed).wav."
    assert stem_bytes(edited.parent) == {**before, "bass (changed).wav": content}
    assert split("song.wav", "--json").report["status"] == "skipped"


def test_a_later_run_adds_stems_to_the_record(song: Path, here: Path, split: Split) -> None:
    assert split("song.wav", "-s", "vocals").code == 0
    assert split("song.wav", "-s", "drums").code == 0
    for wanted in ("vocals", "drums", "drums,vocals"):
        assert split("song.wav", "-s", wanted, "--json").report["status"] == "skipped"
    assert split("song.wav", "-k", "--json").report["status"] == "done"
    record = json.loads(record_of(here / "separated", "song").read_text())
    assert {stem["stem"] for stem in record["stems"]} == {"vocals", "drums", "instrumental"}


def test_stems_of_two_runs_add_up(here: Path, split: Split) -> None:
    """What comes later is turned down like what is there."""
    write_sound(here / "loud.wav", noise(2, 30_000, level=0.8))
    first = split("loud.wav", "--json").report
    assert first["gain_db"] < -1
    assert split("loud.wav", "--drop", "vocals", "--json").report["gain_db"] <= first["gain_db"] + 1e-9


def test_the_same_stem_made_otherwise_is_made(song: Path, split: Split) -> None:
    """Its definition has changed."""
    assert split("song.wav", "--mix", "mine=drums").code == 0
    assert split("song.wav", "--mix", "mine=drums*0.5", "--json").report["status"] == "done"
    assert split("song.wav", "--mix", "mine=drums*0.5", "--json").report["status"] == "skipped"


def test_a_moved_output_is_still_done(music: Path, split: Split, here: Path) -> None:
    assert split(".").code == 0
    shutil.move(music / "separated", here / "elsewhere")
    result = split(".", "-o", here / "elsewhere", "--json")
    assert set(statuses(result).values()) == {"skipped"}


def test_a_moved_song_is_still_done(music: Path, split: Split, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert split(".", "-o", here / "out").code == 0
    shutil.move(music, here / "elsewhere")
    (here / "elsewhere").rename(here / "Music")
    monkeypatch.chdir(here)
    assert set(statuses(split("Music", "-o", "out", "--json")).values()) == {"skipped"}


def test_a_record_of_a_newer_version_is_left_alone(song: Path, here: Path, split: Split) -> None:
    make_songs(here, "other.wav")
    assert split("song.wav").code == 0
    path = record_of(here / "separated", "song")
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    before, stems = path.read_bytes(), stem_bytes(here / "separated/song")
    for options in ([], ["--overwrite"]):
        result = split("song.wav", "other.wav", "--json", *options)
        assert result.code == 1
        assert statuses(result)["song"] == "failed"
        assert "newer stemsplit" in next(iter(r["error"] for r in result.reports if r["track"] == "song"))
    assert (path.read_bytes(), stem_bytes(here / "separated/song")) == (before, stems)


def test_names_that_others_hold_are_passed_by(here: Path, split: Split) -> None:
    make_songs(here, "a/song.wav", "b/song.wav")
    assert split("a/song.wav", "b/song.wav").code == 0
    for words in (["b/song.wav"], ["b/song.wav", "a/song.wav"]):
        result = split(*words, "--json")
        assert result.code == 0
        assert {report["input"]: report["track"] for report in result.reports}["b/song.wav"] == "song.wav"
        assert set(statuses(result).values()) == {"skipped"}


def test_a_preview_gives_way_and_replaces_nothing_whole(song: Path, here: Path, split: Split) -> None:
    preview = ["--duration", "0.2"]
    assert split("song.wav", *preview).code == 0
    assert split("song.wav", *preview, "--json").report["status"] == "skipped"
    assert split("song.wav", "--duration", "0.3", "--overlap", "0.5", "--json").report["status"] == "done"
    assert split("song.wav", "--json").report["status"] == "done"
    before = stem_bytes(here / "separated/song")
    refused = split("song.wav", *preview)
    assert refused.code == 1
    assert_one_sentence(refused, "is of the whole song", "--overwrite")
    assert stem_bytes(here / "separated/song") == before


def test_standard_input_leaves_no_record(song: Path, here: Path, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    with song.open("rb") as file:
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": file, "isatty": lambda self: False})())
        assert split("-").code == 0
    assert not (here / "separated/.stemsplit").exists()


def test_an_output_folder_that_is_named_is_searched_less_its_stems(here: Path, split: Split) -> None:
    make_songs(here, "one.wav")
    assert split("one.wav", "-o", ".").code == 0
    make_songs(here, "one/take.wav")
    result = split(".", "-o", ".", "--json")
    assert result.code == 0
    assert {report["input"] for report in result.reports} == {"one.wav", "one/take.wav"}


@pytest.mark.parametrize("files", [[], ["notes.txt", ".hidden.wav"]])
def test_where_there_are_no_songs(files: list[str], here: Path, split: Split) -> None:
    (here / "empty").mkdir()
    for name in files:
        (here / "empty" / name).touch()
    result = split("empty")
    assert result.code == 1
    assert_one_sentence(result, "empty: no song is there", "Name a file itself")
    assert everything_below(here) == [here / "empty", *sorted(here / "empty" / name for name in files)]


def test_a_shard_is_its_share(here: Path, split: Split) -> None:
    make_songs(here / "Music", *(f"{number}.wav" for number in range(7)))
    shares: list[set[str]] = []
    for index in (1, 2, 3):
        result = split("Music", "-s", "drums", "--json", "--shard", f"{index}/3")
        assert result.code == 0
        shares.append(set(statuses(result)))
        assert set(statuses(result).values()) <= {"done"}
    assert sorted(track for share in shares for track in share) == [f"Music/{number}" for number in range(7)]


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "1/0", "a/b", "-1/3", "1/3/5"])
def test_a_shard_that_is_none(shard: str, song: Path, split: Split) -> None:
    result = split("song.wav", "--shard", shard)
    assert result.code == 2
    assert_one_sentence(result, "--shard", "I/N")


def test_several_processes(here: Path, split: Split) -> None:
    make_songs(here / "Music", *(f"{number}.wav" for number in range(5)))
    (here / "Music/bad.wav").write_text("la la la")
    alone = split("Music", "-s", "drums,bass", "-o", "alone", "--device", "cpu")
    result = split("Music", "-s", "drums,bass", "-o", "out", "--jobs", "2", "--device", "cpu", "--json")
    assert (alone.code, result.code) == (1, 1)
    assert statuses(result) == {"Music/bad": "failed"} | {f"Music/{number}": "done" for number in range(5)}
    for path in (here / "alone").rglob("*.wav"):  # with fewer threads, torch adds up in another order
        other = here / "out" / path.relative_to(here / "alone")
        assert np.abs(sound(other).samples - sound(path).samples).max() < 1e-5


def test_two_hundred_songs_of_which_six_are_broken(here: Path, split: Split, request: pytest.FixtureRequest) -> None:
    make_songs(here / "Music", *(f"{number:03}.wav" for number in range(194)))
    broken = [f"Music/broken {number}" for number in range(6)]
    for name in broken:
        (here / f"{name}.wav").write_text("la la la")
    result = split("Music")
    assert result.code == 1
    *_, told, a, b, c, d, e, f = result.err.splitlines()
    assert told == "200 songs: 194 done, 6 failed:"
    for line, name in zip((a, b, c, d, e, f), broken, strict=True):
        assert line.startswith(f"  {name}.wav: ")
    assert len(list((here / "separated").rglob("*.wav"))) == 4 * 194
    request.getfixturevalue("undecoded_songs")
    again = split("Music", "--json")
    assert again.code == 1
    assert [statuses(again)[name] for name in broken] == ["failed"] * 6
    assert sum(status == "skipped" for status in statuses(again).values()) == 194


@pytest.fixture
def undecoded_songs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only broken ones may be opened."""

    def only_broken(path: Path, *rest: Any) -> Any:
        assert "broken" in path.name, f"{path} is not to be decoded"
        return open_audio(path, *rest)

    monkeypatch.setattr("stemsplit.separation.track.open_audio", only_broken)
