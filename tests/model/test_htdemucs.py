"""The network against the reference implementation, and the laws it obeys on its own."""

from fractions import Fraction

import pytest
import torch

from scores import sdr
from standins import REDUCED, SOURCES, oracle_network
from stemsplit.model import layers, transformer
from stemsplit.model.config import HTDemucsConfig
from stemsplit.model.htdemucs import HTDemucs

# Rouard et al. 2022, table 2 counts networks with DConv in the encoder only; the published files have it in both.
PARAMETERS = {
    # (width, layers): DConv in both, DConv in the encoder only
    (384, 5): (27_410_376, 26_899_536),
    (384, 7): (34_515_912, 34_005_072),
    (512, 5): (41_984_456, 41_473_616),
    (512, 7): (54_604_232, 54_093_392),
}


@pytest.mark.parametrize(("width", "layers"), PARAMETERS)
@pytest.mark.parametrize("dconv_decoder", [True, False])
def test_parameter_counts_are_the_published_ones(width: int, layers: int, dconv_decoder: bool) -> None:
    config = HTDemucsConfig(
        SOURCES, bottom_channels=width % 384, transformer_layers=layers, dconv_decoder=dconv_decoder
    )
    config = (
        config
        if width == 384
        else HTDemucsConfig(SOURCES, bottom_channels=width, transformer_layers=layers, dconv_decoder=dconv_decoder)
    )
    with torch.device("meta"):
        network = HTDemucs(config)
    expected = PARAMETERS[width, layers][0 if dconv_decoder else 1]
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


# Every way in which supported checkpoints differ, on reduced networks whose parameters are all drawn.
VARIANTS: dict[str, dict[str, object]] = {
    "as published": {},
    "without bottom channels": {"bottom_channels": 0},
    "DConv in the encoder only": {"dconv_mode": 1},
    "DConv in the decoder only": {"dconv_mode": 2},
    "no DConv": {"dconv_mode": 0},
    "no transformer": {"t_layers": 0, "bottom_channels": 0},
    "one layer": {"t_layers": 1},
    "four layers": {"t_layers": 4},
    "more heads": {"t_heads": 8},
    "narrower feed-forward": {"t_hidden_scale": 2.0},
    "six sources": {"sources": [*SOURCES, "guitar", "piano"]},
    "mono": {"audio_channels": 1},
    "another rate": {"samplerate": 32000},
}
# Lengths that end everywhere between two strides of either branch.
SEGMENTS = [Fraction(1), Fraction(4096, 44100), Fraction(44101, 44100), Fraction(50_000, 44100), Fraction(3)]


def _ours(changes: dict[str, object]) -> tuple[torch.nn.Module, HTDemucs]:
    stored = REDUCED | changes
    oracle = oracle_network(seed=1, **stored)
    mode = int(str(stored.get("dconv_mode", 3)))
    config = HTDemucsConfig(
        sources=tuple(oracle.sources),
        segment=Fraction(str(stored["segment"])),
        sample_rate=oracle.samplerate,
        audio_channels=oracle.audio_channels,
        channels=int(str(stored["channels"])),
        dconv_encoder=bool(mode & 1),
        dconv_decoder=bool(mode & 2),
        bottom_channels=int(str(stored["bottom_channels"])),
        transformer_layers=int(str(stored["t_layers"])),
        transformer_heads=int(str(stored["t_heads"])),
        hidden_scale=float(str(stored.get("t_hidden_scale", 4.0))),
    )
    network = HTDemucs(config).eval()
    network.load_state_dict(oracle.state_dict(), strict=True)
    return oracle, network


def _assert_equal(
    oracle: torch.nn.Module, network: HTDemucs, decibels: float, dtype: torch.dtype, batch: int = 2
) -> None:
    config = network.config
    mixture = torch.randn(batch, config.audio_channels, config.segment_frames, dtype=dtype)
    with torch.inference_mode():
        expected, separated = oracle.to(dtype)(mixture), network.to(dtype)(mixture)
    assert separated.shape == (batch, len(config.sources), *mixture.shape[1:])
    for index in range(len(config.sources)):
        assert sdr(expected[:, index], separated[:, index]) > decibels


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_equals_the_reference(variant: str) -> None:
    """In double precision, where rounding cannot hide a difference; 80 dB is what float32 must keep."""
    oracle, network = _ours(VARIANTS[variant])
    _assert_equal(oracle, network, 80, torch.float32)
    _assert_equal(oracle, network, 120, torch.float64)


@pytest.mark.parametrize("segment", SEGMENTS, ids=str)
def test_it_equals_the_reference_at_any_length(segment: Fraction) -> None:
    _assert_equal(*_ours({"segment": segment}), 120, torch.float64, batch=1)


def test_every_parameter_counts() -> None:
    """The parity above would not notice a parameter that neither side uses; this does."""
    _, network = _ours({})
    network(torch.randn(1, 2, network.config.segment_frames)).square().mean().backward()
    # The same constant added to all keys changes no attention, so the key's third of a projection bias is idle.
    idle = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []


@pytest.mark.parametrize("onto", [False, True])
@pytest.mark.parametrize("shape", [(1, 5_000), (700, 13), (3, 700)], ids=str)
def test_gating_in_pieces_is_gating(shape: tuple[int, int], onto: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In inference on a CPU it goes piece by piece, along items, time or both; with gradients all at once."""
    monkeypatch.setattr(layers, "_CACHED_NUMBERS", 5_000)
    items, steps = shape
    x, weight, bias = torch.randn(items, steps, 3), torch.randn(items, 3, 8), torch.randn(items, 1, 8)
    residual = torch.randn(items, steps, 4) if onto else None
    with torch.inference_mode():
        in_pieces = layers.project_and_gate(x, weight, bias, residual)
    assert sdr(layers.project_and_gate(x, weight, bias, residual), in_pieces) > 120


def _plainly(dconv: layers.DConv, x: torch.Tensor) -> torch.Tensor:
    """A DConv as its modules say, one after the other; x [I, C, T]."""
    for layer in dconv.layers:
        *modules, _, scale = layer.children()
        assert isinstance(scale, layers.LayerScale)
        x = x + scale.scale[:, None] * torch.nn.functional.glu(torch.nn.Sequential(*modules)(x), dim=1)
    return x


@pytest.mark.parametrize("steps", [1, 2, 400])
@pytest.mark.parametrize("offset", [0.0, 30.0], ids=["", "mean far above deviation"])
def test_a_folded_norm_is_a_norm(steps: int, offset: float) -> None:
    """A DConv in which every parameter counts, against its modules one after the other; gradients, too."""
    torch.manual_seed(5)
    dconv = layers.DConv(16).double()
    with torch.no_grad():
        for parameter in dconv.parameters():
            parameter.copy_(torch.randn_like(parameter))
        for name, parameter in dconv.named_parameters():
            if name.endswith(".1.bias"):
                parameter.add_(offset)  # the hidden activation then lies far from zero
    x = torch.randn(2, 3, steps, 16, dtype=torch.float64)
    expected = _plainly(dconv, x.flatten(0, 1).transpose(1, 2)).transpose(1, 2).view(x.shape)
    expected.square().sum().backward()
    gradients = [parameter.grad for parameter in dconv.parameters()]
    dconv.zero_grad()
    folded = dconv(x)
    folded.square().sum().backward()
    torch.testing.assert_close(folded, expected)
    torch.testing.assert_close([parameter.grad for parameter in dconv.parameters()], gradients)
    with torch.inference_mode():
        assert sdr(expected, dconv(x)) > 200
        assert sdr(expected, dconv.float()(x.float()).double()) > 90


@pytest.mark.parametrize("keys", [40, 1000])
def test_attention_in_pieces_is_attention(keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it goes in bfloat16 on most CPUs; here in float32, where it must be equal."""
    monkeypatch.setattr(transformer, "_goes_in_pieces", lambda device, dtype: True)
    # The heads lie as projections leave them: side by side in every token.
    q, k, v = (torch.randn(2, n, 3 * 8).unflatten(-1, (3, 8)).transpose(1, 2) for n in (1000, keys, keys))
    with torch.inference_mode():
        in_pieces = transformer.attend(q, k, v)
    assert sdr(torch.nn.functional.scaled_dot_product_attention(q, k, v), in_pieces) > 120


def test_attention_goes_in_pieces_where_the_fused_kernel_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    transformer._goes_in_pieces.cache_clear()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert transformer._goes_in_pieces("cpu", torch.bfloat16)
    assert not transformer._goes_in_pieces("cpu", torch.float32)
    assert not transformer._goes_in_pieces("cuda", torch.bfloat16)
    transformer._goes_in_pieces.cache_clear()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "amx_bf16": True})
    assert not transformer._goes_in_pieces("cpu", torch.bfloat16)
    transformer._goes_in_pieces.cache_clear()


def test_an_item_does_not_depend_on_its_batch() -> None:
    _, network = _ours({})
    mixture = torch.randn(3, 2, network.config.segment_frames)
    with torch.inference_mode():
        together = network(mixture)
        alone = torch.cat([network(item[None]) for item in mixture])
    assert sdr(alone, together) > 100


def test_silence_stays_silence() -> None:
    _, network = _ours({})
    with torch.inference_mode():
        assert network(torch.zeros(1, 2, network.config.segment_frames)).abs().max() == 0


def test_training_works_after_inference() -> None:
    """What is cached in inference (positions, windows) must be fit for autograd afterwards."""
    _, network = _ours({})
    mixture = torch.randn(1, 2, 44_100 + 1024)  # a length whose positions were not needed before
    with torch.inference_mode():
        network(mixture)
    network.train()(mixture).abs().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(("dtype", "decibels"), [(torch.bfloat16, 25), (torch.float16, 40)])
def test_reduced_precision_stays_close(dtype: torch.dtype, decibels: float) -> None:
    """On initial weights: with all parameters drawn, a network amplifies rounding as no trained one does."""
    torch.manual_seed(4)
    network = HTDemucs(_ours({})[1].config).eval()
    mixture = torch.randn(1, 2, network.config.segment_frames)
    with torch.inference_mode():
        exact = network(mixture)
        reduced = network.to(dtype)(mixture)
    assert reduced.dtype == torch.float32
    assert sdr(exact, reduced) > decibels


def test_initialisation_follows_the_reference() -> None:
    """Same distributions: the spread of every parameter is the reference's, for large enough ones."""
    from demucs.htdemucs import HTDemucs as Oracle

    torch.manual_seed(3)
    network = HTDemucs(HTDemucsConfig(SOURCES, channels=32, bottom_channels=64, transformer_layers=2))
    oracle = Oracle(list(SOURCES), channels=32, bottom_channels=64, t_layers=2, dconv_mode=3)
    expected = dict(oracle.named_parameters())
    for name, parameter in network.named_parameters():
        if parameter.numel() >= 2048 and "freq_emb" not in name:
            assert parameter.std().item() == pytest.approx(expected[name].std().item(), rel=0.1), name
    rows = network.freq_emb.embedding.weight
    assert rows[0].std().item() == pytest.approx(0.1, rel=0.5)
    assert (rows[1:] - rows[:-1]).std() < 0.5 * rows.std(), "neighbouring rows should be alike"


def test_the_published_network_equals_the_reference() -> None:
    """Full size, once: 42 million parameters, 7.8 s."""
    oracle = oracle_network(seed=2)
    network = HTDemucs(HTDemucsConfig(SOURCES)).eval()
    network.load_state_dict(oracle.state_dict(), strict=True)
    assert len(network.state_dict()) == 533
    _assert_equal(oracle, network, 80, torch.float32, batch=1)
