"""What training came to epoch by epoch, and how long things take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

from utils.figures import style
from utils.figures.style import INK, QUIET, WRONG, Figure, styled
from utils.runtime import DataError

#: Seconds that an axis of times may be marked at.
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
        first of equals.
    """
    needed = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    histories = style.several(history, needed, "history")
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
    # A column a run; a single run's three entries in one line.
    style.legend_below(figure, panels[0].lines, ncols=3 if len(histories) == 1 else len(histories))
    return figure


@styled
def speed_ratios(ratios: pd.DataFrame) -> Figure:
    """Draw how many times as fast: median, least and most of each comparison, and its aim.

    Parameters
    ----------
    ratios : DataFrame
        "part", "case", "comparison", "low", "median", "high" (above 0), "aim" (NaN where there is
        none). Rows of the part "arithmetic" are shares of a matrix product's operations per
        second; they get a panel of their own, in percent.
    """
    needed = ("part", "case", "comparison", "low", "median", "high", "aim")
    style.require_columns(ratios, needed, "ratios")
    if not (ratios[["low", "median", "high"]].to_numpy(dtype=float) > 0).all():
        raise DataError("ratios: found one that is not above 0")
    share = ratios["part"] == "arithmetic"
    groups = [(one, some) for one in (False, True) if len(some := ratios[share == one])]
    heights = [len(some) + 1.2 for _, some in groups]
    high = 0.38 * sum(heights) + 1.1
    figure, panels = style.sheet(9, high, len(groups), 1, height_ratios=heights)
    for axes, (is_share, some) in zip(panels[:, 0], groups, strict=True):
        factor = 100 if is_share else 1
        rows, aims = factor * some[["median", "low", "high"]].to_numpy(), factor * some["aim"]
        unit = "%" if is_share else "×"
        text = [[f"{x:.{int(x < 9.95 and not is_share)}f}{unit}" for x in row] for row in rows]
        names = some["case"] if is_share else some["case"] + ": " + some["comparison"]
        looks = [{"filled": not row[0] < aim} for row, aim in zip(rows, aims, strict=True)]
        style.forest(axes, names, rows, [""] * len(rows), looks)
        for place, (median, low, high) in enumerate(text):
            style.beside(axes, place, median, fontweight="bold")
            style.beside(axes, place, f"{low} … {high}", 58)
        axes.plot(aims, range(len(aims)), zorder=1, **style.mark("|", WRONG) | {"markersize": 16})
        if is_share:
            axes.set_xlim(0, max(100.0, 1.12 * axes.get_xlim()[1]))
            axes.set_xlabel("operations a second of a training step, in % of a matrix product's")
            continue
        axes.set_xscale("log")
        axes.set_xlim(min(0.7, axes.get_xlim()[0]), 1.6 * axes.get_xlim()[1])
        axes.axvline(1, color=INK, linewidth=1.2, zorder=1)
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 3)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("times as fast (logarithmic)")
    marks = {"median, least to most": style.mark()}
    if ratios["aim"].notna().any():
        marks |= {"short of its aim": style.mark(filled=False), "aim": style.mark("|", WRONG)}
    handles = [Line2D([], [], label=label, **one) for label, one in marks.items()]
    style.legend_below(figure, handles)
    return figure


@styled
def growth_curves(points: pd.DataFrame) -> Figure:
    """Draw how time and memory grow with the rows, each as a multiple of its smallest size.

    Parameters
    ----------
    points : DataFrame
        "task", "rows", "seconds", "megabytes". Both axes are logarithmic; what rises above the
        dashed line grows faster than the rows. A task whose memory is not known is left out on
        the right.
    """
    style.require_columns(points, ("task", "rows", "seconds", "megabytes"), "points")
    figure, (panels,) = style.sheet(9.5, 5.4, 1, 2, sharex=True)
    first = points["rows"].min()
    factors = np.unique(points["rows"] / first)
    for axes, column in zip(panels, ("seconds", "megabytes"), strict=True):
        axes.plot(factors, factors, color=QUIET, linestyle=style.DASHED, label="as the rows")
        for at, (task, some) in enumerate(points.groupby("task", sort=False)):
            some = some.sort_values("rows")
            if (some[column] > 0).all():
                cost = some[column] / some[column].iloc[0]
                axes.plot(some["rows"] / first, cost, label=task, **style.look(at))
        axes.set(xscale="log", yscale="log", title="time" if column == "seconds" else "memory")
        axes.set_xlabel(f"rows, as a multiple of {first:,}")
        axes.xaxis.set_major_locator(FixedLocator(factors))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(2))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}×")
            axis.set_minor_formatter(NullFormatter())
        axes.grid()
    panels[0].set_ylabel("cost, as a multiple of the smallest size's")
    style.legend_below(figure, panels[0].lines)
    return figure


@styled
def accuracy_by_time(curves: Mapping[str, pd.DataFrame], levels: Sequence[float]) -> Figure:
    """Draw the best validation accuracy so far over the time since the start, a line a run.

    Parameters
    ----------
    curves : mapping of names to DataFrames
        "seconds" (above 0), "best" (0 … 1): a row an epoch.
    levels : sequence of float
        Accuracies, 0 … 1, marked by a line across, and on each curve where it first reaches one.
    """
    curves = style.several(curves, ("seconds", "best"), "curve")
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
    # Further down all runs are beginners.
    axes.set_ylim(bottom=max(axes.get_ylim()[0], 100 * min(levels, default=0) - 30))
    style.legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure
