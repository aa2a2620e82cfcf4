"""What a song's stems are worth: the matrix of what a separator hears in each, and what is held against a song."""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multitracks import SOURCES, write_multitrack
from signals import Block, cut, joined, noise, silence, truncate, write_sound
from stemsplit.audio.assignment import Assigned, SourceRules, assign
from stemsplit.audio.multitrack import find_multitracks
from stemsplit.errors import DecodeError
from stemsplit.separation.separator import Separator
from stemsplit.separation.statistics import Statistics
from stemsplit.training.quality import Matrix, SongQuality, quality_of, reasons

RATE = 8000
IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
MUTE = -np.inf

# Songs and separators


def stem(source: str, levels: Sequence[float], seed: int = 0) -> Block:
    """
    Noise in every fourth frame, which frames tells the source. Shape: [2, seconds * RATE].

    Args:
        source: whose turns it takes.
        levels: of each second in dBFS.
        seed: of the noise.
    """
    sound = noise(2, len(levels) * RATE, seed=seed + SOURCES.index(source)).astype(float)
    sound[:, np.arange(sound.shape[1]) % len(SOURCES) != SOURCES.index(source)] = 0
    seconds = sound.reshape(2, len(levels), RATE)
    seconds /= np.sqrt(np.square(seconds).mean(axis=(0, 2), keepdims=True))
    return (seconds * 10 ** (np.array(levels)[:, np.newaxis] / 20)).reshape(2, -1).astype(np.float32)


def stems(seconds: int = 4) -> dict[str, Block]:
    """A song with nothing wrong."""
    return {source: stem(source, [-20.0] * seconds) for source in SOURCES}


class Oracle:
    """Separates such stems exactly."""

    sources = SOURCES
    sample_rate = RATE

    def __init__(self, lengths: Iterable[int] = (777,)) -> None:
        self.lengths = tuple(lengths)
        self.heard: list[Block] = []

    def stream(self, blocks: Iterable[Block], statistics: Statistics) -> Iterator[dict[str, Block]]:
        sound = joined(blocks)
        expected = Statistics.of([sound])
        assert (len(sound), statistics.frames, statistics.peak) == (2, expected.frames, expected.peak)
        assert (statistics.mean, statistics.std) == pytest.approx((expected.mean, expected.std), rel=1e-6, abs=1e-9)
        self.heard.append(sound)
        answers = np.concatenate([self.answer(sound, source) for source in range(len(self.sources))])
        for piece in cut(answers, self.lengths):
            yield {source: piece[2 * i : 2 * i + 2] for i, source in enumerate(self.sources)}

    def answer(self, sound: Block, source: int) -> Block:
        return np.where(np.arange(sound.shape[1]) % len(self.sources) == source, sound, np.float32(0))


class Leaky(Oracle):
    """Gives each source some of the stem, more or less of it in each quarter of a second."""

    def answer(self, sound: Block, source: int) -> Block:
        random = np.random.default_rng(source)
        decibels = np.repeat(random.uniform(-18, -2, 4 * sound.shape[1] // RATE + 1), RATE // 4)
        return sound * (10 ** (decibels[: sound.shape[1]] / 20)).astype(np.float32)


def assigned(folder: Path, files: Mapping[str, Block], rate: int = RATE) -> Assigned:
    (track,) = find_multitracks(write_multitrack(folder / "song", files, rate))
    return assign(track, SourceRules(SOURCES, missing="silence"))


def judged(folder: Path, files: Mapping[str, Block], separator: Oracle | None = None) -> SongQuality:
    return quality_of(cast(Separator, separator or Oracle()), assigned(folder, files))


def objections(sentences: Iterable[str]) -> set[tuple[str, str, int]]:
    """Stem, what it is heard as, and in how many percent; fails for sentences about anything else."""
    found = [re.match(r"(\w+) is heard as (\w+) in (?:only )?(\d+)% of its seconds", text) for text in sentences]
    entries = [(match[1], match[2], int(match[3])) for match in found if match]
    assert len(entries) == len(set(entries)) == len(found)
    return set(entries)


def hint(quality: SongQuality, source: str) -> str:
    """What a stem may be that is not heard as what it is called; "" if that is not said."""
    (text,) = (text for text in quality.reasons if text.startswith(f"{source} is heard as {source} "))
    return text.partition(" (")[2].removesuffix(")")


def fractions(rows: Iterable[Sequence[int] | None]) -> Matrix:
    return tuple(None if row is None else tuple(share / 100 for share in row) for row in rows)


# What a matrix has against a song


def test_a_song_with_few_mistakes_is_kept() -> None:
    matrix = fractions([(78, 24, 12, 25), (18, 75, 19, 28), (15, 17, 82, 21), (22, 26, 14, 71)])
    assert reasons(matrix, SOURCES) == []
    assert SongQuality("song", SOURCES, matrix).is_kept


def test_a_song_is_rejected_for_each_entry_that_is_wrong_and_no_other() -> None:
    matrix = fractions([(75, 22, 15, 42), (25, 62, 20, 27), (18, 29, 80, 19), (38, 26, 22, 58)])
    assert objections(reasons(matrix, SOURCES)) == {
        ("drums", "vocals", 42),
        ("bass", "bass", 62),
        ("vocals", "drums", 38),
        ("vocals", "vocals", 58),
    }
    assert not SongQuality("song", SOURCES, matrix).is_kept


rows = st.lists(st.sampled_from([0, 29, 30, 31, 69, 70, 71, 100]) | st.integers(0, 100), min_size=4, max_size=4)


@given(st.lists(st.none() | rows, min_size=4, max_size=4))
def test_a_stem_must_be_heard_as_itself_above_70_percent_and_as_others_below_30(
    matrix: list[list[int] | None],
) -> None:
    wrong = {
        (SOURCES[i], SOURCES[j], row[j])
        for i, row in enumerate(matrix)
        if row is not None
        for j in range(4)
        if not (row[j] > 70 if i == j else row[j] < 30)
    }
    quality = SongQuality("song", SOURCES, fractions(matrix))
    if matrix == [None] * 4:
        assert not quality.is_kept
    else:
        assert objections(quality.reasons) == wrong
        assert quality.is_kept == (not wrong)


@given(st.lists(st.none() | rows, min_size=4, max_size=4))
def test_a_song_that_was_written_down_reads_the_same(matrix: list[list[int] | None]) -> None:
    quality = SongQuality("caf\udce9", SOURCES, fractions(matrix))
    table = json.loads(json.dumps(quality.to_json()))
    assert SongQuality.from_json(table) == quality
    assert list(table) == ["schema", "track", "sources", "matrix", "kept", "reasons"]
    assert (table["kept"], table["reasons"]) == (quality.is_kept, quality.reasons)


@pytest.mark.parametrize("drums", [(60, 20, 10, 10), (50, 90, 0, 0), (30, 90, 0, 0), (10, 70, 0, 0)])
def test_there_is_no_guess_where_it_would_be_a_bad_one(drums: tuple[int, ...]) -> None:
    """Neither for a stem that is heard as itself at times, nor for one that is heard as nothing else most of them."""
    matrix = fractions([drums, *(tuple(100 * (i == j) for j in range(4)) for i in (1, 2, 3))])
    assert hint(SongQuality("song", SOURCES, matrix), "drums") == ""


def test_stems_have_not_changed_places_if_one_of_them_holds_both() -> None:
    matrix = fractions([(0, 90, 0, 0), (90, 90, 0, 0), (0, 0, 90, 0), (0, 0, 0, 90)])
    assert hint(SongQuality("song", SOURCES, matrix), "drums") == "it seems to be bass"


# What a separator hears in stems


def test_a_perfect_separator_hears_each_stem_as_itself(tmp_path: Path) -> None:
    quality = judged(tmp_path, stems())
    assert quality == SongQuality("song", SOURCES, IDENTITY)
    assert quality.is_kept


def test_stems_that_have_changed_places_are_found(tmp_path: Path) -> None:
    right = stems()
    quality = judged(tmp_path, right | {"drums": right["bass"], "bass": right["drums"]})
    assert objections(quality.reasons) == {
        ("drums", "drums", 0),
        ("drums", "bass", 100),
        ("bass", "bass", 0),
        ("bass", "drums", 100),
    }
    assert hint(quality, "drums") == "it seems to have changed places with bass"
    assert hint(quality, "bass") == "it seems to have changed places with drums"


@pytest.mark.parametrize("drums", ["right", "silent", "mislabelled"])
def test_a_stem_of_a_wrong_name_is_found(drums: str, tmp_path: Path) -> None:
    """Drums that are called vocals, whatever is called drums."""
    right = stems()
    files = {
        "right": right,
        "silent": right | {"drums": silence(2, 4 * RATE)},
        "mislabelled": right | {"drums": right["other"]},
    }
    quality = judged(tmp_path, files[drums] | {"vocals": stem("drums", [-20] * 4, seed=9)})
    assert {("vocals", "vocals", 0), ("vocals", "drums", 100)} <= objections(quality.reasons)
    assert hint(quality, "vocals") == "it seems to be drums"
    assert len(quality.reasons) == (4 if drums == "mislabelled" else 2)


@pytest.mark.parametrize(("level", "is_heard"), [(-6, True), (-9, True), (-10, False), (-20, False)])
def test_a_stem_that_others_bleed_into_is_rejected_if_they_are_heard(
    level: float, is_heard: bool, tmp_path: Path
) -> None:
    """Within 10 dB of all that the stem holds, the bleed included: at -10 dB it is 10.4 dB below."""
    files = stems()
    files["drums"] = files["drums"] + stem("bass", [-20 + level] * 4, seed=9)
    quality = judged(tmp_path, files)
    assert quality.matrix == (((1.0, float(is_heard), 0.0, 0.0)), *IDENTITY[1:])
    assert objections(quality.reasons) == ({("drums", "bass", 100)} if is_heard else set())


@pytest.mark.parametrize(("seconds", "is_kept"), [(2, True), (3, False)])
def test_it_counts_in_how_many_seconds_they_bleed(seconds: int, is_kept: bool, tmp_path: Path) -> None:
    files = stems(10)
    files["drums"] = files["drums"] + stem("bass", [-20] * seconds + [MUTE] * (10 - seconds), seed=9)
    quality = judged(tmp_path, files)
    assert quality.matrix == ((1.0, seconds / 10, 0.0, 0.0), *IDENTITY[1:])
    assert quality.is_kept == is_kept


# Which seconds count


def test_seconds_in_which_a_stem_is_silent_are_passed_over(tmp_path: Path) -> None:
    """Vocals that sing in two of six seconds, in one of them with bass: what others do then does not matter."""
    files = stems(6)
    files["vocals"] = stem("vocals", [MUTE, -20, MUTE, MUTE, -20, MUTE]) + stem("bass", [MUTE] * 4 + [-20, MUTE])
    assert judged(tmp_path, files).matrix == (*IDENTITY[:3], (0.0, 0.5, 0.0, 1.0))


@pytest.mark.parametrize(("level", "share"), [(-59.9, 0.5), (-60.1, 0.0), (-90, 0.0)])
def test_silent_is_what_is_below_60_decibels(level: float, share: float, tmp_path: Path) -> None:
    quality = judged(tmp_path, stems(2) | {"drums": stem("drums", [-20, MUTE]) + stem("bass", [MUTE, level])})
    assert quality.matrix[0] == (1 - share, share, 0.0, 0.0)


def test_a_stem_that_is_silent_or_not_there_is_not_held_against_a_song(tmp_path: Path) -> None:
    files = stems() | {"bass": silence(2, 4 * RATE), "other": stem("drums", [-61] * 4)}
    del files["vocals"]
    quality = judged(tmp_path, files)
    assert quality.matrix == (IDENTITY[0], None, None, None)
    assert quality.is_kept


@pytest.mark.parametrize("names", [SOURCES, ("bass",)])
def test_a_song_of_which_nothing_is_heard_is_rejected(names: Sequence[str], tmp_path: Path) -> None:
    quality = judged(tmp_path, {name: silence(2, 2 * RATE) for name in names})
    assert quality.matrix == (None,) * 4
    assert not quality.is_kept
    assert quality.reasons == ["none of its stems is heard"]


def test_what_is_left_of_a_second_at_the_end_does_not_count(tmp_path: Path) -> None:
    files = stems(4) | {"other": stem("other", [MUTE] * 3 + [-20])}
    files["drums"] = files["drums"] + stem("bass", [MUTE] * 3 + [-20], seed=9)
    quality = judged(tmp_path, {name: block[:, : 4 * RATE - 1] for name, block in files.items()})
    assert quality.matrix == (*IDENTITY[:2], None, IDENTITY[3])


@pytest.mark.parametrize("frames", [4, RATE // 2, RATE - 1])
@pytest.mark.parametrize(("level", "is_heard"), [(-20, True), (-59.9, True), (-60.1, False)])
def test_a_song_shorter_than_a_second_is_one_frame(frames: int, level: float, is_heard: bool, tmp_path: Path) -> None:
    """Its level is that of what is there, without what a second lacks."""
    short = {name: block[:, :frames] for name, block in stems(1).items()}
    files = {name: block * np.float32(10 ** ((level - volume(block)) / 20)) for name, block in short.items()}
    assert judged(tmp_path, files).matrix == (IDENTITY if is_heard else (None,) * 4)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 99),
    frames=st.integers(4, 11 * RATE),
    lengths=st.lists(st.integers(1, 70_000), min_size=1, max_size=5),
)
def test_the_matrix_is_that_of_its_definition(seed: int, frames: int, lengths: list[int]) -> None:
    """However the answers are cut: share of seconds with V(f(x)_j) - V(x) > -10 dB among those above -60 dBFS."""
    levels = np.random.default_rng(seed).uniform(-75, -10, -(-frames // RATE))
    files = {source: stem(source, list(levels + i), seed)[:, :frames] for i, source in enumerate(SOURCES)}
    separator = Leaky([max(length, frames // 50) for length in lengths])
    with tempfile.TemporaryDirectory() as folder:
        matrix = judged(Path(folder), files, separator).matrix
    for row, source in zip(matrix, SOURCES, strict=True):
        sound = files[source]
        seconds = [slice(start, start + RATE) for start in range(0, max(1, frames // RATE) * RATE, RATE)]
        own = np.array([volume(sound[:, second]) for second in seconds])
        heard = [
            np.array([volume(separator.answer(sound, j)[:, second]) for second in seconds]) - own > -10
            for j in range(4)
        ]
        if (own > -60).any():
            assert row == pytest.approx([near[own > -60].mean() for near in heard], abs=6e-5)
        else:
            assert row is None


def volume(sound: Block) -> float:
    """V(z). In dB."""
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.square(sound, dtype=float).mean()))


# Files


def test_a_stem_of_several_files_is_their_sum(tmp_path: Path) -> None:
    right = stems()
    song = assigned(tmp_path, right | {"drums": right["drums"] + right["bass"]})
    other = write_sound(tmp_path / "less.wav", -right["bass"], RATE, "FLOAT")
    assert quality_of(cast(Separator, Oracle()), song).matrix[0] == (1.0, 1.0, 0.0, 0.0)
    both = Assigned(song.name, ((*song.files[0], other), *song.files[1:]), None, None)
    assert quality_of(cast(Separator, Oracle()), both).matrix == IDENTITY


def test_a_separator_hears_stereo_at_its_own_rate(tmp_path: Path) -> None:
    oracle = Oracle()
    quality_of(cast(Separator, oracle), assigned(tmp_path, {"bass": noise(1, 3 * 16_000)}, 16_000))
    (heard,) = oracle.heard
    assert heard.shape == (2, 3 * RATE)
    assert np.array_equal(heard[0], heard[1])


def test_a_damaged_file_is_told_once(tmp_path: Path) -> None:
    song = assigned(tmp_path, {"drums": noise(2, 12 * RATE), "bass": noise(2, RATE)})
    truncate(song.files[0][0], 0.5)
    told: list[str] = []
    assert quality_of(cast(Separator, Oracle()), song, told.append).matrix[0] is not None
    (warning,) = told
    assert "drums.wav" in warning


@pytest.mark.parametrize("content", [b"", b"garbage" * 99])
def test_a_file_that_cannot_be_read_fails_the_song(content: bytes, tmp_path: Path) -> None:
    song = assigned(tmp_path, stems())
    song.files[3][0].write_bytes(content)
    with pytest.raises(DecodeError, match=r"vocals\.wav"):
        quality_of(cast(Separator, Oracle()), song)
