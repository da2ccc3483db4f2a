"""A search chooses on the validation split alone, with any number of processes."""

import contextlib
import dataclasses
import json
import os
import signal
import sqlite3
import time

import numpy as np
import pandas as pd
import processes
import pytest

from experiments import search
from utils import commands, records, runtime, training
from utils.datasets import FaceDataset
from utils.runtime import DataError, ModelError

SMALL = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "batch_size": [16, 32],
    "filters": [2, 4],
    "dropout": {"low": 0.0, "high": 0.5, "log": False},
}


def faces(seed=0) -> FaceDataset:
    """Make 350 pictures whose brightness tells the class, 70/10/20%."""
    rng = np.random.default_rng(seed)
    labels = np.arange(350) % 7
    images = rng.integers(0, 60, (350, 16, 16, 1)) + (labels * 28)[:, None, None, None]
    split = np.array(["training"] * 7 + ["validation"] + ["test"] * 2)[np.arange(350) // 7 % 10]
    return FaceDataset(images.astype(np.uint8), labels, split, np.arange(350), "sample")


def base(**changes) -> training.Settings:
    given = {"size": 16, "epochs": 4, "balance": "none", "network": {"dense": 8, "momentum": 0.5}}
    return training.recipe("cnn3", **{**given, **changes})


def stand_in(dataset, settings, *, folder, verbose, test, callbacks):
    """Do what `training.train` does, without a network: 0.001 learns best, and 4 filters."""
    assert test is False
    assert set(dataset.split) == {"training", "validation"}
    rows = records.read_history(folder).to_dict("records")
    folder.parents[1].mkdir(exist_ok=True)
    with (folder.parents[1] / "begun.txt").open("a") as file:
        file.write(f"{folder.parent.name} {len(rows) + 1}\n")
    peak = 0.8 - 0.1 * (np.log10(settings.learning_rate) + 3) ** 2
    peak -= 0.1 * (settings.network["filters"][0] == 2)
    for epoch in range(len(rows) + 1, settings.epochs + 1):
        time.sleep(float(os.environ.get("EPOCH_SECONDS", 0)))
        value = round(float(max(0.05, peak) * (1 - np.exp(-epoch / 2))), 4)
        row = dict.fromkeys(records.HISTORY_COLUMNS, 0.0)
        rows.append({**row, "epoch": epoch, "val_accuracy": value})
        records.write_history(folder, pd.DataFrame(rows))
        for one in callbacks:
            one.on_epoch_end(epoch - 1, rows[-1])
    labels = dataset.labels[dataset.split == "validation"]
    said = np.where(np.random.default_rng(int(1e6 * value)).random(35) < value, labels, 0)
    zeros = np.zeros(35, int)
    predictions = records.Predictions(np.eye(7)[said], labels, zeros, zeros.astype(bool))
    return records.Run(folder, {}, pd.DataFrame(rows), predictions, None)


def run(folder, *, name="found", space=SMALL, data=None, settings=None, heartbeat=20, **more):
    search.STUDIES = folder  # the fixtures put it back
    study = search.open_study(name, heartbeat=heartbeat)
    seen = search.draw_rows(data or faces())
    return search.run_search(study, seen, settings or base(), space, **more)


def without_networks(patch):
    patch.setattr(training, "train", stand_in)
    patch.setattr("keras.backend.clear_session", lambda: None)


def begun(folder) -> list[tuple[str, int]]:
    """List the calls of the stand-in: a trial's folder, and the epoch that it started at."""
    lines = [line.split() for line in (folder / "found/begun.txt").read_text().splitlines()]
    return [(trial, int(epoch)) for trial, epoch in lines]


@pytest.fixture(autouse=True)
def studies(monkeypatch, tmp_path):
    monkeypatch.setattr(search, "STUDIES", tmp_path)


@pytest.fixture
def quick(monkeypatch):
    without_networks(monkeypatch)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "STUDIES", None)
        without_networks(patch)
        return run(tmp_path_factory.mktemp("found"), trials=20)


def test_a_draw_is_stratified_and_leaves_the_test_rows_out():
    seen = search.draw_rows(faces(), 70, seed=1)
    assert set(seen.split) == {"training", "validation"}
    assert np.bincount(seen.part("training").labels).tolist() == [10] * 7
    np.testing.assert_array_equal(seen.rows, search.draw_rows(faces(), 70, seed=1).rows)
    np.testing.assert_array_equal(seen.part("validation").rows, faces().part("validation").rows)
    assert len(search.draw_rows(faces())) == 280
    with pytest.raises(DataError, match="1 to 245 training rows, not 246"):
        search.draw_rows(faces(), 246)
    with pytest.raises(DataError, match="3 training rows leave out a class"):
        search.draw_rows(faces(), 3)


def test_options_are_written_as_the_command_line_takes_them():
    given = {"classes": ("angry", "happy"), "without": ["sad", "fear"], "flip": False, "rows": 9}
    written = commands.written(given)
    assert written == "--classes angry,happy --without sad --without fear --no-flip --rows 9"


@pytest.mark.parametrize(
    ("space", "more", "message"),
    [
        ({"learning_rate": {"low": 1, "high": 0.1, "log": True}}, {}, "search space"),
        ({"learning_rate": {"low": 0, "high": 0.1, "log": True}}, {}, "search space"),
        ({name: [] for name in SMALL}, {}, "and a setting"),
        (SMALL, {"trials": 0}, "a trial"),
        (SMALL, {"settings": training.recipe("cnn3", epochs=0)}, "an epoch"),
        (SMALL, {"settings": training.recipe("vgg16", size=16)}, "vgg16 has no setting called"),
        (SMALL, {"name": "a/b"}, "a name without a folder"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_it_begins(quick, tmp_path, space, more, message):
    with pytest.raises(ModelError, match=message):
        run(tmp_path, space=space, **more)
    assert not list(tmp_path.rglob("begun.txt"))


def test_tpe_finds_the_good_settings_and_prunes_poor_ones(found):
    assert len(found.trials) == 20
    assert abs(np.log10(found.best["learning_rate"]) + 3) < 0.5
    assert found.best["filters"] == 4
    pruned = found.trials[found.trials["state"] == "pruned"]
    assert len(pruned) > 2
    assert set(pruned["epochs"]) == {3}
    assert set(found.complete["epochs"]) == {4}
    assert found.trials["learning_rate"].nunique() == 20
    assert search.importance(found).index[0] == "learning_rate"
    table, by_trial = found.trials.set_index("trial"), found.epochs.groupby("trial")
    assert by_trial["val_accuracy"].max().to_dict() == table["val_accuracy"].to_dict()
    assert found.right.shape == (35, len(found.complete))


def test_a_search_that_was_cut_goes_on_as_if_it_had_not_been(quick, found, tmp_path):
    for trials in (13, 20):
        cut = run(tmp_path, trials=trials)
    columns = [name for name in cut.trials if name not in ("seconds", "worker")]
    pd.testing.assert_frame_equal(cut.trials[columns], found.trials[columns])
    assert len(begun(tmp_path)) == 20
    with pytest.raises(ModelError, match=r"started with epochs 4, not 5: choose another name"):
        run(tmp_path, settings=base(epochs=5))
    with pytest.raises(ModelError, match="started with fingerprint"):
        run(tmp_path, data=faces(seed=1))


@pytest.mark.parametrize("error", [ModelError, KeyboardInterrupt])
def test_an_ended_trial_is_queued_and_goes_on_from_its_last_epoch(
    quick, tmp_path, monkeypatch, error
):
    def ended(*words, callbacks, **more):
        def stop(epoch, logs):
            if epoch == 1:
                raise error

        callbacks[0].on_epoch_end = stop
        return stand_in(*words, callbacks=callbacks, **more)

    with monkeypatch.context() as patch:
        patch.setattr(training, "train", ended)
        with pytest.raises(error):
            run(tmp_path, trials=3)
    done = run(tmp_path, trials=3)
    lost = done.trials[done.trials["state"] == "failed"]
    assert len(done.trials) - len(lost) == 3
    assert set(done.trials.merge(lost[list(SMALL)])["epochs"]) == {0, 4}
    calls = begun(tmp_path)
    assert [epoch for trial, epoch in calls if trial == calls[0][0]] == [1, 3]


def test_a_trial_that_diverges_is_pruned(tmp_path):
    space = {"learning_rate": [1e20], "batch_size": [49]}
    done = run(tmp_path, space=space, trials=1, settings=base(optimizer="sgd"))
    assert done.trials["state"].tolist() == ["pruned"]
    assert not list((tmp_path / "found").iterdir())


# ---- several processes

WORKER = """
import sys
from pathlib import Path
import test_search as here
here.without_networks(here.pytest.MonkeyPatch())
here.run(Path(sys.argv[1]), trials=int(sys.argv[2]), heartbeat=1)
"""


def worker(folder, trials, seconds):
    words = ("-c", WORKER, folder, trials)
    return processes.start(*words, EPOCH_SECONDS=seconds, KERAS_BACKEND="numpy")


def wait_for_an_epoch(folder):
    deadline = time.monotonic() + 120
    while not any(len(pd.read_csv(file)) for file in folder.rglob("history.csv")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_processes_share_a_study_and_do_nothing_twice(quick, tmp_path):
    workers = [worker(tmp_path, 12, "0.05") for _ in range(2)]
    assert [(one.communicate(timeout=120)[1], one.returncode) for one in workers] == [("", 0)] * 2
    done = run(tmp_path, trials=12)
    assert len(done.trials) == 12
    assert set(done.trials["state"]) <= {"complete", "pruned"}
    assert set(done.trials["worker"]) == {str(one.pid) for one in workers}
    assert not done.trials[list(SMALL)].duplicated().any()
    assert sorted(epoch for _, epoch in begun(tmp_path)) == [1] * 12


@pytest.mark.slow
def test_a_process_that_slept_too_long_leaves_its_trial_and_goes_on(quick, tmp_path):
    sleeps = worker(tmp_path, 2, "1")
    wait_for_an_epoch(tmp_path)
    locked = True
    while locked:  # it must not hold a lock on the database while it sleeps, nor a reader's
        sleeps.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, sleeps.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        with contextlib.closing(sqlite3.connect(tmp_path / "found.db", timeout=0)) as connection:
            try:
                connection.execute("BEGIN EXCLUSIVE")
                locked = False
            except sqlite3.OperationalError:
                sleeps.send_signal(signal.SIGCONT)
    done = run(tmp_path, trials=2, heartbeat=1)
    assert done.complete["worker"].tolist() == [str(os.getpid())] * 2
    calls = begun(tmp_path)
    assert [epoch > 1 for trial, epoch in calls if trial == calls[0][0]] == [False, True]
    sleeps.send_signal(signal.SIGCONT)
    assert (sleeps.communicate(timeout=120)[1], sleeps.returncode) == ("", 0)
    again = run(tmp_path, trials=2)
    pd.testing.assert_frame_equal(again.trials, done.trials)


# ---- records and figures
def test_a_record_reads_back(found, tmp_path):
    place = search.record(found, folder=tmp_path, command="python -m experiments.search")
    again = search.load("found", folder=tmp_path)
    pd.testing.assert_frame_equal(again.trials, found.trials, check_dtype=False)
    pd.testing.assert_frame_equal(again.epochs, found.epochs)
    pd.testing.assert_frame_equal(again.right, found.right, check_column_type=False)
    assert again.info["versions"]["optuna"]
    assert sum(again.info["trials"].values()) == 20
    pd.testing.assert_series_equal(search.importance(again), search.importance(found))
    (place / "trials.csv").write_bytes(b"\xff\x00")
    with pytest.raises(ModelError, match="search-found: its record cannot be read"):
        search.load("found", folder=tmp_path)


def test_the_committed_record_gives_the_tables_that_it_gave():
    real = search.load("cnn3-fer2013")
    assert real.best["trial"] == 12
    shares = {"dropout": 0.8216, "batch_size": 0.1319, "learning_rate": 0.0343, "filters": 0.0122}
    assert search.importance(real).round(4).to_dict() == shares
    price = search.price_of_choosing(real)
    assert (round(price.chosen, 5), round(price.unseen, 5)) == (0.44303, 0.43984)
    assert (price.trials, price.rows) == (6, 1794)
    wanted = search.winner(real)
    assert wanted.network == {"filters": [16, 32, 64], "dropout": 0.18061049490117884}
    assert (wanted.batch_size, wanted.epochs) == (32, real.info["epochs"])
    assert wanted.learning_rate == 0.004270020471453765


def test_the_best_of_equals_is_flattered_and_the_best_of_unequals_is_not(found):
    rng = np.random.default_rng(0)
    equal = dataclasses.replace(found, right=pd.DataFrame(rng.random((200, 20)) < 0.6))
    # The highest of 20 normal numbers is 1.87 deviations above their mean.
    expected = pytest.approx(1.87 * np.sqrt(0.6 * 0.4 / 100), rel=0.3)
    assert search.price_of_choosing(equal).excess == expected


# ---- command line
def test_the_command_searches_and_is_recorded(quick, capsys, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(search, "record", lambda *found: kept.append(found) or tmp_path)
    words = (
        "--rows 70 --trials 5 --record --learning-rate 1e-3 1e-2 --filters 4 --dropout --epochs 3"
    )
    monkeypatch.setattr(search.datasets, "load", lambda *_, **__: faces())
    search.main([*words.split(), f"--storage=sqlite:///{tmp_path / 'x.db'}"])
    shown = capsys.readouterr().out
    assert "of 35 validation faces" in shown
    assert "python train.py --model cnn3 --data sample --network" in shown
    ((found, _),) = kept
    assert list(found.info["space"]) == ["learning_rate", "batch_size", "filters"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:hunter2@here/x", "found a password"),
        ("postgresql://here/x?user=me&password=hunter2", "found a password"),
        ("postgresql://me:hunter2@hunter2@here/x", "found a password"),
        ("me:hunter2", "expected postgresql://USER@HOST/NAME"),
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(url, said):
    with pytest.raises(ModelError, match=said) as caught:
        search.open_study("x", url)
    assert "hunter2" not in str(caught.value)


def test_a_real_training_reports_its_epochs(tmp_path):
    runtime.setup(0)
    space = {"learning_rate": [1e-2], "batch_size": [49], "filters": [2]}
    done = run(tmp_path, space=space, trials=1, settings=base(epochs=2))
    assert done.trials["state"].tolist() == ["complete"]
    assert done.epochs["epoch"].tolist() == [1, 2]
    assert done.best["val_accuracy"] == pytest.approx(done.right[0].mean(), abs=1e-6)
    assert json.loads(json.dumps(done.info)) == done.info
