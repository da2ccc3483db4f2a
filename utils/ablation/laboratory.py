"""Train each line with each seed, and record what the validation split says."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from utils import datasets, evaluation, models, plans, records, runtime, training
from utils.ablation import findings
from utils.ablation.lines import LINES, RECIPE
from utils.ablation.plan import Plan
from utils.runtime import ModelError


class _TimeIsUp(Exception):
    """Ends a training after an epoch that is on disk."""


def run(
    dataset: datasets.FaceDataset,
    plan: Plan,
    seeds: Sequence[int],
    folder: Path,
    *,
    runs: Path = runtime.RUNS,
    minutes: float | None = None,
    command: str = "",
    verbose: int = 0,
) -> findings.Ablation:
    """Train what is missing, seed by seed across the lines; go on where it was left.

    All lines with the first seed come first, so that a record that is cut off holds a whole
    table of fewer seeds. Killed at any moment, the same call goes on from the last finished
    epoch; one with more seeds or lines adds them.

    Parameters
    ----------
    dataset : FaceDataset
        Its test rows are left out before anything is trained.
    plan : Plan
        The recipe, and which lines.
    seeds : sequence of int
        One or more, each 0 or more.
    folder : path
        The record's: ``plan.json``, ``lines.csv``, ``LINE-SEED.validation.npz``.
    runs : path
        Below it, in a folder of the record's name, lie the runs, with weights.
    minutes : float, optional
        Stop after the epoch that ends so many minutes in. An epoch is made in any case.
    command : str
        What is being run, for the record.
    verbose : {0, 1, 2}
        1 prints a line a run, 2 also one an epoch.

    Returns
    -------
    Ablation
        All that the folder then holds; `Ablation.left` says what is missing.

    Raises
    ------
    ModelError
        When the folder was begun with another recipe or other data, the recipe's network cannot
        be built, or the one that a line asks anew is gone.
    DataError
        When a split is missing, or the data cannot be trained with as asked.
    """
    import filelock

    seeds = list(dict.fromkeys(seeds))
    if not seeds or min(seeds) < 0:
        raise ModelError(f"expected one seed or more, each 0 or more, got {seeds}")
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    data = dataset.without_test()
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder.with_name(f".{folder.name}.lock")):
        _begin(dataset, plan, folder)
        left = findings.load(folder).left(plan.lines, seeds)
        if left:
            plans.begin_session(folder, command)
        for line, seed in left:
            try:
                row, answers = _line(data, plan, line, seed, Path(runs) / folder.name, end, verbose)
            except _TimeIsUp:
                break
            records.write_predictions(folder / f"{line}-{seed}.validation.npz", answers)
            # The row comes last: it is what makes a run finished.
            findings.add_row(folder, row)
            if verbose:
                print(
                    f"{line}, seed {seed}: {row['accuracy']:.1%} on validation, "
                    f"{row['seconds']:.0f} s",
                    flush=True,
                )
            if time.monotonic() >= end:
                break
        return findings.load(folder)


def _begin(dataset: datasets.FaceDataset, plan: Plan, folder: Path) -> None:
    """Write ``plan.json`` at the first start; at a later one, check that it says the same."""
    asked: dict[str, Any] = {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "settings": plan.as_dict(),
        "lines": {
            line: {"title": LINES[line].title, "changes": plan.changes(line)} for line in plan.lines
        },
    }
    if not (folder / plans.FILE).is_file():
        # A network that cannot be built is not to leave a record behind.
        size, classes = plan.base.size, len(dataset.expressions)
        shape = (size, size, dataset.images.shape[-1])
        models.build(plan.base.model, shape, classes, **plan.base.network)
        rows = {name: int((dataset.split == name).sum()) for name in ("training", "validation")}
        expressions = list(dataset.expressions)
        plans.write(folder, {**asked, "expressions": expressions, "rows": rows, "sessions": []})
        return
    info = findings.load(folder).info
    known = [line for line in asked["lines"] if line in info["lines"]]
    begun, wanted = (
        {
            "dataset": told["dataset"],
            "fingerprint": told["fingerprint"],
            **training.complete(told["settings"]),
            **{f"{line}'s changes": told["lines"][line]["changes"] for line in known},
        }
        for told in (info, asked)
    )
    plans.require_same(folder.name, begun, wanted, "take another folder, or delete this one")
    plans.write(folder, {**info, "lines": {**info["lines"], **asked["lines"]}})


def _line(
    data: datasets.FaceDataset,
    plan: Plan,
    line: str,
    seed: int,
    runs: Path,
    end: float,
    verbose: int,
) -> tuple[dict[str, Any], records.Predictions]:
    """Train a line, or ask the recipe's network anew; return its row and its answers."""
    trains = plan.trains(line)
    settings = plan.settings(line, seed)
    of = line if trains else RECIPE
    file = runs / f"{of}-{seed}" / "model.keras"
    if not trains and not file.is_file():
        raise ModelError(
            f"{file.parent.name}/{file.name}: is gone, and line {line!r} asks it: leave the line "
            "out, or delete the record and begin anew"
        )

    def after_epoch(epoch: int, logs: dict[str, float]) -> None:
        if epoch < settings.epochs and time.monotonic() >= end:
            raise _TimeIsUp

    try:
        trained = training.train(
            data,
            plan.settings(of, seed),
            folder=file.parent,
            verbose=2 if verbose > 1 else 0,
            test=False,
            after_epoch=after_epoch,
        )
        classifier = models.load(file)
        answers = trained.validation
        if not trains:
            asked = training.predict(classifier, data, "validation", views=settings.views)
            answers = records.as_recorded(asked)
        parameters = classifier.model.count_params()
    finally:
        if "keras" in sys.modules:
            # Or the graphs of all runs stay in memory.
            sys.modules["keras"].backend.clear_session()
    places = [trained.info, *trained.info["resumed"]]
    row = {
        "line": line,
        "seed": seed,
        "epochs": len(trained.history),
        "best_epoch": trained.best_epoch,
        "n": len(answers),
        "accuracy": float((answers.predicted == answers.labels).mean()),
        "log_loss": evaluation.log_loss(answers),
        "seconds": float(trained.history["seconds"].median() * len(trained.history)),
        "parameters": parameters,
        "hardware": ", then ".join(dict.fromkeys(place["hardware"] for place in places)),
    }
    return row, answers
