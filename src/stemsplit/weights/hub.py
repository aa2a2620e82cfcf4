"""
Files from the hub: downloaded once into huggingface_hub's cache, checked every time they are used.

The cache is the one all programs share, where HF_HOME or HF_HUB_CACHE say; HF_ENDPOINT names another host
and HF_HUB_OFFLINE forbids the network. huggingface_hub reads them when it is imported, which happens here, on
the first call. A download goes into a temporary file of its own that is renamed when whole: a broken
connection is resumed, a killed process starts again, and no half file is ever taken for a whole one.
"""

import logging
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stemsplit.errors import DownloadError, IntegrityError
from stemsplit.events import DownloadProgress, Listener, Warned
from stemsplit.weights.hub_errors import (
    ANY_DEFINITION,
    HubFile,
    UnreachableError,
    expected_errors,
    full_disk,
    is_connection_error,
    not_cached,
    several_definitions,
    translated,
)
from stemsplit.weights.integrity import flaw_of

DEFAULT_REVISION = "main"
TIMEOUT = 10  # seconds to wait for an answer of the hub, as huggingface_hub does

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(
    repository: str,
    revision: str,
    filename: str,
    *,
    sha256: str | None,
    size: int | None,
    offline: bool,
    listener: Listener,
) -> Path:
    """
    The path of a file of the hub, downloaded if it is not cached, checked in either case.

    A cached file with wrong bytes is downloaded again, once, with a warning; one that arrives with wrong
    bytes is an error. Where no SHA-256 is published, the hub's is taken: large files lie under it in the cache.

    Args:
        repository: `USER/REPO`.
        revision: branch, tag or commit. A cached file of a commit (40 hexadecimal digits) needs no network.
        filename: in the repository.
        sha256: of the published file, None if unknown.
        size: its bytes, None if unknown.
        offline: fail rather than use the network, as HF_HUB_OFFLINE does.
        listener: hears `DownloadProgress`, perhaps from another thread, and `Warned`.

    Raises:
        DownloadError: if the file cannot be fetched, with the reason and the remedy.
        IntegrityError: if it has not the published bytes.
    """
    file = HubFile(repository, revision, filename)
    offline = offline or _forced_offline()
    path = cached(repository, revision, filename) if offline or _COMMIT.fullmatch(revision) else None
    flaw = _flaw(path, sha256, size) if path else None
    if path and not flaw:
        return path
    if offline:
        raise IntegrityError(_damaged(path, flaw, file)) if path and flaw else not_cached(file)
    if path:
        listener(Warned(f"{path} {flaw}; it is downloaded again."))
        with _speaking_to_hub(file):
            path.unlink()  # where the file system has no links, a new download would leave it as it is
    path = _download(file, size, listener, again=flaw is not None)
    if flaw := _flaw(path, sha256, size):
        raise IntegrityError(_damaged(path, flaw, file))
    return path


def cached(repository: str, revision: str, filename: str) -> Path | None:
    """Where a file lies in the cache, None if it does not. Its bytes are not checked."""
    from huggingface_hub import constants, try_to_load_from_cache

    try:
        path = try_to_load_from_cache(repository, filename, constants.HF_HUB_CACHE, revision)
    except ValueError:  # a name that no repository can have
        return None
    return Path(path) if isinstance(path, str) else None


def fetch_definition(repository: str, revision: str | None, *, offline: bool, listener: Listener) -> Path:
    """
    The path of the one `*.yaml` at the top of a repository; its folder is named by the commit.

    Online, a branch or tag is looked up anew. If the hub cannot be reached, what is cached of it is taken,
    with a warning.

    Raises:
        DownloadError: if it cannot be fetched, or the repository has not exactly one.
    """
    revision = revision or DEFAULT_REVISION
    offline = offline or _forced_offline()
    known = _cached_definition(repository, revision)
    if known is not None and (offline or _COMMIT.fullmatch(revision)):
        return known
    anything = HubFile(repository, revision, ANY_DEFINITION)
    if offline:
        raise not_cached(anything)
    try:
        name = _only(_listing(anything), anything)
        return fetch(repository, revision, name, sha256=None, size=None, offline=False, listener=listener)
    except UnreachableError:
        if known is None:
            raise
        listener(Warned(f"{anything.host} cannot be reached; the copy of {repository} in the cache is used."))
        return known


def _cached_definition(repository: str, revision: str) -> Path | None:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            cache_dir=constants.HF_HUB_CACHE,
            allow_patterns=[ANY_DEFINITION],
            local_files_only=True,
        )
    except (LocalEntryNotFoundError, ValueError):  # a ValueError is for names that no repository can have
        return None
    definitions = list(Path(folder).glob(ANY_DEFINITION))
    return definitions[0] if len(definitions) == 1 else None


def _listing(anything: HubFile) -> list[str]:
    """The files of a repository, as the hub lists them."""
    from huggingface_hub import HfApi, constants

    with _speaking_to_hub(anything):
        api = HfApi(endpoint=constants.ENDPOINT)
        info = api.model_info(anything.repository, revision=anything.revision, timeout=TIMEOUT)
    return [sibling.rfilename for sibling in info.siblings or []]


def _only(names: list[str], anything: HubFile) -> str:
    definitions = [name for name in names if name.endswith(".yaml") and "/" not in name]
    if len(definitions) != 1:
        raise DownloadError(several_definitions(anything, definitions))
    return definitions[0]


def _download(file: HubFile, size: int | None, listener: Listener, *, again: bool = False) -> Path:
    from huggingface_hub import constants, hf_hub_download

    with _speaking_to_hub(file):
        _knock(file)
        _check_space(Path(constants.HF_HUB_CACHE), file, size)
        path = hf_hub_download(
            file.repository,
            file.name,
            revision=file.revision,
            cache_dir=constants.HF_HUB_CACHE,
            endpoint=constants.ENDPOINT,
            force_download=again,
            tqdm_class=_bar(file.name, size, listener),
        )
    return Path(path)


def _knock(file: HubFile) -> None:
    """Find out at once that there is no network: huggingface_hub would try for half a minute first."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(file.repository, file.name, revision=file.revision, endpoint=constants.ENDPOINT)
    try:
        get_hf_file_metadata(url, timeout=TIMEOUT)
    except expected_errors() as error:
        if is_connection_error(error):
            raise  # anything else is left to the download, which knows what to try again


def _check_space(cache: Path, file: HubFile, size: int | None) -> None:
    folder = next(parent for parent in (cache, *cache.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if size is not None and free < size:
        raise DownloadError(full_disk(file, f"{size:,} bytes are needed and {free:,} are free"))


def _flaw(path: Path, sha256: str | None, size: int | None) -> str | None:
    name = path.resolve().name
    return flaw_of(path, sha256 or (name if _SHA256.fullmatch(name) else None), size)


def _damaged(path: Path, flaw: str, file: HubFile) -> str:
    return (
        f"{path} {flaw}: it is not the published {file.name} of {file.repository}. Delete it and try again; "
        f"if that does not help, {file.host} serves another file."
    )


def _forced_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


@contextmanager
def _speaking_to_hub(file: HubFile) -> Iterator[None]:
    """Keep huggingface_hub from printing, and put its errors into our words."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DownloadError:
        raise
    except expected_errors() as error:
        raise translated(error, file) from error
    finally:
        logger.setLevel(level)


def _bar(name: str, size: int | None, listener: Listener) -> type[Any]:
    """
    A stand-in for a tqdm bar that tells a listener.

    Made as a class because huggingface_hub asks for one, of which it makes one bar per file.
    """

    class Bar:
        def __init__(self, *_: object, total: int | None = None, initial: int = 0, **__: object) -> None:
            self.total = total or size or 0
            self.n = initial
            self.update(0)

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, count: int | float | None = 1) -> None:
            self.n += int(count or 0)
            listener(DownloadProgress(name, self.n, max(self.total, self.n)))

        # The Xet protocol also counts what travels, a smaller number by compression. One count is enough.
        def update_transfer(self, *_: object, **__: object) -> None: ...

        def set_transfer_postfix_str(self, *_: object, **__: object) -> None: ...

        def set_postfix_str(self, *_: object, **__: object) -> None: ...

        def refresh(self, *_: object, **__: object) -> None: ...

        def close(self) -> None: ...

    return Bar
