"""Say what a data set holds, and record its counts: ``python -m utils.datasets fer2013``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from utils import datasets, runtime
from utils.datasets import ferplus
from utils.runtime import DataError


def main(arguments: list[str] | None = None) -> int:
    """Load a data set, print its line and its counts, and with ``--record`` write its summary.

    Returns
    -------
    int
        0, or 1 after a DataError, whose message goes to stderr.
    """
    parser = argparse.ArgumentParser(prog="python -m utils.datasets", description=__doc__)
    parser.add_argument("name", choices=tuple(datasets.LOADERS))
    parser.add_argument("path", nargs="?", help="a file or folder (default: under data/raw)")
    parser.add_argument(
        "--record",
        action="store_true",
        help="write the numbers, no pictures, to results/data/NAME.json",
    )
    chosen = parser.parse_args(arguments)
    try:
        dataset = datasets.load(chosen.name, chosen.path)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    print(dataset.describe())
    print(dataset.counts())
    if chosen.record:
        target = runtime.RESULTS / "data" / f"{chosen.name}.json"
        runtime.write_json(target, datasets.summary(dataset))
        print(f"wrote {target.relative_to(runtime.RESULTS.parent).as_posix()}")
        if chosen.name == "ferplus":
            print(f"wrote {_record_agreement(chosen.path, target).name}")
    return 0


def _record_agreement(path: str | None, beside: Path) -> Path:
    """Count how FER2013's and FER+'s labels of the same pictures agree; return the csv."""
    faces, votes = ferplus.load_both(path)
    table = ferplus.label_agreement(faces.labels, votes, faces.split)
    target = beside.with_name("ferplus-agreement.csv")
    runtime.write_atomically(target, table.to_csv().encode())
    return target


if __name__ == "__main__":
    sys.exit(main())
