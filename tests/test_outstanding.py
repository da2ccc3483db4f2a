"""Runs that have not been made: the named, empty rows, and what wants a GPU."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from utils import outstanding, records, runtime
from utils.ablation.command import LEFT
from utils.runtime import ModelError

# ------------------------------------------------------------------------- what was not run

ENTRY = {
    "model": "vgg16",
    "dataset": "fer2013",
    "balance": "none",
    "reason": "it takes a day",
    "command": "python train.py --model vgg16 --data fer2013",
}


def finish(folder, model="vgg16", dataset="fer2013", balance="none"):
    """Write what makes a run a finished one."""
    folder.mkdir(parents=True)
    info = {"model": model, "dataset": dataset, "settings": {"balance": balance}}
    records.write_info(folder, info)
    for name in ("history.csv", "validation.npz", "test.npz"):
        (folder / name).write_bytes(b"")


def test_what_was_not_run_is_listed_until_it_is_recorded(tmp_path):
    assert outstanding.not_run(tmp_path) == []
    (tmp_path / "not_run.json").write_text(json.dumps([ENTRY, {**ENTRY, "model": "resnet"}]))
    assert [one.model for one in outstanding.not_run(tmp_path)] == ["vgg16", "resnet"]
    finish(tmp_path / "a", dataset="expw")
    finish(tmp_path / "b", balance="smote")
    assert len(outstanding.not_run(tmp_path)) == 2
    finish(tmp_path / "c")
    assert [one.model for one in outstanding.not_run(tmp_path)] == ["resnet"]


def test_an_unfinished_run_is_still_not_run(tmp_path):
    (tmp_path / "not_run.json").write_text(json.dumps([ENTRY]))
    finish(tmp_path / "a")
    (tmp_path / "a" / "test.npz").unlink()
    assert outstanding.not_run(tmp_path) == [outstanding.NotRun(**ENTRY)]


@pytest.mark.parametrize(
    "text", ["", "{", "3", '{"model": "vgg16"}', '[{"model": "vgg16"}]', '["vgg16"]', "[3]"]
)
def test_a_damaged_list_is_named(tmp_path, text):
    (tmp_path / "not_run.json").write_text(text)
    with pytest.raises(ModelError, match=r"not_run\.json"):
        outstanding.not_run(tmp_path)


def test_the_repository_s_own_list_can_be_read():
    from utils import models

    for one in outstanding.not_run():
        assert one.model in models.NETWORKS
        assert f"--model {one.model}" in one.command


def test_what_is_planned_counts_as_recorded_when_it_is_finished(tmp_path):
    entry = {"part": "recipe", "name": "best-0", "command": "python train.py", "why": "to see"}
    grown = {**entry, "name": "ablation-x", "runs": 2}
    file = tmp_path / outstanding.PLANNED
    file.write_text(json.dumps([entry, grown]))
    assert not outstanding.planned(tmp_path)["recorded"].any()
    for name in ("best-0", "ablation-x"):
        (tmp_path / name).mkdir()
    (tmp_path / "best-0" / "run.json").write_text("{}")
    (tmp_path / "ablation-x" / "lines.csv").write_text("line,seed\nrecipe,0\n")
    assert not outstanding.planned(tmp_path)["recorded"].any()
    for name in records.FILES:
        (tmp_path / "best-0" / name).touch()
    (tmp_path / "ablation-x" / "lines.csv").write_text("line,seed\nrecipe,0\nrecipe,1\n")
    assert outstanding.planned(tmp_path)["recorded"].all()
    for damaged in ("{", "{}", "[1]", json.dumps([entry, entry]), json.dumps([{"name": "a"}])):
        file.write_text(damaged)
        with pytest.raises(ModelError, match=r"planned\.json"):
            outstanding.planned(tmp_path)


# ------------------------------------------------------------------------------ making them


def plan_of(folder, *entries):
    """Plan runs: (name, part, Python statements that are to make it)."""
    listed = [
        {
            "part": part,
            "name": name,
            "command": f"FOLDER={shlex.quote(str(folder / name))} python -c {shlex.quote(code)}",
            "why": "to see",
        }
        for name, part, code in entries
    ]
    (folder / outstanding.PLANNED).write_text(json.dumps(listed))


MAKE = f"""
import os, pathlib
folder = pathlib.Path(os.environ["FOLDER"])
folder.mkdir()
for name in {records.FILES}:
    (folder / name).touch()
"""


def test_what_is_planned_is_made_in_order_and_once(tmp_path, capfd):
    plan_of(tmp_path, ("a", "recipe", MAKE), ("bad", "recipe", "exit(5)"), ("b", "other", MAKE))
    expected = {"a": "recorded", "bad": "exit status 5", "b": "recorded"}
    assert outstanding.run(1, results=tmp_path) == expected
    assert outstanding.planned(tmp_path)["recorded"].tolist() == [True, False, True]
    assert list(outstanding.run(1, results=tmp_path)) == ["bad"]
    assert "bad: exit status 5" in capfd.readouterr().out


def test_parts_of_the_plan_can_be_chosen(tmp_path):
    plan_of(tmp_path, ("a", "recipe", MAKE), ("b", "other", MAKE))
    assert outstanding.run(1, parts=["other"], results=tmp_path) == {"b": "recorded"}
    with pytest.raises(ModelError, match="'nothing'; there are recipe, other"):
        outstanding.run(1, parts=["nothing"], results=tmp_path)


SLEEP = """
import os, pathlib, time
pathlib.Path(os.environ["FOLDER"]).with_suffix(".pid").write_text(str(os.getpid()))
time.sleep(600)
"""


def lives(file):
    """Tell whether the process whose number stands in a file is there."""
    try:
        os.kill(int(file.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def test_a_command_is_ended_when_the_time_is_over(tmp_path):
    plan_of(tmp_path, ("slow", "recipe", SLEEP), ("b", "recipe", MAKE))
    assert outstanding.run(0.05, results=tmp_path) == {"slow": "time is up"}
    assert not lives(tmp_path / "slow.pid")


def test_told_to_end_it_ends_its_command(tmp_path):
    plan_of(tmp_path, ("slow", "recipe", SLEEP))
    code = (
        "import pathlib, sys; from utils import outstanding, runtime; "
        f"runtime.RESULTS = pathlib.Path({str(tmp_path)!r}); "
        "sys.exit(outstanding.main(['--minutes', '9']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=runtime.ROOT)
    file = tmp_path / "slow.pid"
    while not (file.is_file() and file.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert not lives(file)


def test_a_command_with_a_time_of_its_own_goes_on(tmp_path):
    twice = f"""
import os, pathlib
seen = pathlib.Path(os.environ["FOLDER"]).with_suffix(".seen")
if not seen.exists():
    seen.touch()
    exit({LEFT})
{MAKE}"""
    plan_of(tmp_path, ("a", "ablation", twice))
    assert outstanding.run(1, results=tmp_path) == {"a": "recorded"}


def test_what_cannot_be_started_does_not_end_the_others(tmp_path):
    plan_of(tmp_path, ("lost", "recipe", ""), ("empty", "recipe", ""), ("a", "recipe", MAKE))
    entries = json.loads((tmp_path / outstanding.PLANNED).read_text())
    entries[0]["command"], entries[1]["command"] = "no-such-program --please", "KERAS_BACKEND=jax"
    (tmp_path / outstanding.PLANNED).write_text(json.dumps(entries))
    found = outstanding.run(1, results=tmp_path)
    assert "no-such-program" in found["lost"]
    assert found["empty"] == "cannot be started: found no command"
    assert found["a"] == "recorded"


def test_the_command_line_lists_and_refuses(tmp_path, monkeypatch, capsys):
    plan_of(tmp_path, ("a", "recipe", MAKE), ("b", "other", "exit(1)"))
    monkeypatch.setattr(runtime, "RESULTS", tmp_path)
    assert outstanding.main(["--minutes", "1"]) == 1
    capsys.readouterr()
    assert outstanding.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["recorded", "recipe", "a"],
        ["not", "run", "other", "b"],
    ]
    assert outstanding.main(["--part", "recipe"]) == 0
    assert capsys.readouterr().out.split() == ["recorded", "recipe", "a"]
    assert outstanding.main(["--part", "recipe", "--minutes", "1"]) == 0
    assert outstanding.main(["--part", "typo"]) == 1
    assert "there are recipe, other" in capsys.readouterr().err
    plan_of(tmp_path, ("slow", "recipe", SLEEP))
    assert outstanding.main(["--minutes", "0.02"]) == LEFT
    with pytest.raises(SystemExit):
        outstanding.main(["--minutes", "0"])
    (tmp_path / outstanding.PLANNED).write_text("{")
    assert outstanding.main([]) == 1
    assert "planned.json" in capsys.readouterr().err
