"""Ask networks on disk, and record what they answer."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from utils import datasets, models, records, runtime
from utils.datasets import FaceDataset
from utils.robustness.answers import Answers, ask, table
from utils.robustness.corruptions import chosen
from utils.robustness.files import FOLDER, recorded, write
from utils.runtime import DataError, ModelError


def measure(
    network: str | Path,
    dataset: FaceDataset,
    *,
    split: str = "test",
    seed: int = 0,
    command: Sequence[str] = (),
    progress: bool = False,
) -> Answers:
    """Ask a network on disk about every condition of a data set's split.

    Parameters
    ----------
    network : str or path
        As `models.find` takes it.
    dataset : FaceDataset
        All of it: the training split tells which faces are copies of training pictures.
    split : {"test", "validation"}
    seed : int
    command : sequence of str
        What was typed, for the record.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Answers
        With everything in ``info`` that a record needs.

    Raises
    ------
    ModelError
        When there is no such network, or its classes are others than the data's.
    DataError
        When the split has no face.
    """
    file = models.find(network)
    asked_for = records.asked(file, dataset, split)
    rows = dataset.split == split
    start = time.perf_counter()
    answers = ask(
        models.load(file),
        dataset.take(rows),
        seed=seed,
        copies=datasets.copies_in_training(dataset)[rows],
        progress=progress,
    )
    around = records.surroundings()
    around["versions"]["opencv"] = metadata.version("opencv-python-headless")
    info = {
        **asked_for,
        "command": shlex.join(command),
        "evaluated": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - start, 1),
        **around,
    }
    return replace(answers, info=info)


def _is_recorded(
    network: str | Path, dataset: FaceDataset, split: str, seed: int, results: Path
) -> bool:
    """Whether the very same was asked before: network, faces, corruptions, levels and seed."""
    now = records.asked(models.find(network), dataset, split)
    there = recorded(results, dataset.name, split).get(now["network"])
    if there is None:
        return False
    before = {key: there.info.get(key) for key in now}
    corruptions = tuple(chosen(None, dataset.images.shape[1:3]))
    return before == now and there.seed == seed and there.corruptions == corruptions


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the command line says, and write the records; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m utils.robustness",
        description="Ask trained networks about spoiled test faces, and record what they answer.",
    )
    parser.add_argument(
        "networks", metavar="NETWORK", nargs="+", help="released ones, runs, or .keras files"
    )
    parser.add_argument(
        "--data",
        choices=tuple(datasets.LOADERS),
        help="by default what each network was trained on, if its record says so",
    )
    parser.add_argument("--path", help="where the data lie, if not in data/raw/")
    parser.add_argument("--split", default="test", choices=("test", "validation"))
    parser.add_argument("--seed", type=int, default=0, help="draws noise, sides and places")
    parser.add_argument("--again", action="store_true", help="also ask what is recorded already")
    parser.add_argument(
        "--results",
        type=Path,
        default=runtime.RESULTS,
        metavar="FOLDER",
        help=f"where {FOLDER}/ is written (default: results/)",
    )
    asked = parser.parse_args(arguments)
    runtime.setup(seed=asked.seed)
    loaded: dict[str, FaceDataset] = {}
    try:
        for network in asked.networks:
            data = asked.data or _trained_on(network)
            if data not in loaded:
                loaded[data] = datasets.load(data, asked.path)
            known = (loaded[data], asked.split, asked.seed, asked.results)
            if not asked.again and _is_recorded(network, *known):
                print(f"{network}: recorded already (--again asks once more)", flush=True)
                continue
            answers = measure(
                network,
                loaded[data],
                split=asked.split,
                seed=asked.seed,
                command=["python", "-m", "utils.robustness", *arguments],
                progress=sys.stderr.isatty(),
            )
            written = write(answers, asked.results / FOLDER)
            print(f"{written.stem}: {_sentence(answers)}", flush=True)
    except (DataError, ModelError, OSError) as error:
        print(f"utils.robustness: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _trained_on(network: str | Path) -> str:
    file = models.find(network)
    run = records.run_of(file)
    if run is None:
        raise ModelError(
            f"{records.network_name(file)}: no record says what it was trained on; "
            "name the data (--data)"
        )
    return run.info["dataset"]


def _sentence(answers: Answers) -> str:
    found = table(answers)
    clean, worst = found[found["clean"]].iloc[0], found.loc[found["accuracy"].idxmin()]
    return (
        f"{clean['accuracy']:.1%} as they are, {worst['accuracy']:.1%} at worst "
        f"({worst['corruption']}, {worst['level']:g} {worst['unit']}), "
        f"{answers.info['seconds']:.0f} seconds"
    )
