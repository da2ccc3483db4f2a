"""Which known split class counts belong to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from utils.claims.arithmetic import whole
from utils.claims.splits import KNOWN_SPLITS, OFFICIAL, KnownSplit, known_dataset
from utils.expressions import EXPRESSIONS, FERPLUS_COLUMNS, FERPLUS_EXPRESSIONS, FOLDER_NAMES
from utils.runtime import DataError

#: Class counts that chance would give more seldom than this are called no random draw.
SELDOM = 0.001
#: Fewer faces a class than this fit too many draws to tell them apart.
FEWEST_A_CLASS = 50


def listed(words: Sequence[str]) -> str:
    """Write words as a list: "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


@dataclass(frozen=True)
class SplitMatch:
    """Which known split class counts belong to.

    Attributes
    ----------
    how : str
        "exact": the split's own counts. "to rounding": each is within one of a stratified
        part's. "classes left out", "classes merged": the split's, but for `changed`.
        "balanced": about equal numbers of each class. "random draw": what an unstratified draw
        from a whole set would give. "none".
    split : KnownSplit or None
        None for "balanced" and "none"; the whole set for "random draw".
    order : str
        The order that the counts stand in: "as named", "FER2013's order", "alphabetical order",
        "FER+'s order", "another order"; "" where it cannot be told.
    expressions : tuple of str
        What each count is by the split's counts; empty where it cannot be told.
    renamed : tuple of (str, str)
        Classes whose names do not fit their counts: the name given, the name by its count.
    changed : tuple of str
        The classes left out, or the two merged.
    p : float
        Of "random draw" and "balanced": how often chance gives counts this far off; else NaN.
    """

    how: str
    split: KnownSplit | None = None
    order: str = ""
    expressions: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()
    p: float = math.nan

    @property
    def official(self) -> bool:
        """Whether these are the very counts of a data set's official test split."""
        return self.how == "exact" and self.split in OFFICIAL

    def __str__(self) -> str:
        title = self.split.title if self.split else ""
        if self.how == "exact":
            text = f"The class counts are those of {title} ({self.split.note})"
        elif self.how == "to rounding":
            text = f"The class counts are, to rounding, those of {title} ({self.split.note})"
        elif self.how == "classes left out":
            text = f"The class counts are those of {title} without {listed(self.changed)}"
        elif self.how == "classes merged":
            text = f"The class counts are those of {title} with {listed(self.changed)} in one class"
        elif self.how == "balanced":
            text = (
                "The classes are about equal in number, as after balancing before the split or "
                "drawing equal numbers; no official split is"
            )
        elif self.how == "random draw":
            text = (
                f"The class counts are no known split's; an unstratified draw from {title} would "
                f"look like this (p = {self.p:.2f})"
            )
        else:
            return "The class counts are those of no split that we know."
        if self.renamed:
            names = ", ".join(
                f"“{given}” has the count of {found}" for given, found in self.renamed
            )
            return f"{text}, but under other names: {names}. The label order may be wrong."
        if self.order == "another order":
            return f"{text}, in the order {', '.join(self.expressions)}."
        if self.order not in ("", "as named"):
            return f"{text}, in {self.order}."
        return f"{text}."


def match_supports(
    supports: Sequence[int] | Mapping[str, int], dataset: str | None = None
) -> SplitMatch:
    """Find the known split that class counts belong to.

    Parameters
    ----------
    supports : sequence of int, or mapping of names to int
        Test faces of each class: two classes or more, in any order. Names may be any that
        `expressions.FOLDER_NAMES` knows, and contempt.
    dataset : str, optional
        The data set whose splits are tried first.

    Returns
    -------
    SplitMatch
        Counts in a known order come before any other order, fixed splits before rounded ones.

    Raises
    ------
    DataError
        When a count is no whole number of 0 or more, or a name is unknown or stands twice.
    """
    names, counts = read_supports(supports)
    splits = [split for split in KNOWN_SPLITS if split.counts]
    if dataset is not None:
        splits.sort(key=lambda split: split.dataset != known_dataset(dataset))
    for tolerance in (0, 1):
        some = [
            split
            for split in splits
            if split.tolerance == tolerance and len(split.counts) == len(counts)
        ]
        for attempt in (_in_known_order, _in_any_order):
            for split in some:
                found = attempt(split, names, counts)
                if found:
                    return found
    fixed = [split for split in splits if split.tolerance == 0]
    return (
        _with_classes_changed(fixed, names, counts)
        or _balanced(counts)
        or _drawn(fixed, names, counts)
        or SplitMatch("none")
    )


def read_supports(
    supports: Sequence[int] | Mapping[str, int],
) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    """Read class counts: their names, if they have any, and the counts."""
    if isinstance(supports, pd.Series):
        supports = dict(supports)
    if isinstance(supports, Mapping):
        names = tuple(expression(name) for name in supports)
        twice = [name for name, times in Counter(names).items() if times > 1]
        if twice:
            raise DataError(f"supports: {twice[0]} stands there twice, expected each class once")
        values = list(supports.values())
    else:
        names, values = None, supports
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            raise DataError(f"supports {values!r}: expected a count for each class")
        values = list(values)
    if not 2 <= len(values) <= 100:
        raise DataError(f"supports: expected two classes or more, got {len(values)}")
    counts = tuple(
        whole(value, f"supports: class {names[place] if names else place}", 0)
        for place, value in enumerate(values)
    )
    if not sum(counts):
        raise DataError("supports: expected some faces, all classes have none")
    return names, counts


def expression(name: object) -> str:
    """Return our name of a class, whatever its usual spelling; a DataError for an unknown one."""
    lowered = str(name).strip().lower()
    if lowered == "contempt":
        return lowered
    if lowered not in FOLDER_NAMES:
        raise DataError(f"class {name!r}: expected one of {', '.join(FERPLUS_EXPRESSIONS)}")
    return EXPRESSIONS[FOLDER_NAMES[lowered]]


def _orders(expressions: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """List the orders in which these classes usually stand."""
    votes = tuple(name for name in map(expression, FERPLUS_COLUMNS[:8]) if name in expressions)
    return {
        "FER2013's order": expressions,
        "alphabetical order": tuple(sorted(expressions)),
        "FER+'s order": votes,
    }


def _near(split: KnownSplit, counts: Sequence[int], expressions: Sequence[str]) -> bool:
    own = dict(zip(split.expressions, split.counts, strict=True))
    return set(expressions) == set(own) and all(
        abs(count - own[name]) <= split.tolerance
        for count, name in zip(counts, expressions, strict=True)
    )


def _how(split: KnownSplit) -> str:
    return "to rounding" if split.tolerance else "exact"


def _in_known_order(
    split: KnownSplit, names: tuple[str, ...] | None, counts: tuple[int, ...]
) -> SplitMatch | None:
    orders = {"as named": names} if names else _orders(split.expressions)
    for order, expressions in orders.items():
        if _near(split, counts, expressions):
            return SplitMatch(_how(split), split, order, expressions)
    return None


def _in_any_order(
    split: KnownSplit, names: tuple[str, ...] | None, counts: tuple[int, ...]
) -> SplitMatch | None:
    """Compare sorted counts: the k-th smallest of both belong together."""
    if names and set(names) != set(split.expressions):
        return None
    # Of equal counts each keeps its own name.
    places = [split.expressions.index(name) for name in names or ()] or range(len(counts))
    ranks = np.lexsort((places, counts))
    own = np.argsort(split.counts, kind="stable")
    found = [""] * len(counts)
    for rank, place in zip(ranks, own, strict=True):
        if abs(counts[rank] - split.counts[place]) > split.tolerance:
            return None
        found[rank] = split.expressions[place]
    expressions = tuple(found)
    if not names:
        return SplitMatch(_how(split), split, "another order", expressions)
    renamed = tuple(
        (given, other) for given, other in zip(names, expressions, strict=True) if given != other
    )
    return SplitMatch(_how(split), split, "as named", expressions, renamed)


def _with_classes_changed(
    splits: list[KnownSplit], names: tuple[str, ...] | None, counts: tuple[int, ...]
) -> SplitMatch | None:
    """Try the splits with some classes left out, then with two merged."""
    if len(counts) < 3:
        return None
    for split in splits:
        missing = len(split.counts) - len(counts)
        if missing < 1:
            continue
        own = dict(zip(split.expressions, split.counts, strict=True))
        for out in combinations(split.expressions, missing):
            left = {name: count for name, count in own.items() if name not in out}
            same = (
                left == dict(zip(names, counts, strict=True))
                if names
                else sorted(left.values()) == sorted(counts)
            )
            if same:
                return SplitMatch("classes left out", split, changed=out)
        if missing == 1:
            for pair in combinations(split.expressions, 2):
                rest = [count for name, count in own.items() if name not in pair]
                if sorted([*rest, own[pair[0]] + own[pair[1]]]) == sorted(counts):
                    return SplitMatch("classes merged", split, changed=pair)
    return None


def _chi_squared(counts: np.ndarray, expected: np.ndarray, drawn: float) -> float:
    """Return how often a draw is as far off; ``drawn`` is the part of the whole that it takes."""
    from scipy.stats import chi2

    distance = float(((counts - expected) ** 2 / expected).sum()) / (1 - drawn)
    return float(chi2.sf(distance, len(counts) - 1))


def _balanced(counts: tuple[int, ...]) -> SplitMatch | None:
    total, classes = sum(counts), len(counts)
    if total < FEWEST_A_CLASS * classes:
        return None
    p = _chi_squared(np.array(counts), np.full(classes, total / classes), 0.0)
    return SplitMatch("balanced", p=p) if p > SELDOM else None


def _drawn(
    splits: list[KnownSplit], names: tuple[str, ...] | None, counts: tuple[int, ...]
) -> SplitMatch | None:
    """Compare with an unstratified draw from a whole set (multivariate hypergeometric)."""
    total, classes = sum(counts), len(counts)
    for everything in splits:
        if not everything.name.startswith("whole set") or len(everything.counts) != classes:
            continue
        if not FEWEST_A_CLASS * classes <= total < everything.n:
            continue
        own = dict(zip(everything.expressions, everything.counts, strict=True))
        orders = {"as named": names} if names else _orders(everything.expressions)
        for order, expressions in orders.items():
            if set(expressions) != set(own):
                continue
            expected = np.array([own[name] for name in expressions]) * (total / everything.n)
            p = _chi_squared(np.array(counts), expected, total / everything.n)
            if p > SELDOM:
                return SplitMatch("random draw", everything, order, expressions, p=p)
    return None
