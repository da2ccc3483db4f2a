"""The networks, found by name; saving and loading them with their class names.

`networks` builds them, `files` keeps the trained ones.
"""

from utils.models.files import (
    CARD,
    DEFAULT,
    LARGEST_MODEL,
    Classifier,
    find,
    load,
    released,
    save,
    with_dtype,
    without,
)
from utils.models.networks import (
    NETWORKS,
    Network,
    base_layers,
    build,
    cnn3,
    cnn4,
    cnn5,
    find_network,
    freeze_base,
    layers_table,
    networks_table,
    resnet,
    vgg16,
)

__all__ = [
    "CARD",
    "DEFAULT",
    "LARGEST_MODEL",
    "NETWORKS",
    "Classifier",
    "Network",
    "base_layers",
    "build",
    "cnn3",
    "cnn4",
    "cnn5",
    "find",
    "find_network",
    "freeze_base",
    "layers_table",
    "load",
    "networks_table",
    "released",
    "resnet",
    "save",
    "vgg16",
    "with_dtype",
    "without",
]
