"""Seeded random draws that are the same on every machine and in every NumPy version.

NumPy promises that a bit generator's raw output never changes, but not that the distributions
drawn from it stay the same. So everything here is computed from PCG64's raw 64-bit words, with
operations that IEEE 754 rounds in only one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from utils.runtime import DataError


class Draws:
    """One stream of random numbers: `entropy` is the seed, then the stream's number.

    Streams of one seed are independent: a change in one leaves the others unchanged. A negative
    seed is a DataError.
    """

    def __init__(self, *entropy: int) -> None:
        if entropy[0] < 0:
            raise DataError(f"seed is {entropy[0]}: expected 0 or more")
        self._bits = np.random.PCG64(np.random.SeedSequence(entropy))

    def words(self, *shape: int) -> np.ndarray:
        """Draw raw 64-bit words, uint64."""
        return self._bits.random_raw(shape)

    def units(self, *shape: int) -> np.ndarray:
        """Draw uniformly in [0, 1), float64, with 53 random bits."""
        return (self.words(*shape) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Draw uniformly in [low, high), float32."""
        return (low + (high - low) * self.units(*shape)).astype(np.float32)

    def bell(self, spread: float, *shape: int) -> np.ndarray:
        """Draw near 0 and within ±`spread` (the mean of three), float32."""
        total = self.units(*shape) + self.units(*shape) + self.units(*shape)
        return (spread * (total * (2.0 / 3.0) - 1.0)).astype(np.float32)

    def chance(self, probability: float | np.ndarray, *shape: int) -> np.ndarray:
        """Draw True with this probability, bool."""
        return self.units(*shape) < probability

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray:
        """Draw uniformly in low … high - 1, int64."""
        return low + np.floor(self.units(*shape) * (high - low)).astype(np.int64)

    def choose(self, weights: Sequence[float], *shape: int) -> np.ndarray:
        """Draw index i with a probability proportional to ``weights[i]``, int64."""
        edges = np.array(list(accumulate(float(weight) for weight in weights)))
        found = np.searchsorted(edges, self.units(*shape) * edges[-1], side="right")
        return np.minimum(found, len(edges) - 1)

    def order(self, count: int) -> np.ndarray:
        """Shuffle: a permutation of 0 … count - 1, int64."""
        return np.argsort(self.words(count), kind="stable")
