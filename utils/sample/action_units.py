"""What each expression is made of: facial action units, and how strongly a face moves them."""

from __future__ import annotations

import numpy as np

from utils.expressions import EXPRESSIONS
from utils.sample.draws import Draws

#: The action units that the renderer knows, with the names of the Facial Action Coding System.
NAMES: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
}

#: Each expression's action units at full strength (0 … 1), after EMFACS.
ACTION_UNITS: dict[str, dict[int, float]] = {
    "angry": {4: 1.0, 5: 0.5, 7: 0.8, 23: 0.8, 24: 0.5},
    "disgust": {9: 1.0, 10: 0.9, 15: 0.5, 16: 0.4, 17: 0.3},
    "fear": {1: 0.9, 2: 0.5, 4: 0.7, 5: 1.0, 20: 1.0, 25: 0.6, 26: 0.35},
    "happy": {6: 0.9, 12: 1.0, 25: 0.8},
    "sad": {1: 1.0, 4: 0.6, 15: 1.0, 17: 0.5},
    "surprise": {1: 1.0, 2: 1.0, 5: 0.9, 25: 0.5, 26: 1.0},
    "neutral": {},
}

#: Other ways to make the same face: changes to the table above, each as likely as the table's own.
VARIANTS: dict[str, tuple[dict[int, float], ...]] = {
    "angry": ({23: 0.5, 24: 0.0, 10: 0.6, 16: 0.6, 25: 0.9, 26: 0.2}, {23: 0.4, 24: 1.0, 17: 0.5}),
    "disgust": ({15: 0.3, 16: 0.9, 25: 0.8}, {9: 0.8, 4: 0.4, 15: 0.8, 16: 0.0, 17: 0.7}),
    "fear": ({26: 0.7, 25: 0.8}, {20: 0.8, 25: 0.3, 26: 0.1}),
    "happy": ({25: 0.0}, {25: 1.0, 26: 0.7}),
    "sad": ({17: 0.9}, {15: 0.8, 17: 0.0, 25: 0.3}),
    "surprise": ({26: 0.4, 27: 0.9}, {26: 0.6}),
    "neutral": ({},),
}

#: What people take an expression for, when they take it for another (weights, not percentages).
CONFUSIONS: dict[str, dict[str, float]] = {
    "angry": {"disgust": 4, "neutral": 3, "sad": 2, "fear": 1},
    "disgust": {"angry": 6, "sad": 2, "neutral": 1, "fear": 1},
    "fear": {"surprise": 6, "sad": 2, "angry": 1, "neutral": 1},
    "happy": {"neutral": 6, "surprise": 3, "disgust": 1},
    "sad": {"neutral": 6, "fear": 2, "angry": 1, "disgust": 1},
    "surprise": {"fear": 6, "happy": 1, "neutral": 2},
    "neutral": {"sad": 5, "angry": 2, "happy": 2, "surprise": 1},
}

UNITS = 28  # columns of an activation table: its column k is action unit k


def confused(labels: np.ndarray, draws: Draws) -> np.ndarray:
    """Draw for each label another that it could be taken for: (n,) int64 in, (n,) int64 out."""
    others = np.empty_like(labels)
    for index, name in enumerate(EXPRESSIONS):
        where = np.flatnonzero(labels == index)
        names = list(CONFUSIONS[name])
        picked = draws.choose(list(CONFUSIONS[name].values()), len(where))
        others[where] = np.array([EXPRESSIONS.index(other) for other in names])[picked]
    return others


def activations(labels: np.ndarray, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Draw how strongly each face moves each action unit.

    A face shows one variant of its expression at a strength of its own, each unit a little more
    or less than prescribed, and one face in five mixes in some of an expression that it could be
    taken for. Neutral faces are not dead: a trace of some unit stays in many of them.

    Parameters
    ----------
    labels : (n,) int64
        Indices into `EXPRESSIONS`.
    draws : Draws
        Where the random numbers come from.

    Returns
    -------
    units : (n, 28) float32, 0 … 1.1
        Column k is action unit k.
    strength : (n,) float32, 0.45 … 1
        How strongly the expression is shown.
    """
    count = len(labels)
    strength = np.maximum(draws.uniform(0.45, 1.0, count), draws.uniform(0.45, 1.0, count))
    table, blend = np.zeros((2, count, UNITS), np.float32)
    for faces, filled in ((labels, table), (confused(labels, draws), blend)):
        for index, name in enumerate(EXPRESSIONS):
            where = np.flatnonzero(faces == index)
            ways = ({}, *VARIANTS[name])
            variant = draws.integers(0, len(ways), len(where))
            for way, changes in enumerate(ways):
                for unit, value in {**ACTION_UNITS[name], **changes}.items():
                    filled[where[variant == way], unit] = value
    mixed = draws.chance(0.2, count) * draws.uniform(0.1, 0.3, count)
    mixed = mixed.astype(np.float32)[:, None]
    jitter = 1 + draws.bell(0.3, count, UNITS)
    units = ((1 - mixed) * table * strength[:, None] + mixed * blend) * jitter
    trace = draws.uniform(0.0, 0.3, count, UNITS) * draws.chance(0.06, count, UNITS)
    known = np.isin(np.arange(UNITS), list(NAMES))
    units = np.maximum(units, trace.astype(np.float32)) * known
    return np.minimum(units, np.float32(1.1)).astype(np.float32), strength
