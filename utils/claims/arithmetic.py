"""Which numbers of right answers give a figure, in whole numbers.

The GRIM test (Brown and Heathers 2017, Social Psychological and Personality Science 8(4)): a mean
of n whole numbers is a whole number of n-ths.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np

from utils import evaluation
from utils.runtime import DataError

#: How a share becomes a figure. Truncation is rare, and a question of its own.
ROUNDINGS = ("half up", "half even", "truncated")

#: More decimals than this say nothing about any data set.
MOST_DECIMALS = 15
#: A float's digits beyond this are its own rounding errors, and are rounded away.
FLOAT_DECIMALS = 10


def percentage(accuracy: object, decimals: int | None) -> tuple[int, int]:
    """Read a percentage as a whole number of its last decimal, and its decimals."""
    expected = "a percentage 0 … 100, as '86.0'"
    explicit = isinstance(accuracy, str) and accuracy.rstrip().endswith("%")
    bare = accuracy.rstrip()[:-1] if explicit else accuracy
    value, count = read_number(bare, "accuracy", expected)
    if value > 100:
        raise DataError(f"accuracy {accuracy!r}: expected {expected}")
    if 0 < value <= 1 and not explicit:
        raise DataError(
            f"accuracy {accuracy!r}: expected a percentage; for the share {value} give "
            f"'{value.scaleb(2):f}', for {value} percent give '{value} %'"
        )
    if decimals is not None:
        decimals = whole(decimals, "decimals", 0, MOST_DECIMALS)
        if value != round(value, decimals):
            raise DataError(f"accuracy {accuracy!r}: expected {decimals} decimals at most")
        count = decimals
    return int(value.scaleb(count)), count


def read_number(given: object, what: str, expected: str) -> tuple[Decimal, int]:
    """Read a number exactly, with the number of decimals that it is written with."""
    refusal = DataError(f"{what} {given!r}: expected {expected}")
    if isinstance(given, str):
        if not re.fullmatch(r"\s*(\d{1,3}(\.\d*)?|\.\d+)\s*", given, re.ASCII):
            raise refusal
        value = Decimal(given.strip())
    elif isinstance(given, Decimal):
        value = given
    elif isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        value = Decimal(int(given))
    elif isinstance(given, (float, np.floating)):
        # NumPy's text of a float32 has the digits that were meant, its float has more.
        value = Decimal(str(given)) if math.isfinite(given) else Decimal("NaN")
    else:
        raise refusal
    if not value.is_finite() or not 0 <= value <= 1000:
        raise refusal
    count = max(0, -int(value.as_tuple().exponent))
    if isinstance(given, (float, np.floating)) and count > FLOAT_DECIMALS:
        value = value.quantize(Decimal(1).scaleb(-FLOAT_DECIMALS), ROUND_HALF_EVEN).normalize()
        count = max(1, -int(value.as_tuple().exponent))
    if count > MOST_DECIMALS:
        raise DataError(
            f"{what} {given!r}: found {count} decimals, expected {MOST_DECIMALS} at most"
        )
    return value, count


def whole(value: object, name: str, least: int, most: int | None = None) -> int:
    """Read a whole number within its bounds; a DataError names it otherwise."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        bound = f"{least} or more" if most is None else f"{least} … {most:,}"
        raise DataError(f"{name} {value!r}: expected a whole number, {bound}")
    return int(value)


def possible_counts(
    accuracy: str | float | Decimal, n: int, *, decimals: int | None = None
) -> dict[str, range]:
    """Find the numbers of right answers of n that give a figure to its decimals.

    Parameters
    ----------
    accuracy : str, float or Decimal
        In percent, 0 … 100. Its decimals count: "86" is anything that rounds to it, "86.0" ten
        times less. A string is exact; a float has the decimals of its shortest text, so the
        float 86.0 is "86.0", and 75.9 may have been "75.90": give a string, or ``decimals``.
    n : int
        Test faces, 1 or more.
    decimals : int, optional
        The decimals it was given with, where ``accuracy`` does not show them: 0 … 15.

    Returns
    -------
    dict of str to range
        For each of `ROUNDINGS`, the counts 0 … n that become this figure; an empty range where
        there is none.

    Raises
    ------
    DataError
        When the accuracy is no such number or has more decimals than ``decimals``, or n is no
        whole number of 1 or more.

    Examples
    --------
    >>> possible_counts("75.97", 3589)["half up"], possible_counts("75.97", 7178)["half up"]
    (range(2727, 2727), range(5453, 5454))
    """
    return solve(*percentage(accuracy, decimals), whole(n, "n", 1))


def solve(units: int, decimals: int, n: int) -> dict[str, range]:
    """Solve for k: 100 k / n lies in the interval that becomes ``units`` of the last decimal.

    All in whole numbers: with s = 10^decimals, "half up" is (2 units - 1) n ≤ 200 s k <
    (2 units + 1) n, and so on. A tie goes up, or to the even unit.
    """
    scale = 100 * 10**decimals
    at_least, below = -(-(2 * units - 1) * n // (2 * scale)), -(-(2 * units + 1) * n // (2 * scale))
    even = units % 2 == 0
    ends = {
        "half up": (at_least, below - 1),
        "half even": (
            at_least if even else (2 * units - 1) * n // (2 * scale) + 1,
            (2 * units + 1) * n // (2 * scale) if even else below - 1,
        ),
        "truncated": (-(-units * n // scale), -(-(units + 1) * n // scale) - 1),
    }
    return {name: range(max(0, low), min(n, high) + 1) for name, (low, high) in ends.items()}


def possible_sizes(
    accuracy: str | float | Decimal,
    upto: int,
    *,
    decimals: int | None = None,
    roundings: Sequence[str] = ROUNDINGS[:2],
) -> np.ndarray:
    """List the test sizes at which a figure is possible.

    Parameters
    ----------
    accuracy, decimals
        As in `possible_counts`.
    upto : int
        The largest size, 1 … 1,000,000.
    roundings : sequence of str
        Which of `ROUNDINGS` may have been used; by default the two that round to nearest.

    Returns
    -------
    (m,) int64 array
        Sizes 1 … upto, rising.

    Raises
    ------
    DataError
        As in `possible_counts`, and for an unknown rounding.
    """
    units, count = percentage(accuracy, decimals)
    upto = whole(upto, "upto", 1, 1_000_000)
    for rounding in roundings:
        if rounding not in ROUNDINGS:
            raise DataError(f"rounding {rounding!r}: expected one of {', '.join(ROUNDINGS)}")
    found = []
    for n in range(1, upto + 1):
        counts = solve(units, count, n)
        if any(counts[rounding] for rounding in roundings):
            found.append(n)
    return np.array(found, dtype=np.int64)


def by_rounding(counts: Mapping[str, range]) -> bool:
    """Whether rounding to nearest, of either kind, gives the figure."""
    return bool(counts["half up"] or counts["half even"])


def right_answers(counts: Mapping[str, range]) -> tuple[int, int] | None:
    """Return the fewest and most right answers: by rounding, or truncated where that gives none."""
    return hull(counts[name] for name in ROUNDINGS[:2]) or hull([counts["truncated"]])


def hull(ranges: Iterable[range]) -> tuple[int, int] | None:
    """Return the lowest and highest number in several ranges; None where all are empty."""
    some = [one for one in ranges if one]
    return (min(one[0] for one in some), max(one[-1] for one in some)) if some else None


def interval(accuracy: Decimal, n: int | None, right: range | None = None) -> tuple[float, float]:
    """Compute the 95 % interval in percent over all counts that give the figure."""
    if n is None:
        return (math.nan, math.nan)
    nearest = min(n, int(Fraction(accuracy) * n / 100 + Fraction(1, 2)))
    lowest, highest = (right[0], right[-1]) if right else (nearest, nearest)
    low = evaluation.accuracy_interval(lowest, n)[0]
    return 100 * low, 100 * evaluation.accuracy_interval(highest, n)[1]
