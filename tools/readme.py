"""The numbers in the README and on the results page, and the recorded runs' figures.

``python -m tools.readme`` (``make readme``) writes each of `PARTS` between its markers in its page,
and for every recorded run on real faces (the first of several seeds)
``figures/RUN-confusion-matrix.png`` and ``figures/RUN-learning-curves.png``. A test checks that the
parts are current. No number is typed in.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import speed
from tools import notebooks
from utils import datasets, evaluation, models, records, runtime, training
from utils.evaluation.metrics import in_one_order
from utils.honesty import claims, known, mistakes
from utils.runtime import DataError

README, RESULTS_PAGE = runtime.ROOT / "README.md", runtime.RESULTS / "README.md"

#: Settings that do not change what a training step costs (with MixUp: 1.004 times, median of five).
TIMELESS = ("epochs", "learning_rate", "initial_weights", "mixup", "seed")
#: What was not timed, and what costs no less: here a run with two teachers in place of one.
AT_MOST = {"resnet8-fer2013-four-hours-distilled": "resnet8-fer2013-distilled"}
BALANCES = {"smote": "SMOTE", "weights": "class weights", "none": "none"}
#: The most accurate single networks by FER2013's labels and by FER+'s majority.
MOST_ACCURATE, FERPLUS = "resnet8-fer2013-four-hours", "resnet8-ferplus-60-epochs"
BOTH = "resnet8-fer2013-both-60-epochs"
#: One architecture, and whose labels it learned from last.
LEARNED = {
    MOST_ACCURATE: "FER2013's labels",
    BOTH: "the mean of both",
    FERPLUS: "FER+'s votes",
    models.DEFAULT: "nothing new: the mean of the first and two seeds of the second",
}
TARGETS = {"votes": ", on votes", "both": ", on labels and votes"}
COLUMNS = (
    *("network", "data", "balancing", "epochs", "seeds", "test faces", "accuracy %"),
    *("without copies %", "macro F1", "trained on"),
)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """Write a table; the first row is its header."""
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def recorded(results: Path = runtime.RESULTS) -> list[records.Run]:
    """Load the finished runs on real faces, by name."""
    runs = [records.load(name, results) for name in records.names(results)]
    return [run for run in runs if run.info["dataset"] != "sample"]


def groups(runs: Sequence[records.Run]) -> list[list[records.Run]]:
    """Group finished runs that differ only in their seed, each group sorted by seed."""
    found: dict[str, list[records.Run]] = {}
    for run in runs:
        settings = dataclasses.asdict(training.settings_from_record(run.info["settings"]))
        same = [run.info[name] for name in ("model", "dataset", "fingerprint")]
        found.setdefault(json.dumps([*same, {**settings, "seed": None}]), []).append(run)
    return [sorted(group, key=lambda run: run.info["seed"]) for group in found.values()]


def seeds_of(run: records.Run) -> list[records.Run]:
    """Load a run and those that differ from it only in their seed, sorted by seed."""
    others = [one for one in recorded(run.folder.parent) if one.name != run.name]
    return next(group for group in groups([run, *others]) if any(one is run for one in group))


def row(group: Sequence[records.Run], runs: Mapping[str, records.Run]) -> list[str]:
    """Write the table's row of runs that differ only in their seed: a cell for each of `COLUMNS`.

    ``runs`` are all that may have started or taught it, by name.
    A single run has the 95 % interval of its accuracy; several have their mean, and the lowest
    and highest.
    """
    info = group[0].info
    summaries = [evaluation.summary(run.test) for run in group]
    first, n, without = summaries[0], f"{summaries[0].n:,}", "–"
    if 0 < first.n_without_copies < first.n:
        n += f" / {first.n_without_copies:,}"
        shares = [one.accuracy_without_copies for one in summaries]
        without = _share(shares, first.interval_without_copies)
    settings = training.settings_from_record(info["settings"])
    network = f"[`{info['model']}`]({group[0].name})"
    if settings.initial_weights:
        network += f", from {' and '.join(f'`{name}`' for name in settings.initial_weights)}"
    network += ", outside data" * _outside(group[0], runs)
    network += TARGETS.get(settings.targets, "")
    if settings.teachers:
        network += f", taught by {', '.join(f'`{name}`' for name in settings.teachers)}"
    if settings.test_time_augmentation > 1:
        network += f", {settings.test_time_augmentation} views"
    classes = f", {len(info['expressions'])} classes" if info["dataset"] == "ferplus" else ""
    chosen = ", ".join(map(str, sorted({run.best_epoch for run in group})))
    return [
        network,
        dataset_title(info["dataset"]) + classes,
        BALANCES[settings.balance],
        f"{len(group[0].history)} (no. {chosen} chosen)" if len(group[0].history) else "0",
        f"{len(group)} ({', '.join(str(run.info['seed']) for run in group)})",
        n,
        _share([one.accuracy for one in summaries], first.interval),
        without,
        f"{np.mean([one.macro_f1 for one in summaries]):.3f}",
        ", ".join(dict.fromkeys(run.info["hardware"].split(" and ")[0] for run in group)),
    ]


def _outside(run: records.Run, runs: Mapping[str, records.Run]) -> bool:
    """Whether it, or a run that started or taught it, began with weights trained by others."""
    settings = training.settings_from_record(run.info["settings"])
    before = [runs[name] for name in _before(run) if name in runs]
    return bool(settings.network.get("weights")) or any(_outside(one, runs) for one in before)


def _share(values: Sequence[float], interval: tuple[float, float]) -> str:
    """Write an accuracy in percent: one with its interval, or several as mean and range."""
    several = len(values) > 1
    low, high = (min(values), max(values)) if several else interval
    mean = "mean; " if several else ""
    return f"**{100 * np.mean(values):.1f}** ({mean}{100 * low:.1f}–{100 * high:.1f})"


def dataset_title(dataset: str) -> str:
    """Name a data set as people do."""
    return datasets.LOADERS[dataset].title if dataset in datasets.LOADERS else dataset


def table(results: Path = runtime.RESULTS) -> str:
    """Write the results table; runs on the sample faces say nothing about real faces."""
    runs = recorded(results)
    rows = [row(group, {run.name: run for run in runs}) for group in groups(runs)]
    return _markdown([COLUMNS, *rows]) if rows else "No run on real faces is recorded yet."


def best(results: Path = runtime.RESULTS) -> str:
    """Write the README's table: each network's best run on FER2013's validation split.

    "Other photos" are ExpW's test faces, where the network was tested on them.
    """
    runs = _on_fer2013(results)

    def preferred(run: records.Run) -> float:
        return evaluation.summary(run.validation).accuracy

    ranked = sorted(_first_seeds(runs), key=preferred, reverse=True)
    chosen: dict[str, records.Run] = {}
    for run in ranked:
        chosen.setdefault(run.info["model"], run)
    rows = [
        ("network", "parameters", "accuracy %", "without copies %", "macro F1", "other photos %")
    ]
    for run in chosen.values():
        found, away = evaluation.summary(run.test), run.folder / "on-expw-test.json"
        elsewhere = "–"
        if away.is_file():
            there = evaluation.summary(records.load_evaluation(away).predictions)
            elsewhere = f"{100 * there.accuracy:.1f}"
        settings = training.settings_from_record(run.info["settings"])
        size = models.build(settings.model, **settings.without_weights()).count_params()
        rows.append(
            (
                f"[`{run.name}`](results/{run.name}){', outside data' * _outside(run, runs)}",
                f"{size / 1e6:.1f} M",
                _share([found.accuracy], found.interval),
                f"{100 * found.accuracy_without_copies:.1f}",
                f"{found.macro_f1:.3f}",
                elsewhere,
            )
        )
    return _markdown(rows)


def together(runs: Sequence[records.Run]) -> list[records.Run]:
    """Choose the ensemble whose mean probabilities get the most validation faces right.

    Every set of at most four runs on the same faces is tried; ties go to the set that
    gives the true labels the higher likelihood.
    """
    faces = in_one_order([run.validation for run in runs])
    probabilities, labels = np.stack([one.probabilities for one in faces]), faces[0].labels
    scores = {}
    for count in range(1, 5):
        for some in itertools.combinations(range(len(runs)), count):
            mean = probabilities[list(some)].mean(axis=0)
            right = (mean.argmax(axis=1) == labels).sum()
            likely = np.maximum(mean[np.arange(len(labels)), labels], 1e-7)  # float16 has zeros
            scores[some] = right, np.log(likely).sum()
    return [runs[at] for at in max(scores, key=scores.__getitem__)]


def minutes(results: Path = runtime.RESULTS) -> str:
    """List what time buys on FER2013: each choice better on validation than all that cost less.

    The choices are the single runs (first seeds only) and the ensemble that `together` chooses.
    Minutes are of two idle cores (`experiments.speed recipes`; a run that was not timed costs
    what one with the same step does, or at most what `AT_MOST` names), and include those of the
    runs that started or taught a run.

    Raises
    ------
    DataError
        When neither a run's step nor one of the same cost has been timed.
    """
    runs = _from_scratch(results)
    path = speed.record_path("xeon-amx", results)
    timed = runtime.read_json(path)
    rates = speed.rates_table(timed).query("part == 'recipes'").set_index("way")["median"]
    like = {_step(run): rates[name] for name, run in runs.items() if name in rates.index}
    rate_of = {
        name: rates.get(AT_MOST.get(name, name), like.get(_step(run))) if len(run.history) else 1.0
        for name, run in runs.items()
    }
    if untimed := sorted(name for name, rate in rate_of.items() if rate is None):
        raise DataError(
            f"{path.name} has no time of {untimed[0]}: python -m experiments.speed recipes "
            "--record xeon-amx"
        )
    cost = {
        name: len(run.history) * run.info["rows"]["training_balanced"] / rate_of[name] / 60
        for name, run in runs.items()
    }

    def family(name: str) -> set[str]:
        return {name}.union(*map(family, _before(runs[name])))

    def counted(members: Sequence[records.Run]) -> set[str]:
        return set().union(*(family(one.name) for one in members))

    def total(members: Sequence[records.Run]) -> float:
        return sum(cost[name] for name in counted(members))

    rows, best = [("minutes", "network", "validation %", "accuracy %")], 0.0
    single = [[run] for run in _first_seeds(runs)]
    for some in sorted([*single, together([*runs.values()])], key=total):
        validation, test = (
            evaluation.summary(evaluation.ensemble({one.name: getattr(one, split) for one in some}))
            for split in ("validation", "test")
        )
        if validation.accuracy > best:
            best = validation.accuracy
            names = " + ".join(f"`{one.name}`" for one in some)
            accuracy = _share([test.accuracy], test.interval)
            most = "at most " if counted(some) & AT_MOST.keys() else ""
            rows.append((f"{most}{total(some):.0f}", names, f"{100 * best:.1f}", accuracy))
    return _markdown(rows) + _memory(timed)


def _memory(timed: dict[str, Any]) -> str:
    """Name the memory settings under which the recipes were timed, and their gain."""
    ratios = speed.ratios_table(timed).query("part == 'memory'")
    if ratios.empty:
        return ""
    low, high = ratios[["low", "high"]].iloc[0]
    (one,) = timed["parts"]["memory"]["timings"]
    tunables = one["settings"]["tunables"]
    if timed["parts"]["recipes"]["about"].get("tunables") != tunables:
        raise DataError(f"the recipes were timed without GLIBC_TUNABLES={tunables}")
    return "\n\n" + textwrap.fill(
        f"Timed with `GLIBC_TUNABLES={tunables}` set before Python starts: Linux then uses "
        f"huge pages, and `resnet8` trains {low:.1f} to {high:.1f} times as fast.",
        width=100,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _step(run: records.Run) -> str:
    """Name what a training step costs: its settings, but for those that change no time."""
    settings = dataclasses.asdict(training.settings_from_record(run.info["settings"]))
    return json.dumps(settings | dict.fromkeys(TIMELESS))


def _before(run: records.Run) -> set[str]:
    """Name the runs that started or taught this one."""
    return {*training.settings_from_record(run.info["settings"]).predecessors()}


def _on_fer2013(results: Path) -> dict[str, records.Run]:
    """Load the finished runs on FER2013, by name."""
    runs = recorded(results)
    return {run.name: run for run in runs if run.info["dataset"] == "fer2013"}


def _first_seeds(runs: Mapping[str, records.Run]) -> list[records.Run]:
    """Keep the first seed of each setting: the best of several would be luck."""
    return [group[0] for group in groups([*runs.values()])]


def _from_scratch(results: Path) -> dict[str, records.Run]:
    """Load the finished runs on FER2013 that no other faces have contributed to, by name."""
    runs = _on_fer2013(results)

    def alone(name: str) -> bool:
        return name in runs and all(map(alone, _before(runs[name])))

    return {name: run for name, run in runs.items() if alone(name) and not _outside(run, runs)}


def findings() -> str:
    """Summarize the recorded runs."""
    plain, smote, best, itself, taught = (
        records.load(name)
        for name in (
            "cnn5-fer2013-none",
            "cnn5-fer2013-smote",
            MOST_ACCURATE,
            f"{MOST_ACCURATE}-distilled",
            "resnet8-fer2013-distilled-twice",
        )
    )
    alone, both = evaluation.summary(plain.test), evaluation.summary(smote.test)
    unseen = [run.test.where(~run.test.copies) for run in (plain, smote)]
    points = 100 * (both.accuracy_without_copies - alone.accuracy_without_copies)
    recall = [evaluation.report(run.test)["recall"]["disgust"] for run in (plain, smote)]
    shares, again, highest = (
        [f"{evaluation.summary(one.test).accuracy:.1%}" for one in seeds_of(run)]
        for run in (plain, taught, best)
    )
    student = evaluation.summary(itself.test)
    members = together([*_on_fer2013(runtime.RESULTS).values()])
    found = evaluation.summary(evaluation.ensemble({one.name: one.test for one in members}))
    named = [f"`{one.name}`" for one in members]
    return textwrap.fill(
        f"SMOTE raises `cnn5` from {alone.accuracy:.1%} to {both.accuracy:.1%} (McNemar's test: "
        f"p = {evaluation.difference(plain.test, smote.test).p:.3f}), but without the copies "
        f"{points:.1f} points are left (p = {evaluation.difference(*unseen).p:.2f}); the recall "
        f"of *disgust*, the rarest class, goes from {recall[0]:.0%} to {recall[1]:.0%}. That is "
        f"one seed each; {len(shares)} seeds without SMOTE reach {', '.join(shares)}. "
        f"`{best.name}`, shown {best.views} views of each face, reaches "
        f"{', '.join(highest)} ({len(highest)} seeds); the first, trained further with itself as "
        f"its teacher, comes to {student.accuracy:.1%} "
        f"(p = {evaluation.difference(best.test, itself.test).p:.3f} before "
        f"notebook 09 corrects for several comparisons); a student of "
        f"other networks reaches {', '.join(again)} ({len(again)} seeds). With "
        f"outside data, the ensemble that is best on the validation split "
        f"({', '.join(named[:-1])} and {named[-1]}) reaches {found.accuracy:.1%}.",
        100,
        break_on_hyphens=False,
    )


def judges() -> str:
    """List what learning FER2013's labels, FER+'s, or both is worth, by each set of labels."""
    judged = {name: _judged(name) for name in LEARNED}
    home, voted, away = judged[MOST_ACCURATE]
    said = {}
    for file in ("private_test", "expw"):
        with np.load(runtime.RESULTS / "peers" / f"{file}.npz", allow_pickle=False) as peers:
            said[file] = peers["fer"].astype(np.float32)
    known = said["private_test"][np.isin(home.rows, voted.rows)]
    judged["fer"] = [
        dataclasses.replace(one, probabilities=answers)
        for one, answers in ((home, said["private_test"]), (voted, known), (away, said["expw"]))
    ]
    heads = "network", "learned from", "epochs in all", "FER2013's labels", "FER+'s majority"
    rows = [(*heads, f"ExpW, all {len(away):,}")]
    for name, predictions in judged.items():
        learned = LEARNED.get(name, "FER2013's labels")
        epochs = "–" if name in (models.DEFAULT, "fer") else str(_epochs(name))
        rows.append((f"`{name}`", learned, epochs, *map(_right, predictions)))
    started = training.settings_from_record(records.load(models.DEFAULT).info["settings"])
    mixed = sum(name.startswith(BOTH) for name in started.initial_weights)
    used, ferplus = judged[models.DEFAULT][-1], records.load(FERPLUS).test
    seeds = [_judged(one.name) for one in seeds_of(records.load(BOTH))[1:]]
    again = "; ".join(" / ".join(map(_right, one)) for one in seeds)
    chances = [evaluation.difference(used, judged[name][-1]).p for name in (MOST_ACCURATE, "fer")]
    gains = ["p < 0.001" if p < 0.001 else f"p = {p:.3f}" for p in chances]
    text = (
        f"Accuracy in percent on {len(home):,} faces of PrivateTest, on the {len(voted):,} of them "
        f"that have a majority for one of the seven expressions, and on {len(away):,} faces of "
        f"ExpW. On ExpW `{models.DEFAULT}`, which `predict.py` uses, beats the first network "
        f"({gains[0]}) and the package `fer` ({gains[1]}). Its weights are the mean of those "
        f"of the first network and of {mixed} seeds of `{BOTH}`, a compromise (notebook "
        f"11). The other seeds of that network have {again}. None was trained on ExpW, but the "
        "released ones were chosen with an eye to it: expect a little less on other photos. Some "
        "of FER+'s apparent gain may come from the extra epochs. With *contempt* as its "
        f"eighth class `{FERPLUS}` reaches {_right(ferplus)}% on the {len(ferplus):,} faces "
        "of FER+'s test split."
    )
    return f"{_markdown(rows)}\n\n{textwrap.fill(text, 100, break_on_hyphens=False)}"


def _judged(name: str) -> list[evaluation.Predictions]:
    """Load a run's answers to the test faces of FER2013 and of FER+, and to all of ExpW."""
    run = records.load(name)
    asked = {(run.info["dataset"], "test"): run.test}
    asked |= {(one.dataset, one.split): one.predictions for one in records.evaluations(run.folder)}
    return [asked[key] for key in (("fer2013", "test"), ("ferplus", "test"), ("expw", "all"))]


def _epochs(name: str) -> int:
    """Count a run's epochs, including those of the run that started it."""
    run = records.load(name)
    before = training.settings_from_record(run.info["settings"]).initial_weights
    return len(run.history) + sum(map(_epochs, before))


def _right(predictions: evaluation.Predictions) -> str:
    """Write the accuracy in percent."""
    return f"{100 * evaluation.summary(predictions).accuracy:.1f}"


def reported() -> str:
    """List what others report of FER2013's test split, with the note to each figure."""
    found, said = known.reported_table("fer2013"), {True: "yes", False: "no"}
    rows = [
        (name, f"{one.accuracy:.2f}", one.kind, said.get(one.outside_data, "–"), one.note)
        for name, one in found[found["stands"]].iterrows()
    ]
    return _markdown([("result", "accuracy %", "kind", "outside data", "note"), *rows])


def speed_table() -> str:
    """List how many times as fast this project's methods are, from the speed record."""
    record = runtime.read_json(speed.record_path())
    ratios = speed.ratios_table(record)
    rows = [
        (one.case, one.comparison, f"**{one.median:.1f}** ({one.low:.1f}–{one.high:.1f})")
        for one in ratios[ratios["part"].isin(speed.PARTS)].itertuples()
    ]
    return _markdown([("part", "compared", f"times as fast on {record['hardware']}"), *rows])


def mistakes_paragraph() -> str:
    """Write the figure of FER2013's mistakes and what it shows, from the record."""
    table = mistakes.table(mistakes.load("fer2013"))
    points, figure = table["points"], table["figure"]
    smote, training_last = f"{points['smote_first']:.0f}", points["training_accuracy_last"]
    alternative = (
        f"What each mistake adds to an honest figure: SMOTE before the split {smote} points, "
        f"the last epoch's training accuracy {training_last:.0f}"
    )
    text = (
        f"One small network on FER2013, {table['seeds'].iloc[0]} seeds, one mistake at a time: "
        f"{figure.iloc[0]:.1f}% with none. Choosing the epoch on the test set adds "
        f"{points['best_epoch_on_test']:.1f} points, leaving the copies in it "
        f"{points['copies_kept']:.1f}; SMOTE before the split {smote}, and after it "
        f'{table.loc["smote_first", "done_right"]:+.1f}. "Binary" accuracy is '
        f"{figure['binary_accuracy']:.1f}% here; a network that always says no gets "
        f"{100 * 6 / 7:.1f}%. The dotted lines are what older projects claimed, not all on FER2013."
    )
    return f"![{alternative}](figures/mistakes-fer2013.png)\n\n{textwrap.fill(text, 100)}"


def notebook_table() -> str:
    """List the notebooks of the course with their titles, minutes and Colab badges."""
    rows = [("", "notebook", "read, min", "run, min", "", "")]
    for path in notebooks.paths():
        cells = notebooks.read(path)["cells"]
        title = "".join(cells[0]["source"]).splitlines()[0].lstrip("# ")
        link = f"[{title}](notebooks/{path.name})"
        reading, running, part = notebooks.schedule(cells) or ("–", "–", "–")
        cells = (path.name[:2], link, str(reading), str(running), part)
        rows.append((*cells, notebooks.badge(path.name)))
    return _markdown(rows)


#: What is written between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->`` of which page.
PARTS: dict[Path, dict[str, Callable[[], str]]] = {
    README: {
        "mistakes": mistakes_paragraph,
        "best": best,
        "minutes": minutes,
        "findings": findings,
        "judges": judges,
        "notebooks": notebook_table,
    },
    RESULTS_PAGE: {"results": table, "reported": reported, "speed": speed_table},
}


def updated(page: str, part: str, content: str) -> str:
    """Return a page's text with what is between a part's markers replaced.

    `DataError` when the markers are not there once each, in order.
    """
    begin, end = f"<!-- {part}:begin -->", f"<!-- {part}:end -->"
    before, *rest = page.split(f"{begin}\n")
    after = [one.split(f"\n{end}") for one in rest]
    if [len(one) for one in after] != [2]:
        raise DataError(f"expected {begin} and, below it, {end}, once each")
    return f"{before}{begin}\n{content}\n{end}{after[0][1]}"


def current(path: Path) -> str:
    """Return a page's text with all its parts as they should be now."""
    page = path.read_text(encoding="utf-8")
    for part, write in PARTS[path].items():
        try:
            page = updated(page, part, write())
        except DataError as error:
            raise DataError(f"{path.name}, {part}: {error}") from error
    return page


def draw(run: records.Run, folder: Path = runtime.FIGURES) -> list[Path]:
    """Draw a finished run's confusion matrix and learning curves as two PNG files in ``folder``."""
    from utils import figures

    found = evaluation.summary(run.test)
    low, high = found.interval
    title = f"{run.name}: {found.n:,} test faces, {found.accuracy:.1%} right"
    title += f" ({low:.1%} to {high:.1%})"
    counts = evaluation.confusion(run.test)
    matrix = figures.confusion_matrix(counts, run.test.expressions, title=title)
    drawn = [figures.save(matrix, f"{run.name}-confusion-matrix", folder)]
    if len(run.history) > 1:  # a mean of networks has not learned
        curves = figures.learning_curves(run.history, title=run.name)
        drawn.append(figures.save(curves, f"{run.name}-learning-curves", folder))
    return drawn


def draw_mistakes() -> Path:
    """Draw what each recorded mistake adds on FER2013, ``mistakes-fer2013.png``."""
    from utils import figures

    claimed = {name: float(figure) for name, figure, *_ in claims.ANCESTORS if figure}
    title = "What each mistake adds on FER2013 (a small network)"
    table = mistakes.table(mistakes.load("fer2013"))
    figure = figures.mistakes_waterfall(table, claims=claimed, title=title)
    return figures.save(figure, "mistakes-fer2013", runtime.FIGURES)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write parts and figures."""
    runtime.setup()  # a network is built for its number of parameters; quietly
    runtime.parser("python -m tools.readme", __doc__).parse_args(arguments)
    drawn = [path for group in groups(recorded()) for path in draw(group[0])]
    for path in [*drawn, draw_mistakes()]:
        print(f"{path.parent.name}/{path.name}")
    for path in PARTS:
        runtime.write_atomically(path, current(path).encode())
        print(f"{path.relative_to(runtime.ROOT)}: up to date")


if __name__ == "__main__":
    runtime.run_command(main)
