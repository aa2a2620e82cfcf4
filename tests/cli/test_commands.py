"""The other commands, and what the program says of itself."""

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from cli.program import FOUR, assert_one_sentence, process, stem_bytes, stemsplit

COMMANDS = ["separate", "demo", "models", "download", "bench", "doctor"]


def test_models(small: Path) -> None:
    result = stemsplit("models")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["htdemucs", "htdemucs_ft", "htdemucs_6s"]
    assert all("cached: no" in line for line in lines[:3])
    assert lines[0].endswith("drums, bass, other, vocals")
    assert lines[2].endswith("drums, bass, other, vocals, guitar, piano")
    assert [line.split("MB")[0].split()[-1] for line in lines[:3]] == ["84", "336", "55"]
    assert lines[3].split() == ["mini", lines[3].split()[1], "MB", "bundled", "drums,", "bass,", "other,", "vocals"]
    assert "research" in lines[-3]
    assert lines[-1].startswith("Licence of mini: MIT")


def test_models_as_json() -> None:
    result = stemsplit("models", "--json")
    assert (result.code, result.err) == (0, "")
    six = result.reports[2]
    assert set(six) == {"name", "sources", "size", "licence", "cached"}
    assert (six["name"], six["size"], six["cached"]) == ("htdemucs_6s", 54_885_744, "no")
    assert six["sources"] == ["drums", "bass", "other", "vocals", "guitar", "piano"]


@pytest.mark.parametrize(
    ("name", "mentions"),
    [("htdemucss", ["'htdemucss'", "Did you mean htdemucs?"]), ("song", ["'song'", "htdemucs, htdemucs_ft"])],
)
def test_downloading_an_unknown_model(name: str, mentions: list[str]) -> None:
    result = stemsplit("download", "htdemucs", name)
    assert result.code == 2
    assert_one_sentence(result, *mentions)


def test_downloading_what_comes_with_the_package() -> None:
    """In this process: nothing answers where the tests look for a hub."""
    result = stemsplit("download", "mini")
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines() == ["mini: comes with stemsplit.", "mini: complete and checked."]


def test_downloading_a_model_that_is_a_folder(small: Path) -> None:
    result = stemsplit("download", small)
    assert result.code == 2
    assert_one_sentence(result, "not in the catalogue")


def test_bench(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemsplit.cli.bench.NOISE_SECONDS", 2)
    options = ["--repeat", "1", "-m", str(small), "--device", "cpu", "--precision", "fp32"]
    result = stemsplit("bench", *options)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("RTF ")
    assert "2 s of noise" in result.out
    assert "small, cpu fp32, batch 1, median of 1" in result.out


def test_bench_as_json(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemsplit.cli.bench.NOISE_SECONDS", 2)
    result = stemsplit("bench", "--repeat", "3", "-m", small, "--batch-size", "2", "--json")
    assert (result.code, result.err) == (0, "")
    told = result.report
    assert (told["schema"], told["model"], told["batch_size"], told["audio_seconds"]) == (1, "small", 1, 2)
    assert len(told["seconds"]) == 3
    assert told["rtf"] == pytest.approx(sorted(told["seconds"])[1] / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--repeat", "0"], "--repeat"),
        (["--overlap", "1"], "--overlap must be"),
        (["--precision", "foo"], "--precision must be"),
        (["-m", "nope"], "no model 'nope'"),
        (["song.wav"], "song.wav"),
    ],
)
def test_bench_with_wrong_options(options: list[str], message: str, small: Path) -> None:
    result = stemsplit("bench", "-m", small, *options)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_version() -> None:
    result = stemsplit("--version")
    assert (result.code, result.out, result.err) == (0, f"stemsplit {version('stemsplit')}\n", "")


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help(command: str | None, option: str) -> None:
    result = stemsplit(*([command] if command else []), option)
    assert (result.code, result.err) == (0, "")
    assert "Usage:" in result.out
    expected = COMMANDS if command is None else ["--help", "--verbose"]
    assert all(word in result.out for word in expected)


def test_the_help_of_separate_names_every_option() -> None:
    text = stemsplit("separate", "--help").out
    for option in (
        *("--output", "-o", "--model", "-m", "--stems", "-s", "--format", "-f", "--bit-depth", "--sample-rate"),
        *("--clip", "--overlap", "--segment", "--shifts", "--batch-size", "--device", "--precision", "--offline"),
        *("--overwrite", "--json", "--quiet", "-q", "--verbose", "-v"),
    ):
        assert option in text
    for default in ("separated", "htdemucs", "0.25", "24", "wav", "keep", "gain"):
        assert default in text


def test_without_any_word_the_help_is_shown() -> None:
    result = stemsplit()
    assert "Usage:" in result.out + result.err
    assert "separate" in result.out + result.err


@pytest.mark.parametrize("words", [["separate"], []])
def test_separate_is_the_default_command(words: list[str], song: Path, here: Path, small: Path) -> None:
    assert stemsplit(*words, "song.wav", "-m", small).code == 0
    assert {path.name for path in (here / "separated/song").iterdir()} == {f"{name}.wav" for name in FOUR}


def test_options_may_come_first(song: Path, here: Path, small: Path) -> None:
    assert stemsplit("-m", small, "-s", "drums", "song.wav").code == 0
    assert [path.name for path in (here / "separated/song").iterdir()] == ["drums.wav"]


def test_python_m(song: Path, here: Path, small: Path) -> None:
    """A real process: stdout holds the report and nothing else, stderr nothing."""
    result = process("song.wav", "-m", str(small), "--json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["status"] == "done"
    assert {path.name for path in (here / "separated/song").iterdir()} == {f"{name}.wav" for name in FOUR}


# Models on disk.


def test_a_model_is_a_folder_or_its_one_file(song: Path, here: Path, small: Path) -> None:
    (file,) = small.glob("*.safetensors")
    (here / "link").symlink_to(small)
    models = {"folder": small, "file": file, "link": here / "link"}
    for name, model in models.items():
        assert stemsplit("song.wav", "-m", model, "-o", name).code == 0
    assert stem_bytes(here / "folder/song") == stem_bytes(here / "file/song") == stem_bytes(here / "link/song")


@pytest.mark.parametrize(
    ("damage", "mention"),
    [
        (lambda data: data[: len(data) // 2], "no whole safetensors file"),
        (lambda data: b"", "no whole safetensors file"),
        (lambda data: b"la la la" * 1000, "no whole safetensors file"),
    ],
)
def test_a_damaged_model(
    damage: Callable[[bytes], bytes], mention: str, song: Path, here: Path, small: Path, tmp_path: Path
) -> None:
    (file,) = small.glob("*.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(damage(file.read_bytes()))
    result = stemsplit("song.wav", "-m", damaged)
    assert result.code == 1
    assert_one_sentence(result, str(damaged), mention)
    assert not (here / "separated").exists()


def test_a_folder_without_its_network(song: Path, here: Path, small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.yaml").write_bytes((small / "small.yaml").read_bytes())
    result = stemsplit("song.wav", "-m", folder)
    assert result.code == 1
    assert_one_sentence(result, "model.yaml", ".safetensors")
    assert not (here / "separated").exists()
