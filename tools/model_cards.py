"""Release a recorded run's network: its weights and its model card, into ``models/``.

``python -m tools.model_cards RUN`` does both. The card is computed from the record (Mitchell et al.
2019, *Model cards for model reporting*), and a test checks that it is current.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tools import readme
from utils import evaluation, models, records, runtime, training
from utils.runtime import ModelError

CARD = """\
# {name}

`{model}` trained on {learned}: takes a face of {height}×{width} pixels, gives the probabilities of
{classes} expressions. File: `{name}.keras`, {megabytes:.1f} MB, weights stored as float16.

```python
from utils import models, runtime

classifier = models.load(runtime.MODELS / "{name}.keras")
{averaged}{predicted}
```

Its outputs, in order: {expressions}. Scaling is part of
the network. Crop a face by its box and resize the crop (`utils.faces`); gray is Pillow's "L".

## How good it is

On the test split{chosen}. {seeds}

| | n | accuracy | 95% interval |
|---|---|---|---|
| all test faces | {n:,} | {accuracy:.2%} | {interval[0]:.1%} … {interval[1]:.1%} |
| without pictures that are also in training | {n_without_copies:,} | \
{accuracy_without_copies:.2%} | \
{interval_without_copies[0]:.1%} … {interval_without_copies[1]:.1%} |

Macro F1 {macro_f1:.3f}; top-2 accuracy {top2_accuracy:.1%}; expected calibration \
error {calibration_error:.3f}.

| expression | precision | recall | F1 | test faces |
|---|---|---|---|---|
{per_class}

Most often confused: {confused}.{elsewhere}

## How it was made

{epochs} epoch{plural} of {rows[training_balanced]:,} faces{real}; {spent} on {hardware}, \
Keras on `{backend}`, {images_per_second:.0f} faces per second.{note}

| setting | value | meaning |
|---|---|---|
{settings}

Record: [`results/{name}`](../results/{name}). Command: `{command}`.

## What it is for, and what not

For teaching, as a baseline, and where a wrong answer costs nothing. It predicts what a few labelers
saw in pictures from a web search, posed and out of context; {agreement}. \
It does **not** tell what a person feels, thinks
or intends, and it must not be used to judge anyone: in hiring, schooling, policing, medicine, or
anywhere under the European Union's ban on emotion recognition at work and in education (Regulation
2024/1689, article 5).

The training pictures come without age, gender, or skin color, so they cannot show on whom it fails
more often; expect that it fails unevenly. The expression recognized worst is *{worst}*.

## License

Weights under the MIT license of this repository, as far as they are ours to license: the training
pictures have terms of their own ([data sheet](../data/README.md)).
"""


CHOSEN = "; the epoch ({best_epoch} of {epochs}) was chosen on the validation\nsplit"

#: How well people agree with a data set's labels.
AGREEMENT = {
    "fer2013": "people agree with those labels\nabout two times in three (Goodfellow et al. 2013)",
    "ferplus": "of ten people more than half\nchose that expression (Barsoum et al. 2016)",
}
NOT_MEASURED = "we know of no measurement of how\nwell people agree with those labels"
#: Whose labels a network learned besides its data set's, by its targets.
LEARNED = {"both": " and FER+"}


def card(run: records.Run, size: int, shape: tuple[int, int, int]) -> str:
    """Write a finished run's model card in Markdown, every number from the record.

    Its file has ``size`` bytes, its input ``shape``: height, width, channels.
    """
    settings = training.settings_from_record(run.info["settings"])
    found = evaluation.summary(run.test)
    report = evaluation.report(run.test).loc[list(run.test.expressions)]
    per_class = [
        f"| {name} | {row.precision:.2f} | {row.recall:.2f} | {row.f1:.2f} | {int(row.support)} |"
        for name, row in report.iterrows()
    ]
    confused = [
        f"{row.true} mistaken for {row.predicted} ({row['count']})"
        for _, row in evaluation.most_confused(run.test, 3).iterrows()
    ]
    sides = f"(n, {', '.join(map(str, shape))})"
    minutes, rows = run.info["seconds"] / 60, run.info["rows"]
    told = {**run.info, **vars(settings), **vars(found)}
    told |= dict(zip(("height", "width", "channels"), shape, strict=True))
    told |= {
        "name": run.name,
        "learned": readme.dataset_title(run.info["dataset"]) + LEARNED.get(settings.targets, ""),
        "averaged": _averaged(run),
        "predicted": f"probabilities = classifier.predict(faces)  # {sides}, pixels of 0 … 255",
        "note": f" {run.info['note']}" if run.info.get("note") else "",
        "classes": len(run.test.expressions),
        "expressions": ", ".join(run.test.expressions),
        "seeds": _seeds(run),
        "megabytes": size / 1e6,
        "epochs": len(run.history),
        "per_class": "\n".join(per_class),
        "worst": report["f1"].idxmin(),
        "confused": "; ".join(confused),
        "elsewhere": _elsewhere(run),
        "agreement": AGREEMENT.get(run.info["dataset"], NOT_MEASURED),
        "plural": "s" * (len(run.history) != 1),
        "settings": _settings_table(settings),
        "real": f", from {rows['training']:,} real ones" * (settings.balance == "smote"),
        "spent": f"{minutes / 60:.1f} hours" if minutes >= 60 else f"{max(minutes, 1):.0f} min",
    }
    told["chosen"] = CHOSEN.format(**told) if len(run.history) > 1 else ""
    return CARD.format(**told)


def _elsewhere(run: records.Run) -> str:
    """Say how good the network is on all of ExpW, if it was tested there."""
    for one in records.evaluations(run.folder):
        if (one.dataset, one.split) == ("expw", "all"):
            found = evaluation.summary(one.predictions)
            low, high = found.interval
            return (
                f"\n\nOn other photos it is less accurate: {found.accuracy:.1%} "
                f"({low:.1%} … {high:.1%}) on\n"
                f"{found.n:,} faces of ExpW, balanced over seven expressions. Most of them were "
                "found by a search for\nanger, and many of their labels are doubtful "
                "([data sheet](../data/README.md))."
            )
    return ""


def _averaged(run: records.Run) -> str:
    """Write the line that makes a loaded network average as many views as in its test."""
    line = f"classifier = models.averaged(classifier, {run.views})  # views of a face, as tested\n"
    return line if run.views > 1 else ""


def _settings_table(settings: training.Settings) -> str:
    """List the settings, with their help texts as their meaning; what is empty is left out."""
    needs = {"distillation_weight": settings.teachers, "fine_tuning_factor": settings.frozen_epochs}
    rows = []
    for name, (_, about) in training.fields().items():
        value = getattr(settings, name)
        if needs.get(name, True) and value not in ((), {}):
            if isinstance(value, tuple):
                text = ", ".join(f"`{one}`" for one in value)
            elif isinstance(value, dict):
                text = f"`{json.dumps(value)}`"
            elif isinstance(value, bool):
                text = "yes" if value else "no"
            else:
                text = f"{value:g}" if isinstance(value, float) else str(value)
            rows.append(f"| `{name}` | {text} | {about} |")
    return "\n".join(rows)


def _seeds(run: records.Run) -> str:
    """Say what the same settings reached from other seeds, or that there is only one."""
    shares = [
        f"{evaluation.summary(one.test).accuracy:.1%} (seed {one.info['seed']})"
        for one in readme.seeds_of(run)
        if one.name != run.name
    ]
    if not shares:
        return f"One seed ({run.info['seed']})."
    return f"Seed {run.info['seed']}; the same settings from other seeds: {', '.join(shares)}."


def release(run: records.Run, folder: Path = runtime.MODELS) -> tuple[Path, Path]:
    """Copy a finished run's network into ``folder``, write its card beside it, return both.

    Raises
    ------
    ModelError
        When the run is not finished, or its network is gone.
    """
    source = run.folder / "model.keras"
    if run.test is None or not source.is_file():
        raise ModelError(f"{run.name}: no finished network to release in its folder")
    shape = models.load(source).input_shape
    weights, text = folder / f"{run.name}.keras", folder / f"{run.name}.md"
    content = card(run, source.stat().st_size, shape)
    runtime.write_atomically(weights, source.read_bytes())
    runtime.write_atomically(text, content.encode())
    return weights, text


def main(arguments: Sequence[str] | None = None) -> None:
    """Release the runs that the command line names."""
    parser = runtime.parser("python -m tools.model_cards", __doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a folder's name below results/")
    asked = parser.parse_args(arguments)
    runtime.setup()
    for name in asked.runs:
        for file in release(records.load(name)):
            print(file.relative_to(runtime.ROOT))


if __name__ == "__main__":
    runtime.run_command(main)
