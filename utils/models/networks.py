"""Networks found by name, and what each costs.

Every network takes pixels as a camera gives them (0 … 255, uint8 or float) and prepares them
itself, so that a saved model needs no instructions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from utils.models.ancestors import cnn3, cnn4, cnn5, resnet, vgg16
from utils.models.candidates import best, convnext, vit
from utils.runtime import ModelError


@dataclass(frozen=True)
class Network:
    """A network that can be asked for by name.

    Attributes
    ----------
    build : callable
        The function above.
    size : int
        Side in pixels of the faces that it is described with.
    source : str
        Whose it is.
    """

    build: Callable
    size: int
    source: str


#: The five of the course.
NETWORKS: dict[str, Network] = {
    "cnn3": Network(cnn3, 48, "a course project: three convolutions, tuned on a validation set"),
    "cnn4": Network(cnn4, 48, "a course project: four convolutions, three dense layers"),
    "cnn5": Network(cnn5, 64, "a course project: faces cropped to 64×64, SMOTE, augmentation"),
    "vgg16": Network(vgg16, 48, "Simonyan & Zisserman 2015, with a head of its own"),
    "resnet": Network(resnet, 48, "He et al. 2016, ResNet-18 with a small stem"),
}

#: Networks of our own, with which the course tries to get further.
CANDIDATES: dict[str, Network] = {
    "best": Network(
        best, 48, "VGG-like: eight convolutions (Khaireddin & Chen 2021), smaller head"
    ),
    "convnext": Network(convnext, 48, "Liu et al. 2022, small, for faces of 48 pixels"),
    "vit": Network(vit, 48, "Dosovitskiy et al. 2021, small, patches of 6 pixels"),
}


def build(
    name: str,
    input_shape: tuple[int, int, int] | None = None,
    classes: int = 7,
    **settings,
):
    """Build a network by its name.

    Parameters
    ----------
    name : str
        One of `NETWORKS` or `CANDIDATES`.
    input_shape : tuple of int, optional
        Height, width, channels; by default gray faces of the network's own size.
    classes : int
        How many expressions.
    **settings
        The network's own settings, as its function names them.

    Returns
    -------
    keras.Model
        Not compiled.

    Raises
    ------
    ModelError
        When there is no network of that name (the message lists those there are), it has no
        such setting, or cannot be built with it.
    """
    network = find_network(name)
    shape = input_shape or (network.size, network.size, 1)
    try:
        return network.build(shape, classes, **settings)
    except (TypeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{name} cannot be built so: {error}") from error


def find_network(name: str) -> Network:
    """Return an entry of `NETWORKS` or `CANDIDATES`; a `ModelError` lists the names there are."""
    known = {**NETWORKS, **CANDIDATES}
    if name not in known:
        raise ModelError(f"no network is called {name!r}; there are: {', '.join(known)}")
    return known[name]


def layers_table(model) -> pd.DataFrame:
    """List a network's layers with what each costs, computed from the layers themselves.

    Parameters
    ----------
    model : keras.Model
        Any network of convolutions and dense layers.

    Returns
    -------
    pandas.DataFrame
        A row a layer, index "layer"; columns "kind", "output" (shape without the batch),
        "parameters", and "multiply_adds" for one face: those of convolutions and dense layers,
        beside which the others' are nothing.
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


def networks_table(names: Sequence[str] = tuple(NETWORKS), classes: int = 7) -> pd.DataFrame:
    """Compare networks, each built at its own size.

    Parameters
    ----------
    names : sequence of str
        Which; by default the five of the course.
    classes : int
        How many expressions.

    Returns
    -------
    pandas.DataFrame
        A row a network, index "network"; columns "input", "convolutions", "dense_layers",
        "parameters", "multiply_adds" (for one face).
    """
    rows = []
    for name in names:
        model = build(name, classes=classes)
        layers = layers_table(model)
        rows.append(
            {
                "network": name,
                "input": "×".join(map(str, model.input_shape[1:])),
                # What only prepares the pixels (vgg16's colours) is not counted as a layer.
                "convolutions": sum(
                    layer.trainable and type(layer).__name__ == "Conv2D" for layer in model.layers
                ),
                "dense_layers": int((layers["kind"] == "Dense").sum()),
                "parameters": int(layers["parameters"].sum()),
                "multiply_adds": int(layers["multiply_adds"].sum()),
            }
        )
    return pd.DataFrame(rows).set_index("network")


def base_layers(model) -> list:
    """Return the layers before the first dense one: what transfer learning freezes at first.

    Layers that only prepare pixels and are never trained are left out.
    """
    found = []
    for layer in model.layers:
        if type(layer).__name__ == "Dense":
            break
        if layer.weights and layer.name != "imagenet_colours":
            found.append(layer)
    return found


def freeze_base(model, frozen: bool) -> None:
    """Freeze a network's layers before its first dense one, or let them learn again.

    A frozen batch normalisation uses its running averages and leaves them as they are. Compile
    the model afterwards.
    """
    for layer in base_layers(model):
        layer.trainable = not frozen


def _multiply_adds(layer) -> int:
    """Count one face's multiply-adds in a layer: each weight once a place it is applied to."""
    if type(layer).__name__ == "MultiHeadAttention":
        # Its four projections, and two products of all tokens with all tokens.
        tokens, width = layer.output.shape[1:]
        kernels = sum(math.prod(weight.shape) for weight in layer.weights if weight.ndim == 3)
        return tokens * kernels + 2 * tokens**2 * width
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # A dense layer's kernel is applied once, a convolution's at each pixel of its output.
    places = math.prod(layer.output.shape[1:-1])
    return math.prod(kernel.shape) * places
