"""Workers on several machines share a study in a real PostgreSQL, which the tests start.

A machine is a copy of the code with its own folders: workers do not see another's checkpoints.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pytest

from experiments import search
from utils.runtime import ModelError

pytestmark = pytest.mark.slow

PASSWORD = secrets.token_urlsafe(24)
EPOCHS = 8
MARK = 0.123456  # no accuracy of 200 validation faces
COMMAND = (
    f"-m experiments.search --study shared --data sample --rows 70 --size 16 --epochs {EPOCHS} "
    "--trials 5 --batch-size 35 --filters 2 4 --heartbeat 10 --record"
).split()


def program(name: str) -> str:
    """Find a PostgreSQL program; Debian puts them outside the path."""
    there = [shutil.which(name), *sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))]
    if not (found := [str(one) for one in there if one]):
        pytest.skip(f"PostgreSQL is not installed: no {name}")
    return found[0]


@pytest.fixture(scope="module")
def server():
    """Start a PostgreSQL on this machine's loopback; give its port, and stop it at the end."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    how = {"check": True, "stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            users = {one.pw_name for one in pwd.getpwall()}
            how["user"] = "postgres" if "postgres" in users else "nobody"
            shutil.chown(folder, how["user"])
        (word := Path(folder, "password")).write_text(PASSWORD)
        how["cwd"], data = folder, f"--pgdata={folder}/data"
        access = ["--auth=scram-sha-256", f"--pwfile={word}", "--username=course"]
        subprocess.run([initdb, data, *access, "--no-sync", "--locale=C"], **how)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        options = f"-h 127.0.0.1 -p {port} -k '' -c fsync=off"
        start = [pg_ctl, data, "--wait", f"--log={folder}/log", "-o", options]
        subprocess.run([*start, "start"], **how)
        yield port
        subprocess.run([pg_ctl, data, "--mode=immediate", "stop"], **how)


@pytest.fixture
def url(server, monkeypatch) -> str:
    """Make a database of the test's own."""
    import psycopg

    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    address = f"postgresql://course@127.0.0.1:{server}/"
    name = f"study_{secrets.token_hex(4)}"
    with psycopg.connect(f"{address}postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return address + name


@pytest.fixture(autouse=True)
def studies(monkeypatch, tmp_path):
    monkeypatch.setattr(search, "STUDIES", tmp_path / "studies")


@pytest.fixture
def machines(root, tmp_path) -> list[Path]:
    for name in "ab":
        for package in ("utils", "experiments"):
            shutil.copytree(root / package, tmp_path / name / package)
    return [tmp_path / "a", tmp_path / "b"]


def begin(machine: Path, url: str) -> subprocess.Popen:
    """Start a worker; its output goes to worker-NUMBER.txt."""
    path = machine / f"worker-{len(list(machine.glob('worker-*.txt')))}.txt"
    start = [sys.executable, *COMMAND, "--storage", url]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with path.open("wb") as said:
        how = {"stdout": said, "stderr": said, "stdin": subprocess.DEVNULL, "env": environment}
        return subprocess.Popen(start, cwd=machine, **how)


def kill_in_a_trial(worker: subprocess.Popen, machine: Path, url: str) -> tuple[int, Path]:
    """Kill a worker between two epochs of a trial: its number, and the folder of its run."""
    study, deadline = search.open_study("shared", url), time.monotonic() + 900
    while time.monotonic() < deadline:
        time.sleep(0.05)
        for trial in study.get_trials(deepcopy=False):
            if (trial.state.name, trial.user_attrs.get("worker")) != ("RUNNING", str(worker.pid)):
                continue
            worker.send_signal(signal.SIGSTOP)  # what is seen now is what it leaves
            for folder in machine.glob(f"runs/search/shared/{trial.number:03d}-*/run"):
                with contextlib.suppress(FileNotFoundError):
                    if 1 <= len(pd.read_csv(folder / "history.csv")) < EPOCHS:
                        worker.kill()
                        worker.wait()
                        return trial.number, folder
            worker.send_signal(signal.SIGCONT)
        assert worker.poll() is None, "it ended before it could be killed"
    raise AssertionError("no trial to kill it in")


def test_four_workers_on_two_machines_lose_no_trial_when_two_are_killed(machines, url):
    here, there = machines
    workers = [begin(here, url), begin(here, url), begin(here, url), begin(there, url)]
    first, folder = kill_in_a_trial(workers[0], here, url)
    history = pd.read_csv(folder / "history.csv")
    history.loc[0, "val_accuracy"] = MARK  # shows whether the worker that resumes reads this file
    history.to_csv(folder / "history.csv", index=False)
    second, lost_folder = kill_in_a_trial(workers[3], there, url)
    assert [one.wait(timeout=1800) for one in workers[1:3]] == [0, 0]

    found = search.read(search.open_study("shared", url))
    trials = found.trials.set_index("trial")
    ended = trials[trials["state"].isin(["complete", "pruned"])]
    assert len(ended) == 5
    assert not ended[[*search.SPACE]].duplicated().any()
    lost = trials[trials["state"] == "failed"]  # on a busy machine, a late heartbeat loses one too
    assert {first, second} <= set(lost.index)
    assert set(trials["state"]) == {"failed", *ended["state"]}
    assert len(lost.merge(ended[[*search.SPACE]])) == len(lost)
    assert trials.loc[[first, second], "worker"].tolist() == [
        str(workers[0].pid),
        str(workers[3].pid),
    ]
    for number, goes_on in ((first, True), (second, False)):
        chosen = trials.loc[number, [*search.SPACE]].tolist()
        (again,) = ended.index[(ended[[*search.SPACE]] == chosen).all(axis=1)]
        assert ended.loc[again, "worker"] in {str(one.pid) for one in workers[1:3]}
        reached = found.epochs[found.epochs["trial"] == again]
        assert reached["epoch"].tolist() == list(range(1, len(reached) + 1))
        assert (reached["val_accuracy"].iloc[0] == MARK) == goes_on
    complete = ended[ended["state"] == "complete"]
    assert set(complete["epochs"]) == {EPOCHS}
    assert list((here / "runs/search/shared").iterdir()) == []
    assert lost_folder.is_dir()

    recorded = search.load("shared", folder=here / "results")
    pd.testing.assert_frame_equal(recorded.trials, found.trials, check_dtype=False)
    assert "--storage postgresql://course" in recorded.info["command"]
    files = [file for one in machines for file in one.rglob("*") if file.is_file()]
    assert {"search.json", "worker-2.txt", "history.csv"} <= {file.name for file in files}
    assert [file for file in files if PASSWORD.encode() in file.read_bytes()] == []


RACE = """
import sys
from pathlib import Path
from experiments import search

search.STUDIES = Path(sys.argv[1])
print(flush=True)
input()
print(search.open_study("shared", sys.argv[2]).study_name)
"""


def test_machines_that_open_an_empty_database_at_once_all_get_the_study(root, tmp_path, url):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    start = [sys.executable, "-c", RACE]
    ready = [
        subprocess.Popen([*start, str(tmp_path / name), url], cwd=root, **pipes) for name in "abcd"
    ]
    for one in ready:
        assert one.stdout.readline() == "\n"
    for one in ready:
        one.stdin.write("\n")
        one.stdin.flush()
    assert [one.communicate()[0] for one in ready] == ["shared\n"] * 4


def test_what_cannot_be_opened_is_said_in_one_sentence(url, root, monkeypatch):
    server, name = url.rsplit("/", 1)
    for address, reason in [
        (f"{server}/nowhere", 'database "nowhere" does not exist'),
        (f"postgresql://course@127.0.0.1:1/{name}", "Connection refused"),
    ]:
        with pytest.raises(ModelError, match=r"^the database .* cannot be opened: ") as caught:
            search.open_study("shared", address)
        assert reason in str(caught.value)
    monkeypatch.setenv("PGPASSWORD", "wrong")
    start = [sys.executable, *COMMAND, "--storage", url]
    done = subprocess.run(start, cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("search.py: the database postgresql://course@127.0.0.1")
    assert "password authentication failed" in done.stderr
    assert done.stderr.count("\n") == 1
