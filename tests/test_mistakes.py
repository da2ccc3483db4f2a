"""The mistakes leak what they should, the honest way nothing, and the table's sums are right."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils import augment, evaluation, figures, mistakes, plans, runtime
from utils.datasets import SPLITS, FaceDataset
from utils.mistakes import Plan
from utils.runtime import DataError, ModelError

TINY = Plan(
    network={"filters": [2, 2, 2], "dense": 4, "momentum": 0.5, "dropout": 0.2},
    size=8,
    epochs=2,
    steps=3,
    batch_size=16,
    warm_up=0.0,
    moves=augment.Augmentation(rotation=0, zoom=0, shift=0.1, flip=False),
)


def faces(count=350, seed=0) -> FaceDataset:
    """Make noise whose brightness tells the class, 70/10/20 %, two of the classes small."""
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
    return data.with_images(images)


def with_photos() -> FaceDataset:
    """Put three faces in each photo."""
    data = faces()
    return dataclasses.replace(data, photos=np.array([f"{at // 3}.jpg" for at in range(len(data))]))


def made(variant, data, plan=TINY, seed=0):
    """Return a variant's pool, its split, and which rows leak."""
    pool = mistakes.VARIANTS[variant].pool(data, plan)
    split = pool.split(seed)
    n = len(pool.labels)
    assert len(pool.images) == len(pool.sources) == len(pool.rows) == len(split) == n
    assert set(split) == set(SPLITS)
    return pool, split, mistakes.leaked(pool.sources, split)


# ------------------------------------------------------------------------------------- the leaks


def test_the_honest_split_is_the_data_sets_and_leaks_its_copies_only():
    data = with_copies()
    pool, split, leaks = made("honest", data)
    assert (split == data.split).all()
    np.testing.assert_array_equal(pool.rows, data.rows)
    assert sorted(split[leaks]) == ["test", "test", "validation"]
    assert not made("honest", faces())[2].any()
    assert mistakes.VARIANTS["honest"].without_copies


@given(
    sources=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20),
    seed=st.integers(0, 99),
)
def test_a_row_leaks_where_training_holds_one_of_its_sources(sources, seed):
    split = np.random.default_rng(seed).choice(SPLITS, len(sources))
    known = {
        one for pair, name in zip(sources, split, strict=True) if name == "training" for one in pair
    }
    expected = [
        name != "training" and bool(known & set(pair))
        for pair, name in zip(sources, split, strict=True)
    ]
    assert mistakes.leaked(np.array(sources), split).tolist() == expected


def test_a_new_split_is_stratified_differs_by_seed_and_parts_copies():
    data = with_copies()
    pool, split, _ = made("resplit", data)
    assert [(split == name).mean().round(1) for name in SPLITS] == [0.8, 0.1, 0.1]
    for label in range(7):
        share = (split[pool.labels == label] == "test").mean()
        assert abs(share - 0.1) < 0.06
    assert (split == pool.split(0)).all()
    assert (split != pool.split(1)).any()
    pairs = [made("resplit", data, seed=seed)[2].sum() for seed in range(20)]
    assert max(pairs) > 0  # a copy and its original, on two sides


def test_smote_before_the_split_puts_children_of_training_faces_into_test():
    data = faces()
    pool, split, leaks = made("smote_first", data)
    counts = np.bincount(pool.labels)
    assert (counts == counts.max()).all()
    synthetic = pool.rows < 0
    assert (pool.rows[: len(data)] == data.rows).all()
    assert synthetic[len(data) :].all()
    tested = synthetic & (split == "test")
    assert tested.any()
    children = np.isin(pool.sources[tested], pool.sources[(split == "training") & ~synthetic])
    assert children.any(axis=1).mean() > 0.8
    assert leaks[tested].mean() > 0.9
    # A blend lies between the two pictures that it is said to come from.
    parents = data.images[pool.sources[synthetic]]
    blends = pool.images[synthetic]
    assert (parents.min(axis=1) <= blends).all()
    assert (blends <= parents.max(axis=1)).all()


def test_smote_after_the_split_leaves_the_test_rows_alone():
    data = with_copies()
    pool, split, leaks = made("smote_after", data)
    assert (split[pool.rows < 0] == "training").all()
    counts = np.bincount(pool.labels[split == "training"])
    assert (counts == counts.max()).all()
    for name in ("validation", "test"):
        np.testing.assert_array_equal(pool.rows[split == name], data.part(name).rows)
        np.testing.assert_array_equal(pool.images[split == name], data.part(name).images)
    assert leaks.sum() == 3


def test_augmentation_before_the_split_puts_one_picture_on_both_sides():
    data = faces()
    pool, split, leaks = made("augmented_first", data)
    assert len(pool.labels) == 3 * len(data)
    assert (np.bincount(pool.sources[:, 0]) == 3).all()
    np.testing.assert_array_equal(pool.labels, data.labels[pool.sources[:, 0]])
    np.testing.assert_array_equal(pool.images[: len(data)], data.images)
    moved = pool.images[len(data) :].reshape(2, *data.images.shape)
    assert (moved != data.images).any(axis=(2, 3, 4)).mean() > 0.9
    assert (moved[0] != moved[1]).any()
    # Moved by a fraction of a pixel, a face is still nearer to itself than to others.
    assert np.abs(moved[0].astype(float) - data.images).mean() < 20
    sides = [set(split[pool.sources[:, 0] == picture]) for picture in range(len(data))]
    assert sum({"training", "test"} <= side for side in sides) > 0.1 * len(data)
    # A test version is alone only where its two sisters are in test or validation too.
    assert leaks[split == "test"].mean() > 0.85


def test_augmentation_after_the_split_moves_training_pictures_only():
    data = with_copies()
    pool, split, leaks = made("augmented_after", data)
    assert (split == "training").sum() == 3 * (data.split == "training").sum()
    assert (split[pool.rows < 0] == "training").all()
    np.testing.assert_array_equal(pool.images[split == "test"], data.part("test").images)
    assert leaks.sum() == 3


def test_combined_is_balanced_moved_and_leaks():
    pool, split, leaks = made("combined", faces())
    counts = np.bincount(pool.labels)
    assert (counts == counts.max()).all()
    assert len(pool.labels) == 3 * len(made("smote_first", faces())[0].labels)
    assert leaks[split == "test"].mean() > 0.9


@pytest.mark.parametrize("variant", ["five_classes", "four_classes"])
def test_dropped_classes_are_gone_and_the_others_keep_their_names(variant):
    data = faces()
    pool, split, leaks = made(variant, data)
    gone = mistakes.DROPPED[variant]
    assert pool.expressions == tuple(name for name in data.expressions if name not in gone)
    kept = ~np.isin(np.array(data.expressions)[data.labels], gone)
    np.testing.assert_array_equal(pool.rows, data.rows[kept])
    np.testing.assert_array_equal(split, data.split[kept])
    was = np.array(data.expressions)[data.labels[kept]]
    np.testing.assert_array_equal(np.array(pool.expressions)[pool.labels], was)
    assert not leaks.any()


def test_faces_of_one_photo_stay_together_or_do_not():
    data = with_photos()
    _, by_photo, leaks = made("by_photo", data)
    assert not leaks.any()
    assert all(len(set(by_photo[data.photos == photo])) == 1 for photo in np.unique(data.photos))
    _, by_face, leaks = made("by_face", data)
    assert leaks[by_face == "test"].mean() > 0.5
    for split in (by_photo, by_face):
        assert abs((split == "test").mean() - 0.2) < 0.05
    with pytest.raises(DataError, match="no photos"):
        made("by_photo", faces())


def test_a_data_set_without_test_rows_is_refused():
    data = faces()
    with pytest.raises(DataError, match="no test rows"):
        made("honest", data.take(data.split != "test"))


# ---------------------------------------------------------------------------------------- the runs


@given(count=st.integers(1, 40), draws=st.integers(0, 200), seed=st.integers(0, 2**31))
def test_no_row_is_learned_again_before_all_were(count, draws, seed):
    drawn = mistakes.order(count, draws, seed)
    assert len(drawn) == draws
    times = np.bincount(drawn, minlength=count)
    assert times.max(initial=0) - times.min() <= 1
    for start in range(0, draws - count + 1, count):
        assert len(set(drawn[start : start + count])) == count


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Two variants with two seeds, in one go; with the folder."""
    runtime.setup(0)
    folder = tmp_path_factory.mktemp("records") / "mistakes-tiny"
    plan = dataclasses.replace(TINY, variants=("honest", "augmented_first"))
    return mistakes.run(with_copies(), plan, [0, 1], folder, command="test"), folder, plan


def test_the_honest_answers_are_those_of_the_chosen_epoch(begun):
    found, _, _ = begun
    for seed in (0, 1):
        history = found.history("honest", seed)
        chosen = history.iloc[history["val_right"].to_numpy().argmax()]
        said = found.predictions(seed)
        right = said.probabilities.argmax(axis=1) == said.labels
        assert right[~said.copies].sum() == chosen["test_right"]
        np.testing.assert_array_equal(said.probabilities.sum(axis=1), 1)
        assert said.expressions == with_copies().expressions
    with pytest.raises(ModelError, match=r"seed 7|honest-7"):
        found.predictions(7)


def test_each_variant_takes_the_same_number_of_steps(begun):
    found, _, plan = begun
    assert found.finished() == {(v, s) for v in plan.variants for s in (0, 1)}
    for variant, seed in found.finished():
        assert found.history(variant, seed)["steps"].tolist() == [3, 6]
    sizes = found.runs.groupby("variant")["train_n"].first()
    assert sizes["augmented_first"] > 3 * sizes["honest"]


def test_what_is_recorded_agrees_with_itself(begun):
    found, folder, _ = begun
    data = with_copies()
    for seed in (0, 1):
        history = found.history("honest", seed)
        for split, short in (("validation", "val"), ("test", "test")):
            answers = found.answers[seed][split]
            np.testing.assert_array_equal(answers.rows, data.part(split).rows)
            np.testing.assert_array_equal(answers.labels, data.part(split).labels)
            assert answers.copies.sum() == {"validation": 1, "test": 2}[split]
            right = answers.right[:, ~answers.copies]
            assert history[f"{short}_right"].tolist() == right.sum(axis=1).tolist()
            assert (history[f"{short}_n"] == right.shape[1]).all()
            assert (answers.first != answers.second).all()
        assert (history["test_leaked"] == 0).all()
    wrong = found.history("augmented_first", 0)
    assert (wrong["test_leaked"] > 0.8 * wrong["test_n"]).all()
    assert found.info["sessions"][0]["command"] == "test"
    assert found.info["fingerprint"] == data.fingerprint()
    assert sorted(path.name for path in folder.iterdir()) == [
        "honest-0.npz",
        "honest-1.npz",
        "plan.json",
        "runs.csv",
    ]


def test_a_run_that_is_killed_comes_to_the_same_table(begun, tmp_path, monkeypatch):
    whole, _, plan = begun
    folder = tmp_path / "mistakes-tiny"
    add, kept = mistakes.findings.add_runs, []

    def killed(folder, rows):
        kept.append(rows)
        if len(kept) == 2:  # before the second run counts: its answers are on disk already
            raise KeyboardInterrupt
        add(folder, rows)

    monkeypatch.setattr(mistakes.findings, "add_runs", killed)
    with pytest.raises(KeyboardInterrupt):
        mistakes.run(with_copies(), plan, [0, 1], folder)
    assert mistakes.load(folder).finished() == {("honest", 0)}
    done = mistakes.run(with_copies(), plan, [0, 1], folder)
    exact = ["low", "high", "figure", "points"]
    pd.testing.assert_frame_equal(mistakes.table(done), mistakes.table(whole))
    assert mistakes.table(done)[exact].notna().all(axis=None)
    plain = whole.runs.drop(columns="seconds")
    pd.testing.assert_frame_equal(done.runs.drop(columns="seconds"), plain)
    for seed in (0, 1):
        np.testing.assert_array_equal(
            done.answers[seed]["test"].second, whole.answers[seed]["test"].second
        )
    assert len(done.info["sessions"]) == 2
    trained = len(kept)
    mistakes.run(with_copies(), plan, [1], folder)
    assert len(kept) == trained  # nothing was left to do


def test_another_plan_or_other_data_do_not_mix(begun):
    _, folder, plan = begun
    longer = dataclasses.replace(plan, steps=4)
    with pytest.raises(ModelError, match="begun with plan"):
        mistakes.run(with_copies(), longer, [0], folder)
    with pytest.raises(ModelError, match="begun with fingerprint"):
        mistakes.run(faces(), plan, [0], folder)
    with pytest.raises(ModelError, match="no variant called 'luck'"):
        mistakes.run(faces(), dataclasses.replace(plan, variants=("luck",)), [0], folder)
    with pytest.raises(ModelError, match="one seed or more"):
        mistakes.run(faces(), plan, [], folder)


@pytest.mark.parametrize("name", ["epochs", "steps", "batch_size", "versions"])
def test_a_plan_without_work_is_refused(name):
    with pytest.raises(ValueError, match="at least"):
        Plan(**{name: 0})


def test_every_plan_names_known_variants_and_trains_what_the_mistakes_need():
    for name in ("sample", "fer2013", "expw"):
        plan = mistakes.plan_for(name)
        assert set(plan.variants) <= set(mistakes.VARIANTS)
        json.dumps(plan.as_dict())
    trained = {*mistakes.plan_for("fer2013").variants, *mistakes.plan_for("expw").variants}
    for mistake in mistakes.MISTAKES:
        assert {mistake.variant, mistake.base, mistake.control or mistake.base} <= trained
        assert mistake.kind in mistakes.KINDS
        assert mistake.wrong.endswith(".")
        assert mistake.why.endswith(".")
        assert mistake.instead.endswith(".")


# --------------------------------------------------------------------------------------- the table


def runs_of(variant, seed, val, test, train, n=(10, 20)) -> pd.DataFrame:
    """Write a run's epochs by hand: right answers of validation and test, training accuracy."""
    epochs = len(val)
    return pd.DataFrame(
        {
            "variant": variant,
            "seed": seed,
            "epoch": range(1, epochs + 1),
            "steps": range(5, 5 * epochs + 1, 5),
            "train_n": 100,
            "train_accuracy": train,
            "val_n": n[0],
            "val_right": val,
            "test_n": n[1],
            "test_right": test,
            "test_leaked": 0 if variant == "honest" else 15,
            "seconds": 1.0,
        }
    )


def answers_by_hand() -> mistakes.Answers:
    """Two epochs, 22 rows of class 0, the last two copies; in epoch 2 they alone are right."""
    first = np.ones((2, 22), np.uint8)
    first[0, :8] = first[1, :10] = first[1, 20:] = 0
    second = np.full((2, 22), 2, np.uint8)
    second[1, 10:15] = 0
    sure = np.zeros((2, 22), bool)
    sure[1, :4] = sure[1, 10:12] = sure[1, 20:] = True
    copies = np.arange(22) >= 20
    labels = np.zeros(22, np.int64)
    return mistakes.Answers(labels, np.arange(22), copies, first, second, sure)


def test_a_plan_that_cannot_be_read_is_named(tmp_path):
    folder = tmp_path / "mistakes-paper"
    with pytest.raises(ModelError, match="no record of mistakes there; recorded: none"):
        mistakes.load(folder)
    folder.mkdir()
    for damaged in ("{", "[]", "{}", '{"sessions": 3}'):
        (folder / "plan.json").write_text(damaged)
        with pytest.raises(ModelError, match=r"mistakes-paper/plan\.json: (cannot|expected)"):
            mistakes.load(folder)


@pytest.fixture
def by_hand(tmp_path):
    """A record whose figures can be worked out on paper."""
    folder = tmp_path / "mistakes-paper"
    expressions = list(faces().expressions)
    plans.write(folder, {"plan": {"epochs": 2}, "expressions": expressions, "sessions": []})
    add = mistakes.findings.add_runs
    # Validation chooses epoch 2 of seed 0 and, of two equal ones, epoch 1 of seed 1.
    add(folder, runs_of("honest", 0, [4, 5], [8, 10], [0.6, 0.8]))
    add(folder, runs_of("honest", 1, [5, 5], [12, 14], [0.7, 0.9]))
    add(folder, runs_of("resplit", 0, [9, 8], [14, 20], [0.5, 0.5]))
    add(folder, runs_of("resplit", 1, [8, 9], [20, 15], [0.5, 0.5]))
    add(folder, runs_of("resplit", 2, [8, 9], [20, 15], [0.5, 0.5]))
    add(folder, runs_of("smote_after", 0, [8, 9], [20, 11], [0.5, 0.5]))
    add(folder, runs_of("smote_first", 0, [8, 9], [20, 16], [0.5, 0.5]))
    one = answers_by_hand()
    for seed in (0, 1):
        mistakes.findings.write_answers(folder, seed, {"validation": one, "test": one})
    return folder


def test_the_table_by_hand(by_hand):
    found = mistakes.load(by_hand)
    table = mistakes.table(found)
    assert found.name == "paper"
    # Without a run of their own, the others are left out.
    assert table.index.tolist() == [
        "honest",
        "copies_kept",
        "best_epoch_on_test",
        "pooled",
        "resplit",
        "smote_first",
        "training_accuracy",
        "training_accuracy_last",
        "binary_accuracy",
        "top2",
    ]
    figure, points = table["figure"], table["points"]
    assert figure["honest"] == pytest.approx((50 + 60) / 2)
    assert figure["best_epoch_on_test"] == pytest.approx((50 + 70) / 2)
    assert points["best_epoch_on_test"] == pytest.approx(5)
    assert figure["pooled"] == pytest.approx((15 / 30 + 19 / 30) / 2 * 100)
    assert figure["training_accuracy"] == pytest.approx(75)
    assert figure["training_accuracy_last"] == pytest.approx(85)
    # Seed 2 has no honest run to be compared with.
    assert table.loc["resplit", "seeds"] == 2
    assert figure["resplit"] == pytest.approx((70 + 75) / 2)
    assert points["resplit"] == pytest.approx((20 + 15) / 2)
    # t with one degree of freedom, times the deviation of 20 and 15 over the root of two.
    half = 12.706204736432095 * 2.5
    assert table.loc["resplit", ["low", "high"]].tolist() == pytest.approx(
        [17.5 - half, 17.5 + half]
    )
    assert table.loc["resplit", "leaked"] == pytest.approx(75)
    assert points["smote_first"] == pytest.approx(80 - 50)
    assert table.loc["smote_first", "done_right"] == pytest.approx(55 - 50)
    assert np.isnan(table.loc["smote_first", "low"])
    assert table["done_right"].notna().sum() == 1


def test_readings_of_the_answers_by_hand(by_hand):
    table = mistakes.table(mistakes.load(by_hand))
    # The chosen epochs are 2 and 1: 12 of 22 with the copies, then 8 of 22.
    assert table.loc["copies_kept", "figure"] == pytest.approx((12 + 8) / 2 / 22 * 100)
    assert table.loc["copies_kept", "n"] == 22
    assert table.loc["copies_kept", "leaked"] == pytest.approx(100 * 2 / 22)
    # Ten right and five more by the second guess; in epoch 1 eight.
    assert table.loc["top2", "figure"] == pytest.approx((15 + 8) / 2 / 20 * 100)
    # 4 sure and right, 2 sure and wrong (two of seven answers wrong), 14 unsure (one wrong);
    # in epoch 1 all are unsure.
    binary = (1 - (2 * 2 + 14) / 7 / 20, 1 - 1 / 7)
    assert table.loc["binary_accuracy", "figure"] == pytest.approx(sum(binary) / 2 * 100)
    assert table.loc["binary_accuracy", "n"] == 20


@given(
    logits=st.lists(st.lists(st.integers(-6, 6), min_size=7, max_size=7), min_size=1, max_size=20),
    seed=st.integers(0, 99),
)
def test_answers_say_what_keras_and_probabilities_say(logits, seed):
    values = np.exp(np.array(logits, float))
    probabilities = (values / values.sum(axis=1, keepdims=True)).astype(np.float32)
    n = len(probabilities)
    labels = np.random.default_rng(seed).integers(0, 7, n)
    answers = mistakes.Answers.of(probabilities[None], labels, np.arange(n), np.zeros(n, bool))
    binary = ((probabilities > 0.5) == np.eye(7, dtype=bool)[labels]).mean()
    assert answers.binary(7).mean() == pytest.approx(binary)
    np.testing.assert_array_equal(answers.right[0], probabilities.argmax(axis=1) == labels)
    higher = (probabilities > probabilities[np.arange(n), labels][:, None]).sum(axis=1)
    assert (answers.right_of_two[0] <= (higher < 2)).all()
    distinct = [len(set(row)) == 7 for row in logits]
    assert (answers.right_of_two[0] == (higher < 2))[distinct].all()


def test_a_network_that_is_never_sure_has_six_sevenths():
    probabilities = np.full((1, 5, 7), 1 / 7)
    answers = mistakes.Answers.of(probabilities, np.arange(5), np.arange(5), np.zeros(5, bool))
    assert answers.binary(7).mean() == pytest.approx(6 / 7)


def test_the_interval_of_known_numbers():
    # Moore & McCabe: mean 22.5, s = 7.19 of eight numbers gives ± 6.0 by t(7) = 2.365.
    mean, low, high = evaluation.seeds_interval([26, 31, 23, 22, 11, 22, 14, 31])
    assert mean == 22.5
    assert (low, high) == pytest.approx((16.49, 28.51), abs=0.01)
    mean, low, high = evaluation.seeds_interval([3.0])
    assert mean == 3
    assert np.isnan([low, high]).all()
    assert evaluation.seeds_interval([2, 2, 2]) == (2, 2, 2)
    with pytest.raises(DataError, match="one seed"):
        evaluation.seeds_interval([])


@given(
    values=st.lists(st.floats(-50, 50), min_size=2, max_size=9),
    shift=st.floats(-20, 20),
)
def test_an_interval_moves_with_its_values(values, shift):
    mean, low, high = evaluation.seeds_interval(values)
    assert low <= mean + 1e-9
    assert mean <= high + 1e-9
    moved = evaluation.seeds_interval([value + shift for value in values])
    assert moved == pytest.approx((mean + shift, low + shift, high + shift), abs=1e-6)
    wide = evaluation.seeds_interval(values, 0.99)
    assert wide[2] - wide[1] >= high - low


# -------------------------------------------------------------------------------------- the record


def test_damaged_records_are_named(by_hand):
    runs = (by_hand / "runs.csv").read_text()
    (by_hand / "runs.csv").write_text(runs.replace("honest,0,2,", "honest,0,3,"))
    with pytest.raises(ModelError, match=r"runs.csv: honest, seed 0: .* epochs 1 … 2"):
        mistakes.load(by_hand)
    (by_hand / "runs.csv").write_text(runs.replace(",train_n,", ",rows,"))
    with pytest.raises(ModelError, match="expected variant, seed, epoch"):
        mistakes.load(by_hand)
    (by_hand / "runs.csv").write_text(runs)
    whole = (by_hand / "honest-1.npz").read_bytes()
    (by_hand / "honest-1.npz").write_bytes(whole[:-40])
    with pytest.raises(ModelError, match=r"honest-1\.npz: cannot be read"):
        mistakes.load(by_hand)
    (by_hand / "honest-1.npz").unlink()
    with pytest.raises(ModelError, match=r"honest-1\.npz"):
        mistakes.load(by_hand)


def test_counts_over_the_rows_are_refused(by_hand):
    runs = pd.read_csv(by_hand / "runs.csv")
    runs.loc[3, "test_right"] = 21
    runs.to_csv(by_hand / "runs.csv", index=False)
    with pytest.raises(ModelError, match="row 3: found more right test"):
        mistakes.load(by_hand)


def test_a_missing_record_names_those_there_are(by_hand):
    with pytest.raises(ModelError, match=r"mistakes-moon: .*; recorded: paper"):
        mistakes.load("moon", by_hand.parent)
    assert mistakes.recorded(by_hand.parent) == ["paper"]
    assert mistakes.load("paper", by_hand.parent).seeds("resplit") == [0, 1, 2]


def test_a_record_without_an_honest_run_has_no_table(by_hand):
    runs = pd.read_csv(by_hand / "runs.csv")
    runs[runs["variant"] != "honest"].to_csv(by_hand / "runs.csv", index=False)
    with pytest.raises(ModelError, match="neither honest"):
        mistakes.table(mistakes.load(by_hand))


# ------------------------------------------------------------------------- the command, the figure


def test_the_command_trains_records_and_prints(tmp_path, monkeypatch, capsys):
    plan = dataclasses.replace(TINY, variants=("honest",))
    monkeypatch.setattr(mistakes.command, "plan_for", lambda name: plan)
    monkeypatch.setattr(mistakes.command.datasets, "load", lambda name, path: with_copies())
    words = ["--seeds", "1", "--steps", "2", "--results", str(tmp_path), "--verbose", "0"]
    assert mistakes.main(words) == 0
    said = capsys.readouterr().out
    assert "top-2" in said
    assert said.splitlines()[-1] == f"recorded in {tmp_path.name}/mistakes-sample"
    found = mistakes.load("sample", tmp_path)
    assert found.info["plan"]["steps"] == 2
    assert found.info["sessions"][0]["command"].startswith("python -m utils.mistakes --seeds 1")
    # Another protocol does not go into the same record.
    assert mistakes.main([*words, "--epochs", "1"]) == 1
    assert "begun with plan" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        mistakes.main(["--steps", "0", "--results", str(tmp_path)])


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_waterfall_shows_every_mistake_from_the_honest_line(by_hand):
    table = mistakes.table(mistakes.load(by_hand))
    figure = figures.mistakes_waterfall(table, claims={"claimed": 86.0}, title="a title")
    axes = figure.axes[0]
    names = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert sorted(names[1:]) == sorted(table["title"].iloc[1:])
    bars = dict(zip(names[1:], axes.patches, strict=True))
    for name, row in table.iloc[1:].iterrows():
        bar = bars[row["title"]]
        ends = (bar.get_x(), bar.get_x() + bar.get_width())
        assert ends == pytest.approx((table.loc["honest", "figure"], row["figure"])), name
        assert any(f"{row['figure']:.1f} %   {row['points']:+.1f}" in t for t in texts(figure))
    assert "claimed 86" in texts(figure)
    assert "55.0 %" in texts(figure)
    heights = [table.set_index("title").loc[name, "figure"] for name in names[1:]]
    assert heights == sorted(heights)


def test_the_waterfall_takes_blocks_and_refuses_what_it_cannot_draw(by_hand):
    table = mistakes.table(mistakes.load(by_hand))
    photos = table.iloc[[0, 4]].assign(base="by_photo").rename({"honest": "by_photo"})
    both = pd.concat([table, photos.rename({"resplit": "by_face"})])
    assert len(figures.mistakes_waterfall(both).axes[0].patches) == len(both) - 2
    with pytest.raises(DataError, match="no row 'honest'"):
        figures.mistakes_waterfall(table.iloc[1:])
    with pytest.raises(DataError, match="no column points"):
        figures.mistakes_waterfall(table.drop(columns="points"))
    with pytest.raises(DataError, match="mistakes"):
        figures.mistakes_waterfall(table.iloc[:1])
    with pytest.raises(DataError, match="kind 'luck'"):
        figures.mistakes_waterfall(table.replace({"kind": {"leak": "luck"}}))
