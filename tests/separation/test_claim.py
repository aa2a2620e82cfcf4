"""Who makes a track: one at a time, who also clears up after one that died at it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from filelock import FileLock, Timeout

from records import record
from stemsplit.errors import EncodeError
from stemsplit.separation.claim import Claim, is_abandoned
from stemsplit.separation.record_file import FOLDER, beside_record, read_record, write_record

SECONDS = 60  # far longer than anything takes here

# Takes a track, makes two temporaries, and lives until it is killed or its input ends.
HOLDER = """
import sys
from pathlib import Path
from stemsplit.separation.claim import Claim

root, track = Path(sys.argv[1]), sys.argv[2]
claim = Claim(root, track)
print(claim.acquire())
(root / track).mkdir(parents=True, exist_ok=True)
for stem, suffix in (("vocals.wav", ".part"), ("drums.wav", ".held")):
    temporary = claim.temporary(root / track / stem, suffix)
    temporary.write_text("half of it")
    print(temporary, flush=True)
sys.stdin.read()
claim.release()
"""


class Holder:
    """Another process that has a track."""

    def __init__(self, root: Path, track: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(root), track], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "True\n"
        self.temporaries = [Path(self._process.stdout.readline().rstrip("\n")) for _ in range(2)]
        assert all(path.exists() for path in self.temporaries)

    def die(self) -> None:
        """Be killed, so that nothing can be cleared up."""
        self._process.kill()
        self._process.communicate(timeout=SECONDS)

    def end(self) -> None:
        """Let go of the track, and end."""
        self._process.communicate("", timeout=SECONDS)
        assert self._process.returncode == 0


Hold = Callable[..., Holder]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An output folder that is not there yet."""
    return tmp_path / "separated"


@pytest.fixture
def hold(root: Path) -> Iterator[Hold]:
    """Have another process take a track of the output folder."""
    holders: list[Holder] = []

    def hold(track: str = "song") -> Holder:
        holders.append(Holder(root, track))
        return holders[-1]

    yield hold
    for holder in holders:
        holder.die()


def _taken(root: Path, track: str = "song") -> Claim:
    claim = Claim(root, track)
    assert claim.acquire()
    return claim


def _parts(root: Path, track: str = "song") -> Path:
    return beside_record(root, track, ".parts")


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


# One at a time.


def test_a_track_is_one_process_s_alone(root: Path, hold: Hold) -> None:
    holder = hold()
    assert not Claim(root, "song").acquire()
    assert all(path.exists() for path in holder.temporaries), "those of a living process are not touched"
    holder.end()
    _taken(root).release()


def test_another_track_is_free(root: Path, hold: Hold) -> None:
    holder = hold("Album/song")
    for track in ("song", "Album/song 2", "Album", "Album/song/song"):
        _taken(root, track).release()
    assert all(path.exists() for path in holder.temporaries)
    assert not Claim(root, "Album/song").acquire()


def test_a_track_is_one_job_s_alone_in_one_process_too(root: Path) -> None:
    claim = _taken(root)
    other = Claim(root, "song")
    assert not other.acquire()
    other.release()
    assert not Claim(root, "song").acquire(), "who did not get it cannot let it go"
    claim.release()
    assert other.acquire()
    other.release()


def test_a_claim_can_be_let_go_on_another_thread_and_twice(root: Path, tmp_path: Path) -> None:
    claim = _taken(root)
    lock = tmp_path / "lock"  # the same file, by a name that stays
    lock.hardlink_to(beside_record(root, "song", ".lock"))
    with pytest.raises(Timeout):
        FileLock(lock).acquire(blocking=False)
    for _ in range(2):
        thread = Thread(target=claim.release)
        thread.start()
        thread.join()
    with FileLock(lock).acquire(blocking=False):
        pass


# After one that died.


def test_the_temporaries_of_a_dead_process_are_removed_by_the_next_holder(root: Path, hold: Hold) -> None:
    holder = hold()
    stem = root / "song/vocals.wav"
    stem.write_text("whole")
    holder.die()
    assert all(path.exists() for path in holder.temporaries)
    claim = _taken(root)
    assert not any(path.exists() for path in holder.temporaries)
    assert not _parts(root).exists()
    claim.release()
    assert _files(root) == ["song/vocals.wav"]


def test_nothing_of_a_dead_process_is_touched_by_who_takes_another_track(root: Path, hold: Hold) -> None:
    holder = hold()
    holder.die()
    _taken(root, "other").release()
    assert all(path.exists() for path in holder.temporaries)
    assert is_abandoned(root, "song")


def test_a_track_is_told_to_be_abandoned_until_it_is_cleared_up(root: Path, hold: Hold) -> None:
    assert not is_abandoned(root, "song")
    holder = hold()
    assert is_abandoned(root, "song")
    holder.die()
    assert is_abandoned(root, "song")
    assert not is_abandoned(root, "other")
    _taken(root).release()
    assert not is_abandoned(root, "song")


def test_a_temporary_is_noted_before_it_is_there(root: Path) -> None:
    claim = _taken(root)
    temporary = claim.temporary(root / "song/vocals.wav", ".part")
    assert not temporary.exists()
    assert _parts(root).read_text().split("\0") == [temporary.relative_to(root).as_posix(), ""]
    claim.release()


def test_temporaries_are_hidden_beside_their_stem_and_never_alike(root: Path) -> None:
    claim = _taken(root)
    names = [claim.temporary(root / "song" / name, ".part") for name in ["vocals.wav"] * 20 + ["x" * 250 + ".wav"]]
    assert len(set(names)) == len(names)
    for name in names:
        assert name.parent == root / "song"
        assert name.name.startswith(".")
        assert name.suffix == ".part"
        assert len(name.name) < 100
    claim.release()


# What is left.


@pytest.mark.parametrize("track", ["song", "Album/CD 1/song"])
def test_nothing_is_left_of_a_track_that_came_to_nothing(track: str, root: Path) -> None:
    claim = _taken(root, track)
    claim.temporary(root / "vocals.wav", ".part").write_text("half of it")
    claim.temporary(root / "drums.wav", ".held")  # and never made
    claim.release()
    assert not root.exists()


def test_a_folder_that_was_there_before_stays(root: Path) -> None:
    root.mkdir()
    _taken(root).release()
    assert list(root.iterdir()) == []


def test_records_stay_and_nothing_beside_them(root: Path) -> None:
    claim = _taken(root, "Album/song")
    claim.temporary(root / "vocals.wav", ".part")
    write_record(root, record(track="Album/song"))
    claim.release()
    _taken(root, "Album/other").release()
    _taken(root, "Single/song").release()
    assert _files(root) == [f"{FOLDER}/Album/song.json"]
    assert [path.name for path in (root / FOLDER).iterdir()] == ["Album"]
    assert read_record(root, "Album/song") is not None


def test_a_relative_output_folder_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = Path("some/where")
    claim = _taken(root, "Album/song")
    assert not claim.temporary(root / "Album/song/vocals.wav", ".part").is_absolute()
    assert not Claim(tmp_path / root, "Album/song").acquire()
    claim.release()
    assert list(tmp_path.iterdir()) == []


def test_a_track_that_another_process_has_leaves_no_folder_of_ours(root: Path, hold: Hold) -> None:
    holder = hold("Album/song")
    assert not Claim(root, "Album/song").acquire()
    holder.end()
    assert _files(root) == []
    assert not (root / FOLDER).exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    claim = Claim(tmp_path / "file", "song")
    with pytest.raises(EncodeError, match="cannot be written"):
        claim.acquire()
    claim.release()
    assert (tmp_path / "file").is_file()


# A list that is not ours.


@pytest.mark.parametrize(
    "text",
    [
        "song/vocals.wav\0",
        "song/.hidden\0",
        "song/cover.part\0",
        "../song.mp3\0",
        "{outside}/other.mp3\0",
        "../.vocals.wav.0123abcd.part\0",
        "song/../../.vocals.wav.0123abcd.part\0",
        "{outside}/.vocals.wav.0123abcd.part\0",
        "song\0",
        ".\0",
        "\0\0",
    ],
)
def test_a_list_removes_nothing_but_temporaries_below_the_output_folder(text: str, root: Path) -> None:
    names = [
        "song/vocals.wav",
        "song/.hidden",
        "song/cover.part",
        "../song.mp3",
        "../other.mp3",
        "../.vocals.wav.0123abcd.part",
    ]
    (root / "song").mkdir(parents=True)
    for name in names:
        (root / name).touch()
    _parts(root).parent.mkdir()
    _parts(root).write_text(text.replace("{outside}", str(root.parent)))
    _taken(root).release()
    assert all((root / name).exists() for name in names)
    assert not (root / FOLDER).exists()


@pytest.mark.parametrize("end", [b"", b"\0", b"\0song/.cut sho", b"\0\xff\xfe\0", b"\0none/.gone.part\0"])
def test_a_list_that_was_cut_short_is_followed_as_far_as_it_goes(end: bytes, root: Path) -> None:
    temporary = root / "song/.vocals.wav.0123abcd.part"
    temporary.parent.mkdir(parents=True)
    temporary.touch()
    _parts(root).parent.mkdir()
    _parts(root).write_bytes(os.fsencode(temporary.relative_to(root)) + end)
    _taken(root).release()
    assert not temporary.exists()
    assert not (root / FOLDER).exists()
