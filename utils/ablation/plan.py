"""The recipe that a table is made of, how long it is trained, and with which lines."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from utils import augment, training
from utils.ablation.lines import LINES, RECIPE
from utils.runtime import ModelError

#: Data sets with an official validation split. ExpW has none.
DATA = ("sample", "fer2013", "ferplus")


@dataclass(frozen=True)
class Plan:
    """A recipe, and what is to be removed from it.

    Attributes
    ----------
    base : Settings
        The whole recipe; its seed is not used.
    networks : dict
        Settings of the networks that a line may put in its network's place, by name; those that
        are not named are taken as they are.
    lines : tuple of str
        Out of `LINES`; none means all that are possible. They are kept in `LINES`' order, with
        the whole recipe, which the others are compared with, at their head. Not part of the
        protocol: they may grow.

    Raises
    ------
    ModelError
        For a line that there is not, or that is not possible with this recipe.
    """

    base: training.Settings
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in self.lines:
            self.settings(line)
        chosen = {RECIPE, *(self.lines or filter(self._is_possible, LINES))}
        object.__setattr__(self, "lines", tuple(line for line in LINES if line in chosen))

    def settings(self, line: str, seed: int = 0) -> training.Settings:
        """Return what a line is trained with, for one seed.

        Raises
        ------
        ModelError
            When there is no such line, it is not possible with the recipe's network, or it
            changes nothing: the recipe does not have what it would take away.
        """
        if line not in LINES:
            raise ModelError(f"no line called {line!r}; there are: {', '.join(LINES)}")
        try:
            changes = LINES[line].changes(self.base)
        except ModelError as error:
            raise ModelError(f"line {line!r} is not possible: {error}") from error
        if "model" in changes:
            changes = {**changes, "network": self.networks.get(changes["model"], {})}
        changed = dataclasses.replace(self.base, **changes)
        if changed == self.base and line != RECIPE:
            raise ModelError(f"line {line!r} is not possible: it changes nothing of this recipe")
        return dataclasses.replace(changed, seed=seed)

    def trains(self, line: str) -> bool:
        """Whether a line has a training of its own: another number of views needs none."""
        return line == RECIPE or set(self.changes(line)) != {"views"}

    def changes(self, line: str) -> dict[str, Any]:
        """Return the fields in which a line's settings differ from the recipe's, as JSON."""
        whole, changed = _as_json(self.base), _as_json(self.settings(line))
        return {name: value for name, value in changed.items() if value != whole[name]}

    def as_dict(self) -> dict[str, Any]:
        """Return the whole recipe as JSON holds it, without the seed."""
        return _as_json(self.base)

    def _is_possible(self, line: str) -> bool:
        try:
            self.settings(line)
        except ModelError:
            return False
        return True


def _as_json(settings: training.Settings) -> dict[str, Any]:
    values = json.loads(json.dumps(dataclasses.asdict(settings)))
    del values["seed"]
    return values


def plan_for(
    name: str,
    model: str = "best",
    *,
    network: dict[str, Any] | None = None,
    size: int | None = None,
    epochs: int | None = None,
    lines: tuple[str, ...] = (),
) -> Plan:
    """Return the plan of a data set.

    Parameters
    ----------
    name : str
        A data set's name. "fer2013" and "ferplus" take `training.recipe` for 60 epochs, a fifth
        of its length; "ferplus" learns the votes. "sample" takes networks so small, and 4 epochs
        of so few steps, that the table is made in minutes on two cores: it shows that the
        command works, not what an ingredient gives.
    model : str
        The recipe's network, a name out of `models`.
    network : dict, optional
        That network's own settings, in place of the plan's.
    size : int, optional
        Side of the faces in pixels, likewise.
    epochs : int, optional
        Likewise.
    lines : tuple of str
        As in `Plan`.

    Returns
    -------
    Plan

    Raises
    ------
    ModelError
        When there is no such network, setting or line.
    """
    changes: dict[str, Any] = {"epochs": 60}
    networks: dict[str, dict[str, Any]] = {}
    if name == "ferplus":
        changes |= {"targets": "votes", "balance": "none"}
    if name == "sample":
        changes = {
            "epochs": 4,
            "size": 24,
            "batch_size": 64,
            "warm_up": 1.0,
            "average": 0.9,
            "precision": "float32",
            "augmentation": augment.Augmentation(rotation=5.0, zoom=0.05, shift=0.05),
        }
        networks = {
            "best": {"filters": [8, 16, 32], "convolutions": 1, "dense": [32], "dropout": 0.2},
            "convnext": {"filters": [8, 16, 32], "blocks": [1, 1, 1]},
            "vit": {"width": 32, "depth": 2, "heads": 2},
        }
    asked = {"network": network, "size": size, "epochs": epochs}
    changes |= {"network": networks.get(model, {})}
    changes |= {key: value for key, value in asked.items() if value is not None}
    try:
        return Plan(training.recipe(model, **changes), networks, lines)
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError(str(error)) from error
