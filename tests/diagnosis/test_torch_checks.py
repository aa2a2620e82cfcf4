import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import stemsplit
from diagnosis.machines import (
    AMX,
    CPU_ONLY,
    PLAIN,
    ROCM,
    TOO_NEW,
    WITH_GPU,
    put_module,
    put_programs,
    put_torch,
)
from stemsplit.diagnosis import torch_checks
from stemsplit.diagnosis.finding import Finding, Status, warning
from stemsplit.diagnosis.torch_checks import device, gpu, known, precision, torch, torchaudio
from stemsplit.diagnosis.torch_probe import TorchFacts, ask

asked = known  # which tests replace
SMI = "echo 'NVIDIA GeForce RTX 3090, {driver}'"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything is asked anew, on a machine of no special kind, where torch and torchaudio are installed."""
    asked.cache_clear()
    monkeypatch.setattr(torch_checks, "is_installed", lambda name: True)
    monkeypatch.setattr(torch_checks, "installed_version", lambda name: "2.11.0")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield
    asked.cache_clear()


def assert_amiss(finding: Finding, status: Status, *mentions: str) -> None:
    assert finding.status is status
    assert finding.remedy
    for mention in mentions:
        assert mention in finding.found + finding.remedy


def test_the_torch_that_is_here_tells_the_facts() -> None:
    facts = ask()
    assert facts.version.startswith("2.")
    assert facts.threads >= 1
    assert facts.precision in ("fp32", "bf16", "fp16")


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (PLAIN, "2.14.1+cu130, a build for CUDA 13.0"),
        (CPU_ONLY, "2.14.1+cpu, a build without CUDA"),
        (ROCM, "2.14.1+rocm7.1, a build for ROCm 7.1"),
    ],
)
def test_torch(facts: TorchFacts, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_torch(monkeypatch, facts)
    assert torch().found == found
    assert torch().status is Status.OK


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("2.10.2", Status.WARNING),
        ("2.11.0", Status.OK),
        ("2.14.99", Status.OK),
        ("2.15.0.dev20261201+cu132", Status.WARNING),
        ("3.0", Status.WARNING),
        ("unknown", Status.WARNING),
    ],
)
def test_versions_of_torch(version: str, status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    put_torch(monkeypatch, replace(PLAIN, version=version))
    assert torch().status is status


def test_the_versions_are_those_of_the_package() -> None:
    pyproject = Path(stemsplit.__file__).parents[2] / "pyproject.toml"
    wanted = torch_checks._TORCH
    assert wanted in pyproject.read_text(encoding="utf-8")
    assert [tuple(map(int, version.split("."))) for version in re.findall(r"\d+\.\d+", wanted)] == [
        torch_checks.FIRST,
        torch_checks.BEYOND,
    ]


def test_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_checks, "is_installed", lambda name: False)
    assert_amiss(torch(), Status.PROBLEM, "not installed", "pip install")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise OSError('libcudart.so.13: cannot open shared object file')", "libcudart.so.13"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "SIGILL"),
        ("import sys; sys.exit(3)", "3"),
        ("import os; os._exit(0)", "without a word"),
    ],
)
def test_a_broken_torch_is_told_once_and_crashes_nothing(
    text: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_module(monkeypatch, tmp_path / "broken", "torch", text)
    assert_amiss(torch(), Status.PROBLEM, "cannot be imported", reason, "--force-reinstall")
    for check in (gpu, device, precision):
        assert check() == warning("unknown without torch", "Mend torch first.")
    assert_amiss(torchaudio(), Status.WARNING, "Mend torch first")
    assert known.cache_info().misses == 1


def test_what_lies_in_the_current_folder_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('a file of the user')")
    monkeypatch.chdir(tmp_path)
    assert isinstance(known(), TorchFacts)


def test_a_torchaudio_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_torch(monkeypatch, PLAIN)
    put_module(monkeypatch, tmp_path / "fitting", "torchaudio", "")
    assert torchaudio().found == "2.11.0, goes with torch 2.14.1+cu130"
    assert torchaudio().status is Status.OK


def test_no_torchaudio_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_checks, "is_installed", lambda name: name != "torchaudio")
    assert_amiss(torchaudio(), Status.WARNING, "not installed", "training", "pip install")


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (CPU_ONLY, "torch 2.14.1+cpu, a build without CUDA"),
        (TOO_NEW, "torch 2.15.0+cu132, which is newer than 2.14 ("),
        (PLAIN, "torch 2.14.1+cu130 ("),
    ],
)
def test_a_torchaudio_that_does_not_fit_is_no_problem_and_the_cause_is_named(
    facts: TorchFacts, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_torch(monkeypatch, facts)
    put_module(monkeypatch, tmp_path / "misfit", "torchaudio", "raise OSError('undefined symbol: _ZN3c10')")
    assert_amiss(torchaudio(), Status.WARNING, cause, "undefined symbol", "training", '"torchaudio>=2.11"')


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        (WITH_GPU, ["NVIDIA H100", "cuda:0, the first GPU", "fp16 on cuda:0"]),
        (PLAIN, ["none found", "cpu, as torch finds no GPU; 8 threads", "fp32 on cpu; .* natively: no"]),
        (AMX, ["none found", "cpu, as torch finds no GPU", "bf16 on cpu; .* natively: yes"]),
    ],
)
def test_device_and_precision_with_their_reasons(
    facts: TorchFacts, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_torch(monkeypatch, facts)
    put_programs(monkeypatch, tmp_path / "programs")
    for check, expected in zip((gpu, device, precision), found, strict=True):
        assert check().status is Status.OK
        assert re.match(expected, check().found)


@pytest.mark.parametrize(
    ("facts", "driver", "mentions"),
    [
        (CPU_ONLY, "580.95.05", ["a build without CUDA", "whl/cu130"]),
        (ROCM, "580.95.05", ["a build for ROCm", "whl/cu130"]),
        (PLAIN, "535.183.01", ["driver 535.183.01 is too old for CUDA 13.0", "driver 580 or newer"]),
        (replace(PLAIN, cuda="12.6"), "470.1", ["too old for CUDA 12.6", "driver 525 or newer"]),
        (replace(PLAIN, complaints=("CUDA unknown\nerror",)), "580.95.05", ["CUDA unknown error", "Restart"]),
        (PLAIN, "580.95.05", ["torch does not say why", "Restart"]),
    ],
)
def test_a_gpu_that_torch_does_not_see(
    facts: TorchFacts, driver: str, mentions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_torch(monkeypatch, facts)
    put_programs(monkeypatch, tmp_path / "programs", nvidia_smi=SMI.format(driver=driver))
    assert_amiss(gpu(), Status.WARNING, "NVIDIA GeForce RTX 3090 is not used", *mentions)


@pytest.mark.parametrize("hidden", ["", "-1", "1", "7,0"])
def test_a_gpu_that_is_hidden(hidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_torch(monkeypatch, PLAIN)
    put_programs(monkeypatch, tmp_path / "programs", nvidia_smi=SMI.format(driver="580.95.05"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert_amiss(gpu(), Status.WARNING, f"CUDA_VISIBLE_DEVICES={hidden} hides it", "Unset")


@pytest.mark.parametrize("visible", ["0", "0,1", "GPU-3f2a"])
def test_a_gpu_that_is_not_hidden_is_unseen_for_another_reason(
    visible: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_torch(monkeypatch, PLAIN)
    put_programs(monkeypatch, tmp_path / "programs", nvidia_smi=SMI.format(driver="580.95.05"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert_amiss(gpu(), Status.WARNING, "torch does not say why")


@pytest.mark.parametrize(
    ("script", "status", "mention"),
    [
        ("echo 'could not communicate with the NVIDIA driver.'; exit 9", Status.WARNING, "could not communicate"),
        ("exit 9", Status.WARNING, "code 9"),
        ("true", Status.OK, "none found"),
    ],
)
def test_a_driver_that_finds_nothing(
    script: str, status: Status, mention: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_torch(monkeypatch, PLAIN)
    put_programs(monkeypatch, tmp_path / "programs", nvidia_smi=script)
    assert gpu().status is status
    assert mention in gpu().found


def test_an_apple_gpu_that_torch_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    put_torch(monkeypatch, CPU_ONLY)
    assert_amiss(gpu(), Status.WARNING, "Apple GPU", "macOS")
    put_torch(monkeypatch, replace(CPU_ONLY, gpus=("Apple GPU",), device="mps"))
    assert gpu().status is Status.OK


@pytest.mark.parametrize(
    ("facts", "mention"), [(WITH_GPU, "--device cpu"), (PLAIN, "--force-reinstall")], ids=["gpu", "cpu"]
)
def test_a_device_that_computes_nothing(facts: TorchFacts, mention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put_torch(monkeypatch, replace(facts, fault="no kernel image is available", device="cpu"))
    assert_amiss(device(), Status.PROBLEM, "no kernel image", mention)


@pytest.mark.parametrize("check", [torch, torchaudio, gpu, device, precision])
def test_remedies_are_sentences(check: Callable[[], Finding], monkeypatch: pytest.MonkeyPatch) -> None:
    put_torch(monkeypatch, "broken")
    finding = check()
    assert finding.remedy
    assert finding.remedy.endswith(".")
