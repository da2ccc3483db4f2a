"""Speed: what is computed from seconds, the record of them, and that the command runs."""

import dataclasses
import json
import math
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import command, data, processes, timing
from benchmarks.parts import growing
from benchmarks.plan import Plan, plan_for
from utils import datasets, figures, records, runtime, speed
from utils.datasets import fer2013
from utils.runtime import DataError

SECONDS = st.floats(1e-6, 1e6)
COMPARED = speed.Comparison("b / a", "b", "a", aimed=True)


def timed(a, b, *, amounts=(100, 100), case="a case"):
    return speed.Timing(
        case=case,
        unit="faces",
        amounts=dict(zip("ab", amounts, strict=True)),
        seconds={"a": tuple(a), "b": tuple(b)},
        comparisons=(COMPARED,),
    )


def grown(power, *, fixed_cost=0.0, sizes=(100, 200, 400, 800), task="a task"):
    costs = [fixed_cost + 1e-3 * size**power for size in sizes]
    return speed.Growth(
        task=task,
        rows=sizes,
        seconds=tuple((cost, 3 * cost) for cost in costs),
        megabytes=tuple((cost,) for cost in costs),
    )


def record_of(*timings, part="training", growths=(), hardware="a machine", accelerator=False):
    return speed.SpeedRecord(
        hardware,
        "tensorflow",
        accelerator,
        {part: speed.Measurement(tuple(timings), tuple(growths), {"note": "made up"})},
    )


def history(seconds, accuracies):
    return pd.DataFrame({"seconds": seconds, "val_accuracy": accuracies})


def said(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


# Turns


def test_ways_take_turns_and_the_first_turn_does_not_count():
    calls, steps = [], []

    def way(name):
        def run():
            calls.append(name)
            return float(len(calls))

        return run

    found = timing.in_turns({"a": way("a"), "b": way("b")}, 3, step=lambda: steps.append(1))
    assert calls == list("abababab")
    assert found == {"a": (3.0, 5.0, 7.0), "b": (4.0, 6.0, 8.0)}
    assert len(steps) == 8


def test_no_turn_is_no_measurement():
    with pytest.raises(ValueError, match="repeats"):
        timing.in_turns({"a": lambda: 1.0}, 0)


# Ratios


def test_a_ratio_is_of_neighbours_in_time():
    found = speed.ratio(timed([2.0, 40.0, 6.0], [1.0, 10.0, 1.0]), COMPARED)
    assert dataclasses.astuple(found) == (2.0, 4.0, 6.0)


def test_a_ratio_counts_what_each_way_did():
    few = timed([2.0], [2.0], amounts=(10, 30))
    assert speed.ratio(few, COMPARED).median == pytest.approx(3.0)
    assert speed.rates(few, "b").tolist() == [15.0]


@given(st.lists(st.tuples(SECONDS, SECONDS, st.floats(1, 1e3)), min_size=1, max_size=9))
def test_a_machine_that_is_slow_for_both_changes_no_ratio(turns):
    a, b, slower = zip(*turns, strict=True)
    idle = speed.ratio(timed(a, b), COMPARED)
    pairs = zip(a, b, slower, strict=True)
    busy_a, busy_b = zip(*((x * s, y * s) for x, y, s in pairs), strict=True)
    busy = speed.ratio(timed(busy_a, busy_b), COMPARED)
    assert dataclasses.astuple(busy) == pytest.approx(dataclasses.astuple(idle))
    assert idle.low <= idle.median <= idle.high
    swapped = speed.ratio(timed(b, a), COMPARED)
    assert swapped.low == pytest.approx(1 / idle.high)


@pytest.mark.parametrize(
    ("a", "b", "amounts"),
    [
        ([1.0], [1.0, 2.0], (1, 1)),
        ([], [], (1, 1)),
        ([0.0], [1.0], (1, 1)),
        ([math.nan], [1.0], (1, 1)),
        ([1.0], [1.0], (0, 1)),
    ],
)
def test_times_that_cannot_be_are_refused(a, b, amounts):
    with pytest.raises(DataError):
        timed(a, b, amounts=amounts)


def test_a_comparison_of_what_was_not_timed_is_refused():
    with pytest.raises(DataError, match="'c'"):
        dataclasses.replace(timed([1.0], [1.0]), comparisons=(speed.Comparison("c / a", "c", "a"),))


# Growth


@given(
    st.floats(-1, 3),
    st.floats(1e-3, 1e3),
    st.lists(st.integers(1, 10**6), min_size=2, max_size=6, unique=True),
)
def test_a_power_is_found_again(power, factor, sizes):
    costs = [factor * size**power for size in sizes]
    assert speed.growth_exponent(sizes, costs) == pytest.approx(power, abs=1e-6)


def test_a_fixed_cost_does_not_hide_what_grows_faster():
    rows = (100, 200, 400, 800)
    squares = [1e5 + size**2 for size in rows]
    assert speed.growth_exponent(rows, squares) < speed.last_exponent(rows, squares)
    assert speed.grows_faster(rows, squares)
    assert not speed.grows_faster(rows, [1e5 + size for size in rows])
    assert not speed.grows_faster(rows, rows)


def test_what_is_not_known_is_not_judged():
    assert speed.grows_faster((1,), (1.0,)) is None
    assert speed.grows_faster((1, 2), (math.nan, 2.0)) is None
    assert math.isnan(speed.growth_exponent((1, 2), (0.0, 2.0)))
    for sizes, costs in (((1, 1), (1.0, 2.0)), ((1, 2), (1.0,)), ((0, 2), (1.0, 2.0))):
        with pytest.raises(DataError):
            speed.growth_exponent(sizes, costs)


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": (100, 200)},
        {"rows": (100, 100, 200, 400)},
        {"seconds": ((1.0,), (), (1.0,), (1.0,))},
        {"rows": (), "seconds": (), "megabytes": ()},
    ],
)
def test_growth_that_does_not_fit_together_is_refused(changes):
    with pytest.raises(DataError):
        dataclasses.replace(grown(1), **changes)


def test_the_growth_table_judges_by_the_least_of_the_repetitions():
    table = speed.growth_table(record_of(growths=[grown(1, task="line"), grown(2, task="square")]))
    assert table.loc["line", "time_power"] == pytest.approx(1)
    assert table.loc["square", "time_last"] == pytest.approx(2)
    assert table["time_faster"].tolist() == [False, True]
    assert table.loc["line", "seconds"] == pytest.approx(0.8)
    assert table.loc["line", "rows"] == 800


# The record


def test_a_record_comes_back_as_it_was(tmp_path):
    unknown = dataclasses.replace(
        grown(1), seconds=((0.5, 0.25),) * 4, megabytes=((math.nan,),) * 4, note="no memory told"
    )
    record = record_of(timed([2.0, 3.0], [1.0, 1.25]), growths=[grown(2, fixed_cost=1.0), unknown])
    path = tmp_path / "speed.json"
    speed.write(path, record)
    again = speed.read(path)
    assert repr(again) == repr(record)
    assert speed.growth_table(again)["memory_faster"].tolist() == [True, None]


def test_a_part_measured_again_takes_the_place_of_the_old_one_and_no_other(tmp_path):
    path = tmp_path / "speed.json"
    speed.write(path, record_of(timed([2.0], [1.0]), part="training"))
    speed.write(path, record_of(timed([9.0], [1.0]), part="smote"))
    speed.write(path, record_of(timed([3.0], [1.0]), part="training"))
    table = speed.ratios_table(speed.read(path)).set_index("part")
    assert table["median"].to_dict() == {"training": 3.0, "smote": 9.0}


def test_two_machines_are_not_mixed_in_one_record(tmp_path):
    path = tmp_path / "speed.json"
    speed.write(path, record_of(timed([2.0], [1.0])))
    before = path.read_bytes()
    with pytest.raises(DataError, match="another machine"):
        speed.write(path, record_of(timed([2.0], [1.0]), hardware="another machine"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content.pop("parts"),
        lambda content: content["parts"]["training"]["timings"][0]["seconds"].pop("a"),
        lambda content: content["parts"]["training"]["timings"][0].update(other=1),
        lambda content: content["parts"].update(training=7),
    ],
)
def test_a_damaged_record_is_named(tmp_path, spoil):
    path = tmp_path / "speed.json"
    speed.write(path, record_of(timed([2.0], [1.0])))
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError):
        speed.read(path)


def test_records_are_found_by_their_machine(tmp_path):
    for name in ("", "h100"):
        speed.write(speed.record_path(name, tmp_path), record_of(timed([2.0], [1.0])))
    assert set(speed.recorded(tmp_path)) == {"speed", "speed-h100"}
    for name in ("../up", "a b", ".hidden"):
        with pytest.raises(DataError):
            speed.record_path(name, tmp_path)
    with pytest.raises(DataError, match="no such record"):
        speed.read(tmp_path / "none.json")


def test_an_aim_depends_on_the_machine_and_stands_only_where_it_is_meant():
    one = timed([2.0], [1.0])
    other = dataclasses.replace(one, comparisons=(dataclasses.replace(COMPARED, aimed=False),))
    for accelerator, aim in ((False, 1.5), (True, 20.0)):
        table = speed.ratios_table(record_of(one, other, accelerator=accelerator))
        assert table["aim"].fillna(0).tolist() == [aim, 0]
    assert speed.ratios_table(record_of(one, part="smote"))["aim"].isna().all()


def test_rates_are_amounts_over_seconds():
    table = speed.rates_table(record_of(timed([2.0, 4.0], [1.0, 1.0]))).set_index("way")
    assert table.loc["a", ["low", "median", "high"]].tolist() == [25.0, 37.5, 50.0]


def test_what_is_recorded_in_this_repository_can_be_read():
    for record in speed.recorded().values():
        table = speed.ratios_table(record)
        assert (table["low"] <= table["median"]).all()
        assert (table["median"] <= table["high"]).all()


# Seconds to accuracy


def test_the_first_epoch_that_reaches_a_level_counts():
    found = speed.seconds_to_accuracy(
        history([30.0, 10.0, 10.0, 10.0], [0.2, 0.66, 0.59, 0.71]), [0.6, 0.65, 0.7, 0.72]
    )
    assert found[0.6] == found[0.65] == 40.0
    assert found[0.7] == 60.0
    assert math.isnan(found[0.72])


def test_start_up_counts_and_a_level_is_reached_when_it_is_met():
    one = history([5.0], [0.6])
    assert speed.seconds_to_accuracy(one, [0.6], start_up=2.5) == {0.6: 7.5}
    assert math.isnan(speed.seconds_to_accuracy(one, [0.600001])[0.600001])


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1)), min_size=1, max_size=20),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_higher_level_is_never_reached_earlier(epochs, levels):
    low, high = sorted(levels)
    seconds, accuracies = zip(*epochs, strict=True)
    found = speed.seconds_to_accuracy(history(seconds, accuracies), [low, high])
    assert math.isnan(found[high]) or found[low] <= found[high]
    assert math.isnan(found[high]) == (max(accuracies) < high)
    best = speed.accuracy_by_time(history(seconds, accuracies))["best"]
    assert best.is_monotonic_increasing
    assert best.iloc[-1] == max(accuracies)


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        (history([], []), {}),
        (history([1.0], [0.5]).drop(columns="seconds"), {}),
        (history([-1.0], [0.5]), {}),
        (history([math.nan], [0.5]), {}),
        (history([1.0], [60.0]), {}),
        (history([1.0], [0.5]), {"levels": [60]}),
        (history([1.0], [0.5]), {"start_up": -1.0}),
    ],
)
def test_a_history_that_tells_no_time_is_refused(table, changes):
    with pytest.raises(DataError):
        speed.seconds_to_accuracy(table, **changes)


def test_runs_stand_beside_each_other_with_what_their_record_knows():
    def run(name, seconds, accuracies, **info):
        folder = runtime.RESULTS / name
        whole = {"model": "cnn3", "hardware": "two cores", **info}
        return records.Run(folder, whole, history(seconds, accuracies), None, None)

    table = speed.seconds_to_accuracy_table(
        [
            run("old", [20.0, 10.0], [0.5, 0.61]),
            run("new", [20.0, 10.0], [0.5, 0.61], start_up_seconds=4.0),
        ]
    )
    assert table["60 %"].tolist() == [30.0, 34.0]
    assert table["start_up"].isna().tolist() == [True, False]
    assert table["first_epoch"].tolist() == [20.0, 20.0]
    assert table["72 %"].isna().all()


# Faces in any number, and processes


@pytest.fixture(scope="module")
def sample():
    return datasets.load("sample")


def test_repeated_faces_differ_a_little_and_the_first_ones_not_at_all(sample):
    rows = len(sample) + 300
    many = data.many_faces("sample", rows)
    assert np.array_equal(many.images[: len(sample)], sample.images)
    assert np.array_equal(many.labels[len(sample) :], sample.labels[:300])
    difference = many.images[len(sample) :].astype(int) - sample.images[:300]
    assert np.abs(difference).max() == 2
    assert difference.any(axis=(1, 2, 3)).all()
    assert np.array_equal(data.many_faces("sample", rows).images, many.images)


def test_few_faces_come_from_all_splits():
    few = data.many_faces("sample", 100)
    assert len(few) == 100
    assert set(few.split) == set(datasets.SPLITS)
    assert set(data.many_faces("sample", 50, split="training", size=32).split) == {"training"}


def test_the_csv_is_read_as_fer2013(tmp_path, sample):
    rows = len(sample) + 5
    again = fer2013.read_csv(data.write_csv(tmp_path / "fer2013.csv", "sample", rows))
    assert len(again) == rows
    assert np.array_equal(again.images[: len(sample)], sample.images)
    assert np.array_equal(again.images[len(sample) :], sample.images[:5])
    assert again.split[-5:].tolist() == sample.split[:5].tolist()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_a_peak_is_this_process_s_own_and_begins_anew():
    held = np.ones(100 * 2**20, np.uint8)
    before = processes.peak_megabytes()
    assert before > held.nbytes / 1e6
    assert processes.memory_megabytes() > held.nbytes / 1e6
    del held
    if not processes.reset_peak():
        pytest.skip("this system does not let a peak begin anew")
    assert processes.peak_megabytes() < before - 50


def test_a_task_is_done_in_a_process_of_its_own():
    touched = processes.ask_child("memory", {"bytes": 32_000_000})["memory"]
    assert touched["seconds"] > 0
    assert math.isnan(touched["megabytes"]) or 31 < touched["megabytes"] < 40
    found = processes.ask_child("draws", {"rows": 256})["draws"]
    assert found["seconds"] > 0
    with pytest.raises(DataError, match="ended with code 1"):
        processes.ask_child("no such task", {})


def test_a_size_that_does_not_fit_is_left_out_and_said_so(monkeypatch):
    def answer(task, asked):
        names = {"feeding": ("set-up", "steps"), "load_csv": ("csv",), "load_cache": ("cache",)}
        rows = asked.get("rows", 100)
        if task == "draws" and rows > 100:
            raise DataError("its process ended with signal 9")
        megabytes = rows if task == "smote" else 1.0
        found = {"seconds": 0.1, "megabytes": megabytes}
        return dict.fromkeys(names.get(task, (task,)), found)

    monkeypatch.setattr(growing, "ask_child", answer)
    monkeypatch.setattr(growing, "available_megabytes", lambda: 200.0)
    plan = dataclasses.replace(plan_for("sample", quick=True), growth_rows=(100, 200, 400))
    steps = []
    found = {one.task: one for one in growing.measure(plan, lambda: steps.append(1))}
    assert len(steps) == growing.sizes(plan)
    assert found["evaluation"].rows == (100, 200, 400)
    assert found["SMOTE"].rows == (100, 200)
    assert "from 400 rows on not measured: about 0.3 GB needed, 0.2 GB free" in found["SMOTE"].note
    assert found["an epoch's draws"].rows == (100,)
    assert "signal 9" in found["an epoch's draws"].note


def test_a_task_that_fails_at_the_smallest_size_is_no_matter_of_memory(monkeypatch):
    def answer(task, asked):
        raise DataError("broken")

    monkeypatch.setattr(growing, "ask_child", answer)
    with pytest.raises(DataError, match="broken"):
        growing.measure(plan_for("sample", quick=True))


# The command


@pytest.fixture
def own_environment(monkeypatch):
    """Let what the command sets for its children go away again."""
    for name in ("XLA_PYTHON_CLIENT_PREALLOCATE", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.setenv(name, "true")


def test_the_command_measures_records_and_draws(tmp_path, capsys, own_environment):
    arguments = ["--quick", "--data", "sample", "--only", "inference,augmentation"]
    folders = ["--results", str(tmp_path / "results"), "--figures", str(tmp_path)]
    assert command.main([*arguments, "--record", "here", "--note", "a try", *folders]) == 0
    record = speed.read(speed.record_path("here", tmp_path / "results"))
    assert list(record.parts) == ["augmentation", "inference"]
    about = record.parts["inference"].about
    assert about["note"] == "a try"
    assert about["quick"] is True
    assert set(about) >= {"measured", "seconds", "load", "versions", "commit", "command"}
    table = speed.ratios_table(record)
    assert table.loc[table["aim"].notna(), "case"].tolist() == [
        "augmentation alone",
        "inference, one face",
    ]
    assert (table["low"] > 0).all()
    printed = capsys.readouterr().out
    assert "ratio, compiled warp / ImageDataGenerator" in printed
    assert "aim 10" in printed
    assert (tmp_path / "speed-here.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "augmentation,nothing"], "nothing"),
        (["--quick", "--record"], "--results"),
    ],
)
def test_a_wrong_command_line_is_refused(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_growth_is_only_run_where_it_is_asked_for():
    assert set(command.PARTS) - set(command.DEFAULT) == {"growth"}


def test_every_plan_compares_whole_steps():
    for plan in (Plan("sample"), plan_for("sample", accelerator=True), plan_for("sample")):
        assert plan.steps % 16 == 0  # a shorter call at the end would be compiled apart
        assert plan.faces % plan.batch_size == 0


# The figures


def test_the_figures_say_what_the_tables_hold():
    before = dict(matplotlib.rcParams)
    short = timed([2.0], [1.9], case="short")
    record = record_of(timed([4.0, 5.0, 6.0], [2.0, 2.0, 2.0], case="far"), short)
    shares = record_of(timed([1.0], [2.5], case="vgg16"), part="arithmetic")
    table = pd.concat([speed.ratios_table(record), speed.ratios_table(shares)])
    ratios = figures.speed_ratios(table, title="ratios")
    written = said(ratios)
    assert {"far: b / a", "short: b / a", "vgg16", "2.5×", "2.0× … 3.0×", "40%"} <= set(written)
    assert len(ratios.axes) == 2
    points = speed.growth_points(record_of(growths=[grown(1), grown(2, task="square")]))
    growth = figures.growth_curves(points, title="growth")
    assert {"a task", "square", "as the rows"} <= set(said(growth))
    curve = speed.accuracy_by_time(history([30.0, 600.0], [0.5, 0.66]))
    times = figures.accuracy_by_time({"a run": curve}, speed.LEVELS, title="times")
    for figure in (ratios, growth, times):
        assert len(figure._repr_png_()) > 3000
    assert {"a run: 66.0%", "60%", "72%", "1 min"} <= set(said(times))
    assert dict(matplotlib.rcParams) == before


def test_a_ratio_short_of_its_aim_is_hollow():
    table = speed.ratios_table(record_of(timed([2.0], [1.0]), timed([1.2], [1.0])))
    figure = figures.speed_ratios(table)
    faces = [
        line.get_markerfacecolor()
        for line in figure.axes[0].lines
        if line.get_marker() == "o" and len(line.get_xdata()) == 1
    ]
    assert [face == "white" for face in faces] == [False, True]


def test_nothing_to_draw_is_refused():
    table = speed.ratios_table(record_of(timed([2.0], [1.0])))
    for wrong in (table.iloc[:0], table.drop(columns="aim"), table.assign(low=0.0)):
        with pytest.raises(DataError):
            figures.speed_ratios(wrong)
    with pytest.raises(DataError):
        figures.growth_curves(speed.growth_points(record_of(timed([2.0], [1.0]))))
    with pytest.raises(DataError):
        figures.accuracy_by_time({}, [0.6])
