"""Who is drawn: heads, features, hair and colours, one row a person."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from utils.sample.draws import Draws

SKINS = (
    (0.98, 0.86, 0.77),
    (0.95, 0.79, 0.67),
    (0.90, 0.72, 0.57),
    (0.82, 0.62, 0.46),
    (0.70, 0.50, 0.36),
    (0.56, 0.38, 0.27),
    (0.48, 0.33, 0.24),
)
HAIRS = (
    (0.10, 0.08, 0.08),
    (0.20, 0.13, 0.09),
    (0.36, 0.22, 0.13),
    (0.58, 0.38, 0.20),
    (0.86, 0.70, 0.42),
    (0.66, 0.28, 0.12),
    (0.72, 0.71, 0.70),
)
IRISES = ((0.22, 0.13, 0.08), (0.36, 0.22, 0.10), (0.28, 0.40, 0.26), (0.25, 0.42, 0.60))
CLOTHES = (
    (0.20, 0.32, 0.52),
    (0.66, 0.22, 0.22),
    (0.88, 0.86, 0.80),
    (0.18, 0.20, 0.22),
    (0.28, 0.48, 0.36),
    (0.80, 0.62, 0.24),
    (0.52, 0.36, 0.58),
)


@dataclass(frozen=True)
class People:
    """What stays the same when a face moves. Lengths are in units of about half a face's height.

    Every field is (n, 1, 1) float32, so that it meets pictures of (n, height, width);
    the colours, in `COLOR_FIELDS`, are (n, 3) float32 in 0 … 1.
    """

    width: np.ndarray
    chin: np.ndarray
    jaw: np.ndarray  # 0: round, 1: square
    taper: np.ndarray
    eye_gap: np.ndarray
    eye_width: np.ndarray
    eye_open: np.ndarray
    eye_tilt: np.ndarray
    brow_height: np.ndarray
    brow_thickness: np.ndarray
    brow_arch: np.ndarray
    nose_length: np.ndarray
    nose_width: np.ndarray
    mouth_width: np.ndarray
    upper_lip: np.ndarray
    lower_lip: np.ndarray
    age: np.ndarray  # 0 … 1: how deep the lines are at rest
    glasses: np.ndarray  # 0: none, 1: worn
    beard: np.ndarray  # 0 … 1: how dense
    moustache: np.ndarray
    hair_volume: np.ndarray
    hair_line: np.ndarray  # where the forehead ends; -2: bald
    hair_curve: np.ndarray
    hair_part: np.ndarray
    hair_length: np.ndarray  # how far down it falls behind the head
    hair_waves: np.ndarray
    fringe: np.ndarray
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    clothes: np.ndarray

    def take(self, rows: slice) -> People:
        """Take only these people."""
        return People(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def _pick(colors: tuple, weights: tuple, count: int, draws: Draws) -> np.ndarray:
    """Pick one of the colours for each person, slightly varied: (n, 3) float32."""
    palette = np.array(colors, np.float32)
    picked = palette[draws.choose(weights, count)]
    return np.clip(picked * (1 + draws.bell(0.12, count, 1)) + draws.bell(0.03, count, 3), 0.02, 1)


def draw_people(count: int, draws: Draws) -> People:
    """Draw `count` people, all different."""

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
    skin = np.array(SKINS, np.float32)[skin_kind]
    skin = np.clip(skin * (1 + draws.bell(0.08, count, 1)), 0, 1)
    fair_hair = _pick(HAIRS, (2, 4, 5, 4, 4, 2, 0), count, draws)
    dark_hair = _pick(HAIRS, (6, 4, 1, 0, 0, 0, 0), count, draws)
    gray_hair = _pick(HAIRS[-1:], (1,), count, draws)
    hair = np.where((skin_kind > 2)[:, None], dark_hair, fair_hair)
    hair = np.where(((age > 0.8) & draws.chance(0.6, count))[:, None], gray_hair, hair)
    dyed = (0.55 + 0.45 * draws.units(count)).astype(np.float32)[:, None]
    rose = np.array((1.0, 0.62, 0.60), np.float32)
    scalars = {
        "width": about(0.76, 0.08) + where(child, 0.03, 0),
        "chin": about(0.96, 0.08) - where(child, 0.05, 0),
        "jaw": draws.uniform(0.1, 0.5, count) + where(masculine > 0.5, 0.25, 0),
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
        "age": age,
        "glasses": where(draws.chance(0.15, count), 1, 0),
        "beard": where(bearded, draws.uniform(0.35, 0.95, count), where(shaven, 0.22, 0)),
        "moustache": where(bearded & draws.chance(0.8, count), draws.uniform(0.5, 0.95, count), 0),
        "hair_volume": where(
            bald, 0.0, where(afro, draws.uniform(0.2, 0.38, count), about(0.1, 0.07))
        ),
        "hair_line": where(bald, -2.0, where(fringe, about(-0.55, 0.05), about(-0.76, 0.10))),
        "hair_curve": where(fringe, 0.35, draws.uniform(0.3, 0.9, count)),
        "hair_part": where(fringe | afro, 0.0, about(0.0, 0.45)),
        "hair_length": where(
            bald, -0.3, where(long, draws.uniform(0.5, 1.5, count), about(-0.05, 0.15))
        ),
        "hair_waves": draws.uniform(4, 14, count),
        "fringe": where(fringe, draws.uniform(0.01, 0.06, count), 0),
    }
    return People(
        **{name: value.astype(np.float32)[:, None, None] for name, value in scalars.items()},
        skin=skin,
        hair=hair,
        iris=_pick(IRISES, (5, 4, 2, 2), count, draws),
        lips=skin * (dyed * rose + (1 - dyed) * np.array((0.92, 0.74, 0.70), np.float32)),
        clothes=_pick(CLOTHES, (1,) * len(CLOTHES), count, draws),
    )
