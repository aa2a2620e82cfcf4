"""Keep lists: whatever songs are called, the names that were written are read, and `train --keep` follows them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cli.test_training_data import counts, errors
from multitracks import write_multitrack
from stemsplit.errors import UsageError
from stemsplit.training.keep_list import keep_list, read_keep_list
from training_runs import RATE, contents, song, train, weights_of, write_songs

Written = Callable[[bytes], Path]

ODD = (
    *("# 1 hit", "#", '"Heroes"', '"', " both ends ", "two\nlines", "two\rlines", "a\u2028b", "\ufeffmark"),
    *("caf\udce9", " caf\udce9", "null", "[1]", "\\u0041", "rejected: a", "train/Ä - Ö", "\N{DRUM WITH DRUMSTICKS}"),
)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A keep list of these bytes."""
    path = tmp_path_factory.mktemp("lists") / "keep.txt"

    def write(content: bytes) -> Path:
        path.write_bytes(content)
        return path

    return write


def as_file(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _on_disk(raw: bytes) -> str:
    """As Python has names; bytes that are no text are lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


signs = st.sampled_from('"# \t\n\r\\\x85\u2028\ufeff\x1c\x1fa\udce9') | st.characters(exclude_categories=["Cs"])
texts = st.text(signs).filter(lambda text: "\0" not in text)
names = (texts.map(as_file) | st.binary()).filter(lambda raw: raw and 0 not in raw).map(_on_disk)


@given(songs=st.sets(names, min_size=1, max_size=5), comments=st.lists(texts))
@example(songs={"\ufeffmark"}, comments=[])
def test_what_was_written_is_read(songs: set[str], comments: list[str], written: Written) -> None:
    assert read_keep_list(written(as_file(keep_list(songs, comments)))) == songs


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_read_as_they_were_written(name: str, written: Written) -> None:
    assert read_keep_list(written(as_file(keep_list([name, "other"], ["of 2 songs"])))) == {name, "other"}


@pytest.mark.parametrize("name", ["A - B", "train/C, D & E", "Ä", "it's #1", 'the "best" of', "caf\udce9"])
def test_usual_names_stand_as_they_are(name: str) -> None:
    """For people who read, write and search the list."""
    assert keep_list([name], ["why"]) == f"# why\n{name}\n"


def test_a_comment_is_one_line(written: Written) -> None:
    text = keep_list(["a"], ["rejected: two\nlines", "b\r\nc", "d\u2028e"])
    assert [line[:2] for line in text.splitlines()] == ["# "] * 3 + ["a"]
    assert read_keep_list(written(as_file(text))) == {"a"}


@pytest.mark.parametrize(
    "content",
    [
        b"a b\nc\n",
        b"a b\nc",
        b"a b\r\nc\r\n",
        b"# 2 of 3 songs\n\na b\n  \n#c d\nc\n\n",
        b"# 2 of 3 songs\r\n\r\na b\r\n\t\r\nc\r\n",
        b"  a b  \n\tc\n",
        b'"a b"\r\n"c" \r\n',
        b'"\\u0061 b"\nc\n',
        b"c\na b\nc\na b\n",
        pytest.param(b"\xef\xbb\xbfa b\nc\n", id="with the mark of Windows' editors"),
        pytest.param(b"\xef\xbb\xbf# 2 of 3 songs\r\na b\r\nc\r\n", id="with that mark before a comment"),
    ],
)
def test_people_may_write_a_list_as_they_do(content: bytes, written: Written) -> None:
    assert read_keep_list(written(content)) == {"a b", "c"}


def test_names_that_are_no_text_are_those_of_the_disk(written: Written) -> None:
    assert read_keep_list(written(b"caf\xe9\n")) == {os.fsdecode(b"caf\xe9")}


@pytest.mark.parametrize(
    ("content", "mention"),
    [
        (b"", "names no song"),
        (b"\n \n\r\n", "names no song"),
        (b"# 0 of 3 songs\n# rejected: a\n", "names no song"),
        (b'a\n"b\n', "no list of songs"),
        (b'"a" b\n', "no list of songs"),
        (b'"a", "b"\n', "no list of songs"),
        (b'"a\\x"\n', "no list of songs"),
        (b'"', "no list of songs"),
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", "no list of songs", id="a picture"),
        pytest.param("a\nb\n".encode("utf-16"), "no list of songs", id="UTF-16"),
    ],
)
def test_what_is_no_list_is_refused_in_a_sentence(content: bytes, mention: str, written: Written) -> None:
    path = written(content)
    with pytest.raises(UsageError) as error:
        read_keep_list(path)
    assert_sentence(str(error.value), path, mention)


@pytest.mark.parametrize(
    ("name", "mention"),
    [("nowhere.txt", "no such file"), ("folder", "a folder"), ("file/keep.txt", "Check the path"), ("x" * 300, "long")],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(name: str, mention: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("song")
    with pytest.raises(UsageError) as error:
        read_keep_list(tmp_path / name)
    assert_sentence(str(error.value), tmp_path / name, mention)


def test_a_file_as_large_as_a_song_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "keep.txt"
    with path.open("wb") as file:
        file.truncate(100_000_001)  # all of it a hole
    with pytest.raises(UsageError) as error:
        read_keep_list(path)
    assert_sentence(str(error.value), path, "100 MB")


def assert_sentence(text: str, path: Path, mention: str) -> None:
    assert text.startswith(f"--keep {path}: ")
    assert mention in text
    assert text.endswith(".")
    assert "\n" not in text


# Training with one


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache of keep lists"))


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Called `song 0` to `song 3`."""
    return write_songs(tmp_path_factory.mktemp("data") / "songs")


@pytest.fixture
def lists(tmp_path: Path) -> Callable[..., Path]:
    """A keep list of these songs."""

    def write(*names: str, called: str = "keep.txt") -> Path:
        (tmp_path / called).write_text(keep_list(names, [f"{len(names)} songs"]))
        return tmp_path / called

    return write


def test_songs_that_the_list_does_not_name_are_passed_over(songs: Path, lists: Callable[..., Path]) -> None:
    result = train(songs, "--check", "--keep", lists("song 1", "song 3", "a song that is gone"))
    assert (result.code, errors(result)) == (0, [])
    assert counts(result) == {"train": 1, "valid": 1, "test": 0}
    assert "note: Passed over, since not in the keep list: 2 of the songs." in result.err
    assert "such as a song that is gone." in result.err
    everything = train(songs, "--check", "--keep", lists(*(f"song {number}" for number in range(4))))
    assert sum(counts(everything).values()) == 4
    assert "note: " not in everything.err


def test_nothing_is_wrong_with_songs_that_are_passed_over(
    songs: Path, tmp_path: Path, lists: Callable[..., Path]
) -> None:
    data = Path(shutil.copytree(songs, tmp_path / "songs"))
    (data / "song 0/bass.wav").write_bytes(b"garbage" * 99)
    (data / "song 2/drums.wav").unlink()
    assert len(errors(train(data, "--check"))) == 2
    result = train(data, "--check", "--keep", lists("song 1", "song 3"))
    assert (result.code, errors(result)) == (0, [])


def test_songs_in_folders_called_valid_and_test_stay(tmp_path: Path, lists: Callable[..., Path]) -> None:
    for name in ("train/a", "train/b", "train/c", "valid/d", "valid/e", "test/f"):
        write_multitrack(tmp_path / "songs" / name, song(0), RATE)
    result = train(tmp_path / "songs", "--check", "--keep", lists("train/b"))
    assert (result.code, errors(result)) == (0, [])
    assert counts(result) == {"train": 1, "valid": 2, "test": 1}
    assert "note: Passed over, since not in the keep list: 2 of the songs" in result.err


@pytest.mark.parametrize("words", [("--check",), ()])
def test_a_list_that_names_none_of_the_songs_is_a_problem(
    words: tuple[str, ...], songs: Path, tmp_path: Path, lists: Callable[..., Path]
) -> None:
    """As when the data are named from another folder on."""
    result = train(songs, *words, "-o", tmp_path / "run", "--keep", lists("songs/song 1", "songs/song 2"))
    (problem,) = errors(result)
    assert result.code == 2
    assert problem.startswith("The keep list names none of these songs.")
    assert "'songs/song 1'" in problem
    assert "'song 0'" in problem
    assert not (tmp_path / "run").exists()


def test_training_with_it_is_as_if_the_other_songs_were_not_there(
    songs: Path, tmp_path: Path, lists: Callable[..., Path]
) -> None:
    """Bit for bit; and then it is the run of these songs, which no other list goes on with."""
    few = write_songs(tmp_path / "few", (0, 1, 3))
    run, other = tmp_path / "run", tmp_path / "other"
    first = lists("song 3", "song 0", "song 1")
    assert train(songs, "-o", run, "--keep", first).code == 0
    assert train(few, "-o", other).code == 0
    assert weights_of(run) == weights_of(other)
    before = contents(run)
    for words in (("--keep", lists("song 0", "song 1", called="other.txt")), ()):
        refused = train(songs, "-o", run, *words)
        assert (refused.code, contents(run)) == (2, before)
        assert "differs in the data" in refused.err.splitlines()[-1]
    again = train(songs, "-o", run, "--keep", lists("song 1", "song 3", "song 0", "song 7", called="alike.txt"))
    assert again.code == 0
    assert "is trained already" in again.err


def test_what_is_no_list_ends_it_before_any_work(songs: Path, tmp_path: Path) -> None:
    result = train(songs, "-o", tmp_path / "run", "--keep", tmp_path / "nowhere.txt")
    assert result.code == 2
    assert errors(result) == [
        f"--keep {tmp_path / 'nowhere.txt'}: cannot be read: there is no such file. Check the name."
    ]
    assert not (tmp_path / "run").exists()
