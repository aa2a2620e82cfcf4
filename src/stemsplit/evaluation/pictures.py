"""Scores as pictures: all songs of an evaluation, and the course of one song."""

import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from stemsplit.evaluation.evaluate import SongResult

_NAMED_SONGS = 40  # more names than that cannot be read
_LOWEST, _HIGHEST = -10.0, 25.0  # dB, of the course of a song
_HEARD = -60.0  # dBFS
_LONGEST_NAME = 28
_GREYS = {"ideal mask": "0.35", "best gain": "0.55", "mixture": "0.75"}
_STYLES = {"model": "o-", "estimates": "s-", "ceiling": "^:", "floor": "v:"}


def by_song(results: Sequence[SongResult]) -> bytes:
    """
    Utterance SDR of every song, a panel for each source, as a PNG.

    Raises:
        ImportError: without matplotlib.
    """
    songs = list(dict.fromkeys(result.track for result in results))
    sources = list(dict.fromkeys(source for result in results for source in result.sdr))
    figure = _figure(max(8.0, 3.0 + 0.28 * min(len(songs), 100)), 1.2 + 2.0 * len(sources))
    panels = figure.subplots(len(sources), 1, sharex=True, squeeze=False)[:, 0]
    for panel, source in zip(panels, sources, strict=True):
        for index, (method, own) in enumerate(_by_method(results).items()):
            scored = {result.track: result.sdr.get(source) for result in own}
            values = [scored.get(song) for song in songs]
            heights = [float("nan") if value is None else value for value in values]
            panel.plot(range(len(songs)), heights, label=_plain(method), **{**_look(own[0], index), "linestyle": ""})
        panel.set_title(_plain(source), loc="left", fontsize="medium")
        panel.set_ylabel("SDR (dB)")
        panel.grid(alpha=0.3)
    panels[-1].set_xticks(range(len(songs)) if len(songs) <= _NAMED_SONGS else [])
    if len(songs) <= _NAMED_SONGS:
        panels[-1].set_xticklabels([_short(song) for song in songs], rotation=60, ha="right", fontsize="small")
    else:
        panels[-1].set_xlabel(f"{len(songs)} songs")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize="small")
    return _png(figure)


def along_song(results: Sequence[SongResult]) -> bytes:
    """
    Utterance SDR of one song second by second, a panel for each source, as a PNG; grey where the source is not heard.

    Args:
        results: of one song, by method.

    Raises:
        ImportError: without matplotlib.
    """
    sources = list(dict.fromkeys(source for result in results for source in result.sdr))
    figure = _figure(10.0, 1.2 + 1.7 * len(sources))
    panels = figure.subplots(len(sources), 1, sharex=True, squeeze=False)[:, 0]
    for panel, source in zip(panels, sources, strict=True):
        for index, (method, own) in enumerate(_by_method(results).items()):
            result = own[0]
            if source not in result.sdr:
                continue
            levels = result.level_by_second[source]
            heard = [level > _HEARD for level in levels]
            pairs = zip(result.sdr_by_second[source], heard, strict=True)
            heights = [min(max(sdr, _LOWEST), _HIGHEST) if is_heard else float("nan") for sdr, is_heard in pairs]
            centres = [second + 0.5 for second in range(len(heights))]
            panel.plot(
                centres, heights, label=_plain(method), **{**_look(result, index), "markersize": 2, "linestyle": "-"}
            )
            if index == 0:
                quiet = [(second, 1) for second, is_heard in enumerate(heard) if not is_heard]
                panel.broken_barh(quiet, (_LOWEST - 1, _HIGHEST - _LOWEST + 2), color="0.88", linewidth=0)
        panel.set_title(_plain(source), loc="left", fontsize="medium")
        panel.set_ylabel("SDR (dB)")
        panel.set_ylim(_LOWEST - 1, _HIGHEST + 1)
        panel.grid(alpha=0.3)
    panels[-1].set_xlabel("seconds; grey: the source is not heard")
    panels[-1].set_xlim(0, max(1, max(len(row) for row in results[0].level_by_second.values())))
    figure.suptitle(_plain(results[0].track), fontsize="medium")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize="small")
    return _png(figure)


def _by_method(results: Sequence[SongResult]) -> dict[str, list[SongResult]]:
    """Floors and ceiling come last."""
    ordered = sorted(results, key=lambda result: result.kind not in ("model", "estimates"))
    found: dict[str, list[SongResult]] = {}
    for result in ordered:
        found.setdefault(result.method, []).append(result)
    return found


def _look(result: SongResult, index: int) -> dict[str, Any]:
    style = _STYLES[result.kind]
    grey = next((grey for name, grey in _GREYS.items() if result.method.startswith(name)), None)
    is_plain = result.kind in ("ceiling", "floor")
    return {
        "marker": style[0],
        "linestyle": style[1:],
        "markersize": 4,
        "linewidth": 0.8 if is_plain else 1.3,
        "color": grey if is_plain else f"C{index}",
    }


def _short(song: str) -> str:
    name = song.rsplit("/", 1)[-1]
    return _plain(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}")


def _plain(text: str) -> str:
    """A name as it is drawn: dollars begin no formula, what is no text is a mark, and no label is hidden (by _)."""
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text).replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{shown}" if shown.startswith("_") else shown


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    picture = BytesIO()
    with _undisturbed(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a name in letters that the font does not have
        figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals wait, which matplotlib's callbacks would swallow."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
