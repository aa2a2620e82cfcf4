"""
A recipe: all that decides what a training run computes, but the data and the network it starts from.

The defaults are the paper's (Rouard et al. 2022, section 3). How recipes are written in files: `recipe_file.py`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction

from stemsplit.errors import UsageError
from stemsplit.model.config import MIN_SEGMENT_FRAMES, HTDemucsConfig

_MOST = 1_000_000  # of anything that is counted
FOUR_SOURCES = ("drums", "bass", "other", "vocals")


@dataclass(frozen=True)
class Data:
    """What is learnt, and from which stretches of the songs."""

    sources: tuple[str, ...] = FOUR_SOURCES
    excerpt_seconds: float = 10.0
    stride_seconds: float = 1.0  # of the grid on which excerpts begin


@dataclass(frozen=True)
class Network:
    """The shape of the network; see `HTDemucsConfig`. Its segment follows from excerpts and augmentation."""

    sample_rate: int = 44_100
    channels: int = 48
    dconv_encoder: bool = True
    dconv_decoder: bool = True
    bottom_channels: int = 512
    transformer_layers: int = 5
    transformer_heads: int = 8
    hidden_scale: float = 4.0
    dropout: float = 0.02


@dataclass(frozen=True)
class Augment:
    """How excerpts are varied; see `augment.py`, and there for the order."""

    repitch: float = 0.2  # probability of an excerpt
    semitones: int = 2  # at most, up or down
    tempo_std: float = 0.05  # of the change of tempo
    tempo_max: float = 0.12  # at most, up or down; excerpts are cut to what is left of them at the fastest
    shift_seconds: float = 1.0  # at most
    shift_together: bool = False  # all sources of an excerpt alike
    swap: float = 0.5  # probability of a stem to have its channels swapped
    flip: float = 0.5  # probability of a stem to have its sign flipped
    gain: float = 1.0  # probability of a stem to be made softer or louder
    gain_min: float = 0.25
    gain_max: float = 1.25
    remix: float = 1.0  # probability of a batch to have its stems recombined
    remix_group: int = 4  # excerpts among which they are
    limiter: float = 0.0  # probability of an excerpt to be limited as loud masters are
    limiter_db: float = 9.0  # at most, of the loudest peak


@dataclass(frozen=True)
class Optimizer:
    """How the weights are moved."""

    name: str = "adam"  # or adamw, sgd
    learning_rate: float = 3e-4
    weight_decay: float = 0.0  # of the transformer
    clip: float = 0.0  # norm of the gradient at which it is clipped; 0: never
    anneal: float = 0.0  # share of all steps, the last ones, over which the learning rate falls to 0 in a straight line


@dataclass(frozen=True)
class Training:
    """How long, in what portions, and how."""

    epochs: int = 1200
    batches_per_epoch: int = 800  # 0: as many as show every excerpt once
    batch_size: int = 32  # excerpts per step of the optimiser, over all processes
    accumulate: int = 1  # parts in which a process computes its share, for want of memory
    precision: str = "auto"  # fp32, or bf16 (autocast); auto: bf16 on a GPU that computes in it
    checkpointing: bool = False  # compute activations twice rather than keep them
    seed: int = 0
    per_source: bool = False  # one network for each source, and a bag of them


@dataclass(frozen=True)
class Averages:
    """Decays of the averages of the weights that are validated beside the weights themselves."""

    batch: tuple[float, ...] = (0.9995, 0.9999)
    epoch: tuple[float, ...] = (0.9, 0.95)


@dataclass(frozen=True)
class Recipe:
    """
    A whole recipe.

    Attributes:
        name: what a run is called unless told otherwise.
        loss: weights of the sources in the loss; 1 for those that are not named.

    Raises:
        UsageError: for values that cannot be trained with.
    """

    name: str = "htdemucs"
    data: Data = field(default_factory=Data)
    network: Network = field(default_factory=Network)
    augment: Augment = field(default_factory=Augment)
    optimizer: Optimizer = field(default_factory=Optimizer)
    training: Training = field(default_factory=Training)
    averages: Averages = field(default_factory=Averages)
    loss: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for is_right, what in _laws(self):
            if not is_right:
                raise UsageError(f"The recipe {self.name} cannot be: {what}.")
        try:
            _ = self.config
        except ValueError as error:
            raise UsageError(f"The recipe {self.name} describes no network: {error}.") from error

    @property
    def kept_seconds(self) -> Fraction:
        """What is left of an excerpt when it has been repitched."""
        fastest = Fraction(str(self.augment.tempo_max)) if self.augment.repitch else Fraction(0)
        return Fraction(str(self.data.excerpt_seconds)) * (1 - fastest)

    @property
    def segment(self) -> Fraction:
        """Seconds the network sees at once: what repitching and shifting leave of an excerpt."""
        return self.kept_seconds - Fraction(str(self.augment.shift_seconds))

    @property
    def config(self) -> HTDemucsConfig:
        """Of the network to train."""
        return HTDemucsConfig(self.data.sources, segment=self.segment, **asdict(self.network))

    @property
    def loss_weights(self) -> tuple[float, ...]:
        """In the order of the sources."""
        return tuple(float(self.loss.get(source, 1.0)) for source in self.data.sources)


def _laws(recipe: Recipe) -> list[tuple[bool, str]]:
    """What every recipe obeys, and how to say that it does not."""
    data, network, augment = recipe.data, recipe.network, recipe.augment
    optimizer, training = recipe.optimizer, recipe.training
    chances = ("repitch", "swap", "flip", "gain", "remix", "limiter")
    decays = [*recipe.averages.batch, *recipe.averages.epoch]
    frames = recipe.segment * recipe.network.sample_rate
    return [
        (1000 <= network.sample_rate <= 768_000, "sample_rate must be from 1,000 to 768,000 Hz"),
        (network.channels <= 1024 and network.bottom_channels <= 8192, "channels or bottom_channels are too many"),
        (network.transformer_layers <= 64, "transformer_layers must be at most 64"),
        (0 < network.hidden_scale <= 64, "hidden_scale must be above 0 and at most 64"),
        (0 <= network.dropout < 1, "dropout must be from 0 to below 1"),
        (0 < data.stride_seconds < 1e6, "stride_seconds must be above 0"),
        (0 < data.excerpt_seconds <= 600, "excerpt_seconds must be above 0 and at most 600"),
        (all(0 <= getattr(augment, name) <= 1 for name in chances), f"{', '.join(chances)} are probabilities, 0 to 1"),
        (0 <= augment.semitones <= 2, "semitones must be 0, 1 or 2"),
        (0 <= augment.tempo_max <= 0.5 and augment.tempo_std >= 0, "tempo_max must be from 0 to 0.5"),
        (augment.shift_seconds >= 0, "shift_seconds cannot be negative"),
        (0 <= augment.gain_min <= augment.gain_max, "gain_min must be from 0 to gain_max"),
        (0 <= augment.limiter_db <= 40, "limiter_db must be from 0 to 40"),
        (1 <= augment.remix_group <= _MOST, "remix_group must be from 1 to a million"),
        (
            frames >= MIN_SEGMENT_FRAMES,
            f"of {data.excerpt_seconds:g} s too little is left after repitching and shifting: make excerpt_seconds "
            "longer or shift_seconds shorter",
        ),
        (optimizer.name in ("adam", "adamw", "sgd"), "the optimizer's name must be adam, adamw or sgd"),
        (0 < optimizer.learning_rate < 1e6, "learning_rate must be above 0"),
        (0 <= optimizer.anneal <= 1, "anneal must be from 0 to 1"),
        (optimizer.weight_decay >= 0 and optimizer.clip >= 0, "weight_decay and clip cannot be negative"),
        (1 <= training.epochs <= _MOST, "epochs must be from 1 to a million"),
        (1 <= training.batch_size <= _MOST, "batch_size must be from 1 to a million"),
        (0 <= training.batches_per_epoch <= _MOST, "batches_per_epoch must be from 0 to a million"),
        (1 <= training.accumulate <= _MOST, "accumulate must be from 1 to a million"),
        (training.precision in ("auto", "fp32", "bf16"), "precision must be auto, fp32 or bf16"),
        (0 <= training.seed < 2**63, "seed must be from 0 to 2^63 - 1"),
        (
            all(0 < decay < 1 for decay in decays),
            "decays of averages must be between 0 and 1 (epochs, not epoch, is how long)",
        ),
        (len(set(decays)) == len(decays), "decays of averages must differ"),
        (
            set(recipe.loss) <= set(data.sources),
            f"loss names {', '.join(set(recipe.loss) - set(data.sources))}, which is none of {', '.join(data.sources)}",
        ),
        (len(set(data.sources)) == len(data.sources), f"a source is named twice: {', '.join(data.sources)}"),
        (
            all(0 <= weight < 1e6 for weight in recipe.loss_weights) and any(recipe.loss_weights),
            "weights of the loss cannot be negative, nor all be 0",
        ),
    ]
