#!/usr/bin/env python3
"""Train a network on a data set and record the run; if interrupted, the same command resumes.

    python train.py --model cnn4 --data fer2013 --epochs 50 --name mine
    python train.py --model cnn5 --data folder --path my-faces --initial-weights cnn5-fer2013-smote

Settings not given come from the network's own recipe. The record (settings, history, validation
and test probabilities) is in results/NAME/. Exit code 0: done; 1: something is wrong with the data
or the model; 2: with the command line.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from utils import commands, models, runtime, training
from utils.datasets import sources
from utils.training import devices


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = runtime.parser(None, __doc__, allow_abbrev=False)
    what = described.add_argument_group("network and data")
    what.add_argument("--model", default="cnn5", choices=models.NETWORKS, help="default: cnn5")
    commands.add_data(what, default="sample")
    record = described.add_argument_group("the record")
    record.add_argument("--name", help="default: MODEL-DATA-BALANCE[-…][-seed-N]")
    record.add_argument("--results", type=Path, default=runtime.RESULTS, help="where to keep runs")
    record.add_argument("--verbose", type=int, default=1, help="0, 1 (bar), 2 (one line per epoch)")
    record.add_argument(
        "--devices", default=1, metavar="N|all", help="share each batch among N devices"
    )
    how = described.add_argument_group("settings (default: the network's recipe)")
    commands.add_settings(how, leave_out=("model",))
    how.add_argument("--no-augmentation", action="store_true", help="do not augment the faces")
    return described


def default_name(asked: argparse.Namespace, settings: training.Settings) -> str:
    """Name a run after its model, data, and whatever is unusual about it but numbers."""
    parts = [settings.model, asked.data, settings.balance]
    parts += [f"without-{expression}" for expression in sorted(set(asked.without))]
    parts += [settings.targets] if settings.targets != "labels" else []
    parts += ["distilled"] if settings.teachers else []
    parts += [f"seed-{settings.seed}"] if settings.seed else []
    return "-".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Load, train, record, and print the result."""
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
        described.error("--distillation-weight weighs the predictions of --teachers: name them")
    name = asked.name or default_name(asked, settings)
    folder = asked.results / name
    votes = settings.targets != "labels"
    dataset = commands.load_data(asked, size=settings.size, votes=votes).without(asked.without)
    print(dataset.describe(), flush=True)

    from utils import evaluation

    run = training.train(dataset, settings, folder=folder, verbose=asked.verbose, devices=chosen)
    trained = f"best epoch {run.best_epoch} of {len(run.history)}"
    print(f"{run.name}: {trained if settings.epochs else 'not trained: 0 epochs'}")
    print(f"test: {evaluation.summary(run.test)}")
    print(f"network: {sources.shown(folder / 'model.keras')}, for predict.py --model {run.name}")


if __name__ == "__main__":
    runtime.run_command(main)
