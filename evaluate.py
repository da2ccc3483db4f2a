#!/usr/bin/env python3
"""Ask a trained network about a data set's test or validation split, and say how good it is.

    python evaluate.py cnn5-fer2013-smote --data fer2013
    python evaluate.py cnn5-fer2013-smote --data expw --record

The network is a released one (models/), a run (results/), or a .keras file of this project; it
need not have been trained on that data set. With --record the predictions are kept beside the run,
in results/NAME/on-DATASET-SPLIT.npz and .json. Exit code 0: done; 1: the data or the network are
not what they should be; 2: the command line is not.
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
        prog="evaluate.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    described.add_argument(
        "network", metavar="NETWORK", help="a released network, a run, or a .keras file"
    )
    described.add_argument(
        "--data",
        choices=("fer2013", "ferplus", "expw", "sample"),
        help="by default what the network was trained on, if its record says so",
    )
    described.add_argument("--path", help="where the data lie, if not in data/raw/")
    described.add_argument(
        "--split", default="test", choices=("test", "validation"), help="by default the test split"
    )
    described.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="EXPRESSION",
        help="leave it out of the data and of the answers (contempt: FER+ against FER2013)",
    )
    described.add_argument(
        "--record", action="store_true", help="keep the predictions beside the run"
    )
    described.add_argument(
        "--results",
        type=Path,
        default=runtime.RESULTS,
        metavar="FOLDER",
        help="where --record makes NAME/ (default: results/)",
    )
    described.add_argument("--json", action="store_true", help="print one JSON object instead")
    return described


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate as the command line says; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    asked = parser().parse_args(arguments)
    runtime.setup()
    from utils import assessment
    from utils.datasets import sources

    try:
        assessed = assessment.assess(
            asked.network,
            asked.data,
            asked.path,
            split=asked.split,
            without=asked.without,
            command=["evaluate.py", *arguments],
        )
        written = assessed.write(asked.results) if asked.record else None
    except (DataError, ModelError, OSError) as error:
        print(f"evaluate.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    place = sources.shown(written) if written else None
    if asked.json:
        told = {**assessed.as_json(), "written": place}
        print(json.dumps(told, indent=2, allow_nan=False))
    else:
        print("\n".join(assessed.sentences()))
        if written:
            print(f"\nwritten: {place} and {written.with_suffix('.npz').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
