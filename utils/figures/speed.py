"""How much faster, how cost grows with the rows, and how long until so much is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from utils.figures.style import INK, QUIET, WRONG, Figure, require_some, set_title, styled
from utils.runtime import DataError

#: The part whose ratios are shares of the most there is; all others say how many times as fast.
_SHARES = "arithmetic"
_MARKERS = "osD^vPX"
#: Seconds that an axis of times may be marked at.
_CLOCK = [*(1, 2, 5, 10, 20, 30), *(60 * minutes for minutes in (1, 2, 5, 10, 20, 30))]
_CLOCK += [3600 * hours for hours in (1, 2, 4, 8, 12, 24, 48)]
_DASHES = ((0, ()), (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 3)), (0, (1, 1)))


def _require(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a table that is empty or lacks a column."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(f"{what}: found no column {missing[0]!r}, expected {', '.join(columns)}")
    require_some(table, what)


@styled
def speed_ratios(ratios: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw how many times as fast: median, least and most of each comparison, and its aim.

    Parameters
    ----------
    ratios : DataFrame
        From `speed.ratios_table`: "part", "case", "comparison", "low", "median", "high" (above 0),
        "aim" (NaN where there is none).
    title : str

    Returns
    -------
    Figure
        Above, ratios on a logarithmic axis with a line at 1, as fast as the other way. Below, the
        shares of a matrix product's operations that training steps reach, in percent. At the
        right median, least and most are written. An upright stroke is an aim; a point is filled
        where its median reaches it or there is none.

    Raises
    ------
    DataError
        When the table is empty, lacks a column, or holds a ratio that is not above 0.
    """
    _require(ratios, ("part", "case", "comparison", "low", "median", "high", "aim"), "ratios")
    if not (ratios[["low", "median", "high"]].to_numpy(dtype=float) > 0).all():
        raise DataError("ratios: found one that is not above 0")
    share = ratios["part"] == _SHARES
    groups = [
        (some, is_share) for is_share in (False, True) if len(some := ratios[share == is_share])
    ]
    heights = [len(some) + 1.2 for some, _ in groups]
    figure = Figure(figsize=(9, 0.36 * sum(heights) + 1.1))
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights).ravel()
    for axes, (some, is_share) in zip(panels, groups, strict=True):
        _ratio_panel(axes, some, share=is_share)
    if ratios["aim"].notna().any():
        _ratio_legend(panels[0])
    set_title(figure, title)
    return figure


def _ratio_panel(axes: Axes, some: pd.DataFrame, *, share: bool) -> None:
    """Draw a line a comparison, the first at the top."""
    color = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0]
    factor = 100 if share else 1
    names = []
    for place, row in enumerate(some.itertuples()):
        low, median, high, aim = (
            factor * float(value) for value in (row.low, row.median, row.high, row.aim)
        )
        reached = not median < aim
        axes.plot([low, high], [place, place], color=color, linewidth=2.2, zorder=2)
        axes.plot(
            [median],
            [place],
            marker="o",
            markersize=8,
            color=color,
            markerfacecolor=color if reached else "white",
            markeredgewidth=1.8,
            linestyle="none",
            zorder=3,
        )
        if aim == aim:
            ends = [place - 0.38, place + 0.38]
            axes.plot([aim, aim], ends, color=WRONG, linewidth=2.2, zorder=1)
        written = [f"{value:.0f}%" if share else _times(value) for value in (median, low, high)]
        for at, text, weight in (
            (1.02, written[0], "bold"),
            (1.135, f"{written[1]} … {written[2]}", "normal"),
        ):
            axes.text(
                at,
                place,
                text,
                transform=axes.get_yaxis_transform(),
                va="center",
                fontweight=weight,
            )
        names.append(row.case if share else f"{row.case}: {row.comparison}")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    if share:
        axes.set_xlim(0, max(100.0, 1.12 * axes.get_xlim()[1]))
        axes.set_xlabel("operations a second of a training step, in % of a matrix product's")
        return
    axes.set_xscale("log")
    least, most = axes.get_xlim()
    axes.set_xlim(min(0.7, least), 1.6 * most)
    axes.axvline(1, color=INK, linewidth=1.2, zorder=1)
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("times as fast (logarithmic)")


def _times(value: float) -> str:
    """Write a ratio with two digits that count."""
    return f"{value:.0f}×" if value >= 9.95 else f"{value:.1f}×"


def _ratio_legend(axes: Axes) -> None:
    color = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0]
    look = {"color": color, "marker": "o", "markersize": 8, "markeredgewidth": 1.8}
    axes.plot([], [], **look, label="median, least to most")
    axes.plot([], [], **look, markerfacecolor="white", label="short of its aim")
    axes.plot([], [], color=WRONG, marker="|", markersize=13, markeredgewidth=2.2, linestyle="none")
    axes.lines[-1].set_label("aim")
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)


@styled
def growth_curves(points: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw how time and memory grow with the rows, each as a multiple of its smallest size.

    Parameters
    ----------
    points : DataFrame
        From `speed.growth_points`: "task", "rows", "seconds", "megabytes".
    title : str

    Returns
    -------
    Figure
        Both axes logarithmic. The dashed line grows as the rows do; what rises above it grows
        faster. A task whose memory is not known is left out on the right.

    Raises
    ------
    DataError
        When the table is empty or lacks a column.
    """
    _require(points, ("task", "rows", "seconds", "megabytes"), "points")
    figure = Figure(figsize=(10, 5.2))
    panels = figure.subplots(1, 2, sharex=True)
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    first = points["rows"].min()
    factors = np.unique(points["rows"] / first)
    for axes, column, name in zip(
        panels, ("seconds", "megabytes"), ("time", "memory"), strict=True
    ):
        axes.plot(
            factors, factors, color=QUIET, linestyle=(0, (4, 3)), linewidth=1.4, label="as the rows"
        )
        for at, (task, some) in enumerate(points.groupby("task", sort=False)):
            some = some.sort_values("rows")
            cost = some[column].to_numpy(dtype=float)
            if not (cost > 0).all():
                continue
            axes.plot(
                some["rows"] / first,
                cost / cost[0],
                color=cycle[at % len(cycle)],
                linestyle=_DASHES[(at + at // len(cycle)) % len(_DASHES)],
                marker=_MARKERS[at % len(_MARKERS)],
                markersize=7,
                label=task,
            )
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        axes.xaxis.set_major_locator(FixedLocator(factors))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(title=name, xlabel=f"rows, as a multiple of {first:,}")
        axes.grid()
    panels[0].set_ylabel("cost, as a multiple of the smallest size's")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


@styled
def accuracy_by_time(
    curves: Mapping[str, pd.DataFrame], levels: Sequence[float], *, title: str = ""
) -> Figure:
    """Draw the best validation accuracy so far over the time since the start, a line a run.

    Parameters
    ----------
    curves : mapping of names to DataFrames
        From `speed.accuracy_by_time`: "seconds" (above 0), "best" (0 … 1).
    levels : sequence of float
        Accuracies, 0 … 1, that are marked by a line across.
    title : str

    Returns
    -------
    Figure
        Time is logarithmic. A mark stands where a run first reaches a level.

    Raises
    ------
    DataError
        When there is no run, or one lacks a column or an epoch.
    """
    require_some(curves, "curves")
    figure = Figure(figsize=(9.5, 5.2))
    axes = figure.subplots()
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    for level in levels:
        axes.axhline(100 * level, color=QUIET, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        axes.text(
            1.005,
            100 * level,
            f"{100 * level:g}%",
            transform=axes.get_yaxis_transform(),
            va="center",
            color=QUIET,
        )
    for at, (name, table) in enumerate(curves.items()):
        _require(table, ("seconds", "best"), f"curve {name!r}")
        seconds, best = table["seconds"].to_numpy(), 100 * table["best"].to_numpy()
        shares = table["best"].to_numpy()
        reached = [int(np.argmax(shares >= level)) for level in levels if shares[-1] >= level]
        axes.step(
            seconds,
            best,
            where="post",
            color=cycle[at % len(cycle)],
            linestyle=_DASHES[at // len(cycle) % len(_DASHES)],
            marker=_MARKERS[at % len(_MARKERS)],
            markevery=[*reached, len(best) - 1],
            markersize=7,
            markerfacecolor="white",
            markeredgewidth=1.8,
            label=f"{name}: {best[-1]:.1f}%",
            zorder=3,
        )
    axes.set_xscale("log")
    least, most = axes.get_xlim()
    axes.xaxis.set_major_locator(FixedLocator([s for s in _CLOCK if least <= s <= most]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _duration(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="time from the start of training (logarithmic)")
    axes.set_ylabel("best validation accuracy so far (%)")
    axes.grid(axis="x")
    if levels:
        # Further down all runs are beginners.
        axes.set_ylim(bottom=max(axes.get_ylim()[0], 100 * min(levels) - 30))
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(3, len(curves))
    )
    set_title(figure, title)
    return figure


def _duration(seconds: float) -> str:
    """Write seconds as people would."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:g} s"
