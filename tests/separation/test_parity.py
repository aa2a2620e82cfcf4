"""
Whole tracks against the reference implementation, in float32.

The networks are stand-ins with every parameter drawn. Most are reduced: with the published segment of 7.8 s where
the length of the track matters, with segments of 1 s elsewhere. One has the published size.
"""

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from scores import sdr
from standins import ONE_HOT, REDUCED, SIX_SOURCES, SOURCES, make_folder, make_htdemucs
from stemsplit import Separator
from stemsplit.weights.bundled import MINI

RATE = 44_100
REDUCED_HTDEMUCS = REDUCED | {"segment": Fraction(39, 5)}
# Frames: 2; 0.5 s; the segment exactly; one more; 13.0 s (two pieces run past the end); 13.65 s; 31 s.
LENGTHS = [2, 22_050, 343_980, 343_981, 573_300, 601_965, 1_367_100]


def music(frames: int, seed: int = 0) -> NDArray[np.float32]:
    """A chord, a pulse and noise, different on either side, with an offset: something for every branch."""
    time = np.arange(frames) / RATE
    chord = sum(np.sin(2 * np.pi * pitch * time + phase) for phase, pitch in enumerate((110, 277.2, 329.6, 880)))
    pulse = np.exp(-8 * (time % 0.5)) * np.sin(2 * np.pi * 60 * time)
    noise = np.random.default_rng(seed).standard_normal((2, frames))
    voices = np.stack([0.1 * chord + 0.3 * pulse, 0.06 * chord + 0.35 * pulse])
    return np.asarray(voices + 0.05 * noise + 0.01, np.float32)


@pytest.fixture(scope="module")
def song() -> NDArray[np.float32]:
    """20 s of music: the file that STEMSPLIT_TEST_SONG names, or made up."""
    path = os.environ.get("STEMSPLIT_TEST_SONG")
    if path is None:
        return music(20 * RATE)
    samples: NDArray[np.float32] = soundfile.read(path, dtype="float32", always_2d=True)[0].T
    return np.ascontiguousarray(samples[:, : 20 * RATE])


def reference(folder: Path, mixture: NDArray[np.float32], **options: Any) -> torch.Tensor:
    """All sources as the reference separates them, [sources, channels, frames]."""
    import yaml
    from demucs.apply import BagOfModels, apply_model
    from demucs.hf import load_safetensors_model

    definition = yaml.safe_load(next(folder.glob("*.yaml")).read_text())
    members = [load_safetensors_model(folder / f"{name}.safetensors") for name in definition["models"]]
    bag = BagOfModels(members, definition.get("weights"), definition.get("segment"))
    bag.eval()
    wave = torch.from_numpy(mixture)
    mean, std = wave.mean(0).mean(), wave.mean(0).std() + 1e-8
    options = {"shifts": 0, "overlap": 0.25} | options
    return apply_model(bag, ((wave - mean) / std)[None], **options)[0] * std + mean


def assert_equal(separator: Separator, mixture: NDArray[np.float32], expected: torch.Tensor) -> None:
    sources = separator(mixture)
    for name, signal in zip(separator.bag.sources, expected, strict=True):
        assert sources[name].shape == mixture.shape
        assert sdr(signal, torch.from_numpy(sources[name])) >= 80, name


def load(folder: Path, **options: Any) -> Separator:
    return Separator.load(str(folder), device="cpu", precision="fp32", **options)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("quick"))


@pytest.fixture(scope="module")
def htdemucs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("htdemucs"), changes=REDUCED_HTDEMUCS)


@pytest.mark.parametrize("frames", LENGTHS)
def test_any_length_equals_the_reference(htdemucs: Path, frames: int) -> None:
    mixture = music(frames)
    assert_equal(load(htdemucs), mixture, reference(htdemucs, mixture))


def test_the_bundled_model_equals_the_reference() -> None:
    mixture = music(6 * RATE)
    assert_equal(load(Path(MINI.name)), mixture, reference(MINI.definition.parent, mixture))


def test_files_equal_the_reference(quick: Path, tmp_path: Path) -> None:
    """From a 32-bit float WAV to 32-bit float stems, through the whole program."""
    mixture = music(150_001)
    soundfile.write(tmp_path / "song.wav", mixture.T, RATE, "FLOAT")
    options = ["--precision", "fp32", "--device", "cpu", "--bit-depth", "32f"]
    command = [sys.executable, "-m", "stemsplit", "song.wav", "-m", str(quick), *options]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    for name, signal in zip(SOURCES, reference(quick, mixture), strict=True):
        stem, rate = soundfile.read(tmp_path / "separated" / "song" / f"{name}.wav", dtype="float32")
        assert rate == RATE
        assert sdr(signal, torch.from_numpy(stem.T)) >= 80, name


def test_music_equals_the_reference(htdemucs: Path, song: NDArray[np.float32]) -> None:
    assert_equal(load(htdemucs), song, reference(htdemucs, song))


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.5, 0.75])
def test_any_overlap_equals_the_reference(quick: Path, overlap: float) -> None:
    mixture = music(140_000)
    assert_equal(load(quick, overlap=overlap), mixture, reference(quick, mixture, overlap=overlap))


def test_one_sample_gives_one_finite_frame_per_source(htdemucs: Path) -> None:
    """Where the reference's standard deviation is not a number."""
    sources = load(htdemucs)(np.array([[0.5], [-0.25]], np.float32))
    assert len(sources) == 4
    for signal in sources.values():
        assert signal.shape == (2, 1)
        assert np.isfinite(signal).all()


def test_shifts_equal_the_reference_with_the_same_offsets(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference draws how much of half a second of silence it skips; ours leaves 0, 1/3, 2/3 of it."""
    mixture = music(100_000)
    offsets = iter([22_050 - lead for lead in (0, 7_350, 14_700)])
    monkeypatch.setattr(random, "randint", lambda low, high: next(offsets))
    assert_equal(load(quick, shifts=3), mixture, reference(quick, mixture, shifts=3))


def test_six_sources_equal_the_reference(tmp_path: Path) -> None:
    changes = REDUCED | {"sources": list(SIX_SOURCES), "bottom_channels": 0}
    mixture = music(100_000)
    folder = make_folder(tmp_path / "six", changes=changes)
    assert_equal(load(folder), mixture, reference(folder, mixture))


BAGS: dict[str, Sequence[Sequence[float]] | None] = {
    "fine-tuned, one-hot": ONE_HOT,
    "without weights": None,
    "weighted": ((1.0, 2.0, 0.0, 0.5), (3.0, 0.5, 1.0, -0.25), (0.0, 0.0, 2.0, 1.0), (0.1, 0.2, 0.3, 0.4)),
}


@pytest.mark.parametrize("kind", BAGS)
def test_bags_equal_the_reference(tmp_path: Path, kind: str) -> None:
    folder = make_folder(tmp_path / "bag", 4, weights=BAGS[kind])
    mixture = music(100_000)
    assert_equal(load(folder), mixture, reference(folder, mixture))


def test_a_shorter_segment_of_a_bag_is_what_the_networks_see(tmp_path: Path) -> None:
    """The reference pads it back to the trained length, which costs the full time; ours does not."""
    folder = make_folder(tmp_path / "bag", 2, segment=0.5)
    assert [run.segment_frames for run in load(folder).passes] == [22_050, 22_050]


@pytest.mark.parametrize("source", ["drums", "vocals"])
def test_one_source_runs_only_the_members_it_is_made_of(tmp_path: Path, source: str) -> None:
    folder = make_folder(tmp_path / "ft", 4, weights=ONE_HOT)
    mixture = music(100_000)
    everything, alone = load(folder), load(folder, sources=[source])
    assert len(everything.bag.networks) == 4
    assert len(alone.bag.networks) == 1
    np.testing.assert_array_equal(alone(mixture)[source], everything(mixture)[source])


def test_the_published_size_equals_the_reference(tmp_path: Path, song: NDArray[np.float32]) -> None:
    folder = make_htdemucs(tmp_path).folder
    mixture = np.ascontiguousarray(song[:, 100_000 : 100_000 + 573_300])
    assert_equal(load(folder), mixture, reference(folder, mixture))
