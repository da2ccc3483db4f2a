"""A trained network evaluated on a data set, or a split of it: what ``evaluate.py`` calls.

The data set need not be the one that the network was trained on: it is evaluated on the classes
that both have.
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

#: FER+ relabels another data set's pictures, in the same splits.
SAME_PICTURES = {"ferplus": "fer2013"}


@dataclass(frozen=True)
class Assessment:
    """A network's predictions for a split, with everything that a record of them needs.

    Attributes
    ----------
    info : dict
        As `records.Evaluation.info`, without n and expressions.
    predictions : Predictions
        Rounded as records are, so what is printed now and computed from the record later agree.
    shape : tuple of int
        Height, width and channels of the network's input.
    about : tuple of str
        Sentences about the data, and about what the numbers do not tell.
    """

    info: dict[str, Any]
    predictions: Predictions = field(repr=False)
    shape: tuple[int, int, int]
    about: tuple[str, ...]

    def write(self, results: Path) -> Path:
        """Record it in the network's folder below ``results``; return the ``.json`` file."""
        return records.write_evaluation(results / self.info["network"], self.info, self.predictions)

    def sentences(self) -> list[str]:
        """Write network, data, accuracy with its interval, a row per class, the worst mistakes."""
        info = self.info
        table = evaluation.report(self.predictions).rename_axis(None)
        shape = "×".join(map(str, self.shape))
        trained_on = info["trained_on"] or "an unrecorded data set"
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
        if not found["n_without_copies"]:  # NaN, which JSON does not have
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
    """Evaluate a network on the faces of a split, in as many views as its run was tested with.

    Parameters
    ----------
    file : path
        A ``.keras`` file, as `models.find` returns it.
    dataset : FaceDataset
        The faces; classes that only one of the two has are left out and reported.
    split : {"test", "validation", "all"}
        Which rows; "all" for a data set whose pictures the network was not trained on.
    without : sequence of str
        Further expressions to leave out.
    command : str
        The command as typed, for the record.

    Raises
    ------
    ModelError
        When network and data share fewer than two classes, neither has an expression that is to
        be left out, or "all" includes the faces that the network was trained on.
    """
    classifier = models.load(file)
    name, run = records.network_name(file), records.run_of(file)
    known, there = classifier.expressions, dataset.expressions
    for expression in without:
        if expression not in (*known, *there):
            raise ModelError(
                f"found no {expression} to leave out: {name} predicts {', '.join(known)}, "
                f"{dataset.name} has {', '.join(there)}"
            )
    shared = [one for one in there if one in known and one not in without]
    if len(shared) < 2:
        raise ModelError(
            f"{name} predicts {', '.join(known)}; {dataset.name} has {', '.join(there)}: "
            f"{len(shared)} in common, expected two or more"
        )
    left_out = [one for one in (*there, *known) if one not in shared]
    reduced = dataset.without([one for one in there if one not in shared])
    asked, described = records.asked(file, reduced, split), reduced.describe()
    behind = _behind(run)
    seen = {_pictures(one.info["dataset"]) for one in behind}
    if split == "all":
        # All folders have the same name: the fingerprint of the known classes tells them apart.
        learned = dataset.without([one for one in there if one not in known])
        if _pictures(dataset.name) in seen and (
            dataset.name != "folder"
            or learned.fingerprint() in {one.info["fingerprint"] for one in behind}
        ):
            raise ModelError(
                f"{name} was trained on {' and '.join(sorted(seen))}: all of {reduced.name} holds "
                "faces that it has seen; expected the test or the validation split"
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
            f"evaluated on the {len(shared)} classes left without "
            f"{', '.join(info['without'])}: {lost:,} faces of other classes are left out"
        )
    about += _about_copies(predictions, dataset.name, seen)
    return Assessment(info, predictions, classifier.input_shape, tuple(about))


def _pictures(dataset: str) -> str:
    """Name the data set that a data set's pictures come from."""
    return SAME_PICTURES.get(dataset, dataset)


def _behind(run: records.Run | None) -> list[records.Run]:
    """List a run and the recorded runs that started or taught it, at any remove."""
    if run is None:
        return []
    settings, found = training.settings_from_record(run.info["settings"]), [run]
    for name in settings.predecessors():
        if name.endswith(".keras"):
            before = records.run_of(Path(name))
        else:
            places = (Path(name), run.folder.parent / name, runtime.RESULTS / name)
            finished = (one for one in places if records.is_finished(one))
            before = next((records.load(one) for one in finished), None)
        found += _behind(before)
    return found


def _about_copies(predictions: Predictions, dataset: str, seen: set[str]) -> list[str]:
    """Say why the accuracy without copies means little if training used another data set."""
    copies = int(predictions.copies.sum())
    if not copies or _pictures(dataset) in seen:
        return []
    known = "what this network was trained on is not recorded"
    if seen:
        known = f"this network was trained on {' and '.join(sorted(seen))}"
    return [
        f"{copies:,} of these faces are also in {dataset}'s training split; {known}, so it "
        "need not have seen them"
    ]
