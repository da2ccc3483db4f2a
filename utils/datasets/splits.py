"""Stratified, seeded splits, and what folders call them."""

from __future__ import annotations

import re

import numpy as np

from utils.datasets.dataset import SPLITS

#: What folders and files call a split, in lower case and letters only.
SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("val", "valid", "validation", "publictest"), "validation"),
    **dict.fromkeys(("test", "testing", "privatetest"), "test"),
}


def named(name: str) -> str | None:
    """Return the split that a folder's name means ("Private Test" is the test split), or None."""
    return SPLIT_FOLDERS.get(re.sub(r"[^a-z]", "", name.lower()))


def hold_out(labels: np.ndarray, fraction: float, *, seed: int = 0) -> np.ndarray:
    """Choose a stratified, seeded fraction of the rows, the same on any machine.

    Parameters
    ----------
    labels : (n,) int array
        The stratum of each row.
    fraction : float
        The part of each stratum to take, 0 … 1, rounded to whole rows.
    seed : int

    Returns
    -------
    (m,) int64 array
        Sorted positions.
    """
    chosen = [order[: _round(fraction * len(order))] for order in _shuffled(labels, seed)]
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, dtype=np.int64)


def by_group(labels: np.ndarray, groups: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Split 70/10/20%, stratified and seeded, whole groups at a time.

    Parameters
    ----------
    labels : (n,) int array
        The class of each row.
    groups : (n,) array
        Rows of one group (faces in one photo) go into one split. A group counts as its first
        row's class.
    seed : int

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


def complete(split: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, str]:
    """Draw the splits that a source lacks, stratified by class.

    With no split, or training only, 70/10/20% are drawn. With training and test, a tenth of
    training becomes validation. With training and validation, half of validation becomes the test
    split: held-out faces stay held out, and those that choose an epoch are not those that grade
    it. Without training, nothing is drawn.

    Takes (n,) splits, "" for none, and (n,) labels; returns the splits, and a note for people on
    what was drawn, "" if nothing.
    """
    given = split.astype("<U10")
    present = set(np.unique(given).tolist())
    missing = {
        frozenset({"training", "test"}): ("validation", "training", 0.1, "a tenth"),
        frozenset({"training", "validation"}): ("test", "validation", 0.5, "half"),
    }
    # If classes are too small to give each split a face, all faces count as one class.
    for strata in (labels, np.zeros_like(labels)):
        if present <= {"", "training"}:
            split = by_group(strata, np.arange(len(labels)), seed=seed)
            drawn = "no split folders: 70/10/20% split drawn"
        elif frozenset(present) in missing:
            target, origin, fraction, words = missing[frozenset(present)]
            split, place = given.copy(), np.flatnonzero(given == origin)
            split[place[hold_out(strata[place], fraction, seed=seed)]] = target
            drawn = f"no {target} split: {words} of {origin} taken for it"
        else:
            return given, ""
        if set(np.unique(split).tolist()) == set(SPLITS):
            break
    return split, f"{drawn}, {'stratified, ' if strata is labels else ''}seed {seed}"


def _shuffled(labels: np.ndarray, seed: int) -> list[np.ndarray]:
    """List the positions of each label, in random order."""
    random = np.random.default_rng(seed)
    return [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]


def _round(value: float) -> int:
    return int(value + 0.5)
