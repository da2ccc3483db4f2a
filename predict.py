#!/usr/bin/env python3
"""Find the faces in photos, and name their expressions.

    python predict.py data/photos/astronaut.jpg
    python predict.py holiday/*.jpg --save marked --top 3
    python predict.py portrait.png --json > portrait.json

A face is a line: its expression, how probable that is, and its box. What the network names is what
a few labellers would see in the face, not what the person feels. Its model card (models/) says how
often it is wrong on the pictures that it was tested on; on photos of another kind expect worse.

A photo without a face says so, and is no error. A photo that cannot be read is named on stderr, and
the others are read all the same. Exit code 0: every photo was read; 1: one could not be read, or
the network could not be loaded; 2: the command line is wrong.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from utils import runtime
from utils.runtime import DataError, ModelError


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        prog="predict.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    described.add_argument(
        "photos", nargs="+", metavar="PHOTO", help="JPEG, PNG, WebP, GIF, TIFF …"
    )
    described.add_argument(
        "--model",
        metavar="NAME",
        help="a released network, a run, or a .keras file (default: cnn5-fer2013-smote)",
    )
    described.add_argument(
        "--detector",
        default="mtcnn",
        choices=("mtcnn", "haar"),
        help="mtcnn (default) finds more; haar finds frontal faces alone",
    )
    described.add_argument(
        "--margin",
        type=margin,
        metavar="FRACTION",
        help="widen each box by this fraction of its sides, 0 … 10 (default: 0)",
    )
    described.add_argument(
        "--top", type=positive, default=1, metavar="K", help="name the K most probable expressions"
    )
    described.add_argument(
        "--save",
        type=Path,
        metavar="FOLDER",
        help="write each photo that has a face there, its faces marked, as NAME-faces.png",
    )
    described.add_argument("--json", action="store_true", help="print one JSON object instead")
    return described


def margin(text: str) -> float:
    """Read a margin."""
    value = float(text)
    if not 0 <= value <= 10:
        raise ValueError(text)
    return value


def positive(text: str) -> int:
    """Read a whole number over 0."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the photos that the command line names; return the exit code."""
    asked = parser().parse_args(arguments)
    runtime.setup()
    from utils import models, photos

    try:
        file = models.find(asked.model or models.DEFAULT)
        classifier = models.load(file)
        network = photos.describe(file)
    except (ModelError, OSError) as error:
        return complain(error)
    wide = photos.MARGIN if asked.margin is None else asked.margin
    code, found, written = 0, [], []
    for path in asked.photos:
        try:
            photo = photos.read(path, classifier, detector=asked.detector, margin=wide)
            found.append(photo.as_json())
            if not asked.json:
                print("\n".join(photos.sentences(photo, asked.top)), flush=True)
            if asked.save and photo.faces:
                written.append(photos.save(photo, asked.save, written))
                found[-1]["annotated"] = photos.shown(written[-1])
                if not asked.json:
                    print(f"  written: {photos.shown(written[-1])}", flush=True)
        except (DataError, ModelError, ImportError, OSError) as error:
            code = complain(error)
    if asked.json:
        told = {"network": network, "detector": asked.detector, "margin": wide, "photos": found}
        print(json.dumps(told, indent=2, allow_nan=False))
    return code


def complain(error: Exception) -> int:
    """Name an error on one line of stderr; return the exit code that stands for it."""
    print(f"predict.py: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
