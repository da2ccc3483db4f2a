"""A trained network's predictions on a split, after a check of its class names."""

from __future__ import annotations

import math

import numpy as np

from utils import datasets, faces, models, records
from utils.datasets.ondisk import pieces
from utils.runtime import ModelError

#: Faces that the network predicts at a time.
BATCH = 256


def predict(
    classifier: models.Classifier,
    dataset: datasets.FaceDataset,
    split: str,
    *,
    test_time_augmentation: int = 1,
) -> records.Predictions:
    """Run a network on every row of one split.

    Parameters
    ----------
    classifier : Classifier
        The network.
    dataset : FaceDataset
        All of it: the training split tells which rows are copies of training pictures.
    split : {"training", "validation", "test"}
        Which rows.
    test_time_augmentation : {1, 2, 10}
        How many views of each face are used; their predictions are averaged (`models.averaged`).

    Returns
    -------
    Predictions
        One row per face, in the data set's order.

    Raises
    ------
    ModelError
        When the network's classes differ from the data set's.
    """
    if classifier.expressions != tuple(dataset.expressions):
        raise ModelError(
            f"the network names {', '.join(classifier.expressions)}; {dataset.name} has "
            f"{', '.join(dataset.expressions)}: expected the same, in the same order"
        )
    chosen = dataset.split == split
    part = dataset.part(split)
    asked = models.averaged(classifier, test_time_augmentation)
    count = BATCH // test_time_augmentation
    # In pieces, because Keras copies all faces that it is given.
    shown = pieces(part.images, face=math.prod(classifier.input_shape), multiple=BATCH)
    return records.Predictions(
        probabilities=np.concatenate(
            [asked.predict(faces_for(classifier, some), batch_size=count) for some in shown]
        ),
        labels=part.labels,
        rows=part.rows,
        copies=datasets.copies_in_training(dataset)[chosen],
        expressions=classifier.expressions,
    )


def faces_for(classifier: models.Classifier, images: np.ndarray) -> np.ndarray:
    """Convert faces to the size and the channels that a network takes.

    Parameters
    ----------
    classifier : Classifier
        The network.
    images : numpy.ndarray
        (n, h, w, c) uint8.

    Returns
    -------
    numpy.ndarray
        (n, height, width, channels) uint8: resized; gray repeated for a network of three
        channels, color turned to gray (Pillow's "L") for one of a single channel.
    """
    height, width, channels = classifier.input_shape
    if channels == 1 and images.shape[-1] == 3:
        images = faces.to_gray(images)[..., None]
    images = faces.resize(images, (height, width))
    if channels == 3 and images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    return images
