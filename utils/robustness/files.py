"""Answers on disk: a ``.json`` that says what was asked, and an ``.npz`` of what was answered."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from utils import records, runtime
from utils.robustness.answers import Answers
from utils.robustness.corruptions import Corruption
from utils.runtime import ModelError

#: Below ``results/``: where answers are recorded.
FOLDER = "robustness"


def write(answers: Answers, folder: Path) -> Path:
    """Record answers in a folder, as ``NETWORK-on-DATASET-SPLIT.json`` and ``.npz``.

    Parameters
    ----------
    answers : Answers
        Whose ``info`` has at least "network", "dataset" and "split".
    folder : path
        Made if it is not there.

    Returns
    -------
    pathlib.Path
        The ``.json`` file. It is written last: a record without it does not exist.
    """
    info = answers.info
    name = f"{info['network']}-{records.evaluation_name(info['dataset'], info['split'])}"
    path = folder / f"{name}.json"
    whole = {
        **info,
        "seed": answers.seed,
        "n": len(answers),
        "expressions": list(answers.expressions),
        "corruptions": [asdict(one) for one in answers.corruptions],
        "confidence": [round(float(one), 6) for one in answers.confidence],
    }
    content = runtime.as_json(whole)
    path.unlink(missing_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        predicted=answers.predicted.astype(np.uint8),
        labels=answers.labels.astype(np.uint8),
        rows=answers.rows.astype(np.int64),
        copies=answers.copies,
    )
    runtime.write_atomically(path.with_suffix(".npz"), buffer.getvalue())
    runtime.write_atomically(path, content)
    return path


def load(path: Path) -> Answers:
    """Read answers back.

    Parameters
    ----------
    path : path
        The ``.json`` file.

    Raises
    ------
    ModelError
        When there is none, or one of its two files is not what it should be.
    """
    if not path.is_file():
        raise ModelError(f"{path.parent.name}/{path.name}: no such record")
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        corruptions = tuple(
            Corruption(**{**one, "levels": tuple(one["levels"])}) for one in info["corruptions"]
        )
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            answers = Answers(
                corruptions=corruptions,
                predicted=arrays["predicted"].astype(np.int64),
                confidence=np.array(info["confidence"], np.float64),
                labels=arrays["labels"].astype(np.int64),
                rows=arrays["rows"].astype(np.int64),
                copies=arrays["copies"].astype(bool),
                expressions=tuple(info["expressions"]),
                seed=int(info["seed"]),
                info=info,
            )
        conditions = 1 + sum(len(one.levels) for one in corruptions)
        expected = (conditions, int(info["n"]))
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{path.parent.name}/{path.stem}: cannot be read: {type(error).__name__}: {error}"
        ) from error
    shapes = (answers.labels.shape, answers.rows.shape, answers.copies.shape)
    if (
        answers.predicted.shape != expected
        or answers.confidence.shape != expected[:1]
        or set(shapes) != {expected[1:]}
        or max(answers.predicted.max(initial=0), answers.labels.max(initial=0))
        >= len(answers.expressions)
    ):
        raise ModelError(
            f"{path.parent.name}/{path.stem}: answers of shape {answers.predicted.shape} on "
            f"{len(answers.labels)} faces; expected {expected}, classes below "
            f"{len(answers.expressions)}"
        )
    return answers


def recorded(
    results: Path | None = None, dataset: str = "fer2013", split: str = "test"
) -> dict[str, Answers]:
    """Read every recorded network's answers on one split of a data set, by the network's name.

    Parameters
    ----------
    results : path, optional
        Where records lie; by default ``results/``.
    dataset, split : str

    Returns
    -------
    dict of str to Answers
        Empty where there is none.
    """
    folder = (results or runtime.RESULTS) / FOLDER
    found = map(load, sorted(folder.glob(f"*-{records.evaluation_name(dataset, split)}.json")))
    return {answers.info["network"]: answers for answers in found}
