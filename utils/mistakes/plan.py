"""The one protocol that every variant is trained by."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from utils import augment, training

#: What is trained on a data set with an official split.
_OFFICIAL = (
    "honest",
    "resplit",
    "smote_first",
    "smote_after",
    "augmented_first",
    "augmented_after",
    "five_classes",
    "four_classes",
    "combined",
)
#: What is trained on faces out of photos, whose split is drawn anew for each seed.
_PHOTOS = ("by_photo", "by_face")


@dataclass(frozen=True)
class Plan:
    """A small network and its training, the same for every variant.

    An "epoch" is a number of gradient steps, not a pass: a variant with more training rows is
    not trained for longer.

    Attributes
    ----------
    model : str
        A name out of `models.NETWORKS`.
    network : dict
        That network's own settings.
    size : int
        Side of the faces in pixels.
    epochs : int
        How often validation and test are asked.
    steps : int
        Gradient steps between two askings.
    batch_size : int
        Faces a step.
    learning_rate, warm_up, weight_decay
        As in `training.Settings`.
    precision : {"float32", "mixed_bfloat16"}
        What the network computes in.
    versions : int
        Where pictures are augmented before the split: versions of each, itself among them.
    moves : Augmentation
        How far those are moved.
    variants : tuple of str
        What to train, out of `pools.VARIANTS`. Not part of the protocol: it may grow.
    """

    model: str = "cnn3"
    network: dict[str, Any] = field(
        default_factory=lambda: {"filters": [16, 32, 64], "dense": 512, "momentum": 0.9}
    )
    size: int = 32
    epochs: int = 16
    steps: int = 200
    batch_size: int = 128
    learning_rate: float = 1e-3
    warm_up: float = 1.0
    weight_decay: float = 0.0
    precision: str = "float32"
    versions: int = 3
    moves: augment.Augmentation = field(default_factory=augment.Augmentation)
    variants: tuple[str, ...] = _OFFICIAL

    def __post_init__(self) -> None:
        if min(self.epochs, self.steps, self.batch_size, self.size) < 1 or self.versions < 2:
            raise ValueError(
                "epochs, steps, batch_size and size are at least 1, and versions at least 2"
            )

    def settings(self, seed: int) -> training.Settings:
        """Return the part of the protocol that `training` knows, for one seed.

        No augmentation while training and no label smoothing: what a network keeps of a picture
        that it has seen is to be measured, and both make it keep less.
        """
        return training.Settings(
            model=self.model,
            network=self.network,
            size=self.size,
            balance="none",
            augmentation=None,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            warm_up=self.warm_up,
            weight_decay=self.weight_decay,
            label_smoothing=0.0,
            seed=seed,
            precision=self.precision,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the protocol as JSON holds it, without the list of variants."""
        values = dataclasses.asdict(self)
        del values["variants"]
        return json.loads(json.dumps(values))


def plan_for(name: str) -> Plan:
    """Return the plan of a data set.

    Parameters
    ----------
    name : str
        A data set's name. "sample" takes a very small network, few steps and no "four_classes",
        so that all with three seeds are a minute's work on two cores; "expw", which has no
        official split, compares splits by photo and by face.

    Returns
    -------
    Plan
        For any other name the one that FER2013's recorded table was made with.
    """
    if name == "sample":
        return Plan(
            network={"filters": [8, 16, 32], "dense": 128, "momentum": 0.9},
            epochs=6,
            steps=50,
            batch_size=64,
            learning_rate=2e-3,
            versions=2,
            moves=augment.Augmentation(rotation=5.0, zoom=0.05, shift=0.05),
            variants=tuple(name for name in _OFFICIAL if name != "four_classes"),
        )
    if name == "expw":
        return Plan(epochs=12, steps=30, batch_size=64, variants=_PHOTOS)
    return Plan(precision="mixed_bfloat16")
