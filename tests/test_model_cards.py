"""Released networks are what their records say, and their cards are current."""

import dataclasses
import re
import shutil

import numpy as np
import pytest
import test_training

from tools import model_cards
from utils import datasets, evaluation, models, records, runtime, training
from utils.runtime import DataError, ModelError

RELEASED = sorted(runtime.MODELS.glob("*.keras"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    runtime.setup(0)
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    settings = test_training.settings(epochs=1)
    return training.train(test_training.faces(), settings, folder=folder, verbose=0)


def test_a_release_is_the_network_and_its_card(run, tmp_path):
    weights, card = model_cards.release(run, tmp_path)
    assert [weights.name, card.name] == ["tiny.keras", "tiny.md"]
    assert models.load(weights).expressions == run.test.expressions
    text = card.read_text(encoding="utf-8")
    found = evaluation.summary(run.test)
    assert f"| {found.n:,} | {found.accuracy:.2%} |" in text
    for expression in run.test.expressions:
        assert f"| {expression} |" in text
    assert not re.search(r"\{[a-z_]+\}", text)


def test_a_card_says_what_trained_the_network(run):
    assert "| `optimizer` | adamw |" in model_cards.card(run, 1, (32, 32, 1))
    other = test_training.settings(optimizer="sgd", flip=False, teachers=("cnn4-a", "resnet"))
    info = {**run.info, "settings": dataclasses.asdict(other), "note": "Both are released."}
    text = model_cards.card(dataclasses.replace(run, info=info), 1, (32, 32, 1))
    for said in (
        "`optimizer` | sgd |",
        "`teachers` | `cnn4-a`, `resnet` |",
        "`distillation_weight` |",
    ):
        assert said in text
    for said in ("`flip` | no |", "`mixup` | 0 |", '`network` | `{"filters": [4, 4, 8'):
        assert said in text
    assert "`fine_tuning_factor`" not in text
    assert "faces per second. Both are released.\n" in text


def test_a_card_tells_how_good_the_network_is_on_other_photos(run, tmp_path):
    here = dataclasses.replace(run, folder=tmp_path)
    assert "ExpW" not in model_cards.card(here, 1, (32, 32, 1))
    info = {"dataset": "expw", "split": "all", "network": run.name}
    records.write_evaluation(tmp_path, info, run.test)
    found = evaluation.summary(run.test)
    text = model_cards.card(here, 1, (32, 32, 1))
    assert f"it is less accurate: {found.accuracy:.1%}" in text
    assert f"{found.n:,} faces of ExpW" in text


def test_a_card_tells_what_other_seeds_came_to(run, tmp_path):
    assert "One seed (0)." in model_cards.card(run, 1, (32, 32, 1))
    info = {**run.info, "dataset": "fer2013"}
    here = dataclasses.replace(run, folder=tmp_path / run.name, info=info)
    again = shutil.copytree(run.folder, tmp_path / "again")
    settings = {**info["settings"], "seed": 1}
    records.write_info(again, {**info, "seed": 1, "settings": settings})
    accuracy = evaluation.summary(run.test).accuracy
    told = f"Seed 0; the same settings from other seeds: {accuracy:.1%} (seed 1)."
    assert told in model_cards.card(here, 1, (32, 32, 1))


def test_the_card_of_a_mean_of_networks_has_no_epochs(run):
    settings = {**run.info["settings"], "epochs": 0, "initial_weights": ["one", "other"]}
    rows = {**run.info["rows"], "training_balanced": 0}
    info = {**run.info, "settings": settings, "rows": rows}
    mean = dataclasses.replace(run, info=info, history=run.history[:0])
    text = model_cards.card(mean, 1, (32, 32, 1))
    assert "0 epochs of 0 faces" in text
    assert "| `initial_weights` | `one`, `other` |" in text
    assert "On the test split. One seed" in text


def test_a_run_without_its_network_is_not_released(run, tmp_path):
    gone = records.Run(tmp_path / "gone", run.info, run.history, run.validation, run.test)
    with pytest.raises(ModelError, match="gone"):
        model_cards.release(gone, tmp_path)


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_every_released_network_has_its_record_and_a_current_card(path):
    run = records.load(path.stem)
    written = path.with_suffix(".md").read_text(encoding="utf-8")
    side = run.info["settings"]["size"]
    channels = models.load(path).input_shape[2]
    assert written == model_cards.card(run, path.stat().st_size, (side, side, channels))


@pytest.mark.real_data
@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_a_released_network_gives_its_recorded_predictions_again(path):
    """For 300 faces of each split: recorded in training's precision, a few may differ."""
    runtime.setup(0)
    run = records.load(path.stem)
    try:
        dataset = datasets.load(run.info["dataset"])
    except DataError as error:
        pytest.skip(str(error))
    if dataset.fingerprint() != run.info["fingerprint"]:
        pytest.skip("another copy of the data than the recorded one")
    classifier = models.load(path)
    views = training.settings_from_record(run.info["settings"]).test_time_augmentation
    for split, recorded in (("validation", run.validation), ("test", run.test)):
        few = dataset.take(np.flatnonzero(dataset.split == split)[:300])
        again = training.predict(classifier, few, split, test_time_augmentation=views)
        np.testing.assert_array_equal(again.rows, recorded.rows[:300])
        assert (again.predicted == recorded.predicted[:300]).mean() > 0.98
        apart = np.abs(again.probabilities - recorded.probabilities[:300])
        assert np.quantile(apart, 0.99) < 0.02
