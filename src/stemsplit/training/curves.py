"""Losses and SDR over the epochs of a run, as a picture. matplotlib is imported here and nowhere else."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any


def curves(entries: Sequence[Mapping[str, Any]]) -> bytes:
    """
    The metrics of a run's epochs, in order, as a PNG.

    Raises:
        ImportError: without matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 7), layout="constrained")
    FigureCanvasAgg(figure)
    losses, ratios = figure.subplots(2, 1, sharex=True)
    epochs = [entry["epoch"] for entry in entries]
    mark = "." if len(epochs) < 50 else ""
    losses.plot(epochs, [entry["train_loss"] for entry in entries], label="training", color="black", marker=mark)
    for name in entries[-1]["valid"]:
        losses.plot(
            epochs, [entry["valid"][name]["loss"] for entry in entries], label=f"validation, {name}", marker=mark
        )
    losses.set_ylabel("L1 loss")
    best = [entry["valid"][entry["best"]]["sdr"] for entry in entries]
    for source in best[-1]:
        values = [float("nan") if sdr[source] is None else sdr[source] for sdr in best]
        (line,) = ratios.plot(epochs, values, label=source, marker=mark)
        gain = entries[-1]["valid"][entries[-1]["best"]]["gain_sdr"][source]
        if gain is not None:
            ratios.axhline(gain, color=line.get_color(), linestyle=":", linewidth=1)
    ratios.set_ylabel("validation SDR (dB; dotted: best gain)")
    ratios.set_xlabel("epoch")
    ratios.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (losses, ratios):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()
