"""What SMOTE costs at FER2013's size, 28,709 faces of 64×64, in time and memory.

``python benchmarks/smote.py`` measures in a process of its own, so that nothing else is in the
memory it reports, and with ``--record`` writes ``results/benchmarks/smote.json``, which notebook
03 reads. It takes about a minute on two cores and 3 GB of memory. Where FER2013 is not in
``data/raw``, rendered sample faces are repeated to its size, and the record says so: time and
memory come out much the same, what the faces are like does not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import processes
from utils import balance, datasets, faces, records, runtime
from utils.datasets import FaceDataset
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError

RECORD = runtime.RESULTS / "benchmarks" / "smote.json"
#: FER2013's training rows of each expression (Goodfellow et al. 2013), for the substitute.
FER2013_COUNTS = (3995, 436, 4097, 7215, 4830, 3171, 4965)


def training_faces() -> tuple[FaceDataset, str]:
    """FER2013's training rows; without them, sample faces repeated to as many.

    Returns
    -------
    FaceDataset
        28,709 training rows of 48×48.
    str
        What they are, in words.
    """
    try:
        return datasets.load("fer2013").part("training"), "fer2013"
    except DataError:
        sample = datasets.load("sample").part("training")
    members = [np.flatnonzero(sample.labels == label) for label in range(len(EXPRESSIONS))]
    repeated = [np.resize(rows, count) for rows, count in zip(members, FER2013_COUNTS, strict=True)]
    return sample.take(np.concatenate(repeated)), "rendered sample faces, repeated"


def measure(size: int, seed: int) -> dict:
    """Balance the training rows once, in this process.

    Parameters
    ----------
    size : int
        Side of the faces in pixels.
    seed : int
        SMOTE's.

    Returns
    -------
    dict
        What went in and came out: counts, seconds, peak memory in MB, and how the blends differ
        from real faces.
    """
    training, name = training_faces()
    training = training.with_images(faces.resize(training.images, size))
    before = round(processes.peak_megabytes())
    start = time.perf_counter()
    balanced = balance.smote(training, seed=seed)
    seconds = time.perf_counter() - start
    return {
        "dataset": name,
        "shape": list(training.images.shape[1:]),
        "seed": seed,
        "counts": {
            "before": _counts(training.labels),
            "after": _counts(balanced.labels),
        },
        "seconds": round(seconds, 1),
        "peak_megabytes": {"before": before, "after": round(processes.peak_megabytes())},
        "images_megabytes": round(training.images.nbytes / 1e6),
        **_blends(balanced),
    }


def _counts(labels: np.ndarray) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(EXPRESSIONS)).tolist()
    return dict(zip(EXPRESSIONS, counts, strict=True))


def _blends(balanced: balance.Balanced) -> dict:
    """How many synthetic faces repeat a real one, and how much contrast each class has left."""
    first, second = balanced.parents.T
    twins = sum(
        np.array_equal(balanced.images[a], balanced.images[b])
        for a, b in zip(first, second, strict=True)
    )
    contrast = np.array(
        [np.abs(np.diff(image.astype(int), axis=1)).mean() for image in balanced.images]
    )
    synthetic = np.arange(len(balanced)) >= balanced.real
    table = {}
    for label, expression in enumerate(EXPRESSIONS):
        here = balanced.labels == label
        table[expression] = {
            "real": round(float(contrast[here & ~synthetic].mean()), 2),
            "synthetic": round(float(contrast[here & synthetic].mean()), 2)
            if (here & synthetic).any()
            else None,
        }
    return {
        "synthetic": len(first),
        "synthetic_with_identical_parents": int(twins),
        "mean_step_between_neighbouring_pixels": table,
    }


def main() -> None:
    """Measure in a child process, print, and write the record where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=64, help="side of the faces in pixels")
    parser.add_argument("--seed", type=int, default=0, help="SMOTE's seed")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    parser.add_argument("--note", default="", help="what else the machine did, for the record")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.size, options.seed)))
        return
    arguments = ["--here", "--size", str(options.size), "--seed", str(options.seed)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    runtime.setup(seed=0)
    record = json.loads(done.stdout) | {"note": options.note, **records.surroundings()}
    before, after = record["counts"]["before"], record["counts"]["after"]
    print(f"{record['dataset']}: {sum(before.values()):,} faces to {sum(after.values()):,}")
    print(f"{record['seconds']:.0f} s, {record['peak_megabytes']['after'] / 1000:.1f} GB at most")
    if options.record:
        runtime.write_json(RECORD, record)


if __name__ == "__main__":
    main()
