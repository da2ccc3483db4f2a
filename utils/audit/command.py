"""The command line of ``python -m utils.audit``."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from utils import runtime
from utils.runtime import DataError

_DESCRIPTION = """\
Say what is wrong with a set of labelled faces: exact and near copies between its splits, one
picture under several labels, flat pictures, pictures without a face.

    python -m utils.audit my-faces --page audit.html
    python -m utils.audit fer2013.csv
    python -m utils.audit sample

PATH is a folder of pictures in class folders, with train, val and test folders around them or
not; a csv like FER2013's, or an archive of one; or a folder with ExpW's label.lst. Names and
sizes of classes and pictures are free. Exit code 0: done, whatever was found; 1: there is nothing
to examine; 2: the command line is not what it should be.
"""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    from utils.audit import findings, reading

    described = argparse.ArgumentParser(
        prog="python -m utils.audit",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    described.add_argument(
        "path",
        metavar="PATH",
        help=f"a folder or csv; or {', '.join(reading.NAMES)} where there is no such path",
    )
    described.add_argument(
        "--data-format", choices=reading.FORMATS, default="auto", help="what PATH is (auto: look)"
    )
    described.add_argument(
        "--threshold",
        type=float,
        default=findings.THRESHOLD,
        metavar="R",
        help="the correlation from which a pair is a near copy (default: %(default)s)",
    )
    described.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="side at which a folder's pictures are compared "
        f"(default: {reading.SIZE}, and 64 for ExpW)",
    )
    described.add_argument(
        "--page", type=Path, metavar="FILE.html", help="write the report as one HTML page"
    )
    described.add_argument(
        "--pictures",
        action="store_true",
        help="show near copies on the page: they may be people's faces",
    )
    described.add_argument("--json", action="store_true", help="print one JSON object instead")
    described.add_argument(
        "--record", action="store_true", help="keep the numbers in results/data/NAME-leaks.json"
    )
    described.add_argument(
        "--results",
        type=Path,
        default=runtime.RESULTS,
        metavar="FOLDER",
        help="where --record makes data/ (default: results/)",
    )
    return described


def _checked(described: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    asked = described.parse_args(words)
    if not 0 < asked.threshold <= 1:
        described.error(f"--threshold {asked.threshold}: expected over 0 and at most 1")
    if asked.size is not None and not 8 <= asked.size <= 512:
        described.error(f"--size {asked.size}: expected 8 … 512 pixels")
    if asked.pictures and not asked.page:
        described.error("--pictures: expected --page FILE.html, which is to show them")
    return asked


def main(words: Sequence[str] | None = None) -> int:
    """Examine, print what was found, write page and record where asked to; return the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    asked = _checked(parser(), words)
    from utils.audit import examine, keeping, load, reporting
    from utils.datasets import sources

    written = []
    try:
        faces = load(asked.path, format=asked.data_format, size=asked.size)
        print(
            f"{reporting.printable(faces.dataset.describe())}; comparing its pictures",
            file=sys.stderr,
            flush=True,
        )
        started = time.perf_counter()
        audit = examine(
            faces.dataset,
            threshold=asked.threshold,
            first=faces.first,
            names=faces.names,
            unreadable=faces.unreadable,
        )
        seconds = time.perf_counter() - started
        if asked.record and not audit.across:
            raise DataError(f"{asked.path}: found no splits, expected some: nothing to record")
        if asked.page:
            images = faces.dataset.images if asked.pictures else None
            runtime.write_atomically(asked.page, reporting.page(audit, images=images).encode())
            written.append(asked.page)
        if asked.record:
            about = _about(faces.dataset, asked, words, seconds)
            written.append(keeping.record(audit, asked.results / "data", about))
    except (DataError, OSError) as error:
        print(f"python -m utils.audit: {reporting.printable(str(error))}", file=sys.stderr)
        return 1
    places = [reporting.printable(sources.shown(path)) for path in written]
    if asked.json:
        told = {**audit.numbers(), **reporting.listed(audit), "written": places}
        print(json.dumps(told, indent=2, allow_nan=False))
    else:
        print(reporting.text(audit))
        for place in places:
            print(f"\nwritten: {place}")
    return 0


def _about(dataset, asked: argparse.Namespace, words: Sequence[str], seconds: float) -> dict:
    """Describe what made a record: the command, the time, the machine; and what it could find."""
    from utils import records
    from utils.audit.limits import sensitivity
    from utils.datasets import sources

    runtime.setup()
    shown = [sources.shown(Path(word)) if Path(word).is_absolute() else word for word in words]
    training = dataset.part("training").images
    found = None
    if training.shape[3] == 1:
        table = sensitivity(training, threshold=asked.threshold).round(4)
        found = table.reset_index().to_dict("records")
    return {
        "sensitivity": found,
        "command": shlex.join(["python", "-m", "utils.audit", *shown]),
        "audited": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        **records.surroundings(),
    }
