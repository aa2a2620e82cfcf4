"""The model card of a run: what it was trained on, how, and how good it is; and how to use and publish it."""

import shlex
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from stemsplit.audio.multitrack import SPLITS
from stemsplit.training.epoch import Epoch
from stemsplit.training.origin import Origin, StartNote
from stemsplit.training.recipe import Recipe

# Markdown, with the head that the Hugging Face hub reads.
_CARD = """\
---
tags: [music-source-separation, demucs, htdemucs]
library_name: stemsplit
---

# {name}

{networks} (HT Demucs: Rouard, Massa, Défossez 2022) to separate {sources}, trained with stemsplit {version}.

Use it: `stemsplit song.mp3 -m {quoted}`

## Scores

On {songs} that validated: utterance SDR (10 log10 of signal over error energy, whole song, mean over songs).

{scores}

These songs chose the weights, so that songs never heard are a little harder.

## Data

{folders}

{data}

Of each source, how long it is heard (above -60 dBFS; hours, minutes, seconds).

## Recipe

{start} Segments of {segment:g} s, {batch_size} per step, {optimizer} at {learning_rate:g}. All settings: `recipe.toml`.

## Publish

Into a repository of your own on the Hugging Face hub, as its files stand here:

```sh
hf upload {quoted_repository} {quoted} . --exclude '*/*'
```

Then `stemsplit song.mp3 -m USER/{repository}` uses it anywhere, and so does the reference implementation
(`demucs -n USER/{name} song.mp3`). Whether you may publish it depends on the songs, and on the model it started from.
"""


def model_card(path: Path, recipe: Recipe, origin: Origin, best: Sequence[Epoch]) -> str:
    """
    The card of a run, or of the runs of several sources.

    Args:
        path: of the run's folder.
        recipe: of the run.
        origin: of its data and its start, as the folder notes them.
        best: the epoch that the network comes from, for each network.
    """
    name = path.resolve().name
    sources = recipe.data.sources
    return _CARD.format(
        name=name,
        networks="One network" if len(best) == 1 else f"{len(best)} networks",
        sources=_listed(sources),
        version=version("stemsplit"),
        quoted=shlex.quote(str(path)),
        quoted_repository=shlex.quote(f"USER/{hub_repository(name)}"),
        songs=_songs(origin.songs["valid"]),
        scores=_table(
            [
                "source",
                "SDR (dB)",
                "best single gain on the mixture (dB)",
                "epoch",
                "weights",
                "L1 loss of the network",
            ],
            [row for epoch in best for row in _scores(epoch)],
        ),
        folders=_folders(origin.folders),
        data=_table(
            ["", "songs", *sources],
            [[split, str(origin.songs[split]), *(_length(hours) for hours in origin.hours[split])] for split in SPLITS],
        ),
        start=_start(origin.start),
        segment=float(recipe.segment),
        batch_size=recipe.training.batch_size,
        optimizer=recipe.optimizer.name,
        learning_rate=recipe.optimizer.learning_rate,
        repository=hub_repository(name),
    )


def _scores(epoch: Epoch) -> list[list[str]]:
    """A row for each source of a network, by the metrics of the epoch that it comes from."""
    best = epoch.validation
    return [
        [source, _decibels(sdr), _decibels(best.gain_sdr[source]), str(epoch.epoch), epoch.best, f"{best.loss:.4f}"]
        for source, sdr in best.sdr.items()
    ]


def hub_repository(name: str) -> str:
    """What the reference implementation takes a model's repository on the hub to be called."""
    prefix = "htdemucs"
    if name == prefix:
        return "HTDemucs"
    return f"HTDemucs-{name[len(prefix) + 1 :]}" if name.startswith(f"{prefix}_") else f"Demucs-{name}"


def _start(start: StartNote | None) -> str:
    if start is None:
        return "From fresh weights."
    heads = ", ".join(f"{new} from {old}" for new, old in start.heads.items())
    return f"From {start.model} ({start.revision}){f', heads: {heads}' if heads else ''}."


def _folders(folders: Sequence[tuple[str, float]]) -> str:
    named = [f"{name}{f' (drawn {weight:g} times as often)' if weight != 1 else ''}" for name, weight in folders]
    return f"Songs from {_listed(named)}."


def _songs(count: int) -> str:
    return f"{count} {'song' if count == 1 else 'songs'}"


def _length(hours: float) -> str:
    minutes, seconds = divmod(round(3600 * hours), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _decibels(value: float | None) -> str:
    return "silent" if value is None else f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
