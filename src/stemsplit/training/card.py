"""The model card of a run: what it was trained on, how, and how good it is; and how to use and publish it."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from stemsplit.training.recipe import Recipe
from stemsplit.training.run_folder import RunFolder


def model_card(
    folder: RunFolder, recipe: Recipe, origin: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
) -> str:
    """
    Markdown, with the head that the Hugging Face hub reads.

    Args:
        folder: of the run.
        recipe: of the run.
        origin: of its data and its start, as the folder notes them.
        entries: metrics of its epochs; the last best one made the model.
    """
    best = next(entry for entry in reversed(entries) if entry["is_best"])
    scores = best["valid"][best["best"]]
    name = folder.name
    repository = hub_repository(name)
    return "\n".join(
        [
            "---",
            "tags: [music-source-separation, demucs, htdemucs]",
            "library_name: stemsplit",
            "---",
            "",
            f"# {name}",
            "",
            f"An HT Demucs network (Rouard, Massa, Défossez 2022) that separates {_listed(recipe.data.sources)}, "
            f"trained with stemsplit {version('stemsplit')}.",
            "",
            f"Use it: `stemsplit song.mp3 -m {folder.path}`",
            "",
            "## Scores",
            "",
            f"On {_songs(origin['songs']['valid'])} that validated, after epoch {best['epoch']} of "
            f'{recipe.training.epochs}, with the weights called "{best["best"]}": L1 loss {scores["loss"]:.4f}, and '
            "utterance SDR (10 log10 of signal over error energy, whole song, mean over songs):",
            "",
            *_table(["source", "SDR (dB)"], [[source, _decibels(sdr)] for source, sdr in scores["sdr"].items()]),
            "",
            "The songs chose the weights, so that songs never heard are a little harder.",
            "",
            "## Data",
            "",
            *_table(
                ["", "songs", *(f"{source} (h)" for source in recipe.data.sources)],
                [
                    [split, str(origin["songs"][split]), *(f"{hours:.2f}" for hours in origin["hours"][split])]
                    for split in ("train", "valid", "test")
                ],
            ),
            "",
            "Hours are those in which a source is heard (above -60 dBFS).",
            "",
            "## Recipe",
            "",
            f"{_start(origin)} All settings: `recipe.toml`. {_figures(recipe)}",
            "",
            "## Publish",
            "",
            "Into a repository of your own on the Hugging Face hub, as its files stand here:",
            "",
            "```sh",
            f"hf upload USER/{repository} {folder.path} . --exclude 'state/*'",
            "```",
            "",
            f"Then `stemsplit song.mp3 -m USER/{repository}` uses it anywhere, and so does the reference",
            f"implementation (`demucs -n USER/{name} song.mp3`). Whether you may publish it depends on the",
            "songs, and on the model it started from.",
            "",
        ]
    )


def _figures(recipe: Recipe) -> str:
    """The few figures that everybody asks for."""
    training = recipe.training
    return (
        f"Segments of {float(recipe.segment):g} s, {training.batch_size} per step, {recipe.optimizer.name} at "
        f"{recipe.optimizer.learning_rate:g}."
    )


def _start(origin: Mapping[str, Any]) -> str:
    start = origin["init"]
    if start is None:
        return "From fresh weights."
    heads = ", ".join(f"{new} from {old}" for new, old in start["heads"].items())
    return f"From {start['model']} ({start['revision']}){f', heads: {heads}' if heads else ''}."


def hub_repository(name: str) -> str:
    """What the reference implementation takes a model's repository on the hub to be called."""
    prefix = "htdemucs"
    if name == prefix:
        return "HTDemucs"
    return f"HTDemucs-{name[len(prefix) + 1 :]}" if name.startswith(f"{prefix}_") else f"Demucs-{name}"


def _songs(count: int) -> str:
    return f"{count} {'song' if count == 1 else 'songs'}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _decibels(value: float | None) -> str:
    return "silent" if value is None else f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
