"""The command that trains: what is asked for is what is recorded."""

import json
import shlex

import pytest

import train
from utils import ablation, models, outstanding, records, runtime
from utils.ablation.command import parser as ablation_parser
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError, ModelError

SMALL = ["--network", '{"filters": [4, 8, 8], "dense": 8}', "--size", "16", "--verbose", "0"]


@pytest.fixture(scope="module", autouse=True)
def ready():
    runtime.setup(0)


def planned(*words):
    return train.settings(train.parser().parse_args(words))


def test_what_is_not_named_is_the_networks_own():
    from utils import training

    for name in ("cnn3", "cnn5", "vgg16"):
        assert planned("--model", name) == training.recipe(name)


def test_what_is_named_is_taken():
    plan = planned(
        *("--model", "cnn4", "--epochs", "7", "--batch-size", "32", "--learning-rate", "0.01"),
        *("--balance", "weights", "--seed", "3", "--size", "40", "--frozen-epochs", "2"),
        *("--rotation", "20", "--no-flip", "--network", '{"dropout": 0.3}'),
    )
    assert (plan.epochs, plan.batch_size, plan.learning_rate) == (7, 32, 0.01)
    assert (plan.balance, plan.seed, plan.size, plan.frozen_epochs) == ("weights", 3, 40, 2)
    assert plan.network == {"dropout": 0.3}
    assert (plan.augmentation.rotation, plan.augmentation.flip) == (20, False)
    assert plan.augmentation.zoom == planned("--model", "cnn4").augmentation.zoom
    assert planned("--no-augment").augmentation is None


PLANNED = outstanding.planned()
(RUNS_OF_THE_ABLATION,) = (
    entry["runs"]
    for entry in json.loads((runtime.RESULTS / outstanding.PLANNED).read_text("utf-8"))
    if "runs" in entry
)


@pytest.mark.parametrize("name", PLANNED.index)
def test_what_is_planned_can_be_asked_for(name):
    """Every planned command is one that the command line understands, and names its record."""
    _, python, script, *words = shlex.split(PLANNED.loc[name, "command"])
    assert python == "python"
    if script == "-m":
        assert words[0] == "utils.ablation"
        asked = ablation_parser().parse_args(words[1:])
        plan = ablation.plan_for(asked.data, asked.model)
        assert name == f"ablation-{asked.data}"
        assert len(plan.lines) * asked.seeds == RUNS_OF_THE_ABLATION
        return
    assert script == "train.py"
    plan = planned(*words)
    assert train.parser().parse_args(words).name == name
    model = models.build(plan.model, (plan.size, plan.size, 1), **plan.network)
    if "distilled" in name:
        assert model.count_params() <= 5_000_000
        assert f"{model.count_params() / 1e6:.1f} million" in PLANNED.loc[name, "why"]
        assert set(plan.teachers) < set(PLANNED.index)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "alexnet"], "cnn3, cnn4, cnn5, vgg16, resnet"),
        (["--epochs", "0"], "at least 1"),
        (["--epochs", "3", "--frozen-epochs", "3"], "less than epochs"),
        (["--rotation", "270"], "0 … 180"),
        (["--network", "dropout=0.3"], "--network"),
        (["--balance", "oversample"], "smote"),
        (["--data", "affectnet"], "fer2013"),
        (["--taught", "0.5"], "--teachers"),
        (["--teachers", "cnn5-fer2013-smote", "--taught", "2"], "0 … 1"),
    ],
)
def test_a_wrong_command_line_says_what_was_expected(words, said, capsys):
    with pytest.raises(SystemExit) as left:
        train.main(words)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_a_run_is_recorded_and_the_same_command_finds_it(tmp_path, capsys):
    words = ["--model", "cnn3", "--epochs", "2", "--results", str(tmp_path), *SMALL]
    train.main(words)
    told = capsys.readouterr().out
    run = records.load("cnn3-sample-none", tmp_path)
    assert f"best epoch {run.best_epoch} of 2" in told
    assert f"n = {len(run.test):,}" in told
    assert run.info["settings"]["network"] == {"filters": [4, 8, 8], "dense": 8}
    train.main([*words, "--resume"])
    assert capsys.readouterr().out == told
    with pytest.raises(ModelError, match=r"was begun with epochs 2.*with 3"):
        train.main([*words, "--epochs", "3"])


def test_an_expression_can_be_left_out(tmp_path):
    words = ["--model", "cnn3", "--epochs", "1", "--results", str(tmp_path), *SMALL]
    with pytest.raises(DataError, match="no contempt to leave out"):
        train.main([*words, "--without", "contempt"])
    assert list(tmp_path.iterdir()) == []
    train.main([*words, "--without", "disgust", "--without", "fear"])
    run = records.load("cnn3-sample-none-without-disgust-without-fear", tmp_path)
    assert run.test.expressions == ("angry", "happy", "sad", "surprise", "neutral")
    # The same in another order, one of them twice, is the same run.
    train.main([*words, *("--without", "fear", "--without", "disgust", "--without", "fear")])
    assert len([folder for folder in tmp_path.iterdir() if folder.is_dir()]) == 1
    six = [word for name in EXPRESSIONS[:6] for word in ("--without", name)]
    with pytest.raises(DataError, match="two expressions or more"):
        train.main([*words, *six])


def test_a_taught_run_is_called_so(tmp_path):
    words = ["--model", "cnn3", "--epochs", "1", "--results", str(tmp_path), *SMALL]
    train.main([*words, "--name", "teacher"])
    teacher = str(tmp_path / "teacher" / "model.keras")
    train.main([*words, "--teachers", teacher, "--taught", "0.7"])
    run = records.load("cnn3-sample-none-taught", tmp_path)
    assert run.info["settings"]["teachers"] == [teacher]
    assert run.info["settings"]["taught"] == 0.7


def test_resume_needs_something_to_go_on_with(tmp_path):
    with pytest.raises(ModelError, match="no run called 'mine'"):
        train.main(["--name", "mine", "--resume", "--results", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []
