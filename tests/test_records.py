"""A run on disk comes back as it was written, or says what is wrong with it."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from utils import records, runtime
from utils.expressions import EXPRESSIONS
from utils.runtime import ModelError


def history(epochs=3, accuracies=None):
    values = accuracies or np.linspace(0.3, 0.6, epochs)
    table = pd.DataFrame(dict.fromkeys(records.HISTORY_COLUMNS, values))
    return table.assign(epoch=range(1, epochs + 1))


def predictions(count=20, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(7), count).astype(np.float32)
    return records.Predictions(
        probabilities, rng.integers(0, 7, count), np.arange(count), rng.random(count) < 0.2
    )


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a-run"
    records.write_info(folder, {"model": "cnn5", "expressions": list(EXPRESSIONS)})
    records.write_history(folder, history())
    records.write_predictions(folder / "validation.npz", predictions(seed=1))
    records.write_predictions(folder / "test.npz", predictions(seed=2))
    return folder


def test_a_run_comes_back(folder):
    run = records.load(folder)
    assert run.name == "a-run"
    assert run.info["model"] == "cnn5"
    pd.testing.assert_frame_equal(run.history, history(), rtol=1e-5)
    written = predictions(seed=2)
    np.testing.assert_allclose(run.test.probabilities, written.probabilities, atol=1e-3)
    np.testing.assert_array_equal(run.test.labels, written.labels)
    np.testing.assert_array_equal(run.test.copies, written.copies)
    assert records.load("a-run", folder.parent).info == run.info
    assert records.names(folder.parent) == ["a-run"]
    written = ["history.csv", "run.json", "test.npz", "validation.npz"]  # and no partial file
    assert sorted(file.name for file in folder.iterdir()) == written


def test_a_run_is_finished_when_its_test_predictions_are_there(folder):
    assert records.is_finished(folder)
    (folder / "test.npz").unlink()
    assert not records.is_finished(folder)
    assert records.load(folder).test is None
    assert records.names(folder.parent) == []


def test_an_unknown_name_lists_the_runs_there_are(folder):
    with pytest.raises(ModelError, match=r"'b-run'.*a-run"):
        records.load("b-run", folder.parent)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_best_epoch_is_the_first_of_the_highest(accuracies):
    best = records.best_epoch(history(len(accuracies), accuracies))
    assert accuracies[best - 1] == max(accuracies)
    assert max(accuracies[: best - 1], default=-1) < accuracies[best - 1]


@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(0, 30), st.just(7)), elements=st.floats(0, 1, width=16)
    )
)
def test_predictions_keep_every_value(tmp_path_factory, probabilities):
    folder = tmp_path_factory.mktemp("any")
    count = len(probabilities)
    kept = records.Predictions(
        probabilities, np.arange(count) % 7, np.arange(count)[::-1], np.arange(count) % 2 == 0
    )
    records.write_info(folder, {})
    records.write_predictions(folder / "test.npz", kept)
    read = records.load(folder).test
    np.testing.assert_array_equal(read.probabilities, probabilities)
    np.testing.assert_array_equal(read.rows, kept.rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", b"{"),
        ("history.csv", b"epoch,loss\n1,2\n"),
        ("test.npz", b""),
        ("test.npz", b"not an archive"),
        ("validation.npz", b"PK\x03\x04 truncated"),
    ],
)
def test_a_damaged_record_names_itself(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match="a-run"):
        records.load(folder)


def test_epochs_out_of_order_are_no_history(folder):
    records.write_history(folder, pd.concat([history(2), history(3)]))
    with pytest.raises(ModelError, match="not 1 … 5"):
        records.load(folder)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": np.array([{"a": 1}] * 20, dtype=object)}, r"test\.npz"),  # a pickle
        ({"probabilities": np.ones((5, 7))}, r"expected \(20, 7\)"),
    ],
)
def test_arrays_that_are_pickled_or_do_not_fit_are_refused(folder, changed, said):
    whole = vars(predictions())
    names = ("probabilities", "labels", "rows", "copies")
    np.savez(folder / "test.npz", **{name: whole[name] for name in names} | changed)
    with pytest.raises(ModelError, match=said):
        records.load(folder)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_json_lacks_is_refused_and_the_old_file_stays(tmp_path, number):
    path = tmp_path / "record.json"
    runtime.write_json(path, {"größe": 1.5})
    before = path.read_bytes()
    assert json.loads(before) == {"größe": 1.5}
    with pytest.raises(ValueError, match="JSON"):
        runtime.write_json(path, {"größe": number})
    assert path.read_bytes() == before


def test_surroundings_name_versions_and_hardware():
    found = records.surroundings()
    assert found["versions"]["numpy"] == np.__version__
    assert re.search(r"\d+ cores? of", found["hardware"])
    assert found["backend"] in found["versions"]
