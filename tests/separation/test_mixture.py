"""A file, heard once and measured: at the network's rate, kept or decoded again."""

from pathlib import Path
from threading import Event

import numpy as np
import pytest

from signals import joined, noise, write_sound
from stemsplit import Statistics
from stemsplit.audio.reader import open_audio
from stemsplit.errors import DecodeError
from stemsplit.separation import mixture as mixture_module
from stemsplit.separation.mixture import Mixture


@pytest.mark.parametrize("kept_bytes", [2**30, 1000], ids=["kept", "decoded again"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_it_can_be_heard_again(channels: int, kept_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture_module, "KEPT_BYTES", kept_bytes)
    path = write_sound(tmp_path / "song.wav", noise(channels, 48_000), rate=48_000)
    with open_audio(path) as reader:
        mixture = Mixture.measured(reader, 44_100, Event())
        once, again = list(mixture.blocks()), list(mixture.blocks())
    assert mixture.frames == 48_000
    assert mixture.statistics == Statistics.of(once)
    assert mixture.statistics.frames == 44_100
    assert {len(block) for block in once} == {2}
    np.testing.assert_array_equal(joined(once), joined(again))


def test_measuring_can_be_cancelled(tmp_path: Path) -> None:
    """Of a long song it takes seconds, and Ctrl-C must not wait for it."""
    path = write_sound(tmp_path / "song.wav", noise(2, 300_000))
    cancelled = Event()
    cancelled.set()
    with open_audio(path) as reader, pytest.raises(DecodeError, match="cancelled"):
        Mixture.measured(reader, 44_100, cancelled)
