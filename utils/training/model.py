"""The network, and what happens to training faces before they reach it: a `keras.Model`.

This module imports Keras at the top, so import it inside functions, after `runtime.setup`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np


class TrainingModel(keras.Model):
    """Augmentation, mixing and teachers around a network, active in training only.

    Compile it with a loss of targets and probabilities and call `fit` on inputs of {"faces",
    "targets"}, as `Batches` makes them: if faces are mixed or there are teachers, the target is
    made in the same step as the face.

    Parameters
    ----------
    network : keras.Model
        Pixels of 0 … 255 in, probabilities out. Only it is saved in the end.
    augmentation : sequence of keras.layers.Layer
        Applied to the faces one after another, as `augment.layers_before` makes them.
    mixing : keras.layers.Layer, optional
        As `augment.mixing_layer` makes it.
    teach : callable, optional
        From a batch of augmented faces to the teachers' probabilities, which make up
        ``distillation_weight`` of each target (Hinton et al. 2015; teachers get exactly the faces
        that the network sees, Beyer et al. 2022, §3).
    distillation_weight : float
        0 … 1.
    """

    def __init__(
        self,
        network: keras.Model,
        augmentation: Sequence[keras.layers.Layer] = (),
        mixing: keras.layers.Layer | None = None,
        teach: Callable | None = None,
        distillation_weight: float = 0.0,
    ):
        super().__init__(name="training", dtype="float32")
        self.network = network
        self.augmentation = list(augmentation)
        self.mixing = mixing
        self.teach = teach
        self.distillation_weight = distillation_weight

    def call(self, inputs, training: bool = False):
        """Return the network's probabilities, and the targets to compare them with."""
        faces, targets = inputs["faces"], inputs["targets"]
        if training:
            faces = keras.ops.cast(faces, "float32")
            for layer in self.augmentation:
                faces = layer(faces, training=True)
            if self.mixing is not None:
                mixed = self.mixing({"images": faces, "labels": targets}, training=True)
                faces, targets = mixed["images"], mixed["labels"]
            if self.teach is not None:
                share = self.distillation_weight
                targets = share * self.teach(faces) + (1.0 - share) * targets
        return self.network(faces, training=training), targets

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Compute the compiled loss with the step's own targets."""
        probabilities, targets = y_pred
        return super().compute_loss(x, targets, probabilities, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Update the compiled metrics with the step's own targets; class weights are ignored."""
        probabilities, targets = y_pred
        return super().compute_metrics(x, targets, probabilities, x.get("counted"))


class Batches(keras.utils.PyDataset):
    """Training faces in the order of an epoch, which depends only on seed and epoch.

    Parameters
    ----------
    faces : numpy.ndarray or OnDisk
        (n, height, width, channels) uint8.
    targets : numpy.ndarray
        (n, k) float32, rows that sum to one.
    batch_size, seed : int
        The last batch of an epoch is filled up from the epoch's start: all have the same size.
    part : (int, int)
        A machine's number, counted from 0, and how many share each batch: it makes only its part.
    """

    def __init__(self, faces, targets, *, batch_size: int, seed: int, part=(0, 1)):
        super().__init__()
        self.faces, self.targets = faces, targets
        self.batch_size, self.seed, self.part = batch_size, seed, part
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Draw the order of an epoch, counted from 0."""
        count = len(self.targets)
        order = np.random.default_rng([self.seed, epoch]).permutation(count)
        self.order = np.resize(order, -(-count // self.batch_size) * self.batch_size)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.targets) // self.batch_size)

    def __getitem__(self, index: int):
        """Return a batch, or this machine's part: inputs and targets."""
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        chosen = np.split(chosen, self.part[1])[self.part[0]]
        targets = self.targets[chosen]
        return {"faces": self.faces[chosen], "targets": targets}, targets


class HeldOut(keras.utils.PyDataset):
    """Validation faces in their order, padded with copies that do not count.

    Devices take equal parts of each batch; a copy counts neither in the loss nor in the metrics.

    Parameters
    ----------
    faces : numpy.ndarray or OnDisk
        (n, height, width, channels) uint8.
    targets : numpy.ndarray
        (n, k) float32.
    devices : int
        How many share a batch, across all machines.
    batch_size : int
        This machine's faces per batch, a multiple of its devices.
    part : (int, int)
        As in `Batches`; here, for n machines, it is every n-th face.
    """

    def __init__(self, faces, targets, *, devices: int, batch_size: int, part=(0, 1)):
        super().__init__()
        self.faces, self.targets, self.batch_size = faces, targets, batch_size
        self.filled = -(-len(targets) // devices) * devices
        self.own = np.arange(part[0], self.filled, part[1])

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.own) // self.batch_size)

    def __getitem__(self, index: int):
        """Return a batch: inputs, targets, weights."""
        count = len(self.targets)
        places = self.own[index * self.batch_size : (index + 1) * self.batch_size]
        counted = (places < count).astype(np.float32)
        places = np.minimum(places, count - 1)
        targets = self.targets[places]
        inputs = {"faces": self.faces[places], "targets": targets, "counted": counted}
        return inputs, targets, counted * (self.filled / count)


def seed_everything(model: keras.Model, seed: int, epoch: int) -> None:
    """Make everything random in an epoch a function of (seed, epoch).

    Keras keeps the state of each random generator (dropout's, augmentation's) in a variable, and
    saves none of them: a resumed run would draw other numbers than an uninterrupted one.
    """
    states = [one for one in model.variables if one.path.endswith("seed_generator_state")]
    for place, state in enumerate(states):
        drawn = np.random.default_rng([seed, epoch, place]).integers(0, 2**32, 2, dtype=np.uint32)
        state.assign(drawn)
