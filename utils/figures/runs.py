"""What a data set holds and what runs came to: counts, curves, matrices, bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from utils.errors import DataError
from utils.evaluation import accuracy_interval
from utils.expressions import EXPRESSIONS
from utils.figures.style import (
    INK,
    QUIET,
    RIGHT_MARK,
    WRONG,
    WRONG_MARK,
    Figure,
    color_of,
    grid,
    ink_on,
    percent,
    require_same_length,
    require_some,
    set_title,
    show,
    styled,
)

#: Bars of more runs than these stand too close for their values.
MOST_LABELLED = 3


@styled
def class_counts(counts: pd.DataFrame, *, title: str = "", same_scale: bool = True) -> Figure:
    """Draw how many pictures each expression has, a panel a column.

    Parameters
    ----------
    counts : DataFrame
        Index: expressions; columns: splits, or "before" and "after"; a column "all" beside
        others is left out.
    title : str
    same_scale : bool
        Whether the panels share their scale; without it, each fills its own.

    Returns
    -------
    Figure
    """
    columns = [name for name in counts.columns if name != "all"] or list(counts.columns)
    require_some(columns, "counts")
    names = [str(name) for name in counts.index]
    figure = Figure(figsize=(1.0 + 3.0 * len(columns), 0.36 * len(names) + 1.1))
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    most = {name: max(1, counts[name].max()) for name in columns}
    if same_scale:
        most = dict.fromkeys(columns, max(most.values()))
    for axes, column in zip(panels, columns, strict=True):
        values = counts[column].to_numpy()
        axes.barh(names, values, color=[color_of(name) for name in names], height=0.72)
        total = max(1, values.sum())
        for at, value in enumerate(values):
            text = f" {value:,} · {value / total:.1%}"
            axes.text(value, at, text, va="center", fontsize=8.5, color=INK)
        axes.set_title(f"{column}: {values.sum():,}")
        axes.set(xlim=(0, 1.62 * most[column]), xlabel="pictures")
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True, prune=None))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
    panels[0].invert_yaxis()
    set_title(figure, title)
    return figure


@styled
def learning_curves(
    history: pd.DataFrame | Mapping[str, pd.DataFrame], *, title: str = ""
) -> Figure:
    """Draw loss and accuracy by epoch, of training and validation, with the best epoch marked.

    Parameters
    ----------
    history : DataFrame, or mapping of names to DataFrames
        With the columns of ``history.csv``: epoch (from 1), loss, accuracy, val_loss,
        val_accuracy (accuracies 0 … 1).
    title : str

    Returns
    -------
    Figure
        The best epoch is the one with the highest validation accuracy, the first of equals.

    Raises
    ------
    DataError
        When a column is missing or a history is empty.
    """
    histories = {"": history} if isinstance(history, pd.DataFrame) else dict(history)
    require_some(histories, "history")
    for name, table in histories.items():
        missing = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"} - set(table.columns)
        if missing or table.empty:
            lacks = f"no column {', '.join(sorted(missing))}" if missing else "no epoch"
            raise DataError(f"history {name!r} has {lacks}")
    figure = Figure(figsize=(10, 4.1))
    panels = figure.subplots(1, 2)
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    for at, (name, table) in enumerate(histories.items()):
        color = cycle[at % len(cycle)]
        epochs = table["epoch"].to_numpy()
        best = int(table["val_accuracy"].to_numpy().argmax())
        for axes, column, factor in ((panels[0], "loss", 1), (panels[1], "accuracy", 100)):
            prefix = f"{name}: " if name else ""
            axes.plot(
                epochs,
                factor * table[column],
                color=color,
                linestyle=(0, (4, 2)),
                linewidth=1.4,
                label=f"{prefix}training",
            )
            axes.plot(
                epochs, factor * table[f"val_{column}"], color=color, label=f"{prefix}validation"
            )
            axes.plot(
                epochs[best],
                factor * table[f"val_{column}"].iloc[best],
                marker="o",
                markersize=9,
                markerfacecolor="white",
                markeredgecolor=color,
                markeredgewidth=2,
                linestyle="none",
                label=f"{prefix}best epoch, {epochs[best]}: {table['val_accuracy'].iloc[best]:.1%}",
                zorder=3,
            )
    panels[0].set(title="loss", ylabel="cross-entropy (nats)", ylim=(0, None))
    panels[1].set(title="accuracy", ylabel="accuracy (%)")
    for axes in panels:
        axes.set(xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
        axes.grid(axis="y")
    handles, names = panels[0].get_legend_handles_labels()
    panels[1].set_ylim(top=min(100.0, panels[1].get_ylim()[1]))
    # A column a run; a single run's three entries in one line.
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=3 if len(histories) == 1 else len(histories),
    )
    set_title(figure, title)
    return figure


@styled
def confusion_matrix(
    counts: np.ndarray, expressions: Sequence[str] = EXPRESSIONS, *, title: str = ""
) -> Figure:
    """Draw a confusion matrix: each cell its share of the true class, and its count.

    Parameters
    ----------
    counts : (k, k) whole numbers
        Row: the true class; column: the predicted one.
    expressions : sequence of k str
    title : str

    Returns
    -------
    Figure
        Each cell is the darker, the larger its share of the row (one hue, so that it reads the
        same with any colour vision); the right answers are bold.

    Raises
    ------
    DataError
        When the matrix is not square, has a negative count, or does not fit the names.
    """
    counts = np.asarray(counts)
    classes = len(expressions)
    if counts.shape != (classes, classes) or not np.issubdtype(counts.dtype, np.integer):
        raise DataError(
            f"counts: expected {classes} × {classes} whole numbers, "
            f"got {counts.dtype} of shape {counts.shape}"
        )
    if (counts < 0).any():
        raise DataError("counts: expected 0 or more everywhere")
    sums = counts.sum(axis=1)
    shares = counts / np.maximum(sums, 1)[:, None]
    figure = Figure(figsize=(0.98 * classes + 1.5, 0.8 * classes + (1.2 if title else 0.8)))
    axes = figure.subplots()
    colormap = matplotlib.colormaps["Blues"]
    # The root spreads the small shares, where the mistakes are; the numbers say how much.
    axes.imshow(np.sqrt(shares), cmap=colormap, vmin=0, vmax=1.1, aspect=0.8)
    for true in range(classes):
        for predicted in range(classes):
            count, share = counts[true, predicted], shares[true, predicted]
            ink = ink_on(colormap(np.sqrt(share) / 1.1)) if count else "#8A8A8A"
            percent = "<1%" if count and share < 0.005 else f"{100 * share:.0f}%"
            for text, size, shift in ((percent, 14.5, -0.11), (f"{count:,}", 10.5, 0.25)):
                axes.text(
                    predicted,
                    true + shift,
                    text,
                    ha="center",
                    va="center",
                    color=ink,
                    fontsize=size,
                    fontweight="bold" if true == predicted else "normal",
                )
    axes.set_xticks(range(classes), expressions, fontsize=12)
    named = [f"{name}\nn = {size:,}" for name, size in zip(expressions, sums, strict=True)]
    axes.set_yticks(range(classes), named, fontsize=12)
    _part_cells(axes, classes)
    axes.set_xlabel("predicted (percent of the true class; number of pictures)", fontsize=12)
    axes.set_ylabel("true", fontsize=12)
    set_title(figure, title)
    return figure


def _part_cells(axes: Axes, count: int) -> None:
    """Draw white lines between a matrix's ``count`` × ``count`` cells, and no frame around."""
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


@styled
def per_class_bars(
    reports: pd.DataFrame | Mapping[str, pd.DataFrame], *, metric: str = "f1", title: str = ""
) -> Figure:
    """Draw one metric of each expression, with the macro average as a line.

    Parameters
    ----------
    reports : DataFrame, or mapping of names to DataFrames
        From `evaluation.report`; several are drawn as groups of bars, which carry their values
        where there is room for them: up to `MOST_LABELLED`.
    metric : {"f1", "precision", "recall"}
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        For an unknown metric, or reports about different expressions.
    """
    reports = {"": reports} if isinstance(reports, pd.DataFrame) else dict(reports)
    require_some(reports, "reports")
    label = {"f1": "F1", "precision": "precision", "recall": "recall"}.get(metric)
    if label is None:
        raise DataError(f"metric {metric!r}: expected f1, precision or recall")
    tables = list(reports.values())
    names = [name for name in tables[0].index if not str(name).endswith(" average")]
    if any(list(table.index) != list(tables[0].index) for table in tables):
        raise DataError("reports: expected the same expressions in each")
    figure = Figure(figsize=(9, 3.9))
    axes = figure.subplots()
    width = 0.8 / len(tables)
    places = np.arange(len(names))
    hatches = ("", "///", "...", "xx", "\\\\\\")
    entries: dict[str, Any] = {}
    styles = ((0, ()), (0, (5, 3)), (0, (1, 2)), (0, (5, 2, 1, 2)), (0, (8, 3)))
    for at, (name, table) in enumerate(reports.items()):
        values = table.loc[names, metric].to_numpy()
        shift = (at - (len(tables) - 1) / 2) * width
        hatch, style = hatches[at % len(hatches)], styles[at % len(styles)]
        bars = axes.bar(
            places + shift,
            values,
            width=0.92 * width,
            color=[color_of(expression) for expression in names],
            hatch=hatch,
            edgecolor="white",
            linewidth=0,
        )
        if len(tables) <= MOST_LABELLED:
            axes.bar_label(
                bars,
                [f"{value:.2f}" for value in values],
                fontsize=9.5 if len(tables) < 3 else 8,
                padding=3,
                bbox={"boxstyle": "square,pad=0.08", "facecolor": "white", "edgecolor": "none"},
            )
        mean = table.loc["macro average", metric]
        axes.axhline(mean, color=INK, linewidth=1.1, linestyle=style, zorder=0.5)
        entry = f"macro average {mean:.3f}"
        line = Line2D([], [], color=INK, linewidth=1.1, linestyle=style)
        patch = patches.Patch(facecolor="#9A9A9A", edgecolor="white", linewidth=0, hatch=hatch)
        entries[f"{name}, {entry}" if name else entry] = (patch, line) if name else line
    support = tables[0].loc[names, "support"]
    axes.set_xticks(places, [f"{name}\nn = {support[name]:,}" for name in names], fontsize=10.5)
    axes.set(ylim=(0, 1.06), ylabel=label)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=min(3, len(entries)),
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.8)},
        handlelength=4.5 if len(tables) > 1 else 2,
    )
    set_title(figure, title)
    return figure


@styled
def reliability(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw how often right against how sure, and how many predictions were so sure.

    Parameters
    ----------
    table : DataFrame
        From `evaluation.reliability_table`: low, high, count, confidence, accuracy.
    title : str

    Returns
    -------
    Figure
        The mean gap in it, weighted by count, is the expected calibration error.
    """
    filled = table[table["count"] > 0]
    require_some(filled, "reliability table")
    total = filled["count"].sum()
    gap = float(((filled["confidence"] - filled["accuracy"]).abs() * filled["count"]).sum() / total)
    figure = Figure(figsize=(5.6, 6.0))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
    width = table["high"].iloc[0] - table["low"].iloc[0]
    middles = (filled["low"] + filled["high"]) / 2
    color = "#0072B2"
    right = (filled["accuracy"] * filled["count"]).round().astype(int)
    ends = np.array([accuracy_interval(*pair) for pair in zip(right, filled["count"], strict=True)])
    upper.plot(
        [0, 1], [0, 1], color=QUIET, linewidth=1.2, linestyle=(0, (4, 3)), label="as sure as right"
    )
    upper.vlines(filled["confidence"], ends[:, 0], ends[:, 1], color=color, linewidth=2, alpha=0.5)
    upper.plot(
        filled["confidence"],
        filled["accuracy"],
        linestyle="none",
        marker="o",
        markersize=7,
        color=color,
        label="measured, with its 95% interval",
    )
    upper.set(ylim=(0, 1.02), ylabel="right (% of the bin)")
    upper.set_title(f"mean gap {100 * gap:.1f} points", fontweight="normal", fontsize=10)
    upper.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    upper.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=2)
    lower.bar(middles, filled["count"], width=0.94 * width, color=color)
    lower.set(xlim=(0, 1), xlabel="probability of the predicted class (%)", ylabel="predictions")
    lower.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    lower.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    lower.grid(axis="y")
    figure.align_ylabels()
    set_title(figure, title)
    return figure


@styled
def top_predictions(
    images: Sequence[np.ndarray] | None, table: pd.DataFrame, *, title: str = ""
) -> Figure:
    """Show the surest predictions, right (✓) and wrong (✗, framed).

    Parameters
    ----------
    images : sequence of (h, w[, 1 or 3]) uint8, or None
        In the table's order. None draws bars instead: for pictures that may not be shown.
    table : DataFrame
        From `evaluation.surest`: row, true, predicted, probability, true_probability, correct.
    title : str

    Returns
    -------
    Figure
    """
    require_some(table, "table")
    if images is None:
        return _surest_bars(table, title)
    require_same_length(len(table), images=images)
    figure, cells = grid(len(table), 5, 1.85, 2.28, title)
    for axes, image, entry in zip(cells, images, table.itertuples(), strict=True):
        show(axes, image, edge=WRONG if not entry.correct else None, width=4)
        mark = RIGHT_MARK if entry.correct else WRONG_MARK
        axes.set_title(
            f"{mark} {entry.predicted}  {percent(entry.probability)}",
            loc="center",
            fontsize=10.5,
            color=INK if entry.correct else WRONG,
            pad=5,
        )
        label = "true" if entry.correct else "but truly"
        axes.set_xlabel(
            f"{label}: {entry.true}",
            fontsize=10,
            color=QUIET if entry.correct else WRONG,
            fontweight="normal" if entry.correct else "bold",
        )
    return figure


def _surest_bars(table: pd.DataFrame, title: str) -> Figure:
    """Draw the surest predictions without their pictures: a bar each, wrong ones hatched."""
    count = len(table)
    figure = Figure(figsize=(9, 0.42 * count + (1.15 if title else 0.75)))
    axes = figure.subplots()
    for at, entry in enumerate(table.itertuples()):
        axes.barh(
            at,
            entry.probability,
            color=color_of(entry.predicted),
            height=0.74,
            hatch="" if entry.correct else "////",
            edgecolor="white",
            linewidth=0,
        )
        axes.text(
            0.012,
            at,
            f"{entry.predicted}  {percent(entry.probability)}",
            va="center",
            fontweight="bold",
            color=INK,
            bbox={
                "boxstyle": "round,pad=0.18",
                "facecolor": "white",
                "edgecolor": "none",
                "alpha": 0.92,
            },
        )
        said = (
            f"{RIGHT_MARK} true: {entry.true}"
            if entry.correct
            else f"{WRONG_MARK} but truly {entry.true}, given {percent(entry.true_probability)}"
        )
        axes.text(
            1.015,
            at,
            said,
            va="center",
            fontsize=10,
            color=INK if entry.correct else WRONG,
            fontweight="normal" if entry.correct else "bold",
        )
    axes.set_yticks(range(count), [f"row {row:,}" for row in table["row"]])
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, 1), xlabel="probability of the predicted class (%)")
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    axes.set_ylim(count - 0.4, -0.6)
    axes.grid(axis="x")
    set_title(figure, title)
    return figure


@styled
def accuracy_intervals(
    table: pd.DataFrame, *, reference: Mapping[str, float] | None = None, title: str = ""
) -> Figure:
    """Draw accuracies with their intervals, a line each.

    Parameters
    ----------
    table : DataFrame
        Index: names; columns ``accuracy``, ``low``, ``high``, 0 … 1.
    reference : mapping of names to shares 0 … 1, optional
        Marked by dotted upright lines: figures from elsewhere, to be cited in the text.
    title : str

    Returns
    -------
    Figure
    """
    require_some(table, "table")
    reference = dict(reference or {})
    figure = Figure(figsize=(8, 0.5 * len(table) + 1.2 + 0.25 * len(reference)))
    axes = figure.subplots()
    color = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0]
    places = np.arange(len(table))
    accuracy = 100 * table["accuracy"].to_numpy()
    low, high = 100 * table["low"].to_numpy(), 100 * table["high"].to_numpy()
    axes.errorbar(
        accuracy,
        places,
        xerr=np.stack([accuracy - low, high - accuracy]),
        linestyle="none",
        marker="o",
        markersize=8,
        capsize=5,
        color=color,
        elinewidth=2,
        capthick=2,
    )
    for place, value, bottom, top in zip(places, accuracy, low, high, strict=True):
        axes.annotate(
            f"{value:.1f}  ({bottom:.1f} to {top:.1f})",
            (value, place),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=9.5,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"},
        )
    axes.set_yticks(places, [str(name) for name in table.index], fontsize=10.5)
    axes.set_ylim(len(table) - 0.4, -0.75 - 0.45 * len(reference))
    for at, (name, share) in enumerate(reference.items()):
        axes.axvline(100 * share, color=QUIET, linewidth=1.2, linestyle=(0, (1, 2)), zorder=0.5)
        height = -0.72 - 0.45 * (len(reference) - 1 - at)
        axes.annotate(
            f"{name} {100 * share:.1f}",
            (100 * share, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=QUIET,
        )
    axes.margins(x=0.16)
    axes.set(xlabel="accuracy (%), with its 95% interval")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    set_title(figure, title)
    return figure


@styled
def accuracy_curves(histories: Mapping[str, pd.DataFrame], *, title: str = "") -> Figure:
    """Draw the accuracy of several runs by epoch: training on the left, validation on the right.

    `learning_curves` shows a run or two in full; of five it would be a thicket.

    Parameters
    ----------
    histories : mapping of names to DataFrames
        With the columns epoch (from 1), accuracy and val_accuracy (0 … 1) of ``history.csv``;
        their lengths may differ.
    title : str

    Returns
    -------
    Figure
        Both panels have one scale; each line has its own dashes, a ring marks the epoch with the
        highest validation accuracy, the first of equals, and the legend names it.

    Raises
    ------
    DataError
        When there is no run, a column is missing or a history is empty.
    """
    require_some(histories, "histories")
    for name, table in histories.items():
        missing = {"epoch", "accuracy", "val_accuracy"} - set(table.columns)
        if missing or table.empty:
            lacks = f"no column {', '.join(sorted(missing))}" if missing else "no epoch"
            raise DataError(f"history {name!r} has {lacks}")
    figure = Figure(figsize=(10, 4.4))
    panels = figure.subplots(1, 2, sharey=True)
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    dashes = ((0, ()), (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 3)))
    markers = "osD^v"
    for at, (name, table) in enumerate(histories.items()):
        color, best = cycle[at % len(cycle)], int(table["val_accuracy"].to_numpy().argmax())
        epochs = table["epoch"].to_numpy()
        for axes, column in zip(panels, ("accuracy", "val_accuracy"), strict=True):
            shares = 100 * table[column].to_numpy()
            label = f"{name}: epoch {epochs[best]}, {table['val_accuracy'].iloc[best]:.1%}"
            axes.plot(
                epochs,
                shares,
                color=color,
                linestyle=dashes[at % len(dashes)],
                label=label,
                marker=markers[at % len(markers)],
                markevery=[best],
                markersize=8,
                markerfacecolor="white",
                markeredgewidth=2,
            )
    for axes, text in zip(panels, ("training split", "validation split"), strict=True):
        axes.set(title=text, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
        axes.grid(axis="y")
    panels[0].set(ylabel="accuracy (%)", ylim=(0, min(100.0, panels[0].get_ylim()[1])))
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=min(3, len(histories)),
        title="best on validation",
    )
    set_title(figure, title)
    return figure


@styled
def agreement_matrix(same: pd.DataFrame, errors: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw how often each two runs give the same answer, and how often the same wrong one.

    Parameters
    ----------
    same : (k, k) DataFrame
        `evaluation.agreement`: shares of all pictures, 0 … 1.
    errors : (k, k) DataFrame
        The same with ``errors=True``; its diagonal is each run's share of mistakes.
    title : str

    Returns
    -------
    Figure
        The lower triangle, since the upper one says the same again. Off the diagonal a cell is
        the darker, the more alike its two runs are.

    Raises
    ------
    DataError
        When the two tables are not square, or not about the same runs.
    """
    names = [str(name) for name in same.index]
    require_some(names, "same")
    tables = (same, errors)
    if any([str(n) for n in axis] != names for table in tables for axis in table.axes):
        raise DataError("same, errors: expected two square tables about the same runs")
    count = len(names)
    figure = Figure(figsize=(1.15 * count + 1.6, 0.82 * count + (1.1 if title else 0.7)))
    axes = figure.subplots()
    shares, wrong = same.to_numpy(float), errors.to_numpy(float)
    below = np.tri(count, k=-1, dtype=bool)
    least = shares[below].min(initial=1.0)
    colormap = matplotlib.colormaps["Blues"]
    # The scale begins under the smallest share: all of them are high, and differ by little.
    darkness = np.clip((shares - least + 0.1) / (1.15 - least), 0, 1)
    picture = np.where(below[..., None], colormap(darkness), (1, 1, 1, 1))
    picture[np.diag_indices(count)] = (0.93, 0.93, 0.93, 1)
    axes.imshow(picture, aspect=0.7)
    for row, column in zip(*np.nonzero(np.tri(count, dtype=bool)), strict=True):
        ink = ink_on(picture[row, column, :3])
        alone = row == column
        for text, size, shift in (
            ("" if alone else f"{100 * shares[row, column]:.0f}%", 14.5, -0.12),
            (f"{100 * wrong[row, column]:.0f}% wrong", 10, 0.0 if alone else 0.25),
        ):
            place = (column, row + shift)
            axes.text(*place, text, ha="center", va="center", color=ink, fontsize=size)
    axes.set_xticks(range(count), names, fontsize=12)
    axes.set_yticks(range(count), names, fontsize=12)
    _part_cells(axes, count)
    axes.set_xlabel("the same answer; below it, the same wrong answer", fontsize=11)
    set_title(figure, title)
    return figure
