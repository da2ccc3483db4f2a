"""``python -m benchmarks``: measure, print ratios, and record the seconds where that is asked for.

    python -m benchmarks                           # all but growth
    python -m benchmarks --only growth --record    # the longest
    KERAS_BACKEND=jax python -m benchmarks --record h100

Ways that do the same take turns, so that a busy machine hurts all of them alike; yet a number that
is to be cited wants an idle one. Start-up and compiling are in no time.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from benchmarks import timing
from benchmarks.parts import (
    arithmetic,
    augmentation,
    growing,
    inference,
    loading,
    smote,
    training,
)
from benchmarks.plan import Plan, plan_for
from utils import records, runtime, speed
from utils.runtime import DataError, ModelError


class Part(NamedTuple):
    """What is measured, how, and in how many steps of the progress bar."""

    title: str
    measure: Callable[[Plan, Callable[[], None]], list]
    steps: Callable[[Plan], int]


#: By name, in the order in which they are run.
PARTS = {
    "augmentation": Part(
        "augmentation alone", augmentation.measure, lambda plan: 2 * (plan.repeats + 1)
    ),
    "training": Part("training cnn5", training.measure, lambda plan: 3 * (plan.repeats + 1)),
    "arithmetic": Part(
        "operations a second",
        arithmetic.measure,
        lambda plan: 2 * (plan.repeats + 1) * len(plan.arithmetic),
    ),
    "inference": Part(
        "inference",
        inference.measure,
        lambda plan: (2 + 3 * len(plan.batches)) * (plan.repeats + 1),
    ),
    "loading": Part("loading", loading.measure, lambda plan: 3 * plan.loads),
    "smote": Part("SMOTE", smote.measure, lambda plan: 2 * plan.loads),
    "growth": Part("growth with the rows", growing.measure, growing.sizes),
}
#: What is run where nothing is named: growth takes longer than all the others together.
DEFAULT = tuple(name for name in PARTS if name != "growth")
PACKAGES = ("scipy", "pandas")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the command line says; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    described = _parser()
    asked = described.parse_args(arguments)
    if asked.quick and asked.record is not None and asked.results == runtime.RESULTS:
        described.error("--quick measures nothing worth recording; to try it, name --results")
    # Both backends would take the whole of an accelerator's memory, and leave none to a child.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    runtime.setup(seed=0)
    accelerator = bool(records.accelerators())
    data = asked.data or ("fer2013" if (runtime.RAW / "fer2013").exists() else "sample")
    plan = plan_for(data, accelerator=accelerator, quick=asked.quick)
    around = records.surroundings()
    record = speed.SpeedRecord(around["hardware"], around["backend"], accelerator)
    print(f"{record.hardware}, {record.backend}, data: {data}", flush=True)
    print(f"load average at the start: {timing.load_average()}", flush=True)
    command = shlex.join(["python", "-m", "benchmarks", *arguments])
    try:
        path = None
        if asked.record is not None:
            path = speed.record_path(asked.record, asked.results)
        for name in asked.only:
            about = {"command": command, "note": asked.note, "data": data, "quick": asked.quick}
            measured = _measure(name, plan, about)
            if measured is None:
                continue
            record = record.with_parts({name: measured})
            print(_report(record, name), flush=True)
            if path is not None:  # at once: a later part may be killed
                speed.write(path, record)
        if path is not None:
            for figure in speed.draw(asked.results, asked.figures):
                print(f"drawn: {figure.name}")
    except (DataError, ModelError, OSError) as error:
        print(f"benchmarks: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        type=_names,
        default=DEFAULT,
        metavar="A,B",
        help=f"of {', '.join(PARTS)}; by default all but growth",
    )
    parser.add_argument("--quick", action="store_true", help="tiny: to see that everything runs")
    parser.add_argument(
        "--data", choices=("sample", "fer2013"), help="by default fer2013 where it is in data/raw"
    )
    parser.add_argument(
        "--record",
        nargs="?",
        const="",
        metavar="MACHINE",
        help="write results/benchmarks/speed.json, or speed-MACHINE.json, and draw the figures",
    )
    parser.add_argument("--note", default="", help="what else the machine did, for the record")
    parser.add_argument("--results", type=Path, default=runtime.RESULTS, metavar="FOLDER")
    parser.add_argument("--figures", type=Path, default=runtime.FIGURES, metavar="FOLDER")
    return parser


def _names(text: str) -> tuple[str, ...]:
    """Read ``--only``: names of parts, in the parts' own order."""
    asked = {name.strip() for name in text.split(",")}
    unknown = asked - set(PARTS)
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no part is called {min(unknown)!r}: expected some of {', '.join(PARTS)}"
        )
    return tuple(name for name in PARTS if name in asked)


def _measure(name: str, plan: Plan, about: dict) -> speed.Measurement | None:
    """Measure one part, with when and under what; None where a package is missing, said so."""
    part = PARTS[name]
    around = records.surroundings()
    versions = {**around["versions"], **_versions()}
    load, start = timing.load_average(), time.perf_counter()
    began = datetime.now(timezone.utc).isoformat(timespec="seconds")
    try:
        with tqdm(total=part.steps(plan), desc=part.title, unit=" turns", leave=False) as bar:
            found = part.measure(plan, bar.update)
    except ImportError as error:
        print(f"{part.title}: left out: {error}", flush=True)
        return None
    return speed.Measurement(
        timings=tuple(one for one in found if isinstance(one, speed.Timing)),
        growths=tuple(one for one in found if isinstance(one, speed.Growth)),
        about={
            **about,
            "measured": began,
            "seconds": round(time.perf_counter() - start, 1),
            "load": {"before": load, "after": timing.load_average()},
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""),
            "versions": versions,
            "commit": around["commit"],
        },
    )


def _versions() -> dict[str, str]:
    """Return the versions of what `records.surroundings` does not name."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _report(record: speed.SpeedRecord, name: str) -> str:
    """Write what one part of a record says: rates, ratios with their aims, powers of the rows."""
    one = speed.SpeedRecord(
        record.hardware, record.backend, record.accelerator, {name: record.parts[name]}
    )
    lines = ["", f"{PARTS[name].title} ({one.parts[name].about['seconds']:.0f} s)"]
    rates, ratios = speed.rates_table(one), speed.ratios_table(one)
    peaks = {timed.case: timed.settings.get("megabytes", {}) for timed in one.parts[name].timings}
    for case in rates["case"].unique():
        if case != PARTS[name].title:
            lines.append(f"  {case}")
        for row in rates[rates["case"] == case].itertuples():
            median, low, high = (_number(value) for value in (row.median, row.low, row.high))
            lines.append(f"    {row.way:28} {median:>9} {row.unit}/s ({low} … {high})")
        for way, peak in peaks.get(case, {}).items():
            lines.append(f"    {way:28} {peak:>9,.0f} MB at most")
        for row in ratios[ratios["case"] == case].itertuples():
            aim = f", aim {row.aim:g}" if row.aim == row.aim else ""
            lines.append(
                f"    ratio, {row.comparison}: {row.median:.2f} "
                f"({row.low:.2f} … {row.high:.2f}, {row.repeats} repetitions){aim}"
            )
    for task, row in speed.growth_table(one).iterrows():
        lines.append(
            f"    {task:30} {row['seconds']:8.2f} s, {row['megabytes']:7.0f} MB at "
            f"{row['rows']:,} rows; {_powers(row)}"
        )
        if row["note"]:
            lines.append(f"      {row['note']}")
    return "\n".join(lines)


def _powers(row) -> str:
    """Say with which powers of the rows time and memory grow, and whether that is too fast."""
    words = []
    for cost in ("time", "memory"):
        if row[f"{cost}_faster"] is None:
            words.append(f"{cost}: not known")
            continue
        faster = " (faster than the rows)" if row[f"{cost}_faster"] else ""
        words.append(f"{cost} ~ rows^{row[f'{cost}_power']:.2f}{faster}")
    return ", ".join(words)


def _number(value: float) -> str:
    """Write a rate: in full below a million, else with a power of a thousand."""
    for size, sign in ((1e12, " T"), (1e9, " G"), (1e6, " M")):
        if value >= size:
            return f"{value / size:,.3g}{sign}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
