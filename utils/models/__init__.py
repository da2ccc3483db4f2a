"""The networks, found by name; saving and loading them with their class names."""

from utils.inference import DEFAULT
from utils.models import dlib_face, networks  # noqa: F401  registers them
from utils.models.files import (
    CARD,
    Classifier,
    find,
    load,
    mirrored,
    released,
    restrict,
    save,
    with_dtype,
)
from utils.models.networks import best, cnn3, cnn4, cnn5, convnext, resnet, resnet8, vgg16, vit
from utils.models.registry import (
    ANCESTORS,
    NETWORKS,
    Network,
    base_layers,
    build,
    find_network,
    freeze_base,
    layers_table,
    network,
    networks_table,
)

__all__ = [
    "ANCESTORS",
    "CARD",
    "DEFAULT",
    "NETWORKS",
    "Classifier",
    "Network",
    "base_layers",
    "best",
    "build",
    "cnn3",
    "cnn4",
    "cnn5",
    "convnext",
    "find",
    "find_network",
    "freeze_base",
    "layers_table",
    "load",
    "mirrored",
    "network",
    "networks_table",
    "released",
    "resnet",
    "resnet8",
    "restrict",
    "save",
    "vgg16",
    "vit",
    "with_dtype",
]
