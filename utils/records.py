"""A run on disk: what was done, with what, and with what result.

A run is a folder of four small files (``run.json``, ``history.csv``, ``validation.npz``,
``test.npz``). Every figure and table about it is computed from these; no metric is typed in.
Nothing is pickled, and every file is written under another name and moved into place, so a killed
process leaves the old one or the new one, never half of one.
"""

from __future__ import annotations

import dataclasses
import io
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from utils import runtime
from utils.expressions import EXPRESSIONS
from utils.runtime import ModelError

if TYPE_CHECKING:
    from utils.datasets import FaceDataset

HISTORY_COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
)

FILES = ("run.json", "history.csv", "validation.npz", "test.npz")

COMMANDS = ("train.py", "evaluate.py")

PACKAGES = ("keras", "numpy", "scikit-learn", "imbalanced-learn")

#: The arrays of `Predictions`, and the types that they are recorded in.
ARRAYS = {"probabilities": np.float16, "labels": np.int64, "rows": np.int64, "copies": bool}


@dataclass(frozen=True)
class Predictions:
    """A network's predictions for every row of one split.

    Attributes
    ----------
    probabilities : numpy.ndarray
        (n, k) float, each row summing to 1.
    labels : numpy.ndarray
        (n,) int64, the true classes.
    rows : numpy.ndarray
        (n,) int64, the row of each face in the source file.
    copies : numpy.ndarray
        (n,) bool: whether the very same picture is also in the training split.
    expressions : tuple of str
        Names of the k classes.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    copies: np.ndarray
    expressions: tuple[str, ...] = EXPRESSIONS

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each row, (n,) int64."""
        return self.probabilities.argmax(axis=1)

    def where(self, keep: np.ndarray) -> Predictions:
        """Return the rows where the mask ``keep`` (n,) is true."""
        return dataclasses.replace(self, **{name: getattr(self, name)[keep] for name in ARRAYS})


def as_recorded(predictions: Predictions) -> Predictions:
    """Round probabilities as `write_predictions` does.

    Classes that differ in float32 can tie in float16: what is printed now and what is computed
    from the record later agree to the last picture only after rounding.
    """
    rounded = predictions.probabilities.astype(np.float16).astype(np.float32)
    return dataclasses.replace(predictions, probabilities=rounded)


@dataclass(frozen=True)
class Evaluation:
    """A network's predictions for one split of a data set, made after its training.

    The data set need not be the one that it was trained on. ``predictions.copies`` marks the
    pictures that are also in the training split of the data set that is *evaluated*: if the
    network was trained on another one, that does not tell which pictures it has seen.

    Attributes
    ----------
    folder : pathlib.Path
        The run's folder, or the one named after the released network.
    name : str
        What its two files are called: "on-expw-test".
    info : dict
        ``on-DATASET-SPLIT.json``: network, model_sha256, trained_on ("" if no record says),
        dataset, split, fingerprint (of all rows that are not left out), n, expressions, without
        (those left out), views (of each face; absent in older records: 1), command, evaluated
        (when), seconds, and what `surroundings` returns.
    predictions : Predictions
        ``on-DATASET-SPLIT.npz``.
    """

    folder: Path
    name: str
    info: dict[str, Any] = field(repr=False)
    predictions: Predictions = field(repr=False)

    @property
    def dataset(self) -> str:
        """The evaluated data set: "fer2013", "ferplus", "expw", "folder" or "sample"."""
        return self.info["dataset"]

    @property
    def split(self) -> str:
        """The evaluated split: "test" or "validation", or "all"."""
        return self.info["split"]


@dataclass(frozen=True)
class Run:
    """A recorded run.

    Attributes
    ----------
    folder : pathlib.Path
        Where it is.
    info : dict
        ``run.json``: model, dataset, seed, settings, fingerprint, rows, versions, hardware …
    history : pandas.DataFrame
        One row per epoch, with `HISTORY_COLUMNS`.
    validation, test : Predictions or None
        Predictions of the network from the best validation epoch; None until the run is finished.
    """

    folder: Path
    info: dict[str, Any] = field(repr=False)
    history: pd.DataFrame = field(repr=False)
    validation: Predictions | None = field(repr=False)
    test: Predictions | None = field(repr=False)

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self.folder.name

    @property
    def best_epoch(self) -> int:
        """The epoch (from 1) of the highest validation accuracy; the first among ties; 0: none."""
        return best_epoch(self.history)

    @property
    def views(self) -> int:
        """How many views of each face its predictions average (test-time augmentation)."""
        settings = self.info.get("settings", {})
        return settings.get("test_time_augmentation", settings.get("views", 1))


def best_epoch(history: pd.DataFrame) -> int:
    """Return the epoch, counted from 1, of the highest validation accuracy; 0 without epochs."""
    if history.empty:
        return 0
    return int(history["epoch"].iloc[history["val_accuracy"].to_numpy().argmax()])


def names(results: Path = runtime.RESULTS) -> list[str]:
    """List the finished runs below ``results``, by name."""
    return sorted(
        file.parent.name for file in results.glob("*/run.json") if is_finished(file.parent)
    )


def is_finished(folder: Path) -> bool:
    """Whether the run in ``folder`` reached its last epoch and its predictions are recorded."""
    return all((folder / name).is_file() for name in FILES)


def load(run: str | Path, results: Path = runtime.RESULTS) -> Run:
    """Read a run back.

    Parameters
    ----------
    run : str or path
        A run's name below ``results``, or its folder.
    results : path
        Where named runs are.

    Returns
    -------
    Run
        With its arrays.

    Raises
    ------
    ModelError
        When there is no such run, or something is wrong with one of its files.
    """
    folder = run if isinstance(run, Path) else results / run
    if not (folder / "run.json").is_file():
        there = ", ".join(names(folder.parent)) or "none"
        raise ModelError(f"no run called {folder.name!r}; recorded: {there}")
    info = runtime.read_json(folder / "run.json")
    try:
        expressions = tuple(info.get("expressions", EXPRESSIONS))
    except (TypeError, AttributeError) as error:
        raise ModelError(f"{folder.name}/run.json: cannot be read: {error}") from error
    return Run(
        folder=folder,
        info=info,
        history=read_history(folder),
        validation=_read_predictions(folder / "validation.npz", expressions),
        test=_read_predictions(folder / "test.npz", expressions),
    )


def read_history(folder: Path) -> pd.DataFrame:
    """Read ``history.csv``; an empty table if there is none yet.

    Raises
    ------
    ModelError
        When its columns are not `HISTORY_COLUMNS`, or its epochs are not 1 … n.
    """
    path = folder / "history.csv"
    title = f"{folder.name}/history.csv"
    if not path.is_file():
        return pd.DataFrame(columns=list(HISTORY_COLUMNS))
    try:
        text = path.read_text(encoding="utf-8")
        history = pd.read_csv(io.StringIO(text))
    except (ValueError, OSError) as error:
        raise ModelError(f"{title}: cannot be read: {runtime.printable(str(error))}") from error
    if tuple(history.columns) != HISTORY_COLUMNS:
        found = runtime.printable(", ".join(map(str, history.columns)))
        raise ModelError(f"{title}: columns {found}; expected {', '.join(HISTORY_COLUMNS)}")
    whole = text.endswith("\n") and history.map(np.isreal).all(axis=None)
    if not whole or not np.isfinite(history.to_numpy(np.float64)).all():
        raise ModelError(f"{title}: its last row is cut off, or a value is not a number")
    if history["epoch"].tolist() != list(range(1, len(history) + 1)):
        raise ModelError(f"{title}: its epochs are not 1 … {len(history)} in order")
    return history


def write_history(folder: Path, history: pd.DataFrame) -> None:
    """Write ``history.csv``, atomically."""
    text = history.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    runtime.write_atomically(folder / "history.csv", text.encode())


def write_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Write ``run.json``, atomically."""
    runtime.write_json(folder / "run.json", info)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions as a compressed ``.npz`` of plain arrays, probabilities as float16."""
    arrays = {name: getattr(predictions, name).astype(kind) for name, kind in ARRAYS.items()}
    runtime.write_npz(path, **arrays)


def evaluation_name(dataset: str, split: str, without: Sequence[str] = ()) -> str:
    """Name the two files of an evaluation: "on-ferplus-test", "on-ferplus-test-without-contempt".

    >>> evaluation_name("ferplus", "test", ["contempt"])
    'on-ferplus-test-without-contempt'
    """
    return "-".join(["on", dataset, split, *(f"without-{name}" for name in sorted(without))])


def write_evaluation(folder: Path, info: Mapping[str, Any], predictions: Predictions) -> Path:
    """Write an evaluation into a run's folder, replacing an earlier one of the same split.

    Parameters
    ----------
    folder : path
        The run's folder; created if missing.
    info : mapping
        What `Evaluation.info` holds, without n and expressions, which `predictions` gives.
    predictions : Predictions
        One row per face of the split.

    Returns
    -------
    pathlib.Path
        The ``.json`` file. It is written last: an evaluation without it does not exist.
    """
    name = evaluation_name(info["dataset"], info["split"], info.get("without", ()))
    path = folder / f"{name}.json"
    expressions = list(predictions.expressions)
    content = runtime.as_json({**info, "n": len(predictions), "expressions": expressions})
    path.unlink(missing_ok=True)
    write_predictions(path.with_suffix(".npz"), predictions)
    runtime.write_atomically(path, content)
    return path


def load_evaluation(path: Path) -> Evaluation:
    """Read an evaluation back.

    Parameters
    ----------
    path : path
        Its ``on-DATASET-SPLIT.json``.

    Returns
    -------
    Evaluation
        With its arrays.

    Raises
    ------
    ModelError
        When there is none, or something is wrong with one of its two files.
    """
    title = f"{path.parent.name}/{path.name}"
    if not path.is_file():
        there = ", ".join(file.stem for file in _evaluation_files(path.parent)) or "none"
        raise ModelError(f"{title}: no such evaluation; recorded there: {there}")
    info = runtime.read_json(path)
    try:
        dataset, split = info["dataset"], info["split"]
        left_out = info.get("without", ())
        expressions, count = tuple(map(str, info["expressions"])), int(info["n"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{title}: cannot be read: {type(error).__name__}: {error}") from error
    # Records of earlier versions were not named after what was left out.
    known = {evaluation_name(dataset, split, left_out), evaluation_name(dataset, split)}
    if path.stem not in known:
        raise ModelError(f"{title}: holds {sorted(known)[-1]}; expected {path.stem}")
    predictions = _read_predictions(path.with_suffix(".npz"), expressions)
    if predictions is None or len(predictions) != count:
        found = "no predictions" if predictions is None else f"{len(predictions)} predictions"
        raise ModelError(f"{title}: {found} next to it; expected {count}")
    return Evaluation(path.parent, path.stem, info, predictions)


def evaluations(folder: Path) -> list[Evaluation]:
    """Read every evaluation in a run's folder, by name; an empty list if there are none.

    Raises
    ------
    ModelError
        When one of them is damaged.
    """
    return [load_evaluation(path) for path in _evaluation_files(folder)]


def _evaluation_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("on-*-*.json"))


def network_name(network: Path) -> str:
    """Return a network's name: for a run's, the run's folder; for any other, the file's name."""
    network = network.resolve()
    return network.parent.name if network.name == "model.keras" else network.stem


def run_of(network: Path) -> Run | None:
    """Find the finished run that made a network, by where its file is.

    Parameters
    ----------
    network : path
        A ``.keras`` file: ``model.keras`` in its run's folder, or a released one in ``models/``.

    Returns
    -------
    Run or None
        None if no record belongs to the file: a file elsewhere may have any name.
    """
    network = network.resolve()
    folder = runtime.RESULTS / network.stem
    if network.name == "model.keras":
        folder = network.parent
    elif network.parent != runtime.MODELS.resolve():
        return None
    return load(folder) if is_finished(folder) else None


def asked(network: Path, dataset: FaceDataset, split: str) -> dict[str, str]:
    """Say which network is evaluated on which faces, as every record of predictions does.

    Parameters
    ----------
    network : path
        The file, as `models.find` returns it.
    dataset : FaceDataset
    split : str

    Returns
    -------
    dict of str
        network, model_sha256, trained_on ("" if no record says), dataset, split, fingerprint.
    """
    run = run_of(network)
    return {
        "network": network_name(network),
        "model_sha256": runtime.sha256(network),
        "trained_on": run.info["dataset"] if run else "",
        "dataset": dataset.name,
        "split": split,
        "fingerprint": dataset.fingerprint(),
    }


def surroundings() -> dict[str, Any]:
    """Describe where a run happens: package versions, backend, hardware, git commit.

    Returns
    -------
    dict
        "versions", "backend", "hardware", "commit" ("" outside a git checkout; ending in
        "+" if the checkout has changes).
    """
    import keras

    versions = {"python": platform.python_version()}
    for package in (keras.backend.backend(), *PACKAGES):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "backend": keras.backend.backend(),
        "hardware": hardware(),
        "commit": _commit(),
    }


def hardware() -> str:
    """Name what computes: the accelerator, if there is one, and the processor."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processor = f"{cores} core{'s' * (cores != 1)} of {_processor_name()}"
    return " and ".join([*_accelerator_names(accelerators()), processor])


def accelerators() -> list[str]:
    """List the backend's devices other than CPUs, as Keras names them."""
    import keras

    try:
        return [name for name in keras.distribution.list_devices() if "cpu" not in name.lower()]
    except (RuntimeError, ValueError, AttributeError):  # a backend that cannot list its devices
        return []


def _accelerator_names(devices: list[str]) -> list[str]:
    """Name the accelerators as their maker does, if that can be queried."""
    if not devices:
        return []
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return devices
    found_names = [name.strip() for name in found.stdout.splitlines() if name.strip()]
    return found_names[: len(devices)] or devices


def _processor_name() -> str:
    """Name the processor as the operating system does."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    """Name the checked-out commit; a trailing "+" means that its code was changed."""

    def git(*words: str) -> str:
        how = {"cwd": runtime.ROOT, "text": True, "stderr": subprocess.DEVNULL}
        return subprocess.check_output(["git", *words], **how).strip()

    try:
        changed = git("status", "--porcelain", "--", "utils", "experiments", *COMMANDS)
        return git("rev-parse", "--short=12", "HEAD") + "+" * bool(changed)
    except (OSError, subprocess.SubprocessError):
        return ""


def _read_predictions(path: Path, expressions: tuple[str, ...]) -> Predictions | None:
    """Read an ``.npz`` that `write_predictions` wrote; None if there is none."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            predictions = Predictions(
                arrays["probabilities"].astype(np.float32),
                arrays["labels"].astype(np.int64),
                arrays["rows"].astype(np.int64),
                arrays["copies"].astype(bool),
                expressions,
            )
    except Exception as error:  # NumPy, zipfile and zlib raise a dozen kinds on a damaged archive
        raise ModelError(f"{path.parent.name}/{path.name}: cannot be read: {error}") from error
    shape = (len(predictions.labels), len(expressions))
    if predictions.probabilities.shape != shape:
        raise ModelError(
            f"{path.parent.name}/{path.name}: probabilities of shape "
            f"{predictions.probabilities.shape}; expected {shape}"
        )
    if not len(predictions.labels) == len(predictions.rows) == len(predictions.copies):
        raise ModelError(f"{path.parent.name}/{path.name}: expected as many rows as labels")
    return predictions
