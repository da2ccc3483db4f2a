"""The mistakes leak what they should, the honest way nothing, and the table adds up."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import mistakes as laboratory
from utils import figures, runtime
from utils.datasets import SPLITS, FaceDataset
from utils.honesty import mistakes
from utils.runtime import DataError, ModelError

TINY = {
    **laboratory.PLAN,
    "network": {"filters": [2, 2, 2], "dense": 4, "momentum": 0.5, "dropout": 0.2},
    "size": 8,
    "epochs": 2,
    "steps": 3,
    "batch_size": 16,
    "precision": "float32",
    "moves": {"rotation": 0.0, "zoom": 0.0, "shift": 0.1, "flip": False},
}


def faces(count=350, seed=0) -> FaceDataset:
    """Make noise whose brightness tells the class, 70/10/20%, two of the classes small."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.resize([0, 2, 3, 3, 4, 5, 6, 0, 2, 3, 4, 5, 6, 6, 1], count))
    images = rng.integers(0, 60, (count, 8, 8, 1)) + (labels * 28)[:, None, None, None]
    split = np.resize(["training"] * 7 + ["validation"] + ["test"] * 2, count)
    return FaceDataset(images.astype(np.uint8), labels, split, np.arange(count), "sample")


def with_copies() -> FaceDataset:
    """Copy two training pictures into test and one into validation."""
    data = faces()
    images = data.images.copy()
    for split, count in (("test", 2), ("validation", 1)):
        into = np.flatnonzero(data.split == split)[:count]
        images[into] = images[np.flatnonzero(data.split == "training")[:count]]
    return dataclasses.replace(data, images=images)


def made(variant, data, seed=0):
    """Return a variant's pictures, rows, split, and which rows leak."""
    images, rows = laboratory.rows_of(variant, data, TINY)
    split = laboratory.split_of(rows, variant, seed)
    assert len(images) == len(rows) == len(split)
    assert set(split) == set(SPLITS)
    return images, rows, split, laboratory.leaked(rows, split)


def test_the_honest_split_is_the_data_sets_and_leaks_its_copies_only():
    data = with_copies()
    images, rows, split, leaks = made("honest", data)
    assert (split == data.split).all()
    assert (images == data.images).all()
    assert (rows["row"] == data.rows).all()
    assert sorted(split[leaks]) == ["test", "test", "validation"]
    assert not made("honest", faces())[3].any()


def test_a_new_split_is_stratified_differs_by_seed_and_parts_copies():
    data = with_copies()
    _, rows, split, _ = made("resplit", data)
    assert [(split == name).mean().round(1) for name in SPLITS] == [0.8, 0.1, 0.1]
    tested = pd.Series(split == "test").groupby(rows["label"]).mean()
    assert (tested - 0.1).abs().max() < 0.06
    assert (split != laboratory.split_of(rows, "resplit", 1)).any()
    # A copy and its original end up on two sides.
    assert max(made("resplit", data, seed=seed)[3].sum() for seed in range(20)) > 0


def test_smote_before_the_split_puts_children_of_training_faces_into_test():
    data = faces()
    images, rows, split, leaks = made("smote_first", data)
    assert rows["label"].value_counts().nunique() == 1
    synthetic = (rows["row"] < 0).to_numpy()
    tested = synthetic & (split == "test")
    assert tested.any()
    assert leaks[tested].mean() > 0.9
    # A blend is between the two pictures that it is recorded to come from.
    parents = data.images[rows.loc[synthetic, ["source", "other"]]]
    assert (parents.min(axis=1) <= images[synthetic]).all()
    assert (images[synthetic] <= parents.max(axis=1)).all()
    _, both, split, leaks = made("combined", data)
    assert both["label"].value_counts().nunique() == 1
    assert len(both) == 3 * len(rows)
    assert leaks[split == "test"].mean() > 0.9


def test_augmentation_before_the_split_puts_one_picture_on_both_sides():
    data = faces()
    images, rows, split, leaks = made("augmented_first", data)
    assert (rows["source"].value_counts() == 3).all()
    assert (rows["label"] == data.labels[rows["source"]]).all()
    moved = images[len(data) :].reshape(2, *data.images.shape)
    assert (moved != data.images).any(axis=(2, 3, 4)).mean() > 0.9
    assert (moved[0] != moved[1]).any()
    # Moved by a fraction of a pixel, a face is still closer to itself than to others.
    assert np.abs(moved[0].astype(float) - data.images).mean() < 20
    # A test version is alone only if its two siblings are in test or validation too.
    assert leaks[split == "test"].mean() > 0.85


@pytest.mark.parametrize("variant", ["smote_after", "augmented_after"])
def test_after_the_split_the_test_rows_are_left_alone(variant):
    data = with_copies()
    images, rows, split, leaks = made(variant, data)
    assert (split[rows["row"] < 0] == "training").all()
    assert (split == "training").sum() > 1.3 * (data.split == "training").sum()
    for name in ("validation", "test"):
        np.testing.assert_array_equal(rows["row"][split == name], data.part(name).rows)
        np.testing.assert_array_equal(images[split == name], data.part(name).images)
    assert leaks.sum() == 3


def test_dropped_classes_are_gone_and_the_others_keep_their_names():
    data = faces()
    _, rows, split, _ = made("four_classes", data)
    names, dropped = np.array(data.expressions), mistakes.DROPPED["four_classes"]
    kept = ~np.isin(names[data.labels], dropped)
    assert (rows["row"] == data.rows[kept]).all()
    assert (split == data.split[kept]).all()
    left = names[~np.isin(names, dropped)]
    assert (left[rows["label"]] == names[data.labels[kept]]).all()


def test_faces_of_one_photo_stay_together_or_do_not():
    photos = np.array([f"{at // 3}.jpg" for at in range(350)])
    data = dataclasses.replace(faces(), photos=photos)
    _, _, by_photo, leaks = made("by_photo", data)
    assert not leaks.any()
    assert all(len(set(by_photo[photos == photo])) == 1 for photo in np.unique(photos))
    _, _, by_face, leaks = made("by_face", data)
    assert leaks[by_face == "test"].mean() > 0.5
    assert abs((by_face == "test").mean() - 0.2) < 0.05
    with pytest.raises(DataError, match="no photos"):
        made("by_photo", faces())


TWO = {"variants": ("honest", "augmented_first"), "plan": TINY}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Two variants in one go, and their folder."""
    runtime.setup(0)
    folder = tmp_path_factory.mktemp("records") / "mistakes-sample"
    return laboratory.run(with_copies(), [0], folder, command="test", **TWO), folder


def test_what_is_recorded_agrees_with_itself(begun):
    found, folder = begun
    test = with_copies().part("test")
    history, said = found.history("honest", 0), found.answers[0]
    assert history["steps"].tolist() == [3, 6]
    assert (said["rows"] == test.rows).all()
    assert (said["labels"] == test.labels).all()
    assert said["copies"].sum() == 2
    assert (said["first"] != said["second"]).all()
    right = (said["first"] == said["labels"])[:, ~said["copies"]]
    assert history["test_right"].tolist() == right.sum(axis=1).tolist()
    assert (history["test_n"] == right.shape[1]).all()
    assert (history["test_leaked"] == 0).all()
    wrong = found.history("augmented_first", 0)
    assert wrong["steps"].tolist() == [3, 6]  # more rows, but not more steps
    assert wrong["train_n"][0] > 3 * history["train_n"][0]
    assert (wrong["test_leaked"] > 0.8 * wrong["test_n"]).all()
    assert found.info["sessions"][0]["command"] == "test"
    names = ["honest-0.npz", "plan.json", "runs.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_table(begun, tmp_path, monkeypatch, capsys):
    whole, folder = begun[0], tmp_path / "mistakes-sample"
    train = laboratory._train

    def killed(images, rows, expressions, plan, variant, seed):
        if variant != "honest":
            raise KeyboardInterrupt
        return train(images, rows, expressions, plan, variant, seed)

    monkeypatch.setattr(laboratory, "_train", killed)
    with pytest.raises(KeyboardInterrupt):
        laboratory.run(with_copies(), [0], folder, **TWO)
    assert mistakes.load(folder).seeds("honest") == [0]
    monkeypatch.setattr(laboratory, "_train", train)
    done = laboratory.run(with_copies(), [0], folder, **TWO)
    pd.testing.assert_frame_equal(mistakes.table(done), mistakes.table(whole))
    columns = whole.runs.columns.drop("seconds")
    pd.testing.assert_frame_equal(done.runs[columns], whole.runs[columns])
    assert len(done.info["sessions"]) == 2
    # Nothing is left to do, so nothing is trained; other plans or data do not mix.
    monkeypatch.setattr(laboratory, "_train", None)
    monkeypatch.setattr(laboratory, "plan_for", lambda name: TINY)
    monkeypatch.setattr(laboratory.datasets, "load", lambda name, path: with_copies())
    words = ["--seeds", "1", "--results", str(tmp_path)]
    laboratory.main([*words, "--variants", "honest"])
    said = capsys.readouterr().out
    assert "top-2" in said
    assert said.splitlines()[-1] == f"recorded in {tmp_path.name}/mistakes-sample"
    with pytest.raises(ModelError, match="started with plan"):
        laboratory.run(with_copies(), [0], folder, plan={**TINY, "steps": 4})
    with pytest.raises(ModelError, match="started with fingerprint"):
        laboratory.run(faces(), [0], folder, **TWO)
    with pytest.raises(SystemExit):
        laboratory.main(["--seeds", "0"])


def test_a_training_that_diverges_or_lacks_rows_is_not_recorded(begun, tmp_path):
    plan = {**TINY, "learning_rate": 1e38, "warm_up": 0}
    with pytest.raises(ModelError, match=r"honest, seed 0: diverged|not probabilities"):
        laboratory.run(faces(), [0], tmp_path / "a", variants=("honest",), plan=plan)
    data = faces()
    with pytest.raises(DataError, match="found no test rows"):
        laboratory.run(data.take(data.split != "test"), [0], tmp_path / "b", **TWO)
    assert mistakes.load(tmp_path / "a").runs.empty


@given(count=st.integers(1, 40), size=st.integers(1, 50), seed=st.integers(0, 2**31))
def test_no_row_is_learned_again_before_all_were(count, size, seed):
    places = np.arange(count)
    batches = laboratory._batches(places, places, places, size, seed)
    drawn = np.concatenate([next(batches)[0] for _ in range(5)])
    rounds = drawn[: len(drawn) // count * count].reshape(-1, count)
    assert (np.sort(rounds, axis=1) == places).all()


def training_of(variant, seed, val, test, train) -> pd.DataFrame:
    """Write two epochs by hand: right answers of validation and test, training accuracy."""
    leaked = 0 if variant == "honest" else 15
    rows = pd.DataFrame({"val_right": val, "test_right": test, "train_accuracy": train})
    rows = rows.assign(variant=variant, seed=seed, epoch=[1, 2], steps=[5, 10], train_n=100)
    rows = rows.assign(val_n=10, test_n=20, test_leaked=leaked, seconds=1.0)
    return rows.assign(val_accuracy=0.0, test_accuracy=0.0)[list(mistakes.RUN_COLUMNS)]


@pytest.fixture
def by_hand(tmp_path):
    """A record whose figures can be worked out on paper."""
    folder = tmp_path / "mistakes-paper"
    plan = {"plan": {"epochs": 2}, "expressions": list(faces().expressions), "sessions": []}
    runtime.write_json(folder / "plan.json", plan)
    # 22 test rows of class 0, the last two copies; in epoch 2 they alone are right and sure.
    first, second = np.ones((2, 22), np.uint8), np.full((2, 22), 2, np.uint8)
    first[0, :8] = first[1, :10] = first[1, 20:] = 0
    second[1, 10:15] = 0
    sure = np.zeros((2, 22), bool)
    sure[1, :4] = sure[1, 10:12] = sure[1, 20:] = True
    said = {"labels": np.zeros(22, np.uint8), "rows": np.arange(22), "copies": np.arange(22) >= 20}
    said |= {"first": first, "second": second, "sure": sure}
    answers = {f"test_{name}": array for name, array in said.items()}
    # Validation chooses epoch 2 of seed 0 and, of two tied ones, epoch 1 of seed 1.
    for row in (
        ("honest", 0, [4, 5], [8, 10], [0.6, 0.8]),
        ("honest", 1, [5, 5], [12, 14], [0.7, 0.9]),
        ("resplit", 0, [9, 8], [14, 20], [0.5, 0.5]),
        ("resplit", 1, [8, 9], [20, 15], [0.5, 0.5]),
        ("resplit", 2, [8, 9], [20, 15], [0.5, 0.5]),
        ("smote_after", 0, [8, 9], [20, 11], [0.5, 0.5]),
        ("smote_first", 0, [8, 9], [20, 16], [0.5, 0.5]),
    ):
        laboratory._write(folder, training_of(*row), answers)
    return folder


def test_the_table_by_hand(by_hand):
    found = mistakes.load("paper", by_hand.parent)
    assert mistakes.recorded(by_hand.parent) == ["paper"]
    table = mistakes.table(found)
    figure, points = table["figure"], table["points"]
    # The chosen epochs are 2 and 1. The others, without runs of their own, are left out.
    expected = {
        "honest": (50 + 60) / 2,
        "copies_kept": (12 + 8) / 2 / 22 * 100,
        "best_epoch_on_test": (50 + 70) / 2,
        "pooled": (15 / 30 + 19 / 30) / 2 * 100,
        "resplit": (70 + 75) / 2,  # seed 2 has no honest run to compare with
        "smote_first": 80,
        "training_accuracy": 75,
        "training_accuracy_last": 85,
        # 4 sure and right, 2 sure and wrong, 14 unsure; in epoch 1 all are unsure.
        "binary_accuracy": (1 - (2 * 2 + 14) / 7 / 20 + 1 - 1 / 7) / 2 * 100,
        "top2": (15 + 8) / 2 / 20 * 100,
    }
    assert figure.to_dict() == pytest.approx(expected)
    assert list(table.index) == list(expected)
    assert points["resplit"] == pytest.approx((20 + 15) / 2)
    assert table.loc["resplit", ["seeds", "leaked"]].tolist() == [2, 75]
    assert points["smote_first"] == pytest.approx(80 - 50)
    assert table.loc["smote_first", "done_right"] == pytest.approx(55 - 50)
    assert table["done_right"].notna().sum() == 1
    assert table.loc["copies_kept", ["n", "leaked"]].tolist() == pytest.approx([22, 200 / 22])
    drawn = figures.mistakes_waterfall(table).axes[0]
    assert len(drawn.patches) == len(table) - 1


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("plan.json", "sessions", None, "mistakes-paper: no record of mistakes there; recorded"),
        ("plan.json", "{", "[", r"plan\.json: cannot be read"),
        ("plan.json", "epochs", "times", r"plan\.json: cannot be read: KeyError"),
        ("runs.csv", "honest,0,2,", "honest,0,3,", r"runs\.csv: .*honest, seed 0: .* epochs 1 … 2"),
        ("runs.csv", ",train_n,", ",rows,", r"runs\.csv: .*train_n"),
        ("runs.csv", "honest", "x", "neither honest nor by_photo"),
        ("honest-1.npz", None, None, r"honest-1\.npz: cannot be read"),
    ],
)
def test_damaged_records_are_named(by_hand, file, old, new, message):
    path = by_hand / file
    if new is None and old:
        path.unlink()
    elif new is None:
        path.write_bytes(path.read_bytes()[:-40])
    else:
        path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ModelError, match=message):
        mistakes.table(mistakes.load(by_hand))


def test_committed_records_can_go_on_and_every_mistake_is_in_one():
    trained = set()
    for name in ("fer2013", "expw"):
        found = mistakes.load(name)
        assert laboratory.plan_for(name) == found.info["plan"]
        trained |= set(found.runs["variant"])
    assert trained == {*laboratory.OFFICIAL, *laboratory.PHOTOS}
    for one in mistakes.MISTAKES:
        assert {one.variant, one.base, one.control or one.base} <= trained
        assert one.kind in mistakes.KINDS
    table = mistakes.table(mistakes.load("fer2013"))
    assert table.loc["smote_first", "points"] == pytest.approx(24.1, abs=0.05)
