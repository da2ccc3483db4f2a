"""How sure a figure is: Wilson's interval, the bootstrap, and the spread of several seeds."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.evaluation.checks import in_one_order
from utils.records import Predictions
from utils.runtime import DataError


def require_share(value: float, what: str) -> None:
    """Refuse what does not lie between 0 and 1."""
    if not 0 < value < 1:
        raise DataError(f"expected {what} between 0 and 1, got {value}")


def accuracy_interval(
    correct: int | np.ndarray, n: int | np.ndarray, level: float = 0.95
) -> tuple[float, float] | tuple[np.ndarray, np.ndarray]:
    """Return Wilson's score interval for a share of right answers.

    It never leaves 0 … 1, and holds its level where the textbook interval fails: for few
    pictures, and for shares near 0 or 1.

    Parameters
    ----------
    correct : int or array of int
        Right answers, 0 … n.
    n : int or array of int
        All answers, 1 or more.
    level : float
        Between 0 and 1: how often such an interval holds the true share.

    Returns
    -------
    low, high : float, or float64 arrays for arrays
        With 0 ≤ low ≤ correct / n ≤ high ≤ 1.

    Raises
    ------
    DataError
        When the counts or the level cannot be.

    References
    ----------
    Wilson (1927), JASA 22; Brown, Cai and DasGupta (2001), Statistical Science 16.
    """
    from statsmodels.stats.proportion import proportion_confint

    require_share(level, "a level")
    correct, n = np.asarray(correct), np.asarray(n)
    if not ((n >= 1) & (correct >= 0) & (correct <= n)).all():
        raise DataError(f"expected 0 … n right answers of n ≥ 1, got {correct} of {n}")
    share = correct / n
    low, high = proportion_confint(correct, n, alpha=1 - level, method="wilson")
    # Rounding may put an end a few 1e-17 on the wrong side.
    low, high = np.clip(low, 0, share), np.clip(high, share, 1)
    return (low, high) if share.ndim else (float(low), float(high))


def _f1(counts: np.ndarray) -> np.ndarray:
    right = np.einsum("...ii->...i", counts)
    whole = counts.sum(axis=-1) + counts.sum(axis=-2)
    return np.divide(2 * right, whole, out=np.zeros(whole.shape), where=whole > 0)


def _balanced_accuracy(counts: np.ndarray) -> np.ndarray:
    pictures = counts.sum(axis=-1)
    recall = np.einsum("...ii->...i", counts) / np.maximum(pictures, 1)
    return recall.sum(axis=-1) / (pictures > 0).sum(axis=-1)


#: What `bootstrap` can compute of confusion matrices (…, k, k): (…) numbers, or (…, k) for "f1".
STATISTICS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "accuracy": lambda counts: np.einsum("...ii->...", counts) / counts.sum(axis=(-2, -1)),
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": lambda counts: _f1(counts).mean(axis=-1),
    "f1": _f1,
}


def bootstrap(
    predictions: Predictions,
    statistic: str | Sequence[str] = "accuracy",
    *,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compute BCa intervals by drawing the pictures again, with replacement (SciPy's bootstrap).

    The training is not repeated: such an interval says what other pictures of the same kind
    might have given this very network, not what another seed would. A class of 8 pictures gets
    an interval that holds the truth 3 times in 4, not 19 in 20; from about 50 on it is right.

    Parameters
    ----------
    predictions : Predictions
        Two pictures or more; their order does not matter.
    statistic : str or sequence of str
        Out of `STATISTICS`: "accuracy", "balanced_accuracy", "macro_f1", and "f1" for each
        class. Several are computed on the same resamples.
    draws : int
        Resamples, 100 or more.
    seed : int
    level : float
        Between 0 and 1.

    Returns
    -------
    DataFrame
        A row a statistic, named "accuracy", or "f1: angry" for a class, with ``estimate`` (that
        of the predictions themselves), ``low``, ``high`` and ``standard_error``. Where no
        resample differs from another the interval is a point; where BCa is not defined, as for
        a handful of pictures, it is NaN.

    Raises
    ------
    DataError
        For an unknown statistic, fewer than 100 draws or two pictures, a level outside 0 … 1.

    References
    ----------
    Efron (1987), Better bootstrap confidence intervals, JASA 82.
    """
    from scipy import stats

    names = [statistic] if isinstance(statistic, str) else list(statistic)
    for name in names:
        if name not in STATISTICS:
            raise DataError(f"statistic {name!r}: expected one of {', '.join(STATISTICS)}")
    require_share(level, "a level")
    checked = in_one_order([predictions])[0]
    if not names or draws < 100 or len(checked) < 2:
        raise DataError(
            "expected one statistic or more, 100 draws or more and two pictures or more, "
            f"got {len(names)}, {draws} and {len(checked)}"
        )
    classes = len(checked.expressions)

    def measure(cells: np.ndarray, axis: int = -1) -> np.ndarray:
        """Compute the statistics, (s, …), of pictures given as cells of the matrix, (…, n)."""
        sets = cells.reshape(-1, cells.shape[-1])
        moved = sets + classes**2 * np.arange(len(sets))[:, None]
        counts = np.bincount(moved.ravel(), minlength=len(sets) * classes**2)
        counts = counts.reshape(*cells.shape[:-1], classes, classes)
        values = [STATISTICS[name](counts) for name in names]
        return np.concatenate(
            [np.moveaxis(v, -1, 0) if v.ndim == cells.ndim else v[None] for v in values]
        )

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of a statistic that no resample moves
        found = stats.bootstrap(
            (checked.labels * classes + checked.predicted,),
            measure,
            n_resamples=draws,
            batch=250,
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    labels = []
    for name in names:
        labels += [f"f1: {each}" for each in checked.expressions] if name == "f1" else [name]
    estimate = measure(checked.labels * classes + checked.predicted)
    still = np.ptp(found.bootstrap_distribution, axis=-1) == 0
    return pd.DataFrame(
        {
            "estimate": estimate,
            "low": np.where(still, estimate, found.confidence_interval.low),
            "high": np.where(still, estimate, found.confidence_interval.high),
            "standard_error": found.standard_error,
        },
        index=pd.Index(labels, name="statistic"),
    )


def seeds_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of several seeds' values, and its interval by Student's t.

    Parameters
    ----------
    values : sequence of k floats
        One a seed, one or more.
    level : float
        Between 0 and 1.

    Returns
    -------
    mean, low, high : float
        Mean ± t(k - 1) · s / √k; the ends are NaN for a single value.

    Raises
    ------
    DataError
        When there is no value.

    Notes
    -----
    It says how far another few seeds might come out elsewhere. Where all seeds are asked about
    one test set, that another test set of this size would move the figure too is not in it
    (`accuracy_interval` says by how much).
    """
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    if not len(values):
        raise DataError("expected the values of one seed or more, got none")
    mean = float(values.mean())
    if len(values) == 1:
        return mean, float("nan"), float("nan")
    half = t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return mean, mean - float(half), mean + float(half)


@dataclass(frozen=True)
class SeedSpread:
    """What runs that differ only in their seed came to on one set of pictures.

    Accuracies and deviations are shares, 0 … 1; a standard deviation divides by m - 1.

    Attributes
    ----------
    names : tuple of m str
    accuracies : tuple of m float
    n : int
        Pictures.
    mean, standard_deviation : float
        Of the accuracies.
    interval : (low, high)
        The 95 % t interval of the mean over all seeds, on these very pictures.
    two_runs : float
        Two single runs of this same training, alike but for the seed, are no further apart in
        95 of 100 cases. A smaller difference between single runs of *two* trainings is no
        evidence that one of them is better.
    explained : float
        The share of the variance, 0 … 1, that would be there if every network were equally good
        and each picture, by itself, came out right or wrong: the part that a larger test set
        would make smaller. NaN where the runs all answered alike; a rough figure from a handful.
    test_set_error : float
        The binomial standard error of one accuracy at this n: what another draw of n pictures
        would move *all* the seeds by, together. No number of seeds shows or shrinks it.
    """

    names: tuple[str, ...]
    accuracies: tuple[float, ...]
    n: int
    mean: float
    standard_deviation: float
    interval: tuple[float, float]
    two_runs: float
    explained: float
    test_set_error: float

    def __str__(self) -> str:
        low, high = self.interval
        text = (
            f"{len(self.names)} seeds: mean {self.mean:.1%} ({low:.1%} to {high:.1%}), "
            f"from {min(self.accuracies):.1%} to {max(self.accuracies):.1%}, "
            f"standard deviation {100 * self.standard_deviation:.2f} points; "
            f"two single runs may differ by {100 * self.two_runs:.1f} points through the seed alone"
        )
        if not np.isnan(self.explained):
            text += f"; the size of the test set explains {self.explained:.0%} of the variance"
        return text


def seeds(runs: Mapping[str, Predictions]) -> SeedSpread:
    """Compute how far runs are apart that differ only in their seed.

    Networks that are equally good still disagree about single pictures. If such flips are
    independent from picture to picture, they give the accuracy the variance Σ vᵢ / n², where vᵢ
    is the variance over the seeds of "picture i is right": that part is ``explained``.

    Parameters
    ----------
    runs : mapping of str to Predictions
        Two or more, on the same pictures.

    Raises
    ------
    DataError
        When there are fewer than two runs, since one has no spread, or they do not hold the
        same rows with the same labels.

    References
    ----------
    Jordan (2024), On the variance of neural network training with respect to test sets and
    distributions, ICLR; Bouthillier et al. (2021), Accounting for variance in machine learning
    benchmarks, MLSys.
    """
    from scipy.stats import t

    if len(runs) < 2:
        raise DataError(f"expected two seeds or more, got {len(runs)}: one has no spread")
    right = np.stack([one.correct for one in in_one_order(runs.values())]).astype(np.float64)
    m, n = right.shape
    accuracies = right.mean(axis=1)
    mean, low, high = seeds_interval(accuracies)
    deviation = float(accuracies.std(ddof=1))
    by_flips = right.var(axis=0, ddof=1).sum() / n**2
    if deviation > 0:
        explained = min(1.0, float(by_flips / deviation**2))
    else:
        explained = 1.0 if by_flips > 0 else float("nan")
    return SeedSpread(
        names=tuple(str(name) for name in runs),
        accuracies=tuple(float(one) for one in accuracies),
        n=n,
        mean=mean,
        standard_deviation=deviation,
        interval=(max(0.0, low), min(1.0, high)),
        two_runs=float(min(1.0, t.ppf(0.975, m - 1) * deviation * np.sqrt(2))),
        explained=explained,
        test_set_error=float(np.sqrt(mean * (1 - mean) / n)),
    )
