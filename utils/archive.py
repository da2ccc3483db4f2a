"""An archive of photos in, a folder of Parquet files out: ``predict.py --engine``.

Each worker loads the network once and takes `PART` photos at a time. What it finds becomes one
file, which gets its name when it is complete: so the folder itself says which photos are done, and
if interrupted, the same command resumes. The engines differ in who starts the workers.
"""

import functools
import hashlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils import photos, runtime
from utils.runtime import DataError, ModelError

#: The most photos per file: what is read again if a worker is killed.
PART = 500
_load = functools.cache(photos.load)


@dataclass(frozen=True)
class Worker:
    """Reads photos into files in the folder `table`, for a command started in `started`."""

    started: str
    table: Path
    model: str
    how: dict[str, Any]

    def __call__(self, task: dict[str, bytes]) -> dict[str, str]:
        """Read "photos", names with zero bytes between; return what was "unread", one per line."""
        import pyarrow
        from pyarrow import parquet

        os.chdir(self.started)  # names are as the command line gave them; Ray starts elsewhere
        classifier, _ = _load(self.model)
        columns = (*classifier.expressions, "error")
        empty = (None,) * (len(photos.Table.COLUMNS) + len(columns) - 2)
        rows: dict[str, list[tuple]] = {"unread": [], "photos": []}
        for name in map(os.fsdecode, task["photos"].split(b"\0")):
            try:
                found = photos.rows(photos.read(name, classifier, **self.how))
                rows["photos"] += [(*row, None) for row in found or [(photos.shown(name), *empty)]]
            except (DataError, OSError) as error:
                line = photos.shown(" ".join(str(error).split()))
                rows["unread"].append((photos.shown(name), *empty, line))
        digest = hashlib.sha256(task["photos"]).hexdigest()[:16]  # the same when retried
        for kind in filter(rows.get, rows):
            part = self.table / "_parts" / f"{kind}-{digest}.parquet"
            schema = photos.parquet_schema((*photos.Table.COLUMNS, *columns))
            part_rows = pyarrow.table(list(zip(*rows[kind], strict=True)), schema=schema)
            parquet.write_table(part_rows, part)
            runtime.move_into_place(part, self.table / part.name)
        return {"unread": "\n".join(row[-1] for row in rows["unread"])}


def predict(
    sources: Sequence[str], table: Path, *, engine: str, workers: int, model: str, **how: Any
) -> list[DataError]:
    """Read the photos that a table does not hold yet, each once; return what went wrong.

    Parameters
    ----------
    sources : sequence of str
        Photo names, by which the table knows them.
    table : Path
        A new folder, or an earlier run's. Its rows are those of `photos.Table` and "error": a face,
        nulls for a photo without one, or why a photo was not read; the next run retries it.
    engine, workers : {"processes", "ray"} and int
        Who starts the workers, and how many.
    model, **how
        As `photos.load` and `photos.read` take them.

    Raises
    ------
    DataError, ModelError
        When the folder holds something else, or a worker was killed; without a network or Ray.
    """
    import filelock
    from pyarrow import dataset
    from tqdm import tqdm

    classifier, network = _load(model)
    settings = runtime.as_json({"network": network, "expressions": classifier.expressions, **how})
    record = table / "_predict.json"  # a name that DuckDB's *.parquet and Arrow skip
    if not table.exists() or not any(table.iterdir()):
        runtime.write_atomically(record, settings)
    if not record.is_file() or record.read_bytes() != settings:
        raise DataError(f"{photos.shown(table)}: expected a new folder, or one with these options")
    (table / "_parts").mkdir(exist_ok=True)
    with filelock.FileLock(table / "_lock", timeout=5):
        for unread in table.glob("unread-*.parquet"):
            unread.unlink()
        parts = list(map(str, table.glob("photos-*.parquet")))
        done = set(dataset.dataset(parts).to_table(["file"])["file"].to_pylist() if parts else ())
        names = [os.fsencode(n) for n in dict.fromkeys(sources) if photos.shown(n) not in done]
        size = max(1, min(PART, len(names) // (4 * workers)))  # a few tasks per worker
        tasks = [{"photos": b"\0".join(names[n : n + size])} for n in range(0, len(names), size)]
        run = _ray if engine == "ray" else _processes
        answers = run(Worker(os.getcwd(), table, model, how), tasks, workers) if tasks else []
        bar = tqdm(answers, total=len(tasks), unit=f" × {size} photos", disable=None)
        errors = [DataError(line) for answer in bar for line in answer["unread"].splitlines()]
        read = len(names) - len(errors)
        print(f"{photos.shown(table)}: photos read: {read:,}, already there: {len(done):,}")
        return errors


def _processes(worker: Worker, tasks: list[dict], workers: int) -> Iterator[Any]:
    from concurrent import futures

    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(workers, context, initializer=_start) as pool:
        try:
            for one in futures.as_completed([pool.submit(worker, task) for task in tasks]):
                yield one.result()
        except futures.BrokenExecutor:
            raise DataError("a worker was killed: run the same command to resume") from None
        finally:  # after Ctrl-C, nobody waits for half-read photos
            for process in multiprocessing.active_children():
                process.kill()


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    parent = multiprocessing.parent_process()  # and this one ends when that does, however it ends
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _ray(worker: Worker, tasks: list[dict], workers: int) -> Iterator[Any]:
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    try:
        import ray.data
    except ImportError:
        raise ModelError("--engine ray needs Ray Data: pip install '.[cluster]'") from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are raised
    own = {"address": "local", "_node_ip_address": "127.0.0.1", "include_dashboard": False}
    own |= {"num_cpus": workers, "object_store_memory": 10**8}
    joined = {} if os.environ.get("RAY_ADDRESS") else own
    with ray.init(**joined, log_to_driver=False, logging_level=logging.ERROR):
        ray.data.DataContext.get_current().enable_progress_bars = False
        given = ray.data.from_items(tasks, override_num_blocks=len(tasks))  # each retried alone
        by = {"compute": ray.data.ActorPoolStrategy(size=workers)}
        try:
            yield from given.map(Worker, fn_constructor_kwargs=vars(worker), **by).iter_rows()
        except ray.exceptions.RayError as error:
            last = str(error).strip().splitlines()[-1]
            raise DataError(f"Ray stopped ({last}): run the same command to resume") from error
