"""Search the settings: learning rate, batch size, number of filters, dropout.

`grid` tries every combination, as the course's ancestors did. `tpe` lets each trial learn from
those before it, and ends the hopeless ones early. Both choose on the validation split alone: the
test split is taken out of the data before the first trial.

    python -m utils.search --model cnn3 --data fer2013 --trials 20 --epochs 8 --rows 6000

Started twice at the same time, or on two machines with one database (--storage), the command
works on one study: its trials are shared out, and each process ends when all of them are done.
Started again later, it goes on.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from utils import datasets, runtime, training
from utils.runtime import DataError, ModelError
from utils.search.findings import describe, record
from utils.search.space import SETTINGS, Interval, Space, base_settings
from utils.search.study import STUDIES, draw_rows, grid, tpe


def _parser() -> argparse.ArgumentParser:
    default = Space()
    parser = argparse.ArgumentParser(
        prog="python -m utils.search",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="cnn3", help="the network's name (default: cnn3)")
    parser.add_argument(
        "--data", default="sample", choices=tuple(datasets.LOADERS), help="(default: sample)"
    )
    parser.add_argument("--path", help="where the data lie, if not in data/raw/")

    how = parser.add_argument_group("how")
    how.add_argument(
        "--sampler",
        default="tpe",
        choices=("tpe", "grid"),
        help="tpe: learn from earlier trials, prune poor ones; grid: every combination",
    )
    how.add_argument("--trials", type=int, default=20, help="tpe's (default: 20)")
    how.add_argument("--points", type=int, default=3, help="a grid's values of an interval")
    how.add_argument("--epochs", type=int, default=8, help="of a trial (default: 8)")
    how.add_argument("--rows", type=int, help="train on so many rows, a stratified draw")
    how.add_argument("--minutes", type=float, help="after so long, begin no further trial")
    how.add_argument("--balance", choices=training.BALANCES, help="default: the network's own")
    how.add_argument("--precision", default="float32", choices=("float32", "mixed_bfloat16"))
    how.add_argument("--seed", type=int, default=0)

    what = parser.add_argument_group(
        "what may be chosen (one value leaves nothing to choose, and sets it)"
    )
    what.add_argument(
        "--learning-rate",
        type=float,
        nargs="+",
        metavar="RATE",
        help="tpe: the two ends of an interval; grid: its values "
        f"(default: {default.learning_rate.low} {default.learning_rate.high})",
    )
    what.add_argument("--batch-size", type=int, nargs="+", metavar="N", help="(default: 32 64 128)")
    what.add_argument(
        "--filters",
        type=int,
        nargs="+",
        metavar="N",
        help="of the first block; the others keep their proportion (default: 8 16 32)",
    )
    what.add_argument(
        "--dropout",
        type=float,
        nargs="+",
        metavar="SHARE",
        help="as --learning-rate (default: 0 0.5)",
    )

    where = parser.add_argument_group("where")
    where.add_argument("--study", help="its name (default: MODEL-DATA); one of this name goes on")
    where.add_argument(
        "--storage",
        metavar="URL",
        help="a database that several machines reach (default: SQLite in runs/search/)",
    )
    where.add_argument(
        "--folder", type=Path, default=STUDIES, help="where the study lies (default: runs/search)"
    )
    where.add_argument("--worker", default="", help="this process's name in the table")
    where.add_argument(
        "--heartbeat",
        type=int,
        default=20,
        metavar="SECONDS",
        help="between signs of life; who misses three is taken for dead (default: 20)",
    )
    where.add_argument(
        "--record", action="store_true", help="write the search to results/search-NAME/"
    )
    where.add_argument("--results", type=Path, default=runtime.RESULTS, help=argparse.SUPPRESS)
    where.add_argument("--verbose", type=int, default=1, choices=(0, 1), help="1: progress bar")
    return parser


def _space(asked: argparse.Namespace) -> Space:
    """Read the space from the command line."""
    default, values = Space(), {}
    for name in SETTINGS:
        given = getattr(asked, name)
        if given is None:
            values[name] = getattr(default, name)
        elif name in ("learning_rate", "dropout") and asked.sampler == "tpe" and len(given) > 1:
            if len(given) != 2:
                raise ModelError(f"--{name.replace('_', '-')}: tpe takes the two ends, low high")
            values[name] = Interval(*given, log=name == "learning_rate")
        else:
            values[name] = tuple(given)
    return Space(**values)


def _command(words: Sequence[str]) -> str:
    """Return the command as a record may hold it: a database's address can hold a password."""
    shown = list(words)
    for at, word in enumerate(shown):
        if word == "--storage" and at + 1 < len(shown):
            shown[at + 1] = "URL"
        elif word.startswith("--storage="):
            shown[at] = "--storage=URL"
    return shlex.join(["python", "-m", "utils.search", *shown])


def main(words: Sequence[str] | None = None) -> int:
    """Search, print what came out, and record it where asked to; return the exit status."""
    words = list(sys.argv[1:] if words is None else words)
    asked = _parser().parse_args(words)
    try:
        runtime.setup(asked.seed)
        space = _space(asked)
        changes = {"epochs": asked.epochs, "seed": asked.seed, "precision": asked.precision}
        if asked.balance:
            changes["balance"] = asked.balance
        settings = base_settings(asked.model, asked.data, **changes)
        dataset = datasets.load(asked.data, asked.path)
        print(draw_rows(dataset, asked.rows, seed=asked.seed).describe(), flush=True)
        where = {
            "name": asked.study or f"{asked.model}-{asked.data}",
            "rows": asked.rows,
            "minutes": asked.minutes,
            "storage": asked.storage,
            "folder": asked.folder,
            "worker": asked.worker,
            "heartbeat": asked.heartbeat,
            "verbose": asked.verbose,
        }
        if asked.sampler == "grid":
            search = grid(dataset, settings, space, points=asked.points, **where)
        else:
            search = tpe(dataset, settings, space, trials=asked.trials, **where)
        print(describe(search))
        if asked.record:
            place = record(search, folder=asked.results, command=_command(words))
            print(f"recorded in {place.parent.name}/{place.name}")
    except (DataError, ModelError) as error:
        print(f"python -m utils.search: {error}", file=sys.stderr)
        return 1
    return 0
