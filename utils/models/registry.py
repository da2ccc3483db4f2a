"""Networks found by name: all it takes to add one is a decorated function.

Every network takes pixels as a camera gives them (0 … 255, uint8 or float) and preprocesses them
itself, so that a saved model needs no instructions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from utils.runtime import ModelError

#: The five projects that this course descends from; the other networks are our own.
ANCESTORS = ("cnn3", "cnn4", "cnn5", "vgg16", "resnet")


@dataclass(frozen=True)
class Network:
    """A network that can be asked for by name.

    Attributes
    ----------
    build : callable
        (input_shape, classes, **settings) to a float32 `keras.Model`.
    size : int
        Side, in pixels, of the faces in its description.
    recipe : mapping
        The training settings that differ from the defaults of `training.Settings`.
    """

    build: Callable
    size: int
    recipe: Mapping[str, Any] = field(default_factory=dict)


NETWORKS: dict[str, Network] = {}


def network(*, size: int, recipe: Mapping[str, Any] | None = None) -> Callable:
    """Register a function that builds a network, under its own name (see `Network`)."""

    def register(build: Callable) -> Callable:
        NETWORKS[build.__name__] = Network(build, size, recipe or {})
        return build

    return register


def find_network(name: str) -> Network:
    """Return an entry of `NETWORKS`; for an unknown name, a `ModelError` lists those there are."""
    if name not in NETWORKS:
        raise ModelError(f"no network is called {name!r}; there are: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def build(
    name: str,
    input_shape: tuple[int, int, int] | None = None,
    classes: int = 7,
    **settings: Any,
):
    """Build a network by its name.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    input_shape : tuple of int, optional
        Height, width, channels; by default gray faces of the network's own size.
    classes : int
        How many expressions.
    **settings
        The network's own settings, as its function names them.

    Returns
    -------
    keras.Model
        (n, height, width, channels) pixels of 0 … 255 in, (n, classes) probabilities out; not
        compiled.

    Raises
    ------
    ModelError
        When there is no network of that name, it has no such setting, or cannot be built this way.
    """
    found = find_network(name)
    shape = input_shape or (found.size, found.size, 1)
    try:
        return found.build(shape, classes, **settings)
    except ModelError:
        raise
    except Exception as error:  # a download raises a bare Exception, a foreign file anything
        how = settings or "its defaults"
        raise ModelError(f"{name} cannot be built with {how}: {error}") from error


def layers_table(model) -> pd.DataFrame:
    """List a network's layers and their costs, computed from the layers themselves.

    Parameters
    ----------
    model : keras.Model
        Any network of convolutions and dense layers.

    Returns
    -------
    pandas.DataFrame
        One row per layer, index "layer"; columns "kind", "output" (shape without the batch),
        "parameters", and "multiply_adds" for one face: those of convolutions and dense layers,
        next to which the others' are negligible.
    """
    rows = [
        {
            "layer": layer.name,
            "kind": type(layer).__name__,
            "output": "×".join(str(side) for side in layer.output.shape[1:]),
            "parameters": layer.count_params(),
            "multiply_adds": _multiply_adds(layer),
        }
        for layer in model.layers
    ]
    return pd.DataFrame(rows).set_index("layer")


def freeze_base(model, frozen: bool) -> None:
    """Freeze a network's base, or let it learn again; compile afterward.

    The base is everything up to the last flattening or global pooling; layers that only preprocess
    pixels are never trained. A frozen batch normalization leaves its running averages as they are.
    """
    kinds = [type(layer).__name__ for layer in model.layers]
    ends = [at for at, kind in enumerate(kinds) if kind.startswith(("Flatten", "Global"))]
    for layer in model.layers[: ends[-1]] if ends else []:
        if layer.weights and layer.name != "imagenet_colours":
            layer.trainable = not frozen


def _multiply_adds(layer) -> int:
    """Count one face's multiply-adds in a layer: each weight once per place it is applied to."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # A dense layer's kernel is applied once, a convolution's at each pixel of its output.
    return math.prod(kernel.shape) * math.prod(layer.output.shape[1:-1])
