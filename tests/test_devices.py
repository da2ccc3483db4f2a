"""Several devices and machines learn what one learns, and leave one record.

Devices are simulated on the processor, machines are processes on the loopback. What must be set
before an engine starts is set in a process of its own: for each backend one process imports
everything, and is forked for each training.
"""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import train
from utils import records, runtime
from utils.training import Settings, devices
from utils.training.devices import Spread

BACKENDS = ("tensorflow", "jax")
TEACHER = "teacher.keras"
COLUMNS = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
ENGINES = {"tensorflow": "MirroredStrategy", "jax": "DataParallel"}


def settings(**changes):
    """Small, and with everything in it that a batch's parts could get wrong, but dropout."""
    given = {
        "model": "cnn3",
        "network": {"filters": [4, 4, 8], "dense": 8, "momentum": 0.5},
        "size": 16,
        "epochs": 2,
        "batch_size": 16,
        "balance": "weights",
        "mixup": 0.4,
        "cutmix": 1.0,
        "erasing": 0.5,
        "augmentation": None,
    }
    return Settings(**{**given, **changes})


# --- in the processes that train -----------------------------------------------------------------


def learn(folder: Path, count, **more):
    """Train on 54 faces, with 7 for validation: an odd number, which two cannot share."""
    from test_training import faces

    from utils import training

    spread = devices.spread(count)
    taught = {"teachers": (str(folder.parent / TEACHER),), "taught": 0.5}
    plan = settings(**taught, **more.pop("changes", {}))
    return training.train(faces(75), plan, folder=folder, verbose=0, spread=spread, **more)


def make_teacher(folder: Path):
    """Save a network that teaches in every training."""
    from utils import models

    plan = settings()
    runtime.setup(1)
    network = models.build(plan.model, (plan.size, plan.size, 1), **plan.network)
    models.save(models.Classifier(network), folder / TEACHER)


def one_and_two(folder: Path):
    """Train on one device, and on two that this process simulates."""
    two_devices()
    learn(folder / "one", 1)
    learn(folder / "two", 2)
    import keras

    if keras.backend.backend() == "jax":
        learn(folder / "stream", 2, changes={"feed": "stream"})


def two_devices():
    import keras

    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", 2)
        return
    import tensorflow

    cpu = tensorflow.config.list_physical_devices("CPU")[0]
    two = [tensorflow.config.LogicalDeviceConfiguration()] * 2
    tensorflow.config.set_logical_device_configuration(cpu, two)


def worker(folder: Path, number: int, ports: list[int], killed: bool):
    """Train as one process of two; only the chief may write, and the other may be killed."""
    addresses = [f"127.0.0.1:{port}" for port in ports]
    os.environ["TF_CONFIG"] = json.dumps(
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
    )
    os.environ["KERAS_DISTRIBUTION_JOB_ADDRESSES"] = ",".join(addresses)
    os.environ["KERAS_DISTRIBUTION_NUM_PROCESSES"] = "2"
    os.environ["KERAS_DISTRIBUTION_PROCESS_ID"] = str(number)
    if number == 1:
        runtime.write_atomically = runtime.move_into_place = refuse

    def after_epoch(epoch, results):
        if killed and number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    run = learn(folder / "cluster", None, after_epoch=after_epoch)
    assert records.is_finished(run.folder)


def refuse(*arguments):
    raise AssertionError(f"a process that is not the chief writes {arguments}")


def started(work, *arguments) -> int:
    """Do some work in a copy of this process; return the copy's number."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work(*arguments)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(child: int) -> int:
    """Wait for a copy of this process; return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def main(folder: Path):
    """Do every training of a backend, one after the other."""
    runtime.setup(0)
    import utils.training.runs  # noqa: F401  # what is imported here, no copy imports again

    codes = {"teacher": ended(started(make_teacher, folder))}
    codes["one and two"] = ended(started(one_and_two, folder))
    ports = free_ports(2)
    workers = [started(worker, folder, number, ports, True) for number in (0, 1)]
    codes["killed worker"] = ended(workers[1])
    codes["chief left alone"] = ended(workers[0])
    codes["epochs before"] = len(records.read_history(folder / "cluster"))
    ports = free_ports(2)
    workers = [started(worker, folder, number, ports, False) for number in (0, 1)]
    for number in (0, 1):
        codes[f"worker {number}"] = ended(workers[number])
    (folder / "codes.json").write_text(json.dumps(codes))


# --- the tests -----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=BACKENDS)
def trained(request, tmp_path_factory):
    """Every training of a backend: the folder that holds them, and how the processes ended."""
    if sys.platform != "linux":
        pytest.skip("the trainings are forked after their imports, which only Linux does safely")
    pytest.importorskip(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    text = (
        f"import sys; sys.path[:0] = {[str(runtime.ROOT), str(runtime.ROOT / 'tests')]!r}\n"
        f"from pathlib import Path; import test_devices; test_devices.main(Path({str(folder)!r}))"
    )
    surroundings = {
        **os.environ,
        "KERAS_BACKEND": request.param,
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # compiling takes longer than these trainings
    }
    with (folder / "said.txt").open("w") as said:
        child = subprocess.Popen(
            [sys.executable, "-c", text],
            env=surroundings,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        deadline = time.monotonic() + 600
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    said = (folder / "said.txt").read_text()
    assert (folder / "codes.json").is_file(), f"not all trainings came to an end:\n{said[-6000:]}"
    return request.param, folder, json.loads((folder / "codes.json").read_text()), said


def test_two_devices_learn_what_one_learns(trained):
    backend, folder, codes, said = trained
    assert codes["one and two"] == 0, said[-6000:]
    one, two = records.load(folder / "one"), records.load(folder / "two")
    np.testing.assert_allclose(two.history[COLUMNS], one.history[COLUMNS], rtol=1e-4, atol=1e-5)
    for split in ("validation", "test"):
        np.testing.assert_allclose(
            getattr(two, split).probabilities, getattr(one, split).probabilities, atol=2e-3
        )
    assert one.info["settings"] == two.info["settings"]
    assert codes["teacher"] == 0
    assert one.info["settings"]["teachers"]
    assert [(run.info["devices"], run.info["processes"]) for run in (one, two)] == [(1, 1), (2, 1)]
    assert backend == one.info["backend"]


def test_the_saved_network_is_the_same_kind_of_network(trained):
    """What was switched on for several devices stays out of what is kept."""
    from utils import models

    _, folder, _, _ = trained
    one, two = (models.load(folder / name / "model.keras").model for name in ("one", "two"))
    assert one.get_config() == two.get_config()


def test_jax_feeds_two_devices_from_disk(trained):
    backend, folder, codes, said = trained
    if backend != "jax":
        pytest.skip("under TensorFlow several devices take their faces from their own memory only")
    assert codes["one and two"] == 0, said[-6000:]
    one, two = records.load(folder / "one"), records.load(folder / "stream")
    np.testing.assert_allclose(two.history[COLUMNS], one.history[COLUMNS], rtol=1e-4, atol=1e-5)


def test_a_killed_worker_s_run_goes_on_to_what_one_device_learns(trained):
    _, folder, codes, said = trained
    assert (codes["killed worker"], codes["chief left alone"]) == (-signal.SIGKILL, 1), said[-6000:]
    assert codes["epochs before"] == 1
    assert (codes["worker 0"], codes["worker 1"]) == (0, 0), said[-6000:]
    one, cluster = records.load(folder / "one"), records.load(folder / "cluster")
    np.testing.assert_allclose(cluster.history[COLUMNS], one.history[COLUMNS], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(cluster.test.probabilities, one.test.probabilities, atol=2e-3)
    assert (cluster.info["devices"], cluster.info["processes"]) == (2, 2)
    assert [start["epoch"] for start in cluster.info["resumed"]] == [1]
    assert {file.name for file in cluster.folder.iterdir()} == {*records.FILES, "model.keras"}


@hypothesis.given(
    devices=st.integers(1, 4), pairs=st.integers(1, 4), steps=st.integers(1, 3), parts=st.integers()
)
def test_tensorflow_s_parts_pair_faces_as_the_batch_does(devices, pairs, steps, parts):
    batch = 2 * devices * pairs
    places = Spread(devices, engine="MirroredStrategy").places(steps * batch, batch)
    assert sorted(places) == list(range(steps * batch))
    for step in places.reshape(steps, devices, -1):
        first = step.min()
        np.testing.assert_array_equal(step - first + (step[:, ::-1] - first), batch - 1)


@hypothesis.given(
    processes=st.integers(1, 3),
    each=st.integers(1, 2),
    count=st.integers(1, 50),
    size=st.integers(1, 4),
)
def test_jax_s_processes_bring_the_parts_of_each_batch(processes, each, count, size):
    """Side by side the parts are the batch, as one process would have brought it."""
    batch = size * processes * each
    spreads = [
        Spread(processes * each, processes, number, "DataParallel") for number in range(processes)
    ]
    filled = spreads[0].filled(count)
    assert 0 <= filled - count < processes * each
    own = [spread.places(filled, batch) for spread in spreads]
    local = spreads[0].local(batch)
    assert len({len(places) for places in own}) == 1
    together = [
        np.concatenate([places[start : start + local] for places in own])
        for start in range(0, len(own[0]), local)
    ]
    np.testing.assert_array_equal(np.concatenate(together), range(filled))


@pytest.mark.parametrize(
    ("spread", "changes", "said"),
    [
        (Spread(3), {}, "a batch of 16 cannot be shared by 3 devices"),
        (Spread(16, engine="MirroredStrategy"), {}, "must divide by 32"),
        (Spread(2, engine="MirroredStrategy"), {"feed": "stream"}, "feed must be 'device'"),
        (Spread(2, 2, 1, "MultiWorkerMirroredStrategy"), {"feed": "generator"}, "'generator'"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_anything_is_written(
    spread, changes, said, tmp_path
):
    from test_training import faces

    from utils import training

    with pytest.raises(ValueError, match=said):
        training.train(faces(70), settings(**changes), folder=tmp_path / "run", spread=spread)
    assert list(tmp_path.iterdir()) == []


def test_what_can_be_shared_is_not_refused():
    Spread(16, engine="DataParallel").check(settings())
    Spread(2, engine="DataParallel").check(settings(feed="stream"))
    plain = dataclasses.replace(settings(), mixup=0.0, cutmix=0.0)
    Spread(16, engine="MirroredStrategy").check(plain)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--devices", "4096"], "asked for 4096 devices; there are "),
        (["--devices", "0"], "1 device or more"),
        (["--devices", "most"], "--devices"),
    ],
)
def test_a_wrong_number_of_devices_ends_the_command(words, said, capsys):
    with pytest.raises(SystemExit) as left:
        train.main(words)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_a_broken_cluster_variable_ends_the_command(monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", "{cluster")
    with pytest.raises(SystemExit) as left:
        train.main([])
    assert left.value.code == 2
    assert "TF_CONFIG" in capsys.readouterr().err
