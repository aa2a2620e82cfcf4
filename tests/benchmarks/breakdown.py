"""
Where the time of a whole run goes, on a CPU: decode, transforms, convolutions, attention, ..., crossfade, encode.

    python tests/benchmarks/breakdown.py [SONG] [--precision fp32] [--picture where.png]

Every part is timed on the thread it runs on, without the parts inside it; threads overlap, so that the sum may exceed
the wall time. Stand-in weights of the published shape. The picture needs matplotlib, from the extra `eval`.
"""

import argparse
import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import machine, workplace, write_noise

DEFAULT_SECONDS = 60
_seconds: dict[str, float] = defaultdict(float)
_lock = threading.Lock()
_open = threading.local()


def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its time counted as that of `part`, less that of other parts it calls."""

    @functools.wraps(function)
    def wrapped(*args: Any, **words: Any) -> Any:
        above = getattr(_open, "inner", 0.0)
        _open.inner = 0.0
        began = time.perf_counter()
        try:
            return function(*args, **words)
        finally:
            took = time.perf_counter() - began
            with _lock:
                _seconds[part] += took - _open.inner
            _open.inner = above + took

    return wrapped


def instrument() -> None:
    """Put a clock around every part."""
    from torch import nn

    from stemsplit.audio.reader import Reader
    from stemsplit.audio.writer import TrackWriter
    from stemsplit.model import htdemucs, layers, transformer
    from stemsplit.separation.segments import OverlapAdd

    def around(owner: Any, name: str, part: str) -> None:
        setattr(owner, name, timed(part, getattr(owner, name)))

    def decoded(self: Reader, *, blocks: Any = Reader.blocks) -> Any:
        iterator = blocks(self)
        step = timed("decode", functools.partial(next, iterator, None))
        while (block := step()) is not None:
            yield block

    Reader.blocks = decoded  # type: ignore[method-assign]
    around(htdemucs, "spectrogram", "STFT")
    around(htdemucs, "inverse_spectrogram", "inverse STFT")
    for module in (htdemucs, layers):
        around(module, "convolve", "convolutions")
    around(layers, "project_and_gate", "gates and 1x1 convolutions before them")
    around(layers, "_normalised_expansion", "DConv norms")
    around(transformer, "attend", "attention")
    around(nn.Linear, "forward", "feed-forward and projections")
    around(transformer.Attention, "forward", "feed-forward and projections")
    around(htdemucs.HTDemucs, "forward", "other elementwise passes")
    around(OverlapAdd, "add", "crossfade")
    around(TrackWriter, "write", "encode")
    around(TrackWriter, "finish", "encode")


def main() -> None:
    """Print the parts, the longest first."""
    parser = argparse.ArgumentParser(description="Where the time of a whole run goes.")
    parser.add_argument("song", type=Path, nargs="?", help="default: 60 s of noise")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()

    from standins import make_folder
    from stemsplit.cli.app import app

    print(machine())
    with workplace() as folder:
        song = options.song or write_noise(folder / "noise.wav", DEFAULT_SECONDS)
        model = make_folder(folder / "model", changes={})
        words = [str(song), "-m", str(model), "-o", str(folder / "out"), "--device", "cpu", "-q"]
        instrument()  # which imports all that is needed, so that start-up is not counted
        began = time.perf_counter()
        app([*words, "--precision", options.precision], standalone_mode=False)
        wall = time.perf_counter() - began
    parts = dict(sorted(_seconds.items(), key=lambda item: -item[1]))
    for part, seconds in parts.items():
        print(f"{part:40} {seconds:7.2f} s  {100 * seconds / wall:5.1f} %")
    print(f"{'wall time':40} {wall:7.2f} s")
    if options.picture:
        draw(parts, wall, options.picture)


def draw(parts: dict[str, float], wall: float, picture: Path) -> None:
    """Horizontal bars of shares of the wall time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    names = list(reversed(parts))
    bars = axes.barh(names, [100 * parts[name] / wall for name in names], color="#4477aa")
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_xlabel("share of the wall time (%)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main()
