"""What the mistakes are worth: the record, and the table that is computed from it."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import evaluation, plans, records, runtime
from utils.mistakes.catalogue import HONEST, MISTAKES
from utils.runtime import ModelError

#: Of a record, beside ``plan.json`` and ``honest-SEED.npz``.
RUNS = "runs.csv"

#: What a record's folder is called before its name: ``mistakes-NAME``.
KIND = "mistakes"

#: Of ``runs.csv``: a row an epoch of a variant with a seed. "steps" are gradient steps so far,
#: "train_accuracy" is what Keras shows, a mean over the epoch's batches; "val" and "test" count the
#: variant's own validation and test rows, "test_leaked" those of the latter that share a picture
#: (or photo) with training; "seconds" include the asking.
RUN_COLUMNS = (
    "variant",
    "seed",
    "epoch",
    "steps",
    "train_n",
    "train_accuracy",
    "val_n",
    "val_right",
    "val_accuracy",
    "test_n",
    "test_right",
    "test_accuracy",
    "test_leaked",
    "seconds",
)


@dataclass(frozen=True)
class Answers:
    """What a network said of each row of a split, after each epoch.

    Attributes
    ----------
    labels : (n,) int64 array
    rows : (n,) int64 array
        The row in the source file.
    copies : (n,) bool array
        Whether the same picture stands in training.
    first, second : (epochs, n) uint8 arrays
        The most probable class, and the next; of equal ones the first.
    sure : (epochs, n) bool array
        Whether the most probable class has more than 0.5.
    """

    labels: np.ndarray
    rows: np.ndarray
    copies: np.ndarray
    first: np.ndarray
    second: np.ndarray
    sure: np.ndarray

    @classmethod
    def of(
        cls, probabilities: np.ndarray, labels: np.ndarray, rows: np.ndarray, copies: np.ndarray
    ) -> Answers:
        """Keep of probabilities (epochs, n, classes) what the readings need."""
        order = np.argsort(-probabilities, axis=2, kind="stable")[:, :, :2].astype(np.uint8)
        sure = probabilities.max(axis=2, initial=0) > 0.5
        return cls(labels, rows, copies, order[:, :, 0], order[:, :, 1], sure)

    @property
    def right(self) -> np.ndarray:
        """(epochs, n) bool: where the most probable class is the true one."""
        return self.first == self.labels

    @property
    def right_of_two(self) -> np.ndarray:
        """(epochs, n) bool: where one of the two most probable classes is the true one."""
        return self.right | (self.second == self.labels)

    def binary(self, classes: int) -> np.ndarray:
        """Return each row's share of right yes-or-no answers, (epochs, n) float64.

        A class is answered "yes" where its probability is over 0.5, so one at most is. Unsure:
        all "no", one of them wrong. Sure and right: all right. Sure and wrong: two wrong.
        """
        wrong = np.where(self.sure, np.where(self.right, 0, 2), 1)
        return 1 - wrong / classes


@dataclass(frozen=True)
class Mistakes:
    """A record of what the mistakes are worth on a data set.

    Attributes
    ----------
    name : str
        The record's: its folder's without "mistakes-".
    info : dict
        ``plan.json``: dataset, fingerprint, plan, expressions, rows, and sessions, each with
        its command, versions, hardware and commit.
    runs : pandas.DataFrame
        ``runs.csv``, with `RUN_COLUMNS`.
    answers : dict of int to dict of str to Answers
        Seed → split → what the honest network said.
    """

    name: str
    info: dict[str, Any] = field(repr=False)
    runs: pd.DataFrame = field(repr=False)
    answers: dict[int, dict[str, Answers]] = field(repr=False)

    def finished(self) -> set[tuple[str, int]]:
        """Return the (variant, seed) pairs that are recorded."""
        return set(zip(self.runs["variant"], map(int, self.runs["seed"]), strict=True))

    def seeds(self, variant: str) -> list[int]:
        """List the seeds that a variant was trained with, in order."""
        return sorted(seed for name, seed in self.finished() if name == variant)

    def history(self, variant: str, seed: int) -> pd.DataFrame:
        """Return the epochs of one run.

        Raises
        ------
        ModelError
            When there is no such run.
        """
        runs = self.runs
        rows = runs[(runs["variant"] == variant) & (runs["seed"] == seed)]
        if rows.empty:
            raise ModelError(f"{self.name}: no run of {variant!r} with seed {seed}")
        return rows.sort_values("epoch").reset_index(drop=True)

    def predictions(self, seed: int) -> records.Predictions:
        """Return what the honest network says of the test set at the epoch that validation chose.

        Which class it names was recorded, not how probable: the class has 1, the others 0.

        Parameters
        ----------
        seed : int
            One of ``seeds("honest")``.

        Returns
        -------
        Predictions
            A row a test face.

        Raises
        ------
        ModelError
            When there is no such run, or its answers are missing.
        """
        said, chosen = _honest_answers(self, seed)
        expressions = tuple(self.info["expressions"])
        return records.Predictions(
            probabilities=np.eye(len(expressions), dtype=np.float32)[said.first[chosen]],
            labels=said.labels,
            rows=said.rows,
            copies=said.copies,
            expressions=expressions,
        )


# ---------------------------------------------------------------------------------- readings


def _best(right: pd.Series) -> int:
    """Return the place of the highest count, the first of equals."""
    return int(right.to_numpy().argmax())


def _chosen(history: pd.DataFrame) -> pd.Series:
    """Return the epoch that validation chooses."""
    return history.iloc[_best(history["val_right"])]


def _honest_answers(found: Mistakes, seed: int) -> tuple[Answers, int]:
    """Return the honest network's answers on the test set, and the place of the chosen epoch."""
    history = found.history(HONEST, seed)
    if seed not in found.answers:
        raise ModelError(f"{found.name}: honest-{seed}.npz is missing, and its run is recorded")
    return found.answers[seed]["test"], _best(history["val_right"])


def _read_chosen(found: Mistakes, variant: str, seed: int) -> tuple[float, int]:
    row = _chosen(found.history(variant, seed))
    return row["test_right"] / row["test_n"], int(row["test_n"])


def _read_best_on_test(found: Mistakes, variant: str, seed: int) -> tuple[float, int]:
    history = found.history(variant, seed)
    row = history.iloc[_best(history["test_right"])]
    return row["test_right"] / row["test_n"], int(row["test_n"])


def _read_pooled(found: Mistakes, variant: str, seed: int) -> tuple[float, int]:
    history = found.history(variant, seed)
    right = history["val_right"] + history["test_right"]
    n = int(history["val_n"].iloc[0] + history["test_n"].iloc[0])
    return right.max() / n, n


def _read_training(found: Mistakes, variant: str, seed: int) -> tuple[float, int]:
    row = _chosen(found.history(variant, seed))
    return float(row["train_accuracy"]), int(row["train_n"])


def _read_training_last(found: Mistakes, variant: str, seed: int) -> tuple[float, int]:
    row = found.history(variant, seed).iloc[-1]
    return float(row["train_accuracy"]), int(row["train_n"])


def _read_all_rows(found: Mistakes, variant: str, seed: int) -> tuple[float, int]:
    answers, epoch = _honest_answers(found, seed)
    return float(answers.right[epoch].mean()), len(answers.labels)


def _read_binary(found: Mistakes, variant: str, seed: int) -> tuple[float, int]:
    answers, epoch = _honest_answers(found, seed)
    shares = answers.binary(len(found.info["expressions"]))[epoch, ~answers.copies]
    return float(shares.mean()), len(shares)


def _read_top2(found: Mistakes, variant: str, seed: int) -> tuple[float, int]:
    answers, epoch = _honest_answers(found, seed)
    right = answers.right_of_two[epoch, ~answers.copies]
    return float(right.mean()), len(right)


#: How a figure is read from a run: (Mistakes, variant, seed) → (share 0 … 1, rows it is of).
#: "chosen": the test accuracy of the epoch that is best on validation, the honest way; "all_rows":
#: the same with the copies of training pictures; "best_on_test": the highest test accuracy;
#: "pooled": the highest accuracy on validation and test together; "training", "training_last": the
#: training accuracy of the chosen, the last epoch; "binary": Keras's binary accuracy; "top2".
READINGS: dict[str, Callable[[Mistakes, str, int], tuple[float, int]]] = {
    "chosen": _read_chosen,
    "all_rows": _read_all_rows,
    "best_on_test": _read_best_on_test,
    "pooled": _read_pooled,
    "training": _read_training,
    "training_last": _read_training_last,
    "binary": _read_binary,
    "top2": _read_top2,
}


# ------------------------------------------------------------------------------------- table


def figures_by_seed(found: Mistakes, variant: str, reading: str = "chosen") -> pd.Series:
    """Read a variant's figure from each of its runs.

    Parameters
    ----------
    found : Mistakes
    variant : str
        One of `pools.VARIANTS`.
    reading : str
        One of `READINGS`; "all_rows", "binary" and "top2" are of the honest variant.

    Returns
    -------
    pandas.Series
        Index: the seeds; values: percent.
    """
    seeds = found.seeds(variant)
    values = [100 * READINGS[reading](found, variant, seed)[0] for seed in seeds]
    return pd.Series(values, index=pd.Index(seeds, name="seed"), name=variant, dtype=float)


_UNFLAWED = {HONEST: "no mistake", "by_photo": "no mistake, split by photo"}


def table(found: Mistakes) -> pd.DataFrame:
    """Set each mistake against the honest figure.

    Parameters
    ----------
    found : Mistakes
        From `load` or `run`.

    Returns
    -------
    pandas.DataFrame
        Index ``mistake``: first the honest variant ("honest", or "by_photo"), then the mistakes
        that were trained, in `MISTAKES`' order. Columns: ``title``; ``kind``; ``base``, what it
        is compared with; ``seeds``, how many; ``n``, rows that the figure is of (the first
        seed's); ``leaked``, the percentage of these rows that share a picture, or a photo, with
        training (NaN where the figure is of training itself); ``figure``, the mean of the
        seeds, percent; ``points``, the mean of the differences to the base, paired by seed,
        percentage points; ``low`` and ``high``, its 95 % interval over the seeds
        (`evaluation.seeds_interval`; NaN for one seed), of the honest row that of its figure;
        ``done_right``, the difference where the same thing is done after the split (NaN where
        that is no question); ``wrong``, ``why`` and ``instead``, a sentence each.
    """
    rows: dict[str, dict[str, Any]] = {}
    for base in dict.fromkeys(mistake.base for mistake in MISTAKES):
        figures = figures_by_seed(found, base)
        if figures.empty:
            continue
        mean, low, high = evaluation.seeds_interval(figures)
        rows[base] = {
            "title": _UNFLAWED[base],
            "kind": HONEST,
            "base": base,
            "seeds": len(figures),
            "n": _read_chosen(found, base, figures.index[0])[1],
            "leaked": 0.0,
            "figure": mean,
            "points": 0.0,
            "low": low,
            "high": high,
            "done_right": math.nan,
            "wrong": "",
            "why": "",
            "instead": "",
        }
    bases = list(rows)
    for mistake in MISTAKES:
        if mistake.base not in bases:
            continue
        both = _paired(found, mistake.variant, mistake.reading, mistake.base)
        if both.empty:
            continue
        points, low, high = evaluation.seeds_interval(both["wrong"] - both["base"])
        seed = both.index[0]
        rows[mistake.name] = {
            "title": mistake.title,
            "kind": mistake.kind,
            "base": mistake.base,
            "seeds": len(both),
            "n": READINGS[mistake.reading](found, mistake.variant, seed)[1],
            "leaked": _leaked_share(found, mistake.variant, mistake.reading, seed),
            "figure": float(both["wrong"].mean()),
            "points": points,
            "low": low,
            "high": high,
            "done_right": _done_right(found, mistake.control, mistake.base),
            "wrong": mistake.wrong,
            "why": mistake.why,
            "instead": mistake.instead,
        }
    if not rows:
        raise ModelError(f"{found.name}: neither {HONEST} nor by_photo is recorded yet")
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("mistake")


def _paired(found: Mistakes, variant: str, reading: str, base: str) -> pd.DataFrame:
    """Put the figures of a variant and of its base side by side, for the seeds of both."""
    wrong = figures_by_seed(found, variant, reading).rename("wrong")
    return pd.concat([wrong, figures_by_seed(found, base).rename("base")], axis=1, join="inner")


def _done_right(found: Mistakes, control: str, base: str) -> float:
    """Return what the same thing changes when it is done after the split, in points."""
    both = _paired(found, control, "chosen", base) if control else pd.DataFrame()
    return math.nan if both.empty else float((both["wrong"] - both["base"]).mean())


def _leaked_share(found: Mistakes, variant: str, reading: str, seed: int) -> float:
    """Return the percentage of a figure's rows that training knows."""
    if reading in ("training", "training_last"):
        return math.nan
    if reading == "all_rows":
        return 100 * float(_honest_answers(found, seed)[0].copies.mean())
    row = found.history(variant, seed).iloc[0]
    return 100 * float(row["test_leaked"] / row["test_n"])


# ------------------------------------------------------------------------------------ record


def load(name: str | Path, results: Path = runtime.RESULTS) -> Mistakes:
    """Read a record.

    Parameters
    ----------
    name : str or path
        A data set's name, as "fer2013" for ``results/mistakes-fer2013``; or the record's folder.
    results : path
        Where named records lie.

    Returns
    -------
    Mistakes

    Raises
    ------
    ModelError
        When there is no such record, or one of its files is not what it should be.
    """
    folder = plans.find(KIND, name, results)
    info = plans.read(folder)
    try:
        epochs = int(info["plan"]["epochs"])
        expressions = len(info["expressions"])
        runs = pd.DataFrame(columns=list(RUN_COLUMNS))
        if (folder / RUNS).is_file():
            runs = pd.read_csv(folder / RUNS)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ModelError(f"{folder.name}: its record cannot be read: {error}") from error
    _check_runs(runs, epochs, folder.name)
    seeds = sorted(int(seed) for seed in runs.loc[runs["variant"] == HONEST, "seed"].unique())
    answers = {seed: _read_answers(folder, seed, epochs, expressions) for seed in seeds}
    return Mistakes(folder.name.removeprefix(f"{KIND}-"), info, runs, answers)


def recorded(results: Path = runtime.RESULTS) -> list[str]:
    """List the records below ``results``, by name."""
    return plans.recorded(KIND, results)


def _check_runs(runs: pd.DataFrame, epochs: int, title: str) -> None:
    """Refuse a table of runs that lacks a column or an epoch, or counts what cannot be."""
    if tuple(runs.columns) != RUN_COLUMNS:
        raise ModelError(
            f"{title}/{RUNS}: columns {', '.join(map(str, runs.columns))}; "
            f"expected {', '.join(RUN_COLUMNS)}"
        )
    for (variant, seed), rows in runs.groupby(["variant", "seed"], sort=False):
        if sorted(rows["epoch"]) != list(range(1, epochs + 1)):
            raise ModelError(
                f"{title}/{RUNS}: {variant}, seed {seed}: found {len(rows)} rows, expected one "
                f"for each of the epochs 1 … {epochs}"
            )
    for split in ("val", "test"):
        wrong = (runs[f"{split}_right"] < 0) | (runs[f"{split}_right"] > runs[f"{split}_n"])
        if wrong.any():
            raise ModelError(
                f"{title}/{RUNS}, row {int(wrong.to_numpy().argmax())}: found more right "
                f"{split} answers than rows, or fewer than none"
            )


def add_runs(folder: Path, rows: pd.DataFrame) -> None:
    """Add a finished run's epochs to ``runs.csv``, which is written whole."""
    rows = rows.assign(
        val_accuracy=rows["val_right"] / rows["val_n"],
        test_accuracy=rows["test_right"] / rows["test_n"],
        seconds=rows["seconds"].round(2),
    )
    for name in ("train_accuracy", "val_accuracy", "test_accuracy"):
        rows[name] = rows[name].round(6)
    before = [pd.read_csv(folder / RUNS)] if (folder / RUNS).is_file() else []
    whole = pd.concat([*before, rows[list(RUN_COLUMNS)]])
    text = whole.to_csv(index=False, lineterminator="\n")
    runtime.write_atomically(folder / RUNS, text.encode())


_ARRAYS = {
    "labels": np.uint8,
    "rows": np.int32,
    "copies": np.bool_,
    "first": np.uint8,
    "second": np.uint8,
    "sure": np.bool_,
}


def write_answers(folder: Path, seed: int, answers: dict[str, Answers]) -> None:
    """Write the honest answers of one seed as a compressed ``.npz`` of small plain arrays."""
    buffer = io.BytesIO()
    arrays = {
        f"{split}_{name}": getattr(answer, name).astype(dtype)
        for split, answer in answers.items()
        for name, dtype in _ARRAYS.items()
    }
    np.savez_compressed(buffer, **arrays)
    runtime.write_atomically(folder / f"{HONEST}-{seed}.npz", buffer.getvalue())


def _read_answers(folder: Path, seed: int, epochs: int, classes: int) -> dict[str, Answers]:
    path = folder / f"{HONEST}-{seed}.npz"
    title = f"{folder.name}/{path.name}"
    answers = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for split in ("validation", "test"):
                values = {name: arrays[f"{split}_{name}"] for name in _ARRAYS}
                values["labels"] = values["labels"].astype(np.int64)
                values["rows"] = values["rows"].astype(np.int64)
                answers[split] = Answers(**values)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{title}: cannot be read: {error}") from error
    for split, answer in answers.items():
        n = len(answer.labels)
        shapes = [getattr(answer, name).shape for name in _ARRAYS]
        expected = [(n,)] * 3 + [(epochs, n)] * 3
        if shapes != expected:
            raise ModelError(f"{title}: {split} of shapes {shapes}; expected {expected}")
        if max(answer.labels.max(initial=0), answer.first.max(initial=0)) >= classes:
            raise ModelError(f"{title}: {split}: found a class over {classes - 1}")
    return answers
