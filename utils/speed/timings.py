"""Seconds of several ways of doing the same, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from utils.runtime import DataError

#: What the comparisons marked with an aim are to reach: by part, on a processor and on an
#: accelerator. Where none is said for one of them, there is none.
AIMS: dict[str, dict[str, float]] = {
    "augmentation": {"processor": 10.0},
    "training": {"processor": 1.5, "accelerator": 20.0},
    "arithmetic": {"processor": 0.6, "accelerator": 0.4},
    "inference": {"processor": 10.0, "accelerator": 10.0},
}

#: A cost that grows with a higher power of the rows than this grows faster than they do. What is
#: above one leaves room for timings that are never exact.
FASTER = 1.1


@dataclass(frozen=True)
class Comparison:
    """Two ways that are set against each other.

    Attributes
    ----------
    name : str
        What the ratio tells, in a few words.
    fast, slow : str
        The ratio is the rate of `fast` over the rate of `slow`.
    aimed : bool
        Whether the part's aim (`AIMS`) is about this ratio.
    """

    name: str
    fast: str
    slow: str
    aimed: bool = False


@dataclass(frozen=True)
class Timing:
    """What several ways took, in turns.

    Attributes
    ----------
    case : str
        What they all did.
    unit : str
        What is counted: "faces", "rows", "floating-point operations".
    amounts : mapping of str to float
        How many of them each way does in one repetition, above 0.
    seconds : mapping of str to tuple of float
        What each repetition took, above 0; as many for each way. The n-th of all ways were
        measured one right after the other.
    comparisons : tuple of Comparison
        Which ways are set against each other.
    settings : dict
        What else belongs to it, for the record: sizes, precision.

    Raises
    ------
    DataError
        When the ways do not fit together, or a number is not above 0.
    """

    case: str
    unit: str
    amounts: Mapping[str, float]
    seconds: Mapping[str, tuple[float, ...]]
    comparisons: tuple[Comparison, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.seconds or set(self.seconds) != set(self.amounts):
            raise DataError(
                f"{self.case}: found seconds of {', '.join(self.seconds) or 'nothing'} and "
                f"amounts of {', '.join(self.amounts) or 'nothing'}, expected the same ways"
            )
        counts = {len(values) for values in self.seconds.values()}
        if len(counts) != 1 or 0 in counts:
            raise DataError(
                f"{self.case}: found {sorted(counts)} repetitions, expected as many of each way, "
                "at least one"
            )
        numbers = [*self.amounts.values(), *(s for values in self.seconds.values() for s in values)]
        if not all(np.isfinite(number) and number > 0 for number in numbers):
            raise DataError(f"{self.case}: found a time or an amount that is not above 0")
        for one in self.comparisons:
            unknown = {one.fast, one.slow} - set(self.seconds)
            if unknown:
                raise DataError(
                    f"{self.case}: {one.name!r} compares {min(unknown)!r}, "
                    f"expected one of {', '.join(self.seconds)}"
                )


@dataclass(frozen=True)
class Spread:
    """The smallest, the middle and the largest of some values."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Growth:
    """What one task took at several sizes, each measured in a process of its own.

    Attributes
    ----------
    task : str
        What was done.
    rows : tuple of int
        To how many rows, rising.
    seconds : tuple of tuple of float
        For each size, what each repetition took.
    megabytes : tuple of tuple of float
        The most memory that each held beyond its start, its input included (10⁶ bytes); NaN where
        the system does not tell.
    fixed : bool
        Whether the same work is done at every size, so that no growth at all is to be expected.
    note : str
        What was left out, and why.
    """

    task: str
    rows: tuple[int, ...]
    seconds: tuple[tuple[float, ...], ...]
    megabytes: tuple[tuple[float, ...], ...]
    fixed: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.seconds) == len(self.megabytes):
            raise DataError(
                f"{self.task}: found {len(self.rows)} sizes, {len(self.seconds)} times and "
                f"{len(self.megabytes)} peaks, expected as many of each"
            )
        if not self.rows:
            raise DataError(f"{self.task}: found no size, expected one or more")
        if any(b <= a for a, b in zip(self.rows, self.rows[1:], strict=False)):
            raise DataError(f"{self.task}: found rows {self.rows}, expected them to rise")
        if not all(self.seconds) or not all(self.megabytes):
            raise DataError(f"{self.task}: found a size without a measurement, expected one each")


def spread(values: Sequence[float] | np.ndarray) -> Spread:
    """Return the smallest, the median and the largest of one value or more.

    >>> spread([3.0, 1.0, 2.0])
    Spread(low=1.0, median=2.0, high=3.0)
    """
    return Spread(*np.quantile(np.asarray(values, dtype=float), [0, 0.5, 1]).tolist())


def rates(timing: Timing, way: str) -> np.ndarray:
    """Return how much a way does a second, one number a repetition, (r,) float64."""
    return timing.amounts[way] / np.asarray(timing.seconds[way], dtype=float)


def ratio(timing: Timing, comparison: Comparison) -> Spread:
    """Return how many times as much one way does in the same time as another.

    Parameters
    ----------
    timing : Timing
        Of both ways.
    comparison : Comparison
        Which they are.

    Returns
    -------
    Spread
        Of the ratios of repetitions that were neighbours in time. So whatever else the machine did
        fell on both, and the median is that of the ratios, not the ratio of the medians.
    """
    return spread(rates(timing, comparison.fast) / rates(timing, comparison.slow))


def growth_exponent(rows: Sequence[float], costs: Sequence[float]) -> float:
    """Return the power of the rows that a cost grows with.

    Parameters
    ----------
    rows, costs : sequence of float
        As many of each, two or more.

    Returns
    -------
    float
        The slope of the straight line through log(cost) over log(rows) that has the least squared
        errors: 1 where a cost doubles with the rows, 2 where it quadruples, 0 where it stays.
        NaN where a cost is not above 0, or is unknown.

    Raises
    ------
    DataError
        For fewer than two different sizes, or as many costs as sizes are not given.

    Examples
    --------
    >>> growth_exponent([1, 2, 4], [3.0, 6.0, 12.0])
    1.0
    """
    sizes, values = np.asarray(rows, dtype=float), np.asarray(costs, dtype=float)
    if sizes.shape != values.shape or len(np.unique(sizes)) < 2 or (sizes <= 0).any():
        raise DataError(
            f"growth: found {sizes.size} sizes and {values.size} costs, expected as many of each, "
            "and two different sizes above 0"
        )
    if not (np.isfinite(values) & (values > 0)).all():
        return float("nan")
    across = np.log(sizes) - np.log(sizes).mean()
    slope = (across * (np.log(values) - np.log(values).mean())).sum() / (across**2).sum()
    return float(np.round(slope, 12))


def last_exponent(rows: Sequence[float], costs: Sequence[float]) -> float:
    """Return the power between the two largest sizes, where fixed costs weigh least."""
    return growth_exponent(rows[-2:], costs[-2:])


def grows_faster(rows: Sequence[float], costs: Sequence[float]) -> bool | None:
    """Whether a cost grows faster than its rows, over all sizes or over the two largest.

    Returns
    -------
    bool or None
        None where there are fewer than two sizes, or a cost is unknown.
    """
    if len(rows) < 2:
        return None
    found = [growth_exponent(rows, costs), last_exponent(rows, costs)]
    return None if np.isnan(found).any() else bool(max(found) > FASTER)
