"""Bootstrap intervals and the spread of seeds: against scikit-learn, scipy and known truths."""

import math

import numpy as np
import pytest
from drawn import made, of_classes, predictions, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import evaluation
from utils.runtime import DataError

NAMES = list(evaluation.STATISTICS)


def drawn(n=300, seed=0, classes=7, sure=0.5):
    """Predictions of a mediocre network: right about half of the time."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    given_ = random.dirichlet(np.full(classes, 0.7), n)
    given_[np.arange(n), labels] += random.random(n) < sure
    return made(given_ / given_.sum(axis=1, keepdims=True), labels)


# ----------------------------------------------------------------------------------- estimates


@given(predictions())
@settings(deadline=None, max_examples=25)
def test_the_estimates_are_the_metrics_themselves(given_):
    table = evaluation.bootstrap(given_, NAMES, draws=100)
    estimate = table["estimate"]
    summary, report = evaluation.summary(given_), evaluation.report(given_)
    for name in ("accuracy", "macro_f1", "balanced_accuracy", "log_loss", "calibration_error"):
        assert estimate[name] == pytest.approx(getattr(summary, name)), name
    assert estimate["brier_score"] == pytest.approx(evaluation.brier_score(given_))
    predicted = np.bincount(given_.predicted, minlength=len(given_.expressions))
    for at, expression in enumerate(given_.expressions):
        row = report.loc[expression]
        assert estimate[f"f1: {expression}"] == pytest.approx(row["f1"])
        if row["support"]:
            assert estimate[f"recall: {expression}"] == pytest.approx(row["recall"])
        else:
            assert math.isnan(estimate[f"recall: {expression}"])
        if predicted[at]:
            assert estimate[f"precision: {expression}"] == pytest.approx(row["precision"])
        else:
            assert math.isnan(estimate[f"precision: {expression}"])


@given(predictions(), st.sampled_from(["bca", "percentile"]), st.booleans())
@settings(deadline=None, max_examples=25)
def test_intervals_are_in_order_and_in_range(given_, method, grouped):
    groups = given_.labels if grouped else None
    table = evaluation.bootstrap(given_, NAMES, draws=100, method=method, groups=groups).dropna()
    assert (table["low"] <= table["high"]).all()
    assert (table["standard_error"] >= 0).all()
    assert (table["low"] >= 0).all()
    bounded = table.drop(index=["log_loss", "brier_score"], errors="ignore")
    assert (bounded["high"] <= 1 + 1e-12).all()


def test_the_order_of_the_pictures_does_not_matter():
    given_ = drawn()
    groups = np.random.default_rng(1).integers(0, 90, 300)
    order = np.random.default_rng(0).permutation(300)  # the one of `shuffled`
    for one, other in ((None, None), (groups, groups[order])):
        first = evaluation.bootstrap(given_, NAMES, draws=100, groups=one)
        second = evaluation.bootstrap(shuffled(given_), NAMES, draws=100, groups=other)
        assert np.allclose(first, second)


def test_a_seed_repeats_and_another_differs():
    given_ = drawn()
    one, again, other = (evaluation.bootstrap(given_, draws=200, seed=seed) for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)


# ----------------------------------------------------------------------------------- intervals


def test_accuracy_s_interval_is_wilson_s():
    given_ = drawn(1000)
    found = evaluation.bootstrap(given_, draws=4000).loc["accuracy"]
    correct = evaluation.summary(given_).correct
    assert (found["low"], found["high"]) == pytest.approx(
        evaluation.accuracy_interval(correct, 1000), abs=4e-3
    )
    share = correct / 1000
    assert found["standard_error"] == pytest.approx(math.sqrt(share * (1 - share) / 1000), rel=0.05)
    assert abs(found["bias"]) < 2e-3


def test_intervals_agree_with_scipy():
    from scipy import stats

    # A dozen losses, most of them small and a few large: there the two methods differ.
    losses = np.random.default_rng(0).lognormal(-1.5, 1.2, 12)
    shares = np.exp(-losses)
    given_ = made(
        np.column_stack([shares, 1 - shares]), np.zeros(12, int), expressions=("yes", "no")
    )
    ends = {}
    for method in ("bca", "percentile"):
        theirs = stats.bootstrap(
            (losses,), np.mean, n_resamples=20_000, method=method, random_state=1
        )
        ours = evaluation.bootstrap(given_, "log_loss", draws=20_000, method=method)
        ours = ours.loc["log_loss"]
        ends[method] = ours[["low", "high"]].to_numpy()
        width = ours["high"] - ours["low"]
        expected = np.array(theirs.confidence_interval)
        assert ends[method] == pytest.approx(expected, abs=0.03 * width)
        assert ours["standard_error"] == pytest.approx(theirs.standard_error, rel=0.03)
    assert (ends["bca"] > ends["percentile"] + 0.05 * width).all()


def test_bias_is_corrected_as_scipy_corrects_it():
    from scipy import stats

    given_ = drawn(150, seed=5)
    checked = evaluation.check(given_)

    def error(confidence, correct):
        places = np.ceil(confidence * evaluation.BINS).astype(int)
        return np.abs(np.bincount(places, weights=confidence - correct)).sum() / len(places)

    assert error(checked.confidence, checked.correct) == pytest.approx(
        evaluation.calibration_error(given_)
    )
    theirs = stats.bootstrap(
        (checked.confidence, checked.correct),
        error,
        n_resamples=8000,
        paired=True,
        vectorized=False,
        random_state=0,
    ).confidence_interval
    ours = evaluation.bootstrap(given_, "calibration_error", draws=8000).iloc[0]
    width = ours["high"] - ours["low"]
    assert (ours["low"], ours["high"]) == pytest.approx(tuple(theirs), abs=0.05 * width)
    # Chance enlarges every resample's error, which the plain quantiles do not see.
    plain = evaluation.bootstrap(given_, "calibration_error", draws=8000, method="percentile")
    assert ours["bias"] > 0.05 * width
    assert plain["high"].iloc[0] > ours["high"] + 0.1 * width


def test_a_higher_level_gives_a_wider_interval():
    given_ = drawn()
    tables = [evaluation.bootstrap(given_, NAMES, level=level) for level in (0.5, 0.8, 0.99)]
    widths = [(table["high"] - table["low"]).to_numpy() for table in tables]
    assert (widths[0] < widths[1]).all()
    assert (widths[1] < widths[2]).all()


def test_the_interval_holds_what_the_pictures_were_drawn_from():
    # Right with probability 0.7, independently: 90 % intervals, of which 9 in 10 must hold it.
    random = np.random.default_rng(0)
    held = 0
    for seed in range(150):
        right = random.random(120) < 0.7
        given_ = of_classes(np.where(right, 0, 1), np.zeros(120, int))
        low, high = evaluation.bootstrap(given_, draws=300, seed=seed, level=0.9).iloc[0][
            ["low", "high"]
        ]
        held += low <= 0.7 <= high
    assert 0.83 < held / 150 < 0.97


def test_where_nothing_varies_the_interval_is_a_point():
    found = evaluation.bootstrap(of_classes([0, 1, 2] * 5, [0, 1, 2] * 5), draws=100)
    assert found.loc["accuracy"].tolist() == [1, 1, 1, 0, 0]
    one = evaluation.bootstrap(of_classes([0], [0]), NAMES, draws=100)
    assert one.loc["accuracy", "low"] == one.loc["accuracy", "high"] == 1


# -------------------------------------------------------------------------------------- groups


def test_copies_that_are_drawn_together_add_no_evidence():
    given_ = drawn(150)
    fourfold = made(
        np.tile(given_.probabilities, (4, 1)),
        np.tile(given_.labels, 4),
        rows=np.arange(600),
    )
    groups = np.tile(np.arange(150), 4)
    alone = evaluation.bootstrap(given_, NAMES, draws=400)
    together = evaluation.bootstrap(fourfold, NAMES, draws=400, groups=groups)
    assert np.allclose(alone, together)
    # Drawn apart, they seem to be four times the evidence: half the standard error.
    apart = evaluation.bootstrap(fourfold, "accuracy", draws=400)
    ratio = apart.loc["accuracy", "standard_error"] / alone.loc["accuracy", "standard_error"]
    assert ratio == pytest.approx(0.5, abs=0.08)


def test_groups_of_one_are_no_groups():
    given_ = drawn()
    names = np.array([f"picture {at}" for at in np.random.default_rng(2).permutation(300)])
    assert np.allclose(
        evaluation.bootstrap(given_, NAMES, draws=100),
        evaluation.bootstrap(given_, NAMES, draws=100, groups=names),
    )


# ------------------------------------------------------------------------------------- in pairs


def test_a_run_does_not_differ_from_itself():
    given_ = drawn()
    table = evaluation.bootstrap_difference(given_, shuffled(given_), NAMES, draws=100)
    assert np.allclose(table, 0)


def test_the_paired_interval_of_accuracy_is_that_of_difference():
    first = drawn(600, seed=0)
    # The second is the first, with another answer to every eighth picture.
    changed = first.probabilities.copy()
    changed[::8] = np.roll(changed[::8], 1, axis=1)
    second = made(changed, first.labels)
    found = evaluation.bootstrap_difference(first, shuffled(second), draws=4000).loc["accuracy"]
    exact = evaluation.difference(first, second)
    assert found["estimate"] == pytest.approx(exact.difference)
    assert (found["low"], found["high"]) == pytest.approx(exact.interval, abs=5e-3)
    # Far narrower than two runs on different pictures would give.
    alone = [evaluation.bootstrap(one).loc["accuracy", "standard_error"] for one in (first, second)]
    assert found["standard_error"] < 0.7 * math.hypot(*alone)


def test_the_sign_turns_with_the_order():
    first, second = drawn(200, seed=0), drawn(200, seed=0, sure=0.9)
    second = made(second.probabilities, first.labels)
    one = evaluation.bootstrap_difference(first, second, NAMES, draws=200, method="percentile")
    two = evaluation.bootstrap_difference(second, first, NAMES, draws=200, method="percentile")
    assert np.allclose(one["estimate"], -two["estimate"], equal_nan=True)
    assert np.allclose(one["low"], -two["high"], equal_nan=True)


# ------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        ({"statistic": "auc"}, "'auc': expected one of accuracy"),
        ({"statistic": []}, "one statistic or more"),
        ({"draws": 99}, "100 draws"),
        ({"level": 1.0}, "level"),
        ({"method": "basic"}, "'basic': expected bca or percentile"),
        ({"groups": np.zeros(3)}, "groups: expected 300"),
    ],
)
def test_what_cannot_be_computed_is_refused(settings_, says):
    with pytest.raises(DataError, match=says):
        evaluation.bootstrap(drawn(), **settings_)
    with pytest.raises(DataError, match=says):
        evaluation.bootstrap_difference(drawn(), drawn(), **settings_)


# --------------------------------------------------------------------------------------- seeds


def runs_of(right):
    """Runs with the given right (True) and wrong (False) answers: (m, n)."""
    right = np.asarray(right)
    return {
        f"seed {at}": of_classes(np.where(row, 0, 1), np.zeros(len(row), int))
        for at, row in enumerate(right)
    }


def test_spread_by_hand():
    right = np.zeros((3, 10), bool)
    for at, count in enumerate((5, 6, 7)):
        right[at, :count] = True
    found = evaluation.seeds(runs_of(right))
    assert found.names == ("seed 0", "seed 1", "seed 2")
    assert found.accuracies == (0.5, 0.6, 0.7)
    assert (found.n, found.minimum, found.maximum) == (10, 0.5, 0.7)
    assert found.mean == pytest.approx(0.6)
    assert found.standard_deviation == pytest.approx(0.1)
    # Student's t, 2 degrees of freedom: 4.3027.
    assert found.interval == pytest.approx(
        (0.6 - 4.3027 * 0.1 / 3**0.5, 0.6 + 4.3027 * 0.1 / 3**0.5), abs=1e-4
    )
    assert found.next_seed == pytest.approx((0.6 - 4.3027 * 0.1 * (4 / 3) ** 0.5, 1.0), abs=1e-4)
    assert found.two_runs == pytest.approx(4.3027 * 0.1 * 2**0.5, abs=1e-4)
    # Two pictures change, each with a variance of 1/3 over the seeds.
    assert found.by_test_set == pytest.approx((2 / 3) ** 0.5 / 10)
    assert found.explained == pytest.approx(2 / 3)
    assert found.test_set_error == pytest.approx((0.6 * 0.4 / 10) ** 0.5)
    assert "3 seeds: mean 60.0%" in str(found)


@given(st.integers(2, 6), st.integers(1, 30), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_the_two_parts_add_up(m, n, seed):
    right = np.random.default_rng(seed).random((m, n)) < 0.6
    found = evaluation.seeds(runs_of(right))
    assert found.minimum <= found.mean <= found.maximum
    assert found.interval[0] <= found.mean <= found.interval[1]
    assert found.next_seed[0] <= found.interval[0]
    assert 0 <= found.explained <= 1 or (right == right[0]).all()
    # By definition: the mean covariance, over the seeds, of two different pictures.
    if n > 1 and found.between_networks > 0:
        covariance = np.cov(right.T.astype(float), ddof=1)
        off = (covariance.sum() - np.trace(covariance)) / (n * (n - 1))
        assert found.between_networks**2 == pytest.approx(off)


def test_equally_good_networks_are_told_from_better_and_worse_ones():
    random = np.random.default_rng(0)
    easy = random.beta(2, 1, 2000)
    flips = evaluation.seeds(runs_of(random.random((40, 2000)) < easy))
    assert flips.explained > 0.7
    assert flips.between_networks < 0.006
    skill = random.normal(0, 0.04, (40, 1))
    skilled = evaluation.seeds(runs_of(random.random((40, 2000)) < easy + skill))
    assert skilled.explained < 0.3
    assert skilled.between_networks == pytest.approx(0.04, abs=0.012)


def test_runs_that_all_answer_alike_have_no_spread_to_explain():
    found = evaluation.seeds(runs_of(np.tile([True, False, True], (4, 1))))
    assert found.standard_deviation == found.two_runs == 0
    assert math.isnan(found.explained)
    assert "explains" not in str(found)
    level = evaluation.seeds(runs_of([[True, False], [False, True]]))
    assert (level.standard_deviation, level.explained) == (0, 1)


@pytest.mark.parametrize("right", [[], [[True, False]]])
def test_one_seed_has_no_spread(right):
    with pytest.raises(DataError, match="two seeds or more"):
        evaluation.seeds(runs_of(right))
