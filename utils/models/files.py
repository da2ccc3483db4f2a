"""Trained networks on disk: saved with their class names, found by name, loaded safely."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils import runtime
from utils.expressions import EXPRESSIONS
from utils.inference import LARGEST_MODEL, require_faces, require_probabilities
from utils.runtime import ModelError

#: The member of a ``.keras`` archive that holds what Keras itself has no place for.
CARD = "expressions.json"

#: This many faces or fewer are predicted in one quick call.
FEW = 32


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

    def predict(self, images: np.ndarray, *, batch_size: int = 256) -> np.ndarray:
        """Return the probability of each expression.

        Parameters
        ----------
        images : numpy.ndarray
            (n, height, width, channels), pixels of 0 … 255 at the network's size.
        batch_size : int
            Faces at a time.

        Returns
        -------
        numpy.ndarray
            (n, expressions) float32, each row summing to 1.

        Raises
        ------
        ModelError
            When the faces do not have the size that the network takes, or its outputs are not
            probabilities.
        """
        require_faces(images, self.input_shape)
        count = len(images)
        if count == 0:
            return np.empty((0, len(self.expressions)), np.float32)
        if count <= FEW:
            # Ten times as fast as `predict` for one face. Each number of faces is compiled
            # separately, so there are few of them: 1, 2, 4, 8 …
            filled = np.resize(images, (1 << (count - 1).bit_length(), *images.shape[1:]))
            answers = np.asarray(self.model.predict_on_batch(filled))[:count]
        else:
            answers = np.asarray(self.model.predict(images, batch_size=batch_size, verbose=0))
        require_probabilities(answers, (count, len(self.expressions)))
        return answers


def restrict(classifier: Classifier, expressions: Sequence[str]) -> Classifier:
    """Restrict a network to some of its expressions; these then share all of the probability.

    Parameters
    ----------
    classifier : Classifier
        Any.
    expressions : sequence of str
        Two or more that it knows, in the order wanted for the output.

    Returns
    -------
    Classifier
        The same network, answering: "if it is one of these, which is it?"
    """
    import keras

    known = classifier.expressions
    if tuple(expressions) == known:
        return classifier
    places = np.array([known.index(name) for name in expressions])
    shares = keras.ops.take(classifier.model.outputs[0], places, axis=1)
    shares = shares / keras.ops.sum(shares, axis=1, keepdims=True)
    return Classifier(keras.Model(classifier.model.inputs[0], shares), tuple(expressions))


def averaged(classifier: Classifier, views: int) -> Classifier:
    """Make a network predict the mean over several views of a face.

    Test-time augmentation inside one network, which can be exported. Ten views are those of
    Krizhevsky et al. (2012, §4.1): the face as it is and moved to the four corners, here by a
    twelfth of its sides, and the mirror image of each.

    Parameters
    ----------
    classifier : Classifier
        Any.
    views : {1, 2, 10}
        One is the network itself; two are the face and its mirror image. Where a move uncovers
        the edge, edge pixels are repeated.

    Returns
    -------
    Classifier
        It takes the same (n, height, width, channels) pixels of 0 … 255, and moves them itself.
    """
    import keras

    if views == 1:
        return classifier
    ops, faces = keras.ops, keras.Input(classifier.input_shape, name="pixels")
    height, width = classifier.input_shape[:2]
    step = max(1, round(min(height, width) / 12))
    shown = [faces]
    for down, across in ((-1, -1), (-1, 1), (1, -1), (1, 1)) if views == 10 else ():
        rows = np.clip(np.arange(height) + step * down, 0, height - 1)
        columns = np.clip(np.arange(width) + step * across, 0, width - 1)
        shown.append(ops.take(ops.take(faces, rows, axis=1), columns, axis=2))
    shown += [ops.flip(one, axis=2) for one in shown]
    answers = classifier.model(ops.concatenate(shown, axis=0))
    mean = ops.mean(ops.reshape(answers, (len(shown), -1, len(classifier.expressions))), axis=0)
    return Classifier(keras.Model(faces, mean, name=classifier.model.name), classifier.expressions)


def save(classifier: Classifier, path: Path | str) -> Path:
    """Save a network with its class names in one ``.keras`` file.

    Weights are stored as float16, which halves the file and changes a probability by about 0.001 at
    most; `load` computes in float32 again.

    Parameters
    ----------
    classifier : Classifier
        What to save.
    path : path
        A file name that ends in ``.keras``.

    Returns
    -------
    pathlib.Path
        The file, complete or not there: it is written next to it, then moved.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Keras insists on the extension, and a half-written file must not have the name.
    part = path.with_name(f".{path.stem}.part.keras")
    with_dtype(classifier.model, "float16").save(part)
    with zipfile.ZipFile(part, "a") as archive:
        archive.writestr(CARD, json.dumps({"expressions": list(classifier.expressions)}))
    runtime.move_into_place(part, path)
    return path


def find(name: Path | str, results: Path | None = None) -> Path:
    """Find a network's file by what a person would call it.

    Parameters
    ----------
    name : str or path
        A ``.keras`` file; the name of a run in ``results/`` or of a released network in
        ``models/`` (a run's own file comes first); or a run's folder.
    results : path, optional
        Where to look for runs before ``results/``.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ModelError
        When there is none; the message lists what there is.
    """
    text = str(name)
    places = [*([results] if results else []), runtime.RESULTS]
    if text.endswith(".keras"):
        if not Path(text).is_file():
            kind = "a folder" if Path(text).is_dir() else "not there"
            raise ModelError(f"{text}: expected a .keras file, but it is {kind}")
        return Path(text)
    for file in (
        Path(text) / "model.keras",
        *(place / text / "model.keras" for place in places),
        runtime.MODELS / f"{text}.keras",
    ):
        if file.is_file():
            return file
    there = ", ".join(sorted(file.stem for file in runtime.MODELS.glob("*.keras"))) or "none"
    kept = ", ".join(
        file.parent.name for place in places for file in sorted(place.glob("*/model.keras"))
    )
    if any((place / text / "run.json").is_file() for place in places):
        raise ModelError(
            f"{text}: that run is recorded, but its network was not kept here; released networks: "
            f"{there}. Train it again, or name a .keras file"
        )
    raise ModelError(
        f"no network is called {text!r}; released: {there}; runs with their network here: "
        f"{kept or 'none'}; or name a .keras file"
    )


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
        When the file is missing, damaged, foreign, or names no expressions; says why.
    """
    import keras

    path = Path(path)
    try:
        expressions = _checked_names(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        taken, given = tuple(model.input_shape), tuple(model.output_shape)
        if len(taken) != 4 or taken[-1] not in (1, 3) or None in taken[1:]:
            raise ValueError(f"takes inputs of shape {taken}, not faces of 1 or 3 channels")
        if given[1:] != (len(expressions),):
            raise ValueError(f"its output has the shape {given}; it names {len(expressions)}")
        return Classifier(with_dtype(model, "float32"), expressions)
    except Exception as error:  # a foreign file makes zipfile, HDF5 and Keras raise anything
        raise ModelError(
            f"{path.name}: cannot be loaded as a network of this project: {error}"
        ) from error


def _checked_names(path: Path) -> tuple[str, ...]:
    """Read the class names; refuse zip bombs, and weights in other files (HDF5 would read any)."""
    import h5py

    def check(group) -> None:
        for name in group:
            linked = not isinstance(group.get(name, getlink=True), h5py.HardLink)
            item = None if linked else group[name]
            if isinstance(item, h5py.Group):
                check(item)
            elif linked or item.external or item.is_virtual:
                raise ValueError(f"its weights are in another file ({name})")

    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST_MODEL:
            raise ValueError(f"it unpacks to {size:,} bytes, over {LARGEST_MODEL:,}")
        with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
            check(file)
        names = json.loads(archive.read(CARD))["expressions"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{CARD} does not hold a list of names")
    return tuple(names)


def with_dtype(model, dtype: str, *, fused: bool = False):
    """Return a copy of a network that stores and computes in another precision.

    Parameters
    ----------
    model : keras.Model
        Any network of Keras's own layers.
    dtype : str
        "float32", "float16", or a mixed policy, in which the last layer and the one that prepares
        colors stay in float32.
    fused : bool
        Whether batch normalization and convolutions are those of `utils.layers`, for training on a
        CPU; otherwise, the copy has Keras's own.

    Returns
    -------
    keras.Model
        Not compiled, with the same weights up to the precision.
    """
    import keras

    from utils.layers import FusedBatchNormalization, WideGradientConv2D

    def same_layer(layer):
        exact = layer is model.layers[-1] or layer.name == "imagenet_colours"
        kind = type(layer)
        for own, quick in (
            (keras.layers.BatchNormalization, FusedBatchNormalization),
            (keras.layers.Conv2D, WideGradientConv2D),
        ):
            if kind in (own, quick):
                kind = quick if fused else own
        policy = "float32" if exact and dtype.startswith("mixed") else dtype
        return kind.from_config({**layer.get_config(), "dtype": policy})

    copy = keras.models.clone_model(model, clone_function=same_layer)
    copy.set_weights(model.get_weights())
    # Keras compiles the copy of a compiled model, and would save its optimizer: triple the size.
    return keras.Model(copy.inputs[0], copy.outputs[0], name=model.name)
