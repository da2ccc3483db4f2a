"""FER+ (Barsoum et al. 2016): FER2013's pictures, relabeled by ten people each."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from utils.datasets import fer2013, sources
from utils.datasets.dataset import SPLITS, USAGES, FaceDataset
from utils.datasets.sources import refuse
from utils.expressions import EXPRESSIONS, FERPLUS_COLUMNS, FERPLUS_EXPRESSIONS, meaning

VOTES_NAME = "fer2013new.csv"

_BESIDE = f" and {VOTES_NAME}"
_HINT = (
    f"put {VOTES_NAME} from github.com/microsoft/FERPlus next to fer2013.csv "
    "(python -m utils.datasets.download --source ferplus does)"
)

#: FER+'s vote columns → index into `FERPLUS_EXPRESSIONS`; the last two stand for no class.
_CLASSES = [FERPLUS_EXPRESSIONS.index(meaning(name)) for name in FERPLUS_COLUMNS[:8]]
_UNKNOWN, _NO_FACE = 8, 9
_COUNTS = {str(count): count for count in range(11)}


def load(
    path: str | os.PathLike | None = None, *, cache: bool = True, seed: int = 0
) -> FaceDataset:
    """Load FER2013's faces with the majority of FER+'s votes as labels.

    Parameters
    ----------
    path : path, optional
        The folder that holds ``fer2013new.csv`` and FER2013's csv (or an archive of it), or
        ``fer2013new.csv`` itself with the other next to it. By default ``data/raw/fer2013``.
    cache, seed
        As in `datasets.load`; the seed is unused: FER+ comes split.

    Returns
    -------
    FaceDataset
        With `votes`; `skipped` counts what the majority rule left out.

    Raises
    ------
    DataError
        When one of the files is missing or malformed, or they differ in rows or Usage.
    """
    faces = beside_fer2013(path, cache=cache)
    labels, reasons = majority(faces.votes)
    kept = reasons == ""
    left_out = zip(*np.unique(reasons[~kept], return_counts=True), strict=True)
    joined = dataclasses.replace(
        faces,
        labels=np.where(kept, labels, 0),
        name="ferplus",
        source=f"{VOTES_NAME} and {faces.source.removesuffix(_BESIDE)}",
        expressions=FERPLUS_EXPRESSIONS,
        skipped=faces.skipped + tuple((str(name), int(count)) for name, count in left_out),
    )
    return joined.take(kept)


def majority(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply FER+'s published majority rule to (n, 10) votes, in the order of `FERPLUS_COLUMNS`.

    A lone vote does not count. A row has a label when one class has more than half of the votes
    that are left, and is neither "unknown" nor "NF" (no face).

    Returns
    -------
    labels : (n,) int64 array
        Index into `FERPLUS_EXPRESSIONS`; -1 where the rule gives none.
    reasons : (n,) str array
        Why there is none: "no majority", "unknown" or "no face"; "" where there is a label.
    """
    votes = np.where(votes == 1, 0, votes)
    top = votes.argmax(axis=1)
    clear = 2 * votes.max(axis=1, initial=0) > votes.sum(axis=1)
    reasons = np.select(
        [~clear, top == _UNKNOWN, top == _NO_FACE], ["no majority", "unknown", "no face"], ""
    )
    classes = np.array([*_CLASSES, -1, -1], dtype=np.int64)
    return np.where(reasons == "", classes[top], -1), reasons


def beside_fer2013(path: str | os.PathLike | None = None, *, cache: bool = True) -> FaceDataset:
    """Load FER2013 as it is, with all rows and its own labels, and add FER+'s votes.

    The two files are joined row by row. The number inside ``Image name`` is not the row: most
    pictures without a face have no name there and are skipped in its numbering.

    Parameters and errors are those of `load`; the data set is named "fer2013" and has `votes`.
    """
    path = sources.named_or_default(path, "fer2013", "FER+", f"run `make data`, then {_HINT}")
    folder, path = sources.folder_and_file(path, VOTES_NAME, f"FER+'s votes: {_HINT}")
    usages, votes = read_votes(path)
    title = sources.shown(path)
    if fer2013.find_csv(folder) is None:
        refuse(
            sources.shown(folder),
            "no fer2013.csv",
            f"it next to {VOTES_NAME}: votes are joined by its rows, which folders do not keep",
        )
    faces = fer2013.load(folder, cache=cache)
    if len(faces) != len(votes):
        refuse(title, f"{len(votes):,} rows", f"{len(faces):,}, as in {faces.source}")
    for row in np.flatnonzero(usages != faces.split):
        where = f"{title}, row {row} (line {row + 2})"
        found, expected = f"a Usage for {usages[row]}", f"{faces.split[row]}, as in {faces.source}"
        refuse(where, found, expected)
    return dataclasses.replace(faces, votes=votes, source=faces.source + _BESIDE)


def label_agreement(labels: np.ndarray, votes: np.ndarray, split: np.ndarray) -> pd.DataFrame:
    """Count what FER+'s voters call the faces of each of FER2013's expressions.

    Takes (n,) labels, indices into `EXPRESSIONS`, (n, 10) votes and (n,) splits of the same rows.
    One row per split and FER2013 expression (index ``split``, ``fer2013``), one column for each of
    `FERPLUS_EXPRESSIONS` by `majority`, and "no majority", "unknown", "no face"; sums to n.
    """
    found, reasons = majority(votes)
    called = np.where(reasons == "", np.array(FERPLUS_EXPRESSIONS)[found], reasons)
    table = pd.crosstab([split, np.array(EXPRESSIONS)[labels]], called)
    rows = pd.MultiIndex.from_product([SPLITS, EXPRESSIONS], names=["split", "fer2013"])
    columns = [*FERPLUS_EXPRESSIONS, "no majority", "unknown", "no face"]
    return table.reindex(index=rows, columns=columns, fill_value=0)


def vote_shares(votes: np.ndarray, expressions: Sequence[str] = FERPLUS_EXPRESSIONS) -> np.ndarray:
    """Divide each face's votes, (n, 10) in the order of `FERPLUS_COLUMNS`, among k classes.

    A lone vote does not count, as in `majority`; votes for "unknown", for "no face" and for
    classes that are not in `expressions` are left out.

    Returns
    -------
    (n, k) float64 array
        One column per expression; rows sum to one, or are NaN if no vote is left.
    """
    columns = [_CLASSES.index(FERPLUS_EXPRESSIONS.index(name)) for name in expressions]
    kept = np.where(votes == 1, 0, votes)[:, columns].astype(np.float64)
    totals = kept.sum(axis=1, keepdims=True)
    return np.divide(kept, totals, out=np.full_like(kept, np.nan), where=totals > 0)


def read_votes(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Read ``fer2013new.csv``, its columns by name: Usage and the ten of `FERPLUS_COLUMNS`.

    Returns
    -------
    split : (n,) str array
        Each row's Usage, as one of `utils.datasets.SPLITS`.
    votes : (n, 10) int64 array

    Raises
    ------
    DataError
        A missing column; a row with the wrong number of fields, an unknown Usage, or a count that
        is not a whole number 0 … 10; an empty file.
    """
    path = Path(path)
    title = sources.shown(path)
    header, *lines = sources.read_text(path).rstrip().split("\n")
    columns, wanted = [name.strip() for name in header.split(",")], ("Usage", *FERPLUS_COLUMNS)
    for name in wanted:
        if columns.count(name) != 1:
            found = f"{columns.count(name)} columns {name!r}"
            refuse(f"{title}, line 1", found, f"{', '.join(wanted)} once each")
    if not lines:
        refuse(title, "no rows after the header", "FER+'s votes")
    places = [columns.index(name) for name in wanted]
    split, votes = [], []
    for row, line in enumerate(lines):
        where, fields = f"{title}, row {row} (line {row + 2})", line.split(",")
        if len(fields) != len(columns):
            refuse(where, f"{len(fields)} fields", f"{len(columns)}")
        usage, *numbers = (fields[place].strip() for place in places)
        if usage not in USAGES:
            refuse(where, f"Usage {usage[:40]!r}", ", ".join(USAGES))
        for name, number in zip(FERPLUS_COLUMNS, numbers, strict=True):
            if number not in _COUNTS:
                found = f"{number[:40]!r} votes for {name}"
                refuse(where, found, "a whole number 0 … 10")
        split.append(USAGES[usage])
        votes.append([_COUNTS[number] for number in numbers])
    return np.array(split), np.array(votes, dtype=np.int64)
