"""The splits that figures are known to have been computed on, with their class counts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from utils.claims.arithmetic import ROUNDINGS, by_rounding, percentage, right_answers, solve
from utils.expressions import EXPRESSIONS, FERPLUS_EXPRESSIONS
from utils.runtime import DataError

DATASETS = {"fer2013": "FER2013", "ferplus": "FER+", "expw": "ExpW"}


@dataclass(frozen=True)
class KnownSplit:
    """A split that figures are known to have been computed on.

    Attributes
    ----------
    name : str
    dataset : str
        "fer2013", "ferplus" or "expw".
    n : int
        Its faces.
    counts : tuple of int, or None
        Faces of each of `expressions`; None where they are not known.
    expressions : tuple of str
    tolerance : int
        0 where the counts are fixed; 1 where they come of rounding shares, and each may differ
        by one.
    note : str
    """

    name: str
    dataset: str
    n: int
    counts: tuple[int, ...] | None
    expressions: tuple[str, ...] = EXPRESSIONS
    tolerance: int = 0
    note: str = ""

    @property
    def title(self) -> str:
        """Data set and name: "FER2013's PrivateTest"."""
        return f"{DATASETS[self.dataset]}'s {self.name}"


#: FER2013's faces of each expression, by Usage: the challenge's own counts.
FER2013_COUNTS = {
    "Training": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "PublicTest": (467, 56, 496, 895, 653, 415, 607),
    "PrivateTest": (491, 55, 528, 879, 594, 416, 626),
}
#: The same without pictures that also stand in Training, bit for bit.
FER2013_WITHOUT_COPIES = {
    "PublicTest": (438, 41, 449, 866, 626, 301, 588),
    "PrivateTest": (454, 39, 481, 851, 577, 298, 601),
}
#: FER+'s faces by its published majority rule, in `FERPLUS_EXPRESSIONS`' order.
FERPLUS_COUNTS = {
    "Training": (2100, 119, 532, 7287, 3014, 3149, 8740, 119),
    "PublicTest": (287, 24, 62, 865, 351, 415, 1182, 13),
    "PrivateTest": (273, 18, 83, 893, 384, 396, 1090, 16),
}
#: The course's own test split of ExpW's class-balanced part, with the seed 0.
EXPW_COUNTS = {"test": (46, 46, 48, 46, 48, 49, 50)}


def _together(*counts: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*counts, strict=True)))


def _fixed(
    name: str, dataset: str, counts: tuple[int, ...], note: str, classes: tuple[str, ...]
) -> KnownSplit:
    return KnownSplit(name, dataset, sum(counts), counts, classes, 0, note)


def _part(
    percent: int,
    of: str,
    dataset: str,
    counts: tuple[int, ...],
    classes: tuple[str, ...] = EXPRESSIONS,
    note: str = "a split of one's own, stratified",
) -> KnownSplit:
    """Take a stratified part; its size is rounded up, as scikit-learn's `train_test_split` does."""
    rounded = tuple((2 * percent * count + 100) // 200 for count in counts)
    n = -(-percent * sum(counts) // 100)
    return KnownSplit(f"{percent} % of {of}", dataset, n, rounded, classes, 1, note)


def _known_splits() -> tuple[KnownSplit, ...]:
    training, public, private = FER2013_COUNTS.values()
    whole = _together(training, public, private)
    splits = [
        _fixed("PrivateTest", "fer2013", private, "the official test split", EXPRESSIONS),
        _fixed("PublicTest", "fer2013", public, "the official validation split", EXPRESSIONS),
        _fixed(
            "PublicTest and PrivateTest pooled",
            "fer2013",
            _together(public, private),
            "the test folder of the release as folders",
            EXPRESSIONS,
        ),
        _fixed("Training", "fer2013", training, "what networks learn from", EXPRESSIONS),
        _fixed("whole set", "fer2013", whole, "all three Usages", EXPRESSIONS),
    ]
    splits += [
        _fixed(f"{usage} without copies", "fer2013", counts, "no picture of Training", EXPRESSIONS)
        for usage, counts in reversed(FER2013_WITHOUT_COPIES.items())
    ]
    splits += [
        _part(percent, "the whole set", "fer2013", whole) for percent in (10, 15, 20, 25, 30)
    ]
    splits += [_part(percent, "Training", "fer2013", training) for percent in (10, 20)]
    resampled = "classes made equal before the split, so its faces are partly made of each other"
    for name, counts in (("the whole set", whole), ("Training", training)):
        equal = (max(counts),) * len(counts)
        splits += [
            _part(percent, f"{name} after balancing", "fer2013", equal, note=resampled)
            for percent in (10, 20)
        ]
    for count, classes, note in (
        (8, FERPLUS_EXPRESSIONS, "eight classes"),
        (7, EXPRESSIONS, "without contempt"),
    ):
        kept = {usage: counts[:count] for usage, counts in FERPLUS_COUNTS.items()}
        learned, chosen, tested = kept.values()
        named = {
            "PrivateTest": tested,
            "PublicTest": chosen,
            "PublicTest and PrivateTest pooled": _together(chosen, tested),
            "Training": learned,
            "whole set": _together(learned, chosen, tested),
        }
        splits += [
            _fixed(f"{name}, {count} classes", "ferplus", counts, f"majority rule, {note}", classes)
            for name, counts in named.items()
        ]
        splits += [
            _part(
                percent, f"the whole set, {count} classes", "ferplus", named["whole set"], classes
            )
            for percent in (10, 20)
        ]
    # Faces a class of the whole release are not known here well enough to be written down.
    own = "no official split: a split of one's own"
    for faces, of in ((91_793, "the whole set"), (36_000, "36,000 faces")):
        splits += [
            KnownSplit(f"{percent} % of {of}", "expw", -(-percent * faces // 100), None, note=own)
            for percent in (10, 20)
        ]
    balanced = "the class-balanced part, split by photo"
    splits.append(
        _fixed("test split of this course", "expw", EXPW_COUNTS["test"], balanced, EXPRESSIONS)
    )
    return tuple(splits)


#: The splits that a claim is compared with, each data set's official test split first.
KNOWN_SPLITS: tuple[KnownSplit, ...] = _known_splits()


def known_splits_table(dataset: str | None = None) -> pd.DataFrame:
    """List `KNOWN_SPLITS`.

    Parameters
    ----------
    dataset : str, optional
        One data set's only.

    Returns
    -------
    DataFrame
        A row a split: ``dataset``, ``split``, ``n``, a column for each of
        `FERPLUS_EXPRESSIONS` (nullable integers), ``note``.

    Raises
    ------
    DataError
        When the data set is none of ours.
    """
    rows = [
        {
            "dataset": split.dataset,
            "split": split.name,
            "n": split.n,
            **dict(zip(split.expressions, split.counts or (), strict=bool(split.counts))),
            "note": split.note,
        }
        for split in splits_of(dataset)
    ]
    columns = ["dataset", "split", "n", *FERPLUS_EXPRESSIONS, "note"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype(dict.fromkeys(FERPLUS_EXPRESSIONS, "Int64"))


def splits_of(dataset: str | None) -> list[KnownSplit]:
    """List a data set's known splits, or all."""
    if dataset is None:
        return list(KNOWN_SPLITS)
    return [split for split in KNOWN_SPLITS if split.dataset == known_dataset(dataset)]


def known_dataset(name: str) -> str:
    """Return a data set's name, if it is one of ours; a DataError says so otherwise."""
    if not isinstance(name, str) or name not in DATASETS:
        raise DataError(f"dataset {name!r}: expected one of {', '.join(DATASETS)}")
    return name


#: The official test splits.
OFFICIAL: tuple[KnownSplit, ...] = tuple(
    split for split in KNOWN_SPLITS if split.name.split(",")[0] == "PrivateTest"
)


def official_size(dataset: str, classes: int | None = None) -> int | None:
    """Return the size of a data set's official test split; None where it has none."""
    if dataset == "expw" or (classes and dataset == "fer2013" and classes != len(EXPRESSIONS)):
        return None
    return next(
        (
            split.n
            for split in splits_of(dataset)
            if classes is None or len(split.expressions) == classes
        ),
        None,
    )


def possible_at(
    accuracy: str | float | Decimal, dataset: str | None = None, *, decimals: int | None = None
) -> pd.DataFrame:
    """Ask of each known split whether a figure is possible there.

    Parameters
    ----------
    accuracy, decimals
        As in `possible_counts`.
    dataset : str, optional
        One data set's splits only.

    Returns
    -------
    DataFrame
        A row a split: ``dataset``, ``split``, ``n``, ``possible`` (by rounding to nearest),
        ``right_low`` and ``right_high`` (right answers, nullable), ``roundings`` (the names of
        those that allow it; where only "truncated" does, the right answers are its).

    Raises
    ------
    DataError
        As in `possible_counts`, and for an unknown data set.
    """
    units, count = percentage(accuracy, decimals)
    rows = []
    for split in splits_of(dataset):
        counts = solve(units, count, split.n)
        right = right_answers(counts)
        rows.append(
            {
                "dataset": split.dataset,
                "split": split.name,
                "n": split.n,
                "possible": by_rounding(counts),
                "right_low": right[0] if right else None,
                "right_high": right[1] if right else None,
                "roundings": ", ".join(name for name in ROUNDINGS if counts[name]),
            }
        )
    return pd.DataFrame(rows).astype({"right_low": "Int64", "right_high": "Int64"})
