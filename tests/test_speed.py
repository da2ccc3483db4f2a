"""Speed: what is computed from recorded seconds, and that every part runs. Nothing is timed."""

import copy
import os
import shutil
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import speed
from experiments.speed import __main__ as command
from experiments.speed import parts
from utils import datasets, runtime, sample
from utils.runtime import DataError, ModelError

SECONDS = st.floats(1e-6, 1e6)


def timing(a, b, *, aimed=True, amounts=(100, 100)):
    compared = {"name": "b / a", "fast": "b", "slow": "a", "aimed": aimed}
    done = {"amounts": dict(zip("ab", amounts, strict=True)), "seconds": {"a": [*a], "b": [*b]}}
    return {"case": "a case", "unit": "faces", **done, "comparisons": [compared], "settings": {}}


def grown(power, *, sizes=(100, 200, 400, 800), fixed_cost=0.0, memory=True):
    costs = [fixed_cost + 1e-3 * size**power for size in sizes]
    known = {"task": f"rows to the {power}", "rows": [*sizes], "fixed": False, "note": ""}
    peaks = [[cost if memory else None] for cost in costs]
    return {**known, "seconds": [[cost, 3 * cost] for cost in costs], "megabytes": peaks}


def record_of(*timings, part="training", growths=(), hardware="a machine", accelerator=False):
    measured = {"timings": list(timings), "growths": list(growths), "about": {}}
    machine = {"hardware": hardware, "backend": "tensorflow", "accelerator": accelerator}
    return {**machine, "parts": {part: measured}}


def ratio(a, b, **options):
    row = speed.ratios_table(record_of(timing(a, b, **options))).iloc[0]
    return row[["low", "median", "high"]].tolist()


def test_a_ratio_is_of_neighbours_in_time_and_counts_what_each_way_did():
    assert ratio([2.0, 40.0, 6.0], [1.0, 10.0, 1.0]) == [2.0, 4.0, 6.0]
    assert ratio([2.0], [2.0], amounts=(10, 30)) == [3.0] * 3
    table = speed.rates_table(record_of(timing([2.0, 4.0], [1.0, 1.0]))).set_index("way")
    assert table.loc["a", ["low", "median", "high"]].tolist() == [25.0, 37.5, 50.0]


@given(st.lists(st.tuples(SECONDS, SECONDS, st.floats(1, 1e3)), min_size=1, max_size=9))
def test_a_machine_that_is_slow_for_both_changes_no_ratio(turns):
    a, b, slower = (np.array(values) for values in zip(*turns, strict=True))
    idle = ratio(a, b)
    assert ratio(a * slower, b * slower) == pytest.approx(idle)
    assert ratio(b, a)[0] == pytest.approx(1 / idle[2])


def test_an_aim_depends_on_the_machine_and_stands_only_where_it_is_meant():
    one, other = timing([2.0], [1.0]), timing([2.0], [1.0], aimed=False)
    for accelerator, aim in ((False, 1.5), (True, 20.0)):
        table = speed.ratios_table(record_of(one, other, accelerator=accelerator))
        assert table["aim"].fillna(0).tolist() == [aim, 0]
    assert speed.ratios_table(record_of(one, part="smote"))["aim"].isna().all()


@given(st.floats(-1, 3), st.lists(st.integers(1, 10**5), min_size=2, max_size=6, unique=True))
def test_a_power_of_the_rows_is_found_again(power, sizes):
    table = speed.growth_table(record_of(growths=[grown(power, sizes=sorted(sizes))]))
    assert table["time_power"].iloc[0] == pytest.approx(power, abs=1e-6)


def test_growth_is_judged_by_the_least_cost_and_only_where_it_is_known():
    several = [grown(1, memory=False), grown(2, fixed_cost=1e2), grown(3, sizes=(100,))]
    table = speed.growth_table(record_of(growths=several))
    assert table["seconds"].iloc[0] == pytest.approx(0.8)
    assert table["time_power"].iloc[1] < table["time_last"].iloc[1]  # a fixed cost hides nothing
    assert table["time_faster"].tolist() == [False, True, None]
    assert table["memory_faster"].tolist() == [None, True, None]


def test_a_part_measured_again_takes_the_place_of_the_old_one_and_no_other(tmp_path):
    path = speed.record_path("h100", tmp_path)
    for seconds, part in ((2.0, "training"), (9.0, "smote"), (3.0, "training")):
        speed.write(path, record_of(timing([seconds], [1.0]), part=part))
    with pytest.raises(DataError, match="another machine"):
        speed.write(path, record_of(timing([1.0], [1.0]), hardware="another machine"))
    table = speed.ratios_table(speed.recorded(tmp_path)["speed-h100"]).set_index("part")
    assert table["median"].to_dict() == {"training": 3.0, "smote": 9.0}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record, timing: record.pop("parts"),
        lambda record, timing: record.pop("backend"),
        lambda record, timing: record["parts"].update(training=7),
        lambda record, timing: timing["seconds"].pop("a"),
        lambda record, timing: timing["seconds"].update(a=[1.0, 2.0]),
        lambda record, timing: timing["seconds"].update(a=[-1.0]),
        lambda record, timing: timing["comparisons"][0].update(slow="c"),
        lambda record, timing: record["parts"]["training"]["growths"][0]["seconds"].pop(),
    ],
)
def test_a_damaged_record_is_refused(tmp_path, spoil):
    record = copy.deepcopy(record_of(timing([2.0], [1.0]), growths=[grown(1)]))
    spoil(record, record["parts"]["training"]["timings"][0])
    runtime.write_json(tmp_path / "speed.json", record)
    with pytest.raises(DataError, match=r"speed\.json"):
        speed.read(tmp_path / "speed.json")


def test_a_record_that_is_not_there_or_has_no_name_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no such record"):
        speed.read(tmp_path / "none.json")
    for name in ("../up", "a b", ".hidden"):
        with pytest.raises(DataError):
            speed.record_path(name, tmp_path)


def test_what_is_recorded_in_this_repository_says_what_the_readme_says():
    record = speed.recorded()["speed"]
    table = speed.ratios_table(record).set_index(["part", "case", "comparison"])["median"].round(2)
    assert table["arithmetic"].droplevel(1)[["resnet", "vgg16"]].tolist() == [0.56, 0.89]
    growth = speed.growth_table(record)
    assert growth.index[growth["time_faster"].eq(True)].tolist() == ["SMOTE"]
    assert len(speed.growth_points(record)) == 32


def test_an_epoch_takes_what_the_recipe_says():
    history = pd.DataFrame({"epoch": [1, 2, 3], "val_accuracy": [0.5, 0.4, 0.6]})
    curve = speed.accuracy_by_time(history, epoch=5.0)
    assert curve["seconds"].tolist() == [5.0, 10.0, 15.0]
    assert curve["best"].tolist() == [0.5, 0.5, 0.6]


def test_ways_take_turns_and_the_first_turn_does_not_count():
    calls = []
    ways = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in "ab"}
    assert parts.in_turns(ways, 3) == {"a": [3.0, 5.0, 7.0], "b": [4.0, 6.0, 8.0]}
    assert calls == list("abababab")


def test_repeated_faces_differ_a_little_and_the_csv_of_them_is_read_as_fer2013(tmp_path):
    faces = datasets.load("sample")
    many = parts.many_faces("sample", len(faces) + 50)
    difference = many.images[len(faces) :].astype(int) - faces.images[:50]
    assert np.array_equal(many.images[: len(faces)], faces.images)
    assert difference.any(axis=(1, 2, 3)).all()
    assert np.abs(difference).max() == 2
    few = parts.many_faces("sample", 60)
    assert set(few.split) == set(datasets.SPLITS)
    path = parts.write_csv(tmp_path / "fer2013.csv", few)
    seconds, megabytes = parts.alone(parts.load, "csv", path)  # in a process of its own
    assert seconds > 0
    assert megabytes is None or megabytes > few.images.nbytes / 1e6
    again = datasets.load("fer2013", path, cache=False)
    assert np.array_equal(again.images, few.images)
    assert again.split.tolist() == few.split.tolist()


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Do in this process what a fresh one would do; give a folder for the records."""

    def alone(task, *arguments):
        if task is parts.oversample and arguments[1] > 400:
            raise BrokenProcessPool("killed for its memory")
        with monkeypatch.context() as inside:
            inside.setattr(runtime, "CACHE", runtime.CACHE)
            return task(*arguments)

    for name in ("XLA_PYTHON_CLIENT_PREALLOCATE", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setattr(parts, "alone", alone)
    return tmp_path


def run(folder, *names):
    given = ["--quick", "--data", "sample", "--record", "x", "--results", str(folder)]
    command.main([*names, *given])


ALONE = ("growth", "memory", "recipes")


@pytest.mark.parametrize("name", [name for name in command.TIMED if name not in ALONE])
def test_every_part_runs_and_is_recorded(here, name):
    run(here, name)
    record = speed.recorded(here)["speed-x"]
    assert list(record["parts"]) == [name]
    assert set(record["parts"][name]["about"]) >= {"measured", "seconds", "load", "commit"}
    assert (speed.ratios_table(record)["low"] > 0).all()
    assert (here / "speed-x.png").is_file()


def test_each_recorded_recipe_gets_a_rate(here, root, monkeypatch):
    fer2013 = ["cnn4-fer2013-none", "cnn4-fer2013-none-taught", "resnet-fer2013-none"]
    for name in (*fer2013, "cnn5-expw-none"):  # the first and the third taught the second
        shutil.copytree(root / "results" / name, here / name)
    monkeypatch.setattr(runtime, "RESULTS", here)
    monkeypatch.setattr(parts, "alone", lambda task, *arguments: task(*arguments))
    table = speed.rates_table({"parts": {"recipes": {"timings": parts.recipes(parts.QUICK, "")}}})
    assert table["way"].tolist() == fer2013
    assert (table["low"] > 0).all()


def test_memory_is_timed_in_processes_that_begin_with_each_setting(monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "own")
    monkeypatch.setattr(
        parts, "alone", lambda *task: (4.0 if os.environ["GLIBC_TUNABLES"] == "" else 2.0, None)
    )
    found = parts.memory(parts.QUICK, "sample")
    assert found[0]["seconds"] == {"as it comes": [4.0], "huge pages": [2.0]}
    assert speed.ratios_table(record_of(*found, part="memory"))["median"].tolist() == [2.0]
    assert os.environ["GLIBC_TUNABLES"] == "own"


@pytest.mark.slow
def test_growth_is_measured_and_a_killed_process_leaves_a_note(here):
    run(here, "growth")
    table = speed.growth_table(speed.recorded(here)["speed-x"])
    assert table["rows"].to_dict() == dict.fromkeys(table.index, 800) | {"SMOTE": 400}
    assert "800 rows on not measured" in table.loc["SMOTE", "note"]


def test_detectors_have_a_record_of_their_own(here, monkeypatch):
    sample.write(here / "raw", rows=100, photos=2)
    monkeypatch.setattr(runtime, "RAW", here / "raw")
    run(here, "detectors")
    found = runtime.read_json(here / "detectors" / "detectors.json")["expw"]
    assert found["photos"] == 2
    assert all(one["found"] <= found["faces"] for one in found["detectors"].values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["augmentation", "nothing"], "nothing"), (["--quick", "--record"], "--results")],
)
def test_a_wrong_command_line_is_refused(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
