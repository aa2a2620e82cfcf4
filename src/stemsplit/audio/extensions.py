"""Which files in a folder are taken for sound: by their names, so that thousands of others need not be opened."""

from pathlib import Path

AUDIO_EXTENSIONS = frozenset(
    f".{name}"
    for kind in (
        # libsndfile reads these
        "wav rf64 w64 bwf aif aiff aifc flac mp3 mp2 ogg oga opus au snd caf voc sph nist ircam",
        # ffmpeg reads these
        "m4a m4b aac alac ac3 eac3 dts amr ape wv tta tak mka mpc wma ra",
        # and the sound of these
        "mp4 m4v mov mkv webm avi wmv flv mpg mpeg m2ts ogv 3gp",
    )
    for name in kind.split()
)
"""Of files that hold music, or a video with music."""


def looks_like_audio(path: Path) -> bool:
    """Whether a file's name says that it holds sound."""
    return path.suffix.lower() in AUDIO_EXTENSIONS
