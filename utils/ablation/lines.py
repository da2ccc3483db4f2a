"""The lines of the table: what is removed from the recipe, or put in an ingredient's place."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from utils import models
from utils.runtime import ModelError
from utils.training import Settings

#: The line that the others are compared with.
RECIPE = "recipe"

#: AdamW takes a rate of its own, because its steps do not grow with the gradient (Kingma & Ba 2015,
#: §2.1), and with it a decay of its own, because Keras multiplies the two.
ADAMW: dict[str, Any] = {"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.05}


@dataclass(frozen=True)
class Line:
    """One change to the recipe.

    Attributes
    ----------
    name : str
    title : str
        In plain English.
    changes : callable
        Takes the recipe's settings and returns the fields that are to be others; a `ModelError`
        where the recipe's network has no such setting.
    """

    name: str
    title: str
    changes: Callable[[Settings], dict[str, Any]]


def _moves(base: Settings, **changed: Any) -> dict[str, Any]:
    if base.augmentation is None:
        return {}
    return {"augmentation": dataclasses.replace(base.augmentation, **changed)}


def _own_setting(base: Settings, name: str) -> Any:
    """Return a setting of the recipe's network: the one given, or what it has by default."""
    known = inspect.signature(models.find_network(base.model).build).parameters
    if name not in known:
        raise ModelError(f"{base.model} has no setting called {name}")
    return base.network.get(name, known[name].default)


def _half_filters(base: Settings) -> dict[str, Any]:
    halved = [max(1, count // 2) for count in _own_setting(base, "filters")]
    return {"network": {**base.network, "filters": halved}}


def _no_dropout(base: Settings) -> dict[str, Any]:
    _own_setting(base, "dropout")
    return {"network": {**base.network, "dropout": 0.0}}


def _network(base: Settings, name: str) -> dict[str, Any]:
    return {} if base.model == name else {"model": name, **ADAMW}


#: In the order in which they are trained. "one_view" comes while the recipe's network is at hand.
#: CutMix's α is its authors' 1 (Yun et al. 2019, §3.1). The last two networks were published with
#: AdamW, and are trained with it here: "adamw" is the line to hold them against.
LINES: dict[str, Line] = {
    line.name: line
    for line in (
        Line(RECIPE, "the whole recipe", lambda base: {}),
        Line("one_view", "one view of each face at the end", lambda base: {"views": 1}),
        Line(
            "no_moves",
            "no rotation, zoom or shift",
            lambda base: _moves(base, rotation=0.0, zoom=0.0, shift=0.0),
        ),
        Line("no_mirroring", "no mirroring", lambda base: _moves(base, flip=False)),
        Line("no_erasing", "no erasing", lambda base: {"erasing": 0.0}),
        Line("no_mixup", "no mixup", lambda base: {"mixup": 0.0}),
        Line("cutmix", "CutMix in place of mixup", lambda base: {"mixup": 0.0, "cutmix": 1.0}),
        Line("no_smoothing", "no label smoothing", lambda base: {"label_smoothing": 0.0}),
        Line("labels", "labels in place of votes", lambda base: {"targets": "labels"}),
        Line("no_average", "no averaged weights", lambda base: {"average": 0.0}),
        Line("no_warm_up", "no warm-up", lambda base: {"warm_up": 0.0}),
        Line("no_decay", "no weight decay", lambda base: {"weight_decay": 0.0}),
        Line("no_dropout", "no dropout", _no_dropout),
        Line("adamw", "AdamW, rate 0.001, decay 0.05", lambda base: ADAMW),
        Line("half_filters", "half the filters", _half_filters),
        Line("size_64", "faces of 64 pixels", lambda base: {"size": 64}),
        Line("convnext", "a small ConvNeXt, AdamW", lambda base: _network(base, "convnext")),
        Line("vit", "a small vision transformer, AdamW", lambda base: _network(base, "vit")),
    )
}
