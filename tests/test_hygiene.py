"""The form of the committed notebooks, without a kernel; and that the check works."""

import base64
import copy
import io
import json
import re
import subprocess

import nbformat
import nbval.plugin
import pytest
from PIL import Image

from tools import notebooks

COMMITTED = notebooks.paths()
NAME = "03_balance.ipynb"


def text(identity, source):
    return {"cell_type": "markdown", "id": identity, "metadata": {}, "source": source}


def code(identity, source, count, *outputs):
    cell = {"cell_type": "code", "id": identity, "metadata": {}, "source": source}
    return {**cell, "execution_count": count, "outputs": list(outputs)}


def stream(what, name="stdout"):
    return {"output_type": "stream", "name": name, "text": what}


def shown(**data):
    return {"output_type": "display_data", "data": data, "metadata": {}}


def exercise(number):
    name = f"03-exercise-{number}"
    return [
        text(name, "How many?"),
        code(f"{name}-answer", "answer = ...", 3 + 2 * number),
        code(f"{name}-check", "print(check(answer))", 4 + 2 * number),
        text(f"{name}-solution", "<details>\n```python\nanswer = 3\n```\n</details>"),
    ]


@pytest.fixture
def good():
    """A small notebook with nothing wrong."""
    opening = (
        f"# Balance the classes\n\n{notebooks.badge(NAME)}\n\n"
        "**What you’ll do** **What you'll learn** **What you’ll need**\n\n"
        "**Time:** 9 minutes to read, 1 to run on two cores; core."
    )
    marked = "# NBVAL_IGNORE_OUTPUT\nscore = fit()\nscore"
    asserting = 'assert score > 0.5\nprint("over a half")'
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": copy.deepcopy(notebooks.METADATA),
        "cells": [
            text("03-title", opening),
            code("03-setup-01", notebooks.setup_cell(), 1, stream("ready\n")),
            code("03-switch-01", 'DATASET = "sample"', 2),
            text("03-fit", "Now we fit."),
            code("03-fit-01", marked, 3, stream("0.71\n")),
            code("03-fit-02", asserting, 4, stream("over a half\n")),
            text("03-end", "What we have seen. On your own. Further reading."),
            *exercise(1),
            *exercise(2),
            *exercise(3),
        ],
    }


@pytest.fixture
def check(tmp_path):
    """Write a notebook and name its problems."""

    def problems(notebook, name=NAME):
        notebooks.write(tmp_path / name, notebook)
        return notebooks.problems(tmp_path / name)

    return problems


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_committed_notebook_is_in_form(path):
    assert notebooks.problems(path) == []


def test_the_course_is_there_and_numbered_once():
    numbers = [path.name[:2] for path in COMMITTED]
    assert numbers == [f"{number:02d}" for number in range(1, 15)]


def test_the_glossary_names_notebooks_that_use_the_term():
    prose = {
        path.name: "".join("".join(cell["source"]) for cell in notebooks.read(path)["cells"])
        for path in COMMITTED
    }
    rows = (notebooks.NOTEBOOKS / "glossary.md").read_text("utf-8").splitlines()[6:]
    terms = [row.strip("| ").split(" | ") for row in rows]
    assert [term.casefold() for term, *_ in terms] == sorted(
        (term.casefold() for term, *_ in terms), key=lambda term: term.replace("-", " ")
    )
    for term, _, link in terms:
        name = link.split("(")[1].rstrip(")")
        for word in re.findall(r"\w{2,}", term.split(" (")[0].casefold()):
            assert word.rstrip("s") in prose[name].casefold(), f"{term}: no {word} in {name}"


def test_no_large_file_and_no_data_are_tracked(root):
    if not (root / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if (root / name).is_file()]
    assert len(names) > 100
    assert not [name for name in names if (root / name).stat().st_size > 15_000_000]
    assert not [name for name in names if re.match(r"data/(?!README\.md$|photos/)", name)]


# ------------------------------------------------------------------ the check sees


def test_a_good_notebook_has_no_problem(good, check):
    good["cells"][5]["metadata"] = {"jupyter": {"source_hidden": True}, "cellView": "form"}
    assert check(good) == []


NOT_SYNCED, MARKER = "as `sync` leaves them", "alone on the cell's first line"
#: Place in the notebook, what is put there, and what the check says about it.
SPOILED = {
    "count": (("cells", 4, "execution_count"), None, "not executed from top to bottom"),
    "kernel": (("metadata", "kernelspec", "name"), "fer-env", NOT_SYNCED),
    "tag": (("cells", 5, "metadata", "tags"), ["nbval-skip"], NOT_SYNCED),
    "badge": (("cells", 0, "source"), "# Title\n\n(elsewhere: colab-badge.svg)", NOT_SYNCED),
    "setup": (("cells", 1, "source"), "import utils  # mine", NOT_SYNCED),
    "more words": (("cells", 4, "source"), "# NBVAL_IGNORE_OUTPUT as times vary\nfit()", MARKER),
    "place": (("cells", 4, "source"), "fit()\n# NBVAL_IGNORE_OUTPUT", MARKER),
    "kind": (("cells", 4, "source"), "# NBVAL_RAISES_EXCEPTION\nfit()", MARKER),
    "no assert": (("cells", 5, "source"), 'print("assert it")', "no cell that asserts follows"),
    "marked assert": (("cells", 5, "source"), "# NBVAL_IGNORE_OUTPUT\nassert 1", "marked itself"),
    "last": (("cells", 5, "source"), "# NBVAL_IGNORE_OUTPUT\nassert 1", "no cell that asserts"),
    "semicolon": (("cells", 4, "source"), "plot();", "ends in `;`"),
    "stderr": (("cells", 4, "outputs"), [stream("a warning", "stderr")], "stderr"),
    "error": (
        ("cells", 4, "outputs"),
        [{"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}],
        "an error is stored: ValueError",
    ),
    "widget": (("cells", 4, "outputs"), [shown(**{notebooks.WIDGET: {}})], "a widget"),
    "path": (("cells", 5, "outputs"), [stream("read /home/someone/a.csv")], "path in the output"),
    "path in a table": (
        ("cells", 5, "outputs"),
        [shown(**{"text/html": "<td>C:\\Users\\a.csv</td>"})],
        "path in the output",
    ),
    "path in code": (("cells", 5, "source"), 'open("/Users/a.csv")', "absolute path in the code"),
    "address": (("cells", 5, "outputs"), [stream("<Model at 0x7f2b8c0d1e50>")], "memory address"),
    "cell id": (("cells", 3, "id"), "a1b2c3d4", "not a stable name"),
    "twin id": (("cells", 3, "id"), "03-end", "appears twice"),
    "title": (("cells", 0, "source"), "No title", "has its title"),
    "dataset": (("cells", 2, "source"), 'DATASET = "fer2013"', 'a DATASET other than "sample"'),
    "prose": (("cells", 3), code("03-more", "1", 3), "third code cell in a row"),
    "section": (("cells", 6, "source"), "Further reading.", "never says “on your own”"),
    "length": (("cells", 5, "source"), "print(1)\n" * 25, "more than 20 lines"),
    "empty": (("cells", 5, "source"), "", "an empty code cell"),
    "time": (("cells", 0, "source"), "# Title", "its head has no line"),
    "quiz": (("cells", 3, "source"), "## 1. Fit", "0 quiz questions for 1 sections"),
    "words": (("cells", 3, "source"), "word " * 2_200, "words of prose, more than 2,200"),
    "exercise": (("cells", 7, "id"), "03-no-exercise", "2 exercises, expected 3"),
    "solution": (("cells", 10, "source"), "It is three.", "its solution has no ```python"),
    "answer": (("cells", 8, "id"), "03-other", "one after the other"),
    "size": (("cells", 5, "outputs"), [stream("A" * 1_000_000)], "more than 1,000,000"),
}


@pytest.mark.parametrize(("place", "value", "said"), SPOILED.values(), ids=SPOILED)
def test_check_names_what_was_spoiled(good, check, place, value, said):
    *way, last = place
    spoiled = good
    for step in way:
        spoiled = spoiled[step]
    spoiled[last] = value
    problems = check(good)
    assert any(said in problem for problem in problems), problems
    assert all(problem.startswith(NAME) for problem in problems)


@pytest.mark.parametrize("content", ["", "[]", "{}", "no json", '{"cells": ', '{"cells": [{}]}'])
def test_what_is_no_notebook_is_one_problem(tmp_path, content):
    path = tmp_path / NAME
    path.write_text(content)
    assert len(notebooks.problems(path)) == 1


def test_what_only_looks_like_a_path_is_let_through(good, check):
    harmless = "train/angry/1.jpg https://host/home/page 48/64 and/or 0x30 </td></tr> s://a"
    good["cells"][5]["outputs"] = [stream(harmless)]
    assert check(good) == []


def test_nbval_takes_every_rule(root):
    """It drops a rule with an empty replacement, or with a line between its two lines."""
    rules = (root / "tests" / "nbval_sanitize.cfg").read_text("utf-8")
    taken = nbval.plugin.get_sanitize_patterns(rules)
    assert len(taken) == len(re.findall("^regex:", rules, re.MULTILINE)) > 0
    assert all(replacement for _, replacement in taken)


# ------------------------------------------------------------------ sync, execute


def test_pictures_are_made_light_and_nothing_else_is_changed(good):
    buffer = io.BytesIO()
    Image.effect_noise((40, 40), 90).convert("RGB").save(buffer, "PNG")
    picture = base64.b64encode(buffer.getvalue()).decode()
    good["cells"][4]["outputs"].append(shown(**{"image/png": picture, "text/plain": "<Figure>"}))
    light = notebooks.lightened(good)
    data = light["cells"][4]["outputs"][1]["data"]
    assert len(data["image/png"]) < len(picture)
    data["image/png"] = picture
    assert light == good


def test_sync_repairs_the_shared_parts_and_nothing_else(good, tmp_path):
    spoiled = copy.deepcopy(good)
    spoiled["metadata"]["kernelspec"]["name"] = "fer-env"
    spoiled["cells"][0]["source"] = good["cells"][0]["source"].replace("github", "gitlab")
    spoiled["cells"][1]["source"] = "import utils"
    spoiled["cells"][2]["metadata"] = {"tags": ["mine"], "jupyter": {"source_hidden": True}}
    good["cells"][2]["metadata"] = {"jupyter": {"source_hidden": True}}
    assert notebooks.synchronized(spoiled, NAME) == good
    assert notebooks.synchronized(good, NAME) == good
    path = tmp_path / NAME
    path.write_text(json.dumps(good))  # not in Jupyter's own layout
    assert notebooks.problems(path) == [
        f"{NAME}: badge, setup cell, metadata or layout are not {NOT_SYNCED}"
    ]


def test_executed_copies_go_elsewhere_and_a_failing_cell_is_named(tmp_path, capsys):
    """What ran before the failing cell is kept, and the notebooks themselves stay as they are."""
    sources = {"01_load": ["print('so far')"], "03_fit": ["print('so far')", "[][1]", "print(3)"]}
    files = []
    for name, cells in sources.items():
        files.append(tmp_path / f"{name}.ipynb")
        made = [nbformat.v4.new_code_cell(text, id=f"{name}-{at}") for at, text in enumerate(cells)]
        nbformat.write(nbformat.v4.new_notebook(cells=made), files[-1])
    before = [path.read_bytes() for path in files]
    assert notebooks.main(["execute", *map(str, files), "--to", str(tmp_path / "runs")]) == 1
    assert "03_fit.ipynb, cell 03_fit-1: IndexError: list index" in capsys.readouterr().err
    assert [path.read_bytes() for path in files] == before
    good, bad = (notebooks.read(tmp_path / "runs" / path.name)["cells"] for path in files)
    assert good[0]["outputs"][0]["text"] == bad[0]["outputs"][0]["text"] == ["so far\n"]
    assert bad[2]["outputs"] == []
