"""Ask trained networks about corrupted faces, and print what each corruption costs.

    python -m experiments.robustness cnn5-fer2013-smote --data fer2013 --record

With --record the answers are kept in results/robustness/NETWORK-on-DATASET-SPLIT.json and .npz.
`table` and `classes` compute accuracy and recall from them; `at_home_and_away`, `by_class` and
`sureness` set a network's recorded answers on its own data set beside those on another one.

The corruptions follow Hendrycks and Dietterich (2019, ICLR, Benchmarking neural network robustness
to common corruptions and perturbations), but a level is an amount in a unit (pixels, gray levels,
degrees, percent), a draw belongs to a face, and there is no overall score, which would depend on
the levels that one happened to choose.
"""

from __future__ import annotations

import argparse
import io
import math
import shlex
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import datasets, evaluation, faces, models, records, runtime, training
from utils.datasets import FaceDataset
from utils.records import Predictions
from utils.runtime import DataError, ModelError

#: What hides a part of a face: the middle of 0 … 255.
GRAY = 128

# ------------------------------------------------------------------------------- corruptions
# Each takes a picture, a level and the face's own random numbers.


def _blur(image: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    import cv2

    # In float32 OpenCV's kernel reaches four σ to each side; in uint8 only three.
    return cv2.GaussianBlur(
        image.astype(np.float32), (0, 0), sigmaX=level, borderType=cv2.BORDER_REPLICATE
    )


def _noise(image: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    return image + np.float32(level) * draw.standard_normal(image.shape, dtype=np.float32)


def _brightness(image: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    return image + np.float32(level)


def _contrast(image: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    mean = image.astype(np.float32).mean(axis=(0, 1))
    return mean + np.float32(level) * (image - mean)


def _rotation(image: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    import cv2

    height, width = image.shape[:2]
    angle = level if draw.random() < 0.5 else -level
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    # The edge goes on outside, as in augmentation: black corners would be a second corruption.
    return cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _gray_square(image: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    side = min(height, width, max(1, round(math.sqrt(level / 100 * height * width))))
    down, across = draw.random(2)
    top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
    covered = image.copy()
    covered[top : top + side, left : left + side] = GRAY
    return covered


def _upper_hidden(image: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    hidden = image.copy()
    hidden[: max(1, round(level / 100 * len(image)))] = GRAY
    return hidden


def _lower_hidden(image: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    return _upper_hidden(image[::-1], level, draw)[::-1]


def _low_resolution(image: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    size = image.shape[:2]
    small = tuple(max(1, round(level / min(size) * side)) for side in size)
    return faces.resize(faces.resize(image[None], small), size)[0]


def _jpeg(image: np.ndarray, level: float, draw: np.random.Generator) -> np.ndarray:
    import cv2

    flag = cv2.IMREAD_GRAYSCALE if image.shape[2] == 1 else cv2.IMREAD_COLOR
    # Our channels are red, green, blue and OpenCV's the reverse: JPEG treats them unlike.
    turned = np.ascontiguousarray(image[:, :, ::-1])
    written = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, int(level)])[1]
    return cv2.imdecode(written, flag).reshape(image.shape)[:, :, ::-1]


@dataclass(frozen=True)
class Corruption:
    """A way to corrupt a picture, and how far to go.

    Attributes
    ----------
    name, unit : str
        What it is called, and what a level counts.
    levels : tuple of float
        The levels that `ask` asks about.
    clean : float or None
        The level that leaves every picture exactly as it is. None stands for the picture's own
        shorter side (low resolution).
    limits : (float, float)
        The least and the largest level that mean something.
    function : callable or None
        (picture, level, the face's random numbers) → picture; None where it was read from a record.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    clean: float | None = 0.0
    limits: tuple[float, float] = field(default=(0, 0), repr=False, compare=False)
    function: Callable[..., np.ndarray] | None = field(default=None, repr=False, compare=False)

    def fitted(self, size: Sequence[int]) -> Corruption:
        """Return it for pictures of a height and width: ``clean`` a number, and not a level."""
        clean = float(min(size[:2])) if self.clean is None else float(self.clean)
        # More pixels than there are cannot be taken from a picture.
        changing = (
            one for one in self.levels if (one < clean if self.clean is None else one != clean)
        )
        return replace(self, levels=tuple(map(float, changing)), clean=clean)


#: Levels for faces of 48×48: from what one would hardly mind to what leaves little to go by.
CORRUPTIONS: dict[str, Corruption] = {
    name: Corruption(name, unit, levels, clean, limits, function)
    for name, unit, levels, clean, limits, function in (
        ("Gaussian blur", "σ in pixels", (0.5, 1, 1.5, 2, 3), 0, (0, 100), _blur),
        ("Gaussian noise", "σ in gray levels", (8, 16, 32, 64), 0, (0, 1000), _noise),
        (
            *("brightness", "gray levels added", (-96, -64, -32, 32, 64, 96)),
            *(0, (-255, 255), _brightness),
        ),
        ("contrast", "factor", (0.1, 0.25, 0.5, 2), 1, (0, 100), _contrast),
        ("rotation", "degrees to either side", (10, 20, 30, 45), 0, (0, 180), _rotation),
        ("gray square", "% of the area", (5, 10, 20, 40), 0, (0, 100), _gray_square),
        ("upper part hidden", "% of the height", (20, 35, 50), 0, (0, 100), _upper_hidden),
        ("lower part hidden", "% of the height", (20, 35, 50), 0, (0, 100), _lower_hidden),
        ("low resolution", "pixels a side", (8, 12, 16, 24), None, (1, 10_000), _low_resolution),
        ("JPEG", "quality (100: as it is)", (10, 20, 40), 100, (1, 100), _jpeg),
    )
}


def corrupt(
    images: np.ndarray,
    corruption: str,
    level: float,
    *,
    rows: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Corrupt pictures by a known amount.

    Parameters
    ----------
    images : (n, height, width, 1 or 3) uint8 array
        At their own size: pixels and shares are of this one.
    corruption : str
        One of `CORRUPTIONS`. Contrast keeps each channel's mean; rotation goes to the side, noise
        has the pattern, and the gray square the place that is drawn for the face; where a blur or
        a rotation reaches outside, the edge pixel goes on.
    level : float
        In the corruption's unit. At its clean level nothing is changed.
    rows : (n,) array of whole numbers of 0 or more, optional
        What each face is called, as `FaceDataset.rows`; by default 0 … n-1. Draws depend on the
        corruption, the face's row and the seed: neither on the level nor on the other faces.
    seed : int
        0 or more.

    Returns
    -------
    (n, height, width, 1 or 3) uint8 array
        Rounded, and cut off at 0 and 255. A new array also where nothing changes.

    Raises
    ------
    DataError
        When the pictures, the level, the rows or the seed cannot be, or the corruption is unknown.
    """
    images, chosen = np.asarray(images), _named(corruption)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise DataError(
            f"images of shape {images.shape} and type {images.dtype}: "
            "expected (n, height, width, 1 or 3) of uint8"
        )
    rows = np.arange(len(images)) if rows is None else np.asarray(rows)
    if (
        rows.shape != images.shape[:1]
        or rows.dtype.kind not in "iu"
        or (rows < 0).any()
        or seed < 0
    ):
        raise DataError(
            f"rows of shape {rows.shape} and type {rows.dtype}, seed {seed}: expected "
            f"{len(images)} whole numbers of 0 or more, and one"
        )
    least, most = chosen.limits
    whole = corruption in ("low resolution", "JPEG")
    if not least <= level <= most or (whole and int(level) != level):
        kind = "a whole number" if whole else "a number"
        raise DataError(f"{corruption}: level {level!r}, expected {kind} of {least} … {most}")
    if not replace(chosen, levels=(level,)).fitted(images.shape[1:]).levels:
        return images.copy()
    changed, stream = np.empty_like(images), zlib.crc32(corruption.encode())
    for at, (image, row) in enumerate(zip(images, rows, strict=True)):
        draw = np.random.default_rng([seed, stream, int(row)])
        one = chosen.function(image, float(level), draw).reshape(image.shape)
        changed[at] = one if one.dtype == np.uint8 else np.clip(np.rint(one), 0, 255)
    return changed


def _named(corruption: str) -> Corruption:
    if corruption not in CORRUPTIONS:
        known = ", ".join(CORRUPTIONS)
        raise DataError(f"unknown corruption {corruption!r}: expected one of {known}")
    return CORRUPTIONS[corruption]


@dataclass(frozen=True)
class Strip:
    """One picture at every level of a corruption, for `figures.corruption_examples`.

    Attributes
    ----------
    corruption : Corruption
        With ``clean`` a number: the level at which the picture is as it was.
    levels : tuple of float
        In rising order, the clean one among them.
    images : (levels, height, width, 1 or 3) uint8 array
    """

    corruption: Corruption
    levels: tuple[float, ...]
    images: np.ndarray = field(repr=False)


def examples(
    image: np.ndarray,
    corruptions: Iterable[str] = tuple(CORRUPTIONS),
    *,
    row: int = 0,
    seed: int = 0,
) -> list[Strip]:
    """Corrupt one picture, (height, width, 1 or 3) uint8, by every level of every corruption."""
    strips = []
    for name in corruptions:
        one = _named(name).fitted(image.shape)
        levels = tuple(sorted((one.clean, *one.levels)))
        place = {"rows": np.array([row]), "seed": seed}
        images = np.concatenate([corrupt(image[None], name, level, **place) for level in levels])
        strips.append(Strip(one, levels, images))
    return strips


# ----------------------------------------------------------------------------------- answers


@dataclass(frozen=True)
class Answers:
    """What a network answers to the same faces under every condition.

    A condition is a corruption at a level; the first of all is "as they are".

    Attributes
    ----------
    corruptions : tuple of Corruption
        As they were asked about: ``clean`` is a number, ``levels`` are without it.
    predicted : (c, n) int64 array
        The most probable class of each face under each condition: row 0 as they are, then each
        level of each corruption, in order.
    confidence : (c,) float64 array
        The mean probability of the predicted class under each condition.
    labels, rows : (n,) int64 arrays
    copies : (n,) bool array
        Whether the very same picture also stands in the training split.
    expressions : tuple of str
    info : dict
        What a record of it says besides: network, data, seed, versions, command …
    """

    corruptions: tuple[Corruption, ...]
    predicted: np.ndarray = field(repr=False)
    confidence: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    copies: np.ndarray = field(repr=False)
    expressions: tuple[str, ...]
    info: dict[str, Any] = field(default_factory=dict, repr=False)

    def conditions(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield each condition, levels rising, the clean one among them; and its row."""
        at = 1
        for one in self.corruptions:
            places = {level: at + step for step, level in enumerate(one.levels)}
            at += len(places)
            for level, place in sorted({**places, one.clean: 0}.items()):
                named = {"corruption": one.name, "level": level, "unit": one.unit}
                yield {**named, "clean": place == 0}, place

    def predictions(self, at: int) -> Predictions:
        """Return one condition's answers, each with all its probability on one class."""
        named = np.eye(len(self.expressions), dtype=np.float32)[self.predicted[at]]
        return Predictions(named, self.labels, self.rows, self.copies, self.expressions)


def ask(
    classifier: models.Classifier,
    dataset: FaceDataset,
    split: str = "test",
    corruptions: Iterable[str] = tuple(CORRUPTIONS),
    *,
    seed: int = 0,
    progress: bool = False,
) -> Answers:
    """Ask a network about the same faces under every condition.

    Parameters
    ----------
    classifier : Classifier
    dataset : FaceDataset
        All of it: the training split tells which faces are copies of training pictures. Faces are
        corrupted at their own size, and only then brought to the network's.
    split : {"test", "validation"}
    corruptions : iterable of str
        Some of `CORRUPTIONS`, each once.
    seed : int
        As `corrupt` takes it.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    ModelError
        When the network's classes are others than the data set's, or its answers no probabilities.
    DataError
        When the split has no face, or a corruption is unknown.
    """
    from tqdm import tqdm

    part = dataset.part(split)
    if len(part) == 0:
        raise DataError(f"{dataset.name}: found no face in its {split} split, expected some")
    asked = [_named(name).fitted(part.images.shape[1:]) for name in dict.fromkeys(corruptions)]
    conditions = [(one.name, level) for one in asked for level in one.levels]
    clean = training.predict(classifier, dataset, split)
    probabilities = [clean.probabilities]
    for name, level in tqdm(conditions, unit=" conditions", disable=not progress):
        images = corrupt(part.images, name, level, rows=part.rows, seed=seed)
        answer = training.predict(classifier, part.with_images(images), split)
        probabilities.append(answer.probabilities)
    return Answers(
        corruptions=tuple(asked),
        predicted=np.stack([one.argmax(axis=1) for one in probabilities]),
        confidence=np.array([float(one.max(axis=1).mean()) for one in probabilities]),
        labels=clean.labels,
        rows=clean.rows,
        copies=clean.copies,
        expressions=tuple(clean.expressions),
        info={"seed": seed},
    )


def table(answers: Answers) -> pd.DataFrame:
    """Compute accuracy under every condition, and what it has lost against the clean faces.

    Returns
    -------
    DataFrame
        A row a condition, the clean one repeated in each corruption's curve, levels rising:
        ``corruption``, ``level``, ``unit``, ``clean`` (whether it is the clean level), ``n``,
        ``correct``, ``accuracy``, ``low``, ``high`` (Wilson's 95 % interval), ``n_without_copies``,
        ``accuracy_without_copies`` (NaN where nothing is left), ``confidence`` (mean probability
        of the predicted class), and ``difference``, ``difference_low``, ``difference_high``:
        accuracy less that of the same faces as they are, with the interval for paired shares of
        `evaluation.difference`, much narrower than the two intervals suggest. Shares are 0 … 1.
    """
    right, kept = answers.predicted == answers.labels, ~answers.copies
    n, clean, found = len(answers.labels), answers.predictions(0), []
    for condition, at in answers.conditions():
        correct = int(right[at].sum())
        low, high = evaluation.accuracy_interval(correct, n)
        shift = evaluation.difference(answers.predictions(at), clean)
        found.append(
            {
                **condition,
                "n": n,
                "correct": correct,
                "accuracy": correct / n,
                "low": low,
                "high": high,
                "n_without_copies": int(kept.sum()),
                "accuracy_without_copies": right[at][kept].mean() if kept.any() else np.nan,
                "confidence": answers.confidence[at],
                "difference": shift.difference,
                "difference_low": shift.interval[0],
                "difference_high": shift.interval[1],
            }
        )
    return pd.DataFrame(found)


def classes(answers: Answers) -> pd.DataFrame:
    """Compute the recall of each class under every condition, and how often it is named at all.

    Returns
    -------
    DataFrame
        A row a condition and class: ``corruption``, ``level``, ``unit``, ``clean``,
        ``expression``, ``n`` (faces of the class), ``recall``, ``low``, ``high`` (Wilson; NaN for a
        class without faces), and ``named``: the share of *all* faces that are taken for the class.
    """
    found = []
    for condition, at in answers.conditions():
        for index, expression in enumerate(answers.expressions):
            said = answers.predicted[at][answers.labels == index]
            correct, n = int((said == index).sum()), len(said)
            shares = {"recall": correct / n if n else np.nan, **_interval(correct, n)}
            named = float((answers.predicted[at] == index).mean())
            found.append({**condition, "expression": expression, "n": n, **shares, "named": named})
    return pd.DataFrame(found)


def _interval(correct: int, n: int, before: str = "") -> dict[str, float]:
    """Compute Wilson's 95 % interval; NaN where there is nothing to count."""
    low, high = evaluation.accuracy_interval(int(correct), int(n)) if n else (np.nan, np.nan)
    return {f"{before}low": low, f"{before}high": high}


def write(answers: Answers, folder: Path) -> Path:
    """Record answers in a folder, as ``NETWORK-on-DATASET-SPLIT.json`` and ``.npz``.

    ``answers.info`` has at least "network", "dataset", "split" and "seed". Returns the ``.json``
    file, which is written last: a record without it does not exist.
    """
    info = answers.info
    path = folder / f"{info['network']}-on-{info['dataset']}-{info['split']}.json"
    keys = ("name", "unit", "levels", "clean")
    content = {
        **info,
        "n": len(answers.labels),
        "expressions": list(answers.expressions),
        "corruptions": [{key: getattr(one, key) for key in keys} for one in answers.corruptions],
        "confidence": [round(float(one), 6) for one in answers.confidence],
    }
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
    runtime.write_json(path, content)
    return path


def load(path: Path) -> Answers:
    """Read answers back, by their ``.json`` file; `ModelError` when they are not what they were."""
    info, title = runtime.read_json(path), f"{path.parent.name}/{path.stem}"
    try:
        corruptions = tuple(
            Corruption(**{**one, "levels": tuple(one["levels"])}) for one in info["corruptions"]
        )
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            predicted, labels, rows = (
                arrays[name].astype(np.int64) for name in ("predicted", "labels", "rows")
            )
            copies = arrays["copies"].astype(bool)
        expected = (1 + sum(len(one.levels) for one in corruptions), int(info["n"]))
        expressions, confidence = tuple(info["expressions"]), np.array(info["confidence"], float)
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{title}: cannot be read: {type(error).__name__}: {error}") from error
    if (
        (predicted.shape, confidence.shape) != (expected, expected[:1])
        or {labels.shape, rows.shape, copies.shape} != {expected[1:]}
        or max(predicted.max(initial=0), labels.max(initial=0)) >= len(expressions)
    ):
        raise ModelError(
            f"{title}: answers of shape {predicted.shape} on {len(labels)} faces; expected "
            f"{expected}, classes below {len(expressions)}"
        )
    return Answers(corruptions, predicted, confidence, labels, rows, copies, expressions, info)


def recorded(
    results: Path = runtime.RESULTS, dataset: str = "fer2013", split: str = "test"
) -> dict[str, Answers]:
    """Read every recorded network's answers on one split of a data set, by the network's name."""
    files = sorted((results / "robustness").glob(f"*-on-{dataset}-{split}.json"))
    return {answers.info["network"]: answers for answers in map(load, files)}


# -------------------------------------------------------------------------- another data set

#: By the network's name: what it answers at home, and away.
Pairs = Mapping[str, tuple[Predictions, Predictions]]


def at_home_and_away(
    results: Path = runtime.RESULTS, home: str = "fer2013", away: str = "expw"
) -> dict[str, tuple[Predictions, Predictions]]:
    """Find the recorded networks that were trained on one data set and asked about another.

    Returns
    -------
    dict of str to (Predictions, Predictions)
        By the run's name: its answers on the test split at home, and on that away.
    """
    pairs = {}
    for name in records.names(results):
        run = records.load(name, results)
        if run.info["dataset"] == home and run.test is not None:
            for one in records.evaluations(run.folder):
                if (one.dataset, one.split) == (away, "test"):
                    pairs[name] = (run.test, one.predictions)
    return pairs


def by_class(pairs: Pairs) -> pd.DataFrame:
    """Set each class's recall and precision at home and away side by side.

    Returns
    -------
    DataFrame
        A row a network and class (index ``network``, ``expression``), and for "home" and "away"
        each ``n_…`` (faces of the class), ``recall_…`` with Wilson's 95 % interval ``…_low`` and
        ``…_high``, ``named_…`` (how many faces were taken for the class), ``precision_…``; then
        ``fall`` (recall at home less that away) with Newcombe's interval for two independent
        samples, ``fall_low`` and ``fall_high``; and ``taken_for``, ``taken_for_share``: the class
        that its faces are most often taken for away *instead*, and how often. What has no
        denominator is NaN, or "".

    Raises
    ------
    DataError
        When there is no network, or the two do not have the same classes.

    References
    ----------
    Newcombe (1998), Interval estimation for the difference between independent proportions,
    Statistics in Medicine 17, 873-890, method 10.
    """
    from statsmodels.stats.proportion import confint_proportions_2indep

    found = []
    for network, (home, away) in _some(pairs).items():
        if home.expressions != away.expressions:
            raise DataError(
                f"{network}: its classes at home are {', '.join(home.expressions)}, "
                f"and away {', '.join(away.expressions)}; expected the same"
            )
        counts = {"home": evaluation.confusion(home), "away": evaluation.confusion(away)}
        for index, expression in enumerate(home.expressions):
            row: dict[str, Any] = {"network": network, "expression": expression}
            samples = []
            for place, matrix in counts.items():
                right, n, named = matrix[index, index], matrix[index].sum(), matrix[:, index].sum()
                samples += [right, n]
                row |= {f"n_{place}": int(n), f"recall_{place}": right / n if n else np.nan}
                row |= _interval(right, n, f"recall_{place}_")
                row[f"named_{place}"] = int(named)
                row[f"precision_{place}"] = right / named if named else np.nan
            row["fall"], row["fall_low"], row["fall_high"] = [np.nan] * 3
            if samples[1] and samples[3]:
                low, high = confint_proportions_2indep(*samples, method="newcomb", compare="diff")
                fall = row["recall_home"] - row["recall_away"]
                row |= {"fall": fall, "fall_low": low, "fall_high": high}
            mistaken = np.delete(counts["away"][index], index)
            others = np.delete(np.array(home.expressions, dtype=object), index)
            row["taken_for"] = others[mistaken.argmax()] if mistaken.any() else ""
            row["taken_for_share"] = mistaken.max() / n if n else np.nan
            found.append(row)
    return pd.DataFrame(found).set_index(["network", "expression"])


def _some(pairs: Pairs) -> Pairs:
    if not pairs:
        raise DataError("expected one network or more that was asked at home and away, got none")
    return pairs


def falls_furthest(found: pd.DataFrame) -> pd.DataFrame:
    """Return for each network of `by_class` the row of the class whose recall falls furthest.

    The intervals are wide, and the largest of seven falls was picked out: another sample may show
    another class. Index ``network``, columns ``expression`` and those of `by_class`.
    """
    chosen = found["fall"].groupby(level="network", sort=False).idxmax()
    return found.loc[chosen].reset_index("expression")


def sureness(
    pairs: Pairs, names: tuple[str, str] = ("home", "away"), *, seed: int = 0
) -> pd.DataFrame:
    """Say how sure each network is at home and away, and how sure it should be.

    Parameters
    ----------
    pairs : mapping of str to (Predictions, Predictions)
        From `at_home_and_away`.
    names : (str, str)
        What to call the two.
    seed : int
        For `calibration_error_by_chance`.

    Returns
    -------
    DataFrame
        Index ``network``, ``data``; columns ``n``, ``accuracy``, ``low``, ``high`` (Wilson),
        ``mean_recall`` (of the classes that occur: the figure to compare where the two data sets
        have the classes in different shares), ``confidence`` (mean probability of the predicted
        class), ``too_sure`` (confidence less accuracy), ``calibration_error``, and ``by_chance``,
        ``by_chance_high`` (`calibration_error_by_chance`). A `DataError` when there is no network.
    """
    found = []
    for network, two in _some(pairs).items():
        for name, predictions in zip(names, two, strict=True):
            summary = evaluation.summary(predictions)
            confidence = float(evaluation.check(predictions).confidence.mean())
            mean, most = calibration_error_by_chance(predictions, seed=seed)
            found.append(
                {
                    "network": network,
                    "data": name,
                    "n": summary.n,
                    "accuracy": summary.correct / summary.n,
                    **_interval(summary.correct, summary.n),
                    "mean_recall": summary.balanced_accuracy,
                    "confidence": confidence,
                    "too_sure": confidence - summary.correct / summary.n,
                    "calibration_error": evaluation.calibration_error(predictions),
                    "by_chance": mean,
                    "by_chance_high": most,
                }
            )
    return pd.DataFrame(found).set_index(["network", "data"])


def calibration_error_by_chance(
    predictions: Predictions, *, bins: int = 15, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the calibration error that a network would show if it were as right as it is sure.

    With few faces no bin is exactly as right as it is sure, so the expected calibration error of
    even a perfectly calibrated network is above 0, and the more so, the fewer faces there are.

    Parameters
    ----------
    predictions : Predictions
        Only how sure they are is used, not how right.
    bins : int
        As `evaluation.calibration_error` takes it.
    draws : int
        How often each answer is drawn right with the probability that was given to it.
    seed : int

    Returns
    -------
    mean, high : float
        The mean over the draws, and the figure that 95 % of them stay under.

    References
    ----------
    Bröcker and Smith (2007), Increasing the reliability of reliability diagrams, Weather and
    Forecasting 22, 651-661: consistency resampling.
    """
    confidence = evaluation.check(predictions).confidence
    edges = np.linspace(0, 1, bins + 1)
    member = np.eye(bins)[np.clip(np.searchsorted(edges, confidence) - 1, 0, bins - 1)]
    draw, n = np.random.default_rng(seed), len(confidence)
    errors = np.array(
        [np.abs((confidence - (draw.random(n) < confidence)) @ member).sum() for _ in range(draws)]
    )
    return float(errors.mean() / n), float(np.quantile(errors / n, 0.95))


# ------------------------------------------------------------------------------ command line


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask the networks, print a table of each, and record it where that was asked."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m experiments.robustness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("networks", metavar="NETWORK", nargs="+", help="released, a run, or .keras")
    parser.add_argument("--data", required=True, choices=tuple(datasets.LOADERS))
    parser.add_argument("--path", help="where the data lie, if not in data/raw/")
    parser.add_argument("--split", default="test", choices=("test", "validation"))
    parser.add_argument("--seed", type=int, default=0, help="draws noise, sides and places")
    parser.add_argument("--record", action="store_true", help="keep the answers")
    parser.add_argument("--results", type=Path, default=runtime.RESULTS, help="default: results/")
    asked = parser.parse_args(arguments)
    runtime.setup(asked.seed)
    dataset = datasets.load(asked.data, asked.path)
    for network in asked.networks:
        file, start = models.find(network).resolve(), time.perf_counter()
        about = {"seed": asked.seed, "progress": sys.stderr.isatty()}
        answers = ask(models.load(file), dataset, asked.split, **about)
        name = file.parent.name if file.name == "model.keras" else file.stem
        found = table(answers).assign(level=lambda rows: rows["level"].map("{:g}".format))
        shown = found.assign(accuracy=100 * found["accuracy"], points=100 * found["difference"])
        columns = ["corruption", "level", "unit", "accuracy", "points"]
        print(f"{name} on {dataset.name}'s {asked.split} split, n = {len(answers.labels):,}")
        print(shown[columns].round(1).to_string(index=False), flush=True)
        if asked.record:
            info = {
                **{"network": name, "model_sha256": runtime.sha256(file)},
                **{"dataset": dataset.name, "split": asked.split},
                "fingerprint": dataset.fingerprint(),
                "command": shlex.join(["python", "-m", "experiments.robustness", *arguments]),
                "evaluated": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "seconds": round(time.perf_counter() - start, 1),
                **records.surroundings(),
                **answers.info,
            }
            written = write(replace(answers, info=info), asked.results / "robustness")
            print(f"recorded in {written.parent.name}/{written.name}", flush=True)


if __name__ == "__main__":
    runtime.run_command(main)
