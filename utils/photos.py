"""A photo in, its faces with their expressions out: what ``predict.py`` calls.

The steps are those that the training pictures went through: `faces.read_photo` gives the photo
upright in RGB, a detector its boxes, `faces.crop` a square around each, and
`training.faces_for` the size and the channels that the network takes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from utils import evaluation, faces, figures, models, records, runtime, training
from utils.runtime import ModelError

#: How far a detector's box is widened, as a fraction of its sides. Measured on ExpW's training and
#: validation rows (``benchmarks/margin.py``, ``results/photos/margin.json``), with the network
#: trained on FER2013: of 384 faces in mtcnn's boxes it names 115 rightly at 0, 117 at 0.05, 112 at
#: 0.1, 95 at 0.2 and 85 at 0.3; of 1,349 in ExpW's own boxes 426, 421, 404, 378 and 327. A little
#: margin changes nothing, more of it costs; so none.
MARGIN = 0.0


@dataclass(frozen=True)
class Face:
    """A face in a photo, and what a network says of it.

    Attributes
    ----------
    box : Box
        Where the detector found it, in pixels of the upright photo.
    confidence : float
        How sure the detector is that this is a face (see `faces.Detection`).
    expressions : tuple of k str
        The network's classes.
    probabilities : (k,) float32 array
        Of each class, summing to 1.
    """

    box: faces.Box
    confidence: float
    expressions: tuple[str, ...]
    probabilities: np.ndarray = field(repr=False)

    @property
    def expression(self) -> str:
        """The most probable class."""
        return self.expressions[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """How probable that is, 1/k … 1."""
        return float(self.probabilities.max())

    def top(self, count: int) -> list[tuple[str, float]]:
        """List the ``count`` most probable classes with their probabilities, or all there are."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.expressions[at], float(self.probabilities[at])) for at in order]

    def as_json(self) -> dict[str, Any]:
        """Return box, detector_confidence, expression, probability and probabilities by name."""
        edges = {name: round(edge, 2) for name, edge in vars(self.box).items()}
        return {
            "box": edges,
            "detector_confidence": round(self.confidence, 6),
            "expression": self.expression,
            "probability": round(self.probability, 6),
            "probabilities": {
                name: round(float(share), 6)
                for name, share in zip(self.expressions, self.probabilities, strict=True)
            },
        }


@dataclass(frozen=True)
class Photo:
    """A photo with its faces.

    Attributes
    ----------
    path : pathlib.Path
        Its file.
    pixels : (height, width, 3) uint8 array
        Upright RGB.
    faces : tuple of Face
        The detector's surest first; empty where it found none.
    """

    path: Path
    pixels: np.ndarray = field(repr=False)
    faces: tuple[Face, ...]

    def as_json(self) -> dict[str, Any]:
        """Return photo (the path as given), width, height and faces, ready for JSON."""
        return {
            "photo": shown(self.path),
            "width": self.pixels.shape[1],
            "height": self.pixels.shape[0],
            "faces": [face.as_json() for face in self.faces],
        }

    def annotated(self) -> np.ndarray:
        """Draw each face's box, expression and probability: (height, width, 3) uint8, RGB."""
        captions = [f"{face.expression} {face.probability:.0%}" for face in self.faces]
        return figures.annotated_photo(self.pixels, [face.box for face in self.faces], captions)


def read(
    path: Path | str,
    classifier: models.Classifier,
    *,
    detector: str = "mtcnn",
    margin: float = MARGIN,
) -> Photo:
    """Read a photo, find its faces, and name their expressions.

    Parameters
    ----------
    path : path
        A picture as `faces.read_photo` takes it.
    classifier : Classifier
        The network.
    detector : {"mtcnn", "haar"}
        As `faces.detect` knows them.
    margin : float
        How far each box is widened before the crop, as a fraction of its sides, 0 … 10.

    Returns
    -------
    Photo

    Raises
    ------
    DataError
        When the file is no picture that can be read; names it.
    ModelError
        When the network takes something else than faces of one size, gray or RGB.
    ImportError
        When the detector's package is missing, or does not run on Keras's backend.
    """
    import keras

    backend = keras.backend.backend()
    if detector == "mtcnn" and backend != "tensorflow":
        raise ImportError(
            f"detector 'mtcnn' runs on TensorFlow alone, and Keras runs on {backend}: choose "
            "detector 'haar'"
        )
    pixels = faces.read_photo(path)
    found = faces.detect(pixels, detector)
    crops = cropped(pixels, [one.box for one in found], classifier, margin=margin)
    probabilities = classifier.predict(crops)
    return Photo(
        Path(path),
        pixels,
        tuple(
            Face(one.box, one.confidence, classifier.expressions, shares)
            for one, shares in zip(found, probabilities, strict=True)
        ),
    )


def cropped(
    pixels: np.ndarray,
    boxes: Sequence[faces.Box],
    classifier: models.Classifier,
    *,
    margin: float = MARGIN,
) -> np.ndarray:
    """Cut faces out of a photo as a network takes them.

    Parameters
    ----------
    pixels : (height, width, 3) uint8 array
        RGB.
    boxes : sequence of n Box
        Where the faces are.
    classifier : Classifier
        Its input says size and channels.
    margin : float
        As `read` takes it.

    Returns
    -------
    (n, height, width, channels) uint8 array

    Raises
    ------
    ModelError
        When the network takes something else than faces of one size, gray or RGB.
    """
    height, width, channels = classifier.input_shape
    if height is None or width is None or channels not in (1, 3):
        raise ModelError(
            f"the network takes pixels of shape {classifier.input_shape}; "
            "expected one height and width, and 1 or 3 channels"
        )
    crops, _ = faces.crop_all(pixels, boxes, margin=margin, size=max(height, width))
    return training.faces_for(classifier, crops)


def save(photo: Photo, folder: Path, taken: Sequence[Path] = ()) -> Path:
    """Write a photo with its faces marked, as ``NAME-faces.png``.

    Parameters
    ----------
    photo : Photo
        With faces or without.
    folder : path
        Made if it is not there.
    taken : sequence of path
        Files already written that must stay: a second photo of the same name becomes
        ``NAME-faces-2.png``.

    Returns
    -------
    pathlib.Path
        The file, complete or not there.
    """
    from PIL import Image

    path, number = folder / f"{photo.path.stem}-faces.png", 1
    while path in taken:
        number += 1
        path = folder / f"{photo.path.stem}-faces-{number}.png"
    content = io.BytesIO()
    Image.fromarray(photo.annotated()).save(content, "PNG")
    runtime.write_atomically(path, content.getvalue())
    return path


def describe(network: Path) -> dict[str, Any]:
    """Say which network answers, and how good its record says it is.

    Parameters
    ----------
    network : path
        Its ``.keras`` file.

    Returns
    -------
    dict
        "name"; and of a network whose run is recorded "trained_on", "test_accuracy" (0 … 1, on
        the test split of what it was trained on), "test_interval" (95 %), "test_faces" and
        "test_accuracy_without_copies". These are None where no record belongs to the file.
    """
    run = records.run_of(network)
    found = evaluation.summary(run.test) if run else None
    return {
        "name": records.network_name(network),
        "trained_on": run.info["dataset"] if run else None,
        "test_accuracy": round(found.accuracy, 6) if found else None,
        "test_interval": [round(end, 6) for end in found.interval] if found else None,
        "test_faces": found.n if found else None,
        # NaN, where every test picture is a copy, is no JSON.
        "test_accuracy_without_copies": (
            round(found.accuracy_without_copies, 6) if found and found.n_without_copies else None
        ),
    }


def sentences(photo: Photo, top: int = 1) -> list[str]:
    """Write what was found, a line for the photo and one a face.

    Parameters
    ----------
    photo : Photo
        With faces or without.
    top : int
        How many expressions of each face are named, 1 or more.

    Returns
    -------
    list of str
    """
    height, width = photo.pixels.shape[:2]
    count = {0: "no face found", 1: "1 face"}.get(len(photo.faces), f"{len(photo.faces)} faces")
    lines = [f"{shown(photo.path)} ({width}×{height}): {count}"]
    for face in photo.faces:
        named = ", ".join(f"{name} {share:.1%}" for name, share in face.top(top))
        box = face.box
        lines.append(
            f"  {named}  at left {box.left:.0f}, top {box.top:.0f}, right {box.right:.0f}, "
            f"bottom {box.bottom:.0f}  (detector {face.confidence:.3g})"
        )
    return lines


def shown(path: Path | str) -> str:
    r"""Write a path so that it can be printed: bytes that are no UTF-8 become ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
