"""A search finds what is good, on the validation split alone, with as many processes as come."""

import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils import datasets, figures, records, runtime, search, training
from utils.datasets import FaceDataset
from utils.runtime import DataError, ModelError
from utils.search import Interval, Space

SMALL = Space(Interval(1e-4, 1e-1, log=True), (16, 32), (2, 4), Interval(0.0, 0.5))


def faces(count=350, seed=0) -> FaceDataset:
    """Make pictures whose brightness tells the class, 70/10/20 %."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 7
    images = rng.integers(0, 60, (count, 16, 16, 1)) + (labels * 28)[:, None, None, None]
    split = np.array(["training"] * 7 + ["validation"] + ["test"] * 2)[np.arange(count) // 7 % 10]
    return FaceDataset(images.astype(np.uint8), labels, split, np.arange(count), "sample")


def base(**changes) -> training.Settings:
    given = {"size": 16, "epochs": 4, "network": {"dense": 8, "momentum": 0.5}}
    return search.base_settings("cnn3", "sample", **{**given, **changes})


def accuracy(settings, epoch) -> float:
    """What the stand-in for training reaches: 0.001 is the best learning rate, 4 filters better."""
    distance = np.log10(settings.learning_rate) + 3
    peak = 0.8 - 0.1 * distance**2 - 0.1 * (settings.network["filters"][0] == 2)
    return round(float(max(0.05, peak) * (1 - np.exp(-epoch / 2))), 4)


def stand_in(dataset, settings, *, folder, verbose, test, after_epoch):
    """Do what `training.train` does, without a network: record epochs, and go on from the last."""
    assert test is False
    done = records.read_history(folder)
    rows = done.to_dict("records")
    records.write_info(folder, {"seen": [*first_epochs(folder), len(done) + 1]})
    for epoch in range(len(done) + 1, settings.epochs + 1):
        time.sleep(float(os.environ.get("EPOCH_SECONDS", 0)))
        values = dict.fromkeys(records.HISTORY_COLUMNS, 0.0)
        row = {**values, "epoch": epoch, "val_accuracy": accuracy(settings, epoch)}
        rows.append(row)
        records.write_history(folder, pd.DataFrame(rows))
        after_epoch(epoch, row)
    labels = dataset.labels[dataset.split == "validation"]
    rng = np.random.default_rng(int(1e6 * rows[-1]["val_accuracy"]))
    right = rng.random(len(labels)) < rows[-1]["val_accuracy"]
    said = np.where(right, labels, (labels + 1) % 7)
    plain = np.zeros(len(labels), int)
    predictions = records.Predictions(np.eye(7)[said], labels, plain, plain.astype(bool))
    return records.Run(folder, {}, pd.DataFrame(rows), predictions, None)


def first_epochs(folder) -> list[int]:
    """The epochs that the stand-in began at in a folder, one a call."""
    file = folder / "run.json"
    return json.loads(file.read_text())["seen"] if file.is_file() else []


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(training, "train", stand_in)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished search of twenty trials, and where it lies."""
    folder = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train", stand_in)
        return search.tpe(faces(), base(), SMALL, name="found", trials=20, folder=folder), folder


@pytest.fixture
def found(finished, tmp_path):
    """The same search, to do with as one likes."""
    done, folder = finished
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return done


# ------------------------------------------------------------------------------------- the space


def test_a_grid_has_every_combination_once():
    space = SMALL.on_grid(3)
    assert space.learning_rate == (1e-4, 0.003162, 0.1)
    assert space.dropout == (0.0, 0.25, 0.5)
    combined = space.combinations()
    assert len(combined) == 3 * 2 * 2 * 3
    assert len({tuple(one.items()) for one in combined}) == len(combined)
    assert combined[0] == {"learning_rate": 1e-4, "batch_size": 16, "filters": 2, "dropout": 0.0}


def test_an_empty_tuple_leaves_a_setting_as_it_is():
    space = Space((1e-3, 1e-2), (), (), ())
    assert list(space.searched) == ["learning_rate"]
    assert space.combinations() == [{"learning_rate": 1e-3}, {"learning_rate": 1e-2}]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": (0.0,)}, "over 0"),
        ({"learning_rate": ("fast",)}, "a number"),
        ({"learning_rate": Interval(0.0, 1.0)}, "over 0"),
        ({"batch_size": (0,)}, "from 1 on"),
        ({"batch_size": (32, 32)}, "stands twice"),
        ({"batch_size": (1.5,)}, "whole number"),
        ({"filters": Interval(8, 32)}, "no interval"),
        ({"filters": (True,)}, "whole number"),
        ({"dropout": (1.0,)}, "below 1"),
        ({"dropout": Interval(0.0, 1.0)}, "below 1"),
        ({"dropout": (-0.1,)}, "below 1"),
        (dict.fromkeys(search.SETTINGS, ()), "all four"),
    ],
)
def test_a_space_that_no_training_can_have_is_refused(values, message):
    with pytest.raises(ModelError, match=message):
        Space(**values)


@pytest.mark.parametrize(
    ("ends", "message"),
    [((1, 1), "low to high"), ((2, 1), "low to high"), ((0, float("inf")), "low to high")],
)
def test_an_interval_goes_from_low_to_high(ends, message):
    with pytest.raises(ModelError, match=message):
        Interval(*ends)


def test_a_logarithmic_interval_begins_over_0():
    with pytest.raises(ModelError, match="over 0"):
        Interval(0, 1, log=True)
    with pytest.raises(ModelError, match="2 points"):
        Interval(0, 1).points(1)


@given(
    rates=st.sets(st.floats(1e-6, 1.0), min_size=1, max_size=4),
    sizes=st.sets(st.integers(1, 4096), max_size=4),
    low=st.floats(0, 0.4),
    high=st.floats(0.5, 0.99),
)
def test_a_space_survives_json(rates, sizes, low, high):
    space = Space(tuple(rates), tuple(sizes), (), Interval(low, high))
    assert Space.from_dict(json.loads(json.dumps(space.as_dict()))) == space


def test_filters_keep_their_proportion():
    settings = search.settings_with(base(), {"filters": 16, "learning_rate": 0.01, "dropout": 0.1})
    assert settings.network == {
        "dense": 8,
        "momentum": 0.5,
        "filters": [16, 32, 64],
        "dropout": 0.1,
    }
    assert settings.learning_rate == 0.01
    assert "filters" not in base().network
    narrow = dataclasses.replace(base(), network={"filters": [10, 30]})
    assert search.settings_with(narrow, {"filters": 5}).network["filters"] == [5, 15]


def test_a_network_without_such_a_setting_says_so():
    settings = search.base_settings("vgg16", "fer2013")
    with pytest.raises(ModelError, match="vgg16 has no setting called filters"):
        search.settings_with(settings, {"filters": 8})
    with pytest.raises(ModelError, match="cnn3"):
        search.base_settings("cnn9", "sample")
    with pytest.raises(ModelError, match="epochs"):
        search.base_settings("cnn3", "sample", epochs=0)


# -------------------------------------------------------------------------------------- the data


def test_the_test_rows_are_not_there():
    seen = search.draw_rows(faces())
    assert set(seen.split) == {"training", "validation"}
    assert len(seen) == (faces().split != "test").sum()


@given(rows=st.integers(7, 245), seed=st.integers(0, 2**32 - 1))
def test_a_draw_has_the_asked_number_of_training_rows_of_every_class(rows, seed):
    data = faces()
    seen = search.draw_rows(data, rows, seed=seed)
    part = seen.part("training")
    assert len(part) == rows
    counts = np.bincount(part.labels, minlength=7)
    assert counts.min() >= 1
    assert counts.max() - counts.min() <= 1
    assert set(part.rows) <= set(data.part("training").rows)
    np.testing.assert_array_equal(seen.part("validation").rows, data.part("validation").rows)
    np.testing.assert_array_equal(seen.rows, search.draw_rows(data, rows, seed=seed).rows)


@pytest.mark.parametrize("rows", [0, 6, 246, -1])
def test_a_draw_that_cannot_be_made_is_refused(rows):
    with pytest.raises(DataError, match="training rows"):
        search.draw_rows(faces(), rows)


@pytest.mark.parametrize("split", ["training", "validation"])
def test_data_without_training_or_validation_rows_are_refused(split):
    data = faces()
    with pytest.raises(DataError, match=f"no {split} rows"):
        search.draw_rows(data.take(data.split != split))


def test_poisoned_test_rows_change_nothing(tmp_path):
    """Real trainings: the test rows get other pixels and wrong labels, and nobody notices."""
    runtime.setup(0)
    data = faces()
    tested = data.split == "test"
    images, labels = data.images.copy(), data.labels.copy()
    images[tested], labels[tested] = 255, (labels[tested] + 1) % 7
    poisoned = dataclasses.replace(data, images=images, labels=labels)
    space = Space((1e-2,), (49,), (2, 4), ())
    settings = base(epochs=1)
    clean = search.grid(data, settings, space, name="a", folder=tmp_path)
    other = search.grid(poisoned, settings, space, name="b", folder=tmp_path)
    same = ["trial", "state", "val_accuracy", "epochs", "learning_rate", "batch_size", "filters"]
    pd.testing.assert_frame_equal(clean.trials[same], other.trials[same])
    pd.testing.assert_frame_equal(clean.right, other.right)
    assert clean.info == other.info
    assert clean.trials["state"].tolist() == ["complete"] * 2
    assert not list(tmp_path.rglob("test.npz"))
    assert not list(tmp_path.rglob("model.keras"))


# ------------------------------------------------------------------------------------ one process


def test_a_grid_trains_every_combination_to_its_end(quick, tmp_path):
    space = Space((1e-3, 1e-2), (16, 32), (2, 4), ())
    done = search.grid(faces(), base(), space, name="grid", folder=tmp_path)
    combined = done.trials[["learning_rate", "batch_size", "filters"]].to_dict("records")
    assert combined == space.combinations()
    assert set(done.trials["state"]) == {"complete"}
    assert set(done.trials["epochs"]) == {4}
    assert done.best["learning_rate"] == 1e-3
    assert done.best["filters"] == 4
    assert done.best["trial"] == 1  # the first of equals: batch size does nothing here


def test_tpe_finds_the_good_settings_and_prunes_poor_ones(found):
    assert len(found.trials) == 20
    assert abs(np.log10(found.best["learning_rate"]) + 3) < 0.5
    assert found.best["filters"] == 4
    pruned = found.trials[found.trials["state"] == "pruned"]
    assert len(pruned) > 2
    assert pruned["epochs"].between(3, 3).all()
    assert (found.complete["epochs"] == 4).all()
    assert found.trials["trial"].iloc[: search.UNPRUNED_TRIALS].isin(found.complete["trial"]).all()
    later = found.trials.iloc[search.RANDOM_TRIALS :]
    early = found.trials.iloc[: search.RANDOM_TRIALS]
    assert later["val_accuracy"].median() > early["val_accuracy"].median()


def test_epochs_and_trials_tell_the_same(found):
    by_trial = found.epochs.groupby("trial")
    table = found.trials.set_index("trial")
    assert by_trial["val_accuracy"].max().to_dict() == table["val_accuracy"].to_dict()
    assert by_trial["epoch"].count().to_dict() == table["epochs"].to_dict()
    assert found.right.columns.tolist() == found.complete["trial"].tolist()
    assert found.right.shape == (35, len(found.complete))


def test_the_best_settings_can_be_trained_with(found):
    settings = search.best_settings(found)
    assert settings.learning_rate == found.best["learning_rate"]
    assert settings.network["filters"] == [4, 8, 16]
    assert isinstance(settings.batch_size, int)
    assert (
        dataclasses.replace(
            settings,
            learning_rate=base().learning_rate,
            batch_size=base().batch_size,
            network=base().network,
        )
        == base()
    )


def test_a_search_that_was_cut_goes_on_as_if_it_had_not_been(quick, found, tmp_path):
    for trials in (7, 13, 20):
        cut = search.tpe(faces(), base(), SMALL, name="cut", trials=trials, folder=tmp_path)
        assert len(cut.trials) == trials
    columns = [name for name in cut.trials if name not in ("seconds", "worker")]
    pd.testing.assert_frame_equal(cut.trials[columns], found.trials[columns])


def test_a_finished_search_is_returned_as_it_is(found, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "train", None)
    again = search.tpe(faces(), base(), SMALL, name="found", trials=20, folder=tmp_path)
    pd.testing.assert_frame_equal(again.trials, found.trials)
    pd.testing.assert_frame_equal(again.right, found.right)


def test_two_trials_of_one_seed_are_not_the_same(found):
    rates = found.trials["learning_rate"]
    assert rates.nunique() == len(rates)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": base(epochs=5)}, "epochs"),
        ({"settings": base(seed=1)}, "seed"),
        ({"space": Space()}, "space"),
        ({"dataset": faces(seed=1)}, "fingerprint"),
        ({"rows": 70}, "fingerprint"),
    ],
)
def test_a_study_is_never_shared_by_two_searches(found, tmp_path, change, message):
    asked = {"dataset": faces(), "settings": base(), "space": SMALL, **change}
    with pytest.raises(ModelError, match=f"was begun with {message}"):
        search.tpe(**asked, name="found", trials=20, folder=tmp_path)
    with pytest.raises(ModelError, match="sampler"):
        search.grid(faces(), base(), SMALL, name="found", folder=tmp_path)


def test_a_study_older_than_a_setting_goes_on(found, tmp_path):
    study = search.open_study("found", folder=tmp_path)
    plan = dict(study.user_attrs["plan"])
    lacking = {key: value for key, value in plan["settings"].items() if key != "teachers"}
    study.set_user_attr("plan", {**plan, "settings": lacking})
    again = search.tpe(faces(), base(), SMALL, name="found", trials=20, folder=tmp_path)
    pd.testing.assert_frame_equal(again.trials, found.trials)


def test_an_interrupted_trial_goes_on_with_its_settings_from_its_last_epoch(
    quick, tmp_path, monkeypatch
):
    def interrupted(dataset, settings, *, folder, verbose, test, after_epoch):
        def stop(epoch, logs):
            after_epoch(epoch, logs)
            if epoch == 2:
                raise KeyboardInterrupt

        return stand_in(
            dataset, settings, folder=folder, verbose=verbose, test=test, after_epoch=stop
        )

    asked = {"name": "cut", "trials": 3, "folder": tmp_path}
    with monkeypatch.context() as patch:
        patch.setattr(training, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search.tpe(faces(), base(), SMALL, **asked)
    done = search.tpe(faces(), base(), SMALL, **asked)
    whole = search.tpe(faces(), base(), SMALL, **{**asked, "name": "whole"})
    assert done.trials["state"].value_counts().to_dict() == {"complete": 3, "failed": 1}
    began = sorted(first_epochs(file.parent) for file in tmp_path.rglob("run.json"))
    assert began.count([1, 3]) == 1  # from the third epoch, not from the first
    lost, again = done.trials.iloc[0], done.trials.iloc[-1]
    assert lost[["learning_rate", "filters"]].equals(again[["learning_rate", "filters"]])
    assert again["epochs"] == 4
    pd.testing.assert_series_equal(
        done.complete["val_accuracy"].sort_values(ignore_index=True),
        whole.complete["val_accuracy"].sort_values(ignore_index=True),
    )


def test_an_error_in_a_trial_ends_the_search_and_says_what_it_was(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise ModelError("the network does not fit")

    monkeypatch.setattr(training, "train", fails)
    with pytest.raises(ModelError, match="does not fit"):
        search.tpe(faces(), base(), SMALL, name="failing", trials=3, folder=tmp_path)
    monkeypatch.setattr(training, "train", stand_in)
    done = search.tpe(faces(), base(), SMALL, name="failing", trials=3, folder=tmp_path)
    assert len(done.complete) == 3


def test_a_trial_that_nobody_asked_for_is_not_trained(found, tmp_path):
    """As when another process takes the last one between a look at the queue and the taking."""
    study = search.open_study("found", folder=tmp_path)
    study.enqueue_trial({})
    study.enqueue_trial({}, user_attrs={"slot": 3})
    again = search.tpe(faces(), base(), SMALL, name="found", trials=20, folder=tmp_path)
    pd.testing.assert_frame_equal(again.trials, found.trials)


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden"])
def test_a_study_needs_a_plain_name(quick, tmp_path, name):
    with pytest.raises(ModelError, match="a name without a folder"):
        search.tpe(faces(), base(), SMALL, name=name, trials=1, folder=tmp_path)


@pytest.mark.parametrize("storage", ["nonsense", "sqlite:////no/such/folder/x.db", "mysql://x/y"])
def test_a_database_that_cannot_be_opened_is_an_error_in_one_line(quick, tmp_path, storage):
    with pytest.raises(ModelError, match="cannot be opened") as caught:
        search.tpe(faces(), base(), SMALL, name="x", trials=1, storage=storage, folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_optuna_keeps_its_voice_outside(quick, tmp_path, capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    search.tpe(faces(), base(), SMALL, name="quiet", trials=6, folder=tmp_path)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_the_progress_bar_counts_trials_on_standard_output(quick, tmp_path, capfd):
    search.tpe(faces(), base(), SMALL, name="bar", trials=2, folder=tmp_path, verbose=1)
    shown, errors = capfd.readouterr()
    assert "2/2" in shown
    assert errors == ""


# ------------------------------------------------------------------------------- several processes

LIGHT = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
import test_search as here
here.training.train = here.stand_in
here.search.{sampler}(
    here.faces(), here.base(), here.SMALL, name="shared", folder={folder!r}, worker={worker!r},
    heartbeat=1, {more}
)
"""


def light(folder, worker, *, sampler="tpe", more="trials=24", seconds="0.01"):
    """Start a process that searches with the stand-in."""
    text = LIGHT.format(
        tests=str(runtime.ROOT / "tests"),
        root=str(runtime.ROOT),
        folder=str(folder),
        sampler=sampler,
        worker=worker,
        more=more,
    )
    environment = {**os.environ, "EPOCH_SECONDS": seconds}
    return subprocess.Popen([sys.executable, "-c", text], env=environment)


@pytest.mark.parametrize(
    ("sampler", "more", "total"),
    [
        ("tpe", "trials=24", 24),
        ("grid", "points=2", 16),
    ],
)
def test_processes_share_a_study_and_do_nothing_twice(tmp_path, quick, sampler, more, total):
    workers = [
        light(tmp_path, name, sampler=sampler, more=more, seconds="0.05") for name in ("a", "b")
    ]
    assert [worker.wait(timeout=300) for worker in workers] == [0, 0]
    last = {"trials": 24} if sampler == "tpe" else {"points": 2}
    done = getattr(search, sampler)(
        faces(), base(), SMALL, name="shared", folder=tmp_path, worker="c", **last
    )
    assert len(done.trials) == total
    assert set(done.trials["state"]) <= {"complete", "pruned"}
    assert set(done.trials["worker"]) == {"a", "b"}
    assert not done.trials[list(search.SETTINGS)].duplicated().any()
    # Each trial was begun once, at its first epoch.
    began = [first_epochs(file.parent) for file in tmp_path.rglob("run.json")]
    assert Counter(itertools.chain(*began)) == {1: total}


def test_a_dead_process_leaves_its_trial_to_another(tmp_path, quick):
    worker = light(tmp_path, "dies", more="trials=3", seconds="0.5")
    deadline = time.monotonic() + 120
    while not any(len(pd.read_csv(file)) for file in tmp_path.rglob("history.csv")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    done = search.tpe(
        faces(),
        base(),
        SMALL,
        name="shared",
        trials=3,
        folder=tmp_path,
        worker="lives",
        heartbeat=1,
    )
    assert len(done.complete) == 3
    lost = done.trials[done.trials["state"] == "failed"]
    assert lost["worker"].tolist() == ["dies"]
    again = done.trials.iloc[-1]
    settings = list(search.SETTINGS)
    assert again["worker"] == "lives"
    assert again[settings].tolist() == lost.iloc[0][settings].tolist()
    began = [first_epochs(file.parent) for file in tmp_path.rglob("run.json")]
    taken = [starts for starts in began if len(starts) == 2]
    assert len(taken) == 1
    assert taken[0][1] > 1  # it went on from the dead one's last epoch


def test_a_process_that_was_wrongly_taken_for_dead_leaves_its_trial_and_goes_on(
    tmp_path, monkeypatch
):
    """As after a laptop's sleep: another process has failed the trial, and queued it again."""
    slept = []

    def sleeps(dataset, settings, *, folder, after_epoch, **more):
        def wakes(epoch, logs):
            if not slept:
                slept.append(epoch)
                study = search.open_study("asleep", folder=tmp_path)
                study.tell(0, state=TrialState.FAIL)
                RetryHeartbeatStaleTrialCallback()(study, study.get_trials()[0])
            after_epoch(epoch, logs)

        return stand_in(dataset, settings, folder=folder, after_epoch=wakes, **more)

    from optuna.storages import RetryHeartbeatStaleTrialCallback
    from optuna.trial import TrialState

    monkeypatch.setattr(training, "train", sleeps)
    done = search.tpe(faces(), base(), SMALL, name="asleep", trials=3, folder=tmp_path)
    assert done.trials["state"].tolist() == ["failed", "complete", "complete", "complete"]
    assert done.trials.loc[0, "learning_rate"] == done.trials.loc[3, "learning_rate"]


def command(folder, *words):
    """Run the command line on the sample, with trials of an epoch."""
    given = (
        f"--model cnn3 --data sample --rows 70 --epochs 1 --learning-rate 0.01 --batch-size 70 "
        f"--filters 2 4 --verbose 0 --folder {folder} --results {folder / 'results'} "
    ).split()
    return [sys.executable, "-m", "utils.search", *given, *words]


def test_two_commands_train_one_study_together(tmp_path):
    """Real trainings of real networks, in two real processes."""
    words = ("--trials", "4", "--dropout", "0", "0.5", "--study", "both", "--record")
    workers = [
        subprocess.Popen(
            command(tmp_path, *words, "--worker", name),
            cwd=runtime.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    said = [worker.communicate(timeout=600) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert [errors for _, errors in said] == ["", ""]
    assert all("both: 4 complete" in shown for shown, _ in said)
    done = search.load("both", folder=tmp_path / "results")
    assert len(done.trials) == 4
    assert set(done.trials["worker"]) == {"a", "b"}
    assert not done.trials[["dropout", "filters"]].duplicated().any()
    assert done.info["rows"] == {"training": 70, "validation": 200}
    assert done.info["command"].startswith("python -m utils.search --model cnn3")


# ------------------------------------------------------------------------------- records, figures


def test_a_record_reads_back(found, tmp_path):
    place = search.record(found, folder=tmp_path / "results", command="python -m utils.search")
    assert sorted(file.name for file in place.iterdir()) == [
        "epochs.csv",
        "right.npz",
        "search.json",
        "trials.csv",
    ]
    again = search.load("found", folder=tmp_path / "results")
    pd.testing.assert_frame_equal(again.trials, found.trials, check_dtype=False, rtol=1e-5)
    pd.testing.assert_frame_equal(again.epochs, found.epochs, rtol=1e-5)
    pd.testing.assert_frame_equal(again.right, found.right, check_column_type=False)
    assert again.space == SMALL
    assert again.best["trial"] == found.best["trial"]
    assert search.best_settings(again).network == search.best_settings(found).network
    assert again.info["versions"]["optuna"]
    assert again.info["fingerprint"] == search.draw_rows(faces()).fingerprint()
    assert sum(again.info["trials"].values()) == 20
    assert search.recorded(tmp_path / "results") == ["found"]
    # A search is no run.
    assert records.names(tmp_path / "results") == []


def test_the_same_search_gives_the_same_record(found, tmp_path):
    places = [search.record(found, folder=tmp_path / name) for name in ("one", "two")]
    for name in ("trials.csv", "epochs.csv", "right.npz"):
        assert (places[0] / name).read_bytes() == (places[1] / name).read_bytes()


def test_an_unfinished_search_is_not_recorded(found, tmp_path):
    trials = found.trials.assign(state="running")
    with pytest.raises(ModelError, match="not done yet"):
        search.record(dataclasses.replace(found, trials=trials), folder=tmp_path)


def test_a_search_whose_time_is_up_can_be_recorded_and_goes_on(quick, tmp_path, monkeypatch):
    monkeypatch.setenv("EPOCH_SECONDS", "0.2")
    asked = {"name": "short", "trials": 30, "folder": tmp_path}
    cut = search.tpe(faces(), base(), SMALL, **asked, minutes=0.01)
    done = int((cut.trials["state"] != "waiting").sum())
    assert 1 <= done < 30
    search.record(cut, folder=tmp_path / "results")
    again = search.load("short", folder=tmp_path / "results")
    assert len(again.trials) == done
    assert again.info["trials"]["waiting"] == 30 - done
    monkeypatch.setenv("EPOCH_SECONDS", "0")
    whole = search.tpe(faces(), base(), SMALL, **asked)
    assert set(whole.trials["state"]) <= {"complete", "pruned"}
    none = dataclasses.replace(cut, trials=cut.trials.assign(state="waiting"))
    with pytest.raises(ModelError, match="nothing to record"):
        search.record(none, folder=tmp_path)


def test_a_missing_record_names_those_there_are(found, tmp_path):
    search.record(found, folder=tmp_path)
    with pytest.raises(ModelError, match="no search called 'lost'; recorded: found"):
        search.load("lost", folder=tmp_path)


@pytest.mark.parametrize("name", ["search.json", "trials.csv", "epochs.csv", "right.npz"])
def test_a_damaged_record_says_so(found, tmp_path, name):
    place = search.record(found, folder=tmp_path)
    (place / name).write_bytes(b"\xff\x00")
    with pytest.raises(ModelError, match="search-found"):
        search.load("found", folder=tmp_path)


def test_what_matters_is_important(found):
    shares = search.importance(found)
    assert set(shares.index) == set(search.SETTINGS)
    assert shares.sum() == pytest.approx(1)
    assert shares.index[0] == "learning_rate"
    assert shares.is_monotonic_decreasing
    pd.testing.assert_series_equal(shares, search.importance(found))
    few = dataclasses.replace(found, trials=found.trials.iloc[:3])
    with pytest.raises(ModelError, match="four or more"):
        search.importance(few)
    with pytest.raises(ModelError, match="0 trials reached epoch 5"):
        search.importance(found, epoch=5)
    # At the last epoch only complete trials count, at an earlier one the pruned ones too.
    pd.testing.assert_series_equal(shares, search.importance(found, epoch=3))
    complete = dataclasses.replace(found, trials=found.complete)
    pd.testing.assert_series_equal(
        search.importance(found, epoch=4), search.importance(complete, epoch=4)
    )


def test_where_all_is_equal_nothing_matters(found):
    level = dataclasses.replace(found, epochs=found.epochs.assign(val_accuracy=0.5))
    assert search.importance(level).tolist() == [0.0] * 4


def test_the_best_of_equals_is_flattered_and_the_best_of_unequals_is_not(found):
    rng = np.random.default_rng(0)
    equal = dataclasses.replace(found, right=pd.DataFrame(rng.random((200, 20)) < 0.6))
    price = search.price_of_choosing(equal)
    # The highest of 20 normal numbers lies 1.87 deviations above their mean.
    assert price.gift == pytest.approx(1.87 * np.sqrt(0.6 * 0.4 / 100), rel=0.3)
    assert (price.trials, price.rows) == (20, 100)
    clear = rng.random((200, 20)) < np.r_[0.95, np.full(19, 0.3)]
    assert (
        abs(search.price_of_choosing(dataclasses.replace(found, right=pd.DataFrame(clear))).gift)
        < 0.01
    )
    alone = dataclasses.replace(found, right=pd.DataFrame(clear[:, :1]))
    with pytest.raises(ModelError, match="nothing to choose"):
        search.price_of_choosing(alone)


def test_nothing_complete_means_no_best(found):
    none = dataclasses.replace(found, trials=found.trials.assign(state="pruned"))
    with pytest.raises(ModelError, match="no trial is complete"):
        _ = none.best


def test_the_figures_show_the_trials(found, tmp_path):
    shares = search.importance(found)
    drawn = {
        "history": figures.search_history(found.trials, title="a title"),
        "curves": figures.search_curves(found.epochs, found.trials),
        "settings": figures.search_settings(found.trials),
        "importance": figures.search_importance(shares),
    }
    for name, figure in drawn.items():
        files = [figures.save(figure, f"{name}-{turn}", tmp_path) for turn in "ab"]
        assert files[0].read_bytes() == files[1].read_bytes()
    counts = found.trials["state"].value_counts()
    legend = [text.get_text() for text in drawn["history"].legends[0].get_texts()]
    assert f"complete ({counts['complete']})" in legend
    assert f"pruned ({counts['pruned']})" in legend
    alone = figures.search_history(found.complete)
    assert not [text for text in alone.legends[0].get_texts() if "pruned" in text.get_text()]
    assert len(drawn["curves"].axes[0].lines) == 20
    assert len(drawn["settings"].axes) == 4


def test_figures_of_nothing_are_refused(found):
    nothing = found.trials.iloc[:0]
    for plot in (figures.search_history, figures.search_settings):
        with pytest.raises(DataError, match="trials"):
            plot(nothing)
    with pytest.raises(DataError, match="trials"):
        figures.search_curves(found.epochs, nothing)
    with pytest.raises(DataError, match="momentum"):
        figures.search_settings(found.trials, ["momentum"])


# ----------------------------------------------------------------------------------- command line


def run(capsys, *words):
    status = search.main([str(word) for word in words])
    return status, *capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "cnn9"], "cnn9"),
        (["--learning-rate", "1", "2", "3"], "two ends"),
        (["--dropout", "0.5", "0.1"], "low to high"),
        (["--batch-size", "0"], "from 1 on"),
        (["--trials", "0"], "a trial or more"),
        (["--epochs", "0"], "epochs"),
        (["--rows", "1000000"], "training rows"),
        (["--path", "no/such/place"], "no/such/place"),
        (["--study", "a/b"], "without a folder"),
        (["--heartbeat", "0"], "heartbeat"),
        (["--model", "vgg16"], "vgg16 has no setting called"),
        (["--sampler", "grid", "--points", "1"], "2 points"),
    ],
)
def test_a_wrong_command_is_answered_in_one_line(quick, capsys, tmp_path, words, message):
    status, _, errors = run(capsys, "--folder", tmp_path, "--verbose", 0, *words)
    assert status == 1
    assert errors.startswith("python -m utils.search: ")
    assert message in errors
    assert errors.count("\n") == 1


def test_the_command_searches_says_what_came_out_and_records(quick, capsys, tmp_path):
    words = ["--folder", tmp_path, "--results", tmp_path / "results", "--verbose", 0]
    address = f"sqlite:///{tmp_path / 'secret.db'}"
    status, shown, errors = run(
        capsys, *words, "--trials", 5, "--epochs", 3, "--record", "--storage", address
    )
    assert (status, errors) == (0, "")
    assert "cnn3-sample: " in shown
    assert "1,400 training, 200 validation, 0 test" in shown
    assert "of 200 validation faces" in shown
    info = search.load("cnn3-sample", folder=tmp_path / "results").info
    assert "secret" not in info["command"]
    assert info["epochs"] == 3
    assert info["sampler"] == "tpe"


def test_help_reads_well(capsys):
    with pytest.raises(SystemExit) as caught:
        search.main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "python -m utils.search --model cnn3 --data fer2013" in shown
    for option in ("--trials", "--storage", "--rows", "--record", "--learning-rate"):
        assert option in shown


def test_the_module_needs_neither_optuna_nor_keras_to_be_imported():
    text = (
        "import sys; sys.modules.update(dict.fromkeys(('optuna', 'keras', 'tensorflow'))); "
        "from utils import search; print(search.Space().searched.keys() == set(search.SETTINGS))"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=runtime.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"


def test_the_sample_is_what_the_command_searches():
    assert set(datasets.LOADERS) >= {"sample", "fer2013", "ferplus", "expw"}
