import contextlib
import json
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from standins import (
    FULL_BYTES,
    REDUCED,
    SIX_BYTES,
    SOURCES,
    Repository,
    arguments,
    make_folder,
    oracle_network,
    save_published,
)
from stemsplit.errors import CheckpointError
from stemsplit.model.config import HTDemucsConfig
from stemsplit.model.htdemucs import HTDemucs
from stemsplit.weights.checkpoint import read_checkpoint, read_config, write_checkpoint

Change = Callable[[dict[str, str], dict[str, torch.Tensor]], None]


def changed(source: Path, target: Path, change: Change) -> Path:
    """A copy of a checkpoint with its metadata or tensors changed."""
    from safetensors import safe_open

    with safe_open(source, framework="pt") as file:
        metadata = dict(file.metadata())
    tensors = load_file(source)
    change(metadata, tensors)
    save_file(tensors, target, metadata=metadata)
    return target


def with_argument(name: str, value: object) -> Change:
    def change(metadata: dict[str, str], _: object) -> None:
        metadata["kwargs"] = json.dumps(json.loads(metadata["kwargs"]) | {name: value})

    return change


def test_full_size_stand_ins_have_the_published_sizes(full_htdemucs: Repository, full_htdemucs_6s: Repository) -> None:
    assert full_htdemucs.files[0].stat().st_size == FULL_BYTES
    assert full_htdemucs_6s.files[0].stat().st_size == SIX_BYTES


def test_a_fine_tuned_stand_in_has_the_published_size(full_htdemucs: Repository, tmp_path: Path) -> None:
    """Its arguments differ in the weight decay only: a metadata of other length, which the padding takes up."""
    rewritten = changed(full_htdemucs.files[0], tmp_path / "ft.safetensors", with_argument("t_weight_decay", 0.05))
    assert rewritten.stat().st_size == FULL_BYTES


def test_a_published_file_gives_its_network(full_htdemucs: Repository) -> None:
    network = read_checkpoint(full_htdemucs.files[0])
    assert sum(parameter.numel() for parameter in network.parameters()) == 41_984_456
    assert len(network.state_dict()) == 533
    assert network.config == HTDemucsConfig(full_htdemucs.sources)
    assert not network.training
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_every_tensor_is_the_one_stored(full_htdemucs_6s: Repository) -> None:
    network = read_checkpoint(full_htdemucs_6s.files[0])
    stored = load_file(full_htdemucs_6s.files[0])
    assert network.state_dict().keys() == stored.keys()
    assert all(torch.equal(tensor, stored[name].float()) for name, tensor in network.state_dict().items())


def test_a_read_network_computes_what_the_reference_computes(htdemucs: Repository) -> None:
    mixture = torch.randn(1, 2, 44_100, generator=torch.Generator().manual_seed(1)) / 5
    with torch.no_grad():
        expected = oracle_network(0, **REDUCED)(mixture)
        actual = read_checkpoint(htdemucs.files[0])(mixture)
    assert torch.allclose(actual, expected, atol=1e-5)


def test_reading_does_not_move_random_numbers_on(htdemucs: Repository) -> None:
    before = torch.random.get_rng_state()
    read_checkpoint(htdemucs.files[0])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_we_write_has_the_published_size(full_htdemucs: Repository, tmp_path: Path) -> None:
    path = tmp_path / "ours.safetensors"
    write_checkpoint(path, read_checkpoint(full_htdemucs.files[0]))
    assert path.stat().st_size == FULL_BYTES


@pytest.mark.parametrize("segment", [Fraction(39, 5), Fraction(10)])
def test_the_reference_loads_what_we_write(segment: Fraction, tmp_path: Path) -> None:
    from demucs.hf import load_safetensors_model

    config = HTDemucsConfig(SOURCES, segment, channels=8, bottom_channels=32, transformer_heads=2)
    network = HTDemucs(config)
    write_checkpoint(tmp_path / "ours.safetensors", network)
    theirs = load_safetensors_model(tmp_path / "ours.safetensors")
    assert theirs.segment == segment
    ours = network.state_dict()
    assert theirs.state_dict().keys() == ours.keys()
    assert all(torch.equal(tensor, ours[name].half().float()) for name, tensor in theirs.state_dict().items())


@pytest.mark.parametrize("encoder", [False, True])
@pytest.mark.parametrize("layers", [0, 2])
def test_other_shapes_survive_a_round_trip(encoder: bool, layers: int, tmp_path: Path) -> None:
    config = HTDemucsConfig(
        ("speech",), Fraction(1, 3), 16_000, 1, 8, encoder, not encoder, 0, layers, transformer_heads=2
    )
    network = HTDemucs(config)
    write_checkpoint(tmp_path / "a.safetensors", network, dtype=torch.float32)
    again = read_checkpoint(tmp_path / "a.safetensors")
    assert again.config == config
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_what_cannot_be_written_leaves_the_old_file(htdemucs: Repository, tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    path.write_bytes(b"old")
    network = read_checkpoint(htdemucs.files[0])
    with torch.no_grad():
        network.freq_emb.embedding.weight[0, 0] = 70_000  # float16 ends at 65,504
    with pytest.raises(CheckpointError, match=r"network\.safetensors cannot be written.*freq_emb.*not finite"):
        write_checkpoint(path, network)
    assert [item.name for item in tmp_path.iterdir()] == ["network.safetensors"]
    assert path.read_bytes() == b"old"


def test_a_folder_that_is_not_there_is_named(htdemucs: Repository, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"missing/a\.safetensors cannot be written"):
        write_checkpoint(tmp_path / "missing/a.safetensors", read_checkpoint(htdemucs.files[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, tensors: tensors.pop("freq_emb.embedding.weight"), "lacks freq_emb.embedding.weight"),
        (lambda _, tensors: tensors.update(extra=torch.zeros(1)), "holds extra"),
        (
            lambda _, tensors: tensors.update({"freq_emb.embedding.weight": torch.zeros(511, 8)}),
            r"freq_emb.embedding.weight \(511 x 8 instead of 512 x 8\)",
        ),
        (
            lambda _, tensors: tensors["freq_emb.embedding.weight"].fill_(torch.nan),
            "freq_emb.embedding.weight is not finite",
        ),
        (
            lambda _, tensors: tensors.update({"freq_emb.embedding.weight": torch.zeros(512, 8, dtype=torch.int8)}),
            "freq_emb.embedding.weight is of type",
        ),
        (lambda metadata, _: metadata.pop("klass"), "no `klass`"),
        (lambda metadata, _: metadata.pop("kwargs"), "no `kwargs`"),
        (lambda metadata, _: metadata.update(kwargs="{"), "`kwargs`"),
        (lambda metadata, _: metadata.update(kwargs="[" * 10_000), "`kwargs`"),
        (lambda metadata, _: metadata.update(kwargs="[]"), "`kwargs`"),
        (lambda metadata, _: metadata.update(args='["drums"]'), "by position"),
        (lambda metadata, _: metadata.update(klass="demucs.hdemucs.HDemucs"), "holds a demucs.hdemucs.HDemucs"),
        (lambda metadata, _: metadata.update(structure="{}"), "quantised"),
        (with_argument("t_emb", "cape"), "t_emb = 'cape' is not supported"),
        (with_argument("new_thing", 1), "new_thing = 1 is unknown"),
        (with_argument("channels", 65_536), "does not fit"),
        (with_argument("channels", 12), "channels must be a multiple of 8"),
        (with_argument("bottom_channels", 0), "transformer's width|does not fit|which its network"),
        (with_argument("t_layers", 200), "lacks crosstransformer.layers.3.linear1.weight, .* and 194 more"),
        (with_argument("t_heads", 7), "width"),
        (with_argument("sources", ["a", "b"]), "decoder.3.conv_tr.weight"),
        (with_argument("segment", {"_type": "fraction", "numerator": 1, "denominator": 0}), "fraction"),
        (with_argument("segment", {"_type": "fraction", "numerator": 10**400, "denominator": 1}), "segment"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence_that_names_it(
    change: Change, message: str, htdemucs: Repository, tmp_path: Path
) -> None:
    path = changed(htdemucs.files[0], tmp_path / "odd.safetensors", change)
    with pytest.raises(CheckpointError, match=rf"odd\.safetensors cannot be .*({message})") as raised:
        read_checkpoint(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kept", [0, 4, 1000, 50_000, -1])
def test_a_truncated_file_is_refused(kept: int, htdemucs: Repository, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    path.write_bytes(htdemucs.files[0].read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"half\.safetensors cannot be used: it is no whole safetensors file"):
        read_checkpoint(path)


def test_a_header_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(CheckpointError, match=r"huge\.safetensors"):
        read_checkpoint(path)


@pytest.mark.parametrize("name", ["missing.safetensors", "network.ckpt", "folder.safetensors"])
def test_what_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(tmp_path / name)


def test_the_configuration_is_read_alone(htdemucs: Repository) -> None:
    assert read_config(htdemucs.files[0]).channels == REDUCED["channels"]


def test_damaged_bytes_never_escape_as_other_errors(htdemucs: Repository, tmp_path: Path) -> None:
    whole = htdemucs.files[0].read_bytes()
    header = int.from_bytes(whole[:8], "little")
    path = tmp_path / "damaged.safetensors"
    draw = random.Random(1)
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(3):
            data[draw.randrange(8 + header)] = draw.randrange(256)
        path.write_bytes(data)
        with contextlib.suppress(CheckpointError):
            read_checkpoint(path)


def test_the_writer_of_stand_ins_stores_arguments_as_published(htdemucs: Repository, tmp_path: Path) -> None:
    path = save_published(tmp_path / "a.safetensors", oracle_network(0, **REDUCED), arguments(**REDUCED))
    assert load_file(path).keys() == load_file(htdemucs.files[0]).keys()


def test_reading_does_not_import_torchs_compiler(tmp_path: Path) -> None:
    """That takes a second, and comes of any arithmetic on the device "meta", where the network is built first."""
    (path,) = make_folder(tmp_path / "model").glob("*.safetensors")
    code = (
        "import sys, pathlib\n"
        "from stemsplit.weights.checkpoint import read_checkpoint\n"
        f"read_checkpoint(pathlib.Path({str(path)!r}))\n"
        "assert 'torch' in sys.modules\n"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
