"""Networks under strain: faces spoiled by degrees, and faces of another data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from utils.figures.style import (
    INK,
    QUIET,
    Figure,
    color_of,
    require_some,
    set_title,
    show,
    styled,
)
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils.robustness import Strip

#: What `robustness_curves` needs of each table.
CURVE_COLUMNS = ("corruption", "level", "unit", "clean", "accuracy", "low", "high")


@styled
def robustness_curves(
    tables: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    reference: Mapping[str, float] | None = None,
    columns: int = 5,
    title: str = "",
) -> Figure:
    """Draw accuracy against the level of each corruption, a panel a corruption, a line a network.

    Parameters
    ----------
    tables : DataFrame, or mapping of names to DataFrames
        From `robustness.table` or `robustness.curves`, about the same corruptions.
    reference : mapping of names to shares 0 … 1, optional
        Marked by dotted level lines: what naming the commonest class alone would get, say.
    columns : int
        Panels a row.
    title : str

    Returns
    -------
    Figure
        All panels have one scale of accuracy. The clean level has a ring and a thin upright line,
        and stands left where levels go one way from it; bands are 95 % intervals. Where the clean
        level is not 0 (a factor, a size, a quality), levels stand on a logarithmic scale.

    Raises
    ------
    DataError
        When there is no table, a column is missing, or the corruptions differ.
    """
    tables = {"": tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    require_some(tables, "tables")
    for name, table in tables.items():
        missing = set(CURVE_COLUMNS) - set(table.columns)
        if missing or table.empty:
            lacks = f"no column {', '.join(sorted(missing))}" if missing else "no row"
            raise DataError(f"table {name!r} has {lacks}")
    kinds = list(dict.fromkeys(next(iter(tables.values()))["corruption"]))
    if any(list(dict.fromkeys(table["corruption"])) != kinds for table in tables.values()):
        raise DataError("tables: expected the same corruptions in each")
    columns = max(1, min(columns, len(kinds)))
    rows = math.ceil(len(kinds) / columns)
    figure = Figure(figsize=(max(4.2, 2.45 * columns + 0.5), 2.45 * rows + 1.0))
    cells = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for at, kind in enumerate(kinds):
        axes = cells.ravel()[at]
        for place, table in enumerate(tables.values()):
            _curve(axes, table[table["corruption"] == kind], place)
        first = next(iter(tables.values()))
        _level_axis(axes, first[first["corruption"] == kind])
        axes.set_title(kind)
        axes.grid(axis="y")
        for share in (reference or {}).values():
            axes.axhline(100 * share, color=QUIET, linewidth=1.2, linestyle=(0, (1, 2)), zorder=0.5)
    for axes in cells.ravel()[len(kinds) :]:
        axes.set_visible(False)
    for axes in cells[:, 0]:
        axes.set_ylabel("accuracy (%)")
    top = max(table["high"].max() for table in tables.values())
    cells[0, 0].set_ylim(0, min(100.0, 10 * math.ceil(10 * top)))
    handles = [
        Line2D([], [], label=name or "accuracy", **_line(place))
        for place, name in enumerate(tables)
    ]
    handles.append(_clean_mark())
    for name, share in (reference or {}).items():
        label = f"{name} {100 * share:.1f}"
        handles.append(
            Line2D([], [], color=QUIET, linewidth=1.2, linestyle=(0, (1, 2)), label=label)
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))
    set_title(figure, title)
    return figure


def _line(place: int) -> dict[str, Any]:
    """Give each network its colour, its dashes and its mark."""
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    dashes = ((0, ()), (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 3)))
    return {
        "color": cycle[place % len(cycle)],
        "linestyle": dashes[place % len(dashes)],
        "marker": "osD^v"[place % 5],
        "markersize": 4.5,
        "linewidth": 1.6,
    }


def _clean_mark() -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker="o",
        markersize=8,
        markerfacecolor="white",
        markeredgecolor=QUIET,
        markeredgewidth=1.8,
        label="faces as they are",
    )


def _curve(axes: Axes, table: pd.DataFrame, place: int) -> None:
    style = _line(place)
    levels = table["level"].to_numpy(float)
    accuracy, low, high = (100 * table[key].to_numpy(float) for key in ("accuracy", "low", "high"))
    axes.fill_between(levels, low, high, color=style["color"], alpha=0.18, linewidth=0)
    axes.plot(levels, accuracy, **style)
    clean = table["clean"].to_numpy(bool)
    axes.plot(
        levels[clean],
        accuracy[clean],
        linestyle="none",
        marker="o",
        markersize=8,
        markerfacecolor="white",
        markeredgecolor=style["color"],
        markeredgewidth=1.8,
        zorder=3,
        clip_on=False,
    )


def _level_axis(axes: Axes, table: pd.DataFrame) -> None:
    """Put a tick at each level, with its unit below; the clean level left where it is an end."""
    levels = table["level"].to_numpy(float)
    clean = float(levels[table["clean"].to_numpy(bool)][0])
    if clean > 0 and (levels > 0).all():
        axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(levels))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(levels, [f"{level:g}".replace("-", "\N{MINUS SIGN}") for level in levels])
    axes.tick_params(axis="x", labelsize=8 if len(levels) < 7 else 7)
    axes.axvline(clean, color="#C8C8C8", linewidth=0.9, zorder=0.4)
    axes.set_xlabel(table["unit"].iloc[0], fontsize=9)
    if clean == levels.max() and len(levels) > 1:
        axes.invert_xaxis()


@styled
def corruption_examples(strips: Sequence[Strip], *, title: str = "") -> Figure:
    """Show a face at every level of each corruption, a row a corruption, the clean one framed.

    Parameters
    ----------
    strips : sequence of Strip
        From `robustness.examples`.
    title : str
        Over sample faces it says "rendered sample faces".

    Returns
    -------
    Figure
    """
    require_some(strips, "strips")
    columns = max(len(strip.levels) for strip in strips)
    figure = Figure(figsize=(0.92 * columns + 1.75, 1.1 * len(strips) + (0.45 if title else 0.1)))
    cells = figure.subplots(len(strips), columns, squeeze=False)
    for line, strip in zip(cells, strips, strict=True):
        clean = strip.levels.index(strip.corruption.clean)
        # Mildest first, where levels go down from the clean one: as in the curves.
        falling = clean == len(strip.levels) - 1 and clean > 0
        order = range(len(strip.levels))[:: -1 if falling else 1]
        for axes, at in zip(line, order, strict=False):
            show(axes, strip.images[at], edge=INK if at == clean else None, width=2.2)
            axes.set_title(
                f"{strip.levels[at]:g}".replace("-", "\N{MINUS SIGN}"),
                fontsize=9,
                fontweight="bold" if at == clean else "normal",
                loc="center",
                pad=3,
            )
        for axes in line[len(strip.levels) :]:
            axes.set_visible(False)
        line[0].set_ylabel(
            f"$\\bf{{{strip.corruption.name.replace(' ', '~')}}}$\n{strip.corruption.unit}",
            rotation=0,
            ha="right",
            va="center",
            fontsize=9.5,
            labelpad=8,
        )
    set_title(figure, title)
    return figure


@styled
def recall_elsewhere(
    table: pd.DataFrame, *, names: tuple[str, str] = ("home", "away"), title: str = ""
) -> Figure:
    """Draw each class's recall at home and away, joined, a panel a network.

    Parameters
    ----------
    table : DataFrame
        From `robustness.by_class`.
    names : (str, str)
        What the two data sets are called.
    title : str

    Returns
    -------
    Figure
        A filled dot at home, an open diamond away, each with its 95 % interval.

    Raises
    ------
    DataError
        When the table is empty or lacks a column.
    """
    require_some(table, "table")
    needed = {f"{key}_{place}" for key in ("n", "recall") for place in ("home", "away")}
    needed |= {f"recall_{place}_{end}" for place in ("home", "away") for end in ("low", "high")}
    missing = needed - set(table.columns)
    if missing or table.index.names != ["network", "expression"]:
        raise DataError(
            "table: expected the rows and columns of robustness.by_class"
            + (f"; no column {', '.join(sorted(missing))}" if missing else "")
        )
    networks = list(dict.fromkeys(table.index.get_level_values("network")))
    expressions = list(dict.fromkeys(table.index.get_level_values("expression")))
    columns = min(2, len(networks))
    rows = math.ceil(len(networks) / columns)
    height = 0.52 * len(expressions) + 0.7
    figure = Figure(figsize=(4.4 * columns + 1.4, height * rows + 0.9))
    cells = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, network in zip(cells.ravel(), networks, strict=False):
        part = table.loc[network]
        for at, expression in enumerate(expressions):
            _pair(axes, part.loc[expression], at, color_of(expression))
        axes.set_title(network)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
    for axes in cells.ravel()[len(networks) :]:
        axes.set_visible(False)
    first = table.loc[networks[0]]
    labels = [
        f"{name}\nn = {first.loc[name, 'n_home']:,} and {first.loc[name, 'n_away']:,}"
        for name in expressions
    ]
    cells[0, 0].set_yticks(range(len(expressions)), labels, fontsize=9)
    cells[0, 0].set_ylim(len(expressions) - 0.45, -0.55)
    cells[0, 0].set_xlim(-2.5, 102.5)
    for axes in cells[-1]:
        axes.set_xlabel("recall (% of the class), with its 95% interval")
    style = {"linestyle": "none", "color": QUIET, "markersize": 8}
    handles = [
        Line2D([], [], marker="o", label=names[0], **style),
        Line2D([], [], marker="D", markerfacecolor="white", label=names[1], **style),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    set_title(figure, title)
    return figure


def _pair(axes: Axes, row: pd.Series, at: int, color: str) -> None:
    ends = (("home", -0.13, "o", color), ("away", 0.13, "D", "white"))
    points = []
    for place, shift, marker, fill in ends:
        recall = 100 * row[f"recall_{place}"]
        points.append((recall, at + shift))
        if np.isnan(recall):
            continue
        low, high = 100 * row[f"recall_{place}_low"], 100 * row[f"recall_{place}_high"]
        axes.hlines(at + shift, low, high, color=color, linewidth=1.6, alpha=0.55, zorder=1.5)
        axes.plot(
            *points[-1],
            marker=marker,
            markersize=7.5,
            markerfacecolor=fill,
            markeredgecolor=color,
            markeredgewidth=1.8,
            zorder=3,
            clip_on=False,
        )
    axes.plot(*zip(*points, strict=True), color=color, linewidth=1.1, linestyle=(0, (2, 1.5)))
