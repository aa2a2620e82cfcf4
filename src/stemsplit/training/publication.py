"""The best weights of a run as its model, with the card that goes with it, and how it sounds."""

import numpy as np

from stemsplit.audio.blocks import Block
from stemsplit.audio.seeking import read_excerpt
from stemsplit.separation.separator import Separator
from stemsplit.training.board import Board
from stemsplit.training.card import model_card
from stemsplit.training.epoch import Epoch
from stemsplit.training.origin import Origin
from stemsplit.training.recipe import Recipe
from stemsplit.training.run_folder import RunFolder
from stemsplit.training.survey import Song

_HEARD_SECONDS = 10  # of a song, for TensorBoard


def publish(folder: RunFolder, separator: Separator, recipe: Recipe, origin: Origin, epoch: Epoch) -> None:
    """
    Have a run's folder hold these weights.

    Args:
        folder: of the run.
        separator: with the weights.
        recipe: of the run.
        origin: what the card tells of data and start.
        epoch: that the weights come from.

    Raises:
        CheckpointError, StemsplitError: where something cannot be written.
    """
    folder.publish(separator.bag.networks[0])
    folder.write(folder.path / "README.md", model_card(folder.path, recipe, origin, [epoch]))


def play(board: Board, separator: Separator, song: Song, step: int) -> None:
    """Put the middle of a song, and what is separated of it, onto the board."""
    if not board.is_written:
        return
    frames = min(song.measurement.frames, _HEARD_SECONDS * separator.sample_rate)
    first = (song.measurement.frames - frames) // 2
    mixture: Block = np.zeros((2, frames), np.float32)
    for path in (path for paths in song.track.files for path in paths):
        mixture += read_excerpt(path, first, frames, separator.sample_rate)
    board.sounds({"mixture": mixture, **separator(mixture)}, separator.sample_rate, step)
