"""What an epoch leaves on disk, and how a run finds its place again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from utils import models, records, runtime
from utils.runtime import ModelError
from utils.training.devices import Spread
from utils.training.settings import Settings


def take_over(model, start: models.Classifier, expressions: tuple[str, ...]) -> None:
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


def restore(model, folder: Path) -> None:
    """Load the last finished epoch, where there is one: weights, and the optimizer's state."""
    done = len(records.read_history(folder))
    if not done:
        return
    file = weights_file(folder, done)
    if not file.is_file():
        raise ModelError(
            f"{folder.name}: {done} epochs are recorded, and checkpoints/{file.name} "
            "is gone: take another name, or delete the folder"
        )
    model.load_weights(file)


def epoch_recorder(
    folder: Path,
    settings: Settings,
    after_epoch: Callable[[int, dict[str, float]], None] | None,
    spread: Spread,
):
    """Make the callback that ends each epoch on disk.

    First the weights with the optimizer's state, under the epoch's own name; then the row in
    ``history.csv``, which is what makes the epoch count; then older weights go, but for the
    best epoch's. Killed between any two of these, the next start finds a whole epoch. Keras's
    ``BackupAndRestore`` writes weights and epoch number in two files, and its companions
    ``CSVLogger`` and ``ModelCheckpoint`` keep a third and a fourth, which a kill can tear apart.

    Of several processes the chief writes, and the others go on when it has: what they read at
    their next start is there.
    """
    import keras

    class EpochRecorder(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.begin(epoch)
            _seed_dropout(self.model.network, settings.seed, epoch)
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            row = {
                "epoch": epoch + 1,
                **logs,
                "learning_rate": float(np.asarray(self.model.optimizer.learning_rate)),
                "seconds": round(time.perf_counter() - self.start, 2),
            }
            if spread.is_chief:
                self._write(weights_file(folder, epoch + 1), row)
            else:
                # Keras makes variables while it saves, which all processes must do together.
                with tempfile.TemporaryDirectory() as scratch:
                    self.model.save_weights(Path(scratch) / "unused.weights.h5")
            spread.wait(f"epoch {epoch + 1}")
            if after_epoch is not None:
                after_epoch(epoch + 1, {key: float(value) for key, value in logs.items()})

        def _write(self, file, row):
            part = file.with_name(f"part-{file.name}")
            file.parent.mkdir(exist_ok=True)
            self.model.save_weights(part, overwrite=True)
            runtime.move_into_place(part, file)
            history = records.read_history(folder)
            rows = [*history.to_dict("records"), {key: row[key] for key in records.HISTORY_COLUMNS}]
            history = pd.DataFrame(rows, columns=list(records.HISTORY_COLUMNS))
            records.write_history(folder, history)
            # As written, not as computed: rounding to six digits can make two epochs equal.
            best = records.best_epoch(records.read_history(folder))
            keep = {file, weights_file(folder, best)}
            for other in set(file.parent.glob("*.weights.h5")) - keep:
                other.unlink()

    return EpochRecorder()


def _seed_dropout(model, seed: int, epoch: int) -> None:
    """Make an epoch's dropout a function of (seed, epoch): Keras does not save its state."""
    for index, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            rng = np.random.default_rng([seed, epoch, index])
            generator.state.assign(rng.integers(0, 2**32, 2, dtype=np.uint32))


def weights_file(folder: Path, epoch: int) -> Path:
    """Name the checkpoint of an epoch (counted from 1)."""
    return folder / "checkpoints" / f"epoch-{epoch:03d}.weights.h5"
