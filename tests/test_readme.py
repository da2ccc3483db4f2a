"""The README's table: current, and computed from records alone."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from tools import readme as report
from utils import evaluation, records
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError


def record(folder, *, seed=0, dataset="fer2013", copies=0, balance="smote", accuracy=0.7):
    """Write a finished run whose test accuracy is known: 100 faces."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, 100)
    predicted = np.where(np.arange(100) < round(100 * accuracy), labels, (labels + 1) % 7)
    probabilities = np.full((100, 7), 0.05)
    probabilities[np.arange(100), predicted] = 0.7
    predictions = records.Predictions(
        probabilities, labels, np.arange(100), np.arange(100) < copies, EXPRESSIONS
    )
    info = {
        "model": "cnn5",
        "dataset": dataset,
        "fingerprint": "f" * 64,
        "seed": seed,
        "epochs": 3,
        "settings": {"balance": balance, "seed": seed},
        "expressions": list(EXPRESSIONS),
        "hardware": "NVIDIA H100 and 16 cores of a processor",
    }
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "loss": [2.0, 1.5, 1.0],
            "accuracy": [0.3, 0.4, 0.5],
            "val_loss": [2.0, 1.5, 1.6],
            "val_accuracy": [0.3, 0.6, 0.5],
            "learning_rate": [0.001, 0.001, 0.0],
            "seconds": [1.0, 1.0, 1.0],
        }
    )
    folder.mkdir(parents=True)
    records.write_info(folder, info)
    records.write_history(folder, history)
    for split in ("validation", "test"):
        records.write_predictions(folder / f"{split}.npz", predictions)
    return records.load(folder)


BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def test_the_readme_s_tables_are_current():
    readme = report.README.read_text(encoding="utf-8")
    assert report.current(readme) == readme, "make readme"


def test_a_row_holds_what_the_record_holds(tmp_path):
    run = record(tmp_path / "cnn5-a", copies=20)
    cells = dict(zip(report.COLUMNS, report.row([run]), strict=True))
    found = evaluation.summary(run.test)
    assert cells["network"] == "[`cnn5`](results/cnn5-a)"
    assert cells["epochs"] == "3 (no. 2 chosen)"
    assert cells["test faces"] == "100 / 80"
    low, high = found.interval
    assert cells["accuracy %"] == f"**70.0** ({100 * low:.1f}–{100 * high:.1f})"
    assert cells["without copies %"].startswith(f"**{100 * found.accuracy_without_copies:.1f}**")
    assert cells["macro F1"] == f"{found.macro_f1:.3f}"
    assert cells["trained on"] == "NVIDIA H100"


def test_seeds_share_a_row_with_their_mean(tmp_path):
    for seed, accuracy in ((2, 0.5), (0, 0.7), (1, 0.6)):
        record(tmp_path / f"cnn5-{seed}", seed=seed, accuracy=accuracy)
    record(tmp_path / "cnn5-weights", balance="weights")
    runs = report.recorded(tmp_path)
    grouped = report.groups(runs)
    assert [[run.info["seed"] for run in group] for group in grouped] == [[0, 1, 2], [0]]
    cells = dict(zip(report.COLUMNS, report.row(grouped[0]), strict=True))
    assert cells["seeds"] == "3 (0, 1, 2)"
    assert cells["accuracy %"] == "**60.0** (mean; 50.0–70.0)"


def test_runs_on_sample_faces_and_unfinished_ones_are_left_out(tmp_path):
    assert report.table(tmp_path) == "No run on real faces is recorded yet."
    record(tmp_path / "cnn5-sample", dataset="sample")
    run = record(tmp_path / "cnn5-unfinished")
    (run.folder / "test.npz").unlink()
    assert report.table(tmp_path) == "No run on real faces is recorded yet."
    record(tmp_path / "cnn5-fer2013")
    lines = report.table(tmp_path).splitlines()
    assert len(lines) == 3
    assert {line.count("|") for line in lines} == {len(report.COLUMNS) + 1}


def test_what_was_not_run_is_a_named_empty_row_until_it_is_recorded(tmp_path):
    entry = {"model": "cnn5", "dataset": "fer2013", "balance": "none"}
    entry |= {"reason": "a day | two cores", "command": "python train.py"}
    (tmp_path / "not_run.json").write_text(json.dumps([entry]))
    record(tmp_path / "cnn5-smote")
    lines = report.table(tmp_path).splitlines()
    assert len(lines) == 4
    cells = dict(zip(report.COLUMNS, lines[-1].strip("| ").split(" | "), strict=True))
    assert [cells[name] for name in report.COLUMNS[:3]] == ["`cnn5`", "FER2013", "as they are"]
    assert {cells[name] for name in report.COLUMNS[3:-1]} == {"–"}
    assert cells["trained on"] == "not run: a day / two cores"
    record(tmp_path / "cnn5-none", balance="none")
    assert "not run" not in report.table(tmp_path)


def test_a_row_says_which_network_it_started_from(tmp_path):
    run = record(tmp_path / "cnn5-a")
    settings = {**run.info["settings"], "start": "cnn5-b"}
    started = dataclasses.replace(run, info={**run.info, "settings": settings})
    assert report.row([started])[0] == "[`cnn5`](results/cnn5-a), from `cnn5-b`"


def test_update_keeps_everything_outside_the_markers():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    after = report.updated(text, "results", "new")
    assert after == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert report.updated(after, "results", "new") == after


@pytest.mark.parametrize("text", ["", BEGIN, END + BEGIN, BEGIN * 2 + END])
def test_update_refuses_a_readme_without_its_markers(text):
    with pytest.raises(DataError, match="README"):
        report.updated(text, "results", "new")


def test_figures_are_drawn_from_the_record_and_are_the_same_each_time(tmp_path):
    run = record(tmp_path / "results" / "cnn5-a")
    first = report.draw(run, tmp_path / "one")
    second = report.draw(dataclasses.replace(run), tmp_path / "two")
    assert [path.name for path in first] == [
        "cnn5-a-confusion-matrix.png",
        "cnn5-a-learning-curves.png",
    ]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert one.stat().st_size < 300_000
