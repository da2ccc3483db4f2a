"""A photo in, its faces with their expressions out: what ``predict.py`` calls.

The steps are those that the training pictures went through: `faces.read_photo` gives the photo
upright in RGB, a detector its boxes, `faces.crop` a square around each, and `cropped` the size and
the channels that the network takes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from utils import evaluation, faces, figures, models, records, runtime
from utils.runtime import DataError, ModelError

#: How far a detector's box is widened, as a fraction of its sides. Measured on ExpW's training and
#: validation rows (``results/photos/margin.json``), with the network
#: trained on FER2013: of 384 faces in mtcnn's boxes it names 115 rightly at 0, 117 at 0.05, 112 at
#: 0.1, 95 at 0.2 and 85 at 0.3; of 1,349 in ExpW's own boxes 426, 421, 404, 378 and 327. A little
#: margin changes nothing, more of it costs; so none.
MARGIN = 0.0


@dataclass(frozen=True)
class Face:
    """A face in a photo, and what a network says of it.

    `box` and `confidence` are the detector's (see `faces.Detection`); `expressions` the network's k
    classes, `probabilities` (k,) float32 theirs, summing to 1.
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
        shares = zip(self.expressions, self.probabilities, strict=True)
        return {
            "box": {name: round(edge, 2) for name, edge in vars(self.box).items()},
            "detector_confidence": round(self.confidence, 6),
            "expression": self.expression,
            "probability": round(self.probability, 6),
            "probabilities": {name: round(float(share), 6) for name, share in shares},
        }


@dataclass(frozen=True)
class Photo:
    """A photo's file, its upright RGB pixels (height, width, 3) uint8, and its faces.

    The detector's surest face comes first; there may be none.
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

    Raises
    ------
    DataError
        When the file is no picture that can be read; names it.
    ModelError
        When the network takes something else than faces of one size, gray or RGB, or answers
        with no probabilities; when the detector cannot be loaded.
    """
    pixels = faces.read_photo(path)
    try:
        found = find(pixels, classifier, detector=detector, margin=margin)
    except DataError as error:
        raise DataError(f"{shown(path)}: {error}") from error
    return Photo(Path(path), pixels, found)


def find(
    pixels: np.ndarray,
    classifier: models.Classifier,
    *,
    detector: str = "mtcnn",
    margin: float = MARGIN,
) -> tuple[Face, ...]:
    """Find the faces in (height, width, 3) uint8 RGB pixels, and name them as `read` does."""
    found = faces.detect(pixels, detector)
    crops = cropped(pixels, [one.box for one in found], classifier, margin=margin)
    named = zip(found, classifier.predict(crops), strict=True)
    return tuple(Face(one.box, one.confidence, classifier.expressions, row) for one, row in named)


def cropped(
    pixels: np.ndarray,
    boxes: Sequence[faces.Box],
    classifier: models.Classifier,
    *,
    margin: float = MARGIN,
) -> np.ndarray:
    """Cut n faces out of RGB pixels as a network takes them: (n, height, width, channels) uint8."""
    height, width, channels = (*classifier.input_shape, *[None] * 3)[:3]
    if height is None or width is None or channels not in (1, 3):
        raise ModelError(
            f"the network takes inputs of shape {classifier.input_shape}; "
            "expected one height and width, and 1 or 3 channels"
        )
    crops, _ = faces.crop_all(pixels, boxes, margin=margin, size=max(height, width))
    if channels == 1:
        crops = faces.to_gray(crops)[..., None]
    return faces.resize(crops, (height, width))


def save(photo: Photo, folder: Path) -> Path:
    """Write a photo with its faces marked, and never over another file.

    Returns
    -------
    pathlib.Path
        The new file in ``folder``: ``NAME-faces.png``, or if that is taken ``NAME-faces-2.png``,
        and so on.

    Raises
    ------
    DataError
        When the folder, which is made if it is not there, is a file.
    OSError
        When it cannot be written to; nothing incomplete is left.
    """
    from PIL import Image

    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: a file, expected a folder for the marked photos")
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    Image.fromarray(photo.annotated()).save(content, "PNG")
    number, path = 1, folder / f"{photo.path.stem}-faces.png"
    while True:
        try:
            file = path.open("xb")  # refuses a file, a link, and the same name in capitals
            break
        except FileExistsError:
            number += 1
            path = folder / f"{photo.path.stem}-faces-{number}.png"
    try:
        with file:
            file.write(content.getvalue())
    except BaseException:
        path.unlink()
        raise
    return path


def describe(network: Path) -> dict[str, Any]:
    """Say which network a ``.keras`` file holds, and how good its record says it is.

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
    """Write what was found, a line for the photo and one a face with its ``top`` expressions."""
    height, width = photo.pixels.shape[:2]
    count = {0: "no face found", 1: "1 face"}.get(len(photo.faces), f"{len(photo.faces)} faces")
    lines = [f"{shown(photo.path)} ({width}×{height}): {count}"]
    for face in photo.faces:
        named = ", ".join(f"{name} {share:.1%}" for name, share in face.top(top))
        left, top_, right, bottom = (f"{edge:.0f}" for edge in vars(face.box).values())
        lines.append(
            f"  {named}  at left {left}, top {top_}, right {right}, bottom {bottom}  "
            f"(detector {face.confidence:.3g})"
        )
    return lines


def shown(path: Path | str) -> str:
    r"""Write a path so that it can be printed: bytes that are no UTF-8 become ``\xff``."""
    return runtime.printable(os.fsencode(path).decode("utf-8", "backslashreplace"))
