"""``predict.py --engine``: each photo of an archive is in a table once, whatever is killed."""

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import duckdb
import processes
import pytest
from PIL import Image
from pyarrow import parquet

import predict
from utils import inference, photos


@pytest.fixture(scope="module")
def shot(root, tmp_path_factory):
    """Twelve files in two folders: nine portraits, two empty pictures, a broken one."""
    folder = tmp_path_factory.mktemp("photos") / "archive"
    for at, name in enumerate(["astronaut", "hopper", "tesla-older"] * 3):
        with Image.open(root / "data" / "photos" / f"{name}.jpg") as portrait:
            place = folder / ("older" if name.startswith("tesla") else "younger") / f"{at}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            portrait.resize((240, 240)).rotate(at).save(place)
    for name in ("wall.png", "日本 wall.jpg"):
        Image.new("RGB", (90, 70), "gray").save(folder / name)
    (folder / "broken.jpg").write_text("no picture")
    return folder


@pytest.fixture
def ask(ask):
    """Run the command line on an archive with two processes."""
    return lambda *words: ask(*words, "--engine=processes", "--workers=2")


def rows(table):
    return [
        tuple(row.values())
        for part in sorted(table.glob("*.parquet"))
        for row in parquet.read_table(part).to_pylist()
    ]


def expected(folder):
    """Return what a table of `shot` should hold, from reading each photo alone."""
    classifier, _ = photos.load(inference.DEFAULT)
    wanted = []
    for path in sorted(folder.rglob("*.*")):
        if path.name != "broken.jpg":
            found = photos.rows(photos.read(path, classifier))
            wanted += [(*row, None) for row in found] or [(str(path), *[None] * 18)]
    return wanted


def assert_each_photo_once(table, folder):
    """Check that nothing is lost or there twice, and that each row is what one process says."""
    found = sorted(rows(table), key=str)
    errors = [row for row in found if row[-1]]
    assert [Path(row[0]).name for row in errors] == ["broken.jpg"]
    assert "not a picture" in errors[0][-1]
    assert set(errors[0][1:-1]) == {None}
    assert sorted((row for row in found if not row[-1]), key=str) == sorted(
        expected(folder), key=str
    )


# Processes


def test_a_row_a_face_and_one_for_a_photo_without(ask, shot, tmp_path):
    table = tmp_path / "new" / "faces"
    code, out, err = ask(shot, shot / "wall.png", "--table", table)
    assert (code, err.count("\n")) == (1, 1)
    assert "broken.jpg: not a picture" in err
    assert out == f"{table}: photos read: 11, already there: 0\n"
    assert_each_photo_once(table, shot)
    # the same command again: unreadable photos are tried again, the rest is there
    before = sorted(path.name for path in table.glob("photos-*.parquet"))
    code, out, err = ask(shot, "--table", table)
    assert (code, err.count("\n")) == (1, 1)
    assert out == f"{table}: photos read: 0, already there: 11\n"
    assert_each_photo_once(table, shot)
    assert sorted(path.name for path in table.glob("photos-*.parquet")) == before
    # and when the reason is gone it is read, once
    mended = table.parent / "mended.png"
    Image.new("RGB", (90, 70), "gray").save(mended)
    assert ask(mended, "--table", table)[:2] == (
        0,
        f"{table}: photos read: 1, already there: 11\n",
    )
    assert [row[0] for row in rows(table)].count(str(mended)) == 1
    assert not any(row[-1] for row in rows(table))  # of broken.jpg, which was not asked for now


def test_duckdb_reads_the_table_back_as_documented(ask, root, shot, tmp_path, monkeypatch):
    page = (root / "results" / "README.md").read_text("utf-8")
    (documented,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    ask(shot, "--table", "faces")
    said = duckdb.connect().execute(documented).fetchall()
    wanted = {"older": 3, "younger": 6}
    for folder, faces in wanted.items():
        own = [row for row in said if row[0] == folder]
        assert sum(row[2] for row in own) == faces
        assert sum(row[3] for row in own) == pytest.approx(100, abs=0.5)
    assert {row[0] for row in said} == set(wanted)
    count = "SELECT count(DISTINCT file), count(error) FROM 'faces/*.parquet'"
    assert duckdb.connect().execute(count).fetchall() == [(12, 1)]
    assert parquet.read_table("faces").num_rows == 12  # Arrow skips the other files


def test_names_that_are_no_text(ask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["caf\udce9.png", "two\nlines.png", "-dash.png"]
    try:
        for name in names:
            Image.new("RGB", (90, 70), "gray").save(name)
        Path("bro\udcffken.png").write_text("no")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    code, _, err = ask("--table", "faces", ".")
    assert (code, err.count("\n")) == (1, 1)
    assert r"bro\xffken.png: not a picture" in err
    assert sorted(row[0] for row in rows(Path("faces"))) == sorted(
        [r"bro\xffken.png", *map(photos.shown, names)]
    )
    assert "already there: 3" in ask("--table", "faces", ".")[1]


def test_a_video_and_an_empty_folder_are_named(ask, shot, tmp_path):
    (tmp_path / "empty").mkdir()
    video = tmp_path / "video.mp4"
    code, out, err = ask(tmp_path / "empty", video, shot / "wall.png", "--table", tmp_path / "t")
    assert code == 1
    assert "no photo in that folder" in err.splitlines()[0]
    assert f"{video}: a video" in err.splitlines()[1]
    assert "photos read: 1" in out
    code, out, err = ask(tmp_path / "empty", "--table", tmp_path / "none")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert not (tmp_path / "none").exists()


def run(folder, table, *more, engine="processes", cwd=None, **environment):
    """Start the command in its own process."""
    words = [predict.__file__, folder, "--table", table, "--workers", "2", *more]
    return processes.start(*words, "--engine", engine, cwd=cwd, **environment)


def test_a_folder_of_something_else_is_left_alone(ask, shot, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    assert ask(shot / "wall.png", "--table", tmp_path / "faces")[::2] == (0, "")
    for table, said, *more in (
        (tmp_path / "other", "expected a new folder"),
        (tmp_path / "file", "Not a directory"),
        (tmp_path / "faces", "expected a new folder", "--margin", "0.2"),
        (tmp_path / "faces", "expected a new folder", "--detector", "haar"),
    ):
        code, out, err = ask(shot / "wall.png", "--table", table, *more)
        assert (code, out, err.count("\n")) == (1, "", 1), err
        assert said in err
        assert str(table) in err
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]


def test_without_ray_one_sentence_says_what_to_install(shot, tmp_path):
    (tmp_path / "ray.py").write_text("raise ImportError('no ray here')")
    refused = run(shot, tmp_path / "faces", engine="ray", PYTHONPATH=str(tmp_path))
    out, err = refused.communicate()
    assert (refused.returncode, out) == (1, "")
    assert err == "predict.py: --engine ray needs Ray Data: pip install '.[cluster]'\n"


# Killed


@pytest.fixture(scope="module")
def many(shot, tmp_path_factory):
    """A hundred photos: enough for a run to be killed midway."""
    folder = tmp_path_factory.mktemp("many") / "archive"
    folder.mkdir()
    with Image.open(shot / "younger" / "0.png") as portrait:
        for at in range(100):
            portrait.rotate(at % 20).save(folder / f"{at}.png")
    return folder


def children(process, named=""):
    """List the processes below one that have a certain name (Linux only)."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in task.read_text().split():
            title = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace")
            found += [int(child)] if named in title else []
            found += children(int(child), named)
    return found


def wait_for(what, process=None, minutes=5):
    """Wait until something is true, while a process is alive."""
    end = time.monotonic() + 60 * minutes
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)
    return found


def begun(table, process):
    return wait_for(lambda: list(table.glob("photos-*.parquet")), process)


linux = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")


def assert_resumes(folder, table, **how):
    """Resume, and check what is then there against the photos."""
    again = run(folder, table, **how)
    out, err = again.communicate()
    assert again.returncode == 0, err
    read, before = map(int, re.search(r"read: (\d+), already there: (\d+)", out).groups())
    assert (before > 0, read + before) == (True, 100)
    names = [row[0] for row in rows(table)]
    assert len(names) == 100  # each has one face
    assert set(names) == set(map(str, folder.iterdir()))
    return read


@linux
@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "driver", "Ctrl-C"])
def test_processes_that_are_killed_lose_nothing(many, tmp_path, victim):
    table = tmp_path / "faces"
    first = run(many, table)
    begun(table, first)
    workers = children(first.pid, "spawn_main")
    assert len(workers) == 2
    if victim == "worker":
        os.kill(workers[0], signal.SIGKILL)
        assert first.communicate()[1] == (
            "predict.py: a worker was killed: run the same command to resume\n"
        )
        assert first.returncode == 1
    elif victim == "driver":
        first.kill()
        first.wait()
    else:
        first.send_signal(signal.SIGINT)
        assert first.communicate()[1] == "predict.py: stopped\n"
        assert first.returncode == 130
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert assert_resumes(many, table) > 0


# Ray


@pytest.fixture(scope="module")
def cluster():
    """Start a cluster on this machine, once; return the address for RAY_ADDRESS."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install '.[cluster]'")
    pytest.importorskip("ray.data", reason="Ray Data is not installed")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for _ in range(5):  # on a busy machine Ray gives up after 30 seconds
        with contextlib.suppress(Exception):
            ray.init(
                "local", num_cpus=2, _node_ip_address="127.0.0.1", include_dashboard=False,
                log_to_driver=False, object_store_memory=10**8,
            )  # fmt: skip
            break
        ray.shutdown()
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.mark.slow
def test_ray_says_what_processes_say(cluster, shot, tmp_path):
    done = run(os.path.relpath(shot, tmp_path), "faces", engine="ray", cwd=tmp_path,
               RAY_ADDRESS=cluster)  # fmt: skip
    out, err = done.communicate()
    assert done.returncode == 1, err
    assert "broken.jpg: not a picture" in err
    assert "Traceback" not in err
    assert out == "faces: photos read: 11, already there: 0\n"
    found = [(str((tmp_path / row[0]).resolve()), *row[1:]) for row in rows(tmp_path / "faces")]
    wanted = expected(shot)
    assert sorted((row for row in found if not row[-1]), key=str) == sorted(wanted, key=str)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "driver"])
def test_actors_that_are_killed_lose_nothing(cluster, many, tmp_path, victim):
    table = tmp_path / "faces"
    first = run(many, table, engine="ray", RAY_ADDRESS=cluster)
    begun(table, first)
    actors = children(os.getpid(), "ray::MapWorker")
    assert actors
    if victim == "worker":
        os.kill(actors[0], signal.SIGKILL)
        err = first.communicate()[1]
        assert first.returncode == 0, err
        assert assert_resumes(many, table) == 0
        return
    first.kill()
    first.wait()
    assert assert_resumes(many, table, engine="ray", RAY_ADDRESS=cluster) > 0


@pytest.mark.slow
def test_ray_needs_no_cluster(shot, tmp_path):
    """Another engine resumes what Ray, without a cluster, began."""
    pytest.importorskip("ray.data", reason="Ray is not installed: pip install '.[cluster]'")
    table = tmp_path / "faces"
    for _ in range(5):
        done = run(shot, table, engine="ray")
        out, err = done.communicate()
        if "timed out during startup" not in err:
            break
    assert done.returncode == 1, err
    assert "read: 11" in out
    again = run(shot, table)
    assert "read: 0, already there: 11" in again.communicate()[0]
    assert_each_photo_once(table, shot)
