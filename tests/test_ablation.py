"""Each line changes one thing; a run that is cut off goes on; the table's sums are right."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from utils import ablation, figures, plans, runtime, training
from utils.augment import Augmentation
from utils.datasets import FaceDataset
from utils.runtime import DataError, ModelError

LINES = ("recipe", "one_view", "no_mixup")
TINY = {"filters": [2], "convolutions": 1, "dense": [], "dropout": 0.1}


def faces(count=210, seed=0) -> FaceDataset:
    """Make noise whose brightness tells the class, 70/10/20 %."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 7
    images = rng.integers(0, 60, (count, 12, 12, 1)) + (labels * 28)[:, None, None, None]
    split = np.array(["training"] * 7 + ["validation"] + ["test"] * 2)[np.arange(count) // 7 % 10]
    return FaceDataset(images.astype(np.uint8), labels, split, np.arange(count), "sample")


def tiny(**changes) -> ablation.Plan:
    """Plan two epochs of a network of two filters."""
    asked = {"network": TINY, "size": 12, "epochs": 2, "lines": LINES, **changes}
    return ablation.plan_for("sample", **asked)


# -------------------------------------------------------------------------------------- the lines


@pytest.mark.parametrize("data", ablation.DATA)
def test_a_plan_holds_the_recipe_and_every_line_that_is_possible(data):
    plan = ablation.plan_for(data)
    expected = [line for line in ablation.LINES if line != "labels" or data == "ferplus"]
    assert list(plan.lines) == expected
    assert [line for line in plan.lines if not plan.trains(line)] == ["one_view"]
    assert plan.changes("recipe") == {}
    json.dumps([plan.as_dict(), [plan.changes(line) for line in plan.lines]])


def test_a_line_changes_what_it_says_and_nothing_else():
    recipe = training.recipe("best", epochs=60)
    plan = ablation.plan_for("fer2013")
    assert plan.settings("recipe", 3) == dataclasses.replace(recipe, seed=3)
    moves = recipe.augmentation
    expected = {
        "one_view": {"views": 1},
        "no_moves": {"augmentation": Augmentation(0.0, 0.0, 0.0, flip=True)},
        "no_mirroring": {"augmentation": dataclasses.replace(moves, flip=False)},
        "no_erasing": {"erasing": 0.0},
        "cutmix": {"mixup": 0.0, "cutmix": 1.0},
        "no_average": {"average": 0.0},
        "adamw": {"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.05},
        "half_filters": {"network": {"filters": [32, 64, 128, 256]}},
        "size_64": {"size": 64},
    }
    for line, changes in expected.items():
        assert plan.settings(line) == dataclasses.replace(recipe, **changes), line


def test_another_network_does_not_take_over_the_settings_of_the_recipes():
    plan = ablation.plan_for("sample")
    assert plan.base.network["filters"] == [8, 16, 32]
    assert "patch" not in plan.base.network
    assert plan.settings("vit").network == plan.networks["vit"]
    assert ablation.plan_for("fer2013", network=TINY).settings("convnext").network == {}
    assert plan.settings("half_filters").network["filters"] == [4, 8, 16]
    assert plan.settings("no_dropout").network == {**plan.base.network, "dropout": 0.0}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"lines": ("no_luck",)},
            "no line called 'no_luck'; there are: recipe, one_view, no_moves",
        ),
        ({"model": "vit", "lines": ("half_filters",)}, "vit has no setting called filters"),
        ({"model": "convnext", "lines": ("convnext",)}, "'convnext' .* changes nothing"),
        ({"lines": ("labels",)}, "'labels' is not possible: it changes nothing"),
        ({"size": 64, "lines": ("size_64",)}, "'size_64' is not possible"),
        ({"model": "cnn9"}, "no network is called 'cnn9'"),
        ({"epochs": 0}, "epochs"),
        ({"size": -1}, "size"),
    ],
)
def test_what_is_not_possible_is_named(asked, says):
    with pytest.raises(ModelError, match=says):
        ablation.plan_for("fer2013", **asked)


def test_lines_that_are_not_possible_are_left_out_where_none_is_asked_for():
    assert "half_filters" not in ablation.plan_for("fer2013", "vit").lines
    assert "size_64" not in ablation.plan_for("fer2013", size=64).lines
    assert tiny(lines=("no_mixup",)).lines == ("recipe", "no_mixup")


# --------------------------------------------------------------------------------------- the runs


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """One seed, in one go; with the folder of the record and that of the runs."""
    runtime.setup(0)
    place = tmp_path_factory.mktemp("whole")
    folder, runs = place / "ablation-sample", place / "runs"
    return ablation.run(faces(), tiny(), [0], folder, runs=runs, command="test"), folder, runs


def test_what_is_recorded_is_of_the_validation_split_alone(begun):
    found, folder, runs = begun
    data = faces()
    assert found.finished() == {(line, 0) for line in LINES}
    assert not [path for place in (folder, runs) for path in place.rglob("test*")]
    assert found.info["fingerprint"] == data.fingerprint()
    assert found.info["sessions"][0]["command"] == "test"
    assert found.info["lines"]["no_mixup"] == {"title": "no mixup", "changes": {"mixup": 0.0}}
    for row in found.runs.itertuples():
        with np.load(folder / f"{row.line}-0.validation.npz") as answers:
            np.testing.assert_array_equal(answers["rows"], data.part("validation").rows)
            right = answers["probabilities"].argmax(axis=1) == answers["labels"]
            assert row.accuracy == pytest.approx(right.mean(), abs=1e-6)
        assert (row.n, row.epochs) == (21, 2)
    assert len(list(folder.iterdir())) == 5


def test_one_view_asks_the_recipes_own_network(begun):
    from utils import models

    found, folder, runs = begun
    assert sorted(path.name for path in (runs / folder.name).iterdir() if path.is_dir()) == [
        "no_mixup-0",
        "recipe-0",
    ]
    classifier = models.load(runs / folder.name / "recipe-0" / "model.keras")
    once = training.predict(classifier, faces(), "validation", views=1)
    with np.load(folder / "one_view-0.validation.npz") as answers:
        np.testing.assert_allclose(answers["probabilities"], once.probabilities, atol=2e-3)
        with np.load(folder / "recipe-0.validation.npz") as whole:
            assert not np.array_equal(answers["probabilities"], whole["probabilities"])
    rows = found.runs.set_index("line")
    same = ["best_epoch", "seconds", "parameters"]
    assert rows.loc["one_view", same].tolist() == rows.loc["recipe", same].tolist()
    assert rows.loc["recipe", "parameters"] == classifier.model.count_params()


def test_cut_off_by_the_clock_and_killed_it_comes_to_the_same_record(begun, tmp_path, monkeypatch):
    whole, folder, _ = begun
    place = tmp_path / "ablation-sample"
    where = {"runs": tmp_path / "runs", "minutes": 1e-9}
    found = ablation.run(faces(), tiny(), [0], place, **where)
    # The first epoch is on disk, and no more than that.
    history = tmp_path / "runs" / place.name / "recipe-0" / "history.csv"
    assert len(pd.read_csv(history)) == 1
    assert found.left(LINES, [0]) == [(line, 0) for line in LINES]

    add = ablation.findings.add_row

    def killed(folder, row):
        if row["line"] != "recipe":  # its answers are on disk already, and it does not count
            raise KeyboardInterrupt
        add(folder, row)

    where["minutes"] = None
    monkeypatch.setattr(ablation.findings, "add_row", killed)
    with pytest.raises(KeyboardInterrupt):
        ablation.run(faces(), tiny(), [0], place, **where)
    assert ablation.load(place).left(LINES, [0, 1])[:2] == [("one_view", 0), ("no_mixup", 0)]
    monkeypatch.setattr(ablation.findings, "add_row", add)
    done = ablation.run(faces(), tiny(), [0], place, **where)
    pd.testing.assert_frame_equal(
        done.runs.drop(columns="seconds"), whole.runs.drop(columns="seconds")
    )
    assert len(done.info["sessions"]) == 3
    assert {path.name for path in place.iterdir()} == {path.name for path in folder.iterdir()}


def test_another_recipe_or_other_data_do_not_mix(begun):
    _, folder, runs = begun
    where = {"runs": runs}
    with pytest.raises(ModelError, match="begun with epochs 2, and is asked to go on with 3"):
        ablation.run(faces(), tiny(epochs=3), [0], folder, **where)
    with pytest.raises(ModelError, match="begun with fingerprint"):
        ablation.run(faces(seed=1), tiny(), [0], folder, **where)
    info = json.loads((folder / "plan.json").read_text())
    other = {**info["lines"]["no_mixup"], "changes": {"mixup": 0.1}}
    plans.write(folder, {**info, "lines": {**info["lines"], "no_mixup": other}})
    with pytest.raises(ModelError, match=r"begun with no_mixup's changes \{'mixup': 0.1\}"):
        ablation.run(faces(), tiny(), [0], folder, **where)
    plans.write(folder, info)
    with pytest.raises(ModelError, match="one seed or more"):
        ablation.run(faces(), tiny(), [], folder, **where)


def test_a_network_that_is_gone_is_not_trained_anew_for_one_view(begun, tmp_path):
    found, folder, _ = begun
    text = (folder / "lines.csv").read_text()
    place = tmp_path / "ablation-sample"
    plans.write(place, found.info)
    (place / "lines.csv").write_text("".join(text.splitlines(keepends=True)[:2]))
    with pytest.raises(ModelError, match=r"recipe-0/model\.keras: is gone"):
        ablation.run(faces(), tiny(), [0], place, runs=tmp_path / "elsewhere")


def test_a_network_that_cannot_be_built_leaves_no_record(tmp_path):
    for plan in (tiny(network={"filter": [2]}), tiny(network={**TINY, "filters": [2] * 4})):
        with pytest.raises(ModelError, match="best"):
            ablation.run(faces(), plan, [0], tmp_path / "none", runs=tmp_path)
    assert not (tmp_path / "none").exists()


def test_data_without_validation_rows_are_refused(tmp_path):
    data = faces()
    with pytest.raises(DataError, match="validation"):
        ablation.run(data.take(data.split != "validation"), tiny(), [0], tmp_path / "none")


# ------------------------------------------------------------------------ the table and the record


PAPER = {"dataset": "paper", "fingerprint": "", "settings": {}, "sessions": []}


def record(folder, rows):
    """Write a record by hand: (line, seed, accuracy, seconds, hardware) each."""
    titles = {line: {"title": ablation.LINES[line].title, "changes": {}} for line, *_ in rows}
    plans.write(folder, {**PAPER, "lines": titles})
    for line, seed, accuracy, seconds, hardware in rows:
        row = {"line": line, "seed": seed, "epochs": 9, "best_epoch": 8, "n": 100}
        row |= {"accuracy": accuracy, "log_loss": 1.0, "seconds": seconds, "parameters": 5}
        ablation.findings.add_row(folder, {**row, "hardware": hardware})
    return ablation.load(folder)


@pytest.fixture
def by_hand(tmp_path):
    rows = [
        ("recipe", 0, 0.70, 10.0, "one"),
        ("no_mixup", 0, 0.66, 8.0, "one"),
        ("vit", 0, 0.50, 8.0, "other"),
        ("recipe", 1, 0.74, 10.0, "one"),
        ("no_mixup", 1, 0.72, 5.0, "other"),
        ("cutmix", 1, 0.75, 20.0, "one"),
        ("cutmix", 2, 0.10, 1.0, "one"),  # no recipe of this seed to be held against
        ("no_erasing", 2, 0.10, 1.0, "one"),
    ]
    return record(tmp_path / "ablation-paper", rows)


def test_the_table_by_hand(by_hand):
    table = ablation.table(by_hand)
    assert table.index.tolist() == ["recipe", "no_mixup", "vit", "cutmix"]
    assert table["seeds"].tolist() == [2, 2, 1, 1]
    assert table["accuracy"].tolist() == pytest.approx([72, 69, 50, 75])
    assert table["points"].tolist() == pytest.approx([0, -3, -20, 1])
    # t with one degree of freedom, times the deviation of -4 and -2 over the root of two.
    ends = table.loc["no_mixup", ["low", "high"]].tolist()
    assert ends == pytest.approx([-3 - 12.706204736432095, -3 + 12.706204736432095])
    assert table.drop(index="no_mixup")[["low", "high"]].isna().all(axis=None)
    # Only what ran on the same machine is timed against each other.
    assert table["seconds"].tolist() == pytest.approx([1, 0.8, np.nan, 2], nan_ok=True)


def test_the_text_says_where_there_is_no_interval(by_hand):
    said = ablation.describe(ablation.table(by_hand)).splitlines()
    assert said[0] == " 72.0 %  the whole recipe, 2 seeds, validation split"
    vit, mixup, cutmix = said[1:]
    assert vit.startswith(" 50.0 %  -20.0 (one seed: no interval)  a small vision transformer")
    assert mixup == " 69.0 %   -3.0 (-15.7 to +9.7)  no mixup, 0.80 × the time"
    assert cutmix.endswith("CutMix in place of mixup, 2.00 × the time")
    assert "the time" not in vit


def test_damaged_and_missing_records_are_named(by_hand, tmp_path):
    file = tmp_path / "ablation-paper" / "lines.csv"
    text = file.read_text()
    for damaged, says in (
        (text.replace("no_mixup,1", "no_mixup,0"), "row 4: found a line and seed for the second"),
        (text.replace("0.66", "6.6"), "row 1: found an accuracy outside"),
        (text.replace("vit,", "swin,"), "row 2: found a line that plan.json does not name"),
        (text.replace("no_mixup,1", "no_mixup,x"), "row 4: found no number"),
        (text.replace("no_mixup,1", "no_mixup,1.5"), "row 4: found a seed"),
        (text.replace("best_epoch", "epoch"), "expected line, seed, epochs, best_epoch"),
    ):
        file.write_text(damaged)
        with pytest.raises(ModelError, match=says):
            ablation.load(tmp_path / "ablation-paper")
    file.write_text(text)
    assert ablation.load("paper", tmp_path).name == "paper"
    with pytest.raises(ModelError, match=r"ablation-moon: .* recorded: paper"):
        ablation.load("moon", tmp_path)
    alone = dataclasses.replace(by_hand, runs=by_hand.runs[by_hand.runs["line"] == "vit"])
    with pytest.raises(ModelError, match="not recorded yet"):
        ablation.table(alone)


# ------------------------------------------------------------------------- the command, the figure


def test_the_command_goes_on_and_says_what_is_left(begun, tmp_path, monkeypatch, capsys):
    _, folder, runs = begun
    monkeypatch.setattr(ablation.command.datasets, "load", lambda name, path: faces())
    where = ["--results", str(folder.parent), "--runs", str(runs)]
    plan = ["--network", json.dumps(TINY), "--size", "12", "--epochs", "2", "--lines", *LINES]
    assert ablation.main([*where, *plan, "--seeds", "1"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "one seed: no interval" in said[-2]
    assert said[-1].endswith("/ablation-sample")

    monkeypatch.setattr(ablation.command.laboratory, "run", lambda *_, **__: ablation.load(folder))
    assert ablation.main([*where, *plan, "--seeds", "2"]) == 3
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "left: 3 of 6 runs, next recipe with seed 1; the same command goes on"


@pytest.mark.parametrize(
    "words",
    [
        ["--seeds", "0"],
        ["--epochs", "0"],
        ["--minutes", "0"],
        ["--network", "[1]"],
        ["--data", "x"],
    ],
)
def test_impossible_words_are_refused(words, capsys):
    with pytest.raises(SystemExit, match="2"):
        ablation.main(words)
    assert words[0] in capsys.readouterr().err


def test_an_unknown_line_on_the_command_line_lists_those_that_exist(capsys):
    assert ablation.main(["--lines", "no_luck"]) == 1
    assert "there are: recipe, one_view" in capsys.readouterr().err


def test_the_figure_sorts_by_difference_and_marks_what_is_known(by_hand):
    table = ablation.table(by_hand)
    axes = figures.ablation(table, title="a title").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "a small vision transformer, AdamW",
        "no mixup",
        "CutMix in place of mixup",
    ]
    texts = [text.get_text() for text in axes.texts]
    assert "−3.0  (−15.7 to +9.7)" in texts
    assert "−20.0" in texts
    assert "the whole recipe: 72.0 %" in texts
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    assert dots == pytest.approx([-20, 1])


def test_an_interval_wider_than_the_axis_ends_in_an_arrow(by_hand):
    table = ablation.table(by_hand).drop(index="vit")
    axes = figures.ablation(table).axes[0]
    left, right = axes.get_xlim()
    assert -12 < left < -3 < 1 < right < 9
    assert {"<", ">"} <= {line.get_marker() for line in axes.lines}


def test_the_figure_refuses_what_it_cannot_draw(by_hand):
    table = ablation.table(by_hand)
    with pytest.raises(DataError, match="no column points"):
        figures.ablation(table.drop(columns="points"))
    with pytest.raises(DataError, match="no row 'recipe'"):
        figures.ablation(table.drop(index="recipe"))
    with pytest.raises(DataError, match="changes"):
        figures.ablation(table.iloc[:1])
