"""Runs that have not been made: named, empty rows of the tables, and commands that want a GPU.

``python -m utils.outstanding`` lists what ``results/planned.json`` asks for; with ``--minutes`` it
makes as much of it as the time allows. Both lists grow shorter by themselves as runs are recorded.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from utils import records, runtime
from utils.ablation.command import LEFT
from utils.runtime import ModelError

#: Below ``results/``: rows of the tables that are empty, and why; what wants a GPU.
NOT_RUN, PLANNED = "not_run.json", "planned.json"

#: A training that is told to end has so many seconds before it is killed.
GRACE = 20


@dataclass(frozen=True)
class NotRun:
    """A run that belongs into the tables and has not been made: a named, empty row.

    Attributes
    ----------
    model, dataset, balance : str
        As in a run's ``run.json`` and its settings.
    reason : str
        Why it has not been made, in a sentence's part.
    command : str
        What would make it.
    """

    model: str
    dataset: str
    balance: str
    reason: str
    command: str


def not_run(results: Path | None = None) -> list[NotRun]:
    """List the runs that ``not_run.json`` names and that are not recorded yet.

    Parameters
    ----------
    results : path, optional
        Where the file and the runs lie; by default ``results/``. A finished run of the same
        model, dataset and balance takes an entry off the list.

    Returns
    -------
    list of NotRun
        In the file's order; empty where there is no file.

    Raises
    ------
    ModelError
        When the file is no list of such entries.
    """
    results = results or runtime.RESULTS
    path = results / NOT_RUN
    if not path.is_file():
        return []
    try:
        entries = [NotRun(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError, OSError) as error:
        fields = ", ".join(field.name for field in dataclasses.fields(NotRun))
        raise ModelError(f"{NOT_RUN}: expected a list of entries with {fields}: {error}") from error
    infos = [
        json.loads((results / name / "run.json").read_text(encoding="utf-8"))
        for name in records.names(results)
    ]
    made = {
        (info.get("model"), info.get("dataset"), info.get("settings", {}).get("balance"))
        for info in infos
    }
    return [one for one in entries if (one.model, one.dataset, one.balance) not in made]


def planned(results: Path | None = None) -> pd.DataFrame:
    """List the runs of ``planned.json``, which want a GPU, and whether they are recorded.

    Parameters
    ----------
    results : path, optional
        Where the file and the records lie; by default ``results/``.

    Returns
    -------
    DataFrame
        Indexed by the record's ``name``: ``part`` (of notebook 10's story), ``why``, ``command``
        and ``recorded`` (bool): of a run, whether it is finished; of an ablation, whether it has
        its number of ``runs``.

    Raises
    ------
    ModelError
        When the file is no list of such entries, or a name stands in it twice.
    """
    results = results or runtime.RESULTS
    columns = ["part", "why", "command"]
    try:
        entries = json.loads((results / PLANNED).read_text(encoding="utf-8"))
        runs = {entry["name"]: entry.get("runs") for entry in entries}
        table = pd.DataFrame(entries).set_index("name")[columns]
        if len(runs) < len(entries):
            raise ValueError("a name stands there twice")
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        wanted = ", ".join(["name", *columns])
        raise ModelError(f"{PLANNED}: expected a list of entries with {wanted}: {error}") from error
    recorded = [
        _rows(results / name) >= count if count else records.is_finished(results / name)
        for name, count in runs.items()
    ]
    return table.assign(recorded=recorded)


def _rows(ablation: Path) -> int:
    """Count the runs that an ablation has recorded."""
    file = ablation / "lines.csv"
    return len(pd.read_csv(file)) if file.is_file() else 0


def run(
    minutes: float, *, parts: Sequence[str] = (), results: Path | None = None
) -> dict[str, str]:
    """Make what is planned and not recorded, in the list's order, for so long.

    A command is ended when the time is over; it goes on from its last finished epoch when it is
    begun again. One that fails does not keep those behind it from being tried.

    Parameters
    ----------
    minutes : float
        How long, all together; a command that does not end when it is told to has `GRACE` seconds
        more.
    parts : sequence of str
        Only these parts of the story; by default all.
    results : path, optional
        Where the list and the records lie, as in `planned`. The commands themselves say where
        they record.

    Returns
    -------
    dict of str to str
        What was begun, and what came of it: "recorded", "time is up", "exit status N", or why it
        could not be started.

    Raises
    ------
    ModelError
        When the list cannot be read, or has no such part.
    """
    end = time.monotonic() + 60 * minutes
    table = _of_parts(planned(results), parts)
    found = {}
    for name, command in table.loc[~table["recorded"], "command"].items():
        if time.monotonic() >= end:
            break
        print(f"{name}: {command}", flush=True)
        try:
            status = LEFT
            while status == LEFT:  # it has a time of its own, and goes on
                status = _run(command, end)
            ended = "time is up" if status is None else f"exit status {status}"
        except (OSError, ValueError) as error:
            ended = f"cannot be started: {error}"
        found[name] = "recorded" if planned(results).loc[name, "recorded"] else ended
        print(f"{name}: {found[name]}", flush=True)
    return found


def _of_parts(table: pd.DataFrame, parts: Sequence[str]) -> pd.DataFrame:
    """Return some parts of the list, all where none is named."""
    there = list(dict.fromkeys(table["part"]))
    for part in parts:
        if part not in there:
            raise ModelError(f"{PLANNED}: no part called {part!r}; there are {', '.join(there)}")
    return table[table["part"].isin(parts or there)]


def _run(command: str, end: float) -> int | None:
    """Run a command as a shell would; return its exit status, None when the time was over."""
    words = shlex.split(command)
    settings = {}
    while words and "=" in words[0]:
        key, settings[key] = words.pop(0).split("=", 1)
    if not words:
        raise ValueError("found no command")
    if words[0] == "python":
        words[0] = sys.executable
    process = subprocess.Popen(words, cwd=runtime.ROOT, env={**os.environ, **settings})
    try:
        return process.wait(max(end - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        return None
    finally:  # also when this process is told to end: no training is to live on alone
        if process.poll() is None:
            process.kill()
            process.wait()


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(
        prog="python -m utils.outstanding",
        description="List the runs that want a GPU, or make as many as the time allows.",
        epilog=f"Exit status: 0 for done, 1 where a command failed, {LEFT} where the time "
        "was over first; the same command goes on.",
    )
    described.add_argument(
        "--minutes", type=float, help="make runs for so long; without it they are listed"
    )
    described.add_argument(
        "--part", nargs="+", default=(), metavar="PART", help="only these parts of the list"
    )
    return described


def main(words: Sequence[str] | None = None) -> int:
    """List or run; return the exit status."""
    described = parser()
    asked = described.parse_args(words)
    if asked.minutes is not None and not asked.minutes > 0:
        described.error("--minutes: expected more than 0")
    try:
        table = _of_parts(planned(), asked.part)
        if asked.minutes is None:
            for name, one in table.iterrows():
                print(f"{'recorded' if one['recorded'] else 'not run':9} {one['part']:10} {name}")
            return 0
        # Told to end, it ends its command first.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            found = run(asked.minutes, parts=asked.part)
        finally:
            signal.signal(signal.SIGTERM, before)
        if set(found.values()) - {"recorded", "time is up"}:
            return 1
        return 0 if _of_parts(planned(), asked.part)["recorded"].all() else LEFT
    except ModelError as error:
        print(f"{described.prog}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
