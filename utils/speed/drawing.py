"""The figures about speed, drawn from the records."""

from __future__ import annotations

from pathlib import Path

from utils import records, runtime
from utils.speed.accuracy import LEVELS, START_UP, accuracy_by_time
from utils.speed.recording import growth_points, ratios_table, recorded


def draw(results: Path | None = None, folder: Path | None = None) -> list[Path]:
    """Draw every figure about speed for which there is a record.

    Parameters
    ----------
    results : path, optional
        Where the records lie; by default ``results/``.
    folder : path, optional
        Where the PNG files go; by default ``figures/``.

    Returns
    -------
    list of Path
        ``speed.png`` with the ratios of ``speed.json``, ``growth.png`` where it holds growth; the
        same of other machines, with their name; and ``seconds-to-accuracy.png`` of the finished
        runs on FER2013.

    Raises
    ------
    DataError, ModelError
        When a record is damaged.
    """
    from utils import figures

    results, folder = results or runtime.RESULTS, folder or runtime.FIGURES
    written = []
    for name, record in recorded(results).items():
        where = f"{record.hardware}, {record.backend}"
        table = ratios_table(record)
        if len(table):
            figure = figures.speed_ratios(table, title=f"How many times as fast\n{where}")
            written.append(figures.save(figure, name, folder))
        points = growth_points(record)
        if len(points):
            figure = figures.growth_curves(points, title=f"How cost grows with the rows\n{where}")
            written.append(figures.save(figure, name.replace("speed", "growth"), folder))
    runs = [records.load(name, results) for name in records.names(results)]
    curves = {
        run.name: accuracy_by_time(run.history, start_up=run.info.get(START_UP) or 0.0)
        for run in runs
        if run.info["dataset"] == "fer2013"
    }
    if curves:
        figure = figures.accuracy_by_time(curves, LEVELS, title="Seconds to accuracy on FER2013")
        written.append(figures.save(figure, "seconds-to-accuracy", folder))
    return written
