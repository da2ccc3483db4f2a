"""What detectors find, and how wide to crop: parts with a record of their own each."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments.speed.parts import QUICK, Sizes
from utils import datasets, faces, inference, models, photos, records, runtime
from utils.datasets import expw
from utils.expressions import EXPRESSIONS

#: The least intersection over union of a found box with the labelled one.
OVERLAP = 0.4
#: How far boxes are widened, as a share of their sides.
MARGINS = (0.0, 0.05, 0.1, 0.2, 0.3)
#: Longer sides of the photos that CenterFace is shown.
SIDES = (256, 320, 416, 640)


def _expw():
    """Return ExpW's list of faces, and the file of each photo."""
    folder = runtime.RAW / "expw"
    table = expw.read_list(next(folder.rglob(expw.LIST_NAME), folder / expw.LIST_NAME))
    return table, expw.locate_photos(table, folder)


def _count(labels: np.ndarray) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(EXPRESSIONS)).tolist()
    return dict(zip(EXPRESSIONS, counts, strict=True))


def detectors(sizes: Sizes, data: str) -> dict[str, Any]:
    """Count what each detector finds: of ExpW's labelled boxes, and of FER2013's pictures.

    A labelled face counts as found when a detected box overlaps it by `OVERLAP`. FER2013's pictures
    are faces already: there a picture counts, enlarged once, twice, four times, when the detector
    finds any face in it; the others are what a pipeline throws away that runs one over FER2013.
    """
    table, paths = _expw()
    names = np.random.default_rng(0).permutation(sorted(paths))[: sizes.photos]
    measured: dict[str, Any] = {"photos": len(names), "overlap": OVERLAP}
    measured["faces"] = int(table["photo"].isin(names).sum())
    measured["detectors"] = {name: {"found": 0, "detected": 0} for name in faces.DETECTORS}
    seconds = dict.fromkeys(faces.DETECTORS, 0.0)
    for detector in seconds:  # loading it is no part of a photo's time
        faces.detect(np.zeros((200, 200, 3), np.uint8), detector)
    for name in tqdm(names, desc="ExpW", unit=" photos"):
        photo = faces.read_photo(paths[name])
        rows = table.loc[table["photo"] == name, ["left", "top", "right", "bottom"]]
        boxes = [faces.Box(*row).clipped(photo.shape[1], photo.shape[0]) for row in rows.to_numpy()]
        for detector, counts in measured["detectors"].items():
            start = time.perf_counter()
            found = faces.detect(photo, detector)
            seconds[detector] += time.perf_counter() - start
            counts["detected"] += len(found)
            counts["found"] += sum(
                any(faces.overlap(box, one.box) >= OVERLAP for one in found) for box in boxes
            )
    for detector, counts in measured["detectors"].items():
        counts["milliseconds"] = round(1000 * seconds[detector] / len(names), 1)
    part = datasets.load(data).part("training")
    pictures: dict[str, Any] = {}
    for detector, count in {"mtcnn": sizes.pictures, "haar": 6 * sizes.pictures}.items():
        images, labels = part.images[:count], part.labels[:count]
        pictures[detector] = {"rows": _count(labels), "found": {}}
        for factor in (1, 2, 4):
            shown = tqdm(
                faces.resize(images, factor * images.shape[1]), desc=f"{detector} ×{factor}"
            )
            hits = np.array([bool(faces.detect(picture, detector)) for picture in shown])
            pictures[detector]["found"][str(factor)] = _count(labels[hits])
    return {"expw": measured, data: pictures, "seed": 0}


def margin(sizes: Sizes, data: str) -> dict[str, Any]:
    """Count, over ExpW, what CenterFace finds by the side that it is shown, and how wide to crop.

    "sides": of all labelled faces, at the default confidence. The margins are about
    training and validation rows alone, since the answer sets a default (`photos.MARGIN`): how many
    faces the released network names rightly in ExpW's "own" boxes, in CenterFace's of those that it
    finds, and in their own, "own, the same faces".
    """
    file = models.find(models.DEFAULT)
    classifier = inference.load()
    table, paths = _expw()
    chosen = datasets.load("expw").split != "test"
    names = np.random.default_rng(0).permutation(sorted(paths))
    names = names[: sizes.photos] if sizes is QUICK else names
    kinds = ("own", "own, the same faces", "centerface")
    kept: dict[str, list[np.ndarray]] = {kind: [] for kind in kinds}
    sides = {side: {"found": 0, "detected": 0, "milliseconds": []} for side in SIDES}
    labelled = 0

    def keep(kind: str, photo: np.ndarray, box: faces.Box, label: int) -> None:
        found = [faces.Detection(box, 1.0)]
        crops = [photos.cropped(photo, found, classifier, margin=one)[0] for one in MARGINS]
        kept[kind].append(classifier.predict(np.stack(crops)).argmax(axis=1) == label)

    for name in tqdm(names, desc="ExpW", unit=" photos"):
        photo = faces.read_photo(paths[name])
        seen = {}
        for side, counts in sides.items():
            start = time.perf_counter()
            seen[side] = faces.detect(photo, side=side)
            counts["milliseconds"].append(1000 * (time.perf_counter() - start))
            counts["detected"] += len(seen[side])
        for row in table[table["photo"] == name].itertuples():
            labelled += 1
            box = faces.Box(row.left, row.top, row.right, row.bottom)
            inside = box.clipped(photo.shape[1], photo.shape[0])
            overlaps = {
                side: [faces.overlap(one.box, inside) for one in found]
                for side, found in seen.items()
            }
            for side, some in overlaps.items():
                sides[side]["found"] += max(some, default=0.0) >= OVERLAP
            if not chosen[row.Index]:
                continue
            keep("own", photo, box, row.label)
            some = overlaps[faces.DETECTORS["centerface"]]
            if max(some, default=0.0) >= OVERLAP:
                keep("own, the same faces", photo, box, row.label)
                found = seen[faces.DETECTORS["centerface"]][int(np.argmax(some))]
                keep("centerface", photo, found.box, row.label)
    for counts in sides.values():
        counts["milliseconds"] = round(float(np.median(counts["milliseconds"])), 1)
    counted: dict[str, Any] = {}
    for kind, right in kept.items():
        sums = np.sum(right, axis=0, dtype=int) if right else np.zeros(len(MARGINS), int)
        correct = {f"{one:g}": int(count) for one, count in zip(MARGINS, sums, strict=True)}
        counted[kind] = {"faces": len(right), "correct": correct}
    of = {"network": records.network_name(file), "model_sha256": runtime.sha256(file)}
    on = {"dataset": "expw", "splits": ["training", "validation"], "overlap": OVERLAP}
    seen = {"photos": len(names), "labelled": labelled}
    found = {str(side): counts for side, counts in sides.items()}
    return {**of, **on, **seen, "sides": found, **counted, "seed": 0}
