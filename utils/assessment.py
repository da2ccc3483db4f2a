"""A trained network asked about a split of a data set: what ``evaluate.py`` calls.

The data set need not be the one that the network was trained on; that it has the same classes in
the same order is checked, not taken on trust.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from utils import datasets, evaluation, models, records, training
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
    data : str
        One line about the data: `FaceDataset.describe`.
    """

    info: dict[str, Any]
    predictions: Predictions = field(repr=False)
    shape: tuple[int, int, int]
    data: str

    def write(self, results: Path) -> Path:
        """Record it in the network's folder below ``results``; return the ``.json`` file."""
        return records.write_evaluation(results / self.info["network"], self.info, self.predictions)

    def about_copies(self) -> str:
        """Say why the accuracy without copies tells little, where it does; else nothing.

        Copies are the pictures that also stand in the training split of the data set that was
        *evaluated*. A network that was trained on another one need not have seen them.
        """
        copies = int(self.predictions.copies.sum())
        dataset, trained_on = self.info["dataset"], self.info["trained_on"]
        same = SAME_PICTURES.get(trained_on, trained_on) == SAME_PICTURES.get(dataset, dataset)
        if not copies or same:
            return ""
        known = "what this network was trained on is not recorded"
        if trained_on:
            known = f"this network was trained on {trained_on}"
        return (
            f"{copies:,} of these faces also stand in {dataset}'s training split; {known}, so it "
            "need not have seen them"
        )

    def sentences(self) -> list[str]:
        """Write network, data, accuracy with its interval, a row a class, the worst mistakes."""
        info, found = self.info, evaluation.summary(self.predictions)
        table = evaluation.report(self.predictions).rename_axis(None)
        shape = "×".join(map(str, self.shape))
        trained_on = info["trained_on"] or "what no record says"
        confused = evaluation.most_confused(self.predictions)
        return [
            f"network: {info['network']}, {shape}, trained on {trained_on}",
            f"data: {self.data}",
            f"{info['split']}: {found}",
            *filter(None, [self.about_copies()]),
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
        return _without_nan(
            {
                **self.info,
                **asdict(evaluation.summary(self.predictions)),
                "about_copies": self.about_copies() or None,
                "report": evaluation.report(self.predictions).to_dict(orient="index"),
                "most_confused": evaluation.most_confused(self.predictions).to_dict("records"),
            }
        )


def assess(
    network: Path | str,
    data: str | None = None,
    path: Path | str | None = None,
    *,
    split: str = "test",
    without: Sequence[str] = (),
    command: Sequence[str] = (),
) -> Assessment:
    """Ask a network about every face of a split, in as many views as its run was tested in.

    Parameters
    ----------
    network : path or str
        As `models.find` takes it: a released network, a run, a ``.keras`` file.
    data : str, optional
        A data set's name; by default what the network's record says that it was trained on.
    path : path, optional
        Where the data lie, as `datasets.load` takes it.
    split : {"test", "validation"}
        Which rows.
    without : sequence of str
        Expressions to leave out of the data and of the network's answers, so that a network of
        FER+'s eight classes and one of FER2013's seven can be asked the same.
    command : sequence of str
        What was typed, for the record.

    Returns
    -------
    Assessment

    Raises
    ------
    ModelError
        When there is no such network, when its classes are others than the data's, when neither
        has an expression that is to be left out, or when no data set is named and no record names
        one.
    DataError
        When the data cannot be read.
    """
    file = models.find(network)
    classifier = models.load(file)
    name, run = records.network_name(file), records.run_of(file)
    trained_on = run.info["dataset"] if run else ""
    if not (data or trained_on):
        raise ModelError(f"{name}: no record says what it was trained on; name the data (--data)")
    dataset = datasets.load(data or trained_on, path)
    for expression in without:
        if expression not in (*classifier.expressions, *dataset.expressions):
            raise ModelError(
                f"found no {expression} to leave out: {name} names "
                f"{', '.join(classifier.expressions)}, {dataset.name} has "
                f"{', '.join(dataset.expressions)}"
            )
    classifier, dataset = models.without(classifier, without), dataset.without(without)
    training.check_names(name, classifier.expressions, dataset)
    start = time.perf_counter()
    views = run.info.get("settings", {}).get("views", 1) if run else 1
    predictions = training.predict(classifier, dataset, split, views=views)
    predictions = records.as_recorded(predictions)
    info = {
        **records.asked(file, dataset, split),
        "views": views,
        "without": list(without),
        "command": shlex.join(command),
        "evaluated": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - start, 1),
        **records.surroundings(),
    }
    return Assessment(info, predictions, classifier.input_shape, dataset.describe())


def _without_nan(value: Any) -> Any:
    """Put None, which JSON knows, in place of each NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
