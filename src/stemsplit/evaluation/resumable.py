"""Work on many songs whose results are kept, so that only what is new is done."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from stemsplit.audio.faults import reason, shown
from stemsplit.errors import DecodeError, TrackError, UsageError
from stemsplit.evaluation.pool import Work, carried_out
from stemsplit.evaluation.store import Store
from stemsplit.events import Listener, SongsScored

Task = TypeVar("Task")


class Kept(Protocol):
    """A result that can be kept."""

    def to_json(self) -> dict[str, Any]:
        """All of it."""

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Self:
        """Raises TypeError, KeyError or AttributeError for what `to_json` has not made."""


Result = TypeVar("Result", bound=Kept)


def completed(
    store: Store,
    work: Work[Task, Result],
    tasks: Sequence[Task],
    kind: type[Result],
    key: Callable[[Task], str],
    *,
    jobs: int,
    device: str,
    listener: Listener,
) -> Iterator[tuple[Task, Result | TrackError]]:
    """
    Every task with its result, or what is wrong with it: first those that are known, then the others as they end.

    Args:
        store: where results are kept.
        work: what gives them.
        tasks: distinct.
        kind: of result.
        key: of all that a task's result depends on. Raises TrackError, or OSError for a file that is gone.
        jobs: as `carried_out`.
        device: likewise.
        listener: told how many are done, and of warnings.

    Raises:
        StemsplitError: as `carried_out` and `Store.put`.
    """
    keys: dict[Task, str] = {}
    done = 0
    listener(SongsScored(done, len(tasks)))
    for task in tasks:
        known: Result | TrackError | None
        try:
            keys[task] = key(task)
            known = _known(store, keys[task], kind)
        except TrackError as error:
            known = error
        except OSError as error:
            known = DecodeError(f"{error.filename}: {reason(error)}.")
        if known is not None:
            keys.pop(task, None)
            done += 1
            listener(SongsScored(done, len(tasks)))
            yield task, known
    for task, result in carried_out(work, list(keys), jobs, device, listener):
        if not isinstance(result, TrackError):
            store.put(keys[task], result.to_json())
        done += 1
        listener(SongsScored(done, len(tasks)))
        yield task, result


def _known(store: Store, key: str, kind: type[Result]) -> Result | None:
    with suppress(TypeError, KeyError, AttributeError):
        table = store.get(key)
        return None if table is None else kind.from_json(table)
    return None


def check_outside(path: Path, option: str, folders: Sequence[Path]) -> None:
    """
    See that a folder to write to is in none of those that are only read.

    Raises:
        UsageError: where it is.
    """
    try:
        inside = [folder for folder in folders if path.resolve().is_relative_to(folder.resolve())]
    except (OSError, RuntimeError) as error:  # the latter for a link to itself
        raise UsageError(f"{option} {shown(path)}: leads nowhere ({error}).") from error
    if inside:
        raise UsageError(f"{option} {shown(path)}: is in {shown(inside[0])}, where nothing is written.")
