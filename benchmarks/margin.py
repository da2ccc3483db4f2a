"""How far a box should be widened before a FER2013 network sees the face.

``python benchmarks/margin.py`` reads ``data/raw/expw`` and writes ``results/photos/margin.json``:
how many of ExpW's faces the released network names rightly when their boxes are widened by each
margin. It looks at training and validation rows alone, since the answer sets a default
(`utils.photos.MARGIN`). It takes about two minutes of processor time.

Two kinds of boxes are cut out: ExpW's own, of all those faces; and, for a sample of the photos,
mtcnn's box of a labelled face (the one that overlaps its box most, by 0.4 or more) beside ExpW's
box of the same face.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils import datasets, faces, models, photos, records, runtime
from utils.datasets import expw

MARGINS = (0.0, 0.05, 0.1, 0.2, 0.3)
#: The least intersection over union of a found box with the labelled one.
OVERLAP = 0.4


def measure(folder: Path, classifier: models.Classifier, count: int, seed: int) -> dict:
    """Count right answers by box and margin.

    Parameters
    ----------
    folder : Path
        ExpW: ``label.lst`` and the photos.
    classifier : Classifier
        The network.
    count : int
        On how many photos the detector looks.
    seed : int
        Draws those photos.

    Returns
    -------
    dict
        "own", "own, the same faces" and "mtcnn", each with "faces" and "correct" (margin → count);
        "photos" that the detector looked at, and "labelled" faces in them.
    """
    dataset = datasets.load("expw", folder)
    listing = next(folder.rglob(expw.LIST_NAME))
    table = expw.read_list(listing)
    paths = expw.locate_photos(table, folder)
    table = table[dataset.split != "test"]
    names = np.random.default_rng(seed).permutation(sorted(set(table["photo"])))
    looked_at = set(names[:count])
    kinds = ("own", "own, the same faces", "mtcnn")
    crops = {kind: {margin: [] for margin in MARGINS} for kind in kinds}
    labels = {kind: [] for kind in kinds}

    def keep(kind: str, pixels: np.ndarray, box: faces.Box, label: int) -> None:
        labels[kind].append(label)
        for margin in MARGINS:
            crops[kind][margin].append(photos.cropped(pixels, [box], classifier, margin=margin)[0])

    grouped = table.groupby("photo")
    for name in tqdm(names, desc="ExpW", unit=" photos"):
        pixels = faces.read_photo(paths[name])
        found = faces.detect(pixels, "mtcnn") if name in looked_at else []
        for row in grouped.get_group(name).itertuples():
            box = faces.Box(row.left, row.top, row.right, row.bottom)
            keep("own", pixels, box, row.label)
            inside = box.clipped(pixels.shape[1], pixels.shape[0])
            best = max(
                (one.box for one in found), key=lambda b: faces.overlap(b, inside), default=None
            )
            if best is not None and faces.overlap(best, inside) >= OVERLAP:
                keep("own, the same faces", pixels, box, row.label)
                keep("mtcnn", pixels, best, row.label)
    result = {"photos": len(looked_at), "labelled": int(table["photo"].isin(looked_at).sum())}
    for kind in kinds:
        result[kind] = {"faces": len(labels[kind]), "correct": {}}
        for margin in MARGINS:
            predicted = classifier.predict(np.stack(crops[kind][margin])).argmax(axis=1)
            right = int((predicted == np.array(labels[kind])).sum())
            result[kind]["correct"][f"{margin:g}"] = right
    return result


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--expw", type=Path, default=runtime.RAW / "expw", help="ExpW's folder")
    parser.add_argument("--model", default=models.DEFAULT, help="a network of FER2013's classes")
    parser.add_argument("--photos", type=int, default=400, help="photos that the detector looks at")
    parser.add_argument("--seed", type=int, default=0, help="draws them")
    parser.add_argument(
        "--to", type=Path, default=runtime.RESULTS / "photos" / "margin.json", help="record"
    )
    asked = parser.parse_args()
    runtime.setup(seed=asked.seed)
    file = models.find(asked.model)
    start = time.process_time()
    record = {
        "network": records.network_name(file),
        "model_sha256": runtime.sha256(file),
        "dataset": "expw",
        "splits": ["training", "validation"],
        "overlap": OVERLAP,
        **measure(asked.expw, models.load(file), asked.photos, asked.seed),
        "seed": asked.seed,
        "processor_seconds": round(time.process_time() - start),
        **records.surroundings(),
    }
    runtime.write_json(asked.to, record)
    print(asked.to.read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main()
