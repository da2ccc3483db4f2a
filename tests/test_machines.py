"""Several machines, as network namespaces joined by a bridge: one training run, one record."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from utils import records, runtime
from utils.training import devices

NUMBERS = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
WORDS = ["train.py", "--model", "cnn3", "--network", '{"filters": [4, 8, 8], "dense": 8}']
WORDS += ["--size", "16", "--batch-size", "32", "--epochs", "4", "--name", "run", "--verbose", "0"]
WORDS += ["--rotation", "0", "--zoom", "0", "--shift", "0"]  # compiling them takes long
#: Seconds; JAX itself gives up a machine that is gone after 100, and waits 300 at its end.
PATIENCE = 900


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def hosts():
    """Join four hosts, each with an address, a name and a hosts file of its own."""
    if not shutil.which("ip") or not shutil.which("unshare") or os.geteuid():
        pytest.skip("hosts are network namespaces: they need root, ip and unshare")
    bridge = f"fx{os.getpid()}"
    names = [f"{bridge}-{number}" for number in range(4)]
    book = "127.0.0.1 localhost\n" + "".join(
        f"10.213.7.{number} {name}\n" for number, name in enumerate(names, 1)
    )
    try:
        try:
            ip("link", "add", bridge, "type", "bridge")
            ip("netns", "add", names[0])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
        ip("link", "set", bridge, "up")
        for number, name in enumerate(names, 1):
            if number > 1:
                ip("netns", "add", name)
            ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", name, "master", bridge, "up")
            ip("-n", name, "addr", "add", f"10.213.7.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            place = Path("/etc/netns", name)  # which `ip netns exec` lays over /etc
            place.mkdir(parents=True)
            (place / "hosts").write_text(book)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
            shutil.rmtree(Path("/etc/netns", name), ignore_errors=True)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True)


def start(results, hosts=(), extra=([],) * 4):
    """Start the same command on every host; without hosts, once on this machine."""
    started = []
    for number, host in enumerate(hosts or [""]):
        environment = {
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_COMPILATION_CACHE_DIR": str(results.parent.parent / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        inside = []
        if host:
            environment |= {
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": "10.213.7.1:9911",
                "KERAS_DISTRIBUTION_NUM_PROCESSES": str(len(hosts)),
                "KERAS_DISTRIBUTION_PROCESS_ID": str(number),
                "TMPDIR": str(results.parent / f"tmp-{number}"),
            }
            (results.parent / f"tmp-{number}").mkdir(exist_ok=True)
            named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host]
            inside = ["ip", "netns", "exec", host, *named]
        command = [*inside, sys.executable, *WORDS, "--results", str(results), *extra[number]]
        with (results.parent / f"log-{number}").open("w") as log:
            started.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    cwd=Path(__file__).parent.parent,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    return started


def finish(started, results):
    """Wait for all, end what does not end by itself, and return exit codes and output."""
    try:
        codes = [one.wait(PATIENCE) for one in started]
    finally:
        for one in started:
            one.kill()
    return codes, [(results.parent / f"log-{number}").read_text() for number in range(len(started))]


def train(results, hosts=()):
    results.parent.mkdir(exist_ok=True)
    codes, said = finish(start(results, hosts), results)
    assert codes == [0] * len(codes), "\n".join(text[-3000:] for text in said)
    return records.load("run", results), said


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return train(tmp_path_factory.mktemp("alone") / "results")[0]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_machines_learn_what_one_learns_and_keep_one_record(tmp_path, hosts, alone, count):
    """Including augmentation and dropout: random numbers are drawn for the entire batch."""
    results = tmp_path / "results"
    run, said = train(results, hosts[:count])
    np.testing.assert_allclose(run.history[NUMBERS], alone.history[NUMBERS], rtol=1e-4)
    np.testing.assert_allclose(run.test.probabilities, alone.test.probabilities, atol=1e-3)
    assert (run.info["processes"], run.info["devices"]) == (count, count)
    assert (alone.info["processes"], alone.info["devices"]) == (1, 1)
    assert sorted(path.name for path in results.iterdir()) == [".run.lock", "run"]
    assert sorted(path.name for path in run.folder.iterdir()) == sorted(
        [*records.FILES, "model.keras"]
    )
    assert all(f"best epoch {run.best_epoch} of 4" in text for text in said)
    # What the others kept for themselves is gone.
    assert [list((tmp_path / f"tmp-{number}").iterdir()) for number in range(count)] == [[]] * count


@pytest.mark.slow
def test_a_machine_is_killed_and_the_same_commands_go_on(tmp_path, hosts, alone):
    results = tmp_path / "results"
    started = start(results, hosts[:2])
    end = time.monotonic() + PATIENCE
    while len(records.read_history(results / "run")) < 2:
        assert time.monotonic() < end
        assert [one.poll() for one in started] == [None, None], (tmp_path / "log-0").read_text()
        time.sleep(0.02)
    started[1].send_signal(signal.SIGKILL)
    codes, _ = finish(started, results)
    assert codes[1] == -signal.SIGKILL
    assert codes[0] != 0
    done = len(records.read_history(results / "run"))
    assert 2 <= done < 4
    run, _ = train(results, hosts[:2])
    assert [one["epoch"] for one in run.info["resumed"]] == [done]
    np.testing.assert_allclose(run.history[NUMBERS], alone.history[NUMBERS], rtol=1e-4)


@pytest.mark.slow
def test_machines_that_were_told_different_things_refuse_together(tmp_path, hosts):
    results = tmp_path / "results"
    codes, said = finish(start(results, hosts[:2], [[], ["--seed", "1"]]), results)
    assert codes == [1, 1]
    assert all("the machines disagree" in text for text in said)
    assert not (results / "run").exists()


def cluster(*addresses):
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}})


def test_tensorflow_refuses_several_machines_and_says_what_to_do(monkeypatch):
    runtime.setup(0)
    monkeypatch.setenv("TF_CONFIG", cluster("10.0.0.1:1"))  # some clouds set it for one machine
    assert devices.choose() == devices.Devices()
    monkeypatch.setenv("TF_CONFIG", cluster("10.0.0.1:1", "10.0.0.2:1"))
    with pytest.raises(ValueError, match=r"issue 20585.*KERAS_BACKEND=jax"):
        devices.choose()
    monkeypatch.delenv("TF_CONFIG")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax"):
        devices.choose()


def test_every_machine_makes_its_part_of_each_batch_and_of_the_validation_faces():
    """Side by side, in the machines' order, they are what one machine makes."""
    runtime.setup(0)
    from utils.training.model import Batches, HeldOut

    faces = np.arange(50, dtype=np.uint8).reshape(50, 1, 1, 1)
    targets, how = np.eye(50, dtype=np.float32), {"batch_size": 8, "seed": 3}
    whole = Batches(faces, targets, **how)
    parts = [Batches(faces, targets, **how, part=(number, 4)) for number in range(4)]
    for batch in range(len(whole)):
        inputs, wanted = whole[batch]
        made = [part[batch] for part in parts]
        np.testing.assert_array_equal(
            np.concatenate([one[0]["faces"] for one in made]), inputs["faces"]
        )
        np.testing.assert_array_equal(np.concatenate([one[1] for one in made]), wanted)
    shares = [
        HeldOut(faces, targets, devices=4, batch_size=8, part=(number, 4)) for number in range(4)
    ]
    batches = [[share[batch] for batch in range(len(share))] for share in shares]
    sizes = [[len(one[1]) for one in share] for share in batches]
    assert sizes == [[8, 5]] * 4  # equally many faces on each, so that batches stay in step
    seen = [one[0]["faces"][one[2] > 0].ravel() for share in batches for one in share]
    assert sorted(np.concatenate(seen)) == list(range(50))
