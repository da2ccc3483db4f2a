"""Accuracies and how certain they are: intervals, differences, reliability, coverage."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from utils.figures import style
from utils.figures.style import INK, MAIN, QUIET, Figure, styled


@styled
def difference_forest(table: pd.DataFrame) -> Figure:
    """Draw paired differences with their intervals, one line each, around zero.

    Parameters
    ----------
    table : DataFrame
        From `evaluation.compare_all`: ``difference``, ``low`` and ``high`` (shares, -1 … 1) and
        ``p_holm``; its index, of two levels, names each line "first − second".

    A dot is filled if the interval excludes zero, and empty if it does not.
    """
    figure, ((axes,),) = style.sheet(8.5, 0.44 * len(table) + 1.4)
    axes.axvline(0, color=INK, linewidth=1.2, zorder=0.5)
    rows = 100 * table[["difference", "low", "high"]].to_numpy()
    said = ["{:+.1f}  ({:+.1f} to {:+.1f})".format(*row).replace("-", "−") for row in rows]
    p = ["p < 0.001" if one < 0.001 else f"p = {one:.3f}" for one in table["p_holm"]]
    said = [f"{text}   {one}" for text, one in zip(said, p, strict=True)]
    names = [" − ".join(map(str, name)) for name in table.index]
    looks = [{"filled": low > 0 or high < 0} for _, low, high in rows]
    style.forest(axes, names, rows, said, looks)
    axes.margins(x=0.08)
    note = "p corrected for the number of pairs (Holm)"
    axes.set_xlabel(f"difference in accuracy (points), with its 95% interval;\n{note}")
    return figure


@styled
def reliability(table: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Figure:
    """Draw accuracy against confidence, and how many predictions have each confidence.

    Parameters
    ----------
    table : DataFrame, or mapping of names to DataFrames
        From `evaluation.reliability_table`: low, high, count, confidence, accuracy. Several,
        say before and after a temperature, are drawn side by side on one scale.

    The mean gap shown, weighted by count, is the expected calibration error; the bars at the
    dots are Wilson's 95% intervals.
    """
    from statsmodels.stats.proportion import proportion_confint

    tables = style.several(table, "table")
    shape = {"sharex": True, "sharey": "row", "height_ratios": [3.4, 1]}
    width = 5.6 if len(tables) == 1 else 0.4 + 4.1 * len(tables)
    figure, panels = style.sheet(width, 6.0, 2, len(tables), **shape)
    for (name, one), (upper, lower) in zip(tables.items(), panels.T, strict=True):
        filled = one[one["count"] > 0]
        style.require_some(filled, "reliability table")
        counts, confidence, accuracy = filled["count"], filled["confidence"], filled["accuracy"]
        low, high = proportion_confint((accuracy * counts).round(), counts, method="wilson")
        upper.plot([0, 1], [0, 1], "--", color=QUIET, linewidth=1.3, label="perfectly calibrated")
        upper.vlines(confidence, low, high, color=MAIN, linewidth=2, alpha=0.5)
        upper.plot(confidence, accuracy, "o", color=MAIN, label="measured, with its 95% interval")
        gap = np.average((confidence - accuracy).abs(), weights=counts)
        said = f"mean gap {100 * gap:.1f} points"
        upper.set_title(f"{name}: {said}" if name else said, fontweight="normal")
        upper.grid(axis="y")
        widths = filled["high"] - filled["low"]
        lower.bar(filled["low"] + widths / 2, counts, width=0.94 * widths, color=MAIN)
        lower.set_xlabel("probability of the predicted class (%)")
        lower.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
        lower.grid(axis="y")
    panels[0, 0].set(ylim=(0, 1.02), ylabel="accuracy (% of the bin)")
    panels[0, 0].yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    panels[1, 0].set(xlim=(0, 1), ylabel="predictions")
    style.whole_axis(panels[1, 0].yaxis, 3)
    style.legend_below(figure, panels[0, 0].lines, ncols=min(2, len(tables)))
    figure.align_ylabels()
    return figure


@styled
def coverage_curves(curves: Mapping[str, pd.DataFrame], *, wanted: float) -> Figure:
    """Draw how often a network is right among the pictures it answers, most confident first.

    Parameters
    ----------
    curves : mapping of names to DataFrames
        From `evaluation.coverage_curve`: coverage, answered, accuracy, low, high. For the first,
        the 95% band is drawn (the others' are much the same).
    wanted : float
        An accuracy, 0 … 1, to mark with a horizontal line.

    At the right end, everything is answered: this is the usual accuracy. A curve starts at its
    most confident hundredth, or at 20 answers: before, one mistake is five points or more.
    """
    curves = style.several(curves, "curves")
    figure, ((axes,),) = style.sheet(7.4, 4.8 + 0.1 * len(curves))
    for at, (name, curve) in enumerate(curves.items()):
        look, most = style.look(at), curve["answered"].max()
        # One row is left in any case: all pictures.
        shown = curve[curve["answered"] >= min(max(20, 0.01 * most), most)]
        shown = 100 * shown[["coverage", "accuracy", "low", "high"]]
        if at == 0:
            band = {"color": look["color"], "alpha": 0.15, "linewidth": 0}
            band["label"] = f"{name}: 95% interval"
            axes.fill_between(shown["coverage"], shown["low"], shown["high"], **band)
        label = f"{name}: {shown['accuracy'].iloc[-1]:.1f}% of all"
        axes.plot(shown["coverage"], shown["accuracy"], markevery=[-1], label=label, **look)
    line = {"color": QUIET, "linewidth": 1.3, "linestyle": style.DOTTED}
    axes.axhline(100 * wanted, label=f"target: {wanted:.0%}", **line)
    axes.set(xlabel="coverage: answered, most confident first (% of the pictures)")
    axes.set(xlim=(0, 101), ylabel="accuracy (% of answered)")
    axes.set_ylim(top=min(101.0, axes.get_ylim()[1]))
    axes.grid(axis="y")
    style.legend_below(figure, axes.get_legend_handles_labels()[0], ncols=2)
    return figure
