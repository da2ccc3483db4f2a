"""Augmentation: ImageDataGenerator's transforms as Keras layers before the network.

The generator transforms one face at a time with SciPy; these transform a batch inside the compiled
training step. `python -m experiments.speed augmentation` prints the speedup on your machine.
"""

from __future__ import annotations


def layers_before(
    *,
    rotation: float = 10.0,
    zoom: float = 0.1,
    shift: float = 0.1,
    flip: bool = True,
    brightness: float = 0.0,
    contrast: float = 0.0,
    erasing: float = 0.0,
    seed: int = 0,
) -> list:
    """Make the layers that augment a batch of faces, to be put before a network in training.

    Parameters
    ----------
    rotation, zoom, shift, flip
        As in `layers.RandomWarp`.
    brightness : float
        Largest change of all pixels, as a fraction of 255, in either direction.
    contrast : float
        Largest increase in a pixel's distance from the mean, as a fraction: it is never reduced.
    erasing : float
        Fraction of the faces that lose a rectangle (Zhong et al. 2020), 0 … 1.
    seed : int
        Seeds the draws.

    Returns
    -------
    list of keras.layers.Layer
        Pixels of 0 … 255 in and out. Outside training they change nothing.
    """
    import keras

    from utils.layers import RandomWarp

    before = []
    if rotation or zoom or shift or flip:
        before.append(RandomWarp(rotation, zoom, shift, flip, seed=seed, name="warp"))
    if contrast:
        before.append(keras.layers.RandomContrast(contrast, seed=seed + 1, dtype="float32"))
    if brightness:
        before.append(keras.layers.RandomBrightness(brightness, seed=seed + 2, dtype="float32"))
    if erasing:
        before.append(
            keras.layers.RandomErasing(
                (erasing, erasing),
                # Fractions of the area (Keras takes the root for each side): larger than in Zhong
                # et al. 2020, and what the recorded runs were trained with.
                scale=(0.14, 0.57),
                fill_value=127.5,  # the middle of 0 … 255
                seed=seed + 3,
                dtype="float32",
            )
        )
    return before


def mixing_layer(*, mixup: float = 0.0, cutmix: float = 0.0, seed: int = 0):
    """Make the layer that mixes each face of a batch, and its target, with another's.

    Parameters
    ----------
    mixup : float
        α of the Beta distribution of MixUp (Zhang et al. 2018, §2); 0 turns it off.
    cutmix : float
        The same for CutMix, which pastes a rectangle of the other face (Yun et al. 2019, §3.1).
    seed : int
        Seeds the draws.

    Returns
    -------
    keras.layers.Layer or None
        Takes {"images": …, "labels": …}; None if nothing is mixed.
    """
    import keras

    if mixup:
        return keras.layers.MixUp(mixup, seed=seed + 4, dtype="float32")
    if cutmix:
        return keras.layers.CutMix((cutmix, cutmix), seed=seed + 5, dtype="float32")
    return None
