"""BSSEval is what museval says, and what its theory says; utterance SDR is the formula, from files to scores."""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import museval
import numpy as np
import pytest
from numpy.typing import NDArray

from multitracks import multitrack, write_multitrack
from signals import Block, noise, silence
from stemsplit.audio.assignment import SourceRules, assign
from stemsplit.audio.multitrack import find_multitracks
from stemsplit.errors import UsageError
from stemsplit.evaluation.bsseval import METRICS, BssEval, bsseval, check_museval
from stemsplit.evaluation.evaluate import SongResult, evaluate_song
from stemsplit.evaluation.matching import separated_stems
from stemsplit.evaluation.methods import FolderMethod
from stemsplit.evaluation.songs import Song

RATE = 8000
Signals = Mapping[str, Block]
Array = NDArray[Any]
Both = tuple[dict[str, Block], dict[str, Block], SongResult]


def scored(folder: Path, references: Signals, estimates: Signals) -> SongResult:
    """The whole path: true stems and estimates as files, found, read and scored."""
    write_multitrack(folder / "songs" / "song", references, RATE)
    write_multitrack(folder / "made" / "song", estimates, RATE)
    (track,) = find_multitracks(folder / "songs")
    found = separated_stems(folder / "made", [track])
    method = FolderMethod("made", found.sources, RATE, found.files)
    return evaluate_song(method, Song(assign(track, SourceRules(found.sources))), with_bsseval=True)


def of(result: SongResult, source: str) -> BssEval:
    """The BSSEval of a source that has one."""
    assert result.bsseval is not None
    scores = result.bsseval[source]
    assert scores is not None
    return scores


def value(score: float | None) -> float:
    """A score that is there."""
    assert score is not None
    return score


def white(seconds: float = 2.0) -> dict[str, Block]:
    """Two sources that have nothing in common, equally loud."""
    frames = round(seconds * RATE)
    return {"drums": noise(2, frames, 0.1, seed=1), "vocals": noise(2, frames, 0.1, seed=2)}


def crafted() -> tuple[dict[str, Block], dict[str, Block]]:
    """Sources of noise, and estimates with leakage, filtering and noise; the last second is not whole."""
    references = white(2.6)
    drums, vocals = references.values()
    filtered = np.stack([np.convolve(channel, [0.9, 0.2, -0.1])[: len(channel)] for channel in drums])
    drums_made: Array = filtered + 0.05 * vocals + noise(2, drums.shape[1], 0.002, seed=3)
    vocals_made: Array = 0.8 * vocals + 0.3 * drums[::-1] + noise(2, drums.shape[1], 0.01, seed=4)
    return references, {"drums": drums_made.astype(np.float32), "vocals": vocals_made.astype(np.float32)}


def rendered() -> tuple[dict[str, Block], dict[str, Block]]:
    """A song as vocals and the other instruments, with a pause in a second of its four; estimates that leak."""
    stems = multitrack(3, 4.0, RATE)
    vocals = stems.pop("vocals")
    vocals[:, RATE : 2 * RATE] = 0
    other: Block = np.sum(list(stems.values()), axis=0, dtype=np.float32)
    other_made: Array = 0.95 * other + 0.2 * vocals + noise(2, other.shape[1], 0.001, seed=5)
    vocals_made: Array = 0.8 * vocals + 0.1 * other + noise(2, other.shape[1], 0.003, seed=6)
    return {"other": other, "vocals": vocals}, {
        "other": other_made.astype(np.float32),
        "vocals": vocals_made.astype(np.float32),
    }


@pytest.fixture(scope="module", params=[crafted, rendered], ids=["noise", "song"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """References, estimates, and our scores of them."""
    references, estimates = request.param()
    return references, estimates, scored(tmp_path_factory.mktemp("both"), references, estimates)


def test_bsseval_is_what_museval_gives(both: Both) -> None:
    """As the papers do it: called directly, on whole songs in double precision, medians over frames of 1 s."""
    references, _, result = both
    true, estimated = (np.stack([signals[s].T for s in references]).astype(float) for signals in both[:2])
    sdr, isr, sir, sar = museval.evaluate(true, estimated, win=RATE, hop=RATE, mode="v4")
    assert np.isnan(sdr).any() == ((references["vocals"] == 0).sum() > RATE), "a frame of silence is passed over"
    for name, frames in {"sdr": sdr, "isr": isr, "sir": sir, "sar": sar}.items():
        ours = [getattr(of(result, source), name) for source in references]
        assert ours == pytest.approx(np.nanmedian(frames, axis=1), abs=1e-3), name


def test_utterance_sdr_is_the_formula_of_the_challenges(
    both: Both,
) -> None:
    references, estimates, result = both
    for source, reference in references.items():
        true, estimate = reference.astype(float), estimates[source].astype(float)
        ratio = (np.sum(true**2) + 1e-7) / (np.sum((true - estimate) ** 2) + 1e-7)
        assert result.sdr[source] == pytest.approx(10 * math.log10(ratio), abs=1e-5)


def test_scores_tell_what_they_are_of(both: Both) -> None:
    references, _, result = both
    assert (result.track, result.method, result.kind, result.degraded) == ("song", "made", "estimates", None)
    assert result.seconds == references["vocals"].shape[1] / RATE
    assert list(result.sdr) == list(result.bsseval or ()) == list(references)


def test_scaled_by_g_is_20_log_of_1_less_g(tmp_path: Path) -> None:
    gains = {"drums": 0.5, "vocals": 0.9}
    references = white()
    result = scored(tmp_path, references, {s: np.float32(gains[s]) * references[s] for s in references})
    for source, gain in gains.items():
        expected = -20 * math.log10(1 - gain)
        scores = of(result, source)
        assert result.sdr[source] == pytest.approx(expected, abs=1e-4)
        assert scores.sdr == pytest.approx(expected, abs=1e-3)
        assert scores.isr == pytest.approx(expected, abs=1e-3)
        assert value(scores.sir) > 60
        assert value(scores.sar) > 60


def test_exchanged_sources_are_interference(tmp_path: Path) -> None:
    references = white()
    result = scored(tmp_path, references, {"drums": references["vocals"], "vocals": references["drums"]})
    for source in references:
        assert result.sdr[source] == pytest.approx(-3.01, abs=0.1)
        assert value(of(result, source).sir) < -5
        assert value(of(result, source).sdr) < 0
        assert value(of(result, source).sar) > 60, "nothing is in it but sources"


def test_a_delay_is_a_filter_and_no_artifact(tmp_path: Path) -> None:
    """The filters of 512 samples undo it, up to as many samples as it is long at both edges of a frame."""
    references = white(3.0)
    delays = {"drums": 8, "vocals": 100}
    delayed = {s: np.pad(references[s], ((0, 0), (delays[s], 0)))[:, : references[s].shape[1]] for s in references}
    result = scored(tmp_path, references, delayed)
    for source, delay in delays.items():
        scores = of(result, source)
        assert result.sdr[source] == pytest.approx(-3.01, abs=0.1)
        assert scores.sdr == pytest.approx(-3.01, abs=0.2), "BSSEval v4 forgives no filter in its SDR"
        assert scores.isr == pytest.approx(-3.01, abs=0.2)
        assert scores.sar == pytest.approx(10 * math.log10(RATE / (2 * delay)), abs=2.5)
        assert value(scores.sir) > 30


def test_a_silent_estimate_is_0_db_and_has_no_bsseval(tmp_path: Path) -> None:
    references = white()
    estimates = {"drums": silence(2, 2 * RATE), "vocals": references["vocals"] * np.float32(0.9)}
    result = scored(tmp_path, references, estimates)
    assert result.sdr == pytest.approx({"drums": 0, "vocals": 20}, abs=1e-4)
    assert result.bsseval is not None
    assert result.bsseval["drums"] is None
    assert of(result, "vocals").sdr == pytest.approx(20, abs=1e-3)
    assert of(result, "vocals").sir == 300, "infinite: there is no other source"


def test_a_silent_source_is_not_scored_and_the_others_are(tmp_path: Path) -> None:
    references = {"bass": silence(2, 2 * RATE), **white()}
    result = scored(tmp_path, references, {s: noise(2, 2 * RATE, 0.001) + references[s] for s in references})
    assert result.bsseval is not None
    assert result.sdr["bass"] is None
    assert result.bsseval["bass"] is None
    for source in ("drums", "vocals"):
        assert result.sdr[source] == pytest.approx(40, abs=0.2)
        assert of(result, source).sdr == pytest.approx(40, abs=0.5)


def test_where_all_is_silent_nothing_is_scored() -> None:
    quiet, loud = np.zeros((2, 2, RATE), np.float32), np.stack(list(white(1.0).values()))
    assert bsseval(quiet, loud, RATE) == {}
    assert bsseval(loud, quiet, RATE) == {}


def test_sources_that_never_sound_together_are_not_scored() -> None:
    """In each frame of 1 s one of the two is silent, and museval passes over all of them."""
    references = np.stack(list(white().values()))
    references[0, :, :RATE] = references[1, :, RATE:] = 0
    assert bsseval(references, references + np.float32(0.01), RATE) == {}


def test_scores_go_through_json(both: Both) -> None:
    result = both[2]
    assert SongResult.from_json(result.to_json()) == result
    assert list(of(result, "vocals").to_json()) == list(METRICS)


def test_museval_that_is_there_passes() -> None:
    check_museval()


def test_without_museval_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "museval", None)
    monkeypatch.delitem(sys.modules, "museval.metrics", raising=False)
    with pytest.raises(UsageError, match=r"--bsseval needs museval .*stemsplit\[eval\]"):
        check_museval()


def test_without_ffmpeg_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What museval imports raises RuntimeError then."""
    (tmp_path / "museval").mkdir()
    (tmp_path / "museval" / "__init__.py").write_text("raise RuntimeError('ffmpeg or ffprobe could not be found!')\n")
    for name in [name for name in sys.modules if name.split(".")[0] == "museval"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="ffmpeg and ffprobe"):
        check_museval()
