"""Search the settings: learning rate, batch size, number of filters, dropout.

`grid` tries every combination, as the course's ancestors did. `tpe` lets each trial learn from
those before it, and ends the hopeless ones early. Both choose on the validation split alone: the
test split is taken out of the data before the first trial.

    python -m utils.search --model cnn3 --data fer2013 --trials 20 --epochs 8 --rows 6000

Started twice at the same time, or on two machines with one database (--storage), the command
works on one study: its trials are shared out, and each process ends when all of them are done.
Started again later, it goes on.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import dataclasses
import inspect
import io
import json
import math
import os
import shlex
import shutil
import sys
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import augment, datasets, models, records, runtime, training
from utils.errors import DataError, ModelError

#: Where studies lie: NAME.db, and the folders of their trials.
STUDIES = runtime.RUNS / "search"

#: What is searched, in this order everywhere.
SETTINGS = ("learning_rate", "batch_size", "filters", "dropout")

#: Trials that TPE draws at random before it has seen enough to learn from.
RANDOM_TRIALS = 6
#: Trials that must be complete before another one can be pruned.
UNPRUNED_TRIALS = 4
#: A trial whose worker died is taken over this often; then it is given up.
RETRIES = 3
#: A worker that gives no sign of life for so many intervals is taken for dead.
MISSED_BEATS = 3

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


@dataclass(frozen=True)
class Interval:
    """All numbers from ``low`` to ``high``.

    Attributes
    ----------
    low, high : float
        The ends, both included; low < high.
    log : bool
        Whether 0.001 to 0.01 is as long as 0.01 to 0.1; then low is over 0.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ModelError(
                f"an interval goes from low to high, not from {self.low} to {self.high}"
            )
        if self.log and self.low <= 0:
            raise ModelError(f"a logarithmic interval begins over 0, not at {self.low}")

    def points(self, count: int) -> tuple[float, ...]:
        """Return ``count`` (2 or more) numbers from end to end, at equal distances."""
        if count < 2:
            raise ModelError(f"an interval has 2 points or more, not {count}")
        space = np.geomspace if self.log else np.linspace
        return tuple(float(f"{value:.4g}") for value in space(self.low, self.high, count))


@dataclass(frozen=True)
class Space:
    """What may be chosen.

    Attributes
    ----------
    learning_rate : Interval or tuple of float
        Over 0.
    batch_size : tuple of int
        From 1.
    filters : tuple of int
        Filters of the first block, from 1; those of the others keep their proportion to it.
    dropout : Interval or tuple of float
        Behind each convolution, from 0 to below 1.

    An empty tuple leaves a setting as it is.
    """

    learning_rate: Interval | tuple[float, ...] = Interval(3e-4, 1e-2, log=True)
    batch_size: tuple[int, ...] = (32, 64, 128)
    filters: tuple[int, ...] = (8, 16, 32)
    dropout: Interval | tuple[float, ...] = Interval(0.0, 0.5)

    def __post_init__(self) -> None:
        if not self.searched:
            raise ModelError("a search needs a setting to choose: all four are left as they are")
        for name, values in self.searched.items():
            if isinstance(values, Interval):
                if name in ("batch_size", "filters"):
                    raise ModelError(f"{name}: expected whole numbers to choose from, no interval")
                ends = (values.low, values.high)
            else:
                ends = tuple(values)
                object.__setattr__(self, name, ends)
            if len(set(ends)) != len(ends):
                raise ModelError(f"{name}: a value stands twice in {ends}")
            for value in ends:
                _check_value(name, value)

    @property
    def searched(self) -> dict[str, Interval | tuple]:
        """The settings that are not left as they are, in the order of `SETTINGS`."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return {name: one for name, one in values.items() if isinstance(one, Interval) or len(one)}

    def on_grid(self, points: int = 3) -> Space:
        """Return a space of choices only: each interval becomes ``points`` of its numbers."""
        choices = {
            name: values.points(points) if isinstance(values, Interval) else values
            for name, values in self.searched.items()
        }
        return dataclasses.replace(self, **choices)

    def combinations(self) -> list[dict[str, float | int]]:
        """List every combination of the choices, the last setting changing fastest.

        Raises
        ------
        ModelError
            When there is an interval, which has no end of numbers.
        """
        combined: list[dict[str, float | int]] = [{}]
        for name, values in self.searched.items():
            if isinstance(values, Interval):
                raise ModelError(f"{name}: a grid takes values, not an interval (see on_grid)")
            combined = [{**one, name: value} for one in combined for value in values]
        return combined

    def as_dict(self) -> dict[str, Any]:
        """Return the space as JSON can hold it; `from_dict` reads it."""
        return {
            name: dataclasses.asdict(one) if isinstance(one, Interval) else list(one)
            for name, one in ((name, getattr(self, name)) for name in SETTINGS)
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Space:
        """Return the space that `as_dict` described."""
        return cls(
            **{
                name: Interval(**one) if isinstance(one, dict) else tuple(one)
                for name, one in values.items()
            }
        )


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


def grid(
    dataset: datasets.FaceDataset,
    settings: training.Settings,
    space: Space,
    *,
    name: str,
    points: int = 3,
    **where: Any,
) -> Search:
    """Train once with every combination of the settings, each to its last epoch.

    The combinations stand in a queue in the database, so that two processes never take the same
    one. Optuna's own ``GridSampler`` does give one out twice: a process that finds the grid
    begun everywhere repeats what another one is still at (two processes on a grid of nine made
    ten trials, each of three times).

    Parameters
    ----------
    dataset : FaceDataset
        Its training rows teach, its validation rows choose; its test rows are not looked at.
    settings : Settings
        Everything that is not searched. Their seed is every trial's.
    space : Space
        What may be chosen.
    name : str
        The study's name. A study of this name goes on.
    points : int
        Values taken from an interval.
    **where
        ``rows``, ``minutes``, ``storage``, ``folder``, ``worker``, ``heartbeat`` and ``verbose``,
        as `tpe` has them.

    Returns
    -------
    Search
        When all is done, by this process and by others at the same study.

    Raises
    ------
    ModelError
        When the space does not fit the network, or the study was begun otherwise.
    """
    space = space.on_grid(points)
    return _search(dataset, settings, space, "grid", space.combinations(), name=name, **where)


def tpe(
    dataset: datasets.FaceDataset,
    settings: training.Settings,
    space: Space,
    *,
    name: str,
    trials: int = 20,
    **where: Any,
) -> Search:
    """Let each trial learn from those before it, and end early what is worse than the median.

    The sampler is the tree-structured Parzen estimator (Bergstra et al. 2011): the first
    `RANDOM_TRIALS` are drawn at random; then it models where the good trials lie and where the
    others, and tries what is likelier among the good. What is random in a trial depends on the
    seed and the trial's number alone, not on who draws it or how often the search was restarted.

    A trial is pruned when its best epoch so far is worse than the median, at the same epoch, of
    the trials that went to their end. That is asked from the third epoch on (later in longer
    runs: a quarter of the epochs is spared), because at first the running averages of batch
    normalisation lag behind. Hyperband (Li et al. 2017) would divide the trials among several
    budgets, and with twenty trials there are too few to divide.

    Parameters
    ----------
    dataset, settings, space, name
        As in `grid`.
    trials : int
        Complete and pruned ones together. May be raised for a study that goes on.
    **where
        The keywords below, the same for `grid`.
    rows : int, optional
        Train on so many of the training rows, a stratified draw by the settings' seed, which
        makes a search cheap. All validation rows choose.
    minutes : float, optional
        After so long this process begins no further trial; those left stay in the queue.
    storage : str, optional
        A database's address, as SQLAlchemy writes it (``mysql://…``): one that several machines
        reach lets them work on one study. By default SQLite, in ``folder``/NAME.db.
    folder : path
        Where the study lies.
    worker : str, optional
        What this process is called in the table; its number by default.
    heartbeat : int
        Seconds between a process's signs of life. When one is silent for `MISSED_BEATS` of them,
        another takes its trial over, from the last epoch that it finds on its own disk.
    verbose : {0, 1}
        1 shows a progress bar.

    Returns
    -------
    Search
        When all is done, by this process and by others at the same study.

    Raises
    ------
    ModelError
        When the space does not fit the network, or the study was begun otherwise.
    """
    if trials < 1:
        raise ModelError(f"a search has a trial or more, not {trials}")
    return _search(dataset, settings, space, "tpe", [{}] * trials, name=name, **where)


def without_test(
    dataset: datasets.FaceDataset, rows: int | None = None, *, seed: int = 0
) -> datasets.FaceDataset:
    """Return the data that a search sees: training rows, or some of them, and validation rows.

    Parameters
    ----------
    dataset : FaceDataset
        Its test rows are left out; not even their pixels are read.
    rows : int, optional
        Draw so many training rows, each class in its proportion and with one face at least.
    seed : int
        Of the draw.

    Returns
    -------
    FaceDataset
        In the dataset's order.

    Raises
    ------
    DataError
        When there are no training or no validation rows, or fewer training rows than ``rows``.
    """
    training_rows = np.flatnonzero(dataset.split == "training")
    validation_rows = np.flatnonzero(dataset.split == "validation")
    for split, found in (("training", training_rows), ("validation", validation_rows)):
        if not len(found):
            raise DataError(f"{dataset.name}: a search needs {split} rows, and there are none")
    if rows is not None:
        labels = dataset.labels[training_rows]
        least = len(np.unique(labels))
        if not least <= rows <= len(labels):
            raise DataError(
                f"{dataset.name}: a draw of {rows:,} training rows; there are {len(labels):,}, of "
                f"{least} expressions"
            )
        training_rows = training_rows[_draw(labels, rows, seed)]
    return dataset.take(np.sort(np.concatenate([training_rows, validation_rows])))


def base_settings(model: str, dataset: str, **changes: Any) -> training.Settings:
    """Return the settings of a search for everything that is not searched.

    Parameters
    ----------
    model : str
        The network's name.
    dataset : str
        The data set's: on "sample" there are so few steps that batch normalisation's averages
        have to be shorter, and the faces are not moved.
    **changes
        Fields of `Settings` that are to be others.

    Returns
    -------
    Settings
        Otherwise `training.recipe`'s.

    Raises
    ------
    ModelError
        When there is no network of that name, or a value that no training can have.
    """
    sample: dict[str, Any] = {}
    if dataset == "sample":
        sample = {"augmentation": None, "balance": "none"}
        if "momentum" in inspect.signature(models.find_network(model).build).parameters:
            sample["network"] = {"momentum": 0.9}
    try:
        return training.recipe(model, **{**sample, **changes})
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError(str(error)) from error


def settings_with(settings: training.Settings, chosen: dict[str, float | int]) -> training.Settings:
    """Return the settings with what a trial has chosen.

    Parameters
    ----------
    settings : Settings
        Gives everything else.
    chosen : dict
        Some of `SETTINGS`. ``filters`` is the first block's number; every other block keeps its
        proportion to it, so 16 makes cnn3's 32, 64, 128 into 16, 32, 64.

    Returns
    -------
    Settings

    Raises
    ------
    ModelError
        When the network has no such setting, as vgg16 has no ``filters``.
    """
    chosen = dict(chosen)
    known = inspect.signature(models.find_network(settings.model).build).parameters
    network = dict(settings.network)
    for name in ("filters", "dropout"):
        if name not in chosen:
            continue
        if name not in known:
            raise ModelError(
                f"{settings.model} has no setting called {name}: leave it out of the search"
            )
        value = chosen.pop(name)
        if name == "filters":
            whole = network.get("filters", known["filters"].default)
            value = [max(1, round(count * value / whole[0])) for count in whole]
        network[name] = value
    return dataclasses.replace(settings, network=network, **chosen)


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


# ---------------------------------------------------------------------------------- what came out


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
    optuna = _optuna()
    with _quiet():
        study = optuna.create_study(direction="maximize")
        distributions = _distributions(search.space)
        for row in table.to_dict("records"):
            study.add_trial(
                optuna.trial.create_trial(
                    params={name: row[name] for name in distributions},
                    distributions=distributions,
                    value=row["val_accuracy"],
                )
            )
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    found = pd.Series(shares, dtype=float).reindex(list(distributions), fill_value=0.0)
    return found.sort_values(ascending=False, kind="stable").rename("importance")


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


# ---------------------------------------------------------------------------------------- records


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
    text = json.dumps(info, indent=2, ensure_ascii=False) + "\n"
    for name, table in (("trials", trials), ("epochs", search.epochs)):
        # Every digit: the best settings are read from here.
        csv = table.to_csv(index=False, lineterminator="\n")
        runtime.write_atomically(place / f"{name}.csv", csv.encode())
    runtime.write_atomically(place / "right.npz", buffer.getvalue())
    # Last, so that a record with a search.json is a whole one.
    runtime.write_atomically(place / "search.json", text.encode())
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


# ------------------------------------------------------------------------------------- the study


def open_study(
    name: str, *, folder: Path = STUDIES, storage: str | None = None, heartbeat: int = 20
):
    """Open a study, or begin it.

    Parameters
    ----------
    name, folder, storage, heartbeat
        As `tpe` has them.

    Returns
    -------
    optuna.Study

    Raises
    ------
    ModelError
        When the name is no plain file name, or the database cannot be opened.
    """
    optuna = _optuna()
    import sqlalchemy.exc

    if not name or name != Path(name).name or name.startswith("."):
        raise ModelError(f"study {name!r}: expected a name without a folder")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    address = storage or f"sqlite:///{folder / name}.db"
    try:
        with _quiet():
            return optuna.create_study(
                study_name=name,
                storage=_database(address, heartbeat),
                direction="maximize",
                load_if_exists=True,
            )
    except (
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.OptunaError,
        ImportError,
        RuntimeError,
        ValueError,
    ) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"study {name}: its database cannot be opened: {reason}") from error


def _database(address: str, heartbeat: int):
    """Connect to a database in which a trial can be taken by one process only."""
    optuna = _optuna()
    from sqlalchemy import event

    sqlite = address.startswith("sqlite")
    database = optuna.storages.RDBStorage(
        address,
        engine_kwargs={"connect_args": {"timeout": 120}} if sqlite else {},
        heartbeat_interval=heartbeat,
        grace_period=MISSED_BEATS * heartbeat,
        heartbeat_stale_trial_callback=_requeue(),
    )
    if sqlite:
        # SQLite has no row locks. Unless each transaction begins with the write lock, two
        # processes can both read "waiting" and both begin the same trial: three of them, on a
        # queue of 100 trials that took no time, did so with four.
        @event.listens_for(database.engine, "connect")
        def leave_transactions_to_us(connection, _):
            connection.isolation_level = None

        @event.listens_for(database.engine, "begin")
        def begin_with_the_write_lock(connection):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        database.engine.dispose()
    return database


def _requeue():
    """Return what queues a dead worker's trial again, with the same settings."""
    optuna = _optuna()
    with _quiet():
        return optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)


def _search(
    dataset: datasets.FaceDataset,
    settings: training.Settings,
    space: Space,
    sampler: str,
    slots: list[dict[str, float | int]],
    *,
    name: str,
    rows: int | None = None,
    minutes: float | None = None,
    storage: str | None = None,
    folder: Path = STUDIES,
    worker: str = "",
    heartbeat: int = 20,
    verbose: int = 0,
) -> Search:
    """Fill the queue with a study's trials, and work on it until all of them are done."""
    import filelock

    folder = Path(folder)
    seen = without_test(dataset, rows, seed=settings.seed)
    # A space that does not fit the network fails here, not in the first trial.
    settings_with(settings, {one: _first(values) for one, values in space.searched.items()})
    plan = _plan(seen, settings, space, sampler)
    folder.mkdir(parents=True, exist_ok=True)
    # One process of a machine at a time makes the tables and the queue.
    with filelock.FileLock(folder / f".{name}.lock"):
        study = open_study(name, folder=folder, storage=storage, heartbeat=heartbeat)
        with _quiet():
            _agree(study, plan)
            _queue(study, slots)
    with _quiet():
        study.sampler = _sampler(sampler, settings.seed)
        study.pruner = _pruner(sampler, settings.epochs)
        place = folder / f"{name}-{study.user_attrs['token']}"
        objective = _objective(study, seen, settings, space, place, worker or str(os.getpid()))
        _work(study, objective, len(slots), minutes, verbose)
        return _read(study)


def _plan(
    dataset: datasets.FaceDataset, settings: training.Settings, space: Space, sampler: str
) -> dict[str, Any]:
    """Say what a study is, as its database and its record hold it."""
    pruner = f"median, from epoch {_first_judged(settings.epochs)}" if sampler == "tpe" else "none"
    plan = {
        "sampler": sampler,
        "pruner": pruner,
        "model": settings.model,
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "rows": {
            split: int((dataset.split == split).sum()) for split in ("training", "validation")
        },
        "seed": settings.seed,
        "epochs": settings.epochs,
        "settings": dataclasses.asdict(settings),
        "space": space.as_dict(),
    }
    return json.loads(json.dumps(plan))


def _agree(study, plan: dict[str, Any]) -> None:
    """Give a new study its plan; check that an older one has the same."""
    begun = study.user_attrs.get("plan")
    if begun is None:
        study.set_user_attr("token", uuid.uuid4().hex[:8])
        study.set_user_attr("plan", plan)
        return
    for key, value in plan.items():
        if begun.get(key) != value:
            raise ModelError(
                f"study {study.study_name}: was begun with {key} {begun.get(key)!r}, and is asked "
                f"to go on with {value!r}: take another name"
            )


def _queue(study, slots: list[dict[str, float | int]]) -> None:
    """Queue a trial for each slot that no trial holds.

    A trial that an interruption or an error has ended is queued again with its settings, so
    that it goes on from its last epoch.
    """
    held = _holders(study)
    failed = {
        trial.user_attrs["slot"]: trial
        for trial in study.get_trials()
        if trial.state.name == "FAIL" and trial.params and "slot" in trial.user_attrs
    }
    for slot, chosen in enumerate(slots):
        if slot in held:
            continue
        if slot in failed:
            _again(study, failed[slot])
        else:
            study.enqueue_trial(chosen, user_attrs={"slot": slot})


def _again(study, trial) -> None:
    """Queue an ended trial once more, however often it has been."""
    optuna = _optuna()
    optuna.storages.RetryHeartbeatStaleTrialCallback()(study, trial)


def _holders(study) -> dict[int, int]:
    """Return the number of the trial that each slot belongs to: the lowest that has not failed."""
    held: dict[int, int] = {}
    for trial in study.get_trials(deepcopy=False):
        slot = trial.user_attrs.get("slot")
        if slot is not None and trial.state.name != "FAIL":
            held.setdefault(slot, trial.number)
    return held


def _sampler(name: str, seed: int):
    """Make the sampler. A grid's trials come with their settings, and draw nothing."""
    optuna = _optuna()
    if name == "grid":
        return optuna.samplers.RandomSampler(seed)

    class SeededByTrial(optuna.samplers.BaseSampler):
        """TPE whose random numbers depend on the seed and the trial's number alone.

        One generator a process would give two processes the same numbers, and a process that
        is started again those that it had before.
        """

        _inner: optuna.samplers.BaseSampler

        def before_trial(self, study, trial):
            state = np.random.SeedSequence([seed, trial.number]).generate_state(1)
            self._inner = optuna.samplers.TPESampler(
                n_startup_trials=RANDOM_TRIALS, seed=int(state[0])
            )
            self._inner.before_trial(study, trial)

        def infer_relative_search_space(self, study, trial):
            return self._inner.infer_relative_search_space(study, trial)

        def sample_relative(self, study, trial, search_space):
            return self._inner.sample_relative(study, trial, search_space)

        def sample_independent(self, study, trial, param_name, param_distribution):
            return self._inner.sample_independent(study, trial, param_name, param_distribution)

        def after_trial(self, study, trial, state, values):
            self._inner.after_trial(study, trial, state, values)

    return SeededByTrial()


def _pruner(sampler: str, epochs: int):
    """Make the pruner; a grid has none."""
    optuna = _optuna()
    if sampler == "grid":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(UNPRUNED_TRIALS, _first_judged(epochs))


def _first_judged(epochs: int) -> int:
    """Return the first epoch, counted from 1, after which a trial may be pruned."""
    return max(2, math.ceil(epochs / 4)) + 1


class _Surplus(Exception):
    """A trial that nobody asked for: its slot belongs to another one, or it has none."""


def _objective(
    study,
    dataset: datasets.FaceDataset,
    settings: training.Settings,
    space: Space,
    place: Path,
    worker: str,
):
    """Make the function of a trial that Optuna maximises: the best validation accuracy."""
    optuna = _optuna()

    def objective(trial) -> float:
        here = study.get_trials(deepcopy=False)[trial.number]
        slot = here.user_attrs.get("slot")
        if slot is None or _holders(study).get(slot) != trial.number:
            trial.set_user_attr("surplus", True)
            raise _Surplus
        trial.set_user_attr("worker", worker)
        chosen = {
            name: _suggest(trial, name, distribution)
            for name, distribution in _distributions(space).items()
        }
        folder = place / f"trial-{here.system_attrs.get('failed_trial', trial.number):03d}"
        for row in records.read_history(folder).itertuples():
            trial.report(row.val_accuracy, row.epoch)

        def after_epoch(epoch: int, logs: dict[str, float]) -> None:
            # As history.csv has it, so that a trial that was taken over reports the same.
            value = float(f"{logs['val_accuracy']:.6g}")
            try:
                trial.report(value, epoch)
            except optuna.exceptions.UpdateFinishedTrialError:
                objective.taken_away = True
                raise
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            run = training.train(
                dataset,
                settings_with(settings, chosen),
                folder=folder,
                verbose=0,
                test=False,
                after_epoch=after_epoch,
            )
        except optuna.TrialPruned:
            _leave_the_record(folder)
            raise
        finally:
            if "keras" in sys.modules:
                # Or the graphs of all trials stay in memory.
                sys.modules["keras"].backend.clear_session()
        right = run.validation.predicted == run.validation.labels
        trial.set_user_attr("right", base64.b64encode(np.packbits(right)).decode())
        _leave_the_record(folder)
        return float(run.history["val_accuracy"].max())

    objective.taken_away = False
    return objective


def _leave_the_record(folder: Path) -> None:
    """Delete a trial's weights: its settings and its history are what a search is after."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    (folder / "model.keras").unlink(missing_ok=True)


def _work(study, objective, total: int, minutes: float | None, verbose: int) -> None:
    """Take trials from the queue until none is left, and none is running elsewhere."""
    optuna = _optuna()
    from tqdm import tqdm

    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    with tqdm(
        total=total, file=sys.stdout, disable=not verbose, unit="trial", desc=study.study_name
    ) as bar:
        while True:
            optuna.storages.fail_stale_trials(study)
            trials = study.get_trials(deepcopy=False)
            states = [trial.state.name for trial in trials]
            done = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
            values = [trial.value for trial in done if trial.state.name == "COMPLETE"]
            elsewhere = "RUNNING" in states and "WAITING" not in states
            bar.set_postfix_str(
                (f"best {max(values):.1%}" if values else "")
                + (", waiting for another process" if elsewhere else "")
            )
            bar.update(len(done) - bar.n)
            if time.monotonic() >= end:
                return
            if "WAITING" in states:
                try:
                    study.optimize(objective, n_trials=1, catch=(_Surplus,))
                except Exception:
                    # This process was taken for dead, as after a laptop's sleep: another one has
                    # its trial now.
                    if not objective.taken_away:
                        raise
                    objective.taken_away = False
            elif "RUNNING" in states:
                # Another process is at the last ones. If it dies, they come back to the queue.
                time.sleep(1)
            else:
                return


def _read(study) -> Search:
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


# ------------------------------------------------------------------------------- smaller helpers


def _draw(labels: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Draw exactly ``rows`` positions, each class in its proportion, and one of each at least."""
    classes, counts = np.unique(labels, return_counts=True)
    share = rows * counts / len(labels)
    take = np.maximum(1, np.floor(share)).astype(int)
    while take.sum() < rows:
        take[np.argmax(np.where(take < counts, share - take, -np.inf))] += 1
    while take.sum() > rows:
        take[np.argmax(np.where(take > 1, take - share, -np.inf))] -= 1
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.concatenate(
        [order[labels[order] == one][:count] for one, count in zip(classes, take, strict=True)]
    )


def _check_value(name: str, value: Any) -> None:
    """Refuse a value that no training can be given."""
    whole = name in ("batch_size", "filters")
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ModelError(f"{name}: expected {'a whole number' if whole else 'a number'}: {value!r}")
    least, most = {"learning_rate": (0, math.inf), "dropout": (0, 1)}.get(name, (1, math.inf))
    inside = least <= value < most and not (name == "learning_rate" and value == 0)
    if not inside:
        wanted = {"learning_rate": "over 0", "dropout": "from 0 to below 1"}.get(name, "from 1 on")
        raise ModelError(f"{name}: expected a number {wanted}, not {value}")


def _first(values: Interval | tuple) -> float | int:
    """Return some value of a setting."""
    return values.low if isinstance(values, Interval) else values[0]


def _distributions(space: Space) -> dict[str, Any]:
    """Describe a space to Optuna."""
    optuna = _optuna()
    return {
        name: optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)
        if isinstance(values, Interval)
        else optuna.distributions.CategoricalDistribution(values)
        for name, values in space.searched.items()
    }


def _suggest(trial, name: str, distribution) -> float | int:
    """Let a trial choose a value."""
    if hasattr(distribution, "choices"):
        return trial.suggest_categorical(name, distribution.choices)
    return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)


def _optuna():
    """Import Optuna, which warns in a notebook that has no widgets for its progress bar."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna
    return optuna


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from writing to stderr: what matters comes back as a table or an error."""
    optuna = _optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # The heartbeat is "experimental" since 2021.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _surroundings() -> dict[str, Any]:
    """Describe where a search happened, with Optuna's version."""
    from importlib import metadata

    here = records.surroundings()
    return {**here, "versions": {**here["versions"], "optuna": metadata.version("optuna")}}


# ---------------------------------------------------------------------------------- command line


def _parser() -> argparse.ArgumentParser:
    default = Space()
    parser = argparse.ArgumentParser(
        prog="python -m utils.search",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="cnn3", help="the network's name (default: cnn3)")
    parser.add_argument(
        "--data", default="sample", choices=tuple(datasets.LOADERS), help="(default: sample)"
    )
    parser.add_argument("--path", help="where the data lie, if not in data/raw/")

    how = parser.add_argument_group("how")
    how.add_argument(
        "--sampler",
        default="tpe",
        choices=("tpe", "grid"),
        help="tpe: learn from earlier trials, prune poor ones; grid: every combination",
    )
    how.add_argument("--trials", type=int, default=20, help="tpe's (default: 20)")
    how.add_argument("--points", type=int, default=3, help="a grid's values of an interval")
    how.add_argument("--epochs", type=int, default=8, help="of a trial (default: 8)")
    how.add_argument("--rows", type=int, help="train on so many rows, a stratified draw")
    how.add_argument("--minutes", type=float, help="after so long, begin no further trial")
    how.add_argument("--balance", choices=training.BALANCES, help="default: the network's own")
    how.add_argument("--precision", default="float32", choices=("float32", "mixed_bfloat16"))
    how.add_argument("--seed", type=int, default=0)

    what = parser.add_argument_group(
        "what may be chosen (one value leaves nothing to choose, and sets it)"
    )
    what.add_argument(
        "--learning-rate",
        type=float,
        nargs="+",
        metavar="RATE",
        help="tpe: the two ends of an interval; grid: its values "
        f"(default: {default.learning_rate.low} {default.learning_rate.high})",
    )
    what.add_argument("--batch-size", type=int, nargs="+", metavar="N", help="(default: 32 64 128)")
    what.add_argument(
        "--filters",
        type=int,
        nargs="+",
        metavar="N",
        help="of the first block; the others keep their proportion (default: 8 16 32)",
    )
    what.add_argument(
        "--dropout",
        type=float,
        nargs="+",
        metavar="SHARE",
        help="as --learning-rate (default: 0 0.5)",
    )

    where = parser.add_argument_group("where")
    where.add_argument("--study", help="its name (default: MODEL-DATA); one of this name goes on")
    where.add_argument(
        "--storage",
        metavar="URL",
        help="a database that several machines reach (default: SQLite in runs/search/)",
    )
    where.add_argument(
        "--folder", type=Path, default=STUDIES, help="where the study lies (default: runs/search)"
    )
    where.add_argument("--worker", default="", help="this process's name in the table")
    where.add_argument(
        "--heartbeat",
        type=int,
        default=20,
        metavar="SECONDS",
        help="between signs of life; who misses three is taken for dead (default: 20)",
    )
    where.add_argument(
        "--record", action="store_true", help="write the search to results/search-NAME/"
    )
    where.add_argument("--results", type=Path, default=runtime.RESULTS, help=argparse.SUPPRESS)
    where.add_argument("--verbose", type=int, default=1, choices=(0, 1), help="1: progress bar")
    return parser


def _space(asked: argparse.Namespace) -> Space:
    """Read the space from the command line."""
    default, values = Space(), {}
    for name in SETTINGS:
        given = getattr(asked, name)
        if given is None:
            values[name] = getattr(default, name)
        elif name in ("learning_rate", "dropout") and asked.sampler == "tpe" and len(given) > 1:
            if len(given) != 2:
                raise ModelError(f"--{name.replace('_', '-')}: tpe takes the two ends, low high")
            values[name] = Interval(*given, log=name == "learning_rate")
        else:
            values[name] = tuple(given)
    return Space(**values)


def _command(words: Sequence[str]) -> str:
    """Return the command as a record may hold it: a database's address can hold a password."""
    shown = list(words)
    for at, word in enumerate(shown):
        if word == "--storage" and at + 1 < len(shown):
            shown[at + 1] = "URL"
        elif word.startswith("--storage="):
            shown[at] = "--storage=URL"
    return shlex.join(["python", "-m", "utils.search", *shown])


def main(words: Sequence[str] | None = None) -> int:
    """Search, print what came out, and record it where asked to; return the exit status."""
    words = list(sys.argv[1:] if words is None else words)
    asked = _parser().parse_args(words)
    try:
        runtime.setup(asked.seed)
        space = _space(asked)
        changes = {"epochs": asked.epochs, "seed": asked.seed, "precision": asked.precision}
        if asked.balance:
            changes["balance"] = asked.balance
        settings = base_settings(asked.model, asked.data, **changes)
        dataset = datasets.load(asked.data, asked.path)
        print(without_test(dataset, asked.rows, seed=asked.seed).describe(), flush=True)
        where = {
            "name": asked.study or f"{asked.model}-{asked.data}",
            "rows": asked.rows,
            "minutes": asked.minutes,
            "storage": asked.storage,
            "folder": asked.folder,
            "worker": asked.worker,
            "heartbeat": asked.heartbeat,
            "verbose": asked.verbose,
        }
        if asked.sampler == "grid":
            search = grid(dataset, settings, space, points=asked.points, **where)
        else:
            search = tpe(dataset, settings, space, trials=asked.trials, **where)
        print(describe(search))
        if asked.record:
            place = record(search, folder=asked.results, command=_command(words))
            print(f"recorded in {place.parent.name}/{place.name}")
    except (DataError, ModelError) as error:
        print(f"python -m utils.search: {error}", file=sys.stderr)
        return 1
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
