"""Wrong usage: exit 2, before anything is decoded, loaded or fetched, and nothing is made."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.program import Result, assert_one_sentence, everything_below, stemsplit

Split = Callable[..., Result]


WRONG_OPTIONS = [
    ("--overlap 1", "--overlap must be at least 0 and below 1, not 1"),
    ("--overlap -0.1", "--overlap must be at least 0 and below 1"),
    ("--overlap nan", "--overlap must be at least 0 and below 1"),
    ("--overlap inf", "--overlap must be at least 0 and below 1"),
    ("--overlap abc", "--overlap"),
    ("--segment 0", "--segment must be"),
    ("--segment -1", "--segment must be"),
    ("--segment nan", "--segment must be"),
    ("--segment inf", "--segment must be"),
    ("--segment abc", "--segment"),
    ("--shifts 0", "--shifts must be a whole number from 1"),
    ("--shifts -1", "--shifts must be a whole number from 1"),
    ("--shifts 1.5", "--shifts"),
    ("--shifts 1e9", "--shifts"),
    ("--shifts 1000000000", "--shifts must be a whole number from 1"),
    ("--batch-size 0", "--batch-size must be auto or a whole number from 1"),
    ("--batch-size -2", "--batch-size must be auto or a whole number from 1"),
    ("--batch-size 1.5", "--batch-size"),
    ("--batch-size abc", "--batch-size"),
    ("--sample-rate 0", "--sample-rate must be keep, model or a number of Hz"),
    ("--sample-rate -44100", "--sample-rate must be keep, model or a number of Hz"),
    ("--sample-rate 44100.5", "--sample-rate must be keep, model or a number of Hz"),
    ("--sample-rate 99999999999", "--sample-rate must be keep, model or a number of Hz"),
    ("--sample-rate ٤٤١٠٠", "--sample-rate must be keep, model or a number of Hz"),
    ("--sample-rate abc", "--sample-rate must be keep, model or a number of Hz"),
    ("--bit-depth 8", "--bit-depth"),
    ("--bit-depth 32", "--bit-depth"),
    ("-f flac --bit-depth 32f", "flac cannot hold bit depth 32f. Choose 16 or 24"),
    ("-f xyz", "--format"),
    ("--clip maybe", "--clip"),
    ("--device cuda:99", "--device cuda:99: torch finds"),
    ("--device cuda:x", "--device must be auto, cpu, cuda, cuda:N or mps"),
    ("--device cpu:1", "--device must be auto, cpu, cuda, cuda:N or mps"),
    ("--device toaster", "--device must be auto, cpu, cuda, cuda:N or mps"),
    ("--precision foo", "--precision must be auto, fp32, bf16, fp16"),
    ("--nope", "No such option: --nope"),
    ("-x", "No such option: -x"),
    ("--output", "--output"),
]


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS)
def test_a_wrong_option(options: str, message: str, here: Path, undecodable: Path, unloadable: Path) -> None:
    before = everything_below(here)
    result = stemsplit("-m", unloadable, undecodable.name, *options.split())
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    assert everything_below(here) == before


@pytest.mark.parametrize("seconds", ["1.01", "7.8", "0.05", "1e308"])
def test_a_segment_that_the_model_cannot_see(seconds: str, here: Path, undecodable: Path, split: Split) -> None:
    result = split(undecodable.name, "--segment", seconds)
    assert result.code == 2
    assert_one_sentence(result, "--segment must be from 0.09 to 1 s")
    assert not (here / "separated").exists()


def test_a_wrong_option_is_found_before_a_missing_song(unloadable: Path) -> None:
    result = stemsplit("missing.wav", "-m", unloadable, "--overlap", "2")
    assert result.code == 2
    assert_one_sentence(result, "--overlap")


@pytest.mark.parametrize("stems", ["piano", "Vocals", "drums,piano", "piano,drums", "mixture", "../x"])
@pytest.mark.parametrize("model", ["folder", "catalogue"])
def test_an_unknown_stem(model: str, stems: str, here: Path, undecodable: Path, split: Split) -> None:
    """Of a catalogue model before it is fetched: that would fail here, with another exit code."""
    result = split(undecodable.name, "-s", stems, *(["-m", "htdemucs"] if model == "catalogue" else []))
    assert result.code == 2
    assert_one_sentence(result, stems.removeprefix("drums,").removesuffix(",drums"), "drums, bass, other, vocals")
    assert not (here / "separated").exists()


@pytest.mark.parametrize(
    ("name", "mentions"),
    [
        ("htdemucz", ["'htdemucz'", "catalogue", "file", "hub repository", "Did you mean htdemucs?"]),
        ("no-such-model", ["'no-such-model'", "htdemucs, htdemucs_ft, htdemucs_6s", "file", "USER/REPO"]),
        ("", ["''", "catalogue"]),
        ("missing.safetensors", ["'missing.safetensors'", "no existing file"]),
        ("no/such/model.safetensors", ["'no/such/model.safetensors'", "no existing file"]),
        ("song.mp3", ["song.mp3 is no model", ".safetensors"]),
        (".", ["is no model", "*.yaml"]),
    ],
)
def test_an_unknown_model(name: str, mentions: list[str], here: Path, undecodable: Path) -> None:
    result = stemsplit(undecodable.name, "-m", name)
    assert result.code == 2
    assert_one_sentence(result, *mentions)
    assert not (here / "separated").exists()


@pytest.mark.parametrize("output", ["taken", "taken/below", "taken/far/below", "song.mp3", "n" * 300, "link"])
def test_an_output_that_cannot_be_written(output: str, here: Path, undecodable: Path, unloadable: Path) -> None:
    (here / "taken").write_text("mine")
    (here / "link").symlink_to("taken")
    before = everything_below(here)
    result = stemsplit(undecodable.name, "-m", unloadable, "-o", output)
    assert result.code == 2
    assert_one_sentence(result, output, "cannot be written")
    assert everything_below(here) == before
    assert (here / "taken").read_text() == "mine"


@pytest.mark.parametrize("arguments", [["-q"], ["separate"], ["separate", "-o", "out", "--"], ["--json"]])
def test_no_input(arguments: list[str]) -> None:
    result = stemsplit(*arguments)
    assert result.code == 2
    assert "INPUT" in result.err
    assert result.out == ""


def test_a_malformed_catalogue(here: Path, undecodable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMSPLIT_CATALOG", "missing.toml")
    result = stemsplit(undecodable.name)
    assert result.code == 2
    assert_one_sentence(result, "missing.toml", "STEMSPLIT_CATALOG")


# First words that may be meant otherwise.


@pytest.mark.parametrize(
    ("word", "command"),
    [("modles", "models"), ("sepaarte", "separate"), ("downlaod", "download"), ("benhc", "bench")],
)
def test_a_mistyped_command(word: str, command: str, song: Path) -> None:
    result = stemsplit(word, song.name)
    assert result.code == 2
    assert word in result.err
    assert f"`stemsplit {command}`" in result.err
    assert len(result.err.splitlines()) == 1


def test_a_file_that_looks_like_a_mistyped_command(song: Path, here: Path, split: Split, small: Path) -> None:
    song.rename(here / "modles")
    result = stemsplit("modles", "-m", small, "-s", "drums")
    assert result.code == 0
    assert (here / "separated/modles/drums.wav").is_file()


def test_a_command_that_is_also_a_file(song: Path, here: Path) -> None:
    song.rename(here / "models")
    result = stemsplit("models", "--json")
    assert result.code == 0
    assert result.reports
    assert "./models" in result.err
    assert len(result.err.splitlines()) == 1
