"""Is this accuracy possible? Ask arithmetic: ``python -m utils.honesty.claims 86.0 --n 3589``.

Of n faces a whole number k is classified correctly, so only n + 1 accuracies exist, and a figure
with two decimals may be none of them: the GRIM test (Brown and Heathers 2017, Social Psychological
and Personality Science 8(4)), asked of a test split. Beside it: which known split the class counts
belong to, the 95 % interval, the distance to what has been reproduced, and whether a classification
report fits the figure. It shows what a figure cannot be, never why.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from utils import runtime
from utils.expressions import EXPRESSIONS, FERPLUS_COLUMNS, FERPLUS_EXPRESSIONS, FOLDER_NAMES
from utils.honesty.known import (
    ANCESTORS,
    DATASETS,
    KNOWN_SPLITS,
    PEOPLE,
    TEST_FACES,
    KnownSplit,
    accuracy_interval,
    best,
    known_dataset,
    reported_table,
    splits_of,
    standard_error,
)
from utils.runtime import DataError

__all__ = ["ANCESTORS", "KNOWN_SPLITS", "best", "reported_table"]  # known's, beside its own

#: How a share becomes a figure. Truncation is rare.
ROUNDINGS = ("half up", "half even", "truncated")
_DECIMALS = 15
_MOST_RUNS = 10
_SELDOM, _FEWEST_A_CLASS = 0.001, 50
_AVERAGES = {"accuracy", *(f"{kind} avg" for kind in ("micro", "macro", "weighted", "samples"))}
_AVERAGES |= {"macro average", "weighted average"}


# --------------------------------------------------------------- which counts give a figure


def possible_counts(accuracy: str | float | Decimal, n: int) -> dict[str, range]:
    """Find the numbers of correct answers among n faces that give a figure to its decimals.

    Parameters
    ----------
    accuracy : str, float or Decimal
        In percent, 0 … 100, with or without "%". Its decimals count: "86" is anything that rounds
        to it. Give a string: the float 75.9 may have been "75.90". A number of 1 or less without
        "%" is refused, as it is probably a share.
    n : int
        Test faces, 1 or more.

    Returns
    -------
    dict of str to range
        For each of `ROUNDINGS` the counts 0 … n that become this figure; empty where none do.

    Raises
    ------
    DataError
        When the accuracy is no such number, or n no whole number of 1 or more.

    Examples
    --------
    >>> possible_counts("75.97", 3589)["half up"], possible_counts("75.97", 7178)["half up"]
    (range(2727, 2727), range(5453, 5454))
    """
    return _solve(_percentage(accuracy), _whole(n, "n", 1))


def possible_at(accuracy: str | float | Decimal, dataset: str | None = None) -> pd.DataFrame:
    """List the known splits: ``dataset``, ``split``, ``n``, and whether a figure is possible there.

    ``possible`` means by rounding to nearest; ``right_low`` and ``right_high`` are the correct
    answers (nullable), ``roundings`` the names of those that allow it.
    """
    value, rows = _percentage(accuracy), []
    for split in splits_of(dataset):
        counts = _solve(value, split.n)
        right = _right(counts) or (None, None)
        allowed = ", ".join(name for name in ROUNDINGS if counts[name])
        rows.append((split.dataset, split.name, split.n, _rounds(counts), *right, allowed))
    names = ["dataset", "split", "n", "possible", "right_low", "right_high", "roundings"]
    table = pd.DataFrame(rows, columns=names)
    return table.astype({"right_low": "Int64", "right_high": "Int64"})


def _solve(accuracy: Decimal, n: int) -> dict[str, range]:
    """Solve for k in whole numbers: 100 k / n lies in the interval that becomes the figure."""
    decimals = _places(accuracy)
    units, scale = int(accuracy.scaleb(decimals)), 100 * 10**decimals
    low, high = (2 * units - 1) * n, (2 * units + 1) * n  # of 2 · scale · k
    at_least, below = -(-low // (2 * scale)), -(-high // (2 * scale)) - 1
    above, at_most = low // (2 * scale) + 1, high // (2 * scale)
    ends = {
        "half up": (at_least, below),
        "half even": (above, below) if units % 2 else (at_least, at_most),
        "truncated": (-(-units * n // scale), -(-(units + 1) * n // scale) - 1),
    }
    return {name: range(max(0, first), min(n, last) + 1) for name, (first, last) in ends.items()}


def _rounds(counts: Mapping[str, range]) -> bool:
    """Whether rounding to nearest, of either kind, gives the figure."""
    return bool(counts["half up"] or counts["half even"])


def _right(counts: Mapping[str, range]) -> tuple[int, int] | None:
    """Return the fewest and most correct answers: by rounding, else truncated, else None."""
    for names in (ROUNDINGS[:2], ROUNDINGS[2:]):
        some = [counts[name] for name in names if counts[name]]
        if some:
            return min(one[0] for one in some), max(one[-1] for one in some)
    return None


def _places(value: Decimal) -> int:
    return max(0, -int(value.as_tuple().exponent))


def _percentage(accuracy: object) -> Decimal:
    signed = isinstance(accuracy, str) and accuracy.rstrip().endswith("%")
    value = _number(accuracy.rstrip()[:-1] if signed else accuracy, "accuracy", 100)
    if 0 < value <= 1 and not signed:
        raise DataError(
            f"accuracy {accuracy!r}: expected a percentage; for the share {value} give "
            f"'{value.scaleb(2):f}', for {value} percent give '{value} %'"
        )
    return value


def _number(given: object, what: str, most: int) -> Decimal:
    """Read a number exactly, with the decimals that it is written with."""
    value = Decimal("NaN")
    if isinstance(given, str) and re.fullmatch(r"\s*(\d{1,3}(\.\d*)?|\.\d+)\s*", given, re.ASCII):
        value = Decimal(given.strip())
    elif isinstance(given, Decimal):
        value = given
    elif isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        value = Decimal(int(given))
    elif isinstance(given, (float, np.floating)) and math.isfinite(given):
        # NumPy's text of a float32 has the digits that were meant; beyond ten they are noise.
        value = Decimal(str(round(float(str(given)), 10)))
    if not value.is_finite() or not 0 <= value <= most or _places(value) > _DECIMALS:
        raise DataError(
            f"{what} {given!r}: expected a number 0 … {most}, of {_DECIMALS} decimals at most"
        )
    return value


def _whole(value: object, name: str, least: int) -> int:
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise DataError(f"{name} {value!r}: expected a whole number, {least} or more")
    return int(value)


# ------------------------------------------------------------ which split class counts belong to


@dataclass(frozen=True)
class SplitMatch:
    """Which known split class counts belong to.

    Attributes
    ----------
    how : str
        "exact"; "to rounding" (of a stratified part, each within one); "classes left out" or
        "classes merged" (those of `changed`); "balanced" (about equal numbers); "random draw"
        (what an unstratified draw from the whole set would give); "none".
    split : KnownSplit or None
    order : str
        The order of the counts: "as named", "FER2013's order", "alphabetical order", "FER+'s
        order", "another order"; "" where it cannot be told.
    renamed : tuple of (str, str)
        A wrong label order: the name given, the name by its count.
    changed : tuple of str
    """

    how: str
    split: KnownSplit | None = None
    order: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = [self.how]
        if self.split:
            said += [f"{DATASETS[self.split.dataset]}'s {self.split.name} ({self.split.note})"]
        said += self.changed
        said += [self.order] if self.order not in ("", "as named") else []
        said += [f"{given} has the count of {own}" for given, own in self.renamed]
        return ", ".join(said)


def match_supports(
    supports: Sequence[int] | Mapping[str, int], dataset: str | None = None
) -> SplitMatch:
    """Find the known split that class counts (a report's supports) belong to.

    Parameters
    ----------
    supports : sequence of int, or mapping of names to int
        Test faces of each class: two classes or more, in any order. Names as in
        `expressions.FOLDER_NAMES`, and contempt.
    dataset : str, optional
        The data set whose splits are tried first.

    Returns
    -------
    SplitMatch

    Raises
    ------
    DataError
        When a count is no whole number of 0 or more, or a name is unknown or stands twice.
    """
    names, counts = _read_supports(supports)
    first = None if dataset is None else known_dataset(dataset)
    splits = sorted(KNOWN_SPLITS, key=lambda one: (one.tolerance, one.dataset != first))
    splits = [split for split in splits if split.counts]
    fixed = [split for split in splits if not split.tolerance]
    tried = [_same(split, names, counts) for split in splits]
    tried += [_changed(split, names, counts) for split in fixed]
    return next(filter(None, tried), None) or _drawn(fixed, names, counts)


def _read_supports(
    supports: Sequence[int] | Mapping[str, int],
) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    names = None
    if isinstance(supports, (Mapping, pd.Series)):
        names, supports = tuple(map(_expression, supports.keys())), list(dict(supports).values())
        if len(set(names)) < len(names):
            raise DataError(f"supports {', '.join(names)}: expected each class once")
    if isinstance(supports, (str, bytes)) or not hasattr(supports, "__iter__"):
        raise DataError(f"supports {supports!r}: expected a count for each class")
    counts = tuple(_whole(count, "supports: count", 0) for count in supports)
    if not 2 <= len(counts) <= 100 or not sum(counts):
        raise DataError(f"supports {counts}: expected two classes or more, and some faces")
    return names, counts


def _expression(name: object) -> str:
    lowered = str(name).strip().lower()
    if lowered not in FOLDER_NAMES and lowered != "contempt":
        raise DataError(f"class {name!r}: expected one of {', '.join(FERPLUS_EXPRESSIONS)}")
    return EXPRESSIONS[FOLDER_NAMES[lowered]] if lowered in FOLDER_NAMES else lowered


def _orders(names: tuple[str, ...] | None, known: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    if names:
        return {"as named": names}
    votes = tuple(name for name in map(_expression, FERPLUS_COLUMNS[:8]) if name in known)
    return {
        "FER2013's order": known,
        "alphabetical order": tuple(sorted(known)),
        "FER+'s order": votes,
    }


def _same(
    split: KnownSplit, names: tuple[str, ...] | None, counts: tuple[int, ...]
) -> SplitMatch | None:
    """Compare sorted counts, then name the order: the k-th smallest of both belong together."""
    own = dict(zip(split.expressions, split.counts, strict=True))
    how = "to rounding" if split.tolerance else "exact"
    if len(own) != len(counts) or (names and set(names) != set(own)):
        return None

    def fits(found: Sequence[str]) -> bool:
        pairs = zip(counts, found, strict=True)
        return all(abs(count - own[name]) <= split.tolerance for count, name in pairs)

    # Of equal counts each keeps its own name.
    places = [split.expressions.index(name) for name in names or own]
    by_count = np.argsort(np.lexsort((places, counts)))
    found = tuple(np.array(sorted(own, key=own.get))[by_count].tolist())
    if not fits(found):
        return None
    for order, usual in _orders(names, split.expressions).items():
        if fits(usual):
            return SplitMatch(how, split, order)
    if not names:
        return SplitMatch(how, split, "another order")
    renamed = tuple((one, two) for one, two in zip(names, found, strict=True) if one != two)
    return SplitMatch(how, split, "as named", renamed)


def _changed(
    split: KnownSplit, names: tuple[str, ...] | None, counts: tuple[int, ...]
) -> SplitMatch | None:
    """Try a split with some classes left out, then with two merged."""
    own = dict(zip(split.expressions, split.counts, strict=True))
    missing = len(own) - len(counts)
    if missing < 1 or len(counts) < 3:
        return None
    for out in combinations(own, missing):
        left = {name: count for name, count in own.items() if name not in out}
        if sorted(left.values()) == sorted(counts) and (
            not names or left == dict(zip(names, counts, strict=True))
        ):
            return SplitMatch("classes left out", split, changed=out)
    for pair in combinations(own, 2) if missing == 1 else ():
        rest = [count for name, count in own.items() if name not in pair]
        if sorted([*rest, own[pair[0]] + own[pair[1]]]) == sorted(counts):
            return SplitMatch("classes merged", split, changed=pair)
    return None


def _drawn(
    splits: list[KnownSplit], names: tuple[str, ...] | None, counts: tuple[int, ...]
) -> SplitMatch:
    """Try equal classes, then an unstratified draw from a whole set (hypergeometric)."""
    from scipy.stats import chi2

    total, classes = sum(counts), len(counts)

    def chance(expected, drawn=0.0):
        distance = ((np.array(counts) - expected) ** 2 / expected).sum() / (1 - drawn)
        return float(chi2.sf(distance, classes - 1))

    if total < _FEWEST_A_CLASS * classes:
        return SplitMatch("none")
    if chance(np.full(classes, total / classes)) > _SELDOM:
        return SplitMatch("balanced")
    for whole in splits:
        if whole.name.startswith("whole set") and len(whole.counts) == classes < total < whole.n:
            own = dict(zip(whole.expressions, whole.counts, strict=True))
            for order, found in _orders(names, whole.expressions).items():
                part = total / whole.n
                if set(found) == set(own):
                    expected = np.array([own[name] for name in found]) * part
                    if chance(expected, part) > _SELDOM:
                        return SplitMatch("random draw", whole, order)
    return SplitMatch("none")


# ------------------------------------------------------------ what a classification report allows


class TableCheck(NamedTuple):
    """What a report allows: accuracies (percent; NaN: its cells exclude each other), and the figure?"""

    accuracy: tuple[float, float]
    agrees: bool


def read_report(report: pd.DataFrame | Mapping | str) -> pd.DataFrame:
    """Read a classification report: `evaluation.report`'s table, or scikit-learn's as text or dict.

    Returns
    -------
    DataFrame
        A row a class: ``precision``, ``recall``, ``f1`` as given (text keeps its decimals), and
        ``support``, int. Averages are left out.

    Raises
    ------
    DataError
        When it is none, a class stands twice, or a support is no whole number.
    """
    if isinstance(report, str):
        cell = r"(\d(?:\.\d+)?)"
        line = re.compile(rf"\s*(\S.*?)\s+{cell}\s+{cell}\s+{cell}\s+([\d,]+)\s*", re.ASCII)
        rows = [match.groups() for match in map(line.fullmatch, report.splitlines()) if match]
        names = ["class", "precision", "recall", "f1", "support"]
        table = pd.DataFrame(rows, columns=names).set_index("class")
        table["support"] = table["support"].str.replace(",", "")
    elif isinstance(report, Mapping):
        rows = {name: row for name, row in report.items() if isinstance(row, Mapping)}
        table = pd.DataFrame.from_dict(rows, orient="index")
    elif isinstance(report, pd.DataFrame):
        table = report
    else:
        raise DataError(f"report: expected a table, a dict or text, got {type(report).__name__}")
    table = table.rename(columns={"f1-score": "f1"})
    table = table[[str(name).lower() not in _AVERAGES for name in table.index]]
    if not {"recall", "support"} <= set(table.columns) or table.empty:
        raise DataError("report: expected classes with recall and support, found none")
    if not table.index.is_unique:
        raise DataError(f"report: {table.index[table.index.duplicated()][0]!r} stands there twice")
    faces = pd.to_numeric(table["support"], errors="coerce")
    if faces.isna().any() or (faces % 1 != 0).any() or (faces < 0).any():
        raise DataError("report: expected whole numbers in the column 'support'")
    return table.assign(support=faces.astype(np.int64))


def _check_report(table: pd.DataFrame, figure: tuple[int, int]) -> TableCheck:
    """Sum over the classes what each allows, and compare with the figure's correct answers."""
    n = int(table["support"].sum())
    bands = {name: _band(table[name]) for name in ("recall", "precision", "f1") if name in table}
    ranges = [
        _class_range(support, n, *(band[place] for band in bands.values()), names=list(bands))
        for place, support in enumerate(table["support"])
    ]
    low, high, least, most = np.sum(ranges, axis=0)
    # Each face gets one prediction.
    if np.isnan(low) or (len(bands) > 1 and not least <= n <= most):
        return TableCheck((math.nan, math.nan), False)
    accuracy = float(100 * low / n), float(100 * high / n)
    return TableCheck(accuracy, bool(low <= figure[1] and figure[0] <= high))


def _band(cells: pd.Series) -> list[tuple[float, float]]:
    """Return the shares that a cell may stand for; a column has its longest cell's decimals."""
    values = [_number(cell, f"{cells.name} of {name}", 1) for name, cell in cells.items()]
    half = 0.5 * 10.0 ** -max(map(_places, values)) + 1e-12
    return [(float(value) - half, float(value) + half) for value in values]


def _class_range(
    support: int, n: int, *bands: tuple[float, float], names: Sequence[str]
) -> tuple[float, float, float, float]:
    """Find the fewest and most correct answers, and predictions, that give a class's cells."""
    band = dict(zip(names, bands, strict=True))
    right = np.arange(support + 1.0)
    share = right / max(support, 1)  # scikit-learn calls the recall of no faces 0
    least, most = right.copy(), right + n - support
    possible = (share >= band["recall"][0]) & (share <= band["recall"][1])
    # Precision is right / predicted, F1 is 2 right / (support + predicted).
    for name, part, taken in (("precision", right, 0), ("f1", 2 * right, support)):
        if name in band:
            low, high = band[name]
            possible &= np.where(right == 0, low <= 0, high > 0)
            fewest = np.ceil(part / high - taken - 1e-9) if high > 0 else least
            largest = np.floor(part / low - taken + 1e-9) if low > 0 else most
            least = np.where(right > 0, np.maximum(least, fewest), least)
            most = np.where(right > 0, np.minimum(most, largest), most)
    possible &= least <= most
    if not possible.any():
        return (math.nan,) * 4
    right, least, most = right[possible], least[possible], most[possible]
    return right[0], right[-1], least.min(), most.max()


# ------------------------------------------------------------------------ a claim, and the figures


def check_claim(
    accuracy: str | float | Decimal,
    n: int | None = None,
    *,
    supports: Sequence[int] | Mapping[str, int] | None = None,
    dataset: str = "fer2013",
    runs: int = 1,
    outside_data: bool | None = None,
    report: pd.DataFrame | Mapping | str | None = None,
) -> pd.Series:
    """Ask of a claimed accuracy what arithmetic can tell.

    Parameters
    ----------
    accuracy
        As in `possible_counts`.
    n : int, optional
        Test faces. By default the sum of the supports, else the official test split's.
    supports
        As in `match_supports`; they must sum to n.
    dataset : str
        "fer2013", "ferplus" or "expw".
    runs : int
        Of how many runs on the same n the figure is the mean.
    outside_data : bool, optional
        False compares with networks that had learned from no other pictures; by default with all.
    report
        As in `read_report`, in place of supports.

    Returns
    -------
    Series
        Named by the figure: ``accuracy`` (Decimal), ``low`` and ``high`` (percent: the 95 %
        interval at n over all counts that give the figure), ``dataset``, ``n`` (None: not said,
        and no official split), ``n_said`` (False: the official split's, as nothing was said),
        ``possible`` (by rounding to nearest; None without n), ``right_low``, ``right_high``,
        ``roundings`` (of n × runs), ``runs_needed`` (the mean of how few runs could give it where
        one cannot), ``match`` (`SplitMatch`), ``table`` (`TableCheck`), ``reproduced`` and
        ``published`` (names of the best figures that stand), ``above_reproduced``,
        ``errors_above_reproduced`` (points, standard errors), ``above_published``,
        ``above_people``.

    Raises
    ------
    DataError
        When something is no number of its kind, or supports do not sum to n.
    """
    value, dataset, runs = _percentage(accuracy), known_dataset(dataset), _whole(runs, "runs", 1)
    table = None
    if report is not None:
        if supports is not None or runs > 1:
            raise DataError("report: expected it without supports, and of one run")
        table = read_report(report)
        # Reports without names number the classes, which says nothing of their order.
        numbered = all(re.fullmatch(r"\d+", str(name)) for name in table.index)
        supports = table["support"].tolist() if numbered else table["support"]
    faces = None if supports is None else sum(_read_supports(supports)[1])
    said = n is not None or faces is not None
    n = (faces or TEST_FACES.get(dataset)) if n is None else _whole(n, "n", 1)
    if faces not in (None, n):
        raise DataError(f"supports: sum to {faces:,}, expected n = {n:,}")
    check = None
    if table is not None:
        nearest = round(Fraction(value) * n / 100)
        check = _check_report(table, _right(_solve(value, n)) or (nearest, nearest))
    counts = {} if n is None else _solve(value, n * runs)
    possible = _rounds(counts) if counts else None
    tried = range(2, _MOST_RUNS + 1) if possible is False and runs == 1 else ()
    low, high = accuracy_interval(float(value), n, counts.get("half up") if runs == 1 else None)
    right = (_right(counts) if counts else None) or (None, None)
    bars = {kind: best(dataset, kind, outside_data) for kind in ("reproduced", "published")}
    points = {
        kind: math.nan if bar is None else round(float(value) - bar["accuracy"], 10)
        for kind, bar in bars.items()
    }
    error = standard_error(bars["reproduced"]["accuracy"], n or math.nan)
    row = {
        "accuracy": value,
        "low": low,
        "high": high,
        "dataset": dataset,
        "n": n,
        "n_said": said,
        "possible": possible,
        "right_low": right[0],
        "right_high": right[1],
        "roundings": ", ".join(name for name in ROUNDINGS if counts.get(name)),
        "runs_needed": next((k for k in tried if _rounds(_solve(value, k * n))), None),
        "match": None if supports is None else match_supports(supports, dataset),
        "table": check,
        **{kind: None if bar is None else bar.name for kind, bar in bars.items()},
        "above_reproduced": points["reproduced"],
        "errors_above_reproduced": points["reproduced"] / error,
        "above_published": points["published"],
        "above_people": float(value) - PEOPLE[0] if dataset == "fer2013" else math.nan,
    }
    return pd.Series(row, dtype=object, name=f"{value} %")


def claims_table(claims: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Set one claim or more side by side: index ``claim``, columns as in `check_claim`."""
    if not claims:
        raise DataError("expected one claim or more, got none")
    table = pd.DataFrame(dict(claims)).T.rename_axis("claim")
    whole = dict.fromkeys(("n", "right_low", "right_high", "runs_needed"), "Int64")
    percent = [name for name in table if name in ("accuracy", "low", "high") or "above" in name]
    return table.astype({**whole, "possible": "boolean", **dict.fromkeys(percent, float)})


def ancestors() -> dict[str, pd.Series]:
    """Check what the course's five ancestors claimed (`ANCESTORS`), by network."""
    return {
        name: check_claim(accuracy, n, dataset=dataset)
        for name, accuracy, dataset, n, _ in ANCESTORS
        if accuracy is not None
    }


# ---------------------------------------------------------------------------- the command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what arithmetic says of a claim: 0 whatever that is, an error for what is no claim."""
    parser = argparse.ArgumentParser(prog="python -m utils.honesty.claims", description=__doc__)
    parser.add_argument("accuracy", help="in percent, with the decimals it was given with: 86.0")
    parser.add_argument("--n", type=int, help="test faces (default: the official test split's)")
    parser.add_argument(
        "--supports",
        nargs="+",
        metavar="COUNT",
        help="test faces of each class: 491 55 …, or angry=491 …",
    )
    parser.add_argument("--report", type=Path, help="a file: scikit-learn's classification_report")
    parser.add_argument("--dataset", default="fer2013", choices=tuple(DATASETS))
    parser.add_argument("--runs", type=int, default=1, help="the figure is the mean of so many")
    parser.add_argument(
        "--without-outside-data", action="store_true", help="compare with networks that had none"
    )
    asked = parser.parse_args(arguments)
    try:
        report = asked.report and asked.report.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{asked.report}: expected a text file, found bytes of none") from error
    claim = check_claim(
        asked.accuracy,
        asked.n,
        supports=_supports(asked.supports),
        dataset=asked.dataset,
        runs=asked.runs,
        outside_data=False if asked.without_outside_data else None,
        report=report,
    )
    for name, value in claim.items():
        shown = f"{value:.2f}" if isinstance(value, float) else value
        print(f"{name.replace('_', ' '):24} {'–' if value is None or value != value else shown}")
    if claim.possible is False:
        known = possible_at(asked.accuracy, asked.dataset)
        known = known[known["possible"]]
        print("possible at", *(f"{n:,} ({of})" for of, n in known[["split", "n"]].to_numpy()))
    return 0


def _supports(words: Sequence[str] | None) -> list[int] | dict[str, int] | None:
    if words is None:
        return None
    parts = [word.rpartition("=") for word in " ".join(words).replace(",", " ").split()]
    named = {name: count for name, _, count in parts}
    if not all(count.isdecimal() for *_, count in parts) or len(named) not in (1, len(parts)):
        said = " ".join(words)
        raise DataError(f"supports {said!r}: expected whole numbers, all with a name or none")
    counts = [int(count) for *_, count in parts]
    return counts if "" in named else dict(zip(named, counts, strict=True))


if __name__ == "__main__":
    runtime.run_command(main)
