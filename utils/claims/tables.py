"""What a classification report or a confusion matrix allows the accuracy to be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from utils import evaluation
from utils.claims.arithmetic import read_number
from utils.claims.supports import expression, listed
from utils.runtime import DataError


@dataclass(frozen=True)
class TableCheck:
    """Whether a per-class table and the accuracy claimed fit each other.

    Attributes
    ----------
    right : (int, int) or None
        The fewest and the most right answers that the table allows; None where its own cells
        exclude each other.
    accuracy : (float, float)
        The same in percent of n; (NaN, NaN) where `right` is None.
    agrees : bool
        Whether some number of right answers fits both the table and the figure. Where the
        figure itself is impossible at n: whether the table allows what comes nearest to it.
    impossible : tuple of str
        What no whole numbers give, in words.
    transposed : bool
        Of a confusion matrix: its columns sum to the supports, so its rows are the predictions.
    """

    right: tuple[int, int] | None
    accuracy: tuple[float, float]
    agrees: bool
    impossible: tuple[str, ...] = ()
    transposed: bool = False


def read_report(text: str) -> pd.DataFrame:
    """Read a classification report as scikit-learn prints it.

    Parameters
    ----------
    text : str
        Lines of a class's name, precision, recall, F1 and support. The header, averages and
        "accuracy" are passed over.

    Returns
    -------
    DataFrame
        Index: names as they stand there; ``precision``, ``recall`` and ``f1`` as text, with
        their decimals; ``support`` int64.

    Raises
    ------
    DataError
        When no line is a class's.
    """
    number = r"(\d(?:\.\d+)?)"
    line = re.compile(rf"\s*(\S.*?)\s+{number}\s+{number}\s+{number}\s+([\d,]+)\s*", re.ASCII)
    found = [match.groups() for match in map(line.fullmatch, text.splitlines()) if match]
    rows = [row for row in found if row[0].lower() not in _AVERAGES]
    if not rows:
        raise DataError(
            "report: found no line of a class, its precision, recall, F1 and support; expected "
            "what scikit-learn's classification_report prints"
        )
    columns = ["expression", "precision", "recall", "f1", "support"]
    table = pd.DataFrame(rows, columns=columns).set_index("expression")
    table["support"] = table["support"].str.replace(",", "").astype(np.int64)
    return table


_AVERAGES = ("accuracy", "micro avg", "macro avg", "weighted avg", "samples avg")


def report_columns(report: pd.DataFrame | Mapping | str) -> dict[str, Any]:
    """Take a report apart into `check_claim`'s arguments."""
    if isinstance(report, str):
        table = read_report(report)
    elif isinstance(report, Mapping):
        rows = {name: row for name, row in report.items() if isinstance(row, Mapping)}
        table = pd.DataFrame.from_dict(rows, orient="index")
    elif isinstance(report, pd.DataFrame):
        table = report
    else:
        raise DataError(f"report: expected a table, a mapping or text, got {type(report).__name__}")
    table = table.rename(columns={"f1-score": "f1"})
    missing = [name for name in ("recall", "support") if name not in table]
    if missing:
        raise DataError(f"report: found no column {missing[0]!r}, expected recall and support")
    averages = {*_AVERAGES, *evaluation.AVERAGES}
    table = table[[str(name).lower() not in averages for name in table.index]]
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise DataError(f"report: {twice!r} stands there twice, expected each class once")
    faces = pd.to_numeric(table["support"], errors="coerce")
    if (faces.isna() | (faces % 1 != 0)).any():
        raise DataError("report: expected whole numbers in the column 'support'")
    supports = [int(value) for value in faces]
    # Reports without names number the classes, which says nothing of their order.
    numbered = all(re.fullmatch(r"\d+", str(name)) for name in table.index)
    columns = {name: list(table[name]) for name in ("precision", "recall", "f1") if name in table}
    return {
        "supports": supports if numbered else dict(zip(table.index, supports, strict=True)),
        **{f"{name}s": values for name, values in columns.items()},
    }


#: Numerators of the lowest and highest value that a cell may stand for, and their denominator.
_Band = tuple[int, int, int]


def _bands(values: Any, name: str, classes: int, names: Sequence[str]) -> dict[str, list[_Band]]:
    """Read a column of shares: what each cell may stand for, rounded or truncated.

    A column has one number of decimals, the most that a cell of it shows: 0.9 beside 0.85 is 0.90.
    """
    if isinstance(values, Mapping):
        by_name = {expression(key): value for key, value in values.items()}
        if set(by_name) != set(names):
            raise DataError(f"{name}: expected the classes of the supports, {', '.join(names)}")
        values = [by_name[key] for key in names]
    values = list(values)
    if len(values) != classes:
        raise DataError(f"{name}: expected {classes}, one a class, got {len(values)}")
    read = []
    for value, label in zip(values, names, strict=True):
        share, decimals = read_number(value, f"{name} of {label}", "a share 0 … 1, as '0.85'")
        if share > 1:
            raise DataError(f"{name} of {label} {value!r}: expected a share 0 … 1, as '0.85'")
        read.append((share, decimals))
    decimals = max(decimals for _, decimals in read)
    units = [int(share.scaleb(decimals)) for share, _ in read]
    scale = 2 * 10**decimals
    return {
        "rounded": [(max(0, 2 * unit - 1), min(scale, 2 * unit + 1), scale) for unit in units],
        "truncated": [(2 * unit, min(scale, 2 * unit + 2), scale) for unit in units],
    }


def _class_range(
    support: int,
    n: int,
    recall: _Band | None,
    precision: _Band | None,
    f1: _Band | None,
) -> tuple[int, int, int, int] | None:
    """Find the right answers and predictions of a class that give its cells.

    Returns
    -------
    tuple of int, or None
        Fewest and most right answers, fewest and most predictions of the class; None where no
        whole numbers do.
    """
    low, high = 0, support
    if recall:
        low = max(low, -(-recall[0] * support // recall[2]))
        high = min(high, recall[1] * support // recall[2])
        # scikit-learn calls the recall of a class without faces 0.
        if support == 0 and recall[0] > 0:
            return None
    found = None
    for right in range(low, high + 1):
        least, most = right, right + n - support
        # Precision is right / predicted, F1 is 2 right / (support + predicted).
        for band, part, taken in ((precision, right, 0), (f1, 2 * right, support)):
            if band is None:
                continue
            if right == 0:
                if band[0] > 0:
                    least, most = 1, 0
                continue
            if band[1] == 0:
                least, most = 1, 0
                continue
            least = max(least, -(-part * band[2] // band[1]) - taken)
            if band[0] > 0:
                most = min(most, part * band[2] // band[0] - taken)
        if least <= most:
            first = found or (right, right, least, most)
            found = (first[0], right, min(first[2], least), max(first[3], most))
    return found


def check_columns(
    supports: tuple[int, ...], names: Sequence[str], columns: Mapping[str, Any]
) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    """Sum over the classes what each allows; rounding first, truncation where that fails."""
    n = sum(supports)
    bands = {name: _bands(values, name, len(supports), names) for name, values in columns.items()}
    given = f"the {listed(tuple(columns))}"
    outcomes = []
    for mode in ("rounded", "truncated"):
        ranges, impossible = [], []
        for place, (support, name) in enumerate(zip(supports, names, strict=True)):
            cells = {key: band[mode][place] for key, band in bands.items()}
            found = _class_range(
                support, n, cells.get("recall"), cells.get("precision"), cells.get("f1")
            )
            if found is None:
                impossible.append(f"no whole numbers give {given} of {name} ({support:,} faces)")
            ranges.append(found)
        if not impossible:
            low, high, least, most = map(sum, zip(*ranges, strict=True))
            # Every face is taken for one class.
            if len(bands) > ("recall" in bands) and not least <= n <= most:
                impossible.append(f"its cells mean {least:,} to {most:,} predictions, not {n:,}")
            else:
                return (low, high), ()
        outcomes.append(tuple(impossible))
    return None, outcomes[0]


def check_confusion(
    confusion: Any, supports: tuple[int, ...] | None
) -> tuple[int, tuple[int, ...], tuple[str, ...], bool]:
    """Read a confusion matrix: right answers, supports, what does not fit, transposed."""
    matrix = np.asarray(confusion)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise DataError(f"confusion: expected a square matrix of counts, got shape {matrix.shape}")
    if not np.issubdtype(matrix.dtype, np.number) or (matrix != np.floor(matrix)).any():
        raise DataError(
            "confusion: expected whole numbers; of a matrix of shares give the diagonal as recalls"
        )
    if (matrix < 0).any() or not matrix.any():
        raise DataError("confusion: expected counts of 0 or more, and some faces")
    matrix = matrix.astype(np.int64)
    rows, columns = (tuple(map(int, matrix.sum(axis=axis))) for axis in (1, 0))
    right = int(np.trace(matrix))
    if supports is None or rows == supports:
        return right, rows, (), False
    if len(matrix) != len(supports):
        raise DataError(f"confusion: {len(matrix)} classes, expected {len(supports)}")
    if columns == supports:
        return right, supports, (), True
    if sum(rows) != sum(supports):
        raise DataError(
            f"confusion: sums to {sum(rows):,} faces, expected {sum(supports):,} as the supports"
        )
    return right, supports, ("neither rows nor columns of the matrix sum to the supports",), False
