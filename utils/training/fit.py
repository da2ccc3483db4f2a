"""A run from its first start to its test predictions, resumed if it was interrupted."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from utils import augment, balance, datasets, models, records, runtime
from utils.runtime import DataError, ModelError
from utils.training import transfer
from utils.training.devices import Devices
from utils.training.inputs import of_size, training_faces, training_targets
from utils.training.predict import predict
from utils.training.settings import Settings, recipe, settings_from_record

ONE_DEVICE = Devices()

#: Validation faces per step.
VALIDATION_BATCH = 256


def train(
    dataset: datasets.FaceDataset,
    settings: Settings,
    *,
    folder: Path,
    verbose: int | str = "auto",
    test: bool = True,
    callbacks: Sequence = (),
    devices: Devices = ONE_DEVICE,
) -> records.Run:
    """Train a network and record the run; called again, resume after the last finished epoch.

    Parameters
    ----------
    dataset : FaceDataset
        With rows of all three splits, or of the first two if `test` is false.
    settings : Settings
        What to do.
    folder : path
        The run's folder. A finished run there is returned as is. Networks that initialize or teach
        this one are also looked for next to it.
    verbose : {"auto", 0, 1, 2}
        As in Keras: 1 is a progress bar, 2 one line per epoch.
    test : bool
        Whether the test split is read at the end, once. A search leaves it unread; the run then
        has no test predictions until a later call with `test` true.
    callbacks : sequence of keras.callbacks.Callback
        Their ``on_epoch_end`` is called once the epoch is on disk. An exception in one ends
        training; the same call resumes from there.
    devices : Devices
        As `devices.choose` returns them; by default one. Several machines each call this, and the
        first writes the record; to resume from it, all must be able to read its folder.

    Returns
    -------
    Run
        With validation and test predictions of the epoch that was best on validation; with no
        epochs, of the network as it was built or initialized.

    Raises
    ------
    ModelError
        When the folder holds a run with other settings or data, a network cannot initialize or
        teach this one, training diverges (nothing of that epoch is recorded), or the machines
        disagree or cannot share the batches equally.
    DataError
        When a split is missing, or the data cannot be balanced as asked.
    """
    if not settings.epochs:  # what only training uses is not part of the record
        nothing = {"balance": "none", "targets": "labels", "teachers": (), "ema_momentum": 0.0}
        settings = dataclasses.replace(settings, **nothing)
    results = folder.parent
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{folder}: expected a run's folder, found a file")
    if settings.batch_size % devices.count and devices.engine == "DataParallel":
        raise ModelError(
            f"batch_size: {devices.count} devices cannot share {settings.batch_size} equally"
        )
    with _hold(folder, devices) as folder:
        info = _begin(dataset, settings, folder, results, test, devices)
        if not (folder / "validation.npz").is_file():
            with devices.scope():
                if settings.epochs:
                    how = (verbose, callbacks, devices)
                    network = _fit(dataset, settings, folder, results, info, *how)
                else:
                    info["rows"]["training_balanced"] = 0
                    records.write_history(folder, records.read_history(folder))
                    network = _network(dataset, settings, results)
                _finish(network, dataset, folder, info)
            _write_predictions(dataset, settings, folder, "validation")
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        if test and not (folder / "test.npz").is_file():
            # The test split is read here and nowhere else; its file marks the run as finished.
            _write_predictions(dataset, settings, folder, "test")
        return records.load(folder)


@contextlib.contextmanager
def _hold(folder: Path, devices: Devices) -> Iterator[Path]:
    """Lock a run's folder for this process; all machines but the first work in a copy of it."""
    import filelock

    if devices.process:
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / folder.name
            if folder.is_dir():
                shutil.copytree(folder, copy)
            yield copy
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    # One process per run: a second one waits, and then finds it finished. The system releases
    # the lock when its holder is killed.
    with filelock.FileLock(folder.with_name(f".{folder.name}.lock")):
        yield folder


def _write_predictions(
    dataset: datasets.FaceDataset, settings: Settings, folder: Path, split: str
) -> None:
    """Use the saved network, so that the record is what the file predicts."""
    classifier = models.load(folder / "model.keras")
    views = settings.test_time_augmentation
    predictions = predict(classifier, dataset, split, test_time_augmentation=views)
    records.write_predictions(folder / f"{split}.npz", predictions)


def _begin(
    dataset: datasets.FaceDataset,
    settings: Settings,
    folder: Path,
    results: Path,
    test: bool,
    devices: Devices,
) -> dict[str, Any]:
    """Write ``run.json`` at a run's first start; at a later one, check that it is the same run."""
    for split in datasets.SPLITS if test else datasets.SPLITS[:2]:
        if not (dataset.split == split).any():
            raise DataError(f"{dataset.name}: a run needs {split} rows, but there are none")
    # Files may change later: networks and votes are identified by their content.
    contents = {
        f"{what}_sha256": [runtime.sha256(models.find(one, results)) for one in names]
        for what in ("initial_weights", "teachers")
        if (names := getattr(settings, what))
    }
    if len(settings.initial_weights) == 1:  # records of earlier versions have no list of one
        (contents["initial_weights_sha256"],) = contents["initial_weights_sha256"]
    asked = {
        "model": settings.model,
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "seed": settings.seed,
        "epochs": settings.epochs,
        "settings": json.loads(json.dumps(dataclasses.asdict(settings))),
        **contents,
        **_votes(dataset, settings),
    }
    done = len(records.read_history(folder))
    there = [name for name in records.FILES if (folder / name).is_file()]
    devices.agree(f"{done} epochs in {there} of {json.dumps(asked)}")
    shared = {"devices": devices.count, "processes": devices.processes}
    here = {**records.surroundings(), **shared}
    if (folder / "run.json").is_file():
        info = records.load(folder).info
        _require_same(folder.name, info, asked)
        if not (folder / "validation.npz").is_file():
            # Another machine or another commit may take over: the record names every one.
            start = {"epoch": done, "at": runtime.now(), **here}
            info = {**info, "resumed": [*info.get("resumed", []), start]}
            records.write_info(folder, info)
        return info
    # What cannot be trained is refused before there is a record of it.
    _network(dataset, settings, results)
    transfer.teachers(dataset, settings, results)
    training_targets(dataset, dataset.part("training").labels, settings)
    if settings.balance == "smote":
        balance.require_memory(dataset.part("training"))
    info = {
        **asked,
        "expressions": list(dataset.expressions),
        "rows": {split: int((dataset.split == split).sum()) for split in datasets.SPLITS},
        "command": runtime.command_line(),
        **here,
        "started": runtime.now(),
        "resumed": [],
    }
    records.write_info(folder, info)
    return info


def _require_same(name: str, info: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse to resume a run that was started with other settings or data."""

    def flat(value: dict[str, Any]) -> dict[str, Any]:
        settings = dataclasses.asdict(settings_from_record(value["settings"]))
        # Records of the first edition do not have the votes' content.
        kept = {key: value.get(key, asked[key] if key == "votes_sha256" else None) for key in asked}
        return {**kept, "settings": None, **settings}

    try:
        found, wanted = flat(info), flat(asked)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(f"{name}/run.json: its settings cannot be read: {error}") from error
    different = [
        f"{key.replace('fingerprint', 'faces with fingerprint')}: "
        f"{found[key]!r}, now {wanted[key]!r}"
        for key in wanted
        if json.dumps(found[key]) != json.dumps(wanted[key])
    ]
    if different:
        raise ModelError(
            f"{name}: that run was started with {'; '.join(different)}: choose another --name, or "
            "delete that run's folder"
        )


def _votes(dataset: datasets.FaceDataset, settings: Settings) -> dict[str, Any]:
    """Identify the votes by their content, if they are learned: no fingerprint covers them."""
    if settings.targets == "labels" or dataset.votes is None:
        return {}
    content = np.ascontiguousarray(dataset.votes, "<i8").tobytes()
    return {"votes_sha256": hashlib.sha256(content).hexdigest()}


def _network(dataset: datasets.FaceDataset, settings: Settings, results: Path):
    """Build the network as it is before its first epoch, in float32."""
    import keras

    keras.utils.set_random_seed(settings.seed)
    shape = (settings.size, settings.size, dataset.images.shape[-1])
    model = models.build(settings.model, shape, len(dataset.expressions), **settings.network)
    if settings.initial_weights:
        starts = [models.load(models.find(name, results)) for name in settings.initial_weights]
        transfer.take_over(model, starts, dataset.expressions)
    return model


def _fit(
    dataset: datasets.FaceDataset,
    settings: Settings,
    folder: Path,
    results: Path,
    info: dict[str, Any],
    verbose: int | str,
    callbacks: Sequence,
    devices: Devices,
):
    """Train from the last finished epoch to the end, and return the best epoch's network."""
    import keras

    from utils.training.model import Batches, HeldOut, TrainingModel

    images, labels = training_faces(dataset, settings)
    targets = training_targets(dataset, labels, settings)
    validation = dataset.part("validation")
    part = (devices.process, devices.processes)
    held_out = HeldOut(
        of_size(validation.images, settings.size),
        np.eye(len(dataset.expressions), dtype=np.float32)[validation.labels],
        devices=devices.count,
        batch_size=VALIDATION_BATCH * devices.count // devices.processes,
        part=part,
    )
    info["rows"]["training_balanced"] = len(labels)

    network = models.with_dtype(
        _network(dataset, settings, results), settings.precision, fused=on_a_processor()
    )
    devices.synchronize(network, True)
    model = TrainingModel(
        network,
        augment.layers_before(**settings.augmentation()),
        augment.mixing_layer(mixup=settings.mixup, cutmix=settings.cutmix, seed=settings.seed),
        transfer.mean_answer(transfer.teachers(dataset, settings, results), settings.precision),
        settings.distillation_weight,
    )
    how = {"batch_size": settings.batch_size, "seed": settings.seed, "part": part}
    batches = Batches(images, targets, **how)
    weights = None
    if settings.balance == "weights":  # of the class that has a target's largest share
        weights = balance.class_weights(dataset.part("training"))
    sorts = {"faces": keras.Input(images.shape[1:], dtype="uint8")}
    model({**sorts, "targets": keras.Input(targets.shape[1:])}, training=True)
    records.write_info(folder, info)

    recorder = _epoch_recorder(folder, settings, batches)
    # One optimizer trains the frozen epochs, another the rest.
    for first, last in itertools.pairwise(sorted({0, settings.frozen_epochs, settings.epochs})):
        history = records.read_history(folder)
        if len(history) >= last and last < settings.epochs:
            continue
        models.freeze_base(network, last == settings.frozen_epochs)
        goes_on = len(history) > first
        if not goes_on:  # a new phase: only the weights, before there is an optimizer
            _restore(model, folder)
        compile_model(model, settings, len(batches), epochs=last - first, fine_tuning=first > 0)
        if goes_on:
            model.optimizer.build(model.trainable_variables)
            _restore(model, folder)
        model.fit(
            batches,
            validation_data=held_out,
            initial_epoch=len(history),
            epochs=last,
            callbacks=[
                recorder,
                # Validation uses the averaged weights, training the others.
                *([keras.callbacks.SwapEMAWeights()] if settings.ema_momentum else []),
                *callbacks,
            ],
            class_weight=weights,
            shuffle=False,  # `Batches` sets the order; Keras would shuffle it, unseeded
            verbose=verbose,
        )

    best = records.best_epoch(records.read_history(folder))
    network.load_weights(_checkpoint(folder, "network", best))
    devices.synchronize(network, False)
    return models.with_dtype(network, "float32")


def _finish(network, dataset: datasets.FaceDataset, folder: Path, info: dict[str, Any]) -> None:
    """Save the network, and record how long it took."""
    models.save(models.Classifier(network, dataset.expressions), folder / "model.keras")
    history = records.read_history(folder)
    seconds = float(history["seconds"].sum())
    seen = info["rows"]["training_balanced"] * len(history)
    info |= {
        "finished": runtime.now(),
        "best_epoch": records.best_epoch(history),
        "seconds": round(seconds, 1),
        "images_per_second": round(seen / max(seconds, 0.01), 1),
    }
    records.write_info(folder, info)


def compile_model(model, settings: Settings, steps: int, *, epochs: int, fine_tuning: bool) -> None:
    """Give a `TrainingModel` its loss and, for one phase of ``epochs`` epochs, its optimizer."""
    import keras

    total = epochs * steps
    warmup = min(round(settings.warmup_epochs * steps), total - 1)
    peak = settings.learning_rate * (settings.fine_tuning_factor if fine_tuning else 1.0)
    # A function of the optimizer's step alone, so that a resumed run finds its place.
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, warmup_target=peak, warmup_steps=warmup
    )
    options: dict[str, Any] = {"weight_decay": settings.weight_decay}
    if settings.ema_momentum:
        options |= {"use_ema": True, "ema_momentum": settings.ema_momentum}
    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, **options)
    else:
        optimizer = keras.optimizers.AdamW(schedule, **options)
    model.compile(
        optimizer,
        keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        # XLA's convolutions are several times slower than TensorFlow's on a CPU.
        jit_compile=False if on_a_processor() else "auto",
    )


def on_a_processor() -> bool:
    """Whether the backend is TensorFlow on a CPU."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow

    return not tensorflow.config.list_physical_devices("GPU")


def _epoch_recorder(folder: Path, settings: Settings, batches):
    """Make the callback that seeds an epoch when it begins and writes it to disk when it ends.

    First the network as it was validated, then all weights with the optimizer's state, each under
    the epoch's own name; then the row in ``history.csv``, which is what makes the epoch count; then
    older files are deleted, except the best epoch's network. After a kill between any two of these,
    the next start finds a complete epoch. Keras's `BackupAndRestore` writes weights and epoch
    number to two files, and `CSVLogger` and `ModelCheckpoint` keep a third and a fourth, which a
    kill can leave out of sync.
    """
    import keras

    from utils.training.model import seed_everything

    def save(save_weights: Callable, file: Path) -> None:
        part = file.with_name(f"part-{file.name}")
        file.parent.mkdir(exist_ok=True)
        save_weights(part, overwrite=True)
        runtime.move_into_place(part, file)

    class EpochRecorder(keras.callbacks.Callback):
        epoch = 0

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch + 1
            batches.begin(epoch)
            seed_everything(self.model, settings.seed, epoch)
            self.start = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            self.refuse_divergence([logs["loss"]])

        def refuse_divergence(self, values):
            if not all(map(math.isfinite, values)):
                raise ModelError(
                    f"{folder.name}: training diverged in epoch {self.epoch} (its loss is no "
                    f"longer a number): nothing of that epoch is recorded. Delete {folder}, and "
                    "try a lower learning rate or another optimizer"
                )

        def on_test_end(self, logs=None):
            # Before `SwapEMAWeights` swaps the averaged weights out again.
            save(self.model.network.save_weights, _checkpoint(folder, "network", self.epoch))

        def on_epoch_end(self, epoch, logs=None):
            row = {
                "epoch": epoch + 1,
                **logs,
                "learning_rate": float(np.asarray(self.model.optimizer.learning_rate)),
                "seconds": round(time.perf_counter() - self.start, 2),
            }
            self.refuse_divergence(row.values())
            save(self.model.save_weights, _checkpoint(folder, "epoch", epoch + 1))
            history = records.read_history(folder).to_dict("records")
            history.append({key: row[key] for key in records.HISTORY_COLUMNS})
            records.write_history(folder, pd.DataFrame(history))
            # As written, not as computed: rounding to six digits can make two epochs equal.
            best = records.best_epoch(records.read_history(folder))
            keep = {_checkpoint(folder, "epoch", epoch + 1), _checkpoint(folder, "network", best)}
            for other in set((folder / "checkpoints").iterdir()) - keep:
                other.unlink()

    return EpochRecorder()


def _restore(model, folder: Path) -> None:
    """Load the last finished epoch, if there is one: weights, and the optimizer's state."""
    done = len(records.read_history(folder))
    if not done:
        return
    file = _checkpoint(folder, "epoch", done)
    again = "delete the folder, or choose another name"
    if not file.is_file():
        raise ModelError(f"{folder.name}: {done} epochs are recorded, but {file} is gone: {again}")
    try:
        model.load_weights(file)
    except Exception as error:  # HDF5 can raise anything on a damaged file
        raise ModelError(f"{file}: cannot be read ({error}): {again}") from error


def _checkpoint(folder: Path, what: str, epoch: int) -> Path:
    """Name a file kept for an epoch (from 1): all weights ("epoch") or the validated "network"."""
    return folder / "checkpoints" / f"{what}-{epoch:03d}.weights.h5"


def course_run(dataset: datasets.FaceDataset, *, verbose: int | str = 2) -> records.Run:
    """Train `cnn5` on the rendered sample faces, or read the run that an earlier call made.

    Eight epochs of small batches, one or two minutes on two cores: with so few steps, batch
    normalization needs a shorter memory, and the dropout of a long run would get in the way. The
    run is in ``runs/``; its name ends in a hash of its data and settings, so that changing either
    starts a new one.

    Parameters
    ----------
    dataset : FaceDataset
        The rendered sample faces.
    verbose : {"auto", 0, 1, 2}
        As in Keras.

    Returns
    -------
    Run
        Finished.
    """
    settings = recipe(
        "cnn5",
        network={"momentum": 0.9, "dropout": 0.1, "dense_dropout": 0.3},
        rotation=5.0,
        zoom=0.05,
        shift=0.05,
        epochs=8,
        batch_size=32,
        learning_rate=2e-3,
    )
    plan = json.dumps([dataset.fingerprint(), dataclasses.asdict(settings)])
    digest = hashlib.sha256(plan.encode()).hexdigest()[:8]
    name = f"{settings.model}-{dataset.name}-{settings.balance}-{digest}"
    return train(dataset, settings, folder=runtime.RUNS / name, verbose=verbose)
