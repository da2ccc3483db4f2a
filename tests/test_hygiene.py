"""The form of the committed notebooks, without a kernel; and that the check sees what it should."""

import copy
import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import notebooks
from utils.runtime import DataError

COMMITTED = notebooks.paths()
ADDRESS = "https://github.com/someone/somewhere"
SETUP = 'print("ready")'
NAME = "03_balance.ipynb"


def text(identity, source):
    return {"cell_type": "markdown", "id": identity, "metadata": {}, "source": source}


def code(identity, source, count, *outputs):
    return {
        "cell_type": "code",
        "id": identity,
        "metadata": {},
        "source": source,
        "execution_count": count,
        "outputs": list(outputs),
    }


def stream(what, name="stdout"):
    return {"output_type": "stream", "name": name, "text": what}


@pytest.fixture
def good():
    """A small notebook with nothing wrong."""
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": notebooks.KERNEL, "language_info": notebooks.LANGUAGE},
        "cells": [
            text(
                "03-title",
                f"# Balance the classes\n\n{notebooks.badge(NAME, ADDRESS)}\n\n"
                "**What you’ll do** **What you'll learn** **What you’ll need**",
            ),
            code("03-setup-01", SETUP, 1, stream("ready\n")),
            code("03-switch-01", 'DATASET = "sample"', 2),
            text("03-fit", "Now we fit."),
            code("03-fit-01", "# NBVAL_IGNORE_OUTPUT\nscore = fit()\nscore", 3, stream("0.71\n")),
            code(
                "03-fit-02", 'assert score > 0.5\nprint("over a half")', 4, stream("over a half\n")
            ),
            text("03-end", "What we have seen. On your own. Further reading. <details>"),
        ],
    }


@pytest.fixture
def check(tmp_path):
    """Write a notebook and name its problems."""

    def problems(notebook, name=NAME):
        path = tmp_path / name
        notebooks.write(path, notebook)
        return notebooks.problems(path, setup=SETUP, address=ADDRESS)

    return problems


# ------------------------------------------------------------------ what is committed


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_committed_notebook_is_in_form(path):
    assert notebooks.problems(path) == []


def test_the_template_and_the_main_road_are_there():
    numbers = [path.name[:2] for path in COMMITTED]
    assert numbers[:7] == ["00", "01", "02", "03", "04", "05", "06"]
    assert len(set(numbers)) == len(numbers)


def test_sanitize_rules_are_all_rules():
    assert notebooks.sanitize_problems() == []


def test_no_large_file_and_no_data_are_tracked(root):
    if not (root / ".git").exists():
        pytest.skip("not a git checkout")
    assert notebooks.oversized(root) == []


# ------------------------------------------------------------------ the check sees


def test_a_good_notebook_has_no_problem(good, check):
    assert check(good) == []


def spoil_count(notebook):
    notebook["cells"][4]["execution_count"] = None


def spoil_order(notebook):
    notebook["cells"][1]["execution_count"] = 7


def spoil_kernel(notebook):
    notebook["metadata"]["kernelspec"] = {**notebooks.KERNEL, "name": "fer-env"}


def spoil_language(notebook):
    notebook["metadata"]["language_info"] = {"name": "python", "version": "3.11.7"}


def spoil_marker(notebook):
    notebook["cells"][4]["source"] = "# NBVAL_IGNORE_OUTPUT as times vary\nscore = fit()"


def spoil_marker_spelling(notebook):
    notebook["cells"][4]["source"] = "#NBVAL_IGNORE_OUTPUT\nscore = fit()"


def spoil_marker_place(notebook):
    notebook["cells"][4]["source"] = "score = fit()\n# NBVAL_IGNORE_OUTPUT"


def spoil_marker_kind(notebook):
    notebook["cells"][4]["source"] = "# NBVAL_RAISES_EXCEPTION\nscore = fit()"


def spoil_tag(notebook):
    notebook["cells"][5]["metadata"]["tags"] = ["nbval-skip"]


def spoil_assert(notebook):
    notebook["cells"][5]["source"] = 'print("assert that it is over a half")'


def spoil_assert_by_end(notebook):
    del notebook["cells"][5]


def spoil_assert_by_marker(notebook):
    notebook["cells"][5]["source"] = "# NBVAL_IGNORE_OUTPUT\nassert score > 0.5"


def spoil_semicolon(notebook):
    notebook["cells"][4]["source"] += ";"


def spoil_stderr(notebook):
    notebook["cells"][4]["outputs"].append(stream("a warning", "stderr"))


def spoil_error(notebook):
    error = {"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}
    notebook["cells"][4]["outputs"] = [error]


def spoil_output_id(notebook):
    shown = {"output_type": "display_data", "data": {}, "metadata": {"outputId": "1-2"}}
    notebook["cells"][4]["outputs"] = [shown]


def spoil_widget(notebook):
    shown = {"output_type": "display_data", "data": {notebooks.WIDGET: {}}, "metadata": {}}
    notebook["cells"][4]["outputs"] = [shown]


def spoil_path_in_output(notebook):
    notebook["cells"][5]["outputs"] = [stream("read /home/someone/course/fer2013.csv\n")]


def spoil_path_in_table(notebook):
    table = {"text/html": "<td>C:\\Users\\someone\\fer2013.csv</td>", "text/plain": "a table"}
    shown = {"output_type": "display_data", "data": table, "metadata": {}}
    notebook["cells"][5]["outputs"] = [shown]


def spoil_path_in_code(notebook):
    notebook["cells"][5]["source"] += '\nopen("/Users/someone/fer2013.csv")'


def spoil_address(notebook):
    notebook["cells"][5]["outputs"] = [stream("<Model object at 0x7f2b8c0d1e50>\n")]


def spoil_cell_id(notebook):
    notebook["cells"][3]["id"] = "a1b2c3d4"


def spoil_twin_id(notebook):
    notebook["cells"][3]["id"] = "03-end"


def spoil_title(notebook):
    notebook["cells"][0]["source"] = "No title"


def spoil_badge(notebook):
    cell = notebook["cells"][0]
    cell["source"] = cell["source"].replace("someone/somewhere", "someone/elsewhere")


def spoil_setup(notebook):
    notebook["cells"][1]["source"] += "  # mine"


def spoil_dataset(notebook):
    notebook["cells"][2]["source"] = 'DATASET = "fer2013"'


def spoil_prose(notebook):
    del notebook["cells"][3]


def spoil_section(notebook):
    notebook["cells"][-1]["source"] = "What we have seen. Further reading. <details>"


def spoil_length(notebook):
    notebook["cells"][5]["source"] += "\nprint(1)" * 20


def spoil_empty(notebook):
    notebook["cells"][5]["source"] = ""


def spoil_format(notebook):
    notebook["nbformat_minor"] = 4


def spoil_size(notebook):
    picture = {"image/png": "A" * 1_000_000}
    shown = {"output_type": "display_data", "data": picture, "metadata": {}}
    notebook["cells"][5]["outputs"].append(shown)


SPOILED = {
    spoil_count: "not executed from top to bottom",
    spoil_order: "not executed from top to bottom",
    spoil_kernel: "metadata other than",
    spoil_language: "metadata other than",
    spoil_marker: "alone on the cell's first line",
    spoil_marker_spelling: "alone on the cell's first line",
    spoil_marker_place: "alone on the cell's first line",
    spoil_marker_kind: "alone on the cell's first line",
    spoil_tag: "hides in the cell's tags",
    spoil_assert: "no cell that asserts follows",
    spoil_assert_by_end: "no cell that asserts follows",
    spoil_assert_by_marker: "is marked itself",
    spoil_semicolon: "ends in `;`",
    spoil_stderr: "stderr",
    spoil_error: "an error is stored: ValueError",
    spoil_output_id: "outputId",
    spoil_widget: "a widget",
    spoil_path_in_output: "absolute path in the output",
    spoil_path_in_table: "absolute path in the output",
    spoil_path_in_code: "absolute path in the code",
    spoil_address: "memory address",
    spoil_cell_id: "not a stable name",
    spoil_twin_id: "stands twice",
    spoil_title: "has its title",
    spoil_badge: "Colab badge",
    spoil_setup: "not the setup cell",
    spoil_dataset: 'another DATASET than "sample"',
    spoil_prose: "third code cell in a row",
    spoil_section: "nowhere says “on your own”",
    spoil_length: "more than 15 lines",
    spoil_empty: "an empty code cell",
    spoil_format: "not in notebook format 4.5",
    spoil_size: "more than 1,000,000",
}


@pytest.mark.parametrize(
    ("spoil", "said"), SPOILED.items(), ids=lambda one: getattr(one, "__name__", "")
)
def test_check_names_what_was_spoiled(good, check, spoil, said):
    spoil(good)
    problems = check(good)
    assert any(said in problem for problem in problems), problems
    assert all(problem.startswith(NAME) for problem in problems)


def test_check_sees_another_layout(good, tmp_path):
    path = tmp_path / NAME
    path.write_text(json.dumps(good))
    problems = notebooks.problems(path, setup=SETUP, address=ADDRESS)
    assert any("Jupyter's own layout" in problem for problem in problems)


@pytest.mark.parametrize("content", ["", "[]", "{}", "no json", '{"cells": '])
def test_what_is_no_notebook_is_one_problem(tmp_path, content):
    path = tmp_path / NAME
    path.write_text(content)
    assert len(notebooks.problems(path, setup=SETUP, address=ADDRESS)) == 1


@pytest.mark.parametrize(
    "harmless",
    [
        "train/angry/1.jpg",
        "https://host/home/page",
        "48/64",
        "and/or",
        "0x30",
        "</td></tr>",
        "s://a",
    ],
)
def test_what_only_looks_like_a_path_is_let_through(good, check, harmless):
    good["cells"][5]["outputs"] = [stream(f"{harmless}\n")]
    assert check(good) == []


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_a_comment_with_more_than_the_marker_is_never_a_marker(words):
    line = f"# NBVAL_IGNORE_OUTPUT {words}"
    cell = code("03-fit-01", f"{line}\nscore = 1", 1)
    found = list(notebooks._marker_problems([cell]))
    alone = line.splitlines()[0] == notebooks.IGNORE
    assert alone or any("alone on the cell's first line" in problem for problem in found)


# ------------------------------------------------------------------ sanitize rules


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("regex: a\nreplace: \n", "is no rule"),
        ("regex: a\nreplace:b\n", "is no rule"),
        ("regex: a\n\nreplace: b\n", "make only 0 rules"),
        ("regex: (a\nreplace: b\n", "not a regular expression"),
        ("regex: a\nregex: b\nreplace: c\n", "make only 1 rules"),
    ],
)
def test_rules_that_nbval_drops_are_named(tmp_path, rules, said):
    path = tmp_path / "sanitize.cfg"
    path.write_text(rules)
    assert any(said in problem for problem in notebooks.sanitize_problems(path))


# ------------------------------------------------------------------ sync


def test_sync_repairs_the_shared_parts_and_nothing_else(good, check):
    wanted = copy.deepcopy(good)
    for spoil in (spoil_kernel, spoil_badge, spoil_setup, spoil_tag):
        spoil(good)
    repaired = notebooks.synchronised(good, NAME, SETUP, ADDRESS)
    assert check(repaired) == []
    assert repaired["cells"][0]["source"] == wanted["cells"][0]["source"].rstrip("\n")
    assert repaired["cells"][2:] == wanted["cells"][2:]


def test_sync_is_done_after_one_time(good):
    once = notebooks.synchronised(good, NAME, SETUP, ADDRESS)
    assert notebooks.synchronised(once, NAME, SETUP, ADDRESS) == once


def test_address_stands_in_one_line_of_pyproject(tmp_path):
    file = tmp_path / "pyproject.toml"
    file.write_text("[project.urls]\n")
    with pytest.raises(DataError, match="Repository"):
        notebooks.repository(file)


def test_oversized_names_data_and_large_files(tmp_path):
    for name, size in {"data/face.png": 9, "data/README.md": 9, "m.keras": 16_000_000}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"0" * size)
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    found = notebooks.oversized(tmp_path)
    assert [line.split(":")[0] for line in found] == ["data/face.png", "m.keras"]
