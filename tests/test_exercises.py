"""Fingerprints of answers; and every exercise's own solution, executed."""

import re

import numpy as np
import pytest
from solutions import solved

from tools import notebooks
from utils import exercises

COMMITTED = notebooks.paths()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fear", "  Fear "),
        (5, 5.0),
        (0.12345, 0.1234),
        (3, np.int64(3)),
        ({"sad", "fear"}, {"fear", "sad"}),
        ([1, 2], (1, 2)),
        ([1, 2], np.array([1, 2])),
    ],
)
def test_spellings_of_one_answer_have_one_fingerprint(one, other):
    assert exercises.check(one, exercises.fingerprint(other)) == "Right."


@pytest.mark.parametrize(
    ("one", "other"), [("fear", "sad"), (5, 6), (0.123, 0.124), ([1, 2], [2, 1]), ("1; 2", [1, 2])]
)
def test_other_answers_have_another(one, other):
    assert exercises.fingerprint(one) != exercises.fingerprint(other)


@pytest.mark.parametrize("answer", [..., None])
def test_no_answer_is_told_apart_from_a_wrong_one(answer):
    assert exercises.check(answer, "0").startswith("No answer yet")
    assert exercises.check("wrong", "0").startswith("Not yet")


def test_what_is_no_answer_is_refused():
    with pytest.raises(TypeError, match="not object"):
        exercises.fingerprint(object())


@pytest.mark.slow
@pytest.mark.parametrize("path", [*COMMITTED, notebooks.TEMPLATE], ids=lambda path: path.name)
def test_every_solution_is_right(path, tmp_path):
    notebook = notebooks.read(path)
    copy = path.parent / f"solved-{path.name}"  # next to it: links and folders as for a reader
    try:
        notebooks.write(copy, solved(notebook))
        executed = notebooks.execute(copy, tmp_path / path.name)
    finally:
        copy.unlink(missing_ok=True)
    checks = [cell for cell in executed["cells"] if re.search(r"-exercise-\d-check$", cell["id"])]
    said = {
        cell["id"]: "".join(
            str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
            for output in cell["outputs"]
        ).strip()
        for cell in checks
    }
    assert said
    assert set(said.values()) == {"Right."}, said
