"""The README's numbers: current, and computed from records alone."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from experiments import speed
from tools import readme as report
from utils import evaluation, records, runtime
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError


def record(
    folder, *, seed=0, dataset="fer2013", copies=0, balance="smote", accuracy=0.7, **settings
):
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
        "settings": {"balance": balance, "seed": seed, **settings},
        "rows": {"training_balanced": 1200},
        "expressions": list(EXPRESSIONS),
        "hardware": "NVIDIA H100 and 16 cores of a processor",
    }
    history = pd.DataFrame({name: [0.3, 0.6, 0.5] for name in records.HISTORY_COLUMNS})
    history["epoch"] = [1, 2, 3]
    folder.mkdir(parents=True)
    records.write_info(folder, info)
    records.write_history(folder, history)
    for split in ("validation", "test"):
        records.write_predictions(folder / f"{split}.npz", predictions)
    return records.load(folder)


def cells(runs):
    return dict(zip(report.COLUMNS, report.row(runs, {}), strict=True))


@pytest.mark.parametrize("path", report.PARTS, ids=["README", "results"])
def test_every_part_of_a_page_is_current(path):
    assert report.current(path) == path.read_text(encoding="utf-8"), "make readme"


def test_the_short_table_has_the_run_that_validation_prefers(tmp_path):
    worse = record(tmp_path / "cnn5-worse", accuracy=0.9)
    record(tmp_path / "cnn5-better", balance="weights", accuracy=0.6)
    record(tmp_path / "cnn5-lucky", balance="weights", seed=1, accuracy=0.9)
    record(tmp_path / "cnn5-elsewhere", dataset="expw", accuracy=1.0)
    weak = record(tmp_path / "cnn5-weak", dataset="sample", accuracy=0.1)
    records.write_predictions(worse.folder / "validation.npz", weak.validation)
    head, _, row = report.best(tmp_path).splitlines()
    assert head.startswith("| network")
    assert row.startswith("| [`cnn5-better`](results/cnn5-better) | 3.7 M | **60.0** (")
    assert row.endswith(" | – |")


def test_a_row_holds_what_the_record_holds(tmp_path):
    run = record(tmp_path / "cnn5-a", copies=20)
    row = cells([run])
    found = evaluation.summary(run.test)
    assert row["network"] == "[`cnn5`](cnn5-a)"
    assert row["epochs"] == "3 (no. 2 chosen)"
    assert row["test faces"] == "100 / 80"
    low, high = found.interval
    assert row["accuracy %"] == f"**70.0** ({100 * low:.1f}–{100 * high:.1f})"
    assert row["without copies %"].startswith(f"**{100 * found.accuracy_without_copies:.1f}**")
    assert row["macro F1"] == f"{found.macro_f1:.3f}"
    assert row["trained on"] == "NVIDIA H100"


def test_seeds_share_a_row_with_their_mean(tmp_path):
    for seed, accuracy in ((2, 0.5), (0, 0.7), (1, 0.6)):
        record(tmp_path / f"cnn5-{seed}", seed=seed, accuracy=accuracy)
    record(tmp_path / "cnn5-weights", balance="weights")
    runs = report.recorded(tmp_path)
    grouped = report.groups(runs)
    assert [[run.info["seed"] for run in group] for group in grouped] == [[0, 1, 2], [0]]
    assert [run.name for run in report.seeds_of(grouped[0][1])] == [run.name for run in grouped[0]]
    row = cells(grouped[0])
    assert row["seeds"] == "3 (0, 1, 2)"
    assert row["accuracy %"] == "**60.0** (mean; 50.0–70.0)"


def test_together_are_those_that_correct_each_other_on_validation_faces(tmp_path):
    """Three are right on different thirds, and surer there; the fourth is right on half."""
    right = [np.arange(100) % 3 != third for third in range(3)] + [np.arange(100) < 50]
    runs = [record(tmp_path / f"cnn5-{number}") for number in range(4)]
    for run, here in zip(runs, right, strict=True):
        given = run.validation
        probabilities = np.full((100, 7), 0.05)
        answer = np.where(here, given.labels, (given.labels + 1) % 7)
        probabilities[np.arange(100), answer] = 0.7
        changed = dataclasses.replace(given, probabilities=probabilities)
        records.write_predictions(run.folder / "validation.npz", changed)
    runs = [records.load(run.folder) for run in runs]
    assert [run.name for run in report.together(runs)] == ["cnn5-0", "cnn5-1", "cnn5-2"]


def test_minutes_are_those_of_all_that_taught_and_dearer_but_no_better_runs_are_left_out(tmp_path):
    record(tmp_path / "cnn5-slow", accuracy=0.5)
    record(tmp_path / "cnn5-fast", accuracy=0.5)
    record(tmp_path / "cnn5-second", accuracy=0.4)
    names = {"teachers": ["cnn5-fast", "cnn5-slow"], "initial_weights": "cnn5-fast"}
    record(tmp_path / "cnn5-taught", **names)
    record(tmp_path / "cnn5-from-expw", accuracy=0.9, initial_weights="cnn5-expw")
    record(tmp_path / "dlib_face", accuracy=0.9, network={"weights": "some.dat"})
    record(tmp_path / "cnn5-taught-by-others", accuracy=0.9, teachers=["dlib_face"])
    rates = {"cnn5-slow": 10, "cnn5-fast": 60, "cnn5-second": 30, "cnn5-taught": 20}
    timings = [
        {"case": name, "unit": "faces", "comparisons": []}
        | {"amounts": {name: rate}, "seconds": {name: [1.0]}}
        for name, rate in rates.items()
    ]
    parts = {"recipes": {"timings": timings}}
    machine = {"hardware": "a machine", "backend": "tensorflow", "accelerator": False}
    path = speed.record_path("xeon-amx", tmp_path)
    path.parent.mkdir()
    speed.write(path, {**machine, "parts": parts})
    _, _, first, second = report.minutes(tmp_path).splitlines()
    assert first.startswith("| 1 | `cnn5-fast` | 50.0 | **50.0** (")
    # Three epochs of 1,200 faces: 6 minutes of the slow one, 1 of the fast, 3 of its own.
    assert second.startswith("| 10 | `cnn5-taught` | 70.0 | **70.0** (")
    timing = {"case": "memory", "unit": "faces", "amounts": {"huge": 2, "usual": 2}}
    timing |= {"seconds": {"huge": [1.0], "usual": [1.5]}, "settings": {"tunables": "some=1"}}
    timing["comparisons"] = [{"name": "c", "fast": "huge", "slow": "usual"}]
    parts["memory"] = {"timings": [timing]}
    parts["recipes"]["about"] = {"tunables": ""}
    speed.write(path, {**machine, "parts": parts})
    with pytest.raises(DataError, match="timed without GLIBC_TUNABLES=some=1"):
        report.minutes(tmp_path)
    parts["recipes"]["about"] = {"tunables": "some=1"}
    speed.write(path, {**machine, "parts": parts})
    assert "`GLIBC_TUNABLES=some=1`" in (told := report.minutes(tmp_path).splitlines()[-2:])[0]
    assert told[-1].endswith("1.5 to 1.5 times as fast.")
    record(tmp_path / "cnn5-weights", balance="weights", accuracy=0.8)
    with pytest.raises(DataError, match="no time of cnn5-weights"):
        report.minutes(tmp_path)
    timing = timings[0] | {"amounts": {"cnn5-weights": 60}, "seconds": {"cnn5-weights": [1.0]}}
    timings.append(timing)
    speed.write(path, {**machine, "parts": parts})
    # Its step costs what that of the run before costs, and nobody has timed it.
    settings = {"balance": "weights", "initial_weights": "cnn5-weights", "mixup": 0.2}
    record(tmp_path / "cnn5-longer", accuracy=0.9, **settings)
    row = next(line for line in report.minutes(tmp_path).splitlines() if "cnn5-longer" in line)
    assert row.startswith("| 2 | `cnn5-longer` | 90.0 |")


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


def test_a_row_says_what_else_made_the_network(tmp_path):
    run = record(tmp_path / "cnn5-a", balance="none")
    for settings, said in [
        ({"start": "cnn5-b"}, ", from `cnn5-b`"),
        ({"initial_weights": "cnn5-b"}, ", from `cnn5-b`"),
        ({"targets": "votes"}, ", on votes"),
        ({"teachers": ["cnn4-a", "cnn4-b"]}, ", taught by `cnn4-a`, `cnn4-b`"),
        ({"test_time_augmentation": 10}, ", 10 views"),
    ]:
        info = {**run.info, "settings": {**run.info["settings"], **settings}}
        changed = dataclasses.replace(run, info=info)
        assert report.row([changed], {})[0] == f"[`cnn5`](cnn5-a){said}"


BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def test_update_changes_what_stands_between_the_markers_alone():
    after = report.updated(f"before\n{BEGIN}\nold\n{END}\nafter\n", "results", "new")
    assert after == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert report.updated(after, "results", "new") == after
    once = f"{BEGIN}\nx\n{END}\n"
    for text in [
        "",
        f"{BEGIN}\nx\n",
        f"x\n{END}\n{BEGIN}\n",
        f"{BEGIN}\n{once}",
        f"{once}y\n{END}",
    ]:
        with pytest.raises(DataError, match="results:begin"):
            report.updated(text, "results", "new")


def test_figures_are_drawn_from_the_record_and_are_the_same_each_time(tmp_path):
    run = record(tmp_path / "results" / "cnn5-a")
    first = report.draw(run, tmp_path / "one")
    names = ["cnn5-a-confusion-matrix.png", "cnn5-a-learning-curves.png"]
    assert [path.name for path in first] == names
    for one, two in zip(first, report.draw(run, tmp_path / "two"), strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert not Image.open(one).text
        assert one.stat().st_size < 300_000
    single = dataclasses.replace(run, history=run.history[:1])
    assert [path.name for path in report.draw(single, tmp_path / "three")] == names[:1]


def test_what_models_readme_says_of_int8_is_what_was_measured():
    record = runtime.read_json(runtime.RESULTS / "benchmarks" / "exports.json")
    files, name = record["files"], record["network"]
    onnx, int8 = files[f"{name}.onnx"], files[f"{name}-int8.tflite"]
    more = round((int8["accuracy"] - files["keras"]["accuracy"]) * record["faces"])
    times = round(onnx["milliseconds"] / int8["milliseconds"])
    text = " ".join((runtime.MODELS / "README.md").read_text(encoding="utf-8").split())
    words = {3: "three", 4: "four"}
    assert f"about {words[times]} times as fast as ONNX Runtime" in text
    assert f"prediction for {int8['changed']} of the {record['faces']:,} faces" in text
    assert f"({words[more]} more are right" in text
    assert f"may differ by {int8['difference']:.2f}" in text
