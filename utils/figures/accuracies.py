"""Accuracy against confidence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from utils.figures import style
from utils.figures.style import MAIN, QUIET, Figure, styled


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
