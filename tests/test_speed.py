"""Speed: what is computed from recorded seconds, and that every part runs. Nothing is timed."""

import os
import shutil

import pytest

from experiments import speed
from utils import runtime
from utils.runtime import DataError


def timing(a, b, *, amounts=(100, 100)):
    compared = {"name": "b / a", "fast": "b", "slow": "a"}
    done = {"amounts": dict(zip("ab", amounts, strict=True)), "seconds": {"a": [*a], "b": [*b]}}
    return {"case": "a case", "unit": "faces", **done, "comparisons": [compared], "settings": {}}


def record_of(*timings, part="training", hardware="a machine"):
    measured = {"timings": list(timings), "about": {}}
    machine = {"hardware": hardware, "backend": "tensorflow", "accelerator": False}
    return {**machine, "parts": {part: measured}}


def ratio(a, b, **options):
    row = speed.ratios_table(record_of(timing(a, b, **options))).iloc[0]
    return row[["low", "median", "high"]].tolist()


def test_a_ratio_is_of_neighbors_in_time_and_counts_what_each_way_did():
    assert ratio([2.0, 40.0, 6.0], [1.0, 10.0, 1.0]) == [2.0, 4.0, 6.0]
    assert ratio([2.0], [2.0], amounts=(10, 30)) == [3.0] * 3
    table = speed.rates_table(record_of(timing([2.0, 4.0], [1.0, 1.0]))).set_index("way")
    assert table.loc["a", ["low", "median", "high"]].tolist() == [25.0, 37.5, 50.0]


def test_a_part_measured_again_takes_the_place_of_the_old_one_and_no_other(tmp_path):
    path = speed.record_path("h100", tmp_path)
    for seconds, part in ((2.0, "training"), (9.0, "smote"), (3.0, "training")):
        speed.write(path, record_of(timing([seconds], [1.0]), part=part))
    with pytest.raises(DataError, match="another machine"):
        speed.write(path, record_of(timing([1.0], [1.0]), hardware="another machine"))
    table = speed.ratios_table(runtime.read_json(path)).set_index("part")
    assert table["median"].to_dict() == {"training": 3.0, "smote": 9.0}


@pytest.mark.parametrize("machine", ["", "one-core", "xeon-amx"])
def test_every_committed_record_is_read(machine):
    record = runtime.read_json(speed.record_path(machine))
    assert (speed.ratios_table(record)["low"] > 0).all()
    assert (speed.rates_table(record)["low"] > 0).all()


def test_ways_take_turns_and_the_first_turn_does_not_count():
    calls = []
    ways = {name: (1, lambda name=name: calls.append(name) or float(len(calls))) for name in "ab"}
    assert speed.timed("", ways, [], 3)["seconds"] == {"a": [3.0, 5.0, 7.0], "b": [4.0, 6.0, 8.0]}
    assert calls == list("abababab")


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Measure in this process, on sample faces; return a folder for records."""
    for name in ("XLA_PYTHON_CLIENT_PREALLOCATE", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setattr(runtime, "RAW", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["augmentation", "inference", "loading", "training"])
def test_every_part_runs_and_is_recorded(here, name):
    (here / "fer2013" / "train").mkdir(parents=True)  # a release in folders: no csv to time
    speed.main([name, "--quick", "--record", "x", "--results", str(here)])
    record = runtime.read_json(here / "benchmarks" / "speed-x.json")
    assert list(record["parts"]) == [name]
    assert set(record["parts"][name]["about"]) >= {"measured", "seconds", "load", "commit"}
    assert (speed.ratios_table(record)["low"] > 0).all()
    assert name != "loading" or "sample" in str(record["parts"])


def test_each_recorded_recipe_gets_a_rate(here, root, monkeypatch):
    fer2013 = ["cnn4-fer2013-none", "cnn4-fer2013-none-taught", "resnet-fer2013-none"]
    for name in (*fer2013, "cnn5-expw-none"):  # the first and the third taught the second
        shutil.copytree(root / "results" / name, here / name)
    monkeypatch.setattr(runtime, "RESULTS", here)
    monkeypatch.setattr(speed, "alone", lambda task, *arguments: task(*arguments))
    table = speed.rates_table({"parts": {"recipes": {"timings": speed.recipes(speed.QUICK)}}})
    assert table["way"].tolist() == fer2013
    assert (table["low"] > 0).all()


def test_memory_is_timed_in_processes_that_begin_with_each_setting(monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "own")
    monkeypatch.setattr(
        speed, "alone", lambda *task: 4.0 if os.environ["GLIBC_TUNABLES"] == "" else 2.0
    )
    found = speed.memory(speed.QUICK)
    assert found[0]["seconds"] == {"as it comes": [4.0], "huge pages": [2.0]}
    assert speed.ratios_table(record_of(*found, part="memory"))["median"].tolist() == [2.0]
    assert os.environ["GLIBC_TUNABLES"] == "own"


def test_a_function_runs_in_a_process_of_its_own():
    assert speed.alone(os.getpid) != os.getpid()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["augmentation", "nothing"], "nothing"), (["--quick", "--record"], "--results")],
)
def test_a_wrong_command_line_is_refused(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        speed.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
