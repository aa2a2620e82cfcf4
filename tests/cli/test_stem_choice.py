"""Which stems: the laws that they obey in the files, which networks they need, and what cannot be asked for."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from cli.program import (
    FOUR,
    Result,
    Sound,
    assert_one_sentence,
    everything_below,
    process,
    rms,
    sound,
    stemsplit,
    tracks_in,
)
from hub_server import Hub, Served, serving
from signals import Block, convert, needs_ffmpeg, noise, stereo_tones, write_sound
from standins import ONE_HOT, REDUCED, Repository, make_folder, make_htdemucs_ft, write_catalog
from stemsplit.audio.quantise import Quantiser

Split = Callable[..., Result]
Integers = NDArray[np.int32]

INAUDIBLE = 1e-6  # -120 dBFS

WHOLE = ["--residual", "-s vocals --residual", "-k", "--two-stems bass", "-s drums,bass --drop drums --drop bass"]
"""Choices whose stems are the mixture together."""


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four networks, one per source, as htdemucs_ft has them."""
    return make_folder(tmp_path_factory.mktemp("bags") / "bag", 4, weights=ONE_HOT)


def run(split: Split, *options: str, output: str = "run") -> dict[str, Sound]:
    """The stems of ./song.wav."""
    result = split("song.wav", "--json", "--overwrite", "-o", output, *options)
    assert result.code == 0, result.err
    return {stem: sound(Path(path)) for stem, path in result.report["outputs"].items()}


def floats(split: Split, *options: str) -> dict[str, Sound]:
    return run(split, "--bit-depth", "32f", *options)


def added(stems: Sequence[Sound]) -> NDArray[np.float64]:
    return np.asarray(np.sum([stem.samples for stem in stems], axis=0))


# Floats.


@pytest.mark.parametrize("options", WHOLE)
@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_floats_add_up_to_the_mixture(options: str, rate: int, channels: int, here: Path, split: Split) -> None:
    song = sound(write_sound(here / "song.wav", noise(channels, 30_001, 0.2), rate, "FLOAT"))
    written = floats(split, *options.split())
    assert all((stem.rate, stem.channels, stem.frames) == (rate, channels, 30_001) for stem in written.values())
    assert all(stem.level > 0.001 for stem in written.values())
    assert np.abs(added(list(written.values())) - song.samples).max() < INAUDIBLE


@pytest.mark.parametrize("options", WHOLE)
def test_aiff_floats_add_up_to_the_mixture(options: str, song: Path, split: Split) -> None:
    written = floats(split, "-f", "aiff", *options.split())
    assert {stem.container for stem in written.values()} == {"AIFF"}
    assert np.abs(added(list(written.values())) - sound(song).samples).max() < INAUDIBLE


def test_an_excerpt_adds_up_to_that_part_of_the_mixture(song: Path, split: Split) -> None:
    written = floats(split, "-k", "--start", "0.1", "--duration", "0.3")
    assert np.abs(added(list(written.values())) - sound(song).samples[4_410:17_640]).max() < INAUDIBLE


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_mix_is_the_sum_that_it_says(channels: int, rate: int, here: Path, split: Split) -> None:
    song = sound(write_sound(here / "song.wav", noise(channels, 30_001, 0.2), rate, "FLOAT"))
    stems = floats(split)
    (practice,) = floats(split, "--mix", "practice=drums*0.5 - bass + vocals@-6dB - mixture*0.1").values()
    parts = {name: stem.samples for name, stem in stems.items()}
    expected = 0.5 * parts["drums"] - parts["bass"] + 10**-0.3 * parts["vocals"] - 0.1 * song.samples
    assert np.abs(practice.samples - expected).max() < INAUDIBLE


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("options", "name", "others"),
    [
        ("-k", "instrumental", ["drums", "bass", "other"]),
        ("--two-stems drums", "no_drums", ["bass", "other", "vocals"]),
        ("--drop vocals", "no_vocals", ["drums", "bass", "other"]),
        ("--drop vocals --drop bass", "no_bass_vocals", ["drums", "other"]),
    ],
)
def test_a_sum_is_the_other_stems_and_not_what_is_left_of_the_mixture(
    options: str, name: str, others: list[str], channels: int, here: Path, split: Split
) -> None:
    write_sound(here / "song.wav", noise(channels, 30_001, 0.2), 48_000, "FLOAT")
    stems = floats(split)
    summed = floats(split, *options.split(), "--sum")[name]
    left = floats(split, *options.split())[name]
    assert np.array_equal(summed.samples, added([stems[other] for other in others]).astype(np.float32))
    assert rms(summed.samples - left.samples) > 0.1 * left.level


# Integers.

LOUD = ("full", "loud", "very loud", "tone")
"""Songs that need a gain."""


def _song(kind: str, folder: Path) -> Path:
    sound, rate, subtype = {
        "quiet": (noise(2, 20_001, 0.02), 44_100, "PCM_16"),
        "mono": (noise(1, 20_001, 0.02), 44_100, "PCM_16"),
        "48 kHz": (noise(2, 20_001, 0.02), 48_000, "PCM_16"),
        "full": (noise(2, 20_001, 0.5), 44_100, "PCM_16"),  # with many samples at both ends of the range
        "fine": (noise(2, 20_001, 0.02), 44_100, "PCM_24"),
        "loud": (noise(2, 20_001, 0.9), 44_100, "FLOAT"),
        "very loud": (noise(1, 20_001, 30.0), 44_100, "FLOAT"),
        "tone": (stereo_tones(0.5, level=1.0), 44_100, "FLOAT"),
    }[kind]
    return write_sound(folder / "song.wav", sound, rate, subtype)


def block(path: Path) -> Block:
    samples, _ = soundfile.read(str(path), dtype="float32", always_2d=True)
    return np.asarray(samples).T


def integers(path: Path, bits: int) -> Integers:
    """As they are in the file. Shape: [frames, channels]."""
    samples, _ = soundfile.read(str(path), dtype="int32", always_2d=True)
    return np.asarray(samples, np.int32) >> (32 - bits)


def quantised(mixture: Block, bits: int, gain: float) -> Integers:
    quantiser = Quantiser(bits, len(mixture), "song\nmixture", gain)
    return np.concatenate([quantiser.push(mixture), quantiser.flush()])


def check_integers(split: Split, song: Path, kind: str, format_: str, bits: int, options: str) -> None:
    result = split("song.wav", "--json", "-f", format_, "--bit-depth", str(bits), *options.split())
    assert result.code == 0, result.err
    gain_db = result.report["gain_db"]
    assert (gain_db == 0) == (kind not in LOUD)
    stems = [integers(Path(path), bits).astype(np.int64) for path in result.report["outputs"].values()]
    total = np.sum(stems, axis=0)
    assert np.array_equal(total, quantised(block(song), bits, 10 ** (gain_db / 20)))
    if kind not in (*LOUD, "fine"):
        assert np.array_equal(total, integers(song, 16) << (bits - 16)), "of a 16-bit song, its own samples"


@pytest.mark.parametrize("options", WHOLE)
@pytest.mark.parametrize("kind", ["quiet", "loud"])
@pytest.mark.parametrize("format_", ["wav", "flac", "aiff"])
@pytest.mark.parametrize("bits", [16, 24])
def test_integers_add_up_to_the_mixture_exactly(
    bits: int, format_: str, kind: str, options: str, here: Path, split: Split
) -> None:
    check_integers(split, _song(kind, here), kind, format_, bits, options)


@pytest.mark.parametrize("options", ["--residual", "-k"])
@pytest.mark.parametrize("kind", ["mono", "48 kHz", "full", "fine", "very loud", "tone"])
@pytest.mark.parametrize("bits", [16, 24])
def test_they_do_for_songs_of_every_kind(bits: int, kind: str, options: str, here: Path, split: Split) -> None:
    check_integers(split, _song(kind, here), kind, "wav", bits, options)


def test_an_excerpt_in_integers_is_that_part_of_the_song(here: Path, split: Split) -> None:
    song = _song("quiet", here)
    result = split("song.wav", "-k", "--bit-depth", "16", "--start", "0.1", "--duration", "0.2", "--json")
    total = sum(integers(Path(path), 16) for path in result.report["outputs"].values())
    assert np.array_equal(total, integers(song, 16)[4_410:13_230])


@pytest.mark.parametrize("options", ["--residual", "-k", "-k --sum", "--mix boosted=vocals*20+mixture"])
@pytest.mark.parametrize("kind", LOUD)
@pytest.mark.parametrize("bits", [16, 24])
def test_nothing_saturates(bits: int, kind: str, options: str, here: Path, split: Split) -> None:
    """
    Every sample is what it should be: a saturated one would not be.

    Rounding and dither are 1.5 LSB of a stem; in a remainder those of the mixture and of every part meet. float32
    adds less than one at 24 bits.
    """
    _song(kind, here)
    exact = floats(split, *options.split())
    result = split("song.wav", "--json", "--bit-depth", str(bits), *options.split())
    scale, gain = 2 ** (bits - 1), 10 ** (result.report["gain_db"] / 20)
    assert gain < 1
    errors = 1.5 * (len(exact) if options in WHOLE else 1) + 1
    for stem, path in result.report["outputs"].items():
        samples = integers(Path(path), bits)
        assert samples.min() > -scale
        assert np.abs(samples - exact[stem].samples * (gain * scale)).max() <= errors


# One gain.


def _gain(stem: Sound, exact: Sound) -> float:
    """What the stem was multiplied by, in the sense of least squares."""
    return float(np.sum(stem.samples * exact.samples) / np.sum(np.square(exact.samples)))


@pytest.mark.parametrize("options", ["", "-k", "--residual", "-k --sum --mix practice=drums+bass*0.5"])
@pytest.mark.parametrize("format_", ["wav", "flac"])
def test_one_gain_keeps_the_ratios(format_: str, options: str, here: Path, split: Split) -> None:
    write_sound(here / "song.wav", noise(2, 100_000, 0.9), subtype="FLOAT")
    exact = floats(split, *options.split())
    written = run(split, "-f", format_, "--bit-depth", "24", *options.split())
    gains = [_gain(stem, exact[name]) for name, stem in written.items()]
    assert len(gains) >= 2
    assert gains[0] < 0.9
    assert max(gains) / min(gains) == pytest.approx(1, abs=1e-6)


def _low(sound: Sound, frames: int) -> NDArray[np.complex128]:
    """The spectrum from 100 Hz to 1 kHz, of which lossy formats keep almost everything."""
    spectrum = np.fft.rfft(sound.samples[:frames], axis=0)
    return np.asarray(spectrum[frames * 100 // sound.rate : frames * 1_000 // sound.rate])


@needs_ffmpeg
@pytest.mark.parametrize("format_", ["mp3", "ogg", "opus", "m4a"])
def test_one_gain_in_lossy_formats(format_: str, here: Path, split: Split) -> None:
    write_sound(here / "song.wav", noise(2, 96_000, 0.9), 48_000, "FLOAT")
    exact = floats(split, "-k")
    result = split("song.wav", "-k", "-f", format_, "--json")
    told = 10 ** (result.report["gain_db"] / 20)
    assert told < 0.7
    for stem, path in result.report["outputs"].items():
        decoded = sound(convert(Path(path), here / f"{stem}.wav", "-c:a", "pcm_f32le"))
        left, right = _low(decoded, 96_000), _low(exact[stem], 96_000)
        assert np.vdot(right, left).real / np.vdot(right, right).real == pytest.approx(told, rel=0.1)


# Names.


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("-k", {"vocals", "instrumental"}),
        ("--karaoke --sum", {"vocals", "instrumental"}),
        ("--two-stems bass", {"bass", "no_bass"}),
        ("--drop vocals", {"no_vocals"}),
        ("--drop bass --drop drums", {"no_drums_bass"}),
        ("--drop bass,drums", {"no_drums_bass"}),
        ("--drop drums,bass,vocals,other", {"no_drums_bass_other_vocals"}),
        ("--residual", {*FOUR, "residual"}),
        ("-s vocals --residual", {"vocals", "residual"}),
        ("--mix practice=drums+bass*0.5", {"practice"}),
        ("--mix a=drums --mix B-2_c=mixture-bass", {"a", "B-2_c"}),
        (
            "-s bass -k --two-stems drums --drop other --mix x=other",
            {"bass", "vocals", "instrumental", "drums", "no_drums", "no_other", "x"},
        ),
    ],
)
def test_the_files(options: str, names: set[str], here: Path, split: Split) -> None:
    """Of a mono song, mono."""
    write_sound(here / "song.wav", noise(1, 20_000, 0.05))
    result = split("song.wav", "--json", *options.split())
    assert result.code == 0, result.err
    folder = here / "separated/song"
    assert {path.name for path in folder.iterdir()} == {f"{name}.wav" for name in names}
    assert result.report["outputs"] == {name: str(folder / f"{name}.wav") for name in names}
    assert {sound(path).channels for path in folder.iterdir()} == {1}


def test_a_mix_has_a_name_with_spaces(song: Path, here: Path, split: Split) -> None:
    assert split("song.wav", "--mix", 'for my band = "drums" + bass @ -3 dB').code == 0
    assert [path.name for path in (here / "separated/song").iterdir()] == ["for my band.wav"]


@pytest.mark.parametrize("options", ["-s vocals", "--drop vocals", "--mix x=drums+bass"])
def test_one_stem_needs_no_name_of_its_own(options: str, song: Path, here: Path, split: Split) -> None:
    assert split("song.wav", "--name", "{track} x", *options.split()).code == 0
    assert tracks_in(here / "separated") == {"song x.wav"}


# Company.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-s vocals,drums", "-s drums,vocals"),
        ("-s vocals,drums", "-s drums -s vocals,drums -s vocals"),
        ("-s bass,drums,vocals,other", ""),
        ("--drop vocals --drop drums", "--drop drums --drop vocals --drop drums"),
        ("--drop drums,vocals", "--drop vocals --drop drums"),
        ("-s vocals,bass --residual", "--residual -s bass,bass,vocals"),
        ("-k", "-s vocals -k"),
        ("--two-stems vocals --drop vocals", "--two-stems vocals"),
    ],
)
@pytest.mark.parametrize("depth", ["16", "32f"])
def test_the_order_and_repeats_do_not_matter(
    one: str, other: str, depth: str, song: Path, here: Path, split: Split
) -> None:
    assert split("song.wav", "-o", "one", "--bit-depth", depth, *one.split()).code == 0
    assert split("song.wav", "-o", "other", "--bit-depth", depth, *other.split()).code == 0
    first = {path.name: path.read_bytes() for path in (here / "one/song").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (here / "other/song").iterdir()}


@pytest.mark.parametrize("model", ["small", "bag"])
def test_a_stem_does_not_depend_on_its_company(model: str, bag: Path, song: Path, here: Path, split: Split) -> None:
    def stems(options: str) -> dict[str, bytes]:
        chosen = ["-m", bag] if model == "bag" else []
        result = split("song.wav", "--json", "--overwrite", "--bit-depth", "32f", *chosen, *options.split())
        assert result.code == 0, result.err
        return {stem: Path(path).read_bytes() for stem, path in result.report["outputs"].items()}

    alone = {name: stems(f"-s {name}")[name] for name in FOUR}
    alone |= stems("--drop vocals") | stems("--mix practice=drums+vocals")
    for options in ["", "-k", "-k --sum", "--residual", "-s vocals,bass --residual", "--two-stems bass --drop vocals"]:
        written = stems(options)
        shared = alone.keys() & written.keys()
        assert shared
        assert {name: written[name] for name in shared} == {name: alone[name] for name in shared}
    assert len(set(alone.values())) == 6


# Networks.

NETWORKS = [
    ("", 4),
    ("-k", 1),
    ("--drop vocals", 1),
    ("--two-stems drums", 1),
    ("-k --sum", 4),
    ("--two-stems drums --sum", 4),
    ("--drop vocals --sum", 3),
    ("--drop drums --drop vocals --sum", 2),
    ("--residual", 4),
    ("-s vocals --residual", 1),
    ("-s drums,bass", 2),
    ("-s drums --drop bass", 2),
    ("--mix x=vocals*0.5+bass", 2),
    ("--mix x=mixture-vocals", 1),
    ("--mix x=vocals+bass-vocals", 1),
    pytest.param("-f stem.mp4", 4, marks=needs_ffmpeg),
]


@pytest.mark.parametrize(("options", "networks"), NETWORKS)
def test_only_the_networks_that_are_needed_run(
    options: str, networks: int, bag: Path, song: Path, here: Path, split: Split
) -> None:
    result = split("song.wav", "-m", bag, "--json", *options.split())
    assert (result.code, result.err) == (0, "")
    assert result.report["networks"] == networks


@pytest.fixture(scope="module")
def htdemucs_ft(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return make_htdemucs_ft(tmp_path_factory.mktemp("htdemucs_ft"), reduced=True)


@pytest.fixture
def hub(htdemucs_ft: Repository) -> Iterator[Hub]:
    with serving({htdemucs_ft.repository: Served(htdemucs_ft.folder, htdemucs_ft.commit)}) as hub:
        yield hub


@pytest.mark.parametrize(
    ("options", "members"),
    [
        ("-k", {"vocals"}),
        ("--two-stems drums", {"drums"}),
        ("--drop vocals --sum", {"drums", "bass", "other"}),
        ("-k --sum", FOUR),
        ("--mix x=mixture-bass-other", {"bass", "other"}),
    ],
)
def test_only_the_networks_that_are_needed_are_fetched(
    options: str, members: set[str], hub: Hub, htdemucs_ft: Repository, song: Path, tmp_path: Path
) -> None:
    catalog = write_catalog(tmp_path / "catalog.toml", [htdemucs_ft])
    env = hub.environment(tmp_path / "cache") | {"STEMSPLIT_CATALOG": str(catalog)}
    result = process("song.wav", "-m", "htdemucs_ft", "--precision", "fp32", "--json", *options.split(), env=env)
    assert (result.code, result.err) == (0, "")
    assert result.report["networks"] == len(members)
    files = dict(zip(htdemucs_ft.sources, htdemucs_ft.files, strict=True))
    assert {name for name, file in files.items() if hub.downloads(file.name)} == members
    assert len([request for request in hub.requests if request.startswith("GET ")]) == len(members)


# A model with a source that has an instrumental's name.


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = REDUCED | {"sources": ["vocals", "instrumental"]}
    return make_folder(tmp_path_factory.mktemp("models") / "two", changes=changes)


def test_a_source_called_instrumental(two: Path, song: Path, split: Split) -> None:
    in_two = partial(split, "-m", two)
    assert set(floats(in_two, "-s", "instrumental")) == {"instrumental"}
    everything = floats(in_two, "--residual")
    assert set(everything) == {"vocals", "instrumental", "residual"}
    assert np.abs(added(list(everything.values())) - sound(song).samples).max() < INAUDIBLE


@pytest.mark.parametrize("options", ["-k", "-k --sum"])
def test_an_instrumental_beside_one_of_the_models_own(
    options: str, two: Path, song: Path, here: Path, split: Split
) -> None:
    result = split("song.wav", "-m", two, *options.split())
    assert result.code == 2
    assert_one_sentence(result, "has a source instrumental of its own", "--stems instrumental")
    assert not (here / "separated").exists()


# Usage.


OF_ANY_MODEL = [
    (["--residual", "-k"], "it goes with --stems or alone"),
    (["--residual", "--two-stems", "bass"], "it goes with --stems or alone"),
    (["--residual", "--drop", "bass"], "it goes with --stems or alone"),
    (["--residual", "--mix", "x=bass"], "it goes with --stems or alone"),
    (["--residual", "-s", "bass", "-k"], "it goes with --stems or alone"),
    (["--sum"], "name one of them"),
    (["--sum", "-s", "bass"], "name one of them"),
    (["--sum", "--residual"], "name one of them"),
    (["--sum", "--mix", "x=bass"], "name one of them"),
    (["-f", "stem.mp4", "-s", "vocals"], "leave the options out that choose stems, or choose another format"),
    (["-f", "stem.mp4", "-k"], "leave the options out that choose stems, or choose another format"),
    (["-f", "stem.mp4", "--two-stems", "bass"], "leave the options out that choose stems"),
    (["-f", "stem.mp4", "--drop", "bass"], "leave the options out that choose stems"),
    (["-f", "stem.mp4", "--mix", "x=bass"], "leave the options out that choose stems"),
    (["-f", "stem.mp4", "--residual"], "leave the options out that choose stems"),
    *(
        (["-f", format_, "--bit-depth", "24"], f"{format_} has no bit depth. Leave --bit-depth out, or choose wav")
        for format_ in ("mp3", "ogg", "opus", "m4a", "stem.mp4")
    ),
    *(
        (["-f", format_, "--bitrate", "128"], f"{format_} is not asked for a bitrate. Leave --bitrate out, or choose")
        for format_ in ("wav", "flac", "aiff", "ogg")
    ),
    (["--bitrate", "128"], "wav is not asked for a bitrate. Leave --bitrate out, or choose mp3, opus, m4a"),
    *(
        (["-f", format_, "--bitrate", str(rate)], f"--bitrate of {format_} must be from {lowest} to {highest} kbit/s")
        for format_, lowest, highest in [("mp3", 64, 320), ("opus", 12, 510), ("m4a", 32, 512), ("stem.mp4", 32, 512)]
        for rate in (lowest - 1, highest + 1, 0, -1)
    ),
    (["--mix", ""], "a mix is NAME=SOURCE*FACTOR+SOURCE@GAINdB"),
    (["--mix", "=vocals"], "a mix is NAME=SOURCE*FACTOR+SOURCE@GAINdB"),
    (["--mix", "../x=vocals"], "a mix is NAME=SOURCE*FACTOR+SOURCE@GAINdB"),
    (["--mix", "practice"], "Write terms such as bass"),
    (["--mix", "practice="], "Write terms such as bass"),
    (["--mix", "practice=drums bass"], "cannot read 'bass'. Write terms such as bass"),
    (["--mix", "practice=drums*loud"], "cannot read '*loud'. Write terms such as bass"),
    (["--mix", "practice=drums*5000"], "drums is louder than 1000 times (60 dB)"),
    (["--mix", "no_vocals=drums"], "--drop vocals writes it"),
    (["--mix", "instrumental=drums"], "--karaoke writes it"),
    (["--mix", "residual=drums"], "--residual writes it"),
    (["--mix", "mixture=drums"], "Choose another name"),
    (["--mix", "x=drums", "--mix", "x=bass"], "Give each its own name"),
    (["-s", ","], "--stems names no stem: write one, such as --stems vocals"),
    (["-s", " ,, "], "--stems names no stem"),
    (["-s", ""], "--stems names no stem"),
    (["--drop", ","], "--drop names no stem: write one, such as --drop vocals"),
    (["--drop", ""], "--drop names no stem"),
    (["--two-stems", ""], "--two-stems"),
]


@pytest.mark.parametrize(("options", "message"), OF_ANY_MODEL, ids=str)
def test_a_wrong_choice(options: list[str], message: str, here: Path, undecodable: Path, unloadable: Path) -> None:
    before = everything_below(here)
    result = stemsplit("-m", unloadable, undecodable.name, *options)
    assert result.code == 2
    assert_one_sentence(result, message)
    assert result.out == ""
    assert everything_below(here) == before


@pytest.mark.parametrize(
    ("options", "mentions"),
    [
        (["--drop", "piano"], ["does not separate piano", "drums, bass, other, vocals"]),
        (["--drop", "vocals,piano", "--sum"], ["does not separate piano", "drums, bass, other, vocals"]),
        (["--two-stems", "piano"], ["does not separate piano", "drums, bass, other, vocals"]),
        (["--mix", "x=bass+piano*0.5"], ["does not separate piano", "drums, bass, other, vocals"]),
        (["-k", "--drop", "piano"], ["does not separate piano", "drums, bass, other, vocals"]),
        (["-s", "instrumental"], ["does not separate instrumental", "--karaoke writes it"]),
        (["-s", "residual"], ["does not separate residual", "--residual writes it"]),
        (["--two-stems", "no_vocals"], ["does not separate no_vocals", "--drop vocals writes it"]),
        (["--mix", "vocals=bass"], ["has a source vocals of its own", "--stems vocals"]),
        (["--mix", "x=mixture"], ["has no source in it"]),
        (["--mix", "x=bass-bass"], ["has no source in it"]),
        (["--drop", "drums,bass,other,vocals", "--sum"], ["Leave --sum out, or drop fewer sources"]),
        (["--name", "{track}"], ["would give all 4 stems of a song one name", "{stem}"]),
        (["--name", "{track}", "-k"], ["would give all 2 stems of a song one name", "{stem}"]),
        (["--name", "{track}", "-s", "vocals", "--residual"], ["would give all 2 stems", "{stem}"]),
        (["-o", "-", "-k"], ["writes one stem, and 2 are asked for", "-s vocals"]),
        (["-o", "-"], ["writes one stem, and 4 are asked for", "-s vocals"]),
    ],
    ids=str,
)
def test_a_wrong_choice_for_a_model_of_the_catalogue(
    options: list[str], mentions: list[str], here: Path, undecodable: Path
) -> None:
    """Before it is fetched: that would fail here, with another exit code."""
    before = everything_below(here)
    result = stemsplit("-m", "htdemucs", undecodable.name, *options)
    assert result.code == 2
    assert_one_sentence(result, *mentions)
    assert result.out == ""
    assert everything_below(here) == before


@pytest.mark.parametrize(
    ("options", "mention"),
    [("--drop piano", "piano"), ("--two-stems piano", "piano"), ("--mix x=piano", "piano"), ("--name x", "{stem}")],
)
def test_a_wrong_choice_for_a_folder(options: str, mention: str, here: Path, undecodable: Path, split: Split) -> None:
    """Once its sources are known, and before any song is decoded."""
    before = everything_below(here)
    result = split(undecodable.name, *options.split())
    assert result.code == 2
    assert_one_sentence(result, mention)
    assert everything_below(here) == before


def test_two_mixes_of_which_one_file_would_be_made(song: Path, here: Path, split: Split) -> None:
    """Windows takes `con` for a device, so that file is called `con_` everywhere."""
    result = split("song.wav", "--mix", "con=drums", "--mix", "con_=bass")
    assert result.code == 2
    assert_one_sentence(result, "con")
    assert not (here / "separated").exists()
