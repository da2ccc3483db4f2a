"""What a search of the settings tried, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from utils.figures.style import INK, Figure, require_some, set_title, styled
from utils.runtime import DataError

#: How a trial's end is drawn: label, marker, face and colour.
_TRIALS = {
    "complete": ("complete", "o", "#332288", "#332288"),
    "pruned": ("pruned", "X", "#CC6677", "#CC6677"),
}


def _ended(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that have an accuracy and were not lost; at least one."""
    ended = trials[trials["state"].isin(_TRIALS) & trials["val_accuracy"].notna()]
    require_some(ended, "trials")
    return ended


def _best(trials: pd.DataFrame) -> pd.Series | None:
    """Return the best complete trial, the first of equals."""
    complete = trials[trials["state"] == "complete"]
    return None if complete.empty else complete.loc[complete["val_accuracy"].idxmax()]


@styled
def search_history(trials: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw what each trial of a search reached, and the best so far.

    Parameters
    ----------
    trials : DataFrame
        From `search.results`: trial, state, val_accuracy (0 … 1).
    title : str

    Returns
    -------
    Figure
        A pruned trial stands at the best of the epochs that it was given.

    Raises
    ------
    DataError
        When no trial has ended.
    """
    ended = _ended(trials)
    figure = Figure(figsize=(8.5, 3.9))
    axes = figure.subplots()
    for state, (label, marker, face, edge) in _TRIALS.items():
        some = ended[ended["state"] == state]
        if some.empty:
            continue
        axes.plot(
            some["trial"],
            100 * some["val_accuracy"],
            linestyle="none",
            marker=marker,
            markersize=10 if marker == "X" else 8,
            markerfacecolor=face,
            markeredgecolor="white" if marker == "X" else edge,
            label=f"{label} ({len(some)})",
            zorder=3,
        )
    complete = ended[ended["state"] == "complete"].sort_values("trial")
    best = _best(ended)
    if best is not None:
        last = ended["trial"].max()
        steps = [*complete["trial"], last]
        highest = 100 * complete["val_accuracy"].cummax()
        axes.step(
            steps,
            [*highest, highest.iloc[-1]],
            where="post",
            color=INK,
            linewidth=1.3,
            label="best so far",
            zorder=2,
        )
        axes.annotate(
            f"{best['val_accuracy']:.1%}",
            (best["trial"], 100 * best["val_accuracy"]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontweight="bold",
        )
    axes.margins(y=0.14)
    axes.set(xlabel="trial", ylabel="validation accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 2, 5, 10], integer=True))
    axes.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


@styled
def search_curves(epochs: pd.DataFrame, trials: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw each trial's validation accuracy by epoch, and where it was pruned.

    Parameters
    ----------
    epochs : DataFrame
        A row an epoch of a trial: trial, epoch (from 1), val_accuracy (0 … 1).
    trials : DataFrame
        From `search.results`: trial, state, val_accuracy.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        When no trial has ended.
    """
    ended = _ended(trials)
    best = _best(ended)
    figure = Figure(figsize=(8.5, 4.2))
    axes = figure.subplots()
    labelled = set()
    for entry in ended.itertuples():
        curve = epochs[epochs["trial"] == entry.trial].sort_values("epoch")
        name, marker, _, color = _TRIALS[entry.state]
        chosen = best is not None and entry.trial == best["trial"]
        label = "best" if chosen else name
        axes.plot(
            curve["epoch"],
            100 * curve["val_accuracy"],
            color=INK if chosen else color,
            linewidth=2.6 if chosen else 1.2,
            alpha=1 if chosen else 0.75,
            linestyle="-" if entry.state == "complete" else (0, (4, 2)),
            marker=marker if entry.state == "pruned" else None,
            markevery=[-1],
            markersize=8,
            markeredgecolor="white",
            label=None if label in labelled else label,
            zorder=4 if chosen else 3,
        )
        labelled.add(label)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10], integer=True))
    axes.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


@styled
def search_settings(
    trials: pd.DataFrame,
    settings: Sequence[str] = ("learning_rate", "batch_size", "filters", "dropout"),
    *,
    title: str = "",
) -> Figure:
    """Draw accuracy against each setting, a panel a setting, with the best trial ringed.

    Parameters
    ----------
    trials : DataFrame
        From `search.results`, with a column for each of the settings.
    settings : sequence of str
        Those to draw. "learning_rate" gets a logarithmic axis; whole numbers stand at equal
        distances.
    title : str

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        When no trial has ended, or a column is missing.
    """
    ended = _ended(trials)
    missing = set(settings) - set(ended.columns)
    if missing or not len(settings):
        raise DataError(f"trials: no column {', '.join(sorted(missing)) or 'to draw'}")
    best = _best(ended)
    figure = Figure(figsize=(1.2 + 2.6 * len(settings), 3.6))
    panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, settings, strict=True):
        values = ended[name].to_numpy(dtype=float)
        whole = name in ("batch_size", "filters")
        choices = np.unique(values)
        places = np.searchsorted(choices, values).astype(float) if whole else values
        if whole:
            # Equal choices lie on one line: set them a little apart, always in the same way.
            places += 0.22 * (((np.arange(len(places)) * 0.618) % 1) - 0.5)
            axes.set_xticks(range(len(choices)), [f"{choice:.0f}" for choice in choices])
            axes.set_xlim(-0.5, len(choices) - 0.5)
        elif name == "learning_rate":
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        accuracy = 100 * ended["val_accuracy"].to_numpy()
        for state, (label, marker, face, _) in _TRIALS.items():
            some = (ended["state"] == state).to_numpy()
            if not some.any():
                continue
            axes.plot(
                places[some],
                accuracy[some],
                linestyle="none",
                marker=marker,
                markersize=9 if marker == "X" else 7,
                markerfacecolor=face,
                markeredgecolor="white",
                label=label if name == settings[0] else None,
            )
        if best is not None:
            at = (ended["trial"] == best["trial"]).to_numpy()
            axes.plot(
                places[at],
                accuracy[at],
                linestyle="none",
                marker="o",
                markersize=14,
                markerfacecolor="none",
                markeredgecolor=INK,
                markeredgewidth=1.6,
                label="best" if name == settings[0] else None,
            )
        axes.set_xlabel(name.replace("_", " "))
        axes.margins(y=0.1)
        axes.grid(axis="y")
    panels[0].set_ylabel("validation accuracy (%)")
    figure.legend(loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


@styled
def search_importance(shares: pd.Series, *, title: str = "") -> Figure:
    """Draw how much of the accuracy's spread each setting explains.

    Parameters
    ----------
    shares : Series
        From `search.importance`: index settings, values 0 … 1.
    title : str

    Returns
    -------
    Figure
    """
    require_some(shares, "shares")
    figure = Figure(figsize=(7, 0.5 * len(shares) + 1.1))
    axes = figure.subplots()
    names = [str(name).replace("_", " ") for name in shares.index]
    bars = axes.barh(names, 100 * shares.to_numpy(), height=0.66, color="#332288")
    axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=4)
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="share of the spread in accuracy that it explains (%)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    set_title(figure, title)
    return figure
