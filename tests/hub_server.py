"""
A hub on 127.0.0.1: the part of the Hugging Face hub's HTTP protocol that downloads use, with faults on demand.

    with serving({"adefossez/HTDemucs": Served(folder, commit)}) as hub:
        run(..., env=hub.environment(cache))
        hub.cut_after = 1000            # the next download breaks off

Large files carry their SHA-256 as ETag, as files in large-file storage do; others a Git blob hash.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stemsplit.events import DownloadProgress, Event, Warned

LARGE_SUFFIXES = (".safetensors", ".th")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_LISTING = re.compile(r"/api/models/([^/]+/[^/]+?)(?:/revision/([^/]+))?")


@dataclass(frozen=True)
class Served:
    """A repository: its files, and the commit that `main` and the commit itself lead to."""

    folder: Path
    commit: str


@dataclass
class Hub:
    """
    The running hub, and the switches for its faults.

    Attributes:
        wrong_bytes: names of files that are sent with one byte changed, under the right hash.
        cut_after: after so many bytes of a file's body the connection breaks, once per count in `cuts`.
        stall_after: after so many bytes of a file's body nothing more is sent; `stalled` is set then.
        short: announce and send only so many bytes of every file, as a bad mirror does.
        status: answer everything with this HTTP status.
        requests: `METHOD path` of all requests so far.
    """

    repositories: Mapping[str, Served]
    port: int = 0
    wrong_bytes: set[str] = field(default_factory=set)
    cut_after: int = 0
    cuts: int = 0
    stall_after: int = 0
    stalled: threading.Event = field(default_factory=threading.Event)
    short: int | None = None
    status: int | None = None
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def downloads(self, name: str) -> int:
        """How often the body of a file was asked for."""
        return sum(request.startswith("GET ") and request.endswith(f"/{name}") for request in self.requests)

    def environment(self, cache: Path) -> dict[str, str]:
        """What makes huggingface_hub speak to this hub, with a cache of its own and no other influence."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(cache),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Keep quiet about clients that were killed."""


@contextmanager
def serving(repositories: Mapping[str, Served]) -> Iterator[Hub]:
    """A hub that answers until the context ends."""
    hub = Hub(repositories)
    server = _Server(("127.0.0.1", 0), _handler(hub))
    hub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Heard:
    """A listener that remembers."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def progress(self) -> list[DownloadProgress]:
        return [event for event in self.events if isinstance(event, DownloadProgress)]

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

        def _answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            if hub.status is not None:
                self._refuse(hub.status)
            elif match := _LISTING.fullmatch(path):
                self._list(match[1], match[2] or "main")
            elif match := _FILE.fullmatch(path):
                self._send_file(match[1], match[2], match[3], body=body)
            else:
                self._refuse(404, "EntryNotFound")

        def _repository(self, name: str, revision: str) -> Served | None:
            served = hub.repositories.get(name)
            if served is None:
                self._refuse(401, "RepoNotFound")  # as the hub does, which does not tell what is private
            elif revision not in ("main", served.commit):
                self._refuse(404, "RevisionNotFound")
            else:
                return served
            return None

        def _list(self, name: str, revision: str) -> None:
            served = self._repository(name, revision)
            if served is not None:
                names = sorted(path.name for path in served.folder.iterdir())
                content = {
                    "id": name,
                    "sha": served.commit,
                    "siblings": [{"rfilename": name} for name in names],
                    "private": False,
                    "downloads": 0,
                    "likes": 0,
                    "tags": [],
                }
                self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

        def _send_file(self, name: str, revision: str, filename: str, *, body: bool) -> None:
            served = self._repository(name, revision)
            if served is None:
                return
            path = served.folder / filename
            if not path.is_file():
                self._refuse(404, "EntryNotFound")
                return
            data = path.read_bytes()
            headers = {"ETag": f'"{_hash(path, data)}"', "X-Repo-Commit": served.commit, "Accept-Ranges": "bytes"}
            if filename in hub.wrong_bytes:
                data = data[:-1] + bytes([data[-1] ^ 1])
            data = data[: hub.short]
            start = 0
            if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
                hub.ranges.append(asked[0])
                start = int(asked[1])
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._send(206 if start else 200, data[start:], headers, body=body)

        def _send(self, status: int, data: bytes, headers: dict[str, str], *, body: bool = True) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            if not body:
                return
            if hub.cuts and len(data) > hub.cut_after:
                hub.cuts -= 1
                self.wfile.write(data[: hub.cut_after])
                self.wfile.flush()
                self.close_connection = True
                return
            if hub.stall_after and len(data) > hub.stall_after:
                self.wfile.write(data[: hub.stall_after])
                self.wfile.flush()
                hub.stalled.set()
                while hub.stall_after:
                    time.sleep(0.02)
                self.close_connection = True
                return
            self.wfile.write(data)

        def _refuse(self, status: int, code: str = "") -> None:
            headers = {"X-Error-Code": code} if code else {}
            self._send(status, b"", headers)

    return Handler


def _hash(path: Path, data: bytes) -> str:
    if path.suffix in LARGE_SUFFIXES:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
