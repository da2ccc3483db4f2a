"""Intervals by the bootstrap: how much a figure moves when other pictures had been drawn.

Every statistic here is a function of sums over the pictures (of right answers, of the cells of
the confusion matrix, of the gaps in each bin). A resample changes only how often each picture
counts, so all resamples come from one product of matrices, counts × contributions: 2,000 of them
on FER2013's test split take a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils.evaluation.calibration import BINS, bin_edges, bin_places
from utils.evaluation.checks import Checked, check, in_one_order
from utils.evaluation.probabilities import losses, squared_distances
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils.records import Predictions

METHODS = ("bca", "percentile")
#: Resamples that are drawn at once; more would only take more memory.
_TOGETHER = 250


@dataclass(frozen=True)
class Statistic:
    """A statistic that is a function of sums over the pictures.

    Attributes
    ----------
    contributions : function of `Checked`
        Returns what each picture adds to each of m sums: (n, m) floats.
    value : function of (d, m) float64 sums
        Returns the statistic of each of d samples, (d, 1); or, ``by_class``, of each class,
        (d, k). NaN where it is not defined.
    by_class : bool
    """

    contributions: Callable[[Checked], np.ndarray]
    value: Callable[[np.ndarray], np.ndarray]
    by_class: bool = False


def bootstrap(
    predictions: Predictions,
    statistic: str | Sequence[str] = "accuracy",
    *,
    groups: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    method: str = "bca",
) -> pd.DataFrame:
    """Compute intervals of any statistic by drawing the pictures again, with replacement.

    The training is not repeated: such an interval says what other pictures of the same kind
    might have given this very network, not what another seed would.

    Two limits, found by drawing data sets from known probabilities. A class of 8 pictures gets
    an interval that holds the truth 3 times in 4, not 19 in 20; from about 50 on it is right. And
    chance enlarges a calibration error: the interval holds one of 0.1, but for a network whose
    probabilities are perfect it lies wholly above the truth.

    Parameters
    ----------
    predictions : Predictions
    statistic : str or sequence of str
        Out of `STATISTICS`: "accuracy", "macro_f1", "balanced_accuracy", "log_loss",
        "brier_score", "calibration_error", and for each class "f1", "recall", "precision".
        Several are computed on the same resamples.
    groups : (n,) array, optional
        Pictures with the same value are drawn together or not at all. Identical pictures should
        be: a network says the same of each copy, and to count them as separate draws would
        claim more evidence than there is. FER2013's test split holds 16 pictures two or three
        times, which moves nothing that can be seen; a pooled or augmented set may hold many.
        ``datasets.first_copies(faces.part("test"))`` finds them, in the order of that part.
    draws : int
        Resamples, 100 or more.
    seed : int
    level : float
        Between 0 and 1.
    method : {"bca", "percentile"}
        "percentile" takes the resamples' own quantiles. "bca" corrects them for bias and
        skewness. They agree for accuracy.

    Returns
    -------
    DataFrame
        A row a statistic, named "accuracy", or "f1: angry" for a class, with ``estimate``
        (that of the predictions themselves), ``low``, ``high``, ``standard_error`` and ``bias``
        (how far the resamples' mean lies above the estimate). NaN where the statistic is not
        defined, as the recall of a class without pictures; resamples in which it is not are
        left out. The order of the pictures does not matter.

    Raises
    ------
    DataError
        For an unknown statistic or method, fewer than 100 draws, a level outside 0 … 1, or
        groups of another length.

    References
    ----------
    Efron (1987), Better bootstrap confidence intervals, JASA 82, for BCa; Davison and Hinkley
    (1997), Bootstrap methods and their application, §3.8 and §5.3.2.
    """
    chosen = _chosen(statistic)
    checked = in_one_order([predictions])[0]
    sums = _Sums([checked], chosen, _units(predictions, groups))
    return _intervals(sums, chosen, checked.expressions, draws, seed, level, method)


def bootstrap_difference(
    first: Predictions,
    second: Predictions,
    statistic: str | Sequence[str] = "accuracy",
    *,
    groups: np.ndarray | None = None,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    method: str = "bca",
) -> pd.DataFrame:
    """Compute intervals of what one run is better by than another, on the same resamples.

    `difference` does it for accuracy without resampling; this does it for everything else.

    Parameters
    ----------
    first, second : Predictions
        On the same pictures, in any order.
    statistic, draws, seed, level, method
        As in `bootstrap`.
    groups : (n,) array, optional
        As in `bootstrap`, in the order of ``first``.

    Returns
    -------
    DataFrame
        As from `bootstrap`, of the first's statistic less the second's. Of a loss or an error,
        a negative difference is the better one.

    Raises
    ------
    DataError
        As in `bootstrap`, and when the two do not hold the same rows with the same labels.
    """
    chosen = _chosen(statistic)
    pair = in_one_order([first, second])
    sums = _Sums(pair, chosen, _units(first, groups))
    return _intervals(sums, chosen, pair[0].expressions, draws, seed, level, method)


# ------------------------------------------------------------------------------- what is summed


def _right(checked: Checked) -> np.ndarray:
    return _with_ones(checked.correct)


def _losses(checked: Checked) -> np.ndarray:
    return _with_ones(losses(checked))


def _distances(checked: Checked) -> np.ndarray:
    return _with_ones(squared_distances(checked))


def _gaps(checked: Checked) -> np.ndarray:
    """Put confidence less correctness into the picture's bin, and a one behind the bins."""
    places = bin_places(checked.confidence, bin_edges(checked.confidence, BINS, "width"))
    gaps = np.zeros((len(places), BINS + 1))
    gaps[np.arange(len(places)), places] = checked.confidence - checked.correct
    gaps[:, -1] = 1
    return gaps


def _cells(checked: Checked) -> np.ndarray:
    """Put a one into the picture's cell of the confusion matrix, row by row."""
    classes = len(checked.expressions)
    cells = np.zeros((len(checked.labels), classes**2))
    cells[np.arange(len(cells)), checked.labels * classes + checked.predicted] = 1
    return cells


def _with_ones(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


# ---------------------------------------------------------------------- what the sums come to


def _mean(sums: np.ndarray) -> np.ndarray:
    return sums[:, :1] / sums[:, 1:]


def _mean_gap(sums: np.ndarray) -> np.ndarray:
    return np.abs(sums[:, :-1]).sum(axis=1, keepdims=True) / sums[:, -1:]


def _parts(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return right answers, pictures and answers of each class, each (d, k)."""
    classes = round(cells.shape[1] ** 0.5)
    counts = cells.reshape(-1, classes, classes)
    return np.einsum("dii->di", counts), counts.sum(axis=2), counts.sum(axis=1)


def _share(parts: np.ndarray, wholes: np.ndarray, empty: float) -> np.ndarray:
    return np.divide(parts, wholes, out=np.full(wholes.shape, empty), where=wholes > 0)


def _recall(cells: np.ndarray) -> np.ndarray:
    right, pictures, _ = _parts(cells)
    return _share(right, pictures, np.nan)


def _precision(cells: np.ndarray) -> np.ndarray:
    right, _, answers = _parts(cells)
    return _share(right, answers, np.nan)


def _f1(cells: np.ndarray) -> np.ndarray:
    right, pictures, answers = _parts(cells)
    return _share(2 * right, pictures + answers, 0.0)


def _macro_f1(cells: np.ndarray) -> np.ndarray:
    return _f1(cells).mean(axis=1, keepdims=True)


def _balanced_accuracy(cells: np.ndarray) -> np.ndarray:
    return np.nanmean(_recall(cells), axis=1, keepdims=True)


#: What `bootstrap` can compute, by name.
STATISTICS: Mapping[str, Statistic] = {
    "accuracy": Statistic(_right, _mean),
    "macro_f1": Statistic(_cells, _macro_f1),
    "balanced_accuracy": Statistic(_cells, _balanced_accuracy),
    "log_loss": Statistic(_losses, _mean),
    "brier_score": Statistic(_distances, _mean),
    "calibration_error": Statistic(_gaps, _mean_gap),
    "f1": Statistic(_cells, _f1, by_class=True),
    "recall": Statistic(_cells, _recall, by_class=True),
    "precision": Statistic(_cells, _precision, by_class=True),
}


def _chosen(statistic: str | Sequence[str]) -> dict[str, Statistic]:
    names = [statistic] if isinstance(statistic, str) else list(statistic)
    for name in names:
        if name not in STATISTICS:
            raise DataError(f"statistic {name!r}: expected one of {', '.join(STATISTICS)}")
    if not names:
        raise DataError("expected one statistic or more, got none")
    return {name: STATISTICS[name] for name in names}


# ---------------------------------------------------------------------------------- the draws


def _units(predictions: Predictions, groups: np.ndarray | None) -> np.ndarray | None:
    """Give each group a number from 0, in the order of the rows in the source file."""
    if groups is None:
        return None
    count, groups = len(predictions.labels), np.asarray(groups)
    if groups.shape != (count,):
        raise DataError(f"groups: expected {count}, one a picture, got shape {groups.shape}")
    order = np.argsort(check(predictions).rows, kind="stable")
    # Numbered by their first picture, so that what a group is called does not matter.
    _, first, number = np.unique(groups[order], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number]


class _Sums:
    """The sums of one run or two, of the whole set and of any resample."""

    def __init__(
        self, runs: Sequence[Checked], chosen: Mapping[str, Statistic], units: np.ndarray | None
    ) -> None:
        self.chosen = chosen
        # Statistics that need the same sums share them.
        self.tables = [
            {
                function: _by_unit(function(run), units)
                for function in {one.contributions for one in chosen.values()}
            }
            for run in runs
        ]
        self.units = len(next(iter(self.tables[0].values())))

    def values(self, summed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Compute all statistics, (d, outputs), of the first run less those of the second."""
        runs = []
        for tables in self.tables:
            sums = {function: summed(table) for function, table in tables.items()}
            runs.append(
                np.hstack([one.value(sums[one.contributions]) for one in self.chosen.values()])
            )
        return runs[0] if len(runs) == 1 else runs[0] - runs[1]

    def estimate(self) -> np.ndarray:
        """Compute the statistics of the whole set: (outputs,)."""
        return self.values(lambda table: table.sum(axis=0, keepdims=True))[0]

    def without_each(self) -> np.ndarray:
        """Compute them without each unit in turn, the jackknife: (units, outputs)."""
        return self.values(lambda table: table.sum(axis=0) - table)

    def resamples(self, draws: int, seed: int) -> Iterator[np.ndarray]:
        """Compute them of resamples: pieces (d, outputs), ``draws`` rows in all."""
        random = np.random.default_rng(seed)
        for start in range(0, draws, _TOGETHER):
            some = min(_TOGETHER, draws - start)
            picks = random.integers(0, self.units, (some, self.units))
            picks += np.arange(some)[:, None] * self.units
            times = np.bincount(picks.ravel(), minlength=some * self.units)
            times = times.reshape(some, self.units).astype(np.float64)
            yield self.values(lambda table, times=times: times @ table)


def _by_unit(contributions: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    contributions = np.asarray(contributions, dtype=np.float64)
    if units is None:
        return contributions
    sums = np.zeros((units.max() + 1, contributions.shape[1]))
    np.add.at(sums, units, contributions)
    return sums


def _intervals(
    sums: _Sums,
    chosen: Mapping[str, Statistic],
    expressions: Sequence[str],
    draws: int,
    seed: int,
    level: float,
    method: str,
) -> pd.DataFrame:
    if draws < 100:
        raise DataError(f"expected 100 draws or more, got {draws}")
    if not 0 < level < 1:
        raise DataError(f"expected a level between 0 and 1, got {level}")
    if method not in METHODS:
        raise DataError(f"method {method!r}: expected {' or '.join(METHODS)}")
    names = [
        label
        for name, one in chosen.items()
        for label in ([f"{name}: {each}" for each in expressions] if one.by_class else [name])
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        estimates = sums.estimate()
        samples = np.vstack(list(sums.resamples(draws, seed)))
        left_out = sums.without_each() if method == "bca" and sums.units > 1 else None
    rows = {}
    for at, (name, estimate) in enumerate(zip(names, estimates, strict=True)):
        drawn = samples[:, at][np.isfinite(samples[:, at])]
        if not np.isfinite(estimate) or len(drawn) < 2:
            rows[name] = [estimate, *[np.nan] * 4]
            continue
        ends = np.array([(1 - level) / 2, (1 + level) / 2])
        if left_out is not None:
            ends = _corrected(ends, estimate, drawn, left_out[:, at])
        low, high = np.quantile(drawn, ends)
        rows[name] = [estimate, low, high, drawn.std(ddof=1), drawn.mean() - estimate]
    columns = ["estimate", "low", "high", "standard_error", "bias"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("statistic")


def _corrected(
    ends: np.ndarray, estimate: float, drawn: np.ndarray, left_out: np.ndarray
) -> np.ndarray:
    """Shift the two quantiles for bias and skewness (Davison and Hinkley, §5.3.2)."""
    normal = NormalDist()
    # Rounding in the last digit makes equal values unequal: count those as ties.
    close = 1e-12 * max(1.0, abs(estimate))
    below = np.mean(drawn < estimate - close) + np.mean(np.abs(drawn - estimate) <= close) / 2
    shift = normal.inv_cdf(float(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn))))
    left_out = left_out[np.isfinite(left_out)]
    away = left_out.mean() - left_out if len(left_out) else np.zeros(1)
    spread = (away**2).sum() ** 1.5
    skew = (away**3).sum() / (6 * spread) if spread > 0 else 0.0
    moved = []
    for end in ends:
        z = shift + normal.inv_cdf(float(end))
        # A denominator of 0 or less: the correction has no meaning that far out.
        z = shift + z / (1 - skew * z) if skew * z < 1 else np.copysign(np.inf, z)
        moved.append(normal.cdf(z) if np.isfinite(z) else float(z > 0))
    return np.array(moved)
