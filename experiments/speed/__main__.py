"""Measure, as ratios in one run, what this project's ways are worth against the usual ones.

    python -m experiments.speed                    # all but recipes, growth, detectors, margin
    python -m experiments.speed growth --record    # the longest
    KERAS_BACKEND=jax python -m experiments.speed --record h100
    python -m experiments.speed --tables           # what is recorded, and the figures of it

Ways that do the same take turns, so that a busy machine hurts all of them alike; yet a number that
is to be cited wants an idle one. Start-up and compiling are in no time.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from experiments import speed
from experiments.speed import counts, parts
from utils import records, runtime

TIMED = {
    "augmentation": parts.augmentation,
    "inference": parts.inference,
    "use": parts.use,
    "loading": parts.loading,
    "training": parts.training_steps,
    "recipes": parts.recipes,
    "normalization": parts.normalization,
    "arithmetic": parts.arithmetic,
    "memory": parts.memory,
    "smote": parts.smote,
    "growth": parts.growth,
}
#: Each with a record of its own below ``results/``.
COUNTED = {
    "detectors": (counts.detectors, "detectors/detectors.json"),
    "margin": (counts.margin, "photos/margin.json"),
}
NAMES = [*TIMED, *COUNTED]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line says."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = runtime.parser("python -m experiments.speed", __doc__)
    add = parser.add_argument
    add("part", nargs="*", metavar="PART", help=f"of {', '.join(NAMES)}")
    add("--quick", action="store_true", help="tiny: to see that everything runs")
    add("--data", choices=("sample", "fer2013"), help="by default fer2013 where data/raw has it")
    add("--record", nargs="?", const="", metavar="MACHINE", help="write speed[-MACHINE].json")
    add("--note", default="", help="what else the machine did, for the record")
    add("--results", type=Path, default=runtime.RESULTS, metavar="FOLDER")
    add("--tables", action="store_true", help="measure nothing: print the records, draw figures")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.part) - set(NAMES):
        parser.error(f"no part is called {min(unknown)!r}: expected some of {', '.join(NAMES)}")
    recording, own = asked.record is not None, asked.results == runtime.RESULTS
    if asked.quick and recording and own:
        parser.error("--quick measures nothing worth recording; to try it, name --results")
    if asked.tables:
        for record in speed.recorded(asked.results).values():
            _print(record)
    else:
        path = speed.record_path(asked.record or "", asked.results)
        names = asked.part or [
            name for name in NAMES if name not in ("recipes", "growth", "detectors", "margin")
        ]
        # Both backends would take the whole of an accelerator's memory, and leave none to a child.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        runtime.setup(seed=0)
        command = shlex.join(["python", "-m", "experiments.speed", *arguments])
        for name in names:
            print(f"{name} …", flush=True)
            _measure(name, asked, path if recording else None, command)
    if asked.tables or recording:
        drawn = speed.draw(asked.results, runtime.FIGURES if own else asked.results)
        print("drawn:", *(figure.name for figure in drawn))


def _measure(name: str, asked: argparse.Namespace, path: Path | None, command: str) -> None:
    """Measure one part and print it; record it at once, since a later one may be killed."""
    accelerator = bool(records.accelerators())
    sizes = parts.ACCELERATOR if accelerator else parts.Sizes()
    sizes = parts.QUICK if asked.quick else sizes
    data = asked.data or ("fer2013" if (runtime.RAW / "fer2013").exists() else "sample")
    about = {"command": command, "note": asked.note, "data": data, "quick": asked.quick}
    about["measured"] = runtime.now()
    load, start = os.getloadavg() if hasattr(os, "getloadavg") else (), time.perf_counter()
    found = (TIMED[name] if name in TIMED else COUNTED[name][0])(sizes, data)
    about["seconds"] = round(time.perf_counter() - start, 1)
    about["load"] = {"before": load, "after": os.getloadavg() if load else ()}
    for key, variable in (("onednn", "TF_ENABLE_ONEDNN_OPTS"), ("tunables", "GLIBC_TUNABLES")):
        about[key] = os.environ.get(variable, "")
    about |= records.surroundings()
    if name in COUNTED:
        print(json.dumps(found, indent=2))
        if path is not None:
            runtime.write_json(asked.results / COUNTED[name][1], {**found, **about})
        return
    machine = {"hardware": about.pop("hardware"), "backend": about.pop("backend")}
    kinds = {"timings": [], "growths": []}
    kinds["growths" if name == "growth" else "timings"] = found
    record = {**machine, "accelerator": accelerator, "parts": {name: {**kinds, "about": about}}}
    _print(record)
    if path is not None:
        speed.write(path, record)


def _print(record: dict) -> None:
    print(f"{record['hardware']}, {record['backend']}")
    for table in (speed.rates_table, speed.ratios_table, speed.growth_table):
        if len(found := table(record)):
            print(found.round(2).to_string(), end="\n\n")


if __name__ == "__main__":
    runtime.run_command(main)
