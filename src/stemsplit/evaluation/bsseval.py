"""
BSSEval v4 (Vincent, Gribonval and Févotte 2006; Stöter, Liutkus and Ito 2018), by the package `museval`.

It projects each estimate on the true sources under filters of 512 samples, which takes minutes and gigabytes a song.

Shapes: S sources, T frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemsplit.errors import UsageError

_MOST_DB = 300.0  # where museval has infinity
METRICS = ("sdr", "sir", "isr", "sar")


@dataclass(frozen=True)
class BssEval:
    """
    Medians over 1 s frames in dB, at most 300 of them.

    Attributes:
        sdr: signal to distortion.
        sir: signal to interference.
        isr: image to spatial distortion.
        sar: signal to artifacts.
    """

    sdr: float
    sir: float
    isr: float
    sar: float

    def to_json(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


def check_museval() -> None:
    """
    See that BSSEval can be computed.

    Raises:
        UsageError: with what is missing.
    """
    try:
        import museval.metrics  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--bsseval needs museval ({error}): pip install 'stemsplit[eval]'.") from error
    except RuntimeError as error:  # of stempeg, which it imports
        raise UsageError("--bsseval needs ffmpeg and ffprobe, without which museval does not start.") from error


def bsseval(references: NDArray[np.float32], estimates: NDArray[np.float32], sample_rate: int) -> Mapping[int, BssEval]:
    """
    Medians over 1 s frames, by source; one that museval cannot score is not among them.

    Only sources count that are neither silent nor estimated as silence: for such, BSSEval is not defined. Frames in
    which any of the others is silent are passed over, as museval does.

    Shape:
        references, estimates: [S, 2, T]
    """
    from museval import metrics

    rows = [row for row in range(len(references)) if _sounds(references[row]) and _sounds(estimates[row])]
    if not rows:
        return {}
    true, estimated = (np.moveaxis(signals[rows], 1, 2) for signals in (references, estimates))
    values: Sequence[Any] = metrics.bss_eval(
        true,
        estimated,
        window=sample_rate,
        hop=sample_rate,
        compute_permutation=False,
        filters_len=512,
        framewise_filters=False,
        bsseval_sources_version=False,
    )
    sdr, isr, sir, sar, _ = values
    scores = {}
    for index, row in enumerate(rows):
        frames = np.stack([sdr[index], sir[index], isr[index], sar[index]])
        if not np.isnan(frames).all(axis=1).any():
            medians = np.nanmedian(np.clip(frames, -_MOST_DB, _MOST_DB), axis=1)
            scores[row] = BssEval(*(round(float(value), 6) for value in medians))
    return scores


def _sounds(signal: NDArray[np.float32]) -> bool:
    """As museval has it: a sum over channels that is not zero throughout."""
    return bool(np.any(signal.sum(axis=0)))
