"""What may be chosen: the space of a search, and how it becomes settings of a training."""

from __future__ import annotations

import dataclasses
import inspect
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from utils import models, training
from utils.runtime import ModelError
from utils.search.quiet import optuna_package

#: What is searched, in this order everywhere.
SETTINGS = ("learning_rate", "batch_size", "filters", "dropout")


@dataclass(frozen=True)
class Interval:
    """All numbers from ``low`` to ``high``.

    Attributes
    ----------
    low, high : float
        The ends, both included; low < high.
    log : bool
        Whether 0.001 to 0.01 is as long as 0.01 to 0.1; then low is over 0.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ModelError(
                f"an interval goes from low to high, not from {self.low} to {self.high}"
            )
        if self.log and self.low <= 0:
            raise ModelError(f"a logarithmic interval begins over 0, not at {self.low}")

    def points(self, count: int) -> tuple[float, ...]:
        """Return ``count`` (2 or more) numbers from end to end, at equal distances."""
        if count < 2:
            raise ModelError(f"an interval has 2 points or more, not {count}")
        space = np.geomspace if self.log else np.linspace
        return tuple(float(f"{value:.4g}") for value in space(self.low, self.high, count))


@dataclass(frozen=True)
class Space:
    """What may be chosen.

    Attributes
    ----------
    learning_rate : Interval or tuple of float
        Over 0.
    batch_size : tuple of int
        From 1.
    filters : tuple of int
        Filters of the first block, from 1; those of the others keep their proportion to it.
    dropout : Interval or tuple of float
        Behind each convolution, from 0 to below 1.

    An empty tuple leaves a setting as it is.
    """

    learning_rate: Interval | tuple[float, ...] = Interval(3e-4, 1e-2, log=True)
    batch_size: tuple[int, ...] = (32, 64, 128)
    filters: tuple[int, ...] = (8, 16, 32)
    dropout: Interval | tuple[float, ...] = Interval(0.0, 0.5)

    def __post_init__(self) -> None:
        if not self.searched:
            raise ModelError("a search needs a setting to choose: all four are left as they are")
        for name, values in self.searched.items():
            if isinstance(values, Interval):
                if name in ("batch_size", "filters"):
                    raise ModelError(f"{name}: expected whole numbers to choose from, no interval")
                ends = (values.low, values.high)
            else:
                ends = tuple(values)
                object.__setattr__(self, name, ends)
            if len(set(ends)) != len(ends):
                raise ModelError(f"{name}: a value stands twice in {ends}")
            for value in ends:
                _check_value(name, value)

    @property
    def searched(self) -> dict[str, Interval | tuple]:
        """The settings that are not left as they are, in the order of `SETTINGS`."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return {name: one for name, one in values.items() if isinstance(one, Interval) or len(one)}

    def on_grid(self, points: int = 3) -> Space:
        """Return a space of choices only: each interval becomes ``points`` of its numbers."""
        choices = {
            name: values.points(points) if isinstance(values, Interval) else values
            for name, values in self.searched.items()
        }
        return dataclasses.replace(self, **choices)

    def combinations(self) -> list[dict[str, float | int]]:
        """List every combination of the choices, the last setting changing fastest.

        Raises
        ------
        ModelError
            When there is an interval, which has no end of numbers.
        """
        combined: list[dict[str, float | int]] = [{}]
        for name, values in self.searched.items():
            if isinstance(values, Interval):
                raise ModelError(f"{name}: a grid takes values, not an interval (see on_grid)")
            combined = [{**one, name: value} for one in combined for value in values]
        return combined

    def as_dict(self) -> dict[str, Any]:
        """Return the space as JSON can hold it; `from_dict` reads it."""
        return {
            name: dataclasses.asdict(one) if isinstance(one, Interval) else list(one)
            for name, one in ((name, getattr(self, name)) for name in SETTINGS)
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Space:
        """Return the space that `as_dict` described."""
        return cls(
            **{
                name: Interval(**one) if isinstance(one, dict) else tuple(one)
                for name, one in values.items()
            }
        )


def base_settings(model: str, dataset: str, **changes: Any) -> training.Settings:
    """Return the settings of a search for everything that is not searched.

    Parameters
    ----------
    model : str
        The network's name.
    dataset : str
        The data set's: on "sample" there are so few steps that batch normalisation's averages
        have to be shorter, and the faces are not moved.
    **changes
        Fields of `Settings` that are to be others.

    Returns
    -------
    Settings
        Otherwise `training.recipe`'s.

    Raises
    ------
    ModelError
        When there is no network of that name, or a value that no training can have.
    """
    sample: dict[str, Any] = {}
    if dataset == "sample":
        sample = {"augmentation": None, "balance": "none"}
        if "momentum" in inspect.signature(models.find_network(model).build).parameters:
            sample["network"] = {"momentum": 0.9}
    try:
        return training.recipe(model, **{**sample, **changes})
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError(str(error)) from error


def settings_with(settings: training.Settings, chosen: dict[str, float | int]) -> training.Settings:
    """Return the settings with what a trial has chosen.

    Parameters
    ----------
    settings : Settings
        Gives everything else.
    chosen : dict
        Some of `SETTINGS`. ``filters`` is the first block's number; every other block keeps its
        proportion to it, so 16 makes cnn3's 32, 64, 128 into 16, 32, 64.

    Returns
    -------
    Settings

    Raises
    ------
    ModelError
        When the network has no such setting, as vgg16 has no ``filters``.
    """
    chosen = dict(chosen)
    known = inspect.signature(models.find_network(settings.model).build).parameters
    network = dict(settings.network)
    for name in ("filters", "dropout"):
        if name not in chosen:
            continue
        if name not in known:
            raise ModelError(
                f"{settings.model} has no setting called {name}: leave it out of the search"
            )
        value = chosen.pop(name)
        if name == "filters":
            whole = network.get("filters", known["filters"].default)
            value = [max(1, round(count * value / whole[0])) for count in whole]
        network[name] = value
    return dataclasses.replace(settings, network=network, **chosen)


def distributions(space: Space) -> dict[str, Any]:
    """Describe a space to Optuna."""
    optuna = optuna_package()
    return {
        name: optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)
        if isinstance(values, Interval)
        else optuna.distributions.CategoricalDistribution(values)
        for name, values in space.searched.items()
    }


def suggest(trial, name: str, distribution) -> float | int:
    """Let a trial choose a value."""
    if hasattr(distribution, "choices"):
        return trial.suggest_categorical(name, distribution.choices)
    return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)


def first_value(values: Interval | tuple) -> float | int:
    """Return some value of a setting."""
    return values.low if isinstance(values, Interval) else values[0]


def _check_value(name: str, value: Any) -> None:
    """Refuse a value that no training can be given."""
    whole = name in ("batch_size", "filters")
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ModelError(f"{name}: expected {'a whole number' if whole else 'a number'}: {value!r}")
    least, most = {"learning_rate": (0, math.inf), "dropout": (0, 1)}.get(name, (1, math.inf))
    inside = least <= value < most and not (name == "learning_rate" and value == 0)
    if not inside:
        wanted = {"learning_rate": "over 0", "dropout": "from 0 to below 1"}.get(name, "from 1 on")
        raise ModelError(f"{name}: expected a number {wanted}, not {value}")
