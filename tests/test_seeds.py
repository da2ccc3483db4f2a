"""The spread of seeds: by hand, and known truths."""

import numpy as np
import pytest
from drawn import of_classes

from utils import evaluation
from utils.runtime import DataError


def runs_of(right):
    """Runs with the given right (True) and wrong (False) answers: (m, n)."""
    return {
        f"seed {at}": of_classes(np.where(row, 0, 1), np.zeros(len(row), int))
        for at, row in enumerate(np.asarray(right))
    }


def test_the_interval_of_a_mean_by_hand():
    # Student's t, 2 degrees of freedom: 4.3027.
    half = 4.3027 * 0.1 / 3**0.5
    found = evaluation.seeds_interval([0.5, 0.6, 0.7])
    assert found == pytest.approx((0.6, 0.6 - half, 0.6 + half), abs=1e-4)
    assert evaluation.seeds_interval([2, 2, 2]) == (2, 2, 2)
    assert evaluation.seeds_interval([3.0]) == pytest.approx((3, np.nan, np.nan), nan_ok=True)
    with pytest.raises(DataError, match="got none"):
        evaluation.seeds_interval([])


def test_spread_by_hand():
    right = np.zeros((3, 10), bool)
    for at, count in enumerate((5, 6, 7)):
        right[at, :count] = True
    found = evaluation.seeds(runs_of(right))
    assert (found.accuracies, found.n) == ((0.5, 0.6, 0.7), 10)
    assert found.standard_deviation == pytest.approx(0.1)
    assert (found.mean, *found.interval) == pytest.approx(
        evaluation.seeds_interval([0.5, 0.6, 0.7])
    )
    assert found.two_runs == pytest.approx(4.3027 * 0.1 * 2**0.5, abs=1e-4)
    assert "3 seeds: mean 60.0%" in str(found)
