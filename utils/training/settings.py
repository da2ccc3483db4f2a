"""What a run can be told, and what it is told where nothing else is said."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any

from utils import augment, models

BALANCES = ("smote", "weights", "none")
TARGETS = ("labels", "votes", "both")
VIEWS = (1, 2, 10)
OPTIMIZERS = ("adamw", "sgd")
FEEDS = ("device", "stream", "generator")


@dataclass(frozen=True)
class Settings:
    """Everything that a run can be told.

    Attributes
    ----------
    model : str
        A name out of `models.NETWORKS`.
    network : dict
        That network's own settings, as {"dropout": 0.3}.
    size : int
        Side of the faces in pixels; they are resized to it before balancing.
    balance : {"smote", "weights", "none"}
        What is done about the classes' sizes.
    augmentation : Augmentation or None
        How training faces are moved; None leaves them.
    epochs : int
        Passes over the balanced training set.
    batch_size : int
        Faces a step.
    learning_rate : float
        Its highest value.
    warm_up : float
        Epochs over which it rises from zero; then it falls to zero along a cosine
        (Loshchilov & Hutter 2017).
    weight_decay : float
        Decoupled from the gradient (Loshchilov & Hutter 2019), times the learning rate.
    optimizer : {"adamw", "sgd"}
        AdamW, or SGD with Nesterov's momentum of 0.9.
    average : float
        Share of the past that a running average of the weights keeps at each step; the averaged
        weights are what is validated, saved and tested (Polyak & Juditsky 1992). 0 takes the
        weights as they are.
    label_smoothing : float
        Share of each target (label, votes, what teachers say) that is spread over all classes
        (Szegedy et al. 2016, §7).
    targets : {"labels", "votes", "both"}
        What a training face is to be called: its label; each class by its share of FER+'s votes
        ("cross-entropy loss" in Barsoum et al. 2016, §3); or the mean of the two, for faces
        without a vote the label alone. Validation and test keep labels.
    teachers : tuple of str
        Trained networks that teach this one, as `models.find` takes them, of the same size and
        the same expressions. In each step they are asked about the very faces that it sees, moved
        and mixed (Beyer et al. 2022, Knowledge distillation: a good teacher is patient and
        consistent, §3), and their mean answer is its target.
    taught : float
        Share of the target that is theirs, 0 … 1; the rest is the label. The history's training
        accuracy then counts agreement with the mixed target.
    erasing : float
        Share of the faces out of which a rectangle is erased (Zhong et al. 2020).
    mixup : float
        α of the Beta distribution that mixes two faces (Zhang et al. 2018); 0 mixes none.
    cutmix : float
        α of CutMix, which pastes a rectangle of one face into another (Yun et al. 2019). With
        mixup too, each takes half of the faces.
    views : {1, 2, 10}
        How often each validation and test face is shown at the end, and the answers averaged: as
        it is; mirrored too; moved to four sides as well, each mirrored too (Krizhevsky et al.
        2012, §4.1, crop the moved ones).
    feed : {"device", "stream", "generator"}
        Where the faces come from. "device": the whole training split lies on the device, and is
        moved inside the compiled step. "stream": it stays on disk, each batch is handed over; for
        sets that the device cannot hold, with the same result. "generator": ImageDataGenerator
        moves one face at a time on the processor, the ancestors' way.
    seed : int
        Seeds weights, order, augmentation, dropout and SMOTE.
    precision : {"float32", "mixed_bfloat16"}
        What the network computes in. Weights and recorded probabilities are float32.
    start : str
        A trained network to start from, as `models.find` takes it; "" starts from random
        weights. Its last layer is taken over where it names the same expressions.
    frozen_epochs : int
        For so many epochs at the beginning only the dense layers learn. Then a new optimizer
        trains the whole network, at `fine_tuning` times the learning rate.
    fine_tuning : float
        That factor, over 0.
    """

    model: str = "cnn5"
    network: dict[str, Any] = field(default_factory=dict)
    size: int = 64
    balance: str = "smote"
    augmentation: augment.Augmentation | None = field(default_factory=augment.Augmentation)
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 1e-3
    warm_up: float = 1.0
    weight_decay: float = 0.05
    optimizer: str = "adamw"
    average: float = 0.0
    label_smoothing: float = 0.1
    targets: str = "labels"
    teachers: tuple[str, ...] = ()
    taught: float = 0.9
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    views: int = 1
    feed: str = "device"
    seed: int = 0
    precision: str = "float32"
    start: str = ""
    frozen_epochs: int = 0
    fine_tuning: float = 0.1

    def __post_init__(self) -> None:
        # A record's JSON holds a list.
        object.__setattr__(self, "teachers", tuple(self.teachers))
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{one.name} is a finite number, not {value}")
        if self.balance not in BALANCES:
            raise ValueError(f"balance is one of {', '.join(BALANCES)}, not {self.balance!r}")
        if self.targets not in TARGETS:
            raise ValueError(f"targets is one of {', '.join(TARGETS)}, not {self.targets!r}")
        if self.targets != "labels" and self.balance == "smote":
            raise ValueError("SMOTE makes faces that nobody has voted on: balance none or weights")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer is one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if not 0 <= self.average < 1 or self.views not in VIEWS:
            raise ValueError(
                f"average is 0 … 1, without 1 itself; views is one of {', '.join(map(str, VIEWS))}"
            )
        if self.feed not in FEEDS:
            raise ValueError(f"feed is one of {', '.join(FEEDS)}, not {self.feed!r}")
        if not 0 <= self.taught <= 1:
            raise ValueError(f"taught is a share, 0 … 1, not {self.taught}")
        if not 0 <= self.erasing <= 1 or self.mixup < 0 or self.cutmix < 0:
            raise ValueError("erasing is a share, 0 … 1; mixup and cutmix are 0 or more")
        if self.epochs < 1 or self.batch_size < 1 or self.size < 1:
            raise ValueError("epochs, batch_size and size are at least 1")
        if not 0 <= self.frozen_epochs < self.epochs or self.fine_tuning <= 0:
            raise ValueError("frozen_epochs is less than epochs, and fine_tuning more than 0")


#: What our own networks are trained with: put together from what has been reported to work on
#: FER2013. None of it has been measured here yet.
OUR_RECIPE: dict[str, Any] = {
    "size": 48,
    "balance": "none",
    "augmentation": augment.Augmentation(rotation=10.0, zoom=0.2, shift=0.2),
    "erasing": 0.5,
    "mixup": 0.2,
    "epochs": 300,
    "batch_size": 128,
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "warm_up": 5.0,
    "weight_decay": 5e-4,
    "average": 0.999,
    "views": 10,
    "precision": "mixed_bfloat16",
}


def recipe(model: str, **changes: Any) -> Settings:
    """Return the settings that a network is trained with where nothing else is said.

    `models.CANDIDATES` take `OUR_RECIPE`. All five others share one protocol (notebook 07
    compares them): 50 epochs, batches of 128, AdamW, a cosine, label smoothing, rotation, zoom,
    shift and mirroring. What differs is what their descriptions differ in: the size of the faces,
    and SMOTE for `cnn5`; and the learning rate of `vgg16`, whose thirteen convolutions without
    batch normalisation do not learn at 0.001.

    Parameters
    ----------
    model : str
        A name out of `models.NETWORKS`.
    **changes
        Fields of `Settings` that are to be others.

    Returns
    -------
    Settings

    Raises
    ------
    ModelError
        When there is no network of that name.
    """
    if model in models.CANDIDATES:
        return Settings(**{"model": model, **OUR_RECIPE, **changes})
    values: dict[str, Any] = {
        "model": model,
        "size": models.find_network(model).size,
        "balance": "smote" if model == "cnn5" else "none",
        "augmentation": augment.Augmentation(zoom=0.2, shift=0.15),
        "learning_rate": 2e-4 if model == "vgg16" else 1e-3,
    }
    return Settings(**{**values, **changes})


def complete(settings: dict[str, Any]) -> dict[str, Any]:
    """Fill in what a record does not say because it is older than the setting.

    Parameters
    ----------
    settings : dict
        Out of a record's ``run.json``.

    Returns
    -------
    dict
        With every field of `Settings`. Where the faces came from was not recorded at first; they
        were moved a batch at a time before each step, which no longer exists: "batches".
    """
    own = json.loads(json.dumps(dataclasses.asdict(Settings())))
    return {**own, "feed": "batches", **settings}


def course_settings(name: str) -> Settings:
    """Return the settings that the course trains a data set with.

    Parameters
    ----------
    name : str
        "sample" takes 12 epochs of small batches through a network of half the filters and
        little dropout, about a minute on two cores; real data take the recorded runs' values.
    """
    if name == "sample":
        return Settings(
            network={
                "filters": [16, 32, 64, 128, 256],
                "dense": 256,
                "dropout": 0.05,
                "dense_dropout": 0.2,
                "momentum": 0.9,
            },
            augmentation=augment.Augmentation(rotation=5.0, zoom=0.05, shift=0.05),
            epochs=12,
            batch_size=32,
            learning_rate=2e-3,
        )
    return recipe("cnn5")
