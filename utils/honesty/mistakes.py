"""What common mistakes add to an accuracy: a catalog, the record of their runs, and the table.

`MISTAKES` says what is done wrong, and how the figure is then computed. One small network was
trained with one mistake at a time (`experiments.mistakes`); most mistakes need no run of their own,
only a different evaluation of the honest ones. ``results/mistakes-NAME/`` has ``plan.json``
(protocol, data, sessions), ``runs.csv`` (`RUN_COLUMNS`) and ``honest-SEED.npz`` (the honest
network's predictions after each epoch). `table` compares each mistake with the honest figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import runtime
from utils.runtime import ModelError

#: The runs that make no mistake, and what the table calls them.
HONEST = "honest"
BASES = {HONEST: "no mistake", "by_photo": "no mistake, split by photo"}

#: What a mistake does to a figure.
KINDS: dict[str, str] = {
    "leak": "test pictures reach training",
    "choice": "chosen on the test set",
    "measure": "something else is measured",
    "combined": "several at once",
}

#: The classes that two of the mistakes leave out: those with the lowest recall on PublicTest in
#: the recorded run cnn3-fer2013-none (disgust 27%, fear 34%, sad 50%).
DROPPED: dict[str, tuple[str, ...]] = {
    "five_classes": ("disgust", "fear"),
    "four_classes": ("disgust", "fear", "sad"),
}

#: Of ``runs.csv``: one row per variant, seed, and epoch. "steps" are gradient steps so far,
#: "train_accuracy" is what Keras shows, a mean over the epoch's batches; "val" and "test" count the
#: variant's own validation and test rows, "test_leaked" those of the latter that share a picture
#: (or photo) with training; "seconds" include the predictions.
RUN_COLUMNS = (
    *("variant", "seed", "epoch", "steps", "train_n", "train_accuracy"),
    *("val_n", "val_right", "val_accuracy", "test_n", "test_right", "test_accuracy"),
    *("test_leaked", "seconds"),
)


@dataclass(frozen=True)
class Mistake:
    """One way to get a figure that is too high.

    ``variant`` and ``reading`` say which runs the figure comes from and how it is read from them
    (`read_figure`), ``base`` names the honest variant that it is compared with, ``control`` the one
    that does the same thing after the split ("" if there is none), and ``title`` is used in tables
    and figures.
    """

    name: str
    kind: str
    variant: str
    reading: str
    title: str
    base: str = HONEST
    control: str = ""


# fmt: off
MISTAKES: tuple[Mistake, ...] = tuple(
    Mistake(*row)
    for row in (
        ("copies_kept", "leak", HONEST, "all_rows", "copies of training pictures kept in test"),
        ("best_epoch_on_test", "choice", HONEST, "best_on_test",
         "best epoch chosen on the test set"),
        ("pooled", "choice", HONEST, "pooled",
         "validation and test pooled, the epoch chosen on them"),
        ("resplit", "leak", "resplit", "chosen", "all rows split again, at random"),
        ("augmented_first", "leak", "augmented_first", "chosen", "augmentation before the split",
         HONEST, "augmented_after"),
        ("smote_first", "leak", "smote_first", "chosen", "SMOTE before the split",
         HONEST, "smote_after"),
        ("training_accuracy", "measure", HONEST, "training", "training accuracy reported"),
        ("training_accuracy_last", "measure", HONEST, "training_last",
         "training accuracy of the last epoch"),
        ("five_classes", "measure", "five_classes", "chosen", "disgust and fear left out"),
        ("four_classes", "measure", "four_classes", "chosen", "disgust, fear and sad left out"),
        ("binary_accuracy", "measure", HONEST, "binary", "“binary” accuracy over the classes"),
        ("top2", "measure", HONEST, "top2", "label among the two most probable (top-2)"),
        ("by_face", "leak", "by_face", "chosen", "faces of one photo on both sides", "by_photo"),
        ("combined", "combined", "combined", "best_on_test",
         "SMOTE and augmentation before the split, best epoch on the test set"),
    )
)
# fmt: on


@dataclass(frozen=True)
class Mistakes:
    """A record of what the mistakes add on a data set.

    ``name`` is its folder's name without "mistakes-", ``info`` is ``plan.json`` (dataset,
    fingerprint, plan, expressions, rows, and sessions, each with its command, versions, hardware,
    and commit), ``runs`` is ``runs.csv``, with `RUN_COLUMNS`. ``answers`` holds, by seed, what the
    honest network predicts on the test set: ``labels``, ``rows``, ``copies`` (whether the same
    picture is in training), (n,); the most probable class ``first`` and the next, ``second``, and
    ``sure``, whether the first has more than 0.5, (epochs, n).
    """

    name: str
    info: dict[str, Any] = field(repr=False)
    runs: pd.DataFrame = field(repr=False)
    answers: dict[int, dict[str, np.ndarray]] = field(repr=False)

    def seeds(self, variant: str) -> list[int]:
        """List the seeds that a variant was trained with, in order."""
        return sorted(map(int, self.runs.loc[self.runs["variant"] == variant, "seed"].unique()))

    def history(self, variant: str, seed: int) -> pd.DataFrame:
        """Return the epochs of one run, in order."""
        rows = self.runs[(self.runs["variant"] == variant) & (self.runs["seed"] == seed)]
        return rows.sort_values("epoch").reset_index(drop=True)


def read_figure(found: Mistakes, variant: str, seed: int, reading: str) -> tuple[float, int, float]:
    """Read a figure from the run of a variant with a seed.

    Parameters
    ----------
    reading : str
        "chosen": the test accuracy of the epoch that is best on validation, the honest way;
        "best_on_test": the highest test accuracy; "pooled": the highest accuracy on validation and
        test together; "training", "training_last": the training accuracy of the chosen, the last
        epoch. For the honest variant only: "all_rows", as "chosen" but with the copies of training
        pictures; "binary", Keras's binary accuracy; "top2".

    Returns
    -------
    figure, n, leaked : float, int, float
        Percent; the number of rows; the percentage of these that leaked into training (NaN if the
        figure is of training itself).
    """
    history = found.history(variant, seed)
    chosen = int(history["val_right"].argmax())
    n, right = int(history["test_n"].iloc[0]), history["test_right"]
    leaked = 100 * float(history["test_leaked"].iloc[0] / n)
    if reading == "chosen":
        return 100 * (right[chosen] / n), n, leaked
    if reading == "best_on_test":
        return 100 * (right.max() / n), n, leaked
    if reading == "pooled":
        n += int(history["val_n"].iloc[0])
        return 100 * ((history["val_right"] + right).max() / n), n, leaked
    if reading in ("training", "training_last"):
        row = history.iloc[chosen if reading == "training" else -1]
        return 100 * float(row["train_accuracy"]), int(row["train_n"]), math.nan
    said = found.answers[seed]
    first, second, sure = (said[name][chosen] for name in ("first", "second", "sure"))
    values, kept = first == said["labels"], ~said["copies"]
    if reading == "all_rows":
        return 100 * float(values.mean()), len(values), 100 * float(said["copies"].mean())
    if reading == "top2":
        values = values | (second == said["labels"])
    else:  # binary: unsure, all seven say "no" and one is wrong; sure and wrong, two are
        values = 1 - np.where(sure, np.where(values, 0, 2), 1) / len(found.info["expressions"])
    return 100 * float(values[kept].mean()), int(kept.sum()), leaked


def table(found: Mistakes) -> pd.DataFrame:
    """Compare each mistake with the honest figure.

    Returns
    -------
    pandas.DataFrame
        Index ``mistake``: first the honest variant ("honest", or "by_photo"), then the mistakes
        that were trained, in `MISTAKES`' order. Columns: ``title``; ``kind``; ``base``, what it
        is compared with; ``seeds``, how many; ``n`` and ``leaked`` as `read_figure` returns them
        for the first seed; ``figure``, the mean of the seeds, percent; ``each``, a tuple of the
        seeds' own figures; ``points``, the mean of the differences from the base, paired by seed,
        percentage points; ``done_right``, the difference when the same thing is done after the
        split (NaN where that does not apply).

    Raises
    ------
    ModelError
        When no honest variant is recorded yet.
    """
    rows = {}
    bases = [Mistake(base, HONEST, base, "chosen", title, base) for base, title in BASES.items()]
    for one in (*bases, *MISTAKES):
        both = _paired(found, one.variant, one.reading, one.base)
        if both.empty:
            continue
        control = _paired(found, one.control, "chosen", one.base)
        _, n, leaked = read_figure(found, one.variant, both.index[0], one.reading)
        row = {key: getattr(one, key) for key in ("title", "kind", "base")}
        row |= {"seeds": len(both), "n": n, "leaked": leaked, "figure": both["wrong"].mean()}
        row["each"] = tuple(both["wrong"])
        row["points"] = (both["wrong"] - both["base"]).mean()
        row["done_right"] = (control["wrong"] - control["base"]).mean()
        rows[one.name] = row
    if not rows:
        raise ModelError(f"{found.name}: neither {' nor '.join(BASES)} is recorded yet")
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("mistake")


def _paired(found: Mistakes, variant: str, reading: str, base: str) -> pd.DataFrame:
    """Put the figures of a variant and of its base side by side, for seeds that both have."""
    seeds = [seed for seed in found.seeds(variant) if seed in found.seeds(base)]
    wrong = [read_figure(found, variant, seed, reading)[0] for seed in seeds]
    honest = [read_figure(found, base, seed, "chosen")[0] for seed in seeds]
    return pd.DataFrame({"wrong": wrong, "base": honest}, index=seeds, dtype=float)


def recorded(results: Path = runtime.RESULTS) -> list[str]:
    """List the records below ``results``, by name."""
    plans = results.glob("mistakes-*/plan.json")
    return sorted(plan.parent.name.removeprefix("mistakes-") for plan in plans)


def load(name: str | Path, results: Path = runtime.RESULTS) -> Mistakes:
    """Read ``results``/mistakes-NAME, as "fer2013", or the record in a folder.

    ModelError when there is no such record, or one of its files is not what it should be.
    """
    folder = name if isinstance(name, Path) else results / f"mistakes-{name}"
    if not (folder / "plan.json").is_file():
        there = ", ".join(recorded(folder.parent)) or "none"
        raise ModelError(f"{folder.name}: no record of mistakes there; recorded: {there}")
    info = runtime.read_json(folder / "plan.json")
    runs, file = pd.DataFrame(columns=list(RUN_COLUMNS)), folder / "plan.json"
    try:
        epochs = int(info["plan"]["epochs"])
        file = folder / "runs.csv"
        if file.is_file():
            runs = pd.read_csv(file)[list(RUN_COLUMNS)]
        for (variant, seed), rows in runs.groupby(["variant", "seed"], sort=False):
            if sorted(rows["epoch"]) != list(range(1, epochs + 1)):
                raise ValueError(
                    f"{variant}, seed {seed}: expected each of the epochs 1 … {epochs}"
                )
        found = Mistakes(folder.name.removeprefix("mistakes-"), info, runs, {})
        for seed in found.seeds(HONEST):
            file = folder / f"{HONEST}-{seed}.npz"
            names = ("labels", "rows", "copies", "first", "second", "sure")
            with np.load(file, allow_pickle=False) as arrays:
                said = {name: arrays[f"test_{name}"] for name in names}
            n, shapes = len(said["labels"]), [array.shape for array in said.values()]
            if shapes != [(n,)] * 3 + [(epochs, n)] * 3:
                raise ValueError(f"arrays of {shapes}, expected {epochs} epochs")
            found.answers[seed] = said
    except Exception as error:  # NumPy, zipfile and zlib raise a dozen kinds on a damaged archive
        problem = f"cannot be read: {type(error).__name__}: {error}"
        raise ModelError(f"{folder.name}/{file.name}: {problem}") from error
    return found
