"""What is known of a track, on the disk: nothing of it is lost, and nothing else is taken for it."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import MAKING, SONG, making, record, stem
from stemsplit.errors import RecordError
from stemsplit.separation.record import Definition, InputFile, Making, Record, RecordedStem
from stemsplit.separation.record_file import (
    FOLDER,
    from_json,
    outputs_recorded_in,
    read_record,
    record_path,
    to_json,
    write_record,
)


def _stored(root: Path, track: str = "song") -> bytes:
    return record_path(root, track).read_bytes()


def _store(root: Path, data: bytes, track: str = "song") -> None:
    path = record_path(root, track)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _changed(root: Path, *keys: str | int, value: Any) -> None:
    """Write a record in which one value is another; without keys, another one beside the rest."""
    values = to_json(record())
    inner: Any = values
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    _store(root, json.dumps(values).encode())


# Written and read.

TEXT = st.text(max_size=20)
PATHS = st.binary(min_size=1, max_size=20).filter(lambda path: b"\0" not in path).map(os.fsdecode)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SIZES = st.integers(0, 2**63)
INPUTS = st.builds(InputFile, PATHS, SIZES, st.integers(-(2**63), 2**63))
DEFINITIONS = st.builds(Definition, st.dictionaries(TEXT, NUMBERS, max_size=3), st.lists(TEXT, max_size=3).map(tuple))
MAKINGS = st.builds(
    Making,
    INPUTS,
    model=TEXT,
    revision=st.none() | TEXT,
    hashes=st.dictionaries(TEXT, TEXT, max_size=2),
    options=st.dictionaries(TEXT, st.none() | TEXT | NUMBERS, max_size=3),
    preview=st.none() | st.tuples(NUMBERS, st.none() | NUMBERS),
    device=st.none() | TEXT,
    precision=st.none() | TEXT,
    batch_size=st.none() | st.integers(1, 64),
    is_batch_auto=st.booleans(),
    version=TEXT,
    audio_seconds=st.none() | NUMBERS,
    seconds=st.none() | NUMBERS,
)
STEMS = st.builds(RecordedStem, TEXT, DEFINITIONS, SIZES, SIZES, SIZES, st.floats(-200, 0), MAKINGS)
INSIDE = PATHS.filter(lambda path: not path.startswith("/") and ".." not in path.split("/"))
RECORDS = st.builds(Record, TEXT, INPUTS, st.booleans(), st.dictionaries(INSIDE, STEMS, max_size=3))


@given(RECORDS)
def test_a_record_comes_back_as_it_was(written: Record) -> None:
    assert from_json(json.loads(json.dumps(to_json(written)))) == written


def test_a_record_is_one_file_for_its_track(tmp_path: Path) -> None:
    for track in ("song", "htdemucs/Album/song", "song.mp3", "song.new"):
        written = record(track=track)
        write_record(tmp_path, written)
        assert read_record(tmp_path, track) == written
    files = sorted(str(path.relative_to(tmp_path / FOLDER)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["htdemucs/Album/song.json", "song.json", "song.mp3.json", "song.new.json"]


def test_a_record_keeps_bytes_that_are_no_text(tmp_path: Path) -> None:
    song = replace(SONG, path=os.fsdecode(b"/music/\xff\xfe.wav"))
    written = record({"song/vocals.wav": stem(making=making(input=song))}, input=song)
    write_record(tmp_path, written)
    assert read_record(tmp_path, "song") == written
    assert os.fsencode(written.input.path) == b"/music/\xff\xfe.wav"


def test_a_record_says_that_it_is_being_written_then_that_it_is_done(tmp_path: Path) -> None:
    writing = record(done=False)
    for written, state in ((writing, "writing"), (writing.done(writing.stems), "done")):
        write_record(tmp_path, written)
        assert json.loads(_stored(tmp_path))["state"] == state
        assert read_record(tmp_path, "song") == written
    assert writing.done(writing.stems) == record(done=True)


@pytest.mark.parametrize("state", ["Done", "", None, 1, True])
def test_only_done_is_done(state: object, tmp_path: Path) -> None:
    _changed(tmp_path, "state", value=state)
    read = read_record(tmp_path, "song")
    assert read is not None
    assert not read.is_done


def test_stems_that_were_made_together_share_how(tmp_path: Path) -> None:
    other = making(options={"shifts": 2})
    stems = {"a.wav": stem("a"), "b.wav": stem("b"), "c.wav": stem("c", making=other), "d.wav": stem("d")}
    values = to_json(record(stems))
    assert len(values["makings"]) == 2
    assert [item["making"] for item in values["stems"]] == [0, 0, 1, 0]


def test_the_outputs_of_all_records_are_told(tmp_path: Path) -> None:
    write_record(tmp_path, record({"a/x.wav": stem(), "a/y.wav": stem()}, track="a"))
    write_record(tmp_path, record({"b/c/z.wav": stem()}, track="b/c", done=False))
    assert sorted(outputs_recorded_in(tmp_path)) == [tmp_path / name for name in ("a/x.wav", "a/y.wav", "b/c/z.wav")]


# What is no record.


def test_where_nothing_is_known_there_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path, "song") is None
    assert read_record(tmp_path / "none", "a/song") is None
    record_path(tmp_path, "song").mkdir(parents=True)
    assert read_record(tmp_path, "song") is None


def test_a_record_cut_short_anywhere_is_none(tmp_path: Path) -> None:
    write_record(tmp_path, record())
    whole = _stored(tmp_path)
    for length in range(len(whole)):
        _store(tmp_path, whole[:length])
        assert read_record(tmp_path, "song") is None, length


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"\0" * 100,
        b"null",
        b"[]",
        b"{}",
        b'"record"',
        b'{"schema": 1}',
        b'{"schema": "2"}',
        b'{"schema": null}',
        b'{"schema": 0, "state": "done"}',
        b"[" * 100_000,
        b'{"schema": 1, "makings": {}, "stems": [], "input": [], "track": "", "state": "done"}',
    ],
    ids=lambda data: data[:20].decode("latin1"),
)
def test_what_is_no_record_is_none(data: bytes, tmp_path: Path) -> None:
    _store(tmp_path, data)
    assert read_record(tmp_path, "song") is None


@pytest.mark.parametrize("key", ["state", "track", "input", "makings", "stems"])
def test_a_record_that_lacks_anything_is_none(key: str, tmp_path: Path) -> None:
    values = to_json(record())
    del values[key]
    _store(tmp_path, json.dumps(values).encode())
    assert read_record(tmp_path, "song") is None


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("input",), {"path": "/music/song.wav"}),
        (("makings",), []),
        (("makings", 0, "preview"), 5),
        (("makings", 0, "input"), None),
        (("stems",), {"song/vocals.wav": {}}),
        (("stems", 0, "making"), 1),
        (("stems", 0, "making"), None),
        (("stems", 0, "size"), "large"),
        (("stems", 0, "frames"), None),
        (("stems", 0, "gains"), ["vocals"]),
        (("stems", 0, "completes"), None),
        (("stems", 0, "path"), 5),
    ],
    ids=str,
)
def test_a_record_of_something_else_is_none(keys: tuple[str | int, ...], value: object, tmp_path: Path) -> None:
    _changed(tmp_path, *keys, value=value)
    assert read_record(tmp_path, "song") is None


@pytest.mark.parametrize("path", ["/etc/passwd", "../song.wav", "song/../../song.wav", "song/.."])
def test_a_record_that_leads_out_of_its_folder_is_none(path: str, tmp_path: Path) -> None:
    _changed(tmp_path, "stems", 0, "path", value=path)
    assert read_record(tmp_path, "song") is None


@pytest.mark.parametrize("data", [b'{"schema": 2}', b'{"schema": 99, "anything": [1, "else"]}\n'])
def test_a_record_of_a_newer_version_is_told_and_left_alone(data: bytes, tmp_path: Path) -> None:
    _store(tmp_path, data)
    with pytest.raises(RecordError, match="newer") as raised:
        read_record(tmp_path, "song")
    assert str(record_path(tmp_path, "song")) in str(raised.value)
    assert "Update" in str(raised.value)
    assert _stored(tmp_path) == data


# Whole or not at all.


@pytest.mark.parametrize("call", ["replace", "write_text"])
@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_a_record_that_cannot_be_written_leaves_the_one_before(
    call: str, kind: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path, record())
    before = _stored(tmp_path)

    def broken(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b'{"schema": 1, ')  # as far as the disk had room
        raise kind("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Path, call, broken)
        with pytest.raises(kind, match="stopped"):
            write_record(tmp_path, record(done=False))
    assert _stored(tmp_path) == before
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["song.json"]


def test_a_record_is_whole_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file = Path.replace
    seen: list[bytes] = []

    def watched(path: Path, target: Path) -> Path:
        assert not target.exists()
        seen.append(path.read_bytes())
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_record(tmp_path, record())
    assert seen == [_stored(tmp_path)]


# The same song.


def test_a_file_is_told_by_path_size_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(bytes(7))
    os.utime(path, ns=(1, 1_234_567_890_123_000_000))
    monkeypatch.chdir(tmp_path)
    assert InputFile.of(Path("song.wav")) == InputFile(str(path), 7, 1_234_567_890_123_000_000)
    with pytest.raises(FileNotFoundError):
        InputFile.of(tmp_path / "none.wav")


def test_a_link_is_told_by_its_own_path_and_by_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(bytes(7))
    (tmp_path / "link.wav").symlink_to("song.wav")
    link, song = InputFile.of(tmp_path / "link.wav"), InputFile.of(tmp_path / "song.wav")
    assert link.path == str(tmp_path / "link.wav")
    assert link.is_as(song)


@pytest.mark.parametrize(
    ("path", "size", "time", "is_there", "is_same"),
    [
        ("same", 7, 1, True, True),
        ("same", 8, 2, True, True),  # changed in its place
        ("same", 8, 2, False, True),
        ("other", 7, 1, False, True),  # moved
        ("other", 7, 1, True, False),  # a copy
        ("other", 8, 1, False, False),
        ("other", 7, 2, False, False),
    ],
)
def test_a_song_is_the_same_by_its_path_or_if_it_was_moved(
    path: str, size: int, time: int, is_there: bool, is_same: bool, tmp_path: Path
) -> None:
    before = InputFile(str(tmp_path / "same"), 7, 1)
    if is_there:
        (tmp_path / "same").touch()
    assert before.has_become(InputFile(str(tmp_path / path), size, time)) is is_same


# The same samples.


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "cuda:0", "precision": "fp16", "batch_size": 8, "is_batch_auto": True},
        {"version": "99", "audio_seconds": 1.0, "seconds": 2.0},
        {"model": "another name of it"},
        {"input": replace(SONG, path="/elsewhere/song.wav")},
    ],
    ids=str,
)
def test_what_is_noted_is_not_compared(changes: dict[str, Any]) -> None:
    assert MAKING.equals(making(**changes))


@pytest.mark.parametrize(
    ("changes", "claims"),
    [
        ({"revision": "another"}, False),
        ({"revision": None}, False),
        ({"hashes": {}}, False),
        ({"hashes": {"955717e8.safetensors": "another"}}, False),
        ({"options": {"shifts": 2}}, False),
        ({"options": {"of a later version": "on"}}, False),
        ({"preview": (0.0, 10.0)}, True),
        ({"input": replace(SONG, size=1)}, True),
        ({"input": replace(SONG, mtime_ns=1)}, True),
    ],
    ids=str,
)
def test_what_decides_samples_is_compared(changes: dict[str, Any], claims: bool) -> None:
    for one, other in ((MAKING, making(**changes)), (making(**changes), MAKING)):
        assert not one.equals(other)
        assert one.claims_for(other) is claims
