"""Stratified, seeded splits."""

from __future__ import annotations

import numpy as np

from utils.datasets.dataset import SPLITS


def hold_out(labels: np.ndarray, fraction: float, *, seed: int = 0) -> np.ndarray:
    """Choose a stratified, seeded fraction of the rows.

    Parameters
    ----------
    labels : (n,) int array
        The stratum of each row.
    fraction : float
        The part of each stratum to take, 0 … 1, rounded to whole rows.
    seed : int
        The same seed takes the same rows on any machine.

    Returns
    -------
    (m,) int64 array
        Sorted positions.
    """
    chosen = [order[: _round(fraction * len(order))] for order in _shuffled(labels, seed)]
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, dtype=np.int64)


def by_group(labels: np.ndarray, groups: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Split 70 / 10 / 20 %, stratified, whole groups at a time.

    Parameters
    ----------
    labels : (n,) int array
        The class of each row.
    groups : (n,) array
        Rows of one group (faces of one photo) come into one split. A group counts as of its
        first row's class.
    seed : int
        The same seed gives the same split on any machine.

    Returns
    -------
    (n,) str array
        One of `SPLITS` for each row.
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    split = np.full(len(first), SPLITS[0], dtype="<U10")
    for order in _shuffled(labels[first], seed):
        test, validation = _round(0.2 * len(order)), _round(0.3 * len(order))
        split[order[:test]] = SPLITS[2]
        split[order[test:validation]] = SPLITS[1]
    return split[group]


def _shuffled(labels: np.ndarray, seed: int) -> list[np.ndarray]:
    """List the positions of each label, in random order."""
    random = np.random.default_rng(seed)
    return [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]


def _round(value: float) -> int:
    return int(value + 0.5)
