"""Try on faces, one after another, the tricks with which airbench trains CIFAR-10 in seconds.

    python -m experiments.airbench --record --note "nothing ran beside it"

`cnn4` is trained for a few epochs of SGD, and the validation split is read at the end; the test
split isn't. Each way has one trick more than the one before, in the order of its source; Lookahead
and multi-crop evaluation are left out, and whitened patches are 3×3 in place of 2×2.
K. Jordan, 94% on CIFAR-10 in 3.29 seconds on a single GPU (2024), §3, arXiv:2404.00498.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from utils import augment, datasets, models, records, runtime, training

RECORD = runtime.RESULTS / "benchmarks" / "airbench.json"
#: Each way has its trick and all before it.
WAYS = ("none", "whitening", "identity", "fast biases", "alternating flip")
FAST_BIASES = 64.0
SETTINGS = {
    "network": {"momentum": 0.9},
    "epochs": 6,
    "batch_size": 256,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "weight_decay": 5e-4,
    "zoom": 0.1,
    "shift": 0.1,
    "precision": "mixed_bfloat16",
}


def whitening_filters(images: np.ndarray, side: int = 3, epsilon: float = 5e-4) -> np.ndarray:
    """Make filters whose answers to patches of faces are uncorrelated, of second moment one (§3.2).

    Parameters
    ----------
    images : numpy.ndarray
        (n, height, width, 1) uint8; the filters are for them scaled to -1 … 1.
    side : int
        Side of a patch in pixels.
    epsilon : float
        Added to each eigenvalue before its square root is taken.

    Returns
    -------
    numpy.ndarray
        (side, side, 1, 2 · side²) float32: eigenvectors of the patches' second moments, largest
        eigenvalue first, each divided by √(eigenvalue + epsilon); then their negatives.
    """
    moments, count = np.zeros((side**2, side**2)), 0
    for some in np.array_split(images[..., 0], -(-len(images) // 1000)):  # 150 MB at a time
        patches = np.lib.stride_tricks.sliding_window_view(some, (side, side), axis=(1, 2))
        rows = patches.reshape(-1, side**2) / 127.5 - 1.0
        moments, count = moments + rows.T @ rows, count + len(rows)
    values, vectors = np.linalg.eigh(moments / count)
    filters = (vectors / np.sqrt(np.maximum(values, 0) + epsilon))[:, ::-1]
    both = np.concatenate([filters, -filters], axis=1)
    return both.reshape(side, side, 1, -1).astype(np.float32)


def identity_kernel(kernel: np.ndarray) -> np.ndarray:
    """Make a convolution's first filters the identity (§3.3).

    Parameters
    ----------
    kernel : numpy.ndarray
        (side, side, inputs, filters), side odd.

    Returns
    -------
    numpy.ndarray
        A copy; filters beyond the number of inputs are as they were.
    """
    side, _, inputs, filters = kernel.shape
    kernel, passed = kernel.copy(), min(inputs, filters)
    kernel[..., :passed] = 0
    kernel[side // 2, side // 2, range(passed), range(passed)] = 1
    return kernel


def network(way: str, images: np.ndarray, settings: training.Settings, classes: int):
    """Build `cnn4` with the tricks of a way that are in the network: whitening and identity.

    The first convolution whitens, and has a bias; `accuracy` freezes its kernel. The batch
    normalization behind it is frozen, and only divides by √1.001. ``images`` are training faces,
    (n, height, width, 1) uint8.
    """
    import keras

    plain = models.build("cnn4", images.shape[1:], classes, **settings.network)
    if way == WAYS[0]:
        return plain
    filters = whitening_filters(images)

    def of(layer):
        if layer.name == "convolution_1":
            size, count = filters.shape[0], filters.shape[-1]
            return keras.layers.Conv2D(count, size, padding="same", name=layer.name)
        if layer.name == "normalisation_1":
            return keras.layers.BatchNormalization(trainable=False, name=layer.name)
        return type(layer).from_config(layer.get_config())

    made = keras.models.clone_model(plain, clone_function=of)
    for layer in made.layers:
        if layer.name == "convolution_1":
            layer.kernel.assign(filters)
        elif isinstance(layer, keras.layers.Conv2D) and way != "whitening":
            layer.kernel.assign(identity_kernel(np.asarray(layer.kernel)))
    return made


def alternating(flipped: np.ndarray, epoch: int) -> np.ndarray:
    """Say which faces an epoch mirrors: ``flipped`` in even ones, the others in odd ones (§3.6)."""
    return flipped ^ bool(epoch % 2)


def accuracy(dataset: datasets.FaceDataset, way: str, settings: training.Settings) -> float:
    """Train `cnn4` in one of `WAYS`, and return its validation accuracy after the last epoch."""
    import keras

    from utils.training.fit import compile_model, on_a_processor
    from utils.training.model import Batches, TrainingModel, seed_everything

    part, validation = dataset.part("training"), dataset.part("validation")
    classes = len(dataset.expressions)
    flipped = np.random.default_rng(settings.seed).random(len(part)) < 0.5
    alternates = way == "alternating flip"

    def begin(epoch, logs=None):
        batches.begin(epoch)
        seed_everything(model, settings.seed, epoch)
        if alternates:
            mirror = alternating(flipped, epoch)[:, None, None, None]
            batches.faces = np.where(mirror, part.images[:, :, ::-1], part.images)

    keras.utils.set_random_seed(settings.seed)
    built = network(way, part.images, settings, classes)
    built = models.with_dtype(built, settings.precision, fused=on_a_processor())
    built.get_layer("convolution_1").kernel.trainable = way == WAYS[0]
    before = settings.augmentation() | {"flip": not alternates}
    model = TrainingModel(built, augment.layers_before(**before))
    targets = np.eye(classes, dtype=np.float32)[part.labels]
    batches = Batches(part.images, targets, batch_size=settings.batch_size, seed=settings.seed)
    compile_model(model, settings, len(batches), epochs=settings.epochs, fine_tuning=False)
    if way in WAYS[WAYS.index("fast biases") :]:
        model.optimizer.apply = _with_fast_biases(model.optimizer.apply)
    callback = keras.callbacks.LambdaCallback(on_epoch_begin=begin)
    model.fit(batches, epochs=settings.epochs, callbacks=[callback], shuffle=False, verbose=0)
    answers = built.predict(validation.images, batch_size=256, verbose=0)
    return float((answers.argmax(axis=1) == validation.labels).mean())


def _with_fast_biases(apply):
    """Let batch normalization's biases learn at `FAST_BIASES` times the rate (§3.4).

    For SGD, scaling a gradient is scaling its learning rate; weight decay is not scaled, as in the
    source.
    """

    def apply_scaled(gradients, variables):
        scales = [FAST_BIASES if one.path.endswith("/beta") else 1.0 for one in variables]
        return apply([g * by for g, by in zip(gradients, scales, strict=True)], variables)

    return apply_scaled


def table(record: dict) -> pd.DataFrame:
    """Tabulate a record: for each way the seeds' validation accuracies in percent, and the mean."""
    rows = pd.DataFrame(record["runs"]).pivot(index="way", columns="seed", values="accuracy")
    rows = 100 * rows.loc[[way for way in WAYS if way in rows.index]]
    return rows.assign(mean=rows.mean(axis=1))


def main() -> None:
    """Train each way with each seed, print the table, and record it where asked."""
    parser = runtime.parser("python -m experiments.airbench", __doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--epochs", type=int, default=SETTINGS["epochs"], help="of each training")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    parser.add_argument("--note", default="", help="what else the machine did")
    asked = parser.parse_args()
    runtime.setup()
    dataset = datasets.load("fer2013")
    told = training.recipe("cnn4", **SETTINGS | {"epochs": asked.epochs})
    runs = []
    for seed in range(asked.seeds):
        for way in WAYS:
            found = accuracy(dataset, way, dataclasses.replace(told, seed=seed))
            runs.append({"way": way, "seed": seed, "accuracy": round(found, 4)})
            print(f"seed {seed}, {way}: {found:.1%}", flush=True)
    record = {"epochs": asked.epochs, "runs": runs, **records.surroundings(), "note": asked.note}
    print(table(record).round(1).to_string())
    if asked.record:
        runtime.write_json(RECORD, record)


if __name__ == "__main__":
    runtime.run_command(main)
