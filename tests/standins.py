"""
Stand-ins for the published checkpoints, which the tests cannot download.

They are written with the reference implementation's own classes, so that the format does not depend on our
writer. Every parameter is drawn away from its initial value: a mistake behind a layer scale or a norm would
hide otherwise. Full-size stand-ins have exactly the published byte sizes; reduced ones are quick to run.
"""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

SOURCES = ("drums", "bass", "other", "vocals")
SIX_SOURCES = (*SOURCES, "guitar", "piano")
FULL_BYTES = 84_025_440
SIX_BYTES = 54_885_744

# What the four-source checkpoints store, in their order.
PUBLISHED: dict[str, object] = {
    "sources": list(SOURCES),
    "audio_channels": 2,
    "samplerate": 44100,
    "segment": Fraction(39, 5),
    "channels": 48,
    "channels_time": None,
    "growth": 2,
    "nfft": 4096,
    "wiener_iters": 0,
    "end_iters": 0,
    "wiener_residual": False,
    "cac": True,
    "depth": 4,
    "rewrite": True,
    "multi_freqs": [],
    "multi_freqs_depth": 3,
    "freq_emb": 0.2,
    "emb_scale": 10,
    "emb_smooth": True,
    "kernel_size": 8,
    "stride": 4,
    "time_stride": 2,
    "context": 1,
    "context_enc": 0,
    "norm_starts": 4,
    "norm_groups": 4,
    "dconv_mode": 3,
    "dconv_depth": 2,
    "dconv_comp": 8,
    "dconv_init": 0.001,
    "bottom_channels": 512,
    "t_layers": 5,
    "t_hidden_scale": 4.0,
    "t_heads": 8,
    "t_dropout": 0.02,
    "t_layer_scale": True,
    "t_gelu": True,
    "t_emb": "sin",
    "t_max_positions": 10000,
    "t_max_period": 10000.0,
    "t_weight_pos_embed": 1.0,
    "t_cape_mean_normalize": True,
    "t_cape_augment": True,
    "t_cape_glob_loc_scale": [5000, 1, 1.4],
    "t_sin_random_shift": 0,
    "t_norm_in": True,
    "t_norm_in_group": False,
    "t_group_norm": False,
    "t_norm_first": True,
    "t_norm_out": True,
    "t_weight_decay": 0,
    "t_lr": None,
    "t_sparse_self_attn": False,
    "t_sparse_cross_attn": False,
    "t_mask_type": "diag",
    "t_mask_random_seed": 42,
    "t_sparse_attn_window": 400,
    "t_global_window": 100,
    "t_sparsity": 0.95,
    "t_auto_sparsity": False,
    "t_cross_first": False,
    "rescale": 0.1,
}
# Beside sources and bottom channels, arguments without effect that bring the file to the published size.
SIX: dict[str, object] = {
    "sources": list(SIX_SOURCES),
    "bottom_channels": 0,
    "t_weight_decay": 0.05,
    "t_cape_glob_loc_scale": [5000.0, 1.0, 1.4],
}
FINE_TUNED: dict[str, object] = {"t_weight_decay": 0.05}
# A reduced network: 0.37 million parameters, one second.
REDUCED: dict[str, object] = {
    "channels": 8,
    "bottom_channels": 32,
    "t_layers": 3,
    "t_heads": 2,
    "segment": Fraction(1),
}
ONE_HOT = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Repository:
    """A folder as it would lie on the hub, and how to name it there."""

    name: str
    repository: str
    commit: str
    folder: Path
    sources: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    signatures: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(self.folder / f"{signature}.safetensors" for signature in self.signatures)


def arguments(**changes: object) -> dict[str, object]:
    """The published arguments with some changed; the order stays."""
    return copy.deepcopy(PUBLISHED) | changes


def oracle_network(seed: int = 0, **changes: object) -> Any:
    """A network of the reference implementation, every parameter drawn, in evaluation mode."""
    from demucs.htdemucs import HTDemucs

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = HTDemucs(**arguments(**changes))
        draw(network, seed)
    return network.eval()


@torch.no_grad()
def draw(network: torch.nn.Module, seed: int) -> None:
    """
    Draw every parameter, exactly representable in float16.

    Weights keep their spread; gains (norms, layer scales) lie between 0.5 and 1.5, so that every branch counts
    and none drowns the others; biases are small and not zero.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1:
            spread = float(parameter.std()) or 0.05
            parameter.normal_(0, min(max(spread, 0.02), 1), generator=generator)
        elif name.endswith(("weight", "scale")):
            parameter.uniform_(0.5, 1.5, generator=generator)
        else:
            parameter.normal_(0, 0.05, generator=generator)
        parameter.copy_(parameter.half())


def save_published(path: Path, network: Any, stored: Mapping[str, object]) -> Path:
    """Write a network of the reference in the published format, as its author's export does."""
    from safetensors.torch import save_file

    metadata = {
        "klass": f"{type(network).__module__}.{type(network).__qualname__}",
        "args": "[]",
        "kwargs": json.dumps(stored, default=_fraction),
    }
    tensors = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, path, metadata=metadata)
    return path


def save_legacy(
    folder: Path, signature: str, network: Any, stored: Mapping[str, object], *, archive: bool = True
) -> Path:
    """Write `SIGNATURE-CHECKSUM.th`, with `archive` as torch does today, without as before its version 1.6."""
    package = {
        "klass": type(network),
        "args": (),
        "kwargs": dict(stored),
        "state": {name: tensor.half() for name, tensor in network.state_dict().items()},
        "training_args": {"seed": 42, "dset": {"segment": Fraction(11), "gain": np.float32(0.5)}},
        "metrics": {"valid": [{"loss": np.float64(0.1), "nsdr": np.float32(7.5)}], "best": Fraction(1, 3)},
    }
    part = folder / f"{signature}.part"
    torch.save(package, part, _use_new_zipfile_serialization=archive)
    checksum = hashlib.sha256(part.read_bytes()).hexdigest()[:8]
    return part.rename(folder / f"{signature}-{checksum}.th")


def save_definition(
    path: Path,
    signatures: Sequence[str],
    weights: Sequence[Sequence[float]] | None = None,
    segment: float | None = None,
) -> Path:
    """Write the YAML of a bag."""
    content: dict[str, object] = {"models": list(signatures)}
    if weights is not None:
        content["weights"] = [list(row) for row in weights]
    if segment is not None:
        content["segment"] = segment
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def make_folder(
    folder: Path,
    members: int = 1,
    *,
    weights: Sequence[Sequence[float]] | None = None,
    segment: float | None = None,
    changes: Mapping[str, object] | None = None,
) -> Path:
    """A model folder of reduced networks for `-m FOLDER`: one YAML, and the networks beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    changes = REDUCED if changes is None else changes
    signatures = []
    for seed in range(members):
        part = save_published(folder / "part", oracle_network(seed, **changes), arguments(**changes))
        signatures.append(hashlib.sha256(part.read_bytes()).hexdigest()[:8])
        part.rename(folder / f"{signatures[-1]}.safetensors")
    save_definition(folder / f"{folder.name}.yaml", signatures, weights, segment)
    return folder


def make_htdemucs(folder: Path, *, reduced: bool = False) -> Repository:
    """A stand-in of `htdemucs`; `reduced` as the other two: quick networks instead of full-size ones."""
    return _repository(folder, "htdemucs", "adefossez/HTDemucs", ["955717e8"], [{}], None, reduced)


def make_htdemucs_ft(folder: Path, *, reduced: bool = False) -> Repository:
    """A stand-in of `htdemucs_ft`. Its second member was trained with weight decay."""
    signatures = ["f7e0c4bc", "d12395a8", "92cfc3b6", "04573f0d"]
    changes = [{}, FINE_TUNED, {}, {}]
    return _repository(folder, "htdemucs_ft", "adefossez/HTDemucs-ft", signatures, changes, ONE_HOT, reduced)


def make_htdemucs_6s(folder: Path, *, reduced: bool = False) -> Repository:
    """A stand-in of `htdemucs_6s`."""
    return _repository(folder, "htdemucs_6s", "adefossez/HTDemucs-6s", ["5c90dfd2"], [SIX], None, reduced)


def write_catalog(path: Path, repositories: Sequence[Repository]) -> Path:
    """A catalogue (for STEMSPLIT_CATALOG) of stand-ins, with their own sizes and hashes."""
    lines = ["schema = 1", 'licence = "Stand-ins, free for all."']
    for repository in repositories:
        lines += [
            f"[models.{repository.name}]",
            f'repository = "{repository.repository}"',
            f'commit = "{repository.commit}"',
            f"sources = {json.dumps(repository.sources)}",
        ]
        for file, row in zip(repository.files, repository.weights, strict=True):
            lines += [
                f"[[models.{repository.name}.files]]",
                f'name = "{file.name}"',
                f"bytes = {file.stat().st_size}",
                f'sha256 = "{hashlib.sha256(file.read_bytes()).hexdigest()}"',
                f"weights = {list(row)}",
            ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _repository(
    folder: Path,
    name: str,
    repository: str,
    signatures: Sequence[str],
    changes: Sequence[Mapping[str, object]],
    weights: Sequence[Sequence[float]] | None,
    reduced: bool,
) -> Repository:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (signature, change) in enumerate(zip(signatures, changes, strict=True)):
        stored = {**(REDUCED if reduced else {}), **change}
        network = oracle_network(seed, **stored)
        save_published(folder / f"{signature}.safetensors", network, arguments(**stored))
    save_definition(folder / f"{name}.yaml", signatures, weights)
    sources = SIX_SOURCES if name.endswith("6s") else SOURCES
    rows = weights or [[1.0] * len(sources)] * len(signatures)
    return Repository(
        name=name,
        repository=repository,
        commit=hashlib.sha1(name.encode()).hexdigest(),
        folder=folder,
        sources=sources,
        weights=tuple(tuple(row) for row in rows),
        signatures=tuple(signatures),
    )


def _fraction(value: object) -> object:
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    raise TypeError(value)
