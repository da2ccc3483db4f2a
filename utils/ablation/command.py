"""Measure what each ingredient of our recipe gives, and print the table.

    python -m utils.ablation --data fer2013 --seeds 2
    python -m utils.ablation --data fer2013 --lines no_mixup one_view --minutes 9

Killed at any moment, the same command goes on; with more --seeds or --lines it adds to the
record, which lies in results/ablation-DATA/. Everything is measured on the validation split.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from utils import datasets, plans, runtime
from utils.ablation import findings, laboratory
from utils.ablation.lines import LINES
from utils.ablation.plan import DATA, plan_for
from utils.runtime import DataError, ModelError

#: What the command returns when --minutes were over before its work.
LEFT = 3


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        prog="python -m utils.ablation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    described.add_argument("--data", default="sample", choices=DATA, help="(default: sample)")
    described.add_argument("--path", help="where the data lie, if not in data/raw/")
    described.add_argument("--model", default="best", help="the recipe's network (default: best)")
    described.add_argument(
        "--network", type=json.loads, metavar="JSON", help="""its settings, as '{"dense": [256]}'"""
    )
    described.add_argument("--size", type=int, metavar="PIXELS", help="side of the faces")
    described.add_argument("--seeds", type=int, default=2, help="seeds 0 … N-1 (default: 2)")
    described.add_argument("--epochs", type=int, help="(default: 60; sample: 4)")
    described.add_argument(
        "--lines",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"beside the recipe (default: all that are possible; known: {', '.join(LINES)})",
    )
    described.add_argument(
        "--minutes",
        type=float,
        help=f"stop after the epoch that ends so long after the start; returns {LEFT} if work "
        "is left",
    )
    described.add_argument(
        "--results",
        type=Path,
        default=runtime.RESULTS,
        metavar="DIR",
        help="where the record's folder lies (default: results/)",
    )
    described.add_argument(
        "--runs",
        type=Path,
        default=runtime.RUNS,
        metavar="DIR",
        help="where weights and checkpoints lie (default: runs/)",
    )
    described.add_argument(
        "--verbose", type=int, default=1, choices=(0, 1, 2), help="1: a line a run; 2: an epoch"
    )
    return described


def main(words: Sequence[str] | None = None) -> int:
    """Train what is missing, record it and print the table; return the exit status."""
    words = list(sys.argv[1:] if words is None else words)
    described = parser()
    asked = described.parse_args(words)
    for name in ("seeds", "epochs", "size"):
        if getattr(asked, name) is not None and getattr(asked, name) < 1:
            described.error(f"--{name}: expected 1 or more")
    if asked.minutes is not None and not asked.minutes > 0:
        described.error("--minutes: expected more than 0")
    if asked.network is not None and not isinstance(asked.network, dict):
        described.error("--network: expected a JSON object")
    try:
        runtime.setup(0)
        plan = plan_for(
            asked.data,
            asked.model,
            network=asked.network,
            size=asked.size,
            epochs=asked.epochs,
            lines=tuple(asked.lines),
        )
        dataset = datasets.load(asked.data, asked.path)
        print(dataset.describe(), flush=True)
        folder = plans.folder(findings.KIND, asked.data, asked.results)
        seeds = range(asked.seeds)
        found = laboratory.run(
            dataset,
            plan,
            seeds,
            folder,
            runs=asked.runs,
            minutes=asked.minutes,
            command=shlex.join(["python", "-m", "utils.ablation", *words]),
            verbose=asked.verbose,
        )
        left = found.left(plan.lines, seeds)
        if len(left) < len(plan.lines) * len(seeds):
            print(findings.describe(findings.table(found)))
        print(f"recorded in {folder.parent.name}/{folder.name}")
    except (DataError, ModelError) as error:
        print(f"python -m utils.ablation: {error}", file=sys.stderr)
        return 1
    if left:
        total = len(plan.lines) * len(seeds)
        line, seed = left[0]
        print(
            f"left: {len(left)} of {total} runs, next {line} with seed {seed}; "
            "the same command goes on"
        )
        return LEFT
    return 0
