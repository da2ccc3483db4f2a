"""A run from its first start to its test predictions; killed, it goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from utils import datasets, faces, models, plans, records, runtime
from utils.runtime import DataError
from utils.training import checkpoints, teaching
from utils.training.asking import predict
from utils.training.devices import Spread
from utils.training.feeding import training_faces, training_targets
from utils.training.optimization import compile_trainer
from utils.training.settings import Settings, complete, course_settings
from utils.training.trainer import face_trainer


def train(
    dataset: datasets.FaceDataset,
    settings: Settings,
    *,
    folder: Path,
    verbose: int | str = "auto",
    test: bool = True,
    after_epoch: Callable[[int, dict[str, float]], None] | None = None,
    spread: Spread | None = None,
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
    spread : Spread, optional
        Over which devices, as `devices.spread` chooses them; by default one. Every process of a
        cluster makes the same call, the first one writes, and all return the record.

    Returns
    -------
    Run
        With validation and test predictions of the epoch that was best on validation.

    Raises
    ------
    ModelError
        When the folder holds a run of other settings or other data, or a network that should
        start or teach this one cannot.
    DataError
        When a split is missing, or the data cannot be balanced as asked.
    ValueError
        When the batches cannot be shared by so many devices.
    """
    import filelock

    spread = spread or Spread()
    spread.check(settings)
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # One process a run: a second one waits, and then finds it finished. The system lets go of
    # the lock when its holder is killed. The chief of several processes holds it for all.
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    with lock if spread.is_chief else contextlib.nullcontext():
        return _train(dataset, settings, folder, verbose, test, after_epoch, spread)


def _train(
    dataset: datasets.FaceDataset,
    settings: Settings,
    folder: Path,
    verbose: int | str,
    test: bool,
    after_epoch: Callable[[int, dict[str, float]], None] | None,
    spread: Spread,
) -> records.Run:
    """Do what `train` says, in a folder that no other process writes to."""
    needed = datasets.SPLITS if test else ("training", "validation")
    info = _begin(dataset, settings, folder, needed, spread)
    spread.wait("begun")
    if not (folder / "validation.npz").is_file():
        _choose(dataset, settings, folder, info, verbose, after_epoch, spread)
    if spread.is_chief:
        _finish(dataset, settings, folder, test)
    spread.wait("finished")
    return records.load(folder)


def _finish(dataset: datasets.FaceDataset, settings: Settings, folder: Path, test: bool) -> None:
    """Ask the chosen network about the test split, where that is wanted and not done."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    if test and not (folder / "test.npz").is_file():
        # The test split is read here and nowhere else; its file marks the run as finished.
        classifier = models.load(folder / "model.keras")
        predictions = predict(classifier, dataset, "test", views=settings.views)
        records.write_predictions(folder / "test.npz", predictions)


def _choose(
    dataset: datasets.FaceDataset,
    settings: Settings,
    folder: Path,
    info: dict[str, Any],
    verbose: int | str,
    after_epoch: Callable[[int, dict[str, float]], None] | None,
    spread: Spread,
) -> None:
    """Train, and keep the network of the epoch that is best on the validation split."""
    with spread.scope():
        history, trainer = _fit(dataset, settings, folder, info, verbose, after_epoch, spread)
        best = records.best_epoch(history)
        trainer.load_weights(checkpoints.weights_file(folder, best))
        if settings.average:
            trainer.optimizer.finalize_variable_values(trainer.trainable_variables)
        spread.synchronize(trainer.network, False)
    if not spread.is_chief:
        return
    exact = models.with_dtype(trainer.network, "float32")
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
    classifier = models.load(file)
    predictions = predict(classifier, dataset, "validation", views=settings.views)
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


def _begin(
    dataset: datasets.FaceDataset,
    settings: Settings,
    folder: Path,
    needed: tuple[str, ...],
    spread: Spread,
) -> dict[str, Any]:
    """Write ``run.json`` at a run's first start; at a later one, check that it is the same run.

    All processes check, so that all leave when it is another run; the chief writes.
    """
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
        **teaching.named_by_content(settings.teachers),
        **_votes(dataset, settings),
    }
    if (folder / "run.json").is_file():
        info = records.load(folder).info
        info["settings"] = complete(info.get("settings", {}))
        if "votes_sha256" not in info:  # records were made before votes were named
            asked.pop("votes_sha256", None)
        instead = "take another name, or delete the folder"
        plans.require_same(folder.name, info, asked, instead)
        here = _surroundings(spread)
        if spread.is_chief and not (folder / "validation.npz").is_file():
            # Another machine or another commit may take over: the record names every one.
            start = {"epoch": len(records.read_history(folder)), "at": _now(), **here}
            info = {**info, "resumed": [*info.get("resumed", []), start]}
            records.write_info(folder, info)
        return info
    begun = time.perf_counter()
    _require_trainable(dataset, settings)
    info = {
        **asked,
        "expressions": list(dataset.expressions),
        "rows": {split: int((dataset.split == split).sum()) for split in datasets.SPLITS},
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        **_surroundings(spread),
        "started": _now(),
        "resumed": [],
        "start_up_seconds": round(time.perf_counter() - begun, 2),
    }
    if spread.is_chief:
        records.write_info(folder, info)
    return info


def _require_trainable(dataset: datasets.FaceDataset, settings: Settings) -> None:
    """Refuse what cannot be trained, before there is a record of it."""
    _network(dataset, settings)
    _teachers(dataset, settings)
    training_targets(dataset, dataset.part("training").labels, settings)


def _network(dataset: datasets.FaceDataset, settings: Settings):
    """Build the network as it stands before its first epoch."""
    model = models.build(
        settings.model,
        _shape(dataset, settings),
        len(dataset.expressions),
        dtype=settings.precision,
        **settings.network,
    )
    if settings.start:
        checkpoints.take_over(model, models.load(models.find(settings.start)), dataset.expressions)
    return model


def _teachers(dataset: datasets.FaceDataset, settings: Settings) -> list[models.Classifier]:
    """Load the networks that teach."""
    return teaching.teachers(settings.teachers, _shape(dataset, settings), dataset.expressions)


def _shape(dataset: datasets.FaceDataset, settings: Settings) -> tuple[int, int, int]:
    """Return the height, width and channels of the faces that a network is trained on."""
    return settings.size, settings.size, dataset.images.shape[-1]


def _surroundings(spread: Spread) -> dict[str, Any]:
    """Describe where a run happens, with how many devices it is spread over."""
    where = {"devices": spread.devices, "processes": spread.processes}
    return {**records.surroundings(), **where}


def _start(settings: Settings) -> dict[str, Any]:
    """Name the network that a run starts from by its content: the file may change later."""
    if not settings.start:
        return {}
    return {"start_sha256": runtime.sha256(models.find(settings.start))}


def _votes(dataset: datasets.FaceDataset, settings: Settings) -> dict[str, Any]:
    """Name the votes by their content, where they are learned: no fingerprint holds them."""
    if settings.targets == "labels" or dataset.votes is None:
        return {}
    content = np.ascontiguousarray(dataset.votes, "<i8").tobytes()
    return {"votes_sha256": hashlib.sha256(content).hexdigest()}


def _fit(
    dataset: datasets.FaceDataset,
    settings: Settings,
    folder: Path,
    info: dict[str, Any],
    verbose: int | str,
    after_epoch: Callable[[int, dict[str, float]], None] | None,
    spread: Spread,
):
    """Train from the last finished epoch to the last; return history and trainer."""
    import keras

    begun = time.perf_counter()
    images, labels, class_weights = training_faces(dataset, settings)
    info["rows"]["training_balanced"] = len(labels)
    if spread.is_chief:
        records.write_info(folder, info)
    one_hot = np.eye(len(dataset.expressions), dtype=np.float32)
    targets = training_targets(dataset, labels, settings)
    weights = np.ones(len(labels), np.float32)
    if class_weights is not None:
        weights = np.array([class_weights[int(label)] for label in labels], np.float32)
    held_out = dataset.part("validation")
    validation = faces.resize(held_out.images, settings.size), one_hot[held_out.labels]
    if settings.feed == "stream":
        images = _on_disk(images, folder / "checkpoints" / "faces.npy", spread)

    keras.utils.set_random_seed(settings.seed)
    model = _network(dataset, settings)
    spread.synchronize(model, True)
    taught_by = _teachers(dataset, settings)
    trainer = face_trainer(model, settings, images, targets, weights, validation, spread, taught_by)
    # Balancing, building, putting on the device; the first epoch's seconds hold the compiling.
    earlier = info.get("start_up_seconds", 0.0)
    info["start_up_seconds"] = round(earlier + time.perf_counter() - begun, 2)
    if spread.is_chief:
        records.write_info(folder, info)
    callbacks = [checkpoints.epoch_recorder(folder, settings, after_epoch, spread)]
    if settings.average:
        callbacks.append(keras.callbacks.SwapEMAWeights())  # validated by the averaged weights
    for first, last in _phases(settings):
        history = records.read_history(folder)
        if len(history) >= last and last < settings.epochs:
            continue
        models.freeze_base(model, last == settings.frozen_epochs)
        goes_on = len(history) > first
        if not goes_on:  # a phase of its own: the weights alone, before there is an optimizer
            checkpoints.restore(trainer, folder)
        compile_trainer(trainer, settings, epochs=last - first, fine_tuning=first > 0)
        if goes_on:
            trainer.optimizer.build(trainer.trainable_variables)
            checkpoints.restore(trainer, folder)
        trainer.fit(
            trainer.training_input(),
            batch_size=spread.local(settings.batch_size) if settings.feed == "device" else None,
            validation_data=trainer.validation_input(),
            validation_batch_size=spread.local(trainer.validation_batch_size),
            initial_epoch=len(history),
            epochs=last,
            callbacks=callbacks,
            shuffle=False,  # the draws hold the order; Keras would shuffle again, unseeded
            verbose=verbose,
        )
    return records.read_history(folder), trainer


def _on_disk(images: np.ndarray, path: Path, spread: Spread) -> np.ndarray:
    """Write faces to a file and return them memory-mapped: read as they are asked for."""
    if spread.is_chief:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, images)
    spread.wait("faces on disk")
    return np.load(path, mmap_mode="r")


def _phases(settings: Settings) -> list[tuple[int, int]]:
    """Return the epochs (first, last] that one optimizer trains: the frozen ones, the others."""
    ends = [0, *([settings.frozen_epochs] if settings.frozen_epochs else []), settings.epochs]
    return list(itertools.pairwise(ends))


def _now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
