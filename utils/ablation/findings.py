"""What each ingredient gives: the record, and the table that is computed from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from utils import evaluation, plans, runtime
from utils.ablation.lines import RECIPE
from utils.runtime import ModelError

#: Of a record, beside ``plan.json`` and ``LINE-SEED.validation.npz``.
ROWS = "lines.csv"

#: What a record's folder is called before its name: ``ablation-NAME``.
KIND = "ablation"

#: Of ``lines.csv``: a row a line and seed. "n" are validation faces, "accuracy" (0 … 1) and
#: "log_loss" (nats) are of the epoch with the highest ``val_accuracy``, which is measured in one
#: view; they themselves are asked in all views. "seconds" is the median epoch's times the epochs,
#: so that compiling, once a session, does not count (of a line without a training, the recipe's).
COLUMNS = (
    "line",
    "seed",
    "epochs",
    "best_epoch",
    "n",
    "accuracy",
    "log_loss",
    "seconds",
    "parameters",
    "hardware",
)


@dataclass(frozen=True)
class Ablation:
    """A record of what the recipe's ingredients give on a data set.

    Attributes
    ----------
    name : str
        The record's: its folder's without "ablation-".
    info : dict
        ``plan.json``: dataset, fingerprint, settings of the whole recipe, lines (each with its
        title and its changes), expressions, rows, and sessions, each with its command, versions,
        hardware and commit.
    runs : pandas.DataFrame
        ``lines.csv``: `COLUMNS`.
    """

    name: str
    info: dict[str, Any] = field(repr=False)
    runs: pd.DataFrame = field(repr=False)

    def finished(self) -> set[tuple[str, int]]:
        """Return the (line, seed) pairs that are recorded."""
        return set(zip(self.runs["line"], map(int, self.runs["seed"]), strict=True))

    def left(self, lines: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, int]]:
        """List what of some lines and seeds is not recorded, in the order it is trained in."""
        done = self.finished()
        return [(line, seed) for seed in seeds for line in lines if (line, seed) not in done]


def table(found: Ablation) -> pd.DataFrame:
    """Set each line against the whole recipe, paired by seed.

    Parameters
    ----------
    found : Ablation
        From `load` or `run`.

    Returns
    -------
    pandas.DataFrame
        Index ``line``: "recipe" first, then the others as they were trained; a line without a
        seed that the recipe has too is left out. Columns: ``title``; ``seeds``, how many;
        ``accuracy``, their mean on the validation split, percent; ``points``, the mean difference
        to the recipe with the same seeds, percentage points; ``low`` and ``high``, its 95 %
        interval over the seeds (`evaluation.seeds_interval`), NaN for one seed and for the
        recipe; ``seconds``, its training time as a multiple of the recipe's, over the seeds that
        both were trained with on the same hardware (NaN where there are none, and for a line
        without a training of its own).

    Raises
    ------
    ModelError
        When the recipe is not recorded yet.

    Notes
    -----
    The epoch was chosen on the same validation split, so the accuracies are a little too high. Of
    "one_view" this very accuracy chose the epoch, of the others one close to it: what the views
    give is rather underrated. Each interval is by itself: among twenty lines that
    change nothing, one may be expected to leave zero out.
    """
    runs = found.runs.sort_values("seed", kind="stable")
    recipe = runs[runs["line"] == RECIPE]
    if recipe.empty:
        raise ModelError(f"{found.name}: the whole recipe is not recorded yet")
    rows: dict[str, dict[str, Any]] = {}
    for line in dict.fromkeys([RECIPE, *found.runs["line"]]):
        own = runs[runs["line"] == line]
        both = own.merge(recipe, on="seed", suffixes=("", "_recipe"))
        if both.empty:
            continue
        points = 100 * (both["accuracy"] - both["accuracy_recipe"])
        mean, low, high = evaluation.seeds_interval(points)
        same = both[both["hardware"] == both["hardware_recipe"]]
        alone = len(both) == 1 or line == RECIPE
        timed = len(same) and set(found.info["lines"][line].get("changes", {})) != {"views"}
        rows[line] = {
            "title": found.info["lines"][line]["title"],
            "seeds": len(both),
            "accuracy": 100 * float(both["accuracy"].mean()),
            "points": mean,
            "low": math.nan if alone else low,
            "high": math.nan if alone else high,
            "seconds": float(same["seconds"].sum()) / float(same["seconds_recipe"].sum())
            if timed
            else math.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("line")


def describe(table: pd.DataFrame) -> str:
    """Write a table as text, a line each, the largest loss first.

    Parameters
    ----------
    table : DataFrame
        From `table`.

    Returns
    -------
    str
        Accuracy, difference in points with its interval where there are two seeds, time, title.
    """
    recipe = table.loc[RECIPE]
    seeds = "1 seed" if recipe["seeds"] == 1 else f"{recipe['seeds']} seeds"
    lines = [f"{recipe['accuracy']:5.1f} %  {recipe['title']}, {seeds}, validation split"]
    for _, row in table.drop(index=RECIPE).sort_values("points", kind="stable").iterrows():
        interval = f" ({row['low']:+.1f} to {row['high']:+.1f})"
        if row["seeds"] == 1:
            interval = " (one seed: no interval)"
        seconds = "" if math.isnan(row["seconds"]) else f", {row['seconds']:.2f} × the time"
        lines.append(
            f"{row['accuracy']:5.1f} %  {row['points']:+5.1f}{interval}  {row['title']}{seconds}"
        )
    return "\n".join(lines)


# ------------------------------------------------------------------------------------ record


def load(name: str | Path, results: Path = runtime.RESULTS) -> Ablation:
    """Read a record.

    Parameters
    ----------
    name : str or path
        A data set's name, as "fer2013" for ``results/ablation-fer2013``; or the record's folder.
    results : path
        Where named records lie.

    Returns
    -------
    Ablation

    Raises
    ------
    ModelError
        When there is no such record, or one of its files is not what it should be.
    """
    folder = plans.find(KIND, name, results)
    info = plans.read(folder)
    try:
        titles = {line: described["title"] for line, described in info["lines"].items()}
        for key in ("dataset", "fingerprint", "settings"):
            info[key]
        runs = pd.DataFrame(columns=list(COLUMNS))
        if (folder / ROWS).is_file():
            runs = pd.read_csv(folder / ROWS)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise ModelError(f"{folder.name}: its record cannot be read: {error}") from error
    _check(runs, titles, f"{folder.name}/{ROWS}")
    return Ablation(folder.name.removeprefix(f"{KIND}-"), info, runs)


def recorded(results: Path = runtime.RESULTS) -> list[str]:
    """List the records below ``results``, by name."""
    return plans.recorded(KIND, results)


def _check(runs: pd.DataFrame, titles: dict[str, str], title: str) -> None:
    """Refuse a table of lines that lacks a column, repeats a run, or says what cannot be."""
    if tuple(runs.columns) != COLUMNS:
        found = ", ".join(map(str, runs.columns))
        raise ModelError(f"{title}: columns {found}; expected {', '.join(COLUMNS)}")
    numbers = ["seed", "epochs", "best_epoch", "n", "accuracy", "log_loss", "seconds"]
    values = runs[numbers].apply(pd.to_numeric, errors="coerce")
    checks = {
        "no number": values.isna().any(axis=1),
        "a seed that is no whole number": values["seed"] % 1 != 0,
        "a line that plan.json does not name": ~runs["line"].isin(list(titles)),
        "a line and seed for the second time": runs.duplicated(["line", "seed"]),
        "an accuracy outside 0 … 1": ~values["accuracy"].between(0, 1),
    }
    for what, wrong in checks.items():
        if wrong.any():
            raise ModelError(f"{title}, row {int(wrong.to_numpy().argmax())}: found {what}")


def add_row(folder: Path, row: dict[str, Any]) -> None:
    """Add a finished run to ``lines.csv``, which is written whole."""
    decimals = {"accuracy": 6, "log_loss": 6, "seconds": 2}
    rounded = {key: round(row[key], decimals[key]) if key in decimals else row[key] for key in row}
    before = [pd.read_csv(folder / ROWS)] if (folder / ROWS).is_file() else []
    whole = pd.concat([*before, pd.DataFrame([rounded], columns=list(COLUMNS))])
    text = whole.to_csv(index=False, lineterminator="\n")
    runtime.write_atomically(folder / ROWS, text.encode())
