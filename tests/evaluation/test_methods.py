"""Every method's estimates lie beside the true sources that they belong to, and are what they are called."""

import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from multitracks import multitrack, write_multitrack
from signals import Block, noise, write_sound
from stemsplit.audio.assignment import SourceRules, assign
from stemsplit.audio.multitrack import BLOCK_FRAMES, find_multitracks
from stemsplit.errors import DecodeError
from stemsplit.evaluation.methods import NEEDS_NO_MODEL, FolderMethod, Method, ModelMethod, Plain
from stemsplit.evaluation.metrics import SongScores
from stemsplit.evaluation.on_demand import OnDemand
from stemsplit.evaluation.pairing import Estimated, Waiting
from stemsplit.evaluation.run import Request, evaluate, prepared
from stemsplit.evaluation.songs import Song
from stemsplit.events import Event, Warned
from stemsplit.separation.jobs import Loader
from stemsplit.separation.statistics import Statistics

RATE = 8000
SOURCES = ("drums", "bass", "other", "vocals")
Array = NDArray[Any]


def song_of(folder: Path, stems: Mapping[str, Block], sources: Sequence[str] = SOURCES, rate: int = RATE) -> Song:
    """It on disk, at some rate."""
    write_multitrack(folder / "song", stems, rate)
    (track,) = find_multitracks(folder)
    return Song(assign(track, SourceRules(tuple(sources), missing="silence")))


def joined(parts: Iterable[Estimated]) -> Estimated:
    """A song in one; all its parts fit together."""
    parts = list(parts)
    for references, estimates, mixture in parts:
        assert references.shape == estimates.shape == (len(references), *mixture.shape)
    return Estimated(*(np.concatenate(pieces, axis=-1) for pieces in zip(*parts, strict=True)))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Song, Array]:
    """A song of more than one block, and its stems."""
    stems = multitrack(5, 12.0, RATE)
    assert next(iter(stems.values())).shape[1] > BLOCK_FRAMES
    return song_of(tmp_path_factory.mktemp("songs"), stems), np.stack([stems[source] for source in SOURCES])


def plain(what: str, sources: Sequence[str] = SOURCES) -> Plain:
    """A method by its name."""
    return Plain(what, tuple(sources), RATE, NEEDS_NO_MODEL[what], what)


def errors_of(estimated: Estimated) -> Array:
    """Energies of the errors by source."""
    result: Array = np.square(estimated.estimates.astype(float) - estimated.references).sum(axis=(1, 2))
    return result


@pytest.mark.parametrize("what", list(NEEDS_NO_MODEL))
def test_what_needs_no_model_lies_beside_the_song(what: str, rendered: tuple[Song, Array]) -> None:
    song, stems = rendered
    estimated = joined(plain(what).estimates(song))
    np.testing.assert_array_equal(estimated.references, stems)
    np.testing.assert_allclose(estimated.mixture, stems.sum(axis=0), atol=1e-6)


def test_the_mixture_is_the_estimate_of_every_source(rendered: tuple[Song, Array]) -> None:
    estimated = joined(plain("mixture").estimates(rendered[0]))
    for estimate in estimated.estimates:
        np.testing.assert_array_equal(estimate, estimated.mixture)


def test_the_best_gain_is_that_of_least_squares(rendered: tuple[Song, Array]) -> None:
    estimated = joined(plain("best gain").estimates(rendered[0]))
    mixed = estimated.mixture.astype(float).ravel()
    for true, estimate in zip(estimated.references, estimated.estimates, strict=True):
        solution = np.linalg.lstsq(mixed[:, np.newaxis], true.astype(float).ravel(), rcond=None)[0]
        np.testing.assert_allclose(estimate, solution[0] * estimated.mixture, atol=1e-6)
        assert 0.1 < solution[0] < 0.9


@given(factor=st.floats(-3, 3))
def test_no_other_gain_is_better(factor: float, rendered: tuple[Song, Array]) -> None:
    stems = rendered[1]
    mixture = stems.sum(axis=0)
    scores = SongScores(len(stems))
    scores.add(stems, stems, mixture)
    best, other = (
        np.square(gains[:, np.newaxis, np.newaxis] * mixture - stems).sum(axis=(1, 2))
        for gains in (scores.gains, factor * scores.gains)
    )
    assert (best <= other * (1 + 1e-9)).all()


def test_the_ideal_mask_is_better_than_the_best_gain_and_that_than_the_mixture(rendered: tuple[Song, Array]) -> None:
    mask, gain, mixture = (
        errors_of(joined(plain(what).estimates(rendered[0]))) for what in ("ideal mask", "best gain", "mixture")
    )
    assert (mask < 0.5 * gain).all()
    assert (gain < 0.8 * mixture).all()


def test_ceilings_and_floors_are_told_apart() -> None:
    assert dict(NEEDS_NO_MODEL) == {"ideal mask": "ceiling", "best gain": "floor", "mixture": "floor"}


def test_what_is_no_source_is_in_the_mixture_too(tmp_path: Path) -> None:
    stems = multitrack(6, 1.0, RATE)
    song = song_of(tmp_path, stems, ("bass", "vocals"))
    for what in NEEDS_NO_MODEL:
        estimated = joined(plain(what, ("bass", "vocals")).estimates(song))
        np.testing.assert_array_equal(estimated.references, np.stack([stems["bass"], stems["vocals"]]))
        np.testing.assert_allclose(estimated.mixture, sum(stems.values()), atol=1e-6)


def stems_of(folder: Path, estimates: Mapping[str, Block], sources: Sequence[str] = SOURCES) -> FolderMethod:
    """Estimates as files of the song called `song`."""
    write_multitrack(folder, estimates, RATE)
    files = {source: (folder / f"{source}.wav",) for source in estimates}
    return FolderMethod("made", tuple(sources), RATE, {"song": files})


def heard(method: Method) -> list[Event]:
    """What it will say."""
    events: list[Event] = []
    method.begin("cpu", events.append)
    return events


def test_a_folder_s_estimates_are_its_files(rendered: tuple[Song, Array], tmp_path: Path) -> None:
    song, stems = rendered
    estimates = {source: noise(2, stems.shape[-1], 0.1, seed) for seed, source in enumerate(reversed(SOURCES))}
    method = stems_of(tmp_path, estimates)
    events = heard(method)
    estimated = joined(method.estimates(song))
    np.testing.assert_array_equal(estimated.references, stems)
    np.testing.assert_array_equal(estimated.estimates, np.stack([estimates[source] for source in SOURCES]))
    assert events == []


def test_a_folder_of_another_rate_is_converted(tmp_path: Path) -> None:
    stems, finer = ({"vocals": 0.5 * _slow(rate)} for rate in (RATE, 2 * RATE))
    song = song_of(tmp_path / "songs", stems, ("vocals",))
    write_multitrack(tmp_path / "made", finer, 2 * RATE)
    method = FolderMethod("made", ("vocals",), RATE, {"song": {"vocals": (tmp_path / "made" / "vocals.wav",)}})
    estimated = joined(method.estimates(song))
    inner = slice(500, -500)
    np.testing.assert_allclose(estimated.estimates[..., inner], estimated.references[..., inner], atol=1e-4)


def _slow(rate: int) -> Block:
    """A second of a tone in stereo."""
    time = np.arange(rate) / rate
    return np.stack([np.sin(2 * np.pi * 300 * time), np.cos(2 * np.pi * 200 * time)]).astype(np.float32)


SECONDS = 9.0  # more than a block


@pytest.mark.parametrize("difference", [-8.5, -4.0, -0.5, -0.12, 0.12, 0.5, 4.0, 12.0])
def test_estimates_of_another_length_are_padded_or_cut_with_a_warning(difference: float, tmp_path: Path) -> None:
    length = round(SECONDS * RATE)
    song = song_of(tmp_path / "songs", {"vocals": noise(2, length, seed=1)}, ("vocals",))
    made = noise(2, round((SECONDS + difference) * RATE), seed=2)
    method = stems_of(tmp_path / "made", {"vocals": made}, ("vocals",))
    events = heard(method)
    (estimate,) = joined(method.estimates(song)).estimates
    shorter = min(length, made.shape[1])
    np.testing.assert_array_equal(estimate[:, :shorter], made[:, :shorter])
    assert estimate.shape == (2, length)
    assert not estimate[:, shorter:].any()
    (event,) = events
    assert isinstance(event, Warned)
    how = "longer than the song, and cut" if difference > 0 else "shorter than the song, and padded"
    assert event.message == f"song: the stems of made are {abs(difference):.1f} s {how}."


@pytest.mark.parametrize("difference", [-0.09, -1 / RATE, 0, 1 / RATE, 0.09])
def test_a_tenth_of_a_second_is_no_difference(difference: float, tmp_path: Path) -> None:
    song = song_of(tmp_path / "songs", {"vocals": noise(2, 2 * RATE, seed=1)}, ("vocals",))
    method = stems_of(tmp_path / "made", {"vocals": noise(2, round((2 + difference) * RATE), seed=2)}, ("vocals",))
    events = heard(method)
    assert joined(method.estimates(song)).estimates.shape == (1, 2, 2 * RATE)
    assert events == []


def test_songs_and_sources_that_a_folder_lacks_are_told(tmp_path: Path) -> None:
    song = song_of(tmp_path / "songs", multitrack(1, 1.0, RATE))
    method = stems_of(tmp_path / "made", {"vocals": noise(2, RATE)}, ("vocals", "bass", "drums"))
    for ask in (method.identity, lambda song: list(method.estimates(song))):
        with pytest.raises(DecodeError, match="made has no bass, drums of this song"):
            ask(song)
    other = FolderMethod("made", ("vocals",), RATE, {"another": {}})
    for ask in (other.identity, lambda song: list(other.estimates(song))):
        with pytest.raises(DecodeError, match="made has no stems of this song"):
            ask(song)


def test_a_file_that_is_changed_is_another_estimate(tmp_path: Path) -> None:
    song = song_of(tmp_path / "songs", multitrack(1, 1.0, RATE))
    method = stems_of(tmp_path / "made", {"vocals": noise(2, RATE)}, ("vocals",))
    before = method.identity(song)
    assert method.identity(song) == before
    write_sound(tmp_path / "made" / "vocals.wav", noise(2, RATE + 1), RATE, "FLOAT")
    assert method.identity(song) != before


def test_scores_that_are_kept_stay_with_their_song_and_method(tmp_path: Path) -> None:
    """Where an archive gives all files one time, and all are as long: the second run tells what the first did."""
    for seed in (1, 2):
        stems = {"vocals": noise(2, RATE, 0.1, seed), "bass": noise(2, RATE, 0.1, seed + 2)}
        write_multitrack(tmp_path / "songs" / f"song {seed}", stems, RATE)
        for tool, gain in (("one", 0.9), ("two", 0.5)):
            made = {"vocals": np.float32(gain / seed) * stems["vocals"]}
            write_multitrack(tmp_path / tool / f"song {seed}", made, RATE)
    for path in tmp_path.rglob("*.wav"):
        os.utime(path, (1e9, 1e9))
    request = Request([tmp_path / "songs"], {}, tmp_path / "scores", [tmp_path / "one", tmp_path / "two"])
    first, second = prepared(request), prepared(request)
    for evaluation in (first, second):
        assert len(list(evaluate(evaluation))) == len(evaluation.tasks)
    assert second.in_order == first.in_order


def test_methods_can_be_sent_to_another_process(tmp_path: Path) -> None:
    song = song_of(tmp_path / "songs", multitrack(1, 1.0, RATE))
    method = stems_of(tmp_path / "made", {"vocals": noise(2, RATE)}, ("vocals",))
    method.begin("cpu", lambda event: None)  # which cannot be sent
    for one in (method, plain("best gain")):
        again = pickle.loads(pickle.dumps(one))
        for ours, theirs in zip(one.estimates(song), again.estimates(song), strict=True):
            np.testing.assert_array_equal(ours.estimates, theirs.estimates)


class Delayed:
    """
    In the place of a separator: each source is a multiple of the mixture, in blocks of these lengths.

    It looks ahead: at least `ahead` samples are in before the ones they are behind come out.
    """

    sources = ("drums", "vocals")
    sample_rate = RATE
    audio_channels = 2
    factors = np.array([[[2.0]], [[-0.5]]], np.float32)

    def __init__(self, lengths: Sequence[int], ahead: int) -> None:
        self.lengths, self.ahead = lengths, ahead
        self.statistics: Statistics | None = None
        self.seen: Block = np.zeros((2, 0), np.float32)

    def stream(self, blocks: Iterable[Block], statistics: Statistics) -> Iterator[dict[str, Block]]:
        self.statistics, self.seen = statistics, np.zeros((2, 0), np.float32)
        out = number = 0
        for block in blocks:
            self.seen = np.concatenate([self.seen, block], axis=1)
            while out + (length := self.lengths[number % len(self.lengths)]) <= self.seen.shape[1] - self.ahead:
                yield self._answer(out, out + length)
                out, number = out + length, number + 1
        if out < self.seen.shape[1]:
            yield self._answer(out, self.seen.shape[1])

    def _answer(self, start: int, end: int) -> dict[str, Block]:
        return dict(zip(self.sources, self.factors * self.seen[:, start:end], strict=True))


@pytest.mark.parametrize(
    ("lengths", "ahead"), [((7919, 1, 3001), 40_000), ((70_001,), 0), ((1_000_000,), 0), ((30_011, 2), 90_000)]
)
def test_a_model_s_estimates_lie_beside_the_song(lengths: Sequence[int], ahead: int, tmp_path: Path) -> None:
    stems = {"drums": noise(2, 150_001, 0.1, 1), "vocals": noise(2, 150_001, 0.2, 2), "bass": noise(2, 99, 0.2, 3)}
    song = song_of(tmp_path, stems, Delayed.sources)
    fake = Delayed(lengths, ahead)
    model = OnDemand(cast(Loader, lambda device, listener: fake))
    method = ModelMethod("model", fake.sources, RATE, model, "settings")
    estimated = joined(method.estimates(song))
    np.testing.assert_array_equal(estimated.references, np.stack([stems["drums"], stems["vocals"]]))
    mixture = stems["drums"] + stems["vocals"]
    mixture[:, :99] += stems["bass"]
    np.testing.assert_allclose(estimated.mixture, mixture, atol=1e-6)
    np.testing.assert_array_equal(estimated.mixture, fake.seen)
    np.testing.assert_array_equal(estimated.estimates, Delayed.factors * estimated.mixture)
    assert fake.statistics is not None
    assert asdict(fake.statistics) == pytest.approx(asdict(Statistics.of([fake.seen])), rel=1e-6)


def test_a_model_is_loaded_once_where_it_is_told(tmp_path: Path) -> None:
    song = song_of(tmp_path, {"drums": noise(2, 9000), "vocals": noise(2, 9000)}, Delayed.sources)
    loaded: list[str] = []

    def load(device: str, listener: Callable[[Event], None]) -> Delayed:
        loaded.append(device)
        listener(Warned("loaded"))
        return Delayed((500,), 0)

    method = ModelMethod("model", Delayed.sources, RATE, OnDemand(cast(Loader, load)), "settings")
    events: list[Event] = []
    method.begin("cuda:1", events.append)
    assert loaded == [], "it may be that nothing is to be done"
    for _ in range(2):
        joined(method.estimates(song))
    assert loaded == ["cuda:1"]
    assert events == [Warned("loaded")]
    method.model.let_go()
    joined(method.estimates(song))
    assert len(loaded) == 2


Edges = st.lists(st.integers(1, 199), max_size=12)


@given(before=Edges, after=Edges, ahead=st.integers(0, 200))
def test_what_waits_comes_out_beside_its_estimates(before: list[int], after: list[int], ahead: int) -> None:
    """Whatever the cuts are before and behind, and however far ahead is read."""
    frames = 200
    sources, mixture = np.stack([noise(2, frames, seed=seed) for seed in range(3)]), noise(2, frames, seed=3)
    waiting = Waiting()
    parts = waiting.passing(
        (sources[..., start:end], mixture[:, start:end]) for start, end in pairwise([0, *sorted(set(before)), frames])
    )
    taken = 0
    for start, end in pairwise([0, *sorted(set(after)), frames]):
        while taken < min(end + ahead, frames):
            stems, block = next(parts)
            np.testing.assert_array_equal(stems, sources[..., taken : taken + block.shape[1]])
            taken += block.shape[1]
        estimates = sources[..., start:end] * 2
        estimated = waiting.beside(estimates)
        np.testing.assert_array_equal(estimated.references, sources[..., start:end])
        np.testing.assert_array_equal(estimated.mixture, mixture[:, start:end])
        assert estimated.estimates is estimates
