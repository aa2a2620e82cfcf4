"""
Loudness tags: ReplayGain's, and those that Opus has instead. They describe the song, and its stems keep them.

Opus measures in R128_TRACK_GAIN and R128_ALBUM_GAIN: integers, 1/256 dB each, that bring a song to -23 LUFS
(RFC 7845, section 5.2.1). ReplayGain 2 says in words like "-7.30 dB" what brings it to -18 LUFS.
"""

import re
from collections.abc import Callable, Mapping

_Conversion = Callable[[str], str | None]

_STEPS_PER_DB = 256
_LOUDER_DB = 5.0  # ReplayGain's aim above that of R128: -18 LUFS against -23 LUFS
_R128_STEPS = range(-(2**15), 2**15)
_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,5}\s*")
_DECIBEL = re.compile(r"\s*([+-]?[0-9]{1,3}(?:\.[0-9]*)?)\s*(?:dB)?\s*", re.IGNORECASE)


def with_replaygain(values: Mapping[str, str]) -> dict[str, str]:
    """The tags, with a ReplayGain where only Opus' gain is there and can be understood."""
    return _completed(values, have="R128", wanted="REPLAYGAIN", converted=_replaygain)


def with_r128(values: Mapping[str, str]) -> dict[str, str]:
    """The tags, with Opus' gain where only a ReplayGain is there and can be understood."""
    return _completed(values, have="REPLAYGAIN", wanted="R128", converted=_r128)


def _completed(values: Mapping[str, str], *, have: str, wanted: str, converted: _Conversion) -> dict[str, str]:
    known = {name.upper(): value for name, value in values.items()}
    added: dict[str, str] = {}
    for scope in ("TRACK_GAIN", "ALBUM_GAIN"):
        gain = converted(known.get(f"{have}_{scope}", ""))
        if gain is not None and f"{wanted}_{scope}" not in known:
            added[f"{wanted}_{scope}"] = gain
    return {**values, **added}


def _replaygain(r128: str) -> str | None:
    if not _INTEGER.fullmatch(r128):
        return None
    return f"{int(r128) / _STEPS_PER_DB + _LOUDER_DB:.2f} dB"


def _r128(replaygain: str) -> str | None:
    found = _DECIBEL.fullmatch(replaygain)
    if not found:
        return None
    steps = round((float(found[1]) - _LOUDER_DB) * _STEPS_PER_DB)
    return str(steps) if steps in _R128_STEPS else None
