"""Faces in photos and their expressions: what ``predict.py`` calls.

The steps are those that the training pictures went through: `faces.read_photo` reads the photo
upright in RGB, a detector finds boxes, `faces.crop` cuts a square around each, and `cropped` gives
it the size and channels that the network takes.
"""

from __future__ import annotations

import csv
import glob
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from utils import faces, inference, runtime
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils import models

    #: Both run the same network; the first needs no TensorFlow.
    Classifier: TypeAlias = inference.Classifier | models.Classifier

#: How far a detector's box is widened, as a fraction of its sides. Measured on ExpW's training and
#: validation rows (``results/photos/margin.json``), with the network trained on FER2013: of 1,247
#: faces in CenterFace's boxes it gets 400 right at 0, 390 at 0.05, 378 at 0.1, 336 at 0.2, and 307
#: at 0.3; in ExpW's own boxes of the same faces 406, 396, 379, 358, and 307. A larger margin costs
#: accuracy, so there is none.
MARGIN = 0.0

#: File extensions of videos and photos: what FFmpeg and Pillow open, except playlists, which could
#: open other files.
VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp")
PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True)
class Face:
    """A face in a photo, and a network's prediction for it.

    `box` and `confidence` are the detector's (see `faces.Detection`); `expressions` are the
    network's k classes, and `probabilities` (k,) float32 are theirs, summing to 1.
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
        """The probability of that class, 1/k … 1."""
        return float(self.probabilities.max())

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

    The detector's most confident face comes first; there may be none.
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
        from utils import figures

        captions = [f"{face.expression} {face.probability:.0%}" for face in self.faces]
        return figures.annotated_photo(self.pixels, [face.box for face in self.faces], captions)


def load(name: Path | str) -> tuple[Classifier, dict[str, Any]]:
    """Load a network by name or file, without Keras where possible.

    Parameters
    ----------
    name : str or path
        An ``.onnx`` file, the name of one in ``models/``, or whatever `models.find` accepts; a
        run's own file comes first.

    Returns
    -------
    classifier : inference.Classifier or models.Classifier
        From an ``.onnx`` or a ``.keras`` file.
    about : dict
        What `describe` returns for it.

    Raises
    ------
    ModelError
        When there is no such network, or it cannot be loaded.
    """
    text = str(name)
    path = Path(text) if text.endswith(".onnx") else runtime.MODELS / f"{text}.onnx"
    own = (Path(text), runtime.RESULTS / text)
    if text.endswith(".onnx") or (
        path.is_file() and not any((folder / "model.keras").is_file() for folder in own)
    ):
        classifier = inference.load(path)
        return classifier, classifier.metadata["accuracy"]
    runtime.setup()
    from utils import models

    return load_keras(models.find(name))


def load_keras(file: Path) -> tuple[Classifier, dict[str, Any]]:
    """Load a ``.keras`` file that `models.find` returned; returns and raises as `load` does.

    The network predicts the mean over as many views of a face as its run was tested with.
    """
    from utils import models, records

    classifier, run = models.load(file), records.run_of(file)
    return models.averaged(classifier, run.views if run else 1), describe(file)


def read(
    path: Path | str,
    classifier: Classifier,
    *,
    detector: str = "centerface",
    margin: float = MARGIN,
    side: int | None = None,
) -> Photo:
    """Read a photo, find its faces, and name their expressions.

    Parameters
    ----------
    path : path
        A picture that `faces.read_photo` reads.
    classifier : Classifier
        The network.
    detector : {"centerface", "mtcnn", "haar"}
        As for `faces.detect`; so is ``side``.
    margin : float
        How far each box is widened before the crop, as a fraction of its sides, 0 … 10.

    Raises
    ------
    DataError
        When the file is not a readable picture; names it.
    ModelError
        When the network's outputs are not probabilities, or the detector cannot be loaded.
    """
    pixels = faces.read_photo(path)
    try:
        found = find(pixels, classifier, detector=detector, margin=margin, side=side)
    except DataError as error:
        raise DataError(f"{shown(path)}: {error}") from error
    return Photo(Path(path), pixels, found)


def find(
    pixels: np.ndarray,
    classifier: Classifier,
    *,
    detector: str = "centerface",
    margin: float = MARGIN,
    side: int | None = None,
    turn: bool = True,
) -> tuple[Face, ...]:
    """Find the faces in (height, width, 3) uint8 RGB pixels, and name them as `read` does.

    ``turn``: whether to look for faces on their side where none is upright (`faces.detect`).
    """
    found = faces.detect(pixels, detector, side=side, turn=turn)
    crops = cropped(pixels, found, classifier, margin=margin)
    named = zip(found, classifier.predict(crops), strict=True)
    return tuple(Face(one.box, one.confidence, classifier.expressions, row) for one, row in named)


def cropped(
    pixels: np.ndarray,
    found: Sequence[faces.Detection],
    classifier: Classifier,
    *,
    margin: float = MARGIN,
) -> np.ndarray:
    """Crop n faces from RGB pixels, upright: (n, height, width, channels) uint8."""
    height, width, channels = classifier.input_shape
    boxes = [one.box for one in found]
    crops, _ = faces.crop_all(pixels, boxes, margin=margin, size=max(height, width))
    for at, one in enumerate(found):
        crops[at] = np.rot90(crops[at], one.turns)
    if channels == 1:
        crops = faces.to_gray(crops)[..., None]
    return faces.resize(crops, (height, width))


def is_video(path: Path | str) -> bool:
    """Tell whether a path has a video's extension (`VIDEOS`) and is not a folder."""
    return Path(path).suffix.lower() in VIDEOS and not os.path.isdir(path)


def listed(names: Sequence[str]) -> tuple[list[str], list[DataError]]:
    """List the files that a command line names, with folders and patterns expanded.

    Returns
    -------
    files : list of str
        As given; for a folder, the files in it and its subfolders that have a photo's extension, by
        name; for a pattern (``*``, ``?``, ``[…]``, ``**``) that is not a file's name, all matches.
    errors : list of DataError
        One per folder without a photo, and per pattern without a match.
    """
    files: list[str] = []
    errors = []
    for name in names:
        if os.path.isdir(name):
            inside = [str(path) for path in Path(name).rglob("*") if path.is_file()]
            inside = sorted(path for path in inside if Path(path).suffix.lower() in PHOTOS)
            expected = f"no photo in that folder, expected files ending in {', '.join(PHOTOS)}"
        elif not os.path.lexists(name) and glob.has_magic(name):
            inside = sorted(filter(os.path.isfile, glob.glob(name, recursive=True)))
            expected = "no file matches this pattern"
        else:
            inside, expected = [name], ""
        files += inside
        if not inside:
            errors.append(DataError(f"{shown(name)}: {expected}"))
    return files, errors


class Table:
    """A table of faces, written row by row, and intact whenever writing stops.

    Parameters
    ----------
    path : Path or None
        A new file ending in ``.csv`` or ``.parquet``; None writes CSV to stdout. A Parquet file is
        made from a CSV file next to it, ``NAME.parquet.csv``, when the table is closed; a killed
        process leaves the CSV file.
    expressions : sequence of str
        The network's; one column each.

    Raises
    ------
    DataError
        When the file already exists, or has another extension.
    """

    COLUMNS = (
        *("file", "time", "frame", "track", "left", "top", "right", "bottom"),
        *("detector_confidence", "expression", "probability"),
    )

    def __init__(self, path: Path | None, expressions: Sequence[str]) -> None:
        self.path, self.columns = path, (*self.COLUMNS, *expressions)
        self._file: Any = None
        if path is not None:
            ending, place = path.suffix.lower(), path
            if ending not in (".csv", ".parquet"):
                raise DataError(f"{shown(path)}: expected a name ending in .csv or .parquet")
            if ending == ".parquet" and not path.exists():
                place = path.with_name(f"{path.name}.csv")
            try:
                self._file = place.open("xb", buffering=0)
            except FileExistsError:
                raise DataError(f"{shown(place)}: already exists, expected a new file") from None
        self._write([self.columns])

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is None:
            return
        self._file.close()
        if self.path.suffix.lower() == ".parquet":
            from pyarrow import csv, parquet

            place = Path(self._file.name)
            kinds = parquet_schema(self.columns)
            options = csv.ConvertOptions(
                column_types=kinds, null_values=[""], strings_can_be_null=True
            )
            with (
                csv.open_csv(place, convert_options=options) as batches,
                parquet.ParquetWriter(self.path, kinds) as writer,
            ):
                for batch in batches:
                    writer.write_batch(batch)
            place.unlink()

    def add(self, rows: Sequence[tuple]) -> None:
        """Append rows, all or none; `OSError` when the disk is full."""
        if rows:
            self._write(rows)

    def _write(self, rows: Sequence[tuple]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        if self._file is None:
            sys.stdout.write(text.getvalue())
            sys.stdout.flush()
            return
        content, start = text.getvalue().encode(), self._file.tell()
        try:
            while content:
                content = content[self._file.write(content) :]
        except BaseException as error:
            self._file.seek(start)
            self._file.truncate()
            if isinstance(error, OSError):
                error.filename = shown(self.path)
            raise


def parquet_schema(columns: Sequence[str]) -> Any:
    """Return the types of a `Table`'s columns as a `pyarrow.Schema`."""
    import pyarrow

    kinds = {"frame": "int64", "track": "int64"}
    kinds |= dict.fromkeys(("file", "expression", "error"), "string")
    return pyarrow.schema([(name, kinds.get(name, "float64")) for name in columns])


def row(source: str, time: float | None, frame: int | None, track: int, face: Face) -> tuple:
    """Return a face as a `Table` row; in a photo, time and frame are None, track counts from 1."""
    when = None if time is None else round(time, 3)
    box = (round(float(edge), 2) for edge in vars(face.box).values())
    shares = (round(float(share), 6) for share in face.probabilities)
    sure, likely = round(face.confidence, 6), round(face.probability, 6)
    return (source, when, frame, track, *box, sure, face.expression, likely, *shares)


def rows(photo: Photo) -> list[tuple]:
    """Return a photo's faces as `Table` rows."""
    return [
        row(shown(photo.path), None, None, at, face) for at, face in enumerate(photo.faces, start=1)
    ]


def save(photo: Photo, folder: Path) -> Path:
    """Write a photo with its faces marked, never over another file.

    Returns
    -------
    pathlib.Path
        The new file in ``folder``: ``NAME-faces.png``, or if that is taken ``NAME-faces-2.png``,
        and so on.

    Raises
    ------
    DataError
        When the folder, which is created if missing, is a file.
    OSError
        When it cannot be written to; no partial file is left.
    """
    from PIL import Image

    marked = Image.fromarray(photo.annotated())
    return new_file(
        folder, f"{photo.path.stem}-faces", ".png", lambda file: marked.save(file, "PNG")
    )


def new_file(
    folder: Path, stem: str, suffix: str, write: Callable[[BinaryIO], object] = lambda file: None
) -> Path:
    """Write a file, complete or not at all, under a free name in a folder; return its path."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: a file, expected a folder for the marked photos")
    folder.mkdir(parents=True, exist_ok=True)
    number, path = 1, folder / f"{stem}{suffix}"
    while True:
        try:
            file = path.open("xb")  # refuses any existing file or link, whatever its case
            break
        except FileExistsError:
            number += 1
            path = folder / f"{stem}-{number}{suffix}"
    try:
        with file:
            write(file)
    except BaseException:
        path.unlink()
        raise
    return path


def describe(network: Path) -> dict[str, Any]:
    """Describe the network in a ``.keras`` file, with its recorded accuracy.

    Returns
    -------
    dict
        "name"; for a network whose run is recorded also "trained_on", "test_accuracy" (0 … 1, on
        the test split of its training data), "test_interval" (95%), "test_faces",
        "test_accuracy_without_copies", and "test_views", how many views of each face it is shown,
        in the test and by `load`. Without a record, all but "name" are None.
    """
    from utils import evaluation, records

    run = records.run_of(network)
    found = evaluation.summary(run.test) if run else None
    return {
        "name": records.network_name(network),
        "trained_on": run.info["dataset"] if run else None,
        "test_accuracy": round(found.accuracy, 6) if found else None,
        "test_interval": [round(end, 6) for end in found.interval] if found else None,
        "test_faces": found.n if found else None,
        # NaN, where every test picture is a copy, is not JSON.
        "test_accuracy_without_copies": (
            round(found.accuracy_without_copies, 6) if found and found.n_without_copies else None
        ),
        "test_views": run.views if run else None,
    }


def sentences(photo: Photo, top: int = 1) -> list[str]:
    """Summarize: one line for the photo, and one per face with its ``top`` expressions."""
    height, width = photo.pixels.shape[:2]
    count = {0: "no face found", 1: "1 face"}.get(len(photo.faces), f"{len(photo.faces)} faces")
    lines = [f"{shown(photo.path)} ({width}×{height}): {count}"]
    for face in photo.faces:
        likely = np.argsort(-face.probabilities, kind="stable")[:top]
        named = ", ".join(f"{face.expressions[at]} {face.probabilities[at]:.1%}" for at in likely)
        left, top_, right, bottom = (f"{edge:.0f}" for edge in vars(face.box).values())
        lines.append(
            f"  {named}  at left {left}, top {top_}, right {right}, bottom {bottom}  "
            f"(detector {face.confidence:.3g})"
        )
    return lines


def shown(path: Path | str) -> str:
    r"""Return a path as printable text: bytes that are not UTF-8 become ``\xff``."""
    return runtime.printable(os.fsencode(path).decode("utf-8", "backslashreplace"))
