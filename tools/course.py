"""Run the course: every core notebook on the rendered sample faces.

``python -m tools.course [NUMBER …]`` (``make course``) renders the sample faces into
``data/sample``, executes the notebooks with a line each, and leaves the executed copies in
``runs/course/`` and every figure that they drew in ``figures/course/``. Neither folder is tracked
by git: the committed notebooks and figures stay as they are.
"""

from __future__ import annotations

import argparse
import base64
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools import notebooks
from utils import runtime, sample
from utils.runtime import DataError

#: The core notebooks, which `make course` runs.
CORE = tuple(map(int, notebooks.CORE))


def chosen(numbers: Sequence[int], folder: Path = notebooks.NOTEBOOKS) -> list[Path]:
    """Find the notebooks of these numbers, in the course's order; a DataError where one is none."""
    there = {path.name.split("_", 1)[0]: path for path in notebooks.paths(folder)}
    wanted = [f"{number:02d}" for number in sorted(set(numbers))]
    missing = [number for number in wanted if number not in there]
    if missing:
        raise DataError(f"no notebook with number {', '.join(missing)} in {folder.name}/")
    return [there[number] for number in wanted]


def save_figures(notebook: dict[str, Any], number: str, folder: Path) -> int:
    """Write every PNG in an executed notebook's outputs to ``folder``; return how many.

    Figures of an earlier run of the notebook with this number are removed.
    """
    written = 0
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob(f"{number}-*.png"):
        earlier.unlink()
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            picture = output.get("data", {}).get("image/png")
            if picture:
                written += 1
                name = f"{number}-{cell['id'].removeprefix(f'{number}-')}-{written:02d}.png"
                (folder / name).write_bytes(base64.b64decode("".join(picture)))
    return written


def run(paths: Sequence[Path], runs: Path, figures: Path) -> None:
    """Execute notebooks with a line each; copies go to ``runs``, their figures to ``figures``.

    Raises
    ------
    DataError
        At the first cell that fails: names the notebook, the cell and the error; what ran is kept.
    """
    for position, path in enumerate(paths, start=1):
        print(f"[{position}/{len(paths)}] {path.name} …", flush=True)
        start = time.monotonic()
        executed = notebooks.execute(path, runs / path.name)
        cells = sum(cell["cell_type"] == "code" for cell in executed["cells"])
        drawn = save_figures(executed, path.name.split("_", 1)[0], figures)
        seconds = time.monotonic() - start
        print(f"      {cells} cells, {drawn} figures, {seconds:.0f} s", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the course from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.course", description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, help="which notebooks; the core by default")
    paths = chosen(parser.parse_args(arguments).numbers or CORE)
    start = time.monotonic()
    sample.write(runtime.DATA / "sample")
    run(paths, runtime.RUNS / "course", runtime.FIGURES / "course")
    print(
        f"{len(paths)} notebooks in {time.monotonic() - start:.0f} s. "
        "Executed copies: runs/course/ · figures: figures/course/ · to read along: make lab"
    )


if __name__ == "__main__":
    runtime.run_command(main)
