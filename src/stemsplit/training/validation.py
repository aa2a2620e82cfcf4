"""Whole songs through the real `Separator`, by the weights as they are and by every average of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from stemsplit.compute import choose
from stemsplit.evaluation.methods import separated
from stemsplit.evaluation.metrics import SongScores, mean_sdr
from stemsplit.evaluation.songs import references_of
from stemsplit.events import Listener, ignore
from stemsplit.model.config import HTDemucsConfig
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.separation.options import SplitOptions
from stemsplit.separation.separator import Separator
from stemsplit.training.averages import Weights
from stemsplit.training.processes import Processes
from stemsplit.training.survey import Song
from stemsplit.weights.bag import Bag

PLAIN = "plain"
"""What the weights as they are are called, among averages of them."""


@dataclass(frozen=True)
class Validation:
    """
    How good some weights are.

    Attributes:
        loss: the training's, of standardised songs, mean over them.
        sdr: utterance SDR in dB by source that the loss counts, mean over songs; None where it is silent in all.
        gain_sdr: what the mixture times the best single gain would have.
    """

    loss: float
    sdr: dict[str, float | None]
    gain_sdr: dict[str, float | None]


def separator_of(config: HTDemucsConfig, weights: Weights, device: str, listener: Listener) -> Separator:
    """Who separates with these weights as validation does: in fp32, with no overlap."""
    with torch.device("meta"):
        network = HTDemucs(config)
    network.load_state_dict({key: tensor.detach().to("cpu") for key, tensor in weights.items()}, assign=True)
    bag = Bag(PLAIN, None, (network.eval(),), ((1.0,) * len(config.sources),))
    if device.startswith("cuda"):
        torch.cuda.empty_cache()  # what the steps have left there, for the choice of a batch
    return Separator(bag, compute=choose(device, "fp32"), options=SplitOptions(overlap=0.0), listener=listener)


def validated(
    config: HTDemucsConfig,
    candidates: Mapping[str, Weights],
    songs: Sequence[Song],
    loss_weights: Sequence[float],
    device: str,
    processes: Processes,
    listener: Listener = ignore,
    on_song: Callable[[int], None] = lambda done: None,
) -> dict[str, Validation]:
    """
    Every candidate on every song; processes share the songs.

    Args:
        config: of the network.
        candidates: weights by name.
        songs: those that validate.
        loss_weights: of the sources.
        device: where to separate.
        processes: who shares the songs.
        listener: told of fall-backs.
        on_song: told how many songs of all candidates are done by this process.
    """
    own = list(enumerate(songs))[processes.rank :: processes.count]
    results: dict[str, list[tuple[int, Any]]] = {}
    done = 0
    for name, weights in candidates.items():
        separator = separator_of(config, weights, device, listener)
        results[name] = []
        for number, song in own:
            # The sum of the stems is what the network has been trained to separate, whatever the song's own mixture is.
            references = references_of(replace(song.track, mixture=None), config.sample_rate)
            scores = SongScores(len(config.sources))
            for part in separated(separator, references, song.measurement.statistics):
                scores.add(*part)
            losses = [error / song.measurement.std for error in scores.l1]
            results[name].append((number, (losses, scores.sdr, scores.gain_sdr)))
            done += 1
            on_song(done)
    shares = processes.gathered(results)
    validations = {}
    for name in candidates:
        per_song = [result for _, result in sorted(entry for share in shares for entry in share[name])]
        validations[name] = _mean(config.sources, per_song, loss_weights)
    return validations


def _mean(
    sources: Sequence[str],
    per_song: Sequence[tuple[Sequence[float], Sequence[float | None], Sequence[float | None]]],
    loss_weights: Sequence[float],
) -> Validation:
    losses, ratios, gains = zip(*per_song, strict=True)
    total = sum(loss_weights)
    weighted = [sum(loss * weight for loss, weight in zip(song, loss_weights, strict=True)) / total for song in losses]

    def means(songs: Sequence[Sequence[float | None]]) -> dict[str, float | None]:
        counted = [(index, source) for index, source in enumerate(sources) if loss_weights[index]]
        return {source: mean_sdr([song[index] for song in songs]) for index, source in counted}

    return Validation(sum(weighted) / len(weighted), means(ratios), means(gains))
