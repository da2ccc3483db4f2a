"""Run the course: every notebook of the main road on the rendered sample faces.

``python -m utils.course`` (``make course``) renders the sample faces into ``data/sample``,
executes notebooks 01–06 with a line each, and leaves

- ``runs/course/``: the executed notebooks, and ``summary.json`` with times,
- ``figures/course/``: every figure that they drew, named by notebook and cell.

Neither folder is tracked by git: the committed notebooks and figures stay as they are.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from utils import notebooks, runtime
from utils.runtime import DataError

#: The notebooks that `make course` runs: the main road.
MAIN_ROAD = tuple(range(1, 7))


@dataclass(frozen=True)
class Outcome:
    """What became of one notebook.

    Attributes
    ----------
    notebook : str
        File name.
    cells : int
        Code cells executed.
    figures : int
        Figures written.
    seconds : float
        Wall time with the kernel's start.
    """

    notebook: str
    cells: int
    figures: int
    seconds: float


def number(path: Path) -> int:
    """Return the number that a notebook's file name begins with.

    Raises
    ------
    DataError
        When it begins with none.
    """
    digits = path.name.split("_", 1)[0]
    if not digits.isdecimal():
        raise DataError(f"{path.name}: a notebook's name begins with its number, as 01_load.ipynb")
    return int(digits)


def chosen(numbers: Sequence[int], folder: Path = notebooks.NOTEBOOKS) -> list[Path]:
    """Find the notebooks of these numbers, in the course's order.

    Raises
    ------
    DataError
        When one of the numbers has no notebook.
    """
    there = {number(path): path for path in notebooks.paths(folder)}
    missing = sorted(set(numbers) - set(there))
    if missing:
        listed = ", ".join(f"{one:02d}" for one in missing)
        raise DataError(f"no notebook with number {listed} in {folder.name}/")
    return [there[one] for one in sorted(set(numbers))]


def save_figures(notebook: dict[str, Any], name: str, folder: Path) -> int:
    """Write every PNG in an executed notebook's outputs to a file.

    Parameters
    ----------
    notebook : dict
        The executed notebook.
    name : str
        The notebook's number, which the files' names begin with; the cell's id is the rest.
    folder : path
        Where they go.

    Returns
    -------
    int
        How many were written.
    """
    written = 0
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob(f"{name}-*.png"):
        earlier.unlink()
    for cell in notebook["cells"]:
        pictures = [
            output["data"]["image/png"]
            for output in cell.get("outputs", [])
            if "image/png" in output.get("data", {})
        ]
        for position, picture in enumerate(pictures, start=1):
            suffix = f"-{position}" if len(pictures) > 1 else ""
            file = folder / f"{name}-{cell['id'].removeprefix(f'{name}-')}{suffix}.png"
            file.write_bytes(base64.b64decode("".join(picture)))
            written += 1
    return written


def run(
    paths: Sequence[Path],
    runs: Path,
    figures: Path,
    *,
    stream=None,
    kernel_folder: Path | None = None,
) -> list[Outcome]:
    """Execute notebooks one after the other, with a progress line each.

    Parameters
    ----------
    paths : sequence of path
        The notebooks.
    runs, figures : path
        Where the executed copies and their figures go.
    stream : text stream, optional
        Where the progress lines go; standard output by default.
    kernel_folder : path, optional
        Working folder of the kernels: each notebook's own by default.

    Returns
    -------
    list of Outcome
        One a notebook.

    Raises
    ------
    DataError
        At the first cell that fails.
    """
    stream = stream or sys.stdout
    live = stream.isatty()
    outcomes = []
    for position, path in enumerate(paths, start=1):
        head = f"[{position}/{len(paths)}] {path.name}"

        def show(cell: int, cells: int, head: str = head) -> None:
            if live:
                print(f"\r{head}  cell {cell} of {cells} ", end="", file=stream, flush=True)

        if not live:
            print(f"{head} …", file=stream, flush=True)
        start = time.monotonic()
        executed = notebooks.execute(path, runs / path.name, on_cell=show, folder=kernel_folder)
        outcome = Outcome(
            notebook=path.name,
            cells=sum(cell["cell_type"] == "code" for cell in executed["cells"]),
            figures=save_figures(executed, path.stem.split("_", 1)[0], figures),
            seconds=round(time.monotonic() - start, 1),
        )
        outcomes.append(outcome)
        print(
            f"{chr(13) if live else ''}{head}  {outcome.cells} cells, {outcome.figures} figures, "
            f"{outcome.seconds:.0f} s",
            file=stream,
            flush=True,
        )
    return outcomes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the course from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m utils.course", description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, help="which notebooks; 1 to 6 by default")
    numbers = parser.parse_args(arguments).numbers
    runs, figures = runtime.ROOT / "runs" / "course", runtime.FIGURES / "course"
    start = time.monotonic()
    try:
        paths = chosen(numbers or MAIN_ROAD)
        _render_sample()
        outcomes = run(paths, runs, figures)
    except DataError as error:
        print(f"\nmake course stopped: {error}", file=sys.stderr)
        print("The notebook up to there lies in runs/course/.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nmake course stopped by you; the same command begins anew.", file=sys.stderr)
        return 130
    (runs / "summary.json").write_text(
        json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n", encoding="utf-8"
    )
    print(
        f"{len(outcomes)} notebooks in {time.monotonic() - start:.0f} s. "
        "Executed copies: runs/course/ · figures: figures/course/ · to read along: make lab"
    )
    return 0


def _render_sample() -> None:
    """Render the sample faces as files, in the formats that the real sets come in."""
    from utils import sample

    folder = runtime.DATA / "sample"
    start = time.monotonic()
    sample.write(folder)
    print(f"rendered sample faces: data/sample, {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
