"""
The constructor arguments that a checkpoint stores, and the network configuration they stand for.

The published files hold every argument of the reference implementation's network. Few of them vary between
checkpoints, and those are the fields of `HTDemucsConfig`. Others shape the computed function but have one
value in every published file, which our network is built on: another value is refused. The rest steers
training or initialisation, or something that is switched off, and may be anything.
"""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction

from stemsplit.model.config import HTDemucsConfig
from stemsplit.weights.definition import check_source_names

MAX_SEGMENT = 600  # seconds; attention over more would not fit any machine
MAX_SAMPLE_RATE = 768_000  # Hz, the highest that audio files carry


class Use(Enum):
    """What an argument means to us."""

    FIELD = auto()  # it is, or becomes, a field of the configuration
    FIXED = auto()  # it changes the function, and only this value is supported
    FREE = auto()  # it changes nothing that we compute


@dataclass(frozen=True)
class Argument:
    """
    One argument of the reference implementation.

    Attributes:
        use: what it means to us.
        value: the published one. Of a field, the one taken when the argument is missing: the reference's own
            default, which is not the published value everywhere.
        written: whether the published files hold it, and so whether ours do.
    """

    use: Use
    value: object = None
    written: bool = True


# In the order of the published files.
ARGUMENTS = {
    "sources": Argument(Use.FIELD),
    "audio_channels": Argument(Use.FIELD, 2),
    "samplerate": Argument(Use.FIELD, 44_100),
    "segment": Argument(Use.FIELD, 10),
    "channels": Argument(Use.FIELD, 48),
    "channels_time": Argument(Use.FIXED, None),
    "growth": Argument(Use.FIXED, 2),
    "nfft": Argument(Use.FIXED, 4096),
    "wiener_iters": Argument(Use.FIXED, 0),
    "end_iters": Argument(Use.FIXED, 0),
    "wiener_residual": Argument(Use.FIXED, False),
    "cac": Argument(Use.FIXED, True),
    "depth": Argument(Use.FIXED, 4),
    "rewrite": Argument(Use.FIXED, True),
    "multi_freqs": Argument(Use.FIXED, []),
    "multi_freqs_depth": Argument(Use.FREE, 3),  # without multi_freqs
    "freq_emb": Argument(Use.FIXED, 0.2),
    "emb_scale": Argument(Use.FIXED, 10),
    "emb_smooth": Argument(Use.FREE, True),  # initialisation
    "kernel_size": Argument(Use.FIXED, 8),
    "stride": Argument(Use.FIXED, 4),
    "time_stride": Argument(Use.FREE, 2),  # of a fifth layer, where no frequencies are left
    "context": Argument(Use.FIXED, 1),
    "context_enc": Argument(Use.FIXED, 0),
    "norm_starts": Argument(Use.FIXED, 4),
    "norm_groups": Argument(Use.FREE, 4),  # of the layers from norm_starts on: none
    "dconv_mode": Argument(Use.FIELD, 1),
    "dconv_depth": Argument(Use.FIXED, 2),
    "dconv_comp": Argument(Use.FIXED, 8),
    "dconv_init": Argument(Use.FREE, 0.001),
    "bottom_channels": Argument(Use.FIELD, 0),
    "t_layers": Argument(Use.FIELD, 5),
    "t_hidden_scale": Argument(Use.FIELD, 4.0),
    "t_heads": Argument(Use.FIELD, 8),
    "t_dropout": Argument(Use.FIELD, 0.0),
    "t_layer_scale": Argument(Use.FIXED, True),
    "t_gelu": Argument(Use.FIXED, True),
    "t_emb": Argument(Use.FIXED, "sin"),
    "t_max_positions": Argument(Use.FREE, 10_000),  # of learned positions
    "t_max_period": Argument(Use.FIXED, 10_000.0),
    "t_weight_pos_embed": Argument(Use.FIXED, 1.0),
    "t_cape_mean_normalize": Argument(Use.FREE, True),  # of CAPE positions
    "t_cape_augment": Argument(Use.FREE, True),
    "t_cape_glob_loc_scale": Argument(Use.FREE, [5000, 1, 1.4]),
    "t_sin_random_shift": Argument(Use.FIXED, 0),
    "t_norm_in": Argument(Use.FIXED, True),
    "t_norm_in_group": Argument(Use.FIXED, False),
    "t_group_norm": Argument(Use.FIXED, False),
    "t_norm_first": Argument(Use.FIXED, True),
    "t_norm_out": Argument(Use.FIXED, True),
    "t_weight_decay": Argument(Use.FREE, 0),
    "t_lr": Argument(Use.FREE, None),
    "t_sparse_self_attn": Argument(Use.FIXED, False),
    "t_sparse_cross_attn": Argument(Use.FIXED, False),
    "t_mask_type": Argument(Use.FREE, "diag"),  # of sparse attention, as the next five
    "t_mask_random_seed": Argument(Use.FREE, 42),
    "t_sparse_attn_window": Argument(Use.FREE, 400),
    "t_global_window": Argument(Use.FREE, 100),
    "t_sparsity": Argument(Use.FREE, 0.95),
    "t_auto_sparsity": Argument(Use.FREE, False),
    "t_cross_first": Argument(Use.FIXED, False),
    "rescale": Argument(Use.FREE, 0.1),
    "use_train_segment": Argument(Use.FIXED, True, written=False),
}
DCONV_ENCODER, DCONV_DECODER = 1, 2  # bits of dconv_mode


def config_from_arguments(arguments: Mapping[str, object]) -> HTDemucsConfig:
    """
    The configuration that stored arguments stand for. Missing ones take the reference's defaults.

    Raises:
        ValueError: for arguments that are unknown, not supported or absurd, by name and with their value.
    """
    for name, value in arguments.items():
        _check_known(name, value)
    given = {name: arguments.get(name, argument.value) for name, argument in ARGUMENTS.items()}
    dconv_mode = _whole(given, "dconv_mode", 0, DCONV_ENCODER | DCONV_DECODER)
    return HTDemucsConfig(
        sources=_sources(given["sources"]),
        segment=_segment(given["segment"]),
        sample_rate=_whole(given, "samplerate", 1, MAX_SAMPLE_RATE),
        audio_channels=_whole(given, "audio_channels", 1, 64),
        channels=_whole(given, "channels", 1, 2**16),
        dconv_encoder=bool(dconv_mode & DCONV_ENCODER),
        dconv_decoder=bool(dconv_mode & DCONV_DECODER),
        bottom_channels=_whole(given, "bottom_channels", 0, 2**16),
        transformer_layers=_whole(given, "t_layers", 0, 256),
        transformer_heads=_whole(given, "t_heads", 1, 2**12),
        hidden_scale=_real(given, "t_hidden_scale", 0.01, 64),
        dropout=_real(given, "t_dropout", 0, 1),
    )


def arguments_from_config(config: HTDemucsConfig) -> dict[str, object]:
    """The arguments that stand for a configuration: all that the published files hold, in their order."""
    fields: dict[str, object] = {
        "sources": list(config.sources),
        "audio_channels": config.audio_channels,
        "samplerate": config.sample_rate,
        "segment": config.segment,
        "channels": config.channels,
        "dconv_mode": DCONV_ENCODER * config.dconv_encoder + DCONV_DECODER * config.dconv_decoder,
        "bottom_channels": config.bottom_channels,
        "t_layers": config.transformer_layers,
        "t_hidden_scale": config.hidden_scale,
        "t_heads": config.transformer_heads,
        "t_dropout": config.dropout,
    }
    return {name: fields.get(name, argument.value) for name, argument in ARGUMENTS.items() if argument.written}


def _check_known(name: str, value: object) -> None:
    argument = ARGUMENTS.get(name)
    if argument is None:
        raise ValueError(f"argument {name} = {_shown(value)} is unknown")
    empty = value is None and argument.value == []  # the reference treats no list and an empty one alike
    if argument.use is Use.FIXED and value != argument.value and not empty:
        raise ValueError(f"{name} = {_shown(value)} is not supported, only {_shown(argument.value)}")


def _sources(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"sources = {_shown(value)} is no list of names")
    check_source_names(value)
    return tuple(value)


def _segment(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise ValueError(f"segment = {_shown(value)} is no number of seconds")
    if not 0 < value <= MAX_SEGMENT:
        raise ValueError(f"segment = {_shown(value)} must be more than 0 and at most {MAX_SEGMENT} s")
    # Through text, 7.8 is 39/5 and not the binary fraction next to it.
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)


def _whole(given: Mapping[str, object], name: str, least: int, most: int) -> int:
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} = {_shown(value)} must be a whole number from {least} to {most}")
    return value


def _real(given: Mapping[str, object], name: str, least: float, most: float) -> float:
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{name} = {_shown(value)} must be a number from {least} to {most}")
    return float(value)


def _shown(value: object) -> str:
    return reprlib.repr(value)  # bounded in length and depth, whatever a file holds
