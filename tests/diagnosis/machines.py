"""Machines that are not this one, as torch would describe them, and programs that are not installed here."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from stemsplit.diagnosis import torch_checks
from stemsplit.diagnosis.torch_probe import TorchFacts

PLAIN = TorchFacts(
    version="2.14.1+cu130",
    cuda="13.0",
    rocm=None,
    gpus=(),
    complaints=(),
    device="cpu",
    precision="fp32",
    native_bf16=False,
    threads=8,
    fault=None,
)
AMX = replace(PLAIN, precision="bf16", native_bf16=True)
WITH_GPU = replace(PLAIN, gpus=("NVIDIA H100",), device="cuda:0", precision="fp16")
CPU_ONLY = replace(PLAIN, version="2.14.1+cpu", cuda=None)
ROCM = replace(PLAIN, version="2.14.1+rocm7.1", cuda=None, rocm="7.1")
TOO_NEW = replace(PLAIN, version="2.15.0+cu132", cuda="13.2")


def put_torch(monkeypatch: pytest.MonkeyPatch, facts: TorchFacts | str) -> None:
    """Let torch say this, or let it fail for this reason."""
    monkeypatch.setattr(torch_checks, "known", lambda: facts)


def put_module(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, text: str) -> None:
    """Put a module before those that are installed, for the processes that are started."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))


def put_programs(monkeypatch: pytest.MonkeyPatch, folder: Path, **scripts: str) -> None:
    """Let these shell scripts be the only programs there are."""
    folder.mkdir(exist_ok=True)
    for name, script in scripts.items():
        program = folder / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
