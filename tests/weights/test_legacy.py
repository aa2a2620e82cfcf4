import contextlib
import io
import os
import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from standins import REDUCED, Repository, arguments, oracle_network, save_legacy
from stemsplit.errors import CheckpointError
from stemsplit.weights.checkpoint import read_checkpoint
from stemsplit.weights.unpickling import Machine, Name, Placeholder


def run(data: bytes) -> Any:
    return Machine(io.BytesIO(data)).run()


@pytest.fixture(scope="module", params=[True, False], ids=["zip", "plain"])
def legacy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("legacy")
    network = oracle_network(0, **REDUCED)
    return save_legacy(folder, "955717e8", network, arguments(**REDUCED), archive=request.param)


def test_a_legacy_file_gives_the_network_of_the_published_one(legacy: Path, htdemucs: Repository) -> None:
    ours, published = read_checkpoint(legacy), read_checkpoint(htdemucs.files[0])
    assert ours.config == published.config
    expected = published.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.state_dict().items())


def test_a_legacy_file_imports_nothing(legacy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def guarded(name: str, *rest: Any, **options: Any) -> Any:
        assert not name.startswith(("demucs", "numpy.", "omegaconf"))
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", guarded)
    read_checkpoint(legacy)


@pytest.mark.parametrize("kept", [0, 10, 1000, 20_000, 200_000, -1])
def test_a_truncated_legacy_file_is_refused(legacy: Path, kept: int, tmp_path: Path) -> None:
    path = tmp_path / "half.th"
    path.write_bytes(legacy.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"half\.th cannot be used"):
        read_checkpoint(path)


def test_damaged_bytes_never_escape_as_other_errors(legacy: Path, tmp_path: Path) -> None:
    whole = legacy.read_bytes()
    path = tmp_path / "damaged.th"
    draw = random.Random(1)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(5):
            data[draw.choice([draw.randrange(60_000), draw.randrange(-60_000, 0)])] = draw.randrange(256)
        path.write_bytes(data)
        with contextlib.suppress(CheckpointError):
            read_checkpoint(path)


# Pickles that would do harm.


class Harm:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


class Stateful:
    """Pickles as a change of what it names."""

    def __init__(self, target: object, state: object) -> None:
        self.target, self.state = target, state

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.target, "__class__"), self.state


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that harm would create."""
    return tmp_path / "harmed"


@pytest.mark.parametrize("protocol", range(6))
def test_calls_are_not_made(mark: Path, protocol: int) -> None:
    harms = [
        Harm(os.system, f"touch {mark}"),
        Harm(exec, f"open({str(mark)!r}, 'w')"),
        Harm(Path.touch, mark),
        Harm(open, str(mark), "w"),
    ]
    content = run(pickle.dumps(harms, protocol))
    assert all(isinstance(item, Placeholder) for item in content)
    assert not mark.exists()


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "plain"])
@pytest.mark.parametrize("place", ["klass", "kwargs", "state", "metrics", "training_args"])
def test_a_malicious_file_does_nothing(place: str, archive: bool, mark: Path, tmp_path: Path) -> None:
    package: dict[str, object] = {"klass": OrderedDict, "kwargs": {}, "state": {}, "metrics": {}}
    path = tmp_path / "evil.th"
    torch.save(package | {place: Harm(os.system, f"touch {mark}")}, path, _use_new_zipfile_serialization=archive)
    with pytest.raises(CheckpointError, match=r"evil\.th"):
        read_checkpoint(path)
    assert not mark.exists()


def test_instructions_that_make_objects_make_placeholders(mark: Path) -> None:
    command = f"touch {mark}".encode()
    programs = [
        b"(S'" + command + b"'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'" + command + b"'\no.",  # OBJ
        b"cos\nsystem\n(S'" + command + b"'\ntR.",  # REDUCE
        b"\x80\x02cos\nsystem\n(S'" + command + b"'\nt\x81.",  # NEWOBJ
        b"\x80\x04cos\nsystem\n(S'" + command + b"'\nt}\x92.",  # NEWOBJ_EX
        b"\x80\x04\x8c\x02os\x8c\x06system\x93(S'" + command + b"'\ntR.",  # STACK_GLOBAL
    ]
    for program in programs:
        assert isinstance(run(program), Placeholder)
    assert not mark.exists()


def test_state_is_set_on_nothing() -> None:
    before = Fraction.__add__, dict(vars(Fraction))
    # BUILD with a state for attributes, on the class of fractions and on one.
    for target in (b"cfractions\nFraction\n", b"cfractions\nFraction\n(S'1/2'\ntR"):
        run(b"\x80\x02" + target + b"N}(S'__add__'\nNu\x86b.")
        run(b"\x80\x02" + target + b"}(S'__add__'\nNub.")
    assert (Fraction.__add__, dict(vars(Fraction))) == before


def test_a_name_stays_a_name() -> None:
    assert run(b"cno.such.module\nThing\n.") == Name("no.such.module.Thing")


@pytest.mark.parametrize("text", ["1e999999999", "1/0", "x", "9" * 10_000, "1/" + "9" * 10_000])
def test_a_fraction_that_would_fill_the_memory_is_none(text: str) -> None:
    assert isinstance(run(pickle.dumps(Harm(Fraction, text))), Placeholder)


def test_fractions_are_read_from_either_form() -> None:
    assert run(pickle.dumps(Harm(Fraction, "39/5"))) == Fraction(39, 5)
    assert run(pickle.dumps(Harm(Fraction, 39, 5))) == Fraction(39, 5)


@pytest.mark.parametrize(
    "program",
    [
        b"\x96" + struct.pack("<Q", 2**40) + b".",  # BYTEARRAY8 of a terabyte
        b"\x8e" + struct.pack("<Q", 2**40) + b".",  # BINBYTES8
        b"\x8d" + struct.pack("<Q", 2**40) + b".",  # BINUNICODE8
        b"\x8b" + struct.pack("<i", 2**31 - 1) + b".",  # LONG4
        b"Nr" + struct.pack("<I", 2**32 - 1) + b"0.",  # LONG_BINPUT
        b"\x82\x01.",  # EXT1
        b"\x97.",  # NEXT_BUFFER
        b"N\x94h\x05.",  # a memory that was never filled
        b"]N(NNe.",
        b".",
        b"",
    ],
)
def test_numbers_in_a_pickle_set_no_memory_aside(program: bytes) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(ValueError):
        run(b"\x80\x05" + program)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def repacked(source: Path, target: Path, change: Callable[[str, bytes], bytes], **options: Any) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", **options) as new:
        for member in old.infolist():
            new.writestr(member.filename, change(member.filename, old.read(member)))
    return target


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = oracle_network(0, **REDUCED)
    return save_legacy(tmp_path_factory.mktemp("archive"), "955717e8", network, arguments(**REDUCED))


def test_a_compressed_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    bomb = repacked(archive, tmp_path / "bomb.th", lambda _, data: data, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match=r"bomb\.th .*compressed"):
        read_checkpoint(bomb)


def test_a_storage_of_another_size_is_refused(archive: Path, tmp_path: Path) -> None:
    def change(name: str, data: bytes) -> bytes:
        return data + b"\0\0" if name.endswith("/data/0") else data

    with pytest.raises(CheckpointError, match=r"odd\.th .*data/0 has [\d,]+ bytes instead of"):
        read_checkpoint(repacked(archive, tmp_path / "odd.th", change))


def test_big_endian_numbers_are_refused(archive: Path, tmp_path: Path) -> None:
    def change(name: str, data: bytes) -> bytes:
        return b"big" if name.endswith("/byteorder") else data

    with pytest.raises(CheckpointError, match=r"big\.th .*big-endian"):
        read_checkpoint(repacked(archive, tmp_path / "big.th", change))


def test_an_archive_that_torch_did_not_write_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.th", "w") as archive:
        archive.writestr("song.txt", "la")
    with pytest.raises(CheckpointError, match=r"other\.th .*data\.pkl is missing"):
        read_checkpoint(tmp_path / "other.th")


@pytest.mark.parametrize(
    ("size", "stride", "offset", "message"),
    [
        ((4, 4), (4, 1), 1, "beyond the end"),
        ((2**40,), (1,), 0, "beyond the end"),
        ((4, 4), (2**40, 1), 0, "beyond the end"),
        ((2**40,), (0,), 0, "larger than its numbers"),
        ((-1,), (1,), 0, "size or position"),
    ],
)
def test_a_tensor_beyond_its_numbers_is_refused(
    size: tuple[int, ...], stride: tuple[int, ...], offset: int, message: str, tmp_path: Path
) -> None:
    class Wild:
        def __reduce__(self) -> tuple[Any, ...]:
            storage = torch.zeros(16)._typed_storage()
            return torch._utils._rebuild_tensor_v2, (storage, offset, size, stride, False, OrderedDict())

    from stemsplit.weights.legacy import open_legacy

    path = tmp_path / "wild.th"
    torch.save({"klass": OrderedDict, "kwargs": {}, "state": {"w": Wild()}}, path)
    with pytest.raises(ValueError, match=message), open_legacy(path):
        pass


@pytest.mark.parametrize("state", [{"__quantized": True}, {"w": 1}, []])
def test_a_state_of_other_things_is_refused(state: object, tmp_path: Path) -> None:
    path = tmp_path / "odd.th"
    torch.save({"klass": OrderedDict, "kwargs": {}, "state": state}, path)
    with pytest.raises(CheckpointError, match=r"odd\.th cannot be used"):
        read_checkpoint(path)


def test_another_class_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.th"
    torch.save({"klass": torch.nn.Linear, "kwargs": {}, "state": {}}, path)
    with pytest.raises(CheckpointError, match=r"odd\.th .*holds a torch\.nn\.modules\.linear\.Linear"):
        read_checkpoint(path)
