"""
What becomes of songs on their way to listeners: loud masters, lossy files, low sample rates.

What is the same for all stems (a gain, a filter) is done to the true sources too, so that they still add up to the
mixture; a lossy encoder is given the mixture alone, and the true sources stay as they are. Each degradation is a
function of a way to open the song, which is read twice, and of its sample rate.

Shapes: S sources, T frames; blocks are [S + 1, 2, T], with the mixture behind the sources.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from stemsplit.audio.blocks import Block
from stemsplit.audio.channels import to_stereo
from stemsplit.audio.encoder import open_encoder
from stemsplit.audio.formats import Encoding
from stemsplit.audio.reader import open_audio
from stemsplit.audio.resample import resampled
from stemsplit.errors import StemsplitError
from stemsplit.evaluation.limiter import WINDOW_SECONDS, limiter_gain

LOUD_RMS = 10 ** (-8 / 20)  # the level of the mixture before the limiter: loud masters are at -10 to -7 dBFS
CEILING = 10 ** (-0.1 / 20)  # the limiter's, below full scale
MP3 = Encoding("mp3", bitrate=128)
LOW_RATE = 16_000

Stack = NDArray[np.float32]
Reopen = Callable[[], Iterator[Stack]]


def loud(opened: Reopen, sample_rate: int) -> Iterator[Stack]:
    """Raised to the level of a loud master, and limited."""
    energy = samples = 0.0
    for block in opened():
        energy += float(np.square(block[-1], dtype=np.float64).sum())
        samples += block[-1].size
    gain = np.float32(max(1.0, LOUD_RMS / max((energy / max(1.0, samples)) ** 0.5, 1e-6)))
    yield from _limited((block * gain for block in opened()), sample_rate)


def _limited(blocks: Iterable[Stack], sample_rate: int) -> Iterator[Stack]:
    """Under the limiter's gain, which is found for one block at a time with what it depends on at either side."""
    margin = round(WINDOW_SECONDS * sample_rate)
    held: Stack | None = None
    for block in blocks:
        if held is None:
            held = np.zeros((*block.shape[:2], margin), np.float32)
        held = np.concatenate([held, block], axis=-1)
        if held.shape[-1] > 2 * margin:
            yield _centre(held, margin, sample_rate)
            held = held[..., -2 * margin :]
    if held is not None:
        yield _centre(np.pad(held, ((0, 0), (0, 0), (0, margin))), margin, sample_rate)


def _centre(held: Stack, margin: int, sample_rate: int) -> Stack:
    gain = limiter_gain(torch.from_numpy(held[-1:]), torch.tensor([CEILING]), sample_rate).numpy()
    limited: Stack = (held * gain)[..., margin : held.shape[-1] - margin]
    return limited


def low_rate(opened: Reopen, sample_rate: int) -> Iterator[Stack]:
    """Converted to 16 kHz and back: nothing is left above 8 kHz."""
    frames = sum(block.shape[-1] for block in opened())
    rows = 0

    def channels() -> Iterator[Block]:
        nonlocal rows
        for block in opened():
            rows = len(block)
            yield block.reshape(2 * rows, -1)

    low = resampled(channels(), sample_rate, min(LOW_RATE, sample_rate))
    for block in resampled(low, min(LOW_RATE, sample_rate), sample_rate, frames):
        frames -= block.shape[-1]
        yield block.reshape(rows, 2, -1)
    if frames:  # of a song too short for a single frame at the low rate
        yield np.zeros((rows, 2, frames), np.float32)


def lossy(opened: Reopen, sample_rate: int) -> Iterator[Stack]:
    """
    The mixture encoded as mp3 of 128 kbit/s and decoded.

    Raises:
        StemsplitError: where no temporary file can be written.
    """
    with ExitStack() as opened_files:
        try:
            folder = opened_files.enter_context(TemporaryDirectory(prefix="stemsplit-"))
            path = Path(folder) / "mixture.mp3"
            _encode((block[-1] for block in opened()), path, sample_rate)
        except OSError as error:
            raise StemsplitError(
                f"No temporary file can be written: {error.strerror or error}. TMPDIR may name another folder."
            ) from error
        reader = opened_files.enter_context(open_audio(path))
        decoded = resampled(map(to_stereo, reader.blocks()), reader.info.sample_rate, sample_rate)
        waiting = np.zeros((2, 0), np.float32)
        for block in opened():
            frames = block.shape[-1]
            while waiting.shape[1] < frames:
                waiting = np.concatenate([waiting, next(decoded, np.zeros((2, frames), np.float32))], axis=1)
            yield np.concatenate([block[:-1], waiting[np.newaxis, :, :frames]])
            waiting = waiting[:, frames:]


def _encode(mixture: Iterator[Block], path: Path, sample_rate: int) -> None:
    rate = MP3.file_format.fitting_rate(sample_rate)
    encoder = open_encoder(path, MP3, target=path, sample_rate=rate, channels=2, frames=None)
    try:
        for block in resampled(mixture, sample_rate, rate):
            encoder.write(block.T)
        encoder.close()
    finally:
        encoder.discard()


DEGRADATIONS: Mapping[str, Callable[[Reopen, int], Iterator[Stack]]] = MappingProxyType(
    {"limiter": loud, "mp3": lossy, "16k": low_rate}
)
"""By the name that `--degrade` takes."""
