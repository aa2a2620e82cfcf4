"""
From what the user asks for to all scores: which methods, which songs, what is known already, what is written.

What is scored is kept in the output folder; the same request goes on where it was stopped, and one with a method more
does only what is new. The files of a folder tell of the last request.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path

from stemsplit.audio.assignment import REFUSE, Assigned, SourceRules, assign
from stemsplit.audio.faults import shown
from stemsplit.audio.multitrack import Multitrack
from stemsplit.audio.reader import open_audio
from stemsplit.errors import DecodeError, StemsplitError, TrackError, UsageError
from stemsplit.evaluation.bsseval import check_museval
from stemsplit.evaluation.evaluate import Scoring, SongResult, Task
from stemsplit.evaluation.listening import Listening, check_listening
from stemsplit.evaluation.matching import separated_stems
from stemsplit.evaluation.methods import NEEDS_NO_MODEL, FolderMethod, Method, ModelMethod, Plain
from stemsplit.evaluation.report import bsseval_csv, scores_json, sdr_csv
from stemsplit.evaluation.resumable import check_outside, completed
from stemsplit.evaluation.songs import Song, chosen_split, find_songs, told_apart
from stemsplit.evaluation.store import Store, key_of, states_of
from stemsplit.evaluation.worst import WorstExcerpt, worst_excerpts
from stemsplit.events import Listener, Warned, ignore
from stemsplit.separation.jobs import Loader

_SCHEMA = 1
_USUAL_RATE = 44_100
_NAMED = 8  # stems of other names
_ALONG = "along"  # the folder of pictures of single songs
_SCORES, _SDR, _BSSEVAL, _PICTURE = _FILES = ("scores.json", "sdr.csv", "bsseval.csv", "sdr.png")


@dataclass(frozen=True)
class Request:
    """
    What a user asks for.

    Attributes:
        folders: of songs.
        models: what loads each, by what the user calls it.
        estimates: folders of stems that are separated already.
        output: where scores are written.
        split: "auto", "all", "train", "valid" or "test".
        rest: the source that takes in stems of other names.
        degradations: by name; songs are scored as they are, too.
        with_bsseval: whether BSSEval is computed.
        listen: where the worst excerpts go.
        jobs: processes.
        device: see `stemsplit.compute.choose`.
    """

    folders: Sequence[Path]
    models: Mapping[str, Loader]
    output: Path
    estimates: Sequence[Path] = ()
    split: str = "auto"
    rest: str = "auto"
    degradations: Sequence[str] = ()
    with_bsseval: bool = False
    listen: Path | None = None
    jobs: int = 1
    device: str = "auto"


@dataclass
class Evaluation:
    """
    A request under way.

    Attributes:
        request: as it was made.
        methods: all that are scored.
        tasks: what there is to do, song by song.
        results: what is done, by task.
        failures: sentences by task.
    """

    request: Request
    methods: Sequence[Method]
    tasks: Sequence[Task]
    results: dict[Task, SongResult] = field(default_factory=dict)
    failures: dict[Task, str] = field(default_factory=dict)

    @property
    def in_order(self) -> list[SongResult]:
        """All results, song by song, whatever the order they came in."""
        return [self.results[task] for task in self.tasks if task in self.results]

    @property
    def worst(self) -> dict[str, list[WorstExcerpt]]:
        """The worst excerpts of every model, or folder of stems, by its name."""
        judged = [method.name for method in self.methods if method.kind in ("model", "estimates")]
        plain = [result for result in self.in_order if result.degraded is None]
        return {name: worst_excerpts([result for result in plain if result.method == name]) for name in judged}

    @property
    def by_song(self) -> dict[str, list[Task]]:
        """Tasks by song's name."""
        found: dict[str, list[Task]] = {}
        for task in self.tasks:
            found.setdefault(task.song.name, []).append(task)
        return found


def prepared(request: Request, listener: Listener = ignore) -> Evaluation:
    """
    Find out what there is to do.

    Raises:
        UsageError: for what cannot be done.
        ModelError: for a model that cannot be fetched, checked or read.
    """
    _check(request)
    chosen_split(find_songs(request.folders), request.split)  # that there are none is found before a model is fetched
    models = _models(request, listener)
    sources = list(dict.fromkeys(source for method in models for source in method.sources))
    tracks, notes = chosen_split(told_apart(find_songs(request.folders, sources)), request.split)
    methods, rules = _methods(request, models, tracks)
    songs = [[assign(track, rule) for track in tracks] for rule in rules]
    for method, own in zip(methods, songs, strict=True):
        absent = [source for row, source in enumerate(method.sources) if not any(song.files[row] for song in own)]
        if absent:
            notes.append(f"No song has {', '.join(absent)}; taken as silent, and not scored.")
    for note in dict.fromkeys([*notes, *_notes(methods), *_taken_in(zip(methods, songs, strict=True))]):
        listener(Warned(note))
    ways = (None, *request.degradations)
    if request.jobs > 1:
        for model in models:
            model.model.let_go()
    tasks = [
        Task(Song(own[number], degraded), index)
        for number in range(len(tracks))
        for degraded in ways
        for index, own in enumerate(songs)
        if degraded is None or methods[index].kind in ("model", "ceiling")
    ]
    return Evaluation(request, methods, tasks)


def evaluate(evaluation: Evaluation, listener: Listener = ignore) -> Iterator[Task]:
    """
    Carry it out; yields each task when its scores are in `results`, or its failure in `failures`.

    Raises:
        UsageError: where another process writes to the output folder.
        ModelError, StemsplitError: for what no song is to blame for.
    """
    request, methods = evaluation.request, evaluation.methods
    with Store(request.output, _FILES) as store:
        for task, result in completed(
            store,
            Scoring(methods, request.with_bsseval),
            evaluation.tasks,
            SongResult,
            lambda task: _key(methods[task.method], task.song, request),
            jobs=request.jobs,
            device=request.device,
            listener=listener,
        ):
            if isinstance(result, TrackError):
                evaluation.failures[task] = str(result)
            else:
                evaluation.results[task] = replace(result, track=task.song.name, method=methods[task.method].name)
            yield task
        _write(evaluation, store, listener)


def _check(request: Request) -> None:
    """Raises UsageError for what can be seen without a model."""
    if request.with_bsseval:
        check_museval()
    if request.degradations and request.estimates:
        raise UsageError("--degrade needs models: stems that are there already were made from songs as they are.")
    if len({folder.resolve() for folder in request.estimates}) < len(request.estimates):
        raise UsageError("A folder of estimates is named twice. Name it once.")
    readable = [*request.folders, *request.estimates]
    for folder in (request.output, request.output / _ALONG):
        check_outside(folder, "-o", readable)
    Store(request.output, _FILES).check()
    if request.listen is not None:
        check_outside(request.listen, "--listen", readable)
        check_listening(request.listen)


def _models(request: Request, listener: Listener) -> list[ModelMethod]:
    methods: list[ModelMethod] = []
    for text, load in request.models.items():
        method = ModelMethod.of(load, request.device, listener)
        methods.append(replace(method, name=_unique([method.name, text], methods)))
    return methods


def _unique(names: Sequence[str], methods: Sequence[Method]) -> str:
    """The first of the names that no other method has, or else the last with a number."""
    taken = {*NEEDS_NO_MODEL, ".", "", *(method.name for method in methods)}
    numbered = (f"{names[-1]} ({number})" for number in count(2))
    return next(name for name in chain(names, numbered) if name not in taken)


def _methods(
    request: Request, models: Sequence[ModelMethod], tracks: Sequence[Multitrack]
) -> tuple[list[Method], list[SourceRules]]:
    """All methods, and for each what becomes of a song's stems."""
    methods: list[Method] = list(models)
    rules = [SourceRules(method.sources, request.rest, missing="silence") for method in models]
    usual = models[0].sources if models else ()
    for folder in request.estimates:
        found = separated_stems(folder, tracks, usual, request.rest)
        rate = models[0].sample_rate if models else _rate_of(tracks)
        name = _unique([shown(path) for path in (Path(folder.name), folder, folder.resolve())], methods)
        methods.append(FolderMethod(name, found.sources, rate, found.files))
        rules.append(SourceRules(found.sources, found.rest, missing="silence"))
    groups = {(method.sources, method.sample_rate): rule for method, rule in zip(methods, rules, strict=True)}
    for (sources, rate), rule in groups.items():
        which = f" of {', '.join(sources)} at {rate} Hz" if len(groups) > 1 else ""
        for plain, kind in NEEDS_NO_MODEL.items():
            methods.append(Plain(plain + which, sources, rate, kind, plain))
            rules.append(rule)
    return methods, rules


def _notes(methods: Sequence[Method]) -> Iterator[str]:
    scored = [method for method in methods if method.kind in ("model", "estimates")]
    if len({method.sample_rate for method in scored}) > 1:
        yield "These models have different sample rates, and each is scored at its own: their scores do not compare."
    if len({frozenset(method.sources) for method in scored if "other" in method.sources}) > 1:
        yield "These do not separate the same sources: `other` is all that the others of each are not."


def _taken_in(pairs: Iterable[tuple[Method, Sequence[Assigned]]]) -> Iterator[str]:
    """Stems of other names that count as a source: perhaps one is only misspelt."""
    for method, songs in pairs:
        names = Counter(name for song in songs for name in song.taken_in)
        if names and method.kind != "estimates":
            told = ", ".join(f"{name} ({number})" for name, number in names.most_common(_NAMED))
            yield f"Stems of these names count as `other`, or where --rest says: {told}."


def _rate_of(tracks: Sequence[Multitrack]) -> int:
    """Of the first song that can be opened."""
    for path in (path for track in tracks for paths in track.files.values() for path in paths):
        with suppress(TrackError), open_audio(path) as reader:
            return reader.info.sample_rate
    return _USUAL_RATE


def _key(method: Method, song: Song, request: Request) -> str:
    """All that the scores depend on. Raises TrackError, or OSError for files that are not there."""
    track: Assigned = song.track
    if not any(track.files):
        raise DecodeError(f"it has none of the stems {', '.join(method.sources)}.")
    if track.unknown and request.rest == REFUSE:
        raise DecodeError(f"{', '.join(track.unknown)} is none of {', '.join(method.sources)}, and --rest is refuse.")
    layout = [[path.name for path in paths] for paths in (*track.files, track.rest)]
    settings = (method.sources, method.sample_rate, song.degraded, request.with_bsseval and song.degraded is None)
    states = states_of(song.files)
    return key_of(_SCHEMA, method.kind, method.identity(song), *settings, layout, track.mixture is not None, states)


def _write(evaluation: Evaluation, store: Store, listener: Listener) -> None:
    """All files that tell of the request."""
    results, folder = evaluation.in_order, evaluation.request.output
    store.write(folder / _SCORES, scores_json(evaluation.methods, results, evaluation.worst, _failed(evaluation)))
    store.write(folder / _SDR, sdr_csv(results))
    if evaluation.request.listen is not None:
        _write_excerpts(evaluation, evaluation.request.listen)
    if evaluation.request.with_bsseval:
        store.write(folder / _BSSEVAL, bsseval_csv(results))
    else:
        _remove(folder / _BSSEVAL)
    _remove(folder / _PICTURE)
    try:
        _draw(results, store)
    except ImportError:
        listener(Warned("No pictures: they need matplotlib, which `pip install 'stemsplit[eval]'` brings."))
    except StemsplitError as error:  # such as for a name that is too long
        listener(Warned(f"Not all pictures could be drawn: {error}"))


def _remove(path: Path) -> None:
    """What tells of an earlier request."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _failed(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Song, method and what went wrong."""
    pairs = ((task, evaluation.failures[task]) for task in evaluation.tasks if task in evaluation.failures)
    return [(task.song.name, evaluation.methods[task.method].name, failure) for task, failure in pairs]


def _draw(results: Sequence[SongResult], store: Store) -> None:
    from stemsplit.evaluation.pictures import along_song, by_song

    plain = [result for result in results if result.degraded is None]
    if not plain:
        return
    store.write(store.folder / _PICTURE, by_song(plain))
    for name in dict.fromkeys(result.track for result in plain):
        picture = along_song([result for result in plain if result.track == name])
        store.write(store.folder / _ALONG / f"{name}.png", picture)


def _write_excerpts(evaluation: Evaluation, folder: Path) -> None:
    listening = Listening(folder)
    for index, method in enumerate(evaluation.methods):
        excerpts = evaluation.worst.get(method.name)
        if excerpts:
            own = [task.song for task in evaluation.tasks if task.method == index and task.song.degraded is None]
            try:
                listening.add(method, {song.name: song for song in own}, excerpts)
            except TrackError as error:
                raise StemsplitError(f"--listen {shown(folder)}: {error}") from error
