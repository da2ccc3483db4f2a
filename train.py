#!/usr/bin/env python3
"""Train a network on a data set and record the run; the same command goes on after a kill.

    python train.py --data fer2013 --balance smote --epochs 50

The record (settings, history, validation and test probabilities) lies in results/NAME/.
"""

import argparse
import sys
from pathlib import Path

from utils import runtime
from utils.errors import DataError, ModelError


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", default="sample", choices=("sample", "fer2013", "ferplus", "expw")
    )
    parser.add_argument("--path", help="where the data lie, if not in data/raw/")
    parser.add_argument("--model", default="cnn5", help="the network's name")
    parser.add_argument("--balance", default="smote", choices=("smote", "weights", "none"))
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--rotation", type=float, default=10.0, help="degrees to either side")
    parser.add_argument("--zoom", type=float, default=0.2, help="fraction of the scale")
    parser.add_argument("--shift", type=float, default=0.15, help="fraction of the side")
    parser.add_argument(
        "--no-augmentation", action="store_true", help="leave the faces as they are"
    )
    parser.add_argument("--precision", default="float32", choices=("float32", "mixed_bfloat16"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="the run's name; by default MODEL-DATA-BALANCE")
    parser.add_argument("--results", type=Path, default=runtime.RESULTS, help="where runs are kept")
    parser.add_argument("--verbose", type=int, default=1, help="0, 1 (bar) or 2 (a line an epoch)")
    return parser.parse_args()


def main() -> None:
    """Load, train, record, and print what came out."""
    asked = arguments()
    runtime.setup(asked.seed)
    from utils import datasets, evaluation, training
    from utils.augment import Augmentation

    dataset = datasets.load(asked.data, asked.path)
    print(dataset.describe(), flush=True)
    augmentation = Augmentation(rotation=asked.rotation, zoom=asked.zoom, shift=asked.shift)
    settings = training.Settings(
        model=asked.model,
        balance=asked.balance,
        augmentation=None if asked.no_augmentation else augmentation,
        epochs=asked.epochs,
        batch_size=asked.batch_size,
        learning_rate=asked.learning_rate,
        weight_decay=asked.weight_decay,
        precision=asked.precision,
        seed=asked.seed,
    )
    name = asked.name or f"{asked.model}-{asked.data}-{asked.balance}"
    run = training.train(dataset, settings, folder=asked.results / name, verbose=asked.verbose)
    correct = int((run.test.predicted == run.test.labels).sum())
    low, high = evaluation.accuracy_interval(correct, len(run.test))
    print(
        f"{run.name}: best epoch {run.best_epoch} of {len(run.history)}; test accuracy "
        f"{correct / len(run.test):.2%} ({low:.1%} … {high:.1%}, n = {len(run.test):,})"
    )


if __name__ == "__main__":
    try:
        main()
    except (DataError, ModelError) as error:
        sys.exit(f"train.py: {error}")
