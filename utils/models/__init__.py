"""The networks, found by name; saving and loading them with their class names."""
# ruff: noqa: F401, I001

from utils.inference import DEFAULT
from utils.models import dlib_face, efficientnet_lite, mobilenet_face, networks  # registers them
from utils.models.files import CARD, Classifier, averaged, find, load, restrict, save, with_dtype
from utils.models.registry import ANCESTORS, NETWORKS, Network, build, find_network
from utils.models.registry import freeze_base, layers_table, network
