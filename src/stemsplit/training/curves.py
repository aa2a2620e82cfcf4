"""Losses and SDR over the epochs of a run, as a picture. matplotlib is imported here and nowhere else."""

from collections.abc import Sequence
from io import BytesIO

from stemsplit.training.epoch import Epoch


def curves(epochs: Sequence[Epoch]) -> bytes:
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
    numbers = [epoch.epoch for epoch in epochs]
    mark = "." if len(numbers) < 50 else ""
    losses.plot(numbers, [epoch.train_loss for epoch in epochs], label="training", color="black", marker=mark)
    for name in epochs[-1].valid:
        values = [epoch.valid[name].loss for epoch in epochs]
        losses.plot(numbers, values, label=f"validation, {name}", marker=mark)
    losses.set_ylabel("L1 loss")
    for source, gain in epochs[-1].validation.gain_sdr.items():
        found = [epoch.validation.sdr[source] for epoch in epochs]
        values = [float("nan") if sdr is None else sdr for sdr in found]
        (line,) = ratios.plot(numbers, values, label=source, marker=mark)
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
