"""Training records itself, and a killed run goes on."""

import dataclasses
import math
import signal
import subprocess
import sys
import time

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest

from utils import records, runtime
from utils.augment import Augmentation
from utils.datasets import FaceDataset
from utils.expressions import FERPLUS_COLUMNS, FOLDER_NAMES
from utils.runtime import DataError, ModelError
from utils.training.trainer import face_trainer

TINY = {"filters": [4, 4, 8, 8, 8], "dense": 16}


def settings(**changes):
    from utils.training import Settings

    given = {"network": TINY, "size": 32, "epochs": 3, "batch_size": 32, "balance": "none"}
    return Settings(**{**given, **changes})


def faces(count=210, seed=0) -> FaceDataset:
    """Make pictures whose brightness tells the class, 70/10/20 %."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 7
    images = rng.integers(0, 60, (count, 24, 24, 1)) + (labels * 28)[:, None, None, None]
    split = np.array(["training"] * 7 + ["validation"] + ["test"] * 2)[np.arange(count) // 7 % 10]
    return FaceDataset(images.astype(np.uint8), labels, split, np.arange(count), "sample")


@pytest.fixture(scope="module", autouse=True)
def ready():
    runtime.setup(0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    from utils import training

    folder = tmp_path_factory.mktemp("runs") / "whole"
    return training.train(faces(), settings(), folder=folder, verbose=0)


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
    assert info["model"] == "cnn5"
    assert info["dataset"] == "sample"
    assert info["seed"] == 0
    assert info["fingerprint"] == faces().fingerprint()
    assert info["rows"] == {"training": 147, "validation": 21, "test": 42, "training_balanced": 147}
    assert info["best_epoch"] == finished.best_epoch
    for key in ("versions", "backend", "hardware", "commit", "command", "started", "finished"):
        assert key in info
    assert info["images_per_second"] > 0
    assert info["start_up_seconds"] > 0
    assert info["seconds"] > 0


def test_the_saved_model_gives_the_recorded_probabilities(finished):
    from utils import models, training

    classifier = models.load(finished.folder / "model.keras")
    again = training.predict(classifier, faces(), "test")
    np.testing.assert_allclose(again.probabilities, finished.test.probabilities, atol=5e-3)


def test_a_finished_run_is_returned_as_it_is(finished):
    from utils import training

    before = {file: file.stat().st_mtime_ns for file in finished.folder.iterdir()}
    again = training.train(faces(), settings(), folder=finished.folder, verbose=0)
    pd.testing.assert_frame_equal(again.history, finished.history)
    assert before == {file: file.stat().st_mtime_ns for file in finished.folder.iterdir()}


@pytest.mark.parametrize("change", [{"seed": 1}, {"epochs": 4}, {"label_smoothing": 0.0}])
def test_a_folder_is_never_shared_by_two_runs(finished, change):
    from utils import training

    with pytest.raises(ModelError, match="was begun with"):
        training.train(faces(), settings(**change), folder=finished.folder, verbose=0)
    with pytest.raises(ModelError, match="fingerprint"):
        training.train(faces(seed=1), settings(), folder=finished.folder, verbose=0)


CHILD = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
import test_training
test_training.runtime.setup(0)
from utils import training
training.train(
    test_training.faces(1400), test_training.settings(epochs=5), folder=Path({folder!r}), verbose=0
)
"""


def test_a_run_killed_in_the_middle_of_an_epoch_goes_on(tmp_path):
    from utils import training

    folder = tmp_path / "killed"
    text = CHILD.format(
        tests=str(runtime.ROOT / "tests"), root=str(runtime.ROOT), folder=str(folder)
    )
    child = subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while len(records.read_history(folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
        assert child.poll() is None, "the run ended before it could be killed"
    time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = len(records.read_history(folder))
    assert 2 <= done < 5
    assert not records.is_finished(folder)

    whole = training.train(faces(1400), settings(epochs=5), folder=tmp_path / "whole", verbose=0)
    run = training.train(faces(1400), settings(epochs=5), folder=folder, verbose=0)
    assert run.history["epoch"].tolist() == [1, 2, 3, 4, 5]
    # Order, transforms, dropout, schedule and optimizer all go on as if nothing had happened.
    columns = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    np.testing.assert_allclose(run.history[columns], whole.history[columns], rtol=1e-4, atol=1e-6)


def test_two_processes_share_one_run(tmp_path):
    """The second waits for the first, and then finds the run finished."""
    from utils import training

    folder = tmp_path / "shared"
    text = CHILD.format(
        tests=str(runtime.ROOT / "tests"), root=str(runtime.ROOT), folder=str(folder)
    )
    child = subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL)
    run = training.train(faces(1400), settings(epochs=5), folder=folder, verbose=0)
    assert child.wait(timeout=120) == 0
    assert run.history["epoch"].tolist() == [1, 2, 3, 4, 5]
    pd.testing.assert_frame_equal(records.load(folder).history, run.history)


def test_a_record_whose_checkpoints_are_gone_says_so(tmp_path):
    from utils import training

    folder = tmp_path / "lost"
    run = training.train(faces(), settings(), folder=folder, verbose=0)
    for name in ("test.npz", "validation.npz"):
        (folder / name).unlink()
    with pytest.raises(ModelError, match=r"epoch-003\.weights\.h5"):
        training.train(faces(), settings(), folder=folder, verbose=0)
    assert len(run.history) == 3


def test_an_unread_test_split_is_read_when_it_is_asked_for(tmp_path):
    from utils import training

    data, folder = faces(), tmp_path / "search"
    poisoned = data.take(np.flatnonzero(data.split != "test"))
    chosen = training.train(poisoned, settings(), folder=folder, verbose=0, test=False)
    assert chosen.test is None
    assert len(chosen.validation) == 21
    assert not records.is_finished(folder)
    assert not (folder / "checkpoints").exists()

    whole = tmp_path / "whole"
    chosen = training.train(data, settings(), folder=whole, verbose=0, test=False)
    written = (whole / "history.csv").stat().st_mtime_ns
    run = training.train(data, settings(), folder=whole, verbose=0)
    assert len(run.test) == 42
    assert (whole / "history.csv").stat().st_mtime_ns == written
    assert run.info["resumed"] == []


def test_an_error_after_an_epoch_leaves_a_run_that_goes_on(tmp_path):
    from utils import training

    seen = []

    def after(epoch, logs):
        seen.append((epoch, logs["val_accuracy"]))
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(
            faces(), settings(), folder=tmp_path / "pruned", verbose=0, after_epoch=after
        )
    assert [epoch for epoch, _ in seen] == [1, 2]
    run = training.train(faces(), settings(), folder=tmp_path / "pruned", verbose=0)
    assert run.history["epoch"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(
        [accuracy for _, accuracy in seen], run.history["val_accuracy"][:2], atol=1e-5
    )


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_frozen_layers_learn_later_and_a_kill_changes_nothing(tmp_path, killed_after):
    """The base keeps its weights for two epochs; stopped in either phase, the run is the same."""
    from utils import models, training

    plan = settings(epochs=4, frozen_epochs=2, learning_rate=3e-3)
    data, folder = faces(), tmp_path / "stopped"

    def after(epoch, logs):
        if epoch == killed_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(data, plan, folder=folder, verbose=0, after_epoch=after)
    run = training.train(data, plan, folder=folder, verbose=0)
    whole = training.train(data, plan, folder=tmp_path / "whole", verbose=0)
    columns = ["loss", "val_loss", "learning_rate"]
    np.testing.assert_allclose(run.history[columns], whole.history[columns], rtol=1e-4, atol=1e-7)
    assert run.history["learning_rate"].iloc[1] == pytest.approx(0)
    assert 0 < run.history["learning_rate"].iloc[2] <= 3e-4 * 1.001

    runtime.setup(plan.seed)
    untrained = models.build("cnn5", (32, 32, 1), **TINY).get_layer("convolution_1").get_weights()
    frozen = training.train(
        data, settings(epochs=3, frozen_epochs=2), folder=tmp_path / "short", verbose=0
    )
    assert frozen.best_epoch in (1, 2, 3)
    first = models.load(frozen.folder / "model.keras").model.get_layer("convolution_1")
    if frozen.best_epoch < 3:
        np.testing.assert_allclose(first.get_weights()[0], untrained[0], atol=1e-3)


def test_a_run_starts_from_another_ones_network(finished, tmp_path):
    from utils import models, training

    model = finished.folder / "model.keras"
    plan = settings(epochs=1, start=str(model), learning_rate=1e-12, weight_decay=0.0)
    run = training.train(faces(seed=1), plan, folder=tmp_path / "next", verbose=0)
    assert len(run.info["start_sha256"]) == 64
    layer = "convolution_3"
    np.testing.assert_allclose(
        models.load(run.folder / "model.keras").model.get_layer(layer).get_weights()[0],
        models.load(model).model.get_layer(layer).get_weights()[0],
        atol=1e-3,
    )
    other = settings(epochs=1, start=str(model), network={**TINY, "filters": [4, 4, 8, 8, 9]})
    with pytest.raises(ModelError, match=r"convolution_5.*\(3, 3, 8, 9\)"):
        training.train(faces(), other, folder=tmp_path / "other", verbose=0)
    assert not (tmp_path / "other").exists()
    unknown = settings(network={"colour": "blue"})
    with pytest.raises(ModelError, match="colour"):
        training.train(faces(), unknown, folder=tmp_path / "unknown", verbose=0)
    assert not (tmp_path / "unknown").exists()
    with pytest.raises(ModelError, match="not there"):
        training.train(
            faces(), settings(start="nothing.keras"), folder=tmp_path / "none", verbose=0
        )
    assert not (tmp_path / "none").exists()


def test_teachers_take_the_place_of_the_labels(finished, tmp_path):
    """With all of the target theirs, a training with wrong labels is the same training."""
    from utils import training

    teacher = str(finished.folder / "model.keras")
    data = faces(seed=1)
    wrong = np.where(data.split == "training", (data.labels + 1) % 7, data.labels)
    mislabelled = dataclasses.replace(data, labels=wrong)
    plan = settings(epochs=2, teachers=(teacher,), taught=1.0, mixup=0.4)
    run = training.train(data, plan, folder=tmp_path / "taught", verbose=0)
    same = training.train(mislabelled, plan, folder=tmp_path / "mislabelled", verbose=0)
    np.testing.assert_allclose(run.history["loss"], same.history["loss"], rtol=1e-5)
    np.testing.assert_array_equal(run.test.probabilities, same.test.probabilities)
    assert len(run.info["teachers_sha256"][0]) == 64

    alone = settings(epochs=2, teachers=(teacher,), taught=0.0, mixup=0.4)
    not_taught = training.train(data, alone, folder=tmp_path / "alone", verbose=0)
    labels = settings(epochs=2, mixup=0.4)
    by_labels = training.train(data, labels, folder=tmp_path / "labels", verbose=0)
    np.testing.assert_allclose(not_taught.history["loss"], by_labels.history["loss"], rtol=1e-5)
    assert not np.allclose(run.history["loss"], by_labels.history["loss"], rtol=1e-2)


def test_what_two_teachers_say_is_averaged(finished, tmp_path):
    """A step's targets are half the labels, half the mean of what two networks say."""
    import keras

    from utils import models, training

    runtime.setup(5)
    other = models.Classifier(models.build("cnn5", (32, 32, 1), **TINY))
    second = models.save(other, tmp_path / "second.keras")
    teachers = (str(finished.folder / "model.keras"), str(second))
    network = {**TINY, "dropout": 0.0, "dense_dropout": 0.0}
    data = faces()
    plan = settings(epochs=1, teachers=teachers, taught=0.5, augmentation=None, network=network)
    trained, labels, _ = training.training_faces(data, plan)
    keras.utils.set_random_seed(plan.seed)
    student = models.build("cnn5", (32, 32, 1), **network)
    given = face_trainer(
        student,
        plan,
        trained,
        np.eye(7, dtype=np.float32)[labels],
        np.ones(len(labels), np.float32),
        (trained[:7], np.eye(7, dtype=np.float32)[labels[:7]]),
        teachers=[models.load(file) for file in teachers],
    )
    given.begin(0)
    place = np.arange(32)
    seen = trained[given.draws.order[place]]
    asked = given({"place": place}, training=True)
    mean = np.mean([models.load(file).predict(seen) for file in teachers], axis=0)
    expected = 0.5 * mean + 0.5 * np.eye(7)[labels[given.draws.order[place]]]
    np.testing.assert_allclose(np.asarray(asked["called"]), expected, atol=1e-5)


def test_a_taught_run_goes_on_after_a_kill(finished, tmp_path):
    from utils import training

    teacher = str(finished.folder / "model.keras")
    plan = settings(teachers=(teacher,), precision="mixed_bfloat16", epochs=2)

    def after(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(faces(), plan, folder=tmp_path / "killed", verbose=0, after_epoch=after)
    run = training.train(faces(), plan, folder=tmp_path / "killed", verbose=0)
    whole = training.train(faces(), plan, folder=tmp_path / "whole", verbose=0)
    columns = ["loss", "val_loss", "learning_rate"]
    np.testing.assert_allclose(run.history[columns], whole.history[columns], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(run.test.probabilities, whole.test.probabilities, atol=1e-3)


def test_a_checkpoint_holds_no_teacher(finished, tmp_path):
    from utils import models, training

    runtime.setup(6)
    large = models.Classifier(models.build("cnn5", (32, 32, 1), **{**TINY, "dense": 2048}))
    teacher = models.save(large, tmp_path / "large.keras")
    sizes = {}

    def after(epoch, logs):
        raise KeyboardInterrupt

    for name, plan in {
        "taught": settings(teachers=(str(teacher),)),
        "alone": settings(),
    }.items():
        folder = tmp_path / name
        with pytest.raises(KeyboardInterrupt):
            training.train(faces(), plan, folder=folder, verbose=0, after_epoch=after)
        (file,) = (folder / "checkpoints").glob("epoch-*.weights.h5")
        sizes[name] = file.stat().st_size
    assert sizes["taught"] == pytest.approx(sizes["alone"], rel=0.01)


def test_a_teacher_that_cannot_teach_is_named(finished, tmp_path):
    from utils import training

    teacher = str(finished.folder / "model.keras")
    folder = tmp_path / "refused"
    with pytest.raises(ModelError, match=r"32×32×1.*40×40×1.*--size"):
        training.train(faces(), settings(size=40, teachers=(teacher,)), folder=folder, verbose=0)
    with pytest.raises(ModelError, match="no network is called 'nobody'"):
        training.train(
            faces(), settings(teachers=("nobody",)), folder=tmp_path / "nobody", verbose=0
        )
    fewer = faces().without(["neutral"])
    with pytest.raises(ModelError, match="neutral, and cannot teach"):
        training.train(fewer, settings(teachers=(teacher,)), folder=tmp_path / "fewer", verbose=0)
    with pytest.raises(ValueError, match="taught is a share"):
        settings(taught=1.5)
    # Nothing is left behind that would stand in the way of the corrected command.
    assert not any((tmp_path / name).exists() for name in ("refused", "nobody", "fewer"))


def test_a_record_older_than_a_setting_goes_on(finished, tmp_path):
    import json
    import shutil

    from utils import training

    folder = tmp_path / "old"
    shutil.copytree(finished.folder, folder)
    info = json.loads((folder / "run.json").read_text("utf-8"))
    for setting in ("start", "frozen_epochs", "fine_tuning", "teachers", "taught"):
        del info["settings"][setting]
    (folder / "run.json").write_text(json.dumps(info), "utf-8")
    run = training.train(faces(), settings(), folder=folder, verbose=0)
    assert len(run.history) == 3


@pytest.mark.parametrize("channels", [1, 3])
def test_faces_are_brought_to_a_networks_size_and_channels(channels):
    from utils import models, training

    classifier = models.Classifier(models.build("cnn5", (32, 32, channels), **TINY))
    gray = faces(14).images
    colour = np.repeat(gray, 3, axis=-1)
    for images in (gray, colour):
        brought = training.faces_for(classifier, images)
        assert brought.shape == (14, 32, 32, channels)
        np.testing.assert_array_equal(brought, training.faces_for(classifier, gray))


def test_every_network_has_a_recipe():
    from utils import models, training

    for name, network in models.NETWORKS.items():
        own = training.recipe(name)
        assert (own.model, own.size, own.epochs) == (name, network.size, 50)
    assert training.recipe("cnn5", epochs=3).epochs == 3
    with pytest.raises(ModelError, match="cnn3, cnn4, cnn5, vgg16, resnet"):
        training.recipe("alexnet")


def test_weights_without_their_row_do_not_count(tmp_path):
    """A kill between an epoch's weights and its row in the history repeats that epoch."""
    from utils import training

    folder = tmp_path / "torn"
    data = faces()
    run = training.train(data, settings(), folder=folder, verbose=0)
    for name in ("test.npz", "validation.npz"):
        (folder / name).unlink()
    records.write_history(folder, run.history.iloc[:0])
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "epoch-001.weights.h5").write_bytes(b"half a file")
    again = training.train(data, settings(), folder=folder, verbose=0)
    assert again.history["epoch"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(again.history["loss"], run.history["loss"], rtol=1e-4)


def test_an_epoch_serves_every_face_once_and_depends_on_its_number_alone():
    from utils import training

    plan = settings(augmentation=Augmentation(), erasing=0.5, mixup=0.2, cutmix=1.0)
    draws = [training.epoch_draws(plan, 100, epoch) for epoch in (3, 4, 3)]
    for one in draws:
        assert sorted(one.order[:100]) == list(range(100))
        np.testing.assert_array_equal(one.order[100:], one.order[:28])  # the last batch is full
    for name in ("order", "transforms", "erased", "blends", "pasted", "shares"):
        first, other, again = (getattr(one, name) for one in draws)
        assert not np.array_equal(first, other), name
        np.testing.assert_array_equal(first, again)


@hypothesis.given(
    erasing=st.sampled_from([0.0, 0.3, 1.0]),
    mixup=st.sampled_from([0.0, 0.2, 1.0]),
    cutmix=st.sampled_from([0.0, 0.5, 1.0]),
    size=st.integers(8, 64),
    epoch=st.integers(0, 1000),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_draws_stay_inside_the_face_and_shares_add_up(erasing, mixup, cutmix, size, epoch):
    from utils import training

    plan = settings(size=size, erasing=erasing, mixup=mixup, cutmix=cutmix)
    draws = training.epoch_draws(plan, 64, epoch)
    for boxes in (draws.erased, draws.pasted):
        assert (boxes >= 0).all()
        assert (boxes <= size).all()
        assert (boxes[:, :2] <= boxes[:, 2:]).all()
    area = (draws.pasted[:, 2] - draws.pasted[:, 0]) * (draws.pasted[:, 3] - draws.pasted[:, 1])
    np.testing.assert_allclose(draws.shares, draws.blends * (1 - area / size**2), atol=1e-6)
    assert (draws.erased.any(axis=1).mean() > 0) == (erasing > 0)
    assert (draws.blends < 1).any() == (mixup > 0)
    if not cutmix:
        assert not area.any()
    if not mixup and not cutmix:
        np.testing.assert_array_equal(draws.shares, 1)


def trainer_of(plan, images, targets, weights=None):
    """Put faces beside a network that answers with each face's mean, twice."""
    import keras

    pixels = keras.Input(images.shape[1:])
    mean = keras.layers.GlobalAveragePooling2D()(pixels) / 255
    network = keras.Model(pixels, keras.ops.concatenate([mean, 1 - mean], axis=1))
    ones = np.ones(len(images), np.float32)
    held_out = images[:5], targets[:5]
    return face_trainer(
        network, plan, images, targets, ones if weights is None else weights, held_out
    )


def asked(trainer, place, **more):
    """Ask for places of the epoch as a training step does."""
    out = trainer({"place": np.asarray(place, np.int32), **more}, training=True)
    return {name: np.asarray(value) for name, value in out.items()}


def test_a_step_finds_the_faces_targets_and_weights_of_its_places():
    images = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    targets = np.random.default_rng(0).dirichlet([1, 1], 100).astype(np.float32)
    weights = np.linspace(0, 2, 100, dtype=np.float32)
    trainer = trainer_of(settings(size=8, augmentation=None), images, targets, weights)
    for epoch in (0, 5):
        trainer.begin(epoch)
        face = trainer.draws.order[[3, 60, 99]]
        out = asked(trainer, [3, 60, 99])
        np.testing.assert_allclose(out["given"][:, 0] * 255, face, rtol=1e-5)
        np.testing.assert_array_equal(out["called"], targets[face])
        np.testing.assert_array_equal(out["count"], weights[face])
    held_out = trainer({"place": np.arange(5, dtype=np.int32)})
    np.testing.assert_allclose(np.asarray(held_out["given"])[:, 0] * 255, range(5), atol=1e-4)
    np.testing.assert_array_equal(np.asarray(held_out["called"]), targets[:5])


@pytest.mark.parametrize("feed", ["device", "stream", "generator"])
def test_every_feed_serves_the_same_faces(feed):
    """ImageDataGenerator interpolates as the batched warp does, to a fraction of a grey level."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(0).uniform(0, 256, (64, 16, 16, 1))
    images = gaussian_filter(noise, (0, 2, 2, 0)).astype(np.uint8)
    targets = np.eye(2, dtype=np.float32)[np.arange(64) % 2]
    plan = settings(size=16, augmentation=Augmentation(rotation=20, zoom=0.2, shift=0.1))
    means = {}
    for name in ("device", feed):
        trainer = trainer_of(dataclasses.replace(plan, feed=name), images, targets)
        trainer.begin(2)
        served = trainer.training_input()
        if name == "device":
            batch = {"place": served["place"][32:64]}
        else:
            (batch,) = served[1]
        means[name] = asked(trainer, **batch)["given"][:, 0] * 255
    np.testing.assert_allclose(means[feed], means["device"], atol=0.05)


def test_mixing_gives_each_target_its_share():
    images = np.arange(64, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    targets = np.eye(2, dtype=np.float32)[np.arange(64) % 2]
    plan = settings(size=8, augmentation=None, mixup=0.4, cutmix=1.0)
    trainer = trainer_of(plan, images, targets)
    trainer.begin(1)
    place = np.arange(32, 64)
    out, draws = asked(trainer, place), trainer.draws
    own, partner = draws.order[place], draws.order[place][::-1]
    share = draws.shares[place]
    np.testing.assert_allclose(
        out["given"][:, 0] * 255, share * own + (1 - share) * partner, atol=1e-3
    )
    np.testing.assert_allclose(
        out["called"],
        share[:, None] * targets[own] + (1 - share[:, None]) * targets[partner],
        atol=1e-6,
    )


def test_the_faces_are_not_saved_with_the_weights(tmp_path):
    images = np.zeros((2000, 32, 32, 1), np.uint8)
    trainer = trainer_of(settings(), images, np.eye(2, dtype=np.float32)[np.zeros(2000, int)])
    trainer.save_weights(tmp_path / "one.weights.h5")
    assert (tmp_path / "one.weights.h5").stat().st_size < 100_000


@pytest.mark.parametrize("feed", ["stream", "generator"])
def test_a_run_is_the_same_from_device_and_host(finished, tmp_path, feed):
    from utils import training

    run = training.train(faces(), settings(feed=feed), folder=tmp_path / feed, verbose=0)
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    tolerance = {"stream": 1e-4, "generator": 0.05}[feed]
    np.testing.assert_allclose(
        run.history[columns], finished.history[columns], rtol=tolerance, atol=tolerance
    )


def with_votes(data: FaceDataset) -> FaceDataset:
    """Give each face six votes for its label, three for the next class, one for a third."""
    names = [FOLDER_NAMES[column] for column in FERPLUS_COLUMNS[:7]]
    votes = np.zeros((len(data), 10), np.int64)
    for share, step in ((6, 0), (3, 1), (1, 2)):
        columns = [names.index(label) for label in (data.labels + step) % 7]
        votes[np.arange(len(data)), columns] = share
    return dataclasses.replace(data, votes=votes)


def test_votes_are_what_a_face_is_called_in_training_alone(tmp_path):
    from utils import training

    data = with_votes(faces())
    part = data.part("training")
    shares = training.vote_shares(part)
    rows = np.arange(len(part))
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares[rows, part.labels], 2 / 3)
    np.testing.assert_allclose(shares[rows, (part.labels + 1) % 7], 1 / 3)

    plan = settings(targets="votes", augmentation=None, epochs=1)
    run = training.train(data, plan, folder=tmp_path / "votes", verbose=0)
    plain = training.train(
        data, settings(augmentation=None, epochs=1), folder=tmp_path / "labels", verbose=0
    )
    assert run.info["settings"]["targets"] == "votes"
    np.testing.assert_array_equal(run.test.labels, data.part("test").labels)
    assert np.isfinite(run.history["loss"]).all()
    assert not np.array_equal(run.test.probabilities, plain.test.probabilities)


def test_votes_that_are_not_there_are_missed(tmp_path):
    from utils import training

    with pytest.raises(DataError, match="no votes"):
        training.train(faces(), settings(targets="votes"), folder=tmp_path / "a", verbose=0)
    data = with_votes(faces())
    data.votes[3] = [0] * 8 + [10, 0]  # ten people said "unknown"
    with pytest.raises(DataError, match="row 3: found no vote"):
        training.train(data, settings(targets="votes"), folder=tmp_path / "b", verbose=0)
    assert not (tmp_path / "b").exists()


def test_a_run_goes_on_with_the_votes_that_it_began_with(tmp_path):
    from utils import training

    data = with_votes(faces())
    plan = settings(targets="both", epochs=1)
    run = training.train(data, plan, folder=tmp_path / "votes", verbose=0)
    assert len(run.info["votes_sha256"]) == 64
    other = dataclasses.replace(data, votes=np.roll(data.votes, 1, axis=1))
    with pytest.raises(ModelError, match="votes_sha256"):
        training.train(other, plan, folder=tmp_path / "votes", verbose=0)


def test_label_and_votes_are_averaged_and_a_face_without_votes_keeps_its_label():
    from utils import training

    data = with_votes(faces())
    data.votes[3] = [0] * 8 + [10, 0]
    plan = settings(targets="both")
    _, labels, _ = training.training_faces(data, plan)
    targets = training.training_targets(data, labels, plan)
    rows, part = np.arange(len(labels)), data.part("training")
    (silent,) = np.flatnonzero(part.rows == 3)
    assert targets.dtype == np.float32
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(targets[silent], np.eye(7)[labels[silent]])
    others = rows != silent
    np.testing.assert_allclose(targets[rows, labels][others], (1 + 2 / 3) / 2, rtol=1e-6)
    np.testing.assert_allclose(targets[rows, (labels + 1) % 7][others], 1 / 6, rtol=1e-6)
    with pytest.raises(DataError, match="no votes"):
        training.training_targets(faces(), labels, plan)
    with pytest.raises(ValueError, match="nobody has voted"):
        settings(targets="both", balance="smote")


@pytest.mark.parametrize(("balance", "rows"), [("smote", 7 * 40), ("weights", 140), ("none", 140)])
def test_only_the_training_split_is_balanced(balance, rows):
    from utils import training

    data = faces(350)
    # Thin out six classes of the training split to a sixth of "neutral".
    keep = (data.split != "training") | (data.labels == 6) | (data.rows % 5 < 3)
    data = data.take(np.flatnonzero(keep))
    largest = data.part("training").counts()["training"].max()
    images, labels, weights = training.training_faces(data, settings(balance=balance))
    assert images.shape[1:] == (32, 32, 1)
    assert images.dtype == np.uint8
    expected = 7 * largest if balance == "smote" else len(data.part("training"))
    assert len(images) == len(labels) == expected
    assert (weights is not None) == (balance == "weights")


def test_the_averaged_weights_are_what_is_validated_saved_and_tested(tmp_path):
    """Against the average taken by hand from the weights after each step."""
    import keras

    from utils import training
    from utils.training.optimization import compile_trainer

    images = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1)).astype(np.uint8)
    targets = np.eye(2, dtype=np.float32)[np.arange(32) % 2]
    pixels = keras.Input((8, 8, 1))
    flat = keras.layers.Rescaling(1 / 255)(keras.layers.Flatten()(pixels))
    network = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(flat))
    plan = settings(size=8, augmentation=None, average=0.5, optimizer="sgd", warm_up=0.0, epochs=4)
    ones = np.ones(32, np.float32)
    trainer = face_trainer(network, plan, images, targets, ones, (images[:5], targets[:5]))
    compile_trainer(trainer, plan, epochs=4, fine_tuning=False)
    by_hand, validated = [], []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            here = network.get_weights()
            past = by_hand or here  # it begins at the first step's weights
            by_hand[:] = [(old + new) / 2 for old, new in zip(past, here, strict=True)]

        def on_test_batch_end(self, batch, logs=None):
            validated.append(network.get_weights())

    trainer.fit(
        trainer.training_input(),
        batch_size=32,
        validation_data=trainer.validation_input(),
        epochs=4,
        shuffle=False,
        verbose=0,
        callbacks=[keras.callbacks.SwapEMAWeights(), Watch()],
    )
    for seen, expected in zip(validated[-1], by_hand, strict=True):
        np.testing.assert_allclose(seen, expected, atol=1e-5)

    run = training.train(faces(), settings(average=0.9), folder=tmp_path / "averaged", verbose=0)
    chosen = run.history.set_index("epoch").loc[run.best_epoch, "val_accuracy"]
    hits = run.validation.predicted == run.validation.labels
    assert hits.mean() == pytest.approx(chosen, abs=0.06)


def test_ten_views_show_each_face_moved_and_mirrored():
    from utils import training

    images = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 1)).astype(np.uint8)
    views = list(training.views_of(images, 10))
    assert len(views) == 10
    assert {view.shape for view in views} == {images.shape}
    np.testing.assert_array_equal(views[0], images)
    np.testing.assert_array_equal(views[1], images[:, :, ::-1])
    np.testing.assert_array_equal(views[2][:, 2:, 2:], images[:, :-2, :-2])
    np.testing.assert_array_equal(views[2][:, :3, 5], views[2][:, :1, 5].repeat(3, axis=1))
    assert len({view.tobytes() for view in views}) == 10
    assert [len(list(training.views_of(images, count))) for count in (1, 2)] == [1, 2]


def test_the_learning_rate_rises_then_falls():
    from utils import training

    plan = settings(epochs=10, learning_rate=0.01, warm_up=1.0)
    schedule = training.learning_rate_schedule(plan, steps_per_epoch=20)
    rates = np.array([float(schedule(step)) for step in range(201)])
    assert rates[0] == 0
    assert rates[20] == pytest.approx(0.01)
    assert rates[200] == pytest.approx(0)
    assert (np.diff(rates[:21]) > 0).all()
    assert (np.diff(rates[21:]) < 0).all()


def test_a_schedule_as_short_as_its_warm_up_still_trains():
    from utils import training

    schedule = training.learning_rate_schedule(settings(epochs=1, warm_up=1.0), steps_per_epoch=1)
    assert np.isfinite(float(schedule(0)))
    schedule = training.learning_rate_schedule(settings(epochs=1, warm_up=0.0), steps_per_epoch=5)
    assert float(schedule(0)) == pytest.approx(settings().learning_rate)


@pytest.mark.parametrize(
    "change",
    [
        {"balance": "oversample"},
        {"epochs": 0},
        {"batch_size": 0},
        {"size": 0},
        {"targets": "guesses"},
        {"feed": "elsewhere"},
        {"optimizer": "adam"},
        {"average": 1.0},
        {"views": 3},
        {"erasing": 1.5},
        {"mixup": -1.0},
        {"mixup": math.nan},
        {"learning_rate": math.inf},
        {"targets": "votes", "balance": "smote"},
    ],
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValueError):
        settings(**change)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings().epochs = 7


def test_a_missing_split_is_said(tmp_path):
    from utils import training

    data = faces()
    for split in ("training", "validation", "test"):
        lacking = data.take(np.flatnonzero(data.split != split))
        with pytest.raises(DataError, match=split):
            training.train(lacking, settings(), folder=tmp_path / split, verbose=0)
        assert not (tmp_path / split).exists()
