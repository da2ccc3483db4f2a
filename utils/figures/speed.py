"""How much faster, how cost grows with the rows, and how long until so much is known."""

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
    shape = {"height_ratios": heights}
    figure, panels = style.sheet(9, 0.38 * sum(heights) + 1.1, len(groups), 1, **shape)
    for axes, (is_share, some) in zip(panels[:, 0], groups, strict=True):
        factor = 100 if is_share else 1
        rows, aims = factor * some[["median", "low", "high"]].to_numpy(), factor * some["aim"]
        text = [[f"{one:.0f}%" if is_share else _times(one) for one in row] for row in rows]
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
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("times as fast (logarithmic)")
    handles = [Line2D([], [], label="median, least to most", **style.mark("o", style.MAIN))]
    if ratios["aim"].notna().any():
        short = style.mark("o", style.MAIN, False)
        handles.append(Line2D([], [], label="short of its aim", **short))
        handles.append(Line2D([], [], label="aim", **style.mark("|", WRONG)))
    style.legend_below(figure, handles)
    return figure


def _times(value: float) -> str:
    """Write a ratio with two digits that count."""
    return f"{value:.0f}×" if value >= 9.95 else f"{value:.1f}×"


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
    known = {"time": "seconds", "memory": "megabytes"}
    for axes, (name, column) in zip(panels, known.items(), strict=True):
        plain = {"color": QUIET, "linestyle": style.DASHED, "linewidth": 1.5}
        axes.plot(factors, factors, label="as the rows", **plain)
        for at, (task, some) in enumerate(points.groupby("task", sort=False)):
            some = some.sort_values("rows")
            if (some[column] > 0).all():
                cost = some[column] / some[column].iloc[0]
                axes.plot(some["rows"] / first, cost, label=task, **style.look(at))
        axes.set(xscale="log", yscale="log", title=name)
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
        style.beside(axes, 100 * level, f"{100 * level:g}%", 1.01, color=QUIET)
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
    if levels:
        # Further down all runs are beginners.
        axes.set_ylim(bottom=max(axes.get_ylim()[0], 100 * min(levels) - 30))
    style.legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure
