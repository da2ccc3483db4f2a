"""Images a second: ImageDataGenerator, a face at a time, against the batched warp, in one run.

``python benchmarks/augmentation.py`` prints both and their ratio, and with ``--record`` writes
``results/benchmarks/augmentation.json``, which notebook 04 reads. It takes under a minute on two
cores. Both give NumPy batches of float32, shuffled or drawn anew each time, as training takes
them; they take turns, so that whatever else the machine does falls on both. On a busy machine
look at the ratio of processor time, which counts this process's own work on all cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils import augment, records, runtime

RECORD = runtime.RESULTS / "benchmarks" / "augmentation.json"
WAYS = ("generator", "warp")


def measure(
    images: np.ndarray, augmentation: augment.Augmentation, *, batch_size: int, repeats: int
) -> dict[str, list[tuple[float, float]]]:
    """Time both ways over all images, in turns.

    Parameters
    ----------
    images : (n, height, width, channels) uint8 array
        The faces; what they show makes no difference to the time.
    augmentation : Augmentation
        What both draw.
    batch_size : int
        Images a batch.
    repeats : int
        How often each way goes over the images, after one pass that is not counted.

    Returns
    -------
    dict of str to list of (float, float)
        "generator" and "warp": seconds by the clock and of all processors, of each repeat.
    """
    passes = {
        "generator": _generator_pass(images, augmentation, batch_size),
        "warp": _warp_pass(images, augmentation, batch_size),
    }
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for repeat in range(repeats + 1):
        for way in WAYS:
            clock, processors = time.perf_counter(), time.process_time()
            passes[way](repeat)
            spent = (time.perf_counter() - clock, time.process_time() - processors)
            if repeat > 0:
                seconds[way].append(spent)
    return seconds


def _generator_pass(
    images: np.ndarray, augmentation: augment.Augmentation, batch_size: int
) -> Callable[[int], None]:
    pixels = images.astype(np.float32)
    generator = augment.image_data_generator(augmentation)
    batches = generator.flow(pixels, batch_size=batch_size, shuffle=True, seed=0)

    def run(repeat: int) -> None:
        for index in range(len(batches)):
            batches[index]

    return run


def _warp_pass(
    images: np.ndarray, augmentation: augment.Augmentation, batch_size: int
) -> Callable[[int], None]:
    def run(repeat: int) -> None:
        rng = np.random.default_rng(repeat)
        order = rng.permutation(len(images))
        for start in range(0, len(images), batch_size):
            batch = images[order[start : start + batch_size]]
            np.asarray(augment.augment(batch, augmentation, rng))

    return run


def spread(values: np.ndarray | list[float], digits: int) -> dict[str, float]:
    """Return the smallest, the median and the largest of some values."""
    found = np.quantile(values, [0, 0.5, 1]).round(digits).tolist()
    return dict(zip(("min", "median", "max"), found, strict=True))


def main() -> None:
    """Measure, print, and write the record where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4096, help="pictures a pass")
    parser.add_argument("--size", type=int, default=64, help="their side in pixels")
    parser.add_argument("--batch-size", type=int, default=128, help="pictures a batch")
    parser.add_argument("--repeats", type=int, default=9, help="passes that are counted")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    parser.add_argument("--note", default="", help="what else the machine did, for the record")
    options = parser.parse_args()
    runtime.setup(seed=0)
    shape = (options.images, options.size, options.size, 1)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    augmentation = augment.Augmentation()
    seconds = measure(images, augmentation, batch_size=options.batch_size, repeats=options.repeats)
    clock, processors = {}, {}
    for way in WAYS:
        clock[way], processors[way] = np.array(seconds[way]).T
    record = {
        "images": options.images,
        "shape": list(shape[1:]),
        "batch_size": options.batch_size,
        "repeats": options.repeats,
        "augmentation": dataclasses.asdict(augmentation),
        "images_per_second": {way: spread(options.images / clock[way], 0) for way in WAYS},
        "ratio": spread(clock["generator"] / clock["warp"], 2),
        "ratio_of_processor_time": spread(processors["generator"] / processors["warp"], 2),
        "note": options.note,
        **records.surroundings(),
    }
    for way in WAYS:
        found = record["images_per_second"][way]
        print(
            f"{way:9}  {found['median']:8,.0f} images a second "
            f"({found['min']:,.0f} … {found['max']:,.0f})"
        )
    for name, words in (("ratio", "by the clock"), ("ratio_of_processor_time", "by work done")):
        found = record[name]
        print(
            f"the warp is {found['median']:.1f} times as fast {words} "
            f"({found['min']:.1f} … {found['max']:.1f} in {options.repeats} repeats)"
        )
    print(f"on {record['hardware']}, {record['backend']}")
    if options.record:
        runtime.write_json(RECORD, record)


if __name__ == "__main__":
    main()
