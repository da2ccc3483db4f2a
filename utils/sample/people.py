"""Who is drawn, and how strongly each face moves its action units."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from utils.expressions import EXPRESSIONS
from utils.sample.draws import Draws

#: The action units that the renderer knows. In FACS they are 1 inner brow raiser, 2 outer brow
#: raiser, 4 brow lowerer, 5 upper lid raiser, 6 cheek raiser, 7 lid tightener, 9 nose wrinkler,
#: 10 upper lip raiser, 12 lip corner puller, 15 lip corner depressor, 16 lower lip depressor,
#: 17 chin raiser, 20 lip stretcher, 23 lip tightener, 24 lip pressor, 25 lips part, 26 jaw drop,
#: 27 mouth stretch.
KNOWN = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 20, 23, 24, 25, 26, 27)
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
#: Other ways to make the same face: changes to the table above, each as likely as the table itself.
VARIANTS: dict[str, tuple[dict[int, float], ...]] = {
    "angry": ({23: 0.5, 24: 0.0, 10: 0.6, 16: 0.6, 25: 0.9, 26: 0.2}, {23: 0.4, 24: 1.0, 17: 0.5}),
    "disgust": ({15: 0.3, 16: 0.9, 25: 0.8}, {9: 0.8, 4: 0.4, 15: 0.8, 16: 0.0, 17: 0.7}),
    "fear": ({26: 0.7, 25: 0.8}, {20: 0.8, 25: 0.3, 26: 0.1}),
    "happy": ({25: 0.0}, {25: 1.0, 26: 0.7}),
    "sad": ({17: 0.9}, {15: 0.8, 17: 0.0, 25: 0.3}),
    "surprise": ({26: 0.4, 27: 0.9}, {26: 0.6}),
    "neutral": ({},),
}
#: What people mistake an expression for, when they do (weights, not percentages).
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

SKINS, HAIRS, IRISES, CLOTHES = (  # red, green and blue in hundredths
    np.array(colors.split(), np.float32).reshape(-1, 3) / np.float32(100)
    for colors in (
        "98 86 77  95 79 67  90 72 57  82 62 46  70 50 36  56 38 27  48 33 24",
        "10 8 8  20 13 9  36 22 13  58 38 20  86 70 42  66 28 12  72 71 70",
        "22 13 8  36 22 10  28 40 26  25 42 60",
        "20 32 52  66 22 22  88 86 80  18 20 22  28 48 36  80 62 24  52 36 58",
    )
)


def confused(labels: np.ndarray, draws: Draws) -> np.ndarray:
    """Draw for each label one that it could be mistaken for: (n,) int64 in, (n,) int64 out."""
    others = np.empty_like(labels)
    for index, name in enumerate(EXPRESSIONS):
        where = np.flatnonzero(labels == index)
        picked = draws.choose(list(CONFUSIONS[name].values()), len(where))
        others[where] = np.array([EXPRESSIONS.index(other) for other in CONFUSIONS[name]])[picked]
    return others


def activations(labels: np.ndarray, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Draw how strongly each face moves each action unit, and shows its expression.

    A face shows one variant of its expression at its own strength, each unit slightly more or less
    than prescribed, and one face in five mixes in some of an expression that it could be mistaken
    for. Neutral faces are not lifeless: a trace of some unit remains in many of them.

    (n,) int64 labels in; (n, 28) float32, 0 … 1.1, and (n,) float32, 0.45 … 1, out.
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
    known = np.isin(np.arange(UNITS), KNOWN)
    units = np.maximum(units, trace.astype(np.float32)) * known
    return np.minimum(units, np.float32(1.1)).astype(np.float32), strength


def take(namespace: SimpleNamespace, rows: slice) -> SimpleNamespace:
    """Take only these rows of every array."""
    return SimpleNamespace(**{name: array[rows] for name, array in vars(namespace).items()})


def _pick(colors: np.ndarray, weights: tuple, count: int, draws: Draws) -> np.ndarray:
    """Pick one of the colors for each person, slightly varied: (n, 3) float32."""
    picked = colors[draws.choose(weights, count)]
    return np.clip(picked * (1 + draws.bell(0.12, count, 1)) + draws.bell(0.03, count, 3), 0.02, 1)


def draw_people(count: int, draws: Draws) -> SimpleNamespace:
    """Draw `count` people, all different: what stays the same when a face moves.

    Each attribute is (n, 1, 1) float32, to broadcast with pictures of (n, height, width), lengths
    in units of about half a face's height; the five colors are (n, 3) float32 in 0 … 1.
    """

    def about(middle: float, spread: float) -> np.ndarray:
        return middle + draws.bell(spread, count)

    def where(condition: np.ndarray, yes: object, no: object) -> np.ndarray:
        return np.where(condition, np.float32(yes), np.float32(no))

    masculine = draws.units(count)
    child = draws.chance(0.12, count)
    age = where(child, 0, draws.uniform(0, 1, count))
    bearded = (masculine > 0.5) & ~child & draws.chance(0.38, count)
    shaven = (masculine > 0.5) & ~child & ~bearded & draws.chance(0.15, count)
    long = draws.chance(0.75 - 0.65 * masculine, count)
    bald = (masculine > 0.6) & ~child & draws.chance(0.22, count)
    fringe = ~bald & draws.chance(0.25, count)
    afro = ~bald & draws.chance(0.12, count)
    skin_kind = draws.choose((3, 4, 4, 4, 3, 3, 2), count)
    skin = np.clip(SKINS[skin_kind] * (1 + draws.bell(0.08, count, 1)), 0, 1)
    fair_hair = _pick(HAIRS, (2, 4, 5, 4, 4, 2, 0), count, draws)
    dark_hair = _pick(HAIRS, (6, 4, 1, 0, 0, 0, 0), count, draws)
    gray_hair = _pick(HAIRS[-1:], (1,), count, draws)
    hair = np.where((skin_kind > 2)[:, None], dark_hair, fair_hair)
    hair = np.where(((age > 0.8) & draws.chance(0.6, count))[:, None], gray_hair, hair)
    dyed = (0.55 + 0.45 * draws.units(count)).astype(np.float32)[:, None]
    rose = np.array((1.0, 0.62, 0.60), np.float32)
    scalars = {  # drawn in this order
        "width": about(0.76, 0.08) + where(child, 0.03, 0),
        "chin": about(0.96, 0.08) - where(child, 0.05, 0),
        "jaw": draws.uniform(0.1, 0.5, count) + where(masculine > 0.5, 0.25, 0),  # 1: square
        "taper": draws.uniform(0.08, 0.26, count),
        "eye_gap": about(0.35, 0.04),
        "eye_width": about(0.185, 0.025) + where(child, 0.015, 0),
        "eye_open": about(0.080, 0.016) + where(child, 0.012, 0),
        "eye_tilt": about(0.0, 0.035),
        "brow_height": about(-0.37, 0.04),
        "brow_thickness": about(0.040, 0.014) + where(masculine > 0.5, 0.012, -0.004),
        "brow_arch": draws.uniform(0.0, 0.06, count),
        "nose_length": about(0.25, 0.05) - where(child, 0.05, 0),
        "nose_width": about(0.135, 0.035),
        "mouth_width": about(0.29, 0.04),
        "upper_lip": about(0.045, 0.018),
        "lower_lip": about(0.065, 0.02),
        "age": age,  # 0 … 1: how deep the lines are at rest
        "glasses": where(draws.chance(0.15, count), 1, 0),
        "beard": where(bearded, draws.uniform(0.35, 0.95, count), where(shaven, 0.22, 0)),
        "moustache": where(bearded & draws.chance(0.8, count), draws.uniform(0.5, 0.95, count), 0),
        "hair_volume": where(
            bald, 0.0, where(afro, draws.uniform(0.2, 0.38, count), about(0.1, 0.07))
        ),
        # where the forehead ends; -2: bald
        "hair_line": where(bald, -2.0, where(fringe, about(-0.55, 0.05), about(-0.76, 0.10))),
        "hair_curve": where(fringe, 0.35, draws.uniform(0.3, 0.9, count)),
        "hair_part": where(fringe | afro, 0.0, about(0.0, 0.45)),
        # how far down it falls behind the head
        "hair_length": where(
            bald, -0.3, where(long, draws.uniform(0.5, 1.5, count), about(-0.05, 0.15))
        ),
        "hair_waves": draws.uniform(4, 14, count),
        "fringe": where(fringe, draws.uniform(0.01, 0.06, count), 0),
    }
    return SimpleNamespace(
        **{name: value.astype(np.float32)[:, None, None] for name, value in scalars.items()},
        skin=skin,
        hair=hair,
        iris=_pick(IRISES, (5, 4, 2, 2), count, draws),
        lips=skin * (dyed * rose + (1 - dyed) * np.array((0.92, 0.74, 0.70), np.float32)),
        clothes=_pick(CLOTHES, (1,) * 7, count, draws),
    )
