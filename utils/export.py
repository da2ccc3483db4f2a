"""Export a trained network for use without Keras: ONNX, and LiteRT for small devices.

    python -m utils.export NETWORK            # models/NETWORK.onnx, -float16.tflite, -int8.tflite
    python -m utils.export NETWORK --record   # and measure them: replaces the record of exports

Weights are stored as float16, as in the ``.keras`` file; computing is in float32. int8 is
calibrated on training faces: it is written only if FER2013 is in data/raw.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from utils import datasets, inference, models, photos, records, runtime, training
from utils.runtime import ModelError

#: Training faces that set int8's ranges.
CALIBRATION = 512


def to_onnx(classifier: models.Classifier, path: Path, about: dict[str, Any]) -> Path:
    """Write a network as ONNX that `inference.load` reads.

    Parameters
    ----------
    classifier : models.Classifier
        As `models.load` returns it.
    path : Path
        The new file.
    about : dict
        What `photos.describe` says of the network: its metadata.

    Returns
    -------
    Path
        ``path``: "faces" (n, height, width, channels) float32 of 0 … 255 in, "probabilities"
        (n, k) float32 out.

    Raises
    ------
    ModelError
        When Keras runs on a backend other than TensorFlow.
    """
    import keras
    import onnx

    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"Keras exports ONNX from TensorFlow, but runs on {keras.backend.backend()}"
        )
    height, width, channels = classifier.input_shape
    classifier.model(np.zeros((1, height, width, channels), np.float32))  # or there is no graph
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        file = Path(folder) / "network.onnx"
        classifier.model.export(file, format="onnx", verbose=False)
        model = onnx.load(file)
    graph = model.graph
    (taken,), (given,) = graph.input, graph.output
    names = {taken.name: "faces", given.name: "probabilities"}
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names.get(name, name) for name in ends]
    taken.name, given.name = names.values()
    for end, sides in ((taken, [height, width, channels]), (given, [len(classifier.expressions)])):
        first, *others = end.type.tensor_type.shape.dim
        first.dim_param = "n"
        for dimension, side in zip(others, sides, strict=True):
            dimension.dim_value = side
    _halve(graph)
    properties = {
        "name": about["name"],
        "license": "MIT",
        "expressions": json.dumps(classifier.expressions),
        "size": json.dumps([height, width]),
        "channels": json.dumps(channels),
        "accuracy": json.dumps(about),
    }
    onnx.helper.set_model_props(model, properties)
    model.producer_name, model.doc_string = "facial-expression-classification", ""
    onnx.checker.check_model(model)
    runtime.write_atomically(path, model.SerializeToString())
    return path


def _halve(graph: Any) -> None:
    """Store weights as float16, rounding what TensorFlow merged; ONNX Runtime widens them."""
    import onnx

    casts = []
    for weights in graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype != np.float32 or values.size < 256:
            continue
        with np.errstate(over="ignore"):
            name, half = weights.name, values.astype(np.float16)
        if not np.isfinite(half).all():  # float16 ends at 65,504
            continue
        weights.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}/float16"))
        casts.append(
            onnx.helper.make_node("Cast", [weights.name], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def to_litert(
    classifier: models.Classifier, path: Path, *, calibration: np.ndarray | None = None
) -> Path:
    """Write a network for LiteRT (TensorFlow Lite), float32 of 0 … 255 in, probabilities out.

    Parameters
    ----------
    classifier : models.Classifier
        On TensorFlow.
    path : Path
        The new file.
    calibration : (n, height, width, channels) uint8 array, optional
        Training faces: weights and arithmetic become int8, in the ranges that these faces need.
        Without them, weights are stored as float16.

    Returns
    -------
    Path
        ``path``.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(classifier.model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if calibration is None:
        converter.target_spec.supported_types = [tf.float16]
    else:
        converter.representative_dataset = lambda: (
            [face[None].astype(np.float32)] for face in calibration
        )
    with _quiet():
        content = converter.convert()
    runtime.write_atomically(path, content)
    return path


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what converters print about their own work."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def litert(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Open a LiteRT file; return a function from (n, h, w, c) pixels to (n, k) probabilities."""
    import tensorflow as tf

    with _quiet():  # TensorFlow announces that LiteRT will get its own package
        interpreter = tf.lite.Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def answer(images: np.ndarray) -> np.ndarray:
        found = []
        for face in images:
            interpreter.set_tensor(taken["index"], face[None].astype(np.float32))
            interpreter.invoke()
            found.append(interpreter.get_tensor(given["index"])[0])
        return np.array(found, np.float32)

    return answer


def measure(
    files: Sequence[Path], classifier: models.Classifier, images: np.ndarray, labels: np.ndarray
) -> dict[str, Any]:
    """Compare exported files with the network that they came from.

    Parameters
    ----------
    files : sequence of Path
        ``.onnx`` and ``.tflite``.
    classifier : models.Classifier
        The network in Keras.
    images, labels : (n, height, width, channels) uint8 and (n,) arrays
        Test faces.

    Returns
    -------
    dict
        By file name, "keras" first: "bytes" (not Keras's), "accuracy" (0 … 1), "difference" (the
        largest between a probability and Keras's), "changed" (faces with another prediction),
        "milliseconds" (median for one face per call, on one thread; not Keras's).
    """
    exact = classifier.predict(images)
    ways = {
        file.name: litert(file)
        if file.suffix == ".tflite"
        else inference.load(file, threads=1).predict
        for file in files
    }
    found = {"keras": {"accuracy": float((exact.argmax(axis=1) == labels).mean())}}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for face in images[:300]:
        for name, answer in ways.items():
            start = time.perf_counter()
            answer(face[None])
            seconds[name].append(time.perf_counter() - start)
    for file, (name, answer) in zip(files, ways.items(), strict=True):
        given = answer(images)
        found[name] = {
            "bytes": file.stat().st_size,
            "accuracy": float((given.argmax(axis=1) == labels).mean()),
            "difference": float(np.abs(given - exact).max()),
            "changed": int((given.argmax(axis=1) != exact.argmax(axis=1)).sum()),
            "milliseconds": round(1000 * float(np.median(seconds[name])), 3),
        }
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Export as the command line says."""
    parser = runtime.parser("python -m utils.export", __doc__)
    add = parser.add_argument
    add("network", metavar="NAME", help="a released network, a run, or a .keras file")
    add("--to", type=Path, default=runtime.MODELS, metavar="FOLDER", help="default: models/")
    add("--record", action="store_true", help="measure on FER2013: results/benchmarks/exports.json")
    asked = parser.parse_args(arguments)
    runtime.setup()
    source = models.find(asked.network)
    classifier, about = photos.load_keras(source)
    base = asked.to / about["name"]
    files = [
        to_onnx(classifier, base.with_name(f"{base.name}.onnx"), about),
        to_litert(classifier, base.with_name(f"{base.name}-float16.tflite")),
    ]
    real = (runtime.RAW / "fer2013").exists()
    if real or asked.record:
        faces = datasets.load("fer2013")
        known = faces.part("training").images
        some = np.random.default_rng(0).permutation(len(known))[:CALIBRATION]
        known = training.faces_for(classifier, known[some])
        path = base.with_name(f"{base.name}-int8.tflite")
        files.append(to_litert(classifier, path, calibration=known))
    for file in files:
        print(f"{file.name}: {file.stat().st_size:,} bytes")
    if asked.record:
        if classifier.expressions[: len(faces.expressions)] != tuple(faces.expressions):
            raise ModelError(f"{source.name}: has {classifier.expressions}; expected FER2013's")
        test = faces.part("test")
        shown = training.faces_for(classifier, test.images)
        measured = measure(files, classifier, shown, test.labels)
        record = {
            "network": about["name"],
            "model_sha256": runtime.sha256(source),
            "dataset": "fer2013",
            "split": "test",
            "faces": len(test),
            "files": measured,
            **records.surroundings(),
        }
        record["versions"] |= {name: metadata.version(name) for name in ("onnx", "onnxruntime")}
        runtime.write_json(runtime.RESULTS / "benchmarks" / "exports.json", record)
        print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    runtime.run_command(main)
