"""What a record means for a run: what is done, what may be replaced, what goes with what is there."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from records import MAKING, SONG, making, record, stem, write_stem
from stemsplit.errors import EncodeError
from stemsplit.separation.record import Definition, InputFile, Making
from stemsplit.separation.resume import Wanted, merged

BOTH = {"song/drums.wav": stem("drums"), "song/vocals.wav": stem("vocals")}
PREVIEW = making(preview=(0.0, 10.0))
OTHER_MODEL = making(model="mdx", revision="another", hashes={})
OTHER_OPTIONS = making(options={"shifts": 2, "segment": 5.0})


def _wanted(root: Path, *stems: str, how: Making = MAKING) -> Wanted:
    files = {f"song/{name}.wav": Definition({name: 1.0}) for name in stems or ("drums", "vocals")}
    return Wanted(root, how, files, {path: Path(path).stem for path in files})


def _made(how: Making, *names: str) -> dict[str, Any]:
    return {f"song/{name}.wav": stem(name, making=how) for name in names or ("drums", "vocals")}


def _write(root: Path, *names: str) -> None:
    for name in names or ("drums", "vocals"):
        write_stem(root, f"song/{name}.wav")


def _allowed(root: Path, wish: Wanted, how: Making | None, *, overwrite: bool = False, done: bool = True) -> set[str]:
    """Which of two stems that are there, made so, may be replaced."""
    _write(root)
    known = None if how is None else record(_made(how), done=done)
    return {path.name for path in wish.replaceable(known, overwrite=overwrite)}


# What is done.


def test_stems_that_are_there_as_wanted_are_done(tmp_path: Path) -> None:
    _write(tmp_path)
    assert _wanted(tmp_path).is_made(record(BOTH))
    assert _wanted(tmp_path, "drums").is_made(record(BOTH)), "some of them are done too"


def test_only_a_record_that_is_done_skips(tmp_path: Path) -> None:
    _write(tmp_path)
    assert not _wanted(tmp_path).is_made(None)
    assert not _wanted(tmp_path).is_made(record(BOTH, done=False))
    assert not _wanted(tmp_path, "drums", "bass").is_made(record(BOTH))


def test_a_stem_that_is_gone_or_of_another_size_is_not_done(tmp_path: Path) -> None:
    _write(tmp_path)
    target = tmp_path / "song/drums.wav"
    for damage in (target.unlink, target.mkdir, target.rmdir, lambda: write_stem(tmp_path, "song/drums.wav", 99)):
        damage()
        assert not _wanted(tmp_path).is_made(record(BOTH))
        assert _wanted(tmp_path, "vocals").is_made(record(BOTH))


def test_an_output_folder_that_was_moved_is_as_done_as_before(tmp_path: Path) -> None:
    _write(tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    assert _wanted(tmp_path / "two").is_made(record(BOTH))
    assert not _wanted(tmp_path / "one").is_made(record(BOTH))


@pytest.mark.parametrize(
    "how",
    [
        OTHER_MODEL,
        OTHER_OPTIONS,
        PREVIEW,
        making(hashes={"955717e8.safetensors": "another"}),
        making(input=replace(SONG, size=1)),
        making(input=replace(SONG, mtime_ns=1)),
    ],
    ids=["model", "options", "preview", "hash", "size", "time"],
)
def test_stems_made_otherwise_are_not_done(how: Making, tmp_path: Path) -> None:
    _write(tmp_path)
    mixed = record({**_made(MAKING, "drums"), **_made(how, "vocals")})
    assert not _wanted(tmp_path).is_made(mixed)
    assert _wanted(tmp_path, "drums").is_made(mixed)
    assert _wanted(tmp_path, "vocals", how=how).is_made(mixed)


def test_where_and_when_stems_were_made_does_not_matter(tmp_path: Path) -> None:
    _write(tmp_path)
    elsewhere = making(device="cuda:0", precision="fp16", batch_size=8, version="0.0", seconds=3.0, model="alias")
    assert _wanted(tmp_path).is_made(record(_made(elsewhere)))


@pytest.mark.parametrize("preview", [(0.0, 10.0), (5.0, None), (0.0, None)])
def test_a_preview_is_done_for_the_same_excerpt_alone(preview: tuple[float, float | None], tmp_path: Path) -> None:
    _write(tmp_path)
    how = making(preview=preview)
    assert _wanted(tmp_path, how=how).is_made(record(_made(how)))
    for other in (MAKING, making(preview=(0.0, 9.0)), making(preview=(5.0, 10.0))):
        assert not _wanted(tmp_path, how=other).is_made(record(_made(how)))


@pytest.mark.parametrize(
    "definition",
    [Definition({"vocals": 0.5}), Definition({"vocals": 1.0, "bass": 1.0}), Definition({"vocals": 1.0}, ("x",))],
)
def test_a_stem_of_one_name_that_is_something_else_is_not_done(definition: Definition, tmp_path: Path) -> None:
    _write(tmp_path)
    known = record({**BOTH, "song/vocals.wav": stem("vocals", definition=definition)})
    assert not _wanted(tmp_path).is_made(known)
    assert _wanted(tmp_path, "drums").is_made(known)


# What may be replaced.


def test_where_nothing_is_nothing_is_replaced(tmp_path: Path) -> None:
    for known in (None, record(BOTH), record(_made(OTHER_MODEL)), record(_made(PREVIEW))):
        assert not _wanted(tmp_path).replaceable(known, overwrite=False)


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(
    "how",
    [MAKING, making(input=replace(SONG, size=1, mtime_ns=1)), making(device="cuda:0", version="0.0")],
    ids=["same", "changed song", "elsewhere"],
)
def test_stems_of_the_same_song_model_and_options_may_be_replaced(how: Making, done: bool, tmp_path: Path) -> None:
    assert _allowed(tmp_path, _wanted(tmp_path), how, done=done) == {"drums.wav", "vocals.wav"}
    assert _allowed(tmp_path, _wanted(tmp_path, "drums"), how, done=done) == {"drums.wav"}


def test_a_stem_that_was_cut_short_since_may_be_replaced(tmp_path: Path) -> None:
    write_stem(tmp_path, "song/drums.wav", 1)
    assert _wanted(tmp_path).replaceable(record(BOTH), overwrite=False) == {tmp_path / "song/drums.wav"}


def test_a_stem_that_is_something_else_by_now_may_be_replaced(tmp_path: Path) -> None:
    _write(tmp_path)
    known = record({"song/vocals.wav": stem("vocals", definition=Definition({"vocals": 0.5}))})
    assert _wanted(tmp_path, "vocals").replaceable(known, overwrite=False) == {tmp_path / "song/vocals.wav"}


def test_what_no_record_names_is_not_replaced(tmp_path: Path) -> None:
    for known in (None, record({})):
        with pytest.raises(EncodeError, match="--overwrite"):
            _allowed(tmp_path, _wanted(tmp_path), None)
        with pytest.raises(EncodeError, match=r"drums\.wav"):
            _wanted(tmp_path, "drums").replaceable(known, overwrite=False)


def test_what_no_record_names_is_not_replaced_beside_what_one_does(tmp_path: Path) -> None:
    _write(tmp_path)
    with pytest.raises(EncodeError, match=r"vocals\.wav"):
        _wanted(tmp_path).replaceable(record(_made(MAKING, "drums")), overwrite=False)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (OTHER_MODEL, ["the model mdx"]),
        (making(revision="another"), ["another version of the model"]),
        (making(options={"shifts": 2}), ["--shifts 2 (now 1)"]),
        (OTHER_OPTIONS, ["--segment 5 (now unset)", "--shifts 2 (now 1)"]),
        (making(options={"format": "flac"}), ["--format flac (now wav)"]),
    ],
    ids=["model", "version", "option", "options", "format"],
)
def test_stems_made_otherwise_are_kept_and_the_remedy_is_told(how: Making, told: list[str], tmp_path: Path) -> None:
    with pytest.raises(EncodeError) as raised:
        _allowed(tmp_path, _wanted(tmp_path), how)
    remedies = ["--overwrite", '--name "{model}/{track}/{stem}"', str(tmp_path / "song/drums.wav")]
    assert all(text in str(raised.value) for text in [*told, *remedies])


@pytest.mark.parametrize("wish", [MAKING, OTHER_MODEL, OTHER_OPTIONS, PREVIEW, making(preview=(5.0, None))])
def test_a_preview_may_be_replaced_by_anything(wish: Making, tmp_path: Path) -> None:
    assert _allowed(tmp_path, _wanted(tmp_path, how=wish), PREVIEW) == {"drums.wav", "vocals.wav"}


@pytest.mark.parametrize("how", [MAKING, OTHER_MODEL])
@pytest.mark.parametrize("done", [True, False])
def test_a_preview_replaces_no_whole_song(how: Making, done: bool, tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match=r"whole song.*--overwrite"):
        _allowed(tmp_path, _wanted(tmp_path, how=PREVIEW), how, done=done)


@pytest.mark.parametrize("wish", [MAKING, OTHER_OPTIONS, PREVIEW])
@pytest.mark.parametrize("how", [None, MAKING, OTHER_MODEL, PREVIEW])
def test_with_overwrite_everything_is_replaced(wish: Making, how: Making | None, tmp_path: Path) -> None:
    assert _allowed(tmp_path, _wanted(tmp_path, how=wish), how, overwrite=True) == {"drums.wav", "vocals.wav"}


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_is_never_replaced(overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "song/drums.wav").mkdir(parents=True)
    with pytest.raises(EncodeError, match="folder"):
        _wanted(tmp_path).replaceable(record(BOTH), overwrite=overwrite)


def test_a_link_that_no_record_names_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "song").mkdir()
    (tmp_path / "song/drums.wav").symlink_to("nowhere")
    with pytest.raises(EncodeError, match="--overwrite"):
        _wanted(tmp_path).replaceable(None, overwrite=False)


# What stays.


def test_stems_that_stay_limit_the_gain_of_those_that_join_them(tmp_path: Path) -> None:
    _write(tmp_path)
    known = record({"song/drums.wav": stem("drums", gain_db=-2.0), "song/vocals.wav": stem("vocals", gain_db=-3.0)})
    for names, gain_db, others in (
        (["bass"], -3.0, ["drums", "vocals"]),
        (["bass", "vocals"], -2.0, ["drums"]),
        (["drums", "vocals"], 0.0, []),
    ):
        wish = _wanted(tmp_path, *names)
        assert (wish.gain_limit_db(known), wish.others(known)) == (gain_db, others)


def test_where_nothing_stays_nothing_is_limited(tmp_path: Path) -> None:
    wish = _wanted(tmp_path, "bass")
    loud = {"song/drums.wav": stem("drums", gain_db=-2.0)}
    for known in (None, record({}), record(loud)):  # the file of the last one is gone
        assert (wish.gain_limit_db(known), wish.others(known)) == (0.0, [])
    write_stem(tmp_path, "song/drums.wav", 99)
    assert wish.gain_limit_db(record(loud)) == 0.0


@pytest.mark.parametrize("how", [OTHER_MODEL, OTHER_OPTIONS, PREVIEW, making(input=replace(SONG, size=1))])
def test_stems_made_otherwise_limit_nothing(how: Making, tmp_path: Path) -> None:
    _write(tmp_path)
    known = record({"song/drums.wav": stem("drums", gain_db=-2.0, making=how)})
    wish = _wanted(tmp_path, "bass")
    assert (wish.gain_limit_db(known), wish.others(known)) == (0.0, [])


def test_a_later_run_adds_to_the_record() -> None:
    later = making(input=replace(SONG, size=1))
    new = record({"song/vocals.wav": stem(making=later), "song/bass.wav": stem("bass")}, input=later.input, done=False)
    result = merged(record(BOTH), new)
    assert result.stems == {"song/drums.wav": BOTH["song/drums.wav"], **new.stems}
    assert (result.input, result.is_done, result.track) == (later.input, False, "song")
    assert merged(None, new) == new


def test_sizes_of_what_cannot_be_asked_are_no_error(tmp_path: Path) -> None:
    names = [os.fsdecode(b"\xff.wav"), "x" * 300 + ".wav", "none/there.wav"]
    files = {name: Definition({}) for name in names}
    known = record({name: stem(definition=Definition({})) for name in names})
    assert not Wanted(tmp_path, MAKING, files, dict.fromkeys(names, "any")).is_made(known)
    assert InputFile("/none/\0.wav", 1, 1).has_become(InputFile("/other", 1, 1))
