"""Train each variant with each seed, and record what it answers after each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from utils import datasets, models, plans, training
from utils.mistakes import findings
from utils.mistakes.catalogue import HONEST
from utils.mistakes.plan import Plan
from utils.mistakes.pools import VARIANTS, Pool, leaked
from utils.runtime import DataError, ModelError

#: Faces that are asked at once.
_ASKED_AT_ONCE = 512


def run(
    dataset: datasets.FaceDataset,
    plan: Plan,
    seeds: Sequence[int],
    folder: Path,
    *,
    command: str = "",
    verbose: int = 0,
) -> findings.Mistakes:
    """Train every variant of a plan with every seed, and record it; go on where it was left.

    What is finished, variant by variant and seed by seed, is on disk and is not done again:
    the same call after a kill goes on, and one with more seeds or variants adds them.

    Parameters
    ----------
    dataset : FaceDataset
        With its official split; or, for the plan's variants "by_photo" and "by_face", with photos.
    plan : Plan
        The protocol, and which variants.
    seeds : sequence of int
        Each seeds a variant's weights, its order, and its split where that is drawn.
    folder : path
        The record's: ``plan.json``, ``runs.csv``, and ``honest-SEED.npz`` for each seed.
    command : str
        What is being run, for the record.
    verbose : {0, 1}
        1 shows a progress bar, an epoch a step.

    Returns
    -------
    Mistakes
        All that the folder then holds.

    Raises
    ------
    ModelError
        When the folder was begun with another plan or other data, or there is no such variant.
    DataError
        When the data set lacks what a variant needs.
    """
    import filelock

    unknown = [name for name in plan.variants if name not in VARIANTS]
    if unknown:
        raise ModelError(f"no variant called {unknown[0]!r}; expected {', '.join(VARIANTS)}")
    if not len(seeds) or not plan.variants:
        raise ModelError("expected one seed or more and one variant or more, got none")
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder.with_name(f".{folder.name}.lock")):
        _begin(dataset, plan, folder)
        _run_all(dataset, plan, list(dict.fromkeys(seeds)), folder, command, verbose)
        return findings.load(folder)


def _begin(dataset: datasets.FaceDataset, plan: Plan, folder: Path) -> None:
    """Write ``plan.json`` at the first start; at a later one, check that it says the same."""
    asked = {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "plan": plan.as_dict(),
    }
    if (folder / plans.FILE).is_file():
        begun = findings.load(folder).info
        plans.require_same(folder.name, begun, asked, "take another folder, or delete this one")
        return
    plans.write(
        folder,
        {
            **asked,
            "expressions": list(dataset.expressions),
            "rows": {name: int((dataset.split == name).sum()) for name in datasets.SPLITS},
            "sessions": [],
        },
    )


def _run_all(
    dataset: datasets.FaceDataset,
    plan: Plan,
    seeds: list[int],
    folder: Path,
    command: str,
    verbose: int,
) -> None:
    """Train what is missing, a variant at a time: its pool is made once for all seeds."""
    from tqdm import tqdm

    done = findings.load(folder).finished()
    missing = {
        variant: [seed for seed in seeds if (variant, seed) not in done]
        for variant in plan.variants
    }
    left = sum(map(len, missing.values()))
    if not left:
        return
    plans.begin_session(folder, command)
    networks: dict[tuple[int, int], Any] = {}
    with tqdm(total=left * plan.epochs, unit="epoch", disable=not verbose) as progress:
        for variant, lacking in missing.items():
            if not lacking:
                continue
            progress.set_description(f"{variant}: rows")
            pool = VARIANTS[variant].pool(dataset, plan)
            key = (len(pool.expressions), pool.images.shape[-1])
            if key not in networks:
                networks[key] = _compiled(plan, *key)
            for seed in lacking:
                progress.set_description(f"{variant}, seed {seed}")
                rows, answers = _train(networks[key], pool, plan, variant, seed, progress)
                if variant == HONEST:
                    findings.write_answers(folder, seed, answers)
                # The rows come last: they are what makes a run finished.
                findings.add_runs(folder, rows)


def order(count: int, draws: int, seed: int) -> np.ndarray:
    """Say which rows are learned from, one after the other, pass after pass.

    Parameters
    ----------
    count : int
        Rows there are, 1 or more.
    draws : int
        Rows to draw: batch size times steps, however many passes that takes.
    seed : int
        Each pass has its own order.

    Returns
    -------
    (draws,) int64 array
        Positions 0 … count-1. No row comes again before all have come.
    """
    passes = [
        np.random.default_rng([seed, at]).permutation(count) for at in range(-(-draws // count))
    ]
    return np.concatenate([np.empty(0, np.int64), *passes])[:draws]


def _compiled(plan: Plan, classes: int, channels: int):
    """Build and compile a network once: tracing it takes as long as many steps."""
    import keras

    settings = plan.settings(0)
    model = _built(plan, classes, channels)
    schedule = training.learning_rate_schedule(settings, plan.steps)
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        # XLA's convolutions are several times slower than TensorFlow's on a processor.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _built(plan: Plan, classes: int, channels: int):
    shape = (plan.size, plan.size, channels)
    return models.build(plan.model, shape, classes, dtype=plan.precision, **plan.network)


def _restart(model, plan: Plan, seed: int) -> None:
    """Bring a compiled network to the state of a new one with this seed."""
    import keras

    keras.utils.set_random_seed(seed)
    fresh = _built(plan, model.output_shape[-1], model.input_shape[-1])
    # Layer by layer, not set_weights: dropout's random state is no weight.
    for layer, new in zip(model.layers, fresh.layers, strict=True):
        for variable, value in zip(layer.variables, new.variables, strict=True):
            variable.assign(value)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros(variable.shape, variable.dtype))


def _train(
    model, pool: Pool, plan: Plan, variant: str, seed: int, progress
) -> tuple[pd.DataFrame, dict[str, findings.Answers]]:
    """Train one variant with one seed; return a row an epoch, and the answers of each."""
    import keras

    split = pool.split(seed)
    known = leaked(pool.sources, split)
    learned, *held_out = (np.flatnonzero(split == name) for name in datasets.SPLITS)
    asked = dict(zip(datasets.SPLITS[1:], held_out, strict=True))
    for name, positions in (("training", learned), *asked.items()):
        if not len(positions):
            raise DataError(f"{variant}, seed {seed}: found no {name} rows, expected some")
    everyone = np.concatenate([asked["validation"], asked["test"]])
    batches = _batches(pool, learned, plan, seed)
    _restart(model, plan, seed)
    said: dict[str, list[np.ndarray]] = {name: [] for name in asked}
    seconds: list[float] = []
    shares: list[float] = []
    steps: list[int] = []

    class Asking(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            batches.epoch = epoch
            self.start = perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            # Both in one call: a call costs as much as a hundred small faces.
            probabilities = self.model.predict(
                pool.images[everyone], batch_size=_ASKED_AT_ONCE, verbose=0
            )
            cut = len(asked["validation"])
            said["validation"].append(probabilities[:cut])
            said["test"].append(probabilities[cut:])
            shares.append(float(logs["accuracy"]))
            steps.append(int(self.model.optimizer.iterations))
            seconds.append(perf_counter() - self.start)
            progress.update()

    model.fit(batches, epochs=plan.epochs, shuffle=False, verbose=0, callbacks=[Asking()])
    answers = {
        name: findings.Answers.of(
            np.stack(said[name]), pool.labels[positions], pool.rows[positions], known[positions]
        )
        for name, positions in asked.items()
    }
    counted = {name: answer.right[:, _counted(answer, variant)] for name, answer in answers.items()}
    table = pd.DataFrame(
        {
            "variant": variant,
            "seed": seed,
            "epoch": np.arange(1, plan.epochs + 1),
            "steps": steps,
            "train_n": len(learned),
            "train_accuracy": shares,
            "val_n": counted["validation"].shape[1],
            "val_right": counted["validation"].sum(axis=1),
            "test_n": counted["test"].shape[1],
            "test_right": counted["test"].sum(axis=1),
            "test_leaked": int((known[asked["test"]] & _counted(answers["test"], variant)).sum()),
            "seconds": seconds,
        }
    )
    return table, answers


def _counted(answers: findings.Answers, variant: str) -> np.ndarray:
    """Tell which rows count in a variant's figure: all, or those that training does not know."""
    if VARIANTS[variant].without_copies:
        return ~answers.copies
    return np.ones(len(answers.copies), dtype=bool)


def _batches(pool: Pool, learned: np.ndarray, plan: Plan, seed: int):
    """Serve ``plan.steps`` batches an epoch, whatever the number of rows."""
    import keras

    chosen = learned[order(len(learned), plan.epochs * plan.steps * plan.batch_size, seed)]
    chosen = chosen.reshape(plan.epochs, plan.steps, plan.batch_size)
    one_hot = np.eye(len(pool.expressions), dtype=np.float32)

    class Steps(keras.utils.PyDataset):
        epoch = 0

        def __len__(self) -> int:
            return plan.steps

        def __getitem__(self, index: int):
            rows = chosen[self.epoch, index]
            return pool.images[rows].astype(np.float32), one_hot[pool.labels[rows]]

    return Steps()
