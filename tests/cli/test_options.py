"""What the options do to the stems."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from cli.program import FOUR, Result, Sound, assert_one_sentence, rms, stem_bytes, stems, stemsplit
from signals import noise, stereo_tones, write_sound
from standins import ONE_HOT, make_folder

Split = Callable[..., Result]
Stems = Callable[..., dict[str, Sound]]


@pytest.fixture
def loud(here: Path) -> Path:
    """A song whose stems exceed full scale."""
    return write_sound(here / "song.wav", noise(2, 40_000, level=0.9), subtype="FLOAT")


@pytest.fixture
def stems_of(here: Path, split: Split) -> Stems:
    """The stems of ./song.wav under some options."""

    def run(*options: str) -> dict[str, Sound]:
        assert split("song.wav", "--overwrite", "-o", "run", *options).code == 0
        return stems(here / "run/song")

    return run


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-s", "vocals"], {"vocals"}),
        (["-s", "vocals,drums"], {"vocals", "drums"}),
        (["--stems", "drums", "--stems", "vocals"], {"vocals", "drums"}),
        (["-s", "drums,vocals", "-s", "vocals", "-s", "bass,drums"], {"vocals", "drums", "bass"}),
        (["-s", " drums , vocals,"], {"vocals", "drums"}),
        (["-s", "bass,other,drums,vocals"], FOUR),
        ([], FOUR),
    ],
)
def test_stems_are_chosen(options: list[str], expected: set[str], song: Path, here: Path, split: Split) -> None:
    result = split("song.wav", "--json", *options)
    assert result.code == 0
    assert set(result.report["outputs"]) == expected
    assert set(stems(here / "separated/song")) == expected


def test_the_order_of_stems_and_their_company_do_not_matter(song: Path, stems_of: Stems, here: Path) -> None:
    stems_of("-s", "vocals,drums", "--bit-depth", "32f")
    first = stem_bytes(here / "run/song")
    stems_of("-s", "drums", "-s", "vocals", "--bit-depth", "32f")
    assert stem_bytes(here / "run/song") == first
    stems_of("--bit-depth", "32f")
    everything = stem_bytes(here / "run/song")
    assert {name: everything[name] for name in first} == first
    assert len(set(everything.values())) == 4


# The files.


@pytest.mark.parametrize(
    ("options", "container", "subtype"),
    [
        ([], "WAV", "PCM_24"),
        (["--bit-depth", "16"], "WAV", "PCM_16"),
        (["--bit-depth", "24"], "WAV", "PCM_24"),
        (["--bit-depth", "32f"], "WAV", "FLOAT"),
        (["-f", "wav"], "WAV", "PCM_24"),
        (["-f", "flac"], "FLAC", "PCM_24"),
        (["--format", "flac", "--bit-depth", "16"], "FLAC", "PCM_16"),
    ],
)
def test_formats_and_bit_depths(
    options: list[str], container: str, subtype: str, song: Path, here: Path, stems_of: Stems
) -> None:
    exact = stems_of("--bit-depth", "32f", "--clip", "none")
    for path in (here / "run/song").iterdir():
        path.unlink()
    written = stems_of(*options, "--clip", "none")
    assert {path.name for path in (here / "run/song").iterdir()} == {f"{name}.{container.lower()}" for name in FOUR}
    step = {"PCM_16": 2**-15, "PCM_24": 2**-23, "FLOAT": 0}[subtype]
    for name, stem in written.items():
        assert (stem.container.removesuffix("EX"), stem.subtype, stem.rate) == (container, subtype, 44_100)
        expected = np.clip(exact[name].samples, -1, 1 - step) if step else exact[name].samples
        assert np.abs(stem.samples - expected).max() <= 1.5 * step  # half a step of rounding, and one of dither


@pytest.mark.parametrize(
    ("wanted", "rate"), [("keep", 22_050), ("model", 44_100), ("8000", 8_000), ("44056", 44_056), ("192000", 192_000)]
)
@pytest.mark.parametrize("frames", [22_050 // 2, 22_050 // 2 + 1])
def test_sample_rate(wanted: str, rate: int, frames: int, here: Path, stems_of: Stems) -> None:
    write_sound(here / "song.wav", stereo_tones(1, 22_050, level=0.2)[:, :frames], 22_050)
    model = stems_of("--sample-rate", "model", "-s", "bass", "--bit-depth", "32f")["bass"]
    stem = stems_of("--sample-rate", wanted, "-s", "bass", "--bit-depth", "32f")["bass"]
    assert (stem.rate, stem.frames) == (rate, round(frames * rate / 22_050))
    if rate >= 44_000:  # below, the treble that the network answers with is cut off
        assert stem.level == pytest.approx(model.level, rel=0.1)
    assert 0.2 * model.level < stem.level < 1.05 * model.level


@pytest.mark.parametrize("depth", ["16", "24"])
def test_gain_turns_all_stems_down_alike(depth: str, loud: Path, here: Path, split: Split, stems_of: Stems) -> None:
    exact = stems_of("--bit-depth", "32f")
    peak = max(stem.peak for stem in exact.values())
    assert peak > 1
    result = split("song.wav", "--bit-depth", depth, "--json")
    gain_db = result.report["gain_db"]
    assert gain_db == pytest.approx(-20 * np.log10(peak), abs=0.01)
    step = 2.0 ** (1 - int(depth))
    for name, stem in stems(here / "separated/song").items():
        assert stem.peak <= 1 - step
        error = stem.samples - exact[name].samples * 10 ** (gain_db / 20)
        assert np.abs(error).max() <= 1.5 * step + 1e-7
        assert np.abs(error).max() > 0


def test_the_gain_is_said(loud: Path, split: Split) -> None:
    result = split("song.wav")
    assert "turned down" in result.err
    assert "dB so that no stem clips" in result.err


def test_no_gain_where_nothing_clips(song: Path, split: Split) -> None:
    result = split("song.wav", "--json", "--clip", "gain")
    assert result.report["gain_db"] == 0


@pytest.mark.parametrize("depth", ["16", "24"])
def test_without_gain_integers_saturate(depth: str, loud: Path, here: Path, split: Split, stems_of: Stems) -> None:
    exact = stems_of("--bit-depth", "32f")
    assert max(stem.peak for stem in exact.values()) > 1
    result = split("song.wav", "--clip", "none", "--bit-depth", depth, "--json")
    assert (result.code, result.report["gain_db"]) == (0, 0)
    step = 2.0 ** (1 - int(depth))
    for name, stem in stems(here / "separated/song").items():
        assert np.abs(stem.samples - np.clip(exact[name].samples, -1, 1 - step)).max() <= 1.5 * step


@pytest.mark.parametrize("clip", ["gain", "none"])
def test_floats_keep_what_exceeds_full_scale(clip: str, loud: Path, here: Path, split: Split) -> None:
    result = split("song.wav", "--bit-depth", "32f", "--clip", clip, "--json")
    assert result.report["gain_db"] == 0
    assert max(stem.peak for stem in stems(here / "separated/song").values()) > 1


# The separation.


@pytest.fixture
def longer(here: Path) -> Path:
    """A song of several segments."""
    return write_sound(here / "song.wav", stereo_tones(1.3, level=0.2) + noise(2, 57_330, 0.05), subtype="FLOAT")


@pytest.mark.parametrize(
    "options",
    [
        ["--overlap", "0"],
        ["--overlap", "0.5"],
        ["--overlap", "0.9"],
        ["--segment", "0.5"],
        ["--shifts", "2"],
    ],
)
def test_how_a_song_is_cut(options: list[str], longer: Path, stems_of: Stems) -> None:
    """Each way is another answer, of the same length and about as loud."""
    usual = stems_of("--bit-depth", "32f")
    other = stems_of("--bit-depth", "32f", *options)
    for name in FOUR:
        assert other[name].frames == 57_330
        assert not np.array_equal(other[name].samples, usual[name].samples)
        assert 0.3 < other[name].level / usual[name].level < 3


@pytest.mark.parametrize("options", ["--overlap 0.25", "--segment 1", "--shifts 1", "--batch-size 1", "--clip gain"])
def test_the_defaults(options: str, longer: Path, stems_of: Stems, here: Path) -> None:
    stems_of()
    usual = stem_bytes(here / "run/song")
    stems_of(*options.split())
    assert stem_bytes(here / "run/song") == usual


def test_shifts_are_averaged(longer: Path, stems_of: Stems) -> None:
    """Random weights give another answer for every shift: their mean is quieter than each of them."""
    one = stems_of("--bit-depth", "32f")
    many = stems_of("--bit-depth", "32f", "--shifts", "4")
    for name in FOUR:
        assert many[name].level < one[name].level


@pytest.mark.parametrize("options", [[], ["-f", "flac", "--bit-depth", "16"], ["--bit-depth", "32f", "--shifts", "2"]])
def test_the_same_command_twice_gives_the_same_bytes(
    options: list[str], longer: Path, here: Path, split: Split
) -> None:
    assert split("song.wav", "-o", "first", *options).code == 0
    assert split("song.wav", "-o", "second", *options).code == 0
    assert stem_bytes(here / "first/song") == stem_bytes(here / "second/song")
    assert len(stem_bytes(here / "first/song")) == 4


@pytest.mark.parametrize("batch", ["3", "4"])
def test_who_shares_a_batch_does_not_matter(batch: str, here: Path, split: Split) -> None:
    """A song alone, and the same among others of other lengths."""
    for seed, frames in enumerate([30_000, 60_000, 101_000, 9_000]):
        write_sound(here / f"{seed}.wav", noise(2, frames, seed=seed))
    songs = [f"{seed}.wav" for seed in range(4)]
    assert split(*songs, "-o", "together", "--batch-size", batch).code == 0
    for seed in range(4):
        assert split(f"{seed}.wav", "-o", "alone", "--batch-size", batch).code == 0
        assert stem_bytes(here / f"alone/{seed}") == stem_bytes(here / f"together/{seed}")


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32", "auto"])
def test_precision(precision: str, song: Path, here: Path, split: Split, stems_of: Stems) -> None:
    exact = stems_of("--bit-depth", "32f")
    result = split("song.wav", "--bit-depth", "32f", "--precision", precision, "--device", "cpu", "--json")
    assert result.code == 0
    assert result.report["precision"] in (["fp32", "bf16"] if precision == "auto" else [precision])
    for name, stem in stems(here / "separated/song").items():
        assert np.isfinite(stem.samples).all()
        error = rms(stem.samples - exact[name].samples) / exact[name].level
        assert error < {"fp32": 1e-9, "fp16": 0.05}.get(precision, 0.8)  # random weights amplify what is rounded
        assert error > 0 or precision in ("fp32", "auto")


@pytest.mark.parametrize(("stems", "networks"), [("vocals", 1), ("bass,drums", 2), ("drums,bass,other,vocals", 4)])
def test_only_the_networks_that_are_needed_run(
    stems: str, networks: int, song: Path, here: Path, split: Split, tmp_path: Path
) -> None:
    bag = make_folder(tmp_path / "bag", 4, weights=ONE_HOT)
    result = split("song.wav", "-m", bag, "-s", stems, "--json")
    assert (result.code, result.report["networks"]) == (0, networks)
    assert set(result.report["outputs"]) == set(stems.split(","))


def test_offline_without_the_model(song: Path, here: Path) -> None:
    result = stemsplit("song.wav", "--offline")
    assert result.code == 1
    assert_one_sentence(result, "955717e8.safetensors", constants.HF_HUB_CACHE, "--offline", "`-m mini -o taste` now")
    assert not (here / "separated").exists()
