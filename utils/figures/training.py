"""What training came to, epoch by epoch, and what a search of the settings tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from utils.figures import style
from utils.figures.style import INK, Figure, styled

#: How a trial's end is drawn.
_COLORS = {"complete": style.MAIN, "pruned": "#CC6677"}
_MARKERS = {"complete": "o", "pruned": "X"}


@styled
def learning_curves(history: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Figure:
    """Draw loss and accuracy by epoch, of training and validation, with the best epoch marked.

    Parameters
    ----------
    history : DataFrame, or mapping of names to DataFrames
        With the columns of ``history.csv``: epoch (from 1), loss, accuracy, val_loss,
        val_accuracy (accuracies 0 … 1). The best epoch has the highest validation accuracy, the
        first of equals.
    """
    needed = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    histories = style.several(history, needed, "history")
    figure, (panels,) = style.sheet(9.5, 4.3, 1, 2)
    for at, (name, table) in enumerate(histories.items()):
        color, best = style.look(at)["color"], int(table["val_accuracy"].to_numpy().argmax())
        prefix, epochs = f"{name}: " if name else "", table["epoch"].to_numpy()
        chosen = f"best epoch, {epochs[best]}: {table['val_accuracy'].iloc[best]:.1%}"
        for axes, column, factor in ((panels[0], "loss", 1), (panels[1], "accuracy", 100)):
            train, validation = factor * table[column], factor * table[f"val_{column}"]
            line = {"color": color, "label": f"{prefix}training", "linewidth": 1.5}
            axes.plot(epochs, train, linestyle=style.DASHED, **line)
            axes.plot(epochs, validation, color=color, label=f"{prefix}validation")
            ring = style.mark("o", color, False)
            axes.plot(epochs[best], validation.iloc[best], label=prefix + chosen, zorder=3, **ring)
    panels[0].set(title="loss", ylabel="cross-entropy (nats)", ylim=(0, None))
    panels[1].set(title="accuracy", ylabel="accuracy (%)")
    panels[1].set_ylim(top=min(100.0, panels[1].get_ylim()[1]))
    for axes in panels:
        _epoch_axis(axes)
    # A column a run; a single run's three entries in one line.
    columns = 3 if len(histories) == 1 else len(histories)
    style.legend_below(figure, panels[0].lines, ncols=columns)
    return figure


@styled
def accuracy_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the accuracy of several runs by epoch: training on the left, validation on the right.

    `learning_curves` shows a run or two in full; of five it would be a thicket.

    Parameters
    ----------
    histories : mapping of names to DataFrames
        With the columns epoch (from 1), accuracy and val_accuracy (0 … 1) of ``history.csv``;
        their lengths may differ. A mark stands at the best epoch, as in `learning_curves`.
    """
    histories = style.several(histories, ("epoch", "accuracy", "val_accuracy"), "history")
    figure, (panels,) = style.sheet(9.5, 4.6, 1, 2, sharey=True)
    for at, (name, table) in enumerate(histories.items()):
        best, epochs = int(table["val_accuracy"].to_numpy().argmax()), table["epoch"].to_numpy()
        label = f"{name}: epoch {epochs[best]}, {table['val_accuracy'].iloc[best]:.1%}"
        ring = {"markevery": [best], "markersize": 8, "markerfacecolor": "white"}
        for axes, column in zip(panels, ("accuracy", "val_accuracy"), strict=True):
            line = {"label": label, "markeredgewidth": 2, **ring, **style.look(at)}
            axes.plot(epochs, 100 * table[column], **line)
    for axes, text in zip(panels, ("training split", "validation split"), strict=True):
        axes.set_title(text)
        _epoch_axis(axes)
    panels[0].set(ylabel="accuracy (%)", ylim=(0, min(100.0, panels[0].get_ylim()[1])))
    style.legend_below(figure, panels[0].lines, title="best on validation")
    return figure


def _epoch_axis(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    style.whole_axis(axes.xaxis)
    axes.grid(axis="y")


def _ended(trials: pd.DataFrame, *columns: str) -> tuple[pd.DataFrame, object]:
    """Return the trials with an accuracy, in percent, and the best complete one's number."""
    style.require_columns(trials, ("trial", "state", "val_accuracy", *columns), "trials")
    ended = trials[trials["state"].isin(_COLORS) & trials["val_accuracy"].notna()]
    style.require_some(ended, "trials")
    ended = ended.assign(val_accuracy=100 * ended["val_accuracy"]).sort_values("trial")
    complete = ended[ended["state"] == "complete"]
    best = None if complete.empty else complete.loc[complete["val_accuracy"].idxmax(), "trial"]
    return ended, best


def _scatter(axes: Axes, ended: pd.DataFrame, setting: str, best: object) -> None:
    """Draw a mark a trial, exactly at its setting, with the best one ringed."""
    import seaborn

    looks = {"palette": _COLORS, "markers": _MARKERS, "hue": "state", "style": "state"}
    seaborn.scatterplot(ended, x=setting, y="val_accuracy", s=80, zorder=3, ax=axes, **looks)
    axes.get_legend().remove()
    ring = style.mark("o", INK, False) | {"markersize": 14, "markerfacecolor": "none"}
    at = ended[ended["trial"] == best]
    axes.plot(at[setting], at["val_accuracy"], label="best", zorder=4, **ring)
    axes.set(xlabel=setting.replace("_", " "), ylabel="validation accuracy (%)")
    axes.margins(y=0.1)
    axes.grid(axis="y")


@styled
def search_history(trials: pd.DataFrame) -> Figure:
    """Draw what each trial of a search reached, and the best so far.

    Parameters
    ----------
    trials : DataFrame
        trial (a number), state ("complete" or "pruned"; others are not drawn), val_accuracy
        (0 … 1). A pruned trial stands at the best of the epochs that it was given.
    """
    ended, best = _ended(trials)
    figure, ((axes,),) = style.sheet(8, 4.1)
    counts = ended["state"].value_counts()
    named = {state: f"{state} ({count})" for state, count in counts.items()}
    _scatter(axes, ended, "trial", best)
    complete = ended[ended["state"] == "complete"]
    if best is not None:
        steps, highest = complete["trial"], complete["val_accuracy"].cummax()
        axes.step(steps, highest, where="post", color=INK, linewidth=1.3, label="best so far")
        style.beside(axes, highest.iloc[-1], f"best: {highest.iloc[-1]:.1f}%", fontweight="bold")
    style.whole_axis(axes.xaxis, 12)
    handles, labels = axes.get_legend_handles_labels()
    style.legend_below(figure, handles, [named.get(label, label) for label in labels], ncols=4)
    return figure


@styled
def search_curves(epochs: pd.DataFrame, trials: pd.DataFrame) -> Figure:
    """Draw each trial's validation accuracy by epoch, and where it was pruned.

    Parameters
    ----------
    epochs : DataFrame
        A row an epoch of a trial: trial, epoch (from 1), val_accuracy (0 … 1).
    trials : DataFrame
        As in `search_history`.
    """
    ended, best = _ended(trials)
    figure, ((axes,),) = style.sheet(8, 4.4)
    handles = {}
    for trial, state in zip(ended["trial"], ended["state"], strict=True):
        curve, chosen = epochs[epochs["trial"] == trial].sort_values("epoch"), trial == best
        line = {"color": _COLORS[state], "linewidth": 1.3, "label": state, "zorder": 3}
        if chosen:
            line |= {"color": INK, "linewidth": 2.6, "label": "best", "zorder": 4}
        line |= {"marker": _MARKERS[state], "markevery": [-1], "markeredgecolor": "white"}
        dashes = style.DASHED if state == "pruned" else "-"
        shares = 100 * curve["val_accuracy"]
        (drawn,) = axes.plot(curve["epoch"], shares, linestyle=dashes, markersize=8, **line)
        handles.setdefault(line["label"], drawn)
    axes.set_ylabel("validation accuracy (%)")
    _epoch_axis(axes)
    style.legend_below(figure, list(handles.values()))
    return figure


@styled
def search_settings(
    trials: pd.DataFrame,
    settings: Sequence[str] = ("learning_rate", "batch_size", "filters", "dropout"),
) -> Figure:
    """Draw accuracy against each setting, a panel a setting, with the best trial ringed.

    Parameters
    ----------
    trials : DataFrame
        As in `search_history`, with a column for each of the settings.
    settings : sequence of str
        "learning_rate" gets a logarithmic axis; "batch_size" and "filters" stand at equal
        distances.
    """
    ended, best = _ended(trials, *settings)
    figure, (panels,) = style.sheet(1.2 + 2.4 * len(settings), 3.8, 1, len(settings), sharey=True)
    for axes, name in zip(panels, settings, strict=True):
        if name in ("batch_size", "filters"):
            choices, places = np.unique(ended[name].astype(float), return_inverse=True)
            _scatter(axes, ended.assign(**{name: places}), name, best)
            axes.set_xticks(range(len(choices)), [f"{choice:g}" for choice in choices])
            axes.set_xlim(-0.5, len(choices) - 0.5)
            continue
        _scatter(axes, ended, name, best)
        if name == "learning_rate":
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    style.legend_below(figure, panels[0].get_legend_handles_labels()[0])
    return figure


@styled
def search_importance(shares: pd.Series) -> Figure:
    """Draw how much of the accuracy's spread each setting explains (index: settings; 0 … 1)."""
    import seaborn

    style.require_some(shares, "shares")
    figure, ((axes,),) = style.sheet(7, 0.5 * len(shares) + 0.9)
    bars = {"color": style.MAIN, "saturation": 1}
    seaborn.barplot(x=100 * shares.to_numpy(), y=list(shares.index), ax=axes, **bars)
    axes.bar_label(axes.containers[0], fmt="%.0f%%", padding=4)
    style.name_lines(axes, [str(name).replace("_", " ") for name in shares.index])
    axes.set(xlim=(0, 100), xlabel="share of the spread in accuracy that it explains (%)")
    return figure
