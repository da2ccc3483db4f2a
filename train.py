#!/usr/bin/env python3
"""Train a network on a data set and record the run; the same command goes on after a kill.

    python train.py --model cnn4 --data fer2013 --epochs 50
    python train.py --model cnn5 --data expw --start cnn5-fer2013-smote --frozen-epochs 5

Settings that are not named are the network's own (utils.training.recipe). The record (settings,
history, validation and test probabilities) lies in results/NAME/. Exit code 0: done; 1: the data
or the model are not what they should be; 2: the command line is not.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from utils import runtime
from utils.runtime import DataError, ModelError
from utils.training import devices


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = described.add_argument_group("what to train on what")
    what.add_argument(
        "--model",
        default="cnn5",
        help="cnn3, cnn4, cnn5 (default), vgg16, resnet; best, convnext, vit",
    )
    what.add_argument("--data", default="sample", choices=("sample", "fer2013", "ferplus", "expw"))
    what.add_argument("--path", help="where the data lie, if not in data/raw/")
    what.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="EXPRESSION",
        help="leave it out of the data (contempt: FER+ with FER2013's seven)",
    )
    what.add_argument("--size", type=int, metavar="PIXELS", help="side of the faces")
    what.add_argument(
        "--network",
        type=json.loads,
        metavar="JSON",
        help="""settings of the network's own, as '{"dropout": 0.3}' or, for vgg16, """
        """'{"weights": "imagenet"}'""",
    )
    what.add_argument("--start", metavar="MODEL", help="a trained network to start from")

    how = described.add_argument_group("how")
    how.add_argument("--epochs", type=int)
    how.add_argument("--batch-size", type=int)
    how.add_argument("--learning-rate", type=float, help="its highest value")
    how.add_argument("--weight-decay", type=float)
    how.add_argument("--optimizer", choices=("adamw", "sgd"))
    how.add_argument("--average", type=float, metavar="SHARE", help="of the past in the weights")
    how.add_argument("--views", type=int, choices=(1, 2, 10), help="of each face at the end")
    how.add_argument("--label-smoothing", type=float, help="0 … 1")
    how.add_argument("--frozen-epochs", type=int, help="the dense layers learn alone for so long")
    how.add_argument("--balance", choices=("smote", "weights", "none"))
    how.add_argument(
        "--targets",
        choices=("labels", "votes", "both"),
        help="votes: learn the shares of FER+'s votes; both: the mean of label and votes",
    )
    how.add_argument(
        "--teachers",
        nargs="+",
        metavar="MODEL",
        help="trained networks whose mean answer is a part of each face's target",
    )
    how.add_argument("--taught", type=float, metavar="SHARE", help="how large a part, 0 … 1")
    how.add_argument("--augment", action=argparse.BooleanOptionalAction, default=True)
    how.add_argument("--rotation", type=float, metavar="DEGREES", help="to either side")
    how.add_argument("--zoom", type=float, metavar="FRACTION", help="of the scale")
    how.add_argument("--shift", type=float, metavar="FRACTION", help="of the side")
    how.add_argument("--flip", action=argparse.BooleanOptionalAction, help="mirror every other")
    how.add_argument("--erasing", type=float, metavar="SHARE", help="of faces lose a rectangle")
    how.add_argument("--mixup", type=float, metavar="ALPHA")
    how.add_argument("--cutmix", type=float, metavar="ALPHA")
    how.add_argument("--precision", choices=("float32", "mixed_bfloat16"))
    how.add_argument(
        "--feed",
        choices=("device", "stream", "generator"),
        help="where faces are moved: inside the compiled step (device, stream: read from disk) or "
        "one at a time by ImageDataGenerator",
    )
    how.add_argument("--seed", type=int)
    how.add_argument(
        "--devices",
        type=devices.number_or_all,
        metavar="N|all",
        help="share each batch between so many; by default one, or all of a cluster's processes "
        "(TF_CONFIG, KERAS_DISTRIBUTION_*)",
    )

    record = described.add_argument_group("the record")
    record.add_argument("--name", help="by default MODEL-DATA-BALANCE and what else is unusual")
    record.add_argument("--results", type=Path, default=runtime.RESULTS, help="where runs are kept")
    record.add_argument(
        "--resume", action="store_true", help="only go on with a run that has begun; fail if none"
    )
    record.add_argument("--verbose", type=int, default=1, help="0, 1 (bar) or 2 (a line an epoch)")
    return described


def settings(asked: argparse.Namespace):
    """Put what was asked for in place of the network's own settings."""
    from utils import training

    given = {key: value for key, value in vars(asked).items() if value is not None}
    if "taught" in given and "teachers" not in given:
        raise ValueError("--taught is the share of what teachers say: name them (--teachers)")
    known = {field.name for field in dataclasses.fields(training.Settings)} - {"model"}
    own = training.recipe(asked.model, **{key: given[key] for key in known & given.keys()})
    if not asked.augment:
        return dataclasses.replace(own, augmentation=None)
    moves = {key: given[key] for key in ("rotation", "zoom", "shift", "flip") if key in given}
    return dataclasses.replace(own, augmentation=dataclasses.replace(own.augmentation, **moves))


def default_name(asked: argparse.Namespace, plan) -> str:
    """Name a run after what makes it another than the usual one, but for its numbers."""
    parts = [plan.model, asked.data, plan.balance]
    parts += [f"without-{expression}" for expression in sorted(set(asked.without))]
    parts += [plan.targets] if plan.targets != "labels" else []
    parts += ["taught"] if plan.teachers else []
    return "-".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Load, train, record, and print what came out."""
    described = parser()
    asked = described.parse_args(arguments)
    runtime.setup(asked.seed or 0)
    from utils import datasets, evaluation, training

    try:
        plan = settings(asked)
        spread = devices.spread(asked.devices)
        spread.check(plan)
    except ValueError as error:
        described.error(str(error))
    name = asked.name or default_name(asked, plan)
    folder = asked.results / name
    if asked.resume and not (folder / "run.json").is_file():
        raise ModelError(f"there is no run called {name!r} to go on with")
    if asked.data == "fer2013" and plan.targets != "labels":
        dataset = datasets.beside_fer2013(asked.path)
    else:
        dataset = datasets.load(asked.data, asked.path)
    dataset = dataset.leave_out(asked.without)
    print(dataset.describe(), flush=True)
    verbose = asked.verbose if spread.is_chief else 0
    run = training.train(dataset, plan, folder=folder, verbose=verbose, spread=spread)
    print(f"{run.name}: best epoch {run.best_epoch} of {len(run.history)}")
    print(f"test: {evaluation.summary(run.test)}")


if __name__ == "__main__":
    try:
        main()
    except (DataError, ModelError) as error:
        sys.exit(f"train.py: {error}")
