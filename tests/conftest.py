"""
What holds for all tests: no network but our own, no cache but a fresh one, and a machine that is shared.

Libraries read these variables when they are imported, so they are set before anything else is.
"""

import os
import signal
import tempfile

import pytest
from hypothesis import settings

_cache = tempfile.TemporaryDirectory(prefix="stemsplit-tests-")
for _name in list(os.environ):
    if _name.startswith(("HF_", "HUGGINGFACE_", "STEMSPLIT_")) and not _name.startswith("STEMSPLIT_TEST_"):
        del os.environ[_name]
os.environ |= {
    "HF_HOME": _cache.name,
    "HF_ENDPOINT": "http://127.0.0.1:9",  # the discard port, where nobody answers
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MPLCONFIGDIR": _cache.name,  # matplotlib writes its list of fonts wherever it is first imported
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
    # A thread that waits for another one sleeps. Spinning, it takes the core that the other one needs: beside
    # one busy program on two cores, a small network ran twenty times slower.
    "OMP_WAIT_POLICY": "PASSIVE",
}

# Where the tests run in the background, or under nohup, these are ignored, and so they would be in the programs that
# the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes on a shared machine says nothing about the code.
settings.register_profile("stemsplit", deadline=None, max_examples=60)
settings.load_profile("stemsplit")


def pytest_unconfigure(config: pytest.Config) -> None:
    _cache.cleanup()
