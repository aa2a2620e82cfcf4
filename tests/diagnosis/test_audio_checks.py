from pathlib import Path

import pytest
import soundfile

from diagnosis.machines import put_programs
from stemsplit.audio import ffmpeg_program
from stemsplit.diagnosis.audio_checks import ffmpeg, libsndfile
from stemsplit.diagnosis.finding import Status

VERSION = "echo 'ffmpeg version 6.1.1-3ubuntu5 Copyright (c) 2000-2023 the FFmpeg developers'"


def test_what_libsndfile_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfile, "__libsndfile_version__", "1.2.2")
    monkeypatch.setattr(soundfile, "check_format", lambda container, subtype: True)
    assert libsndfile().found == "1.2.2, writes wav, flac, aiff, mp3, ogg, opus"
    assert libsndfile().status is Status.OK


def test_an_old_libsndfile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundfile, "__libsndfile_version__", "1.0.28")
    monkeypatch.setattr(soundfile, "check_format", lambda container, subtype: subtype not in ("MPEG_LAYER_III", "OPUS"))
    assert libsndfile().status is Status.WARNING
    assert libsndfile().found == "1.0.28, writes no mp3, opus"
    assert "--force-reinstall soundfile" in str(libsndfile().remedy)


def test_ffmpeg_with_its_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_programs(monkeypatch, tmp_path / "programs", ffmpeg=VERSION, ffprobe=VERSION)
    monkeypatch.setattr(ffmpeg_program, "has_encoder", lambda name: name == "aac")
    assert ffmpeg().found == "6.1.1-3ubuntu5, writes m4a, stem.mp4 (AAC)"
    assert ffmpeg().status is Status.OK


def test_ffmpeg_without_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_programs(monkeypatch, tmp_path / "programs", ffmpeg=VERSION, ffprobe=VERSION)
    monkeypatch.setattr(ffmpeg_program, "has_encoder", lambda name: False)
    assert ffmpeg().status is Status.WARNING
    assert ffmpeg().found == "6.1.1-3ubuntu5, without an AAC encoder: m4a and stem.mp4 are not written"


@pytest.mark.parametrize(
    ("installed", "absent"),
    [({}, "no ffmpeg and no ffprobe: "), ({"ffmpeg": VERSION}, "no ffprobe: "), ({"ffprobe": VERSION}, "no ffmpeg: ")],
)
def test_no_ffmpeg(installed: dict[str, str], absent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_programs(monkeypatch, tmp_path / "programs", **installed)
    assert ffmpeg().status is Status.WARNING
    assert ffmpeg().found.startswith(absent)
    assert "brew install ffmpeg" in str(ffmpeg().remedy)


@pytest.mark.parametrize("broken", ["ffmpeg", "ffprobe"])
def test_an_ffmpeg_that_does_not_run(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = {"ffmpeg": VERSION, "ffprobe": VERSION, broken: "echo 'libavcodec.so.60: not found' >&2; exit 127"}
    put_programs(monkeypatch, tmp_path / "programs", **scripts)
    assert ffmpeg().status is Status.WARNING
    assert ffmpeg().found == "installed, but does not run (libavcodec.so.60: not found)"
