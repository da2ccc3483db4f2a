"""Test trained networks on corrupted faces, and print what each corruption costs.

    python -m experiments.robustness cnn5-fer2013-smote --data fer2013 --record

With --record, predictions are saved as results/robustness/NETWORK-on-DATASET-SPLIT.json and .npz.
`table` computes accuracy from them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.corruptions import CORRUPTIONS, Corruption, corrupt
from utils import datasets, models, records, runtime, training
from utils.datasets import FaceDataset
from utils.runtime import DataError


@dataclass(frozen=True)
class Answers:
    """What a network predicts for the same n faces under each of c conditions.

    ``corruptions`` are `Corruption.fitted`. ``predicted``, (c, n) integers, holds the most probable
    classes: row 0 for the faces as they are, then each level of each corruption, in order.
    ``confidence``, (c,) float64, is the mean probability of the predicted class, ``copies``, (n,)
    bool, says whether the same picture is in the training split too. ``info`` is what else a
    record says: network, data, seed, versions, command …
    """

    corruptions: tuple[Corruption, ...]
    predicted: np.ndarray = field(repr=False)
    confidence: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    rows: np.ndarray = field(repr=False)
    copies: np.ndarray = field(repr=False)
    expressions: tuple[str, ...]
    info: dict[str, Any] = field(default_factory=dict, repr=False)


def ask(
    classifier: models.Classifier,
    dataset: FaceDataset,
    split: str = "test",
    *,
    seed: int = 0,
    views: int = 1,
) -> Answers:
    """Test a network on the same faces under every condition in `CORRUPTIONS`.

    Parameters
    ----------
    classifier : Classifier
    dataset : FaceDataset
        All of it: the training split tells which faces are copies of training pictures. Faces are
        corrupted at their own size, and only then resized to the network's.
    split : {"test", "validation"}
    seed : int
        As `corrupt` takes it.
    views : {1, 2, 10}
        Views of each face to average over, as in `training.predict`.

    Raises
    ------
    ModelError, DataError
        When the network's classes differ from the data set's, or its outputs are not
        probabilities; when the split has no faces.
    """
    from tqdm import tqdm

    part = dataset.part(split)
    if len(part) == 0:
        raise DataError(f"{dataset.name}: found no faces in its {split} split, expected some")
    asked = [one.fitted(part.images.shape[1:]) for one in CORRUPTIONS.values()]
    conditions = [(one.name, level) for one in asked for level in one.levels]
    how = {"test_time_augmentation": views}
    clean = training.predict(classifier, dataset, split, **how)
    probabilities = [clean.probabilities]
    for name, level in tqdm(conditions, unit=" conditions", disable=None):
        images = corrupt(part.images, name, level, rows=part.rows, seed=seed)
        answer = training.predict(classifier, part.with_images(images), split, **how)
        probabilities.append(answer.probabilities)
    predicted = np.stack([one.argmax(axis=1) for one in probabilities])
    confidence = np.array([float(one.max(axis=1).mean()) for one in probabilities])
    faces_asked = (clean.labels, clean.rows, clean.copies, tuple(clean.expressions))
    info = {"seed": seed, "views": views}
    return Answers(tuple(asked), predicted, confidence, *faces_asked, info)


def table(answers: Answers) -> pd.DataFrame:
    """Compute accuracy under every condition, and its difference from the clean faces.

    Returns one row per condition, the clean one repeated in each corruption's curve, levels rising:
    ``corruption``, ``level``, ``unit``, ``clean`` (whether it is the clean level), ``accuracy`` and
    ``confidence`` (0 … 1), ``difference`` (accuracy minus that of the same faces as they are).
    """
    accuracy, found, start = (answers.predicted == answers.labels).mean(axis=1), [], 1
    for one in answers.corruptions:
        places = {one.clean: 0, **{level: start + i for i, level in enumerate(one.levels)}}
        start += len(one.levels)
        for level, at in sorted(places.items()):
            row = {"corruption": one.name, "level": level, "unit": one.unit, "clean": at == 0}
            row |= {"accuracy": accuracy[at], "confidence": answers.confidence[at]}
            found.append({**row, "difference": accuracy[at] - accuracy[0]})
    return pd.DataFrame(found)


def write(answers: Answers, folder: Path) -> Path:
    """Record answers in a folder, as ``NETWORK-on-DATASET-SPLIT.json`` and ``.npz``.

    ``answers.info`` has at least "network", "dataset", "split" and "seed". Returns the ``.json``
    file, which is written last: without it, there is no record.
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
    types = {"predicted": np.uint8, "labels": np.uint8, "rows": np.int64, "copies": bool}
    arrays = {key: getattr(answers, key).astype(kind) for key, kind in types.items()}
    path.unlink(missing_ok=True)
    runtime.write_npz(path.with_suffix(".npz"), **arrays)
    runtime.write_json(path, content)
    return path


def load(path: Path) -> Answers:
    """Read answers by their ``.json`` file, as `write` wrote it."""
    info = runtime.read_json(path)
    kinds = ({**one, "levels": tuple(one["levels"])} for one in info["corruptions"])
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        answers = {name: arrays[name] for name in ("predicted", "labels", "rows", "copies")}
    return Answers(
        tuple(Corruption(**one) for one in kinds),
        confidence=np.array(info["confidence"]),
        expressions=tuple(info["expressions"]),
        info=info,
        **answers,
    )


def recorded(
    results: Path = runtime.RESULTS, dataset: str = "fer2013", split: str = "test"
) -> dict[str, Answers]:
    """Read every recorded network's answers on one split of a data set, by the network's name."""
    files = sorted((results / "robustness").glob(f"*-on-{dataset}-{split}.json"))
    return {answers.info["network"]: answers for answers in map(load, files)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Test the networks, print a table for each, and record it if asked to."""
    parser = runtime.parser("python -m experiments.robustness", __doc__)
    parser.add_argument("networks", metavar="NETWORK", nargs="+", help="released, a run, or .keras")
    parser.add_argument("--data", required=True, choices=tuple(datasets.LOADERS))
    parser.add_argument("--path", help="where the data is, if not in data/raw/")
    parser.add_argument("--split", default="test", choices=("test", "validation"))
    parser.add_argument("--seed", type=int, default=0, help="seeds noise, sides, and places")
    parser.add_argument("--record", action="store_true", help="save the predictions")
    parser.add_argument("--results", type=Path, default=runtime.RESULTS, help="default: results/")
    asked = parser.parse_args(arguments)
    runtime.setup(asked.seed)
    dataset = datasets.load(asked.data, asked.path)
    for network in asked.networks:
        file, start = models.find(network).resolve(), time.perf_counter()
        run = records.run_of(file)
        how = {"seed": asked.seed, "views": run.views if run else 1}
        answers = ask(models.load(file), dataset, asked.split, **how)
        found = table(answers).assign(level=lambda rows: rows["level"].map("{:g}".format))
        shown = found.assign(accuracy=100 * found["accuracy"], points=100 * found["difference"])
        columns = ["corruption", "level", "unit", "accuracy", "points"]
        name, n = records.network_name(file), len(answers.labels)
        print(f"{name} on {dataset.name}'s {asked.split} split, n = {n:,}")
        print(shown[columns].round(1).to_string(index=False), flush=True)
        if asked.record:
            info = {
                **records.asked(file, dataset, asked.split),
                "command": runtime.command_line(),
                "evaluated": runtime.now(),
                "seconds": round(time.perf_counter() - start, 1),
                **records.surroundings(),
                **answers.info,
            }
            written = write(replace(answers, info=info), asked.results / "robustness")
            print(f"recorded in {written.parent.name}/{written.name}", flush=True)


if __name__ == "__main__":
    runtime.run_command(main)
