"""The parts that are timed: each takes `Sizes` and a data set's name, and returns what is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import multiprocessing
import os
import tempfile
import time
import types
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from utils import (
    augment,
    balance,
    datasets,
    faces,
    films,
    models,
    photos,
    records,
    runtime,
    training,
)
from utils.datasets import FaceDataset
from utils.expressions import EXPRESSIONS

FER2013_ROWS, FER2013_TRAINING = 35_887, 28_709
#: Seconds, and megabytes held beyond the start, None where the system does not tell.
Cost = tuple[float, float | None]

#: glibc's settings (``man mallopt``) under which it takes memory in huge pages and keeps some.
HUGE_PAGES = "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=268435456"

#: How faces are given to a network: many in a call, or one.
HOW = ("together", "singly")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    repeats: int = 7  # turns that are counted
    loads: int = 3  # the same of loading, SMOTE and growth
    precision: str = "mixed_bfloat16"  # of training and of the matrix product
    batch_size: int = 128
    faces: int = 4096  # a repetition of augmentation and of training
    cnn5: dict[str, Any] = dataclasses.field(default_factory=dict)  # its settings
    networks: tuple[str, ...] = ("cnn5", "resnet", "vgg16")  # whose operations are counted
    normalized: str = "best"  # whose layers are timed
    pages: str = "resnet8"  # whose memory is
    operations: float = 1.5e12  # a repetition of those networks
    product: int = 2048  # side of the square matrices
    recipe: dict[str, Any] = dataclasses.field(default_factory=dict)  # changes to each
    calls: int = 50  # single faces a repetition of inference
    batches: tuple[int, ...] = (32, 256)  # faces a call
    rows: int = FER2013_ROWS  # that are loaded; growth takes multiples of them
    factors: tuple[int, ...] = (1, 2, 4, 8)
    photos: int = 200  # of ExpW that the detectors look at; the margin takes all
    pictures: int = 500  # of FER2013 for mtcnn; six times as many for haar


#: As small as everything still runs; the times say nothing.
QUICK = Sizes(
    repeats=1,
    loads=1,
    batch_size=16,
    faces=64,
    cnn5={"size": 32, "network": {"filters": [4] * 5, "dense": 16}},
    networks=("cnn5",),
    normalized="cnn5",
    pages="cnn5",
    operations=1e6,
    recipe={"model": "cnn3", "network": {"filters": (4, 4, 4), "dense": 8}, "size": 16},
    product=64,
    calls=2,
    batches=(4,),
    rows=400,
    factors=(1, 2),
    photos=2,
    pictures=2,
)
#: There a repetition must be larger, or it measures how long a call takes.
ACCELERATOR = Sizes(faces=65_536, operations=1e15, product=8192)


def in_turns(
    ways: Mapping[str, Callable[[], object]], repeats: int, *, warm_up: int = 1
) -> dict[str, list[float]]:
    """Let several ways take turns, A B A B, so that a busy machine hurts all of them alike.

    A way returns the seconds that count as a float, or anything else: then its whole call counts.
    The first `warm_up` turns do not: they compile. Returns each way's seconds, in order.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-warm_up, repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            own = way()
            spent = own if isinstance(own, float) else time.perf_counter() - start
            if turn >= 0:
                seconds[name].append(float(f"{spent:.7g}"))
    return seconds


def timed(
    case: str,
    ways: Mapping[str, tuple[float, Callable[[], object]]],
    compared: list[tuple[str, str, str]],
    repeats: int,
    *,
    aimed: str = "",
    unit: str = "faces",
    warm_up: int = 1,
    **settings: Any,
) -> dict[str, Any]:
    """Time ways of (amount, call) in turns, for the record.

    `compared` holds (name, fast way, slow way); `aimed` is the one that the part's aim is about.
    """
    return {
        "case": case,
        "unit": unit,
        "amounts": {name: amount for name, (amount, _) in ways.items()},
        "seconds": in_turns(
            {name: way for name, (_, way) in ways.items()}, repeats, warm_up=warm_up
        ),
        "comparisons": [
            {"name": name, "fast": fast, "slow": slow, "aimed": name == aimed}
            for name, fast, slow in compared
        ],
        "settings": settings,
    }


def alone(task: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of this module in a fresh process, whose memory is nobody else's."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(task, *arguments).result()


def _memory(what: str = "VmRSS") -> float:
    """Return the memory held now, or at most ("VmHWM"), in 10⁶ bytes; NaN but on Linux."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(what))


def _cost(work: Callable[[], object], base: float) -> Cost:
    """Do a piece of work; return its seconds, and the most memory held above `base`."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
    except OSError:
        base = float("nan")
    start = time.perf_counter()
    kept = work()
    seconds, peak = time.perf_counter() - start, _memory("VmHWM") - base
    del kept
    return float(f"{seconds:.7g}"), None if np.isnan(peak) else round(max(peak, 0.0), 3)


def many_faces(data: str, rows: int, *, split: str = "", size: int = 0) -> FaceDataset:
    """Take a data set's rows (of one split, resized), again from the front until there are so many.

    Fewer than there are come evenly from all. To every repetition's pixels a whole number of
    -2 … 2 is added: to SMOTE a face's nearest neighbor would be its own repetition.
    """
    source = datasets.load(data)
    source = source.part(split) if split else source
    count = len(source)
    order = np.resize(np.arange(count), rows)
    if rows < count:  # a file may be sorted by its splits
        order = np.linspace(0, count - 1, rows).astype(np.int64)
    images = source.images[order]
    images = faces.resize(images, size) if size else images
    rng = np.random.default_rng(0)
    for start in range(count, rows, count):  # piece by piece, or this were the peak of memory
        piece = images[start : start + count]
        piece[:] = np.clip(piece + rng.integers(-2, 3, piece.shape, dtype=np.int16), 0, 255)
    return dataclasses.replace(
        source, images=images, labels=source.labels[order], split=source.split[order],
        rows=np.arange(rows), votes=None,
    )  # fmt: skip


def write_csv(path: Path, many: FaceDataset) -> str:
    """Write faces as ``fer2013.csv`` has them; return the file's name."""
    words = np.array([str(value) for value in range(256)])
    usages = {split: usage for usage, split in datasets.USAGES.items()}
    with path.open("w", encoding="ascii", newline="") as file:
        file.write("emotion,pixels,Usage\n")
        for image, label, split in zip(many.images, many.labels, many.split, strict=True):
            file.write(f"{label},{' '.join(words[image.ravel()])},{usages[str(split)]}\n")
    return str(path)


def load(how: str, path: str, cache: str = "") -> Cost:
    """Read a csv by "pandas" as most notebooks do, row by row; by our "csv" reader; "cached".

    Ours checks every pixel, which pandas' lines do not; the cache holds what was checked.
    """
    import pandas as pd

    runtime.CACHE = Path(cache or runtime.CACHE)

    def usual_lines() -> np.ndarray:
        table = pd.read_csv(path)
        rows = [np.array(row.split(" "), dtype="float32") for row in table["pixels"]]
        return np.array(rows).reshape(-1, 48, 48, 1)

    def ours() -> FaceDataset:
        return datasets.load("fer2013", path, cache=how == "cached")

    return _cost(usual_lines if how == "pandas" else ours, _memory())


def loading(sizes: Sizes, data: str) -> list[dict]:
    """Time three ways to the same pictures, from a file that the system still has in memory."""
    usual, ours, cached = "pandas, row by row", "this project's csv reader", "this project's cache"
    with tempfile.TemporaryDirectory() as folder:
        path = write_csv(Path(folder) / "fer2013.csv", many_faces(data, sizes.rows))
        alone(load, "cached", path, folder)  # fills the cache
        ways = {
            usual: (sizes.rows, lambda: alone(load, "pandas", path)[0]),
            ours: (sizes.rows, lambda: alone(load, "csv", path)[0]),
            cached: (sizes.rows, lambda: alone(load, "cached", path, folder)[0]),
        }
        compared = [("cache / csv", cached, ours), ("csv / pandas, row by row", ours, usual)]
        return [timed("loading", ways, compared, sizes.loads, unit="rows", warm_up=0, data=data)]


def oversample(data: str, rows: int, size: int, usual: bool = False) -> Cost:
    """Balance training rows with `balance.smote`, or with imbalanced-learn: float64 of 0 … 1."""
    from imblearn.over_sampling import SMOTE

    base = _memory()
    part = many_faces(data, rows, split="training", size=size)

    def usual_lines() -> object:
        flat = part.images.reshape(len(part), -1) / 255.0
        return SMOTE(random_state=0).fit_resample(flat, part.labels)

    return _cost(usual_lines if usual else lambda: balance.smote(part), base)


def smote(sizes: Sizes, data: str) -> list[dict]:
    """Time both ways to a balanced training split; peaks of memory are in the settings."""
    rows = round(sizes.rows * FER2013_TRAINING / FER2013_ROWS)
    ours, usual = "balance.smote", "SMOTE on float64"
    peaks: dict[str, Any] = {}

    def way(name: str) -> float:
        seconds, peaks[name] = alone(oversample, data, rows, 64, name == usual)
        return seconds

    ways = {name: (rows, lambda name=name: way(name)) for name in (ours, usual)}
    compared = [(f"{ours} / {usual}", ours, usual)]
    options = {"data": data, "size": 64, "megabytes": peaks}
    return [timed("SMOTE", ways, compared, sizes.loads, unit="rows", warm_up=0, **options)]


def compiled(model, *, training: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """Compile a model's answer to a batch with whatever the backend compiles with."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        # Copies: ``predict`` gives the arrays of the model's own variables away to the device.
        kinds = (model.trainable_variables, model.non_trainable_variables)
        held = [[jax.numpy.copy(one.value) for one in some] for some in kinds]
        answer = jax.jit(lambda some: model.stateless_call(*held, some, training=training)[0])
    else:
        import tensorflow

        answer = tensorflow.function(lambda some: model(some, training=training))
    return lambda some: np.asarray(answer(some))


def _noise(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures and one-hot targets: what they show makes no difference to the time."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, 1), dtype=np.uint8)
    return images, np.eye(7, dtype=np.float32)[rng.integers(0, 7, count)]


def _settings(name: str, sizes: Sizes) -> training.Settings:
    changes = sizes.cnn5 if name == "cnn5" else {}
    given = {"batch_size": sizes.batch_size, "precision": sizes.precision}
    return training.recipe(name, **given, **changes)


def _about(settings: training.Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in ("size", "precision", "batch_size")}


def _generator(settings: training.Settings):
    """Make an ImageDataGenerator for these settings, and say what `augment` takes for the same."""
    moves = {name: getattr(settings, name) for name in ("rotation", "zoom", "shift", "flip")}
    return augment.image_data_generator(**moves), moves


def augmentation(sizes: Sizes, data: str) -> list[dict]:
    """Time ImageDataGenerator, a face at a time, and augmentation layers; both give float32.

    Processor seconds of all cores, by way, are in the settings: the layers compute on every core.
    """
    import keras

    settings, rng = _settings("cnn5", sizes), np.random.default_rng(0)
    generator, moves = _generator(settings)
    images, _ = _noise(sizes.faces, settings.size)
    batches = generator.flow(images.astype(np.float32), batch_size=sizes.batch_size, seed=0)
    layers = [keras.Input(images.shape[1:]), *augment.layers_before(**moves)]
    warp = compiled(keras.Sequential(layers), training=True)
    slow, fast = "ImageDataGenerator", "augmentation layers"
    processor: dict[str, list[float]] = {slow: [], fast: []}

    def move(name: str) -> None:
        start, order = time.process_time(), rng.permutation(sizes.faces)
        for at in range(len(batches)):
            if name == slow:
                batches[at]
            else:
                warp(images[order[at * sizes.batch_size : (at + 1) * sizes.batch_size]])
        processor[name].append(round(time.process_time() - start, 4))

    ways = {name: (sizes.faces, lambda name=name: move(name)) for name in processor}
    name = f"{fast} / {slow}"
    options = {"aimed": name, "size": settings.size, "batch_size": sizes.batch_size}
    options["processor_seconds"] = processor
    return [timed("augmentation alone", ways, [(name, fast, slow)], sizes.repeats, **options)]


def inference(sizes: Sizes, data: str) -> list[dict]:
    """Time `cnn5`'s answers in float32: `model.predict` face by face, and quicker calls.

    A network's time does not depend on its weights.
    """
    settings = dataclasses.replace(_settings("cnn5", sizes), precision="float32")
    model = models.build("cnn5", (settings.size, settings.size, 1), **settings.network)
    images = _noise(max(sizes.calls, *sizes.batches), settings.size)[0].astype(np.float32)
    usual, batch, predict = "model.predict singly", "predict_on_batch", "model.predict at once"
    call, answer = "compiled call", compiled(model)

    def singly(ask: Callable, count: int) -> None:
        for face in images[:count]:
            ask(np.expand_dims(face, axis=0))

    def ask_model(some: np.ndarray) -> np.ndarray:
        return model.predict(some, batch_size=len(some), verbose=0)

    asked = {usual: ask_model, batch: model.predict_on_batch, call: answer}
    ways = {
        name: (sizes.calls, lambda ask=ask: singly(ask, sizes.calls)) for name, ask in asked.items()
    }
    compared = [(f"{name} / {usual}", name, usual) for name in (call, batch)]
    options = {"network": "cnn5", "size": settings.size, "precision": "float32"}
    given = {"aimed": compared[0][0], **options}
    found = [timed("inference, one face", ways, compared, sizes.repeats, **given)]
    for count in sizes.batches:
        few = min(count, sizes.calls)
        ways = {
            usual: (few, lambda few=few: singly(ask_model, few)),
            predict: (count, lambda count=count: ask_model(images[:count])),
            call: (count, lambda count=count: answer(images[:count])),
        }
        compared = [(f"{name} / {usual}", name, usual) for name in (predict, call)]
        case = f"inference, {count} faces"
        found.append(timed(case, ways, compared, sizes.repeats, **options))
    return found


def use(sizes: Sizes, data: str) -> list[dict]:
    """Time what a user waits for, with ONNX Runtime, with Keras and mtcnn, and with `fer`.

    Photos and film are of one portrait. ``taskset -c 0`` before the command gives one core to all;
    `fer` (its own Haar cascade and LiteRT network) takes part where that package is installed.
    """
    import cv2

    file = models.find(models.DEFAULT)
    quick, whole = photos.load(models.DEFAULT)[0], photos.load_keras(file)[0]
    path = runtime.DATA / "photos" / "astronaut.jpg"
    few = max(1, sizes.calls // 10)
    ours, before = "ONNX Runtime", "Keras and mtcnn"
    asked = {
        ours: lambda: photos.read(path, quick),
        before: lambda: photos.read(path, whole, detector="mtcnn"),
    }
    with contextlib.suppress(ImportError):
        from fer.fer import FER

        other = FER()
        asked["fer"] = lambda: other.detect_emotions(cv2.imread(str(path)))

    def times(count: int, ask: Callable) -> Callable:
        return lambda: [ask() for _ in range(count)]

    ways = {name: (few, times(few, ask)) for name, ask in asked.items()}
    compared = [(f"{ours} / {name}", ours, name) for name in asked if name != ours]
    options = {"network": models.DEFAULT, "size": quick.input_shape[0]}
    found = [timed("a photo", ways, compared, sizes.repeats, unit="photos", **options)]

    crops = _noise(max(sizes.batches), quick.input_shape[0])[0]
    count, one = len(crops), crops[:1]
    ways = {
        "ONNX Runtime, together": (count, lambda: quick.predict(crops)),
        "Keras, together": (count, lambda: whole.predict(crops)),
        "ONNX Runtime, singly": (sizes.calls, times(sizes.calls, lambda: quick.predict(one))),
        "Keras, singly": (few, times(few, lambda: whole.model.predict(one, verbose=0))),
    }
    compared = [(f"{ours} / Keras, {how}", f"{ours}, {how}", f"Keras, {how}") for how in HOW]
    found.append(timed("crops", ways, compared, sizes.repeats, **options))

    nowhere = types.SimpleNamespace(add=lambda rows: None)  # writing is no part of this
    portrait = faces.resize(faces.read_photo(path)[None], (480, 640))[0]

    def film(name: str, frames: int) -> str:
        writer = cv2.VideoWriter(name, cv2.VideoWriter_fourcc(*"MJPG"), 25, (640, 480))
        for at in range(frames):
            writer.write(np.ascontiguousarray(np.roll(portrait, at, axis=1)[..., ::-1]))
        writer.release()
        return name

    def follow(name: str, *how: Any) -> Callable:
        return lambda: films.Film(name, how[0], nowhere, detector=how[1]).follow()

    with tempfile.TemporaryDirectory() as folder:
        long, short = 2 * sizes.calls, few
        ways = {
            ours: (long, follow(film(f"{folder}/long.avi", long), quick, "centerface")),
            before: (short, follow(film(f"{folder}/short.avi", short), whole, "mtcnn")),
        }
        compared = [(f"{ours} / {before}", ours, before)]
        found.append(
            timed("a film, 640×480", ways, compared, sizes.repeats, unit="frames", **options)
        )
    return found


def _network(settings: training.Settings, *, fused: bool):
    """Build a network of random numbers with the layers of `utils.layers`, or with Keras's own."""
    shape = (settings.size, settings.size, 1)
    network = models.build(settings.model, shape, **settings.without_weights())
    return models.with_dtype(network, settings.precision, fused=fused)


def _trained(model, settings: training.Settings, *inputs: Any, **options: Any) -> Callable:
    """Compile a model; return a call that trains an epoch and returns its seconds."""
    import keras

    model.compile(
        keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay),
        keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    return _epoch(model, *inputs, **options)


def _epoch(model, *inputs: Any, **options: Any) -> Callable[[], float]:
    """Return a call that trains a compiled model for an epoch and returns its seconds."""
    import keras

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            float(logs["loss"])  # a number by now, so the last step is done
            self.seconds = time.perf_counter() - self.start

    clock = Clock()

    def epoch() -> float:
        model.fit(*inputs, callbacks=[clock], verbose=0, **options)
        return clock.seconds

    return epoch


def settings_of(run: str) -> training.Settings:
    """Return the settings of a recorded run."""
    return training.settings_from_record(records.load(run).info["settings"])


def trainer(
    settings: training.Settings, count: int, *, fused: bool = True, **options: Any
) -> Callable[[], float]:
    """Put together what `training.train` fits, on noise; an epoch a call, without validation.

    Networks that teach are recorded runs', of random numbers too.
    """
    from utils.training.fit import compile_model
    from utils.training.model import Batches, TrainingModel
    from utils.training.transfer import mean_answer

    taught_by = [settings_of(name) for name in settings.teachers]
    teachers = [models.Classifier(_network(one, fused=False), EXPRESSIONS) for one in taught_by]
    teach = mean_answer(teachers, settings.precision)
    batches = Batches(*_noise(count, settings.size), batch_size=settings.batch_size, seed=0)
    layers = augment.layers_before(**settings.augmentation())
    mixing = augment.mixing_layer(mixup=settings.mixup, cutmix=settings.cutmix)
    network, share = _network(settings, fused=fused), settings.distillation_weight
    model = TrainingModel(network, layers, mixing, teach, share)
    compile_model(model, settings, len(batches), epochs=2, fine_tuning=False)
    return _epoch(model, batches, **options)


def training_steps(sizes: Sizes, data: str) -> list[dict]:
    """Time training `cnn5` in four ways, as many steps of each.

    "training.train" is this project's: batches of uint8, augmentation inside the step, the layers
    of `utils.layers`. "arrays in memory" gives ``fit`` the same faces as arrays.
    "ImageDataGenerator" hands it augmented float32 faces, with Keras's layers. "as found in the
    wild" is the same with what such projects leave as it comes: float32, batches of 32, rescale.
    """
    import keras

    told = _settings("cnn5", sizes)
    count, few = sizes.faces, sizes.faces // 4
    images, targets = _noise(count, told.size)
    layers = [keras.Input(images.shape[1:]), *augment.layers_before(**told.augmentation())]
    plain = keras.Sequential([*layers, _network(told, fused=True)])

    def usual_way(count: int, told: training.Settings, rescale: float | None) -> Callable:
        generator, _ = _generator(told)
        generator.rescale = rescale
        pixels = images[:count].astype(np.float32)
        batches = generator.flow(pixels, targets[:count], batch_size=told.batch_size, seed=0)
        return _trained(_network(told, fused=False), told, batches)

    loose = dataclasses.replace(told, precision="float32", batch_size=sizes.batch_size // 4)
    usual, ours, arrays = "ImageDataGenerator", "training.train", "arrays in memory"
    wild = "as found in the wild"
    ways = {
        usual: (count, usual_way(count, told, None)),
        ours: (count, trainer(told, count)),
        arrays: (count, _trained(plain, told, images, targets, batch_size=told.batch_size)),
        wild: (few, usual_way(few, loose, 1 / 255)),
    }
    name = "same batch and precision"
    compared = [(name, ours, usual), (wild, ours, wild)]
    compared += [("training.train / arrays in memory", ours, arrays)]
    return [timed("training cnn5", ways, compared, sizes.repeats, aimed=name, **_about(told))]


def recipes(sizes: Sizes, data: str) -> list[dict]:
    """Time the training step of each run recorded on FER2013, as its own settings have it.

    A record's seconds hold whatever else its machine did; these, on one machine at one time, say
    what an epoch costs (`speed.accuracy_by_time`). Each is timed in a process of its own, as it was
    trained: none computes in memory that another left behind.
    """
    names = records.names(runtime.RESULTS)
    names = [name for name in names if records.load(name).info["dataset"] == "fer2013"]
    return [alone(recorded_recipe, name, sizes) for name in names]


def recorded_recipe(name: str, sizes: Sizes) -> dict[str, Any]:
    """Time the training step of a recorded run."""
    runtime.setup()
    told = dataclasses.replace(settings_of(name), initial_weights="", **sizes.recipe)
    count = max(sizes.faces // 2, told.batch_size)
    ways = {name: (count, trainer(told, count))}
    return timed(f"{name}, its recipe", ways, [], sizes.loads, **_about(told))


def normalization(sizes: Sizes, data: str) -> list[dict]:
    """Time training with Keras's own layers, and with those of `utils.layers`.

    Records from before `layers.WideGradientConv2D` compare batch normalization alone.
    """
    told, count = _settings(sizes.normalized, sizes), 8 * sizes.batch_size
    slow, fast = "Keras's layers", "utils.layers"
    ways = {name: (count, trainer(told, count, fused=name == fast)) for name in (slow, fast)}
    compared = [("utils.layers / Keras's layers", fast, slow)]
    case = f"layers of {told.model}"
    return [timed(case, ways, compared, sizes.repeats, **_about(told))]


def arithmetic(sizes: Sizes, data: str) -> list[dict]:
    """Time training steps and matrix products of the same precision, in turns.

    Counted are the multiply-adds of convolutions and dense layers (`models.layers_table`): two
    operations each, forwards and twice backwards. What else a step does is in its time and not in
    its count. The peak is what a chain of square products reaches through the same backend.
    """
    import keras

    kind = "bfloat16" if sizes.precision == "mixed_bfloat16" else "float32"
    drawn = np.random.default_rng(0).normal(size=(2, sizes.product, sizes.product))
    drawn[1] /= np.sqrt(sizes.product)  # a chain of products neither grows nor fades away
    left, right = (keras.ops.cast(one.astype(np.float32), kind) for one in drawn)

    def chain() -> np.ndarray:
        value = left
        for _ in range(16):
            value = keras.ops.matmul(value, right)
        return np.asarray(keras.ops.cast(value[0, 0], "float32"))  # here, so it is done

    found = []
    for name in sizes.networks:
        told = _settings(name, sizes)
        network = models.build(name, (told.size, told.size, 1), **told.network)
        step = 6 * int(models.layers_table(network)["multiply_adds"].sum()) * told.batch_size
        steps = min(max(2, round(sizes.operations / step)), 480)
        ours, most = "training step", "matrix product"
        ways = {
            ours: (step * steps, trainer(told, steps * told.batch_size)),
            most: (2 * sizes.product**3 * 16, chain),
        }
        share = "share of a matrix product's"
        options = {**_about(told), "steps": steps, "product": sizes.product}
        options |= {"unit": "floating-point operations", "aimed": share if name != "cnn5" else ""}
        found.append(timed(name, ways, [(share, ours, most)], sizes.repeats, **options))
    return found


def sixteen_steps(rows: int, sizes: Sizes, name: str = "cnn5") -> Cost:
    """Train 16 steps of a network, compiled before, from so many faces in memory."""
    runtime.setup()
    base = _memory()
    epoch = trainer(_settings(name, sizes), rows, steps_per_epoch=16)
    epoch()
    return _cost(epoch, base)


def memory(sizes: Sizes, data: str) -> list[dict]:
    """Time training steps with memory as glibc gives it, and with memory in huge pages.

    glibc reads ``GLIBC_TUNABLES`` when a process starts: every turn is a process of its own. On a
    system without glibc both ways are one.
    """
    told = _settings(sizes.pages, sizes)

    def way(tunables: str) -> float:
        with mock.patch.dict(os.environ, GLIBC_TUNABLES=tunables):
            return alone(sixteen_steps, 16 * told.batch_size, sizes, sizes.pages)[0]

    usual, huge = "as it comes", "huge pages"
    amount = 16 * told.batch_size
    ways = {usual: (amount, lambda: way("")), huge: (amount, lambda: way(HUGE_PAGES))}
    compared = [("huge pages / as it comes", huge, usual)]
    options = {"warm_up": 0, "tunables": HUGE_PAGES, **_about(told)}
    return [timed(f"memory of {told.model}", ways, compared, sizes.loads, **options)]


def evaluate(data: str, rows: int) -> Cost:
    """Evaluate probabilities for the test rows; the search for copies of training faces too."""
    from sklearn import metrics  # noqa: F401  before the clock starts

    from utils import evaluation, records

    base = _memory()
    many = many_faces(data, rows)
    test = many.split == "test"
    drawn = np.random.default_rng(0).dirichlet(np.ones(7), test.sum()).astype(np.float32)

    def work() -> object:
        copies = datasets.copies_in_training(many)[test]
        given = records.Predictions(drawn, many.labels[test], many.rows[test], copies)
        return evaluation.summary(given), evaluation.report(given), evaluation.confusion(given)

    return _cost(work, base)


def growth(sizes: Sizes, data: str) -> list[dict]:
    """Measure each task at each size, smallest first, each time in a process of its own.

    A task whose process is killed, as the system does when memory runs out, is left out from that
    size on, and its note says so.
    """
    found: dict[str, dict[str, Any]] = {}
    for rows in (factor * sizes.rows for factor in sizes.factors):
        part = round(rows * FER2013_TRAINING / FER2013_ROWS)
        with tempfile.TemporaryDirectory() as folder:
            path = write_csv(Path(folder) / "fer2013.csv", many_faces(data, rows))
            alone(load, "cached", path, folder)  # fills the cache
            tasks: dict[str, tuple] = {
                "loading the csv": (load, "csv", path),
                "loading from the cache": (load, "cached", path, folder),
                "SMOTE": (oversample, data, part, 48),
                "16 training steps": (sixteen_steps, part, sizes),
                "evaluation": (evaluate, data, rows),
            }
            for task, call in tasks.items():
                one = found.setdefault(task, {"task": task, "fixed": call[0] is sixteen_steps})
                if one.get("note"):
                    continue
                try:
                    costs = [alone(*call)]
                    while len(costs) < sizes.loads and costs[0][0] < 60:
                        costs.append(alone(*call))
                except BrokenProcessPool:
                    if "rows" not in one:
                        raise
                    one["note"] = f"from {rows:,} rows on not measured: its process was killed"
                    continue
                for name, value in zip(
                    ("rows", "seconds", "megabytes"), (rows, *zip(*costs, strict=True)), strict=True
                ):
                    one.setdefault(name, []).append(value)
    return [{"note": "", **one} for one in found.values()]
