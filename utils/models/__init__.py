"""The networks, found by name; saving and loading them with their class names.

`ancestors` are the course's five, `candidates` our own; `networks` finds them by name, `files`
keeps the trained ones.
"""

from utils.models.ancestors import cnn3, cnn4, cnn5, resnet, vgg16
from utils.models.candidates import best, convnext, vit
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
    CANDIDATES,
    NETWORKS,
    Network,
    base_layers,
    build,
    find_network,
    freeze_base,
    layers_table,
    networks_table,
)

__all__ = [
    "CANDIDATES",
    "CARD",
    "DEFAULT",
    "LARGEST_MODEL",
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
    "networks_table",
    "released",
    "resnet",
    "save",
    "vgg16",
    "vit",
    "with_dtype",
    "without",
]
