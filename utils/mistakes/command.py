"""Measure what each mistake is worth on a data set, and print the table.

    python -m utils.mistakes --data fer2013 --seeds 5
    python -m utils.mistakes --data expw --seeds 20

Killed at any moment, the same command goes on; with more --seeds or --variants it adds to the
record, which lies in results/mistakes-DATA/.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from utils import datasets, plans, runtime
from utils.mistakes import findings, laboratory
from utils.mistakes.plan import plan_for
from utils.mistakes.pools import VARIANTS
from utils.runtime import DataError, ModelError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m utils.mistakes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", default="sample", choices=tuple(datasets.LOADERS), help="(default: sample)"
    )
    parser.add_argument("--path", help="where the data lie, if not in data/raw/")
    parser.add_argument("--seeds", type=int, default=2, help="seeds 0 … N-1 (default: 2)")
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=tuple(VARIANTS),
        metavar="NAME",
        help=f"what to train (default: all of the data set's; known: {', '.join(VARIANTS)})",
    )
    parser.add_argument("--epochs", type=int, help="how often validation and test are asked")
    parser.add_argument("--steps", type=int, help="gradient steps between two askings")
    parser.add_argument(
        "--results",
        type=Path,
        default=runtime.RESULTS,
        help="where the record's folder lies (default: results/)",
    )
    parser.add_argument("--verbose", type=int, default=1, choices=(0, 1), help="1: progress bar")
    return parser


def describe(table: pd.DataFrame) -> str:
    """Write a table of mistakes as text, a line each.

    Parameters
    ----------
    table : DataFrame
        From `findings.table`.

    Returns
    -------
    str
        Figure, difference in points with its interval where there are two seeds, title.
    """
    lines = []
    for name, row in table.iterrows():
        if name == row["base"]:
            seeds = f"{row['seeds']} seed" + "s" * (row["seeds"] > 1)
            lines.append(f"{row['figure']:5.1f} %  {name}, {seeds}, n = {row['n']:,}")
            continue
        interval = f" ({row['low']:+.1f} to {row['high']:+.1f})" if row["seeds"] > 1 else ""
        lines.append(f"{row['figure']:5.1f} %  {row['points']:+5.1f}{interval}  {row['title']}")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Train what is missing, record it and print the table; return the exit status."""
    words = list(sys.argv[1:] if words is None else words)
    parser = _parser()
    asked = parser.parse_args(words)
    if asked.seeds < 1:
        parser.error("--seeds: expected 1 or more")
    try:
        runtime.setup(0)
        changes = {
            name: getattr(asked, name)
            for name in ("epochs", "steps")
            if getattr(asked, name) is not None
        }
        if asked.variants:
            changes["variants"] = tuple(asked.variants)
        try:
            plan = dataclasses.replace(plan_for(asked.data), **changes)
        except ValueError as error:
            parser.error(str(error))
        dataset = datasets.load(asked.data, asked.path)
        print(dataset.describe(), flush=True)
        folder = plans.folder(findings.KIND, asked.data, asked.results)
        command = shlex.join(["python", "-m", "utils.mistakes", *words])
        found = laboratory.run(
            dataset, plan, range(asked.seeds), folder, command=command, verbose=asked.verbose
        )
        print(describe(findings.table(found)))
        print(f"recorded in {folder.parent.name}/{folder.name}")
    except (DataError, ModelError) as error:
        print(f"python -m utils.mistakes: {error}", file=sys.stderr)
        return 1
    return 0
