"""Measure, as ratios within one run, how fast this project's methods are against the usual ones.

    python -m experiments.speed                          # all but recipes
    python -m experiments.speed recipes --record NAME    # for the table of minutes
    KERAS_BACKEND=jax python -m experiments.speed --record h100

Methods that do the same work take turns, so that a busy machine slows all of them alike; but use an
idle one for any number you cite. Compiling is not timed. Seconds are recorded; every number shown
is computed from them.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from utils import augment, datasets, models, records, runtime, sample, training
from utils.datasets import fer2013, sources
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError

#: glibc's settings (``man mallopt``) under which it takes memory in huge pages and keeps some.
HUGE_PAGES = "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=268435456"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much to measure."""

    repeats: int = 7  # turns that are counted
    loads: int = 3  # the same for loading, recipes, and memory
    precision: str = "mixed_bfloat16"  # of training
    batch_size: int = 128
    faces: int = 4096  # per repetition of augmentation and of training
    cnn5: dict[str, Any] = dataclasses.field(default_factory=dict)  # its settings
    pages: str = "resnet8"  # the network whose memory is timed
    recipe: dict[str, Any] = dataclasses.field(default_factory=dict)  # changes to each
    calls: int = 50  # single faces per repetition of inference
    batches: tuple[int, ...] = (32, 256)  # faces per call


#: As small as everything still runs; the times mean nothing.
QUICK = Sizes(
    repeats=1,
    loads=1,
    batch_size=16,
    faces=64,
    cnn5={"size": 32, "network": {"filters": [4] * 5, "dense": 16}},
    pages="cnn5",
    recipe={"model": "cnn3", "network": {"filters": (4, 4, 4), "dense": 8}, "size": 16},
    calls=2,
    batches=(4,),
)
#: On these, a repetition must be larger, or it measures how long a call takes.
ACCELERATOR = Sizes(faces=65_536)


def record_path(name: str = "", results: Path | None = None) -> Path:
    """Return a record's path: ``speed.json``, or ``speed-NAME.json`` for another machine."""
    file = f"speed-{name}.json" if name else "speed.json"
    return (results or runtime.RESULTS) / "benchmarks" / file


def write(path: Path, record: dict[str, Any]) -> None:
    """Write the record of one machine atomically; parts that only the file has are kept.

    It holds "hardware", "backend", "accelerator" (bool), and "parts": by name "timings" as `timed`
    makes them, and "about" (when, load, versions, command).

    Raises
    ------
    DataError
        When the file is from another machine or backend.
    """
    if path.is_file():
        before = runtime.read_json(path)
        old, new = (f"{one['hardware']}, {one['backend']}" for one in (before, record))
        if old != new:
            raise DataError(f"{path.name} is from {old}, but this is {new}: name another record")
        record = {**record, "parts": {**before["parts"], **record["parts"]}}
    runtime.write_json(path, record)


def _timings(record: dict[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, np.ndarray]]]:
    """Return part, timing, and, by way, how much was done per second in each repetition."""
    return [
        (part, one, {way: n / np.array(one["seconds"][way]) for way, n in one["amounts"].items()})
        for part, measured in record["parts"].items()
        for one in measured["timings"]
    ]


def _spread(values: np.ndarray) -> dict[str, float]:
    return dict(zip(("low", "median", "high"), np.quantile(values, [0, 0.5, 1]), strict=True))


def ratios_table(record: dict[str, Any]) -> pd.DataFrame:
    """List every comparison of a record.

    Returns
    -------
    DataFrame
        One row per comparison: "part", "case", "comparison", "low", "median", "high", "repeats". A
        ratio is of repetitions next to each other in time, so that whatever else the machine did
        affected both; the median is that of the ratios.
    """
    rows = [
        {"part": part, "case": timing["case"], "comparison": one["name"]}
        | _spread(rates[one["fast"]] / rates[one["slow"]])
        | {"repeats": len(rates[one["fast"]])}
        for part, timing, rates in _timings(record)
        for one in timing["comparisons"]
    ]
    columns = ["part", "case", "comparison", "low", "median", "high", "repeats"]
    return pd.DataFrame(rows, columns=columns)


def rates_table(record: dict[str, Any]) -> pd.DataFrame:
    """List how much every way does per second.

    Returns
    -------
    DataFrame
        One row per way: "part", "case", "way", "unit", "low", "median", "high" (units per second).
    """
    rows = [
        {"part": part, "case": timing["case"], "way": way, "unit": timing["unit"]} | _spread(values)
        for part, timing, rates in _timings(record)
        for way, values in rates.items()
    ]
    return pd.DataFrame(rows, columns=["part", "case", "way", "unit", "low", "median", "high"])


def timed(
    case: str,
    ways: Mapping[str, tuple[float, Callable[[], object]]],
    compared: list[tuple[str, str, str]],
    repeats: int,
    *,
    unit: str = "faces",
    warm_up: int = 1,
    **settings: Any,
) -> dict[str, Any]:
    """Time ways of (amount, call), for the record; `compared` holds (name, fast way, slow way).

    They take turns, A B A B, so that a busy machine slows all of them alike. If a call returns a
    float, those are the seconds that count; otherwise, the entire call counts. The first `warm_up`
    turns do not count: they compile.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-warm_up, repeats):
        for name, (_, way) in ways.items():
            start = time.perf_counter()
            own = way()
            spent = own if isinstance(own, float) else time.perf_counter() - start
            if turn >= 0:
                seconds[name].append(float(f"{spent:.7g}"))
    return {
        "case": case,
        "unit": unit,
        "amounts": {name: amount for name, (amount, _) in ways.items()},
        "seconds": seconds,
        "comparisons": [dict(zip(("name", "fast", "slow"), one, strict=True)) for one in compared],
        "settings": settings,
    }


def alone(task: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of this module in a fresh process, with memory of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(task, *arguments).result()


def loading(sizes: Sizes) -> list[dict]:
    """Time three ways to load FER2013's pictures, or the sample's if `data/raw` has none.

    With pandas as most notebooks do, row by row; with our reader, which, unlike the pandas code,
    checks every pixel; and from the cache, which holds checked pixels. The system still has the
    file in memory.
    """
    usual, ours, cached = "pandas, row by row", "this project's csv reader", "this project's cache"

    def by_pandas() -> None:
        with sources.open_csv(path, fer2013.CSV_NAMES) as (file, _):
            pixels = pd.read_csv(file, skipinitialspace=True)["pixels"]
        rows = [np.array(row.split(" "), dtype="float32") for row in pixels]
        np.array(rows).reshape(-1, 48, 48, 1)

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(runtime, "CACHE", Path(folder)):
        real = runtime.RAW / "fer2013"
        path = fer2013.find_csv(real) if real.exists() else None
        data = "fer2013" if path else "sample"
        path = path or fer2013.find_csv(sample.write(f"{folder}/raw") / "fer2013")
        rows = len(datasets.load("fer2013", path))  # fills the cache
        ways = {
            usual: (rows, by_pandas),
            ours: (rows, lambda: datasets.load("fer2013", path, cache=False)),
            cached: (rows, lambda: datasets.load("fer2013", path)),
        }
        compared = [("cache / csv", cached, ours), ("csv / pandas, row by row", ours, usual)]
        return [timed("loading", ways, compared, sizes.loads, unit="rows", warm_up=0, data=data)]


def compiled(model, *, training: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """Compile a model's prediction for a batch with the backend's own compiler."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        # Copies: ``predict`` donates the arrays of the model's own variables to the device.
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
    """Make the ImageDataGenerator for these settings."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator(
        rotation_range=settings.rotation,
        zoom_range=settings.zoom,
        height_shift_range=settings.shift,
        width_shift_range=settings.shift,
        horizontal_flip=settings.flip,
    )


def augmentation(sizes: Sizes) -> list[dict]:
    """Time ImageDataGenerator, one face at a time, and augmentation layers; both give float32."""
    import keras

    settings, rng = _settings("cnn5", sizes), np.random.default_rng(0)
    images, _ = _noise(sizes.faces, settings.size)
    batches = _generator(settings).flow(
        images.astype(np.float32), batch_size=sizes.batch_size, seed=0
    )
    layers = [keras.Input(images.shape[1:]), *augment.layers_before(**settings.augmentation())]
    warp = compiled(keras.Sequential(layers), training=True)
    slow, fast = "ImageDataGenerator", "augmentation layers"

    def move(name: str) -> None:
        order = rng.permutation(sizes.faces)
        for at in range(len(batches)):
            if name == slow:
                batches[at]
            else:
                warp(images[order[at * sizes.batch_size : (at + 1) * sizes.batch_size]])

    ways = {name: (sizes.faces, lambda name=name: move(name)) for name in (slow, fast)}
    name = f"{fast} / {slow}"
    options = {"size": settings.size, "batch_size": sizes.batch_size}
    return [timed("augmentation alone", ways, [(name, fast, slow)], sizes.repeats, **options)]


def inference(sizes: Sizes) -> list[dict]:
    """Time `cnn5`'s predictions in float32: `model.predict` face by face, and faster calls.

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
    found = [timed("inference, one face", ways, compared, sizes.repeats, **options)]
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


def _network(settings: training.Settings, *, fused: bool = True):
    """Build a network with random weights and the layers of `utils.layers`, or Keras's own."""
    from utils.training.fit import on_a_processor

    shape = (settings.size, settings.size, 1)
    network = models.build(settings.model, shape, **settings.without_weights())
    return models.with_dtype(network, settings.precision, fused=fused and on_a_processor())


def _trained(model, settings: training.Settings, *inputs: Any, **options: Any) -> Callable:
    """Compile a model as `training.train` does; return a function that trains an epoch."""
    from utils.training.fit import compile_model

    compile_model(model, settings, 100, epochs=2, fine_tuning=False)
    return lambda: model.fit(*inputs, verbose=0, **options)


def settings_of(run: str) -> training.Settings:
    """Return the settings of a recorded run."""
    return training.settings_from_record(records.load(run).info["settings"])


def trainer(settings: training.Settings, count: int) -> Callable[[], object]:
    """Set up what `training.train` fits, on noise; one epoch per call, without validation.

    Teachers have the networks of recorded runs, with random weights too.
    """
    from utils.training.model import Batches, TrainingModel
    from utils.training.transfer import mean_answer

    taught_by = [settings_of(name) for name in settings.teachers]
    teachers = [models.Classifier(_network(one, fused=False), EXPRESSIONS) for one in taught_by]
    teach = mean_answer(teachers, settings.precision)
    batches = Batches(*_noise(count, settings.size), batch_size=settings.batch_size, seed=0)
    layers = augment.layers_before(**settings.augmentation())
    mixing = augment.mixing_layer(mixup=settings.mixup, cutmix=settings.cutmix)
    network, share = _network(settings), settings.distillation_weight
    model = TrainingModel(network, layers, mixing, teach, share)
    return _trained(model, settings, batches)


def training_steps(sizes: Sizes) -> list[dict]:
    """Time training `cnn5` in four ways, with equally many steps.

    "training.train" is this project's: batches of uint8, augmentation inside the step, the layers
    of `utils.layers`. "arrays in memory" gives ``fit`` the same faces as arrays.
    "ImageDataGenerator" hands it augmented float32 faces, with Keras's layers. "as found in the
    wild" is the same with the usual defaults of such projects: float32, batches of 32, rescale.
    """
    import keras

    told = _settings("cnn5", sizes)
    count, few = sizes.faces, sizes.faces // 4
    images, targets = _noise(count, told.size)
    layers = [keras.Input(images.shape[1:]), *augment.layers_before(**told.augmentation())]
    plain = keras.Sequential([*layers, _network(told)])

    def usual_way(count: int, told: training.Settings, rescale: float | None) -> Callable:
        generator = _generator(told)
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
    return [timed("training cnn5", ways, compared, sizes.repeats, **_about(told))]


def recipes(sizes: Sizes) -> list[dict]:
    """Time the training step of each run recorded on FER2013, with its own settings.

    A record's seconds include whatever else its machine did; these, on one machine at one time, say
    what an epoch costs. Each is timed in a process of its own, as it was trained: none computes in
    memory that another left behind.
    """
    names = records.names(runtime.RESULTS)
    names = [name for name in names if records.load(name).info["dataset"] == "fer2013"]
    return [alone(recorded_recipe, name, sizes) for name in names]


def recorded_recipe(name: str, sizes: Sizes) -> dict[str, Any]:
    """Time the training step of a recorded run."""
    runtime.setup()
    told = dataclasses.replace(settings_of(name), initial_weights=(), **sizes.recipe)
    count = max(sizes.faces // 2, told.batch_size)
    ways = {name: (count, trainer(told, count))}
    return timed(f"{name}, its recipe", ways, [], sizes.loads, **_about(told))


def sixteen_steps(sizes: Sizes) -> float:
    """Train 16 steps of the network whose memory is timed, already compiled; return the seconds."""
    runtime.setup()
    told = _settings(sizes.pages, sizes)
    epoch = trainer(told, 16 * told.batch_size)
    epoch()
    start = time.perf_counter()
    epoch()
    return time.perf_counter() - start


def memory(sizes: Sizes) -> list[dict]:
    """Time training steps with memory as glibc gives it, and with memory in huge pages.

    glibc reads ``GLIBC_TUNABLES`` when a process starts: every turn is a process of its own. On a
    system without glibc, both ways are the same.
    """
    told = _settings(sizes.pages, sizes)

    def way(tunables: str) -> float:
        with mock.patch.dict(os.environ, GLIBC_TUNABLES=tunables):
            return alone(sixteen_steps, sizes)

    usual, huge = "as it comes", "huge pages"
    amount = 16 * told.batch_size
    ways = {usual: (amount, lambda: way("")), huge: (amount, lambda: way(HUGE_PAGES))}
    compared = [("huge pages / as it comes", huge, usual)]
    options = {"warm_up": 0, "tunables": HUGE_PAGES, **_about(told)}
    return [timed(f"memory of {told.model}", ways, compared, sizes.loads, **options)]


PARTS = {
    "augmentation": augmentation,
    "inference": inference,
    "loading": loading,
    "training": training_steps,
    "recipes": recipes,
    "memory": memory,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line says."""
    parser = runtime.parser("python -m experiments.speed", __doc__)
    add = parser.add_argument
    add("part", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    add("--quick", action="store_true", help="tiny: to check that everything runs")
    add("--record", nargs="?", const="", metavar="MACHINE", help="write speed[-MACHINE].json")
    add("--note", default="", help="what else the machine was doing, for the record")
    add("--results", type=Path, default=runtime.RESULTS, metavar="FOLDER")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.part) - set(PARTS):
        parser.error(f"no part is called {min(unknown)!r}: expected some of {', '.join(PARTS)}")
    recording = asked.record is not None
    if asked.quick and recording and asked.results == runtime.RESULTS:
        parser.error("--quick measures nothing worth recording; to try it, name --results")
    path = record_path(asked.record or "", asked.results)
    # Both backends would take all of an accelerator's memory, and leave none to a child process.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    runtime.setup(seed=0)
    for name in asked.part or [name for name in PARTS if name != "recipes"]:
        print(f"{name} …", flush=True)
        record = measure(name, quick=asked.quick, note=asked.note)
        print(f"{record['hardware']}, {record['backend']}")
        for table in (rates_table(record), ratios_table(record)):
            print(table.round(2).to_string(), end="\n\n")
        if recording:  # at once, since a later part may be killed
            write(path, record)


def measure(name: str, *, quick: bool = False, note: str = "") -> dict[str, Any]:
    """Measure one part; return its record."""
    accelerator = bool(records.accelerators())
    sizes = QUICK if quick else ACCELERATOR if accelerator else Sizes()
    about = {"command": runtime.command_line(), "note": note, "measured": runtime.now()}
    load, start = os.getloadavg() if hasattr(os, "getloadavg") else (), time.perf_counter()
    timings = PARTS[name](sizes)
    about["seconds"] = round(time.perf_counter() - start, 1)
    about["load"] = {"before": load, "after": os.getloadavg() if load else ()}
    for key, variable in (("onednn", "TF_ENABLE_ONEDNN_OPTS"), ("tunables", "GLIBC_TUNABLES")):
        about[key] = os.environ.get(variable, "")
    about |= records.surroundings()
    machine = {"hardware": about.pop("hardware"), "backend": about.pop("backend")}
    parts = {name: {"timings": timings, "about": about}}
    return {**machine, "accelerator": accelerator, "parts": parts}


if __name__ == "__main__":
    runtime.run_command(main)
