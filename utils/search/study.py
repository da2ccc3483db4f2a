"""The search itself: a grid or TPE, its trials shared by processes through a database."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import os
import shutil
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from utils import datasets, plans, records, runtime, training
from utils.runtime import DataError, ModelError
from utils.search.findings import Search, read
from utils.search.quiet import optuna_package, quietly
from utils.search.space import Space, distributions, first_value, settings_with, suggest

#: Where studies lie: NAME.db, and the folders of their trials.
STUDIES = runtime.RUNS / "search"

#: Trials that TPE draws at random before it has seen enough to learn from.
RANDOM_TRIALS = 6

#: Trials that must be complete before another one can be pruned.
UNPRUNED_TRIALS = 4

#: A trial whose worker died is taken over this often; then it is given up.
RETRIES = 3

#: A worker that gives no sign of life for so many intervals is taken for dead.
MISSED_BEATS = 3


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


def draw_rows(
    dataset: datasets.FaceDataset, rows: int | None = None, *, seed: int = 0
) -> datasets.FaceDataset:
    """Return the data that a search sees: training rows, or some of them, and validation rows.

    Parameters
    ----------
    dataset : FaceDataset
        Its test rows are left out.
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
    seen = dataset.without_test()
    if rows is None:
        return seen
    training_rows = np.flatnonzero(seen.split == "training")
    labels = seen.labels[training_rows]
    least = len(np.unique(labels))
    if not least <= rows <= len(labels):
        raise DataError(
            f"{seen.name}: a draw of {rows:,} training rows; there are {len(labels):,}, of "
            f"{least} expressions"
        )
    keep = seen.split == "validation"
    keep[training_rows[_draw(labels, rows, seed)]] = True
    return seen.take(keep)


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
    optuna = optuna_package()
    import sqlalchemy.exc

    if not name or name != Path(name).name or name.startswith("."):
        raise ModelError(f"study {name!r}: expected a name without a folder")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    address = storage or f"sqlite:///{folder / name}.db"
    try:
        with quietly():
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
    optuna = optuna_package()
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
    optuna = optuna_package()
    with quietly():
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
    seen = draw_rows(dataset, rows, seed=settings.seed)
    # A space that does not fit the network fails here, not in the first trial.
    settings_with(settings, {one: first_value(values) for one, values in space.searched.items()})
    plan = _plan(seen, settings, space, sampler)
    folder.mkdir(parents=True, exist_ok=True)
    # One process of a machine at a time makes the tables and the queue.
    with filelock.FileLock(folder / f".{name}.lock"):
        study = open_study(name, folder=folder, storage=storage, heartbeat=heartbeat)
        with quietly():
            _agree(study, plan)
            _queue(study, slots)
    with quietly():
        study.sampler = _sampler(sampler, settings.seed)
        study.pruner = _pruner(sampler, settings.epochs)
        place = folder / f"{name}-{study.user_attrs['token']}"
        objective = _objective(study, seen, settings, space, place, worker or str(os.getpid()))
        _work(study, objective, len(slots), minutes, verbose)
        return read(study)


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
    # A study may be older than a setting.
    begun = {**begun, "settings": training.complete(begun.get("settings", {}))}
    plans.require_same(f"study {study.study_name}", begun, plan, "take another name")


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
    optuna = optuna_package()
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
    optuna = optuna_package()
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
    optuna = optuna_package()
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
    optuna = optuna_package()

    def objective(trial) -> float:
        here = study.get_trials(deepcopy=False)[trial.number]
        slot = here.user_attrs.get("slot")
        if slot is None or _holders(study).get(slot) != trial.number:
            trial.set_user_attr("surplus", True)
            raise _Surplus
        trial.set_user_attr("worker", worker)
        chosen = {
            name: suggest(trial, name, distribution)
            for name, distribution in distributions(space).items()
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
    optuna = optuna_package()
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
