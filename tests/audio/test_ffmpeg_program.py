"""Running ffmpeg and ffprobe: what they answer is not trusted to make sense."""

from pathlib import Path

import pytest

from signals import convert, needs_ffmpeg, noise, stereo_tones, truncate, write_sound
from stemsplit.audio import ffmpeg_program
from stemsplit.audio.ffmpeg_program import FfmpegError


def _install(name: str, answer: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a program of this name print something and end well."""
    program = folder / name
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.mark.parametrize("answer", ["nonsense", "", "[]", '{"format": []}', '{"streams": {}}', '"x"'])
def test_an_answer_that_is_none(answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install("ffprobe", answer, tmp_path, monkeypatch)
    with pytest.raises(FfmpegError, match="answer"):
        ffmpeg_program.probe(tmp_path / "song.mp3")


def test_what_is_left_out_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install("ffprobe", "{}", tmp_path, monkeypatch)
    assert ffmpeg_program.probe(tmp_path / "song.mp3") == {"streams": [], "format": {}}


@needs_ffmpeg
def test_a_failure_is_told_by_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "song.m4a").write_text("la la la")
    with pytest.raises(FfmpegError, match="Invalid data"):
        ffmpeg_program.probe(tmp_path / "song.m4a")


@needs_ffmpeg
def test_the_same_sound_in_another_container(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "song.flac", stereo_tones(2), subtype="PCM_16")
    copy = convert(source, tmp_path / "copy.mka", "-c", "copy")
    ffmpeg_program.check_same_sound(copy, [source])
    other = write_sound(tmp_path / "other.flac", noise(2, 88_200), subtype="PCM_16")
    for wrong in (other, truncate(copy, 0.9), truncate(copy, 0.01)):
        with pytest.raises(FfmpegError, match="not all of the sound"):
            ffmpeg_program.check_same_sound(wrong, [source])
