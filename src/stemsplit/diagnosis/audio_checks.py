"""What reads and writes sound: libsndfile and ffmpeg."""

import shutil
from importlib import import_module

from stemsplit.diagnosis.finding import Finding, ok, warning
from stemsplit.diagnosis.programs import ProgramError, answer
from stemsplit.errors import OutputError

_INSTALL_FFMPEG = "Install it: `apt install ffmpeg`, `brew install ffmpeg` or `winget install ffmpeg`."
_OTHER_FFMPEG = "Install a complete ffmpeg: `apt install ffmpeg`, `brew install ffmpeg` or `winget install ffmpeg`."


def libsndfile() -> Finding:
    """The version that soundfile found, and the formats that it writes."""
    version = import_module("soundfile").__libsndfile_version__
    written, missing = _formats(by_ffmpeg=False)
    if missing:
        return warning(
            f"{version}, writes no {', '.join(missing)}",
            "Install soundfile from PyPI, which brings a newer one: `pip install --force-reinstall soundfile`.",
        )
    return ok(f"{version}, writes {', '.join(written)}")


def ffmpeg() -> Finding:
    """Whether ffmpeg and ffprobe are installed and run, and the formats that ffmpeg writes."""
    absent = [program for program in ("ffmpeg", "ffprobe") if not shutil.which(program)]
    if absent:
        return warning(
            f"no {' and no '.join(absent)}: m4a, wma and videos are not read, m4a and stem.mp4 not written, "
            "tags not carried over",
            _INSTALL_FFMPEG,
        )
    try:
        version = _version(answer("ffmpeg", "-version"))
        answer("ffprobe", "-version")
    except ProgramError as error:
        return warning(f"installed, but does not run ({error})", _OTHER_FFMPEG)
    written, missing = _formats(by_ffmpeg=True)
    if missing:
        return warning(f"{version}, without an AAC encoder: {' and '.join(missing)} are not written", _OTHER_FFMPEG)
    return ok(f"{version}, writes {', '.join(written)} (AAC)")


def _formats(*, by_ffmpeg: bool) -> tuple[list[str], list[str]]:
    """Those that can be written here, and those that cannot."""
    from stemsplit.audio.encoder import check_available
    from stemsplit.audio.formats import FORMATS, Encoding

    written, missing = [], []
    for name, row in FORMATS.items():
        if row.is_by_ffmpeg == by_ffmpeg:
            try:
                check_available(Encoding(name))
                written.append(name)
            except OutputError:
                missing.append(name)
    return written, missing


def _version(said: str) -> str:
    """From "ffmpeg version 6.1.1-3ubuntu5 Copyright (c) ...", the third word."""
    return said.split(maxsplit=3)[2] if len(said.split()) > 2 else "unknown version"
