"""The network with what happens to its training faces before it: a small `keras.Model`.

This module imports Keras at its top, so import it inside functions, after `runtime.setup`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np


class TrainingModel(keras.Model):
    """Augmentation, mixing and teachers around a network, active in training only.

    Compile it with a loss of targets and probabilities and call `fit` on inputs of {"faces",
    "targets"}, as `Batches` makes them: where faces are mixed or teachers asked, the target is
    made in the same step as the face.

    Parameters
    ----------
    network : keras.Model
        Pixels of 0 … 255 in, probabilities out. It alone is saved in the end.
    augmentation : sequence of keras.layers.Layer
        Applied to the faces one after another, as `augment.layers_before` makes them.
    mixing : keras.layers.Layer, optional
        As `augment.mixing_layer` makes it.
    teach : callable, optional
        From a batch of augmented faces to the teachers' probabilities, which are
        ``distillation_weight`` of each target (Hinton et al. 2015; asked about the very faces that
        the network sees, Beyer et al. 2022, §3).
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
        """Return the network's probabilities, and the targets that they are to be held against."""
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
        """Take the compiled loss of the step's own targets."""
        probabilities, targets = y_pred
        return super().compute_loss(x, targets, probabilities, sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Update the compiled metrics with the step's own targets; class weights do not count."""
        probabilities, targets = y_pred
        return super().compute_metrics(x, targets, probabilities, x.get("counted"))


class Batches(keras.utils.PyDataset):
    """Training faces in the order of an epoch, which seed and epoch alone decide.

    Parameters
    ----------
    faces : numpy.ndarray or OnDisk
        (n, height, width, channels) uint8.
    targets : numpy.ndarray
        (n, k) float32, rows that sum to one.
    weights : numpy.ndarray, optional
        (n,) float32: what each face counts.
    batch_size, seed : int
        The last batch of an epoch is filled up from its front, so that all are of one size.
    part : (int, int)
        A machine's number, counted from 0, and how many share each batch: it makes its part only.
    """

    def __init__(self, faces, targets, weights=None, *, batch_size: int, seed: int, part=(0, 1)):
        super().__init__()
        self.faces, self.targets, self.weights = faces, targets, weights
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
        """Return a batch, or this machine's part: inputs, targets, and weights if there are any."""
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        chosen = np.split(chosen, self.part[1])[self.part[0]]
        targets = self.targets[chosen]
        inputs = {"faces": self.faces[chosen], "targets": targets}
        if self.weights is None:
            return inputs, targets
        return inputs, targets, self.weights[chosen]


class HeldOut(keras.utils.PyDataset):
    """Validation faces in their order, filled up with copies that count nothing.

    Devices take equal parts of each batch; a copy counts neither in the loss nor in the metrics.

    Parameters
    ----------
    faces : numpy.ndarray or OnDisk
        (n, height, width, channels) uint8.
    targets : numpy.ndarray
        (n, k) float32.
    devices : int
        How many share a batch, on all machines together.
    batch_size : int
        This machine's faces in a batch, a multiple of its devices.
    part : (int, int)
        As in `Batches`; here it is every so many-th face.
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
    """Make all that is random in an epoch a function of (seed, epoch).

    Keras keeps the state of each random generator (dropout's, augmentation's) in a
    variable, and saves none of them: a resumed run would draw other numbers than a whole one.
    """
    states = [one for one in model.variables if one.path.endswith("seed_generator_state")]
    for place, state in enumerate(states):
        drawn = np.random.default_rng([seed, epoch, place]).integers(0, 2**32, 2, dtype=np.uint32)
        state.assign(drawn)
