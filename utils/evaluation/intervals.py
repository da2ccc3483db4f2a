"""How much another seed may change a figure (Student's t)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from utils.evaluation.metrics import in_one_order
from utils.records import Predictions
from utils.runtime import DataError


def seeds_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of several seeds' values, and the ends of its 95% interval, by Student's t.

    The ends are NaN for a single value; no value is a DataError. The interval covers the choice of
    seeds. It does not cover the choice of a test set, if all seeds are evaluated on the same one
    (`accuracy_interval` does).
    """
    from scipy.stats import t

    values = np.asarray(values, dtype=float)
    if not len(values):
        raise DataError("expected the values of one seed or more, got none")
    mean = float(values.mean())
    if len(values) == 1:
        return mean, float("nan"), float("nan")
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return mean, mean - float(half), mean + float(half)


@dataclass(frozen=True)
class SeedSpread:
    """What m runs that differ only in their seed reached on the same n pictures; shares, 0 … 1.

    Two single runs of one setup are no further apart than ``two_runs`` in 95 of 100 cases: a
    smaller difference between single runs of *two* setups is no evidence that one is better.
    """

    accuracies: tuple[float, ...]
    n: int
    mean: float
    standard_deviation: float  # divides by m - 1
    interval: tuple[float, float]  # 95%, Student's t, of the mean over all seeds
    two_runs: float

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{len(self.accuracies)} seeds: mean {self.mean:.1%} ({low:.1%} to {high:.1%}), "
            f"from {min(self.accuracies):.1%} to {max(self.accuracies):.1%}, "
            f"standard deviation {100 * self.standard_deviation:.2f} points; "
            f"two single runs may differ by {100 * self.two_runs:.1f} points because of the seed "
            "alone"
        )


def seeds(runs: Mapping[str, Predictions]) -> SeedSpread:
    """Compute how far apart two or more runs are that differ only in their seed.

    Bouthillier et al. 2021, Accounting for variance in machine learning benchmarks, MLSys.
    """
    from scipy.stats import t

    right = np.stack([one.correct for one in in_one_order(runs.values(), least=2)]).astype(float)
    m, n = right.shape
    accuracies = right.mean(axis=1)
    mean, low, high = seeds_interval(accuracies)
    deviation = float(accuracies.std(ddof=1))
    return SeedSpread(
        accuracies=tuple(accuracies.tolist()),
        n=n,
        mean=mean,
        standard_deviation=deviation,
        interval=(max(0.0, low), min(1.0, high)),
        two_runs=min(1.0, float(t.ppf(0.975, m - 1) * deviation * np.sqrt(2))),
    )
