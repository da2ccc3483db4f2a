#!/usr/bin/env python3
"""Find the faces in photos and videos, and name their expressions.

    python predict.py data/photos/astronaut.jpg
    python predict.py holiday/ '2026/**/*.jpg' --save marked --table faces.csv
    python predict.py portrait.png --json > portrait.json
    python predict.py video.mp4 --save marked --table video.parquet
    python predict.py --camera 0 > rows.csv
    python predict.py archive --engine processes --table faces

Each face is one line: its expression, how probable that is, and its box. The network predicts what
a few labelers would see in the face, not what the person feels. Its model card (models/) says how
often it is wrong on the pictures it was tested on; on other kinds of photos, expect worse.

For a video or camera, each face in each frame is one row, in --table's file or as CSV on stdout.
Ctrl-C stops; rows already written are intact.

With --engine, for an archive of photos, --table names a folder of Parquet files: one row per face,
one row of nulls per photo without a face, and one row per unreadable photo, with the reason in the
column error. If interrupted, the same command resumes: photos in the table are skipped, unreadable
ones are tried again. "processes" runs on this machine; "ray" on Ray Data
(pip install '.[cluster]'), here or on the cluster that RAY_ADDRESS names, whose machines must all
see the photos, the table, and this project under the same paths.

A photo without a face is reported as such, and is not an error. A file that cannot be read is named
on stderr, and the others are still read. Exit code 0: everything was read; 1: a file could not be
read to its end, or the network could not be loaded; 2: the command line is wrong.
"""

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from utils import inference, photos, runtime
from utils.faces import DETECTORS
from utils.runtime import DataError, between


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the photos and videos that the command line names; return the exit code."""
    parser = runtime.parser("predict.py", __doc__)
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="photos, videos, folders of photos, patterns")
    add("--camera", type=between(0, 99, int), metavar="N", help="a camera; 0 is the first")
    add(
        "--model",
        metavar="NAME",
        default=inference.DEFAULT,
        help="a released network, a run, an .onnx or a .keras file (default: %(default)s)",
    )
    add(
        "--detector",
        default="centerface",
        choices=tuple(DETECTORS),
        help="centerface (default) is the fastest; haar finds only frontal faces",
    )
    add(
        "--side",
        type=between(32, 4096, int),
        metavar="PIXELS",
        help="longer side the detector sees (centerface: 320); larger finds smaller faces",
    )
    add(
        "--margin",
        type=between(0, 10),
        default=photos.MARGIN,
        metavar="FRACTION",
        help="widen each box by this fraction of its sides, 0 … 10 (default: %(default)g)",
    )
    add(
        "--smooth",
        type=between(0, 60),
        default=0.5,
        metavar="SECONDS",
        help="time constant of a video's smoothing; 0: each frame alone (default: %(default)g)",
    )
    add(
        "--top",
        type=between(1, 99, int),
        default=1,
        metavar="K",
        help="name the K most probable expressions",
    )
    add(
        "--save",
        type=Path,
        metavar="FOLDER",
        help="write each photo that has a face, and each video, with its faces marked, as "
        "NAME-faces.png or .mp4, or NAME-faces-2 if that is taken; for a video also one figure "
        "per track",
    )
    add(
        "--table",
        type=Path,
        metavar="FILE",
        help="write one row per face to a new .csv or .parquet file; with --engine, a folder",
    )
    add(
        "--engine",
        choices=("processes", "ray"),
        help="read only photos, with several workers; the same command resumes its --table",
    )
    add(
        "--workers",
        type=between(1, 4096, int),
        metavar="N",
        help="how many, with --engine (default: one per core)",
    )
    add("--json", action="store_true", help="print one JSON object instead (photos only)")
    given = sys.argv[1:] if arguments is None else list(arguments)
    # argparse mixes photos with options, or takes "--" before a photo named -a.png: not both
    asked = (parser.parse_args if "--" in given else parser.parse_intermixed_args)(given)
    if not asked.files and asked.camera is None:
        parser.error("expected a FILE or --camera N")
    if asked.workers and not asked.engine:
        parser.error("--workers needs --engine processes or --engine ray")
    if asked.engine and (not asked.table or asked.save or asked.json or asked.camera is not None):
        parser.error("--engine needs --table FOLDER, and takes no --save, --json, or --camera")
    sources, wrong = photos.listed(asked.files)
    moving = asked.camera is not None or any(map(photos.is_video, sources))
    if asked.json and moving:
        parser.error("--json is for photos: a video's rows go to --table")
    code, found = 0, []

    def complain(error: Exception) -> None:
        nonlocal code
        code = 1
        line = runtime.printable(" ".join(str(error).split()))
        print(f"predict.py: {line}", file=sys.stderr, flush=True)

    for error in wrong:
        complain(error)
    how = {"detector": asked.detector, "margin": asked.margin, "side": asked.side}
    if asked.engine:
        from utils import archive

        for video in filter(photos.is_video, sources):
            complain(DataError(f"{photos.shown(video)}: a video, and --engine reads only photos"))
        sources = [name for name in sources if not photos.is_video(name)]
        by = {"engine": asked.engine, "workers": asked.workers or os.cpu_count() or 1}
        by["model"] = asked.model
        for error in archive.predict(sources, asked.table, **by, **how) if sources else ():
            complain(error)
        return code
    classifier, network = photos.load(asked.model)
    with contextlib.ExitStack() as stack:
        table = None
        there = asked.camera is not None or any(map(os.path.exists, sources))
        if (asked.table or moving) and there:  # otherwise an empty table would be in the way
            table = stack.enter_context(photos.Table(asked.table, classifier.expressions))
        said = sys.stderr if moving and not asked.table else sys.stdout
        for source in [*sources, *([] if asked.camera is None else [asked.camera])]:
            try:
                if isinstance(source, int) or photos.is_video(source):
                    from utils import videos

                    video = videos.Video(source, classifier, table, smooth=asked.smooth, **how)
                    try:
                        video.follow(asked.save)
                    finally:  # also for a video that breaks off, and after Ctrl-C
                        print("\n".join(video.sentences()), file=said, flush=True)
                    continue
                photo = photos.read(source, classifier, **how)
            except BrokenPipeError:  # nobody reads the rows anymore: not the video's fault
                raise
            except (DataError, OSError) as error:
                complain(error)
                continue
            saved = None
            try:
                if table:
                    table.add(photos.rows(photo))
                if asked.save and photo.faces:
                    saved = photos.save(photo, asked.save)
            except BrokenPipeError:
                raise
            except (DataError, OSError) as error:
                complain(error)
            if asked.json:
                there = {"annotated": photos.shown(saved)} if saved else {}
                found.append(photo.as_json() | there)
            else:
                lines = photos.sentences(photo, asked.top)
                lines += [f"  written: {photos.shown(saved)}"] if saved else []
                print("\n".join(lines), file=said, flush=True)
    if asked.json:
        told = {"network": network, "detector": asked.detector, "margin": asked.margin}
        print(json.dumps(told | {"photos": found}, indent=2, allow_nan=False))
    return code


if __name__ == "__main__":
    runtime.run_command(main)
