"""What each mistake is worth: bars from the honest figure up to the claims."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from utils.figures.style import INK, QUIET, Figure, require_some, set_title, styled
from utils.runtime import DataError

#: Kind of a mistake → what the legend says, colour and hatching.
_KINDS = {
    "leak": ("test pictures reach training", "#CC6677", ""),
    "choice": ("the test set chooses", "#DDAA33", "///"),
    "measure": ("something else is measured", "#88CCEE", "..."),
    "combined": ("several at once", "#AA4499", "xx"),
}
_NEEDED = ("title", "kind", "base", "seeds", "figure", "points", "low", "high", "done_right")


@styled
def mistakes_waterfall(
    table: pd.DataFrame, *, claims: Mapping[str, float] | None = None, title: str = ""
) -> Figure:
    """Draw what each mistake adds to the honest figure, a bar each, the largest below.

    Parameters
    ----------
    table : DataFrame
        From `mistakes.table`; or several of them, one below the other (``pandas.concat``): each
        honest row begins a block of bars with its own line.
    claims : mapping of names to percentages, optional
        Figures from elsewhere, marked by thin dotted upright lines.
    title : str

    Returns
    -------
    Figure
        A bar goes from the honest figure to the mean figure with the mistake; at the right
        stand that figure, the difference in points and, where there are two seeds or more, its
        95 % interval, which is also drawn. A diamond marks where the same thing leads when it
        is done after the split. "Several at once" comes last in its block.

    Raises
    ------
    DataError
        When a column is missing, a row's honest figure is not in the table, or there is no
        mistake to draw.
    """
    blocks = _blocks(table)
    claims = dict(sorted((claims or {}).items(), key=lambda claim: claim[1]))
    count = sum(1 + len(rows) for _, rows in blocks)
    figure = Figure(figsize=(11, 0.44 * count + 1.3 + 0.2 * len(claims)))
    axes = figure.subplots()
    names: list[tuple[float, str]] = []
    at = 0
    for base, rows in blocks:
        honest = float(base["figure"])
        axes.vlines(honest, at - 0.4, at + len(rows) + 0.45, color=INK, linewidth=1.6, zorder=2)
        _beside(axes, at, f"{honest:.1f} %", bold=True)
        names.append((at, str(base["title"])))
        for place, (_, row) in enumerate(rows.iterrows(), start=at + 1):
            _bar(axes, row, honest, place)
            names.append((place, textwrap.fill(str(row["title"]), 40)))
        at += 1 + len(rows)
    reached = [value for base, rows in blocks for value in (base["figure"], *rows["figure"])]
    axes.set_xlim(max(0, 10 * np.floor((min(reached) - 4) / 10)), 101)
    axes.set_ylim(at - 0.35, -0.7 - 0.55 * len(claims))
    axes.set_yticks([place for place, _ in names], [name for _, name in names], fontsize=10)
    axes.xaxis.set_major_locator(MultipleLocator(10))
    for level, (name, value) in enumerate(claims.items()):
        axes.axvline(value, color=QUIET, linewidth=1.2, linestyle=(0, (1, 2)), zorder=0.5)
        axes.annotate(
            f"{name} {value:g}",
            (value, -0.75 - 0.55 * (len(claims) - 1 - level)),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9.5,
            color=QUIET,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )
    axes.set_xlabel(
        "figure (%), mean of the seeds; at the right the difference in points, with its "
        "95% interval over the seeds",
        fontsize=9.5,
    )
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    _legend(figure, blocks)
    set_title(figure, title)
    return figure


def _blocks(table: pd.DataFrame) -> list[tuple[pd.Series, pd.DataFrame]]:
    """Part a table into (honest row, its mistakes in the order they are drawn)."""
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise DataError(f"table of mistakes: no column {', '.join(missing)}")
    honest = table.index == table["base"]
    lost = set(table.loc[~honest, "base"]) - set(table.index[honest])
    if lost:
        raise DataError(f"table of mistakes: no row {min(lost)!r}, which others are compared with")
    unknown = set(table.loc[~honest, "kind"]) - set(_KINDS)
    if unknown:
        raise DataError(
            f"table of mistakes: kind {min(unknown)!r}; expected one of {', '.join(_KINDS)}"
        )
    require_some(table[~honest], "mistakes")
    blocks = []
    for name, base in table[honest].iterrows():
        rows = table[~honest & (table["base"] == name)]
        last = rows["kind"] == "combined"
        rows = rows.assign(last=last).sort_values(["last", "figure"], kind="stable")
        if len(rows):
            blocks.append((base, rows))
    return blocks


def _bar(axes: Axes, row: pd.Series, honest: float, place: int) -> None:
    """Draw one mistake, from the honest figure to its own."""
    _, color, hatch = _KINDS[row["kind"]]
    axes.barh(
        place,
        row["figure"] - honest,
        left=honest,
        height=0.66,
        color=color,
        hatch=hatch,
        edgecolor="white",
        linewidth=0,
    )
    text = f"{row['figure']:.1f} %   {row['points']:+.1f}"
    # What the mistake is measured against: the base's mean over the seeds that both have.
    start = row["figure"] - row["points"]
    if np.isfinite(row["low"]):
        axes.errorbar(
            row["figure"],
            place,
            xerr=[[row["points"] - row["low"]], [row["high"] - row["points"]]],
            color=INK,
            capsize=3,
            elinewidth=1.3,
            capthick=1.3,
            zorder=3,
        )
        text += f" ({row['low']:+.1f} to {row['high']:+.1f})"
    if np.isfinite(row["done_right"]):
        axes.plot(
            start + row["done_right"],
            place,
            marker="D",
            markersize=7,
            color="white",
            markeredgecolor=INK,
            zorder=4,
        )
    _beside(axes, place, text)


def _beside(axes: Axes, place: float, text: str, bold: bool = False) -> None:
    """Write a row's numbers at the right of the axes."""
    axes.annotate(
        text,
        (1.01, place),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=9.5,
        fontweight="bold" if bold else "normal",
    )


def _legend(figure: Figure, blocks: list[tuple[pd.Series, pd.DataFrame]]) -> None:
    drawn = pd.concat([rows for _, rows in blocks])
    entries: dict[str, Any] = {"honest figure": Line2D([], [], color=INK, linewidth=1.6)}
    for kind, (label, color, hatch) in _KINDS.items():
        if (drawn["kind"] == kind).any():
            entries[label] = patches.Patch(
                facecolor=color, hatch=hatch, edgecolor="white", linewidth=0
            )
    if np.isfinite(drawn["done_right"].astype(float)).any():
        entries["done after the split"] = Line2D(
            [], [], linestyle="none", marker="D", color="white", markeredgecolor=INK
        )
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=min(3, len(entries)),
    )
