#!/usr/bin/env python3
"""Find the faces in photos, and name their expressions.

    python predict.py data/photos/astronaut.jpg
    python predict.py holiday/*.jpg --save marked --top 3
    python predict.py portrait.png --json > portrait.json

A face is a line: its expression, how probable that is, and its box. What the network names is what
a few labelers would see in the face, not what the person feels. Its model card (models/) says how
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
from utils.runtime import DataError


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
    parser = argparse.ArgumentParser(
        prog="predict.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("photos", nargs="+", metavar="PHOTO", help="JPEG, PNG, WebP, GIF, TIFF …")
    add(
        "--model",
        metavar="NAME",
        default="cnn5-fer2013-smote",
        help="a released network, a run, or a .keras file (default: %(default)s)",
    )
    add(
        "--detector",
        default="mtcnn",
        choices=("mtcnn", "haar"),
        help="mtcnn (default) finds more; haar finds frontal faces alone",
    )
    add(
        "--margin",
        type=margin,
        default=0.0,
        metavar="FRACTION",
        help="widen each box by this fraction of its sides, 0 … 10 (default: %(default)g)",
    )
    add("--top", type=positive, default=1, metavar="K", help="name the K most probable expressions")
    add(
        "--save",
        type=Path,
        metavar="FOLDER",
        help="write each photo that has a face there, its faces marked, as NAME-faces.png, or "
        "NAME-faces-2.png where that is taken",
    )
    add("--json", action="store_true", help="print one JSON object instead")
    given = sys.argv[1:] if arguments is None else list(arguments)
    # argparse mixes photos with options, or takes "--" before a photo called -a.png: not both
    asked = (parser.parse_args if "--" in given else parser.parse_intermixed_args)(given)
    runtime.setup()
    from utils import models, photos

    file = models.find(asked.model)
    classifier = models.load(file)
    network = photos.describe(file)
    code, found = 0, []
    for path in asked.photos:
        photo = saved = None
        try:
            photo = photos.read(path, classifier, detector=asked.detector, margin=asked.margin)
            if asked.save and photo.faces:
                saved = photos.save(photo, asked.save)
        except (DataError, OSError) as error:
            code = 1
            line = runtime.printable(" ".join(str(error).split()))
            print(f"predict.py: {line}", file=sys.stderr, flush=True)
        if photo is None:
            continue
        found.append(photo.as_json() | ({"annotated": photos.shown(saved)} if saved else {}))
        if not asked.json:
            lines = photos.sentences(photo, asked.top)
            lines += [f"  written: {photos.shown(saved)}"] if saved else []
            print("\n".join(lines), flush=True)
    if asked.json:
        told = {"network": network, "detector": asked.detector, "margin": asked.margin}
        print(json.dumps(told | {"photos": found}, indent=2, allow_nan=False))
    return code


if __name__ == "__main__":
    runtime.run_command(main)
