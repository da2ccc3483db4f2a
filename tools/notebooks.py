"""The form of the notebooks: held by a check, repaired by a command, executed in one way.

``python -m tools.notebooks check`` names everything that is wrong with the committed notebooks,
without a kernel. ``sync`` brings the parts they share (badge, setup cell, metadata) up to date,
and ``execute`` runs notebooks in place, from a fresh kernel, as they are committed.

The shared setup cell is the first code cell of ``notebooks/00_template.ipynb``; the address in
the badges is the one in ``pyproject.toml``. Nothing else knows either.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from utils import runtime
from utils.runtime import DataError

NOTEBOOKS = runtime.ROOT / "notebooks"
TEMPLATE = NOTEBOOKS / "00_template.ipynb"
SANITIZE = runtime.ROOT / "tests" / "nbval_sanitize.cfg"

#: A committed notebook is read in diffs and on slow lines.
LARGEST_NOTEBOOK = 1_000_000
#: No single file of the repository is larger: the released weights set the bound.
LARGEST_FILE = 15_000_000
#: A longer cell is a function, and belongs into ``utils/``.
LONGEST_CELL = 15
#: A cell and the cell that checks it may follow each other without prose, no more.
MOST_CELLS_IN_A_ROW = 2

IGNORE, SKIP = "# NBVAL_IGNORE_OUTPUT", "# NBVAL_SKIP"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python"}
#: What every notebook says, in its readers' words; compared without case and curly quotes.
SECTIONS = ("what you'll do", "what you'll learn", "what you'll need", "what we have seen")
SECTIONS_OF_THE_COURSE = ("on your own", "further reading", "<details>")

#: Folders that a path printed on one machine starts with, and no other machine has.
ABSOLUTE_PATH = re.compile(
    r"(?<![\w./:\-])/(?:home|root|tmp|Users|usr|opt|var|mnt|media|private|srv|work|workspace|content)/"
    r"|(?<!\w)[A-Za-z]:\\\\?\w"
)
MEMORY_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,39}")
RANDOM_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f-]{27})?")


# ------------------------------------------------------------------------------ shared parts


def repository(pyproject: Path = runtime.ROOT / "pyproject.toml") -> str:
    """Return the repository's address, as ``pyproject.toml`` has it.

    Raises
    ------
    DataError
        When it has none.
    """
    # One line of TOML; the standard library reads TOML only from Python 3.11 on.
    found = re.search(r'^Repository = "([^"]+)"$', pyproject.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise DataError(f'{pyproject.name}: no line `Repository = "…"` in [project.urls]')
    return found[1]


def badge(name: str, address: str | None = None) -> str:
    """Return the line that opens notebook ``name`` (a file name) in Colab."""
    slug = (address or repository()).removeprefix("https://github.com/")
    return (
        "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"(https://colab.research.google.com/github/{slug}/blob/main/notebooks/{name})"
    )


def setup_cell(template: Path = TEMPLATE) -> str:
    """Return the setup cell that all notebooks share: the template's first code cell."""
    return _source(next(cell for cell in read(template)["cells"] if cell["cell_type"] == "code"))


def paths(folder: Path = NOTEBOOKS) -> list[Path]:
    """List the notebooks of a folder in their order."""
    return sorted(folder.glob("*.ipynb"))


def read(path: Path) -> dict[str, Any]:
    """Read a notebook as the JSON that it is.

    Raises
    ------
    DataError
        When it is not a notebook.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path.name}: not a Jupyter notebook: {error}") from error
    return notebook


def write(path: Path, notebook: dict[str, Any]) -> None:
    """Write a notebook in Jupyter's own layout, so that diffs show what changed."""
    runtime.write_atomically(path, canonical(notebook).encode())


def canonical(notebook: dict[str, Any]) -> str:
    """Return a notebook's text as `write` writes it."""
    # Not `nbformat.writes`, which gives cells with the same id another one without asking.
    from nbformat.v4 import nbjson

    return nbjson.writes(_plain_nodes(notebook)).rstrip("\n") + "\n"


def _plain_nodes(notebook: dict[str, Any]):
    """Return a notebook as the nodes that nbformat writes."""
    import nbformat

    return nbformat.from_dict(json.loads(json.dumps(notebook)))


# ------------------------------------------------------------------------------------- check


def problems(path: Path, *, setup: str | None = None, address: str | None = None) -> list[str]:
    """Name everything in a notebook that is not as the course's notebooks are.

    No kernel is started: this reads what is committed.

    Parameters
    ----------
    path : path
        The notebook.
    setup : str, optional
        The setup cell that it must have; the template's by default.
    address : str, optional
        The repository's address in its badge; ``pyproject.toml``'s by default.

    Returns
    -------
    list of str
        One line each, beginning with the notebook's name and, where there is one, the cell's
        id. Empty for a notebook in form.
    """
    try:
        notebook = read(path)
    except DataError as error:
        return [str(error)]
    setup = setup_cell() if setup is None else setup
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    found = [
        *_file_problems(path, notebook),
        *_cell_id_problems(notebook["cells"]),
        *_opening_problems(path, notebook["cells"], code, setup, address),
        *_prose_problems(path, notebook["cells"]),
        *_order_problems(code),
        *_marker_problems(code),
    ]
    for cell in code:
        found += [f"{cell.get('id', '?')}: {what}" for what in _code_problems(cell)]
        found += [f"{cell.get('id', '?')}: {what}" for what in _output_problems(cell)]
    return [f"{path.name}: {what}" for what in found]


def _file_problems(path: Path, notebook: dict[str, Any]) -> Iterator[str]:
    size = path.stat().st_size
    if size > LARGEST_NOTEBOOK:
        yield f"{size:,} bytes, more than {LARGEST_NOTEBOOK:,}: fewer or smaller figures"
    if (notebook.get("nbformat"), notebook.get("nbformat_minor")) != (4, 5):
        yield "not in notebook format 4.5"
        return
    if notebook.get("metadata") != {"kernelspec": KERNEL, "language_info": LANGUAGE}:
        yield "metadata other than the kernel `python3` and the language (sync puts it right)"
    if path.read_text(encoding="utf-8") != canonical(notebook):
        yield "not in Jupyter's own layout: diffs would show more than what changed (sync)"


def _cell_id_problems(cells: Sequence[dict]) -> Iterator[str]:
    identities = [cell.get("id", "") for cell in cells]
    for identity in identities:
        if RANDOM_ID.fullmatch(identity) or not CELL_ID.fullmatch(identity):
            yield f"cell id {identity!r} is not a stable name, like 01-load-03"
    for identity in sorted({identity for identity in identities if identities.count(identity) > 1}):
        yield f"cell id {identity!r} stands twice"


def _opening_problems(
    path: Path, cells: Sequence[dict], code: Sequence[dict], setup: str, address: str | None
) -> Iterator[str]:
    if not cells or cells[0]["cell_type"] != "markdown" or not _source(cells[0]).startswith("# "):
        yield "does not begin with a Markdown cell that has its title"
    elif badge(path.name, address) not in _source(cells[0]).splitlines():
        yield "its first cell has not the Colab badge of this repository and notebook (sync)"
    if not code or _source(code[0]) != setup:
        yield "its first code cell is not the setup cell of 00_template.ipynb (sync)"
    switches = [cell for cell in code if re.search(r"^DATASET = ", _source(cell), re.MULTILINE)]
    if switches and not re.search(r'^DATASET = "sample"', _source(switches[0]), re.MULTILINE):
        yield 'committed with another DATASET than "sample"'


def _prose_problems(path: Path, cells: Sequence[dict]) -> Iterator[str]:
    text = "\n".join(_source(cell) for cell in cells if cell["cell_type"] == "markdown")
    text = text.replace("’", "'").lower()
    wanted = SECTIONS if path.name.startswith("00_") else SECTIONS + SECTIONS_OF_THE_COURSE
    for section in wanted:
        if section not in text:
            yield f"nowhere says “{section}”"
    run = 0
    for cell in cells:
        run = run + 1 if cell["cell_type"] == "code" else 0
        if run == MOST_CELLS_IN_A_ROW + 1:
            yield f"{cell.get('id', '?')}: the third code cell in a row without a sentence between"


def _order_problems(code: Sequence[dict]) -> Iterator[str]:
    counts = [cell.get("execution_count") for cell in code]
    if counts != list(range(1, len(code) + 1)):
        yield (
            "not executed from top to bottom in a fresh kernel: a cell without its count is not "
            "compared by nbval at all (execute)"
        )


def _marker_problems(code: Sequence[dict]) -> Iterator[str]:
    for position, cell in enumerate(code):
        identity, lines = cell.get("id", "?"), _source(cell).splitlines()
        marked = [line for line in lines if "NBVAL" in line.upper()]
        if any(tag.lower().startswith("nbval") for tag in cell.get("metadata", {}).get("tags", [])):
            yield f"{identity}: a marker hides in the cell's tags; write it as a comment"
        if not marked:
            continue
        if len(marked) > 1 or marked[0] not in (IGNORE, SKIP) or lines[0] != marked[0]:
            yield (
                f"{identity}: a marker is `{IGNORE}` or `{SKIP}`, alone on the cell's first line: "
                "nbval passes over any other"
            )
        elif marked[0] == IGNORE:
            following = code[position + 1] if position + 1 < len(code) else None
            if following is None or not _asserts(_source(following)):
                yield f"{identity}: its output is not compared, and no cell that asserts follows it"
            elif "NBVAL" in _source(following):
                yield f"{identity}: the cell that should check it is marked itself"


def _code_problems(cell: dict) -> Iterator[str]:
    source = _source(cell)
    lines = source.splitlines()
    if not source.strip():
        yield "an empty code cell"
    if any(line.rstrip().endswith(";") for line in lines):
        yield "a line ends in `;`, which does not silence a cell under nbval"
    if sum(bool(line.strip()) for line in lines) > LONGEST_CELL:
        yield f"more than {LONGEST_CELL} lines: give it a name in utils/"
    if ABSOLUTE_PATH.search(source):
        yield "an absolute path in the code"


def _output_problems(cell: dict) -> Iterator[str]:
    for output in cell.get("outputs", []):
        if output.get("output_type") == "error":
            yield f"an error is stored: {output.get('ename', '')}"
        if output.get("name") == "stderr":
            yield "something was written to stderr"
        if "outputId" in json.dumps(output.get("metadata", {})):
            yield "an outputId, Colab's, which changes in every diff (sync)"
        if WIDGET in output.get("data", {}):
            yield "a widget, which no reader of the file can see"
        text = _output_text(output)
        if ABSOLUTE_PATH.search(text):
            yield "an absolute path in the output"
        if MEMORY_ADDRESS.search(text):
            yield "a memory address in the output, another one each time"


def _asserts(source: str) -> bool:
    """Whether a cell holds an assert statement."""
    lines = (line for line in source.splitlines() if not line.lstrip().startswith(("!", "%")))
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError:
        return False
    return any(isinstance(node, ast.Assert) for node in ast.walk(tree))


def _source(cell: dict) -> str:
    """Return a cell's text; JSON holds it as a string or as a list of lines."""
    return "".join(cell["source"])


def _output_text(output: dict) -> str:
    """Return everything in an output that is text."""
    parts = ["".join(output.get("text", ""))]
    for kind, value in output.get("data", {}).items():
        if kind.startswith("text/") or kind == "image/svg+xml":
            parts.append("".join(value))
    return "\n".join(parts)


def sanitize_problems(path: Path = SANITIZE) -> list[str]:
    """Name the rules of a sanitize file that nbval would drop without a word.

    nbval finds its rules with one pattern: a line ``regex: …`` and, right below it, a line
    ``replace: …`` with something behind the blank. Whatever else stands there is no rule.
    """
    lines = [
        (number, line)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if line.startswith(("regex", "replace"))
    ]
    found = []
    rules = re.findall(
        r"^regex: (.*)$\n^replace: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    for number, line in lines:
        if not re.match(r"(regex|replace): \S", line):
            found.append(f"{path.name}:{number}: {line!r} is no rule: `regex: …` or `replace: …`")
    if len(rules) * 2 != len(lines):
        found.append(f"{path.name}: {len(lines)} lines of rules make only {len(rules)} rules")
    for pattern, _ in rules:
        try:
            re.compile(pattern)
        except re.error as error:
            found.append(f"{path.name}: {pattern!r} is not a regular expression: {error}")
    return found


# ------------------------------------------------------------------------------------ repair


def synchronised(notebook: dict[str, Any], name: str, setup: str, address: str) -> dict[str, Any]:
    """Return a notebook with the shared parts as they should be; outputs stay.

    Parameters
    ----------
    notebook : dict
        As `read` returns it; it is not changed.
    name : str
        Its file name.
    setup : str
        The setup cell's text.
    address : str
        The repository's address.

    Returns
    -------
    dict
        With the badge below the title, the setup cell first, and no metadata that moves.
    """
    notebook = json.loads(json.dumps(notebook))
    notebook["metadata"] = {"kernelspec": KERNEL, "language_info": LANGUAGE}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    cells = notebook["cells"]
    for cell in cells:
        cell["metadata"] = {}
        cell.pop("attachments", None)
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output["metadata"] = {}
    lines = [line for line in _source(cells[0]).splitlines() if "colab-badge.svg" not in line]
    title, rest = lines[0], "\n".join(lines[1:]).strip("\n")
    cells[0]["source"] = f"{title}\n\n{badge(name, address)}\n\n{rest}".rstrip("\n")
    first = next((cell for cell in cells if cell["cell_type"] == "code"), None)
    if first is not None:
        first["source"] = setup
    return notebook


def sync(path: Path) -> bool:
    """Bring a notebook's shared parts up to date in place; say whether that changed it."""
    before = path.read_text(encoding="utf-8")
    setup, address = setup_cell(), repository()
    write(path, synchronised(read(path), path.name, setup, address))
    return path.read_text(encoding="utf-8") != before


# ----------------------------------------------------------------------------------- execute


def execute(
    path: Path, output: Path, *, on_cell=None, folder: Path | None = None
) -> dict[str, Any]:
    """Execute a notebook from a fresh kernel and write the executed copy.

    Parameters
    ----------
    path : path
        The notebook; it is left as it is, unless ``output`` names it too.
    output : path
        Where the executed copy goes; it is written after a failure too, up to the cell that
        failed.
    on_cell : callable, optional
        Called with the number of each code cell, from 1, and the number of all, as it starts.
    folder : path, optional
        Working folder of the kernel: the notebook's own by default.

    Returns
    -------
    dict
        The executed notebook.

    Raises
    ------
    DataError
        When a cell fails: names the notebook, the cell and the error.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    code = [cell.get("id", "?") for cell in notebook.cells if cell.cell_type == "code"]
    last = code[0] if code else "?"

    def announce(cell, cell_index):
        nonlocal last
        if cell.cell_type == "code":
            last = cell.get("id", "?")
            if on_cell is not None:
                on_cell(code.index(last) + 1, len(code))

    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder or path.parent)}},
        record_timing=False,
        # The kernel's own warnings, as of its transport, would stand between progress lines.
        extra_arguments=["--log-level=ERROR"],
        coalesce_streams=True,
        on_cell_start=announce,
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        client.execute()
    except CellExecutionError as error:
        raise DataError(f"{path.name}, cell {last}: {error.ename}: {error.evalue}") from error
    except DeadKernelError as error:
        raise DataError(f"{path.name}, cell {last}: the kernel died (out of memory?)") from error
    finally:
        notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
        for cell in notebook.cells:
            cell.metadata = nbformat.NotebookNode()
        write(output, notebook)
    return notebook


def oversized(root: Path = runtime.ROOT) -> list[str]:
    """Name the tracked files that are too large, or that lie in ``data/``."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    found = []
    for name in filter(None, listed.split("\0")):
        path = root / name
        if path.is_file() and path.stat().st_size > LARGEST_FILE:
            found.append(f"{name}: {path.stat().st_size:,} bytes, more than {LARGEST_FILE:,}")
        example = name == "data/README.md" or name.startswith("data/photos/")
        if name.startswith("data/") and not example:
            found.append(f"{name}: data are never committed")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``check``, ``sync``, ``execute`` or ``sizes``; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    parser.add_argument("command", choices=("check", "sync", "execute", "sizes"))
    parser.add_argument("files", nargs="*", type=Path, help="notebooks; all by default")
    chosen = parser.parse_args(arguments)
    files = chosen.files or paths()
    if chosen.command == "sizes":
        found = oversized()
    elif chosen.command == "check":
        found = [problem for path in files for problem in problems(path)] + sanitize_problems()
    else:
        found = []
        for path in files:
            changed = sync(path)
            print(f"{path.name}: {'brought up to date' if changed else 'up to date'}", flush=True)
            if chosen.command == "execute":
                try:
                    execute(path, path)
                except DataError as error:
                    found.append(str(error))
                else:
                    print(f"{path.name}: executed", flush=True)
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    runtime.run_command(main)
