"""What training came to, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import pandas as pd
from matplotlib.ticker import MaxNLocator

from utils.figures.style import Figure, require_some, set_title, styled
from utils.runtime import DataError


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
