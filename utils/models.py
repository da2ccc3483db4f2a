"""The networks, found by name; saving and loading them with their class names.

Every network takes pixels as a camera gives them (0 … 255, uint8 or float) and scales them
itself, so that a saved model needs no instructions.
"""

from __future__ import annotations

import json
import lzma
import math
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from utils import runtime
from utils.errors import ModelError
from utils.expressions import EXPRESSIONS

#: The member of a ``.keras`` archive that holds what Keras itself has no place for.
CARD = "expressions.json"

#: A released network is a few megabytes; an archive that unpacks to more is not opened.
LARGEST_MODEL = 2**30
LARGEST_CARD = 2**16

#: What `zipfile` raises at an archive that is damaged, encrypted, or packed in an unknown way.
BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    NotImplementedError,
)


def cnn5(
    input_shape: tuple[int, int, int] = (64, 64, 1),
    classes: int = 7,
    *,
    filters: Sequence[int] = (32, 64, 128, 256, 512),
    dropout: float = 0.2,
    dense: int = 1024,
    dense_dropout: float = 0.5,
    momentum: float = 0.99,
    dtype: str | None = None,
):
    """Build the five-convolution network, the course's own.

    Five blocks of convolution, max-pooling, batch normalisation, ReLU and dropout, then one
    dense layer and softmax. Pooling comes before normalisation and ReLU, where the ancestor
    had it last: ReLU and (for a positive scale) normalisation keep the order of the values,
    so the maximum is the same one, and everything behind it handles a quarter of the pixels.
    On two cores that trains 1.4 to 2 times as many faces a second.

    Parameters
    ----------
    input_shape : tuple of int
        Height, width, channels; both sides at least 32.
    classes : int
        How many expressions.
    filters : sequence of int
        Filters of the five convolutions.
    dropout : float
        Share dropped behind each convolution, 0 … 1.
    dense : int
        Units of the dense layer.
    dense_dropout : float
        Share dropped behind it.
    momentum : float
        Of batch normalisation's running averages, which look back over about
        1 / (1 - momentum) steps: a run of few steps needs a lower one.
    dtype : str, optional
        Keras dtype policy, as "mixed_bfloat16"; the softmax stays in float32.

    Returns
    -------
    keras.Model
        (n, height, width, channels) pixels of 0 … 255 in, (n, classes) probabilities out.
    """
    import keras
    from keras import layers

    inputs = keras.Input(input_shape, name="pixels")
    values = layers.Rescaling(1 / 127.5, offset=-1, name="scale", dtype=dtype)(inputs)
    for block, count in enumerate(filters, start=1):
        values = layers.Conv2D(
            count,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"convolution_{block}",
            dtype=dtype,
        )(values)
        values = layers.MaxPooling2D(name=f"pooling_{block}", dtype=dtype)(values)
        values = layers.BatchNormalization(
            momentum=momentum, name=f"normalisation_{block}", dtype=dtype
        )(values)
        values = layers.ReLU(name=f"relu_{block}", dtype=dtype)(values)
        values = layers.Dropout(dropout, name=f"dropout_{block}", dtype=dtype)(values)
    values = layers.Flatten(name="flatten", dtype=dtype)(values)
    values = layers.Dense(
        dense, activation="relu", kernel_initializer="he_normal", name="dense", dtype=dtype
    )(values)
    values = layers.Dropout(dense_dropout, name="dropout_dense", dtype=dtype)(values)
    outputs = layers.Dense(classes, activation="softmax", name="expression", dtype="float32")(
        values
    )
    return keras.Model(inputs, outputs, name="cnn5")


#: Every network that can be asked for by name.
NETWORKS: dict[str, Callable] = {"cnn5": cnn5}


def build(name: str, input_shape: tuple[int, int, int] = (64, 64, 1), classes: int = 7, **settings):
    """Build a network by its name.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    input_shape : tuple of int
        Height, width, channels.
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
        When there is no network of that name; the message lists those there are.
    """
    if name not in NETWORKS:
        raise ModelError(f"no network is called {name!r}; there are: {', '.join(NETWORKS)}")
    return NETWORKS[name](input_shape, classes, **settings)


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


def _multiply_adds(layer) -> int:
    """Count one face's multiply-adds in a layer: each weight once a place it is applied to."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    # A dense layer's kernel is applied once, a convolution's at each pixel of its output.
    places = math.prod(layer.output.shape[1:-1])
    return math.prod(kernel.shape) * places


@dataclass(frozen=True)
class Classifier:
    """A trained network with what is needed to use it.

    Attributes
    ----------
    model : keras.Model
        In float32, pixels of 0 … 255 in, probabilities out.
    expressions : tuple of str
        The names of the outputs, in their order.
    """

    model: object
    expressions: tuple[str, ...] = EXPRESSIONS

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a face that the network takes."""
        return tuple(self.model.input_shape[1:])

    def predict(self, images: np.ndarray, *, batch_size: int = 256, verbose: int = 0) -> np.ndarray:
        """Return the probability of each expression.

        Parameters
        ----------
        images : numpy.ndarray
            (n, height, width, channels), pixels of 0 … 255 at the network's size.
        batch_size : int
            Faces at a time.
        verbose : int
            Keras's: 1 shows a progress bar.

        Returns
        -------
        numpy.ndarray
            (n, expressions) float32, each row summing to 1.

        Raises
        ------
        ModelError
            When the faces have another size than the network takes.
        """
        if images.ndim != 4 or tuple(images.shape[1:]) != self.input_shape:
            raise ModelError(
                f"the network takes faces of shape (n, {', '.join(map(str, self.input_shape))}), "
                f"and was given {images.shape}"
            )
        if len(images) == 0:
            return np.empty((0, len(self.expressions)), np.float32)
        return np.asarray(self.model.predict(images, batch_size=batch_size, verbose=verbose))


def save(classifier: Classifier, path: Path | str, *, dtype: str = "float16") -> Path:
    """Save a network with its class names in one ``.keras`` file.

    Parameters
    ----------
    classifier : Classifier
        What to save.
    path : path
        A file name that ends in ``.keras``.
    dtype : {"float16", "float32"}
        How the weights are stored. float16 halves the file and moves a probability by about
        0.001 at most; `load` computes in float32 either way.

    Returns
    -------
    pathlib.Path
        The file, complete or not there: it is written beside and then moved.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Keras insists on the ending, and a file half written must not bear the name.
    part = path.with_name(f".{path.stem}.part.keras")
    _with_dtype(classifier.model, dtype).save(part)
    with zipfile.ZipFile(part, "a") as archive:
        archive.writestr(CARD, json.dumps({"expressions": list(classifier.expressions)}))
    runtime.move_into_place(part, path)
    return path


def load(path: Path | str) -> Classifier:
    """Load a network that `save` wrote. Nothing in the file is executed (Keras's safe mode).

    Parameters
    ----------
    path : path
        A ``.keras`` file of this project.

    Returns
    -------
    Classifier
        In float32, whatever the file's precision.

    Raises
    ------
    ModelError
        When the file is missing, truncated, foreign, or names no expressions.
    """
    import keras

    path = Path(path)
    expressions = _read_card(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        outputs = model.output_shape[-1]
        exact = _with_dtype(model, "float32")
    except Exception as error:  # a foreign file makes Keras raise anything
        raise ModelError(f"{path.name}: Keras cannot load it: {error}") from error
    if outputs != len(expressions):
        raise ModelError(
            f"{path.name}: {outputs} outputs, but names for {len(expressions)} expressions"
        )
    return Classifier(exact, expressions)


def _read_card(path: Path) -> tuple[str, ...]:
    """Read the class names out of a ``.keras`` file, or say what it is instead."""
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "not there"
        raise ModelError(f"{path.name}: expected a .keras file, and it is {kind}")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > LARGEST_MODEL:
                raise ModelError(f"{path.name}: unpacks to {size:,} bytes, over {LARGEST_MODEL:,}")
            if archive.getinfo(CARD).file_size > LARGEST_CARD:
                raise ModelError(f"{path.name}: {CARD} is larger than {LARGEST_CARD:,} bytes")
            expressions = json.loads(archive.read(CARD))["expressions"]
    except KeyError as error:
        raise ModelError(f"{path.name}: names no expressions: not saved by this project") from error
    except (TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path.name}: {CARD} cannot be read: {error}") from error
    except (*BROKEN_ARCHIVE, OSError, EOFError) as error:
        raise ModelError(f"{path.name}: not a .keras archive, or a damaged one: {error}") from error
    if not isinstance(expressions, list) or not all(isinstance(name, str) for name in expressions):
        raise ModelError(f"{path.name}: {CARD} holds no list of names")
    return tuple(expressions)


def _with_dtype(model, dtype: str):
    """Return a copy of ``model`` that stores and computes in ``dtype``."""
    import keras

    def same_layer(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": dtype})

    copy = keras.models.clone_model(model, clone_function=same_layer)
    copy.set_weights([np.asarray(weight, dtype) for weight in model.get_weights()])
    return copy
