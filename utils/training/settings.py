"""The settings of a training run, each defined once: its range, its default, its help text."""

from __future__ import annotations

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
    """All settings of a training run. Values out of range are refused.

    `fields` lists each field with its type and what it means; ``train.py --help`` prints the same
    text.

    Raises
    ------
    pydantic.ValidationError
        A ``ValueError`` that names each wrong field, what was given, and what was expected.
    """

    model: str = _field("cnn5", "network to train")
    network: dict[str, Any] = Field(
        default_factory=dict,
        description="the network's own settings, where they are not its defaults",
    )
    size: int = _field(64, "side of the faces in pixels; they are resized to it", ge=1, le=1024)
    balance: Literal["smote", "weights", "none"] = _field(
        "none", "what to do about rare classes: SMOTE, class weights, or nothing"
    )
    rotation: float = _field(10.0, "maximum rotation to either side, in degrees", ge=0, le=180)
    zoom: float = _field(0.2, "maximum change in scale, as a fraction", ge=0, lt=1)
    shift: float = _field(0.15, "maximum shift, as a fraction of the side", ge=0, lt=1)
    flip: bool = _field(True, "mirror half of the faces left to right")
    brightness: float = _field(0.0, "maximum change in brightness, as a share of 255", ge=0, le=1)
    contrast: float = _field(0.0, "maximum increase in contrast, as a fraction", ge=0, lt=1)
    erasing: float = _field(0.0, "share of faces that have a rectangle erased", ge=0, le=1)
    mixup: float = _field(0.0, "alpha of MixUp; 0: no MixUp", ge=0)
    cutmix: float = _field(0.0, "alpha of CutMix; 0: no CutMix", ge=0, le=1)
    epochs: int = _field(
        50, "passes over the training faces; 0 leaves the network as initialized", ge=0
    )
    batch_size: int = _field(128, "faces per step", ge=1)
    optimizer: Literal["adamw", "sgd"] = _field(
        "adamw", "adamw: AdamW; sgd: SGD with Nesterov momentum of 0.9"
    )
    learning_rate: float = _field(1e-3, "peak learning rate; it falls to 0 along a cosine", gt=0)
    warmup_epochs: float = _field(
        1.0, "epochs at the start over which the learning rate rises from 0", ge=0
    )
    weight_decay: float = _field(0.05, "decoupled weight decay", ge=0)
    ema_momentum: float = _field(
        0.0, "momentum of the exponential moving average (EMA) of the weights; 0: none", ge=0, lt=1
    )
    label_smoothing: float = _field(
        0.1, "share of each target that is spread over all classes", ge=0, lt=1
    )
    targets: Literal["labels", "votes", "both"] = _field(
        "labels", "what to learn: the labels, the shares of FER+'s votes, or both: their mean"
    )
    teachers: tuple[str, ...] = _field(
        (), "trained networks whose mean prediction is part of each target (distillation)"
    )
    distillation_weight: float = _field(0.9, "the teachers' share of each target", ge=0, le=1)
    test_time_augmentation: Literal[1, 2, 10] = _field(
        1, "views of each validation and test face: 1, as it is; 2, mirrored too; 10, shifted too"
    )
    seed: int = _field(0, "seeds weights, order, augmentation, dropout, and SMOTE", ge=0, lt=2**32)
    precision: Literal["float32", "mixed_bfloat16"] = _field(
        "float32", "what the network computes in; its weights stay float32"
    )
    initial_weights: tuple[str, ...] = _field(
        (), "trained network to start from (transfer learning); for several, their mean weights"
    )
    frozen_epochs: int = _field(0, "epochs at the start in which only the head learns", ge=0)
    fine_tuning_factor: float = _field(0.1, "learning rate factor after the frozen epochs", gt=0)

    @field_validator("initial_weights", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        """Accept a single name, as in records of earlier versions ("": none)."""
        return tuple(filter(None, [value])) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if self.targets != "labels" and self.balance == "smote":
            raise ValueError("SMOTE makes faces that nobody voted on: use balance none or weights")
        if self.mixup and self.cutmix:
            raise ValueError("mixup and cutmix: use one of them, not both")
        if 0 < self.epochs <= self.frozen_epochs:
            raise ValueError("frozen_epochs must be less than epochs")
        models.find_network(self.model)
        return self

    def predecessors(self) -> tuple[str, ...]:
        """Name the networks that initialize or teach this one."""
        return (*self.initial_weights, *self.teachers)

    def without_weights(self) -> dict[str, Any]:
        """Return the network's own settings except the file that its weights are read from."""
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
    found = Settings.__pydantic_fields__
    return {name: (one.annotation, one.description) for name, one in found.items()}


def recipe(model: str, **changes: Any) -> Settings:
    """Return the settings that a network is trained with by default.

    The general defaults, the size in the network's description, and what its entry in
    `models.NETWORKS` changes.

    Parameters
    ----------
    model : str
        A name from `models.NETWORKS`.
    **changes
        Fields of `Settings` to override.

    Raises
    ------
    ModelError
        When there is no network of that name.
    """
    found = models.find_network(model)
    return Settings(**{"model": model, "size": found.size, **found.recipe, **changes})


#: What settings were called in records of earlier versions.
_OLD_NAMES = {
    "warm_up": "warmup_epochs",
    "average": "ema_momentum",
    "taught": "distillation_weight",
    "views": "test_time_augmentation",
    "start": "initial_weights",
    "fine_tuning": "fine_tuning_factor",
}


def settings_from_record(recorded: Mapping[str, Any]) -> Settings:
    """Read the settings of a recorded run, whichever version wrote it.

    Parameters
    ----------
    recorded : mapping
        ``settings`` of a ``run.json``. Names of earlier versions are translated, augmentation that
        had its own object is taken out of it (None: there was none), what did not exist yet gets
        its default, and how faces were fed to the step ("feed"), which does not change results,
        is left out.

    Returns
    -------
    Settings
    """
    values = {_OLD_NAMES.get(name, name): value for name, value in recorded.items()}
    values.pop("feed", None)
    if "augmentation" in values:
        values |= values.pop("augmentation") or NO_AUGMENTATION
    # Records from before there were teachers lack them; names of teachers stay as they are.
    return Settings(**values)
