"""The run of `stemsplit separate`: from what the user named to what became of it. Its options are in `separate.py`."""

import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from stemsplit.audio.faults import shown
from stemsplit.audio.targets import check_writable
from stemsplit.cli import pipes
from stemsplit.cli.console import Console
from stemsplit.cli.progress import clock
from stemsplit.cli.slips import check_words
from stemsplit.errors import DiskFullError, DownloadError, StemsplitError, UsageError
from stemsplit.events import RunPlanned
from stemsplit.separation.lengths import expected_seconds
from stemsplit.separation.naming import FIELDS, NameTemplate
from stemsplit.separation.options import SplitOptions, StemOptions
from stemsplit.separation.plan import PlannedTrack, Shard, plan_tracks, split_missing
from stemsplit.separation.report import TrackReport
from stemsplit.separation.resume import earlier_batches
from stemsplit.separation.track_files import split_done
from stemsplit.separation.walk import Findings, find_songs
from stemsplit.weights.bundled import MINI
from stemsplit.weights.catalog import CatalogEntry
from stemsplit.weights.find import FoundModel, find_model, named_models
from stemsplit.weights.hub_errors import NotHereError
from stemsplit.weights.identity import ModelIdentity, published_identity

_USUAL_RATE = 44_100  # Hz


@dataclass(frozen=True)
class Order:
    """
    What the user asks for, all of which makes sense as far as can be told without a look at files.

    Attributes:
        inputs: files, folders, or `-`.
        model: its name.
        template: of the outputs' names.
        split: how tracks are cut.
        stems: which stems, and how they are written.
        device, precision, batch_size: see `stemsplit.compute.choose`.
        offline: use only what is on this machine.
        jobs: how many processes.
        shard: the share of the songs.
        to_stdout: whether the one stem goes to standard output.
    """

    inputs: Sequence[str]
    model: str
    template: NameTemplate
    split: SplitOptions
    stems: StemOptions
    device: str
    precision: str
    batch_size: int | str
    offline: bool
    jobs: int
    shard: Shard
    to_stdout: bool


def run(order: Order, console: Console) -> list[TrackReport]:
    """
    Split what is asked for; what became of each song. On a full disk some have not been begun.

    Raises:
        UsageError: for what is found to make no sense before any work.
        StemsplitError: for a model that cannot be used, and where there is no song at all.
    """
    found = find_model(order.model)
    check_words(order.inputs, found.sources or ())
    if found.sources is not None:
        _check_stems(order, found.sources)
    with ExitStack() as stack:
        if order.to_stdout:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="stemsplit-"))
            order = replace(order, stems=replace(order.stems, output=Path(folder)))
        else:
            check_writable(order.stems.output)
        try:
            return _Run(order, found, stack.enter_context(pipes.spooled(order.inputs)), console).run()
        except NotHereError as error:
            if isinstance(found.place, CatalogEntry):
                raise DownloadError(f"{_remedy(found)} The reason: {error.what}") from error
            raise


class _Run:
    def __init__(self, order: Order, found: FoundModel, paths: Sequence[Path], console: Console) -> None:
        self._order = order
        self._found = found
        self._paths = paths
        self._console = console
        self._spoken = pipes.Naming(order.inputs, paths)
        self._listener = self._spoken.listener(console.listen)
        self._reports: list[TrackReport] = []
        self._lengths: dict[str, float] = {}
        self._stems = 0
        self._ended: list[TrackReport] = []  # before any work

    def run(self) -> list[TrackReport]:
        findings, tracks = self._planned()
        batches: dict[str, int] = {}
        if tracks:
            identity = self._identity()
            _check_stems(self._order, identity.sources)
            mixdown = self._order.stems.mixdown(identity.sources)
            self._stems = len(mixdown.names)
            tracks, ended, records = split_done(tracks, mixdown, identity, self._order.split, self._order.stems)
            batches = earlier_batches(records)
            for report in ended:
                self._tell(report)
        self._announce(findings, tracks)
        self._ended = list(self._reports)
        if tracks:
            self._separate(tracks, batches)
        left = len(tracks) - (len(self._reports) - len(self._ended))
        self._console.summary([self._spoken.report(report) for report in self._reports], left)
        if len(tracks) > 1 and any(isinstance(report.failure, DiskFullError) for report in self._reports):
            self._console.error(self._space_for(tracks))
        return self._reports

    def _planned(self) -> tuple[Findings, list[PlannedTrack]]:
        """What was found, and the tracks that are there, of this machine's share; the others are told."""
        order = self._order
        output = None if order.to_stdout else order.stems.output
        findings = find_songs(self._paths, output)
        if order.to_stdout and len(findings.songs) > 1:
            raise UsageError(f"-o - writes one stem of one song, and {len(findings.songs)} were found: name one.")
        for folder, failure in findings.unreadable.items():
            self._tell(TrackReport(folder, folder.name, "failed", {}, failure=failure))
        if not findings.songs and not findings.unreadable:
            raise StemsplitError(_nothing(order.inputs, findings))
        mine = {song.path for song in findings.songs if order.shard.holds(song)}
        with self._console.busy("naming the songs"):
            tracks = plan_tracks(findings.songs, order.template, self._found.name, output=output)
        unrecorded = {path for name, path in zip(order.inputs, self._paths, strict=True) if name == pipes.PIPE}
        tracks, missing = split_missing(
            replace(track, is_recorded=output is not None and track.path not in unrecorded)
            for track in tracks
            if track.path in mine
        )
        for report in missing:
            self._tell(report)
        return findings, tracks

    def _identity(self) -> ModelIdentity:
        """Which model it is: of those that the catalogue does not know, a look at their files tells."""
        if isinstance(self._found.place, CatalogEntry):
            return published_identity(self._found.place)
        with self._console.busy(f"looking at {self._order.model}"):
            from stemsplit.compute import choose
            from stemsplit.weights.bag import identify

            choose(self._order.device, self._order.precision, self._order.batch_size)  # refuses what is not here
            return identify(self._found, offline=self._order.offline, listener=self._listener)

    def _announce(self, findings: Findings, tracks: Sequence[PlannedTrack]) -> None:
        """Tell what there is to do, where that is not plain."""
        console = self._console
        for folder in findings.outputs:
            console.say(f"{folder}: stemsplit writes there, so it is not searched; name it to split songs in it.")
        with console.busy("measuring the songs"):
            self._lengths = expected_seconds(tracks, self._order.stems.excerpt)
        skipped = [report for report in self._reports if report.status == "skipped"]
        failed = sum(report.status == "failed" for report in self._reports)
        passed_over = findings.others + findings.hidden + findings.repeated + findings.stems
        if len(tracks) + len(self._reports) > 1 or passed_over:
            shard = self._order.shard
            share = f"Share {shard.index} of {shard.count}: " if shard.count > 1 else ""
            console.say(share + _plan(findings, len(tracks), len(skipped), sum(self._lengths.values())))
        elif skipped:
            console.say(f"{skipped[0].track}: all stems are there. --overwrite makes them anew.")
        console.listen(RunPlanned(self._lengths, len(skipped), failed, passed_over))

    def _separate(self, tracks: list[PlannedTrack], batches: dict[str, int]) -> None:
        reports = self._begun(tracks, batches)
        try:
            with closing(reports):
                for report in reports:
                    if self._order.to_stdout and report.status == "done":
                        pipes.pour(next(iter(report.outputs.values())))
                    self._tell(report)
        except (KeyboardInterrupt, SystemExit):
            done = sum(report.status != "failed" for report in self._reports)
            told = f" {done} of {len(tracks) + len(self._ended)} songs are done; the same command goes on from here."
            self._console.say(
                f"Cancelled: songs that were not finished have left no stems.{told if len(tracks) > 1 else ''}"
            )
            raise

    def _begun(self, tracks: list[PlannedTrack], batches: dict[str, int]) -> Generator[TrackReport, None, None]:
        """Load the model, and begin; what becomes of the tracks, as it comes."""
        order = self._order
        with self._console.busy(f"loading {order.model}"):
            # Importing torch takes seconds: only now that all is known to make sense.
            from stemsplit.separation.batch import separate_tracks
            from stemsplit.separation.jobs import separate_in_jobs
            from stemsplit.separation.separator import Separator

            load = partial(
                Separator.load,
                order.model,
                sources=order.stems.needed,
                precision=order.precision,
                batch_size=order.batch_size,
                earlier_batches=batches,
                overlap=order.split.overlap,
                segment=order.split.segment,
                shifts=order.split.shifts,
                offline=order.offline,
            )
            if min(order.jobs, len(tracks)) == 1:
                separator = load(device=order.device, listener=self._listener)
                return separate_tracks(tracks, separator, order.stems, self._listener)
        return separate_in_jobs(tracks, load, order.stems, order.jobs, order.device, self._listener)

    def _tell(self, report: TrackReport) -> None:
        self._reports.append(report)
        self._console.report(self._spoken.report(report), "on stdout" if self._order.to_stdout else None)

    def _space_for(self, tracks: Sequence[PlannedTrack]) -> str:
        """A full disk has ended the run: what the rest needs."""
        options = self._order.stems
        whole = {report.track for report in self._reports if report.status == "done"}
        seconds = sum(self._lengths[track.name] for track in tracks if track.name not in whole)
        rate = options.rate(_USUAL_RATE, _USUAL_RATE)
        per_second = options.encoding.bytes_per_second(rate, 2) or rate * 2 * 3  # what is packed, at most
        needed = seconds * per_second * self._stems / 1e6
        return (
            f"The disk is full. What is left needs up to {needed:,.1f} MB in {shown(options.output)}. Free some space "
            "and give the same command again: it goes on from here."
        )


def _remedy(found: FoundModel) -> str:
    """What to do where a model of the catalogue is not here: fetch it, or take the one that is, for the same stems."""
    helps = named_models()[MINI.name] is MINI and found.sources == MINI.sources
    now = f", or take `-m {MINI.name} -o taste` now, at lower quality" if helps else ""
    return f"The model {found.name} is not on this machine. Run `stemsplit download {found.name}` when online{now}."


def _check_stems(order: Order, sources: Sequence[str]) -> None:
    """Find out whether the stems can be made of a model's sources, and each be written where it is to go."""
    options, template = order.stems, order.template
    stems = options.mixdown(sources).names
    if order.to_stdout and len(stems) > 1:
        raise UsageError(f"-o - writes one stem, and {len(stems)} are asked for: choose one, such as -s vocals.")
    if len(stems) > 1 and "stem" not in template.fields and not options.encoding.file_format.is_bundle:
        raise UsageError(
            f"--name {template.text!r} would give all {len(stems)} stems of a song one name: put {{stem}} in it."
        )
    options.paths(PlannedTrack(Path(), template.expand(dict.fromkeys(FIELDS, "any"))), stems)


def _plan(findings: Findings, to_do: int, done: int, seconds: float) -> str:
    """What there is to do, and what is not done."""
    parts = [f"{_songs(to_do)} to split" + (f", {clock(seconds)} of audio" if to_do else "")]
    parts += [f"{done} done before"] if done else []
    return "; ".join(parts) + _passed_over(findings) + "."


def _passed_over(findings: Findings) -> str:
    told = [
        f"{number} {what}"
        for number, what in (
            (findings.others, "no audio"),
            (findings.hidden, "hidden"),
            (findings.stems, "stems"),
            (findings.repeated, "found twice"),
        )
        if number
    ]
    return f" (passed over: {', '.join(told)})" if told else ""


def _nothing(inputs: Sequence[str], findings: Findings) -> str:
    folders = f" Not searched: {', '.join(map(shown, findings.outputs))}." if findings.outputs else ""
    where = ", ".join(shown(Path(name)) for name in inputs)
    return f"{where}: no song is there{_passed_over(findings)}. Name a file itself to have it tried.{folders}"


def _songs(number: int) -> str:
    return "1 song" if number == 1 else f"{number} songs"
