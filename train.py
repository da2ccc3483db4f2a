#!/usr/bin/env python3
"""Train a network on a data set and record the run; the same command goes on after a kill.

    python train.py --model cnn4 --data fer2013 --epochs 50
    python train.py --model cnn5 --data folder --path my-faces --initial-weights cnn5-fer2013-smote

Settings that are not named are the network's own recipe. The record (settings, history,
validation and test probabilities) lies in results/NAME/. Exit code 0: done; 1: the data or the
model are not what they should be; 2: the command line is wrong.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from utils import commands, datasets, models, runtime, training
from utils.datasets import sources
from utils.training import devices


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = runtime.parser(None, __doc__, allow_abbrev=False)
    what = described.add_argument_group("what to train on what")
    what.add_argument("--model", default="cnn5", choices=models.NETWORKS, help="default: cnn5")
    commands.add_data(what, default="sample")
    record = described.add_argument_group("the record")
    record.add_argument("--name", help="default: MODEL-DATA-BALANCE and what else is unusual")
    record.add_argument("--results", type=Path, default=runtime.RESULTS, help="where runs are kept")
    record.add_argument("--verbose", type=int, default=1, help="0, 1 (bar) or 2 (a line an epoch)")
    record.add_argument(
        "--devices", default=1, metavar="N|all", help="share each batch among so many devices"
    )
    how = described.add_argument_group("settings (default: the network's recipe)")
    commands.add_settings(how, leave_out=("model",))
    how.add_argument("--no-augmentation", action="store_true", help="leave the faces as they are")
    return described


def default_name(asked: argparse.Namespace, settings: training.Settings) -> str:
    """Name a run after what makes it another than the usual one, but for its numbers."""
    parts = [settings.model, asked.data, settings.balance]
    parts += [f"without-{expression}" for expression in sorted(set(asked.without))]
    parts += [settings.targets] if settings.targets != "labels" else []
    parts += ["distilled"] if settings.teachers else []
    parts += [f"seed-{settings.seed}"] if settings.seed else []
    return "-".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Load, train, record, and print what came out."""
    described = parser()
    asked = described.parse_args(arguments)
    try:
        plain = training.NO_AUGMENTATION if asked.no_augmentation else {}
        settings = training.recipe(**{**plain, **commands.named_settings(asked)})
        runtime.setup(settings.seed)
        chosen = devices.choose(asked.devices)
    except ValueError as error:
        described.error(commands.complaint(error))
    if asked.distillation_weight is not None and not settings.teachers:
        described.error("--distillation-weight is the share of what --teachers say: name them")
    name = asked.name or default_name(asked, settings)
    folder = asked.results / name
    if asked.data == "fer2013" and settings.targets != "labels" and not asked.classes:
        dataset = datasets.beside_fer2013(asked.path)
    else:
        dataset = commands.load_data(asked, size=settings.size)
    dataset = dataset.without(asked.without)
    print(dataset.describe(), flush=True)

    from utils import evaluation

    run = training.train(dataset, settings, folder=folder, verbose=asked.verbose, devices=chosen)
    trained = f"best epoch {run.best_epoch} of {len(run.history)}"
    print(f"{run.name}: {trained if settings.epochs else 'not trained: 0 epochs'}")
    print(f"test: {evaluation.summary(run.test)}")
    print(f"network: {sources.shown(folder / 'model.keras')}, for predict.py --model {run.name}")


if __name__ == "__main__":
    runtime.run_command(main)
