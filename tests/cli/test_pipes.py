"""`-`: a song on standard input, a stem on standard output."""

import io
import os
import pty
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO
from unittest.mock import patch

import numpy as np
import pytest
import soundfile

from cli.program import (
    FOUR,
    PROGRAM,
    SECONDS,
    Result,
    assert_one_sentence,
    everything_below,
    mounted,
    sound,
    stem_bytes,
    stems,
    stemsplit,
)
from signals import convert, needs_ffmpeg, noise, stereo_tones, truncate, write_sound

Split = Callable[..., Result]
Piped = Callable[..., Result]

EXACT = ("--bit-depth", "32f")  # without dither, which the track's name seeds


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of temporaries, of this process and of those it starts; nothing may be left in it but torch's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert [path for path in everything_below(folder) if not path.name.startswith("torchinductor")] == []


@pytest.fixture
def piped(split: Split) -> Piped:
    """`split` in this process, with bytes on its standard input."""

    def run(data: bytes, *arguments: str | Path) -> Result:
        with patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(data))):
            return split(*arguments)

    return run


def bytes_of(
    small: Path, *arguments: str, stdin: bytes | IO[bytes] | int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[bytes]:
    """The program in a process of its own, whose streams hold bytes."""
    command = [*PROGRAM, "-m", str(small), "--precision", "fp32", *arguments]
    if isinstance(stdin, bytes):
        return subprocess.run(command, input=stdin, capture_output=True, timeout=SECONDS, check=False)
    return subprocess.run(command, stdin=stdin, capture_output=True, timeout=SECONDS, check=False)


def shell(small: Path, script: str) -> subprocess.CompletedProcess[bytes]:
    """A script for `sh`, in which `stemsplit` is the program with the small network."""
    program = shlex.join([*PROGRAM, "-m", str(small), "--precision", "fp32"])
    script = f'stemsplit() {{ {program} "$@"; }}\n{script}'
    return subprocess.run(
        ["sh", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
    )


# --- standard input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "song.wav",
        *(pytest.param(f"song.{end}", marks=needs_ffmpeg) for end in ("flac", "mp3", "ogg", "m4a", "mp4", "mkv")),
    ],
)
def test_the_stems_are_those_of_the_file(name: str, song: Path, here: Path, split: Split, piped: Piped) -> None:
    if name != song.name:
        convert(song, here / name)
    assert split(name, *EXACT).code == 0
    result = piped((here / name).read_bytes(), "-", *EXACT, "--json")
    assert (result.code, result.err) == (0, "")
    assert (result.report["input"], result.report["track"]) == ("-", "stdin")
    assert result.report["outputs"] == {stem: str(here / f"separated/stdin/{stem}.wav") for stem in FOUR}
    assert stem_bytes(here / "separated/stdin") == stem_bytes(here / "separated/song")


@pytest.mark.parametrize("way", ["a pipe", "a file"])
def test_of_a_process(way: str, song: Path, here: Path, split: Split, small: Path) -> None:
    assert split("song.wav", *EXACT).code == 0
    with song.open("rb") as file:
        ended = bytes_of(small, "-", *EXACT, stdin=file if way == "a file" else song.read_bytes())
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert ended.stderr.startswith(b"stdin: 4 stems in separated/stdin (")
    assert stem_bytes(here / "separated/stdin") == stem_bytes(here / "separated/song")


@needs_ffmpeg
@pytest.mark.parametrize("end", ["wav", "aiff", "flac", "ogg", "opus", "mp3", "mkv"])
def test_what_a_program_writes_into_a_pipe_is_whole(
    end: str, song: Path, here: Path, split: Split, piped: Piped
) -> None:
    """It cannot go back to write how long the song is, which must cost no frame and is no damage."""
    song = song.rename(here / "plain")
    convert(song, here / f"song.{end}")
    assert split(f"song.{end}", *EXACT).code == 0
    muxer = {"mkv": "matroska"}.get(end, end)
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", "plain", "-f", muxer, "-"]
    streamed = subprocess.run(command, capture_output=True, check=True).stdout
    result = piped(streamed, "-", *EXACT, "--json")
    assert (result.code, result.err, result.report["warnings"]) == (0, "", [])
    for name, stem in stems(here / "separated/stdin").items():
        usual = stems(here / "separated/song")[name]
        if end == "mp3":  # what the encoder put before and behind is no more known
            assert usual.frames <= stem.frames <= usual.frames + 4 * 1152
        else:
            np.testing.assert_array_equal(stem.samples, usual.samples)


@needs_ffmpeg
def test_tags_of_standard_input_are_carried(song: Path, here: Path, piped: Piped) -> None:
    tagged = convert(song, here / "tagged.mp3", "-metadata", "title=Song", "-metadata", "artist=A")
    words = ["-", "-s", "drums", "-f", "flac", "--name", "{artist}/{title}/{stem}"]
    assert piped(tagged.read_bytes(), *words).code == 0
    with soundfile.SoundFile(here / "separated/A/Song/drums.flac") as stem:
        assert (stem.title, stem.artist) == ("Song (drums)", "A")


def test_standard_input_beside_files(song: Path, here: Path, piped: Piped) -> None:
    result = piped(song.read_bytes(), "song.wav", "-", "-s", "drums", "--json")
    assert result.code == 0
    assert [(report["input"], report["track"]) for report in result.reports] == [("song.wav", "song"), ("-", "stdin")]


def test_standard_input_named_twice_is_one_song(song: Path, piped: Piped) -> None:
    result = piped(song.read_bytes(), "-", "-", "-s", "drums", "--json")
    assert (result.code, result.report["input"]) == (0, "-")


def test_a_file_of_the_same_name(song: Path, here: Path, piped: Piped) -> None:
    """Each has its place, and the same one every time: no name is made of where standard input was kept."""
    song.rename(here / "stdin.wav")
    data = (here / "stdin.wav").read_bytes()
    for words in (["-", "stdin.wav"], ["stdin.wav", "-"]):
        once, again = (piped(data, *words, "-s", "drums", "--overwrite", "--json") for _ in range(2))
        assert (once.code, again.code) == (0, 0)
        tracks = [report["track"] for report in once.reports]
        assert len(set(tracks)) == 2
        assert [report["track"] for report in again.reports] == tracks


def test_no_name_tells_where_standard_input_is_kept(song: Path, here: Path, piped: Piped, temporary: Path) -> None:
    result = piped(song.read_bytes(), "-", "-s", "drums", "--name", "{folder}/{track}/{title} {stem}", "--json")
    assert result.code == 0
    place = Path(result.report["outputs"]["drums"]).relative_to(here / "separated")
    assert "stemsplit-" not in str(place)
    assert place.parts[-2:] == ("stdin", "stdin drums.wav")


@pytest.mark.parametrize("mode", ["human", "json"])
@pytest.mark.parametrize(
    ("data", "mention"),
    [
        pytest.param(b"", "is empty (0 bytes)", id="nothing"),
        pytest.param(b"la la la\n" * 500, "is no audio file", id="text"),
        pytest.param(bytes(5000), "is no audio file", id="zeros"),
        pytest.param("half a header", "is no audio file", id="half a header"),
        pytest.param("no sound", "holds no sound", id="no sound"),
        pytest.param("NaN", "frame 7 (0.000 s)", id="NaN"),
    ],
)
def test_what_cannot_be_split(
    data: bytes | str, mention: str, mode: str, here: Path, tmp_path: Path, piped: Piped, temporary: Path
) -> None:
    """One sentence, which says stdin and not where that was kept."""
    if isinstance(data, str):
        block = noise(2, 0 if data == "no sound" else 9)
        block[:, 7:8] = np.nan
        data = write_sound(tmp_path / "sound.wav", block, subtype="FLOAT").read_bytes()[
            : 30 if "half" in data else None
        ]
    result = piped(data, "-", *(["--json"] if mode == "json" else []))
    assert result.code == 1
    assert_one_sentence(result, "stdin: ", mention)
    assert str(temporary) not in result.err + result.out
    assert "stemsplit-" not in result.err + result.out
    if mode == "json":
        assert (result.report["input"], result.report["track"]) == ("-", "stdin")
        assert result.err == f"error: {result.report['error']}\n"
    assert everything_below(here) == []


def test_a_process_with_nothing_on_its_standard_input(here: Path, small: Path, temporary: Path) -> None:
    ended = bytes_of(small, "-")
    assert ended.returncode == 1
    assert_one_sentence(Result(1, "", ended.stderr.decode()), "stdin: ", "is empty (0 bytes)")
    assert everything_below(here) == []


def test_warnings_say_stdin(here: Path, tmp_path: Path, piped: Piped, temporary: Path) -> None:
    cut = truncate(write_sound(tmp_path / "song.mp3", stereo_tones(2)), 0.5)
    result = piped(cut.read_bytes(), "-", "-s", "drums", "--json")
    assert result.code == 0
    (warning,) = result.report["warnings"]
    assert warning.startswith("stdin: ")
    assert result.err == f"warning: {warning}\n"
    assert "stemsplit-" not in warning


@pytest.fixture
def tiny_disk(here: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    with mounted(here / "disk", "256k") as disk:
        yield disk


def test_a_disk_too_full_for_standard_input(
    tiny_disk: Path, here: Path, piped: Piped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tiny_disk))
    result = piped(bytes(1_000_000), "-")
    assert result.code == 1
    assert_one_sentence(result, "stdin: ", "the disk is full")
    assert everything_below(tiny_disk) == []
    assert not (here / "separated").exists()


def test_standard_input_that_is_a_terminal(here: Path, small: Path) -> None:
    """Nobody types a song: say so at once rather than wait."""
    terminal, side = pty.openpty()
    try:
        ended = bytes_of(small, "-", stdin=side)
    finally:
        os.close(terminal)
        os.close(side)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert_error(ended.stderr, "standard input", "nothing is piped")
    assert everything_below(here) == []


def assert_error(err: bytes, *mentions: str) -> None:
    """One sentence, but for the example that may end it."""
    (line,) = err.decode().splitlines()
    assert line.startswith("error: ")
    assert "unexpected" not in line
    assert all(mention in line for mention in mentions)


def test_standard_input_that_is_closed(here: Path, small: Path) -> None:
    ended = shell(small, "stemsplit - <&-")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert_error(ended.stderr, "standard input")


@pytest.mark.parametrize("name", ["./-", "HERE/-"])
def test_a_file_called_dash(name: str, song: Path, here: Path, piped: Piped) -> None:
    song.rename(here / "-")
    result = piped(b"", name.replace("HERE", str(here)), "-s", "drums", "-o", "./out", "--json")
    assert (result.code, result.report["track"]) == (0, "-")
    assert list(stems(here / "out/-")) == ["drums"]


def test_a_folder_called_dash(song: Path, here: Path, split: Split) -> None:
    assert split("song.wav", "-s", "drums", "-o", "./-").code == 0
    assert list(stems(here / "-/song")) == ["drums"]


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, id="SIGINT"), pytest.param(signal.SIGTERM, 143, id="SIGTERM")],
)
def test_a_signal_while_standard_input_is_read(
    number: signal.Signals, code: int, here: Path, small: Path, temporary: Path
) -> None:
    command = [*PROGRAM, "-m", str(small), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(bytes(1_000_000))
            process.stdin.flush()
            deadline = time.monotonic() + SECONDS
            while not any(path.is_file() and path.stat().st_size for path in everything_below(temporary)):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(0.3)  # until it has read everything, and waits for more
            process.send_signal(number)
            process.wait(timeout=20)  # with its standard input still open
            out, err = process.communicate()
        finally:
            process.kill()
    assert (process.returncode, out) == (code, b"")
    assert b"Traceback" not in err
    assert b"unexpected" not in err
    assert everything_below(here) == []


@needs_ffmpeg
def test_a_loop_over_a_list_reads_every_line(song: Path, here: Path, small: Path) -> None:
    """No ffmpeg may swallow the list."""
    names = ["one.m4a", "two.mp3", "three words.m4a", "four.flac"]
    for name in names:
        convert(song, here / name)
    (here / "list").write_text("".join(f"{name}\n" for name in names))
    ended = shell(small, 'while read -r f; do stemsplit "$f" -s drums -f m4a || exit 9; done < list')
    assert (ended.returncode, ended.stdout) == (0, b"")
    written = everything_below(here / "separated")
    assert [path for path in written if path.is_file()] == sorted(
        here / f"separated/{Path(name).stem}/drums.m4a" for name in names
    )


# --- standard output ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    ["-s vocals", "-s vocals --bit-depth 16", "--drop vocals --bit-depth 32f", "--mix x=drums+bass --clip none"],
)
def test_the_stem_is_the_one_that_a_file_would_hold(options: str, song: Path, here: Path, small: Path) -> None:
    """Bytes and all, and nothing else on standard output or on the disk."""
    before = everything_below(here)
    ended = bytes_of(small, "song.wav", "-o", "-", *options.split())
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith(b"song: 1 stem on stdout (")
    assert everything_below(here) == before
    assert stemsplit("-m", small, "--precision", "fp32", "song.wav", *options.split()).code == 0
    (written,) = (here / "separated/song").iterdir()
    assert ended.stdout == written.read_bytes()


def test_quiet_says_nothing_beside_the_stem(song: Path, small: Path) -> None:
    ended = bytes_of(small, "song.wav", "-o", "-", "-s", "bass", "-q")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert soundfile.info(io.BytesIO(ended.stdout)).frames == 26_460


def test_the_template_does_not_matter(song: Path, here: Path, small: Path) -> None:
    """Not even one that has nothing of the stem or the song in it."""
    usual, named = (
        bytes_of(small, "song.wav", "-o", "-", "-s", "bass", "-q", *EXACT, *words) for words in ([], ["--name", "x"])
    )
    assert (named.returncode, named.stdout) == (0, usual.stdout)


@needs_ffmpeg
@pytest.mark.parametrize("clip", ["gain", "none"])  # held until its end, and written straight through
def test_from_a_pipe_into_a_pipe(clip: str, song: Path, here: Path, small: Path) -> None:
    """Between two other programs, of which the second cannot seek: the header says at once how long it is."""
    decode = "ffmpeg -nostdin -v error -i song.wav -c:a pcm_f32le -f wav -"
    encode = "ffmpeg -v error -f wav -i pipe:0 -c:a pcm_f32le out.wav"
    ended = shell(small, f"{decode} | stemsplit - -o - -s vocals --bit-depth 32f --clip {clip} -q | {encode}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert stemsplit("-m", small, "--precision", "fp32", "song.wav", "-s", "vocals", *EXACT).code == 0
    np.testing.assert_array_equal(sound(here / "out.wav").samples, stems(here / "separated/song")["vocals"].samples)


@pytest.mark.parametrize(
    ("options", "mentions"),
    [
        ([], ["-o - writes one stem, and 4 are asked for", "-s vocals"]),
        (["-s", "drums,bass"], ["-o - writes one stem, and 2 are asked for"]),
        (["-k"], ["-o - writes one stem, and 2 are asked for"]),
        (["--two-stems", "vocals"], ["-o - writes one stem, and 2 are asked for"]),
        (["-s", "vocals", "--residual"], ["-o - writes one stem, and 2 are asked for"]),
        (["-s", "vocals", "--json"], ["-o -", "--json"]),
        *((["-s", "vocals", "-f", name], ["-o - writes WAV", name]) for name in ("flac", "mp3", "aiff", "ogg")),
        (["-s", "vocals", "other.wav"], ["-o - writes one stem of one song"]),
        (["-s", "vocals", "-"], ["-o - writes one stem of one song"]),
    ],
)
@pytest.mark.parametrize("model", ["folder", "catalogue"])
def test_what_does_not_go_with_standard_output(
    model: str, options: Sequence[str], mentions: list[str], here: Path, split: Split
) -> None:
    """Found before the song is decoded, which would end otherwise, or a model of the catalogue is fetched."""
    (here / "song.mp3").write_text("la la la")
    before = everything_below(here)
    result = split("song.mp3", "-o", "-", *options, *(["-m", "htdemucs"] if model == "catalogue" else []))
    assert (result.code, result.out) == (2, "")
    assert_one_sentence(result, *mentions)
    assert everything_below(here) == before


@needs_ffmpeg
@pytest.mark.parametrize("format_", ["m4a", "stem.mp4", "opus"])
def test_formats_of_other_encoders_do_not_go_to_standard_output(format_: str, here: Path, split: Split) -> None:
    (here / "song.mp3").write_text("la la la")
    result = split("song.mp3", "-o", "-", "-f", format_)
    assert (result.code, result.out) == (2, "")
    assert_one_sentence(result, "-o - writes WAV", format_)


def test_a_terminal_is_no_place_for_a_stem(song: Path, here: Path, small: Path) -> None:
    terminal, side = pty.openpty()
    command = [*PROGRAM, "-m", str(small), "song.wav", "-o", "-", "-s", "vocals"]
    try:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=side, stderr=subprocess.PIPE) as process:
            _, err = process.communicate(timeout=SECONDS)
    finally:
        os.close(terminal)
        os.close(side)
    assert process.returncode == 2
    assert_error(err, "a terminal", "pipe it into a program or a file")


@pytest.mark.parametrize("name", ["missing.wav", "text.mp3"])
def test_a_song_that_fails_writes_nothing(name: str, here: Path, small: Path) -> None:
    (here / "text.mp3").write_text("la la la")
    ended = bytes_of(small, name, "-o", "-", "-s", "vocals")
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert_one_sentence(Result(1, "", ended.stderr.decode()), name)


def test_a_reader_that_goes_away_early(here: Path, small: Path) -> None:
    """Far more is written than a pipe holds; `head` is the one whose exit code counts in a shell."""
    write_sound(here / "song.wav", noise(2, 3 * 44_100, 0.1))
    ended = shell(small, "stemsplit song.wav -o - -s vocals -q | head -c 100")
    assert ended.returncode == 0
    assert ended.stdout.startswith(b"RIFF")
    assert len(ended.stdout) == 100
    assert ended.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_standard_output_that_is_full(song: Path, small: Path) -> None:
    ended = shell(small, "stemsplit song.wav -o - -s vocals -q > /dev/full")
    assert ended.returncode == 1
    assert_one_sentence(Result(1, "", ended.stderr.decode()), "standard output", "the disk is full")
