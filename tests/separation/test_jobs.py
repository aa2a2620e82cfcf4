"""Several processes: the same stems as from one, and one that dies takes no more with it than it had."""

import multiprocessing
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

import workers
from signals import noise, write_sound
from standins import make_folder
from stemsplit.audio.formats import Encoding
from stemsplit.errors import ModelError, StemsplitError, TrackError
from stemsplit.events import Event, TrackEnded, TrackStarted
from stemsplit.separation.batch import separate_tracks
from stemsplit.separation.jobs import Loader, separate_in_jobs
from stemsplit.separation.options import StemOptions
from stemsplit.separation.plan import PlannedTrack, plan_tracks
from stemsplit.separation.report import TrackReport
from stemsplit.separation.walk import Song
from workers import DEADLY


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """As many threads afterwards as before, whatever a loader sets; and no process left."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    assert not multiprocessing.active_children()


def _tracks(folder: Path, *names: str) -> list[PlannedTrack]:
    paths = [write_sound(folder / f"{name}.wav", noise(2, 9000, seed=seed)) for seed, name in enumerate(names)]
    return plan_tracks(map(Song, paths))


def _options(output: Path) -> StemOptions:
    return StemOptions(output, Encoding())


def _in_jobs(tracks: Sequence[PlannedTrack], load: Loader, output: Path, jobs: int = 2) -> dict[str, TrackReport]:
    """The report of every track; fails if one has two."""
    reports: list[TrackReport] = []
    _collect(reports, tracks, load, output, jobs)
    assert max(Counter(report.track for report in reports).values()) == 1
    return {report.track: report for report in reports}


def _collect(
    reports: list[TrackReport], tracks: Sequence[PlannedTrack], load: Loader, output: Path, jobs: int = 2
) -> None:
    for report in separate_in_jobs(tracks, load, _options(output), jobs):
        reports.append(report)


def _stems(output: Path) -> dict[str, bytes]:
    """Every file but records, hidden ones too."""
    files = [path for path in output.rglob("*") if path.is_file() and path.suffix != ".json"]
    return {str(path.relative_to(output)): path.read_bytes() for path in files}


def test_several_processes_give_the_same_bytes_as_one(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e"]
    tracks = _tracks(tmp_path, *names)
    load = partial(workers.small, make_folder(tmp_path / "model"))
    events: list[Event] = []
    reports = list(separate_in_jobs(tracks, load, _options(tmp_path / "two"), 2, listener=events.append))
    assert sorted(report.track for report in reports) == names
    assert {report.status for report in reports} == {"done"}
    for kind in (TrackStarted, TrackEnded):
        assert sorted(event.track for event in events if isinstance(event, kind)) == names
    list(separate_tracks(tracks, load(), _options(tmp_path / "one")))
    stems = _stems(tmp_path / "two")
    assert stems == _stems(tmp_path / "one")
    assert len(stems) == 4 * len(names)
    for report in reports:
        assert all(path.is_file() for path in report.outputs.values())


def test_one_bad_song_fails_alone(tmp_path: Path) -> None:
    tracks = _tracks(tmp_path, "a", "b", "c")
    (tmp_path / "b.wav").write_text("la la la")
    reports = _in_jobs(tracks, workers.known, tmp_path / "out")
    assert {name: report.status for name, report in reports.items()} == {"a": "done", "b": "failed", "c": "done"}
    assert isinstance(reports["b"].failure, TrackError)
    assert str(tmp_path / "b.wav") in str(reports["b"].error)
    again = _in_jobs(tracks, workers.known, tmp_path / "out")
    assert {name: report.status for name, report in again.items()} == {"a": "skipped", "b": "failed", "c": "skipped"}


def test_more_processes_than_songs_are_no_matter(tmp_path: Path) -> None:
    reports = _in_jobs(_tracks(tmp_path, "a"), workers.known, tmp_path / "out", jobs=50)
    assert [report.status for report in reports.values()] == ["done"]


def test_a_process_that_dies_fails_its_song_and_the_rest_is_done(tmp_path: Path) -> None:
    """The first song is the first process's first, so that it has no other."""
    tracks = _tracks(tmp_path, f"{DEADLY} song", "a", "b", "c")
    output = tmp_path / "out"
    reports = _in_jobs(tracks, workers.mortal, output)
    failed = reports.pop(f"{DEADLY} song")
    assert failed.status == "failed"
    assert f"{DEADLY} song.wav" in str(failed.error)
    assert "memory" in str(failed.error)
    assert {name: report.status for name, report in reports.items()} == dict.fromkeys("abc", "done")
    assert not (output / f"{DEADLY} song").exists()
    after = {report.track: report.status for report in separate_tracks(tracks, workers.known(), _options(output))}
    assert after == {f"{DEADLY} song": "done", **dict.fromkeys("abc", "skipped")}
    assert len(_stems(output)) == 2 * 4, "no lock, no list and no temporary is left"


def test_when_all_processes_have_died_it_is_told_and_what_they_had_has_failed(tmp_path: Path) -> None:
    tracks = _tracks(tmp_path, f"{DEADLY} 1", f"{DEADLY} 2", "a", "b")
    reports: list[TrackReport] = []
    with pytest.raises(StemsplitError, match=r"2 songs.*--jobs"):
        _collect(reports, tracks, workers.mortal, tmp_path / "out")
    assert {report.track: report.status for report in reports} == {
        f"{DEADLY} 1": "failed",
        f"{DEADLY} 2": "failed",
    }


def test_a_process_that_dies_before_it_has_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(StemsplitError, match="All processes were ended"):
        _in_jobs(_tracks(tmp_path, "a", "b"), workers.dead, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("load", [workers.refused, workers.broken])
def test_a_model_that_cannot_be_used_is_told_once(load: Loader, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Choose another one"):
        _in_jobs(_tracks(tmp_path, "a", "b", "c"), load, tmp_path / "out")


def test_processes_end_with_who_started_them(tmp_path: Path) -> None:
    reports = separate_in_jobs(_tracks(tmp_path, *"abcdef"), workers.known, _options(tmp_path / "out"), 2)
    assert next(reports).status == "done"
    assert multiprocessing.active_children()
    assert isinstance(reports, Generator)
    reports.close()
    assert not multiprocessing.active_children()
