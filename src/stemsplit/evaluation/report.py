"""What an evaluation writes for programs: all of it as JSON, and a table for each kind of score as CSV."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from stemsplit.evaluation.bsseval import METRICS
from stemsplit.evaluation.evaluate import SongResult, overall, overall_bsseval
from stemsplit.evaluation.methods import Method
from stemsplit.evaluation.metrics import mean_sdr
from stemsplit.evaluation.worst import WorstExcerpt

_DIGITS = 6


def scores_json(
    methods: Sequence[Method],
    results: Sequence[SongResult],
    worst: Mapping[str, Sequence[WorstExcerpt]],
    failures: Sequence[tuple[str, str, str]],
) -> str:
    """
    All scores. Utterance SDR and BSSEval stand apart, since they do not compare.

    Args:
        methods: all, in the order of tables.
        results: song by song.
        worst: excerpts by method.
        failures: song, method and what went wrong.
    """
    groups = grouped(results)
    table: dict[str, Any] = {
        "schema": 1,
        "methods": [
            {"name": method.name, "kind": method.kind, "sources": method.sources, "sample_rate": method.sample_rate}
            for method in methods
        ],
        "utterance_sdr": [
            {"method": method, "degraded": degraded, "songs": len(own), "mean": _rounded(overall(own))}
            for (method, degraded), own in groups.items()
        ],
        "silent": silent(results),
        "losses": losses(results),
        "worst": {method: [asdict(excerpt) for excerpt in excerpts] for method, excerpts in worst.items()},
        "failures": [dict(zip(("track", "method", "error"), failure, strict=True)) for failure in failures],
        "songs": [result.to_json() for result in results],
    }
    if any(result.bsseval is not None for result in results):
        table["bsseval"] = [
            {
                "method": method,
                "songs": len(own),
                "median": {metric: _rounded(overall_bsseval(own, metric)) for metric in METRICS},
            }
            for (method, degraded), own in groups.items()
            if degraded is None
        ]
    return json.dumps(table, indent=1) + "\n"


def sdr_csv(results: Sequence[SongResult]) -> str:
    """Utterance SDR, a row for each song, method and source; empty where the source is silent."""
    rows = (
        (result.track, result.degraded or "", result.method, result.kind, source, "" if sdr is None else f"{sdr:.6f}")
        for result in results
        for source, sdr in result.sdr.items()
    )
    return _csv(("track", "degraded", "method", "kind", "source", "utterance_sdr_db"), rows)


def bsseval_csv(results: Sequence[SongResult]) -> str:
    """BSSEval v4, medians over frames, a row for each song, method and source; empty where it is not defined."""
    rows = []
    for result in results:
        for source, scores in (result.bsseval or {}).items():
            values = [None if scores is None else getattr(scores, metric) for metric in METRICS]
            cells = ["" if value is None else f"{value:.6f}" for value in values]
            rows.append((result.track, result.method, result.kind, source, *cells))
    head = [f"bsseval_{metric}_db" for metric in METRICS]
    return _csv(("track", "method", "kind", "source", *head), rows)


def grouped(results: Sequence[SongResult]) -> dict[tuple[str, str | None], list[SongResult]]:
    """By method and degradation."""
    groups: dict[tuple[str, str | None], list[SongResult]] = {}
    for result in results:
        groups.setdefault((result.method, result.degraded), []).append(result)
    return groups


def silent(results: Sequence[SongResult]) -> dict[str, int]:
    """In how many songs each source is silent, and so not scored; sources that never are, are left out."""
    songs = {(result.track, source) for result in results for source, sdr in result.sdr.items() if sdr is None}
    sources = dict.fromkeys(source for result in results for source in result.sdr)
    return {source: count for source in sources if (count := sum(source == other for _, other in songs))}


def losses(results: Sequence[SongResult]) -> list[dict[str, Any]]:
    """What each degradation takes from models and ideal mask, in dB by source, over songs that are scored both ways."""
    table = []
    groups = grouped([result for result in results if result.kind in ("model", "ceiling")])
    for (method, degraded), own in groups.items():
        if degraded is None or (method, None) not in groups:
            continue
        before = {result.track: result.sdr for result in groups[method, None]}
        pairs = [(before[result.track], result.sdr) for result in own if result.track in before]
        loss = {}
        for source in own[0].sdr:
            both = [(one[source], other[source]) for one, other in pairs]
            known = [one - other for one, other in both if one is not None and other is not None]
            loss[source] = mean_sdr(known)
        loss["all"] = mean_sdr(list(loss.values()))
        table.append({"method": method, "degraded": degraded, "songs": len(pairs), "loss": _rounded(loss)})
    return table


def _rounded(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, _DIGITS) for name, value in values.items()}


def _csv(head: Sequence[str], rows: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
