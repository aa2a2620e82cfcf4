"""The worst excerpts are where a method does worst, found from decibels second by second."""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from signals import noise
from stemsplit.audio.assignment import Assigned
from stemsplit.evaluation.evaluate import SongResult, evaluate_song
from stemsplit.evaluation.methods import Kind
from stemsplit.evaluation.pairing import Estimated
from stemsplit.evaluation.songs import Song
from stemsplit.evaluation.worst import COUNT, EXCERPT_SECONDS, WorstExcerpt, worst_excerpts
from stemsplit.events import Listener

RATE = 500
Array = NDArray[Any]
Decibels = dict[str, tuple[list[float], list[float]]]  # levels and SDR by second, by source


def result_of(track: str, decibels: Decibels, silent: Sequence[str] = ()) -> SongResult:
    """Scores of a song of whole seconds."""
    return SongResult(
        track=track,
        method="model",
        kind="model",
        degraded=None,
        seconds=len(next(iter(decibels.values()))[0]),
        sample_rate=RATE,
        sdr={source: None if source in silent else 5.0 for source in decibels},
        bsseval=None,
        level_by_second={source: levels for source, (levels, _) in decibels.items()},
        sdr_by_second={source: ratios for source, (_, ratios) in decibels.items()},
    )


def even(seconds: int = 40, sdr: float = 10.0, **changes: tuple[slice, float, float]) -> Decibels:
    """Vocals as loud and as good all the time, but for some stretches: where, level and SDR."""
    levels, ratios = [-20.0] * seconds, [sdr] * seconds
    for where, level, ratio in changes.values():
        for second in range(seconds)[where]:
            levels[second], ratios[second] = level, ratio
    return {"vocals": (levels, ratios)}


def test_a_bad_stretch_is_found_where_it_is() -> None:
    bad = result_of("bad", even(bad=(slice(21, 27), -20, -3)))
    good = result_of("good", even(sdr=12.0))
    assert worst_excerpts([good, bad])[0] == WorstExcerpt("bad", "vocals", 21, 6, -3.0)


def test_an_excerpt_is_scored_by_energies_and_not_by_means_of_decibels() -> None:
    """A bad second that is loud weighs more than five that are quiet."""
    worst = worst_excerpts([result_of("one", even(6, sdr=20.0, bad=(slice(3, 4), -10, 0)))])
    signal, error = 10 ** (-1) + 5 * 10 ** (-2), 10 ** (-1) + 5 * 10 ** (-4)
    assert worst == [WorstExcerpt("one", "vocals", 0, 6, round(10 * math.log10(signal / error), 2))]


def test_where_a_source_is_hardly_heard_does_not_count() -> None:
    quiet = even(gap=(slice(10, 20), -45, -5), bad=(slice(30, 36), -20, 4))
    found = worst_excerpts([result_of("one", quiet)])
    assert found[0] == WorstExcerpt("one", "vocals", 30, 6, 4.0)
    assert not any(10 <= excerpt.start <= 14 for excerpt in found)


@pytest.mark.parametrize(("below", "counts"), [(-19.0, True), (-21.0, False)])
def test_20_db_below_its_own_level_is_hardly_heard(below: float, counts: bool) -> None:
    """Below the mean over the song, which 6 of 600 seconds do not change."""
    song = even(600, bad=(slice(300, 306), -20 + below, -15))
    assert any(excerpt.start == 300 and excerpt.sdr < -10 for excerpt in worst_excerpts([result_of("one", song)])) == (
        counts
    )


def test_a_quiet_source_is_measured_by_its_own_level() -> None:
    song = even(20) | {"bass": ([-60.0] * 20, [-7.0] * 20)}
    assert worst_excerpts([result_of("one", song)])[0].source == "bass"


def test_silent_sources_do_not_count() -> None:
    song = even(20) | {"bass": ([-200.0] * 20, [-40.0] * 20)}
    found = worst_excerpts([result_of("one", song, silent=["bass"])])
    assert {excerpt.source for excerpt in found} == {"vocals"}


def test_excerpts_of_two_sources_in_one_place_are_one() -> None:
    vocals = even(20, bad=(slice(5, 11), -20, -3))
    drums = even(20, bad=(slice(7, 13), -20, -5))
    found = worst_excerpts([result_of("one", vocals | {"drums": drums["vocals"]})])
    assert found[0] == WorstExcerpt("one", "drums", 7, 6, -5.0)
    assert all(abs(excerpt.start - 7) >= 6 for excerpt in found[1:])


def test_songs_do_not_stand_in_each_other_s_way() -> None:
    both = [result_of(name, even(20, bad=(slice(5, 11), -20, -3))) for name in ("one", "two")]
    assert worst_excerpts(both)[:2] == [WorstExcerpt(name, "vocals", 5, 6, -3.0) for name in ("one", "two")]


@pytest.mark.parametrize("seconds", [1, 2, 5, 6])
def test_a_short_song_is_one_excerpt(seconds: int) -> None:
    assert worst_excerpts([result_of("one", even(seconds))]) == [WorstExcerpt("one", "vocals", 0, seconds, 10.0)]


def test_no_songs_have_no_excerpts() -> None:
    assert worst_excerpts([]) == []
    assert worst_excerpts([result_of("one", even(20), silent=["vocals"])]) == []


def test_there_are_at_most_ten() -> None:
    results = [result_of("one", even(200))]
    assert COUNT == 10
    assert len(worst_excerpts(results)) == 10
    assert worst_excerpts(results, 3) == worst_excerpts(results)[:3]
    assert len(worst_excerpts([result_of("one", even(20))])) == 3


def test_the_order_of_songs_does_not_matter() -> None:
    """Nor does it when all are equally bad."""
    results = [result_of(name, even(20)) for name in ("c", "a", "b")]
    found = {tuple(worst_excerpts(order)) for order in permutations(results)}
    assert len(found) == 1
    (only,) = found
    assert [(excerpt.track, excerpt.start) for excerpt in only[:4]] == [("a", 0), ("a", 6), ("a", 12), ("b", 0)]


Levels = st.lists(st.floats(-30, 0), min_size=1, max_size=30)


@given(st.lists(Levels, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_what_is_found_is_the_worst_that_is_left(songs: list[list[float]], random: Any) -> None:
    """Each, in turn, is the worst of all excerpts that are heard and overlap none before it."""
    songs = [[round(level, 3) for level in levels] for levels in songs]
    ratios = [[round(random.uniform(-10, 20), 3) for _ in levels] for levels in songs]
    results = [result_of(str(number), {"vocals": pair}) for number, pair in enumerate(zip(songs, ratios, strict=True))]
    candidates = []
    for number, (levels, decibels) in enumerate(zip(songs, ratios, strict=True)):
        signal = [2 * RATE * 10 ** (level / 10) for level in levels]
        error = [energy / 10 ** (ratio / 10) for energy, ratio in zip(signal, decibels, strict=True)]
        length = min(6, len(levels))
        for start in range(len(levels) - length + 1):
            part = slice(start, start + length)
            if sum(signal[part]) / length >= 0.01 * sum(signal) / len(signal):
                sdr = 10 * math.log10(sum(signal[part]) / sum(error[part]))
                candidates.append((sdr, str(number), start))
    found = worst_excerpts(results)
    assert len(found) <= 10
    for excerpt in found:
        worst, _, _ = min(candidates)
        (own,) = [sdr for sdr, track, start in candidates if (track, start) == (excerpt.track, excerpt.start)]
        assert excerpt.sdr == pytest.approx(own, abs=0.006)
        assert own == pytest.approx(worst, abs=0.011), "as bad as any, up to rounding"
        candidates = [
            (sdr, track, start)
            for sdr, track, start in candidates
            if track != excerpt.track or abs(start - excerpt.start) >= EXCERPT_SECONDS
        ]
    assert len(found) == 10 or candidates == []
    assert [excerpt.sdr for excerpt in found] == sorted(excerpt.sdr for excerpt in found)
    for one, other in combinations(found, 2):
        assert one.track != other.track or abs(one.start - other.start) >= EXCERPT_SECONDS


class Known:
    """A method whose estimates are given."""

    name = "known"
    kind: Kind = "estimates"
    sources: tuple[str, ...] = ("drums", "vocals")
    sample_rate = RATE

    def __init__(self, references: Array, estimates: Array) -> None:
        self.references, self.made = references, estimates

    def identity(self, song: Song) -> str:
        return ""

    def begin(self, device: str, listener: Listener) -> None:
        pass

    def estimates(self, song: Song) -> Iterator[Estimated]:
        for start in range(0, self.references.shape[-1], 777):
            references, made = self.references[..., start : start + 777], self.made[..., start : start + 777]
            yield Estimated(references, made, references.sum(axis=0))


@pytest.fixture(scope="module")
def known() -> Known:
    """A song of 40.4 s, whose drums have a pause and whose estimates are worse and better."""
    frames = round(40.4 * RATE)
    time = np.arange(frames) / RATE
    references = np.stack([noise(2, frames, 0.1, seed) for seed in range(2)])
    references *= np.float32(0.6) + 0.4 * np.sin(time * [[[0.7]], [[1.1]]]).astype(np.float32)
    references[0, :, 10 * RATE : 18 * RATE] = 0
    errors = np.stack([noise(2, frames, 0.03, seed) for seed in (2, 3)])
    errors *= np.exp(np.sin(time * [[[0.3]], [[0.5]]])).astype(np.float32)
    return Known(references, references + errors)


def test_excerpts_score_what_their_samples_do(known: Known) -> None:
    result = evaluate_song(known, Song(Assigned("song", (), None, None)))
    found = worst_excerpts([result])
    assert {excerpt.source for excerpt in found} == set(known.sources)
    assert len(found) >= 4
    assert all(excerpt.start + excerpt.seconds <= 40 for excerpt in found), "of whole seconds"
    for excerpt in found:
        row = known.sources.index(excerpt.source)
        signal = error = 0.0
        for second in range(excerpt.start, excerpt.start + excerpt.seconds):
            part = slice(second * RATE, (second + 1) * RATE)
            true, made = (signals[row, :, part].astype(float) for signals in (known.references, known.made))
            signal += np.square(true).sum()
            error += np.square(made - true).sum()
        assert excerpt.sdr == pytest.approx(10 * math.log10(signal / error), abs=0.007)


def test_decibels_of_each_second_are_those_of_its_samples(known: Known) -> None:
    """Levels by sample, so that the last second, which is not whole, is as loud as the others."""
    result = evaluate_song(known, Song(Assigned("song", (), None, None)))
    assert result.seconds == 40.4
    for row, source in enumerate(known.sources):
        assert len(result.level_by_second[source]) == len(result.sdr_by_second[source]) == 41
        for second in range(41):
            part = slice(second * RATE, (second + 1) * RATE)
            true, made = (signals[row, :, part].astype(float) for signals in (known.references, known.made))
            power, error = np.square(true).mean(), np.square(made - true).sum()
            level = 10 * math.log10(power + 1e-20)
            ratio = 10 * math.log10((power * true.size + 1e-7) / (error + 1e-7))
            assert result.level_by_second[source][second] == pytest.approx(level, abs=6e-4)
            assert result.sdr_by_second[source][second] == pytest.approx(ratio, abs=6e-4)
