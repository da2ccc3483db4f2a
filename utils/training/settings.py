"""What a training can be told, each setting written down once: its range, its default, its help."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, Literal

import pydantic
from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from utils import models


def _field(default: Any, description: str, **bounds: Any) -> Any:
    return Field(default=default, description=description, **bounds)


@dataclass(frozen=True, config=pydantic.ConfigDict(extra="forbid", allow_inf_nan=False))
class Settings:
    """Everything that a training can be told. Values out of range are refused.

    `fields` lists each field with its type and what it means; ``train.py --help`` prints the same
    words.

    Raises
    ------
    pydantic.ValidationError
        A ``ValueError`` that names each field that is wrong, what was given and what was expected.
    """

    model: str = _field("cnn5", "network to train")
    network: dict[str, Any] = Field(default_factory=dict, description="the network's own settings")
    size: int = _field(64, "side of the faces in pixels; they are resized to it", ge=1, le=1024)
    balance: Literal["smote", "weights", "none"] = _field(
        "none", "what is done about rare classes: SMOTE, class weights, or nothing"
    )
    rotation: float = _field(10.0, "largest rotation to either side, in degrees", ge=0, le=180)
    zoom: float = _field(0.2, "largest change of scale, as a fraction", ge=0, lt=1)
    shift: float = _field(0.15, "largest shift, as a fraction of the side", ge=0, lt=1)
    flip: bool = _field(True, "mirror half of the faces left to right")
    brightness: float = _field(0.0, "largest change of brightness, as a share of 255", ge=0, le=1)
    contrast: float = _field(0.0, "largest increase of contrast, as a share", ge=0, lt=1)
    erasing: float = _field(0.0, "share of the faces that lose a rectangle", ge=0, le=1)
    mixup: float = _field(0.0, "alpha of MixUp; 0 mixes none", ge=0)
    cutmix: float = _field(0.0, "alpha of CutMix; 0 mixes none", ge=0, le=1)
    epochs: int = _field(
        50, "passes over the training faces; 0 leaves the network as it was started", ge=0
    )
    batch_size: int = _field(128, "faces a step", ge=1)
    optimizer: Literal["adamw", "sgd"] = _field(
        "adamw", "AdamW, or SGD with Nesterov momentum of 0.9"
    )
    learning_rate: float = _field(1e-3, "peak learning rate", gt=0)
    warmup_epochs: float = _field(
        1.0, "epochs over which the rate rises from 0; then it falls to 0 along a cosine", ge=0
    )
    weight_decay: float = _field(0.05, "decoupled weight decay", ge=0)
    ema_momentum: float = _field(
        0.0, "momentum of the exponential moving average (EMA) of the weights; 0: none", ge=0, lt=1
    )
    label_smoothing: float = _field(
        0.1, "share of each target that is spread over all classes", ge=0, lt=1
    )
    targets: Literal["labels", "votes", "both"] = _field(
        "labels", "what is learned: labels, the shares of FER+'s votes, or the mean of both"
    )
    teachers: tuple[str, ...] = _field(
        (), "trained networks whose mean answer is a part of each target (distillation)"
    )
    distillation_weight: float = _field(0.9, "share of that part in each target", ge=0, le=1)
    test_time_augmentation: Literal[1, 2, 10] = _field(
        1, "views of each validation and test face at the end: as it is; mirrored too; shifted too"
    )
    seed: int = _field(0, "seeds weights, order, augmentation, dropout and SMOTE", ge=0, lt=2**32)
    precision: Literal["float32", "mixed_bfloat16"] = _field(
        "float32", "what the network computes in; its weights are float32"
    )
    initial_weights: tuple[str, ...] = _field(
        (), "trained network to start from (transfer learning); of several, their mean weights"
    )
    frozen_epochs: int = _field(0, "epochs at the beginning in which only the head learns", ge=0)
    fine_tuning_factor: float = _field(
        0.1, "factor of the learning rate after the frozen epochs", gt=0
    )

    @field_validator("initial_weights", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        """Take a single name, as records of earlier versions have it ("": none)."""
        return tuple(filter(None, [value])) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if self.targets != "labels" and self.balance == "smote":
            raise ValueError("SMOTE makes faces that nobody has voted on: balance none or weights")
        if self.mixup and self.cutmix:
            raise ValueError("mixup and cutmix: one of them, not both")
        if 0 < self.epochs <= self.frozen_epochs:
            raise ValueError("frozen_epochs is less than epochs")
        models.find_network(self.model)
        return self

    def without_weights(self) -> dict[str, Any]:
        """Return the network's own settings but the file that its weights are read from."""
        return {name: value for name, value in self.network.items() if name != "weights"}

    def augmentation(self) -> dict[str, Any]:
        """Return the settings that `augment.layers_before` takes."""
        names = ("rotation", "zoom", "shift", "flip", "brightness", "contrast", "erasing", "seed")
        return {name: getattr(self, name) for name in names}


#: Settings that leave every training face as it is.
NO_AUGMENTATION: dict[str, Any] = {"flip": False} | dict.fromkeys(
    ("rotation", "zoom", "shift", "brightness", "contrast", "erasing", "mixup", "cutmix"), 0.0
)


def fields() -> dict[str, tuple[Any, str]]:
    """Return the type and the help of each setting, in their order."""
    kinds = typing.get_type_hints(Settings)
    return {
        one.name: (kinds[one.name], one.default.description) for one in dataclasses.fields(Settings)
    }


def recipe(model: str, **changes: Any) -> Settings:
    """Return the settings that a network is trained with where nothing else is said.

    The defaults, the size that the network is described with, and what its entry in
    `models.NETWORKS` changes.

    Parameters
    ----------
    model : str
        A name out of `models.NETWORKS`.
    **changes
        Fields of `Settings` that are to be others.

    Raises
    ------
    ModelError
        When there is no network of that name.
    """
    found = models.find_network(model)
    return Settings(**{"model": model, "size": found.size, **found.recipe, **changes})


def course_settings(name: str) -> Settings:
    """Return the settings that the course trains `cnn5` with on a data set.

    Parameters
    ----------
    name : str
        "sample" takes the same network through eight epochs of small batches, one or two minutes
        on two cores: with so few steps batch normalization needs a shorter memory, and the dropout
        of a long training would be in the way. Real data take the recipe.
    """
    if name != "sample":
        return recipe("cnn5")
    return recipe(
        "cnn5",
        network={"momentum": 0.9, "dropout": 0.1, "dense_dropout": 0.3},
        rotation=5.0,
        zoom=0.05,
        shift=0.05,
        epochs=8,
        batch_size=32,
        learning_rate=2e-3,
    )


#: What settings are called in records of earlier versions.
_OLD_NAMES = {
    "warm_up": "warmup_epochs",
    "average": "ema_momentum",
    "taught": "distillation_weight",
    "views": "test_time_augmentation",
    "start": "initial_weights",
    "fine_tuning": "fine_tuning_factor",
}


def settings_from_record(recorded: Mapping[str, Any]) -> Settings:
    """Read the settings of a recorded run, whatever version wrote it.

    Parameters
    ----------
    recorded : mapping
        ``settings`` of a ``run.json``. Names of earlier versions are translated, augmentation that
        lay in an object of its own is taken out of it (None: there was none), what did not exist
        yet takes its default, and how faces were fed to the step ("feed"), which changes no
        result, is left out.

    Returns
    -------
    Settings
    """
    values = {_OLD_NAMES.get(name, name): value for name, value in recorded.items()}
    values.pop("feed", None)
    if "augmentation" in values:
        values |= values.pop("augmentation") or NO_AUGMENTATION
    # Teachers came later than the records without them; their names stay as they were.
    return Settings(**values)
