"""The environment variables of huggingface_hub, which it reads when it is imported: in processes of their own."""

import os
import subprocess
import sys
import time
from pathlib import Path

from hub_server import Hub
from standins import Repository, write_catalog

DOWNLOAD = "from stemsplit.weights.listing import download; download(['htdemucs'])"
LIST = """
import sys
from stemsplit.weights.listing import list_models
print([f"{status.name} {status.cached}" for status in list_models()])
sys.exit("torch" in sys.modules)
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "STEMSPLIT_"))}
    return subprocess.run(
        [sys.executable, "-c", program], env=clean | environment, capture_output=True, text=True, check=False
    )


def test_download_then_offline(running_hub: Hub, cache: Path, htdemucs: Repository, tmp_path: Path) -> None:
    catalog = str(write_catalog(tmp_path / "catalog.toml", [htdemucs]))
    there = running_hub.environment(cache) | {"STEMSPLIT_CATALOG": catalog}
    first = run(DOWNLOAD, **there)
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    assert (cache / "hub/models--adefossez--HTDemucs").is_dir()
    nowhere = there | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    assert run(DOWNLOAD, **nowhere).returncode == 0
    listed = run(LIST, **nowhere)
    assert (listed.returncode, listed.stdout) == (0, "['htdemucs yes', 'mini bundled']\n")


def test_the_error_names_the_endpoint_and_the_cache(cache: Path) -> None:
    result = run(DOWNLOAD, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_CACHE=str(cache), NO_PROXY="127.0.0.1")
    assert "127.0.0.1:9 cannot be reached" in result.stderr
    assert str(cache) in result.stderr


def test_a_killed_download_starts_again(running_hub: Hub, cache: Path, htdemucs: Repository, tmp_path: Path) -> None:
    catalog = str(write_catalog(tmp_path / "catalog.toml", [htdemucs]))
    environment = os.environ | running_hub.environment(cache) | {"STEMSPLIT_CATALOG": catalog}
    running_hub.stall_after = 100_000
    process = subprocess.Popen([sys.executable, "-c", DOWNLOAD], env=environment)
    deadline = time.monotonic() + 30
    while not running_hub.stalled.is_set() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert running_hub.stalled.is_set()
    running_hub.stall_after = 0
    again = run(DOWNLOAD, **running_hub.environment(cache), STEMSPLIT_CATALOG=catalog)
    assert (again.returncode, again.stderr) == (0, "")
    (path,) = cache.glob("hub/models--adefossez--HTDemucs/snapshots/*/955717e8.safetensors")
    assert path.read_bytes() == htdemucs.files[0].read_bytes()
