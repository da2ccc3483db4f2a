"""A released network without Keras: an ONNX file, run by ONNX Runtime.

``python -m utils.export NAME`` writes such a file; its input size, class names, and accuracy are
in the file's metadata. Nothing here imports TensorFlow, so a program that only uses the
network starts in a second.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from utils import runtime
from utils.runtime import ModelError

#: The released network that is used when none is named.
DEFAULT = "resnet8-fer2013-soup"
#: Largest file that is opened, in bytes; a released network has a few megabytes.
LARGEST_MODEL = 2**30
#: Faces per call: this limits memory, and more are no faster.
BATCH = 64


@dataclass(frozen=True)
class Classifier:
    """A network in an ONNX session, used like `models.Classifier`.

    Attributes
    ----------
    session : onnxruntime.InferenceSession
        Pixels of 0 … 255 in, probabilities out.
    expressions : tuple of str
        The names of the outputs, in their order.
    metadata : dict
        What `utils.export` wrote next to the weights: name, license, size, channels, expressions,
        and as "accuracy" what `photos.describe` says of the network.
    """

    session: Any = field(repr=False)
    expressions: tuple[str, ...]
    metadata: dict[str, Any]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a face that the network takes."""
        return tuple(self.session.get_inputs()[0].shape[1:])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the probability of each expression.

        Parameters
        ----------
        images : numpy.ndarray
            (n, height, width, channels), pixels of 0 … 255 at the network's size.

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
        shape = self.input_shape
        require_faces(images, shape)
        name = self.session.get_inputs()[0].name
        answers = [np.empty((0, len(self.expressions)), np.float32)]
        for start in range(0, len(images), BATCH):
            some = np.ascontiguousarray(images[start : start + BATCH], np.float32)
            answers.append(self.session.run(None, {name: some})[0])
        found = np.concatenate(answers)
        require_probabilities(found, (len(images), len(self.expressions)))
        return found


def require_faces(images: np.ndarray, shape: tuple[int, int, int]) -> None:
    """Refuse faces that are not an (n, height, width, channels) array of the given ``shape``."""
    if images.ndim != 4 or tuple(images.shape[1:]) != shape:
        raise ModelError(
            f"the network takes faces of shape (n, {', '.join(map(str, shape))}), "
            f"but got {images.shape}"
        )


def require_probabilities(answers: np.ndarray, shape: tuple[int, int]) -> None:
    """Refuse outputs that have another shape, are not numbers, or do not sum to one."""
    found = ""
    if answers.shape != shape:
        found = f"an array of shape {answers.shape}"
    elif not np.isfinite(answers).all():
        broken = int((~np.isfinite(answers)).any(axis=1).sum())
        found = f"{broken:,} of {shape[0]:,} with NaN or infinity"
    elif shape[0] and (answers.min() < -1e-3 or np.abs(answers.sum(axis=1) - 1).max() > 1e-2):
        worst = float(answers.sum(axis=1)[np.abs(answers.sum(axis=1) - 1).argmax()])
        found = (
            f"values of {answers.min():.3g} … {answers.max():.3g}, a row that sums to {worst:.3g}"
        )
    if found:
        raise ModelError(
            f"the network's outputs are not probabilities: found {found}; expected "
            f"{shape[1]} numbers from 0 to 1 for each face that sum to 1"
        )


def session(path: Path, threads: int = 0) -> Any:
    """Open an ONNX file.

    Parameters
    ----------
    path : Path
        The file; one that keeps weights in other files is refused.
    threads : int
        How many may work on one call; 0 leaves it to ONNX Runtime: one per core.

    Returns
    -------
    onnxruntime.InferenceSession
        On the CPU.

    Raises
    ------
    ModelError
        When the file is missing, not ONNX, damaged, or huge.
    """
    import onnxruntime

    if not path.is_file():
        kind = "a folder" if path.is_dir() else "not there"
        raise ModelError(f"{path.name}: expected an .onnx file, but it is {kind}")
    if path.stat().st_size > LARGEST_MODEL:
        raise ModelError(f"{path.name}: {path.stat().st_size:,} bytes, over {LARGEST_MODEL:,}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised; the rest is of no use to anyone
    # Two sessions take turns here: threads that busy-wait for one slow the other down.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights in other files would be looked for in whatever folder this was started in.
    folder = "session.model_external_initializers_file_folder_path"
    options.add_session_config_entry(folder, os.devnull)
    try:
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # a foreign file makes ONNX Runtime raise a dozen kinds
        what = " ".join(str(error).split())[:300]
        raise ModelError(f"{path.name}: ONNX Runtime cannot load it: {what}") from error


def load(path: Path | str | None = None, *, threads: int = 0) -> Classifier:
    """Load a network that `utils.export` wrote.

    Parameters
    ----------
    path : path, optional
        An ``.onnx`` file; by default the released network `DEFAULT` in ``models/``.
    threads : int
        As `session` takes it.

    Returns
    -------
    Classifier
        Computing in float32.

    Raises
    ------
    ModelError
        When the file is missing, damaged, or was not written by this project.
    """
    path = Path(path) if path else runtime.MODELS / f"{DEFAULT}.onnx"
    opened = session(path, threads)
    try:
        written = opened.get_modelmeta().custom_metadata_map
        in_json = ("expressions", "size", "channels", "accuracy")  # the others are plain text
        metadata = dict(written) | {key: json.loads(written[key]) for key in in_json}
        expressions = tuple(map(str, metadata["expressions"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path.name}: its metadata names no expressions: not exported by this project"
        ) from error
    return Classifier(opened, expressions, metadata)
