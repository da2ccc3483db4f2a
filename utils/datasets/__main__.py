"""Print what a data set contains, and record its counts: ``python -m utils.datasets fer2013``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd

from utils import datasets, runtime


def main(arguments: Sequence[str] | None = None) -> None:
    """Load a data set, print its description and counts; with ``--record``, write its summary."""
    parser = argparse.ArgumentParser(prog="python -m utils.datasets", description=__doc__)
    known = "; ".join(f"{name}: {one.help}" for name, one in datasets.LOADERS.items())
    parser.add_argument("name", choices=tuple(datasets.LOADERS), help=known)
    parser.add_argument("path", nargs="?", help="a file or folder (default: under data/raw)")
    parser.add_argument(
        "--classes",
        type=lambda text: text.split(","),
        metavar="A,B,…",
        help="names of the numbered folders of your own faces, from the lowest number up",
    )
    parser.add_argument(
        "--record", action="store_true", help="write the numbers to results/data/NAME.json"
    )
    chosen = parser.parse_args(arguments)
    dataset = datasets.load(chosen.name, chosen.path, classes=chosen.classes)
    print(dataset.describe())
    print(dataset.counts())
    if not chosen.record:
        return
    target = runtime.RESULTS / "data" / f"{chosen.name}.json"
    runtime.write_json(target, datasets.summary(dataset))
    print(f"wrote {target.relative_to(runtime.RESULTS.parent).as_posix()}")
    if chosen.name == "expw":  # a photo's name begins with its search term
        words = [name.split("_")[0] for name in dataset.photos]
        labels = [dataset.expressions[label] for label in dataset.labels]
        table = pd.DataFrame({"row": dataset.rows, "label": labels, "searched": words})
        beside = target.with_name("expw-searches.csv")
        runtime.write_atomically(beside, table.to_csv(index=False).encode())
        print(f"wrote {beside.name}")
    if chosen.name == "ferplus":
        faces = datasets.beside_fer2013(chosen.path)
        table = datasets.label_agreement(faces.labels, faces.votes, faces.split)
        beside = target.with_name("ferplus-agreement.csv")
        runtime.write_atomically(beside, table.to_csv().encode())
        votes = target.with_name("ferplus-test-votes.npz")
        test = faces.part("test")
        rows, counts = test.rows.astype(np.int32), test.votes.astype(np.uint8)
        runtime.write_npz(votes, rows=rows, votes=counts)
        print(f"wrote {beside.name} and {votes.name}")


if __name__ == "__main__":
    runtime.run_command(main)
