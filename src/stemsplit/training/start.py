"""
What a training starts from: fresh weights, or those of a trained model.

A source that the trained model has takes its output head, and so may a new one: `--init-head kick=drums`. The trunk,
which is all the rest, is the model's.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from stemsplit.errors import UsageError
from stemsplit.events import Listener, Warned, ignore
from stemsplit.model.config import HTDemucsConfig
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.training.origin import StartNote
from stemsplit.training.recipe import Recipe
from stemsplit.weights.bag import Bag, find_model, load_bag

_FREE = {"dropout"}  # of the network's settings: not a matter of its weights
_HEADS = ("decoder.3.conv_tr", "tdecoder.3.conv_tr")  # the outermost layers, in which each source has its channels


@dataclass(frozen=True)
class Start:
    """
    A model to start from.

    Attributes:
        bag: the model.
        heads: for sources that it does not have, those whose heads they take.
    """

    bag: Bag
    heads: Mapping[str, str]

    @property
    def note(self) -> StartNote:
        """Which one, as the run's folder notes it."""
        return StartNote(self.bag.name, self.bag.revision, dict(self.heads))


def load_start(
    model: str, heads: Mapping[str, str], recipe: Recipe, *, offline: bool = False, listener: Listener = ignore
) -> Start:
    """
    Load the model that a recipe is to start from, and see whether it can.

    Raises:
        UsageError: for an unknown model, for a source without a head, or for a bag of several networks where one is
            to be trained.
        ModelError: for a model that cannot be fetched, checked or read.
    """
    bag = load_bag(find_model(model), offline=offline, listener=listener)
    if len(bag.networks) > 1 and not recipe.training.per_source:
        raise UsageError(
            f"--init {model}: is a bag of {len(bag.networks)} networks, and this recipe trains one. Start from one of "
            "them (its .safetensors file), or use --recipe htdemucs-ft, which starts each source from its own."
        )
    if bag.audio_channels != 2:
        raise UsageError(f"--init {model}: is for {bag.audio_channels} channels, and training is for stereo.")
    for source in recipe.data.sources:
        _head(source, heads, bag)
    unused = set(heads) - set(recipe.data.sources)
    if unused:
        raise UsageError(f"--init-head: {', '.join(sorted(unused))} is none of {', '.join(recipe.data.sources)}.")
    return Start(bag, dict(heads))


def adapted(recipe: Recipe, start: Start, fixed: Mapping[str, object], listener: Listener = ignore) -> Recipe:
    """
    The recipe with the shape of the network that it starts from.

    Args:
        recipe: as it was read.
        start: the model.
        fixed: settings of the network that the user has made.
        listener: told where the recipe says another shape.

    Raises:
        UsageError: for a setting that is another than the model's.
    """
    config = start.bag.networks[0].config
    shape = {name: getattr(config, name) for name in asdict(recipe.network) if name not in _FREE}
    for name, value in fixed.items():
        if name in shape and shape[name] != value:
            raise UsageError(
                f"--set {name}={value}: the model to start from has {name}={shape[name]}, which cannot be changed. "
                "Leave it out, or train without --init."
            )
    given = asdict(recipe.network)
    changed = [f"{name} {value} (not {given[name]})" for name, value in shape.items() if value != given[name]]
    if changed:
        listener(Warned(f"The network has the shape of the model that it starts from: {', '.join(changed)}."))
    return replace(recipe, network=replace(recipe.network, **shape))


def starting_network(recipe: Recipe, start: Start | None, source: str | None = None) -> HTDemucs:
    """
    The network as it is before the first step.

    Args:
        recipe: already `adapted`.
        start: the model to start from; None: fresh weights, drawn from the recipe's seed.
        source: the one that this network is for, where there is one network for each.
    """
    torch.manual_seed(recipe.training.seed)
    network = HTDemucs(recipe.config)
    if start is None:
        return network
    trained = _member(start, source or recipe.data.sources[0])
    weights = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    for head in _HEADS:
        for part in ("weight", "bias"):
            name = f"{head}.{part}"
            dimension = 1 if part == "weight" else 0
            weights[name] = _recombined(weights[name], dimension, recipe.data.sources, start, trained.config)
    network.load_state_dict(weights, strict=True)
    return network


def _member(start: Start, source: str) -> HTDemucs:
    """The network of the bag that counts most for a source."""
    column = start.bag.sources.index(_head(source, start.heads, start.bag))
    shares = [weights[column] for weights in start.bag.weights]
    return start.bag.networks[shares.index(max(shares))]


def _recombined(
    tensor: Tensor, dimension: int, sources: tuple[str, ...], start: Start, config: HTDemucsConfig
) -> Tensor:
    """The heads of the sources, in their order, out of those of the trained network."""
    parts = dict(zip(config.sources, tensor.chunk(len(config.sources), dimension), strict=True))
    return torch.cat([parts[_head(source, start.heads, start.bag)] for source in sources], dimension)


def _head(source: str, heads: Mapping[str, str], bag: Bag) -> str:
    """The source of the model whose head another one takes."""
    head = heads.get(source, source)
    if head not in bag.sources:
        known = ", ".join(bag.sources)
        if head == source:
            raise UsageError(
                f"{bag.name} has no {source} to start from: it has {known}. Name the nearest one, such as "
                f"--init-head {source}={bag.sources[0]}."
            )
        raise UsageError(f"--init-head {source}={head}: {bag.name} has no {head}; it has {known}.")
    return head
