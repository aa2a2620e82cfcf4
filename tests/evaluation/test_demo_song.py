"""The song of `stemsplit demo`, and how it is scored."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemsplit.evaluation.demo import NAME, SAMPLE_RATE, SONG, scores, write_mixture
from stemsplit.weights.bundled import MINI


def true_stems() -> dict[str, Path]:
    """The song's own files by source."""
    return {source: path for source, (path,) in zip(MINI.sources, SONG.track.files, strict=True)}


def test_the_song() -> None:
    """20 s of stereo in which every source is heard, in less than 1.6 MB."""
    files = true_stems()
    for source, path in files.items():
        samples, rate = soundfile.read(path, always_2d=True)
        assert path.stem == source
        assert (rate, samples.shape) == (SAMPLE_RATE, (20 * SAMPLE_RATE, 2))
        assert np.abs(samples).max() > 0.01
    assert sum(path.stat().st_size for path in files.values()) < 1_600_000


def test_the_stems_add_up_to_the_mixture(tmp_path: Path) -> None:
    path = tmp_path / "new" / "mixture.wav"
    for _ in range(2):  # over what is there, too
        write_mixture(path)
        path.chmod(0o600)
    stems = sum(soundfile.read(stem, dtype="float32")[0] for stem in true_stems().values())
    np.testing.assert_allclose(soundfile.read(path, dtype="float32")[0], stems, atol=1e-6)
    assert [entry.name for entry in path.parent.iterdir()] == ["mixture.wav"]


def test_scores(tmp_path: Path) -> None:
    """The true stems are perfect; the mixture in the place of each scores as the mixture."""
    perfect, mixture = scores(true_stems())
    assert (perfect.track, perfect.method, mixture.method) == (NAME, "mini", "mixture")
    assert all(sdr is not None and sdr > 60 for sdr in perfect.sdr.values())
    write_mixture(tmp_path / "mixture.wav")
    as_estimate, _ = scores(dict.fromkeys(MINI.sources, tmp_path / "mixture.wav"))
    assert as_estimate.sdr == pytest.approx(mixture.sdr, abs=1e-3)
