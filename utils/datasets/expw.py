"""ExpW, Expression in the Wild (Zhang et al. 2018): photos, and a list of boxes with labels."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from utils import faces
from utils.datasets import cache as caching
from utils.datasets import sources, splits
from utils.datasets.dataset import FaceDataset
from utils.datasets.sources import refuse
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError, printable

LIST_NAME = "label.lst"

#: The fields of a line of ``label.lst``. Note the order: top before left, right before bottom.
COLUMNS = ("photo", "face", "top", "left", "right", "bottom", "confidence", "label")

_LABELS = {str(label): label for label in range(len(EXPRESSIONS))}


def load(
    path: str | os.PathLike | None = None, *, cache: bool = True, seed: int = 0
) -> FaceDataset:
    """Load ExpW's faces, cropped from their photos by the boxes in ``label.lst``.

    Parameters
    ----------
    path : path, optional
        The folder with ``label.lst`` and, anywhere inside, the photos; or ``label.lst``
        itself. By default ``data/raw/expw``.
    cache, seed
        As in `datasets.load`. The seed draws the split: 70/10/20% of the photos, stratified;
        all faces in one photo go into one split.

    Returns
    -------
    FaceDataset
        Gray images (n, 64, 64, 1), cropped by `utils.faces.crop`, with `photos`. `skipped` counts
        the boxes that were clipped to their photo.

    Raises
    ------
    DataError
        A malformed line; a missing, damaged or huge photo; a box without area, or entirely outside
        its photo; names file and row.
    """
    hint = (
        "request it at mmlab.ie.cuhk.edu.hk/projects/socialrelation, or name a copy "
        "(--path, or datasets.load('expw', 'path/to/expw'))"
    )
    path = sources.named_or_default(path, "expw", "ExpW", hint)
    folder, listing = sources.folder_and_file(path, LIST_NAME, "ExpW's list")
    table = read_list(listing)
    photos = _locate_photos(table, folder, sources.shown(listing))
    return caching.remember(
        f"expw {listing.absolute()} size={faces.SIZE} seed={seed}",
        [listing, *photos.values()],
        lambda: _cut(table, photos, sources.shown(listing), seed),
        cache=cache,
    )


def read_list(path: str | os.PathLike) -> pd.DataFrame:
    """Read ``label.lst``: one face per line, eight fields separated by spaces.

    Returns
    -------
    DataFrame
        The columns of `COLUMNS`: photo (str), face, top, left, right, bottom, label (int),
        confidence (float). The index is the row, from 0: row 0 is line 1.

    Raises
    ------
    DataError
        A line with the wrong number of fields, a field that is not a number, a label outside 0 … 6,
        a box without area, an empty file.
    """
    title = sources.shown(path)
    lines = sources.read_text(Path(path)).rstrip().split("\n")
    return pd.DataFrame(
        [_record(line, f"{title}, row {row} (line {row + 1})") for row, line in enumerate(lines)],
        columns=list(COLUMNS),
    )


def _record(line: str, where: str) -> tuple:
    fields = line.split()
    if len(fields) != len(COLUMNS):
        refuse(where, f"{len(fields)} fields", f"{len(COLUMNS)}: {' '.join(COLUMNS)}")
    photo, *numbers, confidence, label = fields
    for name, number in zip(COLUMNS[1:6], numbers, strict=True):
        if not re.fullmatch(r"-?[0-9]{1,9}", number):
            refuse(where, f"{name} {number[:40]!r}", "a whole number")
    if not re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{0,20})?(e[-+]?[0-9]{1,2})?", confidence):
        refuse(where, f"confidence {confidence[:40]!r}", "a number")
    if label not in _LABELS:
        refuse(where, f"label {label[:40]!r}", "a whole number 0 … 6")
    face, top, left, right, bottom = map(int, numbers)
    if right <= left or bottom <= top:
        found = f"a box without area (left {left}, top {top}, right {right}, bottom {bottom})"
        refuse(where, found, "left < right and top < bottom")
    return photo, face, top, left, right, bottom, float(confidence), _LABELS[label]


def _locate_photos(table: pd.DataFrame, folder: Path, title: str) -> dict[str, Path]:
    """Find each listed photo's file, inside the folder, or inside the parent of ``label``."""
    wanted = set(table["photo"])
    files: dict[str, list[Path]] = {}
    folder = Path(folder).absolute()
    for parent, _, names in sources.walk(folder.parent if folder.name == "label" else folder):
        for name in wanted.intersection(names):
            files.setdefault(name, []).append(parent / name)
    for row, name in zip(table.index, table["photo"], strict=True):
        if len(files.get(name, [])) != 1:
            where = f"{title}, row {row} (line {row + 1})"
            found = f"{len(files.get(name, []))} files named {name[:80]!r}"
            refuse(where, f"{found} in {sources.shown(folder)}", "one")
    return {name: found[0] for name, found in files.items()}


def _cut(table: pd.DataFrame, photos: dict[str, Path], title: str, seed: int) -> FaceDataset:
    images = np.empty((len(table), faces.SIZE, faces.SIZE, 1), dtype=np.uint8)
    clipped = 0
    for name, boxes in table.groupby("photo", sort=False):
        row = boxes.index[0]
        try:
            photo = faces.read_photo(photos[name])
            height, width = photo.shape[:2]
            for row, *edges in boxes[["left", "top", "right", "bottom"]].itertuples():
                box = faces.Box(*edges)
                clipped += box.clipped(width, height) != box
                images[row, ..., 0] = faces.to_gray(faces.crop(photo, box))
        except DataError as error:
            where = f"{title}, row {row} (line {row + 1}), {printable(name)}"
            raise DataError(f"{where}: {error}") from error
    labels = table["label"].to_numpy(np.int64)
    names = table["photo"].to_numpy(str)
    return FaceDataset(
        images=images,
        labels=labels,
        split=splits.by_group(labels, names, seed=seed),
        rows=np.arange(len(table), dtype=np.int64),
        name="expw",
        source=title,
        photos=names,
        skipped=(("boxes clipped to their photo", int(clipped)),) if clipped else (),
    )
