"""A claimed accuracy, and what arithmetic says of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pandas as pd

from utils.claims import words
from utils.claims.arithmetic import (
    ROUNDINGS,
    by_rounding,
    hull,
    interval,
    percentage,
    right_answers,
    solve,
    whole,
)
from utils.claims.reported import PEOPLE, Reported, best, standard_error
from utils.claims.splits import KnownSplit, known_dataset, official_size, splits_of
from utils.claims.supports import SplitMatch, expression, match_supports, read_supports
from utils.claims.tables import TableCheck, check_columns, check_confusion, report_columns
from utils.expressions import EXPRESSIONS, FERPLUS_EXPRESSIONS
from utils.runtime import DataError

#: The mean of up to so many runs is tried where one run cannot give the figure.
MOST_RUNS = 10


@dataclass(frozen=True)
class Claim:
    """A claimed accuracy, and what arithmetic says of it. Accuracies are in percent.

    Attributes
    ----------
    accuracy : Decimal
        As claimed, with its decimals.
    dataset : str
    n : int or None
        Test faces; None where they were not said and the data set has no official split.
    n_said : bool
        False where n is the official test split's, because nothing was said.
    runs : int
        Of how many runs the figure is the mean.
    counts : dict of str to range
        For each of `ROUNDINGS`, the numbers of right answers, of n × runs, that give the figure;
        empty without n.
    possible : bool or None
        Whether rounding to nearest gives the figure; None without n.
    possible_at : tuple of KnownSplit
        The known splits of this data set at whose size it is possible.
    runs_needed : int or None
        Where one run cannot give the figure: the mean of how few runs can (up to `MOST_RUNS`).
    correct, correct_agrees : int or None, bool or None
        The right answers claimed, and whether they give the figure.
    match : SplitMatch or None
        What the class counts belong to.
    interval : (float, float)
        95 % interval at n, over all counts that give the figure; NaN without n.
    reproduced, published : Reported or None
        The best that was reproduced, and the best published that no repetition contradicts.
    above_reproduced, above_published, above_people : float
        Points above these; negative below; NaN where there is none.
    errors_above_reproduced, errors_above_published : float
        The same in standard errors of that figure at n.
    table : TableCheck or None
        What the report or the confusion matrix allows.
    classes : int
        How many classes there are to choose from.
    """

    accuracy: Decimal
    dataset: str
    n: int | None
    n_said: bool
    runs: int
    counts: dict[str, range] = field(repr=False, hash=False)
    possible: bool | None
    possible_at: tuple[KnownSplit, ...] = field(repr=False)
    runs_needed: int | None
    correct: int | None
    correct_agrees: bool | None
    match: SplitMatch | None
    interval: tuple[float, float]
    reproduced: Reported | None = field(repr=False)
    published: Reported | None = field(repr=False)
    above_reproduced: float
    above_published: float
    above_people: float
    errors_above_reproduced: float
    errors_above_published: float
    table: TableCheck | None
    classes: int

    @property
    def roundings(self) -> tuple[str, ...]:
        """Those of `ROUNDINGS` by which the figure is possible."""
        return tuple(name for name in ROUNDINGS if self.counts.get(name))

    @property
    def right(self) -> tuple[int, int] | None:
        """The fewest and the most right answers that give the figure; None where none do.

        By rounding to nearest; truncated only where that gives none.
        """
        return right_answers(self.counts) if self.counts else None

    @property
    def questions(self) -> tuple[str, ...]:
        """What one might ask the author; empty where nothing stands out."""
        return words.questions(self)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What there is to say, a sentence or two each."""
        return words.sentences(self)

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    def as_row(self) -> dict[str, Any]:
        """Give the claim as a table's row.

        Returns
        -------
        dict
            accuracy, low, high (percent), dataset, n, n_said, possible, right_low, right_high,
            roundings, split (what the class counts belong to), above_reproduced,
            errors_above_reproduced, above_published, above_people, questions (their number).
        """
        right = self.right or (None, None)
        split = None
        if self.match:
            split = (
                f"{self.match.how}: {self.match.split.title}"
                if self.match.split
                else self.match.how
            )
        return {
            "accuracy": float(self.accuracy),
            "low": self.interval[0],
            "high": self.interval[1],
            "dataset": self.dataset,
            "n": self.n,
            "n_said": self.n_said,
            "possible": self.possible,
            "right_low": right[0],
            "right_high": right[1],
            "roundings": ", ".join(self.roundings),
            "split": split,
            "above_reproduced": self.above_reproduced,
            "errors_above_reproduced": self.errors_above_reproduced,
            "above_published": self.above_published,
            "above_people": self.above_people,
            "questions": len(self.questions),
        }


def check_claim(
    accuracy: str | float | Decimal,
    n: int | None = None,
    *,
    correct: int | None = None,
    supports: Sequence[int] | Mapping[str, int] | None = None,
    dataset: str = "fer2013",
    classes: int | Sequence[str] | None = None,
    decimals: int | None = None,
    runs: int = 1,
    outside_data: bool | None = None,
    recalls: Sequence | Mapping | None = None,
    precisions: Sequence | Mapping | None = None,
    f1s: Sequence | Mapping | None = None,
    confusion: Any = None,
    report: pd.DataFrame | Mapping | str | None = None,
) -> Claim:
    """Ask of a claimed accuracy what arithmetic can tell.

    Parameters
    ----------
    accuracy : str, float or Decimal
        In percent, 0 … 100; its decimals count, see `possible_counts`. A number of 1 or less
        is refused, as it is more likely a share; "0.9 %" with its sign is taken.
    n : int, optional
        Test faces. By default the sum of the supports, else the official test split's.
    correct : int, optional
        Right answers claimed, 0 … n × runs.
    supports : sequence of int, or mapping of names to int, optional
        Test faces of each class, in any order; they must sum to n.
    dataset : str
        "fer2013", "ferplus" or "expw".
    classes : int, or sequence of names, optional
        How many, or the names of the supports in their order. By default the supports', else
        the data set's.
    decimals : int, optional
        The decimals that the figure was given with, where ``accuracy`` does not show them.
    runs : int
        Of how many runs on the same n the figure is the mean.
    outside_data : bool, optional
        False compares with networks that had learned from no other pictures; by default with
        all.
    recalls, precisions, f1s : sequence or mapping of shares, optional
        For each class, in the order of the supports (which they need) or by name; 0 … 1, as
        text or float. A column has as many decimals as its longest cell.
    confusion : (k, k) array of counts, optional
        Row: true class, in the order of the supports; the other way round is noticed.
    report : DataFrame, mapping or str, optional
        `evaluation.report`'s table, or what scikit-learn's ``classification_report`` returns, as
        text or as a mapping; in place of supports, recalls, precisions and f1s.

    Returns
    -------
    Claim

    Raises
    ------
    DataError
        (a ValueError) When something is no number of its kind, or what was given excludes
        itself: supports that do not sum to n, more right answers than faces.
    """
    units, count = percentage(accuracy, decimals)
    value = Decimal(units).scaleb(-count)
    dataset = known_dataset(dataset)
    runs = whole(runs, "runs", 1)
    if report is not None:
        if any(one is not None for one in (supports, recalls, precisions, f1s)):
            raise DataError("expected a report, or supports and columns; got both")
        taken = report_columns(report)
        supports, recalls = taken["supports"], taken["recalls"]
        precisions, f1s = taken.get("precisions"), taken.get("f1s")
    names, faces = (None, None) if supports is None else read_supports(supports)
    matrix = None
    if confusion is not None:
        matrix = check_confusion(confusion, faces)
        faces = matrix[1]
    names, class_count = _classes(classes, names, faces, dataset)
    n, said = _size(n, faces, dataset, class_count)

    counts, possible, needed, right = {}, None, None, None
    if n is not None:
        counts = solve(units, count, n * runs)
        possible = by_rounding(counts)
        right = counts["half up"] if runs == 1 else None
        needed = None if possible or runs > 1 else _runs_needed(units, count, n)
    agrees = None
    if correct is not None:
        if n is None:
            raise DataError("correct: expected n beside it")
        correct = whole(correct, "correct", 0, n * runs)
        agrees = any(correct in one for one in counts.values())
    match = None
    if faces:
        match = match_supports(dict(zip(names, faces, strict=True)) if names else faces, dataset)
    columns = {"recall": recalls, "precision": precisions, "f1": f1s}
    table = _table(units, count, runs, names, faces, matrix, columns)

    reproduced = best(dataset, "reproduced", outside_data)
    published = best(dataset, "published", outside_data)
    above_reproduced, errors_above_reproduced = _distance(value, reproduced, n)
    above_published, errors_above_published = _distance(value, published, n)
    return Claim(
        accuracy=value,
        dataset=dataset,
        n=n,
        n_said=said,
        runs=runs,
        counts=counts,
        possible=possible,
        possible_at=tuple(
            split for split in splits_of(dataset) if by_rounding(solve(units, count, split.n))
        ),
        runs_needed=needed,
        correct=correct,
        correct_agrees=agrees,
        match=match,
        interval=interval(value, n, right),
        reproduced=reproduced,
        published=published,
        above_reproduced=above_reproduced,
        above_published=above_published,
        above_people=float(value) - PEOPLE[0] if dataset == "fer2013" else math.nan,
        errors_above_reproduced=errors_above_reproduced,
        errors_above_published=errors_above_published,
        table=table,
        classes=class_count,
    )


def _classes(
    classes: int | Sequence[str] | None,
    names: tuple[str, ...] | None,
    faces: tuple[int, ...] | None,
    dataset: str,
) -> tuple[tuple[str, ...] | None, int]:
    """Bring the classes, said or not, and the supports together: names, and how many."""
    if classes is None:
        if faces:
            return names, len(faces)
        # FER+ is used with and without contempt: eight are what its authors' figure is for.
        return names, len(FERPLUS_EXPRESSIONS if dataset == "ferplus" else EXPRESSIONS)
    if isinstance(classes, (str, bytes)) or not hasattr(classes, "__iter__"):
        count = whole(classes, "classes", 2, 100)
    else:
        said = tuple(map(expression, classes))
        count = len(said)
        if len(set(said)) < count or count < 2:
            raise DataError(f"classes: expected two or more, each once, got {', '.join(said)}")
        if names and set(said) != set(names):
            raise DataError(f"classes {', '.join(said)}: expected those of the supports")
        names = names or said
    if faces and len(faces) != count:
        raise DataError(f"classes: expected {len(faces)}, as there are supports, got {count}")
    return (names if faces else None), count


def _size(
    n: int | None, faces: tuple[int, ...] | None, dataset: str, classes: int
) -> tuple[int | None, bool]:
    if n is None:
        return (sum(faces), True) if faces else (official_size(dataset, classes), False)
    n = whole(n, "n", 1)
    if faces and sum(faces) != n:
        raise DataError(f"supports: sum to {sum(faces):,}, expected n = {n:,}")
    return n, True


def _runs_needed(units: int, decimals: int, n: int) -> int | None:
    for runs in range(2, MOST_RUNS + 1):
        if by_rounding(solve(units, decimals, n * runs)):
            return runs
    return None


def _distance(accuracy: Decimal, bar: Reported | None, n: int | None) -> tuple[float, float]:
    """Return the points above a figure, and the same in its standard errors at n."""
    if bar is None:
        return math.nan, math.nan
    points = float(accuracy - Decimal(bar.accuracy))
    return points, points / standard_error(float(bar.accuracy), n) if n else math.nan


def _table(
    units: int,
    decimals: int,
    runs: int,
    names: tuple[str, ...] | None,
    faces: tuple[int, ...] | None,
    matrix: tuple[int, tuple[int, ...], tuple[str, ...], bool] | None,
    columns: Mapping[str, Any],
) -> TableCheck | None:
    columns = {name: values for name, values in columns.items() if values is not None}
    if not columns and matrix is None:
        return None
    if runs > 1:
        raise DataError(f"runs {runs}: expected 1 beside a report or a matrix, which is one run's")
    if not faces:
        raise DataError(f"{next(iter(columns))}s: expected the supports beside them")
    n = sum(faces)
    right, impossible, transposed = (0, n), (), False
    if columns:
        labels = names or tuple(f"class {place}" for place in range(len(faces)))
        right, impossible = check_columns(faces, labels, columns)
    if matrix is not None:
        diagonal, _, unfit, transposed = matrix
        impossible += unfit
        if right and not right[0] <= diagonal <= right[1]:
            impossible += ("the diagonal of the matrix is not what the columns allow",)
        right = (diagonal, diagonal)
    if right is None:
        return TableCheck(None, (math.nan, math.nan), False, impossible, transposed)
    figure = hull(solve(units, decimals, n).values())
    if figure is None:
        nearest = (2 * units * n + 100 * 10**decimals) // (200 * 10**decimals)
        figure = (nearest, nearest)
    return TableCheck(
        right=right,
        accuracy=(100 * right[0] / n, 100 * right[1] / n),
        agrees=right[0] <= figure[1] and figure[0] <= right[1],
        impossible=impossible,
        transposed=transposed,
    )


#: What the course's five ancestors claimed: network, figure in percent (None where there was
#: none), the data set that it is asked of, test faces, and what was said.
ANCESTORS: tuple[tuple[str, str | None, str, int | None, str], ...] = (
    ("cnn3", "86", "fer2013", None, "FER2013; the number of test faces was not said"),
    ("cnn4", "78", "fer2013", None, "neither the data nor the number of test faces was said"),
    ("cnn5", "65.5", "expw", None, "boxes as ExpW's; the number of test faces was not said"),
    ("vgg16", "91", "expw", 7_200, "36,000 faces of ExpW, split 70/10/20"),
    ("resnet", None, "fer2013", None, "FER2013; no figure was claimed"),
)


def ancestors() -> dict[str, Claim]:
    """Check what the course's five ancestors claimed, as `ANCESTORS` has it.

    Returns
    -------
    dict of str to Claim
        By network; one that claimed nothing is not in it.
    """
    return {
        name: check_claim(accuracy, n, dataset=dataset)
        for name, accuracy, dataset, n, _ in ANCESTORS
        if accuracy is not None
    }


def claims_table(claims: Mapping[str, Claim]) -> pd.DataFrame:
    """Set claims side by side.

    Parameters
    ----------
    claims : mapping of names to Claim
        One or more.

    Returns
    -------
    DataFrame
        Index ``claim``; columns as in `Claim.as_row`.

    Raises
    ------
    DataError
        When there is none.
    """
    if not claims:
        raise DataError("expected one claim or more, got none")
    rows = {name: claim.as_row() for name, claim in claims.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("claim")
    integers = dict.fromkeys(("n", "right_low", "right_high"), "Int64")
    return table.astype({**integers, "possible": "boolean"})
