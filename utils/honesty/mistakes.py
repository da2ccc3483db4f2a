"""What the usual mistakes add to a figure: a catalogue, the record of their trainings, the table.

`MISTAKES` says what is done wrong, why the figure then flatters, and what to do instead. One small
network was trained with one mistake at a time (`experiments.mistakes`); most mistakes need no
training of their own, only another reading of the honest ones. ``results/mistakes-NAME/`` holds
``plan.json`` (protocol, data, sessions), ``runs.csv`` (`RUN_COLUMNS`) and ``honest-SEED.npz`` (the
honest network's answers after each epoch). `table` sets each mistake against the honest figure.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import evaluation, records, runtime
from utils.runtime import ModelError

#: What a mistake does to a figure.
KINDS: dict[str, str] = {
    "leak": "test pictures reach training",
    "choice": "the test set chooses",
    "measure": "something else is measured",
    "combined": "several at once",
}

#: The trainings without a mistake, that others are compared with, and what the table calls them.
HONEST = "honest"
BASES = ((HONEST, "no mistake"), ("by_photo", "no mistake, split by photo"))

#: The classes that two of the mistakes leave out: those of the lowest recall on PublicTest in
#: the recorded run cnn3-fer2013-none (disgust 27 %, fear 34 %, sad 50 %).
DROPPED: dict[str, tuple[str, ...]] = {
    "five_classes": ("disgust", "fear"),
    "four_classes": ("disgust", "fear", "sad"),
}

#: Of ``runs.csv``: a row an epoch of a variant with a seed. "steps" are gradient steps so far,
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
    """One way to a figure that is too high.

    Attributes
    ----------
    name : str
        What it is called in code.
    kind : str
        One of `KINDS`.
    variant, reading : str
        The trainings whose figure it reports, and how the figure is read: see `read_figure`.
    base, control : str
        The honest variant that it is compared with, and the one that does the same thing after the
        split; "" where there is none.
    title : str
        What it is called in tables and figures.
    wrong, why, instead : str
        What is done, why the figure then says something else than it seems to, and what to do.
    """

    name: str
    kind: str
    variant: str
    reading: str
    base: str
    control: str
    title: str
    wrong: str
    why: str
    instead: str


_CATALOGUE = (
    (
        ("copies_kept", "leak", HONEST, "all_rows", HONEST, ""),
        "copies of training pictures kept in test",
        "The test set is taken as it comes, though some of its pictures also stand in training.",
        "A picture that was seen with its answer asks for memory; FER2013 came with such copies.",
        "Give the accuracy also without the pictures whose exact copy is in training.",
    ),
    (
        ("best_epoch_on_test", "choice", HONEST, "best_on_test", HONEST, ""),
        "best epoch chosen on the test set",
        "The network is tested after each epoch, and the highest of these accuracies reported.",
        "The highest of many noisy figures is high partly by luck, which the next test set lacks.",
        "Let the validation set choose the epoch; read the test set once, at the end.",
    ),
    (
        ("pooled", "choice", HONEST, "pooled", HONEST, ""),
        "validation and test pooled, the epoch chosen on them",
        "PublicTest and PrivateTest become one test set, and early stopping watches it.",
        "A set that stopped the training has had its say in the figure.",
        "Keep PublicTest for choosing and PrivateTest for the figure: that is what they are for.",
    ),
    (
        ("resplit", "leak", "resplit", "chosen", HONEST, ""),
        "all rows split anew, at random",
        "The official split is dropped, and all rows are shuffled into 80, 10 and 10 %.",
        "Pictures that stand in the file twice land on both sides of the split.",
        "Use the official split; where there is none, split by picture, person or photo.",
    ),
    (
        ("augmented_first", "leak", "augmented_first", "chosen", HONEST, "augmented_after"),
        "augmentation before the split",
        "Moved and mirrored copies of all pictures are made first; then the rows are split.",
        "Nearly every test picture has a version of itself in training.",
        "Split first; augment the training rows only, while training.",
    ),
    (
        ("smote_first", "leak", "smote_first", "chosen", HONEST, "smote_after"),
        "SMOTE before the split",
        "The classes are balanced with synthetic faces first; then the rows are split.",
        "A synthetic test face is a blend of two real ones, most often of training faces.",
        "Split first; balance the training rows only, and test on faces that are real.",
    ),
    (
        ("training_accuracy", "measure", HONEST, "training", HONEST, ""),
        "training accuracy reported",
        "The accuracy that the progress bar shows at the chosen epoch is reported.",
        "It tells how well the network remembers the faces that it learns from.",
        "Report the accuracy on the test set, and show both curves.",
    ),
    (
        ("training_accuracy_last", "measure", HONEST, "training_last", HONEST, ""),
        "training accuracy of the last epoch",
        "The last number on the screen is reported: the training accuracy of the last epoch.",
        "This number rises as long as one trains, whether or not the network gets better.",
        "Report the accuracy on the test set, at the epoch that the validation set chose.",
    ),
    (
        ("five_classes", "measure", "five_classes", "chosen", HONEST, ""),
        "disgust and fear left out",
        "The two expressions that are recognized worst are left out of training and test.",
        "Five expressions are an easier question than seven: the answer belongs to that question.",
        "Say the number of classes beside the figure, and compare it with the same number only.",
    ),
    (
        ("four_classes", "measure", "four_classes", "chosen", HONEST, ""),
        "disgust, fear and sad left out",
        "The three expressions that are recognized worst are left out of training and test.",
        "With four expressions, guessing alone is right nearly twice as often as with seven.",
        "Say the number of classes beside the figure, and compare it with the same number only.",
    ),
    (
        ("binary_accuracy", "measure", HONEST, "binary", HONEST, ""),
        "“binary” accuracy over the classes",
        "Keras is given metrics=“binary_accuracy”: each class becomes a yes-or-no question.",
        "Six of the seven answers to a face are “no”: always saying no to all has 6/7 = 85.7 %.",
        "Use categorical_accuracy: one face, one answer.",
    ),
    (
        ("top2", "measure", HONEST, "top2", HONEST, ""),
        "among the two most probable (top-2)",
        "An answer counts as right when the true expression is the first or the second guess.",
        "Two guesses are right more often than one. It is a fair measure under its own name.",
        "Call it top-2 accuracy, and give the accuracy beside it.",
    ),
    (
        ("by_face", "leak", "by_face", "chosen", "by_photo", ""),
        "faces of one photo on both sides",
        "Faces are split at random, though several were cut from one photo.",
        "Faces in one photo share light, place and mood: one gives away its neighbor's answer.",
        "Split by photo: all faces of a photo on one side.",
    ),
    (
        ("combined", "combined", "combined", "best_on_test", HONEST, ""),
        "SMOTE and augmentation before the split, best epoch on the test set",
        "Balance, augment, then split; and report the best epoch of the test set.",
        "Each step looks like diligence, and each hands test faces to training or to the choice.",
        "Split before anything else, and read the test set once.",
    ),
)
MISTAKES: tuple[Mistake, ...] = tuple(Mistake(*key, *texts) for key, *texts in _CATALOGUE)


@dataclass(frozen=True)
class Answers:
    """What the honest network answers to each row of a split, after each epoch.

    Attributes
    ----------
    labels, rows : (n,) int64 arrays
        The true class, and the row in the source file.
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


@dataclass(frozen=True)
class Mistakes:
    """A record of what the mistakes are worth on a data set.

    Attributes
    ----------
    name : str
        Its folder's without "mistakes-".
    info : dict
        ``plan.json``: dataset, fingerprint, plan, expressions, rows, and sessions, each with
        its command, versions, hardware and commit.
    runs : pandas.DataFrame
        ``runs.csv``, with `RUN_COLUMNS`.
    answers : dict of int to dict of str to Answers
        Seed → split → what the honest network answers.
    """

    name: str
    info: dict[str, Any] = field(repr=False)
    runs: pd.DataFrame = field(repr=False)
    answers: dict[int, dict[str, Answers]] = field(repr=False)

    def seeds(self, variant: str) -> list[int]:
        """List the seeds that a variant was trained with, in order."""
        return sorted(map(int, self.runs.loc[self.runs["variant"] == variant, "seed"].unique()))

    def history(self, variant: str, seed: int) -> pd.DataFrame:
        """Return the epochs of one training; `ModelError` when there is none."""
        rows = self.runs[(self.runs["variant"] == variant) & (self.runs["seed"] == seed)]
        if rows.empty:
            raise ModelError(f"{self.name}: no run of {variant!r} with seed {seed}")
        return rows.sort_values("epoch").reset_index(drop=True)

    def predictions(self, seed: int) -> records.Predictions:
        """Return the honest network's answers on the test set at the epoch that validation chose.

        Which class it names was recorded, not how probable: the class has 1, the others 0. A
        `ModelError` says when there is no honest training with this seed.
        """
        chosen = self.history(HONEST, seed)["val_right"].argmax()
        said, expressions = self.answers[seed]["test"], tuple(self.info["expressions"])
        named = np.eye(len(expressions), dtype=np.float32)[said.first[chosen]]
        return records.Predictions(named, said.labels, said.rows, said.copies, expressions)


def read_figure(found: Mistakes, variant: str, seed: int, reading: str) -> tuple[float, int]:
    """Read a figure from one training.

    Parameters
    ----------
    found : Mistakes
    variant, seed
        Which training.
    reading : str
        "chosen": the test accuracy of the epoch that is best on validation, the honest way;
        "best_on_test": the highest test accuracy; "pooled": the highest accuracy on validation and
        test together; "training", "training_last": the training accuracy of the chosen, the last
        epoch. Of the honest variant only: "all_rows", as "chosen" with the copies of training
        pictures; "binary", Keras's binary accuracy; "top2".

    Returns
    -------
    share, n : float, int
        0 … 1, and how many rows it is of.
    """
    history = found.history(variant, seed)
    chosen = int(history["val_right"].argmax())
    at_chosen, tested = history.iloc[chosen], history["test_n"].iloc[0]
    if reading == "chosen":
        return at_chosen["test_right"] / tested, int(tested)
    if reading == "best_on_test":
        return history["test_right"].max() / tested, int(tested)
    if reading == "pooled":
        n = int(history["val_n"].iloc[0] + tested)
        return (history["val_right"] + history["test_right"]).max() / n, n
    if reading in ("training", "training_last"):
        row = at_chosen if reading == "training" else history.iloc[-1]
        return float(row["train_accuracy"]), int(row["train_n"])
    said = found.answers[seed]["test"]
    first, second, sure = said.first[chosen], said.second[chosen], said.sure[chosen]
    right, kept = first == said.labels, ~said.copies
    if reading == "all_rows":
        return float(right.mean()), len(right)
    if reading == "top2":
        return float((right | (second == said.labels))[kept].mean()), int(kept.sum())
    # Binary: unsure, all seven say "no" and one is wrong; sure and wrong, two are.
    wrong = np.where(sure, np.where(right, 0, 2), 1) / len(found.info["expressions"])
    return float((1 - wrong[kept]).mean()), int(kept.sum())


def figures_by_seed(found: Mistakes, variant: str, reading: str = "chosen") -> pd.Series:
    """Read a variant's figure from each of its trainings: percent, indexed by seed."""
    seeds = found.seeds(variant)
    values = [100 * read_figure(found, variant, seed, reading)[0] for seed in seeds]
    return pd.Series(values, index=pd.Index(seeds, name="seed"), name=variant, dtype=float)


def table(found: Mistakes) -> pd.DataFrame:
    """Set each mistake against the honest figure.

    Parameters
    ----------
    found : Mistakes
        From `load`.

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

    Raises
    ------
    ModelError
        When no honest variant is recorded yet.
    """
    bases = [
        Mistake(base, HONEST, base, "chosen", base, "", name, "", "", "") for base, name in BASES
    ]
    rows = {}
    for one in (*bases, *MISTAKES):
        both = _paired(found, one.variant, one.reading, one.base)
        if both.empty:
            continue
        seed, is_base = both.index[0], one.name == one.base
        shift = both["wrong"] - (0 if is_base else both["base"])
        mean, low, high = evaluation.seeds_interval(shift)
        control = _paired(found, one.control, "chosen", one.base)
        rows[one.name] = {
            **{key: getattr(one, key) for key in ("title", "kind", "base")},
            "seeds": len(both),
            "n": read_figure(found, one.variant, seed, one.reading)[1],
            "leaked": _leaked_share(found, one.variant, one.reading, seed),
            "figure": float(both["wrong"].mean()),
            "points": 0.0 if is_base else mean,
            "low": low,
            "high": high,
            "done_right": float((control["wrong"] - control["base"]).mean()),
            **{key: getattr(one, key) for key in ("wrong", "why", "instead")},
        }
    if not rows:
        raise ModelError(f"{found.name}: neither {HONEST} nor by_photo is recorded yet")
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("mistake")


def describe(table: pd.DataFrame) -> str:
    """Write `table`'s result as text: figure, points with their interval, title; a line each."""
    lines = []
    for name, row in table.iterrows():
        if name == row["base"]:
            seeds = f"{row['seeds']} seed" + "s" * (row["seeds"] > 1)
            lines.append(f"{row['figure']:5.1f} %  {name}, {seeds}, n = {row['n']:,}")
            continue
        interval = f" ({row['low']:+.1f} to {row['high']:+.1f})" if row["seeds"] > 1 else ""
        lines.append(f"{row['figure']:5.1f} %  {row['points']:+5.1f}{interval}  {row['title']}")
    return "\n".join(lines)


def recorded(results: Path = runtime.RESULTS) -> list[str]:
    """List the records below ``results``, by name."""
    plans = results.glob("mistakes-*/plan.json")
    return sorted(plan.parent.name.removeprefix("mistakes-") for plan in plans)


def load(name: str | Path, results: Path = runtime.RESULTS) -> Mistakes:
    """Read a record.

    Parameters
    ----------
    name : str or path
        A data set's name, as "fer2013" for ``results/mistakes-fer2013``; or the record's folder.
    results : path
        Where named records lie.

    Raises
    ------
    ModelError
        When there is no such record, or one of its files is not what it should be.
    """
    folder = name if isinstance(name, Path) else results / f"mistakes-{name}"
    if not (folder / "plan.json").is_file():
        there = ", ".join(recorded(folder.parent)) or "none"
        raise ModelError(f"{folder.name}: no record of mistakes there; recorded: {there}")
    info = runtime.read_json(folder / "plan.json")
    runs = pd.DataFrame(columns=list(RUN_COLUMNS))
    try:
        epochs, classes = int(info["plan"]["epochs"]), len(info["expressions"])
        if (folder / "runs.csv").is_file():
            runs = pd.read_csv(folder / "runs.csv")
    except (ValueError, KeyError, TypeError, OSError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise ModelError(f"{folder.name}: its record cannot be read: {problem}") from error
    _check_runs(runs, epochs, f"{folder.name}/runs.csv")
    found = Mistakes(folder.name.removeprefix("mistakes-"), info, runs, {})
    for seed in found.seeds(HONEST):
        found.answers[seed] = _read_answers(folder / f"{HONEST}-{seed}.npz", epochs, classes)
    return found


def _paired(found: Mistakes, variant: str, reading: str, base: str) -> pd.DataFrame:
    """Put the figures of a variant and of its base side by side, for the seeds of both."""
    wrong = figures_by_seed(found, variant, reading).rename("wrong")
    return pd.concat([wrong, figures_by_seed(found, base).rename("base")], axis=1, join="inner")


def _leaked_share(found: Mistakes, variant: str, reading: str, seed: int) -> float:
    """Return the percentage of a figure's rows that training knows."""
    if reading in ("training", "training_last"):
        return math.nan
    if reading == "all_rows":
        return 100 * float(found.answers[seed]["test"].copies.mean())
    row = found.history(variant, seed).iloc[0]
    return 100 * float(row["test_leaked"] / row["test_n"])


def _check_runs(runs: pd.DataFrame, epochs: int, title: str) -> None:
    """Refuse a table of runs that lacks a column or an epoch, or counts what cannot be."""
    if tuple(runs.columns) != RUN_COLUMNS:
        columns = ", ".join(map(str, runs.columns))
        raise ModelError(f"{title}: columns {columns}; expected {', '.join(RUN_COLUMNS)}")
    for (variant, seed), rows in runs.groupby(["variant", "seed"], sort=False):
        if sorted(rows["epoch"]) != list(range(1, epochs + 1)):
            raise ModelError(
                f"{title}: {variant}, seed {seed}: found {len(rows)} rows, expected one for each "
                f"of the epochs 1 … {epochs}"
            )
    for split in ("val", "test"):
        wrong = ~runs[f"{split}_right"].between(0, runs[f"{split}_n"])
        if wrong.any():
            raise ModelError(
                f"{title}, row {int(wrong.argmax())}: found more right {split} answers than rows, "
                "or fewer than none"
            )


def _read_answers(path: Path, epochs: int, classes: int) -> dict[str, Answers]:
    """Read ``honest-SEED.npz``."""
    names = ("labels", "rows", "copies", "first", "second", "sure")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            splits = ("validation", "test")
            read = {split: [arrays[f"{split}_{name}"] for name in names] for split in splits}
        answers = {}
        for split, (labels, rows, *rest) in read.items():
            answers[split] = Answers(labels.astype(np.int64), rows.astype(np.int64), *rest)
            n = len(labels)
            shapes = [array.shape for array in read[split]]
            if shapes != [(n,)] * 3 + [(epochs, n)] * 3 or int(rest[1].max()) >= classes:
                raise ValueError(f"{split}: arrays of {shapes}, or a class over {classes - 1}")
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path.parent.name}/{path.name}: cannot be read: {error}") from error
    return answers
