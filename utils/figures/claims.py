"""Claimed accuracies against what has been reported and reproduced."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd

from utils.figures.style import INK, QUIET, WRONG, Figure, require_some, set_title, styled
from utils.runtime import DataError

#: How a reported figure is drawn: by its kind, marker and whether it is filled.
_KINDS = {"reproduced": ("o", True), "published": ("o", False)}
_CLAIM = "D"


def _percentages(table: pd.DataFrame, name: str) -> np.ndarray:
    """Return accuracy, low and high of a table, (n, 3) float, in percent."""
    missing = [column for column in ("accuracy", "low", "high") if column not in table]
    if missing:
        raise DataError(f"{name}: found no column {missing[0]!r}, expected accuracy, low and high")
    values = table[["accuracy", "low", "high"]].to_numpy(dtype=float)
    if not ((values[:, 0] >= 0) & (values[:, 0] <= 100)).all():
        raise DataError(f"{name}: expected accuracies in percent, 0 … 100")
    return values


@styled
def claims_against_reported(
    claims: pd.DataFrame,
    reported: pd.DataFrame,
    *,
    people: tuple[float, float] | None = (65.0, 5.0),
    title: str = "",
) -> Figure:
    """Draw claims above what has been reported, each with its 95 % interval.

    Parameters
    ----------
    claims : DataFrame
        From `claims.claims_table`: index names; ``accuracy``, ``low``, ``high`` in percent, the
        latter two NaN where the number of test faces is not known.
    reported : DataFrame
        From `claims.reported_table`, of one data set: the same, and ``kind`` ("published" or
        "reproduced"), ``outside_data`` (true, false or missing).
    people : (float, float), optional
        How often people agree with the labels, in percent: the middle, and what is left and
        right of it. None draws none.
    title : str

    Returns
    -------
    Figure
        A line each, the highest at the top of its part. Filled: reproduced; hollow: published.
        A name with an asterisk: with outside data.

    Raises
    ------
    DataError
        When a table is empty, lacks a column, or holds an accuracy outside 0 … 100 or an
        unknown kind.
    """
    require_some(claims, "claims")
    require_some(reported, "reported")
    claims = claims.sort_values("accuracy", ascending=False, kind="stable")
    reported = reported.sort_values("accuracy", ascending=False, kind="stable")
    above, below = _percentages(claims, "claims"), _percentages(reported, "reported")
    for column in ("kind", "outside_data"):
        if column not in reported:
            raise DataError(f"reported: found no column {column!r}")
    unknown = set(reported["kind"]) - set(_KINDS)
    if unknown:
        raise DataError(f"reported: found kind {min(unknown)!r}, expected {' or '.join(_KINDS)}")

    lines = len(claims) + len(reported) + 1
    figure = Figure(figsize=(8.5, 0.33 * lines + 1.5))
    axes = figure.subplots()
    color = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0]
    if people:
        middle, spread = people
        axes.axvspan(middle - spread, middle + spread, color="#EDEDED", zorder=0)
        _note(axes, middle, f"people {middle:.0f} ± {spread:.0f}", QUIET)
    reproduced = reported.loc[reported["kind"] == "reproduced", "accuracy"]
    if len(reproduced):
        best = reproduced.max()
        axes.axvline(best, color=color, linewidth=1.2, linestyle=(0, (1, 2)), zorder=0.5)
        _note(axes, best, f"best reproduced {best:.1f}", color)

    for place, values in enumerate(above):
        _line(axes, place, values, WRONG, _CLAIM, True)
    for place, (kind, values) in enumerate(zip(reported["kind"], below, strict=True)):
        _line(axes, len(claims) + 1 + place, values, color, *_KINDS[kind])
    outside = reported["outside_data"].fillna(False).astype(bool)
    names = [
        *map(str, claims.index),
        "",
        *(
            f"{name} *" if mark else str(name)
            for name, mark in zip(reported.index, outside, strict=True)
        ),
    ]
    axes.set_yticks(range(lines), names)
    for label in axes.get_yticklabels()[: len(claims)]:
        label.set(color=INK, fontweight="bold")
    axes.axhline(len(claims), color="#CFCFCF", linewidth=0.8)
    axes.set_ylim(lines - 0.4, -1.35)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.margins(x=0.14)
    label = "accuracy (%), with its 95% interval where the number of faces is known"
    if outside.any():
        label += "\n* pre-trained on other pictures"
    axes.set_xlabel(label)
    _legend(axes, color)
    set_title(figure, title)
    return figure


def _line(
    axes: matplotlib.axes.Axes,
    place: int,
    values: np.ndarray,
    color: str,
    marker: str,
    filled: bool,
) -> None:
    """Draw a figure, its interval where there is one, and its number."""
    accuracy, low, high = values
    known = np.isfinite([low, high]).all()
    if known:
        axes.plot([low, high], [place, place], color=color, linewidth=2, zorder=2)
    axes.plot(
        [accuracy],
        [place],
        marker=marker,
        markersize=8,
        color=color,
        markerfacecolor=color if filled else "white",
        markeredgewidth=1.8,
        linestyle="none",
        zorder=3,
    )
    axes.annotate(
        f"{accuracy:.1f}",
        (high if known else accuracy, place),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize=9.5,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
    )


def _note(axes: matplotlib.axes.Axes, at: float, text: str, color: str) -> None:
    """Write over a band or an upright line what it is."""
    axes.annotate(
        text,
        (at, -0.95),
        ha="center",
        va="center",
        fontsize=9,
        color=color,
        bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"},
    )


def _legend(axes: matplotlib.axes.Axes, color: str) -> None:
    kinds = [("claimed", _CLAIM, WRONG, True)]
    kinds += [(kind, marker, color, filled) for kind, (marker, filled) in _KINDS.items()]
    for name, marker, edge, filled in kinds:
        axes.plot(
            [],
            [],
            marker=marker,
            markersize=8,
            color=edge,
            markerfacecolor=edge if filled else "white",
            markeredgewidth=1.8,
            linestyle="none",
            label=name,
        )
    axes.legend(loc="lower right", frameon=True, framealpha=1, edgecolor="#CFCFCF")
