"""The network with its training faces beside it: one compiled step from a place to a loss.

The whole data set lies on the device as uint8 (83 MB for FER2013 at 48×48). A step is handed the
numbers of its places in the epoch, nothing else: it gathers the faces that the epoch's order puts
there, moves, erases and mixes them, and asks the network, all in one compiled graph. One code path
in Keras for every backend.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utils import augment, models
from utils.training import teaching
from utils.training.devices import Spread
from utils.training.draws import EpochDraws, epoch_draws
from utils.training.settings import Settings

#: Validation faces a step, about.
VALIDATION_BATCH = 256


def face_trainer(
    network,
    settings: Settings,
    images: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray],
    spread: Spread | None = None,
    teachers: Sequence[models.Classifier] = (),
):
    """Put training and validation faces beside a network.

    Parameters
    ----------
    network : keras.Model
        Pixels of 0 … 255 in, probabilities out.
    settings : Settings
        Gives feed, augmentation, erasing, mixing, batch size, label smoothing and seed.
    images : numpy.ndarray
        (n, size, size, channels) uint8, the training faces. With another feed than "device" they
        stay where they are, say on disk.
    targets : numpy.ndarray
        (n, k) float32, rows that sum to one.
    weights : numpy.ndarray
        (n,) float32: what each face counts.
    held_out : tuple of numpy.ndarray
        Validation faces (m, size, size, channels) uint8 and targets (m, k) float32.
    spread : Spread, optional
        Over which devices; call this in its scope. By default one.
    teachers : sequence of Classifier
        Networks whose mean answer is a part of each target.

    Returns
    -------
    keras.Model
        ``fit(x=trainer.training_input(), validation_data=trainer.validation_input())`` trains
        ``trainer.network``; call ``trainer.begin(epoch)`` before each epoch. Its saved weights are
        the network's and the optimizer's; the faces are not among them.
    """
    import keras

    ops = keras.ops
    on_device = settings.feed == "device"
    spread = spread or Spread()
    rows = len(held_out[1])
    # Devices take equal parts: a validation face or two more, which count nothing.
    places = spread.filled(rows)

    class FaceTrainer(keras.Model):
        def __init__(self):
            super().__init__(name="trainer", dtype="float32")
            self.network = network
            self.hits = keras.metrics.CategoricalAccuracy(name="accuracy")
            self.cross_entropy = keras.losses.CategoricalCrossentropy(
                label_smoothing=settings.label_smoothing
            )
            self.draws = epoch_draws(settings, len(targets), 0)
            self.steps = len(self.draws.order) // settings.batch_size
            self.spread = spread
            self.targets = self._keep("targets", targets)
            self.weights_of_faces = self._keep("weights_of_faces", weights)
            self.held_out_targets = self._keep("held_out_targets", held_out[1])
            if on_device:
                self.images = self._keep("images", images)
                self.held_out_images = self._keep("held_out_images", held_out[0])
            self.drawn = {
                name: self._keep(name, getattr(self.draws, name)) for name in self._drawn_names()
            }
            self.taught = None
            if teachers:
                self.taught = teaching.answers(teachers, settings.precision, self._keep)

        def _keep(self, name: str, values: np.ndarray):
            """Put an array on the device as a variable that nothing trains or saves."""
            return self.add_weight(
                name=name,
                shape=values.shape,
                dtype=values.dtype.name,
                initializer=lambda shape, dtype: ops.convert_to_tensor(values, dtype),
                trainable=False,
                autocast=False,
            )

        @property
        def validation_batch_size(self) -> int:
            """Faces a validation step, all devices together."""
            return max(VALIDATION_BATCH // spread.devices, 1) * spread.devices

        def _drawn_names(self) -> list[str]:
            names = ["order"]
            if settings.augmentation is not None and settings.feed != "generator":
                names.append("transforms")
            if settings.erasing:
                names.append("erased")
            if settings.mixup or settings.cutmix:
                names += ["blends", "pasted", "shares"]
            return names

        def save_own_variables(self, store):
            """Leave the faces and the draws out of what is saved."""

        def load_own_variables(self, store):
            """Find nothing to load: see `save_own_variables`."""

        def begin(self, epoch: int) -> None:
            """Draw an epoch, counted from 0."""
            self.draws = epoch_draws(settings, len(targets), epoch)
            for name, variable in self.drawn.items():
                variable.assign(getattr(self.draws, name))

        def call(self, inputs, training=False):
            place = inputs["place"]
            if not training:
                present = ops.cast(place < rows, "float32")
                place = ops.minimum(place, rows - 1)
                if on_device:
                    faces = ops.take(self.held_out_images, place, axis=0)
                else:
                    faces = inputs["images"]
                called = ops.take(self.held_out_targets, place, axis=0)
                given, count = self.network(faces), present * (places / rows)
                return {"given": given, "called": called, "count": count, "present": present}
            drawn = {name: ops.take(values, place, axis=0) for name, values in self.drawn.items()}
            face = drawn["order"]
            faces = ops.take(self.images, face, axis=0) if on_device else inputs["images"]
            called = ops.take(self.targets, face, axis=0)
            count = ops.take(self.weights_of_faces, face, axis=0)
            if "transforms" in drawn:
                faces = augment.warp(faces, drawn["transforms"])
            if "erased" in drawn:
                faces = augment.erase(faces, drawn["erased"])
            if "shares" in drawn:
                faces = augment.mix(faces, drawn["blends"], drawn["pasted"])
                own = drawn["shares"][:, None]
                called = own * called + (1 - own) * ops.flip(called, axis=0)
            if self.taught is not None:
                called = settings.taught * self.taught(faces) + (1 - settings.taught) * called
            given = self.network(faces, training=True)
            return {"given": given, "called": called, "count": count}

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return self.cross_entropy(y_pred["called"], y_pred["given"], y_pred["count"])

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            self.hits.update_state(y_pred["called"], y_pred["given"], y_pred.get("present"))
            return self.get_metrics_result()

        def training_input(self):
            """Return what `fit` takes as x."""
            if on_device:
                return {"place": spread.places(len(self.draws.order), settings.batch_size)}
            return _host_batches(self, images, settings)

        def validation_input(self):
            """Return what `fit` takes as validation data."""
            place = spread.places(places, self.validation_batch_size)
            if on_device:
                return {"place": place}
            return {"place": place, "images": held_out[0][np.minimum(place, rows - 1)]}

    trainer = spread.fitted(FaceTrainer)()
    # It has all its variables. Keras would build it by calling it once, operation by operation,
    # each of which JAX compiles by itself.
    trainer.built = True
    return trainer


def _host_batches(trainer, images: np.ndarray, settings: Settings):
    """Serve places with their faces: as they are, or moved by ImageDataGenerator."""
    import keras

    generator = None
    if settings.feed == "generator" and settings.augmentation is not None:
        generator = augment.image_data_generator(settings.augmentation)

    places = trainer.spread.places(len(trainer.draws.order), settings.batch_size)
    places = places.reshape(trainer.steps, -1)

    class HostBatches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return trainer.steps

        def __getitem__(self, index: int):
            place = places[index]
            faces = np.asarray(images[trainer.draws.order[place]])
            if generator is not None:
                faces = _generated(generator, faces, trainer.draws, place)
            return ({"place": place, "images": faces},)

    return HostBatches()


def _generated(generator, faces: np.ndarray, draws: EpochDraws, place: np.ndarray) -> np.ndarray:
    """Move faces one at a time by ImageDataGenerator, by the draws that the batched way takes."""
    moved = [
        generator.apply_transform(face.astype(np.float32), draws.moves.generator_parameters(index))
        for face, index in zip(faces, place, strict=True)
    ]
    return np.stack(moved)
