"""An audit on disk: ``results/data/NAME-leaks.json`` for the numbers, ``.npz`` for the pairs."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from utils import runtime
from utils.audit.findings import Audit
from utils.runtime import DataError

_ENDING = "-leaks.json"


@dataclass(frozen=True, eq=False)
class Leaks:
    """A recorded audit.

    Attributes
    ----------
    info : dict
        What `Audit.numbers` says, with sensitivity, command, audited (when), seconds, and what
        `records.surroundings` says.
    rows : (m,) int64 array
        The compared rows (validation and test), as numbered in the source file; ascending.
    nearest : (m,) int64 array
        The training row that correlates best with each; -1 for a flat picture without a copy.
    correlation : (m,) float32 array
        NaN where `nearest` is -1; 1 for exact copies. Not rounded to float16, which would move
        pairs across a threshold.
    aligned : (m,) float32 array
        The same when shifted by up to two pixels: `Audit.aligned`.
    mirrored, exact : (m,) bool arrays
    """

    info: dict[str, Any] = field(repr=False)
    rows: np.ndarray = field(repr=False)
    nearest: np.ndarray = field(repr=False)
    correlation: np.ndarray = field(repr=False)
    aligned: np.ndarray = field(repr=False)
    mirrored: np.ndarray = field(repr=False)
    exact: np.ndarray = field(repr=False)

    def near(
        self, rows: np.ndarray, threshold: float | None = None, *, shifted: bool = False
    ) -> np.ndarray:
        """Mark the rows of a validation or test split that have a copy in training.

        ``dataclasses.replace(predictions, copies=leaks.near(predictions.rows))`` are predictions
        whose accuracy "without copies" leaves out near copies as well.

        Parameters
        ----------
        rows : (n,) int array
            As numbered in the source file: `records.Predictions.rows`.
        threshold : float, optional
            By default the audit's own. Over 1 leaves only exact copies.
        shifted : bool
            Whether copies count that reach the threshold only when they are shifted.

        Returns
        -------
        (n,) bool array

        Raises
        ------
        DataError
            When a row was not compared: it is a training row, or of another data set.
        """
        rows = np.asarray(rows)
        place = np.searchsorted(self.rows, rows)
        place[place == len(self.rows)] = 0
        if not len(self.rows) or (self.rows[place] != rows).any():
            raise DataError(
                f"{self.info['name']}: found rows that were not compared with training, expected "
                f"rows of its validation and test splits ({len(self.rows):,})"
            )
        threshold = self.info["threshold"] if threshold is None else threshold
        with np.errstate(invalid="ignore"):
            near = self.exact | ((self.aligned if shifted else self.correlation) >= threshold)
        return near[place]


def record(audit: Audit, folder: Path, about: Mapping[str, Any]) -> Path:
    """Write an audit's numbers and pairs, no names and no pictures.

    Parameters
    ----------
    audit : Audit
        Of a data set with splits.
    folder : path
        Made if it is not there: ``results/data``.
    about : mapping
        What else the record is to hold: command, seconds, surroundings …

    Returns
    -------
    pathlib.Path
        The ``.json``. It is written last: an audit without it does not exist.

    Raises
    ------
    DataError
        When nothing was compared with a training split.
    """
    if not audit.across:
        raise DataError(f"{audit.name}: found no splits, expected some: there is nothing to record")
    at = np.flatnonzero(audit.compared)
    at = at[np.argsort(audit.rows[at], kind="stable")]
    nearest = audit.nearest[at]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        rows=audit.rows[at].astype(np.int32),
        nearest=np.where(nearest >= 0, audit.rows[nearest], -1).astype(np.int32),
        correlation=audit.correlation[at].astype(np.float32),
        aligned=audit.aligned[at].astype(np.float32),
        mirrored=audit.mirrored[at],
        exact=audit.exact[at],
    )
    path = folder / f"{audit.name}{_ENDING}"
    content = runtime.as_json({**audit.numbers(), **about})
    path.unlink(missing_ok=True)
    runtime.write_atomically(path.with_suffix(".npz"), buffer.getvalue())
    runtime.write_atomically(path, content)
    return path


def recorded(name: str = "fer2013", folder: Path | None = None) -> Leaks:
    """Read an audit back.

    Parameters
    ----------
    name : str
        The data set's.
    folder : path, optional
        By default ``results/data``.

    Returns
    -------
    Leaks

    Raises
    ------
    DataError
        When there is none, or one of its two files is not what it should be.
    """
    path = (folder or runtime.RESULTS / "data") / f"{name}{_ENDING}"
    if not path.is_file():
        raise DataError(
            f"{path.name}: no such record, expected one (python -m utils.audit PATH --record)"
        )
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            leaks = Leaks(
                info=info,
                rows=arrays["rows"].astype(np.int64),
                nearest=arrays["nearest"].astype(np.int64),
                correlation=arrays["correlation"].astype(np.float32),
                aligned=arrays["aligned"].astype(np.float32),
                mirrored=arrays["mirrored"].astype(bool),
                exact=arrays["exact"].astype(bool),
            )
        sizes = {len(array) for name, array in vars(leaks).items() if name != "info"}
        compared = info["rows"] - info["splits"]["training"]
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path.name}: cannot be read: {type(error).__name__}: {error}") from error
    if sizes != {compared} or (np.diff(leaks.rows) <= 0).any():
        raise DataError(
            f"{path.name}: found pairs of {sorted(sizes)} rows beside it, expected {compared:,}, "
            "ascending"
        )
    return leaks
