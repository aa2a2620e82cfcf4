"""Scores as tables for people. Utterance SDR and BSSEval are never in one table."""

from collections.abc import Mapping, Sequence

from stemsplit.evaluation.bsseval import METRICS
from stemsplit.evaluation.evaluate import SongResult, overall, overall_bsseval
from stemsplit.evaluation.report import grouped, losses, silent
from stemsplit.evaluation.worst import WorstExcerpt

_JUDGED = ("model", "estimates")
Rows = Sequence[tuple[str, Mapping[str, float | None]]]


def song_table(name: str, results: Sequence[SongResult]) -> list[str]:
    """All scores of a song, a line for each method; of floors and ceiling only those of the song as it is."""
    told = [result for result in results if _is_told(result.kind, result.degraded)]
    lines = [name, *_table([(_label(result.method, result.degraded), result.sdr) for result in told])]
    judged = [result for result in results if result.bsseval is not None and result.kind in _JUDGED]
    if judged:
        lines += ["  BSSEval v4, median over 1 s frames", *_table(_bsseval_rows(judged), "-")]
    return lines


def plain_table(results: Sequence[SongResult]) -> list[str]:
    """The scores of one song, a line for each method, with the mean over its sources."""
    return ["utterance SDR in dB (higher is better)", *_table([(r.method, overall([r])) for r in results])]


def summary_tables(results: Sequence[SongResult]) -> list[str]:
    """Means over songs, and in how many songs which source is silent."""
    groups = grouped(results)
    count = len({result.track for result in results})
    told = {group: own for group, own in groups.items() if _is_told(own[0].kind, group[1])}
    lines = ["", f"mean of {_songs(count)}, utterance SDR in dB"]
    lines += _table([(_group_label(group, own, count), overall(own)) for group, own in told.items()])
    scored = {group: own for group, own in groups.items() if any(result.bsseval is not None for result in own)}
    for metric in METRICS if scored else ():
        lines += [
            "",
            f"median of {_songs(count)}, BSSEval v4 {metric.upper()} in dB (over 1 s frames, then over songs)",
        ]
        rows = [(_group_label(group, own, count), overall_bsseval(own, metric)) for group, own in scored.items()]
        lines += _table(rows, "-")
    quiet = silent(results)
    if quiet:
        lines += ["", f"not scored, since silent: {', '.join(f'{s} in {_songs(n)}' for s, n in quiet.items())}"]
    lost = losses(results)
    if lost:
        lines += ["", "lost by degradation, utterance SDR in dB"]
        lines += _table([(_label(entry["method"], entry["degraded"]), entry["loss"]) for entry in lost])
    return lines


def worst_table(worst: Mapping[str, Sequence[WorstExcerpt]]) -> list[str]:
    """Where each model does worst."""
    lines: list[str] = []
    for method, excerpts in worst.items():
        if excerpts:
            lines += ["", f"worst excerpts of {method}, utterance SDR in dB"]
        for excerpt in excerpts:
            start, end = (f"{t // 60}:{t % 60:02d}" for t in (excerpt.start, excerpt.start + excerpt.seconds))
            lines.append(f"  {excerpt.sdr:8.2f}  {excerpt.source:8}  {start:>5} to {end:>5}  {excerpt.track}")
    return lines


def _table(rows: Rows, missing: str = "silent") -> list[str]:
    """A head and a line for each row; a dash where a method does not separate a source, `missing` for no score."""
    columns = list(dict.fromkeys(source for _, values in rows for source in values))
    columns.sort(key=lambda source: source == "all")
    name_width = max(10, *(len(name) for name, _ in rows))
    widths = {source: max(8, len(source)) for source in columns}
    lines = [f"  {'':{name_width}}" + "".join(f"  {source:>{widths[source]}}" for source in columns)]
    for name, values in rows:
        cells = (_decibels(values, source, widths[source], missing) for source in columns)
        lines.append(f"  {name:{name_width}}  {'  '.join(cells)}")
    return lines


def _bsseval_rows(results: Sequence[SongResult]) -> Rows:
    return [
        (
            f"{result.method} {metric.upper()}",
            {s: None if entry is None else getattr(entry, metric) for s, entry in (result.bsseval or {}).items()},
        )
        for result in results
        for metric in METRICS
    ]


def _decibels(values: Mapping[str, float | None], source: str, width: int, missing: str) -> str:
    if source not in values:
        return f"{'-':>{width}}"
    value = values[source]
    return f"{missing:>{width}}" if value is None else f"{round(value, 2) + 0.0:{width}.2f}"


def _is_told(kind: str, degraded: str | None) -> bool:
    return degraded is None or kind in _JUDGED


def _label(method: str, degraded: str | None) -> str:
    return method if degraded is None else f"{method}, {degraded}"


def _group_label(group: tuple[str, str | None], own: Sequence[SongResult], songs: int) -> str:
    label = _label(*group)
    return label if len(own) == songs else f"{label} ({_songs(len(own))})"


def _songs(count: int) -> str:
    return f"{count} {'song' if count == 1 else 'songs'}"
