"""An archive of photos in, a folder of Parquet files out: ``predict.py --engine``.

A worker holds the network once and takes `PART` photos at a time; what it found becomes one file,
which gets its name when it is whole. So the folder itself says which photos are done, and the same
command goes on after whatever stopped it. The engines differ in who starts the workers: the
standard library's processes, or Ray Data's actors, on one machine or more.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from utils import photos, runtime
from utils.runtime import DataError, ModelError

#: The most photos a file: what a killed worker's successor reads again.
PART = 500


class Worker:
    """A network, held once, that reads photos by name into files of a folder."""

    def __init__(self, started: str, table: Path, model: str, how: tuple) -> None:
        os.chdir(started)  # names are as the command line gave them, and Ray starts elsewhere
        self.table, self.how = table, dict(how)
        self.classifier, _ = photos.load(model)

    def __call__(self, task: dict[str, bytes]) -> dict[str, int]:
        """Read "photos", whose names have a zero byte between, and count them."""
        columns = (*self.classifier.expressions, "error")
        empty = (None,) * (len(photos.Table.COLUMNS) + len(columns) - 2)
        read, unread = [], []
        names = task["photos"].split(b"\0")
        for name in map(os.fsdecode, names):
            try:
                found = photos.rows(photos.read(name, self.classifier, **self.how))
                read += [(*row, None) for row in found] or [(photos.shown(name), *empty, None)]
            except (DataError, OSError) as error:
                unread.append((photos.shown(name), *empty, " ".join(str(error).split())))
        digest = hashlib.sha256(task["photos"]).hexdigest()[:16]  # tried again, it is the same file
        for kind, rows in {"unread": unread, "photos": read}.items():
            if rows:
                part = self.table / "_parts" / f"{kind}-{digest}.parquet"
                part.unlink(missing_ok=True)  # of a worker that was killed here
                with photos.Table(part, columns) as file:
                    file.add(rows)
                runtime.move_into_place(part, self.table / part.name)
        return {"photos": len(names)}


def predict(
    sources: Sequence[str], table: Path, *, engine: str, workers: int | None, model: str, **how: Any
) -> list[DataError]:
    """Read those photos that a table does not hold yet, each once; return what went wrong.

    Parameters
    ----------
    sources : sequence of str
        Photos' names, which are what the table knows them by.
    table : Path
        A new folder, or an earlier run's. Its rows are those of `photos.Table` with a column
        "error": one a face, and one of nulls for a photo without a face. A photo that could not
        be read has one too, which says why, and is tried again by the next run.
    engine : {"processes", "ray"}
        Who starts the workers.
    workers : int or None
        How many; None is one a core of this machine.
    model, **how
        As `photos.load` and `photos.read` take them.

    Raises
    ------
    DataError
        When the table was made with another network or other settings; when workers are killed.
    ModelError
        When the folder is no such table, the network cannot be loaded, or Ray is not installed.
    """
    import filelock
    from pyarrow import dataset
    from tqdm import tqdm

    classifier, network = photos.load(model)
    settings = {"network": network, "expressions": classifier.expressions, **how}
    settings = json.loads(runtime.as_json(settings))
    record = table / "_predict.json"  # DuckDB's *.parquet and Arrow pass over such a name
    if not table.exists() or not any(table.iterdir()):
        runtime.write_json(record, settings)
    if (found := runtime.read_json(record)) != settings:
        raise DataError(f"{photos.shown(table)}: was made with {found}, expected {settings}")
    (table / "_parts").mkdir(exist_ok=True)

    def column(name: str, kind: str) -> list[str]:
        parts = list(map(str, table.glob(f"{kind}-*.parquet")))
        return dataset.dataset(parts).to_table([name])[name].unique().to_pylist() if parts else []

    with filelock.FileLock(table / "_lock", timeout=5):
        for unread in table.glob("unread-*.parquet"):
            unread.unlink()
        done = set(column("file", "photos"))
        waiting = [name for name in dict.fromkeys(sources) if photos.shown(name) not in done]
        names, workers = list(map(os.fsencode, waiting)), workers or os.cpu_count() or 1
        size = max(1, min(PART, len(names) // (4 * workers)))  # a few tasks for each worker
        shares = (names[at : at + size] for at in range(0, len(names), size))
        tasks = [{"photos": b"\0".join(share)} for share in shares]
        args = (os.getcwd(), table, model, tuple(how.items()))
        with tqdm(total=len(names), unit=" photos", disable=None) as bar:
            for count in {"processes": _processes, "ray": _ray}[engine](tasks, workers, args):
                bar.update(count)
        print(f"{photos.shown(table)}: photos read: {len(names):,}, there before: {len(done):,}")
        return list(map(DataError, column("error", "unread")))


def _processes(tasks: list[dict[str, bytes]], workers: int, args: tuple) -> Iterator[int]:
    from concurrent import futures

    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(workers, context, initializer=_start) as pool:
        try:
            for one in futures.as_completed([pool.submit(_work, args, task) for task in tasks]):
                yield one.result()["photos"]
        except BaseException as error:  # Ctrl-C too: nobody waits for photos that are half read
            for process in multiprocessing.active_children():
                process.kill()
            if isinstance(error, futures.BrokenExecutor):
                raise DataError("a worker was killed: the same command goes on") from None
            raise


def _start() -> None:
    """Leave Ctrl-C to the process that started this one, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _work(args: tuple, task: dict[str, bytes]) -> dict[str, int]:
    return _worker(*args)(task)


_worker = functools.cache(Worker)


def _ray(tasks: list[dict[str, bytes]], workers: int, args: tuple) -> Iterator[int]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray.data
    except ImportError:
        raise ModelError("--engine ray needs Ray Data: pip install '.[cluster]'") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    own = {"address": "local", "num_cpus": workers, "object_store_memory": 10**8}
    own |= {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
    joined = {} if os.environ.get("RAY_ADDRESS") else own
    with ray.init(**joined, log_to_driver=False, logging_level=logging.ERROR):
        ray.data.DataContext.get_current().enable_progress_bars = False
        # A block a task: what is tried again is then one file. Ray replaces an actor that dies.
        given = ray.data.from_items(tasks, override_num_blocks=max(1, len(tasks)))
        pool = ray.data.ActorPoolStrategy(size=workers)
        try:
            for row in given.map(Worker, fn_constructor_args=args, compute=pool).iter_rows():
                yield row["photos"]
        except ray.exceptions.RayError as error:
            raise DataError(f"Ray stopped: {error}; the same command goes on") from error
