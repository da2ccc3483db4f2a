"""Train one small network with one common mistake at a time, record it, and print the table.

    python -m experiments.mistakes --data fer2013 --seeds 5

If interrupted, the same command resumes with the unfinished run; with more --seeds or --variants it
adds to the record, results/mistakes-DATA/. `utils.honesty.mistakes` has the catalog and the table.
Elsewhere SMOTE and augmentation are given training rows only; here rows are split wrongly on
purpose, and shared sources show what each split leaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import filelock
import numpy as np
import pandas as pd

from utils import balance, datasets, faces, models, records, runtime
from utils.datasets import FaceDataset, splits
from utils.honesty import mistakes
from utils.honesty.mistakes import DROPPED, HONEST
from utils.runtime import DataError, ModelError

#: Trained on data with an official split; and on faces from photos, split again for each seed.
OFFICIAL = (
    *(HONEST, "resplit", "smote_first", "smote_after", "augmented_first", "augmented_after"),
    *(*DROPPED, "combined"),
)
PHOTOS = ("by_photo", "by_face")

#: Without a mistake before the split: rows that share a picture with training are not counted.
_RIGHT = (HONEST, "smote_after", "augmented_after", "by_photo", *DROPPED)

#: The protocol of FER2013's record, the same for every variant. An "epoch" is a number of gradient
#: steps, not a pass: a variant with more rows is not trained longer. AdamW's rate rises for
#: ``warm_up`` epochs, then falls to zero as half a cosine. ``versions`` and ``moves``: of pictures
#: augmented before the split; nothing is augmented during training, and no label smoothed: the
#: goal is to measure what a network remembers of a picture, and both make it remember less.
PLAN: dict[str, Any] = {
    "model": "cnn3",
    "network": {"filters": [16, 32, 64], "dense": 512, "momentum": 0.9},
    "size": 32,
    "epochs": 16,
    "steps": 200,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "warm_up": 1.0,
    "weight_decay": 0.0,
    "precision": "mixed_bfloat16",
    "versions": 3,
    "moves": {"rotation": 10.0, "zoom": 0.1, "shift": 0.1, "flip": True},
}
_SMALLER: dict[str, dict[str, Any]] = {
    "sample": {
        "network": {"filters": [8, 16, 32], "dense": 128, "momentum": 0.9},
        "moves": {"rotation": 5.0, "zoom": 0.05, "shift": 0.05, "flip": True},
        "versions": 2,
        "epochs": 6,
        "steps": 50,
        "batch_size": 64,
        "learning_rate": 2e-3,
        "precision": "float32",
    },
    "expw": {"epochs": 12, "steps": 30, "batch_size": 64, "precision": "float32"},
}


def plan_for(name: str) -> dict[str, Any]:
    """Return the protocol for a data set: `PLAN`, or less for "sample" and "expw"."""
    return {**PLAN, **_SMALLER.get(name, {})}


def rows_of(
    variant: str, dataset: FaceDataset, plan: Mapping[str, Any]
) -> tuple[np.ndarray, pd.DataFrame]:
    """Make a variant's rows; those of "_after" make faces from training rows only.

    They are made once for all seeds: what leaks depends on where a row falls, not on how it is
    moved or blended.

    Returns
    -------
    images : (n, size, size, channels) uint8 array
    rows : DataFrame
        ``label``; ``row`` in the source file, -1 for a face that was made; ``split``, the data
        set's own; ``source`` and ``other``, what the row shares with others: the picture that it
        is or was moved from, twice; a blend's two parents; or, where faces come from photos, the
        photo, twice. Exact copies of a picture count as one.
    """
    dataset = dataset.without(DROPPED[variant]) if variant in DROPPED else dataset
    source = datasets.first_copies(dataset)
    if variant in PHOTOS:
        if dataset.photos is None:
            raise DataError(f"{dataset.name}: found no photos, expected faces cut from photos")
        source = np.unique(dataset.photos, return_inverse=True)[1]
    columns = {"label": dataset.labels, "row": dataset.rows, "split": dataset.split}
    rows = pd.DataFrame({**columns, "source": source, "other": source})
    images = faces.resize(dataset.images, plan["size"])
    open_ = ((rows["split"] == "training") | (not variant.endswith("_after"))).to_numpy()
    held_out, images, rows = (images[~open_], rows[~open_]), images[open_], rows[open_]
    if variant in ("smote_first", "smote_after", "combined"):
        images, rows = _with_blends(images, rows, dataset.expressions)
    if variant in ("augmented_first", "augmented_after", "combined"):
        moved = [_moved(images, plan["moves"], seed) for seed in range(1, plan["versions"])]
        images = np.concatenate([images, *moved])
        rows = pd.concat([rows, *[rows.assign(row=-1)] * len(moved)])
    return np.concatenate([images, held_out[0]]), pd.concat([rows, held_out[1]], ignore_index=True)


def split_of(rows: pd.DataFrame, variant: str, seed: int) -> np.ndarray:
    """Split a variant's rows: its own split, or one drawn from the seed; (n,) str."""
    labels = rows["label"].to_numpy()
    if variant in PHOTOS:
        groups = rows["source"] if variant == "by_photo" else rows.index
        return splits.by_group(labels, groups.to_numpy(), seed=seed)
    if variant not in ("resplit", "smote_first", "augmented_first", "combined"):
        return rows["split"].to_numpy(str)
    split = np.full(len(rows), "training", dtype="<U10")
    held_out = splits.hold_out(labels, 0.2, seed=seed)
    split[held_out] = "validation"
    split[held_out[splits.hold_out(labels[held_out], 0.5, seed=seed)]] = "test"
    return split


def leaked(rows: pd.DataFrame, split: np.ndarray) -> np.ndarray:
    """Find the validation and test rows that share a source with a training row, (n,) bool."""
    training, sources = split == "training", rows[["source", "other"]].to_numpy()
    return np.isin(sources, np.unique(sources[training])).any(axis=1) & ~training


def run(
    dataset: FaceDataset,
    seeds: Sequence[int],
    folder: Path,
    *,
    variants: Sequence[str] | None = None,
    plan: Mapping[str, Any] | None = None,
    command: str = "",
) -> mistakes.Mistakes:
    """Train every variant with every seed; what is already recorded is not done again.

    Parameters
    ----------
    dataset : FaceDataset
        With its official split; or, for the variants "by_photo" and "by_face", with photos.
    seeds : sequence of int
        Each seeds a variant's weights, its order, and its split if that is drawn.
    folder : path
        The record's. A run is written there once it is finished.
    variants : sequence of str, optional
        From `OFFICIAL` and `PHOTOS`; by default the former, or for faces from photos the latter.
    plan : mapping, optional
        The protocol, as `PLAN`; by default `plan_for` the data set.
    command : str
        What is being run, for the record.

    Raises
    ------
    ModelError, DataError
        When the folder was started with another plan or other data, or a run diverges; when the
        data set lacks what a variant needs.
    """
    plan = dict(plan or plan_for(dataset.name))
    variants = variants or (OFFICIAL if dataset.photos is None else PHOTOS)
    asked = {"dataset": dataset.name, "fingerprint": dataset.fingerprint(), "plan": plan}
    if not (folder / "plan.json").is_file():
        counts = {name: int((dataset.split == name).sum()) for name in datasets.SPLITS}
        begun = {"expressions": list(dataset.expressions), "rows": counts, "sessions": []}
        runtime.write_json(folder / "plan.json", {**asked, **begun})
    found = mistakes.load(folder)
    for key, value in asked.items():
        if found.info.get(key) != value:
            raise ModelError(
                f"{folder.name}: was started with {key} {found.info.get(key)!r}, and cannot "
                f"continue with {value!r}: use another folder, or delete this one"
            )
    missing = {name: [seed for seed in seeds if seed not in found.seeds(name)] for name in variants}
    if any(missing.values()):
        now = runtime.now()
        session = {"started": now, "command": command, **records.surroundings()}
        sessions = [*found.info["sessions"], session]
        runtime.write_json(folder / "plan.json", {**found.info, "sessions": sessions})
    for variant in filter(missing.get, missing):
        images, rows = rows_of(variant, dataset, plan)
        names = tuple(name for name in dataset.expressions if name not in DROPPED.get(variant, ()))
        for seed in missing[variant]:
            epochs, answers = _train(images, rows, names, plan, variant, seed)
            _write(folder, epochs, answers)
            print(f"{variant}, seed {seed}: {epochs['seconds'].sum():.0f} seconds", flush=True)
    return mistakes.load(folder)


def _with_blends(
    images: np.ndarray, rows: pd.DataFrame, expressions: tuple[str, ...]
) -> tuple[np.ndarray, pd.DataFrame]:
    """Put SMOTE's synthetic faces after the real ones; their sources are their parents'."""
    # `balance.smote` refuses test rows; this is the mistake, so all are called training rows.
    facts = (rows["label"].to_numpy(), np.full(len(rows), "training"), rows["row"].to_numpy())
    real = FaceDataset(images, *facts, name="", expressions=expressions)
    balanced = balance.smote(real, seed=0)
    columns = {"label": balanced.labels[len(rows) :], "row": -1, "split": "training"}
    first, second = rows["source"].to_numpy()[balanced.parents].T
    blends = pd.DataFrame({**columns, "source": first, "other": second})
    return balanced.images, pd.concat([rows, blends])


def _moved(images: np.ndarray, moves: Mapping[str, Any], seed: int) -> np.ndarray:
    """Move every picture in its own way."""
    import keras

    shift, zoom, edge = moves["shift"], moves["zoom"], {"fill_mode": "nearest"}
    # A seed for each: with one for all, a face's angle would decide its shift and mirror image.
    move = keras.Sequential(
        [
            keras.layers.RandomRotation(moves["rotation"] / 360, **edge, seed=4 * seed),
            keras.layers.RandomTranslation(shift, shift, **edge, seed=4 * seed + 1),
            keras.layers.RandomZoom(zoom, zoom, **edge, seed=4 * seed + 2),
            *([keras.layers.RandomFlip("horizontal", seed=4 * seed + 3)] if moves["flip"] else []),
        ]
    )
    batches = np.array_split(images, -(-len(images) // 2048))
    moved = [keras.ops.convert_to_numpy(move(one, training=True)) for one in batches]
    return np.rint(np.clip(np.concatenate(moved), 0, 255)).astype(np.uint8)


def _train(
    images: np.ndarray,
    rows: pd.DataFrame,
    expressions: tuple[str, ...],
    plan: Mapping[str, Any],
    variant: str,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Train one variant with one seed; return one row per epoch, and each epoch's predictions."""
    import keras

    split, labels = split_of(rows, variant, seed), rows["label"].to_numpy()
    known = leaked(rows, split)
    places = {name: np.flatnonzero(split == name) for name in datasets.SPLITS}
    for name, found in places.items():
        if not len(found):
            raise DataError(f"{variant}, seed {seed}: found no {name} rows, expected some")
    learned, asked = places["training"], np.flatnonzero(split != "training")
    keras.utils.set_random_seed(seed)
    shape, network = (plan["size"], plan["size"], images.shape[-1]), plan["network"]
    model = models.build(plan["model"], shape, len(expressions), **network)
    if plan["precision"] != "float32":
        model = models.with_dtype(model, plan["precision"])
    steps = plan["steps"] * plan["epochs"]
    warm_up = min(round(plan["warm_up"] * plan["steps"]), steps - 1)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=plan["learning_rate"], warmup_steps=warm_up
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=plan["weight_decay"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # XLA's convolutions are several times slower than TensorFlow's on a CPU.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    said, epochs, clock = [], [], [perf_counter()]

    def predict(epoch: int, logs: dict[str, float]) -> None:
        if not np.isfinite(logs["loss"]):
            raise ModelError(f"{variant}, seed {seed}: diverged, its loss is {logs['loss']}")
        classifier = models.Classifier(model, expressions)
        said.append(classifier.predict(images[asked], batch_size=512))
        clock.append(perf_counter())
        steps = int(model.optimizer.iterations)
        epochs.append((epoch + 1, steps, float(logs["accuracy"]), clock[-1] - clock[-2]))

    model.fit(
        _batches(images, labels, learned, plan["batch_size"], seed),
        shuffle=False,
        epochs=plan["epochs"],
        steps_per_epoch=plan["steps"],
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=predict)],
        verbose=0,
    )
    table = pd.DataFrame(epochs, columns=["epoch", "steps", "train_accuracy", "seconds"])
    table = table.assign(variant=variant, seed=seed, train_n=len(learned))
    answers, probabilities = {}, np.stack(said)
    for name, short in (("validation", "val"), ("test", "test")):
        found, part = places[name], probabilities[:, split[asked] == name]
        order = np.argsort(-part, axis=2, kind="stable").astype(np.uint8)
        first, counted = order[:, :, 0], ~known[found] | (variant not in _RIGHT)
        right, n = (first == labels[found])[:, counted].sum(axis=1), int(counted.sum())
        shares = {f"{short}_n": n, f"{short}_right": right, f"{short}_accuracy": right / n}
        table = table.assign(**shares)
        answers[f"{name}_labels"] = labels[found].astype(np.uint8)
        answers[f"{name}_rows"] = rows["row"].to_numpy(np.int32)[found]
        answers[f"{name}_copies"] = known[found]
        answers |= {f"{name}_first": first, f"{name}_second": order[:, :, 1]}
        answers[f"{name}_sure"] = part.max(axis=2) > 0.5
    table["test_leaked"] = int((known[found] & counted).sum())
    digits = {"train_accuracy": 6, "val_accuracy": 6, "test_accuracy": 6, "seconds": 2}
    return table.round(digits)[list(mistakes.RUN_COLUMNS)], answers


def _batches(
    images: np.ndarray, labels: np.ndarray, learned: np.ndarray, size: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches without end: no row comes again before all have come."""
    draw, order = np.random.default_rng(seed), learned[:0]
    while True:
        while len(order) < size:
            order = np.concatenate([order, draw.permutation(learned)])
        batch, order = order[:size], order[size:]
        yield images[batch], labels[batch]


def _write(folder: Path, rows: pd.DataFrame, answers: dict[str, np.ndarray]) -> None:
    """Add a finished run to the record; its rows come last, as they mark it finished."""
    variant, seed = rows.loc[0, ["variant", "seed"]]
    if variant == HONEST:
        runtime.write_npz(folder / f"{HONEST}-{seed}.npz", **answers)
    file = folder / "runs.csv"
    whole = pd.concat([*([pd.read_csv(file)] if file.is_file() else []), rows])
    runtime.write_atomically(file, whole.to_csv(index=False, lineterminator="\n").encode())


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, record it and print the table."""
    parser = runtime.parser("python -m experiments.mistakes", __doc__)
    names = (*OFFICIAL, *PHOTOS)
    parser.add_argument("--data", default="sample", choices=tuple(datasets.LOADERS))
    parser.add_argument("--path", help="where the data is, if not in data/raw/")
    parser.add_argument("--seeds", type=int, default=2, help="seeds 0 … N-1 (default: 2)")
    parser.add_argument("--variants", nargs="+", choices=names, help="by default the data set's")
    parser.add_argument("--results", type=Path, default=runtime.RESULTS, help="default: results/")
    asked = parser.parse_args(arguments)
    if asked.seeds < 1:
        parser.error("--seeds: expected 1 or more")
    runtime.setup(0)
    dataset = datasets.load(asked.data, asked.path)
    print(dataset.describe(), flush=True)
    folder = asked.results / f"mistakes-{asked.data}"
    command = runtime.command_line()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder.with_name(f".{folder.name}.lock")):  # a second one waits
        found = run(dataset, range(asked.seeds), folder, variants=asked.variants, command=command)
    table = mistakes.table(found).set_index("title")[["figure", "points", "each", "n"]]
    each = {"each": lambda seeds: " ".join(f"{one:.1f}" for one in seeds)}
    print(table.to_string(float_format="{:.1f}".format, formatters=each))
    print(f"recorded in {folder.parent.name}/{folder.name}")


if __name__ == "__main__":
    runtime.run_command(main)
