import inspect
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standins import PUBLISHED, arguments
from stemsplit.model.config import HTDemucsConfig
from stemsplit.weights.arguments import ARGUMENTS, arguments_from_config, config_from_arguments


def test_the_published_arguments_are_the_default_configuration() -> None:
    assert config_from_arguments(PUBLISHED) == HTDemucsConfig(("drums", "bass", "other", "vocals"))


def test_the_default_configuration_is_written_as_published() -> None:
    written = arguments_from_config(HTDemucsConfig(("drums", "bass", "other", "vocals")))
    assert list(written.items()) == list(PUBLISHED.items())


def test_missing_arguments_take_the_defaults_of_the_reference() -> None:
    from demucs.htdemucs import HTDemucs

    parameters = inspect.signature(HTDemucs.__init__).parameters
    defaults = {name: item.default for name, item in parameters.items() if name not in ("self", "sources")}
    assert config_from_arguments({"sources": ["a"]}) == config_from_arguments({"sources": ["a"], **defaults})
    assert set(ARGUMENTS) == {"sources", *defaults}


@pytest.mark.parametrize(
    ("mode", "encoder", "decoder"), [(0, False, False), (1, True, False), (2, False, True), (3, True, True)]
)
def test_dconv_mode_has_a_bit_for_each_side(mode: int, encoder: bool, decoder: bool) -> None:
    config = config_from_arguments(arguments(dconv_mode=mode))
    assert (config.dconv_encoder, config.dconv_decoder) == (encoder, decoder)
    assert arguments_from_config(config)["dconv_mode"] == mode


@pytest.mark.parametrize("segment", [Fraction(39, 5), 7.8])
def test_seconds_mean_the_same_as_fraction_and_float(segment: object) -> None:
    assert config_from_arguments(arguments(segment=segment)).segment_frames == 343_980


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("t_weight_decay", 0.05),
        ("t_lr", 1e-4),
        ("t_dropout", 0.1),
        ("rescale", None),
        ("dconv_init", 1),
        ("emb_smooth", False),
        ("t_cape_augment", "anything"),
        ("t_mask_type", "random_diag"),
        ("t_sparsity", 0.5),
        ("multi_freqs", None),
        ("use_train_segment", True),
    ],
)
def test_what_only_training_or_initialisation_sees_may_be_anything(name: str, value: object) -> None:
    config_from_arguments(arguments(**{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channels_time", 48),
        ("growth", 3),
        ("nfft", 2048),
        ("cac", False),
        ("wiener_iters", 1),
        ("depth", 5),
        ("multi_freqs", [0.5]),
        ("kernel_size", 4),
        ("norm_starts", 2),
        ("dconv_depth", 1),
        ("t_emb", "scaled"),
        ("t_norm_first", False),
        ("t_sparse_self_attn", True),
        ("t_cross_first", True),
        ("t_sin_random_shift", 3),
        ("use_train_segment", False),
        ("dconv_lstm", 2),
    ],
)
def test_what_changes_the_function_is_refused_by_name_and_value(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} = .*{value!r}".replace("[", r"\[")):
        config_from_arguments(arguments(**{name: value}))


@pytest.mark.parametrize("name", ["sources", "segment", "samplerate", "channels", "t_layers", "t_heads", "dconv_mode"])
@pytest.mark.parametrize("value", [None, "x", [], {}, -1, True, 10**400, float("nan"), float("inf"), [["x"]], object()])
def test_absurd_values_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name if name != "sources" else "source"):
        config_from_arguments(arguments(**{name: value}))


@pytest.mark.parametrize("source", ["../../etc/passwd", "", "a/b", "a\\b", ".", "a" * 65, "a\n"])
def test_a_source_cannot_name_a_file_elsewhere(source: str) -> None:
    with pytest.raises(ValueError, match="source"):
        config_from_arguments(arguments(sources=["drums", source]))


@given(
    sources=st.integers(1, 8),
    segment=st.fractions(min_value="1/10", max_value=60),
    channels=st.integers(1, 12).map(lambda eighth: 8 * eighth),
    bottom=st.sampled_from([0, 32, 64, 512]),
    layers=st.integers(0, 9),
    mode=st.tuples(st.booleans(), st.booleans()),
)
def test_arguments_and_configuration_are_two_ways_to_say_the_same(
    sources: int, segment: Fraction, channels: int, bottom: int, layers: int, mode: tuple[bool, bool]
) -> None:
    config = HTDemucsConfig(
        sources=tuple(f"source {index}" for index in range(sources)),
        segment=segment,
        channels=channels,
        bottom_channels=bottom,
        transformer_layers=layers,
        transformer_heads=2,
        dconv_encoder=mode[0],
        dconv_decoder=mode[1],
    )
    assert config_from_arguments(arguments_from_config(config)) == config
