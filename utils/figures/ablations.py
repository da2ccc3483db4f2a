"""What each ingredient of a recipe gives: a dot a line, around the whole recipe."""

from __future__ import annotations

import textwrap

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from utils.figures.style import INK, QUIET, Figure, require_some, set_title, styled
from utils.runtime import DataError

_NEEDED = ("title", "seeds", "accuracy", "points", "low", "high")
#: The line that the others are compared with, as `ablation.RECIPE`.
_WHOLE = "recipe"
#: What an interval may take of the axis beyond the farthest dot, as a multiple of its distance:
#: two seeds have intervals so wide that nothing else could be seen.
_ROOM = 1.5


@styled
def ablation(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw what each change to a recipe costs, the largest loss at the top.

    Parameters
    ----------
    table : DataFrame
        From `ablation.table`: a row "recipe", and one a change to it.
    title : str

    Returns
    -------
    Figure
        The upright line at zero is the whole recipe. A filled dot where the 95 % interval over
        the seeds leaves zero out, an empty one where it does not, an empty diamond where one
        seed has no interval. An interval that leaves the axis ends in an arrow; its numbers
        stand at the right.

    Raises
    ------
    DataError
        When a column or the row "recipe" is missing, or there is no change to draw.
    """
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise DataError(f"table of an ablation: no column {', '.join(missing)}")
    if _WHOLE not in table.index:
        raise DataError(f"table of an ablation: no row {_WHOLE!r}, which others are compared with")
    rows = table.drop(index=_WHOLE).sort_values("points", kind="stable")
    require_some(rows, "changes to a recipe")
    left, right = _limits(rows)
    figure = Figure(figsize=(9, 0.4 * len(rows) + 1.9))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=1.4, zorder=0.5)
    for place, (_, row) in enumerate(rows.iterrows()):
        _dot(axes, place, row, left, right)
    names = [textwrap.fill(str(name), 36) for name in rows["title"]]
    axes.set_yticks(range(len(rows)), names, fontsize=10)
    axes.set_ylim(len(rows) - 0.4, -1.3)
    axes.set_xlim(left, right)
    whole = table.loc[_WHOLE]
    axes.annotate(
        f"{whole['title']}: {whole['accuracy']:.1f} %",
        (0, -0.85),
        ha="center",
        va="center",
        fontsize=10,
        bbox={"boxstyle": "square,pad=0.2", "facecolor": "white", "edgecolor": "none"},
    )
    axes.set_xlabel(
        "difference in validation accuracy (points); at the right with its\n"
        "95% interval over the seeds",
        fontsize=10,
    )
    axes.tick_params(axis="y", length=0, pad=9)
    axes.grid(axis="x")
    _legend(figure, rows)
    set_title(figure, title)
    return figure


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the axis: all dots, zero, and the intervals as far as there is room."""
    points = rows["points"].to_numpy(float)
    room = _ROOM * max(0.5, float(np.abs(points).max()))
    ends = np.concatenate([points, rows["low"], rows["high"], [0.0]]).astype(float)
    ends = np.clip(ends[np.isfinite(ends)], points.min(initial=0) - room, points.max() + room)
    margin = 0.06 * max(1.0, float(np.ptp(ends)))
    return float(ends.min()) - margin, float(ends.max()) + margin


def _state(row: pd.Series) -> str:
    """Say whether a row's interval leaves zero out ("clear"), does not ("open"), or is none."""
    if not np.isfinite(row["low"]):
        return "none"
    return "clear" if row["low"] > 0 or row["high"] < 0 else "open"


def _dot(axes: Axes, place: int, row: pd.Series, left: float, right: float) -> None:
    """Draw one change with its interval, and write its numbers at the right."""
    color = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0]
    state = _state(row)
    text = f"{row['points']:+.1f}"
    if state != "none":
        low, high = max(row["low"], left), min(row["high"], right)
        axes.hlines(place, low, high, color=color, linewidth=2, zorder=2)
        ends = ((row["low"], low, "<"), (row["high"], high, ">"))
        for end, shown, arrow in ends:
            axes.plot(
                shown,
                place,
                marker="|" if end == shown else arrow,
                markersize=9 if end == shown else 8,
                markeredgewidth=2 if end == shown else 0,
                color=color,
                clip_on=False,
                zorder=2,
            )
        text += f"  ({row['low']:+.1f} to {row['high']:+.1f})"
    axes.plot(row["points"], place, zorder=3, **_marker(state, color))
    axes.annotate(
        text.replace("-", "−"),
        (1.03, place),
        xycoords=axes.get_yaxis_transform(),
        va="center",
        fontsize=9.5,
        color=INK if state == "clear" else QUIET,
        annotation_clip=False,
    )


def _marker(state: str, color: str) -> dict[str, object]:
    return {
        "marker": "D" if state == "none" else "o",
        "markersize": 7 if state == "none" else 8,
        "markerfacecolor": color if state == "clear" else "white",
        "markeredgecolor": color,
        "markeredgewidth": 1.8,
        "linestyle": "none",
    }


def _legend(figure: Figure, rows: pd.DataFrame) -> None:
    color = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0]
    seeds = sorted({int(count) for count in rows["seeds"] if count > 1})
    many = f"{' to '.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} seeds" if seeds else ""
    says = {
        "clear": f"{many}: the interval leaves zero out",
        "open": f"{many}: zero lies in the interval",
        "none": "one seed: no interval",
    }
    states = {_state(row) for _, row in rows.iterrows()}
    shown = [state for state in says if state in states]
    handles = [Line2D([], [], **_marker(state, color)) for state in shown]
    figure.legend(
        handles, [says[state] for state in shown], loc="outside lower center", ncols=len(shown)
    )
