"""Time for one face: each of the five networks at its own size, one face a call.

``python benchmarks/latency.py`` prints the times and their ratios, and with ``--record`` writes
``results/benchmarks/latency.json``, which notebook 07 reads. It takes a minute or two on two
cores. A network's time does not depend on its weights, so they are random; float32, as a released
network computes. Each network is asked in two ways: by a compiled call, ``model(face)`` inside a
``tf.function`` or under ``jax.jit``, which is what a program that answers faces one by one would
use, and by ``model.predict``, which is made for many. Networks and ways take turns, so that
whatever else the machine does falls on all of them; the record has the load average.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import timing
from utils import models, records, runtime

RECORD = runtime.RESULTS / "benchmarks" / "latency.json"
#: The ways, and how often each is counted for a counted call of the first: predict is slow.
WAYS = {"compiled": 1.0, "predict": 0.2}
QUANTILES = {"p10": 0.1, "median": 0.5, "p90": 0.9}


def compiled(model) -> Callable[[np.ndarray], np.ndarray]:
    """Compile a network's answer to one batch, with whatever the backend compiles with."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        # Copies: ``predict`` gives the arrays of the model's own variables away to the device.
        fixed = [jax.numpy.copy(variable.value) for variable in model.trainable_variables]
        others = [jax.numpy.copy(variable.value) for variable in model.non_trainable_variables]
        answer = jax.jit(
            lambda faces: model.stateless_call(fixed, others, faces, training=False)[0]
        )
    else:
        import tensorflow

        answer = tensorflow.function(lambda faces: model(faces, training=False))
    return lambda faces: np.asarray(answer(faces))


def measure(names: list[str], *, calls: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Time single faces, networks and ways in turns.

    Parameters
    ----------
    names : list of str
        Out of `models.NETWORKS`.
    calls : int
        Compiled calls of each network that are counted, in all; predict is called a fifth as
        often.
    rounds : int
        Over so many turns; each begins with two calls that are not counted.

    Returns
    -------
    dict of str to dict of str to list of float
        For each network and way the seconds of each call.
    """
    rng = np.random.default_rng(0)
    faces, ask = {}, {}
    for name in names:
        model = models.build(name)
        faces[name] = rng.integers(0, 256, (1, *model.input_shape[1:])).astype(np.float32)
        ask[name, "compiled"] = compiled(model)
        ask[name, "predict"] = lambda face, model=model: model.predict(face, verbose=0)
        for way in WAYS:
            ask[name, way](faces[name])  # tracing and compiling
    seconds: dict[str, dict[str, list[float]]] = {name: {way: [] for way in WAYS} for name in names}
    for _ in range(rounds):
        for (name, way), answer in ask.items():
            for call in range(-2, max(1, round(WAYS[way] * calls / rounds))):
                start = time.perf_counter()
                answer(faces[name])
                spent = time.perf_counter() - start
                if call >= 0:
                    seconds[name][way].append(spent)
    return seconds


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Return the 10th, 50th and 90th percentile of some seconds, in milliseconds."""
    found = 1000 * np.quantile(seconds, list(QUANTILES.values()))
    return dict(zip(QUANTILES, found.round(3).tolist(), strict=True))


def main() -> None:
    """Measure, print, and write the record where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=500, help="compiled calls that are counted")
    parser.add_argument("--rounds", type=int, default=10, help="turns that they are spread over")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    parser.add_argument("--note", default="", help="what else the machine did, for the record")
    options = parser.parse_args()
    runtime.setup(seed=0)
    before = timing.load_average()
    names = list(models.NETWORKS)
    seconds = measure(names, calls=options.calls, rounds=options.rounds)
    table = models.networks_table()
    found = {
        name: {
            "input": table.loc[name, "input"],
            "parameters": int(table.loc[name, "parameters"]),
            "multiply_adds": int(table.loc[name, "multiply_adds"]),
            "milliseconds": {way: milliseconds(seconds[name][way]) for way in WAYS},
        }
        for name in names
    }
    medians = {
        way: {name: found[name]["milliseconds"][way]["median"] for name in names} for way in WAYS
    }
    fastest = min(names, key=medians["compiled"].get)
    ratios = {
        name: round(medians["compiled"][name] / medians["compiled"][fastest], 2) for name in names
    }
    record = {
        "batch": 1,
        "calls": {way: len(seconds[fastest][way]) for way in WAYS},
        "rounds": options.rounds,
        "precision": "float32",
        "networks": found,
        "fastest": fastest,
        "times_the_fastest": ratios,
        "load": {"before": before, "after": timing.load_average()},
        "note": options.note,
        **records.surroundings(),
    }
    for name in names:
        one = found[name]
        print(f"{name:7} {one['parameters']:>11,} parameters {one['multiply_adds']:>12,} mult-adds")
        for way in WAYS:
            ms = one["milliseconds"][way]
            print(f"  {way:9} {ms['median']:7.2f} ms ({ms['p10']:.2f} … {ms['p90']:.2f})")
        arithmetic = one["multiply_adds"] / found[fastest]["multiply_adds"]
        slower = medians["predict"][name] / medians["compiled"][name]
        print(f"  {ratios[name]:.1f} times {fastest}'s time, {arithmetic:.1f} times its arithmetic")
        print(f"  predict takes {slower:.1f} times as long as the compiled call")
    after = record["load"]["after"]
    print(f"on {record['hardware']}, {record['backend']}; load average {before} to {after}")
    if options.record:
        runtime.write_json(RECORD, record)


if __name__ == "__main__":
    main()
