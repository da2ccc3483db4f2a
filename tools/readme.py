"""The README's two tables and the figures of the recorded runs, computed from what is there.

``python -m tools.readme`` (``make readme``) writes the results and the list of notebooks between
their markers in the README, and for every recorded run on real faces
``figures/RUN-confusion-matrix.png`` and ``figures/RUN-learning-curves.png``. A test holds the
tables to be current. No number is typed in.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments import speed
from tools import notebooks
from utils import datasets, evaluation, records, runtime, training
from utils.runtime import DataError

README = runtime.ROOT / "README.md"
#: What is written between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``.
PARTS = ("mistakes", "results", "notebooks")

BALANCES = {"smote": "SMOTE", "weights": "class weights", "none": "as they are"}
TARGETS = {"votes": ", on votes", "both": ", on labels and votes"}
COLUMNS = (
    "network",
    "data",
    "classes",
    "epochs",
    "seeds",
    "test faces",
    "accuracy %",
    "without copies %",
    "macro F1",
    "trained on",
)


def groups(runs: Sequence[records.Run]) -> list[list[records.Run]]:
    """Put runs together that differ in nothing but their seed.

    Parameters
    ----------
    runs : sequence of Run
        Finished runs.

    Returns
    -------
    list of list of Run
        Groups in the order of their first run; within a group by seed.
    """
    found: dict[str, list[records.Run]] = {}
    for run in runs:
        settings = dataclasses.asdict(training.settings_from_record(run.info["settings"]))
        settings["seed"] = None
        key = json.dumps(
            [run.info["model"], run.info["dataset"], run.info["fingerprint"], settings],
            sort_keys=True,
        )
        found.setdefault(key, []).append(run)
    return [sorted(group, key=lambda run: run.info["seed"]) for group in found.values()]


def row(group: Sequence[records.Run]) -> list[str]:
    """Write the table's row of one group of runs.

    A single run has the 95 % interval of its accuracy; several seeds have their mean, and the
    lowest and highest.

    Parameters
    ----------
    group : sequence of Run
        Runs that differ only in their seed, at least one.

    Returns
    -------
    list of str
        A cell for each of `COLUMNS`.
    """
    info = group[0].info
    summaries = [evaluation.summary(run.test) for run in group]
    first = summaries[0]
    chosen = sorted({run.best_epoch for run in group})
    epochs = f"{len(group[0].history)} (no. {', '.join(map(str, chosen))} chosen)"
    n = f"{first.n:,}"
    if 0 < first.n_without_copies < first.n:
        n += f" / {first.n_without_copies:,}"
        without = _share(
            [one.accuracy_without_copies for one in summaries], first.interval_without_copies
        )
    else:
        without = "–"
    settings = training.settings_from_record(info["settings"])
    network = f"[`{info['model']}`](results/{group[0].name})"
    if settings.initial_weights:
        network += f", from `{settings.initial_weights}`"
    network += TARGETS.get(settings.targets, "")
    if settings.teachers:
        network += f", taught by {', '.join(f'`{name}`' for name in settings.teachers)}"
    if settings.test_time_augmentation > 1:
        network += f", {settings.test_time_augmentation} views"
    data = _title(info["dataset"])
    if info["dataset"] == "ferplus":
        data += f", {len(info['expressions'])} classes"
    return [
        network,
        data,
        BALANCES[settings.balance],
        epochs,
        f"{len(group)} ({', '.join(str(run.info['seed']) for run in group)})",
        n,
        _share([one.accuracy for one in summaries], first.interval),
        without,
        f"{np.mean([one.macro_f1 for one in summaries]):.3f}",
        _hardware(info.get("hardware", "–")),
    ]


def _title(dataset: str) -> str:
    """Name a data set as people do."""
    known = datasets.LOADERS.get(dataset)
    return known.title if known else dataset


def recorded(results: Path = runtime.RESULTS) -> list[records.Run]:
    """Load the finished runs on real faces, by name."""
    runs = [records.load(name, results) for name in records.names(results)]
    return [run for run in runs if run.info["dataset"] != "sample" and run.test is not None]


def draw(run: records.Run, folder: Path = runtime.FIGURES) -> list[Path]:
    """Draw a run's confusion matrix and learning curves into ``folder``.

    Parameters
    ----------
    run : Run
        A finished run.
    folder : path
        Where the two PNG files go.

    Returns
    -------
    list of path
        The files.
    """
    from utils import figures

    found = evaluation.summary(run.test)
    low, high = found.interval
    title = (
        f"{run.name}: {found.n:,} test faces, {found.accuracy:.1%} right ({low:.1%} to {high:.1%})"
    )
    counts = evaluation.confusion(run.test)
    matrix = figures.confusion_matrix(counts, run.test.expressions, title=title)
    curves = figures.learning_curves(run.history, title=run.name)
    return [
        figures.save(matrix, f"{run.name}-confusion-matrix", folder),
        figures.save(curves, f"{run.name}-learning-curves", folder),
    ]


def draw_mistakes(results: Path = runtime.RESULTS, folder: Path = runtime.FIGURES) -> list[Path]:
    """Draw what each mistake is worth, for each data set of which that is recorded.

    Parameters
    ----------
    results, folder : path
        Where the records lie, and where ``mistakes-DATA.png`` goes.

    Returns
    -------
    list of Path
    """
    from utils import figures
    from utils.honesty import claims, mistakes

    claimed = {name: float(figure) for name, figure, *_ in claims.ANCESTORS if figure}
    written = []
    for name in mistakes.recorded(results):
        table = mistakes.table(mistakes.load(name, results))
        if len(table) > 2:  # the honest figure, and more than one mistake
            figure = figures.mistakes_waterfall(
                table,
                claims=claimed,
                title=f"What each mistake adds on {_title(name)} (a small network)",
            )
            written.append(figures.save(figure, f"mistakes-{name}", folder))
    return written


def mistakes_paragraph(results: Path = runtime.RESULTS) -> str:
    """Write the figure of FER2013's mistakes and what is to be read off it, from the record.

    Parameters
    ----------
    results : path
        Where the record lies.

    Returns
    -------
    str
        Markdown.
    """
    from utils.honesty import mistakes

    table = mistakes.table(mistakes.load("fer2013", results))
    points, figure = table["points"], table["figure"]
    smote = f"{points['smote_first']:.0f}"
    training, binary = points["training_accuracy_last"], figure["binary_accuracy"]
    alternative = (
        f"What each mistake adds to an honest figure: SMOTE before the split {smote} points, "
        f"the last epoch's training accuracy {training:.0f}"
    )
    text = (
        f"One small network on FER2013, {table['seeds'].iloc[0]} seeds, one mistake at a time: "
        f"{figure.iloc[0]:.1f} % with none. Choosing the epoch on the test set adds "
        f"{points['best_epoch_on_test']:.1f} points, leaving the copies in it "
        f"{points['copies_kept']:.1f}; SMOTE before the split {smote}, and after it "
        f'{table.loc["smote_first", "done_right"]:+.1f}. "Binary" accuracy is {binary:.1f} % here, '
        f"of which who always says no has {100 * 6 / 7:.1f}. The dotted lines are what three older "
        "projects claimed."
    )
    return f"![{alternative}](figures/mistakes-fer2013.png)\n\n{textwrap.fill(text, 100)}"


def table(results: Path = runtime.RESULTS) -> str:
    """Write the results table, as Markdown.

    Parameters
    ----------
    results : path
        Where the recorded runs lie. Runs on the sample faces are left out: their accuracy says
        nothing about real faces.

    Returns
    -------
    str
        A Markdown table, or a sentence where there is no run yet.
    """
    rows = [row(group) for group in groups(recorded(results))]
    if not rows:
        return "No run on real faces is recorded yet."
    rows = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def notebook_table(folder: Path = notebooks.NOTEBOOKS) -> str:
    """List the notebooks of the course with their titles and Colab badges, as Markdown."""
    rows = [("", "notebook", ""), ("---", "---", "---")]
    for path in notebooks.paths(folder):
        title = "".join(notebooks.read(path)["cells"][0]["source"]).splitlines()[0].lstrip("# ")
        rows.append(
            (path.name[:2], f"[{title}](notebooks/{path.name})", notebooks.badge(path.name))
        )
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def updated(readme: str, part: str, content: str) -> str:
    """Return a README's text with what stands between a part's markers replaced.

    Parameters
    ----------
    readme : str
        The README.
    part : str
        One of `PARTS`.
    content : str
        What is to stand there.

    Raises
    ------
    DataError
        When the markers do not stand there once each, in their order.
    """
    begin, end = f"<!-- {part}:begin -->", f"<!-- {part}:end -->"
    once = readme.count(begin) == readme.count(end) == 1
    if not once or readme.index(begin) > readme.index(end):
        raise DataError(f"README.md: expected {begin} and, below it, {end}, once each")
    head, rest = readme.split(begin)
    tail = rest.split(end)[1]
    return f"{head}{begin}\n{content}\n{end}{tail}"


def current(readme: str) -> str:
    """Return a README's text with all its parts as they should be now."""
    readme = updated(readme, "mistakes", mistakes_paragraph())
    readme = updated(readme, "results", table())
    return updated(readme, "notebooks", notebook_table())


def _share(values: Sequence[float], interval: tuple[float, float]) -> str:
    """Write an accuracy in percent: one with its interval, or several as mean and range."""
    mean = 100 * float(np.mean(values))
    if len(values) == 1:
        return f"**{mean:.1f}** ({100 * interval[0]:.1f}–{100 * interval[1]:.1f})"
    return f"**{mean:.1f}** (mean; {100 * min(values):.1f}–{100 * max(values):.1f})"


def _hardware(text: str) -> str:
    """Keep of a run's hardware what computed: the accelerator if there was one."""
    return text.split(" and ")[0].replace("|", "/").strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write tables and figures, or with ``--check`` only say whether the tables are."""
    parser = argparse.ArgumentParser(prog="python -m tools.readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if out of date")
    check = parser.parse_args(arguments).check
    before = README.read_text(encoding="utf-8")
    after = current(before)
    if check and after != before:
        print("README.md: its tables are out of date: make readme", file=sys.stderr)
        return 1
    if not check:
        for run in recorded():
            for path in draw(run):
                print(f"{path.parent.name}/{path.name}")
        for path in [*speed.draw(), *draw_mistakes()]:
            print(f"{path.parent.name}/{path.name}")
        runtime.write_atomically(README, after.encode())
        print("README.md: tables written" if after != before else "README.md: up to date")
    return 0


if __name__ == "__main__":
    runtime.run_command(main)
