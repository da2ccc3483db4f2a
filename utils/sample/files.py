"""The sample faces as files, in the formats that the real data come in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.expressions import EXPRESSIONS, FERPLUS_COLUMNS
from utils.runtime import DataError
from utils.sample.photos import PHOTOS, SamplePhoto, render_photos
from utils.sample.rows import ROWS, SampleRows, render_rows
from utils.sample.store import VERSION, digest

#: Stands in every folder that `write` has made: only such a folder is ever written over.
MARKER = "rendered-sample-faces.json"


def write(
    folder: str | Path, *, rows: int = ROWS, photos: int = PHOTOS, seed: int = 0, cache: bool = True
) -> Path:
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
        Made if it is missing. A folder that an earlier call made is written anew.
    rows, photos : int
        How many to render.
    seed : int
        0 or more.
    cache : bool
        Whether renderings are kept in ``data/cache``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        When the folder holds anything that no earlier call has written, such as real data.
    ValueError
        For counts or a seed that cannot be rendered.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file: expected a folder to write the sample faces to")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise DataError(
            f"{folder} holds other files: expected an empty folder, or one with {MARKER}"
        )
    faces = render_rows(rows, seed, cache=cache)
    pictures = render_photos(photos, seed, cache=cache)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "what": "rendered sample faces: no person is shown",
        "version": VERSION,
        "seed": seed,
        "rows": rows,
        "photos": photos,
        "sha256": digest({"images": faces.images}),
    }
    (folder / MARKER).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    for name in ("fer2013", "expw"):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        (folder / name).mkdir()
    write_csv(folder / "fer2013" / "fer2013.csv", faces)
    write_votes(folder / "fer2013" / "fer2013new.csv", faces)
    write_folders(folder / "fer2013", faces)
    write_photos(folder / "expw", pictures)
    return folder


def write_csv(path: Path, faces: SampleRows) -> None:
    """Write Kaggle's ``fer2013.csv``: emotion, 2,304 pixels in one field, Usage."""
    lines = ["emotion,pixels,Usage"]
    for image, label, usage in zip(faces.images, faces.labels, faces.usage, strict=True):
        lines.append(f"{label},{' '.join(map(str, image.ravel().tolist()))},{usage}")
    _write_lines(path, lines)


def write_votes(path: Path, faces: SampleRows) -> None:
    """Write FER+'s ``fer2013new.csv``: a row without a face has no name and is not numbered."""
    lines = [",".join(("Usage", "Image name", *FERPLUS_COLUMNS))]
    none = FERPLUS_COLUMNS.index("NF")
    number = 0
    for votes, usage in zip(faces.votes.tolist(), faces.usage, strict=True):
        shown = votes[none] < sum(votes)
        name = f"fer{number:07d}.png" if shown else ""
        number += shown
        lines.append(",".join((str(usage), name, *map(str, votes))))
    _write_lines(path, lines)


def write_folders(folder: Path, faces: SampleRows) -> None:
    """Write the folder release: ``train`` for Training, ``test`` for both test usages."""
    for row, (image, label, usage) in enumerate(
        zip(faces.images, faces.labels, faces.usage, strict=True)
    ):
        part = "train" if usage == "Training" else "test"
        place = folder / part / EXPRESSIONS[label]
        place.mkdir(parents=True, exist_ok=True)
        _write_picture(place / f"{usage}_{row}.png", image)


def write_photos(folder: Path, photos: Sequence[SamplePhoto]) -> None:
    """Write ExpW's ``label.lst`` and the pictures that it names."""
    (folder / "image").mkdir(parents=True)
    lines = []
    for photo in photos:
        _write_picture(folder / "image" / photo.name, photo.image)
        for face, (box, label, sure) in enumerate(
            zip(photo.boxes.tolist(), photo.labels, photo.confidence, strict=True)
        ):
            left, top, right, bottom = box
            lines.append(f"{photo.name} {face} {top} {left} {right} {bottom} {sure:.4f} {label}")
    _write_lines(folder / "label.lst", lines)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _write_picture(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path)
