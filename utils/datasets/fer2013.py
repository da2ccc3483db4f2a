"""FER2013 (Goodfellow et al. 2013): Kaggle's csv, and the release as folders of pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from utils.datasets import cache as caching
from utils.datasets import folder, sources, splits
from utils.datasets.dataset import USAGES, FaceDataset
from utils.datasets.sources import refuse
from utils.expressions import EXPRESSIONS

#: Kaggle's two names for the same table, then the archives that people keep it in.
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
ARCHIVE_NAMES = (
    "fer2013.csv.gz",
    "fer2013.csv.zip",
    "fer2013.zip",
    "fer2013.tar.gz",
    "archive.zip",
    "fer2013.tar",
)

SIDE = 48
PIXELS = SIDE * SIDE

_COLUMNS = ("emotion", "pixels", "usage")
_EMOTIONS = {str(label).encode(): label for label in range(len(EXPRESSIONS))}
_USAGES = {usage.encode(): split for usage, split in USAGES.items()}
_LONGEST_LINE = 1 << 16  # a row of FER2013 has at most 9,300 bytes


def load(
    path: str | os.PathLike | None = None, *, cache: bool = True, seed: int = 0
) -> FaceDataset:
    """Load FER2013's 35,887 faces of 48×48.

    Parameters
    ----------
    path : path, optional
        The csv; a zip, gzip or tar archive with the csv anywhere inside; or a folder that holds
        one of these, or ``train/<expression>/*.jpg`` and ``test/…``. By default
        ``data/raw/fer2013``.
    cache, seed
        As in `datasets.load`. The seed draws the validation tenth of a folder release whose file
        names do not give the split.

    Returns
    -------
    FaceDataset
        Images (n, 48, 48, 1). Rows count the csv's rows, or a folder's pictures in sorted order.

    Raises
    ------
    DataError
        For anything that is not FER2013 in one of these forms: names file, row and expectation.
    """
    hint = "run `make data`, or name a copy (--path, or datasets.load('fer2013', 'fer2013.csv'))"
    path = sources.named_or_default(path, "fer2013", "FER2013", hint)
    table = find_csv(path)
    if table is not None:
        return caching.remember(
            f"fer2013 {table.absolute()}", [table], lambda: read_csv(table), cache=cache
        )
    root = find_folders(path)
    listing = folder.list_pictures(root)
    return caching.remember(
        f"fer2013 {root.absolute()} seed={seed}",
        listing.files,
        lambda: _read_folders(listing, seed),
        cache=cache,
        listed=listing.digest(),
    )


def find_csv(path: Path) -> Path | None:
    """Find the csv or archive that `path` names or contains; None for a folder without one."""
    if path.is_dir():
        found = sources.find_files(path, CSV_NAMES) or sources.find_files(path, ARCHIVE_NAMES)
        return found[0] if found else None
    return path


def find_folders(path: Path) -> Path:
    """Find the folder nearest to `path` that contains ``train`` and ``test``."""
    found = [
        parent
        for parent, folders, _ in sources.walk(path, depth=3)
        if {"training", "test"} <= {splits.named(name) for name in folders}
    ]
    if not found:
        expected = (
            f"{CSV_NAMES[0]}, an archive such as {ARCHIVE_NAMES[2]}, or folders train and test"
        )
        refuse(sources.shown(path), "no FER2013", f"{expected} (other faces: --data folder)")
    return found[0]


def _read_folders(listing: folder.Listing, seed: int) -> FaceDataset:
    """Read the release as folders: seven classes, 48×48, nothing damaged, no split empty."""
    dataset = folder.read(listing, name="fer2013", size=SIDE, seed=seed, strict=True)
    if set(dataset.expressions) != set(EXPRESSIONS):
        found = f"the classes {', '.join(dataset.expressions)}"
        refuse(dataset.source, found, f"{', '.join(EXPRESSIONS)} (others: --data folder)")
    for split in ("training", "test"):
        for name, count in dataset.counts()[split].items():
            if not count:
                refuse(dataset.source, f"no pictures of {name} for {split}", "some")
    return dataset


def read_csv(path: str | os.PathLike) -> FaceDataset:
    """Read ``emotion,pixels,Usage`` rows, without the cache.

    The path is the csv, or an archive with the csv anywhere inside. Columns are found by name, in
    any order; spaces and quotes around names and fields are ignored.

    Raises
    ------
    DataError
        A missing column; a row with the wrong number of fields or pixels; a pixel that is not a
        whole number in 0 … 255; an emotion outside 0 … 6; an unknown Usage; an empty or truncated
        file.
    """
    path = Path(path)
    images, labels, split = [], [], []
    with sources.open_csv(path, CSV_NAMES) as (file, title):
        lines = _lines(file, title)
        *places, count = _header(next(lines, b""), title)
        for row, line in enumerate(lines):
            fields = line.split(b",")
            if len(fields) != count:
                refuse(_row(title, row), f"{len(fields)} fields", f"{count}")
            emotion, pixels, usage = (_unquoted(fields[place]) for place in places)
            if emotion not in _EMOTIONS:
                refuse(_row(title, row), f"emotion {_text(emotion)}", "a whole number 0 … 6")
            if usage not in _USAGES:
                refuse(_row(title, row), f"Usage {_text(usage)}", ", ".join(USAGES))
            labels.append(_EMOTIONS[emotion])
            split.append(_USAGES[usage])
            images.append(_pixels(pixels, _row(title, row)))
    if not labels:
        refuse(title, "no rows after the header", "emotion,pixels,Usage")
    return FaceDataset(
        images=np.concatenate(images).reshape(-1, SIDE, SIDE, 1),
        labels=np.array(labels, dtype=np.int64),
        split=np.array(split),
        rows=np.arange(len(labels), dtype=np.int64),
        name="fer2013",
        source=sources.shown(path),
    )


def _lines(file, title: str) -> Iterator[bytes]:
    """Yield lines without line ends; blank ones are allowed only at the file's end."""
    blank = None
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
        if len(line) == _LONGEST_LINE:
            found = f"a line of more than {_LONGEST_LINE:,} bytes"
            refuse(f"{title}, line {number}", found, f"emotion, {PIXELS:,} pixels and Usage")
        line = line.rstrip(b"\r\n")
        if not line.strip():
            blank = blank or number
        elif blank:
            refuse(f"{title}, line {blank}", "a blank line", "a row")
        else:
            yield line


def _header(line: bytes, title: str) -> list[int]:
    """Find the positions of emotion, pixels and Usage, and the number of columns."""
    expected = "emotion, pixels and Usage once each"
    if line.startswith(b"PAR1"):
        refuse(title, "a parquet file", f"{expected} in a csv (try --data folder)")
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    if not text.replace("\t", " ").isprintable() or "\ufffd" in text:
        refuse(f"{title}, line 1", "bytes that are not text", f"{expected} in a csv")
    names = [name.strip().strip('"').lower() for name in text.split(",")]
    missing = [name for name in _COLUMNS if names.count(name) != 1]
    if missing == ["usage"]:
        expected += " (the challenge's train.csv has none: use fer2013.csv or icml_face_data.csv)"
    if missing:
        refuse(f"{title}, line 1", f"columns {_text(line)}", expected)
    return [*(names.index(name) for name in _COLUMNS), len(names)]


def _unquoted(field: bytes) -> bytes:
    field = field.strip()
    quoted = len(field) > 1 and field[:1] == field[-1:] == b'"'
    return field[1:-1].strip() if quoted else field


def _pixels(field: bytes, where: str) -> np.ndarray:
    """Turn a row's 2,304 numbers into uint8; an odd row is checked number by number."""
    if field.replace(b" ", b"").isdigit():
        values = np.fromstring(field, dtype=np.int64, sep=" ")
        if values.size == PIXELS and values.max() <= 255:
            return values.astype(np.uint8)
    numbers = field.split()
    for place, number in enumerate(numbers):
        if not number.isdigit() or len(number) > 9 or int(number) > 255:
            refuse(where, f"pixel {place} = {_text(number)}", "a whole number 0 … 255")
    if len(numbers) != PIXELS:
        refuse(where, f"{len(numbers):,} pixels", f"{PIXELS:,} ({SIDE}×{SIDE})")
    return np.array([int(number) for number in numbers], dtype=np.uint8)


def _row(title: str, row: int) -> str:
    return f"{title}, row {row} (line {row + 2})"  # the header is line 1


def _text(value: bytes) -> str:
    """Quote bytes for a message: short and printable."""
    text = value.decode("utf-8", "replace")
    return repr(text if len(text) <= 60 else text[:57] + "...")
