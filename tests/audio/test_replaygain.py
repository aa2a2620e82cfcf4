"""The gains of Opus and of ReplayGain say the same, as far as either can be understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemsplit.audio.replaygain import with_r128, with_replaygain


def test_the_aims_are_five_decibels_apart() -> None:
    assert with_replaygain({"r128_album_gain": "256"})["REPLAYGAIN_ALBUM_GAIN"] == "6.00 dB"
    assert with_r128({"replaygain_track_gain": "-7.30 dB"})["R128_TRACK_GAIN"] == str(round((-7.3 - 5) * 256))


def test_a_gain_that_is_there_stays() -> None:
    both = {"r128_track_gain": "100", "replaygain_track_gain": "+1 dB"}
    assert with_r128(both) == both
    assert with_replaygain(both) == both


@pytest.mark.parametrize("value", ["", "nan", "inf dB", "1e3", "loud", "5000 dB", "200 dB", "-7,3 dB", "0x10", "٣"])
def test_a_malformed_gain_is_only_carried(value: str) -> None:
    assert with_r128({"REPLAYGAIN_TRACK_GAIN": value}) == {"REPLAYGAIN_TRACK_GAIN": value}
    if value != "200 dB":
        assert with_replaygain({"R128_TRACK_GAIN": value}) == {"R128_TRACK_GAIN": value}


@given(st.integers(-(2**15), 2**15 - 1))
def test_gains_come_back_to_the_hundredth_of_a_decibel_that_replaygain_has(steps: int) -> None:
    there = with_replaygain({"R128_TRACK_GAIN": str(steps)})["REPLAYGAIN_TRACK_GAIN"]
    back = with_r128({"REPLAYGAIN_TRACK_GAIN": there})
    assert abs(int(back.get("R128_TRACK_GAIN", steps)) - steps) <= 0.005 * 256 + 0.5
