"""What came out of a search: its table, what mattered, what choosing cost, its record."""

from __future__ import annotations

import base64
import io
import json
import math
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import augment, records, runtime, training
from utils.runtime import ModelError
from utils.search.quiet import optuna_package, quietly
from utils.search.space import Space, distributions, settings_with

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


@dataclass(frozen=True)
class Search:
    """A search: what was asked, and what each trial gave.

    Attributes
    ----------
    name : str
        The study's.
    info : dict
        ``search.json``: sampler, pruner, model, data and their fingerprint, rows, settings, space.
    trials : pandas.DataFrame
        A row a trial, from `results`.
    epochs : pandas.DataFrame
        A row an epoch of a trial: trial, epoch (from 1), val_accuracy.
    right : pandas.DataFrame
        (validation rows, complete trials) bool: who got which face right.
    """

    name: str
    info: dict[str, Any] = field(repr=False)
    trials: pd.DataFrame = field(repr=False)
    epochs: pd.DataFrame = field(repr=False)
    right: pd.DataFrame = field(repr=False)

    @property
    def complete(self) -> pd.DataFrame:
        """The trials that went to their last epoch: only these can be chosen."""
        return self.trials[self.trials["state"] == "complete"]

    @property
    def best(self) -> pd.Series:
        """The complete trial of the highest validation accuracy; the first of equals.

        Raises
        ------
        ModelError
            When no trial is complete.
        """
        if self.complete.empty:
            raise ModelError(f"{self.name}: no trial is complete, so none can be the best")
        return self.complete.loc[self.complete["val_accuracy"].idxmax()]

    @property
    def space(self) -> Space:
        """What could be chosen."""
        return Space.from_dict(self.info["space"])


@dataclass(frozen=True)
class Price:
    """What choosing the best of several costs in honesty; see `price_of_choosing`.

    Attributes
    ----------
    chosen : float
        Accuracy of the chosen trial on the half that chose it, 0 … 1, on average.
    unseen : float
        Its accuracy on the other half.
    trials : int
        How many there were to choose from.
    rows : int
        Faces in a half.
    """

    chosen: float
    unseen: float
    trials: int
    rows: int

    @property
    def gift(self) -> float:
        """How much the figure that chose is too high, 0 … 1."""
        return self.chosen - self.unseen


def results(study) -> pd.DataFrame:
    """Make the table of a study's trials.

    Parameters
    ----------
    study : optuna.Study
        One that `open_study` returned.

    Returns
    -------
    pandas.DataFrame
        A row a trial: "trial" (its number), "state" (complete, pruned, failed, running, waiting),
        "val_accuracy" (of its best epoch; NaN before the first), "epochs" (that it ran),
        "seconds", "worker", and a column for each setting that is searched.
    """
    space = Space.from_dict(study.user_attrs["plan"]["space"])
    rows = []
    for trial in study.get_trials(deepcopy=False):
        if trial.user_attrs.get("surplus"):
            continue
        begun, ended = trial.datetime_start, trial.datetime_complete
        values = trial.intermediate_values.values()
        rows.append(
            {
                "trial": trial.number,
                "state": STATES[trial.state.name],
                "val_accuracy": max(values, default=math.nan),
                "epochs": len(values),
                "seconds": round((ended - begun).total_seconds(), 1)
                if begun and ended
                else math.nan,
                "worker": trial.user_attrs.get("worker", ""),
                **{name: trial.params.get(name, math.nan) for name in space.searched},
            }
        )
    return pd.DataFrame(rows)


def importance(search: Search, *, epoch: int | None = None, seed: int = 0) -> pd.Series:
    """Say how much of the accuracy's spread each setting explains: functional ANOVA.

    A random forest learns the accuracy from the settings; its variance is then divided among
    them (Hutter et al. 2014). Settings that work together share what they explain.

    Parameters
    ----------
    search : Search
        With four trials or more that reached the epoch.
    epoch : int, optional
        After which epoch the accuracies are compared, from 1. By default the last one that no
        trial was pruned before, so that all of them count; at the search's last epoch, only
        complete trials do.
    seed : int
        Of the forest.

    Returns
    -------
    pandas.Series
        Index: the settings, the most important first; the shares sum to 1, or are 0 where every
        accuracy is the same.

    Raises
    ------
    ModelError
        When there are fewer than four such trials.
    """
    ended = search.trials[search.trials["state"].isin(["complete", "pruned"])]
    if epoch is None:
        epoch = int(ended["epochs"].min()) if len(ended) else 1
    reached = search.epochs[search.epochs["epoch"] == epoch]
    table = ended.drop(columns="val_accuracy").merge(reached[["trial", "val_accuracy"]], on="trial")
    if len(table) < 4:
        raise ModelError(
            f"{search.name}: {len(table)} trials reached epoch {epoch}, too few to tell what "
            "matters; four or more do"
        )
    if table["val_accuracy"].nunique() == 1:
        return pd.Series(0.0, index=list(search.space.searched), name="importance")
    optuna = optuna_package()
    with quietly():
        study = optuna.create_study(direction="maximize")
        described = distributions(search.space)
        for row in table.to_dict("records"):
            study.add_trial(
                optuna.trial.create_trial(
                    params={name: row[name] for name in described},
                    distributions=described,
                    value=row["val_accuracy"],
                )
            )
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    found = pd.Series(shares, dtype=float).reindex(list(described), fill_value=0.0)
    return found.sort_values(ascending=False, kind="stable").rename("importance")


def price_of_choosing(search: Search, *, repeats: int = 2_000, seed: int = 0) -> Price:
    """Measure how flattering the accuracy is that a trial was chosen by.

    The validation rows are cut into two halves at random: the first half chooses the best of the
    complete trials, the second says how good it is. No test row is needed for that.

    Parameters
    ----------
    search : Search
        With two complete trials or more.
    repeats : int
        Cuts to average over.
    seed : int
        Of the cuts.

    Returns
    -------
    Price

    Raises
    ------
    ModelError
        When there is nothing to choose from.
    """
    right = search.right.to_numpy(dtype=float)
    rows, trials = right.shape
    if trials < 2 or rows < 2:
        raise ModelError(f"{search.name}: {trials} complete trials leave nothing to choose from")
    rng = np.random.default_rng(seed)
    half = rows // 2
    sums = np.zeros(2)
    for _ in range(repeats):
        order = rng.permutation(rows)
        first, second = right[order[:half]].mean(axis=0), right[order[half:]].mean(axis=0)
        # Among equals the first: as `Search.best` does it.
        sums += first.max(), second[first.argmax()]
    chosen, unseen = sums / repeats
    return Price(float(chosen), float(unseen), trials, half)


def best_settings(search: Search) -> training.Settings:
    """Return the settings of the best trial, ready for `training.train`.

    Their number of epochs is the search's: a longer run wants it replaced.
    """
    values = dict(search.info["settings"])
    if values.get("augmentation") is not None:
        values["augmentation"] = augment.Augmentation(**values["augmentation"])
    chosen = {name: search.best[name] for name in search.space.searched}
    for name in ("batch_size", "filters"):
        if name in chosen:
            chosen[name] = int(chosen[name])
    for name in ("learning_rate", "dropout"):
        if name in chosen:
            chosen[name] = float(chosen[name])
    return settings_with(training.Settings(**values), chosen)


def describe(search: Search) -> str:
    """Say in two lines what a search came to."""
    counts = search.trials["state"].value_counts()
    shown = ", ".join(f"{counts[state]} {state}" for state in STATES.values() if state in counts)
    best = search.best
    chosen = ", ".join(f"{name} {best[name]:.4g}" for name in search.space.searched)
    return (
        f"{search.name}: {shown}; {int(search.trials['epochs'].sum())} epochs\n"
        f"best: trial {best['trial']}, {best['val_accuracy']:.1%} of "
        f"{search.info['rows']['validation']:,} validation faces ({chosen})"
    )


def record(search: Search, *, folder: Path = runtime.RESULTS, command: str = "") -> Path:
    """Write a search to ``folder``/search-NAME/.

    Parameters
    ----------
    search : Search
        No trial running; those that still wait are counted in ``search.json`` and left out of
        the tables.
    folder : path
        Where records lie.
    command : str
        What made it.

    Returns
    -------
    pathlib.Path
        The record's folder, with ``search.json``, ``trials.csv``, ``epochs.csv`` and
        ``right.npz``.

    Raises
    ------
    ModelError
        When a trial is running, or none is done.
    """
    running = int((search.trials["state"] == "running").sum())
    if running:
        raise ModelError(f"{search.name}: {running} trials are not done yet")
    trials = search.trials[search.trials["state"] != "waiting"]
    if trials.empty:
        raise ModelError(f"{search.name}: no trial is done, so there is nothing to record")
    place = folder / f"search-{search.name}"
    seconds = float(trials["seconds"].sum())
    info = {
        **search.info,
        "trials": search.trials["state"].value_counts().sort_index().to_dict(),
        "epochs_run": int(trials["epochs"].sum()),
        "seconds": round(seconds, 1),
        "command": command,
        **_surroundings(),
        "recorded": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        trials=search.right.columns.to_numpy(dtype=np.int64),
        right=search.right.to_numpy(dtype=bool),
    )
    content = runtime.as_json(info)
    for name, table in (("trials", trials), ("epochs", search.epochs)):
        # Every digit: the best settings are read from here.
        csv = table.to_csv(index=False, lineterminator="\n")
        runtime.write_atomically(place / f"{name}.csv", csv.encode())
    runtime.write_atomically(place / "right.npz", buffer.getvalue())
    # Last, so that a record with a search.json is a whole one.
    runtime.write_atomically(place / "search.json", content)
    return place


def load(name: str, *, folder: Path = runtime.RESULTS) -> Search:
    """Read a recorded search.

    Parameters
    ----------
    name : str
        The study's name, as "cnn3-fer2013".
    folder : path
        Where records lie.

    Returns
    -------
    Search

    Raises
    ------
    ModelError
        When there is no such record, or one of its files is not what it should be.
    """
    place = folder / f"search-{name}"
    if not (place / "search.json").is_file():
        there = ", ".join(recorded(folder)) or "none"
        raise ModelError(f"no search called {name!r}; recorded: {there}")
    try:
        info = json.loads((place / "search.json").read_text(encoding="utf-8"))
        trials = pd.read_csv(place / "trials.csv", dtype={"worker": str})
        trials["worker"] = trials["worker"].fillna("")
        epochs = pd.read_csv(place / "epochs.csv")
        with np.load(place / "right.npz", allow_pickle=False) as arrays:
            right = pd.DataFrame(arrays["right"], columns=arrays["trials"])
        missing = {"trial", "state", "val_accuracy", "epochs", "seconds", *info["space"]} - {
            *trials.columns,
            *(one for one, values in info["space"].items() if values == []),
        }
    except (ValueError, KeyError, OSError, TypeError, AttributeError) as error:
        raise ModelError(f"{place.name}: its record cannot be read: {error}") from error
    if missing:
        raise ModelError(f"{place.name}/trials.csv: no column {', '.join(sorted(missing))}")
    return Search(name, info, trials, epochs, right)


def recorded(folder: Path = runtime.RESULTS) -> list[str]:
    """List the recorded searches below ``folder``, by name."""
    return sorted(
        file.parent.name.removeprefix("search-") for file in folder.glob("search-*/search.json")
    )


def read(study) -> Search:
    """Read a study out of its database."""
    trials = results(study)
    epochs, right = [], {}
    for trial in study.get_trials(deepcopy=False):
        if trial.user_attrs.get("surplus"):
            continue
        epochs += [
            {"trial": trial.number, "epoch": epoch, "val_accuracy": value}
            for epoch, value in sorted(trial.intermediate_values.items())
        ]
        if trial.state.name == "COMPLETE":
            bits = base64.b64decode(trial.user_attrs["right"])
            count = study.user_attrs["plan"]["rows"]["validation"]
            right[trial.number] = np.unpackbits(np.frombuffer(bits, np.uint8), count=count).astype(
                bool
            )
    return Search(
        study.study_name,
        study.user_attrs["plan"],
        trials,
        pd.DataFrame(epochs, columns=["trial", "epoch", "val_accuracy"]),
        pd.DataFrame(right),
    )


def _surroundings() -> dict[str, Any]:
    """Describe where a search happened, with Optuna's version."""
    from importlib import metadata

    here = records.surroundings()
    return {**here, "versions": {**here["versions"], "optuna": metadata.version("optuna")}}
