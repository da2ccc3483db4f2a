"""A network's answers under every condition, and the tables that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from utils import evaluation, models, training
from utils.datasets import FaceDataset
from utils.records import Predictions
from utils.robustness.corruptions import Corruption, chosen, corrupt
from utils.runtime import DataError


@dataclass(frozen=True)
class Answers:
    """What a network said of the same faces under every condition.

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
    seed : int
    info : dict
        What a record of it says besides: network, data, versions, command …
    """

    corruptions: tuple[Corruption, ...]
    predicted: np.ndarray = field(repr=False)
    confidence: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    copies: np.ndarray = field(repr=False)
    expressions: tuple[str, ...]
    seed: int = 0
    info: dict[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def conditions(self) -> Iterator[tuple[Corruption, float, int]]:
        """Go through corruptions and their rising levels, the clean one among them.

        Yields
        ------
        corruption : Corruption
        level : float
        at : int
            Its row in ``predicted`` and ``confidence``; 0 for the clean level.
        """
        at = 1
        for corruption in self.corruptions:
            places = {level: at + step for step, level in enumerate(corruption.levels)}
            at += len(places)
            for level, place in sorted({**places, corruption.clean: 0}.items()):
                yield corruption, level, place

    def predictions(self, at: int = 0) -> Predictions:
        """Return the answers under one condition, each with all its probability on one class.

        Only what rests on the named classes can be computed from them (accuracy, the report,
        the confusion matrix, `evaluation.difference`), and nothing that rests on probabilities.
        """
        return Predictions(
            np.eye(len(self.expressions), dtype=np.float32)[self.predicted[at]],
            self.labels,
            self.rows,
            self.copies,
            self.expressions,
        )


def ask(
    classifier: models.Classifier,
    part: FaceDataset,
    corruptions: Iterable[str | Corruption] | None = None,
    *,
    seed: int = 0,
    copies: np.ndarray | None = None,
    progress: bool = False,
) -> Answers:
    """Ask a network about the same faces under every condition.

    The faces are spoiled at their own size, and only then brought to the network's.

    Parameters
    ----------
    classifier : Classifier
        Anything with its ``input_shape``, ``expressions`` and ``predict``.
    part : FaceDataset
        The faces: a test split, or some of it.
    corruptions : iterable of str or Corruption, optional
        By default all of `CORRUPTIONS`; a `Corruption` of one's own may have other levels.
    seed : int
        As `corrupt` takes it.
    copies : (n,) bool array, optional
        Which of the faces also stand in the training split: `datasets.copies_in_training` knows,
        given the whole data set. By default none.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Answers
        Each face is shown once, in however many views the network's run was tested.

    Raises
    ------
    ModelError
        When the network's classes are others than the data set's.
    DataError
        When there is no face, the copies do not fit, or a corruption is unknown or named twice.
    """
    from tqdm import tqdm

    training.check_names("the network", classifier.expressions, part)
    if len(part) == 0:
        raise DataError(f"{part.name}: found no face, expected one or more")
    copies = np.zeros(len(part), bool) if copies is None else np.asarray(copies)
    if copies.shape != (len(part),) or copies.dtype != np.bool_:
        raise DataError(
            f"copies: expected {len(part)} true or false, one a face, "
            f"got {copies.dtype} of shape {copies.shape}"
        )
    asked = chosen(corruptions, part.images.shape[1:3])
    conditions = [(one, level) for one in asked for level in one.levels]
    predicted, confidence = [], []
    for condition in tqdm([None, *conditions], unit=" conditions", disable=not progress):
        images = part.images
        if condition is not None:
            images = corrupt(images, *condition, rows=part.rows, seed=seed)
        probabilities = classifier.predict(training.faces_for(classifier, images))
        predicted.append(probabilities.argmax(axis=1))
        confidence.append(float(probabilities.max(axis=1).mean()))
    return Answers(
        corruptions=tuple(asked),
        predicted=np.stack(predicted).astype(np.int64),
        confidence=np.array(confidence),
        labels=part.labels,
        rows=part.rows,
        copies=copies,
        expressions=tuple(classifier.expressions),
        seed=seed,
    )


def curves(
    classifier: models.Classifier,
    part: FaceDataset,
    corruptions: Iterable[str | Corruption] | None = None,
    *,
    seed: int = 0,
    copies: np.ndarray | None = None,
) -> pd.DataFrame:
    """Compute a network's accuracy under every condition: `ask`, and `table` of its answers."""
    return table(ask(classifier, part, corruptions, seed=seed, copies=copies))


def table(answers: Answers) -> pd.DataFrame:
    """Compute accuracy under every condition, and what it has lost against the clean faces.

    Parameters
    ----------
    answers : Answers

    Returns
    -------
    DataFrame
        A row a condition, the clean one repeated in each corruption's curve, levels rising:
        ``corruption``, ``level``, ``unit``, ``clean`` (whether it is the clean level), ``n``,
        ``correct``, ``accuracy``, ``low``, ``high`` (Wilson's 95 % interval), ``n_without_copies``,
        ``accuracy_without_copies`` (NaN where nothing is left), ``confidence`` (mean probability
        of the predicted class), and ``difference``, ``difference_low``, ``difference_high``:
        accuracy less that of the same faces as they are, with the interval for paired shares of
        `evaluation.difference`, which is much narrower than the two intervals suggest. Shares
        are 0 … 1.
    """
    right = answers.predicted == answers.labels
    kept = ~answers.copies
    clean = answers.predictions(0)
    found = []
    for corruption, level, at in answers.conditions():
        correct = int(right[at].sum())
        low, high = evaluation.accuracy_interval(correct, len(answers))
        shift = evaluation.difference(answers.predictions(at), clean)
        found.append(
            {
                "corruption": corruption.name,
                "level": level,
                "unit": corruption.unit,
                "clean": at == 0,
                "n": len(answers),
                "correct": correct,
                "accuracy": correct / len(answers),
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

    Parameters
    ----------
    answers : Answers

    Returns
    -------
    DataFrame
        A row a condition and class: ``corruption``, ``level``, ``unit``, ``clean``,
        ``expression``, ``n`` (faces of the class), ``recall``, ``low``, ``high`` (Wilson; NaN for a
        class without faces), and ``named``: the share of *all* faces that are taken for the class,
        0 … 1. Under a strong corruption a network often names one class whatever it is shown.
    """
    found = []
    for corruption, level, at in answers.conditions():
        for index, expression in enumerate(answers.expressions):
            faces_of_class = answers.labels == index
            n = int(faces_of_class.sum())
            correct = int((answers.predicted[at][faces_of_class] == index).sum())
            low, high = evaluation.accuracy_interval(correct, n) if n else (np.nan, np.nan)
            found.append(
                {
                    "corruption": corruption.name,
                    "level": level,
                    "unit": corruption.unit,
                    "clean": at == 0,
                    "expression": expression,
                    "n": n,
                    "recall": correct / n if n else np.nan,
                    "low": low,
                    "high": high,
                    "named": float((answers.predicted[at] == index).mean()),
                }
            )
    return pd.DataFrame(found)
