"""Several seeds of one training: how far apart they come out, and what one of them can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from utils.evaluation.checks import in_one_order
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils.records import Predictions


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
    mean, standard_deviation, minimum, maximum : float
        Of the accuracies.
    interval : (low, high)
        The 95 % t interval of the mean over all seeds, on these very pictures.
    next_seed : (low, high)
        The 95 % t interval of what one more seed will come to on these pictures.
    two_runs : float
        Two single runs of this same training, alike but for the seed, are no further apart in
        95 of 100 cases. A smaller difference between single runs of *two* trainings is no
        evidence that one of them is better.
    by_test_set : float
        The standard deviation that the seeds would have if every network were equally good and
        each picture, by itself, came out right or wrong: the part of the spread that a larger
        test set would make smaller.
    between_networks : float
        What is left, the standard deviation of how good the networks truly are on pictures of
        this kind; 0 where ``by_test_set`` explains it all.
    explained : float
        The share of the variance that ``by_test_set`` explains, 0 … 1; NaN where the runs all
        answered alike. From a handful of seeds it is a rough figure.
    test_set_error : float
        The binomial standard error of one accuracy at this n: what another draw of n pictures
        would move *all* the seeds by, together. No number of seeds shows or shrinks it.
    """

    names: tuple[str, ...]
    accuracies: tuple[float, ...]
    n: int
    mean: float
    standard_deviation: float
    minimum: float
    maximum: float
    interval: tuple[float, float]
    next_seed: tuple[float, float]
    two_runs: float
    by_test_set: float
    between_networks: float
    explained: float
    test_set_error: float

    def __str__(self) -> str:
        low, high = self.interval
        text = (
            f"{len(self.names)} seeds: mean {self.mean:.1%} ({low:.1%} to {high:.1%}), "
            f"from {self.minimum:.1%} to {self.maximum:.1%}, "
            f"standard deviation {100 * self.standard_deviation:.2f} points; "
            f"two single runs may differ by {100 * self.two_runs:.1f} points through the seed alone"
        )
        if not np.isnan(self.explained):
            text += f"; the size of the test set explains {self.explained:.0%} of the variance"
        return text


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
    (`accuracy_interval` says by how much). Student (1908), Biometrika 6.
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


def seeds(runs: Mapping[str, Predictions]) -> SeedSpread:
    """Compute how far runs are apart that differ only in their seed.

    What a single seed can tell: its own accuracy, with the interval of its test set; not the
    mean of its training, which lies anywhere within ``next_seed``'s width of it.

    The variance between the seeds has two parts. Networks that are equally good still disagree
    about single pictures, and on n pictures such flips do not cancel wholly: if they are
    independent from picture to picture, they give the mean accuracy the variance Σ vᵢ / n²,
    where vᵢ is the variance over the seeds of "picture i is right". What the variance of the
    accuracies has beyond that comes from pictures that turn right or wrong together, networks
    that are truly better or worse: (n S² - mean vᵢ) / (n - 1) estimates it without bias.

    Parameters
    ----------
    runs : mapping of str to Predictions
        Two or more, on the same pictures.

    Returns
    -------
    SeedSpread

    Raises
    ------
    DataError
        When there are fewer than two runs, since one has no spread, or they do not hold the
        same rows with the same labels.

    References
    ----------
    Jordan (2024), On the variance of neural network training with respect to test sets and
    distributions, ICLR (arXiv:2304.01910); Bouthillier et al. (2021), Accounting for variance
    in machine learning benchmarks, MLSys.
    """
    from scipy.stats import t

    if len(runs) < 2:
        raise DataError(f"expected two seeds or more, got {len(runs)}: one has no spread")
    right = np.stack([one.correct for one in in_one_order(runs.values())]).astype(np.float64)
    m, n = right.shape
    accuracies = right.mean(axis=1)
    mean, low, high = seeds_interval(accuracies)
    deviation = float(accuracies.std(ddof=1))
    flips = right.var(axis=0, ddof=1)
    by_test_set = float(np.sqrt(flips.sum()) / n)
    between = (n * deviation**2 - flips.mean()) / (n - 1) if n > 1 else 0.0
    factor = float(t.ppf(0.975, m - 1))
    if deviation > 0:
        explained = min(1.0, by_test_set**2 / deviation**2)
    else:
        explained = 1.0 if by_test_set > 0 else float("nan")

    def around(half: float) -> tuple[float, float]:
        return float(max(0.0, mean - half)), float(min(1.0, mean + half))

    return SeedSpread(
        names=tuple(str(name) for name in runs),
        accuracies=tuple(float(one) for one in accuracies),
        n=n,
        mean=mean,
        standard_deviation=deviation,
        minimum=float(accuracies.min()),
        maximum=float(accuracies.max()),
        interval=(max(0.0, low), min(1.0, high)),
        next_seed=around(factor * deviation * np.sqrt(1 + 1 / m)),
        two_runs=float(min(1.0, factor * deviation * np.sqrt(2))),
        by_test_set=by_test_set,
        between_networks=float(np.sqrt(max(0.0, between))),
        explained=explained,
        test_set_error=float(np.sqrt(mean * (1 - mean) / n)),
    )
