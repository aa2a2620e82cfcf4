"""How much music there is to do, told from the headers of files before any is decoded."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from stemsplit.audio.excerpt import Excerpt
from stemsplit.audio.reader import open_audio
from stemsplit.errors import TrackError
from stemsplit.separation.plan import PlannedTrack

_THREADS = 4  # ffprobe, where one is needed, takes most of its time to start
_BUDGET_SECONDS = 5.0  # thousands of files that only ffmpeg reads are not all asked


def expected_seconds(tracks: Sequence[PlannedTrack], excerpt: Excerpt) -> dict[str, float]:
    """
    Length of what is to be separated of every track, by its name, in seconds.

    What no header tells, or what was not asked in time, counts as the mean of the others; what cannot be read, as 0.
    """
    deadline = time.monotonic() + _BUDGET_SECONDS

    def announced(track: PlannedTrack) -> float | None:
        if time.monotonic() > deadline:
            return None
        try:
            with open_audio(track.path) as reader:
                frames, rate = reader.info.frames, reader.info.sample_rate
        except TrackError:  # told when its turn comes
            return 0.0
        if frames is None:
            return None
        first, end = excerpt.frames(rate)
        return max(0, min(frames, end) - first) / rate

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="lengths") as pool:
        known = dict(zip((track.name for track in tracks), pool.map(announced, tracks), strict=True))
    told = [seconds for seconds in known.values() if seconds]
    mean = sum(told) / len(told) if told else 0.0
    return {name: mean if seconds is None else seconds for name, seconds in known.items()}
