"""What is wrong with a data set, what each mistake adds, and claims beside what others report."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from utils.figures import style
from utils.figures.style import INK, MAIN, WRONG, Figure, styled
from utils.runtime import DataError

_SPLITS = {"training": "#BBBBBB", "validation": "#88CCEE", "test": MAIN}
#: Kind of a mistake → what the legend says, and color.
_KINDS = {
    "leak": ("test pictures reach training", "#CC6677"),
    "choice": ("the test set chooses", "#DDAA33"),
    "measure": ("something else is measured", "#88CCEE"),
    "combined": ("several at once", "#AA4499"),
}


@styled
def problem_counts(table: pd.DataFrame) -> Figure:
    """Draw how many pictures of each split have each problem.

    Parameters
    ----------
    table : DataFrame of int
        From `Audit.problems`, its index in words: a column for each of "training", "validation"
        and "test"; without any of these, "all" is drawn. Problems that no picture has stay.
    """
    import seaborn

    style.require_some(table, "table")
    splits = [split for split in _SPLITS if split in table] or [
        one for one in table if one == "all"
    ]
    if not splits:
        raise DataError(f"table: no column {', '.join(_SPLITS)} or all")
    long = table[splits].reset_index(names="problem").melt("problem", var_name="split")
    high = 1.2 + (0.19 * len(splits) + 0.17) * len(table)
    figure, ((axes,),) = style.sheet(8.5, high)
    look = {"hue": "split", "palette": {**_SPLITS, "all": MAIN}, "saturation": 1, "legend": False}
    seaborn.barplot(long, x="value", y="problem", ax=axes, hue_order=splits, **look)
    for bars in axes.containers:
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=10)
    style.name_lines(axes, [textwrap.fill(str(label), 34) for label in table.index])
    axes.set(xlabel="pictures", ylabel="", xlim=(0, 1.12 * max(long["value"].max(), 1)))
    style.whole_axis(axes.xaxis)
    if len(splits) > 1:
        style.legend_below(figure, [Patch(color=_SPLITS[split], label=split) for split in splits])
    return figure


@styled
def best_correlations(
    correlation: np.ndarray,
    exact: np.ndarray,
    *,
    threshold: float = 0.95,
    mirrored: np.ndarray | None = None,
) -> Figure:
    """Draw how well each picture correlates with its nearest, and the threshold of a near copy.

    Parameters
    ----------
    correlation : (m,) float
        Each compared picture's best correlation, -1 … 1; NaN (flat pictures) is left out, and
        counted in the axis's label.
    exact : (m,) bool
        Exact copies: drawn as a bar of their own, right of 1.
    threshold : float
        Marked by a line, with the number of pictures right of it, exact copies included.
    mirrored : (m,) bool, optional
        Whose mirror image correlates best: bars of another color, from the same ground.
    """
    style.require_some(correlation, "correlation")
    style.require_same_length(len(correlation), exact=exact, mirrored=mirrored)
    correlation, exact = np.asarray(correlation, dtype=float), np.asarray(exact, dtype=bool)
    mirrored = np.zeros(len(exact), bool) if mirrored is None else np.asarray(mirrored, dtype=bool)
    drawn = ~exact & ~np.isnan(correlation)
    lowest = min(0.3, float(np.floor(correlation[drawn].min(initial=1) * 20) / 20))
    edges = np.linspace(lowest, 1, round((1 - lowest) / 0.0125) + 1)  # 0.9 and 0.95 are edges
    figure, ((axes,),) = style.sheet(8.5, 4.2)
    bars = {"bins": edges, "rwidth": 0.92}
    counts, *_ = axes.hist(correlation[drawn], color=MAIN, label="pictures", **bars)
    if mirrored.any():
        label = "of these, the mirror image fits better"
        axes.hist(correlation[drawn & mirrored], color="#DDAA33", label=label, **bars)
    width = edges[1] - edges[0]
    if exact.any():
        bar = axes.bar(1 + 2 * width, exact.sum(), 0.92 * width, color=WRONG, label="exact copy")
        axes.bar_label(bar, fmt="{:,.0f}", padding=4, fontweight="bold", color=WRONG)
    axes.axvline(threshold, color=INK, linestyle=style.DASHED, linewidth=1.5)
    found = int((exact | (correlation >= threshold)).sum())
    axes.annotate(
        f"{found:,} of {len(correlation):,}\nat {threshold:g} or more",
        (threshold, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-6, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        fontweight="bold",
    )
    top = max(counts.max(), exact.sum(), 1)
    axes.set(yscale="log", ylim=(0.7, 4 * top), xlim=(lowest, 1 + 3.5 * width))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    flat = int(np.isnan(correlation).sum())
    left_out = f"; {flat:,} flat left out" if flat else ""
    axes.set_xlabel(f"correlation with the nearest picture of training (no unit{left_out})")
    axes.set_ylabel("pictures (logarithmic)")
    axes.grid(axis="y")
    style.legend_below(figure, axes.get_legend_handles_labels()[0])
    return figure


@styled
def mistakes_waterfall(table: pd.DataFrame, *, claims: Mapping[str, float] | None = None) -> Figure:
    """Draw what each mistake adds to the honest figure, a bar each, the largest below.

    Parameters
    ----------
    table : DataFrame
        From `mistakes.table`; or several, one below the other. Columns: title, kind ("leak",
        "choice", "measure" or "combined"), base (the index of the honest row that it is compared
        with; an honest row names itself), figure, points, low, high (of points; NaN with one
        seed) and done_right (points; NaN where there is none), all in percent.
    claims : mapping of names to percentages, optional
        Figures from elsewhere, marked by dotted upright lines.

    Returns
    -------
    Figure
        A bar goes from the honest figure to the mean figure with the mistake; at the right
        stand that figure, the difference in points and its 95 % interval, which is also drawn. A
        diamond marks where the same thing leads when it is done after the split.
    """
    needed = ("title", "kind", "base", "figure", "points", "low", "high", "done_right")
    style.require_columns(table, needed, "table of mistakes")
    honest = table.index == table["base"]
    wrong = table[~honest]
    style.require_some(wrong, "mistakes")
    if lost := set(wrong["base"]) - set(table.index[honest]):
        raise DataError(f"table of mistakes: no row {min(lost)!r}, which others are compared with")
    if unknown := set(wrong["kind"]) - set(_KINDS):
        expected = ", ".join(_KINDS)
        raise DataError(f"table of mistakes: kind {min(unknown)!r}; expected one of {expected}")
    claims = {f"{name} {value:g}": value for name, value in (claims or {}).items()}
    high = 0.46 * len(table) + 1.5 + 0.2 * len(claims)
    figure, ((axes,),) = style.sheet(9.5, high)
    names: list[str] = []
    for name, base in table[honest].iterrows():
        rows = wrong[wrong["base"] == name]
        last = rows["kind"] == "combined"
        rows = rows.assign(last=last).sort_values(["last", "figure"], kind="stable")
        at = len(names)
        axes.vlines(base["figure"], at - 0.4, at + len(rows) + 0.4, color=INK, linewidth=1.6)
        style.beside(axes, at, f"{base['figure']:.1f} %", fontweight="bold")
        for place, row in enumerate(rows.itertuples(), start=at + 1):
            _mistake(axes, place, row, base["figure"])
        names += [textwrap.fill(str(one), 38) for one in (base["title"], *rows["title"])]
    style.name_lines(axes, names)
    axes.set_xlim(max(0, 10 * np.floor((table["figure"].min() - 4) / 10)), 101)
    style.whole_axis(axes.xaxis, 10)
    style.references(axes, claims)
    axes.set_xlabel("figure (%), mean of the seeds; right: the difference in points (95% interval)")
    handles = [Line2D([], [], color=INK, linewidth=1.6, label="honest figure")]
    for kind, (label, color) in _KINDS.items():
        if (wrong["kind"] == kind).any():
            handles.append(Patch(color=color, label=label))
    if wrong["done_right"].notna().any():
        handles.append(Line2D([], [], label="done after the split", **style.mark("D", INK, False)))
    style.legend_below(figure, handles)
    return figure


def _mistake(axes: Axes, place: int, row: tuple, honest: float) -> None:
    """Draw one mistake, from the honest figure to its own."""
    axes.barh(place, row.figure - honest, 0.66, honest, color=_KINDS[row.kind][1])
    text = f"{row.figure:.1f} %   {row.points:+.1f}"
    # What the mistake is measured against: the base's mean over the seeds that both have.
    start = row.figure - row.points
    if np.isfinite(row.low):
        ends = [[row.points - row.low], [row.high - row.points]]
        line = {"color": INK, "capsize": 3, "elinewidth": 1.3, "capthick": 1.3}
        axes.errorbar(row.figure, place, xerr=ends, zorder=3, **line)
        text += f" ({row.low:+.1f} to {row.high:+.1f})".replace("-", "−")
    if np.isfinite(row.done_right):
        axes.plot(start + row.done_right, place, zorder=4, **style.mark("D", INK, False))
    style.beside(axes, place, text)


@styled
def claims_against_reported(
    claims: pd.DataFrame,
    reported: pd.DataFrame,
    *,
    people: tuple[float, float] | None = (65.0, 5.0),
) -> Figure:
    """Draw claims above what has been reported, the highest at the top of its part.

    Parameters
    ----------
    claims : DataFrame
        Index: names; ``accuracy``, ``low``, ``high`` in percent, the latter two NaN where the
        number of test faces is not known.
    reported : DataFrame
        The same, and ``kind`` ("published" or "reproduced"), ``outside_data`` (true, false or
        missing: those with get an asterisk).
    people : (float, float), optional
        How often people agree with the labels, in percent: the middle, and what is left and
        right of it. None draws none.
    """
    columns, kinds = ["accuracy", "low", "high"], {"reproduced": True, "published": False}
    style.require_columns(claims, columns, "claims")
    style.require_columns(reported, [*columns, "kind", "outside_data"], "reported")
    for name, table in (("claims", claims), ("reported", reported)):
        if not table["accuracy"].between(0, 100).all():
            raise DataError(f"{name}: expected accuracies in percent, 0 … 100")
    if unknown := set(reported["kind"]) - set(kinds):
        raise DataError(f"reported: found kind {min(unknown)!r}, expected {' or '.join(kinds)}")
    claims = claims.sort_values("accuracy", ascending=False, kind="stable")
    reported = reported.sort_values("accuracy", ascending=False, kind="stable")
    outside = reported["outside_data"].fillna(False).astype(bool)
    starred = reported.index.where(~outside, reported.index + " *")
    names = [*claims.index, "", *starred]
    figure, ((axes,),) = style.sheet(8.5, 0.36 * len(names) + 1.9)
    named = {}
    if people:
        middle, spread = people
        axes.axvspan(middle - spread, middle + spread, color="#EDEDED", zorder=0)
        named[f"people {middle:.0f} ± {spread:.0f}"] = middle
    reproduced = reported.loc[reported["kind"] == "reproduced", "accuracy"]
    if len(reproduced):
        named[f"best reproduced {reproduced.max():.1f}"] = reproduced.max()
    # An empty line parts them.
    gap = pd.DataFrame([[np.nan] * 3], columns=columns)
    rows = pd.concat([claims[columns], gap, reported[columns]]).to_numpy(float)
    said = ["" if np.isnan(row[0]) else f"{row[0]:.1f}" for row in rows]
    looks = [{"color": WRONG, "marker": "D"}] * (len(claims) + 1)
    looks += [{"filled": kinds[kind]} for kind in reported["kind"]]
    style.forest(axes, names, rows, said, looks)
    axes.axhline(len(claims), color="#CFCFCF", linewidth=0.8)
    style.references(axes, named)
    axes.margins(x=0.06)
    note = "\n* pre-trained on other pictures" if outside.any() else ""
    axes.set_xlabel(f"accuracy (%), with its 95% interval where the faces were counted{note}")
    handles = [Line2D([], [], label="claimed", **style.mark("D", WRONG))]
    for kind, filled in kinds.items():
        handles.append(Line2D([], [], label=kind, **style.mark("o", MAIN, filled)))
    style.legend_below(figure, handles)
    return figure
