"""
What can go wrong with a file of the hub, each as one sentence that names the file, the host and the cache.

`_sentences` maps the errors of huggingface_hub, and those of the disk, to words.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from stemsplit.errors import DownloadError

ANY_DEFINITION = "*.yaml"  # the file of a repository that describes its bag, whatever its name


class NotHereError(DownloadError):
    """
    A file that is not in the cache, and that the network does not bring.

    Attributes:
        what: says just that, in a sentence without a remedy.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what = what

    def __str__(self) -> str:
        return " ".join(self.args)


class UnreachableError(NotHereError):
    """No connection to the hub, so what is cached may have to do."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository at a revision."""

    repository: str
    revision: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} of {self.repository} (revision {self.revision})"

    @property
    def host(self) -> str:
        """The host that is asked: that of HF_ENDPOINT, if set."""
        from huggingface_hub import constants

        return urlsplit(constants.ENDPOINT).netloc or constants.ENDPOINT

    @property
    def cache(self) -> str:
        """The folder of the cache."""
        from huggingface_hub import constants

        return str(constants.HF_HUB_CACHE)


def translated(error: Exception, file: HubFile) -> DownloadError:
    """The error of huggingface_hub or the disk, in words for the user."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    # Where it has looked into the cache in vain, or was told not to, it wraps the reason.
    if isinstance(error, LocalEntryNotFoundError | ValueError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    if is_connection_error(error):
        return UnreachableError(
            f"{file} is not in the cache {file.cache}, and {file.host} cannot be reached ({_reason(error)}).",
            "Check the network and the proxy, or copy the cache from a machine that has it.",
        )
    for kind, sentence in _sentences():
        if isinstance(error, kind):
            return DownloadError(sentence(error, file))
    return DownloadError(_other(error, file))


def expected_errors() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises: HTTP errors, those of the disk, wrong names, and what comes from Rust."""
    from huggingface_hub.errors import HfHubHTTPError

    # The first base is the HTTP library's own error. The library itself changed with huggingface_hub 2.
    return (HfHubHTTPError.__bases__[0], OSError, ValueError, RuntimeError)


def is_connection_error(error: BaseException) -> bool:
    """Whether no answer came at all, as against a bad one."""
    from huggingface_hub.errors import HfHubHTTPError

    http_error, *_ = expected_errors()
    return isinstance(error, http_error) and not isinstance(error, HfHubHTTPError)


def not_cached(file: HubFile) -> NotHereError:
    """The error for a file that only the network could bring, and must not."""
    return NotHereError(
        f"{file} is not in the cache {file.cache}, and in offline mode (--offline, HF_HUB_OFFLINE) it is not "
        f"fetched from {file.host}.",
        "Run once online, or copy the cache from a machine that has it.",
    )


def several_definitions(file: HubFile, found: list[str]) -> str:
    """The sentence for a repository that describes no bag, or more than one."""
    have = f"{len(found)} ({', '.join(found[:3])})" if found else "none"
    return (
        f"{file.repository} (revision {file.revision}) on {file.host} is no model: exactly one *.yaml must "
        f"describe it, and it has {have}."
    )


def full_disk(file: HubFile, detail: str) -> str:
    """The sentence for a disk without room."""
    return (
        f"{file} does not fit on the disk of the cache {file.cache}: {detail}. "
        "Free some space, or set HF_HOME to a folder on another disk."
    )


def _no_file(_: Exception, file: HubFile) -> str:
    return f"{file.host} has no {file}. Check the name, and whether HF_ENDPOINT is a complete mirror."


def _no_revision(_: Exception, file: HubFile) -> str:
    return f"{file.host} has no revision {file.revision} of {file.repository}, wanted for {file.name}."


def _no_repository(error: Exception, file: HubFile) -> str:
    # A name like a path is taken for a repository when there is no such path.
    hint = f" No file or folder is called {file.repository} either." if file.name == ANY_DEFINITION else ""
    return (
        f"{file.host} has no repository {file.repository}, or not for you (HTTP {_status(error)}), wanted for "
        f"{file.name}. Check the name; if it is private or asks for consent, log in with `hf auth login`.{hint}"
    )


def _refused(error: Exception, file: HubFile) -> str:
    status = _status(error)
    remedy = "Log in with `hf auth login`, or check HF_TOKEN" if status in (401, 403) else "Try again later"
    return f"{file.host} refuses {file} (HTTP {status}). {remedy}."


def _disk(error: Exception, file: HubFile) -> str:
    code = getattr(error, "errno", None)
    if code in (errno.ENOSPC, errno.EDQUOT):
        return full_disk(file, "no space is left")
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{file} cannot be stored: the cache {file.cache} cannot be written ({_reason(error)}). "
            "Change its permissions, or set HF_HOME to another folder."
        )
    if "Consistency check failed" in str(error):
        return (
            f"{file} arrived with another size than {file.host} announced, and was thrown away; "
            f"the cache {file.cache} is as before. Try again."
        )
    return _other(error, file)


def _other(error: Exception, file: HubFile) -> str:
    return (
        f"{file} could not be fetched from {file.host} into the cache {file.cache} ({_reason(error)}). "
        "Try again; if HF_ENDPOINT is set, check that it names a hub."
    )


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def _status(error: Exception) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def _sentences() -> tuple[tuple[type[Exception], Callable[[Exception, HubFile], str]], ...]:
    """From the special to the general. A function, since huggingface_hub is imported late."""
    from huggingface_hub import errors

    return (
        (errors.RemoteEntryNotFoundError, _no_file),
        (errors.RevisionNotFoundError, _no_revision),
        (errors.RepositoryNotFoundError, _no_repository),
        (errors.HfHubHTTPError, _refused),
        (OSError, _disk),
    )
