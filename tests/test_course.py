"""`make course`: what it runs, what it leaves, and what it says when a cell fails."""

import base64
import re

import nbformat
import pytest

from tools import course
from utils.runtime import DataError

PICTURE = (
    "from IPython.display import Image, display\n"
    "import base64\n"
    "display(Image(base64.b64decode('iVBORw0KGgo='), format='png'))"
)


def notebook(path, *sources):
    cells = [
        nbformat.v4.new_code_cell(source, id=f"{path.name[:2]}-cell-{number:02d}")
        for number, source in enumerate(sources, start=1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "notebooks", tmp_path / "runs", tmp_path / "figures"


def test_notebooks_are_chosen_by_number_in_the_course_s_order(folders):
    for name in ["02_crop.ipynb", "10_face.ipynb", "01_load.ipynb", "Untitled.ipynb"]:
        notebook(folders[0] / name)
    chosen = course.chosen([10, 1, 2, 1], folders[0])
    assert [path.name for path in chosen] == ["01_load.ipynb", "02_crop.ipynb", "10_face.ipynb"]
    with pytest.raises(DataError, match="number 03, 07 in notebooks/"):
        course.chosen([1, 3, 7], folders[0])
    with pytest.raises(DataError, match="no notebook with number 99"):
        course.main(["99"])


def test_run_leaves_executed_copies_and_figures_and_a_line_each(folders, capsys):
    source, runs, figures = folders
    where = "from pathlib import Path\nprint(Path.cwd().name)"
    paths = [
        notebook(source / "01_load.ipynb", "count = 3", "print(count)", where),
        notebook(source / "02_crop.ipynb", PICTURE),
    ]
    figures.mkdir()
    (figures / "02-renamed.png").write_bytes(b"of an earlier run")
    before = [path.read_bytes() for path in paths]
    course.run(paths, runs, figures)

    assert [path.read_bytes() for path in paths] == before
    executed = nbformat.read(runs / "01_load.ipynb", as_version=4)
    assert [cell.execution_count for cell in executed.cells] == [1, 2, 3]
    assert [cell.outputs[0].text for cell in executed.cells[1:]] == ["3\n", "notebooks\n"]
    assert [path.name for path in figures.iterdir()] == ["02-cell-01-01.png"]
    assert (figures / "02-cell-01-01.png").read_bytes() == base64.b64decode("iVBORw0KGgo=")
    said = [re.sub(r"\d+ s$", "N s", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert said == [
        "[1/2] 01_load.ipynb …",
        "3 cells, 0 figures, N s",
        "[2/2] 02_crop.ipynb …",
        "1 cells, 1 figures, N s",
    ]


def test_a_failing_cell_is_named_and_what_ran_is_kept(folders):
    source, runs, figures = folders
    path = notebook(source / "03_fit.ipynb", "print('so far')", "[][1]", "print('never')")
    with pytest.raises(DataError, match=r"03_fit\.ipynb, cell 03-cell-02: IndexError: list index"):
        course.run([path], runs, figures)
    executed = nbformat.read(runs / "03_fit.ipynb", as_version=4)
    assert executed.cells[0].outputs[0].text == "so far\n"
    assert executed.cells[2].outputs == []
