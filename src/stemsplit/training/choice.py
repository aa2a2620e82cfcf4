"""From folders of songs to a keep list: every song judged, what is known already taken as it is."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stemsplit.audio.assignment import REFUSE, Assigned, SourceRules, assign
from stemsplit.audio.faults import shown
from stemsplit.audio.multitrack import Multitrack
from stemsplit.audio.targets import set_aside
from stemsplit.errors import DecodeError, TrackError, UsageError
from stemsplit.evaluation.on_demand import OnDemand
from stemsplit.evaluation.resumable import check_outside, completed
from stemsplit.evaluation.songs import find_songs
from stemsplit.evaluation.store import Store, key_of, states_of
from stemsplit.events import Listener, Warned, ignore
from stemsplit.separation.jobs import Loader
from stemsplit.training.keep_list import keep_list
from stemsplit.training.quality import Judging, SongQuality

KEEP, _CSV, _JSON = _FILES = ("keep.txt", "quality.csv", "quality.json")
_KEPT = "quality"
_SCHEMA = 1


@dataclass(frozen=True)
class Request:
    """
    What a user asks for.

    Attributes:
        folders: of songs.
        load: makes the separator that judges.
        output: where the keep list and the matrices go.
        split: "all", or "train" for songs that are in no folder called valid or test, "valid", "test".
        rest: the source that takes in stems of other names.
        jobs: processes.
        device: see `stemsplit.compute.choose`.
    """

    folders: Sequence[Path]
    load: Loader
    output: Path
    split: str = "train"
    rest: str = "auto"
    jobs: int = 1
    device: str = "auto"


@dataclass
class Choice:
    """
    Songs that are being judged.

    Attributes:
        request: as it was made.
        model: who judges, in words that tell one from another.
        songs: all of them.
        results: by song's name.
        failures: sentences by song's name.
    """

    request: Request
    model: str
    songs: Sequence[Assigned]
    judging: Judging
    results: dict[str, SongQuality] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def in_order(self) -> list[SongQuality]:
        """All results, whatever the order they came in."""
        return [self.results[song.name] for song in self.songs if song.name in self.results]

    @property
    def keep_file(self) -> Path:
        """What `stemsplit train --keep` takes."""
        return self.request.output / KEEP


def prepared(request: Request, listener: Listener = ignore) -> Choice:
    """
    Find out what there is to judge.

    Raises:
        UsageError: for what cannot be done.
        ModelError: for a model that cannot be fetched, checked or read.
    """
    check_outside(request.output, "-o", request.folders)
    Store(request.output, _FILES, _KEPT).check()
    _chosen(request, ())  # that there is nothing to judge is found before a model is fetched
    model = OnDemand(request.load)
    model.begin(request.device, listener)
    sources = model.separator.sources
    rules = SourceRules(sources, request.rest, missing="silence")
    songs = [assign(track, rules) for track in _chosen(request, sources)]
    choice = Choice(request, model.identity, songs, Judging(model))
    if request.jobs > 1:
        model.let_go()
    return choice


def _chosen(request: Request, sources: Sequence[str]) -> list[Multitrack]:
    """Songs of the split. Raises UsageError if there are none, or two of one name."""
    found = find_songs(request.folders, sources)
    chosen = [track for track in found if request.split in ("all", track.split or "train")]
    if not chosen:
        raise UsageError(f"There are no songs to judge: {len(found)} in all, of the split {request.split} none.")
    twice = [name for name, count in Counter(track.name for track in chosen).items() if count > 1]
    if twice:
        raise UsageError(f"Two songs are called {twice[0]}, and a keep list could not tell them apart. Rename one.")
    return chosen


def judge(choice: Choice, listener: Listener = ignore) -> Iterator[Assigned]:
    """
    Carry it out; yields each song when it is in `results` or in `failures`.

    Raises:
        UsageError: where another process writes to the output folder.
        ModelError, StemsplitError: for what no song is to blame for.
    """
    request = choice.request
    with Store(request.output, _FILES, _KEPT) as store:
        for song, result in completed(
            store,
            choice.judging,
            choice.songs,
            SongQuality,
            lambda song: _key(choice, song),
            jobs=request.jobs,
            device=request.device,
            listener=listener,
        ):
            if isinstance(result, TrackError):
                choice.failures[song.name] = str(result)
            else:
                choice.results[song.name] = replace(result, track=song.name)
            yield song
        _write_keep_list(choice, store, listener)
        store.write(choice.request.output / _CSV, _csv(choice.in_order))
        entries = [quality.to_json() for quality in choice.in_order]
        store.write(choice.request.output / _JSON, json.dumps(entries, indent=1) + "\n")


def _write_keep_list(choice: Choice, store: Store, listener: Listener) -> None:
    """A list that someone has changed is kept beside the new one."""
    text, path = keep_list_text(choice), choice.keep_file
    if path.exists() and not (path.is_file() and store.get(KEEP) == _digest(path.read_bytes())):
        aside = set_aside(path)
        listener(Warned(f"{shown(path)}: is not as it was written, and is now called {shown(aside)}."))
    store.write(path, text)
    store.put(KEEP, _digest(path.read_bytes()))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def keep_list_text(choice: Choice) -> str:
    """The songs that are kept, and why the others are not."""
    kept = [quality.track for quality in choice.in_order if quality.is_kept]
    comments = [f"{len(kept)} of {len(choice.songs)} songs, as {choice.model} judges them."]
    comments += [f"rejected: {q.track}: {'; '.join(q.reasons)}" for q in choice.in_order if not q.is_kept]
    comments += [f"not judged: {name}: {failure}" for name, failure in choice.failures.items()]
    return keep_list(kept, comments)


def _key(choice: Choice, song: Assigned) -> str:
    """All that the matrix depends on. Raises TrackError, or OSError for files that are not there."""
    if song.unknown and choice.request.rest == REFUSE:
        raise DecodeError(f"{', '.join(song.unknown)} is none of the model's sources, and --rest is refuse.")
    layout = [[path.name for path in paths] for paths in song.files]
    return key_of("quality", _SCHEMA, choice.model, layout, states_of([p for paths in song.files for p in paths]))


def _csv(results: Sequence[SongQuality]) -> str:
    """P_ij in percent, a row for each stem; empty for one that is not heard."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    sources = results[0].sources if results else ()
    writer.writerow(["track", "kept", "stem", *(f"as_{source}_percent" for source in sources)])
    for quality in results:
        for source, row in zip(quality.sources, quality.matrix, strict=True):
            cells = [""] * len(sources) if row is None else [f"{100 * share:.2f}" for share in row]
            writer.writerow([quality.track, "yes" if quality.is_kept else "no", source, *cells])
    return text.getvalue()
