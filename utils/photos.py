"""A photo in, its faces with their expressions out: what ``predict.py`` calls.

The steps are those that the training pictures went through: `faces.read_photo` gives the photo
upright in RGB, a detector its boxes, `faces.crop` a square around each, and `cropped` the size and
the channels that the network takes.
"""

from __future__ import annotations

import csv
import glob
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from utils import faces, inference, runtime
from utils.runtime import DataError

if TYPE_CHECKING:
    from utils import models

    #: Either asks the same network; the first needs no TensorFlow.
    Classifier: TypeAlias = inference.Classifier | models.Classifier

#: How far a detector's box is widened, as a fraction of its sides. Measured on ExpW's training and
#: validation rows (``results/photos/margin.json``), with the network trained on FER2013: of 1,247
#: faces in CenterFace's boxes it names 400 rightly at 0, 390 at 0.05, 378 at 0.1, 336 at 0.2 and
#: 307 at 0.3; in ExpW's own boxes of the same faces 406, 396, 379, 358 and 307. More margin costs;
#: so none.
MARGIN = 0.0

#: How the names of films and photos end: what FFmpeg and Pillow open, but no playlists, which
#: would lead to other files.
FILMS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp")
PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


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
        from utils import figures

        captions = [f"{face.expression} {face.probability:.0%}" for face in self.faces]
        return figures.annotated_photo(self.pixels, [face.box for face in self.faces], captions)


def load(name: Path | str) -> tuple[Classifier, dict[str, Any]]:
    """Load a network by what a person would call it, without Keras where that can be.

    Parameters
    ----------
    name : str or path
        An ``.onnx`` file, the name of a network that lies in ``models/`` as such, or what
        `models.find` knows; a run's own file comes first.

    Returns
    -------
    classifier : inference.Classifier or models.Classifier
        Of an ``.onnx`` or a ``.keras`` file.
    about : dict
        What `describe` says of it.

    Raises
    ------
    ModelError
        When there is none, or it cannot be loaded.
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
    """Load a ``.keras`` file that `models.find` returned, as `load` does, with what it raises.

    It answers with the mean of as many views of a face as its run was tested in.
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
        A picture as `faces.read_photo` takes it.
    classifier : Classifier
        The network.
    detector : {"centerface", "mtcnn", "haar"}
        As `faces.detect` knows them, and its ``side``.
    margin : float
        How far each box is widened before the crop, as a fraction of its sides, 0 … 10.

    Raises
    ------
    DataError
        When the file is not a picture that can be read; names it.
    ModelError
        When the network answers with no probabilities, or the detector cannot be loaded.
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

    ``turn`` says whether to look for faces on their side where none is upright (`faces.detect`).
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
    """Cut n faces out of RGB pixels, upright: (n, height, width, channels) uint8."""
    height, width, channels = classifier.input_shape
    boxes = [one.box for one in found]
    crops, _ = faces.crop_all(pixels, boxes, margin=margin, size=max(height, width))
    for at, one in enumerate(found):
        crops[at] = np.rot90(crops[at], one.turns)
    if channels == 1:
        crops = faces.to_gray(crops)[..., None]
    return faces.resize(crops, (height, width))


def is_film(path: Path | str) -> bool:
    """Whether a file's name, and no folder's, ends like a film's (`FILMS`)."""
    return Path(path).suffix.lower() in FILMS and not os.path.isdir(path)


def listed(names: Sequence[str]) -> tuple[list[str], list[DataError]]:
    """List the files that a command line names: folders and patterns become what is in them.

    Returns
    -------
    files : list of str
        As given; of a folder, and the folders in it, everything whose name ends like a photo's, by
        name; of a pattern (``*``, ``?``, ``[…]``, ``**``) that is no file's name all that fits it.
    errors : list of DataError
        One for each folder without a photo, and each pattern that nothing fits.
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
            expected = "no file fits this pattern"
        else:
            inside, expected = [name], ""
        files += inside
        if not inside:
            errors.append(DataError(f"{shown(name)}: {expected}"))
    return files, errors


class Table:
    """A table of faces that grows row by row, and is whole whenever its writing stops.

    Parameters
    ----------
    path : Path or None
        A new file ending in ``.csv`` or ``.parquet``; None writes CSV to stdout. A Parquet file is
        made of a CSV file beside it, ``NAME.parquet.csv``, when the table is closed: that is what a
        killed process leaves.
    expressions : sequence of str
        The network's: a column each.

    Raises
    ------
    DataError
        When the file is there already, or has another ending.
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
                raise DataError(f"{shown(place)}: is there already, expected a new file") from None
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
    """Say what kind of values each column of a `Table` has, as `pyarrow.Schema`."""
    import pyarrow

    kinds = {"frame": "int64", "track": "int64"}
    kinds |= dict.fromkeys(("file", "expression", "error"), "string")
    return pyarrow.schema([(name, kinds.get(name, "float64")) for name in columns])


def row(source: str, time: float | None, frame: int | None, track: int, face: Face) -> tuple:
    """Write a face as a row of a `Table`: a photo's has no time and frame, and counts from 1."""
    when = None if time is None else round(time, 3)
    box = (round(float(edge), 2) for edge in vars(face.box).values())
    shares = (round(float(share), 6) for share in face.probabilities)
    sure, likely = round(face.confidence, 6), round(face.probability, 6)
    return (source, when, frame, track, *box, sure, face.expression, likely, *shares)


def rows(photo: Photo) -> list[tuple]:
    """Write a photo's faces as rows of a `Table`."""
    return [
        row(shown(photo.path), None, None, at, face) for at, face in enumerate(photo.faces, start=1)
    ]


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

    marked = Image.fromarray(photo.annotated())
    path, file = new_file(folder, f"{photo.path.stem}-faces", ".png")
    try:
        with file:
            marked.save(file, "PNG")
    except BaseException:
        path.unlink()
        raise
    return path


def new_file(folder: Path, stem: str, suffix: str) -> tuple[Path, io.BufferedWriter]:
    """Open a file of a name that is not taken, in a folder that is made if it is not there."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: a file, expected a folder for the marked photos")
    folder.mkdir(parents=True, exist_ok=True)
    number, path = 1, folder / f"{stem}{suffix}"
    while True:
        try:
            return path, path.open("xb")  # refuses a file, a link, and the same name in capitals
        except FileExistsError:
            number += 1
            path = folder / f"{stem}-{number}{suffix}"


def describe(network: Path) -> dict[str, Any]:
    """Say which network a ``.keras`` file holds, and how good its record says it is.

    Returns
    -------
    dict
        "name"; and of a network whose run is recorded "trained_on", "test_accuracy" (0 … 1, on
        the test split of what it was trained on), "test_interval" (95 %), "test_faces",
        "test_accuracy_without_copies" and "test_views", how many views of each face it is shown,
        in the test and by `load`. All are None where no record belongs to the file.
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
        # NaN, where every test picture is a copy, is no JSON.
        "test_accuracy_without_copies": (
            round(found.accuracy_without_copies, 6) if found and found.n_without_copies else None
        ),
        "test_views": run.views if run else None,
    }


def sentences(photo: Photo, top: int = 1) -> list[str]:
    """Write what was found, a line for the photo and one a face with its ``top`` expressions."""
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
    r"""Write a path so that it can be printed: bytes that are no UTF-8 become ``\xff``."""
    return runtime.printable(os.fsencode(path).decode("utf-8", "backslashreplace"))
