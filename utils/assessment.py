"""A trained network asked about a data set, or a split of it: what ``evaluate.py`` calls.

The data set need not be the one that the network was trained on: it is evaluated on the classes
that both know.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from utils import datasets, evaluation, models, records, runtime, training
from utils.datasets import sources
from utils.records import Predictions
from utils.runtime import ModelError

#: FER+ labels another data set's pictures anew, in the same splits.
SAME_PICTURES = {"ferplus": "fer2013"}


@dataclass(frozen=True)
class Assessment:
    """What a network said of a split, with everything that a record of it needs.

    Attributes
    ----------
    info : dict
        As `records.Evaluation.info`, without n and expressions.
    predictions : Predictions
        Rounded as records are: what is printed now and computed from the record later agree.
    shape : tuple of int
        Height, width and channels that the network takes.
    about : tuple of str
        Sentences about the data, and about what the figures do not tell.
    """

    info: dict[str, Any]
    predictions: Predictions = field(repr=False)
    shape: tuple[int, int, int]
    about: tuple[str, ...]

    def write(self, results: Path) -> Path:
        """Record it in the network's folder below ``results``; return the ``.json`` file."""
        return records.write_evaluation(results / self.info["network"], self.info, self.predictions)

    def sentences(self) -> list[str]:
        """Write network, data, accuracy with its interval, a row a class, the worst mistakes."""
        info = self.info
        table = evaluation.report(self.predictions).rename_axis(None)
        shape = "×".join(map(str, self.shape))
        trained_on = info["trained_on"] or "what no record says"
        confused = evaluation.most_confused(self.predictions)
        return [
            f"network: {info['network']}, {shape}, trained on {trained_on}",
            f"{info['split']}: {evaluation.summary(self.predictions)}",
            *self.about,
            "",
            *table.to_string(float_format="{:.3f}".format).splitlines(),
            "",
            "most often confused",
            *(
                f"  {row.true} taken for {row.predicted}: {row['count']:,} ({row.share:.0%})"
                for _, row in confused.iterrows()
            ),
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the same for a program: info, `evaluation.Summary`, report, most_confused."""
        found = asdict(evaluation.summary(self.predictions))
        if not found["n_without_copies"]:  # NaN, which JSON does not know
            found |= {"accuracy_without_copies": None, "interval_without_copies": (None, None)}
        return {
            **self.info,
            **found,
            "about": self.about,
            "report": evaluation.report(self.predictions).to_dict(orient="index"),
            "most_confused": evaluation.most_confused(self.predictions).to_dict("records"),
        }


def assess(
    file: Path,
    dataset: datasets.FaceDataset,
    *,
    split: str = "test",
    without: Sequence[str] = (),
    command: str = "",
) -> Assessment:
    """Ask a network about the faces of a split, in as many views as its run was tested in.

    Parameters
    ----------
    file : path
        A ``.keras`` file, as `models.find` returns it.
    dataset : FaceDataset
        The faces; classes that only one of the two knows are left out, and said.
    split : {"test", "validation", "all"}
        Which rows; "all" for a data set whose pictures the network was not trained on.
    without : sequence of str
        Further expressions to leave out.
    command : str
        What was typed, for the record.

    Raises
    ------
    ModelError
        When network and data share fewer than two classes, neither has an expression that is to
        be left out, or "all" holds the faces that the network was trained on.
    """
    classifier = models.load(file)
    name, run = records.network_name(file), records.run_of(file)
    known, there = classifier.expressions, dataset.expressions
    for expression in without:
        if expression not in (*known, *there):
            raise ModelError(
                f"found no {expression} to leave out: {name} names {', '.join(known)}, "
                f"{dataset.name} has {', '.join(there)}"
            )
    shared = [one for one in there if one in known and one not in without]
    if len(shared) < 2:
        raise ModelError(
            f"{name} names {', '.join(known)}; {dataset.name} has {', '.join(there)}: "
            f"{len(shared)} in common, expected two or more"
        )
    left_out = [one for one in (*there, *known) if one not in shared]
    reduced = dataset.without([one for one in there if one not in shared])
    asked, described = records.asked(file, reduced, split), reduced.describe()
    if split == "all":
        if _same_pictures(asked) and (
            # All folders bear one name: the fingerprint tells them apart.
            dataset.name != "folder" or dataset.fingerprint() == run.info["fingerprint"]
        ):
            raise ModelError(
                f"{name} was trained on {asked['trained_on']}: all of {reduced.name} holds faces "
                "that it has seen; expected the test or the validation split"
            )
        reduced = replace(reduced, split=np.full(len(reduced), "test"))
    rows = "test" if split == "all" else split
    if not (reduced.split == rows).any():
        sources.refuse(reduced.source or reduced.name, f"no {rows} rows", "some")
    start = time.perf_counter()
    views = run.views if run else 1
    predictions = training.predict(
        models.restrict(classifier, reduced.expressions),
        reduced,
        rows,
        test_time_augmentation=views,
    )
    predictions = records.as_recorded(predictions)
    info = {
        **asked,
        "views": views,
        "without": list(dict.fromkeys(left_out)),
        "command": command,
        "evaluated": runtime.now(),
        "seconds": round(time.perf_counter() - start, 1),
        **records.surroundings(),
    }
    about = [f"data: {described}"]
    if left_out:
        before = len(dataset) if split == "all" else int((dataset.split == split).sum())
        lost = before - len(predictions)
        about.append(
            f"evaluated on the {len(shared)} classes that are left without "
            f"{', '.join(info['without'])}: {lost:,} faces of other classes are left out"
        )
    return Assessment(
        info, predictions, classifier.input_shape, (*about, *_about_copies(info, predictions))
    )


def _same_pictures(info: dict[str, Any]) -> bool:
    """Whether the network was trained on the training split of these very pictures."""
    dataset, trained_on = info["dataset"], info["trained_on"]
    return SAME_PICTURES.get(trained_on, trained_on) == SAME_PICTURES.get(dataset, dataset)


def _about_copies(info: dict[str, Any], predictions: Predictions) -> list[str]:
    """Say why the accuracy without copies tells little, where another data set was trained on."""
    copies = int(predictions.copies.sum())
    dataset, trained_on = info["dataset"], info["trained_on"]
    if not copies or _same_pictures(info):
        return []
    known = "what this network was trained on is not recorded"
    if trained_on:
        known = f"this network was trained on {trained_on}"
    return [
        f"{copies:,} of these faces also stand in {dataset}'s training split; {known}, so it "
        "need not have seen them"
    ]
