"""How sure it is: reliability, accuracy against coverage, the spread of seeds, differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from utils.evaluation import wilson_bounds
from utils.figures.style import INK, QUIET, Figure, require_some, set_title, styled
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils.evaluation import SeedSpread

_BLUE = "#0072B2"


@styled
def reliability(table: pd.DataFrame | Mapping[str, pd.DataFrame], *, title: str = "") -> Figure:
    """Draw how often right against how sure, and how many predictions were so sure.

    Parameters
    ----------
    table : DataFrame, or mapping of names to DataFrames
        From `evaluation.reliability_table`: low, high, count, confidence, accuracy. Several,
        say before and after a temperature, stand side by side on one scale.
    title : str

    Returns
    -------
    Figure
        The mean gap in it, weighted by count, is the expected calibration error.
    """
    tables = {"": table} if isinstance(table, pd.DataFrame) else dict(table)
    require_some(tables, "reliability tables")
    count = len(tables)
    figure = Figure(figsize=(5.6 if count == 1 else 0.4 + 4.1 * count, 6.0))
    panels = figure.subplots(
        2, count, sharex=True, sharey="row", height_ratios=[3.4, 1], squeeze=False
    )
    for (name, one), (upper, lower) in zip(tables.items(), panels.T, strict=True):
        _reliability_panel(upper, lower, one, name)
    panels[0, 0].set(ylim=(0, 1.02), ylabel="right (% of the bin)")
    panels[0, 0].yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    panels[1, 0].set(xlim=(0, 1), ylabel="predictions")
    panels[1, 0].yaxis.set_major_locator(MaxNLocator(3, integer=True))
    panels[1, 0].yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.align_ylabels()
    set_title(figure, title)
    return figure


def _reliability_panel(upper: Axes, lower: Axes, table: pd.DataFrame, name: str) -> None:
    filled = table[table["count"] > 0]
    require_some(filled, "reliability table")
    total = filled["count"].sum()
    gap = float(((filled["confidence"] - filled["accuracy"]).abs() * filled["count"]).sum() / total)
    right = (filled["accuracy"] * filled["count"]).round().astype(int)
    low, high = wilson_bounds(right.to_numpy(), filled["count"].to_numpy())
    upper.plot(
        [0, 1], [0, 1], color=QUIET, linewidth=1.2, linestyle=(0, (4, 3)), label="as sure as right"
    )
    upper.vlines(filled["confidence"], low, high, color=_BLUE, linewidth=2, alpha=0.5)
    upper.plot(
        filled["confidence"],
        filled["accuracy"],
        linestyle="none",
        marker="o",
        markersize=7,
        color=_BLUE,
        label="measured, with its 95% interval",
    )
    said = f"mean gap {100 * gap:.1f} points"
    upper.set_title(f"{name}: {said}" if name else said, fontweight="normal", fontsize=10)
    upper.grid(axis="y")
    widths = filled["high"] - filled["low"]
    lower.bar(filled["low"] + widths / 2, filled["count"], width=0.94 * widths, color=_BLUE)
    lower.set_xlabel("probability of the predicted class (%)")
    lower.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    lower.grid(axis="y")


@styled
def coverage_curves(
    curves: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    wanted: float | None = None,
    title: str = "",
) -> Figure:
    """Draw how often a network is right among the pictures that it answers, the surest first.

    Parameters
    ----------
    curves : DataFrame, or mapping of names to DataFrames
        From `evaluation.coverage_curve`: coverage, answered, accuracy, low, high. Up to about
        five; of the first, the 95 % band is drawn (the others' are much the same).
    wanted : float, optional
        An accuracy, 0 … 1, to be marked by a line across.
    title : str

    Returns
    -------
    Figure
        At the right end everything is answered: there stands the usual accuracy. A curve begins
        at its surest hundredth, or at 20 answers: before that, one mistake is five points.
    """
    curves = {"": curves} if isinstance(curves, pd.DataFrame) else dict(curves)
    require_some(curves, "curves")
    figure = Figure(figsize=(7.4, 4.6))
    axes = figure.subplots()
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    dashes = ((0, ()), (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 3)))
    for at, (name, curve) in enumerate(curves.items()):
        color = cycle[at % len(cycle)]
        # One row is left in any case: all pictures.
        least = min(max(20, 0.01 * curve["answered"].max()), curve["answered"].max())
        shown = curve[curve["answered"] >= least]
        coverage = 100 * shown["coverage"].to_numpy()
        if at == 0:
            band = f"{name}: 95% interval" if name else "95% interval"
            low, high = 100 * shown["low"], 100 * shown["high"]
            axes.fill_between(coverage, low, high, color=color, alpha=0.15, linewidth=0, label=band)
        everything = shown["accuracy"].iloc[-1]
        axes.plot(
            coverage,
            100 * shown["accuracy"],
            color=color,
            linestyle=dashes[at % len(dashes)],
            label=f"{name}: {everything:.1%} of all" if name else f"{everything:.1%} of all",
        )
        axes.plot(100, 100 * everything, marker="o", markersize=7, color=color, clip_on=False)
    if wanted is not None:
        axes.axhline(100 * wanted, color=QUIET, linewidth=1.2, linestyle=(0, (1, 2)), zorder=0.5)
        axes.annotate(
            f"wanted: {wanted:.0%}",
            (0, 100 * wanted),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=9,
            color=QUIET,
        )
    axes.set(
        xlim=(0, 100),
        xlabel="coverage: answered, the surest first (% of the pictures)",
        ylabel="right (% of the answered)",
    )
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, min(101.0, top))
    axes.grid(axis="y")
    axes.legend(loc="lower left")
    set_title(figure, title)
    return figure


@styled
def seed_spread(spreads: Mapping[str, SeedSpread], *, title: str = "") -> Figure:
    """Draw every seed's accuracy, and the mean with its interval, a line a training.

    Parameters
    ----------
    spreads : mapping of names to `evaluation.SeedSpread`
    title : str

    Returns
    -------
    Figure
        A dot a seed; a diamond with a bar, the mean and its 95 % t interval; behind them in
        grey, the 95 % interval that a single accuracy has because the test set is no larger.

    Raises
    ------
    DataError
        When there is none.
    """
    require_some(spreads, "spreads")
    count = len(spreads)
    figure = Figure(figsize=(8, 0.95 * count + 1.5))
    axes = figure.subplots()
    color = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0]
    for place, spread in enumerate(spreads.values()):
        first = place == 0
        mean, half = 100 * spread.mean, 196 * spread.test_set_error
        axes.barh(
            place,
            2 * half,
            left=mean - half,
            height=0.5,
            color="#E9E9E9",
            label="one accuracy's 95% interval at this test set's size" if first else None,
        )
        accuracies = 100 * np.array(spread.accuracies)
        # Equal seeds lie beside each other, the same on every machine: no random jitter.
        heights = place + 0.16 + 0.06 * (np.arange(len(accuracies)) % 2)
        axes.plot(
            accuracies,
            heights,
            linestyle="none",
            marker="o",
            markersize=7,
            markerfacecolor="white",
            markeredgecolor=color,
            markeredgewidth=1.6,
            label="a seed" if first else None,
        )
        low, high = (100 * end for end in spread.interval)
        axes.errorbar(
            mean,
            place - 0.1,
            xerr=[[mean - low], [high - mean]],
            marker="D",
            markersize=8,
            capsize=5,
            color=color,
            elinewidth=2,
            capthick=2,
            linestyle="none",
            label="the mean over seeds, with its 95% interval" if first else None,
        )
        axes.annotate(
            f"{mean:.1f}  ({low:.1f} to {high:.1f})",
            (mean, place - 0.26),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=9.5,
        )
    names = [f"{name}\n{len(one.accuracies)} seeds" for name, one in spreads.items()]
    axes.set_yticks(range(count), names, fontsize=10.5)
    axes.use_sticky_edges = False  # a bar's ends stick to the frame by default
    axes.margins(x=0.08)
    axes.set_ylim(count - 0.5, -0.7)
    axes.set(xlabel="accuracy (%)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    figure.legend(loc="outside lower center", ncols=2)
    set_title(figure, title)
    return figure


@styled
def difference_forest(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw paired differences with their intervals, a line each, around zero.

    Parameters
    ----------
    table : DataFrame
        From `evaluation.compare_all`, or any with its columns ``difference``, ``low`` and
        ``high`` (shares, -1 … 1) and, if it has them, ``p_holm``. Its index names each line; of
        an index with two levels, "first − second".
    title : str

    Returns
    -------
    Figure
        A filled dot where the interval leaves zero out, an empty one where it does not.

    Raises
    ------
    DataError
        When a column is missing, or there is no row.
    """
    missing = {"difference", "low", "high"} - set(table.columns)
    if missing:
        raise DataError(f"differences: no column {', '.join(sorted(missing))}")
    require_some(table, "differences")
    names = [
        " − ".join(str(part) for part in name) if isinstance(name, tuple) else str(name)
        for name in table.index
    ]
    count = len(table)
    figure = Figure(figsize=(8, 0.46 * count + 1.3))
    axes = figure.subplots()
    color = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0]
    axes.axvline(0, color=INK, linewidth=1.2, zorder=0.5)
    corrected = "p_holm" in table.columns
    for place, row in enumerate(table.itertuples()):
        value, low, high = 100 * row.difference, 100 * row.low, 100 * row.high
        clear = low > 0 or high < 0
        axes.errorbar(
            value,
            place,
            xerr=[[value - low], [high - value]],
            marker="o",
            markersize=8,
            markerfacecolor=color if clear else "white",
            markeredgecolor=color,
            markeredgewidth=1.8,
            capsize=5,
            color=color,
            elinewidth=2,
            capthick=2,
            linestyle="none",
        )
        said = f"{value:+.1f}  ({low:+.1f} to {high:+.1f})".replace("-", "−")
        if corrected:
            said += f"   {_p_value(row.p_holm)}"
        axes.annotate(
            said,
            (1.02, place),
            xycoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=9.5,
            color=INK if clear else QUIET,
            annotation_clip=False,
        )
    axes.set_yticks(range(count), names, fontsize=10)
    axes.set_ylim(count - 0.4, -0.6)
    axes.margins(x=0.08)
    says = "difference in accuracy (points), with its 95% interval"
    axes.set(xlabel=says + ("; p corrected for the number of pairs" if corrected else ""))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    set_title(figure, title)
    return figure


def _p_value(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
