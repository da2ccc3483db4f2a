"""The form of the notebooks: one command checks it, another repairs it, a third executes them.

``python -m tools.notebooks check`` lists everything that is wrong with the committed notebooks,
without a kernel. ``sync`` brings the parts they share (badge, setup cell, metadata) up to date,
and ``execute`` runs notebooks in place, from a fresh kernel, as they are committed, or writes
executed copies elsewhere (``--to``; ``make course``).

The shared setup cell is the first code cell of ``tools/template.ipynb``; the address in
the badges is the one in ``pyproject.toml``. Neither is defined anywhere else.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from utils import runtime
from utils.runtime import DataError

NOTEBOOKS = runtime.ROOT / "notebooks"
TEMPLATE = runtime.ROOT / "tools" / "template.ipynb"

#: Largest committed notebook, in bytes: it is read in diffs and over slow connections.
LARGEST_NOTEBOOK = 1_000_000
#: A cell with more lines is a function, and belongs in ``utils/``.
LONGEST_CELL = 20
#: A cell and the cell that checks it may follow each other without prose, but no more.
MOST_CELLS_IN_A_ROW = 2
#: What fits in one sitting; the words do not include code.
MOST_CODE_CELLS, MOST_WORDS = 45, 2_200
FEWEST_EXERCISES = 3
#: Notebooks in which each numbered section asks a question.
CORE = tuple(f"{number:02d}" for number in range(1, 8))

IGNORE = "# NBVAL_IGNORE_OUTPUT"
#: What a cell that checks another has.
ASSERT = re.compile(r"^\s*assert\b", re.MULTILINE)
#: The metadata of each notebook: nothing that differs from machine to machine.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
#: The metadata that a cell may have: it collapses the cell, in JupyterLab and in Colab.
COLLAPSING = ("cellView", "jupyter")
#: What every notebook says; case and curly quotes do not matter.
SECTIONS = (
    *("what you'll do", "what you'll learn", "what you'll need", "what we have seen"),
    *("on your own", "further reading"),
)
#: What a notebook's head says about the time it takes.
TIME = re.compile(
    r"^\*\*Time:\*\* (\d+) minutes to read, (\d+) to run on two cores; (core|optional)\.$",
    re.MULTILINE,
)

#: How absolute paths start, which differ from machine to machine.
ABSOLUTE_PATH = re.compile(
    r"(?<![\w./:\-])/(?:home|root|tmp|Users|usr|opt|var|mnt|media|private|srv|work|workspace|content)/"
    r"|(?<!\w)[A-Za-z]:\\\\?\w"
)
MEMORY_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")
WIDGET = "application/vnd.jupyter.widget-view+json"
#: A name such as 01-load-03; the second pattern is what Jupyter generates at random.
CELL_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,39}")
RANDOM_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f-]{27})?")


def repository() -> str:
    """Return the repository's address, as ``pyproject.toml`` has it."""
    text = (runtime.ROOT / "pyproject.toml").read_text("utf-8")
    # One line of TOML; the standard library reads TOML only from Python 3.11 on.
    return re.search(r'^Repository = "([^"]+)"$', text, re.MULTILINE)[1]


def badge(name: str) -> str:
    """Return the line that opens notebook ``name`` (a file name) in Colab."""
    slug = repository().removeprefix("https://github.com/")
    return (
        "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"(https://colab.research.google.com/github/{slug}/blob/main/notebooks/{name})"
    )


def setup_cell() -> str:
    """Return the setup cell that all notebooks share: the template's first code cell."""
    return _source(next(cell for cell in read(TEMPLATE)["cells"] if cell["cell_type"] == "code"))


def paths() -> list[Path]:
    """List the notebooks of the course in their order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def read(path: Path) -> dict[str, Any]:
    """Read a notebook as JSON; a DataError when it is not a notebook, or has no cells."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            _source(cell), cell["cell_type"]
        notebook["cells"][0]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path.name}: not a Jupyter notebook: {error!r}") from error
    return notebook


def write(path: Path, notebook: dict[str, Any]) -> None:
    """Write a notebook in Jupyter's own layout, so that diffs show what changed."""
    runtime.write_atomically(path, _canonical(notebook).encode())


def _canonical(notebook: dict[str, Any]) -> str:
    """Return a notebook's text as `write` writes it."""
    import nbformat
    from nbformat.v4 import nbjson

    # Not `nbformat.writes`, which silently gives cells with the same id another one.
    nodes = nbformat.from_dict(json.loads(json.dumps(notebook)))
    return nbjson.writes(nodes).rstrip("\n") + "\n"


def problems(path: Path) -> list[str]:
    """List everything in a notebook that breaks the rules of the course, without a kernel.

    One line each, starting with the notebook's name and, if there is one, the cell's id.
    """
    try:
        notebook = read(path)
    except DataError as error:
        return [str(error)]
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    found = [
        *_form_problems(path, notebook, code),
        *_prose_problems(path, notebook["cells"]),
        *_marker_problems(code),
    ]
    for cell in code:
        found += [f"{cell.get('id', '?')}: {what}" for what in _cell_problems(cell)]
    return [f"{path.name}: {what}" for what in found]


def _form_problems(path: Path, notebook: dict, code: Sequence[dict]) -> Iterator[str]:
    size = path.stat().st_size
    if size > LARGEST_NOTEBOOK:
        yield f"{size:,} bytes, more than {LARGEST_NOTEBOOK:,}: fewer or smaller figures"
    if path.read_text(encoding="utf-8") != _canonical(synchronized(notebook, path.name)):
        yield "badge, setup cell, metadata or layout are not as `sync` leaves them"
    identities = [cell.get("id", "") for cell in notebook["cells"]]
    for identity in sorted(set(identities)):
        if RANDOM_ID.fullmatch(identity) or not CELL_ID.fullmatch(identity):
            yield f"cell id {identity!r} is not a stable name, like 01-load-03"
        if identities.count(identity) > 1:
            yield f"cell id {identity!r} appears twice"
    if [cell.get("execution_count") for cell in code] != list(range(1, len(code) + 1)):
        yield (
            "not executed from top to bottom in a fresh kernel: nbval does not compare a cell "
            "without its count at all (execute)"
        )
    if len(code) > MOST_CODE_CELLS:
        yield f"{len(code)} code cells, more than {MOST_CODE_CELLS}"
    number = path.name[:2]
    exercises = [one for one in identities if re.fullmatch(rf"{number}-exercise-\d", one)]
    if len(exercises) < FEWEST_EXERCISES:
        yield f"{len(exercises)} exercises, expected {FEWEST_EXERCISES} or more"
    for one in exercises:
        at = identities.index(one)
        parts = [one, *(f"{one}-{part}" for part in ("answer", "check", "solution"))]
        if identities[at : at + 4] != parts:
            yield f"{one}: expected the cells {', '.join(parts)}, one after the other"
        elif not re.search(r"```python\n.*?```", _source(notebook["cells"][at + 3]), re.DOTALL):
            yield f"{one}: its solution has no ```python block"
    switches = re.findall(r"^DATASET = (.*)", "\n".join(map(_source, code)), re.MULTILINE)
    if switches and not switches[0].startswith('"sample"'):
        yield 'committed with a DATASET other than "sample"'


def _prose_problems(path: Path, cells: Sequence[dict]) -> Iterator[str]:
    if cells[0]["cell_type"] != "markdown" or not _source(cells[0]).startswith("# "):
        yield "does not start with a Markdown cell that has its title"
    text = "\n".join(_source(cell) for cell in cells if cell["cell_type"] == "markdown")
    text = text.replace("’", "'").lower()
    yield from (f"never says “{section}”" for section in SECTIONS if section not in text)
    if schedule(cells) is None:
        yield "its head has no line “**Time:** 20 minutes to read, 2 to run on two cores; core.”"
    words = len(re.sub(r"```.*?```", "", text, flags=re.DOTALL).split())
    if words > MOST_WORDS:
        yield f"{words:,} words of prose, more than {MOST_WORDS:,}"
    quizzes, sections = text.count("**quiz.**"), len(re.findall(r"^## \d", text, re.MULTILINE))
    if path.name[:2] in CORE and quizzes < sections:
        yield f"{quizzes} quiz questions for {sections} sections"
    run = 0
    for cell in cells:
        run = run + 1 if cell["cell_type"] == "code" else 0
        if run == MOST_CELLS_IN_A_ROW + 1:
            yield f"{cell.get('id', '?')}: the third code cell in a row without text in between"


def _marker_problems(code: Sequence[dict]) -> Iterator[str]:
    for cell, following in zip(code, [*code[1:], None], strict=True):
        identity, lines = cell.get("id", "?"), _source(cell).splitlines()
        marked = [line for line in lines if "NBVAL" in line.upper()]
        if not marked:
            continue
        if marked != [IGNORE] or lines[0] != IGNORE:
            yield (
                f"{identity}: a marker is `{IGNORE}`, alone on the cell's first line: nbval "
                "ignores any other form, and no other marker is used here"
            )
        elif following is None or not ASSERT.search(_source(following)):
            yield f"{identity}: its output is not compared, and no cell that asserts follows it"
        elif "NBVAL" in _source(following):
            yield f"{identity}: the cell that should check it is marked itself"


def _cell_problems(cell: dict) -> Iterator[str]:
    source = _source(cell)
    lines = [line for line in source.splitlines() if line.strip()]
    if not lines:
        yield "an empty code cell"
    if any(line.rstrip().endswith(";") for line in lines):
        yield "a line ends in `;`, which does not silence a cell under nbval"
    if len(lines) > LONGEST_CELL:
        yield f"more than {LONGEST_CELL} lines: make it a function in utils/"
    if ABSOLUTE_PATH.search(source):
        yield "an absolute path in the code"
    for output in cell.get("outputs", []):
        if output.get("output_type") == "error":
            yield f"an error is stored: {output.get('ename', '')}"
        if output.get("name") == "stderr":
            yield "something was written to stderr"
        data = output.get("data", {})
        if WIDGET in data:
            yield "a widget, which no reader of the file can see"
        written = [value for kind, value in data.items() if re.match("text/|image/svg", kind)]
        text = "\n".join("".join(part) for part in [output.get("text", ""), *written])
        if ABSOLUTE_PATH.search(text):
            yield "an absolute path in the output"
        if MEMORY_ADDRESS.search(text):
            yield "a memory address in the output, which changes each time"


def _source(cell: dict) -> str:
    """Return a cell's text; JSON holds it as a string or as a list of lines."""
    return "".join(cell["source"])


def schedule(cells: Sequence[dict]) -> tuple[int, int, str] | None:
    """Return a notebook's minutes of reading and of running, and "core" or "optional"."""
    found = TIME.search(_source(cells[0]))
    return (int(found[1]), int(found[2]), found[3]) if found else None


def synchronized(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a copy of the notebook of this file name, with the shared parts up to date.

    The badge is below the title, the setup cell first, the metadata fixed; outputs stay.
    """
    notebook = {**json.loads(json.dumps(notebook)), "metadata": METADATA}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    cells = notebook["cells"]
    for cell in cells:
        cell["metadata"] = _kept(cell.get("metadata", {}))
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output["metadata"] = {}
    title, *rest = _source(cells[0]).splitlines() or [""]
    rest = "\n".join(line for line in rest if "colab-badge.svg" not in line).strip("\n")
    cells[0]["source"] = f"{title}\n\n{badge(name)}\n\n{rest}".rstrip("\n")
    first = next((cell for cell in cells if cell["cell_type"] == "code"), None)
    if first is not None:
        first["source"] = setup_cell()
    return notebook


def _kept(metadata: dict) -> dict:
    return {name: metadata[name] for name in COLLAPSING if name in metadata}


def execute(path: Path, output: Path) -> dict[str, Any]:
    """Execute a notebook in its folder, from a fresh kernel; write and return the executed copy.

    The copy goes to ``output``, which may be the notebook itself; after a failure too, up to the
    cell that failed.

    Raises
    ------
    DataError
        When a cell fails: names the notebook, the cell and the error.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    started = ["?"]
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        # The kernel's own warnings, such as its transport's, would appear between progress lines.
        extra_arguments=["--log-level=ERROR"],
        coalesce_streams=True,
        on_cell_start=lambda cell, cell_index: started.append(cell.get("id", "?")),
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise DataError(
            f"{path.name}, cell {started[-1]}: {error.ename}: {error.evalue}"
        ) from error
    except DeadKernelError as error:
        raise DataError(
            f"{path.name}, cell {started[-1]}: the kernel died (out of memory?)"
        ) from error
    finally:
        notebook.metadata = nbformat.from_dict(METADATA)
        for cell in notebook.cells:
            cell.metadata = nbformat.from_dict(_kept(cell.metadata))
        write(output, notebook)
    return notebook


def lightened(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a notebook whose pictures have 256 colors, a third of the bytes."""
    from utils import figures

    notebook = json.loads(json.dumps(notebook))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                picture = figures.quantized(base64.b64decode("".join(data["image/png"])), kmeans=3)
                data["image/png"] = base64.b64encode(picture).decode()
    return notebook


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``check``, ``sync`` or ``execute``; return the exit status."""
    parser = runtime.parser("python -m tools.notebooks", __doc__)
    parser.add_argument("command", choices=("check", "sync", "execute"))
    parser.add_argument("files", nargs="*", type=Path, help="notebooks; all by default")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where executed copies go")
    chosen = parser.parse_args(arguments)
    files = chosen.files or paths()
    found = []
    if chosen.command == "check":
        found = [problem for path in files for problem in problems(path)]
    else:
        for path in files:
            copy, start = (chosen.to or path.parent) / path.name, time.monotonic()
            if chosen.to is None:
                write(path, synchronized(read(path), path.name))
            if chosen.command == "execute":
                print(f"{path.name} …", flush=True)
                try:
                    execute(path, copy)
                except DataError as error:
                    found.append(str(error))
                    continue
                write(copy, lightened(read(copy)))
                print(f"  executed, {time.monotonic() - start:.0f} s", flush=True)
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    runtime.run_command(main)
