"""Training epoch by epoch, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, NullLocator

from utils.figures import style
from utils.figures.style import QUIET, Figure, styled

#: Seconds at which a time axis may have ticks.
_CLOCK = {1: "1 s", 3: "3 s", 10: "10 s", 30: "30 s", 60: "1 min", 180: "3 min", 600: "10 min"}
_CLOCK |= {1800: "30 min", 3600: "1 h", 10800: "3 h", 36000: "10 h", 86400: "24 h"}


@styled
def learning_curves(history: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Figure:
    """Draw loss and accuracy by epoch, of training and validation, with the best epoch marked.

    Parameters
    ----------
    history : DataFrame, or mapping of names to DataFrames
        With the columns of ``history.csv``: epoch (from 1), loss, accuracy, val_loss,
        val_accuracy (accuracies 0 … 1). The best epoch has the highest validation accuracy, the
        first among ties.
    """
    histories = style.several(history, "history")
    figure, (panels,) = style.sheet(9.5, 4.3, 1, 2)
    for at, (name, table) in enumerate(histories.items()):
        color, best = style.look(at)["color"], int(table["val_accuracy"].to_numpy().argmax())
        prefix, epochs = f"{name}: " if name else "", table["epoch"].to_numpy()
        chosen = f"best epoch, {epochs[best]}: {table['val_accuracy'].iloc[best]:.1%}"
        for axes, column, factor in ((panels[0], "loss", 1), (panels[1], "accuracy", 100)):
            train, validation = factor * table[column], factor * table[f"val_{column}"]
            axes.plot(epochs, train, "--", color=color, linewidth=1.5, label=f"{prefix}training")
            axes.plot(epochs, validation, color=color, label=f"{prefix}validation")
            ring = style.mark("o", color, False)
            axes.plot(epochs[best], validation.iloc[best], label=prefix + chosen, zorder=3, **ring)
    panels[0].set(title="loss", ylabel="cross-entropy (nats)", ylim=(0, None))
    panels[1].set(title="accuracy", ylabel="accuracy (%)")
    panels[1].set_ylim(top=min(100.0, panels[1].get_ylim()[1]))
    for axes in panels:
        axes.set_xlabel("epoch")
        style.whole_axis(axes.xaxis)
        axes.grid(axis="y")
    # One column per run; a single run's three entries on one line.
    style.legend_below(figure, panels[0].lines, ncols=3 if len(histories) == 1 else len(histories))
    return figure


@styled
def accuracy_by_time(curves: Mapping[str, pd.DataFrame], levels: Sequence[float]) -> Figure:
    """Draw the best validation accuracy so far over the time since the start, one line per run.

    Parameters
    ----------
    curves : mapping of names to DataFrames
        "seconds" (above 0), "best" (0 … 1): one row per epoch.
    levels : sequence of float
        Accuracies, 0 … 1, marked by a horizontal line, and where each curve first reaches one.
    """
    curves = style.several(curves, "curve")
    figure, ((axes,),) = style.sheet(9, 5.0 + 0.1 * len(curves))
    for level in levels:
        axes.axhline(100 * level, color=QUIET, linewidth=1, linestyle=style.DOTTED, zorder=1)
        style.beside(axes, 100 * level, f"{100 * level:g}%", color=QUIET)
    for at, (name, table) in enumerate(curves.items()):
        best = table["best"].to_numpy()
        reached = [int(np.argmax(best >= level)) for level in levels if best[-1] >= level]
        dots = {"markevery": [*reached, len(best) - 1], "markerfacecolor": "white"}
        line = {"where": "post", "label": f"{name}: {best[-1]:.1%}", "markersize": 7}
        axes.step(table["seconds"], 100 * best, zorder=3, **line, **dots, **style.look(at))
    axes.set_xscale("log")
    least, most = axes.get_xlim()
    axes.xaxis.set_major_locator(FixedLocator([one for one in _CLOCK if least <= one <= most]))
    axes.xaxis.set_major_formatter(lambda value, _: _CLOCK.get(round(value), ""))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("time from the start of training (logarithmic)")
    axes.set_ylabel("best validation accuracy so far (%)")
    axes.grid(axis="x")
    # Below that, all runs are just beginning.
    axes.set_ylim(bottom=max(axes.get_ylim()[0], 100 * min(levels, default=0) - 30))
    style.legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure
