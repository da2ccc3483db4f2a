"""Is this accuracy possible? Ask arithmetic: ``python -m utils.honesty.claims 86.0 --n 3589``.

Of n faces, a whole number is classified correctly, so only n + 1 accuracies exist, and a figure
with two decimals may be none of them: the GRIM test (Brown and Heathers 2017, Social Psychological
and Personality Science 8(4)). It also tells which known split the class counts belong to, which
accuracies a classification report allows, and the distance to what has been reproduced. It shows
what a figure cannot be, never why.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from utils import runtime
from utils.expressions import FERPLUS_COLUMNS, FERPLUS_EXPRESSIONS, meaning
from utils.honesty import known
from utils.honesty.known import ANCESTORS, KINDS, PEOPLE, reported_table  # noqa: F401  found here too
from utils.runtime import DataError

_MOST_RUNS = 10
_AVERAGE = re.compile(r"accuracy|(micro|macro|weighted|samples) (avg|average)", re.IGNORECASE)


def possible_at(accuracy: str | float | Decimal, dataset: str) -> pd.DataFrame:
    """List the known splits of a data set: ``split``, ``n``, ``possible`` (by rounding)."""
    value, dataset = _percentage(accuracy), known.known_dataset(dataset)
    rows = [
        (split.name, split.n, _summary(possible_counts(value, split.n))[0])
        for split in known.KNOWN_SPLITS
        if split.dataset == dataset
    ]
    return pd.DataFrame(rows, columns=["split", "n", "possible"])


def possible_counts(accuracy: Decimal, n: int) -> dict[str, range]:
    """Find the numbers of correct answers among n faces that give a figure to its decimals.

    Parameters
    ----------
    accuracy : Decimal
        In percent, 0 … 100; its decimals count.
    n : int
        Test faces, 1 or more.

    Returns
    -------
    dict of str to range
        The counts, 0 … n, that round to this figure, by rounding rule: "half up", "half even",
        or, rarely, "truncated"; empty where none do.
    """
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


def _summary(counts: Mapping[str, range]) -> tuple[bool, int | None, int | None, str]:
    """Return: possible by rounding; fewest, most (truncated if rounding gives none); by which."""
    allowed = [name for name, some in counts.items() if some]
    rounded = [name for name in allowed if name != "truncated"]
    some = [counts[name] for name in rounded or allowed]
    fewest, most = min((x[0] for x in some), default=None), max((x[-1] for x in some), default=None)
    return bool(rounded), fewest, most, ", ".join(allowed)


def _places(value: Decimal) -> int:
    return max(0, -int(value.as_tuple().exponent))


def _percentage(accuracy: object) -> Decimal:
    signed = isinstance(accuracy, str) and accuracy.rstrip().endswith("%")
    value = _number(accuracy.rstrip()[:-1] if signed else accuracy, "accuracy", 100)
    if 0 < value <= 1 and not signed:
        raise DataError(
            f"accuracy {accuracy!r}: expected a percentage; for the share {value} give "
            f"'{value.scaleb(2):f}', for {value} percent give '{value}%'"
        )
    return value


def _number(given: object, what: str, most: int) -> Decimal:
    """Read a number exactly, with the decimals it is written with."""
    text = str(given).strip()
    if isinstance(given, (float, np.floating)):
        # NumPy writes the digits that a float32 stands for; beyond ten decimals they are noise.
        text = np.format_float_positional(given, precision=10, trim="0")
    if not re.fullmatch(r"\d{1,3}(\.\d{0,15})?|\.\d{1,15}", text, re.ASCII) or Decimal(text) > most:
        raise DataError(f"{what} {given!r}: expected a number 0 … {most}, with at most 15 decimals")
    return Decimal(text)


def _whole(value: object, name: str, least: int) -> int:
    if not isinstance(value, (int, np.integer)) or value < least:
        raise DataError(f"{name} {value!r}: expected a whole number, {least} or more")
    return int(value)


@dataclass(frozen=True)
class SplitMatch:
    """The known split that class counts belong to.

    ``how`` is "exact"; "to rounding" (of a stratified part, each within one); "classes left out" or
    "classes merged" (those of `changed`); "balanced" (about equal numbers); or "none". ``order`` is
    "as named", "FER2013's order", "alphabetical order", "FER+'s order", "another order", or "";
    `renamed` holds, for a wrong label order, each name given and the name by its count.
    """

    how: str
    split: known.KnownSplit | None = None
    order: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()

    def __str__(self) -> str:
        split = self.split
        of = [f"{known.DATASETS[split.dataset]}'s {split.name} ({split.note})"] if split else []
        order = [self.order] if self.order not in ("", "as named") else []
        renamed = [f"{given} has the count of {own}" for given, own in self.renamed]
        return ", ".join([self.how, *of, *self.changed, *order, *renamed])


def match_supports(
    supports: Sequence[int] | Mapping[str, int] | pd.Series, dataset: str | None = None
) -> SplitMatch:
    """Find the known split that class counts (a report's supports) belong to.

    Parameters
    ----------
    supports : sequence of int, or mapping of names to int
        Test faces of each class, two classes or more, in any order; names in any usual spelling.
    dataset : str, optional
        The data set whose splits are tried first.

    Raises
    ------
    DataError
        When a count is not a whole number of 0 or more, or a name is unknown or appears twice.
    """
    names, counts = _read_supports(supports)
    first = None if dataset is None else known.known_dataset(dataset)
    splits = sorted(known.KNOWN_SPLITS, key=lambda one: (one.tolerance, one.dataset != first))
    splits = [split for split in splits if split.counts]
    tried = [_same(split, names, counts) for split in splits]
    tried += [_changed(split, names, counts) for split in splits if not split.tolerance]
    found = next(filter(None, tried), None)
    if found is None:
        from scipy.stats import chisquare

        equal = sum(counts) >= 50 * len(counts) and chisquare(counts).pvalue > 0.001
        found = SplitMatch("balanced" if equal else "none")
    return found


def _read_supports(supports: object) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    names = None
    if isinstance(supports, (Mapping, pd.Series)):
        names, supports = tuple(map(_expression, supports.keys())), list(dict(supports).values())
    counts = tuple(_whole(count, "supports: count", 0) for count in supports)
    if names and len(set(names)) < len(names):
        raise DataError(f"supports {', '.join(names)}: expected each class once")
    if not 2 <= len(counts) <= 100 or not sum(counts):
        raise DataError(f"supports {counts}: expected two classes or more, and some faces")
    return names, counts


def _expression(name: object) -> str:
    if (found := meaning(str(name))) is None:
        raise DataError(f"class {name!r}: expected one of {', '.join(FERPLUS_EXPRESSIONS)}")
    return found


def _same(
    split: known.KnownSplit, names: tuple[str, ...] | None, counts: tuple[int, ...]
) -> SplitMatch | None:
    """Compare sorted counts, then name the order: the k-th smallest of both belong together."""
    own = dict(zip(split.expressions, split.counts, strict=True))
    how = "to rounding" if split.tolerance else "exact"
    if len(own) != len(counts) or (names and set(names) != set(own)):
        return None

    def fits(found: Sequence[str]) -> bool:
        pairs = zip(counts, found, strict=True)
        return all(abs(count - own[name]) <= split.tolerance for count, name in pairs)

    # Among equal counts, each keeps its own name.
    places = [split.expressions.index(name) for name in names or own]
    by_count = np.argsort(np.lexsort((places, counts)))
    found = tuple(np.array(sorted(own, key=own.get))[by_count].tolist())
    if not fits(found):
        return None
    if names:
        pairs = zip(names, found, strict=True)
        renamed = () if fits(names) else tuple((one, two) for one, two in pairs if one != two)
        return SplitMatch(how, split, "as named", renamed)
    votes = tuple(name for name in map(_expression, FERPLUS_COLUMNS[:8]) if name in own)
    usual = {"FER2013's": split.expressions, "alphabetical": sorted(own), "FER+'s": votes}
    order = next((order for order, expressions in usual.items() if fits(expressions)), "another")
    return SplitMatch(how, split, f"{order} order")


def _changed(
    split: known.KnownSplit, names: tuple[str, ...] | None, counts: tuple[int, ...]
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


def read_report(report: pd.DataFrame | str) -> pd.DataFrame:
    """Read a classification report: `evaluation.report`'s table, or scikit-learn's printed text.

    Returns one row per class, without averages: ``support`` (int), ``recall`` as given, and the
    fewest and most correct answers that round to it, ``right_low`` and ``right_high`` (if the
    first is greater, no whole number does); DataError if it is none, or a class appears twice.
    """
    if isinstance(report, str):
        line = re.compile(r"\s*(\S.*?)((?:\s+\d\.\d+){3})\s+(\d+)\s*", re.ASCII)
        found = [match.groups() for match in map(line.fullmatch, report.splitlines()) if match]
        rows = {name: (cells.split()[1], int(support)) for name, cells, support in found}
        report = pd.DataFrame.from_dict(rows, orient="index", columns=["recall", "support"])
        if len(rows) < len(found):
            raise DataError("report: found a class that appears twice, expected each once")
    if not isinstance(report, pd.DataFrame) or not {"recall", "support"} <= set(report.columns):
        raise DataError("report: expected a table of classes with recall and support")
    table = report[[not _AVERAGE.fullmatch(str(name)) for name in report.index]]
    support = pd.to_numeric(pd.Series(table.get("support")), errors="coerce")
    if table.empty or not table.index.is_unique or (support % 1 != 0).any():
        raise DataError("report: expected each class once, with a whole number as its support")
    support = support.astype(int)
    shares = [_number(cell, f"recall of {name}", 1) for name, cell in table["recall"].items()]
    # A column has its longest cell's decimals: 0.9 next to 0.85 is 0.90.
    half = 0.5 * 10.0 ** -max(map(_places, shares)) + 1e-12
    shares = np.array(shares, dtype=float)
    low = np.ceil(np.maximum(shares - half, 0) * support).astype(int)
    high = np.floor(np.minimum(shares + half, 1) * support).astype(int)
    return pd.DataFrame(
        {"support": support, "recall": table["recall"], "right_low": low, "right_high": high}
    )


def check_claim(
    accuracy: str | float | Decimal,
    n: int | None = None,
    *,
    supports: Sequence[int] | Mapping[str, int] | pd.Series | None = None,
    dataset: str = "fer2013",
    runs: int = 1,
    report: pd.DataFrame | str | None = None,
) -> pd.Series:
    """Check what arithmetic can tell about a claimed accuracy.

    Parameters
    ----------
    accuracy : str, float or Decimal
        In percent, 0 … 100, with or without "%". Its decimals count, so give a string: the float
        75.9 may have been "75.90". A number of 1 or less without "%" is refused: it may be a share.
    n : int, optional
        Test faces. By default the sum of the supports, or else the official test split's.
    supports
        As in `match_supports`; they must sum to n.
    dataset : str
        "fer2013", "ferplus" or "expw".
    runs : int
        The number of runs on the same n that the figure is the mean of.
    report
        As in `read_report`, in place of supports.

    Returns
    -------
    Series
        ``accuracy`` (Decimal), ``low`` and ``high`` (percent; the 95% interval at n over all
        counts that give the figure), ``dataset``, ``n`` (None: not given, and no official split),
        ``n_said`` (False: the official split's), ``possible`` (by rounding to nearest; None without
        n), ``right_low``, ``right_high`` and ``roundings`` (of n × runs), ``runs_needed`` (fewest
        runs whose mean could give it where one cannot), ``split`` (`SplitMatch`), ``report_low``,
        ``report_high`` and ``report_fits`` (percent that the report allows), ``report_impossible``
        (classes whose recall no whole number gives; these four with a report), ``reproduced`` and
        ``published`` (names of the best figures that stand), ``above_reproduced`` (points; then
        in standard errors), ``above_published``, ``above_people``.

    Raises
    ------
    DataError
        When a number is not of the expected kind, or supports do not sum to n.
    """
    value, dataset = _percentage(accuracy), known.known_dataset(dataset)
    runs = _whole(runs, "runs", 1)
    table = None if report is None else read_report(report)
    if table is not None:
        if supports is not None or runs > 1:
            raise DataError("report: expected it without supports, and of one run")
        # Reports without names number the classes, which says nothing of their order.
        numbered = all(str(name).isdecimal() for name in table.index)
        supports = table["support"].tolist() if numbered else table["support"]
    faces = None if supports is None else sum(_read_supports(supports)[1])
    said = n is not None or faces is not None
    n = (faces or known.TEST_FACES.get(dataset)) if n is None else _whole(n, "n", 1)
    if faces not in (None, n):
        raise DataError(f"supports: sum to {faces:,}, expected n = {n:,}")
    counts = {} if n is None else possible_counts(value, n * runs)
    possible, fewest, most, roundings = _summary(counts) if counts else (None, None, None, "")
    tried = range(2, _MOST_RUNS + 1) if possible is False and runs == 1 else ()
    ends = known.accuracy_interval(float(value), n, counts.get("half up") if runs == 1 else None)
    row = {
        "accuracy": value,
        **dict(zip(("low", "high"), ends, strict=True)),
        "dataset": dataset,
        "n": n,
        "n_said": said,
        "possible": possible,
        "right_low": fewest,
        "right_high": most,
        "roundings": roundings,
        "runs_needed": next((k for k in tried if _summary(possible_counts(value, k * n))[0]), None),
        "split": None if supports is None else match_supports(supports, dataset),
    }
    if table is not None:
        wrong = ", ".join(table.index[table["right_low"] > table["right_high"]].astype(str))
        both = table[["right_low", "right_high"]].sum().tolist()
        low, high = (math.nan, math.nan) if wrong else both
        nearest = round(float(value) * n / 100)
        fits = low <= (most or nearest) and (fewest or nearest) <= high
        row |= {"report_low": 100 * low / n, "report_high": 100 * high / n, "report_fits": fits}
        row["report_impossible"] = wrong
    for kind in ("reproduced", "published"):
        bar = known.best(dataset, kind)
        points = round(float(value) - bar["accuracy"], 10)
        row |= {kind: bar.name, f"above_{kind}": points}
        if kind == "reproduced":
            error = known.standard_error(bar["accuracy"], n or math.nan)
            row["errors_above_reproduced"] = points / error
    row["above_people"] = float(value) - known.PEOPLE[0] if dataset == "fer2013" else math.nan
    return pd.Series(row, dtype=object, name=f"{value}%")


def questions(claim: pd.Series) -> list[str]:
    """Say what to ask the author of a claim (`check_claim`), the most telling question first."""
    asked, match, n = [], claim["split"], claim["n"]
    if claim["possible"] is False:
        runs = claim["runs_needed"]
        mean = f", or the mean of {runs} runs or more" if runs else ""
        asked.append(
            f"No whole number of {n:,} faces gives {claim.name}: how many faces is it on{mean}?"
        )
    if not claim["n_said"]:
        asked.append("Of how many test faces, and of which split, is the figure?")
    if match is not None:
        place = f" ({match.split.name}; {match.split.note})" if match.split else ""
        asked += {
            "exact": []
            if match.split and match.split.n == known.TEST_FACES.get(match.split.dataset)
            else [f"These are not the official test faces{place}: what chose the epoch?"],
            "to rounding": [f"Is this a split of your own{place}? What came before it?"],
            "classes left out": [f"Why leave out {', '.join(match.changed)}?"],
            "classes merged": [f"Why are {' and '.join(match.changed)} one class?"],
            "balanced": ["Were the classes balanced before the split?"],
            "none": ["Which faces are these? No known split has such counts."],
        }[match.how]
        asked += [
            f"Is {given} the right name? It has the count of {own}." for given, own in match.renamed
        ]
    if claim.get("report_fits") is False:
        asked.append("Why does the table of recalls not give this accuracy?")
    if claim["errors_above_reproduced"] > known.CONTRADICTED:
        asked.append("It is far above what others reproduced: can we see the predictions?")
    return asked or ["Arithmetic has nothing to ask: can we see the predictions anyway?"]


def claims_table(claims: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Put one or more claims side by side: index ``claim``, columns as in `check_claim`."""
    table = pd.DataFrame(dict(claims)).T.rename_axis("claim")
    whole = dict.fromkeys(("n", "right_low", "right_high", "runs_needed"), "Int64")
    percent = [name for name in table if name in ("accuracy", "low", "high") or "above" in name]
    return table.astype({**whole, "possible": "boolean", **dict.fromkeys(percent, float)})


def ancestors() -> dict[str, pd.Series]:
    """Check what the course's five ancestors claimed (`ANCESTORS`), by network."""
    said = [one for one in ANCESTORS if one[1] is not None]
    return {name: check_claim(figure, n, dataset=of) for name, figure, of, n, _ in said}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what arithmetic says of a claim; DataError if it is not one."""
    parser = runtime.parser("python -m utils.honesty.claims", __doc__)
    add = parser.add_argument
    add("accuracy", help="in percent, with all its decimals: 86.0")
    add("--n", type=int, help="test faces (default: the official test split's)")
    add("--supports", nargs="+", metavar="COUNT", help="faces of each class, or angry=491 …")
    add("--report", type=Path, help="a file with what scikit-learn's classification_report prints")
    add("--dataset", default="fer2013", choices=tuple(known.DATASETS))
    add("--runs", type=int, default=1, help="the figure is a mean of this many runs")
    asked = parser.parse_args(arguments)
    claim = check_claim(
        asked.accuracy,
        asked.n,
        supports=_supports(asked.supports),
        dataset=asked.dataset,
        runs=asked.runs,
        report=asked.report and asked.report.read_text(encoding="utf-8", errors="replace"),
    )
    for name, value in claim.items():
        shown = f"{value:.2f}" if isinstance(value, float) else value
        print(f"{name.replace('_', ' '):24} {'–' if value is None or value != value else shown}")
    for question in questions(claim):
        print("ask:", question)
    if claim.possible is False:
        table = possible_at(asked.accuracy, asked.dataset)
        # With this many faces, every figure is possible.
        table = table[table["possible"] & (table["n"] < 10 ** (_places(claim.accuracy) + 2))]
        places = [f"{one.n:,} ({one.split})" for one in table.itertuples()]
        print("possible at", "; ".join(places) or "none of the known splits")


def _supports(words: Sequence[str] | None) -> list[int] | dict[str, int] | None:
    if words is None:
        return None
    parts = [word.rpartition("=") for word in " ".join(words).replace(",", " ").split()]
    counts = {name: int(count) for name, _, count in parts if count.isdecimal()}
    if all(count.isdecimal() for *_, count in parts):
        if len(counts) == len(parts) and "" not in counts:
            return counts
        if list(counts) == [""]:
            return [int(count) for *_, count in parts]
    raise DataError(f"supports {' '.join(words)!r}: expected whole numbers, all named or none")


if __name__ == "__main__":
    runtime.run_command(main)
