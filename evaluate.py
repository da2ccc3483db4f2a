#!/usr/bin/env python3
"""Evaluate a trained network on a data set's test or validation split, or all of it.

    python evaluate.py cnn5-fer2013-smote --data fer2013
    python evaluate.py cnn5-fer2013-smote --data folder --path my-faces --split all --record

The network is a released one (models/), a run (results/), or a .keras file from this project; it
need not have been trained on that data set: it is evaluated on the classes that both have. With
--record, the predictions are saved in results/NETWORK/on-DATA-SPLIT.npz and .json. Exit code 0:
done; 1: something is wrong with the data or the network; 2: with the command line.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from utils import commands, runtime
from utils.datasets import sources
from utils.runtime import ModelError


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = runtime.parser("evaluate.py", __doc__, allow_abbrev=False)
    described.add_argument(
        "network", metavar="NETWORK", help="a released network, a run, or a .keras file"
    )
    commands.add_data(described, default=None)
    described.add_argument(
        "--split",
        default="test",
        choices=("test", "validation", "all"),
        help="all: every face, for a data set that the network never saw (default: test)",
    )
    described.add_argument(
        "--record", action="store_true", help="save the predictions with the run"
    )
    described.add_argument(
        "--results",
        type=Path,
        default=runtime.RESULTS,
        metavar="FOLDER",
        help="where runs are, and where --record creates NETWORK/ (default: results/)",
    )
    described.add_argument("--json", action="store_true", help="print one JSON object instead")
    return described


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate as the command line says."""
    asked = parser().parse_args(arguments)
    runtime.setup()
    from utils import assessment, models, records

    file = models.find(asked.network, asked.results)
    run = records.run_of(file)
    if not (asked.data or run):
        raise ModelError(
            f"{asked.network}: no record says what it was trained on; name the data (--data)"
        )
    there = asked.results / records.network_name(file)
    taken = asked.record and records.is_finished(there)
    if taken and (run is None or run.info != records.load(there).info):
        raise ModelError(f"{there}: found another network's run, expected that of {file}")
    assessed = assessment.assess(
        file,
        commands.load_data(
            asked, run.info["dataset"] if run else None, size=models.load(file).input_shape[0]
        ),
        split=asked.split,
        without=asked.without,
        command=runtime.command_line(),
    )
    written = assessed.write(asked.results) if asked.record else None
    if asked.json:
        told = {**assessed.as_json(), "written": str(written) if written else None}
        print(json.dumps(told, indent=2, allow_nan=False))
        return
    print("\n".join(assessed.sentences()))
    if written:
        print(f"\nwritten: {sources.shown(written)} and {written.with_suffix('.npz').name}")


if __name__ == "__main__":
    runtime.run_command(main)
