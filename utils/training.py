"""Training that records itself, and goes on where it was killed.

`train` is the whole of it: the training split balanced and augmented, the best epoch chosen on
the validation split, the test split read once at the end, everything written to a run's folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import augment, balance, datasets, faces, models, records, runtime
from utils.errors import DataError, ModelError

BALANCES = ("smote", "weights", "none")
TARGETS = ("labels", "votes")


@dataclass(frozen=True)
class Settings:
    """Everything that a run can be told.

    Attributes
    ----------
    model : str
        A name out of `models.NETWORKS`.
    network : dict
        That network's own settings, as {"dropout": 0.3}.
    size : int
        Side of the faces in pixels; they are resized to it before balancing.
    balance : {"smote", "weights", "none"}
        What is done about the classes' sizes.
    augmentation : Augmentation or None
        How training faces are moved; None leaves them.
    epochs : int
        Passes over the balanced training set.
    batch_size : int
        Faces a step.
    learning_rate : float
        Its highest value.
    warm_up : float
        Epochs over which it rises from zero; then it falls to zero along a cosine
        (Loshchilov & Hutter 2017).
    weight_decay : float
        AdamW's (Loshchilov & Hutter 2019).
    label_smoothing : float
        Share of each label that is spread over all classes (Szegedy et al. 2016, §7).
    targets : {"labels", "votes"}
        What a training face is to be called: its label, or each class by its share of FER+'s
        votes ("cross-entropy loss" in Barsoum et al. 2016, §3). Validation and test keep labels.
    seed : int
        Seeds weights, order, augmentation, dropout and SMOTE.
    precision : {"float32", "mixed_bfloat16"}
        What the network computes in. Weights and recorded probabilities are float32.
    start : str
        A trained network to start from, as `models.find` takes it; "" starts from random
        weights. Its last layer is taken over where it names the same expressions.
    frozen_epochs : int
        For so many epochs at the beginning only the dense layers learn. Then a new optimizer
        trains the whole network, at `fine_tuning` times the learning rate.
    fine_tuning : float
        That factor, over 0.
    """

    model: str = "cnn5"
    network: dict[str, Any] = field(default_factory=dict)
    size: int = 64
    balance: str = "smote"
    augmentation: augment.Augmentation | None = field(default_factory=augment.Augmentation)
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 1e-3
    warm_up: float = 1.0
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    targets: str = "labels"
    seed: int = 0
    precision: str = "float32"
    start: str = ""
    frozen_epochs: int = 0
    fine_tuning: float = 0.1

    def __post_init__(self) -> None:
        if self.balance not in BALANCES:
            raise ValueError(f"balance is one of {', '.join(BALANCES)}, not {self.balance!r}")
        if self.targets not in TARGETS:
            raise ValueError(f"targets is one of {', '.join(TARGETS)}, not {self.targets!r}")
        if self.targets == "votes" and self.balance == "smote":
            raise ValueError("SMOTE makes faces that nobody has voted on: balance none or weights")
        if self.epochs < 1 or self.batch_size < 1 or self.size < 1:
            raise ValueError("epochs, batch_size and size are at least 1")
        if not 0 <= self.frozen_epochs < self.epochs or self.fine_tuning <= 0:
            raise ValueError("frozen_epochs is less than epochs, and fine_tuning more than 0")


def recipe(model: str, **changes: Any) -> Settings:
    """Return the settings that a network is trained with where nothing else is said.

    One protocol for all five (notebook 07 compares them): 50 epochs, batches of 128, AdamW,
    a cosine, label smoothing, rotation, zoom, shift and mirroring. What differs is what their
    descriptions differ in: the size of the faces, and SMOTE for `cnn5`; and the learning rate of
    `vgg16`, whose thirteen convolutions without batch normalisation do not learn at 0.001.

    Parameters
    ----------
    model : str
        A name out of `models.NETWORKS`.
    **changes
        Fields of `Settings` that are to be others.

    Returns
    -------
    Settings

    Raises
    ------
    ModelError
        When there is no network of that name.
    """
    values: dict[str, Any] = {
        "model": model,
        "size": models.find_network(model).size,
        "balance": "smote" if model == "cnn5" else "none",
        "augmentation": augment.Augmentation(zoom=0.2, shift=0.15),
        "learning_rate": 2e-4 if model == "vgg16" else 1e-3,
    }
    return Settings(**{**values, **changes})


def train(
    dataset: datasets.FaceDataset,
    settings: Settings,
    *,
    folder: Path,
    verbose: int | str = "auto",
    test: bool = True,
    after_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> records.Run:
    """Train a network and record the run; called again, go on from the last finished epoch.

    Parameters
    ----------
    dataset : FaceDataset
        With rows of all three splits, or of two where `test` is false.
    settings : Settings
        What to do.
    folder : path
        The run's folder. A finished run there is returned as it is.
    verbose : {"auto", 0, 1, 2}
        Keras's: 1 a progress bar, 2 a line an epoch.
    test : bool
        Whether the test split is read at the end, once. A search leaves it unread; the run then
        has no test predictions until it is asked for again with them.
    after_epoch : callable, optional
        Called with an epoch's number, from 1, and what it gave (loss, accuracy, val_loss,
        val_accuracy) once the epoch is on disk. An error that it raises ends the training; the
        same call goes on from there.

    Returns
    -------
    Run
        With validation and test predictions of the epoch that was best on validation.

    Raises
    ------
    ModelError
        When the folder holds a run of other settings or other data.
    DataError
        When a split is missing, or the data cannot be balanced as asked.
    """
    import filelock

    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # One process a run: a second one waits, and then finds it finished. The system lets go of
    # the lock when its holder is killed.
    with filelock.FileLock(folder.with_name(f".{folder.name}.lock")):
        return _train(dataset, settings, folder, verbose, test, after_epoch)


def _train(
    dataset: datasets.FaceDataset,
    settings: Settings,
    folder: Path,
    verbose: int | str,
    test: bool,
    after_epoch: Callable[[int, dict[str, float]], None] | None,
) -> records.Run:
    """Do what `train` says, in a folder that no other process writes to."""
    needed = datasets.SPLITS if test else ("training", "validation")
    info = _begin(dataset, settings, folder, needed)
    if not (folder / "validation.npz").is_file():
        _choose(dataset, settings, folder, info, verbose, after_epoch)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    if test and not (folder / "test.npz").is_file():
        # The test split is read here and nowhere else; its file marks the run as finished.
        classifier = models.load(folder / "model.keras")
        predictions = predict(classifier, dataset, "test", verbose=0)
        records.write_predictions(folder / "test.npz", predictions)
    return records.load(folder)


def _choose(
    dataset: datasets.FaceDataset,
    settings: Settings,
    folder: Path,
    info: dict[str, Any],
    verbose: int | str,
    after_epoch: Callable[[int, dict[str, float]], None] | None,
) -> None:
    """Train, and keep the network of the epoch that is best on the validation split."""
    history, model = _fit(dataset, settings, folder, info, verbose, after_epoch)
    best = records.best_epoch(history)
    model.load_weights(_weights_file(folder, best))
    exact = models.with_dtype(model, "float32")
    file = models.save(models.Classifier(exact, dataset.expressions), folder / "model.keras")

    seconds = float(history["seconds"].sum())
    rows = info["rows"]["training_balanced"]
    records.write_info(
        folder,
        {
            **info,
            "finished": _now(),
            "best_epoch": best,
            "seconds": round(seconds, 1),
            "images_per_second": round(rows * len(history) / seconds, 1),
        },
    )
    # From the file, so that what is recorded is what the file says.
    predictions = predict(models.load(file), dataset, "validation", verbose=0)
    records.write_predictions(folder / "validation.npz", predictions)


def course_run(
    dataset: datasets.FaceDataset,
    settings: Settings | None = None,
    *,
    folder: Path = runtime.RUNS,
    verbose: int | str = 2,
) -> records.Run:
    """Train the course's network on a data set, or read the run that an earlier call made.

    Notebooks 05 and 06 both call it, so that either can be opened first.

    Parameters
    ----------
    dataset : FaceDataset
        The rendered sample faces, or real ones.
    settings : Settings, optional
        By default those of `course_settings`.
    folder : path
        Where runs lie; this one's name ends in a hash of its data and settings, so that a
        change of either starts a new one.
    verbose : {"auto", 0, 1, 2}
        Keras's.

    Returns
    -------
    Run
        Finished.
    """
    settings = settings or course_settings(dataset.name)
    plan = json.dumps([dataset.fingerprint(), dataclasses.asdict(settings)])
    digest = hashlib.sha256(plan.encode()).hexdigest()[:8]
    name = f"{settings.model}-{dataset.name}-{settings.balance}-{digest}"
    return train(dataset, settings, folder=folder / name, verbose=verbose)


def course_settings(name: str) -> Settings:
    """Return the settings that the course trains a data set with.

    Parameters
    ----------
    name : str
        "sample" takes 12 epochs of small batches through a network of half the filters and
        little dropout, about a minute on two cores; real data take the recorded runs' values.
    """
    if name == "sample":
        return Settings(
            network={
                "filters": [16, 32, 64, 128, 256],
                "dense": 256,
                "dropout": 0.05,
                "dense_dropout": 0.2,
                "momentum": 0.9,
            },
            augmentation=augment.Augmentation(rotation=5.0, zoom=0.05, shift=0.05),
            epochs=12,
            batch_size=32,
            learning_rate=2e-3,
        )
    return recipe("cnn5")


def predict(
    classifier: models.Classifier, dataset: datasets.FaceDataset, split: str, *, verbose: int = 0
) -> records.Predictions:
    """Ask a network about every row of one split.

    Parameters
    ----------
    classifier : Classifier
        The network.
    dataset : FaceDataset
        All of it: the training split tells which rows are copies of training pictures.
    split : {"training", "validation", "test"}
        Which rows.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    Predictions
        A row for each face, in the dataset's order.

    Raises
    ------
    ModelError
        When the network's classes are others than the data set's.
    """
    check_names("the network", classifier.expressions, dataset)
    chosen = dataset.split == split
    part = dataset.part(split)
    images = faces_for(classifier, part.images)
    return records.Predictions(
        probabilities=classifier.predict(images, verbose=verbose),
        labels=part.labels,
        rows=part.rows,
        copies=datasets.copies_in_training(dataset)[chosen],
        expressions=classifier.expressions,
    )


def check_names(network: str, expressions: tuple[str, ...], dataset: datasets.FaceDataset) -> None:
    """Refuse a network whose classes are others than a data set's, or in another order.

    Raises
    ------
    ModelError
        Naming both lists, and what would help.
    """
    if tuple(expressions) == tuple(dataset.expressions):
        return
    lacking = [name for name in dataset.expressions if name not in expressions]
    unknown = [name for name in expressions if name not in dataset.expressions]
    message = (
        f"{network} names {', '.join(expressions)}; "
        f"{dataset.name} has {', '.join(dataset.expressions)}"
    )
    if lacking:
        message += f". The network cannot answer {', '.join(lacking)}"
    if unknown:
        message += f". The data hold no {', '.join(unknown)}"
    if lacking or unknown:
        message += (
            f": train a network on these data (python train.py --data {dataset.name}), or ask "
            f"about the others (python evaluate.py … --without {(lacking + unknown)[0]})"
        )
    else:
        message += ": the same names in another order"
    raise ModelError(message)


def faces_for(classifier: models.Classifier, images: np.ndarray) -> np.ndarray:
    """Bring faces to the size and the channels that a network takes.

    Parameters
    ----------
    classifier : Classifier
        The network.
    images : numpy.ndarray
        (n, h, w, c) uint8.

    Returns
    -------
    numpy.ndarray
        (n, height, width, channels) uint8: resized; gray repeated for a network of three
        channels, colour turned to gray (Pillow's "L") for one of a single channel.
    """
    height, width, channels = classifier.input_shape
    if channels == 1 and images.shape[-1] == 3:
        images = faces.to_gray(images)[..., None]
    images = faces.resize(images, (height, width))
    if channels == 3 and images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    return images


def training_faces(
    dataset: datasets.FaceDataset, settings: Settings
) -> tuple[np.ndarray, np.ndarray, dict[int, float] | None]:
    """Prepare the training split: resized, and balanced as the settings say.

    Parameters
    ----------
    dataset : FaceDataset
        Any splits; only its training rows are used.
    settings : Settings
        Gives size, balance and seed.

    Returns
    -------
    images : numpy.ndarray
        (m, size, size, channels) uint8.
    labels : numpy.ndarray
        (m,) int64.
    weights : dict of int to float, or None
        Class weights, where the balance is "weights".
    """
    part = dataset.part("training")
    part = part.with_images(faces.resize(part.images, settings.size))
    if settings.balance == "smote":
        balanced = balance.smote(part, seed=settings.seed)
        return balanced.images, balanced.labels, None
    weights = balance.class_weights(part) if settings.balance == "weights" else None
    return part.images, part.labels, weights


def vote_shares(dataset: datasets.FaceDataset) -> np.ndarray:
    """Return what share of FER+'s votes each class of a data set has, face by face.

    Parameters
    ----------
    dataset : FaceDataset
        With votes.

    Returns
    -------
    numpy.ndarray
        (n, k) float32, rows that sum to one: as `datasets.vote_shares` counts them.

    Raises
    ------
    DataError
        When there are no votes, or a face has none for any of the classes.
    """
    if dataset.votes is None:
        raise DataError(
            f"{dataset.name}: found no votes, expected FER+'s (--data ferplus has them)"
        )
    shares = datasets.vote_shares(dataset.votes, dataset.expressions)
    empty = np.flatnonzero(np.isnan(shares).any(axis=1))
    if empty.size:
        raise DataError(
            f"{dataset.name}, row {dataset.rows[empty[0]]}: found no vote for any of "
            f"{', '.join(dataset.expressions)} ({empty.size:,} such rows), expected two or more"
        )
    return shares.astype(np.float32)


def learning_rate_schedule(
    settings: Settings, steps_per_epoch: int, *, epochs: int | None = None, factor: float = 1.0
):
    """Make the schedule: a linear warm-up, then half a cosine down to zero.

    Parameters
    ----------
    settings : Settings
        Gives its peak, its warm-up and its length.
    steps_per_epoch : int
        Batches an epoch.
    epochs : int, optional
        Its length, where it is not the whole run.
    factor : float
        Its peak as a multiple of the settings' learning rate.

    Returns
    -------
    keras.optimizers.schedules.LearningRateSchedule
        A function of the optimizer's step alone, so that a resumed run finds its place.
    """
    import keras

    total = (epochs or settings.epochs) * steps_per_epoch
    warm_up = min(round(settings.warm_up * steps_per_epoch), total - 1)
    peak = settings.learning_rate * factor
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up else peak,
        decay_steps=total - warm_up,
        warmup_target=peak if warm_up else None,
        warmup_steps=warm_up,
    )


def batches(
    images: np.ndarray,
    labels: np.ndarray,
    classes: int,
    settings: Settings,
    class_weights: dict[int, float] | None = None,
    *,
    targets: np.ndarray | None = None,
):
    """Serve shuffled, augmented batches as a ``keras.utils.PyDataset``.

    Order and transforms are a function of (seed, epoch, batch) alone, so epoch 7 is the same
    whether or not the run was killed in epoch 6. Set its ``epoch`` before each epoch.

    Parameters
    ----------
    images : numpy.ndarray
        (n, height, width, channels) uint8.
    labels : numpy.ndarray
        (n,) int64.
    classes : int
        k, the number of classes.
    settings : Settings
        Gives batch size, augmentation and seed.
    class_weights : dict of int to float, optional
        A weight for each class.
    targets : numpy.ndarray, optional
        (n, k) float32, rows that sum to one: what the faces are to be called, where that is not
        their label alone.

    Returns
    -------
    keras.utils.PyDataset
        Of (faces float32, targets float32[, weights float32]); the targets are one-hot labels
        unless others are given.
    """
    import keras

    if targets is None:
        targets = np.eye(classes, dtype=np.float32)[labels]

    class FaceBatches(keras.utils.PyDataset):
        epoch = 0
        _order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

        def __len__(self) -> int:
            return -(-len(labels) // settings.batch_size)

        def __getitem__(self, index: int):
            start = index * settings.batch_size
            chosen = self.order()[start : start + settings.batch_size]
            pixels = images[chosen]
            if settings.augmentation is not None:
                rng = np.random.default_rng([settings.seed, self.epoch, 1 + index])
                pixels = augment.augment(pixels, settings.augmentation, rng)
            batch = (np.asarray(pixels, np.float32), targets[chosen])
            if class_weights is None:
                return batch
            weights = [class_weights[int(label)] for label in labels[chosen]]
            return *batch, np.asarray(weights, np.float32)

        def order(self) -> np.ndarray:
            """Return this epoch's order of the faces, (n,) int64."""
            if self._order[0] != self.epoch:
                rng = np.random.default_rng([settings.seed, self.epoch, 0])
                self._order = (self.epoch, rng.permutation(len(labels)))
            return self._order[1]

    return FaceBatches()


def _begin(
    dataset: datasets.FaceDataset, settings: Settings, folder: Path, needed: tuple[str, ...]
) -> dict[str, Any]:
    """Write ``run.json`` at a run's first start; at a later one, check that it is the same run."""
    for split in needed:
        if not (dataset.split == split).any():
            raise DataError(f"{dataset.name}: a run needs {split} rows, and there are none")
    asked = {
        "model": settings.model,
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "seed": settings.seed,
        "epochs": settings.epochs,
        "settings": json.loads(json.dumps(dataclasses.asdict(settings))),
        **_start(settings),
    }
    if (folder / "run.json").is_file():
        info = records.load(folder).info
        # A record may be older than a setting; it was made as if that stood at its default.
        info["settings"] = {**dataclasses.asdict(Settings()), **info.get("settings", {})}
        for key, value in asked.items():
            if info.get(key) != value:
                raise ModelError(
                    f"{folder.name}: was started with {key} {info.get(key)!r}, and is asked to go "
                    f"on with {value!r}: take another name, or delete the folder"
                )
        here = records.surroundings()
        if not (folder / "validation.npz").is_file():
            # Another machine or another commit may take over: the record names every one.
            start = {"epoch": len(records.read_history(folder)), "at": _now(), **here}
            info = {**info, "resumed": [*info.get("resumed", []), start]}
            records.write_info(folder, info)
        return info
    info = {
        **asked,
        "expressions": list(dataset.expressions),
        "rows": {split: int((dataset.split == split).sum()) for split in datasets.SPLITS},
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        **records.surroundings(),
        "started": _now(),
        "resumed": [],
    }
    records.write_info(folder, info)
    return info


def _start(settings: Settings) -> dict[str, Any]:
    """Name the network that a run starts from by its content: the file may change later."""
    if not settings.start:
        return {}
    content = models.find(settings.start).read_bytes()
    return {"start_sha256": hashlib.sha256(content).hexdigest()}


def _fit(
    dataset: datasets.FaceDataset,
    settings: Settings,
    folder: Path,
    info: dict[str, Any],
    verbose: int | str,
    after_epoch: Callable[[int, dict[str, float]], None] | None,
):
    """Train from the last finished epoch to the last; return history and model."""
    import keras

    images, labels, weights = training_faces(dataset, settings)
    info["rows"]["training_balanced"] = len(labels)
    records.write_info(folder, info)
    targets = vote_shares(dataset.part("training")) if settings.targets == "votes" else None
    classes = len(dataset.expressions)
    training = batches(images, labels, classes, settings, weights, targets=targets)

    held_out = dataset.part("validation")
    validation = (
        faces.resize(held_out.images, settings.size),
        np.eye(classes, dtype=np.float32)[held_out.labels],
    )

    keras.utils.set_random_seed(settings.seed)
    shape = (settings.size, settings.size, dataset.images.shape[-1])
    model = models.build(
        settings.model,
        shape,
        classes,
        dtype=settings.precision,
        **settings.network,
    )
    if settings.start:
        _take_over(model, models.load(models.find(settings.start)), dataset.expressions)
    for first, last in _phases(settings):
        history = records.read_history(folder)
        if len(history) >= last and last < settings.epochs:
            continue
        models.freeze_base(model, last == settings.frozen_epochs)
        goes_on = len(history) > first
        if not goes_on:  # a phase of its own: the weights alone, before there is an optimizer
            _restore(model, folder)
        _compile(model, settings, len(training), epochs=last - first, fine_tuning=first > 0)
        if goes_on:
            model.optimizer.build(model.trainable_variables)
            _restore(model, folder)
        model.fit(
            training,
            validation_data=validation,
            validation_batch_size=256,
            initial_epoch=len(history),
            epochs=last,
            callbacks=[_epoch_recorder(folder, training, settings, after_epoch)],
            shuffle=False,  # the batches come shuffled; Keras would shuffle them again, unseeded
            verbose=verbose,
        )
    return records.read_history(folder), model


def _phases(settings: Settings) -> list[tuple[int, int]]:
    """Return the epochs (first, last] that one optimizer trains: the frozen ones, the others."""
    ends = [0, *([settings.frozen_epochs] if settings.frozen_epochs else []), settings.epochs]
    return list(itertools.pairwise(ends))


def _compile(model, settings: Settings, steps: int, *, epochs: int, fine_tuning: bool) -> None:
    """Give a network optimizer, loss and metric, for one phase of its training."""
    import keras

    factor = settings.fine_tuning if fine_tuning else 1.0
    schedule = learning_rate_schedule(settings, steps, epochs=epochs, factor=factor)
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        # XLA's convolutions are several times slower than TensorFlow's on a processor.
        jit_compile=False if _tensorflow_without_gpu() else "auto",
    )


def _take_over(model, start: models.Classifier, expressions: tuple[str, ...]) -> None:
    """Copy a trained network's weights into one of the same form, layer by layer.

    The last layer is left as it is where the two name other expressions.
    """
    there = {layer.name: layer for layer in start.model.layers}
    for layer in model.layers:
        if not layer.count_params():
            continue
        if layer is model.layers[-1] and start.expressions != tuple(expressions):
            continue
        expected = [tuple(weight.shape) for weight in layer.weights]
        found = there[layer.name].get_weights() if layer.name in there else []
        if [weight.shape for weight in found] != expected:
            raise ModelError(
                f"a {start.model.name} cannot start this {model.name}: layer {layer.name} takes "
                f"weights of shapes {expected}, and there are "
                f"{[weight.shape for weight in found] or 'none'}"
            )
        layer.set_weights(found)


def _restore(model, folder: Path) -> None:
    """Load the last finished epoch, where there is one: weights, and the optimizer's state."""
    done = len(records.read_history(folder))
    if not done:
        return
    file = _weights_file(folder, done)
    if not file.is_file():
        raise ModelError(
            f"{folder.name}: {done} epochs are recorded, and checkpoints/{file.name} "
            "is gone: take another name, or delete the folder"
        )
    model.load_weights(file)


def _epoch_recorder(
    folder: Path,
    training,
    settings: Settings,
    after_epoch: Callable[[int, dict[str, float]], None] | None,
):
    """Make the callback that ends each epoch on disk.

    First the weights with the optimizer's state, under the epoch's own name; then the row in
    ``history.csv``, which is what makes the epoch count; then older weights go, but for the
    best epoch's. Killed between any two of these, the next start finds a whole epoch. Keras's
    ``BackupAndRestore`` writes weights and epoch number in two files, and its companions
    ``CSVLogger`` and ``ModelCheckpoint`` keep a third and a fourth, which a kill can tear apart.
    """
    import keras

    class EpochRecorder(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            training.epoch = epoch
            _seed_dropout(self.model, settings.seed, epoch)
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            file = _weights_file(folder, epoch + 1)
            part = file.with_name(f"part-{file.name}")
            file.parent.mkdir(exist_ok=True)
            self.model.save_weights(part, overwrite=True)
            runtime.move_into_place(part, file)
            row = {
                "epoch": epoch + 1,
                **logs,
                "learning_rate": float(np.asarray(self.model.optimizer.learning_rate)),
                "seconds": round(time.perf_counter() - self.start, 2),
            }
            history = records.read_history(folder)
            rows = [*history.to_dict("records"), {key: row[key] for key in records.HISTORY_COLUMNS}]
            history = pd.DataFrame(rows, columns=list(records.HISTORY_COLUMNS))
            records.write_history(folder, history)
            # As written, not as computed: rounding to six digits can make two epochs equal.
            best = records.best_epoch(records.read_history(folder))
            keep = {file, _weights_file(folder, best)}
            for other in set(file.parent.glob("*.weights.h5")) - keep:
                other.unlink()
            if after_epoch is not None:
                after_epoch(epoch + 1, {key: float(value) for key, value in logs.items()})

    return EpochRecorder()


def _seed_dropout(model, seed: int, epoch: int) -> None:
    """Make an epoch's dropout a function of (seed, epoch): Keras does not save its state."""
    for index, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            rng = np.random.default_rng([seed, epoch, index])
            generator.state.assign(rng.integers(0, 2**32, 2, dtype=np.uint32))


def _weights_file(folder: Path, epoch: int) -> Path:
    """Name the checkpoint of an epoch (counted from 1)."""
    return folder / "checkpoints" / f"epoch-{epoch:03d}.weights.h5"


def _tensorflow_without_gpu() -> bool:
    """Whether the backend is TensorFlow on a processor."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow

    return not tensorflow.config.list_physical_devices("GPU")


def _now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
