"""Everything random about an epoch but dropout, drawn beforehand: order, moves, erasing, mixing.

The draws of an epoch are a function of (seed, epoch) alone, made by NumPy: the same on every
backend, on one device or several, from memory or from disk, whether or not the run was killed.
What they ask for is then done inside the compiled step (`utils.training.trainer`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from utils import augment
from utils.training.settings import Settings

#: An erased rectangle's share of the face, and its height over its width (Zhong et al. 2020, §4).
ERASED_AREA = (0.02, 0.33)
ERASED_ASPECT = (0.3, 1 / 0.3)


@dataclass(frozen=True)
class EpochDraws:
    """What happens to each of an epoch's m faces; place 0 is the first that is served.

    Attributes
    ----------
    order : numpy.ndarray
        (m,) int32: which training face stands at each place. m is a whole number of batches; the
        last one is filled up with faces from the front of the order.
    moves : Draws or None
        Of each place; None where there is no augmentation.
    transforms : numpy.ndarray
        (m, 8) float32: the same as `augment.affine_rows`.
    erased : numpy.ndarray
        (m, 4) float32: top, left, bottom, right in pixels, the last two exclusive; zeros erase
        nothing.
    blends : numpy.ndarray
        (m,) float32, 0 … 1: how much of a pixel is the face's own, the rest its partner's (mixup).
    pasted : numpy.ndarray
        (m, 4) float32: the rectangle that is its partner's altogether (CutMix).
    shares : numpy.ndarray
        (m,) float32, 0 … 1: how much of the target is the face's own.
    """

    order: np.ndarray
    moves: augment.Draws | None
    transforms: np.ndarray
    erased: np.ndarray
    blends: np.ndarray
    pasted: np.ndarray
    shares: np.ndarray


def epoch_draws(settings: Settings, count: int, epoch: int) -> EpochDraws:
    """Draw an epoch.

    Parameters
    ----------
    settings : Settings
        Gives seed, batch size, size of the faces, augmentation, erasing, mixup and cutmix.
    count : int
        How many training faces there are, at least one.
    epoch : int
        From 0.

    Returns
    -------
    EpochDraws
    """

    def stream(number: int) -> np.random.Generator:
        return np.random.default_rng([settings.seed, epoch, number])

    places = -(-count // settings.batch_size) * settings.batch_size
    order = np.resize(stream(0).permutation(count), places).astype(np.int32)
    sides = (settings.size, settings.size)
    moves = None
    transforms = augment.affine_rows(augment.no_change(places), sides)
    if settings.augmentation is not None:
        moves = augment.draw(settings.augmentation, places, sides, stream(1))
        transforms = augment.affine_rows(moves, sides)
    erased = _rectangles(
        stream(2), places, settings.size, chance=settings.erasing, area=ERASED_AREA
    )
    blends, pasted, shares = _mixtures(stream(3), places, settings)
    return EpochDraws(order, moves, transforms, erased, blends, pasted, shares)


def _rectangles(
    rng: np.random.Generator, count: int, size: int, *, chance: float, area: tuple[float, float]
) -> np.ndarray:
    """Draw rectangles inside the face, (count, 4); zeros for those that chance leaves out."""
    share = rng.uniform(*area, count)
    aspect = np.exp(rng.uniform(*np.log(ERASED_ASPECT), count))
    height = np.minimum(np.round(size * np.sqrt(share * aspect)), size)
    width = np.minimum(np.round(size * np.sqrt(share / aspect)), size)
    top = np.floor(rng.random(count) * (size - height + 1))
    left = np.floor(rng.random(count) * (size - width + 1))
    boxes = np.stack([top, left, top + height, left + width], axis=1)
    return np.where((rng.random(count) < chance)[:, None], boxes, 0).astype(np.float32)


def _mixtures(
    rng: np.random.Generator, count: int, settings: Settings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw mixup for half of the faces and CutMix for the others, or the one that is asked for.

    Mixup takes Beta(α, α) of each pixel and of the target (Zhang et al. 2018, §2); CutMix pastes a
    rectangle of the partner and shares the target by area (Yun et al. 2019, §3.1).
    """
    size = settings.size
    cuts = rng.random(count) < 0.5
    if not settings.mixup or not settings.cutmix:
        cuts[:] = bool(settings.cutmix)
    blends = rng.beta(settings.mixup, settings.mixup, count) if settings.mixup else np.ones(count)
    blends = np.where(cuts, 1.0, blends)

    kept = rng.beta(settings.cutmix, settings.cutmix, count) if settings.cutmix else np.ones(count)
    half = size * np.sqrt(1 - kept) / 2
    middle = rng.random((count, 2)) * size
    low = np.clip(np.round(middle - half[:, None]), 0, size)
    high = np.clip(np.round(middle + half[:, None]), 0, size)
    pasted = np.where(cuts[:, None], np.concatenate([low, high], axis=1), 0.0)
    area = (pasted[:, 2] - pasted[:, 0]) * (pasted[:, 3] - pasted[:, 1])
    shares = np.where(cuts, 1 - area / size**2, blends)
    return tuple(part.astype(np.float32) for part in (blends, pasted, shares))
