"""The sample faces as files, in the formats of the real data."""

from __future__ import annotations

import shutil
from pathlib import Path

from utils.expressions import EXPRESSIONS, FERPLUS_COLUMNS
from utils.runtime import DataError
from utils.sample.photos import PHOTOS, render_photos
from utils.sample.rows import ROWS, render_rows

#: Marks every folder that `write` made: only such a folder is ever overwritten.
MARKER = "rendered-sample-faces.json"


def write(folder: str | Path, *, rows: int = ROWS, photos: int = PHOTOS, seed: int = 0) -> Path:
    """Write the sample faces in the file formats of FER2013, FER+, the folder release and ExpW.

    ::

        folder/fer2013/fer2013.csv              emotion,pixels,Usage
        folder/fer2013/fer2013new.csv           FER+'s votes, row for row
        folder/fer2013/train/angry/Training_12.png
        folder/fer2013/test/sad/PublicTest_1405.png, PrivateTest_1702.png, …
        folder/expw/label.lst                   name face_id top left right bottom confidence label
        folder/expw/image/sample_0000.png

    The number in a picture's name is its row in the csv, from 0.

    Parameters
    ----------
    folder : str or Path
        Created if missing. A folder from an earlier call is rewritten.
    rows, photos, seed : int
        As `render_rows` and `render_photos` take them.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        When the folder is not empty and has no `MARKER`, so no earlier call wrote it; in one with
        it, ``fer2013`` and ``expw`` are rewritten. For counts or a seed that cannot be rendered.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise DataError(
            f"{folder} holds other files: expected an empty folder, or one with {MARKER}"
        )
    faces = render_rows(rows, seed)
    pictures = render_photos(photos, seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text('"rendered sample faces: no person is shown"\n', "utf-8")
    for name in ("fer2013", "expw"):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
    _write_rows(folder / "fer2013", faces)
    _write_photos(folder / "expw", pictures)
    return folder


def _write_rows(folder: Path, faces) -> None:
    """Write Kaggle's csv, FER+'s votes (a row without a face has no name), and the folders."""
    from PIL import Image

    table = ["emotion,pixels,Usage"]
    votes = [",".join(("Usage", "Image name", *FERPLUS_COLUMNS))]
    number = 0
    for row, (image, label, usage) in enumerate(
        zip(faces.images, faces.labels, faces.usage, strict=True)
    ):
        table.append(f"{label},{' '.join(map(str, image.ravel().tolist()))},{usage}")
        name = "" if row in faces.flat else f"fer{number:07d}.png"
        number += bool(name)
        votes.append(",".join((str(usage), name, *map(str, faces.votes[row].tolist()))))
        place = folder / ("train" if usage == "Training" else "test") / EXPRESSIONS[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{usage}_{row}.png")
    _write_lines(folder / "fer2013.csv", table)
    _write_lines(folder / "fer2013new.csv", votes)


def _write_photos(folder: Path, photos) -> None:
    """Write ExpW's ``label.lst`` and the pictures that it lists."""
    from PIL import Image

    (folder / "image").mkdir(parents=True)
    lines = []
    for photo in photos:
        Image.fromarray(photo.image).save(folder / "image" / photo.name)
        for face, (left, top, right, bottom) in enumerate(photo.boxes.tolist()):
            sure, label = photo.confidence[face], photo.labels[face]
            lines.append(f"{photo.name} {face} {top} {left} {right} {bottom} {sure:.4f} {label}")
    _write_lines(folder / "label.lst", lines)


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
