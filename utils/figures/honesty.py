"""What each mistake adds to an honest figure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from utils.figures import style
from utils.figures.style import INK, Figure, styled

_SEED = {**style.mark("o", INK, False), "markersize": 5, "markeredgewidth": 1.2}
#: Kind of a mistake → what the legend says, and color.
_KINDS = {
    "leak": ("test pictures reach training", "#CC6677"),
    "choice": ("chosen on the test set", "#DDAA33"),
    "measure": ("something else is measured", "#88CCEE"),
    "combined": ("several at once", "#AA4499"),
}


@styled
def mistakes_waterfall(table: pd.DataFrame, *, claims: Mapping[str, float] | None = None) -> Figure:
    """Draw what each mistake adds to the honest figure, one bar each, the largest at the bottom.

    Parameters
    ----------
    table : DataFrame
        From `mistakes.table`. Columns: title, kind ("leak", "choice", "measure" or "combined"),
        base (the index of the honest row that it is compared with; an honest row names itself),
        figure, points, each (the seeds' figures) and done_right (points; NaN if there is none),
        all in percent.
    claims : mapping of names to percentages, optional
        Figures from elsewhere, marked by dotted vertical lines.

    A bar goes from the honest figure to the mean figure with the mistake, and a dot marks each
    seed: an interval from three seeds would run past 100%. At the right are the mean and the
    difference in points. A diamond marks the result of the same thing done after the split.
    """
    honest = table.index == table["base"]
    wrong = table[~honest]
    style.require_some(wrong, "mistakes")
    claims = {f"{name} {value:g}": value for name, value in (claims or {}).items()}
    figure, ((axes,),) = style.sheet(9.5, 0.46 * len(table) + 1.5 + 0.2 * len(claims))
    names: list[str] = []
    for name, base in table[honest].iterrows():
        rows = wrong[wrong["base"] == name]
        last = rows["kind"] == "combined"
        rows = rows.assign(last=last).sort_values(["last", "figure"], kind="stable")
        at = len(names)
        axes.vlines(base["figure"], at - 0.4, at + len(rows) + 0.4, color=INK, linewidth=1.6)
        style.beside(axes, at, f"{base['figure']:.1f}%", fontweight="bold")
        axes.plot(base["each"], [at] * len(base["each"]), **_SEED)
        for place, row in enumerate(rows.itertuples(), start=at + 1):
            _mistake(axes, place, row, base["figure"])
        names += [textwrap.fill(str(one), 38) for one in (base["title"], *rows["title"])]
    style.name_lines(axes, names)
    axes.set_xlim(max(0, 10 * np.floor((table["figure"].min() - 4) / 10)), 101)
    style.whole_axis(axes.xaxis, 10)
    style.references(axes, claims)
    axes.set_xlabel("figure (%), mean of the seeds; right: the mean, and the difference in points")
    handles = [Line2D([], [], color=INK, linewidth=1.6, label="honest figure")]
    handles.append(Line2D([], [], label="one seed", **_SEED))
    used = [_KINDS[kind] for kind in _KINDS if kind in set(wrong["kind"])]
    handles += [Patch(color=color, label=label) for label, color in used]
    if wrong["done_right"].notna().any():
        handles.append(Line2D([], [], label="done after the split", **style.mark("D", INK, False)))
    style.legend_below(figure, handles)
    return figure


def _mistake(axes: Axes, place: int, row: tuple, honest: float) -> None:
    """Draw one mistake, from the honest figure to its own."""
    axes.barh(place, row.figure - honest, 0.66, honest, color=_KINDS[row.kind][1])
    text = f"{row.figure:.1f}%   {row.points:+.1f}".replace("-", "−")
    # What the mistake is measured against: the base's mean over the seeds that both have.
    start = row.figure - row.points
    axes.plot(row.each, [place] * len(row.each), zorder=3, **_SEED)
    if np.isfinite(row.done_right):
        axes.plot(start + row.done_right, place, zorder=4, **style.mark("D", INK, False))
    style.beside(axes, place, text)
