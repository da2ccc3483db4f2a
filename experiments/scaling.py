"""What several machines are worth: a training step measured on those there are, the rest on paper.

    KERAS_BACKEND=jax python -m experiments.scaling --record --note "nothing ran beside it"

Started on several machines as `utils.training.devices` says, it measures their step together; all
steps are of 128 faces. On paper a step is its computing and then a ring all-reduce, in which
2 (n - 1) / n of the gradient's bytes cross each machine's link (Patarasuk and Yuan 2009). That
leaves out latency, and that engines begin to send before a gradient is whole.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from experiments.speed import parts
from utils import models, records, runtime, training
from utils.training import devices

RECORD = runtime.RESULTS / "benchmarks" / "scaling.json"


def efficiency(seconds: float, size: float, machines: int, gigabits: float, *, fixed: str) -> float:
    """Return a machine's share of useful time, 0 … 1: computing over computing and sending.

    Parameters
    ----------
    seconds : float
        One machine's step.
    size : float
        The gradient's bytes.
    machines : int
        How many.
    gigabits : float
        Each machine's link, in 10⁹ bits a second.
    fixed : {"batch per machine", "global batch"}
        Whether each machine still computes a whole step, or its part of one.
    """
    computing = seconds / (machines if fixed == "global batch" else 1)
    sending = 2 * (machines - 1) / machines * size * 8 / (gigabits * 1e9)
    return computing / (computing + sending)


def tables(record: dict[str, dict]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tabulate efficiency in percent: as measured, and on paper from one machine's step."""
    alone = record["1"]["networks"]
    measured = [
        {"machines": n, "network": name, **one}
        | {"efficiency": 100 * alone[name]["seconds"] / (int(n) * one["seconds"])}
        for n, found in record.items()
        for name, one in found["networks"].items()
    ]
    ways = [(fixed, speed) for fixed in ("batch per machine", "global batch") for speed in (1, 25)]
    paper = [
        {"network": name, "fixed": fixed, "Gbit/s": speed}
        | {n: 100 * efficiency(*one.values(), n, speed, fixed=fixed) for n in (2, 8, 64)}
        for name, one in alone.items()
        for fixed, speed in ways
    ]
    return pd.DataFrame(measured), pd.DataFrame(paper)


def measure(model: str, chosen: devices.Devices, steps: int = 3) -> dict[str, float]:
    """Time a step of 128 faces in all, in float32 and with augmentation: the median of three."""
    told = training.recipe(model, precision="float32")
    network = models.build(model, (told.size, told.size, 1), 7, **told.network)
    weights = sum(int(np.prod(one.shape)) for one in network.trainable_variables)
    told = dataclasses.replace(told, batch_size=128 // chosen.processes)
    with chosen.scope():
        epoch = parts.trainer(told, steps * told.batch_size, fused=False)
        seconds = [epoch() / steps for _ in range(4)][1:]  # the first compiles
    return {"seconds": round(float(np.median(seconds)), 4), "bytes": 4 * weights}


def main() -> None:
    """Measure, print, and record what was measured beside what other numbers of machines gave."""
    parser = runtime.parser("python -m experiments.scaling", __doc__)
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    parser.add_argument("--note", default="", help="what else the machine did")
    asked = parser.parse_args()
    runtime.setup()
    chosen = devices.choose()
    found = {name: measure(name, chosen) for name in ("cnn5", "resnet8")}
    record = runtime.read_json(RECORD) if RECORD.is_file() else {}
    about = {**records.surroundings(), "note": asked.note}
    record[str(chosen.processes)] = {"networks": found, **about}
    if chosen.process == 0:
        for rows in tables(record) if "1" in record else [pd.DataFrame(found).T]:
            print(rows.round(3).to_string(index=False))
        if asked.record:
            runtime.write_json(RECORD, record)


if __name__ == "__main__":
    runtime.run_command(main)
