"""The command that trains: what is asked for is what is recorded."""

import pytest

import train
from utils import commands, records, training
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError, ModelError

pytestmark = pytest.mark.usefixtures("ready")

SMALL = ["--network", '{"filters": [4, 8, 8], "dense": 8}', "--size", "16", "--verbose", "0"]


def named(*words):
    return commands.named_settings(train.parser().parse_args(words))


def test_every_setting_is_an_option_with_the_words_of_its_field(capsys):
    with pytest.raises(SystemExit):
        train.main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    for name, (_, description) in training.fields().items():
        if name != "model":
            assert commands.option(name) in told
            assert description in told
    for name in training.fields():
        assert train.parser().parse_args([]).__dict__.get(name) is None or name == "model"


def test_what_is_named_is_taken_and_nothing_else():
    words = [
        *("--epochs", "7", "--learning-rate", "0.01", "--balance", "weights", "--no-flip"),
        *("--test-time-augmentation", "10", "--teachers", "a", "b"),
        *("--network", '{"dropout": 0.3}'),
    ]
    expected = {"epochs": 7, "learning_rate": 0.01, "balance": "weights", "flip": False}
    expected |= {"test_time_augmentation": 10, "teachers": ["a", "b"], "network": {"dropout": 0.3}}
    assert named(*words) == {"model": "cnn5", **expected}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "alexnet"], "invalid choice: 'alexnet'"),
        (["--epochs", "-1"], "--epochs: input should be greater than or equal to 0, not -1"),
        (["--epochs", "2.5"], "invalid int value"),
        (["--epochs", "3", "--frozen-epochs", "3"], "less than epochs"),
        (["--rotation", "270"], "--rotation"),
        (["--learning-rate", "-1"], "--learning-rate"),
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**40)], "--seed"),
        (["--network", "dropout=0.3"], "not JSON"),
        (["--network", "[1]"], "expected a JSON object, found list"),
        (["--balance", "oversample"], "smote"),
        (["--data", "affectnet"], "fer2013"),
        (["--distillation-weight", "0.5"], "--teachers"),
        (["--devices", "64"], "asked for 64 devices"),
        (["--devices", "some"], "some"),
        (["--epoch", "3"], "unrecognized"),
    ],
    ids=str,
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
    train.main(words)
    assert capsys.readouterr().out == told
    with pytest.raises(ModelError, match=r"was started with epochs: 2, now 3"):
        train.main([*words, "--epochs", "3"])
    # A second network starts from the first and is taught by it, given only its name.
    again = ["--initial-weights", "cnn3-sample-none", "--teachers", "cnn3-sample-none"]
    train.main([*words, *again])
    taught = records.load("cnn3-sample-none-distilled", tmp_path)
    assert taught.info["settings"]["teachers"] == ["cnn3-sample-none"]


def test_an_expression_can_be_left_out(tmp_path):
    words = ["--model", "cnn3", "--epochs", "1", "--results", str(tmp_path), *SMALL]
    with pytest.raises(DataError, match="no contempt to leave out"):
        train.main([*words, "--without", "contempt"])
    assert list(tmp_path.iterdir()) == []
    train.main([*words, "--without", "disgust", "--without", "fear"])
    run = records.load("cnn3-sample-none-without-disgust-without-fear", tmp_path)
    assert run.test.expressions == ("angry", "happy", "sad", "surprise", "neutral")
    six = [word for name in EXPRESSIONS[:6] for word in ("--without", name)]
    with pytest.raises(DataError, match="at least two expressions"):
        train.main([*words, *six])
