"""How many faces the two detectors find: of ExpW's labelled boxes, and of FER2013's pictures.

``python benchmarks/detectors.py`` reads ``data/raw/expw`` and ``data/raw/fer2013`` and writes
``results/detectors/detectors.json``: counts, from which notebook 02 computes every share. It took
ten minutes on two cores that had other work to do, as the load average in the record tells.

On ExpW a labelled face counts as found when a detected box overlaps its box by 0.4 or more
(intersection over union). FER2013's pictures are faces already, cut out at 48×48: there a picture
counts when the detector finds any face in it at all. The others are what a pipeline throws away
that runs a detector over FER2013.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils import datasets, faces, records, runtime
from utils.datasets import expw
from utils.expressions import EXPRESSIONS

#: The least intersection over union of a found box with the labelled one.
OVERLAP = 0.4
#: How often FER2013's pictures are enlarged before they are shown to a detector.
FACTORS = (1, 2, 4)
PACKAGES = ("numpy", "opencv-python-headless", "mtcnn", "tensorflow", "keras", "pillow")


def measure_photos(folder: Path, count: int, seed: int) -> dict:
    """Count the labelled faces that each detector finds on a sample of ExpW's photos.

    Parameters
    ----------
    folder : Path
        ExpW: ``label.lst`` and the photos.
    count : int
        How many photos to draw.
    seed : int
        Draws them.

    Returns
    -------
    dict
        "photos", "faces", "overlap", and for each detector "found" (labelled faces), "detected"
        (boxes in all; faces without a label are among them) and "milliseconds" a photo.
    """
    table = expw.read_list(folder / expw.LIST_NAME)
    paths = expw.locate_photos(table, folder)
    names = np.random.default_rng(seed).permutation(sorted(paths))[:count]
    result = {
        "photos": len(names),
        "faces": int(table["photo"].isin(names).sum()),
        "overlap": OVERLAP,
        "detectors": {name: {"found": 0, "detected": 0} for name in faces.DETECTORS},
    }
    seconds = dict.fromkeys(faces.DETECTORS, 0.0)
    labelled = table.groupby("photo")[["left", "top", "right", "bottom"]]
    for name in tqdm(names, desc="ExpW", unit=" photos"):
        photo = faces.read_photo(paths[name])
        boxes = [
            faces.Box(*edges).clipped(photo.shape[1], photo.shape[0])
            for edges in labelled.get_group(name).itertuples(index=False)
        ]
        for detector, counts in result["detectors"].items():
            start = time.perf_counter()
            found = faces.detect(photo, detector)
            seconds[detector] += time.perf_counter() - start
            counts["detected"] += len(found)
            counts["found"] += sum(
                any(faces.overlap(box, detection.box) >= OVERLAP for detection in found)
                for box in boxes
            )
    for detector, counts in result["detectors"].items():
        counts["milliseconds"] = round(1000 * seconds[detector] / len(names), 1)
    return result


def measure_pictures(path: Path, rows: dict[str, int]) -> dict:
    """Count the FER2013 pictures in which each detector finds a face, for each enlargement.

    Parameters
    ----------
    path : Path
        FER2013, as `datasets.load` takes it.
    rows : dict of str to int
        For each detector, how many of the first training rows it is shown.

    Returns
    -------
    dict
        For each detector "rows", the pictures of each expression, and "found": for each factor
        those with a face.
    """
    training = datasets.load("fer2013", path).part("training")
    result = {}
    for detector, count in rows.items():
        images, labels = training.images[:count], training.labels[:count]
        result[detector] = {"rows": _count(labels), "found": {}}
        for factor in FACTORS:
            enlarged = faces.resize(images, factor * images.shape[1])
            shown = tqdm(enlarged, desc=f"FER2013, {detector} ×{factor}", unit=" pictures")
            hits = np.array([bool(faces.detect(picture, detector)) for picture in shown])
            result[detector]["found"][str(factor)] = _count(labels[hits])
    return result


def _count(labels: np.ndarray) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(EXPRESSIONS)).tolist()
    return dict(zip(EXPRESSIONS, counts, strict=True))


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--expw", type=Path, default=runtime.RAW / "expw", help="ExpW's folder")
    parser.add_argument("--fer2013", type=Path, default=runtime.RAW / "fer2013", help="FER2013")
    parser.add_argument("--photos", type=int, default=200, help="photos of ExpW to draw")
    parser.add_argument("--haar-rows", type=int, default=3000, help="FER2013 rows for haar")
    parser.add_argument("--mtcnn-rows", type=int, default=500, help="FER2013 rows for mtcnn")
    parser.add_argument("--seed", type=int, default=0, help="draws the photos")
    parser.add_argument(
        "--to", type=Path, default=runtime.RESULTS / "detectors" / "detectors.json", help="record"
    )
    options = parser.parse_args()
    runtime.setup(seed=options.seed)
    blank = np.zeros((200, 200, 3), np.uint8)
    for detector in faces.DETECTORS:  # loading is no part of a photo's time
        faces.detect(blank, detector)
    start = time.perf_counter()
    record = {
        "expw": measure_photos(options.expw, options.photos, options.seed),
        "fer2013": measure_pictures(
            options.fer2013, {"mtcnn": options.mtcnn_rows, "haar": options.haar_rows}
        ),
        "seed": options.seed,
        "seconds": round(time.perf_counter() - start),
        "versions": {package: metadata.version(package) for package in PACKAGES},
        "hardware": records.hardware(),
        "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }
    runtime.write_json(options.to, record)
    print(options.to.read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main()
