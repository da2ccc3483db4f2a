"""Training records itself, and a killed run resumes."""

import dataclasses
import json
import math
import shutil
import signal
import time

import keras
import numpy as np
import pandas as pd
import processes
import pytest

from utils import models, records, training
from utils.datasets import FaceDataset
from utils.expressions import FERPLUS_COLUMNS, FOLDER_NAMES
from utils.runtime import DataError, ModelError
from utils.training import Settings
from utils.training.model import Batches

pytestmark = pytest.mark.usefixtures("ready")

TINY = {"filters": [4, 4, 8, 8, 8], "dense": 16}
NUMBERS = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]


def settings(**changes):
    given = {"network": TINY, "size": 32, "epochs": 3, "batch_size": 32}
    return Settings(**{**given, **changes})


def faces(count=210, seed=0) -> FaceDataset:
    """Make pictures whose brightness tells the class, 70/10/20%."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 7
    images = rng.integers(0, 60, (count, 24, 24, 1)) + (labels * 28)[:, None, None, None]
    split = np.array(["training"] * 7 + ["validation"] + ["test"] * 2)[np.arange(count) // 7 % 10]
    return FaceDataset(images.astype(np.uint8), labels, split, np.arange(count), "sample")


def stop_after(epoch):
    """Make a callback that ends training once an epoch is on disk."""

    def stop(done, logs):
        if done + 1 == epoch:
            raise KeyboardInterrupt

    return keras.callbacks.LambdaCallback(on_epoch_end=stop)


def train(folder, plan=None, data=None, **options):
    return training.train(data or faces(), plan or settings(), folder=folder, verbose=0, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "whole")


def test_a_run_records_every_epoch_and_both_splits(finished):
    assert tuple(finished.history.columns) == records.HISTORY_COLUMNS
    assert finished.history["epoch"].tolist() == [1, 2, 3]
    assert finished.history.notna().all(axis=None)
    data = faces()
    for split, predictions in (("validation", finished.validation), ("test", finished.test)):
        chosen = data.split == split
        np.testing.assert_array_equal(predictions.rows, data.rows[chosen])
        np.testing.assert_array_equal(predictions.labels, data.labels[chosen])
        np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=0.01)
    assert not (finished.folder / "checkpoints").exists()


def test_run_json_says_what_was_done(finished):
    info = finished.info
    assert (info["model"], info["dataset"], info["seed"]) == ("cnn5", "sample", 0)
    assert info["fingerprint"] == faces().fingerprint()
    assert info["rows"] == {"training": 147, "validation": 21, "test": 42, "training_balanced": 147}
    assert info["best_epoch"] == finished.best_epoch
    for key in ("versions", "backend", "hardware", "commit", "command", "started", "finished"):
        assert key in info
    assert min(info["images_per_second"], info["seconds"]) > 0


def test_the_saved_network_is_keras_own_and_gives_the_recorded_probabilities(finished):
    classifier = models.load(finished.folder / "model.keras")
    again = training.predict(classifier, faces(), "test")
    np.testing.assert_allclose(again.probabilities, finished.test.probabilities, atol=5e-3)
    # Augmentation, targets and the fused kernel stay behind.
    built = models.build("cnn5", (32, 32, 1), **TINY)
    assert [type(layer) for layer in classifier.model.layers] == [
        type(layer) for layer in built.layers
    ]


def test_a_finished_run_is_returned_as_it_is_and_never_shared(finished):
    before = {file: file.stat().st_mtime_ns for file in finished.folder.iterdir()}
    again = train(finished.folder)
    pd.testing.assert_frame_equal(again.history, finished.history)
    with pytest.raises(ModelError, match=r"was started with seed: 0, now 1"):
        train(finished.folder, settings(seed=1))
    with pytest.raises(ModelError, match="fingerprint"):
        train(finished.folder, data=faces(seed=1))
    assert before == {file: file.stat().st_mtime_ns for file in finished.folder.iterdir()}


RESNET = {"stem": 4, "filters": (4, 8), "blocks": (1, 1), "dropout": 0.5}
MIXING = {"mixup": 0.2, "erasing": 0.5, "brightness": 0.2, "contrast": 0.2, "ema_momentum": 0.9}
FROZEN = {"frozen_epochs": 2, "epochs": 4, "optimizer": "sgd", "learning_rate": 0.01}
HALF = {"model": "resnet8", "network": RESNET, "size": 24, "precision": "mixed_bfloat16"}


@pytest.mark.parametrize(
    ("plan", "stops"),
    [(MIXING, [1]), (FROZEN, [1, 2]), (HALF, [2])],
    ids=["mixing and EMA", "within the frozen phase and behind it", "bfloat16"],
)
def test_a_stopped_run_comes_to_the_same_numbers(tmp_path, plan, stops):
    """Order, augmentation, dropout, schedule, averages, and optimizer continue."""
    plan = settings(**plan)
    for epoch in stops:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "stopped", plan, callbacks=[stop_after(epoch)])
        assert not records.is_finished(tmp_path / "stopped")
    run = train(tmp_path / "stopped", plan)
    whole = train(tmp_path / "whole", plan)
    np.testing.assert_allclose(run.history[NUMBERS], whole.history[NUMBERS], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(run.test.probabilities, whole.test.probabilities, atol=2e-3)
    assert len(run.info["resumed"]) == len(stops)


CHILD = """
import sys
from pathlib import Path
import test_training as here
from utils import runtime
runtime.setup(0)
here.train(Path(sys.argv[1]), here.settings(epochs=5), here.faces(1400))
"""


@pytest.mark.slow
def test_a_run_killed_in_the_middle_of_an_epoch_goes_on(tmp_path):
    """A second process that waits for the same run takes it over."""
    folder, plan = tmp_path / "killed", settings(epochs=5)
    child = processes.start("-c", CHILD, folder)
    deadline = time.monotonic() + 600
    while len(records.read_history(folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
        assert child.poll() is None, "the run ended before it could be killed"
    time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert 2 <= len(records.read_history(folder)) < 5
    second = processes.start("-c", CHILD, folder)
    run = train(folder, plan, faces(1400))
    err = second.communicate(timeout=600)[1]
    assert second.returncode == 0, err
    whole = train(tmp_path / "whole", plan, faces(1400))
    assert run.history["epoch"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(run.history[NUMBERS], whole.history[NUMBERS], rtol=1e-4, atol=1e-6)


def test_damaged_checkpoints_say_what_to_do(tmp_path):
    folder = tmp_path / "lost"
    with pytest.raises(KeyboardInterrupt):
        train(folder, callbacks=[stop_after(2)])
    (file,) = (folder / "checkpoints").glob("epoch-*.weights.h5")
    for content in (b"", b"garbage", file.read_bytes()[:1000]):
        file.write_bytes(content)
        with pytest.raises(ModelError, match=r"epoch-002\.weights\.h5.*delete the folder"):
            train(folder)
    file.unlink()
    with pytest.raises(ModelError, match=r"epoch-002\.weights\.h5 is gone"):
        train(folder)
    # Weights without their row in the history do not count: that epoch is trained again.
    records.write_history(folder, records.read_history(folder).iloc[:0])
    file.write_bytes(b"half a file")
    assert train(folder).history["epoch"].tolist() == [1, 2, 3]
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="found a file"):
        train(tmp_path / "file")


def test_a_diverged_training_is_never_recorded(tmp_path):
    folder = tmp_path / "diverged"
    plan = settings(optimizer="sgd", learning_rate=1e20)
    for _ in range(2):
        with pytest.raises(ModelError, match="diverged in epoch 1"):
            train(folder, plan)
    assert len(records.read_history(folder)) == 0
    assert records.names(tmp_path) == []


def test_the_best_epoch_of_a_frozen_phase_keeps_its_weights(tmp_path):
    """With averaged weights, too: the later phase's average is not what is saved."""
    plan = settings(epochs=3, frozen_epochs=2, fine_tuning_factor=1e4, ema_momentum=0.5)
    run = train(tmp_path / "run", plan)
    assert run.best_epoch <= 2, "the second phase was to ruin the network"
    hits = run.validation.predicted == run.validation.labels
    best = run.history.set_index("epoch").loc[run.best_epoch, "val_accuracy"]
    assert hits.mean() == pytest.approx(best, abs=1e-5)
    plain = train(tmp_path / "plain", dataclasses.replace(plan, ema_momentum=0))
    assert not np.allclose(run.history["val_loss"], plain.history["val_loss"])


def test_an_unread_test_split_is_read_when_it_is_asked_for(tmp_path):
    data, folder = faces(), tmp_path / "search"
    unseen = data.take(np.flatnonzero(data.split != "test"))
    chosen = train(folder, data=unseen, test=False)
    assert chosen.test is None
    assert not records.is_finished(folder)
    whole = train(tmp_path / "whole", data=data, test=False)
    written = (whole.folder / "history.csv").stat().st_mtime_ns
    assert len(train(whole.folder, data=data).test) == 42
    assert (whole.folder / "history.csv").stat().st_mtime_ns == written


def test_without_an_epoch_a_run_is_the_mean_of_the_networks_that_start_it(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "first")
    train(tmp_path / "second", settings(epochs=0, seed=1))
    mean = train(tmp_path / "mean", settings(epochs=0, initial_weights=("first", "second")))
    assert (len(mean.history), mean.best_epoch, mean.info["images_per_second"]) == (0, 0, 0)
    assert len(mean.info["initial_weights_sha256"]) == 2
    assert (len(mean.validation), len(mean.test)) == (21, 42)
    first, second, found = (
        models.load(models.find(name, tmp_path)).model.get_weights()
        for name in ("first", "second", "mean")
    )
    for one, two, both in zip(first, second, found, strict=True):
        np.testing.assert_allclose(both, (one + two) / 2, rtol=2e-3, atol=1e-6)  # kept as float16
    again = train(tmp_path / "mean", settings(epochs=0, initial_weights=("first", "second")))
    assert again.info == mean.info


def test_a_run_starts_from_another_ones_network(finished, tmp_path):
    """By its name too, if it is next to the new run."""
    shutil.copytree(finished.folder, tmp_path / "first")
    plan = settings(epochs=1, initial_weights="first", learning_rate=1e-12, weight_decay=0.0)
    run = train(tmp_path / "next", plan, faces(seed=1))
    assert len(run.info["initial_weights_sha256"]) == 64
    kernels = [
        models.load(models.find(name, tmp_path)).model.get_layer("convolution_3").get_weights()[0]
        for name in ("first", "next")
    ]
    np.testing.assert_allclose(*kernels, atol=1e-3)
    other = {"initial_weights": "first", "network": {**TINY, "filters": [4, 4, 8, 8, 9]}}
    for change, message in (
        (other, r"convolution_5.*\(3, 3, 8, 9\)"),
        ({"network": {"color": "blue"}}, "color"),
        ({"initial_weights": "nothing.keras"}, "not there"),
    ):
        with pytest.raises(ModelError, match=message):
            train(tmp_path / "refused", settings(**change))
        assert not (tmp_path / "refused").exists()


def test_teachers_take_the_place_of_the_labels(finished, tmp_path):
    """If targets are entirely theirs, training with wrong labels gives the same result."""
    teacher = str(finished.folder / "model.keras")
    data = faces(seed=1)
    wrong = np.where(data.split == "training", (data.labels + 1) % 7, data.labels)
    mislabeled = dataclasses.replace(data, labels=wrong)
    plan = settings(epochs=2, teachers=(teacher,), distillation_weight=1.0, mixup=0.4)
    run = train(tmp_path / "taught", plan, data)
    same = train(tmp_path / "mislabeled", plan, mislabeled)
    np.testing.assert_allclose(run.history["loss"], same.history["loss"], rtol=1e-5)
    np.testing.assert_array_equal(run.test.probabilities, same.test.probabilities)
    assert len(run.info["teachers_sha256"][0]) == 64
    labels = train(tmp_path / "labels", settings(epochs=2, mixup=0.4), data)
    nothing = settings(epochs=2, teachers=(teacher,), distillation_weight=0.0, mixup=0.4)
    alone = train(tmp_path / "alone", nothing, data)
    np.testing.assert_allclose(alone.history["loss"], labels.history["loss"], rtol=1e-5)
    assert not np.allclose(run.history["loss"], labels.history["loss"], rtol=1e-2)


def test_a_teacher_is_in_no_checkpoint_and_one_that_cannot_teach_is_named(finished, tmp_path):
    # It sees faces of a different size than the network it teaches.
    large = models.Classifier(models.build("cnn5", (40, 40, 1), **{**TINY, "dense": 2048}))
    teacher = str(models.save(large, tmp_path / "large.keras"))
    colors = models.Classifier(models.build("cnn5", (32, 32, 3), **TINY))
    of_colors = str(models.save(colors, tmp_path / "colors.keras"))
    sizes = {}
    for name, plan in (("taught", settings(teachers=(teacher,))), ("alone", settings())):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / name, plan, callbacks=[stop_after(1)])
        (file,) = (tmp_path / name / "checkpoints").glob("epoch-*.weights.h5")
        sizes[name] = file.stat().st_size
    assert sizes["taught"] == pytest.approx(sizes["alone"], rel=0.01)

    fewer = faces().without(["neutral"])
    for plan, data, message in (
        (settings(teachers=(of_colors,)), faces(), "3 channels, so it cannot teach .* takes 1"),
        (settings(teachers=("nobody",)), faces(), "no network is called 'nobody'"),
        (settings(teachers=(teacher,)), fewer, "neutral, so it cannot teach"),
    ):
        with pytest.raises(ModelError, match=message):
            train(tmp_path / "refused", plan, data)
        assert not (tmp_path / "refused").exists()


def test_a_record_of_an_earlier_version_goes_on(finished, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(finished.folder, folder)
    info = json.loads((folder / "run.json").read_text("utf-8"))
    own = info["settings"]
    own["augmentation"] = {key: own.pop(key) for key in ("rotation", "zoom", "shift", "flip")}
    own["feed"], own["warm_up"] = "device", own.pop("warmup_epochs")
    for setting in ("initial_weights", "frozen_epochs", "teachers", "brightness"):
        del own[setting]
    (folder / "run.json").write_text(json.dumps(info), "utf-8")
    assert len(train(folder).history) == 3


def test_every_committed_record_has_settings():
    for name in records.names():
        run = records.load(name)
        read = training.settings_from_record(run.info["settings"])
        assert (read.model, read.epochs) == (run.info["model"], len(run.history))


def with_votes(data: FaceDataset) -> FaceDataset:
    """Give each face six votes for its label, three for the next class, one for a third."""
    names = [FOLDER_NAMES[column] for column in FERPLUS_COLUMNS[:7]]
    votes = np.zeros((len(data), 10), np.int64)
    for share, step in ((6, 0), (3, 1), (1, 2)):
        columns = [names.index(label) for label in (data.labels + step) % 7]
        votes[np.arange(len(data)), columns] = share
    return dataclasses.replace(data, votes=votes)


def test_votes_are_targets_in_training_alone(tmp_path, finished):
    data, plan = with_votes(faces()), settings(targets="votes")
    part = data.part("training")
    shares = training.training_targets(data, part.labels, plan)
    rows = np.arange(len(part))
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares[rows, part.labels], 2 / 3)
    np.testing.assert_allclose(shares[rows, (part.labels + 1) % 7], 1 / 3)
    run = train(tmp_path / "votes", plan, data)
    np.testing.assert_array_equal(run.test.labels, data.part("test").labels)
    assert abs(run.history["loss"][0] - finished.history["loss"][0]) > 1e-3
    other = dataclasses.replace(data, votes=np.roll(data.votes, 1, axis=1))
    with pytest.raises(ModelError, match="votes_sha256"):
        train(tmp_path / "votes", plan, other)

    data.votes[3] = [0] * 8 + [10, 0]  # ten people said "unknown"
    both = training.training_targets(data, part.labels, settings(targets="both"))
    (silent,) = np.flatnonzero(part.rows == 3)
    np.testing.assert_array_equal(both[silent], np.eye(7)[part.labels[silent]])
    others = rows != silent
    np.testing.assert_allclose(both[rows, part.labels][others], (1 + 2 / 3) / 2, rtol=1e-6)
    for given, message in ((data, "row 3: found no vote"), (faces(), "no votes")):
        with pytest.raises(DataError, match=message):
            train(tmp_path / "refused", plan, given)
        assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize("balance", ["smote", "weights", "none"])
def test_only_the_training_split_is_balanced(balance):
    data = faces(350)
    # Thin out six classes of the training split to three fifths of "neutral".
    keep = (data.split != "training") | (data.labels == 6) | (data.rows % 5 < 3)
    data = data.take(np.flatnonzero(keep))
    largest = data.part("training").counts()["training"].max()
    images, labels = training.training_faces(data, settings(balance=balance))
    assert (images.shape[1:], images.dtype) == ((32, 32, 1), np.uint8)
    expected = 7 * largest if balance == "smote" else len(data.part("training"))
    assert len(images) == len(labels) == expected


def test_class_weights_count_in_the_loss(tmp_path):
    data = faces()
    data = data.take(
        np.flatnonzero((data.split != "training") | (data.labels % 2 == 0) | (data.rows < 70))
    )
    first = {
        kind: train(tmp_path / kind, settings(balance=kind, epochs=1), data).history["loss"][0]
        for kind in ("none", "weights")
    }
    assert abs(first["weights"] - first["none"]) > 1e-3


def test_an_epoch_serves_every_face_once_and_depends_on_its_number_alone():
    images = np.arange(100, dtype=np.uint8)[:, None, None, None]
    orders = []
    for epoch in (3, 4, 3):
        batches = Batches(images, np.eye(100, dtype=np.float32), batch_size=32, seed=0)
        batches.begin(epoch)
        served = [batches[index] for index in range(len(batches))]
        seen = np.concatenate([inputs["faces"].ravel() for inputs, _ in served])
        named = np.concatenate([targets.argmax(axis=1) for _, targets in served])
        np.testing.assert_array_equal(seen, named)
        assert sorted(seen[:100]) == list(range(100))
        assert len(seen) == 128  # the last batch is filled up
        orders.append(seen)
    np.testing.assert_array_equal(orders[0], orders[2])
    assert not np.array_equal(orders[0], orders[1])


@pytest.mark.parametrize("channels", [1, 3])
def test_faces_are_brought_to_a_networks_size_and_channels(channels):
    classifier = models.Classifier(models.build("cnn5", (32, 32, channels), **TINY))
    gray = faces(14).images
    for images in (gray, np.repeat(gray, 3, axis=-1)):
        brought = training.faces_for(classifier, images)
        assert brought.shape == (14, 32, 32, channels)
        np.testing.assert_array_equal(brought, training.faces_for(classifier, gray))


@pytest.mark.parametrize(
    "change",
    [
        {"balance": "oversample"},
        {"epochs": 2.5},
        {"batch_size": 0},
        {"size": 48.5},
        {"learning_rate": math.inf},
        {"label_smoothing": 3},
        {"ema_momentum": 1.0},
        {"test_time_augmentation": 3},
        {"erasing": 1.5},
        {"mixup": math.nan},
        {"mixup": 0.2, "cutmix": 0.5},
        {"network": [1]},
        {"targets": "votes", "balance": "smote"},
        {"colour": "blue"},
    ],
    ids=str,
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValueError):
        settings(**change)


def test_recipes_follow_the_registry():
    for name, network in models.NETWORKS.items():
        own = training.recipe(name)
        assert (own.model, own.size) == (name, network.size)
    with pytest.raises(ModelError, match="cnn3, cnn4, cnn5, vgg16, resnet"):
        training.recipe("alexnet")


def test_a_missing_split_is_said(tmp_path):
    data = faces()
    for split in ("training", "validation", "test"):
        lacking = data.take(np.flatnonzero(data.split != split))
        with pytest.raises(DataError, match=split):
            train(tmp_path / split, data=lacking)
        assert not (tmp_path / split).exists()


DEVICES = """
import sys
from pathlib import Path
import keras
import test_training as here
from utils import runtime
runtime.setup(0)
if keras.backend.backend() == "tensorflow":
    import tensorflow
    two = [tensorflow.config.LogicalDeviceConfiguration()] * 2
    cpu = tensorflow.config.list_physical_devices("CPU")[0]
    tensorflow.config.set_logical_device_configuration(cpu, two)
from utils.training import devices
plan = here.settings(
    network={**here.TINY, "dropout": 0.0, "dense_dropout": 0.0}, rotation=0, zoom=0, shift=0,
    flip=False, epochs=2, learning_rate=1e-3,
)
for count in (1, 2):
    chosen = devices.choose(count)
    assert chosen.count == count
    here.train(Path(sys.argv[1]) / str(count), plan, devices=chosen)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_learn_what_one_learns(tmp_path, backend):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "KERAS_BACKEND": backend}
    code, _, err = processes.run("-c", DEVICES, tmp_path, **flags)
    assert code == 0, err[-3000:]
    one, two = (records.load(tmp_path / name) for name in ("1", "2"))
    assert two.info["devices"] == 2
    np.testing.assert_allclose(one.history[NUMBERS], two.history[NUMBERS], rtol=2e-3, atol=1e-4)
