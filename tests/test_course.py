"""`make course`: what it runs, what it leaves, and what it says when a cell fails."""

import base64
import io
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
    names = ["02_crop.ipynb", "10_face.ipynb", "01_load.ipynb", "00_template.ipynb"]
    for name in names:
        notebook(folders[0] / name)
    chosen = course.chosen([10, 1, 2, 1], folders[0])
    assert [path.name for path in chosen] == ["01_load.ipynb", "02_crop.ipynb", "10_face.ipynb"]


def test_a_number_without_notebook_is_named(folders):
    notebook(folders[0] / "01_load.ipynb")
    with pytest.raises(DataError, match="number 02, 07 in notebooks/"):
        course.chosen([1, 2, 7], folders[0])


def test_a_notebook_without_number_is_named(folders):
    notebook(folders[0] / "Untitled.ipynb")
    with pytest.raises(DataError, match=r"Untitled\.ipynb"):
        course.chosen([1], folders[0])


def test_run_leaves_executed_copies_and_figures_and_a_line_each(folders):
    source, runs, figures = folders
    paths = [
        notebook(source / "01_load.ipynb", "count = 3", "print(count)"),
        notebook(source / "02_crop.ipynb", PICTURE),
    ]
    figures.mkdir()
    (figures / "02-renamed.png").write_bytes(b"of an earlier run")
    before = [path.read_bytes() for path in paths]
    said = io.StringIO()
    outcomes = course.run(paths, runs, figures, stream=said)

    assert [path.read_bytes() for path in paths] == before
    executed = nbformat.read(runs / "01_load.ipynb", as_version=4)
    assert [cell.execution_count for cell in executed.cells] == [1, 2]
    assert executed.cells[1].outputs[0].text == "3\n"
    assert [path.name for path in figures.iterdir()] == ["02-cell-01.png"]
    assert (figures / "02-cell-01.png").read_bytes() == base64.b64decode("iVBORw0KGgo=")
    assert [(one.cells, one.figures) for one in outcomes] == [(2, 0), (1, 1)]
    done = [line for line in said.getvalue().splitlines() if line.endswith(" s")]
    assert re.fullmatch(r"\[1/2\] 01_load\.ipynb  2 cells, 0 figures, \d+ s", done[0])
    assert re.fullmatch(r"\[2/2\] 02_crop\.ipynb  1 cells, 1 figures, \d+ s", done[1])


def test_a_failing_cell_is_named_and_what_ran_is_kept(folders):
    source, runs, figures = folders
    path = notebook(source / "03_fit.ipynb", "print('so far')", "[][1]", "print('never')")
    with pytest.raises(DataError, match=r"03_fit\.ipynb, cell 03-cell-02: IndexError: list index"):
        course.run([path], runs, figures, stream=io.StringIO())
    executed = nbformat.read(runs / "03_fit.ipynb", as_version=4)
    assert executed.cells[0].outputs[0].text == "so far\n"
    assert executed.cells[2].outputs == []


def test_kernels_start_in_the_notebook_s_own_folder(folders):
    source, runs, figures = folders
    path = notebook(source / "01_load.ipynb", "from pathlib import Path", "print(Path.cwd().name)")
    course.run([path], runs, figures, stream=io.StringIO())
    executed = nbformat.read(runs / "01_load.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].text == "notebooks\n"


def test_main_says_what_is_missing_and_fails(monkeypatch, capsys):
    assert course.main(["99"]) == 1
    assert "no notebook with number 99" in capsys.readouterr().err
