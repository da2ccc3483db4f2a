"""Search learning rate, batch size, number of filters and dropout with Optuna.

    python -m experiments.search --model cnn3 --data fer2013 --rows 6000 --epochs 8 --trials 20

The validation split chooses; the test split is removed before the first trial. Copies of the
command, on one machine or on several with one --storage postgresql://USER@HOST/NAME (password in
PGPASSWORD or ~/.pgpass: other users can see command lines), share one study; run again, it resumes.
A killed process's trial is taken over when its heartbeat stops, from its last epoch if its folder
in runs/ can be seen; one stopped by Ctrl-C or an error waits for the next start.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import commands, datasets, models, records, runtime, training
from utils.runtime import DataError, ModelError

#: What is searched. ``filters`` is the first block's number; the others keep their proportion.
SPACE: dict[str, Any] = {
    "learning_rate": {"low": 3e-4, "high": 1e-2, "log": True},
    "batch_size": [32, 64, 128],
    "filters": [8, 16, 32],
    "dropout": {"low": 0.0, "high": 0.5, "log": False},
}
STUDIES = runtime.RUNS / "search"
RANDOM_TRIALS = 6  # before TPE models where the good ones are
UNPRUNED_TRIALS = 4  # complete ones, before another can be pruned
RETRIES = 3  # of a trial whose process was killed or ended by an error
TABLE = ["trial", "state", "val_accuracy", "epochs", "seconds", "worker"]


@dataclass(frozen=True, repr=False)
class Search:
    """A search: what was asked, and what each trial gave.

    ``name`` is the study's; ``info`` is ``search.json`` (sampler, pruner, model, data and their
    fingerprint, rows, settings, space). ``trials`` has trial (its number), state (complete, pruned,
    failed, running, waiting), val_accuracy (of its best epoch, 0 … 1), epochs (that it ran),
    seconds, worker (process), each setting; ``epochs`` has trial, epoch (from 1), val_accuracy.
    ``right``, (validation rows, complete trials) bool, marks what each classified correctly.
    """

    name: str
    info: dict[str, Any]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    right: pd.DataFrame

    @property
    def complete(self) -> pd.DataFrame:
        """The trials that went to their last epoch: only these can be chosen."""
        return self.trials[self.trials["state"] == "complete"]

    @property
    def best(self) -> pd.Series:
        """The complete trial with the highest validation accuracy, the first among ties."""
        if self.complete.empty:
            raise ModelError(f"{self.name}: no trial is complete, so none can be the best")
        return self.complete.loc[self.complete["val_accuracy"].idxmax()]


@contextlib.contextmanager
def _optuna() -> Iterator[Any]:
    """Import Optuna, and keep it from writing to stderr: what matters comes back as a table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna

        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        try:
            yield optuna
        finally:
            optuna.logging.set_verbosity(before)


def draw_rows(dataset: datasets.FaceDataset, rows: int | None = None, *, seed: int = 0):
    """Return all validation rows, and a stratified sample of ``rows`` (or all) training rows."""
    seen = dataset.without_test()
    there = pd.Series(np.flatnonzero(seen.split == "training"))
    if rows is not None:
        if not 1 <= rows <= len(there):
            raise DataError(f"{seen.name}: expected 1 to {len(there)} training rows, not {rows}")
        by_class = there.groupby(seen.labels[there])
        there = by_class.sample(frac=rows / len(there), random_state=seed)
        if len(set(seen.labels[there])) < by_class.ngroups:
            raise DataError(f"{seen.name}: {rows} training rows leave out a class; expected more")
    return seen.take(np.sort([*there, *np.flatnonzero(seen.split == "validation")]))


def settings_with(settings: training.Settings, chosen: Mapping[str, Any]) -> training.Settings:
    """Return the settings with what a trial chose; `ModelError` if the network lacks one."""
    known = inspect.signature(models.find_network(settings.model).build).parameters
    chosen, network = dict(chosen), dict(settings.network)
    for name in [one for one in ("filters", "dropout") if one in chosen]:
        if name not in known:
            raise ModelError(f"{settings.model} has no setting called {name}: do not search it")
        network[name] = value = chosen.pop(name)
        if name == "filters":
            whole = settings.network.get("filters", known["filters"].default)
            network["filters"] = [max(1, round(count * value / whole[0])) for count in whole]
    return dataclasses.replace(settings, network=network, **chosen)


def _distributions(space: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a space to Optuna; an empty list is not searched."""
    with _optuna() as optuna:
        interval = optuna.distributions.FloatDistribution
        choice = optuna.distributions.CategoricalDistribution
        try:
            return {
                name: interval(**values) if isinstance(values, dict) else choice(values)
                for name, values in space.items()
                if values
            }
        except ValueError as error:
            raise ModelError(f"the search space: {error}") from error


def open_study(name: str, url: str = "", *, heartbeat: int = 20):
    """Open the `optuna.Study` of a name, or create it, in a database (``runs/search/NAME.db``).

    A worker that misses three heartbeats (each ``heartbeat`` seconds) is considered dead.
    A `ModelError` says what cannot be opened. An address with a password is refused: command lines
    are public, and are recorded.
    """
    from sqlalchemy import event, exc, make_url

    if not name or name != Path(name).name or name.startswith("."):
        raise ModelError(f"study {name!r}: expected a name without a folder")
    STUDIES.mkdir(parents=True, exist_ok=True)
    url = url or f"sqlite:///{STUDIES / name}.db"
    try:
        address = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise ModelError("--storage: expected postgresql://USER@HOST/NAME") from None
    if address.password or "password" in address.query or "@" in (address.host or ""):
        raise ModelError("--storage: found a password, expected it in PGPASSWORD or ~/.pgpass")
    engine: dict[str, Any] = {"pool_pre_ping": True}  # a network drops idle connections
    if sqlite := url.startswith("sqlite"):
        engine = {"connect_args": {"timeout": 120}, "isolation_level": "AUTOCOMMIT"}
    if url.startswith("postgresql://"):  # SQLAlchemy 2.0 would look for Psycopg 2
        url = url.replace("://", "+psycopg://", 1)
        engine["connect_args"] = {"client_encoding": "utf8"}  # Debian's C locale has none
    end, begin = time.monotonic() + 10, "BEGIN IMMEDIATE"
    with _optuna() as optuna:
        retry = optuna.storages.RetryHeartbeatStaleTrialCallback(RETRIES)
        heart = {"heartbeat_interval": heartbeat, "grace_period": 3 * heartbeat}
        heart["heartbeat_stale_trial_callback"] = retry
        while True:
            try:
                database = optuna.storages.RDBStorage(url, engine, **heart)
                if sqlite:  # without its lock, two processes both see that a trial is waiting
                    event.listen(database.engine, "begin", lambda one: one.exec_driver_sql(begin))
                how = {"direction": "maximize", "load_if_exists": True}
                return optuna.create_study(study_name=name, storage=database, **how)
            except Exception as error:
                told = isinstance(error, exc.OperationalError | ImportError)
                reason = str(error.__cause__) if told else type(error.__cause__ or error).__name__
                race = isinstance(error, exc.DatabaseError) and (not told or "exists" in reason)
                if not race or time.monotonic() > end:
                    reason = f"cannot be opened: {' '.join(reason.split())}"
                    raise ModelError(f"the database {address} {reason}") from None
                time.sleep(1)  # another process is creating the same tables


def _trials(study) -> list:
    """List the trials, without one started when there were enough (it has no settings)."""
    trials = study.get_trials(deepcopy=False)
    return [one for one in trials if one.params or one.state.name != "PRUNED"]


def run_search(
    study,
    dataset: datasets.FaceDataset,
    settings: training.Settings,
    space: Mapping[str, Any] = SPACE,
    *,
    trials: int = 20,
    minutes: float = math.inf,
) -> Search:
    """Work on a study until all of its trials are done, by this process and by others.

    Parameters
    ----------
    study : optuna.Study
        From `open_study`. A `ModelError` says if it was started with other settings.
    dataset : FaceDataset
        From `draw_rows`, without test rows.
    settings : Settings
        Everything that is not searched; their seed is every trial's.
    space : mapping
        What may be chosen, like `SPACE`, by the tree-structured Parzen estimator (Bergstra et al.
        2011) with the median pruner.
    trials, minutes : int, float
        How many, which may be raised later; after this long, none is started.
    """
    space = {one: space[one] for one in _distributions(space)}
    intervals = [one for one, values in space.items() if isinstance(values, dict)]
    if trials < 1 or not space or not settings.epochs:
        asked = f"{trials} trials of {settings.epochs} epochs, {space}"
        raise ModelError(f"expected at least a trial, an epoch, and a setting: {asked}")
    try:
        for one, values in space.items():  # what does not fit fails here, not in a trial
            for value in (values["low"],) if one in intervals else values:
                settings_with(settings, {one: value})
    except ValueError as error:
        raise ModelError(commands.complaint(error)) from error
    first_judged = max(2, math.ceil(settings.epochs / 4)) + 1
    plan = {
        "sampler": "tpe",
        "pruner": f"median, from epoch {first_judged}",
        "model": settings.model,
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "rows": {one: int((dataset.split == one).sum()) for one in ("training", "validation")},
        "seed": settings.seed,
        "epochs": settings.epochs,
        "settings": dataclasses.asdict(settings),
        "space": space,
    }
    plan = json.loads(json.dumps(plan))
    begun = study.user_attrs.get("plan", plan)
    for key in plan:
        if begun.get(key) != plan[key]:
            found = f"was started with {key} {begun.get(key)}, not {plan[key]}"
            raise ModelError(f"study {study.study_name} {found}: choose another name")
    study.set_user_attr("plan", plan)

    with _optuna() as optuna:
        study.pruner = optuna.pruners.MedianPruner(UNPRUNED_TRIALS, first_judged)
        retry = optuna.storages.RetryHeartbeatStaleTrialCallback(RETRIES)

        def counted() -> list[int]:  # without retries
            return [one.number for one in _trials(study) if retry.retried_trial_number(one) is None]

        def objective(trial) -> float:
            if trial.number in counted()[trials:]:  # two processes started the last one
                raise optuna.TrialPruned
            trial.set_user_attr("worker", str(os.getpid()))
            # With one seed per process, two processes would draw the same.
            seed = (settings.seed + trial.number) % 2**32
            how = {"n_startup_trials": RANDOM_TRIALS, "multivariate": False}
            study.sampler = optuna.samplers.TPESampler(**how, seed=seed)
            for one, values in space.items():
                if one in intervals:
                    trial.suggest_float(one, **values)
                else:
                    trial.suggest_categorical(one, values)
            return _train(study, trial, retry, dataset, settings_with(settings, trial.params))

        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            optuna.storages.fail_stale_trials(study)
            states = {one.state.name for one in _trials(study)}
            if "WAITING" in states or len(counted()) < trials:
                try:
                    study.optimize(objective, n_trials=1)
                except ValueError as error:  # after a laptop's sleep, another process has the trial
                    if not str(error).startswith("Cannot tell a FAIL trial"):
                        raise
            elif "RUNNING" in states:
                time.sleep(1)  # another process is working; if it dies, its trial comes back
            else:
                break
    return read(study)


def _train(study, trial, retry, dataset, settings: training.Settings) -> float:
    """Train one trial in a folder of its own, and return its best validation accuracy."""
    import keras
    import optuna

    everyone = study.get_trials(deepcopy=False)
    number = retry.retried_trial_number(everyone[trial.number])
    number = trial.number if number is None else number
    # With the time, because a study deleted and started again has the same numbers.
    begun = f"{number:03d}-{everyone[number].datetime_start:%Y%m%d%H%M%S}"
    folder = STUDIES / study.study_name / begun / "run"
    for row in records.read_history(folder).itertuples():  # of a worker that died
        trial.report(row.val_accuracy, row.epoch)

    def report_and_prune(epoch: int, logs: dict[str, float]) -> None:
        trial.report(float(f"{logs['val_accuracy']:.6g}"), epoch + 1)  # as history.csv has it
        if trial.should_prune():
            raise optuna.TrialPruned

    keras.backend.clear_session()  # or the graphs of all trials stay in memory
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=report_and_prune)]
    try:
        run = training.train(
            dataset, settings, folder=folder, verbose=0, test=False, callbacks=callbacks
        )
    except BaseException as error:
        if isinstance(error, ModelError) and "diverged" in str(error):
            error = optuna.TrialPruned(str(error))
        if isinstance(error, optuna.TrialPruned):
            shutil.rmtree(folder.parent, ignore_errors=True)
        elif not isinstance(error, optuna.exceptions.UpdateFinishedTrialError):
            retry(study, study.get_trials()[trial.number])
        raise error
    right = run.validation.predicted == run.validation.labels
    trial.set_user_attr("right", np.packbits(right).tobytes().hex())
    shutil.rmtree(folder.parent, ignore_errors=True)
    best = float(run.history["val_accuracy"].max())
    print(f"trial {trial.number}: {best:.1%} with {trial.params}", flush=True)
    return best


def read(study) -> Search:
    """Read a study from its database."""
    plan, table, epochs, right = study.user_attrs["plan"], [], [], {}
    for one in _trials(study):
        values, ended = one.intermediate_values, one.datetime_complete
        seconds = round((ended - one.datetime_start).total_seconds(), 1) if ended else math.nan
        state = "failed" if one.state.name == "FAIL" else one.state.name.lower()
        best, worker = max(values.values(), default=math.nan), one.user_attrs.get("worker", "")
        row = [one.number, state, best, len(values), seconds, worker]
        table.append([*row, *(one.params.get(name) for name in plan["space"])])
        epochs += [(one.number, *pair) for pair in sorted(values.items())]
        if state == "complete":
            bits = np.frombuffer(bytes.fromhex(one.user_attrs["right"]), np.uint8)
            right[one.number] = np.unpackbits(bits, count=plan["rows"]["validation"]) == 1
    table = pd.DataFrame(table, columns=[*TABLE, *plan["space"]])
    epochs = pd.DataFrame(epochs, columns=["trial", "epoch", "val_accuracy"])
    return Search(study.study_name, plan, table, epochs, pd.DataFrame(right))


def importance(search: Search) -> pd.Series:
    """Say which settings explain the accuracy's spread: the main effects of functional ANOVA.

    A random forest learns to predict, from the settings, the accuracy after the last epoch before
    a trial was pruned; a main effect is the variance that a setting explains by itself (Hutter et
    al. 2014). Returns each setting's share of all main effects, which sum to 1, the largest first.
    A `ModelError` says when there are fewer than four trials.
    """
    trials = search.trials
    ended = trials[trials["state"].isin(["complete", "pruned"]) & (trials["epochs"] > 0)]
    epoch = int(ended["epochs"].min()) if len(ended) else 1
    reached = search.epochs[search.epochs["epoch"] == epoch].set_index("trial")["val_accuracy"]
    table = ended.assign(value=ended["trial"].map(reached)).dropna(subset="value")
    if len(table) < 4:
        raise ModelError(f"{search.name}: {len(table)} trials reached epoch {epoch}, not four")
    described = _distributions(search.info["space"])
    with _optuna() as optuna:
        study = optuna.create_study(direction="maximize")
        for value, row in zip(table["value"], table[[*described]].to_dict("records"), strict=True):
            study.add_trial(optuna.create_trial(value=value, params=row, distributions=described))
        forest = optuna.importance.FanovaImportanceEvaluator(seed=0)
        shares = optuna.importance.get_param_importances(study, evaluator=forest)
    return pd.Series(shares, dtype=float, name="importance")


def price_of_choosing(search: Search) -> pd.Series:
    """Measure by how much the accuracy that a trial was chosen by is too high.

    The validation rows are split into halves at random, 2,000 times: the first half chooses the
    best of the complete trials, the second tells how good it is. Returns ``chosen`` and ``unseen``
    (that trial's mean accuracy on either half, 0 … 1), ``excess`` (their difference), ``trials``
    (to choose from), and ``rows`` (faces in a half).
    """
    right = search.right.to_numpy(dtype=float)
    rows, trials = right.shape
    rng, half, sums = np.random.default_rng(0), rows // 2, np.zeros(2)
    for _ in range(2_000):
        order = rng.permutation(rows)
        first, second = right[order[:half]].mean(axis=0), right[order[half:]].mean(axis=0)
        sums += first.max(), second[first.argmax()]
    chosen, unseen = map(float, sums / 2_000)
    price = {"chosen": chosen, "unseen": unseen, "excess": chosen - unseen}
    return pd.Series({**price, "trials": trials, "rows": half}, dtype=object)


def winner(search: Search) -> training.Settings:
    """Return the best trial's settings for `training.train`."""
    searched = search.info["space"]
    whole = ("batch_size", "filters")
    chosen = {one: (int if one in whole else float)(search.best[one]) for one in searched}
    settings = training.settings_from_record(search.info["settings"])
    return settings_with(settings, chosen)


def record(search: Search, command: str = "", *, folder: Path = runtime.RESULTS) -> Path:
    """Write a search to ``folder``/search-NAME/; waiting trials are counted, but left out."""
    counts = search.trials["state"].value_counts().sort_index().to_dict()
    trials = search.trials[search.trials["state"] != "waiting"]
    if "running" in counts or trials.empty:
        raise ModelError(f"{search.name}: its trials are not done, so they are not recorded")
    info = {
        **search.info,
        "trials": counts,
        "epochs_run": int(trials["epochs"].sum()),
        "seconds": round(float(trials["seconds"].sum()), 1),
        "command": command,
        **records.surroundings(),
        "recorded": runtime.now(),
    }
    info["versions"]["optuna"] = metadata.version("optuna")
    place = folder / f"search-{search.name}"
    for name, table in (("trials", trials), ("epochs", search.epochs)):
        text = table.to_csv(index=False, lineterminator="\n")
        runtime.write_atomically(place / f"{name}.csv", text.encode())
    numbers = search.right.columns.to_numpy(dtype=np.int64)
    right = search.right.to_numpy(dtype=bool)
    runtime.write_npz(place / "right.npz", trials=numbers, right=right)
    runtime.write_json(place / "search.json", info)  # last: with it, the record is complete
    return place


def load(name: str, *, folder: Path = runtime.RESULTS) -> Search:
    """Read a recorded search, as "cnn3-fer2013"; a `ModelError` says what cannot be read."""
    place = folder / f"search-{name}"
    info = runtime.read_json(place / "search.json")
    try:
        trials = pd.read_csv(place / "trials.csv", dtype={"worker": str}).fillna({"worker": ""})
        epochs = pd.read_csv(place / "epochs.csv")[["trial", "epoch", "val_accuracy"]]
        with np.load(place / "right.npz", allow_pickle=False) as arrays:
            right = pd.DataFrame(arrays["right"], columns=arrays["trials"])
        return Search(name, info, trials[[*TABLE, *info["space"]]], epochs, right)
    except Exception as error:  # NumPy, zipfile and zlib raise a dozen kinds on a damaged archive
        raise ModelError(f"{place.name}: its record cannot be read: {error}") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Search, print the result, and record it if asked to."""
    parser = runtime.parser("python -m experiments.search", __doc__)
    add = parser.add_argument
    add("--model", default="cnn3", choices=models.NETWORKS, help="default: cnn3")
    commands.add_data(parser, default="sample")
    add("--rows", type=int, help="train on a stratified sample of this many rows")
    add("--trials", type=int, default=20, help="how many (default: 20)")
    add("--minutes", type=float, default=math.inf, help="start no new trial after this long")
    add("--study", help="name (default: MODEL-DATA); resumed if it exists")
    add("--storage", metavar="URL", default="", help="a database that several machines can reach")
    add("--heartbeat", type=int, default=20, help="seconds; a worker that misses three is dead")
    add("--record", action="store_true", help="write the search to results/search-NAME/")
    for name, values in SPACE.items():
        kind, words = (float, "bounds") if isinstance(values, dict) else (int, "values")
        add(commands.option(name), type=kind, nargs="*", help=f"search these {words}; empty: none")
    others = parser.add_argument_group("every trial's settings (8 epochs, the network's recipe)")
    commands.add_settings(others, leave_out=("model", *SPACE))
    asked = parser.parse_args(arguments)
    if asked.heartbeat < 1:
        parser.error(f"--heartbeat: expected 1 second or more, not {asked.heartbeat}")
    space = dict(SPACE)
    for name, values in SPACE.items():
        if (given := getattr(asked, name)) is not None:
            ends = isinstance(values, dict) and len(given) == 2
            space[name] = {**values, "low": given[0], "high": given[1]} if ends else given
    named = {
        one: value for one, value in commands.named_settings(asked).items() if one not in SPACE
    }
    try:
        settings = training.recipe(**{"epochs": 8, **named})
    except ValueError as error:
        parser.error(commands.complaint(error))
    runtime.setup(settings.seed)
    votes = settings.targets != "labels"
    dataset = commands.load_data(asked, size=settings.size, votes=votes).without(asked.without)
    seen = draw_rows(dataset, asked.rows, seed=settings.seed)
    name = asked.study or f"{asked.model}-{asked.data}"
    study = open_study(name, asked.storage, heartbeat=asked.heartbeat)
    search = run_search(study, seen, settings, space, trials=asked.trials, minutes=asked.minutes)

    counts = search.trials["state"].value_counts().sort_index()
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    best, faces = search.best, f"{search.info['rows']['validation']:,} validation faces"
    print(f"{search.name}: trial {best['trial']} is best, {best['val_accuracy']:.1%} of {faces}")
    wanted, usual = dataclasses.asdict(winner(search)), training.recipe(asked.model)
    other = {one: value for one, value in wanted.items() if value != getattr(usual, one)}
    data = {one: getattr(asked, one) for one in ("data", "path", "classes", "without")}
    other = {"model": asked.model, **{k: v for k, v in data.items() if v}, **other}
    other.pop("epochs", None)
    print("in full: python train.py", commands.written(other))
    if asked.record:
        place = record(search, runtime.command_line())
        print(f"recorded in {place.parent.name}/{place.name}")


if __name__ == "__main__":
    runtime.run_command(main)
