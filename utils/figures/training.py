"""Training epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from utils.figures import style
from utils.figures.style import Figure, styled


@styled
def learning_curves(history: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Figure:
    """Draw loss and accuracy by epoch, of training and validation, with the best epoch marked.

    Parameters
    ----------
    history : DataFrame, or mapping of names to DataFrames
        With the columns of ``history.csv``: epoch (from 1), loss, accuracy, val_loss,
        val_accuracy (accuracies 0 … 1). The best epoch has the highest validation accuracy, the
        first among ties.
    """
    histories = style.several(history, "history")
    figure, (panels,) = style.sheet(9.5, 4.3, 1, 2)
    for at, (name, table) in enumerate(histories.items()):
        color, best = style.look(at)["color"], int(table["val_accuracy"].to_numpy().argmax())
        prefix, epochs = f"{name}: " if name else "", table["epoch"].to_numpy()
        chosen = f"best epoch, {epochs[best]}: {table['val_accuracy'].iloc[best]:.1%}"
        for axes, column, factor in ((panels[0], "loss", 1), (panels[1], "accuracy", 100)):
            train, validation = factor * table[column], factor * table[f"val_{column}"]
            axes.plot(epochs, train, "--", color=color, linewidth=1.5, label=f"{prefix}training")
            axes.plot(epochs, validation, color=color, label=f"{prefix}validation")
            ring = style.mark("o", color, False)
            axes.plot(epochs[best], validation.iloc[best], label=prefix + chosen, zorder=3, **ring)
    panels[0].set(title="loss", ylabel="cross-entropy (nats)", ylim=(0, None))
    panels[1].set(title="accuracy", ylabel="accuracy (%)")
    panels[1].set_ylim(top=min(100.0, panels[1].get_ylim()[1]))
    for axes in panels:
        axes.set_xlabel("epoch")
        style.whole_axis(axes.xaxis)
        axes.grid(axis="y")
    # One column per run; a single run's three entries on one line.
    style.legend_below(figure, panels[0].lines, ncols=3 if len(histories) == 1 else len(histories))
    return figure
